// SPDX-License-Identifier: Apache-2.0
/* Which network namespace is whose pod's, as far as what goes out is limited for some: looked for while one is missing, and
 * now and then, since a pod may be given another one. */
#include <errno.h>
#include <stdlib.h>

#include "agent/base/log.h"
#include "agent/loop/handle.h"
#include "internal.h"
#include "netns.h"
#include "pass.h"

#define LOOK_EVERY_MS 250
/* For so many looks, every time: most are there by then. Afterwards less often. */
#define EAGER_LOOKS 40
#define RARE_LOOKS 8
#define ALL_LOOKS 40

struct krl_callers {
	struct krl_datapath *dp;
	struct krl_peers *peers;
	uv_timer_t *timer;
	unsigned int looks, news, since;	/* looks since there was news */
};

static void on_pod(void *ctx, const char *uid, __u64 cookie)
{
	struct krl_callers *c = ctx;

	if (cookie && krl_peers_found_netns(c->peers, uid, cookie))
		krl_log_debug("network namespace of a pod", "netns", "cookie %llu: pod %s", (unsigned long long)cookie, uid);
}

/* Take in the connections of clients that are limited since just now. */
static void join(struct krl_datapath *dp)
{
	struct krl_pass *pass = calloc(1, sizeof(*pass));

	dp->joins = false;
	if (!pass)
		return;
	pass->dp = dp;
	krl_pass_join(pass);
	if (pass->result.connections_joined)
		krl_log_info("open connections taken in", "count", "%zu", pass->result.connections_joined);
	free(pass);
}

static void scan(struct krl_callers *c)
{
	if (!krl_netns_each_pod(on_pod, c))
		krl_peers_netns_found(c->peers);
}

static void on_timer(uv_timer_t *timer)
{
	struct krl_callers *c = timer->data;
	unsigned int news;
	bool wanted;

	c->looks++;
	if (krl_peers_need_callers(c->peers)) {
		wanted = krl_peers_await_netns(c->peers, &news);
		c->since = news == c->news ? c->since + 1 : 0;
		c->news = news;
		if ((wanted && (c->since < EAGER_LOOKS || c->looks % RARE_LOOKS == 0)) || c->looks % ALL_LOOKS == 0)
			scan(c);
	}
	if (c->dp->joins)
		join(c->dp);
}

int krl_callers_open(struct krl_datapath *dp, uv_loop_t *loop, struct krl_peers *peers, struct krl_callers **ret)
{
	struct krl_callers *c = calloc(1, sizeof(*c));

	if (c)
		c->timer = krl_timer_new(loop, c, on_timer, LOOK_EVERY_MS);
	if (!c || !c->timer) {
		free(c);
		return -ENOMEM;
	}
	c->dp = dp;
	c->peers = peers;
	*ret = c;
	return 0;
}

void krl_callers_look(struct krl_callers *c)
{
	unsigned int news;

	if (c && c->dp->former_count && krl_peers_need_callers(c->peers) && krl_peers_await_netns(c->peers, &news))
		scan(c);
}

void krl_callers_close(struct krl_callers *c)
{
	if (!c)
		return;
	krl_handle_close(c->timer);
	free(c);
}
