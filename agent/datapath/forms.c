// SPDX-License-Identifier: Apache-2.0
/* The texts of the rules' answers in krl_forms. A form is there under the hash of what it says: rules that
 * answer alike share one, and one that a program reads is never written again. */
#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/policy/form.h"
#include "pass.h"

int krl_pass_form(struct krl_pass *p, const struct krl_form *form, __u64 before, __u64 *ret_key)
{
	__u64 key = krl_form_key(form);

	if (key != before &&
	    bpf_map_update_elem(bpf_map__fd(p->dp->skel->maps.krl_forms), &key, form, BPF_NOEXIST) && errno != EEXIST)
		return -errno;
	*ret_key = key;
	return 0;
}

void krl_pass_drop_forms(struct krl_pass *p)
{
	__u64 *used = calloc(2 * KRL_MAX_RULES, sizeof(*used));
	size_t i;

	for (i = 0; used && i < KRL_MAX_RULES; i++) {
		used[2 * i] = p->dp->rules[i].form;
		used[2 * i + 1] = p->dp->rules[i].headers;
	}
	if (used)
		krl_contents_drop(bpf_map__fd(p->dp->skel->maps.krl_forms), used, 2 * KRL_MAX_RULES,
				  &p->dp->stale_forms);
	free(used);
}
