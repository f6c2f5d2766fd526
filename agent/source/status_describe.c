// SPDX-License-Identifier: Apache-2.0
/* What was told of a RateLimit, for people. */
#include "status_internal.h"

static json_t *event_json(enum krl_told kind, const struct krl_notice *notice)
{
	char first[KRL_STATUS_TIME_BYTES], last[KRL_STATUS_TIME_BYTES];

	krl_status_time(notice->first_s, first);
	krl_status_time(notice->last_s, last);
	return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s}", "type", krl_status_told_as[kind].type, "reason",
			 krl_status_told_as[kind].reason, "message", notice->message, "count",
			 (int)(notice->count + notice->pending), "firstTimestamp", first, "lastTimestamp", last);
}

json_t *krl_statuses_describe(const struct krl_statuses *s, const char *ns, const char *name)
{
	const struct krl_status_entry *e = s ? krl_status_find(s, ns, name) : NULL;
	enum krl_told kind;
	json_t *events;

	if (!e)
		return NULL;
	events = json_array();
	for (kind = 0; kind < KRL_TOLD_KINDS; kind++)
		if (e->told[kind].first_s)
			json_array_append_new(events, event_json(kind, &e->told[kind]));
	return json_pack("{s:o}", "events", events);
}
