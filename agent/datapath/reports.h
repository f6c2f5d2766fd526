/* SPDX-License-Identifier: Apache-2.0 */
/* What rules refused, one by one as far as the kernel tells of it (bpf/lib/report.h). */
#ifndef KMESH_RL_DATAPATH_REPORTS_H
#define KMESH_RL_DATAPATH_REPORTS_H

#include <kmesh_rl/report.h>

#include "datapath.h"

/* A request or connection that a rule refused, or in shadow mode would have. */
struct krl_reported {
	const struct krl_report *report;
	const struct krl_rule_info *rule;
	const struct krl_kept *kept;	/* the values that picked its bucket; NULL: none, or not known any more */
	int64_t unix_ns;
	uint64_t limited;		/* those that the rule refused by now, or with KRL_REPORT_SHADOW would have */
	unsigned int behind;		/* of those, how many of its row are told next, each by itself */
	int64_t left;			/* tokens in its bucket; of KRL_RULE_CONCURRENT how many more could be open */
	unsigned int rule_flags;	/* KRL_RULE_... */
	unsigned int status;		/* of the answer */
};

/* What is pointed to is gone when it returns. */
typedef void (*krl_reported_fn)(void *arg, const struct krl_reported *reported);

struct krl_reports;

/* Have the kernel tell of @per_s refusals a second for each rule, 0 (none) to KRL_REPORTS_PER_S_MAX, also when the agent is
 * gone; and call @fn with each, on @loop until krl_reports_close(), before @datapath is closed. Those of rules that are gone
 * are left out. 0, or -errno with @ret_error set. */
enum { KRL_REPORTS_PER_S = 10, KRL_REPORTS_PER_S_MAX = 10000 };

int krl_reports_open(struct krl_datapath *datapath, uv_loop_t *loop, unsigned int per_s, krl_reported_fn fn, void *arg,
		     struct krl_reports **ret, struct krl_error *ret_error);
/* Accepts NULL. */
void krl_reports_close(struct krl_reports *reports);

#endif
