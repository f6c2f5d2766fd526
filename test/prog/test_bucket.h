/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What test/prog/bucket.bpf.c and test/prog/test_bucket.c share. */
#ifndef KRL_TEST_BUCKET_H
#define KRL_TEST_BUCKET_H

#include <kmesh_rl/abi.h>

enum test_bucket_clock {
	TEST_CLOCK_FROZEN,	/* clock_ns */
	TEST_CLOCK_REAL,	/* CLOCK_BOOTTIME */
	TEST_CLOCK_BACK,	/* from clock_ns on, 2 ns a take; 100 ns back every other 64 */
};

/* The row of `run`: one bucket and how to hammer it. */
struct test_bucket_run {
	struct krl_bucket bucket;
	struct krl_settings settings[2];
	__u64 clock_ns;
	__u32 clock;		/* enum test_bucket_clock */
	__u32 which;		/* of the settings */
	__u32 takes;		/* a run of take_many; below 2^23 */
	__u32 n;		/* tokens a take */
};

/* The row of `seen`, one a CPU. */
struct test_bucket_seen {
	__u64 admitted, refused;	/* takes */
	__u64 first_ns, last_ns;	/* least and greatest reading of the clock; 0: none yet */
	__s64 least, most;		/* tokens between takes */
};

#endif
