// SPDX-License-Identifier: Apache-2.0
/* What Accept says, which the text's end is never read past; and a value that clients chose, of which whatever is written is
 * one line of UTF-8 that reads back. The input is both. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/metrics/exposition.h"

/* The end of the value that begins at @at, in quotes: nothing in it ends the line, and '\' is before itself, '"' and n. */
static const char *value_end(const char *at, const char *end)
{
	for (; at < end && *at != '"'; at++) {
		if (*at == '\n')
			abort();
		if (*at == '\\' && (++at == end || !strchr("\\\"n", *at)))
			abort();
	}
	if (at == end)
		abort();
	return at;
}

static void check_value(const char *value)
{
	const struct krl_metrics_label labels[] = { { "v", value }, { NULL, NULL } };
	struct krl_exposition e = { 0 };
	char cut[KRL_EXPOSITION_CUT_BYTES + 1];
	const char *at;

	krl_exposition_begin(&e, KRL_METRIC_READY);
	krl_exposition_count(&e, labels, 7);
	at = memmem(e.text, e.len, "{v=\"", 4);
	if (!at)
		abort();
	at = value_end(at + 4, e.text + e.len);
	if (e.text + e.len - at != 5 || memcmp(at, "\"} 7\n", 5))
		abort();
	free(e.text);
	krl_exposition_cut(value, cut);
	if (strncmp(cut, value, strlen(cut)) || (strlen(value) > KRL_EXPOSITION_CUT_BYTES && strlen(cut) < KRL_EXPOSITION_CUT_BYTES - 3))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (krl_exposition_negotiate(text) >= KRL_EXPOSITION_FORMATS)
		abort();
	check_value(text);
	free(text);
	return 0;
}
