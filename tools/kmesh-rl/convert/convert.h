/* SPDX-License-Identifier: Apache-2.0 */
/* Rate limits of other systems as RateLimit documents. */
#ifndef KMESH_RL_TOOL_CONVERT_H
#define KMESH_RL_TOOL_CONVERT_H

#include <stddef.h>
#include <stdio.h>

/* Convert the @len bytes at @text, called @name in what is said about them: YAML documents of Envoy
 * Gateway, Istio and the rate limit service of Envoy, or limits strings where the text is no YAML
 * mapping or list. RateLimit documents, separated by ---, go to @out, and to @err one line for each
 * thing that they do not say. Returns 0 when something was converted, -ENOENT when nothing was,
 * which a line explains, or -ENOMEM, what is in @out is not whole then. */
int krl_convert(const char *text, size_t len, const char *name, FILE *out, FILE *err);

#endif
