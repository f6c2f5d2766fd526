// SPDX-License-Identifier: Apache-2.0
#include <fts.h>
#include <stdio.h>
#include <sys/stat.h>

#include "internal.h"

/* The id of a hierarchy's root (fs/kernfs/dir.c, kernfs_create_root). */
#define ROOT_ID 1

bool krl_cgroup_covers(const struct krl_datapath *dp, __u64 id)
{
	__u64 covered = dp->skel->rodata->krl_cgroup_id;
	char path[64];
	char *const paths[] = { path, NULL };
	FTSENT *entry;
	bool found = !id || id == covered || covered == ROOT_ID;
	FTS *walk;

	if (found)
		return true;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/", dp->cgroup_fd);
	walk = fts_open(paths, FTS_PHYSICAL, NULL);
	while (walk && !found && (entry = fts_read(walk)))
		found = entry->fts_info == FTS_D && entry->fts_statp->st_ino == id;
	if (walk)
		fts_close(walk);
	return found;
}
