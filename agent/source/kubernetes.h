/* SPDX-License-Identifier: Apache-2.0 */
/* Documents from an API server: the RateLimits, and where some refer to services, the Services and EndpointSlices. */
#ifndef KMESH_RL_KUBERNETES_H
#define KMESH_RL_KUBERNETES_H

#include <uv.h>

#include "agent/k8s/config.h"
#include "agent/policy/diag.h"
#include "agent/policy/peers.h"
#include "agent/policy/store.h"
#include "status.h"

#define KRL_KUBERNETES_WATCH_S 300
#define KRL_KUBERNETES_OWN "."

struct krl_kubernetes_options {
	const char *kubeconfig;	/* file; NULL: this runs in a pod */
	const char *ns;		/* whose objects; NULL: all namespaces; KRL_KUBERNETES_OWN: that of the pod or the context */
	const char *node;	/* name of this node; NULL: every endpoint may be here, and no status is written */
	unsigned int watch_s;	/* a watch is asked for this long, up to twice this */
	unsigned int status_s;	/* of a RateLimit, status and Events are written so often at most */
	struct krl_peers *peers;	/* is told of Pods and Namespaces, as far as it needs them; outlives this */
};

struct krl_kubernetes;
typedef void (*krl_kubernetes_fn)(void *arg);

/* Keep @store as the API server has it, on @loop; @options is not needed after. @changed is called soon after something
 * in it changed that matters, once for what comes together, and when what krl_kubernetes_say() says is another. The
 * caller closes *@ret before @store is freed. 0, or -errno with one line in @ret_error. */
int krl_kubernetes_open(uv_loop_t *loop, const struct krl_kubernetes_options *options, struct krl_store *store,
			krl_kubernetes_fn changed, void *arg, struct krl_kubernetes **ret,
			char ret_error[KRL_K8S_ERROR_BYTES]);
void krl_kubernetes_close(struct krl_kubernetes *kubernetes);

/* Why objects are refused, and what of the API server cannot be read, as lines to @errors. 0; -EAGAIN: not all is read
 * yet, or what was may be old; -ENODATA: there is nothing yet. */
int krl_kubernetes_say(const struct krl_kubernetes *kubernetes, struct krl_diags *errors);

/* How it went to do what they say: for their status, as far as @errors, @notes and @unread are those of
 * krl_kubernetes_say() and of the store. Returns whether it is known which pods there are, if that is asked. */
bool krl_kubernetes_tell(struct krl_kubernetes *kubernetes, const struct krl_outcome *outcome);

/* Call @fn with each resource that is followed, "ratelimits", and whether all of it is known, and current as far as we
 * know. */
typedef void (*krl_kubernetes_watch_fn)(void *arg, const char *resource, bool up);

void krl_kubernetes_watches(const struct krl_kubernetes *kubernetes, krl_kubernetes_watch_fn fn, void *arg);

/* What is known of a RateLimit, as krl_statuses_describe() has it. */
json_t *krl_kubernetes_describe(const struct krl_kubernetes *kubernetes, const char *ns, const char *name);

/* What is limited and passed by, as krl_statuses_count() has it. */
void krl_kubernetes_count(struct krl_kubernetes *kubernetes, krl_limited_walk limited, krl_unseen_walk unseen, void *ctx);

/* Whether Redis is away, as krl_statuses_ask_away() has it. */
void krl_kubernetes_ask_away(struct krl_kubernetes *kubernetes, krl_away_fn is_away, void *ctx);

#endif
