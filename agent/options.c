// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kmesh_rl/pins.h>

#include "agent/base/log.h"
#include "agent/base/nearest.h"
#include "agent/datapath/reports.h"
#include "agent/metrics/server.h"

#define DEFAULT_METRICS "127.0.0.1:9464"

static const char usage[] =
	"Usage: kmesh-rl-agent --source dir:PATH | --source kubernetes [OPTION]...\n"
	"       kmesh-rl-agent --detach [--bpffs DIR]\n"
	"\n"
	"Keeps the kernel's rate limits as the RateLimits of a directory or a cluster say, and follows\n"
	"their changes. Limits stay in force when the agent ends.\n"
	"\n"
	"  --source dir:PATH      directory of *.yaml, *.yml and *.json files\n"
	"  --source kubernetes    the API server of the cluster that this runs in a pod of\n"
	"  --kubeconfig FILE      or the one of the current context of FILE\n"
	"  --namespace NAMESPACE  its RateLimits only; \".\": that of the pod, or of the context\n"
	"  --node-name NAME       this node: only endpoints on it are limited\n"
	"  --watch-seconds N      ask for watches of N to 2 N seconds (300)\n"
	"  --status-seconds N     write the status of a RateLimit every N seconds at most (10)\n"
	"  --bpffs DIR            where maps and links are pinned (" KRL_DEFAULT_BPFFS ")\n"
	"  --cgroup DIR           cgroup v2 directory whose sockets are covered (the root)\n"
	"  --control-socket PATH  where kmesh-rl asks (" KRL_DEFAULT_CONTROL_SOCKET ")\n"
	"  --metrics HOST:PORT    where /metrics, /healthz and /readyz are, or off (" DEFAULT_METRICS ")\n"
	"  --metrics-top N        tell of the N who were limited most, 0 to 1000 (0)\n"
	"  --redis URL            redis://[user:password@]host:port/db, for rules with scope: Cluster;\n"
	"                         or redis+sentinel://[user:password@]host:port/MASTER/db; again for more\n"
	"                         Sentinels, or more nodes of a Redis Cluster\n"
	"  --redis-password-file FILE  its password, instead of the URL's or that in $REDIS_PASSWORD\n"
	"  --cluster-tick MS      how often tokens are leased, 10 to 1000 (100)\n"
	"  --event-rate N         tell of N limited requests of each rule in a second, 0 to 10000 (10)\n"
	"  --bpf-stats            have the kernel measure BPF programs, which costs each run a little\n"
	"  --clock FILE           read the time for schedules from FILE, for tests\n"
	"  --log-level LEVEL      error, warn, info (default) or debug\n"
	"  --log-format FORMAT    logfmt (default) or json\n"
	"  --detach               remove every program, map and link, and end\n"
	"  --version              print the version, and end\n"
	"  --help                 print this, and end\n"
	"\n"
	"Exit status: 0 good, 1 failed, 2 usage.\n";

static int usage_error(const char *what, const char *value)
{
	fprintf(stderr, "kmesh-rl-agent: %s%s%s (see --help)\n", what, value ? " " : "", value ? value : "");
	return KRL_EXIT_USAGE;
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
	return KRL_EXIT_USAGE;
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

/* A label of RFC 1123, as Kubernetes names namespaces. */
static bool is_label(const char *text)
{
	size_t len = strlen(text);

	return len && len <= 63 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* What belongs together does. Returns -1, or the exit status. */
static int check_options(const struct krl_options *options)
{
	const struct krl_kubernetes_options *kubernetes = &options->kubernetes;
	const char *only = kubernetes->kubeconfig ? "--kubeconfig" : kubernetes->ns ? "--namespace"
			   : kubernetes->node && !options->cluster.redis.url ? "--node-name" : NULL;

	if (!options->detach && !options->source)
		return usage_error("--source dir:PATH or --source kubernetes is missing", NULL);
	if (options->directory && only)
		return usage_error("only with --source kubernetes:", only);
	if (kubernetes->ns && !is_label(kubernetes->ns) && strcmp(kubernetes->ns, KRL_KUBERNETES_OWN))
		return usage_error("--namespace: expected at most 63 lower case letters, digits and '-', or \".\", found",
				   kubernetes->ns);
	return -1;
}

static int parse_number(const char *text, unsigned long least, unsigned long most, unsigned int *ret)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value < least || value > most)
		return -EINVAL;
	*ret = value;
	return 0;
}

/* "127.0.0.1:9464", "off". */
static int parse_metrics(const char *text, const char **ret)
{
	struct sockaddr_storage address;

	*ret = strcmp(text, "off") ? text : NULL;
	return *ret ? krl_metrics_address(text, &address) : 0;
}

static int add_redis(const char *url, struct krl_redis_options *ret)
{
	if (!ret->url)
		ret->url = url;
	else if (ret->further_count < KRL_REDIS_SEEDS)
		ret->further[ret->further_count++] = url;
	else
		return -E2BIG;
	return 0;
}

/* "dir:PATH" or "kubernetes". */
static int parse_source(const char *text, struct krl_options *ret)
{
	bool directory = !strncmp(text, "dir:", 4) && text[4];

	if (!directory && strcmp(text, "kubernetes"))
		return -EINVAL;
	ret->source = text;
	ret->directory = directory ? text + strlen("dir:") : NULL;
	return 0;
}

int krl_options_parse(int argc, char **argv, struct krl_options *ret)
{
	enum { SOURCE, KUBECONFIG, NAMESPACE, NODE, REDIS, PASSWORD, TICK, WATCH, STATUS, BPFFS, CGROUP, CONTROL, METRICS, TOP, RATE, MEASURE, CLOCK, LEVEL,
	       FORMAT, DETACH, VERSION, HELP };
	static const struct option known[] = {
		{ "source", required_argument, NULL, SOURCE },
		{ "kubeconfig", required_argument, NULL, KUBECONFIG },
		{ "namespace", required_argument, NULL, NAMESPACE },
		{ "node-name", required_argument, NULL, NODE },
		{ "redis", required_argument, NULL, REDIS },
		{ "redis-password-file", required_argument, NULL, PASSWORD },
		{ "cluster-tick", required_argument, NULL, TICK },
		{ "watch-seconds", required_argument, NULL, WATCH },
		{ "status-seconds", required_argument, NULL, STATUS },
		{ "bpffs", required_argument, NULL, BPFFS },
		{ "cgroup", required_argument, NULL, CGROUP },
		{ "control-socket", required_argument, NULL, CONTROL },
		{ "metrics", required_argument, NULL, METRICS },
		{ "metrics-top", required_argument, NULL, TOP },
		{ "event-rate", required_argument, NULL, RATE },
		{ "bpf-stats", no_argument, NULL, MEASURE },
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
	*ret = (struct krl_options){ .control_socket = KRL_DEFAULT_CONTROL_SOCKET,
				 .metrics = DEFAULT_METRICS,
				 .event_rate = KRL_REPORTS_PER_S,
				 .cluster.tick_ms = KRL_CLUSTER_TICK_MS,
				 .kubernetes.watch_s = KRL_KUBERNETES_WATCH_S,
				 .kubernetes.status_s = KRL_STATUS_EVERY_S,
				 .datapath.bpffs = KRL_DEFAULT_BPFFS };
	while ((option = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		switch (option) {
		case SOURCE:
			if (parse_source(optarg, ret))
				return usage_error("--source: expected dir:PATH or kubernetes, found", optarg);
			break;
		case KUBECONFIG:
			ret->kubernetes.kubeconfig = optarg;
			break;
		case NAMESPACE:
			ret->kubernetes.ns = optarg;
			break;
		case NODE:
			ret->kubernetes.node = optarg;
			break;
		case REDIS:
			if (add_redis(optarg, &ret->cluster.redis))
				return usage_error("--redis: there are 17, found another", NULL);
			break;
		case PASSWORD:
			ret->cluster.redis.password_file = optarg;
			break;
		case TICK:
			if (parse_number(optarg, 10, 1000, &ret->cluster.tick_ms))
				return usage_error("--cluster-tick: expected 10 to 1000, found", optarg);
			break;
		case WATCH:
			if (parse_number(optarg, 1, 3600, &ret->kubernetes.watch_s))
				return usage_error("--watch-seconds: expected 1 to 3600, found", optarg);
			break;
		case STATUS:
			if (parse_number(optarg, 1, 3600, &ret->kubernetes.status_s))
				return usage_error("--status-seconds: expected 1 to 3600, found", optarg);
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
		case METRICS:
			if (parse_metrics(optarg, &ret->metrics))
				return usage_error("--metrics: expected HOST:PORT, :PORT or off, found", optarg);
			break;
		case TOP:
			if (parse_number(optarg, 0, KRL_METRICS_TOP_MAX, &ret->metrics_top))
				return usage_error("--metrics-top: expected 0 to 1000, found", optarg);
			break;
		case RATE:
			if (parse_number(optarg, 0, KRL_REPORTS_PER_S_MAX, &ret->event_rate))
				return usage_error("--event-rate: expected 0 to 10000, found", optarg);
			break;
		case MEASURE:
			ret->measure = true;
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
			return KRL_EXIT_GOOD;
		case HELP:
			fputs(usage, stdout);
			return KRL_EXIT_GOOD;
		}
	}
	krl_log_configure(level, format);
	ret->cluster.node = ret->kubernetes.node;
	return check_options(ret);
}
