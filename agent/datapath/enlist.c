// SPDX-License-Identifier: Apache-2.0
/* The sockets whose servers' answers get header fields, of connections that were open already. */
#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "pass.h"

int krl_pass_enlist(struct krl_pass *p)
{
	union bpf_iter_link_info map = { .map.map_fd = bpf_map__fd(p->dp->skel->maps.krl_sockets) };
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &map, .link_info_len = sizeof(map));
	struct bpf_link *link = bpf_program__attach_iter(p->dp->skel->progs.krl_enlist, &opts);
	char none[64];
	ssize_t n;
	int fd;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0) {
		bpf_link__destroy(link);
		return fd;
	}
	/* It writes nothing: reading to the end walks over all of them. */
	do
		n = read(fd, none, sizeof(none));
	while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	n = n < 0 ? -errno : 0;
	close(fd);
	bpf_link__destroy(link);
	return n;
}
