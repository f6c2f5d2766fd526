/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody may have meant who wrote a name that is not known. */
#ifndef KMESH_RL_NEAREST_H
#define KMESH_RL_NEAREST_H

/* The nearer of @best (NULL: none yet) and @candidate to what was @typed, or NULL when neither is near
 * enough to be a slip of the finger: begun with it, or a few letters added, left out, replaced or
 * swapped. The case of letters does not matter. */
const char *krl_nearer(const char *typed, const char *best, const char *candidate);

#endif
