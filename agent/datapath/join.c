// SPDX-License-Identifier: Apache-2.0
/* Taking in the connections that were open before their endpoint was protected. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "netns.h"
#include "pass.h"

/* A packet of the least length that a test run takes. */
union join_packet {
	struct krl_open open;
	char bytes[64];
};

static int join_one(struct krl_pass *p, const struct krl_open *open)
{
	union join_packet packet = { .open = *open };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &packet, .data_size_in = sizeof(packet), .repeat = 1);
	int err = bpf_prog_test_run_opts(bpf_program__fd(p->dp->skel->progs.krl_join), &opts);

	if (!err && opts.retval == KRL_JOINED)
		p->result.connections_joined++;
	if (!err && opts.retval == KRL_JOINED_BLOCKS)
		p->result.connections_left_out++;
	return err;
}

/* What krl_find wrote, whole records each time. */
static int join_all(struct krl_pass *p, int fd)
{
	struct krl_open open[64];
	ssize_t n, i;
	int err = 0;

	while (!err) {
		n = read(fd, open, sizeof(open));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		for (i = 0; !err && i < n / (ssize_t)sizeof(*open); i++)
			err = join_one(p, &open[i]);
	}
	return err;
}

/* In the network namespace that the agent is in now. */
static int join_here(void *ctx)
{
	struct krl_pass *p = ctx;
	struct bpf_link *link = bpf_program__attach_iter(p->dp->skel->progs.krl_find, NULL);
	int fd, err;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	err = fd < 0 ? fd : join_all(p, fd);
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(link);
	return err;
}

int krl_pass_join(struct krl_pass *p)
{
	return krl_netns_each(join_here, p);
}
