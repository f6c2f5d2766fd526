// SPDX-License-Identifier: Apache-2.0
/* Text of others, converted: what comes out must be documents that the agent reads, as many as the answer
 * promises, and what is said must be lines that a terminal can show. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/decode.h"
#include "tools/kmesh-rl/convert/convert.h"

/* The agent refuses nothing of @out but fields that it has no support for yet. */
static void check_documents(const char *out, size_t len)
{
	struct krl_decoded_file file = { 0 };
	struct krl_diags diags = { 0 };

	/* Many services with many rules can become more than the agent reads as one file. */
	if (len > KRL_MAX_FILE_BYTES)
		return;
	if (krl_decode("out", out, len, &file, &diags) || file.cut || !file.count || diags.ignored)
		abort();
	if (diags.count)
		abort();
	krl_decoded_file_clear(&file);
	krl_diags_clear(&diags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t out_len, err_len, i;
	char *out, *err;
	FILE *streams[2] = { open_memstream(&out, &out_len), open_memstream(&err, &err_len) };
	int ret;

	if (!streams[0] || !streams[1])
		abort();
	ret = krl_convert((const char *)data, size, "in", streams[0], streams[1]);
	fclose(streams[0]);
	fclose(streams[1]);
	if (!ret)
		check_documents(out, out_len);
	else if (ret != -ENOENT || out_len || !err_len)
		abort();
	for (i = 0; i < err_len; i++)
		if ((uint8_t)err[i] < ' ' && err[i] != '\n')
			abort();
	free(out);
	free(err);
	return 0;
}
