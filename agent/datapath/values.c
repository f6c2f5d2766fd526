// SPDX-License-Identifier: Apache-2.0
#include "values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include "agent/base/vec.h"
#include "pinned.h"

struct reader {
	struct krl_values values;
	int err;
};

static const struct krl_pinned values_map = { "krl_values", BPF_MAP_TYPE_LRU_HASH, sizeof(__u64[2]),
					      sizeof(struct krl_kept), KRL_MAX_KEPT };

static int compare_descriptors(const void *a, const void *b)
{
	const struct krl_kept_row *x = a, *y = b;

	return memcmp(x->descriptor, y->descriptor, sizeof(x->descriptor));
}

int krl_values_add(struct krl_values *values, const __u64 descriptor[2], const struct krl_kept *kept)
{
	struct krl_kept_row *added = krl_vec_add(&values->rows, &values->count);

	if (!added)
		return -ENOMEM;
	memcpy(added->descriptor, descriptor, sizeof(added->descriptor));
	added->kept = *kept;
	return 0;
}

void krl_values_sort(struct krl_values *values)
{
	if (values->count)
		qsort(values->rows, values->count, sizeof(*values->rows), compare_descriptors);
}

const struct krl_kept *krl_values_find(const struct krl_values *values, const __u64 descriptor[2])
{
	const struct krl_kept_row *found;
	struct krl_kept_row wanted;

	if (!values->count || (!descriptor[0] && !descriptor[1]))
		return NULL;
	memcpy(wanted.descriptor, descriptor, sizeof(wanted.descriptor));
	found = bsearch(&wanted, values->rows, values->count, sizeof(wanted), compare_descriptors);
	return found ? &found->kept : NULL;
}

static void on_kept(void *arg, const void *key, const void *value)
{
	struct reader *r = arg;

	if (!r->err)
		r->err = krl_values_add(&r->values, key, value);
}

int krl_values_read(const char *bpffs, struct krl_values *ret)
{
	struct reader r = {};
	int err;

	err = krl_pinned_each(bpffs, &values_map, KRL_MAX_KEPT, on_kept, &r);
	err = err ? err : r.err;
	if (err) {
		krl_values_free(&r.values);
		return err;
	}
	krl_values_sort(&r.values);
	*ret = r.values;
	return 0;
}

void krl_values_free(struct krl_values *values)
{
	free(values->rows);
	memset(values, 0, sizeof(*values));
}
