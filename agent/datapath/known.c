// SPDX-License-Identifier: Apache-2.0
#include "known.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/base/vec.h"
#include "agent/policy/form.h"

static int compare(const void *a, const void *b)
{
	_Static_assert(!offsetof(struct krl_known_endpoint, key), "compare");

	return memcmp(a, b, sizeof(struct krl_endpoint_key));
}

struct krl_known_endpoint krl_known_of(const struct krl_endpoint_key *key, const struct krl_endpoint *value)
{
	__u32 count = value->rule_count < KRL_MAX_ENDPOINT_RULES ? value->rule_count : KRL_MAX_ENDPOINT_RULES;

	return (struct krl_known_endpoint){
		.key = *key,
		.flags = value->flags,
		.policy = value->policy,
		.digest = krl_content_key(value, offsetof(struct krl_endpoint, rules) + count * sizeof(*value->rules)),
	};
}

void krl_known_replace(struct krl_datapath *dp, struct krl_known_endpoint *next, size_t count)
{
	if (count)
		qsort(next, count, sizeof(*next), compare);
	free(dp->known);
	dp->known = next;
	dp->known_count = count;
	dp->knows = true;
}

int krl_known_read(struct krl_datapath *dp)
{
	int fd = bpf_map__fd(dp->skel->maps.krl_endpoints);
	struct krl_known_endpoint *found, *at;
	struct krl_endpoint value;
	size_t count = 0;
	__u32 i;

	if (dp->knows)
		return 0;
	found = calloc(KRL_MAX_ENDPOINTS, sizeof(*found));
	if (!found)
		return -ENOMEM;
	for (i = 0; i < KRL_MAX_ENDPOINTS; i++) {
		at = &found[count];
		if (bpf_map_get_next_key(fd, count ? &found[count - 1].key : NULL, &at->key))
			break;
		if (!bpf_map_lookup_elem(fd, &at->key, &value)) {
			struct krl_endpoint_key key = at->key;

			*at = krl_known_of(&key, &value);
		}
		count++;
	}
	krl_known_replace(dp, found, count);
	return 0;
}

void krl_known_doubt(struct krl_datapath *dp)
{
	dp->knows = false;
	/* Without memory, at the next pass; meanwhile it is about what was known. */
	krl_known_read(dp);
}

const struct krl_known_endpoint *krl_known_find(const struct krl_datapath *dp, const struct krl_endpoint_key *key)
{
	return dp->known_count ? bsearch(key, dp->known, dp->known_count, sizeof(*dp->known), compare) : NULL;
}
