// SPDX-License-Identifier: Apache-2.0
#include "record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_S 1000000000ULL
#define NS_PER_MS 1000000ULL

void krl_record_open(struct krl_record *r, uint64_t now_ns)
{
	r->seen.asked = true;
	r->seen.since_s = time(NULL);
	r->opened_ns = now_ns;
}

void krl_record_up(struct krl_record *r, const char *where)
{
	r->seen.up = true;
	r->seen.since_s = time(NULL);
	r->seen.why[0] = '\0';
	snprintf(r->seen.where, sizeof(r->seen.where), "%s", where);
}

void krl_record_down(struct krl_record *r, const char *why)
{
	/* That it is away for another reason now does not make it away since now. */
	if (r->seen.up)
		r->seen.since_s = time(NULL);
	r->seen.up = false;
	snprintf(r->seen.why, sizeof(r->seen.why), "%s", why);
}

static void count(struct krl_record *r, uint64_t now_ns)
{
	uint64_t second = now_ns / NS_PER_S;
	size_t at = second % (KRL_RECORD_SECONDS + 1);

	if (r->seconds[at].second != second) {
		r->seconds[at].second = second;
		r->seconds[at].count = 0;
	}
	r->seconds[at].count++;
}

void krl_record_answer(struct krl_record *r, struct krl_lease_entry *e, const struct krl_granted *granted, uint64_t now_ns)
{
	if (!granted) {
		r->seen.failures++;
		return;
	}
	r->seen.exchanges++;
	count(r, now_ns);
	e->answered_ns = now_ns;
	r->rules[e->key.slot % KRL_MAX_RULES] =
		(struct krl_seen_rule){ .rule_id = e->key.rule_id, .left = granted->tokens, .at_ns = now_ns };
}

void krl_record_heard(struct krl_record *r, uint64_t now_ns)
{
	r->heard_ns = now_ns;
}

static double rate(const struct krl_record *r, uint64_t now_ns)
{
	uint64_t now = now_ns / NS_PER_S, whole = now - r->opened_ns / NS_PER_S, total = 0;
	size_t i;

	whole = whole < KRL_RECORD_SECONDS ? whole : KRL_RECORD_SECONDS;
	for (i = 0; i <= KRL_RECORD_SECONDS; i++)
		if (r->seconds[i].second < now && r->seconds[i].second + KRL_RECORD_SECONDS >= now)
			total += r->seconds[i].count;
	return whole ? (double)total / (double)whole : 0;
}

static int compare(const void *a, const void *b)
{
	const struct krl_seen_rule *x = a, *y = b;

	return x->rule_id < y->rule_id ? -1 : x->rule_id > y->rule_id;
}

const struct krl_seen_rule *krl_seen_rule(const struct krl_seen *seen, __u32 rule_id)
{
	struct krl_seen_rule wanted = { .rule_id = rule_id };

	return seen->count ? bsearch(&wanted, seen->rules, seen->count, sizeof(wanted), compare) : NULL;
}

void krl_seen_free(struct krl_seen *seen)
{
	free(seen->rules);
	*seen = (struct krl_seen){ 0 };
}

static void add_leases(struct krl_seen *seen, const struct krl_lease_table *table)
{
	const struct krl_lease_entry *e;
	struct krl_seen_rule *rule;

	for (e = table->first; e; e = e->next) {
		/* It is in an array of this function's caller. */
		rule = (struct krl_seen_rule *)krl_seen_rule(seen, e->key.rule_id);
		if (!rule || !e->answered_ns)
			continue;
		rule->leased += e->lease.known ? e->lease.leased : 0;
		if (e->lease.left < rule->left)
			rule->left = e->lease.left;
	}
}

int krl_record_seen(const struct krl_record *r, const struct krl_lease_table *table, uint64_t now_ns, struct krl_seen *ret)
{
	struct krl_seen seen = r->seen;
	struct timespec wall;
	size_t i;

	for (i = 0; i < KRL_MAX_RULES; i++)
		seen.count += r->rules[i].rule_id != 0;
	seen.rules = calloc(seen.count + 1, sizeof(*seen.rules));
	if (!seen.rules)
		return -ENOMEM;
	seen.count = 0;
	for (i = 0; i < KRL_MAX_RULES; i++)
		if (r->rules[i].rule_id)
			seen.rules[seen.count++] = r->rules[i];
	qsort(seen.rules, seen.count, sizeof(*seen.rules), compare);
	add_leases(&seen, table);
	seen.per_s = rate(r, now_ns);
	clock_gettime(CLOCK_REALTIME, &wall);
	if (r->heard_ns)
		seen.last_ms = wall.tv_sec * 1000LL + wall.tv_nsec / 1000000 - (int64_t)((now_ns - r->heard_ns) / NS_PER_MS);
	*ret = seen;
	return 0;
}
