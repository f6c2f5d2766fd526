// SPDX-License-Identifier: Apache-2.0
/* Selectors in words. */
#include <errno.h>
#include <stdio.h>

#include "explain.h"

#define ADDRESS_BITS 128

static int say_value(const struct krl_term *term, char **text)
{
	switch (term->kind) {
	case KRL_PREDICATE_EXACT:
		return krl_explain_say(text, " %s \"%s\"", term->invert ? "!=" : "=", term->value);
	case KRL_PREDICATE_PREFIX:
	case KRL_PREDICATE_PATH_PREFIX:
		return krl_explain_say(text, " %s \"%s\"", term->invert ? "does not begin with" : "begins with", term->value);
	default:
		return krl_explain_say(text, "%s", term->distinct ? " distinct" : term->invert ? " absent" : " present");
	}
}

static int say_methods(const struct krl_term *term, char **text)
{
	const char *before = "method ";
	unsigned int i;
	int err = 0;

	for (i = KRL_METHOD_GET; !err && i < KRL_METHOD_MAX; i++) {
		if (!(term->methods >> i & 1))
			continue;
		err = krl_explain_say(text, "%s%s", before, krl_explain_methods[i]);
		before = " or ";
	}
	return err;
}

static int say_source(const struct krl_term *term, char **text)
{
	char address[KRL_ADDRESS_TEXT_BYTES];
	unsigned int bits = 0;
	int err;

	while (bits < ADDRESS_BITS && term->mask[bits / 8] & (0x80 >> bits % 8))
		bits++;
	err = krl_explain_say(text, "source");
	if (!err && term->kind == KRL_PREDICATE_CIDR) {
		krl_explain_address(term->addr, bits, address);
		err = krl_explain_say(text, " in %s", address);
	}
	return !err && term->distinct ? krl_explain_say(text, " distinct") : err;
}

static int say_labels(const struct krl_label_selector *selector, char **text)
{
	static const char *const operators[] = { [KRL_LABEL_IN] = "in", [KRL_LABEL_NOT_IN] = "not in",
						 [KRL_LABEL_EXISTS] = "present", [KRL_LABEL_ABSENT] = "absent" };
	const struct krl_label_requirement *r;
	size_t i, k;
	int err = 0;

	for (i = 0; !err && i < selector->count; i++) {
		r = &selector->requirements[i];
		err = krl_explain_say(text, "%s%s %s", i ? " and " : "", r->key, operators[r->op]);
		for (k = 0; !err && k < r->value_count; k++)
			err = krl_explain_say(text, "%s%s%s", k ? "|" : " (", r->values[k],
					      k + 1 == r->value_count ? ")" : "");
	}
	return err;
}

static int say_pods(const struct krl_from *from, char **text)
{
	int err = krl_explain_say(text, "%s", from->pods.count ? " with " : "");
	size_t i;

	if (!err)
		err = say_labels(&from->pods, text);
	for (i = 0; !err && i < from->account_count; i++)
		err = krl_explain_say(text, "%s%s%s%s", i ? "|" : " of service account ", from->accounts[i].ns,
				      *from->accounts[i].ns ? "/" : "", from->accounts[i].name);
	if (err || !from->selects_namespaces)
		return err;
	err = krl_explain_say(text, from->namespaces.count ? " in namespaces with " : " in any namespace");
	return err ? err : say_labels(&from->namespaces, text);
}

static int say_peer(const struct krl_term *term, char **text)
{
	static const char *const by[KRL_PEER_BY_MAX] = { [KRL_PEER_POD] = "pod", [KRL_PEER_WORKLOAD] = "workload",
							 [KRL_PEER_NAMESPACE] = "namespace",
							 [KRL_PEER_ACCOUNT] = "service account" };
	int err = krl_explain_say(text, term->invert ? "not from a pod" : "from a pod");

	if (!err && term->kind == KRL_PREDICATE_PEER && term->from)
		err = say_pods(term->from, text);
	return !err && term->distinct ? krl_explain_say(text, ", distinct by %s", by[term->by] ? by[term->by] : "pod") : err;
}

static int say_term(const struct krl_term *term, char **text)
{
	int err;

	switch (term->field) {
	case KRL_FIELD_METHOD:
		return say_methods(term, text);
	case KRL_FIELD_SOURCE:
		return say_source(term, text);
	case KRL_FIELD_PEER:
		return say_peer(term, text);
	case KRL_FIELD_HEADER:
		err = krl_explain_say(text, "header %s", term->name);
		break;
	case KRL_FIELD_PATH:
		err = krl_explain_say(text, "path");
		break;
	default:
		err = krl_explain_say(text, "model");
	}
	return err ? err : say_value(term, text);
}

int krl_explain_selector(const struct krl_selector *selector, char **text)
{
	size_t i;
	int err = 0;

	for (i = 0; !err && i < selector->term_count; i++) {
		if (i)
			err = krl_explain_say(text, ", ");
		if (!err)
			err = say_term(&selector->terms[i], text);
	}
	return err;
}
