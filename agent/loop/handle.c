// SPDX-License-Identifier: Apache-2.0
#include "handle.h"

#include <stdlib.h>

void *krl_handle_new(size_t size, void *owner)
{
	uv_handle_t *handle = calloc(1, size);

	if (handle)
		handle->data = owner;
	return handle;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void krl_handle_close(void *handle)
{
	if (handle)
		uv_close(handle, on_closed);
}

uv_timer_t *krl_timer_new(uv_loop_t *loop, void *owner, uv_timer_cb fn, unsigned int every_ms)
{
	uv_timer_t *timer = krl_handle_new(sizeof(*timer), owner);

	if (!timer)
		return NULL;
	uv_timer_init(loop, timer);
	uv_timer_start(timer, fn, every_ms, every_ms);
	return timer;
}
