// SPDX-License-Identifier: Apache-2.0
/* What a rule says that counts LLMTokens, and which headers name models. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode_kinds.h"
#include "limit.h"

#define FRACTION_DIGITS 9	/* behind the point */
#define FRACTION_ONE 1000000000ULL

/* What a rule says of LLMTokens while it is read. */
struct llm_reader {
	struct krl_llm_spec *spec;
	__u64 reserve_default;	/* 0: not given */
	__u64 fraction;		/* of FRACTION_ONE; 0: not given */
};

static const struct {
	const char *name;
	enum krl_cost_var var;
} costs[] = {
	{ "Total", KRL_COST_TOTAL },
	{ "Input", KRL_COST_INPUT },
	{ "Output", KRL_COST_OUTPUT },
	{ "CachedInput", KRL_COST_CACHED_INPUT },
};

static void cost_of(enum krl_cost_var var, struct krl_cost *ret)
{
	ret->count = 1;
	ret->steps[0] = (struct krl_cost_step){ .op = KRL_COST_LOAD, .arg = var };
}

static void read_tokens(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	const char *text = krl_node_text(node);
	struct llm_reader *r = out;
	size_t i;

	for (i = 0; text && i < sizeof(costs) / sizeof(*costs); i++) {
		if (!strcmp(text, costs[i].name)) {
			cost_of(costs[i].var, &r->spec->cost);
			return;
		}
	}
	krl_reader_expected(reader, node, "Total, Input, Output or CachedInput");
}

static void read_reserve(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	const char *text = krl_node_text(node);

	((struct llm_reader *)out)->spec->reserves = true;
	if (!text || strcmp(text, "MaxTokens"))
		krl_reader_expected(reader, node, "MaxTokens");
}

static void read_reserve_default(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	uint64_t value;

	if (krl_reader_integer(reader, node, 1, KRL_NUMBER_MAX, &value))
		((struct llm_reader *)out)->reserve_default = value;
}

/* "0.25", ".5", "1" or "1.0". 0: none of these, or not within 0 and 1. */
static __u64 parse_fraction(const yaml_node_t *node)
{
	const char *text = krl_node_text(node), *point;
	__u64 value = 0, digit = FRACTION_ONE / 10;
	size_t len;

	if (!text || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return 0;
	point = text + strspn(text, "01");
	len = *point == '.' ? strspn(point + 1, "0123456789") : 0;
	if (point - text > 1 || (*point && (!len || len > FRACTION_DIGITS || point[1 + len])))
		return 0;
	if (*text == '1')
		value = FRACTION_ONE;
	for (; len; len--, digit /= 10)
		value += digit * (__u64)(*++point - '0');
	return value <= FRACTION_ONE ? value : 0;
}

static void read_reserve_fraction(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct llm_reader *r = out;

	r->fraction = parse_fraction(node);
	if (!r->fraction)
		krl_reader_expected(reader, node, "a decimal number above 0 and up to 1, such as 0.25");
}

static void read_require_usage(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	krl_reader_boolean(reader, node, &((struct llm_reader *)out)->spec->require_usage);
}

static void read_on_exhausted(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	const char *text = krl_node_text(node);

	if (text && !strcmp(text, "Cut"))
		((struct llm_reader *)out)->spec->cut = true;
	else if (!text || strcmp(text, "Finish"))
		krl_reader_expected(reader, node, "Finish or Cut");
}

static const struct krl_field llm_fields[] = {
	{ "tokens", read_tokens },
	{ "reserve", read_reserve },
	{ "reserveDefault", read_reserve_default },
	{ "reserveFraction", read_reserve_fraction },
	{ "requireUsage", read_require_usage },
	{ "onExhausted", read_on_exhausted },
	{ NULL, NULL },
};

void krl_decode_llm(struct krl_reader *reader, yaml_node_t *node, struct krl_rule_spec *rule)
{
	struct llm_reader r = { .spec = calloc(1, sizeof(*r.spec)) };
	const struct krl_field *f;
	yaml_node_t *field;
	size_t len;

	rule->llm = r.spec;
	if (!r.spec) {
		reader->no_memory = true;
		return;
	}
	cost_of(KRL_COST_TOTAL, &r.spec->cost);
	for (f = llm_fields; f->name; f++) {
		field = krl_reader_get(reader, node, f->name);
		if (!field)
			continue;
		len = krl_reader_enter(reader, ".%s", f->name);
		f->read(reader, field, &r);
		krl_reader_leave(reader, len);
	}
	if (!r.spec->reserves) {
		krl_decode_refuse(reader, node, "reserveDefault", "belongs to reserve: MaxTokens");
		krl_decode_refuse(reader, node, "reserveFraction", "belongs to reserve: MaxTokens");
		return;
	}
	/* Under 2^63 times under 2^30. */
	r.spec->reserve_max = (unsigned __int128)rule->settings.max_tokens * (r.fraction ? r.fraction : FRACTION_ONE) /
			      FRACTION_ONE;
	if (!r.spec->reserve_max)
		r.spec->reserve_max = 1;
	r.spec->reserve_default = r.reserve_default ? r.reserve_default : r.spec->reserve_max;
}

void krl_decode_refuse_llm(struct krl_reader *reader, yaml_node_t *node)
{
	yaml_node_t *selectors = krl_reader_get(reader, node, "clientSelectors");
	yaml_node_item_t *item;
	const struct krl_field *f;
	size_t len;

	for (f = llm_fields; f->name; f++)
		krl_decode_refuse(reader, node, f->name, "belongs to a rule that counts LLMTokens");
	if (!selectors || selectors->type != YAML_SEQUENCE_NODE)
		return;
	for (item = selectors->data.sequence.items.start; item < selectors->data.sequence.items.top; item++) {
		len = krl_reader_enter(reader, ".clientSelectors[%td]", item - selectors->data.sequence.items.start);
		krl_decode_refuse(reader, yaml_document_get_node(reader->document, *item), "model",
			    "belongs to a rule that counts LLMTokens");
		krl_reader_leave(reader, len);
	}
}

static void read_model_header(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_model_headers *models = out;
	char name[KRL_NAME_BYTES] = "";
	size_t i;

	krl_decode_header_name(reader, node, name);
	for (i = 0; i < models->count; i++)
		if (!strcmp(models->names[i], name) && *name) {
			krl_reader_error(reader, node, "given twice");
			return;
		}
	if (models->count == KRL_MAX_MODEL_HEADERS)
		krl_reader_error(reader, node, "more than %d headers", KRL_MAX_MODEL_HEADERS);
	else
		strcpy(models->names[models->count++], name);
}

void krl_decode_model_headers(struct krl_reader *reader, yaml_node_t *node, struct krl_model_headers *ret)
{
	*ret = (struct krl_model_headers){ 0 };
	krl_reader_sequence(reader, node, read_model_header, ret);
}

void krl_decode_usual_models(struct krl_model_headers *ret)
{
	*ret = (struct krl_model_headers){ .names = { "x-ai-eg-model", "x-ai-gateway-llm-model-name" }, .count = 2 };
}
