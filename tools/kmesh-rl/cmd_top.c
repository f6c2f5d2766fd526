// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl top */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "colour.h"
#include "cli.h"
#include "terminal.h"
#include "top_view.h"

#define SCREEN_BYTES (1 << 16)

const struct krl_cli_option krl_cli_top_options[] = {
	{ 'n', "namespace", "NAMESPACE", "of the rate limits (all)", KRL_CLI_TEXT, offsetof(struct krl_cli, ns), NULL },
	{ 'A', "all-namespaces", NULL, "rate limits of every namespace", KRL_CLI_SWITCH,
	  offsetof(struct krl_cli, all_namespaces), NULL },
	{ 0, "sort", "COLUMN", "sort by the column of this title (" KRL_TOP_SORT ")", KRL_CLI_TEXT,
	  offsetof(struct krl_cli, sort), NULL },
	{ 0, "interval", "SECONDS", "how often it is refreshed (2)", KRL_CLI_TEXT, offsetof(struct krl_cli, interval),
	  NULL },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

/* What is on the screen. */
struct screen {
	struct krl_top top;
	json_t *items;		/* sorted by names, as they come */
	json_t *shown;		/* ... as they are shown */
	double at_s;		/* when they were read */
	char said[KRL_CLI_ERROR_BYTES], time[16];
};

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Read once more. What cannot be read stays as it was, and is said. */
static void refresh(const struct krl_cli *cli, struct screen *s)
{
	json_t *stats = krl_cli_read_stats(cli, s->said), *chosen, *items;
	double at_s = now_s();
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(s->time, sizeof(s->time), "%H:%M:%S", &tm);
	chosen = stats ? krl_cli_select(stats, s->top.ns, NULL) : NULL;
	items = json_incref(json_object_get(chosen, "items"));
	json_decref(chosen);
	json_decref(stats);
	if (!items)
		return;
	krl_top_rate(items, s->items, at_s - s->at_s);
	json_decref(s->items);
	s->items = items;
	s->at_s = at_s;
}

static void draw(struct screen *s)
{
	size_t rows, count = json_array_size(s->items);
	int width, height;

	krl_terminal_size(&width, &height);
	rows = krl_top_rows(height);
	if (s->top.first + rows > count)
		s->top.first = count > rows ? count - rows : 0;
	json_decref(s->shown);
	s->shown = json_copy(s->items);
	krl_top_sort(s->shown, &s->top);
	fputs("\033[H", stdout);
	krl_top_draw(s->shown, &s->top, width, height, stdout);
	fflush(stdout);
}

static void scroll(struct screen *s, long by)
{
	s->top.first = by < 0 && (size_t)-by > s->top.first ? 0 : s->top.first + by;
}

/* Returns whether to go on. */
static bool obey(struct screen *s, int key)
{
	size_t columns = krl_top_columns();
	int width, height;

	krl_terminal_size(&width, &height);
	switch (key) {
	case 'q':
	case 'Q':
	case KRL_KEY_QUIT:
		return false;
	case '<':
	case KRL_KEY_LEFT:
		s->top.sort = (s->top.sort + columns - 1) % columns;
		break;
	case '>':
	case KRL_KEY_RIGHT:
		s->top.sort = (s->top.sort + 1) % columns;
		break;
	case 'r':
		s->top.reverse = !s->top.reverse;
		break;
	case KRL_KEY_UP:
		scroll(s, -1);
		break;
	case KRL_KEY_DOWN:
		scroll(s, 1);
		break;
	case KRL_KEY_PAGE_UP:
		scroll(s, -(long)krl_top_rows(height));
		break;
	case KRL_KEY_PAGE_DOWN:
		scroll(s, (long)krl_top_rows(height));
		break;
	case KRL_KEY_HOME:
		s->top.first = 0;
		break;
	case KRL_KEY_END:
		s->top.first = json_array_size(s->items);
		break;
	}
	return true;
}

static void run(const struct krl_cli *cli, struct screen *s, unsigned int interval_ms)
{
	double next_s = now_s() + interval_ms / 1e3, left_s;
	int key = KRL_KEY_NONE;

	while (obey(s, key)) {
		left_s = next_s - now_s();
		if (left_s <= 0 || key == ' ') {
			refresh(cli, s);
			next_s = now_s() + interval_ms / 1e3;
			left_s = interval_ms / 1e3;
		}
		draw(s);
		key = krl_terminal_key((int)(left_s * 1e3) + 1);
	}
}

static enum krl_cli_exit show(const struct krl_cli *cli, struct screen *s, unsigned int interval_ms)
{
	refresh(cli, s);
	if (!s->items)
		return krl_cli_fail("%s", *s->said ? s->said : "the agent's answer is not understood");
	setvbuf(stdout, NULL, _IOFBF, SCREEN_BYTES);
	if (krl_terminal_open())
		return krl_cli_fail("top needs a terminal: `kmesh-rl get ratelimit-stats --watch` does not");
	run(cli, s, interval_ms);
	krl_terminal_close();
	return KRL_CLI_GOOD;
}

enum krl_cli_exit krl_cli_top(const struct krl_cli *cli)
{
	const char *title = cli->sort ? cli->sort : KRL_TOP_SORT, *nearest;
	int sort = krl_top_find(title, &nearest);
	enum krl_cli_exit status;
	unsigned int interval_ms;
	struct screen s = {};

	if (cli->words.count)
		return krl_cli_misuse("top takes no argument \"%s\"", cli->words.words[0]);
	if (krl_cli_interval(cli, &interval_ms))
		return krl_cli_misuse("--interval \"%s\": expected seconds, 0.1 to 3600", cli->interval);
	if (sort < 0)
		return krl_cli_misuse(nearest ? "--sort \"%s\": did you mean \"%s\"?" : "--sort \"%s\": no such column", title,
				      nearest);
	s.top = (struct krl_top){ .sort = (size_t)sort, .ns = cli->all_namespaces ? NULL : cli->ns, .said = s.said,
				  .time = s.time, .colours = krl_colour_wanted(stdout) };
	status = show(cli, &s, interval_ms);
	json_decref(s.items);
	json_decref(s.shown);
	return status;
}
