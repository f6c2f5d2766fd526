/* SPDX-License-Identifier: Apache-2.0 */
/* Events on an object (core/v1, Event), as kubectl describe shows them. What happens again is the same Event with a higher
 * count, not another one. */
#ifndef KMESH_RL_K8S_NOTICE_H
#define KMESH_RL_K8S_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#define KRL_NOTICE_NAME_BYTES 300
#define KRL_NOTICE_TEXT_BYTES 1024	/* as the API server takes it (core/v1, Event.message) */

/* Strings are the caller's. */
struct krl_notice_of {
	const char *ns, *name, *uid;	/* the object, a RateLimit */
	const char *node;		/* who says so */
	const char *type, *reason;
};

/* One reason on one object. All zero at first. */
struct krl_notice {
	char name[KRL_NOTICE_NAME_BYTES];	/* of the Event; "": there is none yet */
	char message[KRL_NOTICE_TEXT_BYTES];
	int64_t first_s, last_s;
	unsigned int count;		/* that it is written with */
	unsigned int pending;		/* that are not written yet */
	uint64_t next_ms;		/* not written before this */
};

/* It happened, at @now_s. */
void krl_notice_add(struct krl_notice *event, const char *message, int64_t now_s);

/* What is to be sent for all that is pending: an Event that is new, whose name @unique is in, or what changes of the one
 * that is there. The caller lets go of it; NULL without memory. */
json_t *krl_notice_make(struct krl_notice *event, const struct krl_notice_of *of, uint64_t unique);
json_t *krl_notice_change(const struct krl_notice *event);

#endif
