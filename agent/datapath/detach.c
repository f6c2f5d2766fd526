// SPDX-License-Identifier: Apache-2.0
/* Take everything away, of every version. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drop.h"
#include "former.h"
#include "internal.h"

static int drop(const char *pins, struct krl_error *ret_error)
{
	int err = krl_drop_pins(pins);

	return err ? krl_error_set(ret_error, -err, "%s: %s", pins, strerror(-err)) : 0;
}

struct dropping {
	const char *bpffs;
	struct krl_error *error;
};

static int drop_former(void *ctx, const char *name, __u32 version)
{
	const struct dropping *dropping = ctx;
	char path[PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "%s/%s", dropping->bpffs, name);
	err = drop(path, dropping->error);
	if (!err && rmdir(path))
		err = krl_error_set(dropping->error, errno, "%s: %s", path, strerror(errno));
	return err;
}

int krl_datapath_detach(const struct krl_datapath_options *options, struct krl_error *ret_error)
{
	struct dropping dropping = { options->bpffs, ret_error };
	int err, lock_fd;
	struct stat st;

	if (stat(options->bpffs, &st))
		return errno == ENOENT ? 0
				       : krl_error_set(ret_error, errno, "%s: %s", options->bpffs,
						       strerror(errno));
	/* Without them, sockets would stay enrolled and the names go. */
	err = krl_host_check_rights(ret_error);
	if (err)
		return err;
	err = krl_host_open_bpffs(options->bpffs, &lock_fd, ret_error);
	if (err == -EBUSY)
		return krl_error_set(ret_error, EBUSY, "an agent runs on %s: stop it first", options->bpffs);
	if (err)
		return err;
	err = krl_former_each(options->bpffs, drop_former, &dropping);
	if (!err)
		err = drop(options->bpffs, ret_error);
	close(lock_fd);
	if (!err && rmdir(options->bpffs) && errno != ENOTEMPTY && errno != EBUSY)
		err = krl_error_set(ret_error, errno, "%s: %s", options->bpffs, strerror(errno));
	return err;
}
