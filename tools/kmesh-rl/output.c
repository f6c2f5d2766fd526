// SPDX-License-Identifier: Apache-2.0
/* JSON and YAML of the same value. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <yaml.h>

#include "cli.h"

#define INDENT 4

/* Words that YAML 1.1 or 1.2 takes for something else than a string. */
static bool is_reserved(const char *text)
{
	static const char *const words[] = { "true", "false", "yes", "no", "on", "off", "y", "n", "null" };
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcasecmp(text, words[i]))
			return true;
	return false;
}

/* Only what begins with a letter can be no number, date or sign of YAML. */
static bool is_plain(const char *text)
{
	return ((text[0] | 0x20) >= 'a' && (text[0] | 0x20) <= 'z') && !is_reserved(text);
}

static int emit_scalar(yaml_emitter_t *emitter, const char *text, size_t length, bool quoted)
{
	yaml_event_t event;

	return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)length, 1, 1,
					    quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE
						   : YAML_PLAIN_SCALAR_STYLE) &&
	       yaml_emitter_emit(emitter, &event);
}

static int emit_value(yaml_emitter_t *emitter, const json_t *value);

static int emit_sequence(yaml_emitter_t *emitter, const json_t *value)
{
	yaml_event_t event;
	json_t *element;
	size_t i;

	if (!yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE) ||
	    !yaml_emitter_emit(emitter, &event))
		return 0;
	json_array_foreach(value, i, element)
		if (!emit_value(emitter, element))
			return 0;
	return yaml_sequence_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static int emit_mapping(yaml_emitter_t *emitter, const json_t *value)
{
	yaml_event_t event;
	const char *key;
	json_t *member;

	if (!yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE) ||
	    !yaml_emitter_emit(emitter, &event))
		return 0;
	json_object_foreach((json_t *)value, key, member)
		if (!emit_scalar(emitter, key, strlen(key), !is_plain(key)) ||
		    !emit_value(emitter, member))
			return 0;
	return yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static int emit_value(yaml_emitter_t *emitter, const json_t *value)
{
	const char *text;
	char number[32];
	int length;

	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return emit_mapping(emitter, value);
	case JSON_ARRAY:
		return emit_sequence(emitter, value);
	case JSON_STRING:
		text = json_string_value(value);
		return emit_scalar(emitter, text, json_string_length(value), !is_plain(text));
	case JSON_INTEGER:
		length = snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
				  json_integer_value(value));
		return emit_scalar(emitter, number, (size_t)length, false);
	case JSON_REAL:
		length = snprintf(number, sizeof(number), "%.17g", json_real_value(value));
		return emit_scalar(emitter, number, (size_t)length, false);
	case JSON_TRUE:
		return emit_scalar(emitter, "true", 4, false);
	case JSON_FALSE:
		return emit_scalar(emitter, "false", 5, false);
	default:
		return emit_scalar(emitter, "null", 4, false);
	}
}

static int emit_document(yaml_emitter_t *emitter, const json_t *value)
{
	yaml_event_t event;

	return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
	       yaml_emitter_emit(emitter, &event) &&
	       yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
	       yaml_emitter_emit(emitter, &event) && emit_value(emitter, value) &&
	       yaml_document_end_event_initialize(&event, 1) && yaml_emitter_emit(emitter, &event) &&
	       yaml_stream_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

/* Always success for libyaml: stdio remembers a failure for the end of the program. */
static int write_bytes(void *out, unsigned char *bytes, size_t length)
{
	fwrite(bytes, 1, length, out);
	return 1;
}

int krl_cli_write(const json_t *value, enum krl_cli_output output, FILE *out)
{
	yaml_emitter_t emitter;
	int done;

	if (output != KRL_CLI_YAML) {
		char *text = json_dumps(value, JSON_INDENT(INDENT));

		if (!text)
			return -ENOMEM;
		fprintf(out, "%s\n", text);
		free(text);
		return 0;
	}
	if (!yaml_emitter_initialize(&emitter))
		return -ENOMEM;
	yaml_emitter_set_output(&emitter, write_bytes, out);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, -1);
	done = emit_document(&emitter, value);
	yaml_emitter_delete(&emitter);
	return done ? 0 : -ENOMEM;
}
