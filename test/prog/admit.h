/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What test/prog/admit.bpf.c and test/bench/steps.c share. */
#ifndef KRL_TEST_ADMIT_H
#define KRL_TEST_ADMIT_H

#include <linux/types.h>

enum test_admit_whose {
	TEST_ADMIT_NEXT,	/* a value that was not there: next */
	TEST_ADMIT_ONE,		/* always the same */
	TEST_ADMIT_ANY,		/* any of those up to next */
};

/* The row of `run`. */
struct test_admit_run {
	__u64 next;		/* values that were there */
	__u64 random;
	__u64 refused;
	__u32 whose;		/* enum test_admit_whose */
	__u32 takes;		/* of one run of the program */
};

#endif
