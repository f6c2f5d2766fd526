// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl-agent: wiring, exit code. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/control/events.h"
#include "agent/control/methods.h"
#include "agent/datapath/datapath.h"
#include "agent/datapath/inspect.h"
#include "agent/datapath/spent.h"
#include "agent/metrics/server.h"
#include "agent/policy/store.h"
#include "agent/source/complaints.h"
#include "agent/source/directory.h"
#include "options.h"

/* How often the clock is looked at for the sake of schedules, so that it may be set as well as go on. */
#define CLOCK_CHECK_MS 100

/* Blocks from this size on go back to the system when they are freed. Left to itself, glibc keeps ever larger ones in each
 * thread's heap: a scrape of 1200 rules doubled the agent's memory. */
#define MMAP_BYTES (256 << 10)

/* After how long what the kernel did not take is tried again. */
#define RETRY_S 30

struct agent {
	struct krl_options options;
	uv_loop_t loop;
	uv_signal_t sigterm, sigint;
	uv_timer_t clock;
	bool unused;			/* nothing was pinned before the start */
	struct krl_datapath *datapath;
	struct krl_responders *responders;
	struct krl_reports *reports;
	struct krl_cluster *cluster;
	struct krl_events *events;
	struct krl_store *store;
	struct krl_directory *directory;	/* or: */
	struct krl_kubernetes *kubernetes;
	struct krl_peers *peers;		/* of the latter */
	struct krl_callers *callers;
	struct krl_control *control;
	struct krl_metrics *metrics;
	struct krl_control_agent about;		/* for the control socket */
	struct krl_diags errors, notes;		/* of the last reading */
	struct krl_plan applied;		/* what is in force by it */
	bool read;				/* the source, once */
	bool unread;				/* ... it says less than it should */
	bool synced;				/* what it said was enforced, once */
	bool in_sync;				/* ... is, and it says all that it should */
	int64_t last_sync_ms;			/* when that was last so, unless it is */
	struct krl_timing reconciles;
	uint64_t reconcile_failures;
	int64_t now_s;				/* by the clock */
	int64_t since_s, until_s;		/* when there is nothing to do without a change */
};

static bool changed_anything(const struct krl_reconcile_result *done)
{
	return done->rules_added || done->rules_changed || done->rules_removed || done->endpoints_added ||
	       done->endpoints_changed || done->endpoints_removed;
}

static void walk_limited(void *ctx, krl_limited_fn fn, void *arg)
{
	const struct agent *a = ctx;

	krl_datapath_limited(a->datapath, fn, arg);
}

static void walk_unseen(void *ctx, krl_unseen_fn fn, void *arg)
{
	const struct agent *a = ctx;

	krl_plan_unseen(&a->applied, krl_datapath_unseen, a->datapath, fn, arg);
}

static bool is_away(void *ctx)
{
	return krl_cluster_is_away(((const struct agent *)ctx)->cluster);
}

static void on_rekeyed(void *ctx)
{
	krl_peers_write_again(((struct agent *)ctx)->peers);
}

/* Make the kernel do what @plan says; done, the plan is the agent's, and @plan is empty. */
static int enforce(struct agent *a, struct krl_plan *plan)
{
	struct krl_reconcile_result done = { 0 };
	struct krl_error error = { 0 };
	int err;

	plan->before = &a->applied;
	krl_peers_want(a->peers, plan, true);
	err = krl_datapath_reconcile(a->datapath, plan, &done, &error);
	if (!err)
		krl_peers_want(a->peers, plan, false);
	if (!err && krl_peers_error(a->peers)) {
		err = krl_peers_error(a->peers);
		snprintf(error.text, sizeof(error.text), "writing which pods there are: %s", strerror(-err));
	}
	if (err) {
		krl_log_error("not in the kernel", "error", "%s", error.text);
		krl_diags_add(&a->errors, KRL_DIAG_KERNEL, 0, 0, "%s", error.text);
		return err;
	}
	if (done.values_hidden)
		krl_events_forget(a->events);
	krl_plan_clear(&a->applied);
	a->applied = *plan;
	a->applied.before = NULL;
	*plan = (struct krl_plan){ 0 };
	a->until_s = a->applied.until_s;
	krl_log(changed_anything(&done) ? KRL_LOG_INFO : KRL_LOG_DEBUG, "limits applied", "changes",
		"rules +%zu ~%zu -%zu, endpoints +%zu ~%zu -%zu", done.rules_added, done.rules_changed,
		done.rules_removed, done.endpoints_added, done.endpoints_changed, done.endpoints_removed);
	if (done.connections_joined)
		krl_log_info("open connections taken in", "count", "%zu", done.connections_joined);
	if (done.connections_left_out)
		krl_log_warn("open connections of blocking servers left out", "count", "%zu",
			     done.connections_left_out);
	return 0;
}

/* Have the store be what the source says now. 0; or -errno: it says less than it should, and a->read whether it ever
 * said anything. */
static int read_source(struct agent *a)
{
	int err;

	if (a->kubernetes) {
		err = krl_kubernetes_say(a->kubernetes, &a->errors);
		a->read = err != -ENODATA;
		return err;
	}
	err = krl_source_read(a->options.directory, a->store, &a->errors);
	if (err)
		krl_diags_add(&a->errors, a->options.directory, 0, 0, "%s: the limits in force stay", strerror(-err));
	a->read |= !err;
	return err;
}

static int64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* For metrics: it was tried, from @began_ns on. */
static void note_applied(struct agent *a, uint64_t began_ns, bool failed, bool in_sync)
{
	krl_timing_add(&a->reconciles, uv_hrtime() - began_ns);
	a->reconcile_failures += failed;
	if (a->in_sync || in_sync)
		a->last_sync_ms = wall_ms();
	a->in_sync = in_sync;
	a->synced |= in_sync;
}

/* Bring the kernel to what the source says now. What is wrong with it is logged; the rest is done. */
static void apply(void *arg)
{
	struct agent *a = arg;
	struct krl_diags errors = a->errors, notes = a->notes;
	struct krl_plan plan = { 0 };
	uint64_t began_ns = uv_hrtime();
	bool has_pods = true;
	int unread, err;

	/* What fails is tried again then, without a change. */
	a->since_s = a->now_s;
	a->until_s = a->now_s + RETRY_S;
	a->errors = a->notes = (struct krl_diags){ 0 };
	unread = read_source(a);
	a->unread = unread;
	/* What was read before goes on by its schedules. */
	err = a->read ? krl_store_compile(a->store, a->now_s, &plan, &a->errors, &a->notes) : unread;
	/* A directory is read anew, of a cluster only what changed. */
	krl_log_lines(KRL_LOG_ERROR, "refused", &a->errors, a->kubernetes ? &errors : NULL);
	krl_log_lines(KRL_LOG_WARN, "waiting", &a->notes, a->kubernetes ? &notes : NULL);
	if (a->errors.ignored)
		krl_log_info("documents of other kinds ignored", "count", "%zu", a->errors.ignored);
	if (!err)
		err = enforce(a, &plan);
	if (a->kubernetes) {
		struct krl_outcome outcome = { &a->applied, &a->errors, &a->notes, unread != 0, err,
					       a->errors.count ? a->errors.lines[a->errors.count - 1] : "",
					       false, NULL };

		has_pods = krl_kubernetes_tell(a->kubernetes, &outcome);
	}
	a->about.ready = !err && !unread;
	if (a->about.ready && has_pods) {
		krl_callers_look(a->callers);
		krl_datapath_take_over(a->datapath);
	}
	note_applied(a, began_ns, err && a->read, a->about.ready);
	a->about.errors = (const char *const *)a->errors.lines;
	a->about.error_count = a->errors.count;
	a->about.notes = &a->notes;
	a->about.plan = &a->applied;
	a->about.store = a->read ? a->store : NULL;
	krl_plan_clear(&plan);
	krl_diags_clear(&errors);
	krl_diags_clear(&notes);
}

/* Is it time for a schedule, or to try again, or has the clock been set? A file that cannot be read leaves the
 * clock where it is. */
static void on_clock(uv_timer_t *timer)
{
	struct agent *a = timer->data;

	krl_clock_read(a->options.clock, &a->now_s);
	if (a->read && (a->now_s < a->since_s || a->now_s >= a->until_s))
		apply(a);
}

static void on_signal(uv_signal_t *handle, int signum)
{
	uv_stop(handle->loop);
}

/* The line for the operator about @what at @path, which the agent could not get without the kernel. */
static int set_error(struct krl_error *ret_error, int err, const char *what, const char *path)
{
	const char *hint = "";

	if (err == -EADDRINUSE)
		hint = " (another agent runs: stop it, or give this one its own --control-socket and --bpffs)";
	if ((err == -EACCES || err == -EPERM) && geteuid())
		hint = " (not root: run as root, for example with sudo)";
	snprintf(ret_error->text, sizeof(ret_error->text), "%s %s: %s%s", what, path, strerror(-err), hint);
	return err;
}

static int open_source(struct agent *a, struct krl_error *ret_error)
{
	char error[KRL_K8S_ERROR_BYTES];
	int err;

	if (a->options.directory) {
		err = krl_directory_open(&a->loop, a->options.directory, apply, a, &a->directory);
		return err ? set_error(ret_error, err, "watching", a->options.directory) : 0;
	}
	a->options.kubernetes.peers = a->peers;
	err = krl_kubernetes_open(&a->loop, &a->options.kubernetes, a->store, apply, a, &a->kubernetes, error);
	if (err)
		snprintf(ret_error->text, sizeof(ret_error->text), "%s", error);
	return err;
}

/* Limits go on without the source, so that an agent which has read it once stays ready. */
static bool is_ready(void *ctx, char ret_why[KRL_METRICS_ERROR_BYTES])
{
	const struct agent *a = ctx;
	char pin[KRL_INSPECT_NAME_BYTES];
	int err = krl_inspect_programs(a->options.datapath.bpffs, pin);

	if (err)
		snprintf(ret_why, KRL_METRICS_ERROR_BYTES, "the programs are not attached: %s: %s", pin,
			 strerror(-err));
	else if (!a->synced)
		snprintf(ret_why, KRL_METRICS_ERROR_BYTES, "%s", a->read ? "what the source says is not in the kernel yet"
								       : "the source was not read yet");
	return !err && a->synced;
}

static bool run_ns(void *ctx, __u64 *ret)
{
	return krl_datapath_run_ns(((const struct agent *)ctx)->datapath, ret);
}

static void add_watch(void *arg, const char *resource, bool up)
{
	struct krl_metrics_agent *about = arg;

	if (about->watch_count < KRL_METRICS_WATCHES)
		about->watches[about->watch_count++] = (struct krl_metrics_watch){ resource, up };
}

static void tell_about(void *ctx, struct krl_metrics_agent *ret)
{
	const struct agent *a = ctx;
	char why[KRL_METRICS_ERROR_BYTES];

	ret->ready = is_ready(ctx, why);
	ret->last_sync_ms = a->in_sync ? wall_ms() : a->last_sync_ms;
	ret->refused = a->errors.count;
	ret->reconciles = a->reconciles;
	ret->reconcile_failures = a->reconcile_failures;
	if (a->kubernetes)
		krl_kubernetes_watches(a->kubernetes, add_watch, ret);
	else
		add_watch(ret, "directory", !a->unread);
	krl_datapath_spent(a->datapath, &ret->spent);
	/* Without memory nothing is told of it. */
	krl_cluster_seen(a->cluster, &ret->cluster);
}

static int open_metrics(struct agent *a, struct krl_error *ret_error)
{
	struct krl_metrics_options metrics = { .address = a->options.metrics,
					       .bpffs = a->options.datapath.bpffs,
					       .top = a->options.metrics_top,
					       .about = tell_about,
					       .run_ns = run_ns,
					       .ready = is_ready,
					       .ctx = a };
	char error[KRL_METRICS_ERROR_BYTES];
	int err = krl_metrics_start(&a->loop, &metrics, &a->metrics, error);

	if (err)
		snprintf(ret_error->text, sizeof(ret_error->text), "%s", error);
	return err;
}

static int measure(struct agent *a, struct krl_error *ret_error)
{
	int err = krl_datapath_measure(a->datapath);

	return err ? set_error(ret_error, err, "measuring programs, as asked by", "--bpf-stats") : 0;
}

static json_t *known(void *ctx, const char *ns, const char *name)
{
	const struct agent *a = ctx;

	return a->kubernetes ? krl_kubernetes_describe(a->kubernetes, ns, name) : NULL;
}

static void on_reported(void *arg, const struct krl_reported *reported)
{
	krl_events_add(((struct agent *)arg)->events, reported);
}

/* The kernel comes last: a start that fails before it has touched nothing. */
static int start(struct agent *a, struct krl_error *ret_error)
{
	struct krl_control_options control = { .path = a->options.control_socket,
					       .methods = krl_control_agent_methods,
					       .ctx = &a->about };
	int err;

	uv_signal_start(&a->sigterm, on_signal, SIGTERM);
	uv_signal_start(&a->sigint, on_signal, SIGINT);
	a->about.bpffs = a->options.datapath.bpffs;
	a->about.source = a->options.source;
	a->about.known = known;
	a->about.unseen = walk_unseen;
	a->options.cluster.rekeyed = on_rekeyed;
	a->options.cluster.ctx = a;
	a->about.seen = krl_cluster_seen;
	a->about.read_cluster = krl_cluster_read;
	a->about.ctx = a;
	err = krl_clock_read(a->options.clock, &a->now_s);
	if (err)
		return set_error(ret_error, err, "clock", a->options.clock);
	a->store = krl_store_new();
	a->peers = krl_peers_new(a->options.kubernetes.node);
	if (!a->store || !a->peers || krl_events_open(&a->loop, &a->events)) {
		snprintf(ret_error->text, sizeof(ret_error->text), "out of memory");
		return -ENOMEM;
	}
	a->about.events = a->events;
	krl_store_set_pods(a->store, a->options.directory ? KRL_PODS_NONE : KRL_PODS_KNOWN);
	krl_store_set_cluster(a->store, a->options.cluster.redis.url);
	err = open_source(a, ret_error);
	if (err)
		return err;
	err = krl_control_start(&a->loop, &control, &a->control);
	if (err)
		return set_error(ret_error, err, "control socket", control.path);
	if (a->options.metrics)
		err = open_metrics(a, ret_error);
	if (err)
		return err;
	a->unused = krl_datapath_is_unused(a->options.datapath.bpffs);
	err = krl_datapath_open(&a->options.datapath, &a->datapath, ret_error);
	/* Another agent was faster, or the directory is another user's. */
	if (err == -EBUSY || err == -EACCES)
		a->unused = false;
	if (!err && a->options.measure)
		err = measure(a, ret_error);
	if (!err)
		err = krl_responders_open(a->datapath, &a->loop, &a->responders, ret_error);
	if (err)
		return err;
	krl_peers_write_to(a->peers, &krl_datapath_peers, a->datapath);
	if (a->kubernetes)
		krl_kubernetes_count(a->kubernetes, walk_limited, walk_unseen, a);
	if (a->kubernetes)
		krl_kubernetes_ask_away(a->kubernetes, is_away, a);
	err = krl_reports_open(a->datapath, &a->loop, a->options.event_rate, on_reported, a, &a->reports, ret_error);
	if (!err)
		err = krl_cluster_open(a->datapath, &a->loop, &a->options.cluster, &a->cluster, ret_error);
	if (err)
		return err;
	a->about.cluster = a->cluster;
	if (a->kubernetes && krl_callers_open(a->datapath, &a->loop, a->peers, &a->callers)) {
		snprintf(ret_error->text, sizeof(ret_error->text), "out of memory");
		return -ENOMEM;
	}
	apply(a);
	uv_timer_start(&a->clock, on_clock, CLOCK_CHECK_MS, CLOCK_CHECK_MS);
	return 0;
}

static void stop(struct agent *a)
{
	krl_control_stop(a->control);
	krl_metrics_stop(a->metrics);
	krl_directory_close(a->directory);
	krl_kubernetes_close(a->kubernetes);
	krl_responders_close(a->responders);
	krl_reports_close(a->reports);
	krl_events_close(a->events);
	krl_callers_close(a->callers);
	krl_cluster_close(a->cluster);
	krl_datapath_close(a->datapath);
	krl_store_free(a->store);
	krl_peers_free(a->peers);
	krl_diags_clear(&a->errors);
	krl_diags_clear(&a->notes);
	krl_plan_clear(&a->applied);
	uv_close((uv_handle_t *)&a->sigterm, NULL);
	uv_close((uv_handle_t *)&a->sigint, NULL);
	uv_close((uv_handle_t *)&a->clock, NULL);
	uv_run(&a->loop, UV_RUN_DEFAULT);
	uv_loop_close(&a->loop);
}

static void log_metrics(const struct agent *a)
{
	char where[KRL_METRICS_ERROR_BYTES];

	if (!a->metrics)
		return;
	krl_metrics_where(a->metrics, where, sizeof(where));
	krl_log_info("metrics are told", "at", "%s", where);
}

static int detach(const struct krl_options *options)
{
	struct krl_error error = { 0 };

	if (!krl_datapath_detach(&options->datapath, &error))
		return KRL_EXIT_GOOD;
	fprintf(stderr, "kmesh-rl-agent: %s\n", error.text);
	return KRL_EXIT_FAILED;
}

int main(int argc, char **argv)
{
	struct krl_error error = { 0 };
	struct agent agent = { 0 };
	int status;

	mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	status = krl_options_parse(argc, argv, &agent.options);
	if (status >= 0)
		return status;
	if (agent.options.detach)
		return detach(&agent.options);
	uv_loop_init(&agent.loop);
	uv_signal_init(&agent.loop, &agent.sigterm);
	uv_signal_init(&agent.loop, &agent.sigint);
	uv_timer_init(&agent.loop, &agent.clock);
	agent.clock.data = &agent;
	status = KRL_EXIT_GOOD;
	if (start(&agent, &error)) {
		fprintf(stderr, "kmesh-rl-agent: %s\n", error.text);
		status = KRL_EXIT_FAILED;
	} else {
		krl_log_info("agent started", "source", "%s", agent.options.source);
		log_metrics(&agent);
		uv_run(&agent.loop, UV_RUN_DEFAULT);
		krl_log_info("agent stopped, limits stay in force", "bpffs", "%s",
			     agent.options.datapath.bpffs);
	}
	stop(&agent);
	/* A failed start leaves behind what it found; why it failed was said, and may make this fail too. */
	if (status != KRL_EXIT_GOOD && agent.unused)
		krl_datapath_detach(&agent.options.datapath, &error);
	return status;
}
