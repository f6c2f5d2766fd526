/* SPDX-License-Identifier: Apache-2.0 */
/* Which headers carry what lets somebody in. No I/O. */
#ifndef KMESH_RL_SECRET_H
#define KMESH_RL_SECRET_H

#include <stdbool.h>

/* May values of the header @name, in lower case, be secrets? Judged by what such headers are called, rather once
 * too often: values of these are not kept for display. */
bool krl_header_is_secret(const char *name);

#endif
