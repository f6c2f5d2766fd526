/* SPDX-License-Identifier: Apache-2.0 */
/* Lines in the agent's log for what was limited: one of a rule in ten seconds at most, which tells of the last event, and
 * of how many requests since the line before. */
#ifndef KMESH_RL_CONTROL_EVENTS_LOG_H
#define KMESH_RL_CONTROL_EVENTS_LOG_H

#include <jansson.h>
#include <uv.h>

#include <kmesh_rl/abi.h>

struct krl_events_log;

/* 0, or -ENOMEM. */
int krl_events_log_open(uv_loop_t *loop, struct krl_events_log **ret);
/* What waits is logged. Accepts NULL. */
void krl_events_log_close(struct krl_events_log *log);

/* @item, as krl_events_json() has it, is an event of the rule @rule_id in row @slot, below KRL_MAX_RULES. */
void krl_events_log_add(struct krl_events_log *log, __u32 slot, __u32 rule_id, json_t *item);

#endif
