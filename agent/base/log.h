/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines on stderr, as logfmt or JSON, one a call. */
#ifndef KMESH_RL_LOG_H
#define KMESH_RL_LOG_H

#include <stdbool.h>

enum krl_log_level { KRL_LOG_ERROR, KRL_LOG_WARN, KRL_LOG_INFO, KRL_LOG_DEBUG };
enum krl_log_format { KRL_LOG_LOGFMT, KRL_LOG_JSON };

/* Lines below @level are not written. */
void krl_log_configure(enum krl_log_level level, enum krl_log_format format);

/* 0 with *ret set, or -EINVAL. */
int krl_log_level_parse(const char *text, enum krl_log_level *ret);
int krl_log_format_parse(const char *text, enum krl_log_format *ret);

/* @msg, then pairs of a key and a format with its arguments: ("rule added", "rule", "%s", name).
 * One pair at most; more belong into the value's format. @key may be NULL. */
void krl_log(enum krl_log_level level, const char *msg, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#define krl_log_error(msg, key, ...) krl_log(KRL_LOG_ERROR, msg, key, __VA_ARGS__)
#define krl_log_warn(msg, key, ...) krl_log(KRL_LOG_WARN, msg, key, __VA_ARGS__)
#define krl_log_info(msg, key, ...) krl_log(KRL_LOG_INFO, msg, key, __VA_ARGS__)
#define krl_log_debug(msg, key, ...) krl_log(KRL_LOG_DEBUG, msg, key, __VA_ARGS__)

#endif
