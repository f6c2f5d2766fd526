// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "carry.h"

/* Batches pay when each carries more than a few answers. */
#define BATCH_MS 1
#define BATCH_FROM 100		/* answers in KRL_CARRY_TICK_MS: start */
#define BATCH_DOWN_TO 50	/* ... stop */

/* What one batch may carry: about two milliseconds of work. The kernel is promised batches for
 * BATCH_PROMISE_NS, and not again while some are late: answers then go out on their own CPUs. */
#define BATCH_MAX 1024
#define BATCH_PROMISE_NS 20000000ULL

#define MESSAGES 64		/* in one system call */
#define SPARE 64		/* datagrams to an answer that seems to have lost its own */

/* At least as long as any answer (bpf/lib/conn.h, KRL_TEXT_BYTES), so that the kernel has only to cut it. */
static char carrier[512];
static struct iovec carrier_vec = { carrier, sizeof(carrier) };
static struct mmsghdr messages[MESSAGES];

/* Returns how many were sent. */
static unsigned int send_carriers(struct krl_carry *carry, unsigned int count)
{
	unsigned int done = 0, n;
	int sent;

	for (n = 0; n < MESSAGES; n++)
		messages[n].msg_hdr = (struct msghdr){ .msg_iov = &carrier_vec, .msg_iovlen = 1 };
	while (done < count) {
		n = count - done < MESSAGES ? count - done : MESSAGES;
		sent = sendmmsg(carry->fd, messages, n, MSG_DONTWAIT);
		if (sent <= 0) {
			krl_log_debug("carriers not sent", "error", "%s", strerror(errno));
			break;
		}
		done += sent;
	}
	return done;
}

static bool answers_wait(const struct krl_carry *carry)
{
	__u64 cookie;

	return !bpf_map_lookup_elem(carry->queue_fd, NULL, &cookie);
}

static __u64 left(const struct krl_carry *carry)
{
	return __atomic_load_n(&carry->load->left, __ATOMIC_ACQUIRE) - carry->carried;
}

void krl_carry_waiting(struct krl_carry *carry)
{
	__u64 n = left(carry);

	carry->carried += send_carriers(carry, n < BATCH_MAX ? n : BATCH_MAX);
}

static void on_batch(uv_timer_t *timer)
{
	struct krl_carry *carry = timer->data;

	krl_carry_waiting(carry);
	if (carry->batching && left(carry) < BATCH_MAX)
		__atomic_store_n(&carry->config->batch_until_ns, krl_boot_ns() + BATCH_PROMISE_NS, __ATOMIC_RELAXED);
}

void krl_carry_start(struct krl_carry *carry)
{
	int tries = KRL_MAX_CONNS / SPARE;

	carry->timer->data = carry;
	carry->batching = false;
	carry->answers = __atomic_load_n(&carry->load->answers, __ATOMIC_RELAXED);
	carry->carried = __atomic_load_n(&carry->load->left, __ATOMIC_RELAXED);
	while (answers_wait(carry) && tries-- && send_carriers(carry, SPARE))
		;
}

void krl_carry_stop(struct krl_carry *carry)
{
	if (!carry->load)
		return;
	__atomic_store_n(&carry->config->batch_until_ns, 0, __ATOMIC_RELEASE);
	krl_carry_waiting(carry);
}

void krl_carry_tick(struct krl_carry *carry)
{
	__u64 answers = __atomic_load_n(&carry->load->answers, __ATOMIC_RELAXED);
	__u64 fresh = answers - carry->answers;

	carry->answers = answers;
	/* One tick longer than the promise lasts. */
	if (!carry->batching && fresh < BATCH_FROM)
		uv_timer_stop(carry->timer);
	if (fresh >= BATCH_FROM && !carry->batching) {
		carry->batching = true;
		uv_timer_start(carry->timer, on_batch, BATCH_MS, BATCH_MS);
	} else if (fresh < BATCH_DOWN_TO) {
		carry->batching = false;
	}
	krl_carry_waiting(carry);
	if (answers_wait(carry))
		send_carriers(carry, SPARE);
}

static int open_pin(const char *pins, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", pins, name) < (int)sizeof(path) ? bpf_obj_get(path) : -ENAMETOOLONG;
}

int krl_carry_left(const char *pins)
{
	struct krl_carry carry = { .queue_fd = open_pin(pins, "krl_answers") };
	int responders = open_pin(pins, "krl_responders"), pair[2], tries = KRL_MAX_CONNS / SPARE, err = 0;
	__u32 key = 0;
	__u64 fd;

	if (carry.queue_fd >= 0 && responders >= 0 && answers_wait(&carry)) {
		err = socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) ? -errno : 0;
		if (!err) {
			fd = pair[1];
			carry.fd = pair[0];
			err = bpf_map_update_elem(responders, &key, &fd, BPF_ANY);
			while (!err && answers_wait(&carry) && tries-- && send_carriers(&carry, SPARE))
				;
			close(pair[0]);
			close(pair[1]);
		}
	}
	if (carry.queue_fd >= 0)
		close(carry.queue_fd);
	if (responders >= 0)
		close(responders);
	return err;
}
