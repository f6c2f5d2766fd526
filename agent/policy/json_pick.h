/* SPDX-License-Identifier: Apache-2.0 */
/* Some of the fields of a JSON value. No I/O. */
#ifndef KMESH_RL_JSON_PICK_H
#define KMESH_RL_JSON_PICK_H

#include <jansson.h>

struct krl_json_pick {
	const char *key;			/* NULL ends the table */
	const struct krl_json_pick *inside;	/* of an object, or of each of a list of them; NULL: all of it */
};

/* @value with those of its fields that are among @picks, as far as it has them; what is no object stays as it is. The
 * caller drops the reference. NULL without memory. */
json_t *krl_json_pick(const json_t *value, const struct krl_json_pick *picks);

#endif
