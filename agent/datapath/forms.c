// SPDX-License-Identifier: Apache-2.0
/* The texts of the rules' answers in krl_forms. A form is there under the hash of what it says: rules that
 * answer alike share one, and one that a program reads is never written again. */
#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/policy/form.h"
#include "pass.h"

int krl_pass_form(struct krl_pass *p, const struct krl_form *form, __u64 *ret_key)
{
	__u64 key = krl_form_key(form);

	if (bpf_map_update_elem(bpf_map__fd(p->dp->skel->maps.krl_forms), &key, form, BPF_NOEXIST) &&
	    errno != EEXIST)
		return -errno;
	*ret_key = key;
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return (x > y) - (x < y);
}

static bool is_in(const __u64 *sorted, size_t count, __u64 key)
{
	return count && bsearch(&key, sorted, count, sizeof(key), compare_keys);
}

/* Remove the forms that no rule has had since the pass before: an answer that is on its way may still look
 * for one that a rule had until now. */
void krl_pass_drop_forms(struct krl_pass *p)
{
	int fd = bpf_map__fd(p->dp->skel->maps.krl_forms);
	__u64 *used, *found, *at = NULL;
	size_t count = 0, unused = 0, i;

	used = calloc(KRL_MAX_RULES, sizeof(*used));
	found = calloc(2 * KRL_MAX_RULES, sizeof(*found));
	if (!used || !found) {
		free(used);
		free(found);
		return;
	}
	for (i = 0; i < KRL_MAX_RULES; i++)
		used[i] = p->dp->rules[i].form;
	qsort(used, KRL_MAX_RULES, sizeof(*used), compare_keys);
	while (count < 2 * KRL_MAX_RULES && !bpf_map_get_next_key(fd, at, &found[count]))
		at = &found[count++];
	for (i = 0; i < count; i++) {
		if (is_in(used, KRL_MAX_RULES, found[i]))
			continue;
		if (is_in(p->dp->stale_forms, p->dp->stale_form_count, found[i]))
			bpf_map_delete_elem(fd, &found[i]);
		else
			found[unused++] = found[i];
	}
	qsort(found, unused, sizeof(*found), compare_keys);
	free(used);
	free(p->dp->stale_forms);
	p->dp->stale_forms = found;
	p->dp->stale_form_count = unused;
}
