// SPDX-License-Identifier: Apache-2.0
#include "used.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include "agent/base/vec.h"
#include "pinned.h"

struct reader {
	struct krl_used *used;
	int err;
};

static const struct krl_pinned models_map = { "krl_llm_models", BPF_MAP_TYPE_LRU_HASH, sizeof(struct krl_llm_model_key),
					      sizeof(struct krl_llm_stats), KRL_MAX_USED };
static const struct krl_pinned users_map = { "krl_llm_users", BPF_MAP_TYPE_LRU_HASH, sizeof(struct krl_llm_user_key),
					     sizeof(struct krl_llm_stats), KRL_MAX_USED };

static int compare_ids(const void *a, const void *b)
{
	const struct krl_stats_row *const *x = a, *const *y = b;

	return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static const struct krl_stats_row *find_rule(const struct krl_used *used, __u32 id)
{
	const struct krl_stats_row wanted = { .id = id }, *key = &wanted, **found;

	if (!used->rule_count)
		return NULL;
	found = bsearch(&key, used->by_id, used->rule_count, sizeof(*used->by_id), compare_ids);
	return found ? *found : NULL;
}

/* NULL without memory. */
static struct krl_used_row *add_row(struct krl_used *used, const struct krl_stats_row *rule, enum krl_used_by by,
				    const struct krl_llm_stats *tokens)
{
	struct krl_used_row *row = krl_vec_add(&used->rows, &used->count);

	if (!row)
		return NULL;
	row->rule = rule;
	row->by = by;
	row->tokens = *tokens;
	return row;
}

int krl_used_of(struct krl_used *used, const struct krl_stats *rules)
{
	size_t i;

	used->by_id = calloc(rules->count + 1, sizeof(*used->by_id));
	if (!used->by_id)
		return -ENOMEM;
	for (i = 0; i < rules->count; i++) {
		if (!(rules->rows[i].flags & KRL_RULE_LLM))
			continue;
		used->by_id[used->rule_count++] = &rules->rows[i];
		if (!add_row(used, &rules->rows[i], KRL_USED_ALL, &rules->rows[i].used))
			return -ENOMEM;
	}
	qsort(used->by_id, used->rule_count, sizeof(*used->by_id), compare_ids);
	return 0;
}

int krl_used_add_model(struct krl_used *used, const struct krl_llm_model_key *key, const struct krl_llm_stats *tokens)
{
	const struct krl_stats_row *rule = find_rule(used, key->rule_id);
	struct krl_used_row *row = rule ? add_row(used, rule, KRL_USED_MODEL, tokens) : NULL;

	if (!row)
		return rule ? -ENOMEM : 0;
	row->model = *key;
	return 0;
}

int krl_used_add_user(struct krl_used *used, const struct krl_llm_user_key *key, const struct krl_llm_stats *tokens)
{
	const struct krl_stats_row *rule = find_rule(used, key->rule_id);
	struct krl_used_row *row = rule ? add_row(used, rule, KRL_USED_USER, tokens) : NULL;

	if (!row)
		return rule ? -ENOMEM : 0;
	memcpy(row->descriptor, key->descriptor, sizeof(row->descriptor));
	row->kept = krl_values_find(&used->values, key->descriptor);
	return 0;
}

/* What debited the same: rule by rule, its sum before its parts, those by their names. */
static int compare_rows(const void *a, const void *b)
{
	const struct krl_used_row *x = a, *y = b;
	int order = (x->tokens.debited < y->tokens.debited) - (x->tokens.debited > y->tokens.debited);

	if (!order)
		order = (x->rule > y->rule) - (x->rule < y->rule);
	if (!order)
		order = (int)x->by - (int)y->by;
	if (!order)
		order = memcmp(x->model.model, y->model.model, sizeof(x->model.model));
	if (!order && x->kept && y->kept)
		order = memcmp(x->kept->values[0].text, y->kept->values[0].text, sizeof(x->kept->values[0].text));
	return order ? order : memcmp(x->descriptor, y->descriptor, sizeof(x->descriptor));
}

void krl_used_finish(struct krl_used *used, size_t limit)
{
	if (used->count)
		qsort(used->rows, used->count, sizeof(*used->rows), compare_rows);
	used->total = used->count;
	if (limit && used->count > limit)
		used->count = limit;
}

static void on_model(void *arg, const void *key, const void *tokens)
{
	struct reader *r = arg;

	if (!r->err)
		r->err = krl_used_add_model(r->used, key, tokens);
}

static void on_user(void *arg, const void *key, const void *tokens)
{
	struct reader *r = arg;

	if (!r->err)
		r->err = krl_used_add_user(r->used, key, tokens);
}

int krl_used_each_user(const char *bpffs, void (*each)(void *arg, const void *key, const void *tokens), void *arg)
{
	return krl_pinned_each(bpffs, &users_map, KRL_MAX_USED, each, arg);
}

int krl_used_read_models(const char *bpffs, const struct krl_stats *rules, struct krl_used *ret)
{
	struct krl_used used = {};
	struct reader r = { .used = &used };
	int err = krl_used_of(&used, rules);

	if (!err && used.rule_count)
		err = krl_pinned_each(bpffs, &models_map, KRL_MAX_USED, on_model, &r);
	err = err ? err : r.err;
	if (err) {
		krl_used_free(&used);
		return err;
	}
	*ret = used;
	return 0;
}

int krl_used_read(const char *bpffs, const struct krl_stats *rules, size_t limit, struct krl_used *ret)
{
	struct krl_used used = {};
	struct reader r = { .used = &used };
	int err;

	err = krl_values_read(bpffs, &used.values);
	if (!err)
		err = krl_used_of(&used, rules);
	if (!err)
		err = krl_pinned_each(bpffs, &models_map, KRL_MAX_USED, on_model, &r);
	if (!err && !r.err)
		err = krl_used_each_user(bpffs, on_user, &r);
	err = err ? err : r.err;
	if (err) {
		krl_used_free(&used);
		return err;
	}
	krl_used_finish(&used, limit);
	*ret = used;
	return 0;
}

void krl_used_free(struct krl_used *used)
{
	free(used->rows);
	free(used->by_id);
	krl_values_free(&used->values);
	memset(used, 0, sizeof(*used));
}
