// SPDX-License-Identifier: Apache-2.0
#include "json_pick.h"

static json_t *pick_items(const json_t *list, const struct krl_json_pick *picks)
{
	json_t *picked = json_array(), *item;
	size_t i;

	json_array_foreach(list, i, item) {
		/* Lists of lists are nothing that has fields. */
		item = json_is_object(item) ? krl_json_pick(item, picks) : json_incref(item);
		if (json_array_append_new(picked, item)) {
			json_decref(picked);
			return NULL;
		}
	}
	return picked;
}

json_t *krl_json_pick(const json_t *value, const struct krl_json_pick *picks)
{
	json_t *picked, *field;

	if (!picks || (!json_is_object(value) && !json_is_array(value)))
		return json_incref((json_t *)value);
	if (json_is_array(value))
		return pick_items(value, picks);
	picked = json_object();
	for (; picks->key; picks++) {
		field = json_object_get(value, picks->key);
		if (field && json_object_set_new_nocheck(picked, picks->key, krl_json_pick(field, picks->inside))) {
			json_decref(picked);
			return NULL;
		}
	}
	return picked;
}
