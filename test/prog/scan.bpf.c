/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The walk over an skb and the writing of an answer, as the datapath compiles them, in a program that
 * test-run can run: sk_skb programs cannot be. */
#define KRL_DEFINE_MAPS
#include "bpf/maps.h"
#include "bpf/lib/answer.h"
#include "bpf/lib/scan.h"

/* The connection that the packets of a test belong to, one after another. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct krl_conn);
} test_conn SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct krl_answer_text);
} test_text SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct krl_form);
} test_form SEC(".maps");

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

struct writing {
	struct krl_answer_text *text;
	struct krl_form *form;
	struct krl_conn *conn;
};

static long write_piece(__u32 i, void *ctx)
{
	struct writing *w = ctx;

	return krl_answer_piece(w->text, w->form, &w->conn->answer, i);
}

SEC("tc")
int write_answer(struct __sk_buff *skb)
{
	struct writing w;
	__u32 zero = 0;

	w.conn = bpf_map_lookup_elem(&test_conn, &zero);
	w.text = bpf_map_lookup_elem(&test_text, &zero);
	w.form = bpf_map_lookup_elem(&test_form, &zero);
	if (w.conn && w.text && w.form)
		bpf_loop(w.form->piece_count, write_piece, &w, 0);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
