// SPDX-License-Identifier: Apache-2.0
/* `from` of a selector: what it says, what is said of mistakes, whom it means, and what the kernel is given of it. */
#include <stdlib.h>

#include "agent/policy/check.h"
#include "agent/policy/compile.h"
#include "agent/policy/policy.h"
#include "agent/policy/pod.h"
#include "decoded.h"

/* What follows is in line 8, column 32. */
#define FROM RULE "limit: 1/day\n      clientSelectors: [{from: "

static const struct krl_term *only_term(void)
{
	const struct krl_target *target = only_target();

	assert_int_equal(target->rule_count, 1);
	assert_int_equal(target->rules[0].selector_count, 1);
	assert_int_equal(target->rules[0].selectors[0].term_count, 1);
	return target->rules[0].selectors[0].terms;
}

/* The `from` of which @text is the inside, of a RateLimit in the namespace default. */
static const struct krl_from *from_of(const char *text)
{
	char document[1024];

	snprintf(document, sizeof(document), FROM "{%s}}]\n", text);
	decode(document);
	return only_term()->from;
}

static __u64 key_of(const char *text)
{
	return from_of(text)->key;
}

static void is_the_same_however_it_is_written(void **state)
{
	__u64 key = key_of("podSelector: {matchLabels: {app: web, tier: '1'}}, serviceAccounts: [a, b/c]");

	assert_int_not_equal(key, 0);
	assert_true(key == key_of("serviceAccounts: [b/c, a], podSelector: {matchLabels: {tier: '1', app: web}}"));
	assert_true(key == key_of("serviceAccounts: [b/c, a], podSelector: {matchLabels: {tier: '1'}, matchExpressions: "
				  "[{key: app, operator: In, values: [web, web]}, {key: tier, operator: In, values: ['1']}]}"));
	assert_false(key == key_of("serviceAccounts: [b/c, a], podSelector: {matchLabels: {tier: '1', app: wec}}"));
	assert_false(key == key_of("serviceAccounts: [b/c], podSelector: {matchLabels: {tier: '1', app: web}}"));
	assert_false(key_of("podSelector: {}") == key_of("namespaceSelector: {}"));
	assert_false(key_of("podSelector: {matchExpressions: [{key: a, operator: Exists}]}") ==
		     key_of("podSelector: {matchExpressions: [{key: a, operator: DoesNotExist}]}"));
	assert_false(key_of("podSelector: {matchLabels: {a: b}}") == key_of("namespaceSelector: {matchLabels: {a: b}}"));
}

static void belongs_to_the_namespace_of_its_ratelimit(void **state)
{
	__u64 key = key_of("podSelector: {}");

	/* Whether spec is read before metadata, or after. */
	decode("apiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nspec: {service: a, rules: [{limit: 1/day, clientSelectors: "
	       "[{from: {podSelector: {}}}]}]}\nmetadata: {name: web, namespace: other}\n");
	assert_string_equal(only_term()->from->ns, "other");
	assert_false(only_term()->from->key == key);
}

static bool meets(const char *text, const char *ns, const char *account, const char *labels, const char *ns_labels)
{
	static struct krl_label label, ns_label;
	char key[2][64];
	struct krl_pod_facts facts = { .ns = ns, .account = account, .labels = &label, .ns_labels = &ns_label,
				       .ns_known = ns_labels };

	if (labels && *labels) {
		sscanf(labels, "%63[^=]", key[0]);
		label = (struct krl_label){ key[0], strchr(labels, '=') + 1 };
		facts.label_count = 1;
	}
	if (ns_labels && *ns_labels) {
		sscanf(ns_labels, "%63[^=]", key[1]);
		ns_label = (struct krl_label){ key[1], strchr(ns_labels, '=') + 1 };
		facts.ns_label_count = 1;
	}
	return krl_from_meets(from_of(text), &facts);
}

static void means_as_kubernetes_does(void **state)
{
	static const struct {
		const char *from, *ns, *account, *labels, *ns_labels;
		bool meets;
	} cases[] = {
		{ "podSelector: {}", "default", "x", "", NULL, true },
		{ "podSelector: {}", "other", "x", "", NULL, false },
		{ "namespaceSelector: {}", "other", "x", "", NULL, true },
		{ "namespaceSelector: {matchLabels: {a: b}}", "other", "x", "", "a=b", true },
		{ "namespaceSelector: {matchLabels: {a: b}}", "other", "x", "a=b", "", false },
		{ "namespaceSelector: {matchLabels: {a: b}}", "other", "x", "", NULL, false },
		{ "namespaceSelector: {matchExpressions: [{key: a, operator: DoesNotExist}]}", "o", "x", "", "b=c", true },
		/* Of a namespace of which nothing is known, nothing is known to be missing. */
		{ "namespaceSelector: {matchExpressions: [{key: a, operator: DoesNotExist}]}", "o", "x", "", NULL, false },
		{ "podSelector: {matchLabels: {app: web}}", "default", "x", "app=web", NULL, true },
		{ "podSelector: {matchLabels: {app: web}}", "default", "x", "app=webb", NULL, false },
		{ "podSelector: {matchLabels: {app: ''}}", "default", "x", "app=", NULL, true },
		{ "podSelector: {matchLabels: {app: ''}}", "default", "x", "", NULL, false },
		{ "podSelector: {matchExpressions: [{key: app, operator: In, values: [a, web]}]}", "default", "x", "app=web", NULL, true },
		{ "podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [a, web]}]}", "default", "x", "app=web", NULL, false },
		{ "podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [a, web]}]}", "default", "x", "app=c", NULL, true },
		{ "podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [a, web]}]}", "default", "x", "", NULL, true },
		{ "podSelector: {matchExpressions: [{key: app, operator: Exists}]}", "default", "x", "app=", NULL, true },
		{ "podSelector: {matchExpressions: [{key: app, operator: Exists}]}", "default", "x", "ap=", NULL, false },
		{ "podSelector: {matchExpressions: [{key: app, operator: DoesNotExist}]}", "default", "x", "ap=", NULL, true },
		{ "podSelector: {matchExpressions: [{key: app, operator: DoesNotExist}]}", "default", "x", "app=1", NULL, false },
		{ "podSelector: {matchLabels: {app: web}, matchExpressions: [{key: x, operator: Exists}]}", "default", "x", "app=web", NULL, false },
		{ "serviceAccounts: [ci]", "default", "ci", "", NULL, true },
		{ "serviceAccounts: [ci]", "other", "ci", "", NULL, false },
		{ "serviceAccounts: [ci]", "default", "c", "", NULL, false },
		{ "serviceAccounts: [other/ci]", "other", "ci", "", NULL, true },
		{ "serviceAccounts: [other/ci]", "default", "ci", "", NULL, false },
		{ "serviceAccounts: [other/ci, x]", "default", "x", "", NULL, true },
		{ "serviceAccounts: [ci], namespaceSelector: {}", "other", "ci", "", NULL, true },
		{ "serviceAccounts: [other/ci], namespaceSelector: {matchLabels: {a: b}}", "other", "ci", "", "a=b", true },
		{ "serviceAccounts: [other/ci], namespaceSelector: {matchLabels: {a: b}}", "other", "ci", "", "a=c", false },
		{ "serviceAccounts: [ci], podSelector: {matchLabels: {app: web}}", "default", "ci", "app=db", NULL, false },
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++)
		if (meets(cases[i].from, cases[i].ns, cases[i].account, cases[i].labels, cases[i].ns_labels) != cases[i].meets)
			fail_msg("%s: a pod of %s with %s, labels \"%s\", is taken for %s", cases[i].from, cases[i].ns,
				 cases[i].account, cases[i].labels, cases[i].meets ? "another" : "one that is meant");
}

static void mistakes(void **state)
{
	static const struct refusal cases[] = {
		{ FROM "{}}]\n", "8:32: spec.rules[0].clientSelectors[0].from: expected at least one of namespaceSelector, "
				 "podSelector, serviceAccounts and type" },
		{ FROM "[]}]\n", "8:32: spec.rules[0].clientSelectors[0].from: expected a mapping, found a list" },
		{ FROM "{type: Distinct}}]\n", "8:32: spec.rules[0].clientSelectors[0].from: by is missing" },
		{ FROM "{type: Exact, by: Pod}}]\n", "8:39: spec.rules[0].clientSelectors[0].from.type: expected Distinct, found "
						     "\"Exact\"" },
		{ FROM "{podSelector: {}, by: Pod}}]\n", "8:54: spec.rules[0].clientSelectors[0].from.by: belongs to type: "
							 "Distinct" },
		{ FROM "{type: Distinct, by: Node}}]\n", "8:53: spec.rules[0].clientSelectors[0].from.by: expected Pod, Workload, "
							 "Namespace or ServiceAccount, found \"Node\"" },
		{ FROM "{type: Distinct, by: Pod, invert: true}}]\n", "8:66: spec.rules[0].clientSelectors[0].from.invert: Distinct "
								      "cannot be inverted" },
		{ FROM "{podSelector: {app: web}}}]\n", "8:47: spec.rules[0].clientSelectors[0].from.podSelector.app: unknown "
							"field" },
		{ FROM "{podSelector: {matchLabels: {'-a': b}}}}]\n",
		  "8:61: spec.rules[0].clientSelectors[0].from.podSelector.matchLabels.-a: expected a label's key, such as app or "
		  "example.org/app, found \"-a\"" },
		{ FROM "{podSelector: {matchLabels: {a: b/c}}}}]\n",
		  "8:64: spec.rules[0].clientSelectors[0].from.podSelector.matchLabels.a: expected a label's value: up to 63 "
		  "letters, digits, '-', '_' and '.', or nothing, found \"b/c\"" },
		{ FROM "{podSelector: {matchExpressions: [{key: a, operator: In}]}}}]\n",
		  "8:66: spec.rules[0].clientSelectors[0].from.podSelector.matchExpressions[0]: values: at least one of In and "
		  "NotIn" },
		{ FROM "{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}}]\n",
		  "8:66: spec.rules[0].clientSelectors[0].from.podSelector.matchExpressions[0]: values: none of Exists and "
		  "DoesNotExist" },
		{ FROM "{podSelector: {matchExpressions: [{operator: Exists}]}}}]\n",
		  "8:66: spec.rules[0].clientSelectors[0].from.podSelector.matchExpressions[0]: key is missing" },
		{ FROM "{podSelector: {matchExpressions: [{key: a, operator: Gt, values: ['1']}]}}}]\n",
		  "8:85: spec.rules[0].clientSelectors[0].from.podSelector.matchExpressions[0].operator: expected In, NotIn, "
		  "Exists or DoesNotExist, found \"Gt\"" },
		{ FROM "{serviceAccounts: []}}]\n", "8:50: spec.rules[0].clientSelectors[0].from.serviceAccounts: expected at "
						    "least one service account" },
		{ FROM "{serviceAccounts: [a/b/c]}}]\n", "8:51: spec.rules[0].clientSelectors[0].from.serviceAccounts[0]: "
							 "expected the name of a service account, or NAMESPACE/NAME, found \"a/b/c\"" },
		{ HEAD "spec:\n  service: a\n  direction: Outbound\n  rules: [{limit: 1/day, clientSelectors: [{from: "
		       "{podSelector: {}}}]}]\n",
		  "7:43: spec.rules[0].clientSelectors: from is about who connects: not with direction: Outbound" },
	};

	check(cases, COUNT(cases));
}

static void keys_of_labels(void **state)
{
	static const char *const good[] = { "a", "A-b_c.d9", "example.org/a", "a.b-c.d/e", "1/2" };
	static const char *const bad[] = { "", "/a", "a/", "a/b/c", "Example.org/a", "a..b/c", "-a/b", "a-/b", ".a/b", "a./b", "a b",
					   "a-.b/c", "a.-b/c", "_a", "a_",
					   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	size_t i;

	for (i = 0; i < COUNT(good); i++)
		if (!krl_label_is_key(good[i]))
			fail_msg("%s is taken for no key", good[i]);
	for (i = 0; i < COUNT(bad); i++)
		if (krl_label_is_key(bad[i]))
			fail_msg("\"%s\" is taken for a key", bad[i]);
}

/* What is needed of a policy, of two rules of one endpoint. */
static void the_kernel_gets_each_selector_once(void **state)
{
	struct krl_policy_builder *builder = krl_policy_builder_new();
	struct krl_policy policy;
	const char *what;
	__u64 key;

	assert_non_null(builder);
	key = key_of("podSelector: {matchLabels: {a: b}}");
	assert_int_equal(krl_policy_add(builder, 0, 0, true, only_target()->rules[0].selectors, 1, &what), 0);
	from_of("type: Distinct, by: Workload, podSelector: {matchLabels: {a: b}}");
	assert_int_equal(krl_policy_add(builder, 1, 0, true, only_target()->rules[0].selectors, 1, &what), 0);
	from_of("type: Distinct, by: Workload");
	assert_int_equal(krl_policy_add(builder, 2, 0, true, only_target()->rules[0].selectors, 1, &what), 0);
	krl_policy_finish(builder, &policy);
	assert_int_equal(policy.peers, 1);
	assert_int_equal(policy.of_head, 0);
	assert_int_equal(policy.field_count, 2);
	assert_int_equal(policy.fields[0].by, KRL_PEER_ANY);
	assert_int_equal(policy.fields[0].distinct, 0);
	assert_int_equal(policy.fields[1].by, KRL_PEER_WORKLOAD);
	assert_int_equal(policy.fields[1].distinct, KRL_DISTINCT);
	assert_string_equal(policy.fields[1].name, "workload");
	assert_int_equal(policy.predicate_count, 3);
	assert_int_equal(policy.predicates[0].kind, KRL_PREDICATE_PEER);
	assert_true(policy.predicates[0].word == key && policy.predicates[1].word == key);
	assert_int_equal(policy.predicates[2].kind, KRL_PREDICATE_PRESENT);
	krl_policy_builder_free(builder);
}

/* Outbound is for the pods of its namespace, whatever else its rules select; only where pods are known. */
static void whose_clients_a_plan_is_for(void **state)
{
	static const char text[] = HEAD "spec:\n  direction: Outbound\n  endpoints: [{ip: 192.0.2.1, port: 80}]\n  clientSelector: "
				   "{matchLabels: {app: web}}\n  rules:\n    - {limit: 1/day}\n    - {limit: 2/day, "
				   "clientSelectors: [{methods: [GET]}]}\n    - {count: Connections, limit: 3/day}\n";
	static const struct {
		enum krl_plan_pods pods;
		size_t errors, endpoints, from, policies;
	} cases[] = { { KRL_PODS_UNTOLD, 0, 2, 0, 1 }, { KRL_PODS_NONE, 1, 0, 0, 0 }, { KRL_PODS_KNOWN, 0, 2, 1, 2 } };
	struct krl_diags errors = { 0 }, notes = { 0 };
	const struct krl_policy *policy;
	size_t i, n, k;

	decode(text);
	for (i = 0; i < COUNT(cases); i++) {
		struct krl_source_document document = { "f.yaml", only(KRL_KIND_RATE_LIMIT), NULL };
		struct krl_plan plan = { .pods = cases[i].pods };

		assert_int_equal(krl_compile(&document, 1, 0, &plan, &errors, &notes), 0);
		assert_int_equal(errors.count, cases[i].errors);
		assert_int_equal(plan.endpoint_count, cases[i].endpoints);
		assert_int_equal(plan.from_count, cases[i].from);
		assert_int_equal(plan.asks_callers, cases[i].from);
		assert_false(plan.asks_peers);
		assert_int_equal(plan.policy_count, cases[i].policies);
		for (n = 0; n < plan.policy_count; n++) {
			policy = plan.policies[n].policy;
			assert_int_equal(policy->callers, cases[i].from);
			for (k = 0; k < policy->tier_count && policy->callers; k++)
				assert_true(policy->predicates[policy->tiers[k].only - 1].word == plan.from[0]->key);
		}
		krl_plan_clear(&plan);
		krl_diags_clear(&errors);
	}
	krl_diags_clear(&notes);
}

/* A policy that is put together of others, as when a RateLimit is refused, is for the same clients. */
static void clients_of_an_adopted_rule(void **state)
{
	struct krl_policy_builder *builder = krl_policy_builder_new(), *other = krl_policy_builder_new();
	struct krl_policy policy, adopted;
	const char *what;
	__u64 key;

	assert_non_null(builder);
	key = key_of("podSelector: {matchLabels: {a: b}}");
	krl_policy_caller(builder, only_term()->from);
	assert_int_equal(krl_policy_add(builder, 0, 0, true, NULL, 0, &what), 0);
	krl_policy_caller(builder, NULL);
	assert_int_equal(krl_policy_add(builder, 1, 1, true, NULL, 0, &what), 0);
	krl_policy_finish(builder, &policy);
	assert_int_equal(policy.tier_count, 2);
	assert_int_equal(policy.tiers[0].only, 1);
	assert_int_equal(policy.tiers[1].only, 0);
	assert_int_equal(krl_policy_add(other, 0, 5, true, only_target()->rules[0].selectors, 1, &what), 0);
	assert_int_equal(krl_policy_adopt(other, 1, 100, &policy, 0, &what), 0);
	krl_policy_finish(other, &adopted);
	assert_int_equal(adopted.callers, 1);
	assert_true(adopted.predicates[adopted.tiers[adopted.tier_of[1]].only - 1].word == key);
	krl_policy_builder_free(builder);
	krl_policy_builder_free(other);
}

static struct krl_pod pod_of(const char *metadata, const char *more)
{
	struct krl_pod pod;
	char text[1024], *at;
	json_t *object;

	snprintf(text, sizeof(text), "{'metadata': {'name': 'p', 'namespace': 'n', %s}, %s}", metadata, more);
	for (at = text; *at; at++)
		if (*at == '\'')
			*at = '"';
	object = json_loads(text, 0, NULL);
	assert_non_null(object);
	assert_int_equal(krl_pod_read(object, &pod), 0);
	json_decref(object);
	return pod;
}

static void workloads_of_pods(void **state)
{
	static const struct {
		const char *metadata, *workload;
	} cases[] = {
		{ "'labels': {}", "n/Pod/p" },
		{ "'ownerReferences': [{'kind': 'ReplicaSet', 'name': 'web-5c9', 'controller': true}], 'labels': "
		  "{'pod-template-hash': '5c9'}", "n/Deployment/web" },
		{ "'ownerReferences': [{'kind': 'ReplicaSet', 'name': 'web-5c9', 'controller': true}], 'labels': "
		  "{'pod-template-hash': '5c8'}", "n/ReplicaSet/web-5c9" },
		{ "'ownerReferences': [{'kind': 'ReplicaSet', 'name': '-5c9', 'controller': true}], 'labels': "
		  "{'pod-template-hash': '5c9'}", "n/ReplicaSet/-5c9" },
		{ "'ownerReferences': [{'kind': 'Job', 'name': 'nightly-29384756', 'controller': true}]", "n/CronJob/nightly" },
		{ "'ownerReferences': [{'kind': 'Job', 'name': 'nightly-2938475', 'controller': true}]", "n/Job/nightly-2938475" },
		{ "'ownerReferences': [{'kind': 'Job', 'name': 'once', 'controller': true}]", "n/Job/once" },
		{ "'ownerReferences': [{'kind': 'StatefulSet', 'name': 'db-0', 'controller': true}]", "n/StatefulSet/db-0" },
		{ "'ownerReferences': [{'kind': 'Node', 'name': 'node'}]", "n/Pod/p" },
	};
	struct krl_pod pod;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		pod = pod_of(cases[i].metadata, "'spec': {'serviceAccountName': 's'}");
		assert_string_equal(pod.names[KRL_PEER_WORKLOAD], cases[i].workload);
		assert_string_equal(pod.names[KRL_PEER_POD], "n/p");
		assert_string_equal(pod.names[KRL_PEER_NAMESPACE], "n");
		assert_string_equal(pod.names[KRL_PEER_ACCOUNT], "n/s");
		krl_pod_clear(&pod);
	}
}

static void addresses_of_pods(void **state)
{
	static const struct {
		const char *more;
		size_t count;
	} cases[] = {
		{ "'status': {'podIP': '10.0.0.1', 'podIPs': [{'ip': '10.0.0.1'}, {'ip': '2001:db8::1'}]}", 2 },
		{ "'status': {'phase': 'Running', 'podIP': '10.0.0.1'}", 1 },
		{ "'status': {'phase': 'Pending'}", 0 },
		{ "'status': {'podIP': '', 'podIPs': null}", 0 },
		{ "'status': {'phase': 'Succeeded', 'podIP': '10.0.0.1'}", 0 },
		{ "'status': {'phase': 'Failed', 'podIP': '10.0.0.1'}", 0 },
		{ "'spec': {'hostNetwork': true}, 'status': {'phase': 'Running', 'podIP': '10.0.0.1'}", 0 },
		{ "'spec': 1, 'status': [{'podIP': '10.0.0.1'}]", 0 },
	};
	struct krl_pod pod;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		pod = pod_of("'labels': {'a': 'b', 'c': 1}", cases[i].more);
		assert_int_equal(pod.addr_count, cases[i].count);
		assert_int_equal(pod.facts.label_count, 1);
		krl_pod_clear(&pod);
	}
}

static void names_are_shown_with_both_their_ends(void **state)
{
	char text[KRL_KEPT_BYTES];

	assert_int_equal(krl_peer_text("n/short", text), 7);
	assert_memory_equal(text, "n/short\0", 8);
	assert_int_equal(krl_peer_text("a-namespace-with-a-long-name/a-pod-with-a-long-name-as-well-5c9d8f7b6-x2k9p", text),
			 KRL_KEPT_BYTES);
	assert_memory_equal(text, "a-namespace-with-a-lo...", 24);
	assert_memory_equal(text + KRL_KEPT_BYTES - 16, "-5c9d8f7b6-x2k9p", 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(is_the_same_however_it_is_written, teardown),
		cmocka_unit_test_teardown(belongs_to_the_namespace_of_its_ratelimit, teardown),
		cmocka_unit_test_teardown(means_as_kubernetes_does, teardown),
		cmocka_unit_test_teardown(mistakes, teardown),
		cmocka_unit_test(keys_of_labels),
		cmocka_unit_test_teardown(the_kernel_gets_each_selector_once, teardown),
		cmocka_unit_test_teardown(whose_clients_a_plan_is_for, teardown),
		cmocka_unit_test_teardown(clients_of_an_adopted_rule, teardown),
		cmocka_unit_test(workloads_of_pods),
		cmocka_unit_test(addresses_of_pods),
		cmocka_unit_test(names_are_shown_with_both_their_ends),
	};

	return cmocka_run_group_tests_name("from", tests, NULL, NULL);
}
