// SPDX-License-Identifier: Apache-2.0
#include "takeover.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/base/log.h"
#include "agent/base/vec.h"
#include "agent/loop/handle.h"
#include "carry.h"
#include "cross.h"
#include "drop.h"
#include "former.h"

/* Connections that did not rest are looked at again: every time, then every tenth, and once it was said that they stay,
 * every hundredth. */
#define LOOK_EVERY_MS 100
#define LOOKS_AT_FIRST 50
#define LOOKS_UNTIL_SAID 300
/* What could not be attached is tried again. */
#define LOOKS_UNTIL_RETRY 100

struct krl_former {
	char name[KRL_FORMER_NAME_BYTES];
	__u32 version;
	int sockets, senders;		/* its maps of these names, or below 0 */
	struct kmesh_rl *cross;		/* the programs that take its connections over, once they do; or NULL */
	struct krl_cross_result result;
	bool began;			/* nothing new comes to it */
	bool gone;
};

static void path_of(const struct krl_datapath *dp, const struct krl_former *former, char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%s/%s", dp->bpffs, former->name);
}

/* The answers that its agent left when it was killed, and those that were left to it since: for two seconds, it seems to
 * live. */
static void carry(const struct krl_former *former, const char *path)
{
	int err = krl_carry_left(path);

	if (err)
		krl_log_warn("answers not carried", "version", "%u: %s", former->version, strerror(-err));
}

static int note(void *ctx, const char *name, __u32 version)
{
	struct krl_datapath *dp = ctx;
	struct krl_former *former = krl_vec_add(&dp->formers, &dp->former_count);
	char path[PATH_MAX];

	if (!former)
		return -ENOMEM;
	snprintf(former->name, sizeof(former->name), "%s", name);
	former->version = version;
	path_of(dp, former, path);
	former->sockets = krl_cross_open_map(path, "krl_sockets");
	former->senders = krl_cross_open_map(path, "krl_senders");
	carry(former, path);
	return 0;
}

int krl_takeover_find(struct krl_datapath *dp)
{
	return krl_former_each(dp->bpffs, note, dp);
}

static bool has(int fd, __u64 cookie)
{
	__u64 value;

	return fd >= 0 && !bpf_map_lookup_elem(fd, &cookie, &value);
}

bool krl_takeover_waits(const struct krl_datapath *dp, __u64 cookie)
{
	size_t i;

	for (i = 0; i < dp->former_count; i++)
		if (has(dp->formers[i].sockets, cookie) || has(dp->formers[i].senders, cookie))
			return true;
	return false;
}

static void forget(struct krl_former *former)
{
	kmesh_rl__destroy(former->cross);
	former->cross = NULL;
	if (former->sockets >= 0)
		close(former->sockets);
	if (former->senders >= 0)
		close(former->senders);
	former->sockets = former->senders = -1;
}

void krl_takeover_forget(struct krl_datapath *dp)
{
	size_t i;

	for (i = 0; i < dp->former_count; i++)
		forget(&dp->formers[i]);
	free(dp->formers);
	dp->formers = NULL;
	dp->former_count = 0;
}

static bool is_empty(int fd)
{
	__u64 key;

	return fd < 0 || bpf_map_get_next_key(fd, NULL, &key);
}

/* Nobody is with it any more. */
static void end(struct krl_datapath *dp, struct krl_former *former)
{
	char path[PATH_MAX];
	int err;

	forget(former);
	path_of(dp, former, path);
	err = krl_drop_pins(path);
	if (!err && rmdir(path))
		err = -errno;
	former->gone = true;
	if (err)
		krl_log_warn("version not gone", "version", "%u, %s: %s", former->version, path, strerror(-err));
	else
		krl_log_info("version gone", "version", "%u, open connections taken in: %zu", former->version,
			     former->result.taken);
}

/* Take what is attached of it away, so that what comes from now on is for the programs of this version alone. */
static void begin(struct krl_datapath *dp, struct krl_former *former)
{
	char path[PATH_MAX];
	int err;

	former->began = true;
	path_of(dp, former, path);
	krl_drop_links(path);
	carry(former, path);
	err = krl_cross_load(dp, path, &former->cross);
	if (err)
		krl_log_warn("open connections not taken in", "version", "%u: %s", former->version, strerror(-err));
}

static void take(struct krl_datapath *dp, struct krl_former *former)
{
	int err;

	if (!former->began)
		begin(dp, former);
	err = former->cross ? krl_cross_run(former->cross, &former->result) : 0;
	if (err)
		krl_log_debug("open connections not walked over", "version", "%u: %s", former->version, strerror(-err));
	/* Those without an endpoint are let go as others are. */
	dp->releasing = true;
	if (is_empty(former->sockets) && is_empty(former->senders))
		end(dp, former);
}

void krl_datapath_take_over(struct krl_datapath *dp)
{
	struct krl_error error = { 0 };
	size_t i;

	if (dp->former_count && (dp->untaken || !dp->links[KRL_LINK_SOCKOPS]))
		dp->untaken = krl_links_attach(dp, true, &error);
	if (dp->untaken) {
		krl_log_error("not taken over", "error", "%s", error.text);
		return;
	}
	for (i = 0; i < dp->former_count; i++)
		if (!dp->formers[i].gone)
			take(dp, &dp->formers[i]);
}

struct krl_takeover {
	struct krl_datapath *dp;
	uv_timer_t *timer;
	unsigned int looks, waited;
};

static void say(const struct krl_datapath *dp)
{
	size_t i;

	for (i = 0; i < dp->former_count; i++)
		if (!dp->formers[i].gone)
			krl_log_warn("connections stay with a version until they rest or end", "version", "%u, count: %zu",
				     dp->formers[i].version, dp->formers[i].result.left);
}

/* Has everything begun to be taken over, and does something remain? */
static bool goes_on(const struct krl_datapath *dp)
{
	bool remains = false;
	size_t i;

	for (i = 0; i < dp->former_count; i++) {
		if (!dp->formers[i].began)
			return false;
		remains |= !dp->formers[i].gone;
	}
	return remains;
}

static void on_timer(uv_timer_t *timer)
{
	struct krl_takeover *takeover = timer->data;
	unsigned int looks;

	if (takeover->dp->untaken && ++takeover->waited % LOOKS_UNTIL_RETRY == 0)
		krl_datapath_take_over(takeover->dp);
	if (takeover->dp->untaken || !goes_on(takeover->dp))
		return;
	looks = ++takeover->looks;
	if (looks == LOOKS_UNTIL_SAID)
		say(takeover->dp);
	if (looks > LOOKS_AT_FIRST && looks % (looks > LOOKS_UNTIL_SAID ? 100 : 10))
		return;
	krl_datapath_take_over(takeover->dp);
}

int krl_takeover_open(struct krl_datapath *dp, uv_loop_t *loop, struct krl_takeover **ret)
{
	struct krl_takeover *takeover = calloc(1, sizeof(*takeover));

	if (takeover && dp->former_count)
		takeover->timer = krl_timer_new(loop, takeover, on_timer, LOOK_EVERY_MS);
	if (!takeover || (dp->former_count && !takeover->timer)) {
		free(takeover);
		return -ENOMEM;
	}
	takeover->dp = dp;
	*ret = takeover;
	return 0;
}

void krl_takeover_close(struct krl_takeover *takeover)
{
	if (!takeover)
		return;
	krl_handle_close(takeover->timer);
	free(takeover);
}
