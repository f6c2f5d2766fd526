// SPDX-License-Identifier: Apache-2.0
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/vec.h"
#include "decode.h"

struct file {
	char *name;
	struct krl_decoded_file decoded;	/* the documents, and who was refused */
	bool offered;
	bool known;		/* nothing of before us is in it unread: it was read whole once, or came later */
};

struct krl_store {
	struct file *files;
	size_t count;
	bool committed;		/* the first reading is over */
};

struct krl_store *krl_store_new(void)
{
	return calloc(1, sizeof(struct krl_store));
}

static void file_clear(struct file *file)
{
	krl_decoded_file_clear(&file->decoded);
	free(file->name);
}

void krl_store_free(struct krl_store *store)
{
	size_t i;

	if (!store)
		return;
	for (i = 0; i < store->count; i++)
		file_clear(&store->files[i]);
	free(store->files);
	free(store);
}

void krl_store_begin(struct krl_store *store)
{
	size_t i;

	for (i = 0; i < store->count; i++)
		store->files[i].offered = false;
}

static struct file *find_file(struct krl_store *store, const char *name)
{
	struct file *file;
	size_t i;

	for (i = 0; i < store->count; i++)
		if (!strcmp(store->files[i].name, name))
			return &store->files[i];
	file = krl_vec_add(&store->files, &store->count);
	if (!file)
		return NULL;
	file->name = strdup(name);
	if (!file->name) {
		store->count--;
		return NULL;
	}
	file->known = store->committed;
	return file;
}

static bool is_whole(const struct krl_decoded_file *decoded)
{
	size_t i;

	for (i = 0; i < decoded->count; i++)
		if (!decoded->documents[i].document)
			return false;
	return !decoded->cut;
}

static struct krl_decoded *find_document(struct krl_decoded_file *file, const struct krl_document *document)
{
	size_t i;

	for (i = 0; i < file->count; i++)
		if (file->documents[i].named && file->documents[i].kind == document->kind &&
		    !strcmp(file->documents[i].ns, document->ns) &&
		    !strcmp(file->documents[i].name, document->name))
			return &file->documents[i];
	return NULL;
}

/* What @entry is that is in force: of one that goes past a bound, what it was before. */
static struct krl_document *in_force(const struct krl_decoded *entry)
{
	return entry->over && entry->before ? entry->before : entry->document;
}

/* Have the documents of @new remember what they were in @old when they went past no bound. */
static void remember(struct krl_decoded_file *old, struct krl_decoded_file *new)
{
	struct krl_document *document;
	size_t i, k;

	for (i = 0; i < new->count; i++) {
		document = new->documents[i].document;
		for (k = 0; document && k < old->count; k++) {
			struct krl_decoded *entry = &old->documents[k];
			struct krl_document **kept = entry->over ? &entry->before : &entry->document;

			if (!*kept || (*kept)->kind != document->kind || strcmp((*kept)->ns, document->ns) ||
			    strcmp((*kept)->name, document->name))
				continue;
			new->documents[i].before = *kept;
			*kept = NULL;
			break;
		}
	}
}

static bool has_unnamed(const struct krl_decoded_file *file)
{
	size_t i;

	for (i = 0; i < file->count; i++)
		if (!file->documents[i].document && !file->documents[i].named)
			return true;
	return file->cut;
}

/* Bring the good documents of @old that are refused in @new, or that may be among what could not be
 * read of it, over to @new. */
static int keep_previous(struct krl_decoded_file *old, struct krl_decoded_file *new)
{
	bool unnamed = has_unnamed(new);
	struct krl_decoded *entry;
	size_t i;

	for (i = 0; i < old->count; i++) {
		struct krl_document *document = old->documents[i].document;

		if (!document)
			continue;
		entry = find_document(new, document);
		if (entry && entry->document)
			continue;
		if (!entry) {
			if (!unnamed)
				continue;
			entry = krl_vec_add(&new->documents, &new->count);
			if (!entry)
				return -ENOMEM;
			*entry = old->documents[i];
		}
		entry->document = document;
		entry->before = old->documents[i].before;
		old->documents[i].document = NULL;
		old->documents[i].before = NULL;
	}
	return 0;
}

int krl_store_file(struct krl_store *store, const char *name, const char *text, size_t len,
		   struct krl_diags *errors)
{
	struct krl_decoded_file decoded = { 0 };
	struct file *file = find_file(store, name);
	bool whole;
	int err;

	if (!file)
		return -ENOMEM;
	file->offered = true;
	err = krl_decode(name, text, len, &decoded, errors);
	whole = is_whole(&decoded);
	if (!err && !whole)
		err = keep_previous(&file->decoded, &decoded);
	if (err) {
		krl_decoded_file_clear(&decoded);
		return err;
	}
	remember(&file->decoded, &decoded);
	krl_decoded_file_clear(&file->decoded);
	file->decoded = decoded;
	file->known |= whole;
	return 0;
}

int krl_store_unreadable(struct krl_store *store, const char *name)
{
	struct file *file = find_file(store, name);

	if (!file)
		return -ENOMEM;
	file->offered = true;
	file->decoded.cut = true;
	return 0;
}

void krl_store_commit(struct krl_store *store)
{
	size_t i, kept = 0;

	for (i = 0; i < store->count; i++) {
		if (store->files[i].offered)
			store->files[kept++] = store->files[i];
		else
			file_clear(&store->files[i]);
	}
	store->count = kept;
	store->committed = true;
}

void krl_store_count(const struct krl_store *store, size_t *ret_valid, size_t *ret_refused)
{
	size_t i, d, valid = 0, refused = 0;

	for (i = 0; i < store->count; i++) {
		for (d = 0; d < store->files[i].decoded.count; d++) {
			if (store->files[i].decoded.documents[d].document)
				valid++;
			else
				refused++;
		}
		refused += store->files[i].decoded.cut;
	}
	*ret_valid = valid;
	*ret_refused = refused;
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

/* Who is refused and has no good version here: limits of before us stay until they can be read. Other files
 * hold nothing of before us that is not read. */
static int fill_retain(const struct krl_store *store, struct krl_plan *plan)
{
	size_t i, d;

	for (i = 0; i < store->count; i++) {
		const struct file *file = &store->files[i];

		if (!file->known && has_unnamed(&file->decoded))
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
		for (d = 0; d < store->files[i].decoded.count; d++) {
			entry = &store->files[i].decoded.documents[d];
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
		for (d = 0; d < store->files[i].decoded.count; d++) {
			entry = &store->files[i].decoded.documents[d];
			if (!entry->document)
				continue;
			added = krl_vec_add(ret, ret_count);
			if (!added)
				return -ENOMEM;
			*added = (struct krl_source_document){ store->files[i].name, in_force(entry), &entry->over };
		}
	}
	return 0;
}

static void forget_over(const struct krl_store *store)
{
	size_t i, d;

	for (i = 0; i < store->count; i++)
		for (d = 0; d < store->files[i].decoded.count; d++)
			store->files[i].decoded.documents[d].over = false;
}

/* Does a document go past a bound that did not before? */
static bool has_over(const struct krl_store *store)
{
	const struct krl_decoded *entry;
	size_t i, d;

	for (i = 0; i < store->count; i++) {
		for (d = 0; d < store->files[i].decoded.count; d++) {
			entry = &store->files[i].decoded.documents[d];
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

int krl_store_compile(const struct krl_store *store, int64_t now_s, struct krl_plan *ret, struct krl_diags *errors,
		      struct krl_diags *notes)
{
	struct krl_diags said = { 0 }, waiting = { 0 };
	struct krl_plan plan = { 0 };
	int err;

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
	if (!err)
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
		const struct file *file = &store->files[i];

		for (d = 0; d < file->decoded.count; d++) {
			document = in_force(&file->decoded.documents[d]);
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
