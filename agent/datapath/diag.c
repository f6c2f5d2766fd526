// SPDX-License-Identifier: Apache-2.0
#include "diag.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>

#include "netns.h"

/* What the kernel puts into one answer (net/netlink/af_netlink.c, netlink_dump). */
#define ANSWER_BYTES 32768

/* Inside the kernel one that is half open has a state of its own (include/net/tcp_states.h, TCP_NEW_SYN_RECV). */
#define NEW_SYN_RECV 12

struct diag {
	__u64 netns_cookie;
	int (*fn)(void *ctx, const struct krl_diag_socket *socket);
	void *ctx;
	int err;
};

static void put_address(__u8 ret[16], int family, const __be32 addr[4])
{
	static const __u8 mapped[12] = { [10] = 0xff, 0xff };

	if (family == AF_INET6) {
		memcpy(ret, addr, 16);
		return;
	}
	memcpy(ret, mapped, sizeof(mapped));
	memcpy(ret + sizeof(mapped), addr, 4);
}

static int on_attribute(const struct nlattr *attribute, void *arg)
{
	struct krl_diag_socket *socket = arg;

	if (mnl_attr_get_type(attribute) == INET_DIAG_CGROUP_ID &&
	    mnl_attr_get_payload_len(attribute) == sizeof(socket->cgroup_id))
		socket->cgroup_id = mnl_attr_get_u64(attribute);
	return MNL_CB_OK;
}

static int on_message(const struct nlmsghdr *header, void *arg)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(header);
	struct krl_diag_socket socket = { 0 };
	struct diag *diag = arg;

	if (mnl_nlmsg_get_payload_len(header) < sizeof(*msg))
		return MNL_CB_OK;
	put_address(socket.flow.local, msg->idiag_family, msg->id.idiag_src);
	put_address(socket.flow.remote, msg->idiag_family, msg->id.idiag_dst);
	socket.flow.local_port = ntohs(msg->id.idiag_sport);
	socket.flow.remote_port = ntohs(msg->id.idiag_dport);
	socket.flow.netns_cookie = diag->netns_cookie;
	socket.cookie = (__u64)msg->id.idiag_cookie[1] << 32 | msg->id.idiag_cookie[0];
	socket.ifindex = msg->id.idiag_if;
	socket.state = msg->idiag_state;
	mnl_attr_parse(header, sizeof(*msg), on_attribute, &socket);
	diag->err = diag->fn(diag->ctx, &socket);
	return diag->err ? MNL_CB_ERROR : MNL_CB_OK;
}

/* Ask for the sockets of @family, and go over the answers. 0, what @diag->fn returned, or -errno. */
static int ask(struct mnl_socket *netlink, int family, __u32 states, struct diag *diag)
{
	char bytes[ANSWER_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *header = mnl_nlmsg_put_header(bytes);
	struct inet_diag_req_v2 *request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	unsigned int port = mnl_socket_get_portid(netlink), seq = family;
	ssize_t n;
	int more;

	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	header->nlmsg_seq = seq;
	*request = (struct inet_diag_req_v2){ .sdiag_family = family, .sdiag_protocol = IPPROTO_TCP,
					      .idiag_states = states };
	if (mnl_socket_sendto(netlink, header, header->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(netlink, bytes, sizeof(bytes));
		if (n < 0)
			return -errno;
		more = mnl_cb_run(bytes, n, seq, port, on_message, diag);
	} while (more > 0);
	if (more < 0)
		return diag->err ? diag->err : -errno;
	return 0;
}

int krl_diag_each(__u32 states, int (*fn)(void *ctx, const struct krl_diag_socket *socket), void *ctx)
{
	struct mnl_socket *netlink = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	struct diag diag = { .netns_cookie = krl_netns_cookie(), .fn = fn, .ctx = ctx };
	int err;

	if (!netlink)
		return -errno;
	if (states & KRL_DIAG_STATE(TCP_SYN_RECV))
		states |= KRL_DIAG_STATE(NEW_SYN_RECV);
	err = mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) ? -errno : 0;
	if (!err)
		err = ask(netlink, AF_INET, states, &diag);
	if (!err)
		err = ask(netlink, AF_INET6, states, &diag);
	mnl_socket_close(netlink);
	return err;
}

int krl_diag_run(const struct bpf_program *program, const struct krl_diag_socket *socket, void *packet, __u32 bytes,
		 __u32 *ret_said)
{
	/* A program finds a socket that is bound to a device from there alone. */
	struct __sk_buff skb = { .ifindex = socket->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = bytes, .data_out = packet,
		    .data_size_out = bytes, .ctx_in = &skb, .ctx_size_in = sizeof(skb), .repeat = 1);
	int err = bpf_prog_test_run_opts(bpf_program__fd(program), &opts);

	*ret_said = opts.retval;
	/* The device is gone, and with it the socket. */
	return err == -ENODEV ? 0 : err;
}
