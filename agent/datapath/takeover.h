/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over from agents of other versions, whose pins former.h has moved aside. Their programs enforce until the rules of
 * this agent's first sync are in force; then what is attached of them goes, and their connections come over into the maps of
 * this version as soon as they rest. Buckets and counters do not. */
#ifndef KMESH_RL_DATAPATH_TAKEOVER_H
#define KMESH_RL_DATAPATH_TAKEOVER_H

#include "internal.h"

/* Note what there is to take over. 0, or -errno. */
int krl_takeover_find(struct krl_datapath *dp);

/* Is the socket @cookie with the programs of another version still? */
bool krl_takeover_waits(const struct krl_datapath *dp, __u64 cookie);

/* Forget what was noted; the pins stay for the next agent. */
void krl_takeover_forget(struct krl_datapath *dp);

/* Go on with what could not be taken over at once, on @loop until krl_takeover_close(), before @dp is closed. 0, or
 * -ENOMEM. */
struct krl_takeover;

int krl_takeover_open(struct krl_datapath *dp, uv_loop_t *loop, struct krl_takeover **ret);
/* Accepts NULL. */
void krl_takeover_close(struct krl_takeover *takeover);

#endif
