/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the decoders of the kinds. */
#ifndef KMESH_RL_DECODE_KINDS_H
#define KMESH_RL_DECODE_KINDS_H

#include "model.h"
#include "yaml_node.h"

void krl_decode_metadata(struct krl_reader *reader, yaml_node_t *node, void *document);

void krl_decode_rate_limit(struct krl_reader *reader, yaml_node_t *root, struct krl_document *document);
void krl_decode_service(struct krl_reader *reader, yaml_node_t *root, struct krl_document *document);
void krl_decode_slice(struct krl_reader *reader, yaml_node_t *root, struct krl_document *document);

/* An IPv4 or IPv6 address as 16 bytes, IPv4 as ::ffff:a.b.c.d. 0, or -EINVAL. */
int krl_address_parse(const char *text, __u8 ret[16]);

#endif
