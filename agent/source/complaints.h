/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KMESH_RL_SOURCE_COMPLAINTS_H
#define KMESH_RL_SOURCE_COMPLAINTS_H

#include "agent/base/log.h"
#include "agent/policy/diag.h"

/* Log those @lines that are not in @said already, which may be NULL. */
void krl_log_lines(enum krl_log_level level, const char *msg, const struct krl_diags *lines, const struct krl_diags *said);

#endif
