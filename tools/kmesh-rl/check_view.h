/* SPDX-License-Identifier: Apache-2.0 */
/* Showing what a request would meet. */
#ifndef KMESH_RL_TOOL_CHECK_VIEW_H
#define KMESH_RL_TOOL_CHECK_VIEW_H

#include "agent/policy/check.h"
#include "agent/policy/compile.h"
#include "cli.h"

/* What is left in the bucket that a rule would take from. */
enum krl_cli_left {
	KRL_CLI_LEFT_UNKNOWN,	/* not asked for, or the rule does not count */
	KRL_CLI_LEFT_TOKENS,
	KRL_CLI_LEFT_FULL,	/* there is no bucket yet */
	KRL_CLI_LEFT_NOTHING,	/* the rule is not in the maps */
};

struct krl_cli_check_row {
	const struct krl_plan_rule *rule;
	struct krl_check_verdict verdict;	/* owned */
	bool anywhere;				/* on any endpoint of the rule: at is not set */
	struct krl_endpoint_key at;		/* where its bucket is */
	enum krl_cli_left left;
	__s64 available;			/* of KRL_CLI_LEFT_TOKENS and KRL_CLI_LEFT_FULL */
};

struct krl_cli_check_result {
	struct krl_cli_check_row *rows;		/* owned */
	size_t count;
	struct krl_endpoint_key *refusing;	/* owned: these answer 400, whatever the limits */
	size_t refusing_count;
};

void krl_cli_check_clear(struct krl_cli_check_result *result);

/* Print @result; @live: with what is left. Returns 0 or -ENOMEM. */
int krl_cli_check_print(const struct krl_cli_check_result *result, bool live,
			enum krl_cli_output output, FILE *out);

#endif
