/* SPDX-License-Identifier: Apache-2.0 */
/* One reconciliation, shared by its files: rows in reconcile.c, endpoints in endpoints.c, the texts of
 * answers in forms.c. */
#ifndef KMESH_RL_DATAPATH_PASS_H
#define KMESH_RL_DATAPATH_PASS_H

#include <string.h>

#include "internal.h"

struct krl_pass {
	struct krl_datapath *dp;
	const struct krl_plan *plan;
	__u32 *slots;			/* of each rule of the plan */
	bool keep[KRL_MAX_RULES];	/* rows that stay */
	bool retained[KRL_MAX_RULES];	/* ... though the plan does not have them */
	bool partial[KRL_MAX_RULES];	/* rows of the plan that may count on more endpoints than it has */
	bool retaining;			/* there is any of the two */
	struct krl_reconcile_result result;
};

static inline bool krl_pass_is_rule(const struct krl_rule_info *info, const struct krl_plan_rule *rule)
{
	return !strcmp(info->rule, rule->rule) && !strcmp(info->name, rule->name) &&
	       !strcmp(info->ns, rule->ns) && !strcmp(info->service, rule->service);
}

/* Once the rows of the plan are written: mark what stays without it, and make the endpoints refer to both.
 * 0, or -errno. */
int krl_pass_endpoints(struct krl_pass *pass);

/* Have @form in the kernel; @ret_key is where. 0, or -errno. */
int krl_pass_form(struct krl_pass *pass, const struct krl_form *form, __u64 *ret_key);

/* Remove the forms that no rule has any more. */
void krl_pass_drop_forms(struct krl_pass *pass);

#endif
