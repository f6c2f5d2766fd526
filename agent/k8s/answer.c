// SPDX-License-Identifier: Apache-2.0
#include "answer.h"

#include <stdio.h>

#include "json.h"

const char *krl_answer_meta(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(json_object_get(object, "metadata"), key));

	return text ? text : "";
}

json_t *krl_answer_page(const char *bytes, size_t len)
{
	json_t *root = krl_k8s_json(bytes, len), *items = json_object_get(root, "items");

	/* A list without items may be null, which is what Go makes of a nil slice. */
	if (items && (json_is_array(items) || json_is_null(items)) && *krl_answer_meta(root, "resourceVersion"))
		return root;
	json_decref(root);
	return NULL;
}

bool krl_answer_event(const char *line, size_t len, struct krl_watch_event *ret)
{
	json_t *root = krl_k8s_json(line, len);

	*ret = (struct krl_watch_event){ .root = root, .type = json_string_value(json_object_get(root, "type")),
				   .object = json_object_get(root, "object") };
	if (ret->type && json_is_object(ret->object))
		return true;
	json_decref(root);
	return false;
}

void krl_answer_status(const json_t *object, struct krl_status *ret)
{
	const char *message = json_string_value(json_object_get(object, "message"));
	json_int_t after = json_integer_value(json_object_get(json_object_get(object, "details"), "retryAfterSeconds"));

	*ret = (struct krl_status){ .code = json_integer_value(json_object_get(object, "code")),
				    .retry_after_s = after > 0 && after < 3600 ? after : 0 };
	snprintf(ret->text, sizeof(ret->text), "%s", message ? message : "");
}
