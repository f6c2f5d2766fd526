// SPDX-License-Identifier: Apache-2.0
/* What the pins say of the state of a node: how full maps are, what time it is, where the endpoints are. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timex.h>
#include <time.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include <kmesh_rl/pins.h>
#include <kmesh_rl/policy.h>

#include "agent/base/clock.h"
#include "agent/base/vec.h"
#include "former.h"
#include "inspect.h"
#include "pinned.h"

#define NS_PER_S 1000000000LL
#define KEY_BYTES 128

static const char *const filling[] = {
	"krl_endpoints", "krl_forms",	"krl_policies", "krl_costs", "krl_matches", "krl_loose",
	"krl_held",	 "krl_reserved", "krl_guarded",	 "krl_llms",  "krl_charges",
};

_Static_assert(sizeof(filling) / sizeof(*filling) <= KRL_INSPECT_FILLS, "room for every map");

/* How many rows the hash @fd has; one that changes meanwhile begins anew, so no more are counted than it has room for. */
static size_t count_rows(int fd, __u32 room)
{
	char keys[2][KEY_BYTES], *key = NULL, *next = keys[0];
	size_t count = 0;

	while (count < room && !bpf_map_get_next_key(fd, key, next)) {
		key = next;
		next = keys[next == keys[0]];
		count++;
	}
	return count;
}

size_t krl_inspect_fills(const char *bpffs, struct krl_inspect_fill ret[KRL_INSPECT_FILLS])
{
	char path[KRL_INSPECT_PATH_BYTES];
	struct bpf_map_info info;
	size_t count = 0, i;
	__u32 bytes;
	int fd;

	for (i = 0; i < sizeof(filling) / sizeof(*filling); i++) {
		if (snprintf(path, sizeof(path), "%s/%s", bpffs, filling[i]) >= (int)sizeof(path))
			continue;
		fd = bpf_obj_get(path);
		if (fd < 0)
			continue;
		bytes = sizeof(info);
		if (!bpf_obj_get_info_by_fd(fd, &info, &bytes) && info.key_size <= KEY_BYTES)
			ret[count++] = (struct krl_inspect_fill){ filling[i], count_rows(fd, info.max_entries),
								  info.max_entries };
		close(fd);
	}
	return count;
}

struct looking {
	const char *bpffs;
	struct krl_inspect_former *found;
};

/* How many sockets the map pinned there has. */
static size_t count_sockets(const struct looking *looking, const char *name, const char *map)
{
	char path[KRL_INSPECT_PATH_BYTES];
	struct bpf_map_info info = {};
	__u32 bytes = sizeof(info);
	size_t count = 0;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s/%s", looking->bpffs, name, map) >= (int)sizeof(path))
		return 0;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	if (!bpf_obj_get_info_by_fd(fd, &info, &bytes) && info.key_size <= KEY_BYTES)
		count = count_rows(fd, info.max_entries);
	close(fd);
	return count;
}

static int look(void *ctx, const char *name, __u32 version)
{
	struct looking *looking = ctx;
	char path[KRL_INSPECT_PATH_BYTES];

	looking->found->version = version;
	looking->found->connections += count_sockets(looking, name, "krl_sockets") +
				       count_sockets(looking, name, "krl_senders");
	if (snprintf(path, sizeof(path), "%s/%s/" KRL_PIN_SOCKOPS_LINK, looking->bpffs, name) < (int)sizeof(path))
		looking->found->attached |= !access(path, F_OK);
	return 0;
}

int krl_inspect_former(const char *bpffs, struct krl_inspect_former *ret)
{
	struct looking looking = { bpffs, ret };

	memset(ret, 0, sizeof(*ret));
	return krl_former_each(bpffs, look, &looking);
}

int krl_inspect_clock(const char *bpffs, struct krl_inspect_clock *ret)
{
	struct timex state = { 0 };
	struct krl_config config;
	struct timespec wall;
	int err = krl_pinned_config(bpffs, &config);

	if (err)
		return err;
	clock_gettime(CLOCK_REALTIME, &wall);
	ret->behind_ns = wall.tv_sec * NS_PER_S + wall.tv_nsec - (__s64)krl_boot_ns() - config.wall_offset_ns;
	ret->unsynchronized = adjtimex(&state) == TIME_ERROR;
	return 0;
}

struct collecting {
	struct krl_inspect_endpoint *endpoints;
	size_t count;
	int err;
	int protocols, policies;	/* the maps, or below 0 */
};

/* Of an endpoint whose requests are picked by @policy. */
static bool has_unseen(const struct collecting *c, const struct krl_endpoint_key *key, __u64 policy)
{
	struct krl_protocols protocols;
	struct krl_policy *found;
	bool unseen;

	if (!policy || bpf_map_lookup_elem(c->protocols, key, &protocols) || !protocols.unseen_ns)
		return false;
	found = malloc(sizeof(*found));
	unseen = found && !bpf_map_lookup_elem(c->policies, &policy, found) && found->of_head;
	free(found);
	return unseen;
}

static void on_endpoint(void *arg, const void *map_key, const void *value)
{
	const struct krl_endpoint_key *key = map_key;
	const struct krl_endpoint *endpoint = value;
	struct krl_inspect_endpoint *added;
	struct collecting *c = arg;

	if (c->err || (key->hook != KRL_HOOK_STREAM && key->hook != KRL_HOOK_LOOKUP))
		return;
	added = krl_vec_add(&c->endpoints, &c->count);
	if (!added) {
		c->err = -ENOMEM;
		return;
	}
	added->key = *key;
	added->slot = endpoint->rule_count ? endpoint->rules[0].slot : KRL_MAX_RULES;
	added->unseen = key->hook == KRL_HOOK_STREAM && has_unseen(c, key, endpoint->policy);
}

int krl_inspect_endpoints(const char *bpffs, struct krl_inspect_endpoint **ret, size_t *ret_count)
{
	static const struct krl_pinned map = { "krl_endpoints", BPF_MAP_TYPE_HASH, sizeof(struct krl_endpoint_key),
					       sizeof(struct krl_endpoint), KRL_MAX_ENDPOINTS };
	static const struct krl_pinned protocols = { "krl_protocols", BPF_MAP_TYPE_LRU_HASH, sizeof(struct krl_endpoint_key),
						     sizeof(struct krl_protocols), KRL_MAX_ENDPOINTS };
	static const struct krl_pinned policies = { "krl_policies", BPF_MAP_TYPE_HASH, sizeof(__u64),
						    sizeof(struct krl_policy), 2 * KRL_MAX_ENDPOINTS };
	struct collecting c = { .protocols = krl_pinned_open(bpffs, &protocols, BPF_F_RDONLY),
				.policies = krl_pinned_open(bpffs, &policies, BPF_F_RDONLY) };
	int err = krl_pinned_each(bpffs, &map, KRL_MAX_ENDPOINTS, on_endpoint, &c);

	if (c.protocols >= 0)
		close(c.protocols);
	if (c.policies >= 0)
		close(c.policies);
	err = err ? err : c.err;
	if (err) {
		free(c.endpoints);
		return err;
	}
	*ret = c.endpoints;
	*ret_count = c.count;
	return 0;
}
