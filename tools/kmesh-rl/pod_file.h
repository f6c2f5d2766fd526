/* SPDX-License-Identifier: Apache-2.0 */
/* The pod that is given with --pod. */
#ifndef KMESH_RL_TOOL_POD_FILE_H
#define KMESH_RL_TOOL_POD_FILE_H

#include "agent/policy/pod.h"
#include "cli.h"

/* All zero at first. */
struct krl_cli_pod {
	struct krl_pod is;
	struct krl_label *ns_labels;
};

/* Read the Pod in @path, JSON, or of a List that has it and perhaps its Namespace. What is neither is passed over.
 * KRL_CLI_FAILED, and a message, when there is none. krl_cli_clear_pod() releases @ret in any case. */
enum krl_cli_exit krl_cli_read_pod(const char *path, struct krl_cli_pod *ret);
void krl_cli_clear_pod(struct krl_cli_pod *pod);

#endif
