// SPDX-License-Identifier: Apache-2.0
#include "from.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct krl_from *krl_from_new(void)
{
	struct krl_from *from = calloc(1, sizeof(*from));

	if (from)
		from->refs = 1;
	return from;
}

struct krl_from *krl_from_ref(struct krl_from *from)
{
	from->refs++;
	return from;
}

void krl_from_unref(struct krl_from *from)
{
	if (!from || --from->refs)
		return;
	krl_label_selector_clear(&from->namespaces);
	krl_label_selector_clear(&from->pods);
	free(from->accounts);
	free(from);
}

static int compare_accounts(const void *a, const void *b)
{
	const struct krl_from_account *x = a, *y = b;
	int order = strcmp(x->ns, y->ns);

	return order ? order : strcmp(x->name, y->name);
}

void krl_from_settle(struct krl_from *from, const char *ns)
{
	uint64_t digest = KRL_DIGEST_START;
	size_t i;

	/* Where it does not matter it is no difference. */
	snprintf(from->ns, sizeof(from->ns), "%s", from->selects_namespaces ? "" : ns);
	krl_label_selector_normalize(&from->namespaces);
	krl_label_selector_normalize(&from->pods);
	if (from->account_count)
		qsort(from->accounts, from->account_count, sizeof(*from->accounts), compare_accounts);
	digest = krl_text_digest(from->of_callers ? "callers" : "", digest);
	digest = krl_text_digest(from->ns, digest);
	digest = krl_label_selector_digest(&from->namespaces, digest);
	digest = krl_label_selector_digest(&from->pods, digest);
	for (i = 0; i < from->account_count; i++) {
		digest = krl_text_digest(from->accounts[i].ns, digest);
		digest = krl_text_digest(from->accounts[i].name, digest);
	}
	from->key = digest ? digest : 1;
}

static bool same_labels(const struct krl_label_selector *a, const struct krl_label_selector *b)
{
	size_t i, k;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++) {
		const struct krl_label_requirement *x = &a->requirements[i], *y = &b->requirements[i];

		if (x->op != y->op || strcmp(x->key, y->key) || x->value_count != y->value_count)
			return false;
		for (k = 0; k < x->value_count; k++)
			if (strcmp(x->values[k], y->values[k]))
				return false;
	}
	return true;
}

bool krl_from_same(const struct krl_from *a, const struct krl_from *b)
{
	size_t i;

	if (a == b)
		return true;
	if (a->selects_namespaces != b->selects_namespaces || a->of_callers != b->of_callers || strcmp(a->ns, b->ns) ||
	    a->account_count != b->account_count || !same_labels(&a->namespaces, &b->namespaces) ||
	    !same_labels(&a->pods, &b->pods))
		return false;
	for (i = 0; i < a->account_count; i++)
		if (compare_accounts(&a->accounts[i], &b->accounts[i]))
			return false;
	return true;
}

static bool meets_namespace(const struct krl_from *from, const struct krl_pod_facts *pod)
{
	if (!from->selects_namespaces)
		return !strcmp(pod->ns, from->ns);
	if (!from->namespaces.count)
		return true;
	return pod->ns_known && krl_labels_meet(&from->namespaces, pod->ns_labels, pod->ns_label_count);
}

bool krl_from_meets(const struct krl_from *from, const struct krl_pod_facts *pod)
{
	bool in_namespace = meets_namespace(from, pod);
	const struct krl_from_account *account;
	size_t i;

	if (!krl_labels_meet(&from->pods, pod->labels, pod->label_count))
		return false;
	if (!from->account_count)
		return in_namespace;
	for (i = 0; i < from->account_count; i++) {
		account = &from->accounts[i];
		if (strcmp(account->name, pod->account))
			continue;
		/* One that says its namespace is not bound to that of the RateLimit. */
		if (*account->ns ? !strcmp(account->ns, pod->ns) && (in_namespace || !from->selects_namespaces)
				 : in_namespace)
			return true;
	}
	return false;
}

bool krl_from_asks_namespaces(const struct krl_from *from)
{
	return from->selects_namespaces && from->namespaces.count;
}
