/* SPDX-License-Identifier: Apache-2.0 */
/* What the formats share: the place in the text, what there is to say about it, and the
 * RateLimits. */
#ifndef KMESH_RL_TOOL_CONVERSION_H
#define KMESH_RL_TOOL_CONVERSION_H

#include <jansson.h>
#include <yaml.h>

#include "agent/policy/limit.h"
#include "agent/policy/yaml_node.h"

/* Stands for a service that only the user knows. Kubernetes has no names in capitals, so a document
 * that is applied with it limits nobody. */
#define KRL_CONVERT_FILL_IN "FILL-IN"

struct krl_conversion {
	struct krl_reader at; /* document and path; its diags hold what there is to say */
	json_t *limits;	      /* the RateLimit documents so far */
	json_t *names;	      /* what they are called, as an object of NAMESPACE/NAME */
	json_t *said;	      /* keys of what is said once in a document, as an object */
	json_t *headers;      /* the header fields behind descriptor keys; null: none is */
	const char *left_out; /* how a line ends that leaves out a rule */
	bool no_memory;	      /* the result is not whole */
};

/* A rule of a RateLimit while it is made. */
struct krl_convert_rule {
	char name[64];
	json_t *selectors; /* clientSelectors; NULL: none */
	struct krl_settings settings;
	bool shadow;
	bool token_bucket; /* the source has three numbers as well */
	bool unlimited;	   /* keeps requests from the rules after it */
	size_t order;	   /* of being added */
};

/* A RateLimit while it is made; all zero at first. */
struct krl_convert_limit {
	const char *name;	/* any text: what Kubernetes does not allow becomes '-' */
	const char *ns;		/* NULL: not given */
	json_t *targets;	/* names of services, or targetRefs, a borrowed array; NULL or empty: to be filled in */
	unsigned int port;	/* 0: all */
	const char *rule_match; /* NULL: as the default, which is First */
	bool cluster;		/* all nodes count together */
	bool headers;		/* every answer tells of the limit, in Envoy's style */
	json_t *response;	/* of each rule; NULL: the default */
	struct krl_convert_rule *rules;
	size_t count;
};

/* --- source.c: reading, and what is said --- */

/* Say something about @node: "file:line:column: PATH: TEXT". */
void krl_convert_note(struct krl_conversion *c, const yaml_node_t *node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, with a comma and left_out behind it. Always false. */
bool krl_convert_drop(struct krl_conversion *c, const yaml_node_t *node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Is this the first call with @key for the document? */
bool krl_convert_first(struct krl_conversion *c, const char *key);

/* As krl_reader_enter; a field's name is cut at 60 bytes. */
size_t krl_convert_enter(struct krl_conversion *c, const char *field);
size_t krl_convert_enter_item(struct krl_conversion *c, size_t i);
#define krl_convert_leave(c, len) krl_reader_leave(&(c)->at, len)

/* The values of the fields @names (ending with NULL) of the mapping @node, NULL for each that is
 * absent or null. Names match in snake_case and in camelCase, as protobuf's JSON has it. A field
 * that is not among @names is said to have no counterpart, and leaves out the rule if @strict.
 * False when it does, or when @node is no mapping, which is said too. */
bool krl_convert_fields(struct krl_conversion *c, yaml_node_t *node, const char *const *names,
			bool strict, yaml_node_t **ret_values);

/* The value of one field of @node, or NULL. Other fields are not looked at, @node may be NULL. */
yaml_node_t *krl_convert_get(struct krl_conversion *c, yaml_node_t *node, const char *name);

/* Items of the list @node; 0 with a line for another kind of node, 0 for NULL. */
size_t krl_convert_count(struct krl_conversion *c, const yaml_node_t *node);
yaml_node_t *krl_convert_item(struct krl_conversion *c, const yaml_node_t *node, size_t i);

/* The text of @node, or NULL with a line. */
const char *krl_convert_text(struct krl_conversion *c, const yaml_node_t *node);

/* A decimal number from 0 to KRL_NUMBER_MAX, quoted or not; else false with a line that leaves the
 * rule out. */
bool krl_convert_number(struct krl_conversion *c, const yaml_node_t *node, uint64_t *ret);

bool krl_convert_is(const yaml_node_t *node, const char *text);
bool krl_convert_is_true(const yaml_node_t *node);

/* --- selectors.c: who a rule is for --- */

/* Conditions that all hold: one entry of clientSelectors. */
struct krl_convert_match {
	json_t *entry;
	bool any_source; /* each address of both kinds is a caller of its own */
};

/* Would the agent read @value, which is taken, as the @field of a rule? False with a line that leaves out what
 * stands at @node: what the agent says of @part, which begins as @field does. */
bool krl_convert_is_read(struct krl_conversion *c, const yaml_node_t *node, const char *field,
			 json_t *value, const char *part);

/* Each adds a condition to @match, or returns false with a line that leaves the rule out. @type is
 * a header type of the resource; @value may be NULL where it needs none. */
bool krl_convert_add_header(struct krl_conversion *c, const yaml_node_t *node,
			    struct krl_convert_match *match, const char *name, const char *type,
			    const char *value, bool invert);
bool krl_convert_add_path(struct krl_conversion *c, const yaml_node_t *node,
			  struct krl_convert_match *match, const char *type, const char *value);
bool krl_convert_add_method(struct krl_conversion *c, const yaml_node_t *node,
			    struct krl_convert_match *match, const char *method);

/* @value is an address or a CIDR; NULL is every address, and @distinct then. */
bool krl_convert_add_source(struct krl_conversion *c, const yaml_node_t *node,
			    struct krl_convert_match *match, const char *value, bool distinct);

/* clientSelectors with the conditions of @match, which is empty then; NULL without any. */
json_t *krl_convert_selectors(struct krl_conversion *c, struct krl_convert_match *match);

/* Have all who match @selectors share one bucket. */
void krl_convert_share(struct krl_conversion *c, json_t *selectors);

/* clientSelectors as Envoy Gateway has them: all conditions of all entries of @node
 * hold together. */
bool krl_convert_client_selectors(struct krl_conversion *c, yaml_node_t *node,
				  json_t **ret_selectors);

/* A descriptor's @key with @value, both of the mapping @node; without @value each value has a
 * bucket of its own. What follows "*" at the end of @value is any text (only if @wildcards), and a
 * bucket of its own unless @shared. */
bool krl_convert_descriptor(struct krl_conversion *c, yaml_node_t *node, const char *key,
			    const char *value, bool wildcards, bool shared,
			    struct krl_convert_match *match);

/* --- rate_limit.c: what comes out --- */

/* Set @key of @object, append to @array: the reference to @value is taken, NULL is no memory. */
void krl_convert_put(struct krl_conversion *c, json_t *object, const char *key, json_t *value);
void krl_convert_push(struct krl_conversion *c, json_t *array, json_t *value);

/* Add the document of @limit, if it has rules, and take the rules off it. */
void krl_convert_finish(struct krl_conversion *c, struct krl_convert_limit *limit);

/* --- rules.c: the rules of a RateLimit --- */

/* Append a rule that stands at @node. @name is cut to what a rule may have, and made unique. NULL
 * without memory, and with a line when there are as many as an endpoint can have. */
struct krl_convert_rule *krl_convert_rule_add(struct krl_conversion *c, const yaml_node_t *node,
					      struct krl_convert_limit *limit, const char *name);

/* Of several rules that select a request, count in the strictest alone, and in the one without
 * selectors only when no other does: what systems with a default limit do. Says so at @node where
 * it matters. */
void krl_convert_strictest(struct krl_conversion *c, const yaml_node_t *node,
			   struct krl_convert_limit *limit);

/* Every rule that selects a request counts. */
void krl_convert_every(struct krl_convert_limit *limit);

/* So many @requests in a @unit; false with a line. Either may be NULL, the mapping @parent is
 * complained about then. */
bool krl_convert_rate(struct krl_conversion *c, const yaml_node_t *parent, yaml_node_t *requests,
		      yaml_node_t *unit, struct krl_settings *ret);

/* --- response.c: what a refused client is told --- */

/* The response of a rule with Envoy's @status and the @headers that it adds, either of which may be NULL. NULL: the
 * default. */
json_t *krl_convert_response(struct krl_conversion *c, yaml_node_t *status, yaml_node_t *headers);

/* --- the formats --- */

void krl_convert_traffic_policy(struct krl_conversion *c, yaml_node_t *root); /* envoy_gateway.c */
void krl_convert_filter(struct krl_conversion *c, yaml_node_t *root);	      /* envoy_gateway.c */
void krl_convert_domain(struct krl_conversion *c, yaml_node_t *root);	      /* domain.c */
void krl_convert_envoy_filter(struct krl_conversion *c, yaml_node_t *root);   /* envoy_filter.c */
void krl_convert_strings(struct krl_conversion *c, const char *text, size_t len);

/* The configuration @config of Envoy's local_ratelimit filter as a RateLimit with what @target
 * has. */
void krl_convert_local_ratelimit(struct krl_conversion *c, yaml_node_t *config,
				 const struct krl_convert_limit *target);

/* What targetRef and targetRefs of the mapping @spec refer to, as targetRefs in an array that the caller
 * releases; empty, with lines that say why, when the user has to fill one in. */
json_t *krl_convert_targets(struct krl_conversion *c, yaml_node_t *spec);

#endif
