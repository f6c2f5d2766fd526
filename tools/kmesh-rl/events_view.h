/* SPDX-License-Identifier: Apache-2.0 */
/* Showing events of limited requests, as krl_events_select() has them. */
#ifndef KMESH_RL_TOOL_EVENTS_VIEW_H
#define KMESH_RL_TOOL_EVENTS_VIEW_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

/* A table of @items; @wide: with more columns. 0, or -ENOMEM. */
int krl_events_print(const json_t *items, bool wide, FILE *out);

/* The rows of a table that goes on, whose columns have the same width whenever they come; with @titled the title is there already.
 * 0, or -ENOMEM. */
int krl_events_print_on(const json_t *items, bool wide, bool titled, FILE *out);

/* Each of @items on a line of its own. 0, or -ENOMEM. */
int krl_events_print_lines(const json_t *items, FILE *out);

/* A table of @items, which are of one RateLimit, below a headline. 0, or -ENOMEM. */
int krl_events_print_below(const json_t *items, FILE *out);

#endif
