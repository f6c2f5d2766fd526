// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append(struct krl_lease_table *t, struct krl_lease_entry *e)
{
	e->next = NULL;
	e->before = t->last;
	if (t->last)
		t->last->next = e;
	else
		t->first = e;
	t->last = e;
}

static void detach(struct krl_lease_table *t, struct krl_lease_entry *e)
{
	if (e->next)
		e->next->before = e->before;
	else
		t->last = e->before;
	if (e->before)
		e->before->next = e->next;
	else
		t->first = e->next;
}

struct krl_lease_entry *krl_lease_table_get(struct krl_lease_table *t, const struct krl_bucket_key *key, bool overflow)
{
	uint64_t hash = krl_index_hash(key, sizeof(*key)) ^ overflow;
	struct krl_lease_entry *e;
	struct krl_link *link;

	for (link = krl_index_find(&t->index, hash); link; link = krl_index_next(link)) {
		e = (struct krl_lease_entry *)link;
		if (e->overflow == overflow && !memcmp(&e->key, key, sizeof(*key)))
			return e;
	}
	e = calloc(1, sizeof(*e));
	if (!e || krl_index_add(&t->index, &e->link, hash)) {
		free(e);
		return NULL;
	}
	e->key = *key;
	e->overflow = overflow;
	append(t, e);
	t->count++;
	return e;
}

struct krl_lease_entry *krl_lease_table_turn(struct krl_lease_table *t)
{
	struct krl_lease_entry *e = t->first;

	if (e) {
		detach(t, e);
		append(t, e);
	}
	return e;
}

void krl_lease_table_drop(struct krl_lease_table *t, struct krl_lease_entry *e)
{
	krl_index_remove(&t->index, &e->link);
	detach(t, e);
	t->count--;
	free(e);
}

void krl_lease_table_clear(struct krl_lease_table *t)
{
	while (t->first)
		krl_lease_table_drop(t, t->first);
	krl_index_clear(&t->index);
}

void krl_lease_bucket_name(const struct krl_lease_entry *e, const struct krl_rule_info *info,
			   char ret[KRL_LEASE_BUCKET_BYTES])
{
	char descriptor[33] = "-";

	if (e->overflow)
		snprintf(descriptor, sizeof(descriptor), "overflow");
	else if (e->key.descriptor[0] || e->key.descriptor[1])
		snprintf(descriptor, sizeof(descriptor), "%016llx%016llx", e->key.descriptor[0], e->key.descriptor[1]);
	snprintf(ret, KRL_LEASE_BUCKET_BYTES, "%s/%s/%s/%s/%s", info->ns, info->name, info->service, info->rule, descriptor);
}

void krl_lease_holder_name(const struct krl_lease_entry *e, const char *node, __u64 incarnation,
			   char ret[KRL_LEASE_HOLDER_BYTES])
{
	/* Several endpoints of one node hold leases of one bucket, each its own. */
	struct { __u64 netns_cookie; __u8 addr[16]; __u64 port; } place = { e->key.netns_cookie, { 0 }, e->key.port };

	memcpy(place.addr, e->key.addr, sizeof(place.addr));
	snprintf(ret, KRL_LEASE_HOLDER_BYTES, "%.80s/%llx/%llx", node, incarnation,
		 (unsigned long long)krl_index_hash(&place, sizeof(place)));
}
