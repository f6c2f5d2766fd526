/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KMESH_RL_METRICS_LISTEN_H
#define KMESH_RL_METRICS_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/socket.h>

/* Listen where @address says, see krl_metrics_address(). 0 and a socket that does not block, which the caller closes; or
 * -errno. */
int krl_metrics_listen(const char *address, int *ret_fd);

/* Where the socket @fd listens, "127.0.0.1:9464". */
void krl_metrics_where_is(int fd, char *ret, size_t size);

/* Is it an address of loopback? */
bool krl_metrics_is_local(const struct sockaddr *address);

#endif
