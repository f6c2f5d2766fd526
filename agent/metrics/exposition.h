/* SPDX-License-Identifier: Apache-2.0 */
/* Writing metrics as text, in the two formats that Prometheus reads: its own, 0.0.4 ("Exposition formats" of its
 * documentation), and OpenMetrics 1.0. */
#ifndef KMESH_RL_METRICS_EXPOSITION_H
#define KMESH_RL_METRICS_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "families.h"

enum krl_exposition_format { KRL_EXPOSITION_TEXT, KRL_EXPOSITION_OPEN_METRICS, KRL_EXPOSITION_FORMATS };

/* Of values that clients choose; longer ones are cut. */
#define KRL_EXPOSITION_CUT_BYTES 128

struct krl_metrics_label {
	const char *name, *value;	/* NULL as a name ends the labels */
};

/* All zero but the format at first. */
struct krl_exposition {
	enum krl_exposition_format format;
	bool failed;		/* there was no memory: the text is of no use */
	char *text;		/* owned; not NUL-terminated */
	size_t len, room;
	enum krl_metric metric;	/* whose samples come */
};

/* What follows are samples of @metric, of which all are to be written together; those of one have different labels. */
void krl_exposition_begin(struct krl_exposition *e, enum krl_metric metric);

/* @labels may be NULL. Bytes of a value that are not UTF-8 become '?'. */
void krl_exposition_number(struct krl_exposition *e, const struct krl_metrics_label *labels, int64_t value);
void krl_exposition_count(struct krl_exposition *e, const struct krl_metrics_label *labels, uint64_t value);
void krl_exposition_seconds(struct krl_exposition *e, const struct krl_metrics_label *labels, uint64_t ns);
void krl_exposition_ratio(struct krl_exposition *e, const struct krl_metrics_label *labels, double value);

/* A histogram with @count buckets, of which @bounds has the highest value as it is to be written; that of the last is
 * infinity. @buckets do not contain each other. In nanoseconds where the unit is seconds. */
void krl_exposition_histogram(struct krl_exposition *e, const struct krl_metrics_label *labels, const char *const *bounds,
			      const uint64_t *buckets, size_t count, uint64_t sum);

/* The text is complete. */
void krl_exposition_end(struct krl_exposition *e);

/* The value of Content-Type. */
const char *krl_exposition_type(enum krl_exposition_format format);

/* The format that @accept, the value of Accept, prefers (RFC 9110, 12.5.1); Prometheus' own where it names neither, or is
 * NULL. */
enum krl_exposition_format krl_exposition_negotiate(const char *accept);

/* Copy @from, cut to KRL_EXPOSITION_CUT_BYTES between two characters. */
void krl_exposition_cut(const char *from, char ret[KRL_EXPOSITION_CUT_BYTES + 1]);

#endif
