// SPDX-License-Identifier: Apache-2.0
/* The checks of `kmesh-rl diagnose`. */
#include <errno.h>
#include <string.h>

#include "agent/policy/explain.h"
#include "cli.h"
#include "diagnose.h"
#include "table.h"

static unsigned long long reason(const struct krl_facts *f, enum krl_reason which)
{
	return f->stats.reasons[which];
}

/* What is left of other versions. */
static void add_former(const struct krl_inspect_former *former, struct krl_finding *finding)
{
	if (former->version && former->attached)
		krl_finding_add(finding, KRL_FINDING_WARN, "; version %u enforces until an agent of this version has read its source",
				former->version);
	else if (former->version)
		krl_finding_add(finding, KRL_FINDING_OK, "; %zu connections stay with version %u until they rest or end",
				former->connections, former->version);
}

static bool check_pins(const struct krl_facts *f, struct krl_finding *finding)
{
	switch (f->pins) {
	case 0:
		krl_finding_set(finding, KRL_FINDING_OK, "maps of version %d", KRL_ABI_VERSION);
		add_former(&f->former, finding);
		break;
	case -ENOENT:
		krl_finding_set(finding, KRL_FINDING_FAIL, "nothing is pinned below %s, so nothing is limited: start the agent",
		     f->bpffs);
		break;
	case -EPERM:
		krl_finding_set(finding, KRL_FINDING_FAIL, "no right to read the maps below %s: run as root, for example with sudo",
		     f->bpffs);
		break;
	case -EPROTO:
		krl_finding_set(finding, KRL_FINDING_FAIL, "%s holds the maps of another version than %s, which reads version %d: "
		     "use the agent's own kmesh-rl, or start an agent of this version, which takes over",
		     f->bpffs, KRL_VERSION, KRL_ABI_VERSION);
		break;
	default:
		krl_finding_set(finding, KRL_FINDING_FAIL, "reading the maps below %s: %s", f->bpffs, strerror(-f->pins));
	}
	return true;
}

static bool check_programs(const struct krl_facts *f, struct krl_finding *finding)
{
	if (f->pins || (f->former.attached && f->programs == -ENOENT))
		return false;
	switch (f->programs) {
	case 0:
		krl_finding_set(finding, KRL_FINDING_OK, "attached");
		break;
	case -ENOENT:
		krl_finding_set(finding, KRL_FINDING_FAIL, "%s is gone, and with it what it had attached: start the agent anew",
				f->program);
		break;
	case -ENOLINK:
		krl_finding_set(finding, KRL_FINDING_FAIL, "the cgroup is gone to which %s attached a program: start the agent "
				"anew", f->program);
		break;
	case -ENOEXEC:
		krl_finding_set(finding, KRL_FINDING_FAIL, "no program is attached to %s, so nothing is judged or answered "
				"there: start the agent anew", f->program);
		break;
	default:
		krl_finding_set(finding, KRL_FINDING_FAIL, "looking at %s: %s", f->program, strerror(-f->programs));
	}
	return true;
}

static bool check_connections(const struct krl_facts *f, struct krl_finding *finding)
{
	const struct krl_inspect_conns *conns = &f->connections;

	if (f->pins || f->connections_read)
		return false;
	krl_finding_set(finding, KRL_FINDING_OK, "%zu of %d enrolled", conns->count, KRL_MAX_CONNS);
	if (conns->count >= (size_t)KRL_MAX_CONNS * KRL_NEARLY_FULL / 100)
		krl_finding_add(finding, KRL_FINDING_WARN, ": nearly full, spread the endpoints over more nodes");
	if (f->stats_read)
		return true;
	if (reason(f, KRL_REASON_CONN_TABLE_FULL))
		krl_finding_add(finding, KRL_FINDING_WARN, "; %llu found no room and were not limited: spread the endpoints over "
		    "more nodes", reason(f, KRL_REASON_CONN_TABLE_FULL));
	if (reason(f, KRL_REASON_NOT_ENROLLED))
		krl_finding_add(finding, KRL_FINDING_WARN, "; %llu were not let in by the kernel and not limited: see the check "
		    "sockmaps", reason(f, KRL_REASON_NOT_ENROLLED));
	return true;
}

static bool check_buckets(const struct krl_facts *f, struct krl_finding *finding)
{
	size_t count = 0, i;

	if (f->pins || f->stats_read)
		return false;
	for (i = 0; i < f->stats.count; i++)
		count += f->stats.rows[i].bucket_count;
	krl_finding_set(finding, KRL_FINDING_OK, "%zu of %d used, %zu rules", count, KRL_MAX_BUCKETS, f->stats.count);
	if (count >= (size_t)KRL_MAX_BUCKETS * KRL_NEARLY_FULL / 100)
		krl_finding_add(finding, KRL_FINDING_WARN, ": nearly full, use fewer values for Distinct or limits that fill faster");
	if (reason(f, KRL_REASON_BUCKET_OVERFLOW))
		krl_finding_add(finding, KRL_FINDING_WARN, "; %llu requests found no room and shared a bucket of their rule",
		    reason(f, KRL_REASON_BUCKET_OVERFLOW));
	return true;
}

static void add_blocking_endpoints(const struct krl_inspect_conns *conns, struct krl_finding *finding)
{
	char endpoint[KRL_ENDPOINT_BYTES];
	size_t i;

	for (i = 0; i < conns->endpoint_count; i++) {
		krl_explain_endpoint(&conns->endpoints[i].key, endpoint);
		krl_finding_add(finding, KRL_FINDING_WARN, "%s%s (%zu)", i ? ", " : ", now at ", endpoint, conns->endpoints[i].count);
	}
	if (conns->elsewhere)
		krl_finding_add(finding, KRL_FINDING_WARN, " and others (%zu)", conns->elsewhere);
}

static bool check_blocking(const struct krl_facts *f, struct krl_finding *finding)
{
	unsigned long long seen, woken;

	if (f->pins || f->stats_read || f->connections_read)
		return false;
	seen = reason(f, KRL_REASON_BLOCKING_READER);
	woken = reason(f, KRL_REASON_READER_WOKEN);
	if (!seen && !woken && !f->connections.blocking) {
		krl_finding_set(finding, KRL_FINDING_OK, "no server that reads with blocking calls was seen");
		return true;
	}
	krl_finding_set(finding, KRL_FINDING_WARN, "%llu connections so far whose server reads with blocking calls", seen);
	add_blocking_endpoints(&f->connections, finding);
	krl_finding_add(finding, KRL_FINDING_WARN, "; %llu refused requests may have shown such a server EAGAIN, at which most close the "
	    "connection. While an agent runs it is none or nearly none, without one it is each: keep the agent running, or "
	    "have the server wait by epoll", woken);
	return true;
}

/* Rules that HTTP/2 passes by. */
static void add_unseen(const struct krl_facts *f, struct krl_finding *finding)
{
	unsigned long long requests = reason(f, KRL_REASON_HTTP2_UNSEEN);

	if (!requests)
		return;
	krl_finding_add(finding, KRL_FINDING_WARN, "%shttp2_unseen %llu: requests over HTTP/2, to which rules do not apply that "
			"select by header, path, method or clientIP, or count LLMTokens",
			finding->level == KRL_FINDING_WARN ? "; " : "", requests);
	if (!json_array_size(f->unseen))
		return;
	krl_finding_add(finding, KRL_FINDING_WARN, ", at ");
	krl_finding_add_names(finding, f->unseen);
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
		{ KRL_REASON_NOT_JUDGED, "not_judged" },
		{ KRL_REASON_LLM_BODY_UNREAD, "llm_body_unread" },
		{ KRL_REASON_LLM_BODY_LONG, "llm_body_long" },
	};
	const char *before = "could not be judged, and failurePolicy decided: ";
	size_t i;

	if (f->pins || f->stats_read)
		return false;
	krl_finding_set(finding, KRL_FINDING_OK, "%s", "");
	for (i = 0; i < sizeof(unjudged) / sizeof(*unjudged); i++) {
		if (!reason(f, unjudged[i].reason))
			continue;
		krl_finding_add(finding, KRL_FINDING_WARN, "%s%s %llu", before, unjudged[i].name, reason(f, unjudged[i].reason));
		before = ", ";
	}
	add_unseen(f, finding);
	if (finding->level == KRL_FINDING_WARN)
		krl_finding_add(finding, KRL_FINDING_WARN, "; see \"Counted reasons\" in docs/reference.md");
	else
		krl_finding_set(finding, KRL_FINDING_OK, "every request could be judged");
	return true;
}

static const struct {
	const char *name;
	bool (*check)(const struct krl_facts *facts, struct krl_finding *finding);
} checks[] = {
	{ "kernel", krl_check_kernel },
	{ "features", NULL },	/* krl_check_features() */
	{ "bpffs", krl_check_bpffs },
	{ "cgroup", krl_check_cgroup },
	{ "pins", check_pins },
	{ "agent", krl_check_agent },
	{ "source", krl_check_source },
	{ "redis", krl_check_redis },
	{ "ratelimits", krl_check_ratelimits },
	{ "endpoints", krl_check_endpoints },
	{ "listeners", krl_check_listeners },
	{ "programs", check_programs },
	{ "hooks", krl_check_hooks },
	{ "sockmaps", krl_check_sockmaps },
	{ "connections", check_connections },
	{ "buckets", check_buckets },
	{ "maps", krl_check_maps },
	{ "blocking-readers", check_blocking },
	{ "judged", check_judged },
	{ "clock", krl_check_clock },
};

#define CHECKS (sizeof(checks) / sizeof(*checks))
_Static_assert(CHECKS - 1 + KRL_INSPECT_FEATURES <= KRL_DIAGNOSE_CHECKS, "room for every finding");

size_t krl_diagnose_judge(const struct krl_facts *facts, struct krl_finding ret[KRL_DIAGNOSE_CHECKS])
{
	size_t count = 0, i;

	for (i = 0; i < CHECKS; i++) {
		snprintf(ret[count].name, sizeof(ret[count].name), "%s", checks[i].name);
		if (!checks[i].check)
			count += krl_check_features(facts, &ret[count]);
		else if (checks[i].check(facts, &ret[count]))
			count++;
	}
	return count;
}
