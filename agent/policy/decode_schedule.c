// SPDX-License-Identifier: Apache-2.0
/* `schedule` of a rule. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decode_kinds.h"

#define ALL_DAYS 0x7f

static void read_day(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	static const char *const names[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	struct krl_schedule *schedule = out;
	const char *text = krl_node_text(node);
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!text || strcmp(text, names[i]))
			continue;
		if (schedule->days >> i & 1)
			krl_reader_error(reader, node, "%s: given twice", text);
		schedule->days |= 1U << i;
		return;
	}
	krl_reader_expected(reader, node, "Mon, Tue, Wed, Thu, Fri, Sat or Sun");
}

static void read_days(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_schedule *schedule = out;
	size_t before = reader->errors;

	schedule->days = 0;
	krl_reader_sequence(reader, node, read_day, schedule);
	if (!schedule->days && reader->errors == before)
		krl_reader_error(reader, node, "expected at least one day");
}

/* "HH:MM" in minutes from midnight, at most @max; else an error. */
static void read_minute(struct krl_reader *reader, yaml_node_t *node, unsigned int max, const char *what,
			unsigned int *ret)
{
	const char *text = krl_node_text(node);
	unsigned int minute;

	if (!text || strlen(text) != 5 || strspn(text, "0123456789") != 2 || text[2] != ':' ||
	    strspn(text + 3, "0123456789") != 2 || text[3] > '5') {
		krl_reader_expected(reader, node, what);
		return;
	}
	minute = strtoul(text, NULL, 10) * 60 + strtoul(text + 3, NULL, 10);
	if (minute > max)
		krl_reader_expected(reader, node, what);
	else
		*ret = minute;
}

static void read_from(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	read_minute(reader, node, KRL_DAY_MINUTES - 1, "a time from 00:00 to 23:59",
		    &((struct krl_schedule *)out)->from_min);
}

static void read_to(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	read_minute(reader, node, KRL_DAY_MINUTES, "a time from 00:00 to 24:00",
		    &((struct krl_schedule *)out)->to_min);
}

static void read_zone(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_schedule *schedule = out;
	const char *text = krl_node_text(node);
	int err = text ? krl_zone_open(text, &schedule->zone) : -ENOENT;

	if (err == -ENOMEM)
		reader->no_memory = true;
	else if (err == -ENODATA)
		krl_reader_error(reader, node, "no time zones on this machine to find \"%.80s\" in: install tzdata",
				 text);
	else if (err)
		krl_reader_expected(reader, node, "a time zone such as UTC or Europe/Berlin");
}

static const struct krl_field schedule_fields[] = {
	{ "days", read_days },
	{ "from", read_from },
	{ "to", read_to },
	{ "timeZone", read_zone },
	{ NULL, NULL },
};

struct krl_schedule *krl_decode_schedule(struct krl_reader *reader, yaml_node_t *node)
{
	struct krl_schedule *schedule = calloc(1, sizeof(*schedule));
	size_t before = reader->errors;

	if (!schedule) {
		reader->no_memory = true;
		return NULL;
	}
	schedule->days = ALL_DAYS;
	schedule->to_min = KRL_DAY_MINUTES;
	krl_reader_mapping(reader, node, schedule_fields, schedule);
	if (reader->errors == before && schedule->from_min == schedule->to_min)
		krl_reader_error(reader, node,
				 "from and to are the same time, and a whole day is from 00:00 to 24:00");
	return schedule;
}
