// SPDX-License-Identifier: Apache-2.0
/* The checks of `kmesh-rl diagnose`. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "agent/policy/explain.h"
#include "cli.h"
#include "diagnose.h"
#include "table.h"

/* In percent: a map is nearly full. */
#define NEARLY_FULL 80

const char *const krl_finding_levels[] = { "ok", "warn", "fail" };

__attribute__((format(printf, 3, 4)))
static void find(struct krl_finding *finding, enum krl_finding_level level, const char *fmt, ...)
{
	va_list args;

	finding->level = level;
	va_start(args, fmt);
	vsnprintf(finding->text, sizeof(finding->text), fmt, args);
	va_end(args);
}

/* More of the same finding, which is at least @level. */
__attribute__((format(printf, 3, 4)))
static void add(struct krl_finding *finding, enum krl_finding_level level, const char *fmt, ...)
{
	size_t len = strlen(finding->text);
	va_list args;

	if (finding->level < level)
		finding->level = level;
	va_start(args, fmt);
	vsnprintf(finding->text + len, sizeof(finding->text) - len, fmt, args);
	va_end(args);
}

static unsigned long long reason(const struct krl_facts *f, enum krl_reason which)
{
	return f->stats.reasons[which];
}

static bool check_kernel(const struct krl_facts *f, struct krl_finding *finding)
{
	if (f->kernel == -ENOTSUP)
		find(finding, KRL_FINDING_FAIL, "%s is too old: 6.1 or newer is needed", f->release);
	else if (f->kernel)
		find(finding, KRL_FINDING_FAIL, "%s was built without CONFIG_DEBUG_INFO_BTF=y, which is needed",
		     f->release);
	else
		find(finding, KRL_FINDING_OK, "%s", f->release);
	return true;
}

static bool check_bpffs(const struct krl_facts *f, struct krl_finding *finding)
{
	if (f->bpffs_mount)
		find(finding, KRL_FINDING_FAIL, "%s is not on a BPF file system: run `mount -t bpf bpf /sys/fs/bpf`, or "
		     "give another directory with --bpffs", f->bpffs);
	else
		find(finding, KRL_FINDING_OK, "%s", f->bpffs);
	return true;
}

static bool check_cgroup(const struct krl_facts *f, struct krl_finding *finding)
{
	if (f->cgroup_mount)
		find(finding, KRL_FINDING_FAIL, "no cgroup v2 file system is mounted: run `mount -t cgroup2 none "
		     "/sys/fs/cgroup`, or boot with systemd.unified_cgroup_hierarchy=1");
	else
		find(finding, KRL_FINDING_OK, "%s", f->cgroup);
	return true;
}

static bool check_pins(const struct krl_facts *f, struct krl_finding *finding)
{
	switch (f->pins) {
	case 0:
		find(finding, KRL_FINDING_OK, "maps of version %d", KRL_ABI_VERSION);
		break;
	case -ENOENT:
		find(finding, KRL_FINDING_FAIL, "nothing is pinned below %s, so nothing is limited: start the agent",
		     f->bpffs);
		break;
	case -EPERM:
		find(finding, KRL_FINDING_FAIL, "no right to read the maps below %s: run as root, for example with sudo",
		     f->bpffs);
		break;
	case -EPROTO:
		find(finding, KRL_FINDING_FAIL, "%s holds the maps of another version than %s, which reads version %d: "
		     "use the agent's own kmesh-rl, or run `kmesh-rl-agent --detach` and start the agent anew",
		     f->bpffs, KRL_VERSION, KRL_ABI_VERSION);
		break;
	default:
		find(finding, KRL_FINDING_FAIL, "reading the maps below %s: %s", f->bpffs, strerror(-f->pins));
	}
	return true;
}

static void find_agent(const json_t *about, struct krl_finding *finding)
{
	const char *version = json_string_value(json_object_get(about, "version"));
	const char *error = json_string_value(json_array_get(json_object_get(about, "errors"), 0));

	find(finding, KRL_FINDING_OK, "version %s, pid %" JSON_INTEGER_FORMAT, version ? version : "unknown",
	     json_integer_value(json_object_get(about, "pid")));
	if (!json_is_true(json_object_get(about, "ready")))
		add(finding, KRL_FINDING_WARN, "; the limits are not in force as its source says: see its log");
	if (error)
		add(finding, KRL_FINDING_WARN, "; %s", error);
	if (!version || strcmp(version, KRL_VERSION))
		add(finding, KRL_FINDING_WARN, "; this program is of version %s", KRL_VERSION);
}

static bool check_agent(const struct krl_facts *f, struct krl_finding *finding)
{
	if (!f->agent && f->about)
		find_agent(f->about, finding);
	else if (f->agent == -ENOENT || f->agent == -ECONNREFUSED)
		find(finding, KRL_FINDING_FAIL, "no agent listens on %s: start it. Without one the last limits stay in force, "
		     "429s are compact and servers that read with blocking calls see EAGAIN", f->control_socket);
	else
		find(finding, KRL_FINDING_FAIL, "the agent on %s does not answer (%s): see its log", f->control_socket,
		     strerror(-f->agent));
	return true;
}

static bool check_programs(const struct krl_facts *f, struct krl_finding *finding)
{
	if (f->pins)
		return false;
	switch (f->programs) {
	case 0:
		find(finding, KRL_FINDING_OK, "attached");
		break;
	case -ENOENT:
		find(finding, KRL_FINDING_FAIL, "the link of the program that enrols connections is gone: start the "
		     "agent anew");
		break;
	case -ENOLINK:
		find(finding, KRL_FINDING_FAIL, "the cgroup is gone to which the program was attached that enrols connections: "
		     "start the agent anew");
		break;
	case -ENOEXEC:
		find(finding, KRL_FINDING_FAIL, "no program judges what connections bring: start the agent anew");
		break;
	default:
		find(finding, KRL_FINDING_FAIL, "looking at what is attached: %s", strerror(-f->programs));
	}
	return true;
}

static bool check_connections(const struct krl_facts *f, struct krl_finding *finding)
{
	const struct krl_inspect_conns *conns = &f->connections;

	if (f->pins || f->connections_read)
		return false;
	find(finding, KRL_FINDING_OK, "%zu of %d enrolled", conns->count, KRL_MAX_CONNS);
	if (conns->count >= (size_t)KRL_MAX_CONNS * NEARLY_FULL / 100)
		add(finding, KRL_FINDING_WARN, ": nearly full, spread the endpoints over more nodes");
	if (f->stats_read)
		return true;
	if (reason(f, KRL_REASON_CONN_TABLE_FULL))
		add(finding, KRL_FINDING_WARN, "; %llu found no room and were not limited: spread the endpoints over "
		    "more nodes", reason(f, KRL_REASON_CONN_TABLE_FULL));
	if (reason(f, KRL_REASON_NOT_ENROLLED))
		add(finding, KRL_FINDING_WARN, "; %llu were not let in by the kernel and not limited: see which other program "
		    "holds these sockets with `bpftool map list`", reason(f, KRL_REASON_NOT_ENROLLED));
	return true;
}

static bool check_buckets(const struct krl_facts *f, struct krl_finding *finding)
{
	size_t count = 0, i;

	if (f->pins || f->stats_read)
		return false;
	for (i = 0; i < f->stats.count; i++)
		count += f->stats.rows[i].bucket_count;
	find(finding, KRL_FINDING_OK, "%zu of %d used, %zu rules", count, KRL_MAX_BUCKETS, f->stats.count);
	if (count >= (size_t)KRL_MAX_BUCKETS * NEARLY_FULL / 100)
		add(finding, KRL_FINDING_WARN, ": nearly full, use fewer values for Distinct or limits that fill faster");
	if (reason(f, KRL_REASON_BUCKET_OVERFLOW))
		add(finding, KRL_FINDING_WARN, "; %llu requests found no room and shared a bucket of their rule",
		    reason(f, KRL_REASON_BUCKET_OVERFLOW));
	return true;
}

static void add_blocking_endpoints(const struct krl_inspect_conns *conns, struct krl_finding *finding)
{
	char endpoint[KRL_ENDPOINT_BYTES];
	size_t i;

	for (i = 0; i < conns->endpoint_count; i++) {
		krl_explain_endpoint(&conns->endpoints[i].key, endpoint);
		add(finding, KRL_FINDING_WARN, "%s%s (%zu)", i ? ", " : ", now at ", endpoint, conns->endpoints[i].count);
	}
	if (conns->elsewhere)
		add(finding, KRL_FINDING_WARN, " and others (%zu)", conns->elsewhere);
}

static bool check_blocking(const struct krl_facts *f, struct krl_finding *finding)
{
	unsigned long long seen, woken;

	if (f->pins || f->stats_read || f->connections_read)
		return false;
	seen = reason(f, KRL_REASON_BLOCKING_READER);
	woken = reason(f, KRL_REASON_READER_WOKEN);
	if (!seen && !woken && !f->connections.blocking) {
		find(finding, KRL_FINDING_OK, "no server that reads with blocking calls was seen");
		return true;
	}
	find(finding, KRL_FINDING_WARN, "%llu connections so far whose server reads with blocking calls", seen);
	add_blocking_endpoints(&f->connections, finding);
	add(finding, KRL_FINDING_WARN, "; %llu refused requests may have shown such a server EAGAIN, at which most close the "
	    "connection. While an agent runs it is none or nearly none, without one it is each: keep the agent running, or "
	    "have the server wait by epoll", woken);
	return true;
}

static bool check_judged(const struct krl_facts *f, struct krl_finding *finding)
{
	static const struct {
		enum krl_reason reason;
		const char *name;
	} unjudged[] = {
		{ KRL_REASON_TLS, "tls" },
		{ KRL_REASON_HTTP2, "http2" },
		{ KRL_REASON_READ_FAILED, "read_failed" },
		{ KRL_REASON_STREAM_GAP, "stream_gap" },
		{ KRL_REASON_JOIN_UNREAD, "join_unread" },
	};
	const char *before = "could not be judged, and failurePolicy decided: ";
	size_t i;

	if (f->pins || f->stats_read)
		return false;
	find(finding, KRL_FINDING_OK, "%s", "");
	for (i = 0; i < sizeof(unjudged) / sizeof(*unjudged); i++) {
		if (!reason(f, unjudged[i].reason))
			continue;
		add(finding, KRL_FINDING_WARN, "%s%s %llu", before, unjudged[i].name, reason(f, unjudged[i].reason));
		before = ", ";
	}
	if (finding->level == KRL_FINDING_WARN)
		add(finding, KRL_FINDING_WARN, "; see \"Counted reasons\" in docs/reference.md");
	else
		find(finding, KRL_FINDING_OK, "every request could be judged");
	return true;
}

static const struct {
	const char *name;
	bool (*check)(const struct krl_facts *facts, struct krl_finding *finding);
} checks[] = {
	{ "kernel", check_kernel },
	{ "bpffs", check_bpffs },
	{ "cgroup", check_cgroup },
	{ "pins", check_pins },
	{ "agent", check_agent },
	{ "programs", check_programs },
	{ "connections", check_connections },
	{ "buckets", check_buckets },
	{ "blocking-readers", check_blocking },
	{ "judged", check_judged },
};

_Static_assert(sizeof(checks) / sizeof(*checks) == KRL_DIAGNOSE_CHECKS, "room for every finding");

size_t krl_diagnose_judge(const struct krl_facts *facts, struct krl_finding ret[KRL_DIAGNOSE_CHECKS])
{
	size_t count = 0, i;

	for (i = 0; i < KRL_DIAGNOSE_CHECKS; i++) {
		ret[count].name = checks[i].name;
		if (checks[i].check(facts, &ret[count]))
			count++;
	}
	return count;
}
