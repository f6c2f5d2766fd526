/* SPDX-License-Identifier: Apache-2.0 */
/* Release at the end of the scope: _cleanup_free_ char *text = NULL; */
#ifndef KMESH_RL_CLEANUP_H
#define KMESH_RL_CLEANUP_H

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((cleanup(function)))

static inline void krl_freep(void *pointer)
{
	free(*(void **)pointer);
}

static inline void krl_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void krl_closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define _cleanup_free_ _cleanup_(krl_freep)
#define _cleanup_close_ _cleanup_(krl_closep)
#define _cleanup_closedir_ _cleanup_(krl_closedirp)

#endif
