// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "bpf/lib/identity.h"
#include "bpf/lib/tiers.h"
#include "explain.h"
#include "policy.h"

struct krl_check_request {
	struct krl_asked asked;
	const char *model;	/* in the body */
	int64_t now_s;
	char *head;		/* with KRL_MATCH_SPARE bytes behind it */
	size_t len;
};

/* What no header told, as the kernel takes it from the body. */
static void match_model(const struct krl_policy *policy, const char *model, struct krl_match *match)
{
	struct krl_match_value value = { .match = match, .policy = policy, .bytes = match->value, .field = policy->model };
	size_t len;

	if (!model || match->model_len)
		return;
	len = strlen(model);
	value.is_long = len > KRL_MODEL_BYTES;
	value.len = value.is_long ? KRL_MODEL_BYTES : len;
	memcpy(match->value, model, value.len);
	memset(match->value + value.len, 0, 8);
	krl_match_ended(&value);
}

/* The pods that the selector under @key means, of some rule of @target. */
static const struct krl_from *find_from(const struct krl_target *target, __u64 key)
{
	size_t r, s, t;

	for (r = 0; r < target->rule_count; r++)
		for (s = 0; s < target->rules[r].selector_count; s++)
			for (t = 0; t < target->rules[r].selectors[s].term_count; t++) {
				const struct krl_term *term = &target->rules[r].selectors[s].terms[t];

				if (term->from && term->kind == KRL_PREDICATE_PEER && term->from->key == key)
					return term->from;
			}
	return NULL;
}

/* As krl_peer_match() does with what the agent wrote of @pod. */
static void match_peer(const struct krl_pod *pod, const struct krl_policy *policy, const struct krl_target *target,
		       struct krl_match *match)
{
	unsigned int i, p;

	for (i = 0; i < policy->field_count; i++) {
		const struct krl_policy_field *field = &policy->fields[i];

		if (field->kind != KRL_FIELD_PEER)
			continue;
		if (field->distinct)
			krl_identity_digest(match->key, field->by, pod->names[field->by], match->digests[i]);
		for (p = field->first; p < (unsigned int)field->first + field->predicate_count; p++) {
			const struct krl_from *from = find_from(target, policy->predicates[p].word);

			if (policy->predicates[p].kind != KRL_PREDICATE_PEER || (from && krl_from_meets(from, &pod->facts)))
				krl_match_set(match, p);
		}
	}
}

/* Step through the head as krl_scan_step does; @target, which may be NULL, is what the policy is of. 0, or -EINVAL with @ret_line set. */
static int walk(const struct krl_check_request *request, const struct krl_policy *policy,
		const struct krl_target *target, const __u64 key[2], struct krl_match *ret, size_t *ret_line)
{
	union krl_match_went went = { 0 };
	struct krl_http http = { 0 };
	int event = KRL_HTTP_NOTHING;
	size_t at, line = 0, i;
	__u32 steps = 0;

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->key, key, sizeof(ret->key));
	memcpy(ret->source, request->asked.source, sizeof(ret->source));
	for (at = 0; at < request->len; at += steps) {
		went.before = http.state;
		steps = krl_http_step(&http, (const struct krl_http_window *)(request->head + at), 0,
				      request->len - at, request->len - at, krl_match_collects(ret), &event);
		went.bytes = steps;
		krl_match_step(ret, policy, &http, krl_load_word(request->head + at), went.all);
		if (event == KRL_HTTP_BEGIN)
			krl_match_begin(ret);
		else if (event != KRL_HTTP_NOTHING)
			break;
		for (i = 0; i < steps; i++)
			line += request->head[at + i] == '\n';
	}
	if (at + steps != request->len || event != KRL_HTTP_HEAD_END) {
		*ret_line = line;
		return -EINVAL;
	}
	if (policy && policy->model != KRL_NO_FIELD)
		match_model(policy, request->model, ret);
	if (target && request->asked.pod)
		match_peer(request->asked.pod, policy, target, ret);
	krl_match_end(ret, policy);
	return 0;
}

/* What would end a line or a part of it early is no part of it. -EINVAL with @ret_line set. */
static int check_lines(const struct krl_check_question *question, size_t *ret_line)
{
	size_t i;

	*ret_line = 0;
	if (strpbrk(question->method, " \r\n") || strpbrk(question->target, " \r\n"))
		return -EINVAL;
	for (i = 0; i < question->header_count; i++) {
		*ret_line = i + 1;
		if (!strchr(question->headers[i], ':') || strpbrk(question->headers[i], "\r\n"))
			return -EINVAL;
	}
	return 0;
}

static int build_head(const struct krl_check_question *question, struct krl_check_request *request)
{
	size_t size = sizeof("  HTTP/1.1\r\n\r\n"), i;
	char *at;

	size += strlen(question->method) + strlen(question->target);
	for (i = 0; i < question->header_count; i++)
		size += strlen(question->headers[i]) + 2;
	request->head = calloc(1, size + KRL_MATCH_SPARE);
	if (!request->head)
		return -ENOMEM;
	at = request->head;
	at += sprintf(at, "%s %s HTTP/1.1\r\n", question->method, question->target);
	for (i = 0; i < question->header_count; i++)
		at += sprintf(at, "%s\r\n", question->headers[i]);
	at += sprintf(at, "\r\n");
	request->len = at - request->head;
	return 0;
}

static int note_asked(const struct krl_check_question *question, struct krl_asked *ret)
{
	struct krl_path path = { 0 };
	const char *c;
	int is_long;
	size_t i;

	ret->method = question->method;
	ret->pod = question->pod;
	memcpy(ret->source, question->source, sizeof(ret->source));
	for (c = question->target; *c; c++)
		krl_path_byte(&path, ret->path, *c);
	ret->path_len = krl_path_end(&path, ret->path, &is_long);
	ret->path_long = is_long;
	ret->headers = calloc(question->header_count + 1, sizeof(*ret->headers));
	ret->models = calloc(question->header_count + 1, sizeof(*ret->models));
	if (!ret->headers || !ret->models)
		return -ENOMEM;
	ret->header_count = question->header_count;
	for (i = 0; i < ret->header_count; i++) {
		struct krl_asked_header *header = &ret->headers[i];

		header->name = question->headers[i];
		header->name_len = strcspn(header->name, ":");
		header->value = header->name + header->name_len + 1;
		header->value += strspn(header->value, " \t");
		header->value_len = strlen(header->value);
		while (header->value_len && strchr(" \t", header->value[header->value_len - 1]))
			header->value_len--;
	}
	return 0;
}

int krl_check_request(const struct krl_check_question *question, struct krl_check_request **ret,
		      size_t *ret_line)
{
	static const __u64 no_key[2];
	struct krl_check_request *request;
	struct krl_match match;
	size_t line;
	int err;

	err = check_lines(question, &line);
	if (err) {
		*ret_line = line;
		return err;
	}
	request = calloc(1, sizeof(*request));
	if (!request)
		return -ENOMEM;
	request->now_s = question->now_s;
	request->model = question->model;
	err = build_head(question, request);
	if (!err)
		err = note_asked(question, &request->asked);
	if (!err)
		err = walk(request, NULL, NULL, no_key, &match, ret_line);
	if (err)
		krl_check_free(request);
	else
		*ret = request;
	return err;
}

void krl_check_free(struct krl_check_request *request)
{
	if (!request)
		return;
	free(request->asked.headers);
	free(request->asked.models);
	free(request->head);
	free(request);
}

/* A request to one target. */
struct judging {
	struct krl_asked asked;
	const struct krl_rate_limit *limit;
	const struct krl_target *target;
	__u64 absent;			/* a bit for each rule that does not exist for it */
	struct krl_policy *policy;	/* of the others */
	struct krl_match match;
};

static bool is_absent(const struct judging *j, size_t rule)
{
	return j->absent >> rule & 1;
}

/* Outside their schedules, or about something else. */
static __u64 find_absent(const struct krl_target *target, int64_t now_s)
{
	__u64 absent = 0;
	int64_t until_s;
	size_t i;

	for (i = 0; i < target->rule_count; i++)
		if (target->rules[i].count == KRL_COUNT_CONNECTIONS ||
		    !krl_schedule_at(target->rules[i].schedule, now_s, &until_s))
			absent |= 1ULL << i;
	return absent;
}

/* The policy of the target alone: RateLimits on one endpoint do not know of each other, but for what they hide. */
static int build_policy(const struct judging *j, const struct krl_policy *shared, const char **ret_what)
{
	struct krl_policy_builder *builder = krl_policy_builder_new();
	const struct krl_rule_spec *rule = j->target->rules;
	int err = builder ? 0 : -ENOMEM;
	size_t i;

	if (builder) {
		krl_policy_client(builder, &j->limit->client_ip);
		krl_policy_redact(builder, j->limit->redact);
	}
	for (i = 0; i < j->target->rule_count && !err; i++, rule++) {
		if (is_absent(j, i))
			continue;
		krl_policy_models(builder, rule->llm ? &j->limit->models : NULL);
		err = krl_policy_add(builder, i, 0, !j->limit->match_all, rule->selectors,
				     rule->selector_count, ret_what);
	}
	if (!err && shared)
		krl_policy_hide_as(builder, shared);
	if (!err)
		krl_policy_finish(builder, j->policy);
	krl_policy_builder_free(builder);
	return err;
}

/* What picks the bucket of the rules of @tier, which counts: of the first entry that is true. */
static int name_bucket(const struct judging *j, const struct krl_tier *tier, char **ret)
{
	const struct krl_entry *entry = &j->policy->entries[tier->first];
	unsigned int i;
	int err = 0;

	for (i = 0; i < tier->entry_count && !krl_match_entry(&j->match, j->policy, entry); i++)
		entry++;
	for (i = 0; i < j->policy->field_count && tier->entry_count && !err; i++) {
		if (!(entry->distinct >> i & 1))
			continue;
		if (*ret)
			err = krl_explain_say(ret, ", ");
		if (!err)
			err = krl_explain_value(&j->asked, &j->policy->fields[i], ret);
	}
	return err;
}

/* The number of a tier as people count them, from 1. */
static unsigned int tier_number(const struct krl_policy *policy, unsigned int tier)
{
	unsigned int number = 0;

	for (;; tier--) {
		number += !(policy->tiers[tier].flags & KRL_TIER_ALONG);
		if (!tier)
			return number;
	}
}

/* Without a look at what the kernel says. The policy tells the order of tiers. */
static int explain(const struct judging *j, size_t rule, char **ret)
{
	const struct krl_rule_spec *rules = j->target->rules;
	unsigned int own = tier_number(j->policy, j->policy->tier_of[rule]);
	int met = krl_explain_meets(&j->asked, &rules[rule]);
	size_t i;

	if (met < 0)
		return krl_explain_fails(&j->asked, &rules[rule], ret);
	for (i = 0; i < j->target->rule_count && !j->limit->match_all; i++)
		if (!is_absent(j, i) && tier_number(j->policy, j->policy->tier_of[i]) < own &&
		    krl_explain_meets(&j->asked, &rules[i]) >= 0)
			return krl_explain_say(ret, "an earlier tier counts");
	if (!rules[rule].selector_count)
		return krl_explain_say(ret, rules[rule].llm ? "for every POST" : "for every request");
	return krl_explain_say(ret, "meets clientSelectors[%d]", met);
}

static int judge(const struct judging *j, size_t rule, struct krl_check_verdict *ret)
{
	unsigned int tier = j->policy->tier_of[rule];
	int err;

	if (j->target->rules[rule].count == KRL_COUNT_CONNECTIONS)
		return krl_explain_say(&ret->why, "counts connections");
	if (is_absent(j, rule))
		return krl_explain_say(&ret->why, "outside its schedule");
	/* Of what goes out, of a pod that is known. */
	if (j->limit->caller && j->asked.pod && !krl_from_meets(j->limit->caller, &j->asked.pod->facts))
		return krl_explain_say(&ret->why, "for clients of other pods");
	ret->counts = j->match.rules >> rule & 1;
	ret->tier = j->limit->match_all ? 0 : tier_number(j->policy, tier);
	err = explain(j, rule, &ret->why);
	if (err || !ret->counts)
		return err;
	memcpy(ret->descriptor, j->match.descriptors[tier], sizeof(ret->descriptor));
	return name_bucket(j, &j->policy->tiers[tier], &ret->bucket);
}

/* Which models the headers of the policy tell, and the body if the last of those tells none. */
static void note_models(const struct judging *j, const char *body, struct krl_asked *asked)
{
	const struct krl_asked_header *header;
	struct krl_asked_header *last = NULL;
	unsigned int i;
	size_t k;

	for (k = 0; k < asked->header_count; k++) {
		header = &asked->headers[k];
		for (i = 0; i < j->policy->model_header_count; i++) {
			const char *name = j->policy->model_headers[i].name;

			if (header->name_len != strlen(name) || strncasecmp(header->name, name, header->name_len))
				continue;
			last = &asked->models[asked->model_count++];
			*last = *header;
			break;
		}
	}
	if (body && (!last || !last->value_len))
		asked->models[asked->model_count++] =
			(struct krl_asked_header){ .value = body, .value_len = strlen(body) };
}

/* Who the client is to the rules of the policy, which has one header at most that says so. */
static void note_client(struct judging *j)
{
	const __u8 *client = j->policy->client_header_count
				     ? krl_client_address(&j->match.clients[0], j->limit->client_ip.hops)
				     : NULL;

	if (client)
		memcpy(j->asked.source, client, sizeof(j->asked.source));
}

int krl_check_target(const struct krl_check_request *request, const struct krl_rate_limit *limit,
		     const struct krl_target *target, const struct krl_policy *shared,
		     const __u64 key[2], struct krl_check_verdict ret[KRL_MAX_ENDPOINT_RULES], const char **ret_what)
{
	struct krl_check_verdict verdicts[KRL_MAX_ENDPOINT_RULES] = { 0 };
	struct judging j = {
		.asked = request->asked,
		.limit = limit,
		.target = target,
		.absent = find_absent(target, request->now_s),
		.policy = malloc(sizeof(*j.policy)),
	};
	size_t i, line;
	int err;

	err = j.policy ? build_policy(&j, shared, ret_what) : -ENOMEM;
	if (!err)
		err = walk(request, j.policy, target, key, &j.match, &line);
	if (!err)
		note_client(&j);
	if (!err)
		note_models(&j, request->model, &j.asked);
	for (i = 0; i < target->rule_count && !err; i++)
		err = judge(&j, i, &verdicts[i]);
	free(j.policy);
	for (i = 0; i < KRL_MAX_ENDPOINT_RULES && err; i++)
		krl_check_verdict_clear(&verdicts[i]);
	if (!err)
		memcpy(ret, verdicts, target->rule_count * sizeof(*ret));
	return err;
}

void krl_check_verdict_clear(struct krl_check_verdict *verdict)
{
	free(verdict->why);
	free(verdict->bucket);
	*verdict = (struct krl_check_verdict){ 0 };
}

bool krl_check_ambiguous(const struct krl_check_request *request, const struct krl_policy *policy)
{
	static const __u64 no_key[2];
	struct krl_match match;
	size_t line;

	return !walk(request, policy, NULL, no_key, &match, &line) && match.ambiguous;
}
