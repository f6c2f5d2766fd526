// SPDX-License-Identifier: Apache-2.0
/* What the kernel can do of what is needed, one by one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "inspect.h"

#define JIT "/proc/sys/net/core/bpf_jit_enable"

enum probe { PROGRAM, MAP, HELPER, VERDICT, JITTED, BEFORE };

static const struct {
	struct krl_inspect_feature feature;
	enum probe probe;
	int type;		/* of the program, or map */
	enum bpf_func_id helper;
} features[] = {
	{ { "sock_ops", "connections are enrolled by it (CONFIG_CGROUP_BPF=y)", false, 0 }, PROGRAM, BPF_PROG_TYPE_SOCK_OPS, 0 },
	{ { "sk_skb", "requests are judged by it (CONFIG_BPF_STREAM_PARSER=y)", false, 0 }, PROGRAM, BPF_PROG_TYPE_SK_SKB, 0 },
	{ { "sk_msg", "fields are put on answers by it (CONFIG_BPF_STREAM_PARSER=y)", false, 0 }, PROGRAM,
	  BPF_PROG_TYPE_SK_MSG, 0 },
	{ { "cgroup_sock_addr", "connections that go out are judged by it (CONFIG_CGROUP_BPF=y)", false, 0 }, PROGRAM,
	  BPF_PROG_TYPE_CGROUP_SOCK_ADDR, 0 },
	{ { "sk_lookup", "connections that come in are judged by it (CONFIG_INET=y)", false, 0 }, PROGRAM,
	  BPF_PROG_TYPE_SK_LOOKUP, 0 },
	{ { "sched_cls", "open connections are taken in by it (CONFIG_NET=y)", false, 0 }, PROGRAM, BPF_PROG_TYPE_SCHED_CLS, 0 },
	{ { "sockhash", "it holds the sockets", false, 0 }, MAP, BPF_MAP_TYPE_SOCKHASH, 0 },
	{ { "lru_hash", "it holds values for people", false, 0 }, MAP, BPF_MAP_TYPE_LRU_HASH, 0 },
	{ { "queue", "answers wait in it", false, 0 }, MAP, BPF_MAP_TYPE_QUEUE, 0 },
	{ { "ringbuf", "the agent is told through it", false, 0 }, MAP, BPF_MAP_TYPE_RINGBUF, 0 },
	{ { "sk_storage", "it holds what a socket dialled", false, 0 }, MAP, BPF_MAP_TYPE_SK_STORAGE, 0 },
	{ { "prog_array", "programs go on in others by it", false, 0 }, MAP, BPF_MAP_TYPE_PROG_ARRAY, 0 },
	{ { "bpf_loop", "heads are walked over by it (5.17)", false, 0 }, HELPER, BPF_PROG_TYPE_SK_SKB, BPF_FUNC_loop },
	{ { "bpf_for_each_map_elem", "events that were lost are made up for by it (5.13)", false, 0 }, HELPER,
	  BPF_PROG_TYPE_SK_SKB, BPF_FUNC_for_each_map_elem },
	{ { "bpf_msg_push_data", "fields are put on answers by it", false, 0 }, HELPER, BPF_PROG_TYPE_SK_MSG,
	  BPF_FUNC_msg_push_data },
	{ { "bpf_set_retval", "connect() fails as a rule says by it (5.18)", false, 0 }, HELPER,
	  BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval },
	{ { "verdict", "a program may be attached to sockets without a parser (CONFIG_BPF_STREAM_PARSER=y)", false, 0 },
	  VERDICT, 0, 0 },
	{ { "jit", "programs run as machine code: without it each request costs several times as much (`sysctl "
	    "net.core.bpf_jit_enable=1`)", true, 0 }, JITTED, 0, 0 },
	{ { "link_before", "programs at connect() run before those of others on their cgroup (6.17)", true, 0 }, BEFORE, 0, 0 },
};

_Static_assert(sizeof(features) / sizeof(*features) <= KRL_INSPECT_FEATURES, "room for every feature");

/* A program that does nothing. A file descriptor, or -errno. */
static int load_nothing(enum bpf_prog_type type, enum bpf_attach_type place)
{
	static const struct bpf_insn instructions[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = place);

	return bpf_prog_load(type, "krl_probe", "GPL", instructions, sizeof(instructions) / sizeof(*instructions),
			     &options);
}

static int probe_verdict(void)
{
	int map, program, err;

	program = load_nothing(BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_VERDICT);
	if (program < 0)
		return program;
	map = bpf_map_create(BPF_MAP_TYPE_SOCKHASH, "krl_probe", 8, 8, 1, NULL);
	err = map < 0 ? map : bpf_prog_attach(program, map, BPF_SK_SKB_VERDICT, 0);
	if (!err)
		bpf_prog_detach2(program, map, BPF_SK_SKB_VERDICT);
	if (map >= 0)
		close(map);
	close(program);
	return err == -EPERM ? err : !err;
}

/* From 1 on programs are compiled; where that is the only way, the file may not be there. */
static int probe_jit(void)
{
	FILE *file = fopen(JIT, "re");
	int level = 1;

	if (!file)
		return errno == ENOENT ? 1 : -errno;
	if (fscanf(file, "%d", &level) != 1)
		level = 1;
	fclose(file);
	return level > 0;
}

/* A flag that is not known is refused before the cgroup is looked at. BPF_F_BEFORE, which older headers do not have. */
static int probe_before(void)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = 1U << 3);
	int program = load_nothing(BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS), link;

	if (program < 0)
		return program;
	link = bpf_link_create(program, -1, BPF_CGROUP_SOCK_OPS, &options);
	if (link >= 0)
		close(link);
	close(program);
	return link != -EINVAL;
}

static int probe(size_t i)
{
	switch (features[i].probe) {
	case PROGRAM:
		return libbpf_probe_bpf_prog_type(features[i].type, NULL);
	case MAP:
		return libbpf_probe_bpf_map_type(features[i].type, NULL);
	case HELPER:
		return libbpf_probe_bpf_helper(features[i].type, features[i].helper, NULL);
	case VERDICT:
		return probe_verdict();
	case JITTED:
		return probe_jit();
	default:
		return probe_before();
	}
}

static int print_nothing(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return 0;
}

size_t krl_inspect_features(struct krl_inspect_feature ret[KRL_INSPECT_FEATURES])
{
	size_t count = sizeof(features) / sizeof(*features), i;

	libbpf_set_print(print_nothing);
	/* Without rights the kernel says of nothing that it is there. */
	for (i = 0; i < count; i++) {
		ret[i] = features[i].feature;
		ret[i].there = geteuid() ? -EPERM : probe(i);
	}
	return count;
}
