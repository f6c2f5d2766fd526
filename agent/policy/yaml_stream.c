// SPDX-License-Identifier: Apache-2.0
#include "yaml_stream.h"

bool krl_yaml_check(const char *file, const char *text, size_t len, struct krl_diags *diags)
{
	const unsigned char *anchor;
	yaml_parser_t parser;
	yaml_event_t event;
	bool end = false, good = true;
	size_t depth = 0;

	if (!yaml_parser_initialize(&parser))
		return true;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (!end && good && yaml_parser_parse(&parser, &event)) {
		anchor = event.type == YAML_ALIAS_EVENT		     ? event.data.alias.anchor
			 : event.type == YAML_SCALAR_EVENT	     ? event.data.scalar.anchor
			 : event.type == YAML_SEQUENCE_START_EVENT ? event.data.sequence_start.anchor
			 : event.type == YAML_MAPPING_START_EVENT  ? event.data.mapping_start.anchor
								     : NULL;
		depth += event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT;
		depth -= event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
		good = !anchor && depth <= KRL_YAML_MAX_DEPTH;
		if (anchor)
			krl_diags_add(diags, file, event.start_mark.line + 1, event.start_mark.column + 1,
				      "YAML: anchors and aliases are not supported, found \"%.80s\"", anchor);
		else if (!good)
			krl_diags_add(diags, file, event.start_mark.line + 1, event.start_mark.column + 1,
				      "YAML: nested deeper than %d", KRL_YAML_MAX_DEPTH);
		end = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return good;
}

void krl_yaml_complain(const char *file, const char *text, const yaml_parser_t *parser,
		       struct krl_diags *diags)
{
	size_t line = parser->problem_mark.line + 1, column = parser->problem_mark.column + 1, i;

	if (parser->error == YAML_READER_ERROR) {
		line = column = 1;
		for (i = 0; i < parser->problem_offset; i++) {
			column = text[i] == '\n' ? 1 : column + ((text[i] & 0xc0) != 0x80);
			line += text[i] == '\n';
		}
	}
	krl_diags_add(diags, file, line, column, "YAML: %s",
		      parser->problem ? parser->problem : "cannot be read");
}
