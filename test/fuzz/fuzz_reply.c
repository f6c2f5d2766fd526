// SPDX-License-Identifier: Apache-2.0
/* Behind which lines of the server's answers the fields are put must not depend on how they are cut, nor on what
 * the kernel takes of a message; a reader of the whole stream says which lines that are. The first four bytes of
 * the input say how many requests wait, which of them are HEAD, and how the rest, the stream, is written. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/reply_model.h"
#include "test/unit/reply_walk.h"

#define MAX_BYTES 4096

/* Messages of @size bytes, that can be read in pieces of @window; of each the kernel leaves up to @left. */
static void check(const struct reply_model *model, const uint8_t *stream, size_t len, unsigned int asked,
		  uint64_t heads, size_t size, size_t window, size_t left)
{
	static struct reply_walk walk;
	size_t shown = 0, n;
	char *message;

	reply_walk_begin(&walk, -(__u32)size);
	krl_reply_expect(&walk.reply, asked, heads);
	while (walk.at < len) {
		n = size < len - walk.at ? size : len - walk.at;
		if (walk.unseen && n > shown - walk.at)
			n = shown - walk.at;
		if (!walk.unseen && walk.at + n > shown)
			shown = walk.at + n;
		message = malloc(n);
		if (!message)
			abort();
		memcpy(message, stream + walk.at, n);
		reply_walk_write(&walk, message, n, window, left < n ? left : n - 1);
		free(message);
	}
	if (walk.mark_count != model->mark_count ||
	    memcmp(walk.marks, model->marks, model->mark_count * sizeof(*model->marks)))
		abort();
	if (model->lost != (walk.reply.state == KRL_REPLY_LOST) && (model->lost || model->at == model->end))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct reply_model model;
	unsigned int asked;
	uint64_t heads;

	if (size < 4 || size > MAX_BYTES)
		return 0;
	asked = data[0] % 65;
	heads = data[1] * 0x0101010101010101ULL;
	reply_model_read(&model, (const char *)data + 4, size - 4, asked, heads);
	check(&model, data + 4, size - 4, asked, heads, MAX_BYTES, MAX_BYTES, 0);
	check(&model, data + 4, size - 4, asked, heads, 1 + data[2], 1 + data[3] % 32, 0);
	check(&model, data + 4, size - 4, asked, heads, 1 + data[2], MAX_BYTES, data[3]);
	return 0;
}
