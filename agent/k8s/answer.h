/* SPDX-License-Identifier: Apache-2.0 */
/* What the API server answers, as far as every resource has it. */
#ifndef KMESH_RL_K8S_ANSWER_H
#define KMESH_RL_K8S_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#define KRL_STATUS_TEXT_BYTES 256

/* The text at @key of @object's metadata; "" where there is none. Valid as long as @object. */
const char *krl_answer_meta(const json_t *object, const char *key);

/* A page of a list: a list of items, or null, and metadata. NULL: that is not what the @len bytes at @bytes are. */
json_t *krl_answer_page(const char *bytes, size_t len);

/* A line of a watch. */
struct krl_watch_event {
	json_t *root;		/* to be let go of; the others are in it */
	const char *type;
	const json_t *object;
};

/* False: that is not what the @len bytes at @line are. */
bool krl_answer_event(const char *line, size_t len, struct krl_watch_event *ret);

/* What a Status object says went wrong (meta/v1, Status). */
struct krl_status {
	long code;
	unsigned int retry_after_s;
	char text[KRL_STATUS_TEXT_BYTES];
};

/* Of something else than a Status, what there is. */
void krl_answer_status(const json_t *object, struct krl_status *ret);

#endif
