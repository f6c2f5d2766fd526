// SPDX-License-Identifier: Apache-2.0
#include "internal.h"

/* From the root of the tree, where the compiler runs. */
__asm__(".pushsection .rodata\n"
	".globl krl_lease_lua\n"
	"krl_lease_lua:\n"
	".incbin \"agent/redis/lease.lua\"\n"
	".byte 0\n"
	".popsection\n");
