// SPDX-License-Identifier: Apache-2.0
/* The programs that hang on the cgroup, by pinned links. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <kmesh_rl/pins.h>

#include "internal.h"

static const char *const pins[KRL_LINK_COUNT] = {
	[KRL_LINK_SOCKOPS] = KRL_PIN_SOCKOPS_LINK,
	[KRL_LINK_CONNECT4] = KRL_PIN_CONNECT4_LINK,
	[KRL_LINK_CONNECT6] = KRL_PIN_CONNECT6_LINK,
};

static struct bpf_program *program_of(const struct kmesh_rl *skel, enum krl_link which)
{
	switch (which) {
	case KRL_LINK_CONNECT4:
		return skel->progs.krl_connect4;
	case KRL_LINK_CONNECT6:
		return skel->progs.krl_connect6;
	default:
		return skel->progs.krl_sockops;
	}
}

/* The pinned link is switched to the new program, or made. */
static int attach(struct krl_datapath *dp, enum krl_link which, const char *bpffs, int cgroup_fd,
		  struct krl_error *ret_error)
{
	struct bpf_program *program = program_of(dp->skel, which);
	struct bpf_link **link = &dp->links[which];
	char path[PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "%s/%s", bpffs, pins[which]);
	*link = bpf_link__open(path);
	if (*link) {
		err = bpf_link__update_program(*link, program);
		if (!err)
			return 0;
		/* Its cgroup is gone: a link to nothing cannot be switched. */
		unlink(path);
		bpf_link__destroy(*link);
		*link = NULL;
	}
	*link = bpf_program__attach_cgroup(program, cgroup_fd);
	if (!*link)
		return krl_error_set(ret_error, errno, "attaching %s to the cgroup: %s",
				     bpf_program__name(program), strerror(errno));
	err = bpf_link__pin(*link, path);
	if (err)
		return krl_error_set(ret_error, -err, "pinning %s: %s", path, strerror(-err));
	return 0;
}

int krl_links_attach(struct krl_datapath *dp, const char *bpffs, int cgroup_fd, struct krl_error *ret_error)
{
	enum krl_link which;
	int err = 0;

	for (which = 0; !err && which < KRL_LINK_COUNT; which++)
		err = attach(dp, which, bpffs, cgroup_fd, ret_error);
	return err;
}

void krl_links_close(struct krl_datapath *dp)
{
	enum krl_link which;

	for (which = 0; which < KRL_LINK_COUNT; which++)
		bpf_link__destroy(dp->links[which]);
}

void krl_links_unpin(const char *bpffs)
{
	char path[PATH_MAX];
	enum krl_link which;

	for (which = 0; which < KRL_LINK_COUNT; which++) {
		snprintf(path, sizeof(path), "%s/%s", bpffs, pins[which]);
		unlink(path);
	}
}
