// SPDX-License-Identifier: Apache-2.0
/* What is told of each rule. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/explain.h"
#include "internal.h"

/* A rule's labels, and room for two more. */
struct labels {
	struct krl_metrics_label of[7];
};

#define OF_RULE 4

static struct labels labels_of(const struct krl_stats_row *row)
{
	return (struct labels){ {
		{ "namespace", row->info.ns },
		{ "name", row->info.name },
		{ "rule", row->info.rule },
		{ "service", row->info.service },
	} };
}

static void write_requests(const struct krl_stats *stats, struct krl_exposition *e)
{
	const struct krl_stats_row *row;
	struct labels labels;
	size_t i;

	krl_exposition_begin(e, KRL_METRIC_REQUESTS);
	for (i = 0; i < stats->count; i++) {
		row = &stats->rows[i];
		labels = labels_of(row);
		labels.of[OF_RULE] = (struct krl_metrics_label){ "decision", "allowed" };
		krl_exposition_count(e, labels.of, row->total - row->limited - row->shadow_limited);
		labels.of[OF_RULE].value = "limited";
		krl_exposition_count(e, labels.of, row->limited);
		labels.of[OF_RULE].value = "shadow_limited";
		krl_exposition_count(e, labels.of, row->shadow_limited);
	}
}

static int64_t available(const struct krl_stats_row *row)
{
	return row->available;
}

static int64_t max_tokens(const struct krl_stats_row *row)
{
	return (int64_t)row->settings.max_tokens;
}

static int64_t buckets(const struct krl_stats_row *row)
{
	return row->bucket_count;
}

static int64_t endpoints(const struct krl_stats_row *row)
{
	return row->endpoint_count;
}

static void write_each(const struct krl_stats *stats, struct krl_exposition *e, enum krl_metric metric,
		       int64_t (*value)(const struct krl_stats_row *row))
{
	struct labels labels;
	size_t i;

	krl_exposition_begin(e, metric);
	for (i = 0; i < stats->count; i++) {
		labels = labels_of(&stats->rows[i]);
		krl_exposition_number(e, labels.of, value(&stats->rows[i]));
	}
}

/* The tokens @used of @rule, by the model, or the user, @whose. */
static void write_tokens(const struct krl_stats_row *rule, struct krl_metrics_label whose, const struct krl_llm_stats *used,
			 struct krl_exposition *e)
{
	const struct {
		const char *type;
		uint64_t tokens;
	} counts[] = {
		{ "input", used->input },	  { "output", used->output }, { "cached_input", used->cached_input },
		{ "reasoning", used->reasoning }, { "total", used->total },
	};
	struct labels labels = labels_of(rule);
	size_t i;

	labels.of[OF_RULE] = (struct krl_metrics_label){ "type", NULL };
	labels.of[OF_RULE + 1] = whose;
	for (i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		labels.of[OF_RULE].value = counts[i].type;
		krl_exposition_count(e, labels.of, counts[i].tokens);
	}
}

static void add_tokens(struct krl_llm_stats *to, const struct krl_llm_stats *what)
{
	to->input += what->input;
	to->output += what->output;
	to->total += what->total;
	to->cached_input += what->cached_input;
	to->reasoning += what->reasoning;
}

/* One of those who were limited most. */
struct user {
	const struct krl_stats_row *rule;
	char name[KRL_EXPOSITION_CUT_BYTES + 1];
	uint64_t count;
	struct krl_llm_stats used;
};

static void name_of(const struct krl_tally_limited *limited, char ret[KRL_EXPOSITION_CUT_BYTES + 1])
{
	char *text = NULL;

	if (limited->kept && !krl_explain_kept(limited->kept, &text) && text)
		krl_exposition_cut(text, ret);
	else
		snprintf(ret, KRL_EXPOSITION_CUT_BYTES + 1, "#%08x", (unsigned int)limited->descriptor[0]);
	free(text);
}

/* Several descriptors may look the same, as values that are cut do: those are one. Returns how many there are in @ret. */
static size_t users_of(const struct krl_tally *tally, struct user *ret)
{
	size_t i, at, count = 0;

	for (i = 0; i < tally->limited_count; i++) {
		ret[count] = (struct user){ .rule = tally->limited[i].rule };
		name_of(&tally->limited[i], ret[count].name);
		for (at = 0; ret[at].rule != ret[count].rule || strcmp(ret[at].name, ret[count].name); at++)
			;
		ret[at].count += tally->limited[i].count;
		add_tokens(&ret[at].used, &tally->limited[i].used);
		count += at == count;
	}
	return count;
}

static void write_limited(const struct krl_tally *tally, struct krl_exposition *e)
{
	struct user *users = calloc(tally->limited_count + 1, sizeof(*users));
	struct labels labels;
	size_t i, count;

	if (!users) {
		e->failed = true;
		return;
	}
	count = users_of(tally, users);
	krl_exposition_begin(e, KRL_METRIC_LIMITED);
	for (i = 0; i < count; i++) {
		labels = labels_of(users[i].rule);
		labels.of[OF_RULE] = (struct krl_metrics_label){ "user", users[i].name };
		krl_exposition_count(e, labels.of, users[i].count);
	}
	krl_exposition_begin(e, KRL_METRIC_LLM_USER_TOKENS);
	for (i = 0; i < count; i++)
		if (users[i].rule->flags & KRL_RULE_LLM)
			write_tokens(users[i].rule, (struct krl_metrics_label){ "user", users[i].name }, &users[i].used, e);
	free(users);
}

static void write_answers(const struct krl_stats *stats, struct krl_exposition *e)
{
	const struct krl_llm_stats *used;
	struct labels labels;
	size_t i;

	krl_exposition_begin(e, KRL_METRIC_LLM_ANSWERS);
	for (i = 0; i < stats->count; i++) {
		if (!(stats->rows[i].flags & KRL_RULE_LLM))
			continue;
		used = &stats->rows[i].used;
		labels = labels_of(&stats->rows[i]);
		labels.of[OF_RULE] = (struct krl_metrics_label){ "usage", "told" };
		krl_exposition_count(e, labels.of, used->requests - used->estimated - used->unreadable);
		labels.of[OF_RULE].value = "estimated";
		krl_exposition_count(e, labels.of, used->estimated);
		labels.of[OF_RULE].value = "unreadable";
		krl_exposition_count(e, labels.of, used->unreadable);
	}
	krl_exposition_begin(e, KRL_METRIC_LLM_DEBITED);
	for (i = 0; i < stats->count; i++) {
		labels = labels_of(&stats->rows[i]);
		if (stats->rows[i].flags & KRL_RULE_LLM)
			krl_exposition_count(e, labels.of, stats->rows[i].used.debited);
	}
}

/* Take @what away from @from, at most all: the two were not read at the same time. */
static void take_tokens(struct krl_llm_stats *from, const struct krl_llm_stats *what)
{
	from->input -= what->input < from->input ? what->input : from->input;
	from->output -= what->output < from->output ? what->output : from->output;
	from->total -= what->total < from->total ? what->total : from->total;
	from->cached_input -= what->cached_input < from->cached_input ? what->cached_input : from->cached_input;
	from->reasoning -= what->reasoning < from->reasoning ? what->reasoning : from->reasoning;
}

/* The tokens of one model in one rule. */
struct share {
	const struct krl_stats_row *rule;
	const char *model;	/* of KRL_MODEL_BYTES */
	struct krl_llm_stats used;
};

static int compare_shares(const void *a, const void *b)
{
	const struct share *x = a, *y = b;
	int order = (x->rule > y->rule) - (x->rule < y->rule);

	return order ? order : memcmp(x->model, y->model, KRL_MODEL_BYTES);
}

/* Has it histograms of its own? Those are as many as have room, whatever clients ask for, and stay. */
static bool has_name(const struct krl_tally *tally, const struct krl_llm_model_key *model)
{
	size_t i;

	for (i = 0; i < tally->usage_count; i++)
		if (tally->usages[i].key.len == model->len &&
		    !memcmp(tally->usages[i].key.model, model->model, KRL_MODEL_BYTES))
			return true;
	return false;
}

/* Those models that have a name, by rule; names that are cut may be the same. */
static size_t shares_of(const struct krl_snapshot *s, struct share *ret)
{
	size_t i, count = 0, kept = 0;

	for (i = 0; i < s->used.count; i++)
		if (s->used.rows[i].by == KRL_USED_MODEL && has_name(&s->tally, &s->used.rows[i].model))
			ret[count++] = (struct share){ s->used.rows[i].rule, s->used.rows[i].model.model,
						       s->used.rows[i].tokens };
	qsort(ret, count, sizeof(*ret), compare_shares);
	for (i = 0; i < count; i++) {
		if (kept && !compare_shares(&ret[kept - 1], &ret[i]))
			add_tokens(&ret[kept - 1].used, &ret[i].used);
		else
			ret[kept++] = ret[i];
	}
	return kept;
}

static void write_models(const struct krl_snapshot *s, struct krl_exposition *e)
{
	struct share *shares = calloc(s->used.count + 1, sizeof(*shares));
	char model[KRL_MODEL_BYTES + 1] = "";
	const struct krl_stats_row *row;
	struct krl_llm_stats rest;
	size_t i, at = 0, count;

	if (!shares) {
		e->failed = true;
		return;
	}
	count = shares_of(s, shares);
	krl_exposition_begin(e, KRL_METRIC_LLM_TOKENS);
	for (i = 0; i < s->stats.count; i++) {
		row = &s->stats.rows[i];
		if (!(row->flags & KRL_RULE_LLM))
			continue;
		rest = row->used;
		for (; at < count && shares[at].rule == row; at++) {
			memcpy(model, shares[at].model, KRL_MODEL_BYTES);
			write_tokens(row, (struct krl_metrics_label){ "model", model }, &shares[at].used, e);
			take_tokens(&rest, &shares[at].used);
		}
		if (rest.total)
			write_tokens(row, (struct krl_metrics_label){ "model", KRL_METRICS_OTHERS }, &rest, e);
	}
	free(shares);
}

void krl_metrics_write_rules(const struct krl_snapshot *s, struct krl_exposition *e)
{
	write_requests(&s->stats, e);
	write_each(&s->stats, e, KRL_METRIC_AVAILABLE_TOKENS, available);
	write_each(&s->stats, e, KRL_METRIC_MAX_TOKENS, max_tokens);
	write_each(&s->stats, e, KRL_METRIC_RULE_BUCKETS, buckets);
	write_each(&s->stats, e, KRL_METRIC_RULE_ENDPOINTS, endpoints);
	write_limited(&s->tally, e);
	write_models(s, e);
	write_answers(&s->stats, e);
}
