/* SPDX-License-Identifier: Apache-2.0 */
/* The requests and connections that were limited last: in the agent's memory for whoever asks, and in its log. */
#ifndef KMESH_RL_CONTROL_EVENTS_H
#define KMESH_RL_CONTROL_EVENTS_H

#include <jansson.h>
#include <uv.h>

#include "agent/datapath/reports.h"

/* That are kept. */
#define KRL_EVENTS_KEPT 512

struct krl_events;

/* Log on @loop until krl_events_close(). 0, or -ENOMEM. */
int krl_events_open(uv_loop_t *loop, struct krl_events **ret);
/* Accepts NULL. */
void krl_events_close(struct krl_events *events);

/* Keep and log what is @reported. Of one rule there is a line in ten seconds at most. */
void krl_events_add(struct krl_events *events, const struct krl_reported *reported);

/* Remember none of those until now. */
void krl_events_forget(struct krl_events *events);

/* {"instance", "last", "items": [...]} with those whose sequence is above @after, oldest first; docs/events.md has the
 * fields. "instance" is another one in another process, and "last" the sequence of the newest. @events may be NULL. Returns
 * a value that the caller releases, or NULL without memory. */
json_t *krl_events_json(const struct krl_events *events, uint64_t after);

#endif
