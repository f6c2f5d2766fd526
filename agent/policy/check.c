// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "bpf/lib/match.h"
#include "explain.h"
#include "policy.h"

struct krl_check_request {
	struct krl_asked asked;
	char *head;		/* with KRL_MATCH_SPARE bytes behind it */
	size_t len;
};

/* Step through the head as krl_scan_step does. 0, or -EINVAL with @ret_line set. */
static int walk(const struct krl_check_request *request, const struct krl_policy *policy,
		const __u64 key[2], struct krl_match *ret, size_t *ret_line)
{
	union krl_match_went went = { 0 };
	struct krl_http http = { 0 };
	size_t at, line = 0;
	__u32 steps;
	int event;

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->key, key, sizeof(ret->key));
	memcpy(ret->source, request->asked.source, sizeof(ret->source));
	for (at = 0; at < request->len; at += steps) {
		went.before = http.state;
		steps = krl_http_step(&http, request->head, at, request->len, request->len - at,
				      &event);
		went.bytes = steps;
		krl_match_step(ret, policy, &http, krl_load_word(request->head + at), went.all);
		if (event == KRL_HTTP_BEGIN)
			krl_match_begin(ret);
		else if (event != KRL_HTTP_NOTHING)
			break;
		line += request->head[at] == '\n';
	}
	if (at + 1 != request->len || event != KRL_HTTP_HEAD_END) {
		*ret_line = line;
		return -EINVAL;
	}
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
	memcpy(ret->source, question->source, sizeof(ret->source));
	for (c = question->target; *c; c++)
		krl_path_byte(&path, ret->path, *c);
	ret->path_len = krl_path_end(&path, ret->path, &is_long);
	ret->path_long = is_long;
	ret->headers = calloc(question->header_count + 1, sizeof(*ret->headers));
	if (!ret->headers)
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
	err = build_head(question, request);
	if (!err)
		err = note_asked(question, &request->asked);
	if (!err)
		err = walk(request, NULL, no_key, &match, ret_line);
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
	free(request->head);
	free(request);
}

/* The policy of @target alone: RateLimits on one endpoint do not know of each other. */
static int build_policy(const struct krl_rate_limit *limit, const struct krl_target *target,
			struct krl_policy *ret, const char **ret_what)
{
	struct krl_policy_builder *builder = krl_policy_builder_new();
	int err = builder ? 0 : -ENOMEM;
	size_t i;

	if (builder)
		krl_policy_client(builder, &limit->client_ip);
	for (i = 0; i < target->rule_count && !err; i++)
		err = krl_policy_add(builder, i, 0, !limit->match_all, target->rules[i].selectors,
				     target->rules[i].selector_count, ret_what);
	if (!err)
		krl_policy_finish(builder, ret);
	krl_policy_builder_free(builder);
	return err;
}

/* What picks the bucket of the rules of @tier, which counts: of the first entry that is true. */
static int name_bucket(const struct krl_asked *asked, const struct krl_policy *policy,
		       const struct krl_match *match, const struct krl_tier *tier, char **ret)
{
	const struct krl_entry *entry = &policy->entries[tier->first];
	unsigned int i;
	int err = 0;

	for (i = 0; i < tier->entry_count && !krl_match_entry(match, entry); i++)
		entry++;
	for (i = 0; i < policy->field_count && tier->entry_count && !err; i++) {
		if (!(entry->distinct >> i & 1))
			continue;
		if (*ret)
			err = krl_explain_say(ret, ", ");
		if (!err)
			err = krl_explain_value(asked, &policy->fields[i], ret);
	}
	return err;
}

/* Without a look at what the kernel says. @policy tells the order of tiers. */
static int explain(const struct krl_asked *asked, const struct krl_target *target, bool all,
		   const struct krl_policy *policy, size_t rule, char **ret)
{
	const struct krl_rule_spec *spec = &target->rules[rule];
	int met = krl_explain_meets(asked, spec);
	size_t i;

	if (met < 0)
		return krl_explain_fails(asked, spec, ret);
	for (i = 0; i < target->rule_count && !all; i++)
		if (policy->tier_of[i] < policy->tier_of[rule] &&
		    krl_explain_meets(asked, &target->rules[i]) >= 0)
			return krl_explain_say(ret, "an earlier tier counts");
	if (!spec->selector_count)
		return krl_explain_say(ret, "for every request");
	return krl_explain_say(ret, "meets clientSelectors[%d]", met);
}

static int judge(const struct krl_asked *asked, const struct krl_rate_limit *limit,
		 const struct krl_target *target, const struct krl_policy *policy,
		 const struct krl_match *match, size_t rule, struct krl_check_verdict *ret)
{
	unsigned int tier = policy->tier_of[rule];
	int err;

	ret->counts = match->rules >> rule & 1;
	ret->tier = limit->match_all ? 0 : tier + 1;
	err = explain(asked, target, limit->match_all, policy, rule, &ret->why);
	if (err || !ret->counts)
		return err;
	memcpy(ret->descriptor, match->descriptors[tier], sizeof(ret->descriptor));
	return name_bucket(asked, policy, match, &policy->tiers[tier], &ret->bucket);
}

/* Who the client is to the rules of @policy, which has one header at most that says so. */
static void note_client(const struct krl_policy *policy, const struct krl_match *match, __u8 hops,
			struct krl_asked *asked)
{
	const __u8 *client = policy->client_header_count ? krl_client_address(&match->clients[0], hops) : NULL;

	if (client)
		memcpy(asked->source, client, sizeof(asked->source));
}

int krl_check_target(const struct krl_check_request *request, const struct krl_rate_limit *limit,
		     const struct krl_target *target, const __u64 key[2],
		     struct krl_check_verdict ret[KRL_MAX_ENDPOINT_RULES], const char **ret_what)
{
	struct krl_check_verdict verdicts[KRL_MAX_ENDPOINT_RULES] = { 0 };
	struct krl_policy *policy = malloc(sizeof(*policy));
	struct krl_asked asked = request->asked;
	struct krl_match match;
	size_t i, line;
	int err;

	err = policy ? build_policy(limit, target, policy, ret_what) : -ENOMEM;
	if (!err)
		err = walk(request, policy, key, &match, &line);
	if (!err)
		note_client(policy, &match, limit->client_ip.hops, &asked);
	for (i = 0; i < target->rule_count && !err; i++)
		err = judge(&asked, limit, target, policy, &match, i, &verdicts[i]);
	free(policy);
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

	return !walk(request, policy, no_key, &match, &line) && match.ambiguous;
}
