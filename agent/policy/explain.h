/* SPDX-License-Identifier: Apache-2.0 */
/* Why a request meets the selectors of a rule, or does not, in words. No I/O. */
#ifndef KMESH_RL_EXPLAIN_H
#define KMESH_RL_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/lib/path.h"
#include "model.h"
#include "pod.h"

/* Not NUL-terminated. */
struct krl_asked_header {
	const char *name, *value;	/* the value without white space around it */
	size_t name_len, value_len;
};

/* A request that is asked about. */
struct krl_asked {
	const char *method;
	char path[KRL_PATH_KEPT + 1];	/* in its normal form */
	size_t path_len;
	bool path_long;			/* there is more of it */
	struct krl_asked_header *headers;
	size_t header_count;
	struct krl_asked_header *models;	/* what it says the model is, in the order in which it does */
	size_t model_count;
	__u8 source[16];		/* IPv4 as ::ffff:a.b.c.d */
	const struct krl_pod *pod;	/* that asks; NULL: none that is known */
};

/* Text that grows, NULL at first; the caller frees it. 0, or -ENOMEM, and *@text is as before. */
int krl_explain_say(char **text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The number of the first selector of @rule that @asked meets, 0 for a rule without any. -1: it
 * meets none. */
int krl_explain_meets(const struct krl_asked *asked, const struct krl_rule_spec *rule);

/* Append to *@text, of each selector of @rule, which none is met of, the first condition that does
 * not hold. 0, or -ENOMEM. */
int krl_explain_fails(const struct krl_asked *asked, const struct krl_rule_spec *rule, char **text);

/* Append to *@text the value of @field by which it picks a bucket, as NAME=VALUE. 0, or -ENOMEM. */
int krl_explain_value(const struct krl_asked *asked, const struct krl_policy_field *field,
		      char **text);

/* Append to *@text the values that @kept has, as the one above; those that could be taken for something else
 * in quotes. 0, or -ENOMEM. */
int krl_explain_kept(const struct krl_kept *kept, char **text);

/* Append to *@text whom @selector is about: `header x-user-type = "premium", header x-user-id distinct`. 0, or
 * -ENOMEM. */
int krl_explain_selector(const struct krl_selector *selector, char **text);

/* By enum krl_method; that of KRL_METHOD_OTHER is NULL. */
extern const char *const krl_explain_methods[];

#define KRL_ADDRESS_TEXT_BYTES 64

/* The first @bits of @addr, 0 to 128: "10.0.0.0/8", "2001:db8::1". */
void krl_explain_address(const __u8 addr[16], unsigned int bits, char ret[KRL_ADDRESS_TEXT_BYTES]);

#define KRL_ENDPOINT_BYTES 80

/* "10.0.0.1:80", "[::1]:80". */
void krl_explain_endpoint(const struct krl_endpoint_key *key, char ret[KRL_ENDPOINT_BYTES]);

#endif
