// SPDX-License-Identifier: Apache-2.0
/* The sockets of clients whose requests are judged as they go out. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "internal.h"
#include "late.h"

/* For one byte over loopback. */
#define WAIT_MS 2000

/* Of no socket: cookies are counted up from 1. */
static const __u64 probe_key = ~0ULL;

static int connect_pair(int *ret_client, int *ret_server)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server = -1;

	if (listener >= 0 && client >= 0 && !bind(listener, (struct sockaddr *)&address, len) &&
	    !listen(listener, 1) && !getsockname(listener, (struct sockaddr *)&address, &len) &&
	    !connect(client, (struct sockaddr *)&address, len))
		server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (listener >= 0)
		close(listener);
	if (server < 0) {
		if (client >= 0)
			close(client);
		return -1;
	}
	*ret_client = client;
	*ret_server = server;
	return 0;
}

/* Does the kernel tell how much there is to read on a socket of krl_senders (FIONREAD)? A connection over loopback is
 * asked. false also when that could not be found out. */
static bool is_fionread_known(struct krl_datapath *dp)
{
	int map = bpf_map__fd(dp->skel->maps.krl_senders), client, server, waiting = 0;
	struct pollfd poll_in = { .events = POLLIN };
	__u64 fd;

	if (connect_pair(&client, &server))
		return false;
	fd = client;
	poll_in.fd = client;
	if (!bpf_map_update_elem(map, &probe_key, &fd, BPF_ANY)) {
		if (send(server, "x", 1, MSG_NOSIGNAL) != 1 || poll(&poll_in, 1, WAIT_MS) != 1 ||
		    ioctl(client, FIONREAD, &waiting))
			waiting = 0;
		bpf_map_delete_elem(map, &probe_key);
	}
	close(client);
	close(server);
	return waiting == 1;
}

int krl_senders_open(struct krl_datapath *dp)
{
	int fd;

	if (krl_late_is_there(dp, KRL_LATE_SEND))
		return 0;
	fd = krl_late_program(dp, KRL_LATE_SEND);
	if (fd < 0)
		return fd;
	if (bpf_prog_attach(fd, bpf_map__fd(dp->skel->maps.krl_senders), BPF_SK_MSG_VERDICT, 0))
		return -errno;
	if (is_fionread_known(dp))
		dp->config->flags &= ~KRL_CONFIG_RECEIVERS;
	else
		dp->config->flags |= KRL_CONFIG_RECEIVERS;
	return 0;
}
