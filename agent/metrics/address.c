// SPDX-License-Identifier: Apache-2.0
/* Where the server listens. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "listen.h"
#include "server.h"

#define BACKLOG 128

static int parse_port(const char *text, int *ret)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || port > 65535)
		return -EINVAL;
	*ret = (int)port;
	return 0;
}

int krl_metrics_address(const char *text, struct sockaddr_storage *ret)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	struct sockaddr_storage address = { 0 };
	char buffer[64];
	int port, err;

	if (!colon || parse_port(colon + 1, &port) || len >= sizeof(buffer))
		return -EINVAL;
	if (len >= 2 && *host == '[' && host[len - 1] == ']') {
		snprintf(buffer, sizeof(buffer), "%.*s", (int)len - 2, host + 1);
		err = uv_ip6_addr(buffer, port, (struct sockaddr_in6 *)&address);
	} else {
		snprintf(buffer, sizeof(buffer), "%.*s", (int)len, host);
		if (!len)
			err = uv_ip6_addr("::", port, (struct sockaddr_in6 *)&address);
		else
			err = uv_ip4_addr(strcmp(buffer, "localhost") ? buffer : "127.0.0.1", port,
					  (struct sockaddr_in *)&address);
	}
	if (err)
		return -EINVAL;
	*ret = address;
	return 0;
}

static socklen_t bytes_of(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static int bind_to(const struct sockaddr_storage *address, int *ret_fd)
{
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, off = 0, err;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (address->ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off))) ||
	    bind(fd, (const struct sockaddr *)address, bytes_of(address)) || listen(fd, BACKLOG)) {
		err = -errno;
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

int krl_metrics_listen(const char *text, int *ret_fd)
{
	struct sockaddr_storage address;
	int err = krl_metrics_address(text, &address);

	if (err)
		return err;
	err = bind_to(&address, ret_fd);
	/* Where there is no IPv6, all addresses are those of IPv4. */
	if (*text != ':' || (err != -EAFNOSUPPORT && err != -EADDRNOTAVAIL))
		return err;
	((struct sockaddr_in *)&address)->sin_port = ((struct sockaddr_in6 *)&address)->sin6_port;
	address.ss_family = AF_INET;
	((struct sockaddr_in *)&address)->sin_addr.s_addr = INADDR_ANY;
	return bind_to(&address, ret_fd);
}

void krl_metrics_where_is(int fd, char *ret, size_t size)
{
	struct sockaddr_storage address = { 0 };
	socklen_t bytes = sizeof(address);
	char host[64] = "";

	getsockname(fd, (struct sockaddr *)&address, &bytes);
	uv_ip_name((struct sockaddr *)&address, host, sizeof(host));
	snprintf(ret, size, address.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host,
		 ntohs(((struct sockaddr_in *)&address)->sin_port));
}

bool krl_metrics_is_local(const struct sockaddr *address)
{
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;

	if (address->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return address->sa_family == AF_INET6 &&
	       (IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == IN_LOOPBACKNET));
}
