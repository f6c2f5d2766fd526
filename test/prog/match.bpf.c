/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Selectors, as the datapath compiles them, in a program that test-run can run. */
#define KRL_DEFINE_MAPS
#include "bpf/maps.h"
#include "bpf/lib/scan.h"
#include "bpf/lib/tiers.h"
#include "test/prog/row.h"

/* The connection that the packets of a test belong to, one after another. */
TEST_ROW(struct krl_conn, test_conn);
TEST_ROW(struct krl_match, test_match);
TEST_ROW(struct krl_policy, test_policy);

static long match_head(__u32 i, void *ctx)
{
	struct krl_scanning *scanning = ctx;
	__u32 heads = scanning->conn->scan.heads;

	krl_scan_on(scanning);
	if (scanning->conn->scan.heads == heads || !scanning->match || !scanning->policy)
		return 1;
	krl_match_end(scanning->match, scanning->policy);
	return 0;
}

SEC("tc")
int match_packet(struct __sk_buff *skb)
{
	struct krl_scanning scanning = { .bytes = skb };
	__u32 zero = 0;

	scanning.conn = bpf_map_lookup_elem(&test_conn, &zero);
	scanning.match = bpf_map_lookup_elem(&test_match, &zero);
	scanning.policy = bpf_map_lookup_elem(&test_policy, &zero);
	if (!scanning.conn || !scanning.match || !scanning.policy)
		return 0;
	krl_scan_begin(skb, scanning.conn);
	bpf_loop(KRL_SCAN_STEPS, match_head, &scanning, 0);
	krl_scan_done(scanning.conn);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
