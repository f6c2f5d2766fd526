// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/base/log.h"
#include "pending.h"

#define TICK_MS 100
#define DRAIN_TRIES 600		/* a minute, then the connection is closed without an answer */
#define CLOSE_TRIES 20		/* two seconds for the client to stop sending */

struct krl_pending_command {
	struct krl_pending_command *next;
	__u64 cookie;
	unsigned int tries;	/* left */
	__u32 command;		/* a drain that ran out of tries becomes a close */
};

int krl_pending_send(const struct krl_pending *pending, __u64 cookie, __u32 command)
{
	struct krl_command message = { .cookie = cookie, .kind = command };
	int err = 0;

	if (send(pending->fd, &message, sizeof(message), MSG_DONTWAIT) < 0) {
		err = -errno;
		krl_log_warn("command to the kernel failed", "error", "%s", strerror(-err));
	}
	return err;
}

/* Where @cookie is linked in, or would be. */
static struct krl_pending_command **find(struct krl_pending *pending, __u64 cookie)
{
	struct krl_pending_command **at = &pending->chains[cookie % KRL_PENDING_CHAINS];

	while (*at && (*at)->cookie != cookie)
		at = &(*at)->next;
	return at;
}

static void unlink_command(struct krl_pending *pending, struct krl_pending_command **at)
{
	struct krl_pending_command *command = *at;

	*at = command->next;
	free(command);
	if (!--pending->count)
		uv_timer_stop(pending->timer);
}

static void repeat_chain(struct krl_pending *pending, struct krl_pending_command **at)
{
	struct krl_pending_command *command;

	while ((command = *at)) {
		krl_pending_send(pending, command->cookie, command->command);
		if (--command->tries) {
			at = &command->next;
		} else if (command->command == KRL_COMMAND_DRAIN) {
			command->command = KRL_COMMAND_CLOSE;
			command->tries = CLOSE_TRIES;
		} else {
			unlink_command(pending, at);
		}
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct krl_pending *pending = timer->data;
	unsigned int i;

	for (i = 0; i < KRL_PENDING_CHAINS; i++)
		repeat_chain(pending, &pending->chains[i]);
}

void krl_pending_add(struct krl_pending *pending, __u64 cookie, __u32 command)
{
	struct krl_pending_command **at = find(pending, cookie);

	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return;
		(*at)->cookie = cookie;
		pending->count++;
	}
	(*at)->command = command;
	(*at)->tries = command == KRL_COMMAND_DRAIN ? DRAIN_TRIES : CLOSE_TRIES;
	krl_pending_send(pending, cookie, command);
	if (!uv_is_active((uv_handle_t *)pending->timer))
		uv_timer_start(pending->timer, on_tick, TICK_MS, TICK_MS);
}

void krl_pending_remove(struct krl_pending *pending, __u64 cookie)
{
	struct krl_pending_command **at = find(pending, cookie);

	if (*at)
		unlink_command(pending, at);
}

void krl_pending_clear(struct krl_pending *pending)
{
	unsigned int i;

	for (i = 0; i < KRL_PENDING_CHAINS; i++)
		while (pending->chains[i])
			unlink_command(pending, &pending->chains[i]);
}
