// SPDX-License-Identifier: Apache-2.0
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define DEFAULT_COLUMNS 80
#define DEFAULT_ROWS 24
/* How long the rest of a key takes, that sends several bytes. */
#define REST_MS 50

static struct termios before;
static volatile sig_atomic_t ended;

static void on_end(int number)
{
	ended = 1;
}

/* It only interrupts poll(). */
static void on_resize(int number)
{
}

int krl_terminal_open(void)
{
	struct sigaction action = { .sa_handler = on_end };
	struct termios raw;

	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before))
		return -ENOTTY;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	action.sa_handler = on_resize;
	sigaction(SIGWINCH, &action, NULL);
	raw = before;
	raw.c_lflag &= ~(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
	/* Another screen, no cursor, no wrapping. */
	fputs("\033[?1049h\033[?25l\033[?7l", stdout);
	return 0;
}

void krl_terminal_close(void)
{
	fputs("\033[?7h\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
}

void krl_terminal_size(int *ret_columns, int *ret_rows)
{
	struct winsize size = { 0 };

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*ret_columns = size.ws_col ? size.ws_col : DEFAULT_COLUMNS;
	*ret_rows = size.ws_row ? size.ws_row : DEFAULT_ROWS;
}

/* The next byte, or -1. */
static int next_byte(int wait_ms)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	unsigned char byte;
	int ready = poll(&input, 1, wait_ms);

	if (ready <= 0)
		return -1;
	if (read(STDIN_FILENO, &byte, 1) != 1) {
		ended = 1;
		return -1;
	}
	return byte;
}

/* What came behind ESC, "[A", "OA" or "[5~". */
static int escaped(void)
{
	static const struct {
		const char *bytes;
		enum krl_key key;
	} keys[] = {
		{ "A", KRL_KEY_UP },	  { "B", KRL_KEY_DOWN },      { "C", KRL_KEY_RIGHT }, { "D", KRL_KEY_LEFT },
		{ "H", KRL_KEY_HOME },	  { "F", KRL_KEY_END },	      { "1~", KRL_KEY_HOME }, { "4~", KRL_KEY_END },
		{ "5~", KRL_KEY_PAGE_UP }, { "6~", KRL_KEY_PAGE_DOWN },
	};
	char bytes[8] = "";
	size_t length = 0, i;
	int byte = next_byte(REST_MS);

	if (byte != '[' && byte != 'O')
		return KRL_KEY_NONE;
	do {
		byte = next_byte(REST_MS);
		if (byte < 0)
			return KRL_KEY_NONE;
		bytes[length++] = (char)byte;
	} while (byte < 0x40 && length < sizeof(bytes) - 1);
	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!strcmp(keys[i].bytes, bytes))
			return keys[i].key;
	return KRL_KEY_NONE;
}

int krl_terminal_key(int wait_ms)
{
	int byte;

	fflush(stdout);
	byte = ended ? -1 : next_byte(wait_ms);
	if (ended)
		return KRL_KEY_QUIT;
	if (byte == 0x1b)
		return escaped();
	return byte > 0 ? byte : KRL_KEY_NONE;
}
