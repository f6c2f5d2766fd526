/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown to people of the first line of a request. No I/O. */
#ifndef KMESH_RL_REQUEST_LINE_H
#define KMESH_RL_REQUEST_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define KRL_REQUEST_LINE_BYTES 128	/* of the line, that are looked at */

struct krl_request_line {
	char method[KRL_REQUEST_LINE_BYTES + 1];
	char path[KRL_REQUEST_LINE_BYTES + 4];	/* "..." at its end: there is more of it */
};

/* Read the @len bytes of @line, which may go on behind it. Of the target of the request only the path is taken: its query,
 * and the user and password that an absolute URL may have, can be secrets. Bytes that do not print become '?'. False: it
 * is no request line. */
bool krl_request_line_read(const char *line, size_t len, struct krl_request_line *ret);

#endif
