// SPDX-License-Identifier: Apache-2.0
#include "lease.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "internal.h"

struct krl_leases {
	struct krl_datapath *dp;
	struct ring_buffer *ring;
	struct krl_redis_memory *memory;	/* krl_cluster, mapped */
	krl_asked_fn fn;
	void *arg;
};

static int on_asked(void *ctx, void *data, size_t size)
{
	const struct krl_leases *l = ctx;
	const struct krl_asked *asked = data;

	if (size >= sizeof(*asked))
		l->fn(l->arg, &asked->key, asked->overflow, asked->need);
	return 0;
}

int krl_leases_open(struct krl_datapath *datapath, krl_asked_fn fn, void *arg, struct krl_leases **ret,
		    struct krl_error *ret_error)
{
	struct krl_leases *l = calloc(1, sizeof(*l));
	void *memory;

	if (!l)
		return krl_error_set(ret_error, ENOMEM, "out of memory");
	*l = (struct krl_leases){ .dp = datapath, .fn = fn, .arg = arg };
	memory = mmap(NULL, sizeof(*l->memory), PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_map__fd(datapath->skel->maps.krl_cluster), 0);
	l->memory = memory == MAP_FAILED ? NULL : memory;
	if (l->memory)
		l->ring = ring_buffer__new(bpf_map__fd(datapath->skel->maps.krl_asked), on_asked, l, NULL);
	if (!l->ring) {
		krl_error_set(ret_error, errno, "watching krl_asked: %s", strerror(errno));
		krl_leases_close(l);
		return -EIO;
	}
	*ret = l;
	return 0;
}

void krl_leases_close(struct krl_leases *l)
{
	if (!l)
		return;
	ring_buffer__free(l->ring);
	if (l->memory)
		munmap(l->memory, sizeof(*l->memory));
	free(l);
}

void krl_leases_poll(struct krl_leases *l)
{
	ring_buffer__consume(l->ring);
}

struct krl_redis_memory *krl_leases_memory(struct krl_leases *l)
{
	return l->memory;
}

int krl_leases_do(struct krl_leases *l, struct krl_lease_op *op)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = op, .ctx_size_in = sizeof(*op));
	int err = bpf_prog_test_run_opts(bpf_program__fd(l->dp->skel->progs.krl_lease), &opts);

	if (err)
		return err;
	return op->found ? 0 : -ENOENT;
}

const struct krl_rule *krl_leases_rule(const struct krl_leases *l, const struct krl_bucket_key *key,
				       const struct krl_rule_info **ret_info)
{
	const struct krl_rule *rule = &l->dp->rules[key->slot % KRL_MAX_RULES];

	*ret_info = &l->dp->infos[key->slot % KRL_MAX_RULES];
	if (rule->id != key->rule_id || (*ret_info)->id != key->rule_id || !(rule->flags & KRL_RULE_CLUSTER))
		return NULL;
	return rule;
}

bool krl_leases_settings(const struct krl_leases *l, __u32 slot, __u32 rule_id, struct krl_settings *ret)
{
	const struct krl_rule *rule = &l->dp->rules[slot];

	*ret = rule->settings;
	return rule->id == rule_id && rule->flags & KRL_RULE_CLUSTER;
}

void krl_leases_set_local(struct krl_leases *l, __u32 slot, const struct krl_settings *local)
{
	krl_rows_set_local(l->dp, slot, local);
}

void krl_leases_set_until(struct krl_leases *l, __u64 until_ns)
{
	__atomic_store_n(&l->dp->config->cluster_until_ns, until_ns, __ATOMIC_RELEASE);
}

void krl_leases_set_ahead(struct krl_leases *l, __u64 ahead_ns)
{
	__atomic_store_n(&l->dp->config->cluster_ahead_ns, ahead_ns, __ATOMIC_RELAXED);
}

void krl_leases_key(const struct krl_leases *l, __u8 ret[16])
{
	memcpy(ret, l->dp->config->hash_key, 16);
}

bool krl_leases_share_key(struct krl_leases *l, const __u8 key[16])
{
	if (!memcmp(l->dp->config->hash_key, key, 16))
		return false;
	memcpy(l->dp->config->hash_key, key, 16);
	return true;
}
