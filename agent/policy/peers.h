/* SPDX-License-Identifier: Apache-2.0 */
/* Which pod has which address now, and which selectors it meets: what the kernel is to know of peers. No I/O: what is to
 * be written is told. */
#ifndef KMESH_RL_PEERS_H
#define KMESH_RL_PEERS_H

#include <jansson.h>

#include "compile.h"
#include "pod.h"

/* What is written, at once: a change is there when the call that told of it returns. Each 0 or -errno. */
struct krl_peers_sink {
	/* @addr is that of @pod, whose names count. */
	int (*put)(void *ctx, const __u8 addr[16], const struct krl_pod *pod);
	int (*drop)(void *ctx, const __u8 addr[16]);
	/* The pod of @addr meets the selector, or does not. */
	int (*meet)(void *ctx, const __u8 addr[16], __u64 selector, bool meets);
	/* Drop what is there and not as @keeps says, of an agent before: selector 0 is who it is. */
	int (*sweep)(void *ctx, bool (*keeps)(void *arg, const __u8 addr[16], __u64 selector), void *arg);
};

struct krl_peers;

/* @node: the name of this one, NULL where it is not known. NULL without memory. */
struct krl_peers *krl_peers_new(const char *node);
void krl_peers_free(struct krl_peers *peers);

/* From now on write to @sink, with @ctx, what is known and what is wanted. */
void krl_peers_write_to(struct krl_peers *peers, const struct krl_peers_sink *sink, void *ctx);

/* Put all that is there once more: what is made of their names is another now. */
void krl_peers_write_again(struct krl_peers *peers);

/* What is wanted is what @plan asks for; and with @more also what was wanted before. First with @more, then the plan is
 * put into force, then without: nothing that is in force asks in vain. */
void krl_peers_want(struct krl_peers *peers, const struct krl_plan *plan, bool more);

/* Objects of an API server: a list is what is put between list() and listed(). */
void krl_peers_list_pods(struct krl_peers *peers);
void krl_peers_put_pod(struct krl_peers *peers, const json_t *object);
void krl_peers_remove_pod(struct krl_peers *peers, const json_t *object);
void krl_peers_pods_listed(struct krl_peers *peers);

/* The same of Namespaces, of which their metadata is enough. */
void krl_peers_list_namespaces(struct krl_peers *peers);
void krl_peers_put_namespace(struct krl_peers *peers, const json_t *object);
void krl_peers_remove_namespace(struct krl_peers *peers, const json_t *object);
void krl_peers_namespaces_listed(struct krl_peers *peers);

/* Nobody follows them any more: nothing is known. */
void krl_peers_forget_pods(struct krl_peers *peers);
void krl_peers_forget_namespaces(struct krl_peers *peers);

/* Does what is wanted ask for pods, and for the labels of namespaces? */
bool krl_peers_need_pods(const struct krl_peers *peers);
bool krl_peers_need_own_pods(const struct krl_peers *peers);	/* those of this node, at least */
bool krl_peers_need_callers(const struct krl_peers *peers);	/* and their network namespaces */
bool krl_peers_need_namespaces(const struct krl_peers *peers);

/* How many Pods of this node are there whose network namespace is not known, where it is asked for? @ret_news becomes
 * another number with each that may have one. */
size_t krl_peers_await_netns(const struct krl_peers *peers, unsigned int *ret_news);

/* The Pod with @uid has the network namespace with @cookie. Returns whether that is news. */
bool krl_peers_found_netns(struct krl_peers *peers, const char *uid, __u64 cookie);

/* All that there are were told of. */
void krl_peers_netns_found(struct krl_peers *peers);

/* Why what is known is not written; 0: it is. */
int krl_peers_error(const struct krl_peers *peers);

#endif
