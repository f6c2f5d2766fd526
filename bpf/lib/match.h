/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What selectors look at of a request: its fields are collected while its head is framed, and each is compared as it
 * ends. */
#ifndef KMESH_RL_MATCH_H
#define KMESH_RL_MATCH_H

#include "compiler.h"
#include "http1_step.h"
#include "kept.h"
#include "request.h"
#include "siphash.h"

/* A request begins. */
static __always_inline void krl_match_begin(struct krl_match *m)
{
	__builtin_memset(m->bits, 0, sizeof(m->bits));
	__builtin_memset(&m->path, 0, __builtin_offsetof(struct krl_path, starts));
	krl_client_begin(&m->clients[0]);
	krl_client_begin(&m->clients[1]);
	m->present = 0;
	m->ambiguous = 0;
	m->blind = 0;
	m->model_len = 0;
	m->completions = 0;
	m->blanks = 0;
	m->open = 0;
	m->peered = 0;
	m->client_header = KRL_NO_FIELD;
	m->field = KRL_NO_FIELD;
}

static __always_inline void krl_match_set(struct krl_match *m, __u32 predicate)
{
	m->bits[predicate / 64 % (KRL_MAX_PREDICATES / 64)] |= 1ULL << (predicate & 63);
}

/* Do the first @len bytes agree, @max at most? Both have room up to the next multiple of 8. */
static __always_inline int krl_match_same(const char *a, const char *b, __u32 len, __u32 max)
{
	__u64 differ;
	__u32 i;

	for (i = 0; i < max; i += 8) {
		if (i >= len)
			break;
		differ = krl_load_word(a + i) ^ krl_load_word(b + i);
		if (len - i < 8)
			differ <<= 64 - (len - i) * 8;
		if (differ)
			return 0;
	}
	return 1;
}

/* A value that ended: of a header or the path. */
struct krl_match_value {
	struct krl_match *match;
	const struct krl_policy *policy;
	const char *bytes;
	__u32 field;
	__u32 len;		/* at most KRL_PATH_KEPT; NULs follow up to a multiple of 8 */
	__u32 is_long;		/* more of it was there */
};

/* Is @v under the path that @predicate has? That ends in a slash, or the next segment begins behind it. */
static __always_inline int krl_match_under(const struct krl_match_value *v, __u32 len)
{
	if (v->len == len)
		return 1;
	if (v->bytes[(len - 1) & (KRL_PATH_KEPT - 1)] == '/')
		return 1;
	return v->bytes[len & (KRL_PATH_KEPT - 1)] == '/';
}

static long krl_match_compare(__u32 i, void *ctx)
{
	const struct krl_match_value *v = ctx;
	__u32 n = v->policy->fields[v->field & (KRL_MAX_FIELDS - 1)].first + i;
	const struct krl_predicate *p = &v->policy->predicates[n & (KRL_MAX_PREDICATES - 1)];
	__u32 len = p->len;

	if (p->kind != KRL_PREDICATE_PRESENT) {
		if (v->len < len || (len >= 8 && krl_load_word(v->bytes) != p->word))
			return 0;
		if (p->kind == KRL_PREDICATE_EXACT && (v->len != len || v->is_long))
			return 0;
		if (!krl_match_same(v->bytes, v->policy->values + (p->at & (KRL_VALUES_BYTES - 8)), len,
				    KRL_VALUE_BYTES))
			return 0;
		if (p->kind == KRL_PREDICATE_PATH_PREFIX && !krl_match_under(v, len))
			return 0;
	}
	krl_match_set(v->match, n);
	return 0;
}

#ifdef __bpf__
#define krl_match_loop(count, step, ctx) bpf_loop(count, step, ctx, 0)
#else
static __always_inline void krl_match_loop(__u32 count, long (*step)(__u32, void *), void *ctx)
{
	__u32 i;

	for (i = 0; i < count; i++)
		if (step(i, ctx))
			break;
}
#endif

/* The hash of the field's name and @v; of the name alone when the value cannot pick a bucket of its own.
 * All of those share one, so that neither a second value nor a long one is a way to a fresh bucket. */
static __always_inline void krl_match_digest(const struct krl_match_value *v, int shared)
{
	const struct krl_policy_field *field = &v->policy->fields[v->field & (KRL_MAX_FIELDS - 1)];
	struct krl_match *m = v->match;
	__u32 len = shared ? 0 : v->len, i;
	struct krl_sip sip;
	__u64 last;

	krl_sip_start(&sip, m->key);
	krl_sip_word(&sip, field->hash + shared);
	for (i = 0; i + 8 <= KRL_VALUE_BYTES; i += 8) {
		if (i + 8 > len)
			break;
		krl_sip_word(&sip, krl_load_word(v->bytes + i));
	}
	last = (__u64)(len + 8) << 56;
	if (len & 7)
		last |= krl_load_word(v->bytes + (i & (KRL_VALUE_BYTES - 8))) & ~(~0ULL << (len & 7) * 8);
	krl_sip_end(&sip, last, m->digests[v->field & (KRL_MAX_FIELDS - 1)]);
}

/* The value of @v->field ended. */
static __noinline int krl_match_ended(struct krl_match_value *v)
{
	const struct krl_policy_field *field = &v->policy->fields[v->field & (KRL_MAX_FIELDS - 1)];
	__u32 bit = 1U << (v->field & (KRL_MAX_FIELDS - 1));
	int shared = 0, hidden;

	if (field->distinct) {
		shared = (v->match->present & bit) || v->is_long || v->len > KRL_VALUE_BYTES;
		v->match->ambiguous |= shared;
		krl_match_digest(v, shared);
		hidden = field->distinct & KRL_DISTINCT_HIDDEN;
		krl_keep_text(v->match, v->field, shared ? -1 : hidden ? 0 : (__s32)v->len);
	}
	v->match->present |= bit;
	krl_match_loop(field->predicate_count, krl_match_compare, v);
	return 0;
}

/* @n bytes, the first of @word, of a header's name; several are letters, digits and hyphens. */
static __always_inline void krl_match_name(struct krl_match *m, __u64 word, __u32 n)
{
	__u32 at = m->name_len;
	__u8 c = word;

	if (!n || at >= KRL_NAME_BYTES)
		return;
	if (n > KRL_NAME_BYTES - at)
		n = KRL_NAME_BYTES - at;
	if (n > 1 || (c >= 'A' && c <= 'Z'))
		word |= KRL_WORD_BLANKS;
	krl_store_word(m->name + KRL_MASKED(at, KRL_NAME_BYTES), krl_word_first(word, n));
	m->name_len = at + n;
}

/* Is @name the one that was read, of which the first word is known to be? */
KRL_GLOBAL int krl_match_name_rest(const struct krl_match *m, const struct krl_client_header *name)
{
	__u32 len;

	if (!m || !name)
		return 0;
	len = m->name_len;
	return len < KRL_NAME_BYTES && !name->name[len & (KRL_NAME_BYTES - 1)] &&
	       krl_match_same(m->name, name->name, len, KRL_NAME_BYTES);
}

/* Is @name, NUL padded, the one that was read? */
static __always_inline int krl_match_name_is(const struct krl_match *m, const char *name)
{
	return krl_load_word(name) == krl_load_word(m->name) &&
	       krl_match_name_rest(m, (const struct krl_client_header *)name);
}

/* A header's name ended: does some selector name it, or clientIP? */
KRL_GLOBAL int krl_match_name_end(struct krl_match *m, const struct krl_policy *policy)
{
	const struct krl_policy_field *field;
	__u32 i;

	if (!m || !policy)
		return 0;
	m->field = KRL_NO_FIELD;
	m->client_header = KRL_NO_FIELD;
	m->value_len = 0;
	m->value_end = 0;
	m->value_long = 0;
	for (i = 0; i < KRL_MAX_FIELDS; i++) {
		if (i >= policy->field_count)
			break;
		field = &policy->fields[i];
		if (field->kind == KRL_FIELD_HEADER && krl_match_name_is(m, field->name)) {
			m->field = i;
			break;
		}
	}
	m->tells_model = 0;
	for (i = 0; i < KRL_MAX_MODEL_HEADERS; i++)
		if (i < policy->model_header_count && krl_match_name_is(m, policy->model_headers[i].name))
			m->tells_model = 1;
	if (m->tells_model && m->field == KRL_NO_FIELD)
		m->field = policy->model;
	for (i = 0; i < KRL_MAX_CLIENT_HEADERS; i++)
		if (i < policy->client_header_count && krl_match_name_is(m, policy->client_headers[i].name))
			m->client_header = i;
	return 0;
}

static __always_inline void krl_match_value_byte(struct krl_match *m, __u8 c)
{
	int blank = c == ' ' || c == '\t';
	__u32 at = m->value_len;

	if (blank && !at)
		return;
	if (at >= KRL_VALUE_BYTES) {
		m->value_long |= !blank;
		return;
	}
	m->value[KRL_MASKED(at, KRL_VALUE_BYTES)] = c;
	m->value_len = at + 1;
	if (!blank)
		m->value_end = at + 1;
}

/* @n bytes of a value, the first of @word; of several, none is a tab. */
KRL_GLOBAL int krl_match_value(struct krl_match *m, __u64 word, __u32 n)
{
	__u32 at, i;

	if (!m)
		return 0;
	at = m->value_len;
	if (!at && n > 1 && (__u8)word == ' ') {
		word >>= 8;
		n--;
	}
	if (n == 1 || at > KRL_VALUE_BYTES - 8 || (!at && (__u8)word == ' ') || (__u8)(word >> (n - 1) * 8) == ' ') {
		for (i = 0; i < 8; i++) {
			if (i >= n)
				break;
			krl_match_value_byte(m, word >> i * 8);
		}
		return 0;
	}
	krl_store_word(m->value + KRL_MASKED(at, KRL_VALUE_BYTES), word);
	m->value_len = m->value_end = at + n;
	return 0;
}

/* @n bytes, the first of @word, of the header that says who the client is, or the end of its line. */
static __always_inline void krl_match_client(struct krl_match *m, __u64 word, __u32 n, int ended)
{
	struct krl_client *client = &m->clients[m->client_header & (KRL_MAX_CLIENT_HEADERS - 1)];
	__u32 i;

	if (ended) {
		krl_client_byte(client, '\n');
		m->client_header = KRL_NO_FIELD;
		return;
	}
	for (i = 0; i < 8; i++) {
		if (i >= n)
			break;
		krl_client_byte(client, word >> i * 8);
	}
}

/* The model of the request is the @len bytes of m->value, with NULs behind them up to a multiple of 8. */
static __always_inline void krl_match_model(struct krl_match *m, __u32 len)
{
	__u32 i;

	m->model_len = len;
	for (i = 0; i < KRL_MODEL_BYTES; i += 8)
		krl_store_word(m->model + i, i < len ? krl_load_word(m->value + i) : 0);
}

static __always_inline void krl_match_value_end(struct krl_match *m, const struct krl_policy *policy)
{
	struct krl_match_value v = { .match = m, .policy = policy, .bytes = m->value };

	v.field = m->field;
	v.len = m->value_end;
	v.is_long = m->value_long;
	if (v.len > KRL_VALUE_BYTES)
		return;
	__builtin_memset(m->value + v.len, 0, 8);
	m->field = KRL_NO_FIELD;
	if (m->tells_model) {
		krl_match_model(m, v.len);
		/* Some selector names the header as well. */
		if (v.field != policy->model)
			krl_match_ended(&v);
		v.field = policy->model;
	}
	krl_match_ended(&v);
}

KRL_GLOBAL int krl_match_path_byte(struct krl_match *m, __u8 c)
{
	if (m)
		krl_path_byte(&m->path, m->path_bytes, c);
	return 0;
}

/* @n bytes of the target, the first of @word. */
static __always_inline void krl_match_path(struct krl_match *m, __u64 word, __u32 n)
{
	__u32 i;

	for (i = 0; i < 8; i++) {
		if (i >= n)
			break;
		krl_match_path_byte(m, word >> i * 8);
	}
}

/* Does the path of @len bytes in @bytes end in "/completions"? */
static __always_inline int krl_match_completions(const char *bytes, __u32 len)
{
	if (len < 12)
		return 0;
	return krl_load_word(bytes + KRL_MASKED(len - 12, KRL_PATH_KEPT)) == KRL_W('/', 'c', 'o', 'm', 'p', 'l', 'e', 't') &&
	       krl_load_word(bytes + KRL_MASKED(len - 8, KRL_PATH_KEPT)) == KRL_W('p', 'l', 'e', 't', 'i', 'o', 'n', 's');
}

static __always_inline void krl_match_path_end(struct krl_match *m, const struct krl_policy *policy)
{
	struct krl_match_value v = { .match = m, .policy = policy, .bytes = m->path_bytes };
	int is_long;

	v.field = policy->path;
	v.len = krl_path_end(&m->path, m->path_bytes, &is_long);
	v.is_long = is_long;
	if (v.len > KRL_PATH_KEPT)
		return;
	m->completions = !is_long && krl_match_completions(m->path_bytes, v.len);
	__builtin_memset(m->path_bytes + v.len, 0, 8);
	krl_match_ended(&v);
}

static __always_inline __u32 krl_match_method_of(const struct krl_http *h)
{
	static const __u64 names[KRL_METHOD_MAX] = {
		[KRL_METHOD_GET] = KRL_W('g', 'e', 't', 0, 0, 0, 0, 0),
		[KRL_METHOD_HEAD] = KRL_W('h', 'e', 'a', 'd', 0, 0, 0, 0),
		[KRL_METHOD_POST] = KRL_W('p', 'o', 's', 't', 0, 0, 0, 0),
		[KRL_METHOD_PUT] = KRL_W('p', 'u', 't', 0, 0, 0, 0, 0),
		[KRL_METHOD_DELETE] = KRL_W('d', 'e', 'l', 'e', 't', 'e', 0, 0),
		[KRL_METHOD_CONNECT] = KRL_W('c', 'o', 'n', 'n', 'e', 'c', 't', 0),
		[KRL_METHOD_OPTIONS] = KRL_W('o', 'p', 't', 'i', 'o', 'n', 's', 0),
		[KRL_METHOD_TRACE] = KRL_W('t', 'r', 'a', 'c', 'e', 0, 0, 0),
		[KRL_METHOD_PATCH] = KRL_W('p', 'a', 't', 'c', 'h', 0, 0, 0),
	};
	__u32 i;

	for (i = KRL_METHOD_GET; i < KRL_METHOD_MAX; i++)
		if (krl_http_token_is(h, names[i], 0, 0))
			return i;
	return KRL_METHOD_OTHER;
}

static __always_inline void krl_match_method(struct krl_match *m, const struct krl_policy *policy,
					     const struct krl_http *h)
{
	const struct krl_policy_field *field = &policy->fields[policy->method & (KRL_MAX_FIELDS - 1)];
	__u32 method = krl_match_method_of(h), i, n;

	for (i = 0; i < KRL_MAX_METHOD_PREDICATES; i++) {
		if (i >= field->predicate_count)
			break;
		n = field->first + i;
		if (policy->predicates[n & (KRL_MAX_PREDICATES - 1)].word >> method & 1)
			krl_match_set(m, n);
	}
}

/* Does the value that the framing is in matter? */
static __always_inline int krl_match_collects(const struct krl_match *m)
{
	return m->field != KRL_NO_FIELD || m->client_header != KRL_NO_FIELD || m->blanks;
}

/* The framing went from @went.before over @went.bytes, the first of @word, to where @h is now. */
union krl_match_went {
	struct {
		__u8 before;
		__u8 bytes;
		__u8 pad[2];
	};
	__u32 all;
};

KRL_GLOBAL int krl_match_step(struct krl_match *m, const struct krl_policy *policy, const struct krl_http *h,
			      __u64 word, __u32 went)
{
	__u32 n = ((union krl_match_went){ .all = went }).bytes;
	int ended;

	if (!m || !policy || !h)
		return 0;
	switch (((union krl_match_went){ .all = went }).before) {
	case KRL_HTTP_METHOD:
		if (h->state == KRL_HTTP_TARGET_START && policy->method != KRL_NO_FIELD)
			krl_match_method(m, policy, h);
		break;
	case KRL_HTTP_TARGET_START:
	case KRL_HTTP_TARGET:
		if (policy->path == KRL_NO_FIELD)
			break;
		ended = h->state != KRL_HTTP_TARGET;
		krl_match_path(m, word, n - ended);
		if (ended)
			krl_match_path_end(m, policy);
		break;
	case KRL_HTTP_FIELD_START:
		m->name_len = 0;
		krl_store_word(m->name, 0);
		/* fallthrough */
	case KRL_HTTP_FIELD_NAME:
		ended = h->state != KRL_HTTP_FIELD_NAME;
		krl_match_name(m, word, n - ended);
		if (ended)
			krl_match_name_end(m, policy);
		break;
	case KRL_HTTP_FIELD_VALUE:
	case KRL_HTTP_FIELD_TOKEN:
	case KRL_HTTP_FIELD_TOKEN_END:
		if (m->client_header != KRL_NO_FIELD)
			krl_match_client(m, word, n, h->state == KRL_HTTP_FIELD_LF);
		if (m->field == KRL_NO_FIELD)
			break;
		if (h->state == KRL_HTTP_FIELD_LF)
			krl_match_value_end(m, policy);
		else
			krl_match_value(m, word, n);
		break;
	}
	return 0;
}

#endif
