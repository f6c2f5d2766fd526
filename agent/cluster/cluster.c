// SPDX-License-Identifier: Apache-2.0
#include "cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/datapath/lease.h"
#include "agent/loop/handle.h"
#include "counters.h"
#include "record.h"
#include "share.h"
#include "table.h"

/* The kernel stops using a lease so long before Redis takes it as spent. */
#define MARGIN_NS 100000000ULL

/* How often Redis is asked whether it is there, when there is nothing else to ask. */
#define PING_NS 500000000ULL

/* Exchanges in one pipeline. */
#define MOST 4096

/* Ticks after which shares are written anew, and of such times, those after which what was before is forgotten. */
#define SHARE_TICKS 10
#define SHARE_TURN 5

#define NS_PER_US 1000
#define NS_PER_MS 1000000ULL

/* So many ticks before a fill what is idle goes back, where that makes room for it: one is late, one brings it to somebody
 * else, who uses it in the third. Where fills come more often than that matters, none does. */
#define FILL_TICKS 3
#define SELDOM_TICKS 10

/* An exchange on its way. Its entry stays as long; its rule may go. */
struct exchange {
	struct krl_lease_entry *entry;
	__u64 credit;
	char bucket[KRL_LEASE_BUCKET_BYTES], holder[KRL_LEASE_HOLDER_BYTES];
};

struct krl_cluster {
	struct krl_leases *leases;
	struct krl_redis *redis;
	uv_timer_t *timer;
	__u64 tick_ns;
	char node[256];
	unsigned int drawn;	/* at random, in each tick */
	__u64 incarnation;	/* another after each loss of Redis, and with it of what exchanges came to */
	struct krl_lease_table table;
	struct exchange *exchanges;
	struct krl_exchange *asked;
	size_t count;
	size_t left;		/* entries that had no turn in this tick */
	bool busy;
	__u64 sent_ns;
	struct krl_share *shares[KRL_MAX_RULES];	/* by the rule's row; NULL: nothing was spent */
	unsigned int ticks;
	struct krl_record record;
	struct krl_counters counters;
	struct krl_datapath *datapath;
	void (*rekeyed)(void *ctx);
	void *ctx;
};

static void on_asked(void *arg, const struct krl_bucket_key *key, bool overflow, __u32 need)
{
	struct krl_cluster *c = arg;
	struct krl_lease_entry *e = krl_lease_table_get(&c->table, key, overflow);

	if (e)
		krl_lease_asked(&e->lease, need);
}

static int operate(struct krl_cluster *c, const struct krl_lease_entry *e, enum krl_lease_op_kind kind, __s64 tokens,
		   __u64 end_ns, struct krl_lease_op *ret)
{
	*ret = (struct krl_lease_op){ .key = e->key, .kind = kind, .overflow = e->overflow, .tokens = tokens,
				      .end_ns = end_ns };
	return krl_leases_do(c->leases, ret);
}

static int take_out(struct krl_cluster *c, const struct krl_lease_entry *e, __u64 n, __u64 *ret)
{
	struct krl_lease_op op;
	int err = n ? operate(c, e, KRL_LEASE_TAKE_OUT, n, 0, &op) : 0;

	*ret = n && !err ? op.tokens : 0;
	return err;
}

/* What is in the kernel, accounted. 0; -ENOENT: the bucket is gone; or -errno. */
static int look(struct krl_cluster *c, struct krl_lease_entry *e, const struct krl_rule *rule,
		struct krl_lease_report *ret)
{
	struct krl_lease_seen seen = { 0 };
	__u64 now_ns = krl_boot_ns(), n, out;
	struct krl_lease_op op;
	int err;

	err = operate(c, e, KRL_LEASE_LOOK, 0, 0, &op);
	if (err)
		return err;
	seen.tokens = op.tokens;
	seen.endless = op.end_ns == KRL_LEASE_ENDLESS_NS;
	seen.over = now_ns >= op.end_ns;
	seen.fills = now_ns + FILL_TICKS * c->tick_ns >= e->lease.fill_ns;
	seen.filled = now_ns >= e->lease.fill_ns;
	seen.drawn = c->drawn;
	if (!e->lease.known || !op.end_ns) {
		n = krl_lease_begin(&e->lease, &seen, rule->credit);
		err = take_out(c, e, n, &out);
		/* From now on it is a lease again, which is over. */
		if (!err && !op.end_ns)
			err = operate(c, e, KRL_LEASE_GRANT, 0, 1, &op);
		if (err)
			return err;
		e->lease.base -= out;
		seen.tokens -= out;
	}
	n = krl_lease_look(&e->lease, &seen, ret);
	err = take_out(c, e, n, &out);
	if (err)
		return err;
	krl_lease_taken_out(&e->lease, n, out, seen.over, ret);
	krl_lease_want(&e->lease, rule->settings.max_tokens, rule->credit, ret);
	return 0;
}

/* Prepare the exchange of @e, if there is one. */
static void prepare(struct krl_cluster *c, struct krl_lease_entry *e)
{
	struct exchange *x = &c->exchanges[c->count];
	const struct krl_rule_info *info;
	struct krl_lease_report report;
	const struct krl_rule *rule;

	rule = krl_leases_rule(c->leases, &e->key, &info);
	if (!rule || look(c, e, rule, &report)) {
		krl_lease_table_drop(&c->table, e);
		return;
	}
	if (!report.used && !report.debt && !report.back && !report.want && !e->lease.leased)
		return;
	x->entry = e;
	x->credit = rule->credit;
	krl_lease_bucket_name(e, info, x->bucket);
	krl_lease_holder_name(e, c->node, c->incarnation, x->holder);
	c->asked[c->count++] = (struct krl_exchange){ .bucket = x->bucket, .holder = x->holder, .used = report.used,
						      .debt = report.debt, .back = report.back, .want = report.want, .least = report.least,
						      .settings = rule->settings };
}

/* What exchange @x told of, and all have spent, goes into the share of its rule. */
static void share(struct krl_cluster *c, const struct exchange *x, const struct krl_exchange *asked,
		  const struct krl_granted *granted)
{
	struct krl_share **s = &c->shares[x->entry->key.slot % KRL_MAX_RULES];

	if (!*s)
		*s = calloc(1, sizeof(**s));
	if (!*s)
		return;
	if ((*s)->rule_id != x->entry->key.rule_id)
		**s = (struct krl_share){ .rule_id = x->entry->key.rule_id };
	krl_share_add(*s, granted->shard, asked->used + (asked->debt > 0 ? asked->debt : 0), granted->spent);
}

static bool has_no_room(const struct krl_cluster *c, const struct krl_granted *granted, const struct krl_settings *s)
{
	return s->fill_interval_ns >= SELDOM_TICKS * c->tick_ns &&
	       granted->tokens + (__s64)(granted->out + s->tokens_per_fill) > (__s64)s->max_tokens;
}

static void on_answer(void *arg, size_t index, const struct krl_granted *granted)
{
	struct krl_cluster *c = arg;
	struct exchange *x = &c->exchanges[index];
	struct krl_lease *lease = &x->entry->lease;
	const struct krl_settings *settings = &c->asked[index].settings;
	struct krl_lease_answer heard;
	__u64 now_ns = krl_boot_ns(), end_ns = c->sent_ns + KRL_LEASE_TTL_MS * 1000000ULL - MARGIN_NS;
	struct krl_lease_op op;

	krl_record_answer(&c->record, x->entry, granted, now_ns);
	if (!granted) {
		lease->known = false;
		if (c->asked[index].debt > 0)
			lease->owed += c->asked[index].debt;
		return;
	}
	heard = (struct krl_lease_answer){
		.wanted = c->asked[index].want, .granted = granted->granted, .out = granted->out, .others = granted->others,
		.left = granted->tokens, .waits = granted->wait_us, .full = has_no_room(c, granted, settings), .now_ns = now_ns,
		.fill_ns = now_ns + settings->fill_interval_ns - granted->now_us * NS_PER_US % settings->fill_interval_ns };
	krl_lease_answered(lease, &heard);
	share(c, x, &c->asked[index], granted);
	krl_leases_set_ahead(c->leases, granted->now_us * NS_PER_US - now_ns);
	if (now_ns >= end_ns) {
		lease->lost += granted->granted;
		return;
	}
	if (granted->granted || lease->leased) {
		if (operate(c, x->entry, KRL_LEASE_GRANT, granted->granted, end_ns, &op))
			lease->lost += granted->granted;
		else
			krl_lease_granted(lease, granted->granted, 0);
	} else if (granted->tokens >= (__s64)x->credit &&
		   !operate(c, x->entry, KRL_LEASE_CREDIT, x->credit, 0, &op)) {
		krl_lease_granted(lease, 0, op.tokens);
	}
}

static void send_due(struct krl_cluster *c);

static void on_done(void *arg, int err)
{
	struct krl_cluster *c = arg;

	c->busy = false;
	if (err)
		return;
	krl_record_heard(&c->record, krl_boot_ns());
	krl_leases_set_until(c->leases, c->sent_ns + KRL_LEASE_TTL_MS * 1000000ULL);
	if (c->left)
		send_due(c);
}

static const struct krl_exchange_calls exchange_calls = { .answer = on_answer, .done = on_done };

/* Send what is due of those that had no turn, one pipeline of it: the rest follows its answer. */
static void send_due(struct krl_cluster *c)
{
	__u64 now_ns = krl_boot_ns();
	struct krl_lease_entry *e;

	for (c->count = 0; c->left && c->count < MOST; c->left--) {
		e = krl_lease_table_turn(&c->table);
		if (e && krl_lease_is_due(&e->lease, now_ns))
			prepare(c, e);
		else if (e && krl_lease_rests(&e->lease))
			krl_lease_table_drop(&c->table, e);
	}
	if (!c->count && now_ns - c->sent_ns < PING_NS)
		return;
	c->sent_ns = krl_boot_ns();
	/* It may be over before this returns, if the connection is gone. */
	c->busy = true;
	if (krl_redis_exchange(c->redis, c->asked, c->count, &exchange_calls, c))
		c->busy = false;
}

static void write_shares(struct krl_cluster *c)
{
	bool turn = c->ticks % (SHARE_TICKS * SHARE_TURN) == 0;
	struct krl_settings whole, local;
	__u32 slot;

	for (slot = 0; slot < KRL_MAX_RULES; slot++) {
		if (!c->shares[slot])
			continue;
		if (krl_leases_settings(c->leases, slot, c->shares[slot]->rule_id, &whole) &&
		    krl_share_of(c->shares[slot], &whole, &local))
			krl_leases_set_local(c->leases, slot, &local);
		if (turn)
			krl_share_turn(c->shares[slot]);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct krl_cluster *c = timer->data;

	krl_leases_poll(c->leases);
	if (!krl_redis_is_up(c->redis))
		return;
	krl_counters_tell(&c->counters, c->datapath, c->redis, c->node, krl_boot_ns());
	if (c->busy)
		return;
	c->left = c->table.count;
	getrandom(&c->drawn, sizeof(c->drawn), 0);
	send_due(c);
	if (++c->ticks % SHARE_TICKS == 0)
		write_shares(c);
}

static void on_up(void *arg, const __u8 key[KRL_REDIS_KEY_BYTES])
{
	struct krl_cluster *c = arg;

	if (krl_leases_share_key(c->leases, key) && c->rekeyed)
		c->rekeyed(c->ctx);
	c->sent_ns = 0;
	krl_counters_clear(&c->counters);
	krl_record_up(&c->record, krl_redis_where(c->redis));
	krl_log_info("Redis is there", "at", "%s", krl_redis_where(c->redis));
}

static void on_down(void *arg, const char *why)
{
	struct krl_cluster *c = arg;
	struct krl_lease_entry *e;

	krl_record_down(&c->record, why);
	krl_leases_set_until(c->leases, 0);
	/* Another incarnation: what is in the kernel belongs to one that Redis will take as spent. */
	c->incarnation++;
	for (e = c->table.first; e; e = e->next)
		e->lease.known = false;
	krl_log_warn("Redis is away, rules of the cluster go by whenUnavailable", "error", "%s", why);
}

static const struct krl_redis_calls redis_calls = { .up = on_up, .down = on_down };

static int open_redis(struct krl_cluster *c, uv_loop_t *loop, const struct krl_redis_options *options,
		      struct krl_error *ret_error)
{
	char error[KRL_REDIS_ERROR_BYTES];
	__u8 key[KRL_REDIS_KEY_BYTES];
	int err;

	krl_leases_key(c->leases, key);
	err = krl_redis_open(loop, options, krl_leases_memory(c->leases), key, &redis_calls, c, &c->redis, error);
	if (err)
		snprintf(ret_error->text, sizeof(ret_error->text), "%s", error);
	return err;
}

int krl_cluster_open(struct krl_datapath *datapath, uv_loop_t *loop, const struct krl_cluster_options *options,
		     struct krl_cluster **ret, struct krl_error *ret_error)
{
	struct krl_cluster *c;
	int err;

	*ret = NULL;
	if (!options->redis.url)
		return 0;
	c = calloc(1, sizeof(*c));
	if (c) {
		c->exchanges = calloc(MOST, sizeof(*c->exchanges));
		c->asked = calloc(MOST, sizeof(*c->asked));
		c->timer = krl_timer_new(loop, c, on_timer, options->tick_ms);
	}
	if (!c || !c->exchanges || !c->asked || !c->timer ||
	    getrandom(&c->incarnation, sizeof(c->incarnation), 0) < 0) {
		snprintf(ret_error->text, sizeof(ret_error->text), "out of memory");
		krl_cluster_close(c);
		return -ENOMEM;
	}
	c->datapath = datapath;
	c->tick_ns = options->tick_ms * NS_PER_MS;
	c->rekeyed = options->rekeyed;
	c->ctx = options->ctx;
	krl_record_open(&c->record, krl_boot_ns());
	if (options->node)
		snprintf(c->node, sizeof(c->node), "%s", options->node);
	else
		gethostname(c->node, sizeof(c->node) - 1);
	err = krl_leases_open(datapath, on_asked, c, &c->leases, ret_error);
	if (!err)
		err = open_redis(c, loop, &options->redis, ret_error);
	if (err) {
		krl_cluster_close(c);
		return err;
	}
	*ret = c;
	return 0;
}

int krl_cluster_seen(const struct krl_cluster *c, struct krl_seen *ret)
{
	if (c)
		return krl_record_seen(&c->record, &c->table, krl_boot_ns(), ret);
	*ret = (struct krl_seen){ 0 };
	return 0;
}

int krl_cluster_read(struct krl_cluster *c, krl_seen_read_fn fn, void *arg)
{
	return c ? krl_counters_read(c->redis, fn, arg) : -ENODATA;
}

bool krl_cluster_is_away(const struct krl_cluster *c)
{
	return c && !c->record.seen.up && c->record.seen.why[0];
}

void krl_cluster_close(struct krl_cluster *c)
{
	__u32 slot;

	if (!c)
		return;
	krl_handle_close(c->timer);
	krl_redis_close(c->redis);
	krl_leases_close(c->leases);
	krl_lease_table_clear(&c->table);
	krl_counters_clear(&c->counters);
	for (slot = 0; slot < KRL_MAX_RULES; slot++)
		free(c->shares[slot]);
	free(c->exchanges);
	free(c->asked);
	free(c);
}
