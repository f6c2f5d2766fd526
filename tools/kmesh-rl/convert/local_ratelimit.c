// SPDX-License-Identifier: Apache-2.0
/* The configuration of Envoy's local_ratelimit filter: token buckets, for all requests and for
 * those with some descriptors. */
#include <string.h>

#include "conversion.h"

#define LEFT_OUT "it is left out"
#define LEFT_TO_OTHERS "it is left out and its requests count in the token bucket of the whole"

/* Seconds with a fraction, "1.5s", as protobuf writes durations; or as the resource does. */
static bool read_interval(struct krl_conversion *c, yaml_node_t *node, __u64 *ret_ns)
{
	const char *text = krl_node_text(node);
	unsigned long long s, fraction = 0;
	int digits = 0, end = 0;

	if (text && !krl_duration_parse(text, ret_ns))
		return true;
	if (text && strspn(text, "0123456789") &&
	    sscanf(text, "%9llu.%n%9llu%n", &s, &digits, &fraction, &end) == 2 &&
	    strspn(text + digits, "0123456789") == (size_t)(end - digits) &&
	    !strcmp(text + end, "s")) {
		for (digits = end - digits; digits < 9; digits++)
			fraction *= 10;
		*ret_ns = s * 1000000000ULL + fraction;
		if (*ret_ns)
			return true;
	}
	return krl_convert_drop(c, node, "expected a duration such as 60s");
}

static bool read_tokens(struct krl_conversion *c, yaml_node_t *node, const char *name,
			uint64_t *ret)
{
	size_t len = krl_convert_enter(c, name);
	bool good = krl_convert_number(c, node, ret);

	if (good && !*ret)
		good = krl_convert_drop(c, node, "0 has no counterpart");
	krl_convert_leave(c, len);
	return good;
}

static bool read_bucket(struct krl_conversion *c, yaml_node_t *node, struct krl_settings *ret)
{
	static const char *const names[] = { "max_tokens", "tokens_per_fill", "fill_interval",
					     NULL };
	uint64_t max, fill = 1;
	yaml_node_t *v[3];
	size_t len;
	bool good;
	__u64 ns;

	if (!krl_convert_fields(c, node, names, true, v))
		return false;
	if (!v[0] || !v[2])
		return krl_convert_drop(c, node, "%s is missing",
					v[0] ? "fill_interval" : "max_tokens");
	if (!read_tokens(c, v[0], "max_tokens", &max) ||
	    (v[1] && !read_tokens(c, v[1], "tokens_per_fill", &fill)))
		return false;
	len = krl_convert_enter(c, "fill_interval");
	good = read_interval(c, v[2], &ns);
	krl_convert_leave(c, len);
	if (good)
		*ret = (struct krl_settings){ max, fill, ns };
	return good;
}

/* The token_bucket @bucket as a rule with @selectors, which are taken. */
static void add_rule(struct krl_conversion *c, yaml_node_t *bucket, const char *name,
		     json_t *selectors, bool shadow, struct krl_convert_limit *limit)
{
	size_t len = krl_convert_enter(c, "token_bucket");
	struct krl_convert_rule *rule = NULL;
	struct krl_settings settings;

	if (read_bucket(c, bucket, &settings))
		rule = krl_convert_rule_add(c, bucket, limit, name);
	krl_convert_leave(c, len);
	if (!rule) {
		json_decref(selectors);
		return;
	}
	rule->selectors = selectors;
	rule->settings = settings;
	rule->shadow = shadow;
	rule->token_bucket = true;
}

/* One of entries of a descriptor. */
static bool read_entry(struct krl_conversion *c, yaml_node_t *node, struct krl_convert_match *match)
{
	static const char *const names[] = { "key", "value", NULL };
	const char *key, *value;
	yaml_node_t *v[2];

	if (!krl_convert_fields(c, node, names, true, v))
		return false;
	key = v[0] ? krl_node_text(v[0]) : NULL;
	value = v[1] ? krl_node_text(v[1]) : NULL;
	if (!key || !*key)
		return krl_convert_drop(c, node, "key is missing");
	return krl_convert_descriptor(c, node, key, value && *value ? value : NULL, false, false,
				      match);
}

static void add_descriptor(struct krl_conversion *c, yaml_node_t *node, size_t at, bool shadow,
			   struct krl_convert_limit *limit)
{
	static const char *const names[] = { "entries", "token_bucket", NULL };
	struct krl_convert_match match = {};
	size_t i, len, item, count;
	yaml_node_t *v[2];
	char name[32];
	bool good;

	good = krl_convert_fields(c, node, names, true, v);
	if (good && (!v[0] || !v[1]))
		good = krl_convert_drop(c, node, "%s is missing",
					v[0] ? "token_bucket" : "entries");
	if (!good)
		return;
	len = krl_convert_enter(c, "entries");
	count = krl_convert_count(c, v[0]);
	for (i = 0; i < count; i++) {
		item = krl_convert_enter_item(c, i);
		good &= read_entry(c, krl_convert_item(c, v[0], i), &match);
		krl_convert_leave(c, item);
	}
	if (!count)
		good = krl_convert_drop(c, v[0], "there is no entry");
	krl_convert_leave(c, len);
	snprintf(name, sizeof(name), "descriptor-%zu", at);
	if (good)
		add_rule(c, v[1], name, krl_convert_selectors(c, &match), shadow, limit);
	json_decref(match.entry);
}

/* How many requests of a million the fraction @node is of: none without it, as Envoy has it. */
static bool read_fraction(struct krl_conversion *c, yaml_node_t *node, uint64_t *ret_per_million)
{
	yaml_node_t *value = node ? krl_convert_get(c, node, "default_value") : NULL;
	yaml_node_t *numerator = krl_convert_get(c, value, "numerator");
	yaml_node_t *denominator = krl_convert_get(c, value, "denominator");
	uint64_t scale = 10000;

	*ret_per_million = 0;
	if (krl_convert_is(denominator, "TEN_THOUSAND"))
		scale = 100;
	else if (krl_convert_is(denominator, "MILLION"))
		scale = 1;
	if (numerator && !krl_convert_number(c, numerator, ret_per_million))
		return false;
	if (*ret_per_million > 1000000 / scale)
		*ret_per_million = 1000000 / scale;
	*ret_per_million *= scale;
	return true;
}

/* filter_enabled and filter_enforced: all or none. Nothing is refused unless both are all. */
static bool read_shadow(struct krl_conversion *c, yaml_node_t *config, yaml_node_t *enabled,
			yaml_node_t *enforced, bool *ret_shadow)
{
	static const char *const names[] = { "filter_enabled", "filter_enforced" };
	yaml_node_t *v[] = { enabled, enforced };
	uint64_t per_million;
	bool good = true;
	size_t i, len;

	*ret_shadow = false;
	for (i = 0; i < 2; i++) {
		len = krl_convert_enter(c, names[i]);
		good &= read_fraction(c, v[i], &per_million);
		if (good && per_million && per_million < 1000000)
			good = krl_convert_drop(c, v[i],
						"a part of the requests has no counterpart");
		*ret_shadow |= !per_million;
		if (good && !per_million && !i)
			krl_convert_note(c, v[i] ? v[i] : config,
					 "is 0 %%, so nothing was limited, and "
					 "mode: Shadow refuses nothing");
		krl_convert_leave(c, len);
	}
	return good;
}

void krl_convert_local_ratelimit(struct krl_conversion *c, yaml_node_t *config,
				 const struct krl_convert_limit *target)
{
	static const char *const names[] = { "token_bucket",
					     "descriptors",
					     "filter_enabled",
					     "filter_enforced",
					     "always_consume_default_token_bucket",
					     "local_rate_limit_per_downstream_connection",
					     "stat_prefix",
					     "rate_limits",
					     "stage",
					     "@type",
					     "status",
					     "response_headers_to_add",
					     "enable_x_ratelimit_headers",
					     NULL };
	struct krl_convert_limit limit = *target;
	bool shadow, by_default;
	yaml_node_t *v[13];
	size_t i, len, item;

	krl_convert_fields(c, config, names, false, v);
	/* Without a bucket the filter waits for the configuration of a route. */
	if (config->type != YAML_MAPPING_NODE || (!v[0] && !v[1]))
		return;
	if (krl_convert_is_true(v[5])) {
		krl_convert_drop(c, v[5], "a bucket for each connection has no counterpart");
		return;
	}
	if (!read_shadow(c, config, v[2], v[3], &shadow))
		return;
	by_default = v[0] && krl_convert_is(v[4], "false");
	c->left_out = by_default ? LEFT_TO_OTHERS : LEFT_OUT;
	len = krl_convert_enter(c, "descriptors");
	for (i = 0; i < krl_convert_count(c, v[1]); i++) {
		item = krl_convert_enter_item(c, i);
		add_descriptor(c, krl_convert_item(c, v[1], i), i, shadow, &limit);
		krl_convert_leave(c, item);
	}
	krl_convert_leave(c, len);
	c->left_out = LEFT_OUT;
	if (v[0])
		add_rule(c, v[0], "default", NULL, shadow, &limit);
	limit.response = krl_convert_response(c, v[10], v[11]);
	limit.headers = krl_convert_is(v[12], "DRAFT_VERSION_03") || krl_convert_is(v[12], "1");
	if (by_default)
		krl_convert_strictest(c, config, &limit);
	else
		krl_convert_every(&limit);
	krl_convert_finish(c, &limit);
}
