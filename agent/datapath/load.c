// SPDX-License-Identifier: Apache-2.0
/* Load, adopt, attach. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <kmesh_rl/pins.h>

#include "agent/base/log.h"
#include "former.h"
#include "guard.h"
#include "known.h"
#include "internal.h"
#include "late.h"
#include "takeover.h"

/* Maps that outlive the agent. The others are scratch space of one load. */
static const char *const pinned_maps[] = {
	"krl_endpoints", "krl_rules",	  "krl_config",	   "krl_buckets",
	"krl_overflow",	 "krl_rule_info", "krl_rule_stats", "krl_reasons",
	"krl_sockets",	 "krl_conns",	  "krl_bounce",	   "krl_responders",
	"krl_commands",	 "krl_sink",	  "krl_answers",   "krl_events",
	"krl_load",	 "krl_forms",	  "krl_policies",  "krl_matches",
	"krl_writers",	 "krl_loose",	  "krl_values",	   "krl_held",
	"krl_reserved",	 "krl_ports",	  "krl_guarded",   "krl_incomings",
	"krl_netns",	 "krl_lookup_progs", "krl_dialled",   "krl_dials",
	"krl_dialled_ports", "krl_senders",	  "krl_receivers",  "krl_protocols",
	"krl_programs",	 "krl_served_ports", "krl_costs",    "krl_llms",
	"krl_charges",	 "krl_llm_stats",  "krl_llm_models", "krl_llm_users",
	"krl_reply_programs", "krl_peers",	  "krl_peer_meets", "krl_llm_usages",
	"krl_limited",	 "krl_latency",	  "krl_reports",
	"krl_asked",	 "krl_cluster",
};

/* The last complaint of libbpf, which explains a failure better than its errno. */
static char libbpf_said[KRL_ERROR_BYTES / 2];

static int on_libbpf_print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char line[sizeof(libbpf_said)];

	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = '\0';
	if (level == LIBBPF_WARN && strncmp(line, "libbpf: failed to load object", 29))
		memcpy(libbpf_said, line, sizeof(line));
	return 0;
}

static int open_skeleton(struct krl_datapath *dp, const char *bpffs, struct krl_error *ret_error)
{
	char path[PATH_MAX];
	struct stat cgroup;
	struct bpf_map *map;
	size_t i;
	int err;

	libbpf_set_print(on_libbpf_print);
	dp->skel = kmesh_rl__open();
	if (!dp->skel)
		return krl_error_set(ret_error, errno, "opening the BPF programs: %s", strerror(errno));
	if (fstat(dp->cgroup_fd, &cgroup))
		return krl_error_set(ret_error, errno, "cgroup: %s", strerror(errno));
	/* Of cgroups, the number of the inode is the id (fs/kernfs/inode.c). */
	dp->skel->rodata->krl_cgroup_id = cgroup.st_ino;
	for (i = 0; i < sizeof(pinned_maps) / sizeof(*pinned_maps); i++) {
		map = bpf_object__find_map_by_name(dp->skel->obj, pinned_maps[i]);
		snprintf(path, sizeof(path), "%s/%s", bpffs, pinned_maps[i]);
		if (!map || bpf_map__set_pin_path(map, path))
			return krl_error_set(ret_error, EINVAL, "map %s: cannot set its pin",
					     pinned_maps[i]);
	}
	err = krl_late_leave_out(dp->skel);
	if (!err)
		err = kmesh_rl__load(dp->skel);
	if (err && strstr(libbpf_said, "parameter mismatch"))
		return krl_error_set(ret_error, EPROTO,
				     "%s holds other maps of version %u: run `kmesh-rl-agent --detach --bpffs %s` first "
				     "(token counts start anew)", bpffs, KRL_ABI_VERSION, bpffs);
	if (err)
		return krl_error_set(ret_error, -err, "loading the BPF programs: %s (%s)", strerror(-err),
				     libbpf_said);
	return 0;
}

static int map_array(const struct bpf_map *map, size_t bytes, int prot, void **ret,
		     struct krl_error *ret_error)
{
	void *at = mmap(NULL, bytes, prot, MAP_SHARED, bpf_map__fd(map), 0);

	if (at == MAP_FAILED)
		return krl_error_set(ret_error, errno, "mapping %s: %s", bpf_map__name(map),
				     strerror(errno));
	*ret = at;
	return 0;
}

static int map_rows(struct krl_datapath *dp, struct krl_error *ret_error)
{
	struct kmesh_rl *skel = dp->skel;
	void *at;
	int err;

	err = map_array(skel->maps.krl_rules, sizeof(struct krl_rule) * KRL_MAX_RULES,
			PROT_READ | PROT_WRITE, &at, ret_error);
	if (err)
		return err;
	dp->rules = at;
	err = map_array(skel->maps.krl_config, sizeof(struct krl_config), PROT_READ | PROT_WRITE, &at,
			ret_error);
	if (err)
		return err;
	dp->config = at;
	err = map_array(skel->maps.krl_load, sizeof(struct krl_load), PROT_READ, &at, ret_error);
	if (err)
		return err;
	dp->load = at;
	err = map_array(skel->maps.krl_dialled_ports, sizeof(__u64) * KRL_PORT_WORDS, PROT_READ | PROT_WRITE, &at,
			ret_error);
	if (err)
		return err;
	dp->dialled_ports = at;
	err = map_array(skel->maps.krl_served_ports, sizeof(__u64) * KRL_PORT_WORDS, PROT_READ | PROT_WRITE, &at,
			ret_error);
	if (err)
		return err;
	dp->served_ports = at;
	return 0;
}

static int adopt_rules(struct krl_datapath *dp, struct krl_error *ret_error)
{
	__u32 i;

	/* Descriptors stay what they are for as long as the maps do. */
	if (!dp->config->abi_version && getrandom(dp->config->hash_key, sizeof(dp->config->hash_key), 0) < 0)
		return krl_error_set(ret_error, errno, "getrandom: %s", strerror(errno));
	dp->config->abi_version = KRL_ABI_VERSION;
	dp->infos = calloc(KRL_MAX_RULES, sizeof(*dp->infos));
	if (!dp->infos)
		return krl_error_set(ret_error, ENOMEM, "out of memory");
	for (i = 0; i < KRL_MAX_RULES; i++) {
		if (dp->rules[i].id)
			bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.krl_rule_info), &i, &dp->infos[i]);
		/* An agent that was killed while it wrote a row left it marked as being written. */
		if (dp->rules[i].seq & 1)
			dp->rules[i].seq++;
		if (dp->rules[i].id > dp->last_rule_id)
			dp->last_rule_id = dp->rules[i].id;
	}
	return 0;
}

static int attach_verdict(struct bpf_program *program, struct bpf_map *map, enum bpf_attach_type type,
			  struct krl_error *ret_error)
{
	if (!bpf_prog_attach(bpf_program__fd(program), bpf_map__fd(map), type, 0))
		return 0;
	return krl_error_set(ret_error, errno,
			     "attaching %s: %s (a kernel with CONFIG_BPF_STREAM_PARSER=y is needed)",
			     bpf_program__name(program), strerror(errno));
}

static int attach_verdicts(struct kmesh_rl *skel, struct krl_error *ret_error)
{
	__u32 http2 = KRL_PROGRAM_HTTP2, fd = bpf_program__fd(skel->progs.krl_http2);
	int err;

	if (bpf_map_update_elem(bpf_map__fd(skel->maps.krl_programs), &http2, &fd, BPF_ANY))
		return krl_error_set(ret_error, errno, "krl_programs: %s", strerror(errno));
	err = attach_verdict(skel->progs.krl_respond, skel->maps.krl_responders, BPF_SK_SKB_VERDICT, ret_error);
	if (!err)
		err = attach_verdict(skel->progs.krl_command, skel->maps.krl_commands, BPF_SK_SKB_VERDICT,
				     ret_error);
	if (!err)
		err = attach_verdict(skel->progs.krl_reply, skel->maps.krl_writers, BPF_SK_MSG_VERDICT,
				     ret_error);
	if (!err)
		err = attach_verdict(skel->progs.krl_receive, skel->maps.krl_receivers, BPF_SK_SKB_VERDICT, ret_error);
	if (!err)
		err = attach_verdict(skel->progs.krl_stream, skel->maps.krl_sockets, BPF_SK_SKB_VERDICT,
				     ret_error);
	return err;
}

/* What agents of other versions have pinned. */
static int set_aside(const char *bpffs, struct krl_error *ret_error)
{
	__u32 version;
	int err = krl_former_set_aside(bpffs, &version);

	if (err)
		return krl_error_set(ret_error, -err, "moving the pins of another version below %s aside: %s", bpffs,
				     strerror(-err));
	if (version)
		krl_log_info("version moved aside, goes on enforcing until the limits of this one are in force", "version",
			     "%u, this is %d", version, KRL_ABI_VERSION);
	return 0;
}

int krl_datapath_open(const struct krl_datapath_options *options, struct krl_datapath **ret,
		      struct krl_error *ret_error)
{
	struct krl_datapath *dp;
	int err;

	err = krl_host_check(options, ret_error);
	if (err)
		return err;
	dp = calloc(1, sizeof(*dp));
	if (!dp)
		return krl_error_set(ret_error, ENOMEM, "out of memory");
	dp->lock_fd = -1;
	dp->cgroup_fd = -1;
	dp->measure_fd = -1;
	err = krl_host_open_cgroup(options->cgroup, &dp->cgroup_fd, ret_error);
	if (!err)
		err = krl_host_open_bpffs(options->bpffs, &dp->lock_fd, ret_error);
	if (!err)
		err = krl_host_check_owner(dp->lock_fd, options->bpffs, ret_error);
	if (!err)
		err = set_aside(options->bpffs, ret_error);
	if (!err)
		err = open_skeleton(dp, options->bpffs, ret_error);
	if (!err)
		err = map_rows(dp, ret_error);
	if (!err)
		err = adopt_rules(dp, ret_error);
	if (!err && krl_known_read(dp))
		err = krl_error_set(ret_error, ENOMEM, "out of memory");
	if (!err)
		err = attach_verdicts(dp->skel, ret_error);
	if (!err)
		err = krl_guard_adopt(dp, options->bpffs, ret_error);
	if (!err && (err = krl_takeover_find(dp)))
		krl_error_set(ret_error, -err, "what other versions left below %s: %s", options->bpffs, strerror(-err));
	if (!err)
		err = krl_links_attach(dp, false, ret_error);
	if (err) {
		krl_datapath_close(dp);
		return err;
	}
	*ret = dp;
	return 0;
}

void krl_datapath_close(struct krl_datapath *dp)
{
	if (!dp)
		return;
	krl_links_close(dp);
	krl_takeover_forget(dp);
	if (dp->rules)
		munmap(dp->rules, sizeof(struct krl_rule) * KRL_MAX_RULES);
	if (dp->load)
		munmap((void *)dp->load, sizeof(struct krl_load));
	if (dp->config)
		munmap(dp->config, sizeof(struct krl_config));
	if (dp->dialled_ports)
		munmap(dp->dialled_ports, sizeof(__u64) * KRL_PORT_WORDS);
	if (dp->served_ports)
		munmap(dp->served_ports, sizeof(__u64) * KRL_PORT_WORDS);
	krl_late_close(dp);
	kmesh_rl__destroy(dp->skel);
	if (dp->lock_fd >= 0)
		close(dp->lock_fd);
	if (dp->cgroup_fd >= 0)
		close(dp->cgroup_fd);
	if (dp->measure_fd >= 0)
		close(dp->measure_fd);
	krl_guard_forget(dp);
	free(dp->infos);
	free(dp->stale_forms.keys);
	free(dp->stale_policies.keys);
	free(dp->stale_costs.keys);
	free(dp->known);
	free(dp);
}
