// SPDX-License-Identifier: Apache-2.0
/* Which of the two formats a client wants. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "exposition.h"

/* One element of a list, or a parameter: its bytes, without the blanks around them. */
struct piece {
	const char *text;
	size_t len;
};

const char *krl_exposition_type(enum krl_exposition_format format)
{
	return format == KRL_EXPOSITION_OPEN_METRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
						     : "text/plain; version=0.0.4; charset=utf-8";
}

/* Cut off @rest what is before @separator. False at the end. */
static bool next_piece(const char **rest, const char *end, char separator, struct piece *ret)
{
	const char *begin = *rest, *at;

	if (!begin)
		return false;
	at = memchr(begin, separator, end - begin);
	*rest = at ? at + 1 : NULL;
	at = at ? at : end;
	while (begin < at && (*begin == ' ' || *begin == '\t'))
		begin++;
	while (at > begin && (at[-1] == ' ' || at[-1] == '\t'))
		at--;
	*ret = (struct piece){ begin, at - begin };
	return true;
}

static bool is(const struct piece *piece, const char *text)
{
	return piece->len == strlen(text) && !strncasecmp(piece->text, text, piece->len);
}

/* The value of the parameter @name of "name=value", without quotes. */
static bool parameter(const struct piece *piece, const char *name, struct piece *ret)
{
	size_t len = strlen(name);

	if (piece->len <= len || piece->text[len] != '=' || strncasecmp(piece->text, name, len))
		return false;
	*ret = (struct piece){ piece->text + len + 1, piece->len - len - 1 };
	if (ret->len >= 2 && *ret->text == '"' && ret->text[ret->len - 1] == '"') {
		ret->text++;
		ret->len -= 2;
	}
	return true;
}

/* "0.75" in thousandths. */
static int weight_of(const struct piece *value)
{
	int weight = 0, digits = 0, unit = 1000;
	size_t i;

	for (i = 0; i < value->len && digits < 4; i++) {
		if (value->text[i] == '.')
			continue;
		if (value->text[i] < '0' || value->text[i] > '9')
			break;
		weight += (value->text[i] - '0') * unit;
		unit /= 10;
		digits++;
	}
	return weight > 1000 ? 1000 : weight;
}

/* How much the media range @range is wanted, in thousandths, and as what; 0: not at all, or it is none of ours. */
static int wants(const struct piece *range, enum krl_exposition_format *ret)
{
	const char *rest = range->text, *end = range->text + range->len;
	struct piece type, piece, value;
	int weight = 1000;

	next_piece(&rest, end, ';', &type);
	*ret = is(&type, "application/openmetrics-text") ? KRL_EXPOSITION_OPEN_METRICS : KRL_EXPOSITION_TEXT;
	if (*ret == KRL_EXPOSITION_TEXT && !is(&type, "text/plain") && !is(&type, "text/*") && !is(&type, "*/*"))
		return 0;
	while (next_piece(&rest, end, ';', &piece)) {
		if (parameter(&piece, "q", &value))
			weight = weight_of(&value);
		if (parameter(&piece, "version", &value) &&
		    !is(&value, *ret == KRL_EXPOSITION_OPEN_METRICS ? "1.0.0" : "0.0.4"))
			return 0;
	}
	return weight;
}

enum krl_exposition_format krl_exposition_negotiate(const char *accept)
{
	enum krl_exposition_format format, best = KRL_EXPOSITION_TEXT;
	const char *rest = accept, *end;
	int weight, most = 0;
	struct piece range;

	end = accept ? accept + strlen(accept) : NULL;
	while (next_piece(&rest, end, ',', &range)) {
		weight = wants(&range, &format);
		if (weight > most) {
			most = weight;
			best = format;
		}
	}
	return best;
}
