// SPDX-License-Identifier: Apache-2.0
/* `limit` of a rule. */
#include <string.h>

#include "decode_kinds.h"
#include "limit.h"

static void read_limit_requests(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_settings *settings = out;
	uint64_t value;

	if (krl_reader_integer(reader, node, 1, KRL_NUMBER_MAX, &value))
		settings->tokens_per_fill = value;
}

static void refuse_requests(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	krl_reader_error(reader, node, "it is tokens in a rule that counts LLMTokens");
}

static void refuse_tokens(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	krl_reader_error(reader, node, "belongs to a rule that counts LLMTokens");
}

static void read_limit_unit(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_settings *settings = out;
	const char *text = krl_node_text(node);
	__u64 ns;

	if (!text || krl_unit_parse(text, &ns))
		krl_reader_expected(reader, node, "Second, Minute, Hour, Day, Week, Month or Year");
	else
		settings->fill_interval_ns = ns;
}

static void read_limit_burst(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_settings *settings = out;
	uint64_t value;

	if (krl_reader_integer(reader, node, 1, KRL_NUMBER_MAX, &value))
		settings->max_tokens = value;
}

static const struct krl_field limit_fields[] = {
	{ "requests", read_limit_requests },
	{ "tokens", refuse_tokens },
	{ "unit", read_limit_unit },
	{ "burst", read_limit_burst },
	{ NULL, NULL },
};

static const struct krl_field token_limit_fields[] = {
	{ "requests", refuse_requests },
	{ "tokens", read_limit_requests },
	{ "unit", read_limit_unit },
	{ "burst", read_limit_burst },
	{ NULL, NULL },
};

#define A_LIMIT                                                                                    \
	"a limit such as 10/minute, 10 per 5 minutes or {requests: 10, unit: Minute} (units: second, minute, " \
	"hour, day, week, month, year)"

static size_t read_text(struct krl_reader *reader, yaml_node_t *node,
			struct krl_settings ret[KRL_MAX_ENDPOINT_RULES])
{
	const char *text = krl_node_text(node), *at = text;
	size_t count, len;

	for (count = 0; count < KRL_MAX_ENDPOINT_RULES && !krl_limit_parse_first(at, &ret[count], &at); count++)
		if (!at)
			return count + 1;
	len = strcspn(at, KRL_LIMIT_JOINTS);
	if (count == KRL_MAX_ENDPOINT_RULES)
		krl_reader_error(reader, node, "more than %d limits", KRL_MAX_ENDPOINT_RULES);
	else if (at == text && !text[len])
		krl_reader_expected(reader, node, A_LIMIT);
	else
		krl_reader_error(reader, node, "expected " A_LIMIT ", found \"%.*s\" in \"%.80s\"",
				 len < 80 ? (int)len : 80, at, text);
	return 0;
}

size_t krl_decode_limit(struct krl_reader *reader, yaml_node_t *node, bool tokens,
			struct krl_settings ret[KRL_MAX_ENDPOINT_RULES])
{
	size_t before = reader->errors;

	if (krl_node_text(node))
		return read_text(reader, node, ret);
	*ret = (struct krl_settings){ 0 };
	krl_reader_mapping(reader, node, tokens ? token_limit_fields : limit_fields, ret);
	if (reader->errors != before)
		return 0;
	krl_reader_missing(reader, node,
			   (const char *[]){ ret->tokens_per_fill ? NULL : tokens ? "tokens" : "requests",
					     ret->fill_interval_ns ? NULL : "unit" },
			   2);
	if (!ret->max_tokens)
		ret->max_tokens = ret->tokens_per_fill;
	return 1;
}
