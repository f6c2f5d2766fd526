// SPDX-License-Identifier: Apache-2.0
/* Which pod has which address: what is written as pods come, change and go, in which order, and what fails. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/policy/peers.h"

/* What is written, as the kernel has it: a line for each. */
#define ROWS 64
static struct {
	bool told;
	__u8 addr[16];
	__u64 selector;		/* 0: who it is */
	char name[64];
} rows[ROWS];
static char written[4096];	/* in order: +N, -N of who has address N, +N.S, -N.S of selector S */
static int failure;		/* of the next writes */
static struct krl_peers *peers;
static struct krl_plan plan;

static size_t row_of(const __u8 addr[16], __u64 selector)
{
	size_t i, unused = ROWS;

	for (i = 0; i < ROWS; i++) {
		if (!rows[i].told)
			unused = unused == ROWS ? i : unused;
		else if (!memcmp(rows[i].addr, addr, 16) && rows[i].selector == selector)
			return i;
	}
	assert_true(unused < ROWS);
	return unused;
}

static void say(const char *fmt, int addr, unsigned long long selector)
{
	char text[64];

	snprintf(text, sizeof(text), fmt, addr, selector);
	strcat(written, text);
}

static int put_row(const __u8 addr[16], __u64 selector, const char *name)
{
	size_t at = row_of(addr, selector);

	if (failure)
		return failure;
	rows[at].told = true;
	memcpy(rows[at].addr, addr, 16);
	rows[at].selector = selector;
	snprintf(rows[at].name, sizeof(rows[at].name), "%s", name);
	return 0;
}

static int put(void *ctx, const __u8 addr[16], const struct krl_pod *pod)
{
	int err = put_row(addr, 0, pod->names[KRL_PEER_POD]);

	if (!err)
		say("+%d ", addr[15], 0);
	return err;
}

static int drop(void *ctx, const __u8 addr[16])
{
	if (failure)
		return failure;
	if (rows[row_of(addr, 0)].told)
		say("-%d ", addr[15], 0);
	rows[row_of(addr, 0)].told = false;
	return 0;
}

static int meet(void *ctx, const __u8 addr[16], __u64 selector, bool meets)
{
	bool was = rows[row_of(addr, selector)].told;
	int err = meets ? put_row(addr, selector, "") : failure;

	if (err)
		return err;
	if (!meets)
		rows[row_of(addr, selector)].told = false;
	if (was != meets)
		say(meets ? "+%d.%llu " : "-%d.%llu ", addr[15], selector);
	return 0;
}

static int sweep(void *ctx, bool (*keeps)(void *arg, const __u8 addr[16], __u64 selector), void *arg)
{
	size_t i;

	for (i = 0; i < ROWS && !failure; i++)
		if (rows[i].told && !keeps(arg, rows[i].addr, rows[i].selector))
			rows[i].told = false;
	return failure;
}

static const struct krl_peers_sink sink = { put, drop, meet, sweep };

static int setup(void **state)
{
	memset(rows, 0, sizeof(rows));
	*written = 0;
	failure = 0;
	peers = krl_peers_new(NULL);
	krl_peers_write_to(peers, &sink, NULL);
	return peers ? 0 : -1;
}

static int teardown(void **state)
{
	krl_peers_free(peers);
	while (plan.from_count)
		krl_from_unref(plan.from[--plan.from_count]);
	free(plan.from);
	memset(&plan, 0, sizeof(plan));
	return 0;
}

/* The plan asks for pods with the label app=@app, as selector number @number. */
static void ask_for(const char *app, __u64 number, bool of_namespace)
{
	struct krl_from *from = krl_from_new();
	struct krl_label_selector *labels = of_namespace ? &from->namespaces : &from->pods;

	labels->requirements = calloc(1, sizeof(*labels->requirements));
	labels->count = 1;
	labels->requirements[0].key = strdup("app");
	labels->requirements[0].values = calloc(1, sizeof(char *));
	labels->requirements[0].values[0] = strdup(app);
	labels->requirements[0].value_count = 1;
	from->selects_namespaces = true;
	from->key = number;
	plan.from = reallocarray(plan.from, plan.from_count + 1, sizeof(*plan.from));
	plan.from[plan.from_count++] = from;
	plan.asks_peers = true;
}

static json_t *pod_object(const char *name, const char *addr, const char *app, int day, const char *phase)
{
	return json_pack("{s:{s:s, s:s, s:s+, s:{s:s}}, s:{s:s, s:s}}", "metadata", "name", name, "namespace", "default",
			 "creationTimestamp", day == 1 ? "2026-01-01T00:00:0" : "2026-01-02T00:00:0", "0Z", "labels", "app", app,
			 "status", "phase", phase, "podIP", addr);
}

static void put_pod(const char *name, const char *addr, const char *app, int day)
{
	json_t *object = pod_object(name, addr, app, day, "Running");

	assert_non_null(object);
	krl_peers_put_pod(peers, object);
	json_decref(object);
}

static void end_pod(const char *name, const char *addr)
{
	json_t *object = pod_object(name, addr, "web", 1, "Failed");

	krl_peers_put_pod(peers, object);
	json_decref(object);
}

static void remove_pod(const char *name)
{
	json_t *object = pod_object(name, "", "", 1, "");

	krl_peers_remove_pod(peers, object);
	json_decref(object);
}

static void put_namespace(const char *app)
{
	json_t *object = json_pack("{s:{s:s, s:{s:s}}}", "metadata", "name", "default", "labels", "app", app);

	krl_peers_put_namespace(peers, object);
	json_decref(object);
}

static void wrote(const char *what)
{
	assert_string_equal(written, what);
	*written = 0;
}

static size_t row_count(void)
{
	size_t i, n = 0;

	for (i = 0; i < ROWS; i++)
		n += rows[i].told;
	return n;
}

static void want(void)
{
	krl_peers_want(peers, &plan, true);
	krl_peers_want(peers, &plan, false);
}

static void only_what_is_asked_for_is_written(void **state)
{
	put_pod("a", "10.0.0.1", "web", 1);
	wrote("");
	assert_false(krl_peers_need_pods(peers));
	ask_for("web", 7, false);
	want();
	assert_true(krl_peers_need_pods(peers));
	assert_false(krl_peers_need_namespaces(peers));
	wrote("+1.7 ");
	put_pod("b", "10.0.0.2", "db", 1);
	wrote("");
	plan.tells_peers = true;
	want();
	put_pod("c", "10.0.0.3", "web", 1);
	assert_int_equal(row_count(), 5);
}

static void what_was_anothers_goes_first(void **state)
{
	ask_for("web", 7, false);
	ask_for("db", 8, false);
	plan.tells_peers = true;
	want();
	put_pod("a", "10.0.0.1", "web", 1);
	wrote("+1 +1.7 ");
	krl_peers_write_again(peers);
	wrote("+1 ");
	put_pod("b", "10.0.0.1", "db", 2);
	wrote("-1 -1.7 +1 +1.8 ");
	/* The older one does not take it back, whatever is said of it. */
	put_pod("a", "10.0.0.1", "web", 1);
	put_pod("a", "10.0.0.1", "db", 1);
	wrote("");
	remove_pod("b");
	wrote("-1 -1.8 +1 +1.8 ");
	end_pod("a", "10.0.0.1");
	wrote("-1 -1.8 ");
	/* Of two that were made at once it is the one that was told of last. */
	put_pod("c", "10.0.0.1", "web", 1);
	put_pod("d", "10.0.0.1", "db", 1);
	wrote("+1 +1.7 -1 -1.7 +1 +1.8 ");
	remove_pod("d");
	remove_pod("c");
	assert_int_equal(row_count(), 0);
}

static void what_does_not_matter_writes_nothing(void **state)
{
	ask_for("web", 7, false);
	plan.tells_peers = true;
	want();
	put_pod("a", "10.0.0.1", "web", 1);
	*written = 0;
	put_pod("a", "10.0.0.1", "web", 1);
	wrote("");
	put_pod("a", "10.0.0.2", "web", 1);
	wrote("-1 -1.7 +2 +2.7 ");
	put_pod("a", "10.0.0.2", "db", 1);
	wrote("-2.7 ");
}

static void labels_of_namespaces(void **state)
{
	ask_for("red", 7, true);
	want();
	assert_true(krl_peers_need_namespaces(peers));
	put_pod("a", "10.0.0.1", "red", 1);
	wrote("");
	put_namespace("red");
	wrote("+1.7 ");
	put_namespace("blue");
	wrote("-1.7 ");
	put_namespace("red");
	*written = 0;
	krl_peers_list_namespaces(peers);
	krl_peers_namespaces_listed(peers);
	wrote("-1.7 ");
}

static void what_a_list_does_not_have_goes(void **state)
{
	ask_for("web", 7, false);
	want();
	krl_peers_list_pods(peers);
	put_pod("a", "10.0.0.1", "web", 1);
	put_pod("b", "10.0.0.2", "web", 1);
	krl_peers_pods_listed(peers);
	*written = 0;
	krl_peers_list_pods(peers);
	put_pod("b", "10.0.0.2", "web", 1);
	wrote("");
	krl_peers_pods_listed(peers);
	wrote("-1.7 ");
	krl_peers_forget_pods(peers);
	wrote("-2.7 ");
}

static void an_edit_is_there_before_and_gone_after(void **state)
{
	ask_for("web", 7, false);
	want();
	put_pod("a", "10.0.0.1", "web", 1);
	*written = 0;
	plan.from[0]->key = 7;
	krl_from_unref(plan.from[0]);
	plan.from_count = 0;
	ask_for("web", 8, false);
	krl_peers_want(peers, &plan, true);
	wrote("+1.8 ");
	krl_peers_want(peers, &plan, false);
	wrote("-1.7 ");
}

static void what_an_agent_before_wrote(void **state)
{
	static const __u8 first[16] = { [10] = 255, 255, 10, 0, 0, 1 }, second[16] = { [10] = 255, 255, 10, 0, 0, 2 };

	put_row(first, 7, "");
	put_row(first, 9, "");
	put_row(second, 7, "");
	put_row(second, 0, "default/gone");
	ask_for("web", 7, false);
	plan.retain_all = true;
	want();
	krl_peers_list_pods(peers);
	put_pod("a", "10.0.0.1", "db", 1);
	wrote("-1.7 ");
	/* As long as something of before is unread, what may be of it stays. */
	krl_peers_pods_listed(peers);
	assert_int_equal(row_count(), 3);
	plan.retain_all = false;
	want();
	assert_int_equal(row_count(), 0);
}

static void nobody_asks_any_more(void **state)
{
	static const __u8 first[16] = { [10] = 255, 255, 10, 0, 0, 1 };

	put_row(first, 7, "");
	want();
	assert_int_equal(row_count(), 0);
}

static void what_fails_is_written_later(void **state)
{
	ask_for("web", 7, false);
	plan.tells_peers = true;
	want();
	failure = -E2BIG;
	put_pod("a", "10.0.0.1", "web", 1);
	assert_int_equal(krl_peers_error(peers), -E2BIG);
	failure = 0;
	want();
	assert_int_equal(krl_peers_error(peers), 0);
	wrote("+1 +1.7 ");
	failure = -ENOMEM;
	remove_pod("a");
	failure = 0;
	assert_int_equal(row_count(), 2);
	want();
	assert_int_equal(row_count(), 0);
}

/* The plan is for clients of pods with the label app=@app, as selector number @number. */
static void ask_for_callers(const char *app, __u64 number)
{
	ask_for(app, number, false);
	plan.from[plan.from_count - 1]->of_callers = true;
	plan.asks_peers = plan.from_count > 1;
	plan.asks_callers = true;
}

static void put_own_pod(const char *uid, const char *app, const char *phase, const char *node)
{
	json_t *object = json_pack("{s:{s:s, s:s, s:s, s:{s:s}}, s:{s:s}, s:{s:s, s:s}}", "metadata", "name", "own", "namespace",
				   "default", "uid", uid, "labels", "app", app, "spec", "nodeName", node, "status", "phase", phase,
				   "podIP", "10.0.0.9");

	assert_non_null(object);
	krl_peers_put_pod(peers, object);
	json_decref(object);
}

static size_t awaited(void)
{
	unsigned int news;

	return krl_peers_await_netns(peers, &news);
}

static void clients_by_their_network_namespace(void **state)
{
	krl_peers_free(peers);
	peers = krl_peers_new("here");
	krl_peers_write_to(peers, &sink, NULL);
	put_own_pod("u1", "web", "Running", "here");
	assert_int_equal(awaited(), 0);
	ask_for_callers("web", 7);
	want();
	assert_true(krl_peers_need_callers(peers));
	assert_false(krl_peers_need_pods(peers));
	assert_int_equal(awaited(), 1);
	assert_false(krl_peers_found_netns(peers, "u2", 1));
	assert_true(krl_peers_found_netns(peers, "u1", 0x0500000000000000));
	assert_int_equal(awaited(), 0);
	wrote("+5.7 ");
	assert_false(krl_peers_found_netns(peers, "u1", 0x0500000000000000));
	/* What is asked of those that connect is not asked of it, and the other way round. */
	ask_for("web", 8, false);
	plan.tells_peers = true;
	want();
	wrote("+9 +9.8 ");
	put_own_pod("u1", "db", "Running", "here");
	wrote("-9.8 -5.7 ");
	put_own_pod("u1", "web", "Running", "here");
	*written = 0;
	assert_true(krl_peers_found_netns(peers, "u1", 0x0600000000000000));
	wrote("-5.7 +6.7 ");
	put_own_pod("u1", "web", "Failed", "here");
	wrote("-9 -9.8 -6.7 ");
	put_own_pod("u1", "web", "Running", "here");
	assert_int_equal(awaited(), 1);
	krl_peers_found_netns(peers, "u1", 0x0600000000000000);
	*written = 0;
	put_own_pod("u2", "web", "Running", "here");
	wrote("-6.7 ");
	put_own_pod("u2", "web", "Running", "away");
	assert_int_equal(awaited(), 0);
	assert_false(krl_peers_found_netns(peers, "u2", 0x0600000000000000));
}

static void network_namespaces_of_before_stay_until_they_were_looked_for(void **state)
{
	__u8 addr[16], gone[16];

	krl_netns_address(0x0500000000000000, addr);
	krl_netns_address(0x0600000000000000, gone);
	put_row(addr, 7, "");
	put_row(gone, 7, "");
	ask_for_callers("web", 7);
	want();
	krl_peers_list_pods(peers);
	put_own_pod("u1", "web", "Running", "here");
	krl_peers_pods_listed(peers);
	assert_int_equal(row_count(), 2);
	krl_peers_found_netns(peers, "u1", 0x0500000000000000);
	krl_peers_netns_found(peers);
	assert_int_equal(row_count(), 1);
	assert_true(rows[row_of(addr, 7)].told);
}

static void many(void **state)
{
	char name[32], addr[32];
	int i;

	ask_for("web", 7, false);
	want();
	for (i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		snprintf(addr, sizeof(addr), "10.1.%d.%d", i / 250, 1 + i % 250);
		put_pod(name, addr, "db", 1);
	}
	for (i = 0; i < 5000; i += 2) {
		snprintf(name, sizeof(name), "p%d", i);
		remove_pod(name);
	}
	put_pod("p1", "10.1.0.2", "web", 1);
	wrote("+2.7 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_what_is_asked_for_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_anothers_goes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(what_does_not_matter_writes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(labels_of_namespaces, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_list_does_not_have_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(an_edit_is_there_before_and_gone_after, setup, teardown),
		cmocka_unit_test_setup_teardown(what_an_agent_before_wrote, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_asks_any_more, setup, teardown),
		cmocka_unit_test_setup_teardown(what_fails_is_written_later, setup, teardown),
		cmocka_unit_test_setup_teardown(clients_by_their_network_namespace, setup, teardown),
		cmocka_unit_test_setup_teardown(network_namespaces_of_before_stay_until_they_were_looked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(many, setup, teardown),
	};

	return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
