/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP for Prometheus and for probes, by libmicrohttpd on the agent's loop, without a thread of its own: /metrics, /healthz
 * and /readyz. What /metrics tells is read by a thread of libuv's pool, since it takes as long as there are buckets; the
 * loop never waits. Slow clients cost a connection each, of which the node itself has some that others cannot take. */
#ifndef KMESH_RL_METRICS_SERVER_H
#define KMESH_RL_METRICS_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>
#include <uv.h>

#include "snapshot.h"

#define KRL_METRICS_CONNECTIONS 64
#define KRL_METRICS_REMOTE_CONNECTIONS 48	/* ... of those, from other addresses than loopback's */
#define KRL_METRICS_IDLE_S 10			/* a connection on which nothing moves is closed */
#define KRL_METRICS_ERROR_BYTES 256
#define KRL_METRICS_TOP_MAX 1000

struct krl_metrics_options {
	const char *address;	/* krl_metrics_address() takes it */
	const char *bpffs;	/* outlives the server */
	size_t top;		/* of who was limited most, so many are told of */
	/* What the agent says of itself; called on the loop. */
	void (*about)(void *ctx, struct krl_metrics_agent *ret);
	/* As krl_datapath_run_ns(). */
	bool (*run_ns)(void *ctx, __u64 *ret);
	/* Is the agent ready? Else @ret_why is what /readyz says; called on the loop. */
	bool (*ready)(void *ctx, char ret_why[KRL_METRICS_ERROR_BYTES]);
	void *ctx;
};

struct krl_metrics;

/* "HOST:PORT": an IPv4 address, an IPv6 address in brackets, localhost, or nothing for all addresses. 0, or -EINVAL. */
int krl_metrics_address(const char *text, struct sockaddr_storage *ret);

/* Listen on @options->address, and answer on @loop until krl_metrics_stop(). 0; or -errno with one line in @ret_error:
 * -EADDRINUSE, -EACCES, -EADDRNOTAVAIL, -ENOMEM. */
int krl_metrics_start(uv_loop_t *loop, const struct krl_metrics_options *options, struct krl_metrics **ret,
		      char ret_error[KRL_METRICS_ERROR_BYTES]);

/* Where it listens, "127.0.0.1:9464". */
void krl_metrics_where(const struct krl_metrics *metrics, char *ret, size_t size);

/* Close all connections; the loop must run once more. Accepts NULL. */
void krl_metrics_stop(struct krl_metrics *metrics);

#endif
