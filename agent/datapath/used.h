/* SPDX-License-Identifier: Apache-2.0 */
/* What the answers of model servers used, by rule, by model and by the values that pick a bucket, from the pinned maps.
 * Reads only; needs no agent. */
#ifndef KMESH_RL_USED_H
#define KMESH_RL_USED_H

#include <stddef.h>

#include <kmesh_rl/usage.h>

#include "stats.h"
#include "values.h"

enum krl_used_by {
	KRL_USED_ALL,		/* by all who count in the rule */
	KRL_USED_MODEL,
	KRL_USED_USER,		/* by whom the values say */
};

struct krl_used_row {
	const struct krl_stats_row *rule;
	enum krl_used_by by;
	struct krl_llm_model_key model;	/* of KRL_USED_MODEL */
	__u64 descriptor[2];		/* of KRL_USED_USER */
	const struct krl_kept *kept;	/* ... whose it is; NULL: that is not known any more */
	struct krl_llm_stats tokens;
};

/* Zero at first. */
struct krl_used {
	struct krl_used_row *rows;	/* by what was debited, most first */
	size_t count;
	size_t total;			/* ... with those that were left out */
	struct krl_values values;	/* what the rows point to */
	const struct krl_stats_row **by_id;	/* the rules that count LLMTokens, by id; owned */
	size_t rule_count;
};

/* Read what was used in those of @rules that count LLMTokens, which must stay as they are, below @bpffs; of more than @limit
 * rows (0: of any number) those that debited most. 0, and krl_used_free() releases @ret; or as krl_stats_read. */
int krl_used_read(const char *bpffs, const struct krl_stats *rules, size_t limit, struct krl_used *ret);
void krl_used_free(struct krl_used *used);

/* The same without KRL_USED_USER, in any order: cheap where no rule counts LLMTokens. */
int krl_used_read_models(const char *bpffs, const struct krl_stats *rules, struct krl_used *ret);

/* Call @each for each row of krl_llm_users; as krl_stats_read. */
int krl_used_each_user(const char *bpffs,
		       void (*each)(void *arg, const void *key, const void *tokens), void *arg);

/* The steps of krl_used_read that need no kernel, in the order they are taken. Rows of other rules are passed over.
 * 0, or -ENOMEM. */
int krl_used_of(struct krl_used *used, const struct krl_stats *rules);
int krl_used_add_model(struct krl_used *used, const struct krl_llm_model_key *key, const struct krl_llm_stats *tokens);
int krl_used_add_user(struct krl_used *used, const struct krl_llm_user_key *key, const struct krl_llm_stats *tokens);
void krl_used_finish(struct krl_used *used, size_t limit);

#endif
