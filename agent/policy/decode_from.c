// SPDX-License-Identifier: Apache-2.0
/* `from` of a selector: the pods that it is about, and by what they are told apart. */
#include <stdlib.h>
#include <string.h>

#include "decode_kinds.h"

/* A `from` while it is read. */
struct from_reader {
	struct krl_term *term;
	yaml_node_t *type, *by, *invert;
	bool selects;		/* some pods and not others */
};

static bool set_text(struct krl_reader *reader, char **ret, const char *text)
{
	*ret = strdup(text);
	reader->no_memory |= !*ret;
	return *ret;
}

static void add_value(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_label_requirement *r = out;
	const char *text = krl_node_text(node);
	char **added;

	if (!text || krl_node_is_null(node) || !krl_label_is_value(text)) {
		krl_reader_expected(reader, node, "a label's value: up to 63 letters, digits, '-', '_' and '.', or nothing");
		return;
	}
	if (r->value_count == KRL_LABEL_VALUES) {
		krl_reader_error(reader, node, "more than %d values", KRL_LABEL_VALUES);
		return;
	}
	added = krl_reader_add(reader, &r->values, &r->value_count);
	if (added)
		set_text(reader, added, text);
}

static void read_key(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_label_requirement *r = out;
	const char *text = krl_node_text(node);

	if (!text || !krl_label_is_key(text))
		krl_reader_expected(reader, node, "a label's key, such as app or example.org/app");
	else if (!r->key)
		set_text(reader, &r->key, text);
}

static void read_operator(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	static const char *const names[] = { "In", "NotIn", "Exists", "DoesNotExist" };
	const char *text = krl_node_text(node);
	size_t i;

	for (i = 0; text && i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(text, names[i])) {
			((struct krl_label_requirement *)out)->op = KRL_LABEL_IN + i;
			return;
		}
	krl_reader_expected(reader, node, "In, NotIn, Exists or DoesNotExist");
}

static void read_values(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	krl_reader_sequence(reader, node, add_value, out);
}

static struct krl_label_requirement *add_requirement(struct krl_reader *reader, yaml_node_t *node,
						     struct krl_label_selector *selector)
{
	if (selector->count < KRL_LABEL_REQUIREMENTS)
		return krl_reader_add(reader, &selector->requirements, &selector->count);
	krl_reader_error(reader, node, "more than %d labels and expressions in one selector", KRL_LABEL_REQUIREMENTS);
	return NULL;
}

/* What complains must not leave a requirement without a key behind. */
static void drop_requirement(struct krl_label_selector *selector)
{
	struct krl_label_requirement *r = &selector->requirements[--selector->count];
	size_t i;

	for (i = 0; i < r->value_count; i++)
		free(r->values[i]);
	free(r->values);
	free(r->key);
}

static const struct krl_field expression_fields[] = {
	{ "key", read_key },
	{ "operator", read_operator },
	{ "values", read_values },
	{ NULL, NULL },
};

static void read_expression(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_label_selector *selector = out;
	struct krl_label_requirement *r = add_requirement(reader, node, selector);
	bool has_operator = krl_reader_get(reader, node, "operator"), valued;
	size_t before = reader->errors;

	if (!r)
		return;
	krl_reader_mapping(reader, node, expression_fields, r);
	if (reader->errors == before)
		krl_reader_missing(reader, node,
				   (const char *[]){ r->key || reader->no_memory ? NULL : "key",
						     has_operator ? NULL : "operator" }, 2);
	valued = r->op == KRL_LABEL_IN || r->op == KRL_LABEL_NOT_IN;
	if (reader->errors == before && valued != !!r->value_count)
		krl_reader_error(reader, node, valued ? "values: at least one of In and NotIn" :
							"values: none of Exists and DoesNotExist");
	if (reader->errors != before || reader->no_memory)
		drop_requirement(selector);
}

static void read_expressions(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	krl_reader_sequence(reader, node, read_expression, out);
}

static void read_label(struct krl_reader *reader, yaml_node_t *key, yaml_node_t *value,
		       struct krl_label_selector *selector)
{
	struct krl_label_requirement *r = add_requirement(reader, key, selector);
	size_t before = reader->errors;

	if (!r)
		return;
	read_key(reader, key, r);
	add_value(reader, value, r);
	if (reader->errors != before || reader->no_memory)
		drop_requirement(selector);
}

static void read_labels(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	yaml_node_pair_t *pair;
	yaml_node_t *key;
	size_t len;

	krl_reader_unique(reader, node, NULL);
	if (node->type != YAML_MAPPING_NODE) {
		krl_reader_expected(reader, node, "a mapping of labels");
		return;
	}
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		key = yaml_document_get_node(reader->document, pair->key);
		len = krl_reader_enter(reader, ".%.80s", krl_node_text(key) ? krl_node_text(key) : "?");
		read_label(reader, key, yaml_document_get_node(reader->document, pair->value), out);
		krl_reader_leave(reader, len);
	}
}

static const struct krl_field label_selector_fields[] = {
	{ "matchLabels", read_labels },
	{ "matchExpressions", read_expressions },
	{ NULL, NULL },
};

void krl_decode_label_selector(struct krl_reader *reader, yaml_node_t *node, struct krl_label_selector *ret)
{
	krl_reader_mapping(reader, node, label_selector_fields, ret);
}

static void read_namespace_selector(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct from_reader *f = out;

	f->selects = true;
	f->term->from->selects_namespaces = true;
	krl_decode_label_selector(reader, node, &f->term->from->namespaces);
}

static void read_pod_selector(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct from_reader *f = out;

	f->selects = true;
	krl_decode_label_selector(reader, node, &f->term->from->pods);
}

static bool is_name(const char *text, size_t len, size_t max)
{
	return len && len <= max && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.") >= len;
}

/* NAME, or NAMESPACE/NAME. */
static void read_account(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_from *from = out;
	const char *text = krl_node_text(node), *slash = text ? strchr(text, '/') : NULL;
	const char *name = slash ? slash + 1 : text;
	struct krl_from_account *account;

	if (!text || krl_node_is_null(node) || !is_name(name, strlen(name), sizeof(account->name) - 1) ||
	    (slash && !is_name(text, slash - text, sizeof(account->ns) - 1))) {
		krl_reader_expected(reader, node, "the name of a service account, or NAMESPACE/NAME");
		return;
	}
	if (from->account_count == KRL_FROM_ACCOUNTS) {
		krl_reader_error(reader, node, "more than %d service accounts", KRL_FROM_ACCOUNTS);
		return;
	}
	account = krl_reader_add(reader, &from->accounts, &from->account_count);
	if (!account)
		return;
	if (slash)
		memcpy(account->ns, text, slash - text);
	strcpy(account->name, name);
}

static void read_accounts(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct from_reader *f = out;

	f->selects = true;
	krl_reader_sequence(reader, node, read_account, f->term->from);
	if (node->type == YAML_SEQUENCE_NODE && node->data.sequence.items.start == node->data.sequence.items.top)
		krl_reader_error(reader, node, "expected at least one service account");
}

static void read_type(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct from_reader *f = out;

	f->type = node;
	f->term->distinct = true;
	if (!krl_node_text(node) || strcmp(krl_node_text(node), "Distinct"))
		krl_reader_expected(reader, node, "Distinct");
}

static void read_by(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	static const char *const names[] = { "Pod", "Workload", "Namespace", "ServiceAccount" };
	struct from_reader *f = out;
	const char *text = krl_node_text(node);
	size_t i;

	f->by = node;
	for (i = 0; text && i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(text, names[i])) {
			f->term->by = KRL_PEER_POD + i;
			return;
		}
	krl_reader_expected(reader, node, "Pod, Workload, Namespace or ServiceAccount");
}

static void read_invert(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct from_reader *f = out;

	f->invert = node;
	krl_reader_boolean(reader, node, &f->term->invert);
}

static const struct krl_field from_fields[] = {
	{ "namespaceSelector", read_namespace_selector },
	{ "podSelector", read_pod_selector },
	{ "serviceAccounts", read_accounts },
	{ "type", read_type },
	{ "by", read_by },
	{ "invert", read_invert },
	{ NULL, NULL },
};

static void complain_at(struct krl_reader *reader, yaml_node_t *node, const char *name, const char *why)
{
	size_t len = krl_reader_enter(reader, ".%s", name);

	krl_reader_error(reader, node, "%s", why);
	krl_reader_leave(reader, len);
}

void krl_decode_from(struct krl_reader *reader, yaml_node_t *node, struct krl_term *term)
{
	struct from_reader f = { .term = term };
	size_t before = reader->errors;

	term->kind = KRL_PREDICATE_PRESENT;
	term->from = krl_from_new();
	if (!term->from) {
		reader->no_memory = true;
		return;
	}
	krl_reader_mapping(reader, node, from_fields, &f);
	if (f.selects)
		term->kind = KRL_PREDICATE_PEER;
	if (reader->errors != before)
		return;
	if (!f.selects && !f.type)
		krl_reader_error(reader, node, "expected at least one of namespaceSelector, podSelector, "
					       "serviceAccounts and type");
	else if (f.type && !f.by)
		krl_reader_missing(reader, node, (const char *[]){ "by" }, 1);
	else if (f.by && !f.type)
		complain_at(reader, f.by, "by", "belongs to type: Distinct");
	else if (f.type && term->invert)
		complain_at(reader, f.invert, "invert", "Distinct cannot be inverted");
}

void krl_decode_settle_from(struct krl_document *document)
{
	struct krl_rate_limit *limit = &document->rate_limit;
	size_t i, r, s, t;

	if (limit->caller)
		krl_from_settle(limit->caller, document->ns);
	for (i = 0; i < limit->target_count; i++)
		for (r = 0; r < limit->targets[i].rule_count; r++) {
			struct krl_rule_spec *rule = &limit->targets[i].rules[r];

			for (s = 0; s < rule->selector_count && !rule->shares; s++)
				for (t = 0; t < rule->selectors[s].term_count; t++)
					if (rule->selectors[s].terms[t].from)
						krl_from_settle(rule->selectors[s].terms[t].from, document->ns);
		}
}
