// SPDX-License-Identifier: Apache-2.0
/* Which rules count, and whose buckets, must not depend on how a stream is cut: the first byte of the input
 * says where, the rest is the stream. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/policy.h"
#include "test/unit/match_walk.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))
#define HEADER(what, header, text)                                                                 \
	{ .field = KRL_FIELD_HEADER, .kind = KRL_PREDICATE_##what, .name = header, .value = text }
#define NOT_HEADER(what, header, text)                                                             \
	{ .field = KRL_FIELD_HEADER, .kind = KRL_PREDICATE_##what, .invert = true, .name = header, .value = text }
#define EACH_HEADER(header)                                                                        \
	{ .field = KRL_FIELD_HEADER, .kind = KRL_PREDICATE_PRESENT, .distinct = true, .name = header }
#define PATH(what, text) { .field = KRL_FIELD_PATH, .kind = KRL_PREDICATE_##what, .value = text }
#define EACH_PATH { .field = KRL_FIELD_PATH, .kind = KRL_PREDICATE_PRESENT, .distinct = true }
#define METHODS(bits) { .field = KRL_FIELD_METHOD, .kind = KRL_PREDICATE_METHODS, .methods = bits }
#define EACH_SOURCE                                                                                \
	{ .field = KRL_FIELD_SOURCE, .kind = KRL_PREDICATE_PRESENT, .distinct = true, .prefix_len = { 64, 128 } }
#define IPV4_SOURCE                                                                                \
	{ .field = KRL_FIELD_SOURCE, .kind = KRL_PREDICATE_CIDR, .addr = { [10] = 255, 255 },       \
	  .mask = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 } }

/* A rule for each, every second one in a group of which only the first tier counts; the group says which header
 * names the client. */
static const struct krl_selector selectors[] = {
	{ { HEADER(EXACT, "a", "b") }, 1 },
	{ { HEADER(PREFIX, "a", "b") }, 1 },
	{ { HEADER(EXACT, "x-user", "0123456789abcdef"), NOT_HEADER(PRESENT, "a", "") }, 2 },
	{ { NOT_HEADER(PREFIX, "connection", "close"), PATH(PATH_PREFIX, "/v1") }, 2 },
	{ { PATH(EXACT, "/v1/models"), METHODS(1 << KRL_METHOD_GET | 1 << KRL_METHOD_POST) }, 2 },
	{ { EACH_HEADER("x-user") }, 1 },
	{ { EACH_PATH, EACH_SOURCE }, 2 },
	{ { EACH_HEADER("a"), EACH_PATH, EACH_HEADER("x-user") }, 3 },
	{ { METHODS(1 << KRL_METHOD_OTHER) }, 1 },
	{ { PATH(PATH_PREFIX, "/"), IPV4_SOURCE }, 2 },
	{ { IPV4_SOURCE }, 1 },
	{ { EACH_SOURCE }, 1 },
};

static const struct krl_client_ip clients[] = { { "x-forwarded-for", 2 }, { "x-real-ip", 1 } };

static struct krl_policy policy;

/* Of all heads of a stream. */
struct seen {
	struct match_walk walk;
	uint64_t verdicts;
};

static void mix(uint64_t *verdicts, uint64_t word)
{
	*verdicts = (*verdicts ^ word) * KRL_NAME_HASH_STEP;
	*verdicts ^= *verdicts >> 31;
}

static void head(struct match_walk *walk)
{
	struct seen *seen = (struct seen *)walk;
	size_t i, tier;

	mix(&seen->verdicts, walk->match.rules);
	mix(&seen->verdicts, walk->match.ambiguous);
	for (i = 0; i <= COUNT(selectors); i++) {
		if (!(walk->match.rules >> i & 1))
			continue;
		tier = policy.tier_of[i];
		mix(&seen->verdicts, walk->match.descriptors[tier][0]);
		mix(&seen->verdicts, walk->match.descriptors[tier][1]);
	}
}

static void begin(struct seen *seen)
{
	static const __u8 source[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
	static const __u64 key[2] = { 1, 2 };

	match_walk_begin(&seen->walk, &policy, key, source);
	seen->walk.head = head;
	seen->verdicts = 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct krl_policy_builder *builder = krl_policy_builder_new();
	const char *what;
	size_t i;

	if (!builder)
		abort();
	for (i = 0; i < COUNT(selectors); i++) {
		krl_policy_client(builder, &clients[i % 2]);
		if (krl_policy_add(builder, i, i % 2, i % 2, &selectors[i], 1, &what))
			abort();
	}
	if (krl_policy_add(builder, i, 1, true, NULL, 0, &what))
		abort();
	krl_policy_finish(builder, &policy);
	krl_policy_builder_free(builder);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seen whole, cut;
	const char *stream = (const char *)data + 1;
	size_t at;

	if (size < 2)
		return 0;
	at = data[0] % size;
	size--;
	begin(&whole);
	match_walk_on(&whole.walk, stream, size, KRL_HTTP_WINDOW_BYTES);
	begin(&cut);
	match_walk_on(&cut.walk, stream, at, 1 + at % 9);
	match_walk_on(&cut.walk, stream + at, size - at, 1 + at % 23);
	if (whole.verdicts != cut.verdicts || whole.walk.heads != cut.walk.heads ||
	    whole.walk.begins != cut.walk.begins || whole.walk.event != cut.walk.event ||
	    memcmp(&whole.walk.http, &cut.walk.http, sizeof(cut.walk.http)))
		abort();
	return 0;
}
