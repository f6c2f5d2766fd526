// SPDX-License-Identifier: Apache-2.0
/* Requests to model servers are judged by a program of their own, in which krl_stream goes on. */
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "internal.h"
#include "late.h"

int krl_llm_open(struct krl_datapath *dp)
{
	__u32 number = KRL_PROGRAM_LLM, fd;
	int program;

	if (krl_late_is_there(dp, KRL_LATE_LLM))
		return 0;
	program = krl_late_program(dp, KRL_LATE_LLM);
	if (program < 0)
		return program;
	fd = program;
	if (bpf_map_update_elem(bpf_map__fd(dp->skel->maps.krl_programs), &number, &fd, BPF_ANY))
		return -errno;
	return 0;
}
