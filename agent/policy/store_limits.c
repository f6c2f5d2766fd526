// SPDX-License-Identifier: Apache-2.0
/* The RateLimits of a store, for people. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/vec.h"
#include "store_internal.h"

/* How complaints about objects begin, and in front of it, by whom. */
#define LABEL "RateLimit "
#define OF_COMPILER "kubernetes: "

static int compare_limits(const void *a, const void *b)
{
	const struct krl_store_limit *x = a, *y = b;
	int order = strcmp(x->ns, y->ns);

	if (!order)
		order = strcmp(x->name, y->name);
	/* One that is in force counts, and of those the one in the file that sorts first, as when they are compiled. */
	if (!order)
		order = !x->document - !y->document;
	if (!order && x->file && y->file)
		order = strcmp(x->file, y->file);
	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static size_t end_of(const struct krl_decoded_file *file, size_t line)
{
	size_t end = SIZE_MAX, i;

	for (i = 0; i < file->count; i++)
		if (file->documents[i].line > line && file->documents[i].line < end)
			end = file->documents[i].line;
	return end;
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
		added->end_line = end_of(&file->decoded, entry->line);
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

int krl_store_limits(const struct krl_store *store, struct krl_store_limit **ret, size_t *ret_count)
{
	struct krl_store_limit *limits = NULL;
	size_t count = 0, kept = 0, i;
	int err = 0;

	for (i = 0; !err && i < store->count; i++)
		err = add_of_file(store->files[i], &limits, &count);
	if (err) {
		free(limits);
		return err;
	}
	if (count)
		qsort(limits, count, sizeof(*limits), compare_limits);
	for (i = 0; i < count; i++)
		if (!kept || strcmp(limits[kept - 1].ns, limits[i].ns) || strcmp(limits[kept - 1].name, limits[i].name))
			limits[kept++] = limits[i];
	*ret = limits;
	*ret_count = kept;
	return 0;
}

/* "FILE:LINE:..." of a line of @limit. */
static bool is_placed(const struct krl_store_limit *limit, const char *line)
{
	size_t len = strlen(limit->file), at;
	char *end;

	if (strncmp(line, limit->file, len) || line[len] != ':')
		return false;
	at = strtoul(line + len + 1, &end, 10);
	return *end == ':' && at >= limit->line && at < limit->end_line;
}

const char *krl_store_said(const struct krl_store_limit *limit, const char *line)
{
	size_t len;

	if (limit->file)
		return is_placed(limit, line) ? line : NULL;
	if (!strncmp(line, OF_COMPILER, strlen(OF_COMPILER)))
		line += strlen(OF_COMPILER);
	if (strncmp(line, LABEL, strlen(LABEL)))
		return NULL;
	line += strlen(LABEL);
	len = strlen(limit->ns);
	if (strncmp(line, limit->ns, len) || line[len] != '/')
		return NULL;
	line += len + 1;
	len = strlen(limit->name);
	if (strncmp(line, limit->name, len) || (line[len] != ':' && line[len] != ' '))
		return NULL;
	line += len;
	return line + strspn(line, ": ");
}
