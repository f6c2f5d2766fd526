/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent is told on its command line. */
#ifndef KMESH_RL_OPTIONS_H
#define KMESH_RL_OPTIONS_H

#include <stdbool.h>

#include "agent/cluster/cluster.h"
#include "agent/datapath/datapath.h"
#include "agent/source/kubernetes.h"

enum { KRL_EXIT_GOOD, KRL_EXIT_FAILED, KRL_EXIT_USAGE };

/* Strings are those of argv. */
struct krl_options {
	const char *source;	/* as given, "dir:PATH" or "kubernetes" */
	const char *directory;	/* NULL: Kubernetes */
	struct krl_kubernetes_options kubernetes;
	const char *control_socket;
	const char *metrics;	/* where they are told, NULL: nowhere */
	unsigned int metrics_top;
	unsigned int event_rate;	/* refusals of each rule that are told of in a second */
	bool measure;		/* have the kernel measure programs */
	const char *clock;	/* file with the time, NULL: the machine's */
	struct krl_datapath_options datapath;
	struct krl_cluster_options cluster;
	bool detach;
};

/* -1 to go on, else the exit status; what there is to say was said. */
int krl_options_parse(int argc, char **argv, struct krl_options *ret);

#endif
