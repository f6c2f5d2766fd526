/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the API server, by libcurl on the agent's loop: HTTP/2 over TLS where the server offers it, one
 * connection for all that is asked at once then. */
#ifndef KMESH_RL_K8S_HTTP_H
#define KMESH_RL_K8S_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "config.h"

struct krl_http;
struct krl_http_request;

/* How a request came to its end. */
struct krl_http_result {
	long status;			/* 0: there was no answer, or not the head of one */
	const char *error;		/* why the answer did not come to its end; NULL: it did */
	unsigned int retry_after_s;	/* of the server; 0: it said nothing */
};

struct krl_http_calls {
	/* There is an answer, with @status. As in body(), no request may be begun or cancelled. */
	void (*head)(void *arg, long status);
	/* The next @len bytes of the body of an answer with @status. False ends the request, with an error. */
	bool (*body)(void *arg, long status, const char *bytes, size_t len);
	/* The request is over, and gone when this returns. It may begin others, and cancel them. */
	void (*done)(void *arg, const struct krl_http_result *result);
};

struct krl_http_get {
	const char *path;	/* with its query */
	const char *accept;	/* media types; NULL: JSON as it is */
	unsigned int limit_s;	/* how long it may take in all */
	unsigned int silence_s;	/* without a byte, after which it is given up; 0: any */
	bool fresh;		/* on a connection of its own, since others may be dead */
};

/* @config stays the caller's, and as it is until krl_http_close(). 0, or -ENOMEM. */
int krl_http_open(uv_loop_t *loop, const struct krl_k8s_config *config, struct krl_http **ret);

/* Cancels what is under way. Accepts NULL. */
void krl_http_close(struct krl_http *http);

/* Ask. The credentials are those of now. 0 and a request that is the callee's until done() was called or it is
 * cancelled; or -errno with a line in @ret_error. */
int krl_http_get(struct krl_http *http, const struct krl_http_get *get, const struct krl_http_calls *calls, void *arg,
		 struct krl_http_request **ret, char ret_error[KRL_K8S_ERROR_BYTES]);

/* What a request has beyond its path: it writes then. */
struct krl_http_body {
	const char *method;	/* "POST", "PATCH" */
	const char *type;	/* its media type */
	const char *text;
};

/* The same with a @body, which is copied. */
int krl_http_send(struct krl_http *http, const struct krl_http_get *get, const struct krl_http_body *body,
		  const struct krl_http_calls *calls, void *arg, struct krl_http_request **ret,
		  char ret_error[KRL_K8S_ERROR_BYTES]);

/* Give up: nothing of @request is called any more. Accepts NULL. */
void krl_http_cancel(struct krl_http_request *request);

#endif
