/* SPDX-License-Identifier: Apache-2.0 */
/* Documents from files: read a directory into a store, and follow its changes. */
#ifndef KMESH_RL_DIRECTORY_H
#define KMESH_RL_DIRECTORY_H

#include <uv.h>

#include "agent/policy/diag.h"
#include "agent/policy/store.h"

/* Read *.yaml, *.yml and *.json of the directory @path into @store, as one reading: what is not there any
 * more is gone from @store. Files whose name begins with a dot, and what is no regular file, are passed
 * over; links are followed. What was in a file that somebody has open for writing stays, and a complaint says
 * so. Never waits. Complaints go to @errors. 0, or -errno when @path itself cannot
 * be read, -ENOTDIR for another kind of file: @store is as before then. */
int krl_source_read(const char *path, struct krl_store *store, struct krl_diags *errors);

/* For use between krl_store_begin and krl_store_commit, so that several paths can make one reading: the
 * directory @path as above, or the file @path, or standard input for "-". A named pipe is waited for.
 * 0, or -errno when @path itself cannot be read. */
int krl_source_offer(const char *path, struct krl_store *store, struct krl_diags *errors);

struct krl_directory;
typedef void (*krl_directory_fn)(void *arg);

/* Watch the directory @path on @loop, by inotify: files written, renamed, removed, and the directory
 * itself removed, made again or replaced. That a directory above it is replaced, or a link on the way, is
 * found by looking at @path every 50 ms; what a file's own link leads to elsewhere is not watched.
 * @changed is called soon after a change, once for several that come together. @path may be missing at
 * first. The caller closes *@ret. 0, or -errno; -ENOTDIR for another kind of file. */
int krl_directory_open(uv_loop_t *loop, const char *path, krl_directory_fn changed, void *arg,
		       struct krl_directory **ret);
void krl_directory_close(struct krl_directory *directory);

#endif
