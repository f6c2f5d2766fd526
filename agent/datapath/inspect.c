// SPDX-License-Identifier: Apache-2.0
#include "inspect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <kmesh_rl/pins.h>

#include "bpf/lib/conn.h"
#include "host.h"
#include "pinned.h"

static const struct krl_pinned conns_map = { "krl_conns", BPF_MAP_TYPE_HASH, 8, sizeof(struct krl_conn),
					     KRL_MAX_CONNS };

int krl_inspect_kernel(char ret_release[KRL_INSPECT_RELEASE_BYTES])
{
	struct utsname name;

	uname(&name);
	snprintf(ret_release, KRL_INSPECT_RELEASE_BYTES, "%s", name.release);
	if (krl_host_kernel_is_old(name.release))
		return -ENOTSUP;
	return access(KRL_HOST_BTF, R_OK) ? -ENODATA : 0;
}

int krl_inspect_bpffs(const char *bpffs)
{
	char path[KRL_INSPECT_PATH_BYTES], *slash;

	if (snprintf(path, sizeof(path), "%s", bpffs) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	while (access(path, F_OK) && (slash = strrchr(path, '/')) && slash != path)
		*slash = '\0';
	return krl_host_is_bpffs(path) ? 0 : -ENOENT;
}

int krl_inspect_cgroup(char ret_path[KRL_INSPECT_PATH_BYTES])
{
	return krl_host_find_cgroup2(ret_path, KRL_INSPECT_PATH_BYTES);
}

int krl_inspect_pins(const char *bpffs)
{
	struct krl_config config;

	return krl_pinned_config(bpffs, &config);
}

/* Of programs that are always attached, and of those at connect(). */
static const char *const links[] = { KRL_PIN_SOCKOPS_LINK, KRL_PIN_CONNECT4_LINK, KRL_PIN_CONNECT6_LINK,
				     KRL_PIN_RELEASE_LINK };
#define LINKS_ALWAYS 1

int krl_inspect_link(const char *bpffs, const char *link, __u64 *ret_cgroup)
{
	char path[KRL_INSPECT_PATH_BYTES];
	struct bpf_link_info info = {};
	__u32 bytes = sizeof(info);
	int fd, err;

	if (snprintf(path, sizeof(path), "%s/%s", bpffs, link) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	err = bpf_obj_get_info_by_fd(fd, &info, &bytes);
	close(fd);
	*ret_cgroup = info.cgroup.cgroup_id;
	/* A link whose cgroup was removed stays, and is attached to nothing (kernel/bpf/cgroup.c). */
	return err ? err : info.cgroup.cgroup_id ? 0 : -ENOLINK;
}

/* What has to be attached to a map of sockets. */
static const struct {
	const char *map;
	enum bpf_attach_type type;
} verdicts[] = {
	{ "krl_sockets", BPF_SK_SKB_VERDICT },	  { "krl_writers", BPF_SK_MSG_VERDICT },
	{ "krl_responders", BPF_SK_SKB_VERDICT }, { "krl_commands", BPF_SK_SKB_VERDICT },
};

static int inspect_verdict(const char *bpffs, const char *map, enum bpf_attach_type type)
{
	char path[KRL_INSPECT_PATH_BYTES];
	__u32 ids[1], count = 1;
	int fd, err;

	if (snprintf(path, sizeof(path), "%s/%s", bpffs, map) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	err = bpf_prog_query(fd, type, 0, NULL, ids, &count);
	close(fd);
	return err ? err : count ? 0 : -ENOEXEC;
}

int krl_inspect_programs(const char *bpffs, char ret_pin[KRL_INSPECT_NAME_BYTES])
{
	__u64 cgroup;
	struct krl_config config;
	int err = krl_pinned_config(bpffs, &config);
	size_t count, i;

	count = !err && config.flags & KRL_CONFIG_DIALS ? sizeof(links) / sizeof(*links) : LINKS_ALWAYS;
	for (i = 0; !err && i < count; i++) {
		snprintf(ret_pin, KRL_INSPECT_NAME_BYTES, "%s", links[i]);
		err = krl_inspect_link(bpffs, links[i], &cgroup);
	}
	for (i = 0; !err && i < sizeof(verdicts) / sizeof(*verdicts); i++) {
		snprintf(ret_pin, KRL_INSPECT_NAME_BYTES, "%s", verdicts[i].map);
		err = inspect_verdict(bpffs, verdicts[i].map, verdicts[i].type);
	}
	return err;
}

void krl_inspect_count(struct krl_inspect_conns *conns, const struct krl_endpoint_key *endpoint, bool blocks)
{
	size_t i;

	conns->count++;
	if (!blocks)
		return;
	conns->blocking++;
	for (i = 0; i < conns->endpoint_count && memcmp(&conns->endpoints[i].key, endpoint, sizeof(*endpoint)); i++)
		;
	if (i == KRL_INSPECT_ENDPOINTS) {
		conns->elsewhere++;
		return;
	}
	if (i == conns->endpoint_count) {
		conns->endpoints[i].key = *endpoint;
		conns->endpoints[i].count = 0;
		conns->endpoint_count++;
	}
	conns->endpoints[i].count++;
}

static void on_conn(void *arg, const void *key, const void *value)
{
	const struct krl_conn *conn = value;

	krl_inspect_count(arg, &conn->endpoint, conn->blocks);
}

int krl_inspect_connections(const char *bpffs, struct krl_inspect_conns *ret)
{
	struct krl_inspect_conns conns = {};
	int err = krl_pinned_each(bpffs, &conns_map, KRL_MAX_CONNS, on_conn, &conns);

	if (!err)
		*ret = conns;
	return err;
}
