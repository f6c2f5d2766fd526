/* SPDX-License-Identifier: Apache-2.0 */
/* Removing pins, and with them what they hold, of whatever version. */
#ifndef KMESH_RL_DATAPATH_DROP_H
#define KMESH_RL_DATAPATH_DROP_H

#include <stdbool.h>

/* Is @name that of a pin of ours? */
bool krl_drop_is_ours(const char *name);

/* Take what is attached by the links below the directory @pins away, before it returns, and their pins. */
void krl_drop_links(const char *pins);

/* Take every link away, every socket out of its map, and every pin of ours. What is not ours stays. 0, or -errno, that of the
 * last pin that stayed. */
int krl_drop_pins(const char *pins);

#endif
