// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The token bucket inside the kernel, for test-run: the header that the datapath uses, hammered. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/lib/bucket.h"
#include "test/prog/test_bucket.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct test_bucket_run);
} run SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct test_bucket_seen);
} seen SEC(".maps");

struct take_ctx {
	struct test_bucket_run *run;
	struct test_bucket_seen *seen;
};

static __always_inline __u64 clock_ns(const struct test_bucket_run *r, __u32 i)
{
	switch (r->clock) {
	case TEST_CLOCK_REAL:
		return bpf_ktime_get_boot_ns();
	case TEST_CLOCK_BACK:
		return r->clock_ns + 2 * (__u64)i - (i & 64 && i >= 100 ? 100 : 0);
	default:
		return r->clock_ns;
	}
}

/* As the datapath calls it: verified once, by itself. */
__noinline int rule_take(struct krl_bucket *b, const struct krl_settings *s, __u64 now_ns, __u64 n)
{
	return b && s ? krl_bucket_take(b, s, now_ns, n) : -1;
}

static long take(__u32 i, void *data)
{
	struct take_ctx *ctx = data;
	struct test_bucket_run *r = ctx->run;
	struct test_bucket_seen *s = ctx->seen;
	__u64 now_ns = clock_ns(r, i);
	__s64 tokens;

	if (krl_bucket_take(&r->bucket, &r->settings[r->which & 1], now_ns, r->n))
		s->refused++;
	else
		s->admitted++;
	if (!s->first_ns || now_ns < s->first_ns)
		s->first_ns = now_ns;
	if (now_ns > s->last_ns)
		s->last_ns = now_ns;
	tokens = KRL_READ_ONCE(r->bucket.tokens);
	if (tokens < s->least)
		s->least = tokens;
	if (tokens > s->most)
		s->most = tokens;
	return 0;
}

static __always_inline int rows(struct take_ctx *ret)
{
	__u32 zero = 0;

	ret->run = bpf_map_lookup_elem(&run, &zero);
	ret->seen = bpf_map_lookup_elem(&seen, &zero);
	return ret->run && ret->seen ? 0 : -1;
}

SEC("tc")
int take_one(struct __sk_buff *skb)
{
	struct take_ctx ctx;

	if (rows(&ctx))
		return -1;
	take(0, &ctx);
	return 0;
}

SEC("tc")
int take_many(struct __sk_buff *skb)
{
	struct take_ctx ctx;

	if (rows(&ctx))
		return -1;
	return bpf_loop(ctx.run->takes, take, &ctx, 0) == ctx.run->takes ? 0 : -1;
}

SEC("tc")
int give_back_one(struct __sk_buff *skb)
{
	struct take_ctx ctx;

	if (rows(&ctx))
		return -1;
	krl_bucket_give_back(&ctx.run->bucket, &ctx.run->settings[0], ctx.run->n);
	return 0;
}

/* For the benchmark: one take from a bucket that never runs dry, at the time it is. Returns 0
 * taken. */
struct krl_bucket hot = { .last_topup_ns = 1, .tokens = 1LL << 62 };
struct krl_settings hot_settings = { 1ULL << 62, 1ULL << 62, 1000000000 };

SEC("tc")
int take_hot(struct __sk_buff *skb)
{
	return rule_take(&hot, &hot_settings, bpf_ktime_get_boot_ns(), 1);
}

char _license[] SEC("license") = "Dual BSD/GPL";
