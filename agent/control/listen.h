/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KMESH_RL_CONTROL_LISTEN_H
#define KMESH_RL_CONTROL_LISTEN_H

#include <sys/un.h>

/* Fill @ret_address for @path. Returns 0 or -ENAMETOOLONG. */
int krl_control_address(const char *path, struct sockaddr_un *ret_address);

/* A bound, non-blocking socket at @path, mode 0600; errors as krl_control_start. The caller closes it
 * and removes the name. */
int krl_control_bind(const char *path, int *ret_fd);

#endif
