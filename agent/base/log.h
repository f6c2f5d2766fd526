/* SPDX-License-Identifier: Apache-2.0 */
/* One line per event on stderr:
 *
 *	krl_log_info("limits in force", "rules", "%zu", rules, "source", "%s", path);
 *	time=2026-01-02T03:04:05.678Z level=info msg="limits in force" rules=3 source=/etc/kmesh-rl
 *
 * After the message come a key, a printf format and its arguments, as often as needed.
 */
#ifndef KMESH_RL_LOG_H
#define KMESH_RL_LOG_H

enum krl_log_level { KRL_LOG_ERROR, KRL_LOG_WARN, KRL_LOG_INFO, KRL_LOG_DEBUG };

/* "error", "warn", "info" (as it starts) or "debug". Returns 0, or -EINVAL. */
int krl_log_set_level(const char *name);

/* "logfmt" (as it starts) or "json". Returns 0, or -EINVAL. */
int krl_log_set_format(const char *name);

/* As the macros below, which end the arguments with the NULL that is expected. */
void krl_log(enum krl_log_level level, const char *message, ...) __attribute__((sentinel));

#define krl_log_error(...) krl_log(KRL_LOG_ERROR, __VA_ARGS__, NULL)
#define krl_log_warn(...) krl_log(KRL_LOG_WARN, __VA_ARGS__, NULL)
#define krl_log_info(...) krl_log(KRL_LOG_INFO, __VA_ARGS__, NULL)
#define krl_log_debug(...) krl_log(KRL_LOG_DEBUG, __VA_ARGS__, NULL)

#endif
