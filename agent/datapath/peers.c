// SPDX-License-Identifier: Apache-2.0
/* Which pods there are, as the kernel knows it: each call is one change of a map, so that a program sees what was or what
 * is of each row. */
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/lib/identity.h"
#include "internal.h"

static int peers_fd(const struct krl_datapath *dp)
{
	return bpf_map__fd(dp->skel->maps.krl_peers);
}

static int meets_fd(const struct krl_datapath *dp)
{
	return bpf_map__fd(dp->skel->maps.krl_peer_meets);
}

/* Open connections may count elsewhere now, or at all. */
static void note_change(struct krl_datapath *dp, const __u8 addr[16])
{
	static const __u8 multicast = 0xff;

	if (dp->config->flags & KRL_CONFIG_HOLDS)
		dp->recounts = dp->edited = true;
	dp->joins |= addr[0] == multicast && dp->config->flags & KRL_CONFIG_DIALS;
}

static int put(void *ctx, const __u8 addr[16], const struct krl_pod *pod)
{
	struct krl_datapath *dp = ctx;
	struct krl_peer peer = {};
	enum krl_peer_by by;

	for (by = KRL_PEER_POD; by < KRL_PEER_BY_MAX; by++) {
		struct krl_peer_value *value = &peer.by[by - 1];

		krl_identity_digest(dp->config->hash_key, by, pod->names[by], value->digest);
		value->len = krl_peer_text(pod->names[by], value->text);
	}
	note_change(dp, addr);
	return bpf_map_update_elem(peers_fd(dp), addr, &peer, BPF_ANY);
}

static int gone(int err)
{
	return err == -ENOENT ? 0 : err;
}

static int drop(void *ctx, const __u8 addr[16])
{
	return gone(bpf_map_delete_elem(peers_fd(ctx), addr));
}

static int meet(void *ctx, const __u8 addr[16], __u64 selector, bool meets)
{
	struct krl_peer_meets key = { .selector = selector };
	const __u8 one = 1;

	memcpy(key.addr, addr, sizeof(key.addr));
	note_change(ctx, addr);
	return meets ? bpf_map_update_elem(meets_fd(ctx), &key, &one, BPF_ANY)
		     : gone(bpf_map_delete_elem(meets_fd(ctx), &key));
}

/* Of the rows of @fd, whose keys begin with an address, drop those that are not as @keeps says. */
static int sweep_map(int fd, bool selects, bool (*keeps)(void *arg, const __u8 addr[16], __u64 selector), void *arg)
{
	struct krl_peer_meets key, next;
	bool more = !bpf_map_get_next_key(fd, NULL, &next);
	int err = 0;

	while (more && !err) {
		key = next;
		more = !bpf_map_get_next_key(fd, &key, &next);
		if (!keeps(arg, key.addr, selects ? key.selector : 0))
			err = gone(bpf_map_delete_elem(fd, &key));
	}
	return err;
}

static int sweep(void *ctx, bool (*keeps)(void *arg, const __u8 addr[16], __u64 selector), void *arg)
{
	int err = sweep_map(peers_fd(ctx), false, keeps, arg);

	return err ? err : sweep_map(meets_fd(ctx), true, keeps, arg);
}

const struct krl_peers_sink krl_datapath_peers = { .put = put, .drop = drop, .meet = meet, .sweep = sweep };
