// SPDX-License-Identifier: Apache-2.0
#include "reports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/base/vec.h"
#include "agent/loop/handle.h"
#include "internal.h"

/* The kernel wakes nobody for a report: it judges in the server's recv() too, where waking the agent made EAGAIN more
 * frequent (docs/architecture-blocking.md). */
#define LOOK_EVERY_MS 100

/* A report that was taken from the ring, and what its rule had counted then. */
struct taken {
	struct krl_report report;
	uint64_t limited;
};

struct krl_reports {
	struct krl_datapath *dp;
	krl_reported_fn fn;
	void *arg;
	struct ring_buffer *ring;
	uv_timer_t *timer;
	struct krl_rule_stats *counted;	/* of one row, by CPU */
	int cpus;
	struct taken *taken;
	size_t taken_count;
	unsigned int behind[KRL_MAX_RULES];	/* of those taken that were not told yet, how many each row has */
};

static uint64_t limited_by(struct krl_reports *r, __u32 slot, bool shadow)
{
	uint64_t limited = 0;
	int i;

	if (bpf_map_lookup_elem(bpf_map__fd(r->dp->skel->maps.krl_rule_stats), &slot, r->counted))
		return 0;
	for (i = 0; i < r->cpus; i++)
		limited += shadow ? r->counted[i].shadow_limited : r->counted[i].limited;
	return limited;
}

static int on_report(void *ctx, void *data, size_t size)
{
	struct krl_reports *r = ctx;
	const struct krl_report *report = data;
	struct taken *t;

	if (size < sizeof(*report) || report->slot >= KRL_MAX_RULES)
		return 0;
	t = krl_vec_add(&r->taken, &r->taken_count);
	if (!t)
		return -ENOMEM;
	t->report = *report;
	t->limited = limited_by(r, report->slot, report->flags & KRL_REPORT_SHADOW);
	r->behind[report->slot]++;
	return 0;
}

static void tell(struct krl_reports *r, const struct taken *t)
{
	const struct krl_report *report = &t->report;
	const struct krl_rule *rule = &r->dp->rules[report->slot];
	struct krl_reported reported;
	struct krl_kept kept;

	r->behind[report->slot]--;
	if (rule->id != report->rule_id || r->dp->infos[report->slot].id != report->rule_id)
		return;
	reported = (struct krl_reported){ .report = report,
					  .rule = &r->dp->infos[report->slot],
					  .unix_ns = (int64_t)report->time_ns + r->dp->config->wall_offset_ns,
					  .limited = t->limited,
					  .behind = r->behind[report->slot],
					  .left = report->tokens + (rule->flags & KRL_RULE_CONCURRENT
								    ? (int64_t)rule->settings.max_tokens : 0),
					  .rule_flags = rule->flags,
					  .status = rule->status };
	if (report->descriptor[0] &&
	    !bpf_map_lookup_elem(bpf_map__fd(r->dp->skel->maps.krl_values), report->descriptor, &kept))
		reported.kept = &kept;
	r->fn(r->arg, &reported);
}

static void on_timer(uv_timer_t *timer)
{
	struct krl_reports *r = timer->data;
	size_t i;

	ring_buffer__consume(r->ring);
	for (i = 0; i < r->taken_count; i++)
		tell(r, &r->taken[i]);
	free(r->taken);
	r->taken = NULL;
	r->taken_count = 0;
}

static int start(struct krl_reports *r, uv_loop_t *loop)
{
	r->cpus = libbpf_num_possible_cpus();
	r->counted = calloc(r->cpus, sizeof(*r->counted));
	r->ring = ring_buffer__new(bpf_map__fd(r->dp->skel->maps.krl_reports), on_report, r, NULL);
	if (!r->ring)
		return -errno;
	r->timer = krl_timer_new(loop, r, on_timer, LOOK_EVERY_MS);
	return r->counted && r->timer ? 0 : -ENOMEM;
}

int krl_reports_open(struct krl_datapath *datapath, uv_loop_t *loop, unsigned int per_s, krl_reported_fn fn, void *arg,
		     struct krl_reports **ret, struct krl_error *ret_error)
{
	struct krl_reports *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return krl_error_set(ret_error, ENOMEM, "out of memory");
	*r = (struct krl_reports){ .dp = datapath, .fn = fn, .arg = arg };
	err = start(r, loop);
	if (err) {
		krl_reports_close(r);
		return krl_error_set(ret_error, -err, "watching krl_reports: %s", strerror(-err));
	}
	__atomic_store_n(&datapath->config->reports_per_s, per_s, __ATOMIC_RELAXED);
	*ret = r;
	return 0;
}

void krl_reports_close(struct krl_reports *r)
{
	if (!r)
		return;
	krl_handle_close(r->timer);
	ring_buffer__free(r->ring);
	free(r->counted);
	free(r);
}
