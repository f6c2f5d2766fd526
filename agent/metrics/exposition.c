// SPDX-License-Identifier: Apache-2.0
#include "exposition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 16384
#define NS_PER_S 1000000000ULL

const struct krl_metric_family krl_metric_families[KRL_METRIC_COUNT] = {
#define X(id, type, unit, name, help) { KRL_METRIC_##type, unit, name, help },
	KRL_METRICS(X)
#undef X
};

static const char *const type_names[] = {
	[KRL_METRIC_COUNTER] = "counter",
	[KRL_METRIC_GAUGE] = "gauge",
	[KRL_METRIC_HISTOGRAM] = "histogram",
	[KRL_METRIC_INFO] = "info",
};

static void add(struct krl_exposition *e, const char *bytes, size_t len)
{
	size_t room = e->room ? e->room : FIRST_ROOM;
	char *text;

	while (room - e->len < len)
		room *= 2;
	if (room != e->room && !e->failed) {
		text = realloc(e->text, room);
		e->failed = !text;
		if (text) {
			e->text = text;
			e->room = room;
		}
	}
	if (e->failed)
		return;
	memcpy(e->text + e->len, bytes, len);
	e->len += len;
}

static void add_text(struct krl_exposition *e, const char *text)
{
	add(e, text, strlen(text));
}

/* Bytes of the character at @text, or 0 where that is not UTF-8 (RFC 3629, 4). */
static size_t character(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t len, i;

	if (c[0] < 0x80)
		return 1;
	if (c[0] < 0xc2 || c[0] > 0xf4)
		return 0;
	len = c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
	if (c[0] == 0xe0)
		low = 0xa0;
	if (c[0] == 0xed)
		high = 0x9f;
	if (c[0] == 0xf0)
		low = 0x90;
	if (c[0] == 0xf4)
		high = 0x8f;
	if (c[1] < low || c[1] > high)
		return 0;
	for (i = 2; i < len; i++)
		if (c[i] < 0x80 || c[i] > 0xbf)
			return 0;
	return len;
}

static void add_value(struct krl_exposition *e, const char *value)
{
	size_t len;

	for (; *value; value += len ? len : 1) {
		len = character(value);
		if (!len)
			add(e, "?", 1);
		else if (*value == '\n')
			add(e, "\\n", 2);
		else if (*value == '\\' || *value == '"')
			add(e, (const char[]){ '\\', *value }, 2);
		else
			add(e, value, len);
	}
}

void krl_exposition_cut(const char *from, char ret[KRL_EXPOSITION_CUT_BYTES + 1])
{
	size_t len = 0, next;

	while (from[len]) {
		next = character(from + len);
		if (len + (next ? next : 1) > KRL_EXPOSITION_CUT_BYTES)
			break;
		len += next ? next : 1;
	}
	memcpy(ret, from, len);
	ret[len] = '\0';
}

/* The name without what OpenMetrics appends to it in samples of that type. */
static size_t family_len(const struct krl_exposition *e, const struct krl_metric_family *family)
{
	size_t len = strlen(family->name);

	if (e->format != KRL_EXPOSITION_OPEN_METRICS)
		return len;
	if (family->type == KRL_METRIC_COUNTER)
		return len - strlen("_total");
	return family->type == KRL_METRIC_INFO ? len - strlen("_info") : len;
}

static void add_line(struct krl_exposition *e, const char *what, const char *name, size_t len, const char *text)
{
	add_text(e, what);
	add(e, name, len);
	add_text(e, " ");
	add_text(e, text);
	add_text(e, "\n");
}

void krl_exposition_begin(struct krl_exposition *e, enum krl_metric metric)
{
	const struct krl_metric_family *family = &krl_metric_families[metric];
	size_t len = family_len(e, family);
	bool plain = e->format == KRL_EXPOSITION_TEXT;

	e->metric = metric;
	add_line(e, "# HELP ", family->name, len, family->help);
	add_line(e, "# TYPE ", family->name, len,
		 plain && family->type == KRL_METRIC_INFO ? "gauge" : type_names[family->type]);
	if (!plain && *family->unit)
		add_line(e, "# UNIT ", family->name, len, family->unit);
}

static void add_labels(struct krl_exposition *e, const struct krl_metrics_label *labels, const char *bound)
{
	const char *before = "{";

	for (; labels && labels->name; labels++) {
		add_text(e, before);
		add_text(e, labels->name);
		add_text(e, "=\"");
		add_value(e, labels->value);
		add_text(e, "\"");
		before = ",";
	}
	if (bound) {
		add_text(e, before);
		add_text(e, "le=\"");
		add_text(e, bound);
		add_text(e, "\"");
		before = ",";
	}
	add_text(e, *before == ',' ? "} " : " ");
}

static void add_sample(struct krl_exposition *e, const char *suffix, const struct krl_metrics_label *labels, const char *bound,
		       const char *value)
{
	add_text(e, krl_metric_families[e->metric].name);
	add_text(e, suffix);
	add_labels(e, labels, bound);
	add_text(e, value);
	add_text(e, "\n");
}

void krl_exposition_number(struct krl_exposition *e, const struct krl_metrics_label *labels, int64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	add_sample(e, "", labels, NULL, text);
}

void krl_exposition_count(struct krl_exposition *e, const struct krl_metrics_label *labels, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	add_sample(e, "", labels, NULL, text);
}

static void seconds(uint64_t ns, char *ret, size_t size)
{
	snprintf(ret, size, "%llu.%09llu", (unsigned long long)(ns / NS_PER_S), (unsigned long long)(ns % NS_PER_S));
}

void krl_exposition_seconds(struct krl_exposition *e, const struct krl_metrics_label *labels, uint64_t ns)
{
	char text[40];

	seconds(ns, text, sizeof(text));
	add_sample(e, "", labels, NULL, text);
}

void krl_exposition_ratio(struct krl_exposition *e, const struct krl_metrics_label *labels, double value)
{
	char text[40];

	snprintf(text, sizeof(text), "%.9f", value);
	add_sample(e, "", labels, NULL, text);
}

void krl_exposition_histogram(struct krl_exposition *e, const struct krl_metrics_label *labels, const char *const *bounds,
			      const uint64_t *buckets, size_t count, uint64_t sum)
{
	uint64_t so_far = 0;
	char text[40];
	size_t i;

	for (i = 0; i < count; i++) {
		so_far += buckets[i];
		snprintf(text, sizeof(text), "%llu", (unsigned long long)so_far);
		add_sample(e, "_bucket", labels, i + 1 < count ? bounds[i] : "+Inf", text);
	}
	add_sample(e, "_count", labels, NULL, text);
	if (!strcmp(krl_metric_families[e->metric].unit, "seconds"))
		seconds(sum, text, sizeof(text));
	else
		snprintf(text, sizeof(text), "%llu", (unsigned long long)sum);
	add_sample(e, "_sum", labels, NULL, text);
}

void krl_exposition_end(struct krl_exposition *e)
{
	if (e->format == KRL_EXPOSITION_OPEN_METRICS)
		add_text(e, "# EOF\n");
}
