// SPDX-License-Identifier: Apache-2.0
/* Reading the pinned maps, large ones in batches. */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/lib/bucket.h"
#include "stats.h"

#define BATCH_ROWS 1024
/* A writer holds a row for less than a microsecond. */
#define COPY_TRIES 1000

struct map_shape {
	const char *name;
	__u32 type, key_bytes, value_bytes, rows;
};

/* Everything open for one read. */
struct reader {
	const char *bpffs;
	int cpus;
	const struct krl_rule *rules;	/* mapped */
	struct krl_stats stats;
	struct krl_stats_row **by_slot;
	__u64 now_ns;
};

static const struct map_shape config_map = { "krl_config", BPF_MAP_TYPE_ARRAY, 4,
					     sizeof(struct krl_config), 1 };
static const struct map_shape rules_map = { "krl_rules", BPF_MAP_TYPE_ARRAY, 4,
					    sizeof(struct krl_rule), KRL_MAX_RULES };
static const struct map_shape info_map = { "krl_rule_info", BPF_MAP_TYPE_ARRAY, 4,
					   sizeof(struct krl_rule_info), KRL_MAX_RULES };
static const struct map_shape counters_map = { "krl_rule_stats", BPF_MAP_TYPE_PERCPU_ARRAY, 4,
					       sizeof(struct krl_rule_stats), KRL_MAX_RULES };
static const struct map_shape reasons_map = { "krl_reasons", BPF_MAP_TYPE_PERCPU_ARRAY, 4,
					      sizeof(__u64), KRL_REASON_MAX };
static const struct map_shape endpoints_map = { "krl_endpoints", BPF_MAP_TYPE_HASH,
						sizeof(struct krl_endpoint_key),
						sizeof(struct krl_endpoint), KRL_MAX_ENDPOINTS };
static const struct map_shape buckets_map = { "krl_buckets", BPF_MAP_TYPE_HASH,
					      sizeof(struct krl_bucket_key),
					      sizeof(struct krl_bucket), KRL_MAX_BUCKETS };
static const struct map_shape overflow_map = { "krl_overflow", BPF_MAP_TYPE_ARRAY, 4,
					       sizeof(struct krl_bucket), KRL_MAX_RULES };

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

	if (row)
		add_bucket(row, krl_bucket_peek(&copy, &row->settings, now_ns));
}

void krl_stats_count_overflow(struct krl_stats_row *row, const struct krl_bucket *bucket, __u64 now_ns)
{
	struct krl_bucket copy = *bucket;
	__s64 available = krl_bucket_peek(&copy, &row->settings, now_ns);

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

/* Open a pinned map that must have the shape this version knows. Returns its file descriptor. */
static int open_map(const struct reader *r, const struct map_shape *shape, __u32 file_flags)
{
	LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = file_flags);
	struct bpf_map_info info = {};
	__u32 info_bytes = sizeof(info);
	char path[PATH_MAX];
	struct stat st;
	int fd, err;

	if (snprintf(path, sizeof(path), "%s/%s", r->bpffs, shape->name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	/* Without rights bpf() says EPERM also of what is not there. */
	if (stat(path, &st))
		return errno == ENOENT || errno == ENOTDIR ? -ENOENT : errno == EACCES ? -EPERM : -errno;
	fd = bpf_obj_get_opts(path, &options);
	if (fd < 0)
		return fd == -EACCES ? -EPERM : fd;
	err = bpf_obj_get_info_by_fd(fd, &info, &info_bytes);
	if (!err && (info.type != shape->type || info.key_size != shape->key_bytes ||
		     info.value_size != shape->value_bytes || info.max_entries != shape->rows))
		err = -EPROTO;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* Call @each for the first @rows rows of the map; arrays come in the order of their keys. */
static int for_each_row(struct reader *r, const struct map_shape *shape, __u32 rows,
			void (*each)(struct reader *r, const void *key, const void *value))
{
	size_t value_bytes = shape->value_bytes;
	__u32 position = 0, done = 0, count, i;
	char *keys, *values;
	int fd, err = 0;

	fd = open_map(r, shape, BPF_F_RDONLY);
	if (fd < 0)
		return fd;
	if (shape->type == BPF_MAP_TYPE_PERCPU_ARRAY)
		value_bytes *= (size_t)r->cpus;
	keys = malloc((size_t)BATCH_ROWS * shape->key_bytes);
	values = malloc(BATCH_ROWS * value_bytes);
	if (!keys || !values)
		err = -ENOMEM;
	while (!err && done < rows) {
		count = rows - done < BATCH_ROWS ? rows - done : BATCH_ROWS;
		/* A hash gives whole chains: a batch that is cut short might not hold one. */
		if (shape->type == BPF_MAP_TYPE_HASH)
			count = BATCH_ROWS;
		err = bpf_map_lookup_batch(fd, done ? &position : NULL, &position, keys, values, &count,
					   NULL);
		/* ENOENT comes with the last rows. */
		if (err && err != -ENOENT)
			break;
		for (i = 0; i < count; i++)
			each(r, keys + i * shape->key_bytes, values + i * value_bytes);
		done += count;
	}
	free(keys);
	free(values);
	close(fd);
	return err == -ENOENT ? 0 : err;
}

static int check_config(const struct reader *r)
{
	struct krl_config config = {};
	__u32 key = 0;
	int fd, err;

	fd = open_map(r, &config_map, BPF_F_RDONLY);
	if (fd < 0)
		return fd;
	err = bpf_map_lookup_elem(fd, &key, &config);
	close(fd);
	if (err)
		return err;
	/* 0: pinned a moment ago, and not yet written by its agent. */
	if (!config.abi_version)
		return -ENOENT;
	return config.abi_version == KRL_ABI_VERSION ? 0 : -EPROTO;
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
	fd = open_map(r, &rules_map, 0);
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

static void on_info(struct reader *r, const void *key, const void *value)
{
	struct krl_stats_row *row = r->by_slot[*(const __u32 *)key];

	if (row)
		memcpy(&row->info, value, sizeof(row->info));
}

static void on_counters(struct reader *r, const void *key, const void *value)
{
	struct krl_stats_row *row = r->by_slot[*(const __u32 *)key];
	const struct krl_rule_stats *of_cpu = value;
	int i;

	for (i = 0; row && i < r->cpus; i++) {
		row->total += of_cpu[i].allowed + of_cpu[i].limited;
		row->limited += of_cpu[i].limited;
		row->shadow_limited += of_cpu[i].shadow_limited;
	}
}

static void on_reason(struct reader *r, const void *key, const void *value)
{
	const __u64 *of_cpu = value;
	int i;

	for (i = 0; i < r->cpus; i++)
		r->stats.reasons[*(const __u32 *)key] += of_cpu[i];
}

static void on_endpoint(struct reader *r, const void *key, const void *value)
{
	krl_stats_count_endpoint(&r->stats, value);
}

static void on_bucket(struct reader *r, const void *key, const void *value)
{
	krl_stats_count_bucket(&r->stats, key, value, r->now_ns);
}

static void on_overflow(struct reader *r, const void *key, const void *value)
{
	struct krl_stats_row *row = r->by_slot[*(const __u32 *)key];

	if (row)
		krl_stats_count_overflow(row, value, r->now_ns);
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
	struct timespec now;
	size_t i;
	int err;

	err = check_config(r);
	if (!err)
		err = read_rules(r);
	if (err)
		return err;
	for (i = 0; i < r->stats.count; i++)
		if (r->stats.rows[i].slot >= slots)
			slots = r->stats.rows[i].slot + 1;
	clock_gettime(CLOCK_BOOTTIME, &now);
	r->now_ns = (__u64)now.tv_sec * 1000000000ULL + (__u64)now.tv_nsec;
	err = for_each_row(r, &info_map, slots, on_info);
	if (!err)
		err = for_each_row(r, &endpoints_map, KRL_MAX_ENDPOINTS, on_endpoint);
	if (!err)
		err = for_each_row(r, &buckets_map, KRL_MAX_BUCKETS, on_bucket);
	if (!err)
		err = for_each_row(r, &counters_map, slots, on_counters);
	if (!err)
		err = for_each_row(r, &reasons_map, KRL_REASON_MAX, on_reason);
	/* Without use none is looked at: settings that were raised since leave an overflow bucket less than
	 * full. */
	if (!err && r->stats.reasons[KRL_REASON_BUCKET_OVERFLOW])
		err = for_each_row(r, &overflow_map, slots, on_overflow);
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

void krl_stats_free(struct krl_stats *stats)
{
	free(stats->rows);
	memset(stats, 0, sizeof(*stats));
}
