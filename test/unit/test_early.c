// SPDX-License-Identifier: Apache-2.0
/* A request that was judged ahead of its body: by which rules, and whether what it took may be given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/lib/early.h"

#define TAKEN 0x5
#define SHADOWED 0x2

static struct krl_endpoint endpoint;
static struct krl_conn conn;
static struct krl_llm llm;

/* Request 0 of a connection was judged by its head, took what it took, and is not answered. */
static int begin(void **state)
{
	memset(&endpoint, 0, sizeof(endpoint));
	memset(&conn, 0, sizeof(conn));
	memset(&llm, 0, sizeof(llm));
	endpoint.policy = 7;
	endpoint.rule_count = 2;
	endpoint.rules[0] = (struct krl_rule_ref){ .id = 10, .slot = 1, .scope = KRL_SCOPE_EXACT };
	endpoint.rules[1] = (struct krl_rule_ref){ .id = 11, .slot = 2, .scope = KRL_SCOPE_ANY_IPV4 };
	krl_reply_begin(&conn.reply, 1000);
	krl_reply_expect(&conn.reply, 1, 0);
	conn.judge.taken = TAKEN;
	conn.judge.shadowed = SHADOWED;
	return krl_early_keep(&conn, &llm, &endpoint);
}

static void assert_resumes(int early, int given_back)
{
	krl_early_resume(&conn, &llm, &endpoint);
	assert_int_equal(llm.early, early);
	assert_int_equal(conn.judge.taken, given_back ? TAKEN : 0);
	assert_int_equal(conn.judge.shadowed, given_back ? SHADOWED : 0);
}

static void what_it_took_is_kept(void **state)
{
	assert_int_equal(llm.early, KRL_EARLY_JUDGED);
	assert_int_equal(llm.counted, TAKEN | SHADOWED);
	assert_resumes(KRL_EARLY_JUDGED, 1);
	assert_resumes(KRL_EARLY_JUDGED, 1);
}

static void another_rule_is_judged_anew(void **state)
{
	endpoint.rules[1].id++;
	assert_resumes(KRL_EARLY_NOT, 0);
}

static void a_rule_in_another_slot_is_judged_anew(void **state)
{
	endpoint.rules[1].slot++;
	assert_resumes(KRL_EARLY_NOT, 0);
}

static void a_rule_with_other_buckets_is_judged_anew(void **state)
{
	endpoint.rules[1].scope = KRL_SCOPE_EXACT;
	assert_resumes(KRL_EARLY_NOT, 0);
}

static void other_selectors_are_judged_anew(void **state)
{
	endpoint.policy++;
	assert_resumes(KRL_EARLY_NOT, 0);
}

static void a_rule_more_is_judged_anew(void **state)
{
	endpoint.rules[KRL_MAX_ENDPOINT_RULES - 1].id = 12;
	assert_resumes(KRL_EARLY_NOT, 0);
}

/* The body ended in the skb before: what the request took is no matter of the next. */
static void between_two_requests_nothing_is_left(void **state)
{
	llm.fresh = 1;
	assert_resumes(KRL_EARLY_NOT, 0);
}

static void a_request_that_was_admitted_is_told_of_once(void **state)
{
	llm.judged = 1;
	krl_early_resume(&conn, &llm, &endpoint);
	assert_int_equal(llm.judged, 0);
}

static void one_that_was_not_judged_ahead_took_nothing(void **state)
{
	llm.early = KRL_EARLY_NOT;
	assert_resumes(KRL_EARLY_NOT, 0);
}

static void what_was_answered_is_not_given_back(void **state)
{
	conn.reply.answered = 1;
	assert_resumes(KRL_EARLY_JUDGED, 0);
}

static void what_began_to_be_answered_is_not_given_back(void **state)
{
	conn.reply.line = 1;
	assert_resumes(KRL_EARLY_JUDGED, 0);
}

static void a_head_that_is_underway_is_not_given_back(void **state)
{
	conn.reply.http.state = KRL_HTTP_FIELD_START;
	assert_resumes(KRL_EARLY_JUDGED, 0);
}

static void what_may_have_been_answered_is_not_given_back(void **state)
{
	krl_reply_forget(&conn.reply);
	assert_resumes(KRL_EARLY_JUDGED, 0);
}

/* Its answer comes behind that to the request before, which is underway. */
static void an_answer_to_another_is_none(void **state)
{
	llm.number = 1;
	krl_reply_expect(&conn.reply, 1, 0);
	conn.reply.line = 1;
	assert_resumes(KRL_EARLY_JUDGED, 1);
	conn.reply.line = 0;
	conn.reply.answered = 1;
	conn.reply.skip = 5;
	assert_resumes(KRL_EARLY_JUDGED, 1);
}

/* Numbers of requests go round. */
static void numbers_wrap(void **state)
{
	llm.number = UINT32_MAX;
	conn.reply.answered = UINT32_MAX;
	conn.reply.asked = 0;
	assert_resumes(KRL_EARLY_JUDGED, 1);
	conn.reply.answered = 0;
	assert_resumes(KRL_EARLY_JUDGED, 0);
}

#define EACH(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(what_it_took_is_kept),
		EACH(another_rule_is_judged_anew),
		EACH(a_rule_in_another_slot_is_judged_anew),
		EACH(a_rule_with_other_buckets_is_judged_anew),
		EACH(other_selectors_are_judged_anew),
		EACH(a_rule_more_is_judged_anew),
		EACH(between_two_requests_nothing_is_left),
		EACH(a_request_that_was_admitted_is_told_of_once),
		EACH(one_that_was_not_judged_ahead_took_nothing),
		EACH(what_was_answered_is_not_given_back),
		EACH(what_began_to_be_answered_is_not_given_back),
		EACH(a_head_that_is_underway_is_not_given_back),
		EACH(what_may_have_been_answered_is_not_given_back),
		EACH(an_answer_to_another_is_none),
		EACH(numbers_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
