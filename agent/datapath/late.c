// SPDX-License-Identifier: Apache-2.0
#include "late.h"

#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* As the kernel's include/linux/errno.h has it: it reaches userspace, whose headers lack it. */
#define LINUX_ENOTSUPP 524

static const char *const names[KRL_LATE_COUNT] = {
	[KRL_LATE_INCOMING] = "krl_incoming",
	[KRL_LATE_RECOUNT] = "krl_recount",
	[KRL_LATE_SETTLE] = "krl_settle",
	[KRL_LATE_SEND] = "krl_send",
	[KRL_LATE_LLM] = "krl_stream_llm",
	[KRL_LATE_REPLY_LLM] = "krl_reply_llm",
};

int krl_late_leave_out(struct kmesh_rl *skel)
{
	struct bpf_program *program;
	enum krl_late which;
	int err = 0;

	for (which = 0; !err && which < KRL_LATE_COUNT; which++) {
		program = bpf_object__find_program_by_name(skel->obj, names[which]);
		err = program ? bpf_program__set_autoload(program, false) : -ENOENT;
	}
	/* Those of cross.h. */
	if (!err)
		err = bpf_program__set_autoload(skel->progs.krl_cross_in, false);
	return err ? err : bpf_program__set_autoload(skel->progs.krl_cross_out, false);
}

bool krl_late_is_refusal(int err)
{
	switch (err) {
	case -EINVAL:
	case -EACCES:
	case -EPERM:
	case -E2BIG:
	case -ENOTSUP:
	case -LINUX_ENOTSUPP:
		return true;
	default:
		return false;
	}
}

/* Both objects are of one file: their maps come in the same order. */
static int share_maps(struct bpf_object *obj, const struct bpf_object *with)
{
	const struct bpf_map *theirs = NULL;
	struct bpf_map *map;
	int err = 0;

	bpf_object__for_each_map(map, obj) {
		theirs = bpf_object__next_map(with, theirs);
		if (!err)
			err = bpf_map__reuse_fd(map, bpf_map__fd(theirs));
	}
	return err;
}

int krl_late_program(struct krl_datapath *dp, enum krl_late which)
{
	struct bpf_program *program;
	struct kmesh_rl *skel = dp->late[which];
	int err;

	if (!skel) {
		skel = kmesh_rl__open();
		if (!skel)
			return -errno;
		bpf_object__for_each_program(program, skel->obj)
			bpf_program__set_autoload(program, !strcmp(bpf_program__name(program), names[which]));
		err = share_maps(skel->obj, dp->skel->obj);
		if (!err) {
			err = kmesh_rl__load(skel);
			dp->refused = err;
			dp->refused_which = which;
		}
		if (err) {
			kmesh_rl__destroy(skel);
			return err;
		}
		dp->late[which] = skel;
	}
	return bpf_program__fd(bpf_object__find_program_by_name(skel->obj, names[which]));
}

int krl_late_error(const struct krl_datapath *dp, int err, const char *what, struct krl_error *ret_error)
{
	if (err != dp->refused || !krl_late_is_refusal(err))
		return krl_error_set(ret_error, -err, "%s: %s", what, strerror(-err));
	return krl_error_set(ret_error, ENOTSUP, "%s: the kernel refuses the program %s: %s", what,
			     names[dp->refused_which], err == -LINUX_ENOTSUPP ? "ENOTSUPP" : strerror(-err));
}

int krl_late_run(struct krl_datapath *dp, enum krl_late which, const void *packet, __u32 bytes)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = bytes, .repeat = 1);
	int fd = krl_late_program(dp, which), err;

	if (fd < 0)
		return fd;
	err = bpf_prog_test_run_opts(fd, &opts);
	return err ? err : (int)opts.retval;
}

void krl_late_close(struct krl_datapath *dp)
{
	enum krl_late which;

	for (which = 0; which < KRL_LATE_COUNT; which++)
		kmesh_rl__destroy(dp->late[which]);
}
