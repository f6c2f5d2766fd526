// SPDX-License-Identifier: Apache-2.0
#include "buckets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/vec.h"
#include "bpf/lib/rule_bucket.h"
#include "pinned.h"
#include "used.h"

struct reader {
	struct krl_buckets *buckets;
	__u64 now_ns;
	int err;
};

static int compare_uses(const void *a, const void *b)
{
	const struct krl_bucket_use *x = a, *y = b;

	return memcmp(&x->key, &y->key, sizeof(x->key));
}

/* By their values; those that are not known last. */
static int compare_kept(const struct krl_kept *a, const struct krl_kept *b)
{
	int order = !a - !b, i;

	for (i = 0; i < KRL_KEPT_VALUES && a && b && !order; i++)
		order = memcmp(a->values[i].text, b->values[i].text, sizeof(a->values[i].text));
	return order;
}

static int compare_rules(const struct krl_bucket_row *x, const struct krl_bucket_row *y)
{
	return (x->rule > y->rule) - (x->rule < y->rule);
}

static int compare_available(const struct krl_bucket_row *x, const struct krl_bucket_row *y)
{
	return (x->available > y->available) - (x->available < y->available);
}

/* The emptiest first; the order of the rest is that of compare_rows. */
static int compare_emptiness(const void *a, const void *b)
{
	const struct krl_bucket_row *x = a, *y = b;
	int order = compare_available(x, y);

	if (!order)
		order = compare_rules(x, y);
	if (!order)
		order = compare_kept(x->kept, y->kept);
	return order ? order : memcmp(&x->key, &y->key, sizeof(x->key));
}

static int compare_rows(const void *a, const void *b)
{
	int order = compare_rules(a, b);

	return order ? order : compare_emptiness(a, b);
}

void krl_buckets_of(struct krl_buckets *b, const struct krl_stats *rules)
{
	size_t i;

	for (i = 0; i < rules->count; i++)
		b->rule_of[rules->rows[i].slot] = &rules->rows[i];
}

int krl_buckets_use(struct krl_buckets *b, const struct krl_llm_user_key *key, const struct krl_llm_stats *used)
{
	struct krl_bucket_use *added = krl_vec_add(&b->uses, &b->use_count);

	if (!added)
		return -ENOMEM;
	added->key = *key;
	added->used = *used;
	return 0;
}

void krl_buckets_known(struct krl_buckets *b)
{
	if (b->use_count)
		qsort(b->uses, b->use_count, sizeof(*b->uses), compare_uses);
}

static struct krl_llm_stats find_use(const struct krl_buckets *b, const struct krl_bucket_key *key)
{
	struct krl_bucket_use wanted = { .key.rule_id = key->rule_id }, *found = NULL;

	memcpy(wanted.key.descriptor, key->descriptor, sizeof(key->descriptor));
	if (b->use_count)
		found = bsearch(&wanted, b->uses, b->use_count, sizeof(wanted), compare_uses);
	return found ? found->used : wanted.used;
}

/* Leave the emptiest. */
static void cut(struct krl_buckets *b)
{
	if (!b->limit || b->count <= b->limit)
		return;
	qsort(b->rows, b->count, sizeof(*b->rows), compare_emptiness);
	b->count = b->limit;
}

void krl_buckets_finish(struct krl_buckets *b)
{
	cut(b);
	if (b->count)
		qsort(b->rows, b->count, sizeof(*b->rows), compare_rows);
}

/* Up to twice as many as are wanted are collected, then half of them go. */
static int add_row(struct krl_buckets *b, const struct krl_bucket_row *row)
{
	struct krl_bucket_row *added;

	b->total++;
	if (b->limit && b->count / 2 >= b->limit) {
		cut(b);
		b->last = b->rows[b->count - 1];
	}
	if (b->last.rule && compare_emptiness(row, &b->last) > 0)
		return 0;
	added = krl_vec_add(&b->rows, &b->count);
	if (!added)
		return -ENOMEM;
	*added = *row;
	return 0;
}

int krl_buckets_add(struct krl_buckets *b, const struct krl_bucket_key *key, const struct krl_bucket *bucket,
		    __u64 now_ns)
{
	struct krl_bucket_row row = { .rule = b->rule_of[key->slot % KRL_MAX_RULES], .key = *key };
	struct krl_bucket copy = *bucket;

	/* One that is buried is about to be removed, because it was full. */
	if (!row.rule || row.rule->id != key->rule_id || krl_bucket_is_buried(bucket))
		return 0;
	row.available = krl_rule_bucket_available(&copy, &row.rule->settings, row.rule->flags, now_ns);
	row.kept = krl_values_find(&b->values, key->descriptor);
	row.used = find_use(b, key);
	return add_row(b, &row);
}

int krl_buckets_add_overflow(struct krl_buckets *b, __u32 slot, const struct krl_bucket *bucket, __u64 now_ns)
{
	struct krl_bucket_row row = { .rule = b->rule_of[slot % KRL_MAX_RULES], .overflow = true };
	struct krl_bucket copy = *bucket;

	if (!row.rule)
		return 0;
	row.available = krl_rule_bucket_available(&copy, &row.rule->settings, row.rule->flags, now_ns);
	return row.available < (__s64)row.rule->settings.max_tokens ? add_row(b, &row) : 0;
}

static void on_use(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;

	if (!r->err)
		r->err = krl_buckets_use(r->buckets, key, value);
}

static void on_bucket(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;

	if (!r->err)
		r->err = krl_buckets_add(r->buckets, key, value, r->now_ns);
}

static void on_overflow(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;

	if (!r->err)
		r->err = krl_buckets_add_overflow(r->buckets, *(const __u32 *)key, value, r->now_ns);
}

int krl_buckets_read(const char *bpffs, const struct krl_stats *rules, size_t limit, struct krl_buckets *ret)
{
	struct krl_buckets buckets = { .limit = limit };
	struct reader r = { .buckets = &buckets };
	int err;

	krl_buckets_of(&buckets, rules);
	err = krl_values_read(bpffs, &buckets.values);
	if (!err)
		err = krl_used_each_user(bpffs, on_use, &r);
	krl_buckets_known(&buckets);
	r.now_ns = krl_boot_ns();
	if (!err && !r.err)
		err = krl_pinned_each(bpffs, &krl_pinned_buckets, KRL_MAX_BUCKETS, on_bucket, &r);
	/* As in krl_stats_read: without use none is looked at. */
	if (!err && !r.err && rules->reasons[KRL_REASON_BUCKET_OVERFLOW])
		err = krl_pinned_each(bpffs, &krl_pinned_overflow, KRL_MAX_RULES, on_overflow, &r);
	err = err ? err : r.err;
	if (err) {
		krl_buckets_free(&buckets);
		return err;
	}
	krl_buckets_finish(&buckets);
	*ret = buckets;
	return 0;
}

void krl_buckets_free(struct krl_buckets *b)
{
	free(b->rows);
	free(b->uses);
	krl_values_free(&b->values);
	memset(b, 0, sizeof(*b));
}
