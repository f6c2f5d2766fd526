// SPDX-License-Identifier: Apache-2.0
#include "reset.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <kmesh_rl/pins.h>
#include <kmesh_rl/reset.h>

/* A bucket is busy for as long as a CPU needs to add to it; one that has lost its turn then, a little longer. */
#define TRIES 10
#define REST_US 1000

static int open_program(const char *bpffs)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", bpffs, KRL_PIN_RESET) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	/* Without rights bpf() says EPERM also of what is not there. */
	if (stat(path, &st))
		return errno == EACCES ? -EPERM : -errno;
	fd = bpf_obj_get(path);
	return fd == -EACCES ? -EPERM : fd;
}

/* Fill what @reset names. 0, or -errno; @ret has the answer. */
static int run(int fd, const struct krl_reset *reset, struct krl_reset *ret)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = reset, .data_size_in = sizeof(*reset), .data_out = ret,
		    .data_size_out = sizeof(*ret), .repeat = 1);

	return bpf_prog_test_run_opts(fd, &opts);
}

static int reset_some(int fd, const struct krl_reset *reset, struct krl_reset_result *result)
{
	__u64 tokens = 0;
	struct krl_reset answer;
	int tries, err = 0;

	for (tries = 0; tries < TRIES; tries++) {
		if (tries)
			usleep(REST_US);
		err = run(fd, reset, &answer);
		if (err)
			return err;
		tokens += answer.head.tokens;
		if (answer.head.count == reset->head.count)
			break;
	}
	result->tokens += tokens;
	result->filled += answer.head.count;
	result->busy += reset->head.count - answer.head.count;
	return 0;
}

static void add_key(struct krl_reset *reset, const struct krl_bucket_row *row)
{
	struct krl_bucket_key *key = &reset->keys[reset->head.count++];

	*key = row->key;
	reset->head.overflow = row->overflow;
	key->rule_id = row->rule->id;
	key->slot = row->rule->slot;
}

int krl_reset_buckets(const char *bpffs, const struct krl_bucket_row *rows, size_t count, struct krl_reset_result *ret)
{
	struct krl_reset_result result = { 0 };
	struct krl_reset reset = { 0 };
	int fd = open_program(bpffs), err = 0;
	size_t i;

	if (fd < 0)
		return fd;
	for (i = 0; !err && i < count; i++) {
		if (rows[i].rule->flags & KRL_RULE_CONCURRENT)
			continue;
		if (reset.head.count == KRL_RESET_KEYS || (reset.head.count && reset.head.overflow != rows[i].overflow)) {
			err = reset_some(fd, &reset, &result);
			reset.head.count = 0;
		}
		add_key(&reset, &rows[i]);
	}
	if (!err && reset.head.count)
		err = reset_some(fd, &reset, &result);
	close(fd);
	if (!err)
		*ret = result;
	return err;
}
