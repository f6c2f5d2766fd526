/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent remembers of limited requests, piece by piece. */
#ifndef KMESH_RL_TOOL_EVENTS_FEED_H
#define KMESH_RL_TOOL_EVENTS_FEED_H

#include "agent/control/client.h"
#include "cli.h"

/* Starts as zeros; krl_events_feed_end() releases what it has. */
struct krl_events_feed {
	json_t *instance;	/* of the agent that answered last; NULL: none did */
	json_int_t last;	/* the last event that it told of */
	json_int_t missed;	/* since the call before, which it does not remember any more */
};

/* Ask the agent for the events since the last call, all that it remembers in the first one, and where another agent answers than
 * then. Returns 0 and an array, oldest first, of which no text holds what could steer a terminal, and which the caller releases;
 * -EPROTO: not understood; or as krl_control_call(). */
int krl_events_next(const struct krl_cli *cli, struct krl_events_feed *feed, json_t **ret_items, char ret_error[KRL_CONTROL_ERROR_BYTES]);

void krl_events_feed_end(struct krl_events_feed *feed);

/* Those of @items, in their order, that are of namespace @ns (NULL: any) and of RateLimit @name (NULL: any), at most the last @most of
 * them (0: all). A new reference, or NULL without memory. */
json_t *krl_events_select(const json_t *items, const char *ns, const char *name, size_t most);

#endif
