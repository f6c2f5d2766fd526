// SPDX-License-Identifier: Apache-2.0
/* Requests to model servers, and their answers, are for programs of their own, in which krl_stream and krl_reply go on;
 * and what the answers used goes with the rule that counted it. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <kmesh_rl/histograms.h>

#include "internal.h"
#include "late.h"
#include "pass.h"

/* Have the program @which in row @row of @programs. */
static int open_program(struct krl_datapath *dp, enum krl_late which, const struct bpf_map *programs, __u32 row)
{
	__u32 fd;
	int program;

	if (krl_late_is_there(dp, which))
		return 0;
	program = krl_late_program(dp, which);
	if (program < 0)
		return program;
	fd = program;
	return bpf_map_update_elem(bpf_map__fd(programs), &row, &fd, BPF_ANY) ? -errno : 0;
}

/* The rows of krl_llm_usages that are for all models without one of their own. */
static int make_rest(struct krl_datapath *dp)
{
	struct krl_llm_model_key key = { .len = KRL_USAGE_OTHERS };
	const struct krl_usage none = { 0 };

	for (; key.rule_id < KRL_USAGE_OPERATIONS; key.rule_id++)
		if (bpf_map_update_elem(bpf_map__fd(dp->skel->maps.krl_llm_usages), &key, &none, BPF_NOEXIST) &&
		    errno != EEXIST)
			return -errno;
	return 0;
}

int krl_llm_open(struct krl_datapath *dp)
{
	int err = make_rest(dp);

	if (err)
		return err;
	/* First what meters: of what the other lets through. */
	err = open_program(dp, KRL_LATE_REPLY_LLM, dp->skel->maps.krl_reply_programs, KRL_REPLY_PROGRAM_LLM);
	return err ? err : open_program(dp, KRL_LATE_LLM, dp->skel->maps.krl_programs, KRL_PROGRAM_LLM);
}

static int compare_ids(const void *a, const void *b)
{
	__u32 x = *(const __u32 *)a, y = *(const __u32 *)b;

	return (x > y) - (x < y);
}

/* Remove the rows of @map whose key has, @at bytes from its start, none of @ids, which are KRL_MAX_RULES and sorted. */
static void drop_rows(const struct bpf_map *map, size_t at, const __u32 *ids)
{
	union {
		struct krl_llm_model_key model;
		struct krl_llm_user_key user;
		char bytes[1];
	} key, next;
	int fd = bpf_map__fd(map);
	bool more = !bpf_map_get_next_key(fd, NULL, &next);

	while (more) {
		key = next;
		more = !bpf_map_get_next_key(fd, &key, &next);
		if (!bsearch(key.bytes + at, ids, KRL_MAX_RULES, sizeof(*ids), compare_ids))
			bpf_map_delete_elem(fd, &key);
	}
}

void krl_pass_drop_used(struct krl_pass *p)
{
	__u32 *ids = calloc(KRL_MAX_RULES, sizeof(*ids));
	size_t i;

	if (!ids)
		return;
	for (i = 0; i < KRL_MAX_RULES; i++)
		ids[i] = p->dp->rules[i].id;
	qsort(ids, KRL_MAX_RULES, sizeof(*ids), compare_ids);
	drop_rows(p->dp->skel->maps.krl_llm_models, offsetof(struct krl_llm_model_key, rule_id), ids);
	drop_rows(p->dp->skel->maps.krl_llm_users, offsetof(struct krl_llm_user_key, rule_id), ids);
	drop_rows(p->dp->skel->maps.krl_limited, offsetof(struct krl_llm_user_key, rule_id), ids);
	free(ids);
}
