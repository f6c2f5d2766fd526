// SPDX-License-Identifier: Apache-2.0
#include "tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/base/vec.h"
#include "pinned.h"

struct reader {
	struct krl_tally tally;
	const struct krl_stats_row **by_id;
	size_t rule_count;
	int cpus;
	int err;
};

static const struct krl_pinned latency_map = { "krl_latency", BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(struct krl_latency),
					       1 };
static const struct krl_pinned usages_map = { "krl_llm_usages", BPF_MAP_TYPE_HASH, sizeof(struct krl_llm_model_key),
					      sizeof(struct krl_usage), KRL_MAX_USAGES };
static const struct krl_pinned limited_map = { "krl_limited", BPF_MAP_TYPE_LRU_HASH, sizeof(struct krl_llm_user_key),
					       sizeof(__u64), KRL_MAX_USED };
static const struct krl_pinned users_map = { "krl_llm_users", BPF_MAP_TYPE_LRU_HASH, sizeof(struct krl_llm_user_key),
					     sizeof(struct krl_llm_stats), KRL_MAX_USED };
static const struct krl_pinned sockets_map = { "krl_sockets", BPF_MAP_TYPE_SOCKHASH, 8, 8, KRL_MAX_CONNS };
static const struct krl_pinned senders_map = { "krl_senders", BPF_MAP_TYPE_SOCKHASH, 8, 8, KRL_MAX_CONNS };

static void on_latency(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;
	const struct krl_latency *of_cpu = value;
	int i, bucket;

	for (i = 0; i < r->cpus; i++) {
		for (bucket = 0; bucket < KRL_LATENCY_BUCKETS; bucket++)
			r->tally.latency.buckets[bucket] += of_cpu[i].buckets[bucket];
		r->tally.latency.sum_ns += of_cpu[i].sum_ns;
	}
}

static void on_usage(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;
	struct krl_tally_usage *usage = krl_vec_add(&r->tally.usages, &r->tally.usage_count);

	if (!usage) {
		r->err = -ENOMEM;
		return;
	}
	memcpy(&usage->key, key, sizeof(usage->key));
	memcpy(&usage->usage, value, sizeof(usage->usage));
}

static int compare_usages(const void *a, const void *b)
{
	return memcmp(&((const struct krl_tally_usage *)a)->key, &((const struct krl_tally_usage *)b)->key,
		      sizeof(struct krl_llm_model_key));
}

static int compare_ids(const void *a, const void *b)
{
	const struct krl_stats_row *const *x = a, *const *y = b;

	return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static void on_limited(void *arg, const void *key, const void *value)
{
	const struct krl_llm_user_key *user = key;
	const struct krl_stats_row wanted = { .id = user->rule_id }, *wants = &wanted, **rule;
	struct krl_tally_limited *limited;
	struct reader *r = arg;

	rule = r->rule_count ? bsearch(&wants, r->by_id, r->rule_count, sizeof(*r->by_id), compare_ids) : NULL;
	if (!rule)
		return;
	limited = krl_vec_add(&r->tally.limited, &r->tally.limited_count);
	if (!limited) {
		r->err = -ENOMEM;
		return;
	}
	limited->rule = *rule;
	memcpy(limited->descriptor, user->descriptor, sizeof(limited->descriptor));
	memcpy(&limited->count, value, sizeof(limited->count));
}

static int compare_limited(const void *a, const void *b)
{
	const struct krl_tally_limited *x = a, *y = b;
	int order = (x->count < y->count) - (x->count > y->count);

	if (!order)
		order = (x->rule > y->rule) - (x->rule < y->rule);
	return order ? order : memcmp(x->descriptor, y->descriptor, sizeof(x->descriptor));
}

void krl_tally_sort(struct krl_tally *tally, size_t top)
{
	if (tally->limited_count)
		qsort(tally->limited, tally->limited_count, sizeof(*tally->limited), compare_limited);
	if (tally->limited_count > top)
		tally->limited_count = top;
}

/* What those used who were limited by rules that count LLMTokens. */
static int read_used(struct krl_tally *tally, const char *bpffs)
{
	struct krl_tally_limited *limited;
	struct krl_llm_user_key key = {};
	int fd = krl_pinned_open(bpffs, &users_map, BPF_F_RDONLY);
	size_t i;

	if (fd < 0)
		return fd;
	for (i = 0; i < tally->limited_count; i++) {
		limited = &tally->limited[i];
		memcpy(key.descriptor, limited->descriptor, sizeof(key.descriptor));
		key.rule_id = limited->rule->id;
		/* One that was never let through has no row. */
		if (limited->rule->flags & KRL_RULE_LLM)
			bpf_map_lookup_elem(fd, &key, &limited->used);
	}
	close(fd);
	return 0;
}

/* Of rules and whom they refused. */
static int read_limited(struct reader *r, const char *bpffs, const struct krl_stats *rules, size_t top)
{
	size_t i;
	int err;

	r->by_id = calloc(rules->count + 1, sizeof(*r->by_id));
	if (!r->by_id)
		return -ENOMEM;
	for (i = 0; i < rules->count; i++)
		r->by_id[r->rule_count++] = &rules->rows[i];
	qsort(r->by_id, r->rule_count, sizeof(*r->by_id), compare_ids);
	err = krl_pinned_each(bpffs, &limited_map, KRL_MAX_USED, on_limited, r);
	if (!err && !r->err)
		err = krl_values_read(bpffs, &r->tally.values);
	krl_tally_sort(&r->tally, top);
	for (i = 0; i < r->tally.limited_count; i++)
		r->tally.limited[i].kept = krl_values_find(&r->tally.values, r->tally.limited[i].descriptor);
	return err ? err : read_used(&r->tally, bpffs);
}

/* How many sockets @map has, which cannot be read; about, when others come and go meanwhile. */
static int count_sockets(const char *bpffs, const struct krl_pinned *map, size_t *ret)
{
	int fd = krl_pinned_open(bpffs, map, 0);
	size_t count = 0;
	__u64 key;

	if (fd < 0)
		return fd;
	while (count < KRL_MAX_CONNS && !bpf_map_get_next_key(fd, count ? &key : NULL, &key))
		count++;
	close(fd);
	*ret = count;
	return 0;
}

static int read_all(struct reader *r, const char *bpffs, const struct krl_stats *rules, size_t top)
{
	int err = krl_pinned_each(bpffs, &latency_map, 1, on_latency, r);

	if (!err)
		err = krl_pinned_each(bpffs, &usages_map, KRL_MAX_USAGES, on_usage, r);
	if (!err && r->tally.usage_count)
		qsort(r->tally.usages, r->tally.usage_count, sizeof(*r->tally.usages), compare_usages);
	if (!err && top)
		err = read_limited(r, bpffs, rules, top);
	if (!err)
		err = count_sockets(bpffs, &sockets_map, &r->tally.inbound);
	if (!err)
		err = count_sockets(bpffs, &senders_map, &r->tally.outbound);
	return err ? err : r->err;
}

int krl_tally_read(const char *bpffs, const struct krl_stats *rules, size_t top, struct krl_tally *ret)
{
	struct reader r = { .cpus = libbpf_num_possible_cpus() };
	int err = r.cpus < 0 ? r.cpus : read_all(&r, bpffs, rules, top);

	free(r.by_id);
	if (err) {
		krl_tally_free(&r.tally);
		return err;
	}
	*ret = r.tally;
	return 0;
}

void krl_tally_free(struct krl_tally *tally)
{
	free(tally->usages);
	free(tally->limited);
	krl_values_free(&tally->values);
	memset(tally, 0, sizeof(*tally));
}
