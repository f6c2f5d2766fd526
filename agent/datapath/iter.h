/* SPDX-License-Identifier: Apache-2.0 */
/* Running the iterators of the datapath. */
#ifndef KMESH_RL_DATAPATH_ITER_H
#define KMESH_RL_DATAPATH_ITER_H

#include <stdbool.h>
#include <stddef.h>

#include <bpf/libbpf.h>

/* Run @program over the sockets of the network namespace that the agent is in, or of @map, and call @fn for each record
 * of @size bytes, 1 to 4096, that it writes, until one call does not return 0. Returns what the last call did, 0 or
 * -errno. */
int krl_iter_each(struct bpf_program *program, const struct bpf_map *map, size_t size,
		  int (*fn)(void *ctx, const void *record), void *ctx);

/* Run @program over the sockets of the network namespace that the agent is in, up to the first byte that it writes. Is
 * there one? */
bool krl_iter_any(struct bpf_program *program);

#endif
