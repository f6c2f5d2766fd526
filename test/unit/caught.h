/* SPDX-License-Identifier: Apache-2.0 */
/* A command of the tool, run with its streams caught. */
#ifndef KMESH_RL_TEST_CAUGHT_H
#define KMESH_RL_TEST_CAUGHT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/kmesh-rl/cli.h"

#define CAUGHT_BYTES 16384

static inline void caught_read(FILE *file, char ret[CAUGHT_BYTES])
{
	size_t length;

	rewind(file);
	length = fread(ret, 1, CAUGHT_BYTES - 1, file);
	ret[length] = '\0';
	fclose(file);
	assert_in_range(length, 0, CAUGHT_BYTES - 2);
}

/* Run @command with @input to read from standard input. What it prints is in @ret_out and @ret_err. */
static inline enum krl_cli_exit caught_run(enum krl_cli_exit (*command)(const struct krl_cli *cli),
					   const struct krl_cli *cli, const char *input, char ret_out[CAUGHT_BYTES],
					   char ret_err[CAUGHT_BYTES])
{
	FILE *streams[3] = { tmpfile(), tmpfile(), tmpfile() };
	enum krl_cli_exit status;
	int real[3], fd;

	fputs(input, streams[0]);
	rewind(streams[0]);
	fflush(stdout);
	/* What the C library knows of standard input is of the command before. */
	rewind(stdin);
	for (fd = 0; fd < 3; fd++) {
		real[fd] = dup(fd);
		dup2(fileno(streams[fd]), fd);
	}
	status = command(cli);
	fflush(stdout);
	for (fd = 0; fd < 3; fd++) {
		dup2(real[fd], fd);
		close(real[fd]);
	}
	fclose(streams[0]);
	caught_read(streams[1], ret_out);
	caught_read(streams[2], ret_err);
	return status;
}

#endif
