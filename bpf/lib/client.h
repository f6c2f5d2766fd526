/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses in a header that proxies append to, such as X-Forwarded-For: the last of them, whatever the client put
 * before. */
#ifndef KMESH_RL_CLIENT_H
#define KMESH_RL_CLIENT_H

#include <kmesh_rl/policy.h>

#include "address.h"

/* The list of one header, over all lines of a head that have it. Empty elements are none (RFC 9110, 5.6.1.2). */
struct krl_client {
	struct krl_address element;	/* that is being read */
	__u8 addresses[KRL_MAX_HOPS][KRL_ADDRESS_BYTES];	/* the last elements, by number modulo KRL_MAX_HOPS */
	__u32 count;			/* elements so far */
	__u32 valid;			/* a bit for each of addresses */
};

/* A head begins. */
static __always_inline void krl_client_begin(struct krl_client *c)
{
	krl_address_begin(&c->element);
	c->count = 0;
	c->valid = 0;
}

static __always_inline void krl_client_end_element(struct krl_client *c)
{
	__u32 at = c->count & (KRL_MAX_HOPS - 1);

	if (c->element.state != KRL_ADDRESS_BEFORE || c->element.bracket) {
		c->valid &= ~(1U << at);
		if (!krl_address_end(&c->element, c->addresses[at]))
			c->valid |= 1U << at;
		c->count++;
	}
	krl_address_begin(&c->element);
}

/* The next byte of a line; '\n' ends it. */
KRL_GLOBAL int krl_client_byte(struct krl_client *c, __u8 byte)
{
	if (!c)
		return 0;
	if (byte == ',' || byte == '\n')
		krl_client_end_element(c);
	else
		krl_address_byte(&c->element, byte);
	return 0;
}

/* The element number @hop from the right, 1 to KRL_MAX_HOPS, or NULL: it is not there, or no address. */
static __always_inline const __u8 *krl_client_address(const struct krl_client *c, __u32 hop)
{
	__u32 at = (c->count - hop) & (KRL_MAX_HOPS - 1);

	return c->count >= hop && c->valid >> at & 1 ? c->addresses[at] : 0;
}

#endif
