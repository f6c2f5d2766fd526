// SPDX-License-Identifier: Apache-2.0
/* Go's encoding/json, as of which the API server's is, has numbers as float64, written as digits up to 1e21, any
 * character in text, and 10000 levels; jansson has 64 bits, no U+0000, and 2048 levels. Metadata, and what a definition
 * does not have a type for, may hold any of it. */
#include "json.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char int64_max[] = "9223372036854775807";

/* What is rewritten keeps its length. */
struct tamer {
	char *at, *end;
	unsigned int depth;
	char *cut;	/* where what is too deep begins; NULL: it is not that deep */
};

/* Past the string at t->at. */
static void tame_string(struct tamer *t)
{
	for (t->at++; t->at < t->end && *t->at != '"'; t->at++) {
		if (*t->at != '\\')
			continue;
		if (t->end - t->at > 6 && !memcmp(t->at, "\\u0000", 6))
			memcpy(t->at, "\\ufffd", 6);
		t->at++;
	}
	t->at += t->at < t->end;
}

/* Past the number at t->at. */
static void tame_number(struct tamer *t)
{
	char *digits = t->at + (*t->at == '-'), *past = digits;
	size_t max = sizeof(int64_max) - 1, count;

	while (past < t->end && isdigit((unsigned char)*past))
		past++;
	count = past - digits;
	if ((past == t->end || !memchr(".eE", *past, 3)) &&
	    (count > max || (count == max && memcmp(digits, int64_max, max) > 0)))
		memcpy(past - 2, "e2", 2);
	while (past < t->end && (isalnum((unsigned char)*past) || memchr("+-.", *past, 3)))
		past++;
	t->at = past > t->at ? past : t->at + 1;
}

static void tame_bracket(struct tamer *t)
{
	if (*t->at == '[' || *t->at == '{') {
		if (t->depth++ == KRL_K8S_JSON_DEPTH)
			t->cut = t->at;
	} else if (t->depth && t->depth-- == KRL_K8S_JSON_DEPTH + 1) {
		memset(t->cut, ' ', t->at + 1 - t->cut);
		*t->cut = '0';
	}
	t->at++;
}

static void tame(char *bytes, size_t len)
{
	struct tamer t = { .at = bytes, .end = bytes + len };

	while (t.at < t.end) {
		if (*t.at == '"')
			tame_string(&t);
		else if (*t.at == '-' || isdigit((unsigned char)*t.at))
			tame_number(&t);
		else if (memchr("[]{}", *t.at, 4))
			tame_bracket(&t);
		else
			t.at++;
	}
}

json_t *krl_k8s_json(const char *bytes, size_t len)
{
	json_t *root = json_loadb(bytes, len, 0, NULL);
	char *tamed;

	/* It is rare, so that nothing is looked for before it. */
	if (root)
		return root;
	tamed = malloc(len + 1);
	if (!tamed)
		return NULL;
	memcpy(tamed, bytes, len);
	tame(tamed, len);
	root = json_loadb(tamed, len, 0, NULL);
	free(tamed);
	return root;
}
