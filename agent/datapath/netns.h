/* SPDX-License-Identifier: Apache-2.0 */
/* The network namespaces of this machine, as far as some process is in them. */
#ifndef KMESH_RL_DATAPATH_NETNS_H
#define KMESH_RL_DATAPATH_NETNS_H

#include <linux/types.h>

/* Call @fn with @ctx in each, the agent's own first, until it returns other than 0, which is returned. A namespace that
 * the agent may not enter (CAP_SYS_ADMIN) is left out. Ends the process when there is no way back. 0, -ENOMEM, or
 * -errno when /proc cannot be read. */
int krl_netns_each(int (*fn)(void *ctx), void *ctx);

/* The cookie of the namespace that the agent is in now, as programs have it; 0: it cannot be found out. */
__u64 krl_netns_cookie(void);

/* Call @fn for each network namespace that a process of a pod is in, with the pod's uid, as its cgroup has it, and the
 * cookie of the namespace; not for that of the agent, which no pod has for itself. 0, or -errno. */
int krl_netns_each_pod(void (*fn)(void *ctx, const char *uid, __u64 cookie), void *ctx);

#endif
