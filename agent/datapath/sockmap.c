// SPDX-License-Identifier: Apache-2.0
#include "sockmap.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "agent/base/vec.h"

/* A packet of the least length that a test run takes. */
union packet {
	__u64 cookie;
	char bytes[64];
};

/* What the map holds, to be freed. The walk over a map begins anew where the key is gone, and so may the rows be more than
 * those there are: not more than there is room for. */
static int read_keys(const struct bpf_map *map, __u64 **ret, size_t *ret_count)
{
	__u32 room = bpf_map__max_entries(map);
	int fd = bpf_map__fd(map);
	__u64 next, *added;
	bool more = !bpf_map_get_next_key(fd, NULL, &next);

	while (more && *ret_count < room) {
		added = krl_vec_add(ret, ret_count);
		if (!added)
			return -ENOMEM;
		*added = next;
		more = !bpf_map_get_next_key(fd, added, &next);
	}
	return 0;
}

int krl_sockmap_each(const struct bpf_program *program, const struct bpf_map *map, void (*fn)(void *ctx, __u32 said),
		     void *ctx)
{
	union packet packet = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &packet, .data_size_in = sizeof(packet), .repeat = 1);
	__u64 *keys = NULL;
	size_t count = 0, i;
	int err = read_keys(map, &keys, &count);

	for (i = 0; !err && i < count; i++) {
		packet.cookie = keys[i];
		err = bpf_prog_test_run_opts(bpf_program__fd(program), &opts);
		if (!err)
			fn(ctx, opts.retval);
	}
	free(keys);
	return err;
}
