// SPDX-License-Identifier: Apache-2.0
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <kmesh_rl/pins.h>

#include "agent/base/log.h"
#include "agent/base/vec.h"
#include "agent/loop/handle.h"
#include "diag.h"
#include "late.h"
#include "netns.h"

/* How often it is seen whether namespaces are gone, and how often those are looked for that no event told of. */
#define LOOK_EVERY_MS 1000
#define SCAN_EVERY 10

static void pin_path(const struct krl_datapath *dp, __u64 cookie, char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%s/" KRL_PIN_LOOKUP_LINK "%016llx", dp->bpffs, (unsigned long long)cookie);
}

static int guarded_fd(const struct krl_datapath *dp)
{
	return bpf_map__fd(dp->skel->maps.krl_guarded);
}

static bool is_guarded(const struct krl_datapath *dp, __u64 cookie)
{
	__u8 value;

	return !bpf_map_lookup_elem(guarded_fd(dp), &cookie, &value);
}

static void let_go(struct krl_datapath *dp, __u64 cookie)
{
	char path[PATH_MAX];

	bpf_map_delete_elem(guarded_fd(dp), &cookie);
	pin_path(dp, cookie, path);
	unlink(path);
}

/* The program of the namespace with @cookie: note that in krl_netns, and go on with krl_lookup_progs. Returns its
 * descriptor, or -errno. */
static int load_gate(const struct krl_datapath *dp, __u64 cookie)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_SK_LOOKUP);
	int netns = bpf_map__fd(dp->skel->maps.krl_netns), progs = bpf_map__fd(dp->skel->maps.krl_lookup_progs);
	const struct bpf_insn insns[] = {
		/* r6 = ctx; r0 = bpf_map_lookup_elem(&krl_netns, &zero) */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1 },
		{ .code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = 10, .off = -4 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -4 },
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = netns },
		{},
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem },
		/* if (r0) *r0 = cookie */
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .off = 3 },
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .imm = (__s32)cookie },
		{ .imm = (__s32)(cookie >> 32) },
		{ .code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = 0, .src_reg = 1 },
		/* bpf_tail_call(ctx, &krl_lookup_progs, 0) */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 6 },
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 2, .src_reg = BPF_PSEUDO_MAP_FD, .imm = progs },
		{},
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_tail_call },
		/* Without it, everything passes. */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = SK_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_SK_LOOKUP, "krl_lookup", "Dual BSD/GPL", insns,
			     sizeof(insns) / sizeof(*insns), &opts);
}

/* Guard the namespace that the agent is in now. 0, or -errno. */
static int guard_here(struct krl_datapath *dp, __u64 cookie)
{
	int netns, gate = -1, link = -1, err = 0;
	char path[PATH_MAX];
	__u8 one = 1;

	pin_path(dp, cookie, path);
	netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		err = -errno;
	if (!err)
		err = gate = load_gate(dp, cookie);
	if (gate >= 0)
		err = link = bpf_link_create(gate, netns, BPF_SK_LOOKUP, NULL);
	if (link >= 0)
		err = bpf_obj_pin(link, path);
	/* One of an agent that was killed before it noted it. */
	if (!err || err == -EEXIST)
		err = bpf_map_update_elem(guarded_fd(dp), &cookie, &one, BPF_ANY);
	if (link >= 0)
		close(link);
	if (gate >= 0)
		close(gate);
	if (netns >= 0)
		close(netns);
	krl_log(err ? KRL_LOG_WARN : KRL_LOG_DEBUG, err ? "network namespace not guarded" : "network namespace guarded",
		"netns", "cookie %llu%s%s", (unsigned long long)cookie, err ? ": " : "", err ? strerror(-err) : "");
	return err;
}

/* More than 0: it is a listener on a port of which connections count. */
static int is_counted(void *ctx, const struct krl_diag_socket *socket)
{
	const struct krl_datapath *dp = ctx;

	return krl_port_is_in(dp->ports, socket->flow.local_port) && krl_cgroup_covers(dp, socket->cgroup_id);
}

/* Does anybody listen here on such a port? */
static bool is_needed_here(struct krl_datapath *dp)
{
	return krl_diag_each(KRL_DIAG_STATE(TCP_LISTEN), is_counted, dp) > 0;
}

/* What fails in one namespace is tried again by a later scan; the others do not wait for it. */
static int scan_here(void *ctx)
{
	struct krl_datapath *dp = ctx;
	__u64 cookie = krl_netns_cookie();

	if (cookie && !is_guarded(dp, cookie) && is_needed_here(dp))
		guard_here(dp, cookie);
	return 0;
}

/* A listener that comes meanwhile sends an event, since the namespace is not guarded while it is looked at. */
static int prune_here(void *ctx)
{
	struct krl_datapath *dp = ctx;
	__u64 cookie = krl_netns_cookie();
	__u8 one = 1;

	if (!cookie || !is_guarded(dp, cookie))
		return 0;
	bpf_map_delete_elem(guarded_fd(dp), &cookie);
	if (is_needed_here(dp))
		bpf_map_update_elem(guarded_fd(dp), &cookie, &one, BPF_ANY);
	else
		let_go(dp, cookie);
	return 0;
}

static bool is_gone(const struct krl_datapath *dp, __u64 cookie)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	char path[PATH_MAX];
	int fd, err;

	pin_path(dp, cookie, path);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd == -ENOENT;
	err = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	return !err && !info.netns.netns_ino;
}

bool krl_guard_is_alive(const struct krl_datapath *dp, __u64 cookie)
{
	return is_guarded(dp, cookie) && !is_gone(dp, cookie);
}

/* Remove the buckets of namespaces that are gone. */
static void forget_buckets(struct krl_datapath *dp, const __u64 *cookies, size_t count)
{
	int fd = bpf_map__fd(dp->skel->maps.krl_buckets);
	struct krl_bucket_key key, next;
	bool more = count && !bpf_map_get_next_key(fd, NULL, &next);
	size_t i;

	while (more) {
		key = next;
		more = !bpf_map_get_next_key(fd, &key, &next);
		for (i = 0; i < count; i++)
			if (key.netns_cookie == cookies[i])
				break;
		if (i < count)
			bpf_map_delete_elem(fd, &key);
	}
}

/* Let go of the namespaces that are gone, or of all. */
static void let_go_each(struct krl_datapath *dp, bool all)
{
	__u64 key, next, *gone = NULL, *added;
	size_t gone_count = 0;
	bool more = !bpf_map_get_next_key(guarded_fd(dp), NULL, &next);

	while (more) {
		key = next;
		more = !bpf_map_get_next_key(guarded_fd(dp), &key, &next);
		if (!all && !is_gone(dp, key))
			continue;
		let_go(dp, key);
		/* With the rules, all buckets go. */
		added = all ? NULL : krl_vec_add(&gone, &gone_count);
		if (added)
			*added = key;
	}
	forget_buckets(dp, gone, gone_count);
	free(gone);
}

/* Bring krl_ports to what krl_endpoints says. 0, or -errno. */
static int update_ports(struct krl_datapath *dp, bool *ret_added, bool *ret_removed)
{
	__u64 ports[KRL_PORT_WORDS];
	int err = 0;
	__u32 i;

	krl_ports_of(dp, 1U << KRL_HOOK_LOOKUP, ports);
	dp->guards = false;
	for (i = 0; !err && i < KRL_PORT_WORDS; i++) {
		dp->guards |= ports[i] != 0;
		if (ports[i] == dp->ports[i])
			continue;
		*ret_added |= ports[i] & ~dp->ports[i];
		*ret_removed |= dp->ports[i] & ~ports[i];
		err = bpf_map_update_elem(bpf_map__fd(dp->skel->maps.krl_ports), &i, &ports[i], BPF_ANY);
		dp->ports[i] = ports[i];
	}
	return err;
}

/* Have the programs of namespaces, also of those that are guarded already, go on with krl_incoming. 0, or -errno. */
static int lead_on(struct krl_datapath *dp)
{
	__u32 zero = 0;
	int fd;

	if (krl_late_is_there(dp, KRL_LATE_INCOMING))
		return 0;
	fd = krl_late_program(dp, KRL_LATE_INCOMING);
	return fd < 0 ? fd : bpf_map_update_elem(bpf_map__fd(dp->skel->maps.krl_lookup_progs), &zero, &fd, BPF_ANY);
}

int krl_guard_update(struct krl_datapath *dp)
{
	bool added = false, removed = false;
	int err = update_ports(dp, &added, &removed);

	if (!err && dp->guards)
		err = lead_on(dp);
	if (err)
		return err;
	if (!dp->guards)
		let_go_each(dp, true);
	else if (removed)
		err = krl_netns_each(prune_here, dp);
	if (err || !dp->guards || (dp->scanned && !added))
		return err;
	dp->scanned = true;
	return krl_netns_each(scan_here, dp);
}

int krl_guard_adopt(struct krl_datapath *dp, const char *bpffs, struct krl_error *ret_error)
{
	int err = 0;
	__u32 i;

	dp->bpffs = strdup(bpffs);
	if (!dp->bpffs)
		return krl_error_set(ret_error, ENOMEM, "out of memory");
	/* Bits that an agent set before it was killed are known to have been set. */
	for (i = 0; !err && i < KRL_PORT_WORDS; i++)
		err = bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.krl_ports), &i, &dp->ports[i]);
	return err ? krl_error_set(ret_error, -err, "krl_ports: %s", strerror(-err)) : 0;
}

void krl_guard_listens(struct krl_datapath *dp, __u64 cookie)
{
	__u64 *added = krl_vec_add(&dp->listening, &dp->listening_count);

	/* Without memory, the next scan finds it. */
	if (added)
		*added = cookie;
}

static int guard_if_listening(void *ctx)
{
	struct krl_datapath *dp = ctx;
	__u64 cookie = krl_netns_cookie();
	size_t i;

	for (i = 0; i < dp->listening_count; i++)
		if (dp->listening[i] == cookie && !is_guarded(dp, cookie))
			guard_here(dp, cookie);
	return 0;
}

void krl_guard_listening(struct krl_datapath *dp)
{
	if (!dp->listening_count)
		return;
	if (dp->guards)
		krl_netns_each(guard_if_listening, dp);
	dp->listening_count = 0;
	free(dp->listening);
	dp->listening = NULL;
}

void krl_guard_forget(struct krl_datapath *dp)
{
	free(dp->listening);
	free(dp->bpffs);
}

struct krl_guard {
	struct krl_datapath *dp;
	uv_timer_t *timer;
	unsigned int looks;
};

/* Give back what was taken for packets that began no connection. A failure is that of krl_guard_update() too. */
static void settle(struct krl_datapath *dp)
{
	static const char packet[64];

	krl_late_run(dp, KRL_LATE_SETTLE, packet, sizeof(packet));
}

static void on_timer(uv_timer_t *timer)
{
	struct krl_guard *guard = timer->data;

	if (!guard->dp->guards)
		return;
	settle(guard->dp);
	let_go_each(guard->dp, false);
	if (++guard->looks % SCAN_EVERY == 0)
		krl_netns_each(scan_here, guard->dp);
}

int krl_guard_open(struct krl_datapath *dp, uv_loop_t *loop, struct krl_guard **ret)
{
	struct krl_guard *guard = calloc(1, sizeof(*guard));

	if (guard)
		guard->timer = krl_timer_new(loop, guard, on_timer, LOOK_EVERY_MS);
	if (!guard || !guard->timer) {
		free(guard);
		return -ENOMEM;
	}
	guard->dp = dp;
	*ret = guard;
	return 0;
}

void krl_guard_close(struct krl_guard *guard)
{
	if (!guard)
		return;
	krl_handle_close(guard->timer);
	free(guard);
}
