// SPDX-License-Identifier: Apache-2.0
#include "backoff.h"

unsigned int krl_backoff_ms(unsigned int failures, unsigned int retry_after_s, uint32_t random)
{
	unsigned int longest = KRL_BACKOFF_FIRST_MS, asked_ms, wait_ms;

	for (; failures > 1 && longest < KRL_BACKOFF_MAX_MS; failures--)
		longest *= 2;
	if (longest > KRL_BACKOFF_MAX_MS)
		longest = KRL_BACKOFF_MAX_MS;
	wait_ms = longest / 2 + (uint64_t)random * (longest - longest / 2) / UINT32_MAX;
	if (!retry_after_s)
		return wait_ms;
	asked_ms = (retry_after_s < KRL_RETRY_AFTER_MAX_S ? retry_after_s : KRL_RETRY_AFTER_MAX_S) * 1000;
	/* Those who were told the same time are spread behind it. */
	return wait_ms > asked_ms ? wait_ms : asked_ms + (uint64_t)random * KRL_BACKOFF_FIRST_MS / UINT32_MAX;
}
