/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent says of the RateLimits that it has read. */
#ifndef KMESH_RL_CONTROL_LIMITS_H
#define KMESH_RL_CONTROL_LIMITS_H

#include "agent/policy/model.h"
#include "methods.h"

/* At most so many addresses of the endpoints of one are told. */
#define KRL_LIMITS_ADDRESSES 64

/* {"items": [{"namespace", "name", "source": "file.yaml:1" or "kubernetes", "creationTimestamp" where it is known,
 * "service", "limit": the targets and limits in few words, "endpoints": how many are here, "addresses": of those,
 * "conditions": [{"type", "status", "reason", "message"}], "spec": krl_limits_spec}]}, sorted by namespace and name.
 * PartiallyApplied is there only where it holds. Of one that never was in force there is neither service, limit nor spec; what the source adds goes over what is here. Returns
 * a value that the caller releases, or NULL without memory. */
json_t *krl_limits_json(const struct krl_control_agent *agent);

/* {"direction", "ruleMatch", "failurePolicy", "targets": [{"service" or "endpoints", "rules": [{"name", "limit", "count",
 * "scope", "mode", "inForce", "selectors": [TEXT]}]}]}, and "clientIP" where it is not the peer: what @limit says, by the time @now_s.
 * As above. */
json_t *krl_limits_spec(const struct krl_rate_limit *limit, int64_t now_s);

/* The targets of @limit, and its limits, each once: "web, web:80", "10 per 1 minute; 100 per 1 hour, burst 200". As above. */
json_t *krl_limits_service(const struct krl_rate_limit *limit);
json_t *krl_limits_limit(const struct krl_rate_limit *limit);

#endif
