// SPDX-License-Identifier: Apache-2.0
#include "counters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_NS 1000000000ULL
#define AGAIN_NS (KRL_COUNTERS_TTL_MS / 3 * 1000000ULL)
#define NS_PER_MS 1000000

static void on_counted(void *arg, const struct krl_rule_info *info, const struct krl_rule_stats *stats)
{
	json_array_append_new(arg, json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "namespace", info->ns, "name", info->name,
					     "service", info->service, "rule", info->rule, "limit", info->limit, "totalRequests",
					     (json_int_t)(stats->allowed + stats->limited), "rateLimitedRequests",
					     (json_int_t)stats->limited, "shadowLimitedRequests", (json_int_t)stats->shadow_limited));
}

void krl_counters_tell(struct krl_counters *k, const struct krl_datapath *datapath, struct krl_redis *redis, const char *node,
		       uint64_t now_ns)
{
	json_t *counted;
	char *text;

	if (now_ns - k->looked_ns < EVERY_NS)
		return;
	k->looked_ns = now_ns;
	counted = json_array();
	krl_datapath_counted(datapath, on_counted, counted);
	text = counted ? json_dumps(counted, JSON_COMPACT) : NULL;
	/* Who has no such rule, and never had, has nothing to tell. */
	if (!text || (k->text ? !strcmp(k->text, text) && now_ns - k->told_ns < AGAIN_NS : !json_array_size(counted)) ||
	    krl_redis_tell_counters(redis, node, text)) {
		free(text);
		json_decref(counted);
		return;
	}
	json_decref(counted);
	free(k->text);
	k->text = text;
	k->told_ns = now_ns;
}

void krl_counters_clear(struct krl_counters *k)
{
	free(k->text);
	k->text = NULL;
}

struct reading {
	krl_seen_read_fn fn;
	void *arg;
	json_t *items;
};

/* Others may have written it: what is of another form is left out. */
static json_t *row_of(const json_t *told, const char *node, __u64 age_ms)
{
	static const char *const texts[] = { "namespace", "name", "service", "rule", "limit" };
	static const char *const numbers[] = { "totalRequests", "rateLimitedRequests", "shadowLimitedRequests" };
	json_t *row = json_pack("{s:s, s:I}", "node", node, "age", (json_int_t)(age_ms * NS_PER_MS));
	bool good = row;
	size_t i;

	for (i = 0; good && i < sizeof(texts) / sizeof(*texts); i++)
		good = json_is_string(json_object_get(told, texts[i])) &&
		       !json_object_set(row, texts[i], json_object_get(told, texts[i]));
	for (i = 0; good && i < sizeof(numbers) / sizeof(*numbers); i++)
		good = json_is_integer(json_object_get(told, numbers[i])) &&
		       !json_object_set(row, numbers[i], json_object_get(told, numbers[i]));
	if (good)
		return row;
	json_decref(row);
	return NULL;
}

static void on_node(void *arg, const char *node, const char *text, __u64 age_ms)
{
	json_t *told = json_loads(text, 0, NULL), *one;
	struct reading *reading = arg;
	size_t i;

	json_array_foreach(told, i, one)
		json_array_append_new(reading->items, row_of(one, node, age_ms));
	json_decref(told);
}

static void on_done(void *arg, const char *error)
{
	struct reading *reading = arg;

	if (error)
		reading->fn(reading->arg, NULL, error);
	else
		reading->fn(reading->arg, json_pack("{s:O}", "items", reading->items), "out of memory");
	json_decref(reading->items);
	free(reading);
}

int krl_counters_read(struct krl_redis *redis, krl_seen_read_fn fn, void *arg)
{
	static const struct krl_counters_calls calls = { .node = on_node, .done = on_done };
	struct reading *reading = malloc(sizeof(*reading));
	int err = -ENOMEM;

	if (reading) {
		*reading = (struct reading){ fn, arg, json_array() };
		err = krl_redis_read_counters(redis, &calls, reading);
	}
	if (err && reading)
		json_decref(reading->items);
	if (err)
		free(reading);
	return err;
}
