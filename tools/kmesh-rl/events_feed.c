// SPDX-License-Identifier: Apache-2.0
#include "events_feed.h"

#include <errno.h>
#include <string.h>

#include "values_view.h"

/* One answer of the agent to @feed: 0, and it is taken over; or as krl_events_next(). */
static int ask(const struct krl_cli *cli, const struct krl_events_feed *feed, json_t **ret_answer, char *ret_error)
{
	json_t *params = feed->instance ? json_pack("{s:I}", "after", feed->last) : NULL, *answer;
	int err = krl_cli_ask_agent(cli, "events", params, &answer, ret_error);

	json_decref(params);
	if (err)
		return err;
	if (!json_is_string(json_object_get(answer, "instance")) || !json_is_integer(json_object_get(answer, "last")) ||
	    !json_is_array(json_object_get(answer, "items"))) {
		json_decref(answer);
		return -EPROTO;
	}
	*ret_answer = answer;
	return 0;
}

/* Clients choose methods, paths and what is in headers. */
static void make_printable(json_t *item)
{
	json_t *value;
	const char *name;

	json_object_foreach(item, name, value)
		if (json_is_string(value))
			json_object_set_new(item, name, krl_view_text(json_string_value(value)));
}

static json_int_t count_missed(const struct krl_events_feed *feed, const json_t *items, json_int_t last)
{
	const json_t *first = json_array_get(items, 0);

	if (!feed->instance)
		return 0;
	return (first ? json_integer_value(json_object_get(first, "sequence")) - 1 : last) - feed->last;
}

int krl_events_next(const struct krl_cli *cli, struct krl_events_feed *feed, json_t **ret_items, char ret_error[KRL_CONTROL_ERROR_BYTES])
{
	json_t *answer, *item;
	json_int_t last;
	size_t i;
	int err = ask(cli, feed, &answer, ret_error);

	if (!err && feed->instance && !json_equal(feed->instance, json_object_get(answer, "instance"))) {
		/* Another agent counts from the beginning. */
		json_decref(answer);
		krl_events_feed_end(feed);
		err = ask(cli, feed, &answer, ret_error);
	}
	if (err)
		return err;
	*ret_items = json_incref(json_object_get(answer, "items"));
	last = json_integer_value(json_object_get(answer, "last"));
	feed->missed = count_missed(feed, *ret_items, last);
	feed->last = last;
	json_decref(feed->instance);
	feed->instance = json_incref(json_object_get(answer, "instance"));
	json_array_foreach(*ret_items, i, item)
		make_printable(item);
	json_decref(answer);
	return 0;
}

void krl_events_feed_end(struct krl_events_feed *feed)
{
	json_decref(feed->instance);
	*feed = (struct krl_events_feed){};
}

static bool is_of(const json_t *item, const char *field, const char *wanted)
{
	const char *text = json_string_value(json_object_get(item, field));

	return !wanted || (text && !strcmp(text, wanted));
}

json_t *krl_events_select(const json_t *items, const char *ns, const char *name, size_t most)
{
	json_t *chosen = json_array(), *item;
	size_t i;

	json_array_foreach(items, i, item) {
		if (!is_of(item, "namespace", ns) || !is_of(item, "name", name))
			continue;
		if (json_array_append(chosen, item)) {
			json_decref(chosen);
			return NULL;
		}
		if (most && json_array_size(chosen) > most)
			json_array_remove(chosen, 0);
	}
	return chosen;
}
