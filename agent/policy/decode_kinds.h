/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the decoders of the kinds. */
#ifndef KMESH_RL_DECODE_KINDS_H
#define KMESH_RL_DECODE_KINDS_H

#include "model.h"
#include "yaml_node.h"

void krl_decode_metadata(struct krl_reader *reader, yaml_node_t *node, void *document);

void krl_decode_rate_limit(struct krl_reader *reader, yaml_node_t *root, struct krl_document *document);

/* A target while it is read: spec itself, or an item of spec.services. */
struct krl_target_reader {
	struct krl_document *document;
	struct krl_target *target;
	bool service, services, refs, endpoints, port, rules;	/* is there such a field? */
	enum krl_mode mode;	/* of spec */
};

/* Fields of a target: krl_field_fn, whose @out is a krl_target_reader. The lists append to the targets of its document. */
void krl_decode_service_name(struct krl_reader *reader, yaml_node_t *node, void *out);
void krl_decode_target_port(struct krl_reader *reader, yaml_node_t *node, void *out);
void krl_decode_services(struct krl_reader *reader, yaml_node_t *node, void *out);
void krl_decode_target_refs(struct krl_reader *reader, yaml_node_t *node, void *out);
void krl_decode_endpoints(struct krl_reader *reader, yaml_node_t *node, void *out);
void krl_decode_target_rules(struct krl_reader *reader, yaml_node_t *node, void *out);

/* Complain where service and port of @target, which was read from @node, are too long together. */
void krl_decode_check_port(struct krl_reader *reader, yaml_node_t *node, const struct krl_target *target);

/* Once the fields of @spec are read: give its own target, which is taken over, to the document, or its rules to each of
 * the references. */
void krl_decode_add_single(struct krl_reader *reader, yaml_node_t *spec, struct krl_target_reader *t);

/* The list @node of rules of @limit, whose style and direction are read, appended to those of @target. */
void krl_decode_rules(struct krl_reader *reader, yaml_node_t *node, const struct krl_rate_limit *limit,
		      struct krl_target *target);

/* `count` of a rule. */
enum krl_count krl_decode_count(struct krl_reader *reader, yaml_node_t *node);

/* The complaint "PATH.NAME: @why" about the field @name of @node, if it is there. */
void krl_decode_refuse(struct krl_reader *reader, yaml_node_t *node, const char *name, const char *why);

/* Complain of what @rule, which was read from @node, says that cannot be done with what it counts. Sets count where
 * the rule does not say; @max_connections tells whether that field is given. */
void krl_decode_check_count(struct krl_reader *reader, yaml_node_t *node, const struct krl_rate_limit *limit,
			    struct krl_rule_spec *rule, bool max_connections);

/* Complain of what @spec says that cannot be done in the direction of @limit, which was read from it. */
void krl_decode_check_direction(struct krl_reader *reader, yaml_node_t *spec, const struct krl_rate_limit *limit);

/* Complain of what @spec says that only rules which count LLMTokens need, where @limit, which was read from it, has
 * none. */
void krl_decode_check_models(struct krl_reader *reader, yaml_node_t *spec, const struct krl_rate_limit *limit);

/* `limit` of a rule; a mapping has tokens in place of requests where @tokens says so. Returns how many limits there
 * are, one but for a string of several, and 0 where nothing can be read. */
size_t krl_decode_limit(struct krl_reader *reader, yaml_node_t *node, bool tokens,
			struct krl_settings ret[KRL_MAX_ENDPOINT_RULES]);

/* What the rule @node says of LLMTokens, which @rule counts; its settings are read. The caller frees rule->llm. Without
 * memory, which @reader remembers, that is NULL. */
void krl_decode_llm(struct krl_reader *reader, yaml_node_t *node, struct krl_rule_spec *rule);

/* Complain of what the rule @node, which counts something else, says that belongs to LLMTokens. */
void krl_decode_refuse_llm(struct krl_reader *reader, yaml_node_t *node);

/* Whether all nodes count @rule, which was read from @node, together, and what it says then; its limits in time are the
 * @count of @limits, or that of settings where there are none. */
void krl_decode_cluster(struct krl_reader *reader, yaml_node_t *node, const struct krl_settings *limits, size_t count,
			struct krl_rule_spec *rule);

/* `modelHeaders` of a resource; those that gateways set without it. */
void krl_decode_model_headers(struct krl_reader *reader, yaml_node_t *node, struct krl_model_headers *ret);
void krl_decode_usual_models(struct krl_model_headers *ret);

/* `response` of a rule, which the caller frees. NULL without memory, which @reader remembers. */
struct krl_response *krl_decode_response(struct krl_reader *reader, yaml_node_t *node);

/* `schedule` of a rule, which the caller frees. NULL without memory, which @reader remembers. */
struct krl_schedule *krl_decode_schedule(struct krl_reader *reader, yaml_node_t *node);

/* `clientSelectors` of @rule. */
void krl_decode_selectors(struct krl_reader *reader, yaml_node_t *node, struct krl_rule_spec *rule);

/* `from` of a selector, as @term, which owns what that refers to. */
void krl_decode_from(struct krl_reader *reader, yaml_node_t *node, struct krl_term *term);

/* Once it is known who @document, a RateLimit, is: have its `from` say whose pods they are about. */
void krl_decode_settle_from(struct krl_document *document);

/* A selector of labels, as Kubernetes has it, zero at first. */
void krl_decode_label_selector(struct krl_reader *reader, yaml_node_t *node, struct krl_label_selector *ret);

/* `clientIP` of a resource, zero at first. */
void krl_decode_client_ip(struct krl_reader *reader, yaml_node_t *node, struct krl_client_ip *ret);

/* The name of a header (RFC 9110, 5.1), in lower case. */
void krl_decode_header_name(struct krl_reader *reader, yaml_node_t *node, char ret[KRL_NAME_BYTES]);

/* Bytes of the token at the start of @text (RFC 9110, 5.6.2). */
size_t krl_token_len(const char *text);

enum krl_mode krl_decode_mode(struct krl_reader *reader, yaml_node_t *node);

void krl_decode_service(struct krl_reader *reader, yaml_node_t *root, struct krl_document *document);
void krl_decode_slice(struct krl_reader *reader, yaml_node_t *root, struct krl_document *document);

/* An IPv4 or IPv6 address as 16 bytes, IPv4 as ::ffff:a.b.c.d. 0, or -EINVAL. */
int krl_address_parse(const char *text, __u8 ret[16]);

#endif
