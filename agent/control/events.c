// SPDX-License-Identifier: Apache-2.0
#include "events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/policy/diag.h"
#include "agent/policy/explain.h"
#include "events_log.h"
#include "request_line.h"

#define TIME_BYTES 40
#define INSTANCE_BYTES 48

/* Of a row of krl_rules: what its events stood for up to now, as a number of those that it limited. */
struct counted {
	__u32 rule_id;
	bool begun;
	uint64_t limited;
};

struct krl_events {
	char instance[INSTANCE_BYTES];
	uint64_t last;			/* sequence */
	json_t *items[KRL_EVENTS_KEPT];	/* by sequence, modulo */
	struct counted counted[KRL_MAX_RULES];
	struct krl_events_log *log;
};

static json_t *text_json(const char *text, size_t len)
{
	char copy[512];

	if (len >= sizeof(copy))
		len = sizeof(copy) - 1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	krl_make_printable(copy);
	return json_string(copy);
}

static json_t *time_json(int64_t unix_ns)
{
	char text[TIME_BYTES], seconds[TIME_BYTES / 2 + 4];
	time_t s = unix_ns / 1000000000;
	struct tm utc;

	gmtime_r(&s, &utc);
	strftime(seconds, sizeof(seconds), "%FT%T", &utc);
	snprintf(text, sizeof(text), "%s.%06dZ", seconds, (int)(unix_ns % 1000000000 / 1000));
	return json_string(text);
}

/* "10.0.0.1:80"; NULL where there is none yet. */
static json_t *end_json(const __u8 addr[16], __u16 port)
{
	struct krl_endpoint_key key = { .port = port };
	char text[KRL_ENDPOINT_BYTES];

	memcpy(key.addr, addr, sizeof(key.addr));
	if (!port)
		return NULL;
	krl_explain_endpoint(&key, text);
	return json_string(text);
}

static json_t *descriptor_json(const struct krl_reported *reported)
{
	const __u64 *descriptor = reported->report->descriptor;
	char *text = NULL;
	json_t *value;
	int err;

	if (!descriptor[0])
		return NULL;
	err = reported->kept ? krl_explain_kept(reported->kept, &text)
			     : krl_explain_say(&text, "#%08x", (__u32)descriptor[0]);
	value = err ? NULL : json_string(text);
	free(text);
	return value;
}

/* How many the rule limited since its event before; this one is the first that is known of where there was none. Each is
 * in one event: those that are told next are left to their own. */
static uint64_t count(struct krl_events *events, const struct krl_reported *reported)
{
	struct counted *c = &events->counted[reported->report->slot];
	uint64_t until = reported->limited > reported->behind ? reported->limited - reported->behind : 1;
	uint64_t before = c->limited;

	if (!c->begun || c->rule_id != reported->report->rule_id || until <= before)
		before = until - 1;
	*c = (struct counted){ .rule_id = reported->report->rule_id, .begun = true, .limited = until };
	return until - before;
}

static json_t *item_json(struct krl_events *events, const struct krl_reported *reported)
{
	const struct krl_report *r = reported->report;
	bool out = r->hook == KRL_HOOK_SEND || r->hook == KRL_HOOK_CONNECT;
	bool request = r->hook == KRL_HOOK_SEND || r->hook == KRL_HOOK_STREAM;
	const char *protocol = !request ? "TCP" : r->flags & KRL_REPORT_HTTP2 ? "HTTP/2" : "HTTP/1.1";
	const struct krl_rule_info *rule = reported->rule;
	json_t *remote = end_json(r->flow.remote, r->flow.remote_port), *local = end_json(r->flow.local, r->flow.local_port);
	struct krl_request_line line;
	/* Of HTTP/2 it is the preface, where that came with the request. */
	bool has_line = !(r->flags & KRL_REPORT_HTTP2) && r->line_len <= sizeof(r->line) &&
			krl_request_line_read(r->line, r->line_len, &line);

	return json_pack("{s:I, s:o*, s:o*, s:o*, s:o*, s:o*, s:s, s:s, s:s, s:s, s:o*, s:o*, s:s*, s:s*, s:o*, s:o*, s:I, s:I,"
			 " s:o*, s:o*, s:I}",
			 "sequence", (json_int_t)events->last + 1,
			 "time", time_json(reported->unix_ns),
			 "namespace", text_json(rule->ns, strlen(rule->ns)),
			 "name", text_json(rule->name, strlen(rule->name)),
			 "rule", text_json(rule->rule, strlen(rule->rule)),
			 "service", *rule->service ? text_json(rule->service, strlen(rule->service)) : NULL,
			 "direction", out ? "Outbound" : "Inbound",
			 "kind", request ? "Request" : "Connection",
			 "decision", r->flags & KRL_REPORT_SHADOW ? "ShadowLimited" : "Limited",
			 "protocol", protocol,
			 "client", out ? local : remote,
			 "endpoint", out ? remote : local,
			 "method", has_line ? line.method : NULL,
			 "path", has_line && !(r->flags & KRL_REPORT_HIDES_PATH) ? line.path : NULL,
			 "descriptor", descriptor_json(reported),
			 "model", r->model_len ? text_json(r->model, strnlen(r->model, sizeof(r->model))) : NULL,
			 "needed", (json_int_t)r->needed,
			 "left", (json_int_t)reported->left,
			 "retryAfter", reported->rule_flags & KRL_RULE_CONCURRENT ? NULL
				       : json_integer((json_int_t)((r->wait_ns + 999999999) / 1000000000)),
			 "status", request && !(r->flags & (KRL_REPORT_SHADOW | KRL_REPORT_HTTP2))
				   ? json_integer(reported->status) : NULL,
			 "count", (json_int_t)count(events, reported));
}

int krl_events_open(uv_loop_t *loop, struct krl_events **ret)
{
	struct krl_events *events = calloc(1, sizeof(*events));
	struct timespec now;

	if (!events)
		return -ENOMEM;
	if (krl_events_log_open(loop, &events->log)) {
		free(events);
		return -ENOMEM;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(events->instance, sizeof(events->instance), "%d-%lld.%09ld", (int)getpid(), (long long)now.tv_sec,
		 now.tv_nsec);
	*ret = events;
	return 0;
}

void krl_events_close(struct krl_events *events)
{
	if (!events)
		return;
	krl_events_log_close(events->log);
	krl_events_forget(events);
	free(events);
}

void krl_events_forget(struct krl_events *events)
{
	size_t i;

	for (i = 0; i < KRL_EVENTS_KEPT; i++) {
		json_decref(events->items[i]);
		events->items[i] = NULL;
	}
}

void krl_events_add(struct krl_events *events, const struct krl_reported *reported)
{
	json_t *item = item_json(events, reported), **place;

	if (!item)
		return;
	events->last++;
	place = &events->items[events->last % KRL_EVENTS_KEPT];
	json_decref(*place);
	*place = item;
	krl_events_log_add(events->log, reported->report->slot, reported->report->rule_id, item);
}

json_t *krl_events_json(const struct krl_events *events, uint64_t after)
{
	uint64_t last = events ? events->last : 0, oldest = last > KRL_EVENTS_KEPT ? last - KRL_EVENTS_KEPT : 0, i;
	json_t *items = json_array();

	for (i = (after > oldest ? after : oldest) + 1; items && i <= last; i++)
		if (events->items[i % KRL_EVENTS_KEPT])
			json_array_append(items, events->items[i % KRL_EVENTS_KEPT]);
	return json_pack("{s:s, s:I, s:o}", "instance", events ? events->instance : "", "last", (json_int_t)last, "items",
			 items);
}
