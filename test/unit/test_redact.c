// SPDX-License-Identifier: Apache-2.0
/* redact: the values that pick buckets are hidden, also from other RateLimits of the endpoint, and from no others. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/policy/check.h"
#include "agent/policy/explain.h"
#include "agent/policy/policy.h"
#include "compiled.h"
#include "match_walk.h"

#define RULES(selector) ", rules: [{limit: 1/day, clientSelectors: [" selector "]}]"
#define EACH_USER "{headers: [{name: x-user, type: Distinct}]}"
#define AT(port, rest) "{endpoints: [{ip: 127.0.0.1, port: " #port "}]" rest "}"
#define REDACTED ", redact: true"
#define ALICE "GET /v1/alice?q=1 HTTP/1.1\r\nx-user: alice\r\nx-api-key: s3cr3t\r\n\r\n"

static const __u64 key[2] = { 1, 2 };
static const __u8 peer[16] = { [10] = 0xff, 0xff, 192, 0, 2, 7 };

static struct match_walk walk;
static char *text;

static int teardown_all(void **state)
{
	free(text);
	text = NULL;
	return teardown(state);
}

static const struct krl_policy *policy_at(__u16 port)
{
	size_t i;

	for (i = 0; i < plan.policy_count; i++)
		if (plan.policies[i].key == endpoint_at(port)->policy)
			return plan.policies[i].policy;
	fail_msg("no policy at port %d", port);
	return NULL;
}

/* Alice's request under @policy, as what is kept for rule @rule reads. */
static const char *kept(const struct krl_policy *policy, unsigned int rule)
{
	match_walk_begin(&walk, policy, key, peer);
	match_walk_on(&walk, ALICE, strlen(ALICE), KRL_HTTP_WINDOW_BYTES);
	assert_int_equal(walk.heads, 1);
	krl_keep(&walk.match, policy, policy->tier_of[rule]);
	free(text);
	text = NULL;
	assert_int_equal(krl_explain_kept(&walk.match.kept, &text), 0);
	return text;
}

/* The descriptor that was found last for rule @rule under @policy. */
static __u64 descriptor(const struct krl_policy *policy, unsigned int rule)
{
	return walk.match.descriptors[policy->tier_of[rule]][0];
}

static void assert_hidden(const char *reads, const char *name)
{
	size_t len = strlen(name);

	assert_memory_equal(reads, name, len);
	assert_memory_equal(reads + len, "=#", 2);
	assert_int_equal(strspn(reads + len + 2, "0123456789abcdef"), 8);
	assert_null(strstr(reads, "alice"));
	assert_null(memmem(&walk.match.kept, sizeof(walk.match.kept), "alice", 5));
	assert_null(memmem(walk.match.kept_text, sizeof(walk.match.kept_text), "alice", 5));
}

static void values_are_shown_unless_it_is_said(void **state)
{
	static const char *const shown[] = { "", ", redact: false" };
	char document[512];
	size_t i;

	for (i = 0; i < 2; i++) {
		snprintf(document, sizeof(document), "{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, metadata: {name: web}, "
			 "spec: {endpoints: [{ip: 127.0.0.1, port: 80}]%s" RULES(EACH_USER) "}}\n", shown[i]);
		compile(document);
		assert_string_equal(kept(policy_at(80), 0), "x-user=alice");
		teardown(state);
	}
	compile(LIMIT(AT(80, REDACTED RULES(EACH_USER))));
	assert_hidden(kept(policy_at(80), 0), "x-user");
}

static void a_path_is_hidden_and_what_names_nobody_is_not(void **state)
{
	compile(LIMIT(AT(80, REDACTED RULES("{path: {type: Distinct}}"))));
	assert_hidden(kept(policy_at(80), 0), "path");
	teardown(state);
	compile(LIMIT(AT(80, REDACTED RULES("{sourceCIDR: {type: Distinct}}"))));
	assert_string_equal(kept(policy_at(80), 0), "source=192.0.2.7");
}

static void a_field_that_is_shared_is_hidden_in_either_order(void **state)
{
	static const char *const both[] = {
		LIMIT(AT(80, REDACTED RULES(EACH_USER))) "---\n{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, "
		"metadata: {name: xyz}, spec: " AT(80, RULES(EACH_USER)) "}\n",
		LIMIT(AT(80, RULES(EACH_USER))) "---\n{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, "
		"metadata: {name: xyz}, spec: " AT(80, REDACTED RULES(EACH_USER)) "}\n",
	};
	__u64 found[2];
	size_t i;

	for (i = 0; i < 2; i++) {
		compile(both[i]);
		assert_hidden(kept(policy_at(80), 0), "x-user");
		assert_hidden(kept(policy_at(80), 1), "x-user");
		assert_int_equal(descriptor(policy_at(80), 0), descriptor(policy_at(80), 1));
		found[i] = descriptor(policy_at(80), 0);
		teardown(state);
	}
	assert_int_equal(found[0], found[1]);
}

/* The rows that say whose bucket it is are by the descriptor alone. */
static void another_endpoint_has_other_descriptors(void **state)
{
	__u64 hidden;

	compile(LIMIT(AT(80, REDACTED RULES(EACH_USER))) "---\n{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, "
		"metadata: {name: xyz}, spec: " AT(81, RULES(EACH_USER)) "}\n");
	assert_hidden(kept(policy_at(80), 0), "x-user");
	hidden = descriptor(policy_at(80), 0);
	assert_string_equal(kept(policy_at(81), 0), "x-user=alice");
	assert_int_not_equal(descriptor(policy_at(81), 0), hidden);
}

static void a_secret_header_stays_as_it_is(void **state)
{
	__u64 before;

	compile(LIMIT(AT(80, RULES("{headers: [{name: x-api-key, type: Distinct}]}"))));
	assert_hidden(kept(policy_at(80), 0), "x-api-key");
	before = descriptor(policy_at(80), 0);
	teardown(state);
	compile(LIMIT(AT(80, REDACTED RULES("{headers: [{name: x-api-key, type: Distinct}]}"))));
	assert_hidden(kept(policy_at(80), 0), "x-api-key");
	assert_int_equal(descriptor(policy_at(80), 0), before);
}

/* An endpoint whose rules come from policies that are in force already. */
static void what_is_adopted_stays_hidden(void **state)
{
	struct krl_policy_builder *builder = krl_policy_builder_new();
	struct krl_policy joined;
	const char *what;

	compile(LIMIT(AT(80, REDACTED RULES(EACH_USER))) "---\n{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, "
		"metadata: {name: xyz}, spec: " AT(81, RULES(EACH_USER)) "}\n");
	assert_int_equal(krl_policy_adopt(builder, 0, 0, policy_at(81), 0, &what), 0);
	assert_int_equal(krl_policy_adopt(builder, 1, KRL_MAX_TIERS, policy_at(80), 0, &what), 0);
	krl_policy_finish(builder, &joined);
	krl_policy_builder_free(builder);
	assert_hidden(kept(&joined, 0), "x-user");
	assert_hidden(kept(&joined, 1), "x-user");
}

/* `kmesh-rl check --live` looks for the bucket that the request would take from. */
static void a_check_finds_the_bucket_of_a_shared_field(void **state)
{
	static const char *const headers[] = { "x-user: alice", "x-api-key: s3cr3t" };
	struct krl_check_question question = { .method = "GET", .target = "/v1/alice?q=1", .headers = headers,
					       .header_count = 2 };
	struct krl_check_verdict verdicts[KRL_MAX_ENDPOINT_RULES] = { 0 };
	struct krl_check_request *request;
	const struct krl_rate_limit *limit;
	const char *what;
	size_t line, i;

	memcpy(question.source, peer, sizeof(peer));
	compile(LIMIT(AT(80, REDACTED RULES(EACH_USER))) "---\n{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, "
		"metadata: {name: xyz}, spec: " AT(80, RULES(EACH_USER)) "}\n");
	kept(policy_at(80), 0);
	assert_int_equal(krl_check_request(&question, &request, &line), 0);
	for (i = 0; i < 2; i++) {
		limit = &file.documents[i].document->rate_limit;
		assert_int_equal(krl_check_target(request, limit, limit->targets, policy_at(80), key, verdicts, &what), 0);
		assert_true(verdicts[0].counts);
		assert_int_equal(verdicts[0].descriptor[0], descriptor(policy_at(80), i));
		krl_check_verdict_clear(&verdicts[0]);
	}
	/* Alone, it is found without a policy. */
	limit = &file.documents[0].document->rate_limit;
	assert_int_equal(krl_check_target(request, limit, limit->targets, NULL, key, verdicts, &what), 0);
	assert_int_equal(verdicts[0].descriptor[0], descriptor(policy_at(80), 0));
	krl_check_verdict_clear(&verdicts[0]);
	krl_check_free(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(values_are_shown_unless_it_is_said, teardown_all),
		cmocka_unit_test_teardown(a_path_is_hidden_and_what_names_nobody_is_not, teardown_all),
		cmocka_unit_test_teardown(a_field_that_is_shared_is_hidden_in_either_order, teardown_all),
		cmocka_unit_test_teardown(another_endpoint_has_other_descriptors, teardown_all),
		cmocka_unit_test_teardown(a_secret_header_stays_as_it_is, teardown_all),
		cmocka_unit_test_teardown(what_is_adopted_stays_hidden, teardown_all),
		cmocka_unit_test_teardown(a_check_finds_the_bucket_of_a_shared_field, teardown_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
