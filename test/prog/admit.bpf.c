/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Taking from the buckets of values, as the datapath compiles it, in a program that test-run can run. */
#define KRL_DEFINE_MAPS
#include "bpf/maps.h"
#include "bpf/lib/admit.h"
#include "bpf/lib/match.h"
#include "test/prog/admit.h"
#include "test/prog/row.h"

TEST_ROW(struct test_admit_run, run);
TEST_ROW(struct krl_endpoint, test_endpoint);
TEST_ROW(struct krl_judge, test_judge);
TEST_ROW(struct krl_match, test_match);
TEST_ROW(struct krl_policy, test_policy);

struct taking {
	struct test_admit_run *run;
	const struct krl_endpoint *endpoint;
	struct krl_judge *judge;
	const struct krl_policy *policy;
	struct krl_match *match;
};

static __always_inline __u64 value_of(struct test_admit_run *r)
{
	if (r->whose == TEST_ADMIT_NEXT)
		return r->next++;
	if (r->whose == TEST_ADMIT_ONE)
		return 0;
	/* Knuth's MMIX generator. */
	r->random = r->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (r->random >> 32) % r->next;
}

static long take(__u32 i, void *ctx)
{
	struct taking *t = ctx;
	struct krl_judging judging = { .endpoint = t->endpoint, .judge = t->judge, .policy = t->policy,
				       .match = t->match };
	__u64 value = value_of(t->run) + 1;

	t->match->rules = 1;
	t->match->descriptors[0][0] = value;
	t->match->descriptors[0][1] = ~value;
	t->judge->now_ns = bpf_ktime_get_boot_ns();
	t->judge->n = 1;
	if (krl_admit(&judging))
		t->run->refused++;
	return 0;
}

SEC("tc")
int admit_many(struct __sk_buff *skb)
{
	struct taking t;
	__u32 zero = 0;

	t.run = bpf_map_lookup_elem(&run, &zero);
	t.endpoint = bpf_map_lookup_elem(&test_endpoint, &zero);
	t.judge = bpf_map_lookup_elem(&test_judge, &zero);
	t.policy = bpf_map_lookup_elem(&test_policy, &zero);
	t.match = bpf_map_lookup_elem(&test_match, &zero);
	if (!t.run || !t.endpoint || !t.judge || !t.policy || !t.match)
		return -1;
	return bpf_loop(t.run->takes, take, &t, 0) == t.run->takes ? 0 : -1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
