// SPDX-License-Identifier: Apache-2.0
/* gen_ai.client.token.usage of OpenTelemetry's semantic conventions for generative AI, under its name in Prometheus. */
#include <string.h>

#include "internal.h"

static const char *const operations[KRL_USAGE_OPERATIONS] = {
	[KRL_USAGE_CHAT] = "chat",
	[KRL_USAGE_COMPLETION] = "text_completion",
	[KRL_USAGE_EMBEDDINGS] = "embeddings",
};

static const char *const types[KRL_USAGE_TYPES] = {
	[KRL_USAGE_INPUT] = "input",
	[KRL_USAGE_OUTPUT] = "output",
	[KRL_USAGE_CACHED_INPUT] = "cached_input",
	[KRL_USAGE_REASONING] = "reasoning",
	[KRL_USAGE_TOTAL] = "total",
};

static const char *const bounds[KRL_USAGE_BUCKETS - 1] = {
	"1.0",	   "4.0",      "16.0",	    "64.0",	 "256.0",     "1024.0",	    "4096.0",
	"16384.0", "65536.0", "262144.0", "1048576.0", "4194304.0", "16777216.0", "67108864.0",
};

static uint64_t requests(const struct krl_usage_histogram *h)
{
	uint64_t count = 0;
	size_t i;

	for (i = 0; i < KRL_USAGE_BUCKETS; i++)
		count += h->buckets[i];
	return count;
}

/* Names that are cut may be the same: the keys are sorted, but for their lengths. */
static bool is_same(const struct krl_tally_usage *a, const struct krl_tally_usage *b)
{
	return a->key.rule_id == b->key.rule_id && (a->key.len == KRL_USAGE_OTHERS) == (b->key.len == KRL_USAGE_OTHERS) &&
	       !memcmp(a->key.model, b->key.model, KRL_MODEL_BYTES);
}

static void add_histogram(struct krl_usage_histogram *to, const struct krl_usage_histogram *what)
{
	size_t i;

	for (i = 0; i < KRL_USAGE_BUCKETS; i++)
		to->buckets[i] += what->buckets[i];
	to->sum += what->sum;
}

/* Row @at and those behind it that look the same; nothing when there was one before. */
static void write_row(const struct krl_tally *tally, size_t at, struct krl_exposition *e)
{
	const struct krl_tally_usage *row = &tally->usages[at];
	struct krl_usage usage = row->usage;
	char model[KRL_MODEL_BYTES + 1] = "";
	struct krl_metrics_label labels[] = {
		{ "gen_ai_operation_name", operations[row->key.rule_id] },
		{ "gen_ai_request_model", row->key.len == KRL_USAGE_OTHERS ? KRL_METRICS_OTHERS : model },
		{ "gen_ai_token_type", NULL },
		{ NULL, NULL },
	};
	uint64_t buckets[KRL_USAGE_BUCKETS];
	size_t i, type;

	memcpy(model, row->key.model, KRL_MODEL_BYTES);
	for (i = 0; i < at; i++)
		if (is_same(&tally->usages[i], row))
			return;
	for (i = at + 1; i < tally->usage_count; i++)
		for (type = 0; type < KRL_USAGE_TYPES && is_same(&tally->usages[i], row); type++)
			add_histogram(&usage.of[type], &tally->usages[i].usage.of[type]);
	for (type = 0; type < KRL_USAGE_TYPES; type++) {
		/* Of many models nobody tells what was cached, or reasoned. */
		if (!requests(&usage.of[type]))
			continue;
		labels[2].value = types[type];
		for (i = 0; i < KRL_USAGE_BUCKETS; i++)
			buckets[i] = usage.of[type].buckets[i];
		krl_exposition_histogram(e, labels, bounds, buckets, KRL_USAGE_BUCKETS, usage.of[type].sum);
	}
}

void krl_metrics_write_usage(const struct krl_snapshot *s, struct krl_exposition *e)
{
	size_t i;

	krl_exposition_begin(e, KRL_METRIC_TOKEN_USAGE);
	for (i = 0; i < s->tally.usage_count; i++)
		if (s->tally.usages[i].key.rule_id < KRL_USAGE_OPERATIONS)
			write_row(&s->tally, i, e);
}
