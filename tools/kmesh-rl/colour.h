/* SPDX-License-Identifier: Apache-2.0 */
/* Colours, on terminals alone, and not where NO_COLOR is set (no-color.org). */
#ifndef KMESH_RL_TOOL_COLOUR_H
#define KMESH_RL_TOOL_COLOUR_H

#include <stdbool.h>
#include <stdio.h>

enum krl_colour { KRL_COLOUR_NONE, KRL_COLOUR_TITLE, KRL_COLOUR_GOOD, KRL_COLOUR_WARN, KRL_COLOUR_BAD };

/* May what goes to @out have colours? */
bool krl_colour_wanted(FILE *out);

/* Of a word that says how something is: "ok", "False", "Unknown", ... */
enum krl_colour krl_colour_of(const char *word);

void krl_colour_print(FILE *out, enum krl_colour colour, const char *text);

#endif
