// SPDX-License-Identifier: Apache-2.0
/* A kernel that refuses some of bpf(2), for LD_PRELOAD: the file $KRL_REFUSE names a program and the error that loading it
 * has, or "link" and the one that attaching to a cgroup has. Without the file, all goes on to the kernel. */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <linux/bpf.h>

static int refused(long command, const union bpf_attr *attr)
{
	const char *path = getenv("KRL_REFUSE");
	FILE *file = path ? fopen(path, "re") : NULL;
	char what[BPF_OBJ_NAME_LEN + 1] = "";
	int err = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%16s %d", what, &err) != 2)
		err = 0;
	fclose(file);
	if (command == BPF_PROG_LOAD)
		return strcmp(attr->prog_name, what) ? 0 : err;
	return command == BPF_LINK_CREATE && !strcmp(what, "link") ? err : 0;
}

long syscall(long number, ...)
{
	long (*next)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	long args[6];
	va_list list;
	int i, err;

	va_start(list, number);
	for (i = 0; i < 6; i++)
		args[i] = va_arg(list, long);
	va_end(list);
	err = number == SYS_bpf ? refused(args[0], (const union bpf_attr *)args[1]) : 0;
	if (err) {
		errno = err;
		return -1;
	}
	return next(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}
