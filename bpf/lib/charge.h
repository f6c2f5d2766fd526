/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Charging requests to model servers. Who lets a request through has krl_admit() write down in llm->charge which buckets
 * it counts in, and what it reserved there, and keeps that with krl_charge_keep() under the request's number. When its
 * answer is done, krl_charge_settle() takes what was used, and gives back what else was reserved. */
#ifndef KMESH_RL_CHARGE_H
#define KMESH_RL_CHARGE_H

#include "../maps.h"
#include "cluster.h"
#include "held.h"
#include "histogram.h"
#include "rule.h"
#include "rule_bucket.h"

/* A charge while it is settled, or put back. */
struct krl_settling {
	struct krl_charge *charge;
	const struct krl_llm_tokens *tokens;	/* NULL: nothing was used, and nothing is counted */
	__u64 now_ns;
	__u32 known;		/* enum krl_llm_known */
	__u32 pad;
};

static __always_inline void krl_llm_stats_add(struct krl_llm_stats *s, const struct krl_llm_tokens *t, __u32 known,
					      __u64 debited)
{
	if (!s)
		return;
	__sync_fetch_and_add(&s->requests, 1);
	if (known == KRL_LLM_ESTIMATED)
		__sync_fetch_and_add(&s->estimated, 1);
	if (known == KRL_LLM_UNREADABLE)
		__sync_fetch_and_add(&s->unreadable, 1);
	__sync_fetch_and_add(&s->input, t->input);
	__sync_fetch_and_add(&s->output, t->output);
	__sync_fetch_and_add(&s->total, t->total);
	__sync_fetch_and_add(&s->cached_input, t->cached_input);
	__sync_fetch_and_add(&s->reasoning, t->reasoning);
	__sync_fetch_and_add(&s->debited, debited);
}

static const struct krl_llm_stats krl_llm_nothing_used;

/* The row of @key in @map, which is there or made. */
static __always_inline struct krl_llm_stats *krl_llm_stats_of(void *map, const void *key)
{
	struct krl_llm_stats *s = bpf_map_lookup_elem(map, key);

	if (s)
		return s;
	bpf_map_update_elem(map, key, &krl_llm_nothing_used, BPF_NOEXIST);
	return bpf_map_lookup_elem(map, key);
}

/* Count what was used for people: by the rule of @key, by its model and by who its bucket is. */
static __always_inline void krl_charge_count(struct krl_settling *s, const struct krl_bucket_key *key, __u64 debited)
{
	struct krl_llm_user_key user = { .rule_id = key->rule_id };
	struct krl_llm_model_key *model = &s->charge->model;
	__u32 slot = key->slot;

	krl_llm_stats_add(bpf_map_lookup_elem(&krl_llm_stats, &slot), s->tokens, s->known, debited);
	if (model->len) {
		model->rule_id = key->rule_id;
		krl_llm_stats_add(krl_llm_stats_of(&krl_llm_models, model), s->tokens, s->known, debited);
	}
	if (!key->descriptor[0])
		return;
	user.descriptor[0] = key->descriptor[0];
	user.descriptor[1] = key->descriptor[1];
	krl_llm_stats_add(krl_llm_stats_of(&krl_llm_users, &user), s->tokens, s->known, debited);
}

/* What the tokens cost by @rule, at most KRL_BUCKET_DEBIT_MAX. Of an answer of which nothing is known: all that is
 * reserved. */
static __always_inline __u64 krl_charge_cost(const struct krl_settling *s, const struct krl_rule *rule, __u64 reserved)
{
	struct krl_cost_run *run = &s->charge->run;
	__u64 key = KRL_READ_ONCE(rule->cost);
	const struct krl_cost *program;

	if (!s->tokens || s->known == KRL_LLM_REFUSED)
		return 0;
	if (s->known == KRL_LLM_UNREADABLE)
		return reserved;
	program = bpf_map_lookup_elem(&krl_costs, &key);
	if (!program)
		return 0;
	krl_cost_eval(program, s->tokens, &s->charge->model, run);
	return run->tokens > KRL_BUCKET_DEBIT_MAX ? KRL_BUCKET_DEBIT_MAX : run->tokens;
}

/* The bucket under @key, in which @rule counts. Where it is gone meanwhile, one to be @debited is made, new; what is given
 * back to none is not needed. */
static __always_inline struct krl_bucket *krl_charge_bucket(const struct krl_bucket_key *key, __u32 overflow,
							    const struct krl_settings *settings,
							    const struct krl_rule *rule, __u64 now_ns, int debited)
{
	struct krl_bucket *b = krl_held_bucket(key, overflow), fresh;

	if (b && !krl_bucket_is_buried(b))
		return b;
	if (!debited)
		return 0;
	fresh = krl_rule_bucket_new(settings, KRL_READ_ONCE(rule->flags), KRL_READ_ONCE(rule->credit), now_ns);
	bpf_map_update_elem(&krl_buckets, key, &fresh, BPF_NOEXIST);
	b = bpf_map_lookup_elem(&krl_buckets, key);
	return b && !krl_bucket_is_buried(b) ? b : 0;
}

/* Take @n from the lease @b under @key, into debt where they are not there, or put back what was reserved (@n below 0).
 * The agent tells Redis. */
static __always_inline void krl_charge_lease(struct krl_bucket *b, const struct krl_bucket_key *key, __u32 overflow,
					     __s64 n)
{
	__s64 was = __sync_fetch_and_add(&b->tokens, -n);

	KRL_OPAQUE(was);
	/* While Redis is away it is an ordinary bucket, and stays one. */
	if (KRL_READ_ONCE(b->last_topup_ns) & KRL_LEASE)
		krl_cluster_ask(b, key, overflow, 0);
}

/* Take from number @i of the charge what it @cost, and give back what else was reserved there. */
KRL_GLOBAL int krl_charge_pay(struct krl_charge *charge, __u32 i, __u64 cost, __u64 now_ns)
{
	struct krl_settings settings;
	__u64 reserved;
	struct krl_bucket_key key;
	struct krl_rule *rule;
	__u32 slot, overflow;
	struct krl_bucket *b;

	if (!charge)
		return 0;
	key = charge->keys[KRL_MASKED(i, KRL_CHARGE_KEYS)];
	reserved = charge->reserved[KRL_MASKED(i, KRL_CHARGE_KEYS)];
	overflow = charge->overflow >> (i & (KRL_CHARGE_KEYS - 1)) & 1;
	slot = key.slot;
	rule = bpf_map_lookup_elem(&krl_rules, &slot);
	if (!rule || krl_rule_read(rule, key.rule_id, &settings))
		return 0;
	b = krl_charge_bucket(&key, overflow, &settings, rule, now_ns, cost > reserved);
	if (!b)
		return 0;
	if (KRL_READ_ONCE(rule->flags) & KRL_RULE_CLUSTER)
		krl_charge_lease(b, &key, overflow, (__s64)(cost - reserved));
	else if (cost > reserved)
		krl_bucket_debit(b, &settings, now_ns, cost - reserved);
	else if (cost < reserved)
		krl_bucket_give_back(b, &settings, reserved - cost);
	return 0;
}

static long krl_charge_settle_key(__u32 i, void *ctx)
{
	struct krl_settling *s = ctx;
	struct krl_bucket_key *key = &s->charge->keys[KRL_MASKED(i, KRL_CHARGE_KEYS)];
	struct krl_rule *rule;
	__u32 slot = key->slot;
	__u64 cost;

	rule = bpf_map_lookup_elem(&krl_rules, &slot);
	if (!rule || KRL_READ_ONCE(rule->id) != key->rule_id)
		return 0;
	cost = krl_charge_cost(s, rule, s->charge->reserved[KRL_MASKED(i, KRL_CHARGE_KEYS)]);
	krl_charge_pay(s->charge, i, cost, s->now_ns);
	if (s->tokens)
		krl_charge_count(s, key, cost);
	return 0;
}

static __always_inline void krl_charge_each(struct krl_charge *charge, const struct krl_llm_tokens *tokens, __u32 known)
{
	struct krl_settling settling = { .charge = charge, .tokens = tokens, .known = known };

	settling.now_ns = bpf_ktime_get_boot_ns();
	bpf_loop(charge->count, krl_charge_settle_key, &settling, 0);
	charge->count = 0;
}

/* Give back what the request that is judged on the connection @cookie has reserved; it has no charge afterwards. By its
 * cookie, since 6.1's verifier takes nothing of what an argument points to for a map's key. */
KRL_GLOBAL int krl_charge_cancel(__u64 cookie)
{
	struct krl_llm *llm = bpf_map_lookup_elem(&krl_llms, &cookie);

	if (llm)
		krl_charge_each(&llm->charge, 0, KRL_LLM_REFUSED);
	return 0;
}

/* The request @number of the connection @cookie was let through: its charge is kept. Returns 0; or -1 without room, and
 * then it has none. */
KRL_GLOBAL int krl_charge_keep(__u64 cookie, __u32 number)
{
	struct krl_charge_key key = { .cookie = cookie, .request = number };
	struct krl_llm *llm = bpf_map_lookup_elem(&krl_llms, &cookie);

	if (!llm || !llm->charge.count || !bpf_map_update_elem(&krl_charges, &key, &llm->charge, BPF_ANY))
		return 0;
	krl_charge_each(&llm->charge, 0, KRL_LLM_REFUSED);
	krl_count(KRL_REASON_LLM_CHARGES_FULL);
	return -1;
}

/* What a stream came to that did not tell: each event that brings a piece of the answer is about a token. */
static __always_inline void krl_charge_estimate(const struct krl_charge *charge, struct krl_llm *llm)
{
	struct krl_llm_tokens *t = &llm->tokens;

	if (!(t->has & KRL_LLM_HAS_INPUT))
		t->input = charge->prompt;
	if (t->output < llm->usage.content_events)
		t->output = llm->usage.content_events;
	t->total = t->input + t->output;
	t->has |= KRL_LLM_HAS_INPUT | KRL_LLM_HAS_OUTPUT | KRL_LLM_HAS_TOTAL;
}

/* Events that may come until a budget is looked at again. */
#define KRL_CHARGE_AHEAD 256

struct krl_exceeding {
	struct krl_settling settling;
	__s64 ahead;	/* events that no budget is exceeded by; below 0: one is */
};

/* Of estimates, is the cost by @program at most one more for each event? */
static __always_inline int krl_charge_is_plain(const struct krl_cost *program)
{
	return program && program->count == 1 && program->steps[0].op == KRL_COST_LOAD;
}

static long krl_charge_exceeds_key(__u32 i, void *ctx)
{
	struct krl_exceeding *e = ctx;
	struct krl_charge *charge = e->settling.charge;
	const struct krl_bucket_key *key = &charge->keys[KRL_MASKED(i, KRL_CHARGE_KEYS)];
	__u64 reserved = charge->reserved[KRL_MASKED(i, KRL_CHARGE_KEYS)], cost, program;
	struct krl_settings settings;
	struct krl_bucket *b;
	struct krl_rule *rule;
	__u32 slot = key->slot;
	__s64 ahead;

	rule = bpf_map_lookup_elem(&krl_rules, &slot);
	if (!(charge->cuts >> i & 1) || !rule || krl_rule_read(rule, key->rule_id, &settings))
		return 0;
	cost = krl_charge_cost(&e->settling, rule, reserved);
	b = krl_held_bucket(key, charge->overflow >> i & 1);
	ahead = (__s64)(reserved - cost);
	if (ahead < 0 && (!b || krl_bucket_is_buried(b)))
		ahead += krl_rule_bucket_whole(&settings, KRL_READ_ONCE(rule->flags), KRL_READ_ONCE(rule->credit));
	else if (ahead < 0)
		ahead += krl_rule_bucket_available(b, &settings, KRL_READ_ONCE(rule->flags), e->settling.now_ns);
	program = KRL_READ_ONCE(rule->cost);
	if (ahead > 0 && !krl_charge_is_plain(bpf_map_lookup_elem(&krl_costs, &program)))
		ahead = 0;
	if (ahead < e->ahead)
		e->ahead = ahead;
	return ahead < 0;
}

/* The answer to request @number, as far as @llm has it: is it more than what is left of a budget at which it is to be cut?
 * Then -1 is returned; else how many events, each of which is estimated as a token, may come until it might be. */
KRL_GLOBAL int krl_charge_ahead(__u64 cookie, __u32 number, struct krl_llm *llm)
{
	struct krl_exceeding e = { .settling.known = KRL_LLM_ESTIMATED, .ahead = KRL_CHARGE_AHEAD };
	struct krl_charge_key key = { .cookie = cookie, .request = number };
	struct krl_charge *charge = bpf_map_lookup_elem(&krl_charges, &key);

	if (!charge || !llm)
		return 0;
	krl_llm_tokens_of(&llm->usage.counts, &llm->tokens);
	krl_charge_estimate(charge, llm);
	e.settling.charge = charge;
	e.settling.tokens = &llm->tokens;
	e.settling.now_ns = bpf_ktime_get_boot_ns();
	bpf_loop(charge->count, krl_charge_exceeds_key, &e, 0);
	return e.ahead < 0 ? -1 : e.ahead;
}

/* Are the answers to request @number cut where a budget is spent? */
static __always_inline int krl_charge_cuts(__u64 cookie, __u32 number)
{
	struct krl_charge_key key = { .cookie = cookie, .request = number };
	struct krl_charge *charge = bpf_map_lookup_elem(&krl_charges, &key);

	return charge && charge->cuts;
}

static const struct krl_usage krl_usage_none;

static __always_inline void krl_usage_add(struct krl_usage_histogram *h, __u64 tokens)
{
	__u32 bucket = krl_usage_bucket(tokens);

	if (bucket >= KRL_USAGE_BUCKETS)
		return;
	__sync_fetch_and_add(&h->buckets[bucket], 1);
	__sync_fetch_and_add(&h->sum, tokens);
}

/* The histograms of @model, or of all others where there is no room; @model says that then. */
static __always_inline struct krl_usage *krl_usage_of(struct krl_llm_model_key *model)
{
	struct krl_usage *u = bpf_map_lookup_elem(&krl_llm_usages, model);

	if (u)
		return u;
	bpf_map_update_elem(&krl_llm_usages, model, &krl_usage_none, BPF_NOEXIST);
	u = bpf_map_lookup_elem(&krl_llm_usages, model);
	if (u)
		return u;
	model->len = KRL_USAGE_OTHERS;
	__builtin_memset(model->model, 0, sizeof(model->model));
	return bpf_map_lookup_elem(&krl_llm_usages, model);
}

/* Count for people how many tokens request @number of the connection @cookie used, the last that its charge is for. By
 * its cookie, as krl_charge_cancel(). */
KRL_GLOBAL int krl_usage_count(__u64 cookie, __u32 number)
{
	struct krl_charge_key key = { .cookie = cookie, .request = number };
	struct krl_charge *charge = bpf_map_lookup_elem(&krl_charges, &key);
	struct krl_llm *llm = bpf_map_lookup_elem(&krl_llms, &cookie);
	const struct krl_llm_tokens *t;
	struct krl_usage *u;

	if (!charge || !llm)
		return 0;
	t = &llm->tokens;
	charge->model.rule_id = charge->completion		? KRL_USAGE_COMPLETION
				: t->has & KRL_LLM_HAS_OUTPUT	? KRL_USAGE_CHAT
								: KRL_USAGE_EMBEDDINGS;
	if (!charge->model.len)
		charge->model.len = KRL_USAGE_OTHERS;
	u = krl_usage_of(&charge->model);
	if (!u)
		return 0;
	if (t->has & KRL_LLM_HAS_INPUT)
		krl_usage_add(&u->of[KRL_USAGE_INPUT], t->input);
	if (t->has & KRL_LLM_HAS_OUTPUT)
		krl_usage_add(&u->of[KRL_USAGE_OUTPUT], t->output);
	if (t->has & KRL_LLM_HAS_CACHED_INPUT)
		krl_usage_add(&u->of[KRL_USAGE_CACHED_INPUT], t->cached_input);
	if (t->has & KRL_LLM_HAS_REASONING)
		krl_usage_add(&u->of[KRL_USAGE_REASONING], t->reasoning);
	krl_usage_add(&u->of[KRL_USAGE_TOTAL], t->total);
	return 0;
}

/* Settle the charge of request @number, if it has one: with llm->tokens, of which @known says how much is; without @llm,
 * nothing was used. */
KRL_GLOBAL int krl_charge_settle(__u64 cookie, __u32 number, struct krl_llm *llm, __u32 known)
{
	struct krl_charge_key key = { .cookie = cookie, .request = number };
	struct krl_charge *charge = bpf_map_lookup_elem(&krl_charges, &key);

	if (!charge)
		return 0;
	if (known == KRL_LLM_ESTIMATED && llm) {
		krl_charge_estimate(charge, llm);
		krl_count(KRL_REASON_LLM_ESTIMATED);
	}
	if (known == KRL_LLM_UNREADABLE)
		krl_count(KRL_REASON_LLM_UNREADABLE);
	krl_charge_each(charge, llm ? &llm->tokens : 0, known);
	if (llm && known <= KRL_LLM_ESTIMATED)
		krl_usage_count(cookie, number);
	bpf_map_delete_elem(&krl_charges, &key);
	return 0;
}

#endif
