/* SPDX-License-Identifier: Apache-2.0 */
/* Handles of libuv, which lets go of one in a later turn of the loop, maybe after its owner is gone: so each is on the
 * heap, and frees itself. */
#ifndef KMESH_RL_HANDLE_H
#define KMESH_RL_HANDLE_H

#include <stddef.h>

#include <uv.h>

/* @size zeroed bytes for a handle whose data is @owner. NULL without memory. As long as no loop knows it, the caller
 * frees it. */
void *krl_handle_new(size_t size, void *owner);

/* Close and free one that a loop knows. Accepts NULL. */
void krl_handle_close(void *handle);

/* A timer whose data is @owner, and which calls @fn every @every_ms. NULL without memory. */
uv_timer_t *krl_timer_new(uv_loop_t *loop, void *owner, uv_timer_cb fn, unsigned int every_ms);

#endif
