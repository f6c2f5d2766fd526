// SPDX-License-Identifier: Apache-2.0
#include "limits.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/policy/diag.h"
#include "agent/policy/explain.h"

#define TIME_BYTES 32
#define MESSAGE_BYTES 1024

/* Of one RateLimit. */
struct item {
	const struct krl_store_limit *limit;
	json_t *addresses;
	size_t endpoints;		/* where a rule of it is, be it outside of its schedule */
	size_t last_endpoint;		/* that counted for it, from 1 */
	char *errors, *notes;		/* what was said of it; NULL: nothing */
	char *unseen;			/* as krl_unseen_say() has it; NULL: nothing */
};

static int compare_name(const void *key, const void *element)
{
	const struct krl_plan_rule *rule = key;
	const struct krl_store_limit *limit = ((const struct item *)element)->limit;
	int order = strcmp(rule->ns, limit->ns);

	return order ? order : strcmp(rule->name, limit->name);
}

static void add_endpoint(struct item *item, const struct krl_plan_endpoint *endpoint, size_t number)
{
	char text[KRL_ENDPOINT_BYTES];

	if (item->last_endpoint == number)
		return;
	item->last_endpoint = number;
	if (item->endpoints++ >= KRL_LIMITS_ADDRESSES)
		return;
	krl_explain_endpoint(&endpoint->key, text);
	json_array_append_new(item->addresses, json_string(text));
}

/* 0, or -1 without memory. */
static int find_endpoints(struct item *items, size_t count, const struct krl_plan *plan)
{
	struct item **of_rule = calloc(plan->rule_count + 1, sizeof(struct item *)), *item;
	size_t i, k;

	if (!of_rule)
		return -1;
	for (i = 0; count && i < plan->rule_count; i++)
		of_rule[i] = bsearch(&plan->rules[i], items, count, sizeof(*items), compare_name);
	for (i = 0; i < plan->endpoint_count; i++) {
		const struct krl_plan_endpoint *endpoint = &plan->endpoints[i];

		for (k = 0; k < endpoint->rule_count + endpoint->outside_count; k++) {
			item = of_rule[endpoint->rules[k]];
			if (item)
				add_endpoint(item, endpoint, i + 1);
		}
	}
	free(of_rule);
	return 0;
}

/* Append what @lines say of each of @items to its text at @offset. 0, or -1 without memory. */
static int take_lines(const struct krl_store_limits *limits, struct item *items, const char *const *lines, size_t count,
		      size_t offset)
{
	const struct krl_store_limit *about;
	const char *said;
	char **text;
	size_t i;

	for (i = 0; i < count; i++) {
		about = krl_store_about(limits, lines[i], &said);
		if (!about)
			continue;
		text = (char **)((char *)&items[about - limits->list] + offset);
		if (*text && strlen(*text) > MESSAGE_BYTES)
			continue;
		if (krl_explain_say(text, "%s%s", *text ? "; " : "", said))
			return -1;
	}
	return 0;
}

/* What was passed by is looked for among them. */
struct finding {
	struct item *items;
	size_t count;
};

static void on_unseen(void *arg, const struct krl_plan_rule *rule, const struct krl_endpoint_key *key)
{
	const struct finding *among = arg;
	struct item *item = bsearch(rule, among->items, among->count, sizeof(*among->items), compare_name);

	if (item && !item->unseen)
		item->unseen = calloc(1, KRL_UNSEEN_BYTES);
	if (item && item->unseen)
		krl_unseen_say(item->unseen, rule, key);
}

/* What the kernel did not take, if anything. */
static const char *of_kernel(const struct krl_control_agent *agent)
{
	size_t i;

	for (i = 0; i < agent->error_count; i++)
		if (krl_diag_of(agent->errors[i], KRL_DIAG_KERNEL))
			return krl_diag_of(agent->errors[i], KRL_DIAG_KERNEL);
	return NULL;
}

static json_t *condition(const char *type, bool holds, const char *reason, const char *message)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "type", type, "status", holds ? "True" : "False", "reason", reason,
			 "message", message);
}

static json_t *accepted(const struct item *item)
{
	if (!item->limit->refused)
		return condition("Accepted", true, "Accepted", "");
	return condition("Accepted", false, item->limit->over ? "Conflicted" : "Invalid", item->errors ? item->errors : "");
}

static json_t *programmed(const struct krl_control_agent *agent, const struct item *item)
{
	const char *kernel = of_kernel(agent);

	if (item->endpoints)
		return condition("Programmed", true, "Programmed",
				 item->limit->refused ? "what it was before is in force" : "it is in force");
	if (!item->limit->document)
		return condition("Programmed", false, "Invalid", "nothing of it was ever in force by this agent");
	if (item->notes)
		return condition("Programmed", false, "ServiceNotFound", item->notes);
	if (kernel || !agent->ready)
		return condition("Programmed", false, "Pending", kernel ? kernel : "not all is read yet");
	return condition("Programmed", false, "NoEndpoints", "its endpoints are on other nodes");
}

static json_t *partial(const struct item *item)
{
	return item->unseen ? condition("PartiallyApplied", true, "HTTP2NotMatched", item->unseen) : NULL;
}

static json_t *source_of(const struct krl_store_limit *limit)
{
	char text[MESSAGE_BYTES];

	if (!limit->file)
		return json_string("kubernetes");
	snprintf(text, sizeof(text), "%s:%zu", limit->file, limit->line);
	krl_make_printable(text);
	return json_string(text);
}

static json_t *created(const struct krl_store_limit *limit)
{
	time_t time = limit->created_s;
	char text[TIME_BYTES];
	struct tm tm;

	if (!limit->created_s || !gmtime_r(&time, &tm))
		return NULL;
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

/* Takes over item->addresses. */
static json_t *item_json(const struct krl_control_agent *agent, struct item *item)
{
	const struct krl_store_limit *limit = item->limit;
	const struct krl_rate_limit *says = limit->document ? &limit->document->rate_limit : NULL;
	json_t *value, *known;

	value = json_pack("{s:s, s:s, s:o, s:o*, s:o*, s:o*, s:I, s:o, s:[o, o, o*], s:o*}", "namespace", limit->ns, "name", limit->name,
			  "source", source_of(limit), "creationTimestamp", created(limit),
			  "service", says ? krl_limits_service(says) : NULL, "limit", says ? krl_limits_limit(says) : NULL,
			  "endpoints", (json_int_t)item->endpoints, "addresses", item->addresses,
			  "conditions", accepted(item), programmed(agent, item), partial(item),
			  "spec", says ? krl_limits_spec(says, agent->plan->now_s) : NULL);
	item->addresses = NULL;
	known = agent->known ? agent->known(agent->ctx, limit->ns, limit->name) : NULL;
	if (known)
		json_object_update(value, known);
	json_decref(known);
	return value;
}

static json_t *items_json(const struct krl_control_agent *agent, struct item *items, size_t count)
{
	json_t *list = json_array();
	bool failed = !list;
	size_t i;

	for (i = 0; !failed && i < count; i++)
		failed = json_array_append_new(list, item_json(agent, &items[i]));
	if (!failed)
		return list;
	json_decref(list);
	return NULL;
}

static void items_free(struct item *items, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		json_decref(items[i].addresses);
		free(items[i].errors);
		free(items[i].notes);
		free(items[i].unseen);
	}
	free(items);
}

/* What there is to say of each. 0, or -1 without memory. */
static int gather(const struct krl_control_agent *agent, const struct krl_store_limits *limits, struct item *items)
{
	struct finding among = { items, limits->count };
	size_t i;

	for (i = 0; i < limits->count; i++)
		items[i] = (struct item){ .limit = &limits->list[i], .addresses = json_array() };
	if (take_lines(limits, items, agent->errors, agent->error_count, offsetof(struct item, errors)) ||
	    (agent->notes && take_lines(limits, items, (const char *const *)agent->notes->lines, agent->notes->count,
					offsetof(struct item, notes))))
		return -1;
	if (agent->unseen)
		agent->unseen(agent->ctx, on_unseen, &among);
	return find_endpoints(items, limits->count, agent->plan);
}

json_t *krl_limits_json(const struct krl_control_agent *agent)
{
	struct krl_store_limits limits = { 0 };
	json_t *list = NULL;
	struct item *items;

	if (!agent->store)
		return json_pack("{s:[]}", "items");
	if (krl_store_limits(agent->store, &limits))
		return NULL;
	items = calloc(limits.count + 1, sizeof(*items));
	if (items && !gather(agent, &limits, items))
		list = items_json(agent, items, limits.count);
	if (items)
		items_free(items, limits.count);
	krl_store_limits_clear(&limits);
	return list ? json_pack("{s:o}", "items", list) : NULL;
}
