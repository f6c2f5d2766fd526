/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an answer costs, in a program that test-run can run. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "test/prog/cost.h"
#include "test/prog/row.h"

TEST_ROW(struct test_cost, test_cost);

static __always_inline struct test_cost *row(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&test_cost, &zero);
}

SEC("tc")
int evaluate(struct __sk_buff *skb)
{
	struct test_cost *r = row();

	if (r)
		krl_cost_eval(&r->cost, &r->tokens, &r->model, &r->run);
	return 0;
}

/* What there is without it. */
SEC("tc")
int look_up_alone(struct __sk_buff *skb)
{
	struct test_cost *r = row();

	if (r)
		r->run.tokens = r->tokens.total;
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
