// SPDX-License-Identifier: Apache-2.0
#include "live.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/clock.h"
#include "bpf/lib/bucket.h"
#include "pinned.h"

struct reader {
	struct krl_live_bucket *buckets;
	size_t count;
	__u32 rows;		/* of krl_buckets that were seen */
	__u64 now_ns;
};

static int compare_rules(const void *a, const void *b)
{
	const struct krl_live_bucket *x = a, *y = b;

	return (x->rule_id > y->rule_id) - (x->rule_id < y->rule_id);
}

int krl_live_hash_key(const char *bpffs, __u64 ret_key[2])
{
	struct krl_config config;
	int err;

	err = krl_pinned_config(bpffs, &config);
	if (!err)
		memcpy(ret_key, config.hash_key, sizeof(config.hash_key));
	return err;
}

static void look(struct krl_live_bucket *asked, const struct krl_bucket *bucket, __u64 now_ns)
{
	struct krl_bucket copy = *bucket;
	__s64 available = krl_bucket_peek(&copy, &asked->settings, now_ns);

	if (!asked->found || available < asked->available)
		asked->available = available;
	asked->found = true;
}

void krl_live_count(struct krl_live_bucket *buckets, size_t count, const struct krl_bucket_key *key,
		    const struct krl_bucket *bucket, __u64 now_ns)
{
	struct krl_live_bucket wanted = { .rule_id = key->rule_id }, *asked;

	/* About to be removed: what comes next makes a new one. */
	if (krl_bucket_is_buried(bucket))
		return;
	asked = count ? bsearch(&wanted, buckets, count, sizeof(*buckets), compare_rules) : NULL;
	if (!asked || memcmp(key->descriptor, asked->descriptor, sizeof(key->descriptor)))
		return;
	if (!asked->anywhere &&
	    (memcmp(key->addr, asked->at.addr, sizeof(key->addr)) || key->port != asked->at.port))
		return;
	look(asked, bucket, now_ns);
}

static void on_bucket(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;

	r->rows++;
	krl_live_count(r->buckets, r->count, key, value, r->now_ns);
}

static void on_overflow(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;
	size_t i;

	for (i = 0; i < r->count; i++)
		if (!r->buckets[i].found && r->buckets[i].slot == *(const __u32 *)key)
			look(&r->buckets[i], value, r->now_ns);
}

int krl_live_read(const char *bpffs, struct krl_live_bucket *buckets, size_t count)
{
	struct reader r = { .buckets = buckets, .count = count, .now_ns = krl_boot_ns() };
	int err;

	if (!count)
		return 0;
	qsort(buckets, count, sizeof(*buckets), compare_rules);
	err = krl_pinned_each(bpffs, &krl_pinned_buckets, KRL_MAX_BUCKETS, on_bucket, &r);
	if (!err && r.rows >= KRL_MAX_BUCKETS)
		err = krl_pinned_each(bpffs, &krl_pinned_overflow, KRL_MAX_RULES, on_overflow, &r);
	return err;
}
