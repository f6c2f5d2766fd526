// SPDX-License-Identifier: Apache-2.0
#include "events_log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "agent/base/log.h"
#include "agent/loop/handle.h"
#include "agent/policy/explain.h"

#define LOOK_EVERY_MS 1000
#define LINES_APART_MS 10000

/* Of a row of krl_rules. */
struct said {
	__u32 rule_id;
	__u32 next;		/* of those that wait: row + 1 */
	uint64_t line_ms;	/* when its last line was written, by uv_now() */
	uint64_t count;		/* of requests since then */
	json_t *item;		/* the last event since then; NULL: none */
};

struct krl_events_log {
	uv_loop_t *loop;
	uv_timer_t *timer;
	__u32 first;		/* of those that wait: row + 1 */
	struct said said[KRL_MAX_RULES];
};

static const char *field(const json_t *item, const char *name)
{
	return json_string_value(json_object_get(item, name));
}

/* Append @before and the text of field @name, where it is there. */
static int say_field(const json_t *item, const char *before, const char *name, char **text)
{
	const char *value = field(item, name);

	return value ? krl_explain_say(text, "%s%s", before, value) : 0;
}

static int say(const json_t *item, uint64_t count, char **text)
{
	const json_int_t needed = json_integer_value(json_object_get(item, "needed"));

	if (krl_explain_say(text, "%llu of %s/%s, rule %s", (unsigned long long)count, field(item, "namespace"),
			    field(item, "name"), field(item, "rule")) ||
	    say_field(item, ", service ", "service", text) || say_field(item, ", last: ", "method", text) ||
	    say_field(item, " ", "path", text) || say_field(item, ", client ", "client", text) ||
	    say_field(item, ", endpoint ", "endpoint", text) || say_field(item, ", ", "descriptor", text) ||
	    say_field(item, ", model ", "model", text))
		return -ENOMEM;
	return krl_explain_say(text, ", needed %lld of %lld left", (long long)needed,
			       (long long)json_integer_value(json_object_get(item, "left")));
}

static void write_line(struct krl_events_log *log, struct said *said)
{
	bool shadow = *field(said->item, "decision") == 'S', request = *field(said->item, "kind") == 'R';
	char *text = NULL;

	if (!say(said->item, said->count, &text))
		krl_log_info(shadow ? "limited in shadow mode" : "limited", request ? "requests" : "connections", "%s", text);
	free(text);
	json_decref(said->item);
	said->item = NULL;
	said->count = 0;
	said->line_ms = uv_now(log->loop);
}

/* Write those lines that are due, or @all. */
static void write_lines(struct krl_events_log *log, bool all)
{
	__u32 *link = &log->first;
	struct said *said;

	while (*link) {
		said = &log->said[*link - 1];
		if (!all && said->item && uv_now(log->loop) - said->line_ms < LINES_APART_MS) {
			link = &said->next;
			continue;
		}
		*link = said->next;
		if (said->item)
			write_line(log, said);
	}
}

static void on_timer(uv_timer_t *timer)
{
	write_lines(timer->data, false);
}

int krl_events_log_open(uv_loop_t *loop, struct krl_events_log **ret)
{
	struct krl_events_log *log = calloc(1, sizeof(*log));

	if (!log)
		return -ENOMEM;
	log->loop = loop;
	log->timer = krl_timer_new(loop, log, on_timer, LOOK_EVERY_MS);
	if (!log->timer) {
		free(log);
		return -ENOMEM;
	}
	*ret = log;
	return 0;
}

void krl_events_log_close(struct krl_events_log *log)
{
	if (!log)
		return;
	write_lines(log, true);
	krl_handle_close(log->timer);
	free(log);
}

void krl_events_log_add(struct krl_events_log *log, __u32 slot, __u32 rule_id, json_t *item)
{
	struct said *said = &log->said[slot];
	bool waits = said->item;

	if (said->rule_id != rule_id) {
		if (waits)
			write_line(log, said);
		said->rule_id = rule_id;
		said->line_ms = 0;
	}
	said->count += (uint64_t)json_integer_value(json_object_get(item, "count"));
	json_decref(said->item);
	said->item = json_incref(item);
	if (!waits) {
		said->next = log->first;
		log->first = slot + 1;
	}
}
