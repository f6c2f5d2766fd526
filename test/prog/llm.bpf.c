/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The bodies of requests to model servers and of their answers, read in programs that test-run can run. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "test/prog/llm.h"
#include "test/prog/row.h"

/* No packet takes more steps. */
#define STEPS 65536

TEST_ROW(struct test_llm, test_llm);

struct reading {
	struct __sk_buff *skb;
	struct test_llm *row;
};

/* Have the window begin where the walk is. Returns 0; or 1 at the end of the packet. */
static __always_inline long fill(struct reading *r)
{
	struct test_llm *row = r->row;
	__u32 n = r->skb->len - row->off;

	if (!n || row->off > r->skb->len)
		return 1;
	if (n > KRL_HTTP_WINDOW_BYTES)
		n = KRL_HTTP_WINDOW_BYTES;
	n = KRL_BOUNDED(n, KRL_HTTP_WINDOW_BYTES);
	if (bpf_skb_load_bytes(r->skb, row->off, row->window.bytes, n))
		return 1;
	row->start = row->off;
	row->have = n;
	return 0;
}

static long request_step(__u32 i, void *ctx)
{
	struct test_llm *row = ((struct reading *)ctx)->row;
	__u32 at = row->off - row->start;

	if (at >= row->have)
		return fill(ctx);
	row->off += krl_llm_request_step(&row->request, &row->window, at, row->have) & 0xffff;
	return 0;
}

static long usage_step(__u32 i, void *ctx)
{
	struct test_llm *row = ((struct reading *)ctx)->row;
	__u32 at = row->off - row->start;

	if (at >= row->have || (at && row->have == KRL_HTTP_WINDOW_BYTES && krl_llm_usage_begins(&row->usage)))
		return fill(ctx);
	row->off += krl_llm_usage_step(&row->usage, &row->window, at, row->have);
	return 0;
}

static __always_inline struct test_llm *begin(void)
{
	__u32 zero = 0;
	struct test_llm *row = bpf_map_lookup_elem(&test_llm, &zero);

	if (!row)
		return 0;
	row->off = row->start = row->have = 0;
	if (row->again) {
		__builtin_memset(&row->request, 0, sizeof(row->request));
		__builtin_memset(&row->usage, 0, sizeof(row->usage));
	}
	return row;
}

SEC("tc")
int read_request(struct __sk_buff *skb)
{
	struct reading reading = { .skb = skb, .row = begin() };

	if (reading.row)
		bpf_loop(STEPS, request_step, &reading, 0);
	return 0;
}

SEC("tc")
int read_usage(struct __sk_buff *skb)
{
	struct reading reading = { .skb = skb, .row = begin() };

	if (reading.row)
		bpf_loop(STEPS, usage_step, &reading, 0);
	return 0;
}

/* What reading takes without any looking. */
static long copy_step(__u32 i, void *ctx)
{
	struct test_llm *row = ((struct reading *)ctx)->row;

	if (fill(ctx))
		return 1;
	row->off += row->have;
	return 0;
}

SEC("tc")
int copy_alone(struct __sk_buff *skb)
{
	struct reading reading = { .skb = skb, .row = begin() };

	if (reading.row)
		bpf_loop(STEPS, copy_step, &reading, 0);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
