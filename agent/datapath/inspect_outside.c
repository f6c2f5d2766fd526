// SPDX-License-Identifier: Apache-2.0
/* Who listens outside of the cgroup that programs are attached to. The program that enrols a connection runs for the
 * cgroup of its socket, which is that of the process that made the listener, whatever became of it since
 * (cgroup_sk_clone(), kernel/cgroup/cgroup.c). */
#include "inspect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fts.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <kmesh_rl/pins.h>

#include "agent/base/vec.h"
#include "netns.h"

#define TCP_LISTEN 10
#define ROOT_ID 1	/* kernfs_create_root(), fs/kernfs/dir.c */
#define ANSWER_BYTES 32768

struct cgroup {
	__u64 id;
	bool covered;
};

struct outside {
	struct cgroup *cgroups;		/* that can be seen from here */
	size_t cgroup_count;
	bool unseen_is_outside;
	struct krl_inspect_listener *listeners;
	size_t listener_count;
};

/* Those below @mount, whose inodes are their ids where an inode has 64 bits (kernfs_ino(), include/linux/kernfs.h).
 * 0, -ENOENT (the covered one is not among them), or -errno. */
static int read_cgroups(struct outside *o, char *mount, __u64 covered)
{
	char *paths[] = { mount, NULL };
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	bool inside = false, met = false;
	struct cgroup *added;
	FTSENT *entry;
	int err = 0;

	if (!tree)
		return -errno;
	while (!err && (entry = fts_read(tree))) {
		if (entry->fts_info == FTS_DP && entry->fts_statp->st_ino == covered)
			inside = false;
		if (entry->fts_info != FTS_D)
			continue;
		if (entry->fts_statp->st_ino == covered) {
			inside = met = true;
			o->unseen_is_outside = !entry->fts_level;
		}
		added = krl_vec_add(&o->cgroups, &o->cgroup_count);
		if (added)
			*added = (struct cgroup){ entry->fts_statp->st_ino, inside };
		else
			err = -ENOMEM;
	}
	fts_close(tree);
	return err ? err : met ? 0 : -ENOENT;
}

static bool is_outside(const struct outside *o, __u64 id)
{
	size_t i;

	for (i = 0; i < o->cgroup_count; i++)
		if (o->cgroups[i].id == id)
			return !o->cgroups[i].covered;
	return o->unseen_is_outside;
}

/* 0, or -ENOMEM. */
static int on_socket(struct outside *o, const struct nlmsghdr *head)
{
	const struct inet_diag_msg *msg = NLMSG_DATA(head);
	const struct rtattr *attr = (const struct rtattr *)(msg + 1);
	int left = head->nlmsg_len - NLMSG_LENGTH(sizeof(*msg));
	struct krl_inspect_listener *added;
	__u64 id = 0;

	for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left))
		if (attr->rta_type == INET_DIAG_CGROUP_ID && RTA_PAYLOAD(attr) == sizeof(id))
			memcpy(&id, RTA_DATA(attr), sizeof(id));
	if (!id || !is_outside(o, id))
		return 0;
	added = krl_vec_add(&o->listeners, &o->listener_count);
	if (!added)
		return -ENOMEM;
	added->port = ntohs(msg->id.idiag_sport);
	if (msg->idiag_family == AF_INET) {
		added->addr[10] = added->addr[11] = 0xff;
		memcpy(added->addr + 12, msg->id.idiag_src, 4);
	} else {
		memcpy(added->addr, msg->id.idiag_src, 16);
	}
	return 0;
}

/* 1: there is more to come; 0: that was all; -ENOMEM, or -errno. */
static int on_answer(struct outside *o, const char *answer, ssize_t bytes)
{
	const struct nlmsghdr *head = (const struct nlmsghdr *)answer;
	int err;

	for (; NLMSG_OK(head, bytes); head = NLMSG_NEXT(head, bytes)) {
		if (head->nlmsg_type == NLMSG_DONE)
			return 0;
		if (head->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(head))->error;
		err = on_socket(o, head);
		if (err)
			return err;
	}
	return 1;
}

/* The listeners of @family in the namespace of now. 0, or -errno. */
static int read_family(struct outside *o, int family)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
	} request = { .head = { .nlmsg_len = sizeof(request), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		      .body = { .sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = 1 << TCP_LISTEN } };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), more = 1;
	char *answer = malloc(ANSWER_BYTES);
	ssize_t bytes;

	if (fd < 0 || !answer || send(fd, &request, sizeof(request), 0) < 0)
		more = -errno;
	while (more > 0) {
		bytes = recv(fd, answer, ANSWER_BYTES, 0);
		more = bytes < 0 ? -errno : on_answer(o, answer, bytes);
	}
	free(answer);
	if (fd >= 0)
		close(fd);
	return more;
}

static int read_namespace(void *arg)
{
	int err = read_family(arg, AF_INET);

	return err ? err : read_family(arg, AF_INET6);
}

int krl_inspect_outside(const char *bpffs, struct krl_inspect_listener **ret, size_t *ret_count)
{
	char mount[KRL_INSPECT_PATH_BYTES];
	struct outside o = {};
	__u64 covered;
	int err = krl_inspect_link(bpffs, KRL_PIN_SOCKOPS_LINK, &covered);

	*ret = NULL;
	*ret_count = 0;
	if (err || covered == ROOT_ID)
		return err;
	err = krl_inspect_cgroup(mount);
	if (!err)
		err = read_cgroups(&o, mount, covered);
	if (!err)
		err = krl_netns_each(read_namespace, &o);
	free(o.cgroups);
	if (err) {
		free(o.listeners);
		return err;
	}
	*ret = o.listeners;
	*ret_count = o.listener_count;
	return 0;
}
