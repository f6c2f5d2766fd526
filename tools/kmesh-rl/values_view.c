// SPDX-License-Identifier: Apache-2.0
#include "values_view.h"

#include <stdlib.h>
#include <string.h>

#include "agent/policy/diag.h"
#include "agent/policy/explain.h"

json_t *krl_view_text(const char *text)
{
	char *copy = strdup(text);
	json_t *value;

	if (!copy)
		return NULL;
	krl_make_printable(copy);
	value = json_string(copy);
	free(copy);
	return value;
}

json_t *krl_view_values(const struct krl_kept *kept, const __u64 descriptor[2])
{
	char *text = NULL;
	json_t *value;
	int err = 0;

	if (kept)
		err = krl_explain_kept(kept, &text);
	else if (descriptor[0] || descriptor[1])
		err = krl_explain_say(&text, "#%08x", (__u32)descriptor[0]);
	value = err ? NULL : json_string(text ? text : "");
	free(text);
	return value;
}
