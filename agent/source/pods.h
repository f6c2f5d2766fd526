/* SPDX-License-Identifier: Apache-2.0 */
/* Pods and Namespaces of an API server, followed while what is in force asks for them. */
#ifndef KMESH_RL_SOURCE_PODS_H
#define KMESH_RL_SOURCE_PODS_H

#include <uv.h>

#include "agent/k8s/http.h"
#include "agent/policy/diag.h"
#include "agent/policy/peers.h"

struct krl_pods_options {
	const char *ns;		/* whose Pods, without Namespaces; NULL: of all namespaces */
	const char *node;	/* the name of this one; NULL: not known */
	const char *server;	/* for people */
	unsigned int watch_s;
};

struct krl_pods;

/* @changed is called when what krl_pods_say() says is another. All must outlive it; @peers may be NULL, then nothing is
 * ever followed. 0, or -ENOMEM. */
int krl_pods_open(uv_loop_t *loop, struct krl_http *http, const struct krl_pods_options *options, struct krl_peers *peers,
		  void (*changed)(void *arg), void *arg, struct krl_pods **ret);
/* Accepts NULL. */
void krl_pods_close(struct krl_pods *pods);

/* Begin to follow what krl_peers_need_...() say, and leave off what they do not. Not out of a call of a watch. 0, or
 * -ENOMEM. */
int krl_pods_follow(struct krl_pods *pods);

/* Call @fn with each resource that is followed, and whether what is known of it is of now. */
void krl_pods_watches(const struct krl_pods *pods, void (*fn)(void *arg, const char *resource, bool up), void *arg);

/* Is something that is followed not read yet? @ret_trouble says why, NULL: it is being asked for. */
bool krl_pods_unread(const struct krl_pods *pods, const char **ret_trouble);

/* What of them cannot be read, as lines to @errors. 0; or -EAGAIN: not all is read yet, or what was may be old. */
int krl_pods_say(const struct krl_pods *pods, struct krl_diags *errors);

#endif
