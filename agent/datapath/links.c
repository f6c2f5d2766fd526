// SPDX-License-Identifier: Apache-2.0
/* The programs that hang on the cgroup, by pinned links. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <kmesh_rl/pins.h>

#include "internal.h"

static const char *const pins[KRL_LINK_COUNT] = {
	[KRL_LINK_SOCKOPS] = KRL_PIN_SOCKOPS_LINK,
	[KRL_LINK_CONNECT4] = KRL_PIN_CONNECT4_LINK,
	[KRL_LINK_CONNECT6] = KRL_PIN_CONNECT6_LINK,
	[KRL_LINK_RELEASE] = KRL_PIN_RELEASE_LINK,
};

static struct bpf_program *program_of(const struct kmesh_rl *skel, enum krl_link which)
{
	switch (which) {
	case KRL_LINK_CONNECT4:
		return skel->progs.krl_connect4;
	case KRL_LINK_CONNECT6:
		return skel->progs.krl_connect6;
	case KRL_LINK_RELEASE:
		return skel->progs.krl_release_dial;
	default:
		return skel->progs.krl_sockops;
	}
}

/* BPF_F_BEFORE, which older headers do not have. */
#define KRL_LINK_BEFORE (1U << 3)

/* A link to @cgroup_fd, and its file descriptor, or -errno: before all others there where the kernel can, which is
 * from 6.17 on. What a socket dialled counts, not what another program made of it. */
static int make(const struct bpf_program *program, int cgroup_fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, before, .flags = KRL_LINK_BEFORE);
	enum bpf_attach_type type = bpf_program__expected_attach_type(program);
	int fd = bpf_link_create(bpf_program__fd(program), cgroup_fd, type, &before);

	return fd == -EINVAL ? bpf_link_create(bpf_program__fd(program), cgroup_fd, type, NULL) : fd;
}

/* The pinned link is switched to the new program, or made. */
static int attach(struct krl_datapath *dp, enum krl_link which, struct krl_error *ret_error)
{
	struct bpf_program *program = program_of(dp->skel, which);
	struct bpf_link **link = &dp->links[which];
	char path[PATH_MAX];
	int fd, err;

	snprintf(path, sizeof(path), "%s/%s", dp->bpffs, pins[which]);
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
	fd = make(program, dp->cgroup_fd);
	if (fd < 0)
		return krl_error_set(ret_error, -fd, "attaching %s to the cgroup: %s", bpf_program__name(program),
				     strerror(-fd));
	err = bpf_obj_pin(fd, path);
	if (!err)
		*link = bpf_link__open(path);
	if (!err && !*link)
		err = -errno;
	close(fd);
	return err ? krl_error_set(ret_error, -err, "pinning %s: %s", path, strerror(-err)) : 0;
}

int krl_links_attach(struct krl_datapath *dp, bool takes_over, struct krl_error *ret_error)
{
	char path[PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "%s/%s", dp->bpffs, pins[KRL_LINK_SOCKOPS]);
	if (!takes_over && dp->former_count && access(path, F_OK))
		return 0;
	err = dp->links[KRL_LINK_SOCKOPS] ? 0 : attach(dp, KRL_LINK_SOCKOPS, ret_error);
	return !err && dp->config->flags & KRL_CONFIG_DIALS ? krl_links_dial(dp, ret_error) : err;
}

int krl_links_dial(struct krl_datapath *dp, struct krl_error *ret_error)
{
	enum krl_link which;
	int err = 0;

	for (which = KRL_LINK_CONNECT4; !err && which < KRL_LINK_COUNT; which++)
		if (!dp->links[which])
			err = attach(dp, which, ret_error);
	if (!err)
		dp->config->flags |= KRL_CONFIG_DIALS;
	return err;
}

int krl_links_pin_reset(struct krl_datapath *dp, struct krl_error *ret_error)
{
	char path[PATH_MAX];
	int err;

	if (dp->resets)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", dp->bpffs, KRL_PIN_RESET);
	/* That of the agent before. */
	unlink(path);
	err = bpf_obj_pin(bpf_program__fd(dp->skel->progs.krl_reset), path);
	if (err)
		return krl_error_set(ret_error, -err, "pinning %s: %s", path, strerror(-err));
	dp->resets = true;
	return 0;
}

void krl_links_close(struct krl_datapath *dp)
{
	enum krl_link which;

	for (which = 0; which < KRL_LINK_COUNT; which++)
		bpf_link__destroy(dp->links[which]);
}
