/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's control socket: newline-delimited JSON over a unix stream socket, on the agent's loop.
 *
 * A request is {"method": NAME}, or {"method": NAME, "params": {...}} of a method that takes some, its
 * answer {"result": ...} or {"error": TEXT}, each on one line. A client may send one request after
 * another. Requests of one client are answered in order, and the next is read when the last answer has
 * left, so a client that does not read costs one answer's memory.
 */
#ifndef KMESH_RL_CONTROL_SERVER_H
#define KMESH_RL_CONTROL_SERVER_H

#include <jansson.h>
#include <uv.h>

enum {
	KRL_CONTROL_CLIENTS = 16,		/* at once; further ones get an error and are closed */
	KRL_CONTROL_REQUEST_BYTES = 4096,	/* longest line; its sender is closed */
	KRL_CONTROL_IDLE_MS = 10000,		/* for one request or to read one answer; then closed */
	KRL_CONTROL_ERROR_BYTES = 256,
};

/* Answer a request. @params: the object that came with it, NULL: none. Returns 0 and a value that the
 * caller releases, or -errno with @ret_error set to a line for people. Runs on the loop: it must not
 * wait. */
typedef int (*krl_control_fn)(void *ctx, const json_t *params, json_t **ret_result,
			      char ret_error[KRL_CONTROL_ERROR_BYTES]);

/* An answer that comes later. */
struct krl_control_later;

/* The same where that is not known at once: 0, and krl_control_answer() is called with @later; or as above. */
typedef int (*krl_control_begin_fn)(void *ctx, const json_t *params, struct krl_control_later *later,
				    char ret_error[KRL_CONTROL_ERROR_BYTES]);

/* Answer with @result, which is taken over, or where that is NULL with @error. Once, from the loop, be the client still there or not,
 * and after krl_control_stop() too. */
void krl_control_answer(struct krl_control_later *later, json_t *result, const char *error);

struct krl_control_method {
	const char *name;	/* NULL ends the table */
	krl_control_fn answer;	/* NULL: */
	krl_control_begin_fn begin;
};

struct krl_control_options {
	const char *path;				/* of the socket */
	const struct krl_control_method *methods;	/* outlives the server */
	void *ctx;					/* for each method */
	unsigned int idle_ms;				/* 0: KRL_CONTROL_IDLE_MS */
};

struct krl_control;

/* Listen on @options->path, for the same user only (mode 0600). Its directory is made when missing
 * (0755), a socket that nobody answers on is replaced. The process ignores SIGPIPE from here on.
 * Returns 0, or -EADDRINUSE (another agent answers), -EEXIST (not a socket), -ENAMETOOLONG, -EACCES,
 * -ENOMEM or what the system said. */
int krl_control_start(uv_loop_t *loop, const struct krl_control_options *options,
		      struct krl_control **ret);

/* Close the socket, its clients and its name. The memory is released by the loop, which must run once
 * more. Accepts NULL. */
void krl_control_stop(struct krl_control *control);

#endif
