/* SPDX-License-Identifier: Apache-2.0 */
/* A terminal that one command has for itself: its keys one by one, its size, and as it was before at the end. What is
 * written to it is ECMA-48 that every terminal of today knows, so that no terminfo is needed. */
#ifndef KMESH_RL_TOOL_TERMINAL_H
#define KMESH_RL_TOOL_TERMINAL_H

enum krl_key {
	KRL_KEY_NONE = 0,	/* others are what they type, in ASCII */
	KRL_KEY_UP = 0x100,
	KRL_KEY_DOWN,
	KRL_KEY_LEFT,
	KRL_KEY_RIGHT,
	KRL_KEY_PAGE_UP,
	KRL_KEY_PAGE_DOWN,
	KRL_KEY_HOME,
	KRL_KEY_END,
	KRL_KEY_QUIT,		/* somebody interrupts, or the terminal is gone */
};

/* Take the terminal on standard input and output. 0, or -ENOTTY. */
int krl_terminal_open(void);
void krl_terminal_close(void);

void krl_terminal_size(int *ret_columns, int *ret_rows);

/* The next key within @wait_ms; KRL_KEY_NONE: there is none, or the size is another now. */
int krl_terminal_key(int wait_ms);

#endif
