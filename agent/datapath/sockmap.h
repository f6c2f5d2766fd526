/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that are run for each socket of a socket map. */
#ifndef KMESH_RL_DATAPATH_SOCKMAP_H
#define KMESH_RL_DATAPATH_SOCKMAP_H

#include <bpf/libbpf.h>
#include <linux/types.h>

/* Run @program, one of type tc, for each socket that was in @map when this began, with the key, its cookie, as the packet,
 * and call @fn with what it returned. 0, or -errno. */
int krl_sockmap_each(const struct bpf_program *program, const struct bpf_map *map, void (*fn)(void *ctx, __u32 said),
		     void *ctx);

#endif
