/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The walk over an skb and the writing of an answer, as the datapath compiles them, in a program that
 * test-run can run: sk_skb programs cannot be. */
#define KRL_DEFINE_MAPS
#include "bpf/maps.h"
#include "bpf/lib/form.h"
#include "bpf/lib/scan.h"
#include "test/prog/row.h"

/* The connection that the packets of a test belong to, one after another. */
TEST_ROW(struct krl_conn, test_conn);
TEST_ROW(struct krl_answer_text, test_text);
TEST_ROW(struct krl_form, test_form);

SEC("tc")
int scan_packet(struct __sk_buff *skb)
{
	struct krl_conn *conn;
	__u32 zero = 0;

	conn = bpf_map_lookup_elem(&test_conn, &zero);
	if (conn)
		krl_scan(skb, conn);
	return 0;
}

SEC("tc")
int write_answer(struct __sk_buff *skb)
{
	struct krl_answer_text *text;
	struct krl_form *form;
	struct krl_conn *conn;
	__u32 zero = 0;

	conn = bpf_map_lookup_elem(&test_conn, &zero);
	text = bpf_map_lookup_elem(&test_text, &zero);
	form = bpf_map_lookup_elem(&test_form, &zero);
	if (conn && text && form)
		krl_write_form(text, form, &conn->answer);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
