// SPDX-License-Identifier: Apache-2.0
#include "notice.h"

#include <stdio.h>

#include "agent/policy/diag.h"
#include "conditions.h"

#define COMPONENT "kmesh-rl-agent"
/* A name has at most 253 bytes, 18 of which tell Events of an object apart. */
#define NAME_BYTES 235

void krl_notice_add(struct krl_notice *event, const char *message, int64_t now_s)
{
	if (!event->first_s)
		event->first_s = now_s;
	/* The clock may have been set back meanwhile. */
	event->last_s = now_s > event->last_s ? now_s : event->last_s;
	event->pending++;
	snprintf(event->message, sizeof(event->message), "%s", message);
	/* It may be cut in the middle of a character. */
	krl_make_printable(event->message);
}

json_t *krl_notice_make(struct krl_notice *event, const struct krl_notice_of *of, uint64_t unique)
{
	char first[KRL_STATUS_TIME_BYTES], last[KRL_STATUS_TIME_BYTES];

	/* As client-go names them (tools/record, makeEvent). */
	snprintf(event->name, sizeof(event->name), "%.*s.%llx", NAME_BYTES, of->name, (unsigned long long)unique);
	krl_status_time(event->first_s, first);
	krl_status_time(event->last_s, last);
	return json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s, s:s, s:s, s:s}, s:s, s:s, s:s, s:s, s:s, s:i, s:{s:s, s:s},"
			 " s:s, s:s}", "apiVersion", "v1", "kind", "Event",
			 "metadata", "name", event->name, "namespace", of->ns,
			 "involvedObject", "apiVersion", "kmesh.net/v1alpha1", "kind", "RateLimit", "namespace", of->ns,
			 "name", of->name, "uid", of->uid,
			 "type", of->type, "reason", of->reason, "message", event->message, "firstTimestamp", first,
			 "lastTimestamp", last, "count", (int)(event->count + event->pending),
			 "source", "component", COMPONENT, "host", of->node,
			 "reportingComponent", COMPONENT, "reportingInstance", of->node);
}

json_t *krl_notice_change(const struct krl_notice *event)
{
	char last[KRL_STATUS_TIME_BYTES];

	krl_status_time(event->last_s, last);
	return json_pack("{s:i, s:s, s:s}", "count", (int)(event->count + event->pending), "lastTimestamp", last,
			 "message", event->message);
}
