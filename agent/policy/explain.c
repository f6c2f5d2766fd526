// SPDX-License-Identifier: Apache-2.0
#include "explain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "diag.h"

#define IPV6_BITS 128
#define MAPPED_BITS 96

const char *const krl_explain_methods[KRL_METHOD_MAX] = {
	[KRL_METHOD_GET] = "GET",
	[KRL_METHOD_HEAD] = "HEAD",
	[KRL_METHOD_POST] = "POST",
	[KRL_METHOD_PUT] = "PUT",
	[KRL_METHOD_DELETE] = "DELETE",
	[KRL_METHOD_CONNECT] = "CONNECT",
	[KRL_METHOD_OPTIONS] = "OPTIONS",
	[KRL_METHOD_TRACE] = "TRACE",
	[KRL_METHOD_PATCH] = "PATCH",
};

int krl_explain_say(char **text, const char *fmt, ...)
{
	char *added, *joined;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&added, fmt, args);
	va_end(args);
	if (len < 0)
		return -ENOMEM;
	krl_make_printable(added);
	len = asprintf(&joined, "%s%s", *text ? *text : "", added);
	free(added);
	if (len < 0)
		return -ENOMEM;
	free(*text);
	*text = joined;
	return 0;
}

static bool is_ipv4(const __u8 addr[16])
{
	static const __u8 mapped[12] = { [10] = 0xff, 0xff };

	return !memcmp(addr, mapped, sizeof(mapped));
}

void krl_explain_address(const __u8 addr[16], unsigned int bits, char ret[KRL_ADDRESS_TEXT_BYTES])
{
	__u8 kept[16] = { 0 };
	unsigned int i;
	size_t len;

	for (i = 0; i < bits; i++)
		kept[i / 8] |= addr[i / 8] & (0x80 >> i % 8);
	if (is_ipv4(addr) && bits >= MAPPED_BITS)
		inet_ntop(AF_INET, kept + 12, ret, KRL_ADDRESS_TEXT_BYTES);
	else
		inet_ntop(AF_INET6, kept, ret, KRL_ADDRESS_TEXT_BYTES);
	if (bits == IPV6_BITS)
		return;
	len = strlen(ret);
	snprintf(ret + len, KRL_ADDRESS_TEXT_BYTES - len, "/%u",
		 is_ipv4(addr) && bits >= MAPPED_BITS ? bits - MAPPED_BITS : bits);
}

void krl_explain_endpoint(const struct krl_endpoint_key *key, char ret[KRL_ENDPOINT_BYTES])
{
	char address[KRL_ADDRESS_TEXT_BYTES];

	krl_explain_address(key->addr, IPV6_BITS, address);
	snprintf(ret, KRL_ENDPOINT_BYTES, strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, key->port);
}

static bool is_called(const struct krl_asked_header *header, const char *name)
{
	return header->name_len == strlen(name) &&
	       !strncasecmp(header->name, name, header->name_len);
}

static bool value_fits(const struct krl_term *term, const char *value, size_t len)
{
	size_t wanted = strlen(term->value);

	if (term->kind == KRL_PREDICATE_PRESENT)
		return true;
	if (len < wanted || memcmp(value, term->value, wanted))
		return false;
	if (term->kind == KRL_PREDICATE_EXACT)
		return len == wanted;
	return term->kind == KRL_PREDICATE_PREFIX || len == wanted ||
	       term->value[wanted - 1] == '/' || value[wanted] == '/';
}

static bool header_fits(const struct krl_asked *asked, const struct krl_term *term)
{
	size_t i;

	for (i = 0; i < asked->header_count; i++)
		if (is_called(&asked->headers[i], term->name) &&
		    value_fits(term, asked->headers[i].value, asked->headers[i].value_len))
			return true;
	return false;
}

static bool path_fits(const struct krl_asked *asked, const struct krl_term *term)
{
	if (term->kind == KRL_PREDICATE_EXACT && asked->path_long)
		return false;
	return value_fits(term, asked->path, asked->path_len);
}

static bool method_fits(const struct krl_asked *asked, const struct krl_term *term)
{
	unsigned int i;

	for (i = KRL_METHOD_GET; i < KRL_METHOD_MAX; i++)
		if (!strcasecmp(asked->method, krl_explain_methods[i]))
			return term->methods >> i & 1;
	return false;
}

static bool source_fits(const struct krl_asked *asked, const struct krl_term *term)
{
	size_t i;

	for (i = 0; term->kind == KRL_PREDICATE_CIDR && i < sizeof(asked->source); i++)
		if ((asked->source[i] & term->mask[i]) != term->addr[i])
			return false;
	return true;
}

static bool model_fits(const struct krl_asked *asked, const struct krl_term *term)
{
	size_t i;

	for (i = 0; i < asked->model_count; i++)
		if (value_fits(term, asked->models[i].value, asked->models[i].value_len))
			return true;
	return false;
}

static bool peer_fits(const struct krl_asked *asked, const struct krl_term *term)
{
	if (!asked->pod || term->kind == KRL_PREDICATE_PRESENT)
		return asked->pod;
	return krl_from_meets(term->from, &asked->pod->facts);
}

static bool holds(const struct krl_asked *asked, const struct krl_term *term)
{
	switch (term->field) {
	case KRL_FIELD_HEADER:
		return header_fits(asked, term) != term->invert;
	case KRL_FIELD_PATH:
		return path_fits(asked, term);
	case KRL_FIELD_METHOD:
		return method_fits(asked, term);
	case KRL_FIELD_SOURCE:
		return source_fits(asked, term);
	case KRL_FIELD_MODEL:
		return model_fits(asked, term);
	case KRL_FIELD_PEER:
		return peer_fits(asked, term) != term->invert;
	}
	return false;
}

/* The first condition of @selector, NULL for a rule without any, of @rule that does not hold, or NULL. */
static const struct krl_term *first_failure(const struct krl_asked *asked, const struct krl_rule_spec *rule,
					    const struct krl_selector *selector)
{
	static const struct krl_term post = { .field = KRL_FIELD_METHOD, .kind = KRL_PREDICATE_METHODS,
					      .methods = 1U << KRL_METHOD_POST };
	bool any_method = true;
	size_t i;

	for (i = 0; selector && i < selector->term_count; i++) {
		any_method &= selector->terms[i].field != KRL_FIELD_METHOD;
		if (!holds(asked, &selector->terms[i]))
			return &selector->terms[i];
	}
	return rule->llm && any_method && !holds(asked, &post) ? &post : NULL;
}

int krl_explain_meets(const struct krl_asked *asked, const struct krl_rule_spec *rule)
{
	size_t i;

	for (i = 0; i < rule->selector_count; i++)
		if (!first_failure(asked, rule, &rule->selectors[i]))
			return i;
	return rule->selector_count || first_failure(asked, rule, NULL) ? -1 : 0;
}

static int say_header(const struct krl_asked *asked, const struct krl_term *term, char **text)
{
	const char *which = term->kind == KRL_PREDICATE_PREFIX ? "a value that begins with " : "";
	const struct krl_asked_header *header;
	size_t i, found = 0;
	int err;

	if (term->kind == KRL_PREDICATE_PRESENT)
		err = krl_explain_say(text, "header %s: expected %s, found", term->name,
				      term->invert ? "none" : "any value");
	else
		err = krl_explain_say(text, "header %s: expected %s%s\"%s\", found", term->name,
				      term->invert ? "not " : "", which, term->value);
	for (i = 0; i < asked->header_count && !err; i++) {
		header = &asked->headers[i];
		if (is_called(header, term->name))
			err = krl_explain_say(text, "%s \"%.*s\"", found++ ? "," : "",
					      (int)header->value_len, header->value);
	}
	return err || found ? err : krl_explain_say(text, " none");
}

static int say_method(const struct krl_asked *asked, const struct krl_term *term, char **text)
{
	int err = krl_explain_say(text, "method: expected");
	unsigned int i, said = 0;

	for (i = KRL_METHOD_GET; i < KRL_METHOD_MAX && !err; i++)
		if (term->methods >> i & 1)
			err = krl_explain_say(text, "%s %s", said++ ? " or" : "", krl_explain_methods[i]);
	return err ? err : krl_explain_say(text, ", found %s", asked->method);
}

static int say_source(const struct krl_asked *asked, const struct krl_term *term, char **text)
{
	char expected[KRL_ADDRESS_TEXT_BYTES], found[KRL_ADDRESS_TEXT_BYTES];
	unsigned int bits = 0;
	size_t i;

	for (i = 0; i < sizeof(term->mask); i++)
		bits += __builtin_popcount(term->mask[i]);
	krl_explain_address(term->addr, bits, expected);
	krl_explain_address(asked->source, IPV6_BITS, found);
	return krl_explain_say(text, "source: expected %s, found %s", expected, found);
}

static int say_model(const struct krl_asked *asked, const struct krl_term *term, char **text)
{
	size_t i;
	int err;

	if (term->kind == KRL_PREDICATE_PRESENT)
		err = krl_explain_say(text, "model: expected any, found");
	else
		err = krl_explain_say(text, "model: expected %s\"%s\", found",
				      term->kind == KRL_PREDICATE_PREFIX ? "one that begins with " : "", term->value);
	for (i = 0; i < asked->model_count && !err; i++)
		err = krl_explain_say(text, "%s \"%.*s\"", i ? "," : "", (int)asked->models[i].value_len,
				      asked->models[i].value);
	return err || asked->model_count ? err : krl_explain_say(text, " none");
}

static int say_peer(const struct krl_asked *asked, const struct krl_term *term, char **text)
{
	const char *found = asked->pod ? asked->pod->names[KRL_PEER_POD] : "none that is known";

	if (term->kind == KRL_PREDICATE_PRESENT)
		return krl_explain_say(text, "from: expected a pod, found %s", found);
	return krl_explain_say(text, "from: expected %s pod that is selected, found %s", term->invert ? "no" : "a", found);
}

static int say(const struct krl_asked *asked, const struct krl_term *term, char **text)
{
	switch (term->field) {
	case KRL_FIELD_HEADER:
		return say_header(asked, term, text);
	case KRL_FIELD_METHOD:
		return say_method(asked, term, text);
	case KRL_FIELD_SOURCE:
		return say_source(asked, term, text);
	case KRL_FIELD_MODEL:
		return say_model(asked, term, text);
	case KRL_FIELD_PEER:
		return say_peer(asked, term, text);
	case KRL_FIELD_PATH:
		break;
	}
	return krl_explain_say(text, "path: expected \"%s\"%s, found \"%.*s%s\"", term->value,
			       term->kind == KRL_PREDICATE_PATH_PREFIX ? " or below" : "",
			       (int)asked->path_len, asked->path, asked->path_long ? "..." : "");
}

int krl_explain_fails(const struct krl_asked *asked, const struct krl_rule_spec *rule, char **text)
{
	size_t count = rule->selector_count ? rule->selector_count : 1, i;
	const struct krl_term *term;
	int err = 0;

	for (i = 0; i < count && !err; i++) {
		term = first_failure(asked, rule, rule->selector_count ? &rule->selectors[i] : NULL);
		if (i)
			err = krl_explain_say(text, "; ");
		if (!err && term)
			err = say(asked, term, text);
	}
	return err;
}

/* What is there twice, or too long, has one bucket with all others of its field that are. */
static int say_value(const char *name, const char *value, size_t len, bool shared, char **text)
{
	if (shared || len > KRL_VALUE_BYTES)
		return krl_explain_say(text, "%s=<shared>", name);
	return krl_explain_say(text, "%s=%.*s", name, (int)len, value);
}

int krl_explain_value(const struct krl_asked *asked, const struct krl_policy_field *field,
		      char **text)
{
	const struct krl_asked_header *found = NULL;
	const __u64 *masks = field->masks[is_ipv4(asked->source)];
	char address[KRL_ADDRESS_TEXT_BYTES];
	bool shared = false;
	size_t i;

	if (field->kind == KRL_FIELD_PATH)
		return say_value("path", asked->path, asked->path_len, asked->path_long, text);
	if (field->kind == KRL_FIELD_PEER)
		return krl_explain_say(text, "%s=%s", field->name, asked->pod ? asked->pod->names[field->by] : "");
	if (field->kind == KRL_FIELD_SOURCE) {
		krl_explain_address(asked->source,
				    __builtin_popcountll(masks[0]) + __builtin_popcountll(masks[1]),
				    address);
		return krl_explain_say(text, "source=%s", address);
	}
	if (field->kind == KRL_FIELD_MODEL) {
		found = &asked->models[asked->model_count - 1];
		/* Of a body no more is kept. */
		shared = asked->model_count > 1 || (!found->name_len && found->value_len > KRL_MODEL_BYTES);
		return say_value("model", found->value, found->value_len, shared, text);
	}
	for (i = 0; i < asked->header_count; i++) {
		if (!is_called(&asked->headers[i], field->name))
			continue;
		shared = found;
		found = &asked->headers[i];
	}
	return say_value(field->name, found ? found->value : "", found ? found->value_len : 0,
			 shared, text);
}

/* In quotes when it is cut, or could be taken for two values, for none, or for what stands for one. */
static int say_kept_text(const char *name, int name_len, const struct krl_kept_value *v, char **text)
{
	size_t len = v->len < sizeof(v->text) ? v->len : sizeof(v->text), used = 0, i;
	char escaped[2 * sizeof(v->text)];
	bool cut = v->len > len, quote = cut || !len;

	for (i = 0; i < len; i++) {
		quote |= !!memchr(" \",\\<#", v->text[i], 6);
		if (v->text[i] == '"' || v->text[i] == '\\')
			escaped[used++] = '\\';
		/* A path may have such bytes, and the text would end there. */
		escaped[used++] = v->text[i] ? v->text[i] : '?';
	}
	return krl_explain_say(text, "%.*s=%s%.*s%s%s", name_len, name, quote ? "\"" : "", (int)used, escaped,
			       quote ? "\"" : "", cut ? "..." : "");
}

static int say_kept_source(const struct krl_kept_value *v, char **text)
{
	char address[KRL_ADDRESS_TEXT_BYTES];
	unsigned int bits = 0, i;

	for (i = 0; i < sizeof(v->mask); i++)
		bits += __builtin_popcount(v->mask[i]);
	krl_explain_address(v->address, bits, address);
	return krl_explain_say(text, "source=%s", address);
}

static int say_kept(const struct krl_kept_value *v, char **text)
{
	const char *name = v->field == KRL_FIELD_PATH ? "path" : v->field == KRL_FIELD_MODEL ? "model" : v->name;
	int name_len = strnlen(name, sizeof(v->name));

	switch (v->how) {
	case KRL_KEPT_SOURCE:
		return say_kept_source(v, text);
	case KRL_KEPT_SHARED:
		return krl_explain_say(text, "%.*s=<shared>", name_len, name);
	case KRL_KEPT_HIDDEN:
		return krl_explain_say(text, "%.*s=#%08x", name_len, name, v->hash);
	default:
		return say_kept_text(name, name_len, v, text);
	}
}

int krl_explain_kept(const struct krl_kept *kept, char **text)
{
	__u32 i;
	int err = 0;

	for (i = 0; i < kept->count && i < KRL_KEPT_VALUES && !err; i++) {
		if (i)
			err = krl_explain_say(text, ", ");
		if (!err)
			err = say_kept(&kept->values[i], text);
	}
	return !err && kept->more ? krl_explain_say(text, ", ...") : err;
}
