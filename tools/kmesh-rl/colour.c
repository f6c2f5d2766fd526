// SPDX-License-Identifier: Apache-2.0
#include "colour.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool krl_colour_wanted(FILE *out)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	/* Where there is no terminal behind it, there is no file descriptor that says so either. */
	return fileno(out) >= 0 && isatty(fileno(out)) && !(no_color && *no_color) && term && strcmp(term, "dumb");
}

enum krl_colour krl_colour_of(const char *word)
{
	static const struct {
		const char *word;
		enum krl_colour colour;
	} words[] = {
		{ "ok", KRL_COLOUR_GOOD },    { "True", KRL_COLOUR_GOOD },    { "Normal", KRL_COLOUR_GOOD },
		{ "warn", KRL_COLOUR_WARN },  { "Unknown", KRL_COLOUR_WARN }, { "Warning", KRL_COLOUR_WARN },
		{ "Shadow", KRL_COLOUR_WARN }, { "fail", KRL_COLOUR_BAD },    { "False", KRL_COLOUR_BAD },
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(words[i].word, word))
			return words[i].colour;
	return KRL_COLOUR_NONE;
}

void krl_colour_print(FILE *out, enum krl_colour colour, const char *text)
{
	static const char *const codes[] = { [KRL_COLOUR_TITLE] = "1", [KRL_COLOUR_GOOD] = "32",
					     [KRL_COLOUR_WARN] = "33", [KRL_COLOUR_BAD] = "31" };

	if (colour != KRL_COLOUR_NONE && krl_colour_wanted(out))
		fprintf(out, "\033[%sm%s\033[0m", codes[colour], text);
	else
		fputs(text, out);
}
