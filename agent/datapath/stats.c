// SPDX-License-Identifier: Apache-2.0
/* Statistics from the pinned maps. */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "agent/base/clock.h"
#include "bpf/lib/rule_bucket.h"
#include "pinned.h"
#include "stats.h"

/* A writer holds a row for less than a microsecond. */
#define COPY_TRIES 1000

/* Everything open for one read. */
struct reader {
	const char *bpffs;
	int cpus;
	const struct krl_rule *rules;	/* mapped */
	struct krl_stats stats;
	struct krl_stats_row **by_slot;
	__u64 now_ns;
};

static const struct krl_pinned rules_map = { "krl_rules", BPF_MAP_TYPE_ARRAY, 4,
					     sizeof(struct krl_rule), KRL_MAX_RULES };
static const struct krl_pinned info_map = { "krl_rule_info", BPF_MAP_TYPE_ARRAY, 4,
					    sizeof(struct krl_rule_info), KRL_MAX_RULES };
static const struct krl_pinned counters_map = { "krl_rule_stats", BPF_MAP_TYPE_PERCPU_ARRAY, 4,
						sizeof(struct krl_rule_stats), KRL_MAX_RULES };
static const struct krl_pinned reasons_map = { "krl_reasons", BPF_MAP_TYPE_PERCPU_ARRAY, 4,
					       sizeof(__u64), KRL_REASON_MAX };
static const struct krl_pinned used_map = { "krl_llm_stats", BPF_MAP_TYPE_ARRAY, 4,
					    sizeof(struct krl_llm_stats), KRL_MAX_RULES };
static const struct krl_pinned endpoints_map = { "krl_endpoints", BPF_MAP_TYPE_HASH,
						 sizeof(struct krl_endpoint_key),
						 sizeof(struct krl_endpoint), KRL_MAX_ENDPOINTS };

int krl_stats_copy_rule(const struct krl_rule *row, struct krl_rule *ret)
{
	struct krl_rule copy;
	__u32 seq;
	int i;

	for (i = 0; i < COPY_TRIES; i++) {
		seq = __atomic_load_n(&row->seq, __ATOMIC_ACQUIRE);
		if (seq & 1) {
			sched_yield();
			continue;
		}
		memcpy(&copy, row, sizeof(copy));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&row->seq, __ATOMIC_RELAXED) != seq)
			continue;
		if (!copy.id)
			return -ENOENT;
		*ret = copy;
		return 0;
	}
	return -EAGAIN;
}

static int compare_ids(const void *a, const void *b)
{
	const struct krl_stats_row *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

void krl_stats_sort_by_id(struct krl_stats *stats)
{
	if (stats->count)
		qsort(stats->rows, stats->count, sizeof(*stats->rows), compare_ids);
}

static int compare_names(const void *a, const void *b)
{
	const struct krl_rule_info *x = &((const struct krl_stats_row *)a)->info;
	const struct krl_rule_info *y = &((const struct krl_stats_row *)b)->info;
	int order = strcmp(x->ns, y->ns);

	if (!order)
		order = strcmp(x->name, y->name);
	if (!order)
		order = strcmp(x->service, y->service);
	return order ? order : strcmp(x->rule, y->rule);
}

void krl_stats_sort_by_name(struct krl_stats *stats)
{
	if (stats->count)
		qsort(stats->rows, stats->count, sizeof(*stats->rows), compare_names);
}

static struct krl_stats_row *find_id(const struct krl_stats *stats, __u32 id)
{
	struct krl_stats_row wanted = { .id = id };

	if (!stats->count)
		return NULL;
	return bsearch(&wanted, stats->rows, stats->count, sizeof(wanted), compare_ids);
}

/* A bucket with @available tokens. */
static void add_bucket(struct krl_stats_row *row, __s64 available)
{
	if (available < row->available)
		row->available = available;
	row->bucket_count++;
}

void krl_stats_count_bucket(struct krl_stats *stats, const struct krl_bucket_key *key,
			    const struct krl_bucket *bucket, __u64 now_ns)
{
	struct krl_stats_row *row = find_id(stats, key->rule_id);
	struct krl_bucket copy = *bucket;

	/* About to be removed, because it was full. */
	if (row && !krl_bucket_is_buried(bucket))
		add_bucket(row, krl_rule_bucket_available(&copy, &row->settings, row->flags, now_ns));
}

void krl_stats_count_overflow(struct krl_stats_row *row, const struct krl_bucket *bucket, __u64 now_ns)
{
	struct krl_bucket copy = *bucket;
	__s64 available = krl_rule_bucket_available(&copy, &row->settings, row->flags, now_ns);

	if (available < (__s64)row->settings.max_tokens)
		add_bucket(row, available);
}

void krl_stats_count_endpoint(struct krl_stats *stats, const struct krl_endpoint *endpoint)
{
	struct krl_stats_row *row;
	__u32 i;

	for (i = 0; i < endpoint->rule_count && i < KRL_MAX_ENDPOINT_RULES; i++) {
		row = find_id(stats, endpoint->rules[i].id);
		if (row && row->slot == endpoint->rules[i].slot)
			row->endpoint_count++;
	}
}

static int read_rules(struct reader *r)
{
	struct krl_stats_row *row;
	struct krl_rule rule;
	const void *mapped;
	__u32 slot;
	size_t i;
	int fd;

	/* bpf_map_mmap() refuses what is not VM_SHARED, and do_mmap() takes that from a file that is only
	 * open for reading. */
	fd = krl_pinned_open(r->bpffs, &rules_map, 0);
	if (fd < 0)
		return fd;
	mapped = mmap(NULL, sizeof(struct krl_rule) * KRL_MAX_RULES, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped == MAP_FAILED)
		return -errno;
	r->rules = mapped;
	r->stats.rows = calloc(KRL_MAX_RULES, sizeof(*r->stats.rows));
	r->by_slot = calloc(KRL_MAX_RULES, sizeof(struct krl_stats_row *));
	if (!r->stats.rows || !r->by_slot)
		return -ENOMEM;
	for (slot = 0; slot < KRL_MAX_RULES; slot++) {
		if (krl_stats_copy_rule(&r->rules[slot], &rule))
			continue;
		row = &r->stats.rows[r->stats.count++];
		row->slot = slot;
		row->id = rule.id;
		row->settings = rule.settings;
		row->flags = rule.flags;
		row->available = (__s64)rule.settings.max_tokens;
	}
	krl_stats_sort_by_id(&r->stats);
	for (i = 0; i < r->stats.count; i++)
		r->by_slot[r->stats.rows[i].slot] = &r->stats.rows[i];
	return 0;
}

static void on_info(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;
	struct krl_stats_row *row = r->by_slot[*(const __u32 *)key];

	if (row)
		memcpy(&row->info, value, sizeof(row->info));
}

static void on_counters(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;
	struct krl_stats_row *row = r->by_slot[*(const __u32 *)key];
	const struct krl_rule_stats *of_cpu = value;
	int i;

	for (i = 0; row && i < r->cpus; i++) {
		row->total += of_cpu[i].allowed + of_cpu[i].limited;
		row->limited += of_cpu[i].limited;
		row->shadow_limited += of_cpu[i].shadow_limited;
	}
}

static void on_used(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;
	struct krl_stats_row *row = r->by_slot[*(const __u32 *)key];

	if (row && row->flags & KRL_RULE_LLM)
		memcpy(&row->used, value, sizeof(row->used));
}

static void on_reason(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;
	const __u64 *of_cpu = value;
	int i;

	for (i = 0; i < r->cpus; i++)
		r->stats.reasons[*(const __u32 *)key] += of_cpu[i];
}

static void on_endpoint(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;

	krl_stats_count_endpoint(&r->stats, value);
}

static void on_bucket(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;

	r->stats.buckets++;
	krl_stats_count_bucket(&r->stats, key, value, r->now_ns);
}

static void on_overflow(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;
	struct krl_stats_row *row = r->by_slot[*(const __u32 *)key];
	__u32 before = row ? row->bucket_count : 0;

	if (!row)
		return;
	krl_stats_count_overflow(row, value, r->now_ns);
	r->stats.overflowing += row->bucket_count - before;
}

/* Drop what was read halfway through a change: a row whose names are of another rule, or that was
 * given to another one since. */
static void drop_moved(struct reader *r)
{
	struct krl_stats_row *row;
	size_t i, kept = 0;

	for (i = 0; i < r->stats.count; i++) {
		row = &r->stats.rows[i];
		if (row->info.id == row->id &&
		    __atomic_load_n(&r->rules[row->slot].id, __ATOMIC_RELAXED) == row->id)
			r->stats.rows[kept++] = *row;
	}
	r->stats.count = kept;
}

static int read_all(struct reader *r)
{
	__u32 slots = 0;
	struct krl_config config;
	size_t i;
	int err;

	err = krl_pinned_config(r->bpffs, &config);
	if (!err)
		err = read_rules(r);
	if (err)
		return err;
	for (i = 0; i < r->stats.count; i++)
		if (r->stats.rows[i].slot >= slots)
			slots = r->stats.rows[i].slot + 1;
	r->now_ns = krl_boot_ns();
	err = krl_pinned_each(r->bpffs, &info_map, slots, on_info, r);
	if (!err)
		err = krl_pinned_each(r->bpffs, &endpoints_map, KRL_MAX_ENDPOINTS, on_endpoint, r);
	if (!err)
		err = krl_pinned_each(r->bpffs, &krl_pinned_buckets, KRL_MAX_BUCKETS, on_bucket, r);
	if (!err)
		err = krl_pinned_each(r->bpffs, &counters_map, slots, on_counters, r);
	if (!err)
		err = krl_pinned_each(r->bpffs, &used_map, slots, on_used, r);
	if (!err)
		err = krl_pinned_each(r->bpffs, &reasons_map, KRL_REASON_MAX, on_reason, r);
	/* Without use none is looked at: settings that were raised since leave an overflow bucket less than
	 * full. */
	if (!err && r->stats.reasons[KRL_REASON_BUCKET_OVERFLOW])
		err = krl_pinned_each(r->bpffs, &krl_pinned_overflow, slots, on_overflow, r);
	if (err)
		return err;
	drop_moved(r);
	krl_stats_sort_by_name(&r->stats);
	return 0;
}

int krl_stats_read(const char *bpffs, struct krl_stats *ret)
{
	struct reader r = { .bpffs = bpffs, .cpus = libbpf_num_possible_cpus() };
	int err;

	err = r.cpus < 0 ? r.cpus : read_all(&r);
	if (r.rules)
		munmap((void *)r.rules, sizeof(struct krl_rule) * KRL_MAX_RULES);
	free(r.by_slot);
	if (err) {
		krl_stats_free(&r.stats);
		return err;
	}
	*ret = r.stats;
	return 0;
}

void krl_stats_choose(struct krl_stats *stats, const char *ns, const char *name)
{
	size_t i, kept = 0;

	for (i = 0; i < stats->count; i++)
		if ((!ns || !strcmp(ns, stats->rows[i].info.ns)) &&
		    (!name || !strcmp(name, stats->rows[i].info.name)))
			stats->rows[kept++] = stats->rows[i];
	stats->count = kept;
}

void krl_stats_free(struct krl_stats *stats)
{
	free(stats->rows);
	memset(stats, 0, sizeof(*stats));
}
