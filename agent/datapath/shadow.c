// SPDX-License-Identifier: Apache-2.0
/* What rules in shadow mode would have refused, in the log: the counters are in krl_rule_stats. */
#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/base/log.h"
#include "agent/loop/handle.h"
#include "internal.h"

/* Of one rule, a line so often at most. */
#define LOOK_EVERY_MS 1000
#define LOOKS_BETWEEN_LINES 10

/* What was said of a row. */
struct said {
	__u32 id;
	__u32 looks;		/* since the last line */
	__u64 requests;
};

struct krl_shadow_log {
	struct krl_datapath *dp;
	uv_timer_t *timer;
	struct krl_rule_stats *counted;	/* of one row, by CPU */
	int cpus;
	struct said said[KRL_MAX_RULES];
};

/* Requests that row @slot would have refused; those said already when it cannot be read. */
static __u64 shadow_limited(struct krl_shadow_log *log, __u32 slot)
{
	__u64 requests = 0;
	int i;

	if (bpf_map_lookup_elem(bpf_map__fd(log->dp->skel->maps.krl_rule_stats), &slot, log->counted))
		return log->said[slot].requests;
	for (i = 0; i < log->cpus; i++)
		requests += log->counted[i].shadow_limited;
	return requests;
}

static void look_at(struct krl_shadow_log *log, __u32 slot)
{
	const struct krl_rule_info *info = &log->dp->infos[slot];
	struct said *said = &log->said[slot];
	__u64 requests;

	if (said->id != log->dp->rules[slot].id)
		*said = (struct said){ .id = log->dp->rules[slot].id, .looks = LOOKS_BETWEEN_LINES };
	if (!(log->dp->rules[slot].flags & KRL_RULE_SHADOW) || said->looks++ < LOOKS_BETWEEN_LINES)
		return;
	requests = shadow_limited(log, slot);
	if (requests <= said->requests)
		return;
	krl_log_info("shadow rule would have refused", "requests", "%llu of %s/%s, rule %s%s%s",
		     (unsigned long long)(requests - said->requests), info->ns, info->name, info->rule,
		     *info->service ? ", service " : "", info->service);
	said->requests = requests;
	said->looks = 0;
}

static void on_timer(uv_timer_t *timer)
{
	struct krl_shadow_log *log = timer->data;
	__u32 slot;

	for (slot = 0; slot < KRL_MAX_RULES; slot++)
		if (log->dp->rules[slot].id)
			look_at(log, slot);
}

int krl_shadow_log_open(struct krl_datapath *dp, uv_loop_t *loop, struct krl_shadow_log **ret)
{
	struct krl_shadow_log *log = calloc(1, sizeof(*log));
	__u32 slot;

	if (!log)
		return -ENOMEM;
	log->dp = dp;
	log->cpus = libbpf_num_possible_cpus();
	log->counted = calloc(log->cpus, sizeof(*log->counted));
	if (log->counted)
		log->timer = krl_timer_new(loop, log, on_timer, LOOK_EVERY_MS);
	if (!log->timer) {
		free(log->counted);
		free(log);
		return -ENOMEM;
	}
	/* The agent before said the rest. */
	for (slot = 0; slot < KRL_MAX_RULES; slot++)
		if (dp->rules[slot].id)
			log->said[slot] = (struct said){ dp->rules[slot].id, LOOKS_BETWEEN_LINES,
							 shadow_limited(log, slot) };
	*ret = log;
	return 0;
}

void krl_shadow_log_close(struct krl_shadow_log *log)
{
	if (!log)
		return;
	krl_handle_close(log->timer);
	free(log->counted);
	free(log);
}
