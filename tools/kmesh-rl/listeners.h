/* SPDX-License-Identifier: Apache-2.0 */
/* Where somebody listens on TCP, in every network namespace that a process of this machine is in. */
#ifndef KMESH_RL_TOOL_LISTENERS_H
#define KMESH_RL_TOOL_LISTENERS_H

#include <stddef.h>

#include "agent/datapath/inspect.h"

struct krl_listeners {
	struct krl_inspect_listener *list;
	size_t count;
};

/* Read what /proc shows. 0, and krl_listeners_free releases @ret; -ENOMEM, or -errno. */
int krl_listeners_read(struct krl_listeners *ret);
void krl_listeners_free(struct krl_listeners *listeners);

/* Add the lines of @text, as /proc/net/tcp or tcp6 has them. 0, or -ENOMEM. */
int krl_listeners_parse(struct krl_listeners *listeners, const char *text);

/* How many listen at @endpoint: there, or on any address, in whatever namespace. */
size_t krl_listeners_at(const struct krl_listeners *listeners, const struct krl_endpoint_key *endpoint);

#endif
