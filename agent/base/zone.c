// SPDX-License-Identifier: Apache-2.0
#include "zone.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "zone_rule.h"

#define DATABASE "/usr/share/zoneinfo"
#define NAME_BYTES 64
#define FILE_BYTES (64 << 10)	/* many times what any zone has */
#define RULE_BYTES 128
#define DAY_S 86400

/* RFC 9636, 3.2: wall clocks are less than 26 hours ahead of UTC, and less than 25 behind. */
#define MIN_OFFSET_S (-25 * 3600 + 1)
#define MAX_OFFSET_S (26 * 3600 - 1)

struct change {
	int64_t at;
	int32_t offset_s;	/* from then on */
};

struct krl_zone {
	int32_t first_offset_s;	/* before any change */
	bool has_rule;
	struct krl_zone_rule rule;	/* from the last change on */
	size_t count;
	struct change changes[];
};

/* The header of a block and where its parts begin, RFC 9636, 3.1 and 3.2. */
struct block {
	const unsigned char *times, *types, *local_types, *end;
	size_t time_count, type_count, leap_count;
};

#define HEADER_BYTES 44
#define LOCAL_TYPE_BYTES 6

static uint64_t read_big_endian(const unsigned char *at, size_t bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | *at++;
	return value;
}

/* The block at @at, whose times have @time_bytes each. False: it has not room up to @end. */
static bool read_block(const unsigned char *at, const unsigned char *end, size_t time_bytes, struct block *ret)
{
	size_t counts[6], i, bytes;

	if (end - at < HEADER_BYTES || memcmp(at, "TZif", 4) || at[4] < '2')
		return false;
	for (i = 0; i < 6; i++) {
		counts[i] = read_big_endian(at + 20 + 4 * i, 4);
		if (counts[i] > FILE_BYTES)
			return false;
	}
	/* In the order of the file: UT and standard indicators, leap seconds, changes, types, letters. */
	bytes = counts[3] * (time_bytes + 1) + counts[4] * LOCAL_TYPE_BYTES + counts[5] +
		counts[2] * (time_bytes + 4) + counts[1] + counts[0];
	if (bytes > (size_t)(end - at) - HEADER_BYTES)
		return false;
	ret->times = at + HEADER_BYTES;
	ret->types = ret->times + counts[3] * time_bytes;
	ret->local_types = ret->types + counts[3];
	ret->end = at + HEADER_BYTES + bytes;
	ret->leap_count = counts[2];
	ret->time_count = counts[3];
	ret->type_count = counts[4];
	return true;
}

/* "\nTZ STRING\n", which may be empty. */
static int read_footer(const unsigned char *at, const unsigned char *end, struct krl_zone *zone)
{
	const unsigned char *newline;
	char text[RULE_BYTES];
	size_t len;

	if (at == end || *at++ != '\n')
		return -EINVAL;
	newline = memchr(at, '\n', end - at);
	len = newline ? newline - at : RULE_BYTES;
	if (len >= RULE_BYTES)
		return -EINVAL;
	memcpy(text, at, len);
	text[len] = '\0';
	zone->has_rule = len;
	return len ? krl_zone_rule_parse(text, &zone->rule) : 0;
}

static int read_offset(const struct block *block, size_t type, int32_t *ret_s)
{
	if (type >= block->type_count)
		return -EINVAL;
	*ret_s = (int32_t)read_big_endian(block->local_types + type * LOCAL_TYPE_BYTES, 4);
	return *ret_s < MIN_OFFSET_S || *ret_s > MAX_OFFSET_S ? -EINVAL : 0;
}

static int read_changes(const struct block *block, struct krl_zone *zone)
{
	struct change *change;
	int err;
	size_t i;

	err = read_offset(block, 0, &zone->first_offset_s);
	for (i = 0; i < block->time_count && !err; i++) {
		change = &zone->changes[i];
		change->at = (int64_t)read_big_endian(block->times + 8 * i, 8);
		err = read_offset(block, block->types[i], &change->offset_s);
		if (i && change->at <= change[-1].at)
			err = -EINVAL;
	}
	return err;
}

int krl_zone_parse(const void *bytes, size_t len, struct krl_zone **ret)
{
	const unsigned char *end = (const unsigned char *)bytes + len;
	struct krl_zone *zone;
	struct block block;
	int err;

	/* The first block has times of 32 bits, and is for older readers. A zone with leap seconds counts in another
	 * time than the kernel's clock. */
	if (!read_block(bytes, end, 4, &block) || !read_block(block.end, end, 8, &block) || block.leap_count)
		return -EINVAL;
	zone = calloc(1, sizeof(*zone) + block.time_count * sizeof(*zone->changes));
	if (!zone)
		return -ENOMEM;
	zone->count = block.time_count;
	err = read_changes(&block, zone);
	if (!err)
		err = read_footer(block.end, end, zone);
	if (err)
		krl_zone_free(zone);
	else
		*ret = zone;
	return err;
}

void krl_zone_free(struct krl_zone *zone)
{
	free(zone);
}

/* Nothing that leads out of the database: letters, digits, '_', '-', '+' and single slashes between. */
static bool is_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+/");

	return len && len < NAME_BYTES && !name[len] && *name != '/' && name[len - 1] != '/' && !strstr(name, "//");
}

int krl_zone_open(const char *name, struct krl_zone **ret)
{
	char path[sizeof(DATABASE) + NAME_BYTES];
	unsigned char *bytes;
	size_t len = 0;
	FILE *file;
	int err;

	if (!strcmp(name, "UTC")) {
		*ret = NULL;
		return 0;
	}
	if (!is_name(name))
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/%s", DATABASE, name);
	file = fopen(path, "re");
	if (!file)
		return access(DATABASE, F_OK) ? -ENODATA : -ENOENT;
	bytes = malloc(FILE_BYTES);
	if (bytes)
		len = fread(bytes, 1, FILE_BYTES, file);
	fclose(file);
	err = bytes ? krl_zone_parse(bytes, len, ret) : -ENOMEM;
	free(bytes);
	return err == -EINVAL ? -ENOENT : err;
}

int32_t krl_zone_offset(const struct krl_zone *zone, int64_t t, int64_t *ret_until)
{
	size_t low = 0, high, at;

	*ret_until = KRL_ZONE_NEVER;
	if (!zone)
		return 0;
	/* How many changes there have been. */
	for (high = zone->count; low < high;) {
		at = low + (high - low) / 2;
		if (zone->changes[at].at <= t)
			low = at + 1;
		else
			high = at;
	}
	if (low == zone->count && zone->has_rule)
		return krl_zone_rule_offset(&zone->rule, t, ret_until);
	if (low < zone->count)
		*ret_until = zone->changes[low].at;
	return low ? zone->changes[low - 1].offset_s : zone->first_offset_s;
}

int64_t krl_zone_first(const struct krl_zone *zone, int64_t local)
{
	/* No wall clock is that far ahead. */
	int64_t t = local - 2 * DAY_S, found, until;

	for (;; t = until) {
		found = local - krl_zone_offset(zone, t, &until);
		if (found < t)
			found = t;
		if (found < until)
			return found;
	}
}
