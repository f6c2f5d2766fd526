// SPDX-License-Identifier: Apache-2.0
/* What a store has in force, compiled. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/vec.h"
#include "store_internal.h"

const struct krl_document *krl_store_in_force(const struct krl_decoded *entry)
{
	return entry->over && entry->before ? entry->before : entry->document;
}

static int add_retain(struct krl_plan *plan, const char *ns, const char *name)
{
	struct krl_plan_retain *retain = krl_vec_add(&plan->retain, &plan->retain_count);

	if (!retain)
		return -ENOMEM;
	snprintf(retain->ns, sizeof(retain->ns), "%s", ns);
	snprintf(retain->name, sizeof(retain->name), "%s", name);
	return 0;
}

static bool is_awaiting(const struct krl_store *store)
{
	enum krl_kind kind;

	for (kind = 0; kind < KRL_KINDS; kind++)
		if (store->kinds[kind].awaited)
			return true;
	return false;
}

/* Who is refused and has no good version here: limits of before us stay until they can be read. Other files
 * hold nothing of before us that is not read. */
static int fill_retain(const struct krl_store *store, struct krl_plan *plan)
{
	size_t i, d;

	plan->pods = store->pods;
	plan->no_cluster = store->no_cluster;
	plan->retain_all |= is_awaiting(store);
	for (i = 0; i < store->count; i++) {
		const struct krl_store_file *file = store->files[i];

		if (!file->known && krl_store_has_unnamed(&file->decoded))
			plan->retain_all = true;
		for (d = 0; d < file->decoded.count; d++) {
			const struct krl_decoded *entry = &file->decoded.documents[d];

			if (entry->document || !entry->named)
				continue;
			/* Without its Service or slice a RateLimit has no endpoints: keep them all. */
			if (entry->kind != KRL_KIND_RATE_LIMIT) {
				plan->retain_all |= !file->known;
				continue;
			}
			if (add_retain(plan, entry->ns, entry->name))
				return -ENOMEM;
		}
	}
	return 0;
}

/* The same of those that go past a bound, which compiling tells. */
static int retain_over(const struct krl_store *store, struct krl_plan *plan)
{
	const struct krl_decoded *entry;
	size_t i, d;

	for (i = 0; i < store->count; i++) {
		for (d = 0; d < store->files[i]->decoded.count; d++) {
			entry = &store->files[i]->decoded.documents[d];
			if (entry->over && !entry->before &&
			    add_retain(plan, entry->document->ns, entry->document->name))
				return -ENOMEM;
		}
	}
	return 0;
}

/* The documents that are in force. The caller frees @ret. */
static int list_documents(const struct krl_store *store, struct krl_source_document **ret, size_t *ret_count)
{
	struct krl_source_document *added;
	struct krl_decoded *entry;
	size_t i, d;

	for (i = 0; i < store->count; i++) {
		const struct krl_store_file *file = store->files[i];

		if (!krl_store_is_wanted(store, file))
			continue;
		for (d = 0; d < file->decoded.count; d++) {
			entry = &file->decoded.documents[d];
			if (!entry->document)
				continue;
			added = krl_vec_add(ret, ret_count);
			if (!added)
				return -ENOMEM;
			*added = (struct krl_source_document){ file->object ? KRL_DIAG_OBJECTS : file->name,
							       krl_store_in_force(entry), &entry->over };
		}
	}
	return 0;
}

static void forget_over(const struct krl_store *store)
{
	size_t i, d;

	for (i = 0; i < store->count; i++)
		for (d = 0; d < store->files[i]->decoded.count; d++)
			store->files[i]->decoded.documents[d].over = false;
}

/* Does a document go past a bound that did not before? */
static bool has_over(const struct krl_store *store)
{
	const struct krl_decoded *entry;
	size_t i, d;

	for (i = 0; i < store->count; i++) {
		for (d = 0; d < store->files[i]->decoded.count; d++) {
			entry = &store->files[i]->decoded.documents[d];
			if (entry->over && entry->before)
				return true;
		}
	}
	return false;
}

/* Move the lines of @from that @to does not have. 0, or -ENOMEM. */
static int move_lines(struct krl_diags *from, struct krl_diags *to)
{
	size_t i, k;
	char **line;

	for (i = 0; i < from->count; i++) {
		for (k = 0; k < to->count && strcmp(from->lines[i], to->lines[k]);)
			k++;
		if (k < to->count)
			continue;
		line = krl_vec_add(&to->lines, &to->count);
		if (!line)
			return -ENOMEM;
		*line = from->lines[i];
		from->lines[i] = NULL;
	}
	return 0;
}

static int compile_listed(const struct krl_store *store, int64_t now_s, struct krl_plan *plan,
			  struct krl_diags *errors, struct krl_diags *notes)
{
	struct krl_source_document *documents = NULL;
	size_t count = 0;
	int err = list_documents(store, &documents, &count);

	if (!err)
		err = krl_compile(documents, count, now_s, plan, errors, notes);
	free(documents);
	return err;
}

int krl_store_compile(struct krl_store *store, int64_t now_s, struct krl_plan *ret, struct krl_diags *errors,
		      struct krl_diags *notes)
{
	struct krl_diags said = { 0 }, waiting = { 0 };
	struct krl_plan plan = { 0 };
	int err;

	err = krl_store_find_services(store);
	if (err)
		return err;
	forget_over(store);
	err = fill_retain(store, &plan);
	if (!err)
		err = compile_listed(store, now_s, &plan, errors, &waiting);
	if (!err && has_over(store)) {
		/* Once more, with what those were before. */
		krl_plan_clear(&plan);
		krl_diags_clear(&waiting);
		err = fill_retain(store, &plan);
		if (!err)
			err = compile_listed(store, now_s, &plan, &said, &waiting);
		if (!err)
			err = move_lines(&said, errors);
	}
	if (!err)
		err = retain_over(store, &plan);
	/* What is still to be read, nobody waits for in vain. */
	if (!err && !is_awaiting(store))
		err = move_lines(&waiting, notes);
	krl_diags_clear(&said);
	krl_diags_clear(&waiting);
	if (err)
		krl_plan_clear(&plan);
	else
		*ret = plan;
	return err;
}

/* Of several RateLimits of one name, the compiler takes this one. */
static const struct krl_rate_limit *find_limit(const struct krl_store *store, const char *ns, const char *name)
{
	const struct krl_document *found = NULL, *document;
	const char *in = NULL;
	size_t i, d;

	for (i = 0; i < store->count; i++) {
		const struct krl_store_file *file = store->files[i];

		for (d = 0; d < file->decoded.count; d++) {
			document = krl_store_in_force(&file->decoded.documents[d]);
			if (!document || document->kind != KRL_KIND_RATE_LIMIT || strcmp(document->ns, ns) ||
			    strcmp(document->name, name))
				continue;
			if (found && (strcmp(in, file->name) < 0 ||
				      (in == file->name && found->line < document->line)))
				continue;
			found = document;
			in = file->name;
		}
	}
	return found ? &found->rate_limit : NULL;
}

const struct krl_target *krl_store_target(const struct krl_store *store, const struct krl_plan_rule *rule,
					  const struct krl_rate_limit **ret_limit)
{
	const struct krl_rate_limit *limit = find_limit(store, rule->ns, rule->name);
	char service[sizeof(rule->service)];
	size_t i;

	for (i = 0; limit && i < limit->target_count; i++) {
		krl_target_text(&limit->targets[i], service, sizeof(service));
		if (strcmp(service, rule->service))
			continue;
		*ret_limit = limit;
		return &limit->targets[i];
	}
	return NULL;
}
