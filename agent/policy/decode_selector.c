// SPDX-License-Identifier: Apache-2.0
/* `clientSelectors` of a rule, whom it is for, and `clientIP`, whose address that is. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bpf/lib/path.h"
#include "decode_kinds.h"

#define IPV4_BITS 32
#define IPV6_BITS 128
#define MAPPED_BITS (IPV6_BITS - IPV4_BITS)

/* An IPv6 /64 is what one customer usually has (RFC 6177). */
#define DISTINCT_IPV6_BITS 64

/* A selector while it is read. */
struct selector_reader {
	struct krl_selector *selector;
	struct krl_rule_spec *rule;
};

/* A term while it is read: its fields may come in any order. */
struct term_reader {
	struct krl_term *term;
	yaml_node_t *type, *value, *invert, *prefix_len;
	bool name;
};

/* A further term of @selector. NULL, and a complaint, when it has too many. */
static struct krl_term *add_term(struct krl_reader *reader, yaml_node_t *node, struct krl_selector *selector)
{
	if (selector->term_count == KRL_MAX_ENTRY_PREDICATES) {
		krl_reader_error(reader, node, "more than %d conditions in one selector",
				 KRL_MAX_ENTRY_PREDICATES);
		return NULL;
	}
	return &selector->terms[selector->term_count++];
}

static void note_type(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	((struct term_reader *)out)->type = node;
}

static void note_value(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	((struct term_reader *)out)->value = node;
}

static void note_prefix_len(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	((struct term_reader *)out)->prefix_len = node;
}

static void read_invert(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	const char *text = krl_node_text(node);
	struct term_reader *t = out;

	t->invert = node;
	if (node->type == YAML_SCALAR_NODE && node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		text = NULL;
	if (text && !strcmp(text, "true"))
		t->term->invert = true;
	else if (!text || strcmp(text, "false"))
		krl_reader_expected(reader, node, "true or false");
}

/* A field name (RFC 9110, 5.1), in lower case. */
static void read_name(struct krl_reader *reader, yaml_node_t *node, char ret[KRL_NAME_BYTES])
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

static void read_header_name(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct term_reader *t = out;

	t->name = true;
	read_name(reader, node, t->term->name);
}

/* A value as it can stand in a request: without white space around it. */
static void read_header_value(struct krl_reader *reader, yaml_node_t *node, struct krl_term *term)
{
	const char *value = term->value;

	if (!krl_reader_string(reader, node, sizeof(term->value), term->value))
		return;
	if (strspn(value, " \t") || strchr(" \t", value[strlen(value) - 1]) || strpbrk(value, "\r\n"))
		krl_reader_expected(reader, node, "a header's value, without white space around it");
}

/* The number of @text in @names, which NULL ends; -1 when it is not there. */
static int name_index(const char *text, const char *const *names)
{
	int i;

	for (i = 0; text && names[i]; i++)
		if (!strcmp(text, names[i]))
			return i;
	return -1;
}

/* The complaint "PATH.NAME: ..." of krl_reader_error(). */
#define complain_at(reader, node, name, ...)                                                       \
	do {                                                                                       \
		size_t len_ = krl_reader_enter(reader, "." name);                                  \
                                                                                                   \
		krl_reader_error(reader, node, __VA_ARGS__);                                       \
		krl_reader_leave(reader, len_);                                                    \
	} while (0)

/* @type as one of @names; the first when it is not given. */
static int type_of(struct krl_reader *reader, const struct term_reader *t, const char *const *names,
		   const char *expected)
{
	int type = t->type ? name_index(krl_node_text(t->type), names) : 0;
	size_t len;

	if (type >= 0)
		return type;
	len = krl_reader_enter(reader, ".type");
	krl_reader_expected(reader, t->type, expected);
	krl_reader_leave(reader, len);
	return type;
}

/* Have @read take the value that @t has. */
static void read_at_value(struct krl_reader *reader, const struct term_reader *t,
			  void (*read)(struct krl_reader *reader, yaml_node_t *node, struct krl_term *term))
{
	size_t len = krl_reader_enter(reader, ".value");

	read(reader, t->value, t->term);
	krl_reader_leave(reader, len);
}

/* A value that @type wants or forbids. False: it is not as it should be. */
static bool check_value(struct krl_reader *reader, yaml_node_t *node, const struct term_reader *t, bool wanted,
			const char *type)
{
	if (wanted && !t->value)
		krl_reader_missing(reader, node, (const char *[]){ "value" }, 1);
	else if (!wanted && t->value)
		complain_at(reader, t->value, "value", "%s has no value", type);
	else
		return wanted;
	return false;
}

static const struct krl_field header_fields[] = {
	{ "name", read_header_name }, { "type", note_type },	 { "value", note_value },
	{ "invert", read_invert },    { NULL, NULL },
};

static void read_header(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	static const char *const types[] = { "Exact", "Prefix", "Present", "Distinct", NULL };
	static const enum krl_predicate_kind kinds[] = { KRL_PREDICATE_EXACT, KRL_PREDICATE_PREFIX,
							 KRL_PREDICATE_PRESENT, KRL_PREDICATE_PRESENT };
	struct selector_reader *s = out;
	struct term_reader t = { .term = add_term(reader, node, s->selector) };
	size_t before = reader->errors;
	int type;

	if (!t.term)
		return;
	t.term->field = KRL_FIELD_HEADER;
	krl_reader_mapping(reader, node, header_fields, &t);
	if (!t.name && reader->errors == before)
		krl_reader_missing(reader, node, (const char *[]){ "name" }, 1);
	type = type_of(reader, &t, types, "Exact, Prefix, Present or Distinct");
	if (type < 0 || reader->errors != before)
		return;
	t.term->kind = kinds[type];
	t.term->distinct = type == 3;
	if (t.term->distinct && t.term->invert)
		complain_at(reader, t.invert, "invert", "Distinct cannot be inverted");
	if (!check_value(reader, node, &t, type < 2, types[type]))
		return;
	read_at_value(reader, &t, read_header_value);
}

static void read_headers(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	krl_reader_sequence(reader, node, read_header, out);
}

/* The path as requests are compared with: in its normal form. */
static void read_path_value(struct krl_reader *reader, yaml_node_t *node, struct krl_term *term)
{
	const char *text = krl_node_text(node), *c;
	char bytes[KRL_PATH_KEPT + 8];
	struct krl_path path = { 0 };
	int is_long;
	size_t len;

	if (!text || *text != '/') {
		krl_reader_expected(reader, node, "a path that begins with /");
		return;
	}
	for (c = text; *c; c++)
		krl_path_byte(&path, bytes, *c);
	if (path.state == KRL_PATH_END) {
		krl_reader_error(reader, node, "the query is not part of the path, found \"%.80s\"", text);
		return;
	}
	len = krl_path_end(&path, bytes, &is_long);
	if (is_long || len > KRL_VALUE_BYTES)
		krl_reader_error(reader, node, "longer than %d bytes", KRL_VALUE_BYTES);
	else if (memchr(bytes, 0, len))
		krl_reader_expected(reader, node, "a path without a zero byte");
	else
		memcpy(term->value, bytes, len);
}

static const struct krl_field path_fields[] = {
	{ "type", note_type },
	{ "value", note_value },
	{ NULL, NULL },
};

static void read_path(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	static const char *const types[] = { "PathPrefix", "Exact", "Distinct", NULL };
	static const enum krl_predicate_kind kinds[] = { KRL_PREDICATE_PATH_PREFIX, KRL_PREDICATE_EXACT,
							 KRL_PREDICATE_PRESENT };
	struct selector_reader *s = out;
	struct term_reader t = { .term = add_term(reader, node, s->selector) };
	size_t before = reader->errors;
	int type;

	if (!t.term)
		return;
	t.term->field = KRL_FIELD_PATH;
	krl_reader_mapping(reader, node, path_fields, &t);
	type = type_of(reader, &t, types, "PathPrefix, Exact or Distinct");
	if (type < 0 || reader->errors != before)
		return;
	t.term->kind = kinds[type];
	t.term->distinct = type == 2;
	if (!check_value(reader, node, &t, type < 2, types[type]))
		return;
	read_at_value(reader, &t, read_path_value);
}

static void read_method(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	static const char *const names[] = { "GET",	"HEAD",	   "POST",  "PUT",   "DELETE",
					     "CONNECT", "OPTIONS", "TRACE", "PATCH", NULL };
	int method = name_index(krl_node_text(node), names);

	if (method < 0)
		krl_reader_expected(reader, node,
				    "GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE or PATCH");
	else
		((struct krl_term *)out)->methods |= 1U << (KRL_METHOD_GET + method);
}

static void read_methods(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct selector_reader *s = out;
	struct krl_term *term = add_term(reader, node, s->selector);
	size_t before = reader->errors;

	if (!term)
		return;
	term->field = KRL_FIELD_METHOD;
	term->kind = KRL_PREDICATE_METHODS;
	krl_reader_sequence(reader, node, read_method, term);
	if (!term->methods && reader->errors == before)
		krl_reader_error(reader, node, "expected at least one method");
}

static bool is_ipv4(const __u8 addr[16])
{
	static const __u8 mapped[12] = { [10] = 0xff, 0xff };

	return !memcmp(addr, mapped, sizeof(mapped));
}

/* "ADDRESS" or "ADDRESS/BITS". 0, or -1. */
static int parse_cidr(const char *text, struct krl_term *term)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	unsigned long bits = IPV6_BITS;
	char *end = NULL;
	int i;

	if (len >= sizeof(address))
		return -1;
	memcpy(address, text, len);
	address[len] = 0;
	if (krl_address_parse(address, term->addr))
		return -1;
	if (slash) {
		if (slash[1] < '0' || slash[1] > '9')
			return -1;
		bits = strtoul(slash + 1, &end, 10);
		if (*end || bits > (is_ipv4(term->addr) ? IPV4_BITS : IPV6_BITS))
			return -1;
		if (is_ipv4(term->addr))
			bits += MAPPED_BITS;
	}
	for (i = 0; i < IPV6_BITS; i++)
		if ((unsigned long)i < bits)
			term->mask[i / 8] |= 0x80 >> i % 8;
	for (i = 0; i < 16; i++)
		if (term->addr[i] & ~term->mask[i])
			return -1;
	return 0;
}

static void read_cidr(struct krl_reader *reader, yaml_node_t *node, struct krl_term *term)
{
	const char *text = krl_node_text(node);

	term->kind = KRL_PREDICATE_CIDR;
	if (!text || parse_cidr(text, term))
		krl_reader_expected(reader, node,
				    "an address such as 10.1.2.3, or a range such as 10.0.0.0/8 or "
				    "2001:db8::/32 with nothing behind its prefix");
}

/* How many bits of the address make one caller, of the family of value, or without one of IPv4. */
static void read_prefix_len(struct krl_reader *reader, const struct term_reader *t)
{
	bool ipv6 = t->value && !is_ipv4(t->term->addr);
	uint64_t bits;
	size_t len;

	t->term->prefix_len[0] = DISTINCT_IPV6_BITS;
	t->term->prefix_len[1] = IPV6_BITS;
	if (!t->prefix_len)
		return;
	len = krl_reader_enter(reader, ".prefixLength");
	if (!t->value && krl_reader_integer(reader, t->prefix_len, 1, IPV6_BITS, &bits)) {
		t->term->prefix_len[0] = bits;
		if (bits <= IPV4_BITS)
			krl_reader_error(reader, t->prefix_len,
					 "of which family? Give value as well, 0.0.0.0/0 or ::/0");
	} else if (t->value &&
		   krl_reader_integer(reader, t->prefix_len, 1, ipv6 ? IPV6_BITS : IPV4_BITS, &bits)) {
		t->term->prefix_len[!ipv6] = ipv6 ? bits : bits + MAPPED_BITS;
	}
	krl_reader_leave(reader, len);
}

static const struct krl_field source_fields[] = {
	{ "type", note_type },
	{ "value", note_value },
	{ "prefixLength", note_prefix_len },
	{ NULL, NULL },
};

static void read_source(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	static const char *const types[] = { "Exact", "Distinct", NULL };
	struct selector_reader *s = out;
	struct term_reader t = { .term = add_term(reader, node, s->selector) };
	size_t before = reader->errors;
	int type;

	if (!t.term)
		return;
	t.term->field = KRL_FIELD_SOURCE;
	if (node->type == YAML_SCALAR_NODE) {
		read_cidr(reader, node, t.term);
		return;
	}
	krl_reader_mapping(reader, node, source_fields, &t);
	type = type_of(reader, &t, types, "Exact or Distinct");
	if (type < 0 || reader->errors != before)
		return;
	t.term->kind = KRL_PREDICATE_PRESENT;
	t.term->distinct = type == 1;
	if (t.value)
		read_at_value(reader, &t, read_cidr);
	else if (!t.term->distinct)
		krl_reader_missing(reader, node, (const char *[]){ "value" }, 1);
	if (t.term->distinct)
		read_prefix_len(reader, &t);
	else if (t.prefix_len)
		complain_at(reader, t.prefix_len, "prefixLength", "only of Distinct");
}

static const struct krl_field selector_fields[] = {
	{ "headers", read_headers },	{ "path", read_path },	     { "methods", read_methods },
	{ "sourceCIDR", read_source },	{ "sourceIP", read_source }, { "model", krl_decode_unsupported },
	{ NULL, NULL },
};

static void read_selector(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct selector_reader s = { .rule = out };
	size_t before = reader->errors;

	if (s.rule->selector_count == KRL_MAX_RULE_ENTRIES) {
		krl_reader_error(reader, node, "more than %d selectors in one rule", KRL_MAX_RULE_ENTRIES);
		return;
	}
	s.selector = krl_reader_add(reader, &s.rule->selectors, &s.rule->selector_count);
	if (!s.selector)
		return;
	krl_reader_mapping(reader, node, selector_fields, &s);
	if (!s.selector->term_count && reader->errors == before)
		krl_reader_error(reader, node,
				 "expected at least one of headers, path, methods and sourceCIDR");
}

void krl_decode_selectors(struct krl_reader *reader, yaml_node_t *node, struct krl_rule_spec *rule)
{
	krl_reader_sequence(reader, node, read_selector, rule);
	if (node->type == YAML_SEQUENCE_NODE && !rule->selector_count)
		krl_reader_error(reader, node, "expected at least one selector");
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
	read_name(reader, node, c->client.header);
	if (!strcmp(c->client.header, "forwarded"))
		krl_reader_expected(reader, node, "a header of plain addresses, as X-Forwarded-For is and that of RFC 7239 is not");
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
