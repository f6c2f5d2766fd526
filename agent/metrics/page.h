/* SPDX-License-Identifier: Apache-2.0 */
/* The text of /metrics, read by a thread of libuv's pool. */
#ifndef KMESH_RL_METRICS_PAGE_H
#define KMESH_RL_METRICS_PAGE_H

#include <uv.h>

#include "server.h"

struct krl_page;

/* It is read: @err is 0, and @text, which is the caller's now, has @len bytes; or -errno, as krl_stats_read(). Called on
 * the loop. */
typedef void (*krl_page_fn)(void *arg, enum krl_exposition_format format, int err, char *text, size_t len,
			    uint64_t took_ns);

/* Begin to read; @agent is copied, and what its cluster owns taken over; @bpffs stays. 0 and a page that is gone once @done was called, or -ENOMEM. */
int krl_page_read(uv_loop_t *loop, const char *bpffs, size_t top, const struct krl_metrics_agent *agent,
		  enum krl_exposition_format format, krl_page_fn done, void *arg, struct krl_page **ret);

/* @done is not called any more. Accepts NULL. */
void krl_page_forget(struct krl_page *page);

#endif
