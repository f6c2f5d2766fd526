/* SPDX-License-Identifier: Apache-2.0 */
/* Which rules a request would meet: decided by the code that decides in the kernel, which gets a
 * head that is built of what is asked; explained from the selectors. No I/O. */
#ifndef KMESH_RL_CHECK_H
#define KMESH_RL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"
#include "pod.h"

struct krl_check_request;

struct krl_check_question {
	const char *method;
	const char *target;		/* path and query, or any other form of RFC 9112, 3.2 */
	const char *const *headers;	/* "name: value" each */
	size_t header_count;
	const char *model;		/* in the body, where no header names it; NULL: none */
	__u8 source[16];		/* the client's address, IPv4 as ::ffff:a.b.c.d */
	const struct krl_pod *pod;	/* that it is; NULL: none that is known */
	int64_t now_s;			/* when it comes, in seconds since 1970 */
};

/* The request, which the caller frees with krl_check_free(); @question must stay. 0, -ENOMEM, or
 * -EINVAL for what is answered with 400: @ret_line is where then, 0 the request line, then each
 * header, then all together. */
int krl_check_request(const struct krl_check_question *question, struct krl_check_request **ret,
		      size_t *ret_line);
void krl_check_free(struct krl_check_request *request);

/* What becomes of one rule. */
struct krl_check_verdict {
	bool counts;		/* as the kernel says */
	unsigned int tier;	/* from 1; 0 where all that match count, and for a rule that is not there */
	__u64 descriptor[2];	/* of its bucket, as in krl_bucket_key */
	char *why;		/* as the selectors, the schedule or count say */
	char *bucket;		/* "x-user=alice"; NULL: one for all, or it does not count */
};

/* A verdict on each rule of @target of @limit, with @key as krl_config.hash_key; the caller clears
 * them. @shared is the policy of the endpoint, where other RateLimits may hide values; NULL: none. 0, -ENOMEM, or -ENOSPC with @ret_what set to what there is too much of. */
int krl_check_target(const struct krl_check_request *request, const struct krl_rate_limit *limit,
		     const struct krl_target *target, const struct krl_policy *shared,
		     const __u64 key[2], struct krl_check_verdict ret[KRL_MAX_ENDPOINT_RULES], const char **ret_what);
void krl_check_verdict_clear(struct krl_check_verdict *verdict);

/* Is there a value twice, or too long, that picks a bucket in @policy? With failurePolicy Closed
 * the kernel answers 400 then. */
bool krl_check_ambiguous(const struct krl_check_request *request, const struct krl_policy *policy);

#endif
