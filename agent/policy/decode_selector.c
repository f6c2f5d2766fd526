// SPDX-License-Identifier: Apache-2.0
/* `clientSelectors` of a rule: whom it is for. */
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

/* What `type` of a term may say. */
struct term_type {
	const char *name;
	enum krl_predicate_kind kind;
	bool valued, distinct;	/* it has a value; each value has a bucket of its own */
};

/* How the terms on a field are written. */
struct term_form {
	enum krl_field_kind field;
	bool named;
	const struct krl_field *fields;
	const struct term_type *types;	/* the first when none is given; without a name at their end */
	const char *expected;		/* the types in words */
};

/* A further term of @selector, on @field. NULL, and a complaint, when it has too many. */
static struct krl_term *add_term(struct krl_reader *reader, yaml_node_t *node, struct krl_selector *selector,
				 enum krl_field_kind field)
{
	struct krl_term *term;

	if (selector->term_count == KRL_MAX_ENTRY_PREDICATES) {
		krl_reader_error(reader, node, "more than %d conditions in one selector",
				 KRL_MAX_ENTRY_PREDICATES);
		return NULL;
	}
	term = &selector->terms[selector->term_count++];
	term->field = field;
	return term;
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
	struct term_reader *t = out;

	t->invert = node;
	krl_reader_boolean(reader, node, &t->term->invert);
}

static void read_header_name(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct term_reader *t = out;

	t->name = true;
	krl_decode_header_name(reader, node, t->term->name);
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

/* The complaint "PATH.NAME: ..." of @complain, krl_reader_error() or krl_reader_expected(). */
#define complain_at(complain, reader, node, name, ...)                                             \
	do {                                                                                       \
		size_t len_ = krl_reader_enter(reader, "." name);                                  \
                                                                                                   \
		complain(reader, node, __VA_ARGS__);                                               \
		krl_reader_leave(reader, len_);                                                    \
	} while (0)

/* What the type that @t has is of @types. NULL: none of them. */
static const struct term_type *type_of(const struct term_reader *t, const struct term_type *types)
{
	const char *text;

	if (!t->type)
		return types;
	text = krl_node_text(t->type);
	for (; text && types->name; types++)
		if (!strcmp(text, types->name))
			return types;
	return NULL;
}

/* Read a further term of the selector that @out reads, all but its value. Returns its type. NULL: there was something
 * to complain about. */
static const struct term_type *read_term(struct krl_reader *reader, yaml_node_t *node, const struct term_form *form,
					 void *out, struct term_reader *ret)
{
	struct selector_reader *s = out;
	const struct term_type *type;
	size_t before = reader->errors;

	ret->term = add_term(reader, node, s->selector, form->field);
	if (!ret->term)
		return NULL;
	krl_reader_mapping(reader, node, form->fields, ret);
	if (form->named && !ret->name && reader->errors == before)
		krl_reader_missing(reader, node, (const char *[]){ "name" }, 1);
	type = type_of(ret, form->types);
	if (!type)
		complain_at(krl_reader_expected, reader, ret->type, "type", form->expected);
	if (!type || reader->errors != before)
		return NULL;
	ret->term->kind = type->kind;
	ret->term->distinct = type->distinct;
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

/* Have @read take the value, where @type has one. */
static void read_typed_value(struct krl_reader *reader, yaml_node_t *node, const struct term_reader *t,
			     const struct term_type *type,
			     void (*read)(struct krl_reader *reader, yaml_node_t *node, struct krl_term *term))
{
	if (type->valued && !t->value)
		krl_reader_missing(reader, node, (const char *[]){ "value" }, 1);
	else if (!type->valued && t->value)
		complain_at(krl_reader_error, reader, t->value, "value", "%s has no value", type->name);
	else if (type->valued)
		read_at_value(reader, t, read);
}

static const struct krl_field header_fields[] = {
	{ "name", read_header_name }, { "type", note_type },	 { "value", note_value },
	{ "invert", read_invert },    { NULL, NULL },
};

static const struct term_form header_form = {
	.field = KRL_FIELD_HEADER,
	.named = true,
	.fields = header_fields,
	.types = (const struct term_type[]){ { "Exact", KRL_PREDICATE_EXACT, .valued = true },
					     { "Prefix", KRL_PREDICATE_PREFIX, .valued = true },
					     { "Present", KRL_PREDICATE_PRESENT, .valued = false },
					     { "Distinct", KRL_PREDICATE_PRESENT, .distinct = true },
					     { .name = NULL } },
	.expected = "Exact, Prefix, Present or Distinct",
};

static void read_header(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct term_reader t = { 0 };
	const struct term_type *type = read_term(reader, node, &header_form, out, &t);

	if (!type)
		return;
	if (type->distinct && t.term->invert)
		complain_at(krl_reader_error, reader, t.invert, "invert", "Distinct cannot be inverted");
	read_typed_value(reader, node, &t, type, read_header_value);
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

static const struct term_form path_form = {
	.field = KRL_FIELD_PATH,
	.fields = path_fields,
	.types = (const struct term_type[]){ { "PathPrefix", KRL_PREDICATE_PATH_PREFIX, .valued = true },
					     { "Exact", KRL_PREDICATE_EXACT, .valued = true },
					     { "Distinct", KRL_PREDICATE_PRESENT, .distinct = true },
					     { .name = NULL } },
	.expected = "PathPrefix, Exact or Distinct",
};

static void read_path(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct term_reader t = { 0 };
	const struct term_type *type = read_term(reader, node, &path_form, out, &t);

	if (type)
		read_typed_value(reader, node, &t, type, read_path_value);
}

static void read_method(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	static const char *const names[] = { "GET",	"HEAD",	   "POST",  "PUT",  "DELETE",
					     "CONNECT", "OPTIONS", "TRACE", "PATCH" };
	const char *text = krl_node_text(node);
	size_t i;

	for (i = 0; text && i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(text, names[i])) {
			((struct krl_term *)out)->methods |= 1U << (KRL_METHOD_GET + i);
			return;
		}
	krl_reader_expected(reader, node, "GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE or PATCH");
}

static void read_methods(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct selector_reader *s = out;
	struct krl_term *term = add_term(reader, node, s->selector, KRL_FIELD_METHOD);
	size_t before = reader->errors;

	if (!term)
		return;
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

static const struct term_form source_form = {
	.field = KRL_FIELD_SOURCE,
	.fields = source_fields,
	/* Exact is a predicate of its own with its value; Distinct may have one. */
	.types = (const struct term_type[]){ { "Exact", KRL_PREDICATE_PRESENT, .distinct = false },
					     { "Distinct", KRL_PREDICATE_PRESENT, .distinct = true },
					     { .name = NULL } },
	.expected = "Exact or Distinct",
};

static void read_source(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct selector_reader *s = out;
	const struct term_type *type;
	struct term_reader t = { 0 };

	if (node->type == YAML_SCALAR_NODE) {
		t.term = add_term(reader, node, s->selector, KRL_FIELD_SOURCE);
		if (t.term)
			read_cidr(reader, node, t.term);
		return;
	}
	type = read_term(reader, node, &source_form, out, &t);
	if (!type)
		return;
	if (t.value)
		read_at_value(reader, &t, read_cidr);
	else if (!type->distinct)
		krl_reader_missing(reader, node, (const char *[]){ "value" }, 1);
	if (type->distinct)
		read_prefix_len(reader, &t);
	else if (t.prefix_len)
		complain_at(krl_reader_error, reader, t.prefix_len, "prefixLength", "only of Distinct");
}

/* A model's name, of which the kernel keeps as many bytes. */
static void read_model_value(struct krl_reader *reader, yaml_node_t *node, struct krl_term *term)
{
	krl_reader_string(reader, node, KRL_MODEL_BYTES + 1, term->value);
}

static const struct term_form model_form = {
	.field = KRL_FIELD_MODEL,
	.fields = path_fields,
	.types = (const struct term_type[]){ { "Exact", KRL_PREDICATE_EXACT, .valued = true },
					     { "Prefix", KRL_PREDICATE_PREFIX, .valued = true },
					     { "Distinct", KRL_PREDICATE_PRESENT, .distinct = true },
					     { .name = NULL } },
	.expected = "Exact, Prefix or Distinct",
};

static void read_model(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct term_reader t = { 0 };
	const struct term_type *type = read_term(reader, node, &model_form, out, &t);

	if (type)
		read_typed_value(reader, node, &t, type, read_model_value);
}

static void read_from(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct selector_reader *s = out;
	struct krl_term *term = add_term(reader, node, s->selector, KRL_FIELD_PEER);

	if (term)
		krl_decode_from(reader, node, term);
}

static const struct krl_field selector_fields[] = {
	{ "headers", read_headers },	{ "path", read_path },	     { "methods", read_methods },
	{ "sourceCIDR", read_source },	{ "sourceIP", read_source }, { "model", read_model },
	{ "from", read_from },		{ NULL, NULL },
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
				 "expected at least one of headers, path, methods, sourceCIDR, model and from");
}

void krl_decode_selectors(struct krl_reader *reader, yaml_node_t *node, struct krl_rule_spec *rule)
{
	krl_reader_sequence(reader, node, read_selector, rule);
	if (node->type == YAML_SEQUENCE_NODE && !rule->selector_count)
		krl_reader_error(reader, node, "expected at least one selector");
}
