/* SPDX-License-Identifier: Apache-2.0 */
/* Where things stand in the file system: names below the agent's --bpffs directory, and defaults. */
#ifndef KMESH_RL_PINS_H
#define KMESH_RL_PINS_H

#define KRL_DEFAULT_BPFFS "/sys/fs/bpf/kmesh-rl"
#define KRL_DEFAULT_CONTROL_SOCKET "/run/kmesh-rl/agent.sock"

/* How the names of all maps and programs begin, and those of all links, of every version. */
#define KRL_PIN_PREFIX "krl_"
#define KRL_PIN_LINK_PREFIX "link_"

#define KRL_PIN_RESET "krl_reset"	/* a program, for a test run */
#define KRL_PIN_SOCKOPS_LINK "link_sockops"
#define KRL_PIN_CONNECT4_LINK "link_connect4"
#define KRL_PIN_CONNECT6_LINK "link_connect6"
#define KRL_PIN_RELEASE_LINK "link_release"

/* Behind it the cookie of the network namespace, 16 hexadecimal digits. */
#define KRL_PIN_LOOKUP_LINK "link_lookup_"

#endif
