// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl-agent: options, wiring, exit code. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <kmesh_rl/pins.h>

#include "agent/base/log.h"
#include "agent/control/server.h"
#include "agent/datapath/datapath.h"
#include "agent/policy/compile.h"
#include "agent/policy/store.h"
#include "agent/source/directory.h"

enum { EXIT_GOOD, EXIT_FAILED, EXIT_USAGE };

struct options {
	const char *source;	/* directory, without "dir:" */
	const char *control_socket;
	struct krl_datapath_options datapath;
	bool detach;
};

static const char usage[] =
	"Usage: kmesh-rl-agent --source dir:PATH [OPTION]...\n"
	"       kmesh-rl-agent --detach [--bpffs DIR]\n"
	"\n"
	"Keeps the kernel's rate limits as the RateLimit documents of a directory say, and follows\n"
	"their changes. Limits stay in force when the agent ends.\n"
	"\n"
	"  --source dir:PATH      directory of *.yaml, *.yml and *.json files\n"
	"  --bpffs DIR            where maps and links are pinned (" KRL_DEFAULT_BPFFS ")\n"
	"  --cgroup DIR           cgroup v2 directory whose sockets are covered (the root)\n"
	"  --control-socket PATH  where kmesh-rl asks (" KRL_DEFAULT_CONTROL_SOCKET ")\n"
	"  --log-level LEVEL      error, warn, info (default) or debug\n"
	"  --log-format FORMAT    logfmt (default) or json\n"
	"  --detach               remove every program, map and link, and end\n"
	"  --version              print the version, and end\n"
	"  --help                 print this, and end\n"
	"\n"
	"Exit status: 0 good, 1 failed, 2 usage.\n";
