// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "limits.h"
#include "methods.h"

static json_t *text_json(const char *text)
{
	char ascii[sizeof(((struct krl_rule_info *)0)->name)];
	json_t *value = json_string(text);
	size_t i;

	if (value)
		return value;
	for (i = 0; text[i] && i < sizeof(ascii) - 1; i++)
		ascii[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	ascii[i] = '\0';
	return json_string(ascii);
}

json_t *krl_tokens_json(const struct krl_llm_stats *used)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "requests", (json_int_t)used->requests,
			 "estimated", (json_int_t)used->estimated,
			 "unreadable", (json_int_t)used->unreadable,
			 "input", (json_int_t)used->input,
			 "output", (json_int_t)used->output,
			 "total", (json_int_t)used->total,
			 "cachedInput", (json_int_t)used->cached_input,
			 "reasoning", (json_int_t)used->reasoning,
			 "debited", (json_int_t)used->debited);
}

/* In ns, how long an empty bucket takes to be full again; NULL where time does not fill it. */
static json_t *window_json(const struct krl_stats_row *row)
{
	const struct krl_settings *s = &row->settings;
	__u64 fills;

	if (row->flags & KRL_RULE_CONCURRENT || !s->max_tokens || !s->tokens_per_fill || !s->fill_interval_ns)
		return NULL;
	fills = (s->max_tokens - 1) / s->tokens_per_fill + 1;
	return json_integer(fills > INT64_MAX / s->fill_interval_ns ? INT64_MAX : (json_int_t)(fills * s->fill_interval_ns));
}

static json_t *row_json(const struct krl_stats_row *row)
{
	json_t *tokens = row->flags & KRL_RULE_LLM ? krl_tokens_json(&row->used) : NULL;
	/* What is open at once is filled by its end, not by time. */
	bool fills = !(row->flags & KRL_RULE_CONCURRENT);

	if (row->flags & KRL_RULE_LLM && !tokens)
		return NULL;
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:I, s:o*, s:o*, s:I, s:I, s:I, s:I, s:i, s:i, s:o*, s:o*, s:o*}",
			 "namespace", text_json(row->info.ns),
			 "name", text_json(row->info.name),
			 "service", text_json(row->info.service),
			 "rule", text_json(row->info.rule),
			 "limit", text_json(row->info.limit),
			 "mode", row->flags & KRL_RULE_SHADOW ? "Shadow" : "Enforce",
			 "maxTokens", (json_int_t)row->settings.max_tokens,
			 "tokensPerFill", fills ? json_integer((json_int_t)row->settings.tokens_per_fill) : NULL,
			 "fillInterval", fills ? json_integer((json_int_t)row->settings.fill_interval_ns) : NULL,
			 "availableTokens", (json_int_t)row->available,
			 "totalRequests", (json_int_t)row->total,
			 "rateLimitedRequests", (json_int_t)row->limited,
			 "shadowLimitedRequests", (json_int_t)row->shadow_limited,
			 "endpoints", (int)row->endpoint_count,
			 "buckets", (int)row->bucket_count,
			 "window", window_json(row),
			 "rejectedRatio", row->total ? json_real((double)row->limited / row->total) : NULL,
			 "tokens", tokens);
}

json_t *krl_stats_json(const struct krl_stats *stats)
{
	static const char *const reason_names[] = {
#define X(id, name, text) name,
		KRL_REASONS(X)
#undef X
	};
	json_t *items = json_array(), *reasons = json_object();
	bool failed = !items || !reasons;
	size_t i;

	for (i = 0; !failed && i < stats->count; i++)
		failed = json_array_append_new(items, row_json(&stats->rows[i]));
	for (i = 0; !failed && i < KRL_REASON_MAX; i++)
		failed = json_object_set_new(reasons, reason_names[i],
					     json_integer((json_int_t)stats->reasons[i]));
	if (failed) {
		json_decref(items);
		json_decref(reasons);
		return NULL;
	}
	return json_pack("{s:o, s:o}", "items", items, "reasons", reasons);
}

void krl_stats_explain(int err, const char *bpffs, char *ret_text, size_t size)
{
	switch (err) {
	case -ENOENT:
		snprintf(ret_text, size, "nothing is pinned below %s: no agent has run there", bpffs);
		return;
	case -EPERM:
		snprintf(ret_text, size, "no right to read the maps below %s: run as root, for example "
			 "with sudo", bpffs);
		return;
	case -EPROTO:
		snprintf(ret_text, size, "%s holds the maps of another version than %s", bpffs,
			 KRL_VERSION);
		return;
	default:
		snprintf(ret_text, size, "reading the maps below %s: %s", bpffs, strerror(-err));
	}
}

/* What a method returns with @result, NULL without memory. */
static int give(json_t *result, json_t **ret_result, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	if (!result) {
		snprintf(ret_error, KRL_CONTROL_ERROR_BYTES, "out of memory");
		return -ENOMEM;
	}
	*ret_result = result;
	return 0;
}

static int answer_stats(void *ctx, const json_t *params, json_t **ret_result, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	const struct krl_control_agent *agent = ctx;
	struct krl_stats stats = {};
	struct krl_seen seen = {};
	json_t *result;
	int err;

	err = krl_stats_read(agent->bpffs, &stats);
	if (err) {
		krl_stats_explain(err, agent->bpffs, ret_error, KRL_CONTROL_ERROR_BYTES);
		return err;
	}
	result = krl_stats_json(&stats);
	if ((agent->seen && agent->seen(agent->cluster, &seen)) || krl_stats_add_cluster(result, &stats, &seen)) {
		json_decref(result);
		result = NULL;
	}
	krl_seen_free(&seen);
	krl_stats_free(&stats);
	return give(result, ret_result, ret_error);
}

static int answer_limits(void *ctx, const json_t *params, json_t **ret_result, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	json_t *result = krl_limits_json(ctx);

	return give(result, ret_result, ret_error);
}

static int answer_events(void *ctx, const json_t *params, json_t **ret_result, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	const struct krl_control_agent *agent = ctx;
	json_int_t after = json_integer_value(json_object_get(params, "after"));
	json_t *result = krl_events_json(agent->events, after > 0 ? (uint64_t)after : 0);

	return give(result, ret_result, ret_error);
}

static int answer_version(void *ctx, const json_t *params, json_t **ret_result, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	const struct krl_control_agent *agent = ctx;
	json_t *errors = json_array(), *result;
	struct krl_seen seen = {};
	size_t i;

	for (i = 0; i < agent->error_count; i++)
		json_array_append_new(errors, text_json(agent->errors[i]));
	result = json_pack("{s:s, s:i, s:o, s:b, s:o}", "version", KRL_VERSION, "pid", (int)getpid(),
			   "source", text_json(agent->source), "ready", agent->ready, "errors", errors);
	if (agent->seen && !agent->seen(agent->cluster, &seen) && seen.asked)
		json_object_set_new(result, "cluster", krl_cluster_json(&seen));
	krl_seen_free(&seen);
	return give(result, ret_result, ret_error);
}

static void on_cluster(void *arg, json_t *value, const char *error)
{
	krl_control_answer(arg, value, error);
}

static int begin_cluster(void *ctx, const json_t *params, struct krl_control_later *later,
			 char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	const struct krl_control_agent *agent = ctx;
	int err = agent->read_cluster ? agent->read_cluster(agent->cluster, on_cluster, later) : -ENODATA;

	if (err == -ENODATA)
		snprintf(ret_error, KRL_CONTROL_ERROR_BYTES, "no Redis is asked: the agent was started without --redis");
	else if (err == -ENOTCONN)
		snprintf(ret_error, KRL_CONTROL_ERROR_BYTES, "Redis is away: `kmesh-rl diagnose rate-limit` says why");
	return err;
}

const struct krl_control_method krl_control_agent_methods[] = {
	{ "cluster", NULL, begin_cluster },
	{ "events", answer_events, NULL },
	{ "ratelimits", answer_limits, NULL },
	{ "stats", answer_stats, NULL },
	{ "version", answer_version, NULL },
	{ NULL, NULL, NULL },
};
