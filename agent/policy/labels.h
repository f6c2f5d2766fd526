/* SPDX-License-Identifier: Apache-2.0 */
/* Label selectors, with the meaning that Kubernetes gives them (apimachinery, meta/v1, LabelSelector). No I/O. */
#ifndef KMESH_RL_LABELS_H
#define KMESH_RL_LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KRL_LABEL_REQUIREMENTS 32	/* of one selector */
#define KRL_LABEL_VALUES 32		/* of one requirement */

struct krl_label {
	const char *key, *value;
};

enum krl_label_operator {
	KRL_LABEL_IN,
	KRL_LABEL_NOT_IN,	/* also of what does not have the label */
	KRL_LABEL_EXISTS,
	KRL_LABEL_ABSENT,	/* DoesNotExist */
};

struct krl_label_requirement {
	enum krl_label_operator op;
	char *key;
	char **values;
	size_t value_count;
};

/* All of its requirements have to be met; without any, it is met by everything. All zero at first, owns what it has. */
struct krl_label_selector {
	struct krl_label_requirement *requirements;
	size_t count;
};

bool krl_labels_meet(const struct krl_label_selector *selector, const struct krl_label *labels, size_t count);

/* Bring @selector into the order that all have which say the same. */
void krl_label_selector_normalize(struct krl_label_selector *selector);

/* Take @selector, which is normalized, into the hash @digest. */
uint64_t krl_label_selector_digest(const struct krl_label_selector *selector, uint64_t digest);

/* Take the text into the hash @digest, which is KRL_DIGEST_START at first, with its end. */
#define KRL_DIGEST_START 14695981039346656037u
uint64_t krl_text_digest(const char *text, uint64_t digest);

/* May @text be the key of a label, and a value of one? */
bool krl_label_is_key(const char *text);
bool krl_label_is_value(const char *text);

void krl_label_selector_clear(struct krl_label_selector *selector);

#endif
