/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of agent/metrics alone: parts of krl_snapshot_write(). */
#ifndef KMESH_RL_METRICS_INTERNAL_H
#define KMESH_RL_METRICS_INTERNAL_H

#include "snapshot.h"

/* As OpenTelemetry names what would be too many values of an attribute. */
#define KRL_METRICS_OTHERS "_OTHER"

void krl_metrics_write_rules(const struct krl_snapshot *snapshot, struct krl_exposition *e);

/* What is known of the cluster. */
void krl_metrics_write_cluster(const struct krl_snapshot *snapshot, struct krl_exposition *e);

/* What model servers used. */
void krl_metrics_write_usage(const struct krl_snapshot *snapshot, struct krl_exposition *e);

#endif
