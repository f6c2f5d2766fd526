/* SPDX-License-Identifier: Apache-2.0 */
/* Pins of agents of other versions, whose maps have another layout: they are moved into a directory of their own below
 * --bpffs, former_VERSION_NUMBER, and go on enforcing from there, since what is pinned does not know its name. */
#ifndef KMESH_RL_DATAPATH_FORMER_H
#define KMESH_RL_DATAPATH_FORMER_H

#include <stddef.h>

#include <linux/types.h>

/* At least as long as any of their names. */
#define KRL_FORMER_NAME_BYTES 32

/* Move what another version than this has pinned directly below @bpffs aside; *@ret_version is which, or 0: there was
 * nothing to move. Pins without a version are of an agent that was killed before it attached anything: they go. One that is
 * killed while it moves leaves the rest to the next one. The caller holds the lock on @bpffs. 0, or -errno. */
int krl_former_set_aside(const char *bpffs, __u32 *ret_version);

/* Call @fn with the name of each such directory, and its version, as long as that returns 0. Returns what @fn did, or
 * -errno; 0 also where there is no @bpffs. */
int krl_former_each(const char *bpffs, int (*fn)(void *ctx, const char *name, __u32 version), void *ctx);

/* Of which version's such a directory is by its @name. 0: it is none. */
__u32 krl_former_version(const char *name);

#endif
