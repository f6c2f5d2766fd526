// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl-agent: options, wiring, exit code. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <kmesh_rl/pins.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/nearest.h"
#include "agent/control/methods.h"
#include "agent/datapath/datapath.h"
#include "agent/policy/store.h"
#include "agent/source/directory.h"

/* How often the clock is looked at for the sake of schedules, so that it may be set as well as go on. */
#define CLOCK_CHECK_MS 100

/* After how long what the kernel did not take is tried again. */
#define RETRY_S 30

enum { EXIT_GOOD, EXIT_FAILED, EXIT_USAGE };

struct options {
	const char *source;	/* as given, "dir:PATH" */
	const char *control_socket;
	const char *clock;	/* file with the time, NULL: the machine's */
	struct krl_datapath_options datapath;
	bool detach;
};

struct agent {
	struct options options;
	uv_loop_t loop;
	uv_signal_t sigterm, sigint;
	uv_timer_t clock;
	bool unused;			/* nothing was pinned before the start */
	struct krl_datapath *datapath;
	struct krl_responders *responders;
	struct krl_shadow_log *shadow_log;
	struct krl_store *store;
	struct krl_directory *directory;
	struct krl_control *control;
	struct krl_control_agent about;		/* for the control socket */
	struct krl_diags errors;		/* of the last reading */
	struct krl_plan applied;		/* what is in force by it */
	bool read;				/* the directory, once */
	int64_t now_s;				/* by the clock */
	int64_t since_s, until_s;		/* when there is nothing to do without a change */
};

static const char usage[] =
	"Usage: kmesh-rl-agent --source dir:PATH [OPTION]...\n"
	"       kmesh-rl-agent --detach [--bpffs DIR]\n"
	"\n"
	"Keeps the kernel's rate limits as the RateLimit documents of a directory say, and follows\n"
	"their changes. Limits stay in force when the agent ends.\n"
	"\n"
	"  --source dir:PATH      directory of *.yaml, *.yml and *.json files\n"
	"  --bpffs DIR            where maps and links are pinned (" KRL_DEFAULT_BPFFS ")\n"
	"  --cgroup DIR           cgroup v2 directory whose sockets are covered (the root)\n"
	"  --control-socket PATH  where kmesh-rl asks (" KRL_DEFAULT_CONTROL_SOCKET ")\n"
	"  --clock FILE           read the time for schedules from FILE, for tests\n"
	"  --log-level LEVEL      error, warn, info (default) or debug\n"
	"  --log-format FORMAT    logfmt (default) or json\n"
	"  --detach               remove every program, map and link, and end\n"
	"  --version              print the version, and end\n"
	"  --help                 print this, and end\n"
	"\n"
	"Exit status: 0 good, 1 failed, 2 usage.\n";

static const char *source_path(const struct options *options)
{
	return options->source + strlen("dir:");
}

static int usage_error(const char *what, const char *value)
{
	fprintf(stderr, "kmesh-rl-agent: %s%s%s (see --help)\n", what, value ? " " : "", value ? value : "");
	return EXIT_USAGE;
}

static int unknown_flag(const char *flag, const struct option *known)
{
	const char *nearest = NULL;
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(flag + 2, "="), flag + 2);
	for (; known->name; known++)
		nearest = krl_nearer(name, nearest, known->name);
	fprintf(stderr, "kmesh-rl-agent: unknown flag --%s%s%s%s (see --help)\n", name,
		nearest ? ", did you mean --" : "", nearest ? nearest : "", nearest ? "?" : "");
	return EXIT_USAGE;
}

/* Flags are as they are written: getopt_long takes --d for --detach. Returns -1, or the exit status. */
static int check_flags(int argc, char **argv, const struct option *known)
{
	const struct option *flag;
	size_t len;
	int i;

	for (i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) || !argv[i][2])
			return usage_error("unexpected argument", argv[i]);
		len = strcspn(argv[i] + 2, "=");
		for (flag = known; flag->name; flag++)
			if (strlen(flag->name) == len && !strncmp(flag->name, argv[i] + 2, len))
				break;
		if (!flag->name)
			return unknown_flag(argv[i], known);
		if (flag->has_arg == no_argument && argv[i][2 + len])
			return usage_error("no value belongs to", argv[i]);
		if (flag->has_arg == required_argument && !argv[i][2 + len] && ++i == argc)
			return usage_error("a value is missing after", argv[argc - 1]);
	}
	return -1;
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *ret)
{
	enum { SOURCE, BPFFS, CGROUP, CONTROL, CLOCK, LEVEL, FORMAT, DETACH, VERSION, HELP };
	static const struct option known[] = {
		{ "source", required_argument, NULL, SOURCE },
		{ "bpffs", required_argument, NULL, BPFFS },
		{ "cgroup", required_argument, NULL, CGROUP },
		{ "control-socket", required_argument, NULL, CONTROL },
		{ "clock", required_argument, NULL, CLOCK },
		{ "log-level", required_argument, NULL, LEVEL },
		{ "log-format", required_argument, NULL, FORMAT },
		{ "detach", no_argument, NULL, DETACH },
		{ "version", no_argument, NULL, VERSION },
		{ "help", no_argument, NULL, HELP },
		{ NULL, 0, NULL, 0 },
	};
	enum krl_log_format format = KRL_LOG_LOGFMT;
	enum krl_log_level level = KRL_LOG_INFO;
	int option = check_flags(argc, argv, known);

	if (option >= 0)
		return option;
	*ret = (struct options){ .control_socket = KRL_DEFAULT_CONTROL_SOCKET,
				 .datapath.bpffs = KRL_DEFAULT_BPFFS };
	while ((option = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		switch (option) {
		case SOURCE:
			if (strncmp(optarg, "dir:", 4) || !optarg[4])
				return usage_error("--source: expected dir:PATH, found", optarg);
			ret->source = optarg;
			break;
		case BPFFS:
			ret->datapath.bpffs = optarg;
			break;
		case CGROUP:
			ret->datapath.cgroup = optarg;
			break;
		case CONTROL:
			ret->control_socket = optarg;
			break;
		case CLOCK:
			ret->clock = optarg;
			break;
		case LEVEL:
			if (krl_log_level_parse(optarg, &level))
				return usage_error("--log-level: expected error, warn, info or debug, found",
						   optarg);
			break;
		case FORMAT:
			if (krl_log_format_parse(optarg, &format))
				return usage_error("--log-format: expected logfmt or json, found", optarg);
			break;
		case DETACH:
			ret->detach = true;
			break;
		case VERSION:
			puts("kmesh-rl-agent " KRL_VERSION);
			return EXIT_GOOD;
		case HELP:
			fputs(usage, stdout);
			return EXIT_GOOD;
		}
	}
	if (!ret->detach && !ret->source)
		return usage_error("--source dir:PATH is missing", NULL);
	krl_log_configure(level, format);
	return -1;
}

static void log_lines(enum krl_log_level level, const char *msg, const struct krl_diags *lines)
{
	size_t i;

	for (i = 0; i < lines->count; i++)
		krl_log(level, msg, "at", "%s", lines->lines[i]);
}

static bool changed_anything(const struct krl_reconcile_result *done)
{
	return done->rules_added || done->rules_changed || done->rules_removed || done->endpoints_added ||
	       done->endpoints_changed || done->endpoints_removed;
}

/* Make the kernel do what @plan says; done, the plan is the agent's, and @plan is empty. */
static int enforce(struct agent *a, struct krl_plan *plan)
{
	struct krl_reconcile_result done = { 0 };
	struct krl_error error = { 0 };
	int err;

	plan->before = &a->applied;
	err = krl_datapath_reconcile(a->datapath, plan, &done, &error);
	if (err) {
		krl_log_error("not in the kernel", "error", "%s", error.text);
		krl_diags_add(&a->errors, "kernel", 0, 0, "%s", error.text);
		return err;
	}
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

/* Bring the kernel to what the directory says now. What is wrong with it is logged; the rest is done. */
static void apply(void *arg)
{
	struct agent *a = arg;
	struct krl_diags notes = { 0 };
	struct krl_plan plan = { 0 };
	int unread, err;

	/* What fails is tried again then, without a change. */
	a->since_s = a->now_s;
	a->until_s = a->now_s + RETRY_S;
	krl_diags_clear(&a->errors);
	unread = krl_source_read(source_path(&a->options), a->store, &a->errors);
	if (unread)
		krl_diags_add(&a->errors, source_path(&a->options), 0, 0,
			      "%s: the limits in force stay", strerror(-unread));
	a->read |= !unread;
	/* What was read before goes on by its schedules. */
	err = a->read ? krl_store_compile(a->store, a->now_s, &plan, &a->errors, &notes) : unread;
	log_lines(KRL_LOG_ERROR, "refused", &a->errors);
	log_lines(KRL_LOG_WARN, "waiting", &notes);
	if (a->errors.ignored)
		krl_log_info("documents of other kinds ignored", "count", "%zu", a->errors.ignored);
	if (!err)
		err = enforce(a, &plan);
	a->about.ready = !err && !unread;
	a->about.errors = (const char *const *)a->errors.lines;
	a->about.error_count = a->errors.count;
	krl_plan_clear(&plan);
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

/* Is nothing pinned below @bpffs? */
static bool is_unused(const char *bpffs)
{
	DIR *dir = opendir(bpffs);
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT;
	do
		entry = readdir(dir);
	while (entry && entry->d_name[0] == '.');
	closedir(dir);
	return !entry;
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
	err = krl_clock_read(a->options.clock, &a->now_s);
	if (err)
		return set_error(ret_error, err, "clock", a->options.clock);
	a->store = krl_store_new();
	if (!a->store) {
		snprintf(ret_error->text, sizeof(ret_error->text), "out of memory");
		return -ENOMEM;
	}
	err = krl_directory_open(&a->loop, source_path(&a->options), apply, a, &a->directory);
	if (err)
		return set_error(ret_error, err, "watching", source_path(&a->options));
	err = krl_control_start(&a->loop, &control, &a->control);
	if (err)
		return set_error(ret_error, err, "control socket", control.path);
	a->unused = is_unused(a->options.datapath.bpffs);
	err = krl_datapath_open(&a->options.datapath, &a->datapath, ret_error);
	/* Another agent was faster, or the directory is another user's. */
	if (err == -EBUSY || err == -EACCES)
		a->unused = false;
	if (!err)
		err = krl_responders_open(a->datapath, &a->loop, &a->responders, ret_error);
	if (err)
		return err;
	err = krl_shadow_log_open(a->datapath, &a->loop, &a->shadow_log);
	if (err) {
		snprintf(ret_error->text, sizeof(ret_error->text), "out of memory");
		return err;
	}
	apply(a);
	uv_timer_start(&a->clock, on_clock, CLOCK_CHECK_MS, CLOCK_CHECK_MS);
	return 0;
}

static void stop(struct agent *a)
{
	krl_control_stop(a->control);
	krl_directory_close(a->directory);
	krl_responders_close(a->responders);
	krl_shadow_log_close(a->shadow_log);
	krl_datapath_close(a->datapath);
	krl_store_free(a->store);
	krl_diags_clear(&a->errors);
	krl_plan_clear(&a->applied);
	uv_close((uv_handle_t *)&a->sigterm, NULL);
	uv_close((uv_handle_t *)&a->sigint, NULL);
	uv_close((uv_handle_t *)&a->clock, NULL);
	uv_run(&a->loop, UV_RUN_DEFAULT);
	uv_loop_close(&a->loop);
}

static int detach(const struct options *options)
{
	struct krl_error error = { 0 };

	if (!krl_datapath_detach(&options->datapath, &error))
		return EXIT_GOOD;
	fprintf(stderr, "kmesh-rl-agent: %s\n", error.text);
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	struct krl_error error = { 0 };
	struct agent agent = { 0 };
	int status;

	status = parse_options(argc, argv, &agent.options);
	if (status >= 0)
		return status;
	if (agent.options.detach)
		return detach(&agent.options);
	uv_loop_init(&agent.loop);
	uv_signal_init(&agent.loop, &agent.sigterm);
	uv_signal_init(&agent.loop, &agent.sigint);
	uv_timer_init(&agent.loop, &agent.clock);
	agent.clock.data = &agent;
	status = EXIT_GOOD;
	if (start(&agent, &error)) {
		fprintf(stderr, "kmesh-rl-agent: %s\n", error.text);
		status = EXIT_FAILED;
	} else {
		krl_log_info("agent started", "source", "%s", agent.options.source);
		uv_run(&agent.loop, UV_RUN_DEFAULT);
		krl_log_info("agent stopped, limits stay in force", "bpffs", "%s",
			     agent.options.datapath.bpffs);
	}
	stop(&agent);
	/* A failed start leaves behind what it found; why it failed was said, and may make this fail too. */
	if (status != EXIT_GOOD && agent.unused)
		krl_datapath_detach(&agent.options.datapath, &error);
	return status;
}
