// SPDX-License-Identifier: Apache-2.0
#include "labels.h"

#include <stdlib.h>
#include <string.h>

/* k8s.io/apimachinery, pkg/util/validation: qualifiedNameMaxLength, DNS1123SubdomainMaxLength. */
#define NAME_MAX_BYTES 63
#define PREFIX_MAX_BYTES 253

static const char *value_of(const struct krl_label *labels, size_t count, const char *key)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(labels[i].key, key))
			return labels[i].value;
	return NULL;
}

static bool meets(const struct krl_label_requirement *r, const char *value)
{
	bool is_in = false;
	size_t i;

	for (i = 0; value && i < r->value_count; i++)
		is_in |= !strcmp(r->values[i], value);
	switch (r->op) {
	case KRL_LABEL_IN:
		return is_in;
	case KRL_LABEL_NOT_IN:
		return !is_in;
	case KRL_LABEL_EXISTS:
		return value;
	case KRL_LABEL_ABSENT:
		return !value;
	}
	return false;
}

bool krl_labels_meet(const struct krl_label_selector *selector, const struct krl_label *labels, size_t count)
{
	size_t i;

	for (i = 0; i < selector->count; i++)
		if (!meets(&selector->requirements[i], value_of(labels, count, selector->requirements[i].key)))
			return false;
	return true;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_requirements(const void *a, const void *b)
{
	const struct krl_label_requirement *x = a, *y = b;
	int order = strcmp(x->key, y->key);
	size_t i;

	if (!order)
		order = (int)x->op - (int)y->op;
	for (i = 0; !order && i < x->value_count && i < y->value_count; i++)
		order = strcmp(x->values[i], y->values[i]);
	return order ? order : (x->value_count > y->value_count) - (x->value_count < y->value_count);
}

static void free_requirement(struct krl_label_requirement *r)
{
	size_t i;

	for (i = 0; i < r->value_count; i++)
		free(r->values[i]);
	free(r->values);
	free(r->key);
}

void krl_label_selector_normalize(struct krl_label_selector *selector)
{
	struct krl_label_requirement *all = selector->requirements;
	size_t i, k, kept;

	for (i = 0; i < selector->count; i++) {
		if (!all[i].value_count)
			continue;
		qsort(all[i].values, all[i].value_count, sizeof(*all[i].values), compare_texts);
		for (k = kept = 1; k < all[i].value_count; k++) {
			if (strcmp(all[i].values[k], all[i].values[kept - 1]))
				all[i].values[kept++] = all[i].values[k];
			else
				free(all[i].values[k]);
		}
		all[i].value_count = kept;
	}
	if (!selector->count)
		return;
	qsort(all, selector->count, sizeof(*all), compare_requirements);
	for (i = kept = 1; i < selector->count; i++) {
		if (compare_requirements(&all[i], &all[kept - 1]))
			all[kept++] = all[i];
		else
			free_requirement(&all[i]);
	}
	selector->count = kept;
}

uint64_t krl_text_digest(const char *text, uint64_t digest)
{
	do
		digest = (digest ^ (unsigned char)*text) * 1099511628211u;
	while (*text++);
	return digest;
}

uint64_t krl_label_selector_digest(const struct krl_label_selector *selector, uint64_t digest)
{
	static const char *const operators[] = { "in", "notin", "exists", "!" };
	size_t i, k;

	for (i = 0; i < selector->count; i++) {
		const struct krl_label_requirement *r = &selector->requirements[i];

		digest = krl_text_digest(r->key, digest);
		digest = krl_text_digest(operators[r->op], digest);
		for (k = 0; k < r->value_count; k++)
			digest = krl_text_digest(r->values[k], digest);
		/* No value, nor key, has it. */
		digest = krl_text_digest(";", digest);
	}
	return krl_text_digest("|", digest);
}

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Letters and digits, with '-', '_' and '.' between them. */
static bool is_name(const char *text)
{
	size_t len = strlen(text), i;

	if (!len || len > NAME_MAX_BYTES || !is_alphanumeric(text[0]) || !is_alphanumeric(text[len - 1]))
		return false;
	for (i = 0; i < len; i++)
		if (!is_alphanumeric(text[i]) && !strchr("-_.", text[i]))
			return false;
	return true;
}

/* DNS-1123 subdomain. */
static bool is_prefix(const char *text, size_t len)
{
	bool edge = true;
	size_t i;

	if (!len || len > PREFIX_MAX_BYTES)
		return false;
	for (i = 0; i < len; i++) {
		if ((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9')) {
			edge = false;
			continue;
		}
		if (edge && text[i] != '-')
			return false;
		if ((text[i] != '.' && text[i] != '-') || (i && text[i] == '-' && text[i - 1] == '.') || !i)
			return false;
		edge = text[i] == '.';
		if (edge && text[i - 1] == '-')
			return false;
	}
	return !edge && text[len - 1] != '-';
}

bool krl_label_is_key(const char *text)
{
	const char *slash = strchr(text, '/');

	return (!slash || is_prefix(text, slash - text)) && is_name(slash ? slash + 1 : text);
}

bool krl_label_is_value(const char *text)
{
	return !*text || is_name(text);
}

void krl_label_selector_clear(struct krl_label_selector *selector)
{
	size_t i;

	for (i = 0; i < selector->count; i++)
		free_requirement(&selector->requirements[i]);
	free(selector->requirements);
	*selector = (struct krl_label_selector){ 0 };
}
