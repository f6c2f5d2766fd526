// SPDX-License-Identifier: Apache-2.0
#include "complaints.h"

#include <string.h>

static bool has_line(const struct krl_diags *lines, const char *line)
{
	size_t i;

	for (i = 0; i < lines->count; i++)
		if (!strcmp(lines->lines[i], line))
			return true;
	return false;
}

void krl_log_lines(enum krl_log_level level, const char *msg, const struct krl_diags *lines, const struct krl_diags *said)
{
	size_t i;

	for (i = 0; i < lines->count; i++)
		if (!said || !has_line(said, lines->lines[i]))
			krl_log(level, msg, "at", "%s", lines->lines[i]);
}
