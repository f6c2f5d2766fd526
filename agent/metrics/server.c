// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

#include "agent/loop/handle.h"
#include "listen.h"
#include "page.h"

/* Of one address. */
#define CONNECTIONS_OF_ONE 16
#define CONNECTION_BYTES 16384
/* After a reading none begins for so many times as long as it took: whoever asks all the time has the agent read for a
 * quarter of it. */
#define REST 3
#define NS_PER_MS 1000000
#define SAMPLE_FIRST_MS 1000
#define SAMPLE_MS 10000

/* A request, from its head to the end of the answer. */
struct asked {
	struct MHD_Connection *connection;
	enum krl_exposition_format format;
	bool answered;			/* what it waited for is there */
	struct asked *next;		/* that waits */
};

struct page {
	struct MHD_Response *response;	/* NULL: none yet */
	unsigned int status;
};

struct krl_metrics {
	uv_loop_t *loop;
	struct krl_metrics_options options;
	struct MHD_Daemon *daemon;
	int fd;				/* the daemon's, once there is one */
	uv_poll_t *poll;
	uv_timer_t *timer;		/* until the daemon has something to do by itself */
	uv_timer_t *sample;
	struct krl_overhead overhead;
	unsigned int cpus;
	unsigned int remote;		/* connections from other addresses than loopback's */
	struct asked *waiting;
	struct page pages[KRL_EXPOSITION_FORMATS];
	struct krl_page *reading;	/* NULL: none is */
	uv_timer_t *rest;		/* until the next may be */
	uint64_t rest_until_ns;
};

static const char text_type[] = "text/plain; charset=utf-8";

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status, const char *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, text_type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static void run(struct krl_metrics *m);
static void read_for_waiting(struct krl_metrics *m);

/* Those that wait for a page in @format have it, and go on. */
static void resume(struct krl_metrics *m, enum krl_exposition_format format)
{
	struct asked **at = &m->waiting, *asked;

	while ((asked = *at)) {
		if (asked->format != format) {
			at = &asked->next;
			continue;
		}
		*at = asked->next;
		asked->answered = true;
		MHD_resume_connection(asked->connection);
	}
}

/* @text, which it takes, may be NULL: there is no page then. */
static void set_page(struct page *page, unsigned int status, const char *type, char *text, size_t len)
{
	struct MHD_Response *response = text ? MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE) : NULL;

	if (page->response)
		MHD_destroy_response(page->response);
	if (!response)
		free(text);
	else
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	*page = (struct page){ response, status };
}

static void set_failed(struct page *page, int err)
{
	char *text = NULL;

	if (asprintf(&text, "reading the maps: %s\n", strerror(-err)) < 0)
		text = NULL;
	set_page(page, MHD_HTTP_INTERNAL_SERVER_ERROR, text_type, text, text ? strlen(text) : 0);
}

static void on_page(void *arg, enum krl_exposition_format format, int err, char *text, size_t len, uint64_t took_ns)
{
	struct krl_metrics *m = arg;

	m->reading = NULL;
	m->rest_until_ns = uv_hrtime() + REST * took_ns;
	if (err)
		set_failed(&m->pages[format], err);
	else
		set_page(&m->pages[format], MHD_HTTP_OK, krl_exposition_type(format), text, len);
	resume(m, format);
	read_for_waiting(m);
	run(m);
}

static int read_page(struct krl_metrics *m, enum krl_exposition_format format)
{
	struct krl_metrics_agent agent = { 0 };

	m->options.about(m->options.ctx, &agent);
	agent.overhead = m->overhead;
	krl_process_read(&agent.process);
	return krl_page_read(m->loop, m->options.bpffs, m->options.top, &agent, format, on_page, m, &m->reading);
}

static void on_rested(uv_timer_t *timer)
{
	read_for_waiting(timer->data);
	run(timer->data);
}

/* Read, now or in a while, what those want who wait; the caller runs the daemon. */
static void read_for_waiting(struct krl_metrics *m)
{
	uint64_t now_ns = uv_hrtime();
	enum krl_exposition_format format;
	int err;

	while (m->waiting && !m->reading) {
		if (now_ns < m->rest_until_ns) {
			uv_update_time(m->loop);
			uv_timer_start(m->rest, on_rested, (m->rest_until_ns - now_ns) / NS_PER_MS + 1, 0);
			return;
		}
		format = m->waiting->format;
		err = read_page(m, format);
		if (err) {
			set_failed(&m->pages[format], err);
			resume(m, format);
		}
	}
}

static enum MHD_Result answer_metrics(struct krl_metrics *m, struct asked *asked)
{
	struct page *page;

	asked->format = krl_exposition_negotiate(
		MHD_lookup_connection_value(asked->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
	page = &m->pages[asked->format];
	if (asked->answered && page->response)
		return MHD_queue_response(asked->connection, page->status, page->response);
	if (asked->answered)
		return answer(asked->connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
	asked->next = m->waiting;
	m->waiting = asked;
	MHD_suspend_connection(asked->connection);
	if (!uv_is_active((uv_handle_t *)m->rest))
		read_for_waiting(m);
	return MHD_YES;
}

static enum MHD_Result answer_ready(struct krl_metrics *m, struct MHD_Connection *connection)
{
	char why[KRL_METRICS_ERROR_BYTES + 1] = "";

	if (m->options.ready(m->options.ctx, why))
		return answer(connection, MHD_HTTP_OK, "ok\n");
	why[KRL_METRICS_ERROR_BYTES - 1] = '\0';
	strcat(why, "\n");
	return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, why);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_bytes, void **context)
{
	struct krl_metrics *m = cls;
	struct asked *asked = *context;

	if (!asked) {
		if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
			return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or HEAD\n");
		asked = calloc(1, sizeof(*asked));
		if (!asked)
			return MHD_NO;
		asked->connection = connection;
		*context = asked;
		return MHD_YES;
	}
	if (*upload_bytes) {
		*upload_bytes = 0;
		return MHD_YES;
	}
	if (!strcmp(url, "/metrics"))
		return answer_metrics(m, asked);
	if (!strcmp(url, "/healthz"))
		return answer(connection, MHD_HTTP_OK, "ok\n");
	if (!strcmp(url, "/readyz"))
		return answer_ready(m, connection);
	return answer(connection, MHD_HTTP_NOT_FOUND, "/metrics, /healthz or /readyz\n");
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode code)
{
	struct krl_metrics *m = cls;
	struct asked **at;

	for (at = &m->waiting; *at; at = &(*at)->next)
		if (*at == *context) {
			*at = (*at)->next;
			break;
		}
	free(*context);
	*context = NULL;
}

static enum MHD_Result on_accept(void *cls, const struct sockaddr *address, socklen_t bytes)
{
	const struct krl_metrics *m = cls;

	return krl_metrics_is_local(address) || m->remote < KRL_METRICS_REMOTE_CONNECTIONS ? MHD_YES : MHD_NO;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct krl_metrics *m = cls;

	if (!info || krl_metrics_is_local(info->client_addr))
		return;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		m->remote++;
	else
		m->remote--;
}

static void on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	run(poll->data);
}

/* Have the daemon do what there is to do now, which never waits. */
static void run(struct krl_metrics *m)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	if (!m->daemon)
		return;
	MHD_run(m->daemon);
	if (MHD_get_timeout(m->daemon, &wait_ms) == MHD_YES) {
		uv_update_time(m->loop);
		uv_timer_start(m->timer, on_timer, wait_ms, 0);
	} else {
		uv_timer_stop(m->timer);
	}
}

static void on_sample(uv_timer_t *timer)
{
	struct krl_metrics *m = timer->data;
	struct krl_overhead_sample sample = { .at_ns = uv_hrtime() };
	__u64 programs_ns = 0;
	struct krl_process process;

	krl_process_read(&process);
	sample.agent_ns = process.cpu_ns;
	sample.measured = m->options.run_ns(m->options.ctx, &programs_ns);
	sample.programs_ns = programs_ns;
	krl_overhead_update(&m->overhead, &sample, m->cpus);
}

static int start_daemon(struct krl_metrics *m)
{
	const union MHD_DaemonInfo *info;
	int err;

	m->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, on_accept, m, on_request, m,
				     MHD_OPTION_LISTEN_SOCKET, m->fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, m,
				     MHD_OPTION_NOTIFY_CONNECTION, on_connection, m, MHD_OPTION_CONNECTION_LIMIT,
				     (unsigned int)KRL_METRICS_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
				     (unsigned int)CONNECTIONS_OF_ONE, MHD_OPTION_CONNECTION_TIMEOUT,
				     (unsigned int)KRL_METRICS_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				     (size_t)CONNECTION_BYTES, MHD_OPTION_END);
	info = m->daemon ? MHD_get_daemon_info(m->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info)
		return -ENOMEM;
	m->poll = krl_handle_new(sizeof(*m->poll), m);
	if (!m->poll)
		return -ENOMEM;
	err = uv_poll_init(m->loop, m->poll, info->epoll_fd);
	if (err) {
		free(m->poll);
		m->poll = NULL;
		return err;
	}
	return uv_poll_start(m->poll, UV_READABLE, on_readable);
}

static int start(struct krl_metrics *m)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int err;

	m->cpus = cpus > 0 ? cpus : 1;
	m->timer = krl_handle_new(sizeof(*m->timer), m);
	m->rest = krl_handle_new(sizeof(*m->rest), m);
	if (!m->timer || !m->rest) {
		free(m->timer);
		free(m->rest);
		m->timer = m->rest = NULL;
		return -ENOMEM;
	}
	uv_timer_init(m->loop, m->timer);
	uv_timer_init(m->loop, m->rest);
	m->sample = krl_timer_new(m->loop, m, on_sample, SAMPLE_MS);
	if (!m->sample)
		return -ENOMEM;
	uv_timer_start(m->sample, on_sample, SAMPLE_FIRST_MS, SAMPLE_MS);
	err = start_daemon(m);
	if (!err)
		run(m);
	return err;
}

int krl_metrics_start(uv_loop_t *loop, const struct krl_metrics_options *options, struct krl_metrics **ret,
		      char ret_error[KRL_METRICS_ERROR_BYTES])
{
	struct krl_metrics *m = calloc(1, sizeof(*m));
	int err;

	if (!m) {
		snprintf(ret_error, KRL_METRICS_ERROR_BYTES, "out of memory");
		return -ENOMEM;
	}
	m->loop = loop;
	m->options = *options;
	m->fd = -1;
	err = krl_metrics_listen(options->address, &m->fd);
	if (!err)
		err = start(m);
	if (err) {
		snprintf(ret_error, KRL_METRICS_ERROR_BYTES, "metrics at %s: %s%s", options->address, strerror(-err),
			 err == -EADDRINUSE ? " (another agent, or another program, listens there: say --metrics "
					      "HOST:PORT or --metrics off)" : "");
		krl_metrics_stop(m);
		return err;
	}
	*ret = m;
	return 0;
}

void krl_metrics_where(const struct krl_metrics *m, char *ret, size_t size)
{
	krl_metrics_where_is(m->fd, ret, size);
}

void krl_metrics_stop(struct krl_metrics *m)
{
	size_t i;

	if (!m)
		return;
	krl_page_forget(m->reading);
	/* What is suspended cannot be closed. */
	for (i = 0; i < KRL_EXPOSITION_FORMATS; i++)
		resume(m, i);
	krl_handle_close(m->poll);
	krl_handle_close(m->timer);
	krl_handle_close(m->rest);
	krl_handle_close(m->sample);
	if (m->daemon)
		MHD_stop_daemon(m->daemon);
	else if (m->fd >= 0)
		close(m->fd);
	for (i = 0; i < KRL_EXPOSITION_FORMATS; i++)
		if (m->pages[i].response)
			MHD_destroy_response(m->pages[i].response);
	free(m);
}
