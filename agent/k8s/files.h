/* SPDX-License-Identifier: Apache-2.0 */
/* Small files whole, and what is in them as base64. */
#ifndef KMESH_RL_K8S_FILES_H
#define KMESH_RL_K8S_FILES_H

#include <stddef.h>

/* The file @path, at most 1 MiB, with a zero byte after it; the caller frees *@ret_bytes. 0, or -errno, -EFBIG. */
int krl_file_read(const char *path, char **ret_bytes, size_t *ret_len);

/* What @text says in base64 (RFC 4648, 4), line ends in it passed over, with a zero byte after it; the caller frees
 * *@ret_bytes. 0, -EINVAL or -ENOMEM. */
int krl_base64_decode(const char *text, char **ret_bytes, size_t *ret_len);

#endif
