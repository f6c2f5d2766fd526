// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The least that programs on a socket can do, beside which kmesh-rl's are measured: what is left of a rate, or of the
 * CPU, is the kernel's own part and that of the peers. Three ports, see least.py: a server's answers are passed on; they
 * have 64 constant bytes put into their heads; a client's requests are turned into a constant answer. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* as in least.py */
#define LEAST_PASS 18470
#define LEAST_TELL 18471
#define LEAST_REFUSE 18472

#define STATUS_LINE 17 /* "HTTP/1.1 200 OK\r\n" */

struct sockets {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 1024);
	__type(key, __u32); /* the client's port, host order */
	__type(value, __u64);
};

struct sockets passed SEC(".maps");
struct sockets told SEC(".maps");
struct sockets refused SEC(".maps");

const char fields[64] = "X-RateLimit-Limit: 1000000000\r\nX-RateLimit-Remaining: 99999999\r\n";

const char answer[] = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain; charset=utf-8\r\n"
			     "Content-Length: 18\r\nRetry-After: 31536000\r\nX-RateLimit-Limit: 1\r\n"
			     "X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1795000000\r\n\r\nToo Many Requests\n";

#define ANSWER_BYTES (sizeof(answer) - 1)

SEC("sockops")
int least_enrol(struct bpf_sock_ops *ops)
{
	__u32 server = ops->local_port, client = bpf_ntohl(ops->remote_port);

	if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && server == LEAST_PASS)
		bpf_sock_hash_update(ops, &passed, &client, BPF_ANY);
	else if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && server == LEAST_TELL)
		bpf_sock_hash_update(ops, &told, &client, BPF_ANY);
	else if (ops->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB && client == LEAST_REFUSE)
		bpf_sock_hash_update(ops, &refused, &server, BPF_ANY);
	return 1;
}

SEC("sk_msg")
int least_pass(struct sk_msg_md *msg)
{
	return SK_PASS;
}

SEC("sk_msg")
int least_tell(struct sk_msg_md *msg)
{
	char *data = (char *)(long)msg->data;

	if (data + STATUS_LINE > (char *)(long)msg->data_end || data[0] != 'H' || data[4] != '/')
		return SK_PASS;
	if (bpf_msg_push_data(msg, STATUS_LINE, sizeof(fields), 0) ||
	    bpf_msg_pull_data(msg, 0, STATUS_LINE + sizeof(fields), 0))
		return SK_DROP;
	data = (char *)(long)msg->data;
	if (data + STATUS_LINE + sizeof(fields) > (char *)(long)msg->data_end)
		return SK_DROP;
	__builtin_memcpy(data + STATUS_LINE, fields, sizeof(fields));
	return SK_PASS;
}

SEC("sk_msg")
int least_refuse(struct sk_msg_md *msg)
{
	__u32 client = msg->local_port, size = msg->size;
	char *data;

	if (bpf_msg_push_data(msg, 0, ANSWER_BYTES, 0) || bpf_msg_pop_data(msg, ANSWER_BYTES, size, 0))
		return SK_DROP;
	data = (char *)(long)msg->data;
	if (data + ANSWER_BYTES > (char *)(long)msg->data_end)
		return SK_DROP;
	__builtin_memcpy(data, answer, ANSWER_BYTES);
	return bpf_msg_redirect_hash(msg, &refused, &client, BPF_F_INGRESS);
}

char _license[] SEC("license") = "Dual BSD/GPL";
