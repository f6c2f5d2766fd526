// SPDX-License-Identifier: Apache-2.0
#include "diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void krl_diags_add(struct krl_diags *diags, const char *file, size_t line, size_t column,
		   const char *fmt, ...)
{
	char text[1024], *full;
	va_list args;
	char **lines;
	int len;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	len = line ? asprintf(&full, "%s:%zu:%zu: %s", file, line, column, text)
		   : asprintf(&full, "%s: %s", file, text);
	if (len < 0)
		return;
	lines = realloc(diags->lines, (diags->count + 1) * sizeof(*lines));
	if (!lines) {
		free(full);
		return;
	}
	diags->lines = lines;
	diags->lines[diags->count++] = full;
}

void krl_diags_clear(struct krl_diags *diags)
{
	size_t i;

	for (i = 0; i < diags->count; i++)
		free(diags->lines[i]);
	free(diags->lines);
	*diags = (struct krl_diags){ 0 };
}
