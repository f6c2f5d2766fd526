/* SPDX-License-Identifier: Apache-2.0 */
/* The accounts of one lease: what the kernel's bucket holds, how much of that is leased, and what to tell Redis. No I/O:
 * the caller does what it says. docs/cluster.md has the protocol. */
#ifndef KMESH_RL_CLUSTER_LEASE_H
#define KMESH_RL_CLUSTER_LEASE_H

#include <stdbool.h>

#include <linux/types.h>

struct krl_lease {
	bool known;		/* base says what is in the kernel */
	bool asked;		/* somebody took from it, or wanted to, since the last look */
	__s64 base;		/* tokens in the kernel, but for what was taken since the last look */
	__u64 leased;		/* ... of those, what Redis lent */
	__s64 left;		/* to all, in Redis, when it was last asked; below zero in debt */
	__u64 elsewhere;	/* leased to others then */
	__u64 others;		/* wanted by others then, who did not get it */
	__u64 rate;		/* tokens that are used from look to look, as far as it is known */
	__u64 need;		/* the most that somebody was refused since the last look */
	__u64 unit;		/* ... and ever: what one request needs */
	unsigned int hungry;	/* looks for which the last refusal counts */
	unsigned int idle;	/* looks since the last request */
	__u64 lost;		/* lent, and never put into the kernel: told as spent */
	__u64 owed;		/* debt that was told, and nobody knows whether it was heard: told again */
	__u64 lacks;		/* what a reservation was refused, and nothing was taken since */
	bool served;		/* a reservation was there, and it has not let others go first since */
	unsigned int patience;	/* looks until it gives way */
	bool yields;		/* since the last look: it gives all back, and wants none */
	__u64 due_ns;		/* no exchange before this, CLOCK_BOOTTIME */
	__u64 again_ns;		/* an exchange then, though nobody asks; 0: none */
	__u64 fill_ns;		/* the next fill, CLOCK_BOOTTIME; 0: not known */
	bool full;		/* it has no room for all while any are leased */
};

/* What a look at the kernel's bucket found. */
struct krl_lease_seen {
	__s64 tokens;
	bool endless;		/* it holds nothing that is leased */
	bool over;
	bool fills, filled;	/* the bucket fills soon; it has, since the last answer */
	unsigned int drawn;	/* at random */
};

/* What to tell Redis. */
struct krl_lease_report {
	__u64 used, back, want;
	__u64 least;	/* of what is wanted, what is of use */
	__s64 debt;
};

/* What an exchange was answered. */
struct krl_lease_answer {
	__u64 wanted, granted;
	__u64 out, others;	/* leased to all; wanted by others */
	__s64 left;
	bool waits;		/* nothing is lent for a time, whatever there is */
	bool full;		/* the next fill has no room for all while any are leased */
	__u64 now_ns, fill_ns;	/* CLOCK_BOOTTIME */
};

/* Somebody took from it, or was refused @need tokens, if that is not 0. */
void krl_lease_asked(struct krl_lease *l, __u64 need);

/* Begin the account of a bucket that was found as @seen, of a rule with @credit. Returns how many tokens have to be taken
 * out of it first: those of an agent before, or of the time without Redis. */
__u64 krl_lease_begin(struct krl_lease *l, const struct krl_lease_seen *seen, __u64 credit);

/* Account what was taken since. Returns how many tokens are to be taken out: of a lease that is over, that nobody uses, or
 * that is far more than is used. */
__u64 krl_lease_look(struct krl_lease *l, const struct krl_lease_seen *seen, struct krl_lease_report *ret);

/* @out of them were taken out, in all. */
void krl_lease_taken_out(struct krl_lease *l, __u64 asked, __u64 out, bool over, struct krl_lease_report *ret);

/* What it wants, with @max tokens in the whole bucket. */
void krl_lease_want(struct krl_lease *l, __u64 max, __u64 credit, struct krl_lease_report *ret);

/* What was told, and wanted, came to @answer. */
void krl_lease_answered(struct krl_lease *l, const struct krl_lease_answer *answer);

/* Is there anything to tell, or to ask for? */
bool krl_lease_is_due(const struct krl_lease *l, __u64 now_ns);

/* A tick in which it was not due. Returns whether to forget it. */
bool krl_lease_rests(struct krl_lease *l);

/* @granted were put into the kernel; @credit that is not leased. */
void krl_lease_granted(struct krl_lease *l, __u64 granted, __u64 credit);

#endif
