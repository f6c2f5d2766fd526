// SPDX-License-Identifier: Apache-2.0
#include "spent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "internal.h"
#include "late.h"

#define MEASURING "/proc/sys/kernel/bpf_stats_enabled"

int krl_datapath_measure(struct krl_datapath *dp)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (fd < 0)
		return fd;
	dp->measure_fd = fd;
	return 0;
}

/* The first bytes of a small file, as text; false when it cannot be read. */
static bool read_text(const char *path, char *ret, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, ret, size - 1);

	if (fd >= 0)
		close(fd);
	if (got < 0)
		return false;
	ret[got] = '\0';
	return true;
}

static bool is_measured(const struct krl_datapath *dp)
{
	char text[16];

	return dp->measure_fd >= 0 || (read_text(MEASURING, text, sizeof(text)) && *text == '1');
}

static void add_programs(const struct bpf_object *obj, struct krl_spent *ret)
{
	struct bpf_program *program;
	struct bpf_prog_info info;
	__u32 bytes;
	int fd;

	bpf_object__for_each_program(program, obj) {
		fd = bpf_program__fd(program);
		memset(&info, 0, sizeof(info));
		bytes = sizeof(info);
		if (fd < 0 || ret->program_count == KRL_SPENT_PROGRAMS || bpf_obj_get_info_by_fd(fd, &info, &bytes))
			continue;
		ret->programs[ret->program_count++] = (struct krl_spent_program){ bpf_program__name(program),
										  info.run_time_ns, info.run_cnt };
	}
}

/* Of the objects that are loaded late each has one program. */
static void read_programs(const struct krl_datapath *dp, struct krl_spent *ret)
{
	enum krl_late which;

	ret->program_count = 0;
	ret->measured = is_measured(dp);
	if (!ret->measured)
		return;
	add_programs(dp->skel->obj, ret);
	for (which = 0; which < KRL_LATE_COUNT; which++)
		if (krl_late_is_there(dp, which))
			add_programs(dp->late[which]->obj, ret);
}

static bool map_bytes(int fd, __u64 *ret)
{
	static const char field[] = "memlock:";
	unsigned long long bytes;
	char path[64], text[1024];
	const char *at;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	at = read_text(path, text, sizeof(text)) ? strstr(text, field) : NULL;
	if (!at || sscanf(at + strlen(field), "%llu", &bytes) != 1)
		return false;
	*ret = bytes;
	return true;
}

void krl_datapath_spent(const struct krl_datapath *dp, struct krl_spent *ret)
{
	const struct bpf_map *map;
	__u64 bytes;

	read_programs(dp, ret);
	ret->map_count = 0;
	bpf_object__for_each_map(map, dp->skel->obj) {
		/* Those of constants have no name of their own. */
		if (strncmp(bpf_map__name(map), "krl_", 4) || ret->map_count == KRL_SPENT_MAPS ||
		    !map_bytes(bpf_map__fd(map), &bytes))
			continue;
		ret->maps[ret->map_count++] = (struct krl_spent_map){ bpf_map__name(map), bytes };
	}
}

bool krl_datapath_run_ns(const struct krl_datapath *dp, __u64 *ret_ns)
{
	struct krl_spent spent;
	size_t i;

	read_programs(dp, &spent);
	for (*ret_ns = 0, i = 0; i < spent.program_count; i++)
		*ret_ns += spent.programs[i].run_ns;
	return spent.measured;
}
