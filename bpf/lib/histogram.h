/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which bucket of a histogram a value is in: the last one has all that is beyond the others. */
#ifndef KMESH_RL_HISTOGRAM_H
#define KMESH_RL_HISTOGRAM_H

#include <kmesh_rl/histograms.h>

#include "compiler.h"

/* Tokens: up to 1, 4, 16, ... 67108864, as OpenTelemetry advises for gen_ai.client.token.usage. */
KRL_GLOBAL int krl_usage_bucket(__u64 tokens)
{
	int i;

	for (i = 0; i < KRL_USAGE_BUCKETS - 1; i++)
		if (tokens <= 1ULL << 2 * i)
			break;
	return i;
}

/* Nanoseconds: up to 256, 512, ... 2097152. */
#define KRL_LATENCY_FIRST 8

KRL_GLOBAL int krl_latency_bucket(__u64 ns)
{
	int i;

	for (i = 0; i < KRL_LATENCY_BUCKETS - 1; i++)
		if (ns <= 1ULL << (KRL_LATENCY_FIRST + i))
			break;
	return i;
}

#endif
