// SPDX-License-Identifier: Apache-2.0
/* The RateLimits of a store, for people. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/vec.h"
#include "store_internal.h"

#define FILE_BYTES 4096

static int compare_names(const void *a, const void *b)
{
	const struct krl_store_limit *x = a, *y = b;
	int order = strcmp(x->ns, y->ns);

	return order ? order : strcmp(x->name, y->name);
}

static int compare_limits(const void *a, const void *b)
{
	const struct krl_store_limit *x = a, *y = b;
	int order = compare_names(a, b);

	/* One that is in force counts, and of those the one in the file that sorts first, as when they are compiled. */
	if (!order)
		order = !x->document - !y->document;
	if (!order && x->file && y->file)
		order = strcmp(x->file, y->file);
	return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* Where the document behind the one at @at begins: they are in order, and behind all there may be some of before. */
static size_t end_of(const struct krl_decoded_file *file, size_t at)
{
	size_t line = file->documents[at].line, i;

	for (i = at + 1; i < file->count; i++)
		if (file->documents[i].line > line)
			return file->documents[i].line;
	return SIZE_MAX;
}

/* 0, or -ENOMEM. */
static int add_of_file(const struct krl_store_file *file, struct krl_store_limit **limits, size_t *count)
{
	size_t d;

	for (d = 0; d < file->decoded.count; d++) {
		const struct krl_decoded *entry = &file->decoded.documents[d];
		struct krl_store_limit *added;

		if (!entry->named || entry->kind != KRL_KIND_RATE_LIMIT)
			continue;
		added = krl_vec_add(limits, count);
		if (!added)
			return -ENOMEM;
		added->ns = entry->ns;
		added->name = entry->name;
		added->file = file->object ? NULL : file->name;
		added->line = entry->line;
		added->end_line = end_of(&file->decoded, d);
		added->created_s = entry->created_s;
		/* An object that is nested too deeply is not even decoded. */
		added->refused = entry->refused || entry->over || file->errors.count;
		added->over = entry->over;
		added->document = krl_store_in_force(entry);
		/* One that goes past a bound, and never did not. */
		if (entry->over && !entry->before)
			added->document = NULL;
	}
	return 0;
}

static int compare_places(const struct krl_store_limit *x, const struct krl_store_limit *y)
{
	int order = strcmp(x->file, y->file);

	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static int compare_placed(const void *a, const void *b)
{
	return compare_places(*(const struct krl_store_limit *const *)a, *(const struct krl_store_limit *const *)b);
}

/* 0, or -ENOMEM. */
static int sort_places(struct krl_store_limits *limits)
{
	size_t i;

	limits->placed = calloc(limits->count + 1, sizeof(struct krl_store_limit *));
	if (!limits->placed)
		return -ENOMEM;
	for (i = 0; i < limits->count; i++)
		if (limits->list[i].file)
			limits->placed[limits->placed_count++] = &limits->list[i];
	qsort(limits->placed, limits->placed_count, sizeof(struct krl_store_limit *), compare_placed);
	return 0;
}

static bool is_same_name(const struct krl_store_limit *x, const struct krl_store_limit *y)
{
	return !strcmp(x->ns, y->ns) && !strcmp(x->name, y->name);
}

int krl_store_limits(const struct krl_store *store, struct krl_store_limits *ret)
{
	struct krl_store_limits limits = { 0 };
	size_t count = 0, i;
	int err = 0;

	for (i = 0; !err && i < store->count; i++)
		err = add_of_file(store->files[i], &limits.list, &count);
	if (!err && count)
		qsort(limits.list, count, sizeof(*limits.list), compare_limits);
	for (i = 0; !err && i < count; i++)
		if (!limits.count || !is_same_name(&limits.list[limits.count - 1], &limits.list[i]))
			limits.list[limits.count++] = limits.list[i];
	if (!err)
		err = sort_places(&limits);
	if (err)
		krl_store_limits_clear(&limits);
	else
		*ret = limits;
	return err;
}

void krl_store_limits_clear(struct krl_store_limits *limits)
{
	free(limits->list);
	free(limits->placed);
	*limits = (struct krl_store_limits){ 0 };
}

/* The one in @file whose document has line @line in it. */
static const struct krl_store_limit *find_placed(const struct krl_store_limits *limits, const char *file, size_t line)
{
	const struct krl_store_limit wanted = { .file = file, .line = line }, *found;
	size_t low = 0, high = limits->placed_count, at;

	while (low < high) {
		at = low + (high - low) / 2;
		if (compare_places(limits->placed[at], &wanted) <= 0)
			low = at + 1;
		else
			high = at;
	}
	found = low ? limits->placed[low - 1] : NULL;
	return found && !strcmp(found->file, file) && line < found->end_line ? found : NULL;
}

/* "FILE:LINE:...": there may be such a thing in the name of the file, too. */
static const struct krl_store_limit *about_place(const struct krl_store_limits *limits, const char *line)
{
	const struct krl_store_limit *found = NULL;
	char file[FILE_BYTES], *end;
	const char *colon = line;
	size_t at;

	while (!found && (colon = strchr(colon, ':'))) {
		at = strtoul(colon + 1, &end, 10);
		if (at && *end == ':' && (size_t)(colon - line) < sizeof(file)) {
			snprintf(file, sizeof(file), "%.*s", (int)(colon - line), line);
			found = find_placed(limits, file, at);
		}
		colon++;
	}
	return found;
}

/* "RateLimit NS/NAME: ..." and what it says. */
static const struct krl_store_limit *about_object(const struct krl_store_limits *limits, const char *line,
						  const char **ret_said)
{
	struct krl_diag_subject subject;
	const struct krl_store_limit wanted = { .ns = subject.ns, .name = subject.name }, *found;

	*ret_said = krl_diag_about(krl_diag_of(line, KRL_DIAG_OBJECTS) ?: line, &subject);
	if (!*ret_said)
		return NULL;
	found = limits->count ? bsearch(&wanted, limits->list, limits->count, sizeof(wanted), compare_names) : NULL;
	return found && !found->file ? found : NULL;
}

const struct krl_store_limit *krl_store_about(const struct krl_store_limits *limits, const char *line,
					      const char **ret_said)
{
	const struct krl_store_limit *found = about_object(limits, line, ret_said);

	if (found)
		return found;
	*ret_said = line;
	return about_place(limits, line);
}
