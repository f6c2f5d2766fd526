/* SPDX-License-Identifier: Apache-2.0 */
/* YAML before it is a tree: what is refused of it, and where it cannot be read. */
#ifndef KMESH_RL_YAML_STREAM_H
#define KMESH_RL_YAML_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#include "diag.h"

#define KRL_YAML_MAX_DEPTH 64

/* What no document of ours has, and what makes a small file cost libyaml a lot: anchors and aliases, and
 * deep nesting, which it takes quadratic time for. Both are refused before the tree is built. Returns
 * true when there is neither, or when the text cannot be read at all, which the next pass explains. */
bool krl_yaml_check(const char *file, const char *text, size_t len, struct krl_diags *diags);

/* Say why @parser, which has failed, could not read @text. libyaml has no line for bytes that it cannot
 * read as text, only their offset. */
void krl_yaml_complain(const char *file, const char *text, const yaml_parser_t *parser,
		       struct krl_diags *diags);

#endif
