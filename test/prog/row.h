/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps of one row, through which a test hands a program what it works on. */
#ifndef KMESH_RL_TEST_ROW_H
#define KMESH_RL_TEST_ROW_H

#include <bpf/bpf_helpers.h>

#define TEST_ROW(row, name)                                                                        \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(max_entries, 1);                                                            \
		__type(key, __u32);                                                                \
		__type(value, row);                                                                \
	} name SEC(".maps")

#endif
