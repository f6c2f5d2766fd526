// SPDX-License-Identifier: Apache-2.0
/* The checks of the agent, its source, and of what is limited by it. */
#include <errno.h>
#include <string.h>

#include "diagnose.h"

/* Names in one finding. */
#define NAMES 8

static const char *text_of(const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));

	return text ? text : "";
}

static void find_agent(const json_t *about, struct krl_finding *finding)
{
	const char *version = json_string_value(json_object_get(about, "version"));

	krl_finding_set(finding, KRL_FINDING_OK, "version %s, pid %" JSON_INTEGER_FORMAT, version ? version : "unknown",
	     json_integer_value(json_object_get(about, "pid")));
	if (!version || strcmp(version, KRL_VERSION))
		krl_finding_add(finding, KRL_FINDING_WARN, "; this program is of version %s", KRL_VERSION);
}

bool krl_check_agent(const struct krl_facts *f, struct krl_finding *finding)
{
	if (!f->agent && f->about)
		find_agent(f->about, finding);
	else if (f->agent == -ENOENT || f->agent == -ECONNREFUSED)
		krl_finding_set(finding, KRL_FINDING_FAIL, "no agent listens on %s: start it. Without one the last limits stay in force, "
		     "429s are compact and servers that read with blocking calls see EAGAIN", f->control_socket);
	else
		krl_finding_set(finding, KRL_FINDING_FAIL, "the agent on %s does not answer (%s): see its log", f->control_socket,
		     strerror(-f->agent));
	return true;
}

bool krl_check_source(const struct krl_facts *f, struct krl_finding *finding)
{
	const json_t *errors = json_object_get(f->about, "errors");
	const char *error = json_string_value(json_array_get(errors, 0));

	if (!f->about)
		return false;
	krl_finding_set(finding, KRL_FINDING_OK, "%s", text_of(f->about, "source"));
	if (!json_is_true(json_object_get(f->about, "ready")))
		krl_finding_add(finding, KRL_FINDING_FAIL, ": the limits are not in force as it says, the last ones stay: see the "
				"agent's log");
	if (error)
		krl_finding_add(finding, KRL_FINDING_WARN, "%s%s", finding->level ? "; " : ": ", error);
	if (json_array_size(errors) > 1)
		krl_finding_add(finding, KRL_FINDING_WARN, ", and %zu more", json_array_size(errors) - 1);
	return true;
}

/* The condition @type of @limit. */
static const json_t *condition(const json_t *limit, const char *type)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(limit, "conditions"), i, one)
		if (!strcmp(text_of(one, "type"), type))
			return one;
	return NULL;
}

/* Name those of the RateLimits whose condition @type is False, but for @but, with why. Returns how many there are. */
static size_t add_failing(const json_t *limits, const char *type, const char *but, struct krl_finding *finding)
{
	const json_t *limit, *found;
	size_t count = 0, i;

	json_array_foreach(json_object_get(limits, "items"), i, limit) {
		found = condition(limit, type);
		if (strcmp(text_of(found, "status"), "False") || !strcmp(text_of(found, "reason"), but))
			continue;
		if (count++ < NAMES)
			krl_finding_add(finding, KRL_FINDING_WARN, "; %s/%s: %s %s", text_of(limit, "namespace"),
					text_of(limit, "name"), text_of(found, "reason"), text_of(found, "message"));
	}
	if (count > NAMES)
		krl_finding_add(finding, KRL_FINDING_WARN, "; and %zu more", count - NAMES);
	return count;
}

bool krl_check_ratelimits(const struct krl_facts *f, struct krl_finding *finding)
{
	if (!f->limits)
		return false;
	krl_finding_set(finding, KRL_FINDING_OK, "%zu read", json_array_size(json_object_get(f->limits, "items")));
	if (add_failing(f->limits, "Accepted", "", finding))
		krl_finding_add(finding, KRL_FINDING_WARN, "; mend them: `kmesh-rl validate -f FILE` says where");
	return true;
}

bool krl_check_endpoints(const struct krl_facts *f, struct krl_finding *finding)
{
	if (!f->limits)
		return false;
	krl_finding_set(finding, KRL_FINDING_OK, "resolved");
	/* What is invalid is told already. */
	if (add_failing(f->limits, "Programmed", "Invalid", finding))
		krl_finding_add(finding, KRL_FINDING_WARN, "; they limit nobody here until their service has an endpoint on this node: "
				"see its name, namespace and port");
	return true;
}

void krl_finding_add_names(struct krl_finding *finding, const json_t *names)
{
	const json_t *one;
	size_t i;

	json_array_foreach(names, i, one)
		if (i < NAMES)
			krl_finding_add(finding, finding->level, "%s%s", i ? ", " : "", json_string_value(one));
	if (i > NAMES)
		krl_finding_add(finding, finding->level, ", and %zu more", i - NAMES);
}

bool krl_check_listeners(const struct krl_facts *f, struct krl_finding *finding)
{
	if (f->pins || !f->unheard)
		return false;
	if (json_array_size(f->unheard)) {
		krl_finding_set(finding, KRL_FINDING_WARN, "nobody listens at ");
		krl_finding_add_names(finding, f->unheard);
		krl_finding_add(finding, KRL_FINDING_WARN, ", of %zu endpoints: see whether the server runs, and on which port",
				f->endpoint_count);
	} else {
		krl_finding_set(finding, KRL_FINDING_OK, "somebody listens at each of %zu endpoints", f->endpoint_count);
	}
	if (!json_array_size(f->outside))
		return true;
	krl_finding_add(finding, KRL_FINDING_WARN, "; the servers at ");
	krl_finding_add_names(finding, f->outside);
	krl_finding_add(finding, KRL_FINDING_WARN, " are outside of the cgroup that is covered, so none of their requests is judged: "
			"run `kmesh-rl-agent --detach`, and start the agent with a --cgroup above theirs, or the node's root");
	return true;
}
