// SPDX-License-Identifier: Apache-2.0
/* What an API server might say, a line each: 'R', 'S' or 'E' for the kind, '+', '-' or '0' for an object that is there,
 * one that is gone and a list that is empty, then JSON. Whatever comes, the store compiles, and complaints are lines. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/k8s/answer.h"
#include "agent/policy/store.h"

static void compile(struct krl_store *store)
{
	struct krl_diags errors = { 0 }, notes = { 0 };
	struct krl_plan plan = { 0 };
	size_t i;

	krl_store_complain(store, &errors);
	if (krl_store_compile(store, 0, &plan, &errors, &notes) || plan.rule_count > KRL_MAX_RULES ||
	    plan.endpoint_count > KRL_MAX_ENDPOINTS)
		abort();
	for (i = 0; i < errors.count; i++)
		if (strpbrk(errors.lines[i], "\n\r\033"))
			abort();
	krl_plan_clear(&plan);
	krl_diags_clear(&errors);
	krl_diags_clear(&notes);
}

static void say(struct krl_store *store, const char *line, size_t len)
{
	static const char kinds[] = "RSE";
	const char *found = len > 1 && line[0] ? strchr(kinds, line[0]) : NULL;
	enum krl_kind kind = found ? found - kinds : 0;
	struct krl_watch_event event;
	json_t *object;

	if (krl_answer_event(line, len, &event))
		json_decref(event.root);
	json_decref(krl_answer_page(line, len));
	if (!found)
		return;
	object = json_loadb(line + 2, len - 2, JSON_DECODE_ANY, NULL);
	if (line[1] == '0') {
		krl_store_list(store, kind);
		krl_store_listed(store, kind);
	} else if (object && line[1] == '+') {
		if (krl_store_put(store, kind, object))
			abort();
	} else if (object && line[1] == '-') {
		krl_store_remove(store, kind, object);
	}
	json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line = (const char *)data, *end = line + size, *next;
	struct krl_store *store = krl_store_new();

	if (!store || krl_store_set_node(store, "here"))
		return 0;
	for (; line < end; line = next + 1) {
		next = memchr(line, '\n', end - line);
		if (!next)
			next = end;
		say(store, line, next - line);
	}
	compile(store);
	krl_store_free(store);
	return 0;
}
