// SPDX-License-Identifier: Apache-2.0
/* The checks of the machine, and of what others have on it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "diagnose.h"

/* The wall clock that answers are written by may be off by this; the agent looks ten times a second. */
#define CLOCK_OFF_NS 2000000000LL

const char *const krl_finding_levels[] = { "ok", "warn", "fail" };

void krl_finding_set(struct krl_finding *finding, enum krl_finding_level level, const char *fmt, ...)
{
	va_list args;

	finding->level = level;
	va_start(args, fmt);
	vsnprintf(finding->text, sizeof(finding->text), fmt, args);
	va_end(args);
}

void krl_finding_add(struct krl_finding *finding, enum krl_finding_level level, const char *fmt, ...)
{
	size_t len = strlen(finding->text);
	va_list args;

	if (finding->level < level)
		finding->level = level;
	va_start(args, fmt);
	vsnprintf(finding->text + len, sizeof(finding->text) - len, fmt, args);
	va_end(args);
}

bool krl_check_kernel(const struct krl_facts *f, struct krl_finding *finding)
{
	if (f->kernel == -ENOTSUP)
		krl_finding_set(finding, KRL_FINDING_FAIL, "%s is too old: 6.1 or newer is needed", f->release);
	else if (f->kernel)
		krl_finding_set(finding, KRL_FINDING_FAIL, "%s was built without CONFIG_DEBUG_INFO_BTF=y, which is needed",
		     f->release);
	else
		krl_finding_set(finding, KRL_FINDING_OK, "%s", f->release);
	return true;
}

bool krl_check_bpffs(const struct krl_facts *f, struct krl_finding *finding)
{
	if (f->bpffs_mount)
		krl_finding_set(finding, KRL_FINDING_FAIL, "%s is not on a BPF file system: run `mount -t bpf bpf /sys/fs/bpf`, or "
		     "give another directory with --bpffs", f->bpffs);
	else
		krl_finding_set(finding, KRL_FINDING_OK, "%s", f->bpffs);
	return true;
}

bool krl_check_cgroup(const struct krl_facts *f, struct krl_finding *finding)
{
	if (f->cgroup_mount)
		krl_finding_set(finding, KRL_FINDING_FAIL, "no cgroup v2 file system is mounted: run `mount -t cgroup2 none "
		     "/sys/fs/cgroup`, or boot with systemd.unified_cgroup_hierarchy=1");
	else
		krl_finding_set(finding, KRL_FINDING_OK, "%s", f->cgroup);
	return true;
}

/* A finding for each; where nothing can be told, one for all. */
size_t krl_check_features(const struct krl_facts *f, struct krl_finding *findings)
{
	const struct krl_inspect_feature *feature;
	size_t i;

	if (f->feature_count && f->features[0].there < 0) {
		krl_finding_set(findings, KRL_FINDING_WARN, "what the kernel can do cannot be told (%s): run as root",
				strerror(-f->features[0].there));
		return 1;
	}
	for (i = 0; i < f->feature_count; i++) {
		feature = &f->features[i];
		snprintf(findings[i].name, sizeof(findings[i].name), "feature-%s", feature->name);
		if (feature->there > 0)
			krl_finding_set(&findings[i], KRL_FINDING_OK, "%s", feature->what);
		else if (feature->there < 0)
			krl_finding_set(&findings[i], KRL_FINDING_WARN, "cannot be told (%s): %s", strerror(-feature->there),
					feature->what);
		else if (feature->optional && !strcmp(feature->name, "link_before"))
			krl_finding_set(&findings[i], KRL_FINDING_OK, "not there, nor needed: %s", feature->what);
		else
			krl_finding_set(&findings[i], feature->optional ? KRL_FINDING_WARN : KRL_FINDING_FAIL,
					"not there: %s", feature->what);
	}
	return f->feature_count;
}

static void add_others(struct krl_finding *finding, enum krl_finding_level level, const struct krl_inspect_other *others,
		       size_t count)
{
	size_t i;

	for (i = 0; i < count && i < KRL_INSPECT_OTHERS; i++)
		krl_finding_add(finding, level, "%s%s%s%s (id %u)", i ? ", " : "", others[i].where ? others[i].where : "",
				others[i].where ? " " : "", *others[i].name ? others[i].name : "without a name", others[i].id);
	if (count > KRL_INSPECT_OTHERS)
		krl_finding_add(finding, level, ", and %zu more", count - KRL_INSPECT_OTHERS);
}

/* An agent with another --bpffs, or what it left. */
static bool has_ours(const struct krl_inspect_others *others)
{
	size_t i;

	for (i = 0; i < others->program_count && i < KRL_INSPECT_OTHERS; i++)
		if (!strncmp(others->programs[i].name, "krl_", 4))
			return true;
	return false;
}

bool krl_check_hooks(const struct krl_facts *f, struct krl_finding *finding)
{
	if (f->pins || f->others_read)
		return false;
	krl_finding_set(finding, KRL_FINDING_OK, "%s", f->others.program_count ? "" : "no programs of others where ours are");
	if (!f->others.program_count)
		return true;
	add_others(finding, KRL_FINDING_WARN, f->others.programs, f->others.program_count);
	krl_finding_add(finding, KRL_FINDING_WARN, " on the same cgroup: see with `bpftool prog show id N` whose they are; one that "
			"puts sockets into a map of its own, or sends connections elsewhere, changes what is limited");
	if (has_ours(&f->others))
		krl_finding_add(finding, KRL_FINDING_WARN, ". Those called krl_ are of another kmesh-rl-agent, whose limits are "
				"in force too: end it, and run `kmesh-rl-agent --detach --bpffs` with its directory");
	return true;
}

bool krl_check_sockmaps(const struct krl_facts *f, struct krl_finding *finding)
{
	enum krl_finding_level level = KRL_FINDING_OK;

	if (f->pins || f->others_read)
		return false;
	/* That there are some is no harm while none of our sockets is in them. */
	if (!f->stats_read && f->stats.reasons[KRL_REASON_NOT_ENROLLED])
		level = KRL_FINDING_WARN;
	krl_finding_set(finding, level, "%s", f->others.map_count ? "of others: " : "no maps of sockets of others");
	add_others(finding, level, f->others.maps, f->others.map_count);
	if (level == KRL_FINDING_WARN)
		krl_finding_add(finding, level, "; %llu connections were not let into ours and are not limited: their sockets were "
				"held by another program, see with `bpftool map show id N` whose (a socket is in one such map with a "
				"verdict), or are of Multipath TCP or of TLS in the kernel, which the server has to go without",
				(unsigned long long)f->stats.reasons[KRL_REASON_NOT_ENROLLED]);
	return true;
}

bool krl_check_maps(const struct krl_facts *f, struct krl_finding *finding)
{
	size_t fullest = 0, i;

	if (f->pins || !f->fill_count)
		return false;
	for (i = 1; i < f->fill_count; i++)
		if (f->fills[i].used * f->fills[fullest].room > f->fills[fullest].used * f->fills[i].room)
			fullest = i;
	krl_finding_set(finding, KRL_FINDING_OK, "the fullest is %s, %zu of %zu", f->fills[fullest].name,
			f->fills[fullest].used, f->fills[fullest].room);
	for (i = 0; i < f->fill_count; i++)
		if (f->fills[i].used * 100 >= f->fills[i].room * KRL_NEARLY_FULL)
			krl_finding_add(finding, KRL_FINDING_WARN, "; %s is nearly full, %zu of %zu: spread what is limited over "
					"more nodes", f->fills[i].name, f->fills[i].used, f->fills[i].room);
	return true;
}

bool krl_check_clock(const struct krl_facts *f, struct krl_finding *finding)
{
	long long off_ns = f->clock.behind_ns;

	if (f->pins || f->clock_read)
		return false;
	krl_finding_set(finding, KRL_FINDING_OK, "%s", f->clock.unsynchronized
			? "right by the machine's, which nobody keeps by others' as far as the kernel knows" : "right by the machine's");
	if (off_ns > CLOCK_OFF_NS || off_ns < -CLOCK_OFF_NS)
		krl_finding_set(finding, KRL_FINDING_WARN, "answers are written by a clock that is %lld s off, since the machine's was "
				"set and no agent saw it: X-RateLimit-Reset is wrong until one runs", off_ns / 1000000000LL);
	return true;
}
