/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of documents below a fresh temporary one, and what a reading of it says: shared by the
 * tests of agent/source. Include after cmocka.h. */
#ifndef KMESH_RL_TEST_SOURCE_TREE_H
#define KMESH_RL_TEST_SOURCE_TREE_H

#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/source/directory.h"

#define LIMIT(name, tokens)                                                                        \
	"---\napiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nmetadata: {name: " name "}\nspec:\n"    \
	"  endpoints: [{ip: 127.0.0.1, port: 8080}]\n  rules: [{limit: " tokens "/hour}]\n"
#define SYNTAX_ERROR "---\nspec: [\n"

static char top[64];
static struct krl_store *store;

/* What the last reading said. */
static struct krl_plan plan;
static struct krl_diags errors;
static int status;

static inline const char *path_of(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned int turn;
	char *path = paths[turn++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", top, name);
	return path;
}

static inline void write_file(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static inline void make_directory(const char *name)
{
	assert_int_equal(mkdir(path_of(name), 0700), 0);
}

static inline void make_link(const char *target, const char *name)
{
	assert_int_equal(symlink(target, path_of(name)), 0);
}

static inline void move(const char *from, const char *to)
{
	assert_int_equal(rename(path_of(from), path_of(to)), 0);
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	return remove(path);
}

static inline void remove_all(const char *name)
{
	assert_int_equal(nftw(path_of(name), remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Read the directory "conf" as the agent does; when that fails, the plan is as before. */
static inline void read_source(void)
{
	struct krl_diags notes = { 0 };

	krl_diags_clear(&errors);
	status = krl_source_read(path_of("conf"), store, &errors);
	if (status)
		return;
	krl_plan_clear(&plan);
	assert_int_equal(krl_store_compile(store, 0, &plan, &errors, &notes), 0);
	krl_diags_clear(&notes);
}

/* The tokens of the RateLimit @name that is in force, 0 without one. */
static inline __u64 tokens_of(const char *name)
{
	size_t i;

	for (i = 0; i < plan.rule_count; i++)
		if (!strcmp(plan.rules[i].name, name))
			return plan.rules[i].settings.max_tokens;
	return 0;
}

static inline int tree_setup(void)
{
	strcpy(top, "/tmp/krl-source-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	make_directory("conf");
	store = krl_store_new();
	return store ? 0 : -1;
}

static inline void tree_teardown(void)
{
	krl_store_free(store);
	krl_plan_clear(&plan);
	krl_diags_clear(&errors);
	remove_all("");
}

#endif
