// SPDX-License-Identifier: Apache-2.0
/* `clientIP`: whose address a selector's is. */
#include <string.h>

#include "decode_kinds.h"

void krl_decode_header_name(struct krl_reader *reader, yaml_node_t *node, char ret[KRL_NAME_BYTES])
{
	char *c;

	if (!krl_reader_string(reader, node, KRL_NAME_BYTES, ret))
		return;
	if (krl_token_len(ret) != strlen(ret))
		krl_reader_expected(reader, node, "the name of a header");
	for (c = ret; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c |= 0x20;
}

/* clientIP while it is read. */
struct client_reader {
	struct krl_client_ip client;
	bool header, hops;
};

static void read_client_header(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct client_reader *c = out;

	c->header = true;
	krl_decode_header_name(reader, node, c->client.header);
	if (!strcmp(c->client.header, "forwarded"))
		krl_reader_expected(reader, node,
				    "a header of plain addresses, as X-Forwarded-For is and that of RFC 7239 is not");
}

static void read_trusted_hops(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct client_reader *c = out;
	uint64_t hops;

	c->hops = true;
	if (krl_reader_integer(reader, node, 0, KRL_MAX_HOPS, &hops))
		c->client.hops = hops;
}

void krl_decode_client_ip(struct krl_reader *reader, yaml_node_t *node, struct krl_client_ip *ret)
{
	static const struct krl_field fields[] = {
		{ "header", read_client_header },
		{ "trustedHops", read_trusted_hops },
		{ NULL, NULL },
	};
	struct client_reader c = { 0 };
	size_t before = reader->errors;

	krl_reader_mapping(reader, node, fields, &c);
	if (reader->errors == before)
		krl_reader_missing(reader, node,
				   (const char *[]){ c.header ? NULL : "header", c.hops ? NULL : "trustedHops" }, 2);
	*ret = c.client;
}
