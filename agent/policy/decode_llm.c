// SPDX-License-Identifier: Apache-2.0
/* What a rule says that counts LLMTokens, and which headers name models. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cost.h"
#include "decode_kinds.h"
#include "limit.h"

#define FRACTION_DIGITS 9	/* behind the point */
#define FRACTION_ONE 1000000000ULL

/* What a rule says of LLMTokens while it is read. */
struct llm_reader {
	struct krl_llm_spec *spec;
	__u64 fraction;		/* of FRACTION_ONE; 0: not given */
};

/* Where column @column of the text of @node is in the file: the scalar's beginning where that cannot be told. */
static yaml_mark_t place_in(const yaml_node_t *node, size_t column)
{
	const char *text = krl_node_text(node), *c;
	yaml_mark_t mark = node->start_mark;
	size_t quote = 0, doubled = 0, before = 0, chars = 0;

	if (node->data.scalar.style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
	    node->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE)
		quote = 1;
	else if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return mark;
	for (c = text; *c; c++) {
		/* Of UTF-8, what goes on with a character is none of its own. */
		chars += (*c & 0xc0) != 0x80;
		if (*c != '\'' || node->data.scalar.style != YAML_SINGLE_QUOTED_SCALAR_STYLE)
			continue;
		doubled++;
		before += chars < column;
	}
	/* Escapes, and line breaks, make the text another than what is in the file. */
	if (node->end_mark.line != mark.line || node->end_mark.column - mark.column != chars + doubled + 2 * quote)
		return mark;
	mark.column += quote + before + column - 1;
	mark.index += quote + before + column - 1;
	return mark;
}

static void read_tokens(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	const char *text = krl_node_text(node);
	struct krl_cost_error error;
	yaml_node_t place = *node;

	if (!text || !*text || krl_node_is_null(node)) {
		krl_reader_expected(reader, node, "Total, Input, Output, CachedInput or an expression over input_tokens, "
				    "output_tokens, total_tokens, cached_input_tokens and model");
		return;
	}
	if (!krl_cost_compile(text, &((struct llm_reader *)out)->spec->cost, &error))
		return;
	place.start_mark = place_in(node, error.column);
	krl_reader_error(reader, &place, "%s", error.message);
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
		((struct llm_reader *)out)->spec->reserve_default = value;
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
	struct krl_cost_error error;
	const struct krl_field *f;
	yaml_node_t *field;
	size_t len;

	rule->llm = r.spec;
	if (!r.spec) {
		reader->no_memory = true;
		return;
	}
	krl_cost_compile("Total", &r.spec->cost, &error);
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
