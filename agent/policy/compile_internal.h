/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the compiler alone: documents, rules and endpoints in compile.c, where rules count in
 * compile_place.c, their selectors in compile_policies.c, which pods those ask for in compile_from.c. */
#ifndef KMESH_RL_COMPILE_INTERNAL_H
#define KMESH_RL_COMPILE_INTERNAL_H

#include "compile.h"

/* Rule @rule counts on @key. */
struct krl_placement {
	struct krl_endpoint_key key;
	__u32 flags;
	__u32 rule;
	__u8 scope;	/* enum krl_scope */
};

/* Where a rule of the plan is from. */
struct krl_rule_origin {
	__u32 document;
	const struct krl_rule_spec *spec;
};

struct krl_compiler {
	const struct krl_source_document *documents;	/* sorted by who they are, then by file */
	size_t count;
	const struct krl_document **slices;	/* sorted by their service */
	size_t slice_count;
	struct krl_plan *plan;
	struct krl_placement *placements;
	size_t placement_count;
	struct krl_rule_origin *origins;		/* of each rule of the plan */
	size_t origin_count;
	struct krl_diags *errors, *notes;
	bool no_memory;
};

/* Have the slices be as said above; before anything is placed. The caller frees them. 0, or -ENOMEM. */
int krl_compiler_sort_slices(struct krl_compiler *compiler);

/* Place the rules of @target, which are those of the plan from @first on, on its endpoints. Returns on how many; without
 * memory, no_memory is set. */
size_t krl_compiler_place(struct krl_compiler *compiler, const struct krl_source_document *source,
			  const struct krl_target *target, size_t first);

/* Is there no port in the Service of @target that it is about, though the Service is known? */
bool krl_compiler_lacks_port(const struct krl_compiler *compiler, const struct krl_source_document *source,
			     const struct krl_target *target);

/* Have the rules of wildcards count on the endpoints that those cover; then the placements are sorted by endpoint and
 * rule. Without memory, no_memory is set. */
void krl_compiler_spread(struct krl_compiler *compiler);

/* Refuse the RateLimit that rule @rule is from. */
void krl_compiler_refuse(struct krl_compiler *compiler, bool *refused, __u32 rule, const char *why);

/* Refuse what has no room in the policy of some endpoint. 0, or -ENOMEM. */
int krl_compiler_refuse_selectors(struct krl_compiler *compiler, bool *refused);

/* Refuse what asks for pods where none are known, or for more than can be told apart. 0, or -ENOMEM. */
int krl_compiler_refuse_from(struct krl_compiler *compiler, bool *refused);

/* Have the plan say which pods its rules ask for. 0, or -ENOMEM. */
int krl_compiler_add_from(struct krl_compiler *compiler);

/* For whose clients the rules of @limit are. NULL: for all. */
const struct krl_from *krl_compiler_caller(const struct krl_compiler *compiler, const struct krl_rate_limit *limit);

void krl_plan_clear_from(struct krl_plan *plan);

/* Give the endpoints of the plan their policies. 0, or -ENOMEM. */
int krl_compiler_add_policies(struct krl_compiler *compiler);

#endif
