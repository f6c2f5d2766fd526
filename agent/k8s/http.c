// SPDX-License-Identifier: Apache-2.0
/* curl_multi_socket_action() on libuv, as libcurl-multi(3) has it: libcurl says which sockets it waits for, and how
 * long. */
#include "http.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "agent/loop/handle.h"

#define CONNECT_S 10
/* A peer that is gone is found within KEEPALIVE_IDLE_S + KEEPALIVE_TRIES * KEEPALIVE_EVERY_S. */
#define KEEPALIVE_IDLE_S 20
#define KEEPALIVE_EVERY_S 5
#define KEEPALIVE_TRIES 3
#define BUFFER_BYTES (128 << 10)

struct krl_http {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t *timer;
	const struct krl_k8s_config *config;
	struct krl_http_request *requests;
};

struct krl_http_request {
	struct krl_http *http;
	struct krl_http_request *next, **here;
	CURL *easy;
	struct curl_slist *fields, *connect_to;
	struct krl_http_calls calls;
	void *arg;
	char error[CURL_ERROR_SIZE];
};

static void request_free(struct krl_http_request *r)
{
	if (r->here) {
		*r->here = r->next;
		if (r->next)
			r->next->here = r->here;
	}
	if (r->easy)
		curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->fields);
	curl_slist_free_all(r->connect_to);
	free(r);
}

static void finish(struct krl_http_request *r, CURLcode code)
{
	struct krl_http_result result = { 0 };
	curl_off_t retry_after = 0;

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &result.status);
	curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &retry_after);
	result.retry_after_s = retry_after > 3600 ? 3600 : retry_after;
	if (code)
		result.error = *r->error ? r->error : curl_easy_strerror(code);
	curl_multi_remove_handle(r->http->multi, r->easy);
	r->calls.done(r->arg, &result);
	request_free(r);
}

static void finish_all(struct krl_http *http)
{
	struct krl_http_request *request;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		finish(request, message->data.result);
	}
}

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
	struct krl_http *http = poll->data;
	int running, what = status < 0 ? CURL_CSELECT_ERR : 0;
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)poll, &fd))
		return;
	what |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
	what |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
	curl_multi_socket_action(http->multi, fd, what, &running);
	finish_all(http);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct krl_http *http = arg;
	uv_poll_t *poll = socket_arg;
	int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(http->multi, fd, NULL);
		krl_handle_close(poll);
		return 0;
	}
	if (!poll) {
		poll = krl_handle_new(sizeof(*poll), http);
		if (!poll)
			return -1;
		if (uv_poll_init_socket(http->loop, poll, fd)) {
			free(poll);
			return -1;
		}
		curl_multi_assign(http->multi, fd, poll);
	}
	return uv_poll_start(poll, events, on_socket_ready) ? -1 : 0;
}

static void on_time(uv_timer_t *timer)
{
	struct krl_http *http = timer->data;
	int running;

	curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finish_all(http);
}

static int on_timeout(CURLM *multi, long timeout_ms, void *arg)
{
	struct krl_http *http = arg;

	uv_update_time(http->loop);
	if (timeout_ms < 0)
		uv_timer_stop(http->timer);
	else
		uv_timer_start(http->timer, on_time, timeout_ms, 0);
	return 0;
}

int krl_http_open(uv_loop_t *loop, const struct krl_k8s_config *config, struct krl_http **ret)
{
	struct krl_http *http = calloc(1, sizeof(*http));

	if (!http)
		return -ENOMEM;
	http->loop = loop;
	http->config = config;
	http->timer = krl_handle_new(sizeof(*http->timer), http);
	http->multi = http->timer && !curl_global_init(CURL_GLOBAL_DEFAULT) ? curl_multi_init() : NULL;
	if (!http->multi) {
		free(http->timer);
		free(http);
		return -ENOMEM;
	}
	uv_timer_init(loop, http->timer);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	*ret = http;
	return 0;
}

void krl_http_close(struct krl_http *http)
{
	if (!http)
		return;
	while (http->requests)
		krl_http_cancel(http->requests);
	curl_multi_cleanup(http->multi);
	krl_handle_close(http->timer);
	free(http);
	curl_global_cleanup();
}

/* A line of a head; an empty one ends it, be it of a 1xx. */
static size_t on_field(char *bytes, size_t size, size_t count, void *arg)
{
	struct krl_http_request *r = arg;
	long status = 0;

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (size * count <= 2 && status >= 200)
		r->calls.head(r->arg, status);
	return size * count;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct krl_http_request *r = arg;
	long status = 0;

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	return r->calls.body(r->arg, status, bytes, size * count) ? size * count : 0;
}

/* Have the kernel find a peer that is gone: one that says nothing, and one that takes nothing. */
static int on_new_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	unsigned int silence_ms = (KEEPALIVE_IDLE_S + KEEPALIVE_TRIES * KEEPALIVE_EVERY_S) * 1000;
	int tries = KEEPALIVE_TRIES;

	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof(silence_ms));
	return CURL_SOCKOPT_OK;
}

static int fail(char *ret_error, int err, const char *what)
{
	snprintf(ret_error, KRL_K8S_ERROR_BYTES, "%s: %s", what,
		 err == -EBADMSG ? "empty, or more than one word" : strerror(-err));
	return err;
}

static int set_pem(CURL *easy, CURLoption option, const struct krl_k8s_pem *pem)
{
	struct curl_blob blob = { .flags = CURL_BLOB_COPY };
	char *bytes;
	int err;

	err = krl_k8s_pem_read(pem, &bytes, &blob.len);
	if (err || !bytes)
		return err;
	blob.data = bytes;
	if (curl_easy_setopt(easy, option, &blob))
		err = -ENOMEM;
	free(bytes);
	return err;
}

static int set_tls(CURL *easy, const struct krl_k8s_config *config, char *ret_error)
{
	int err;

	if (config->insecure) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	err = set_pem(easy, CURLOPT_CAINFO_BLOB, &config->ca);
	if (err)
		return fail(ret_error, err, config->ca.file ? config->ca.file : "certificate-authority-data");
	err = set_pem(easy, CURLOPT_SSLCERT_BLOB, &config->cert);
	if (err)
		return fail(ret_error, err, config->cert.file ? config->cert.file : "client-certificate-data");
	err = set_pem(easy, CURLOPT_SSLKEY_BLOB, &config->key);
	if (err)
		return fail(ret_error, err, config->key.file ? config->key.file : "client-key-data");
	return 0;
}

static int add_field(struct krl_http_request *r, const char *field)
{
	struct curl_slist *longer = curl_slist_append(r->fields, field);

	if (!longer)
		return -ENOMEM;
	r->fields = longer;
	return 0;
}

static int set_fields(struct krl_http_request *r, const char *accept, char *ret_error)
{
	const struct krl_k8s_config *config = r->http->config;
	char *token = NULL, *field = NULL;
	int err;

	err = krl_k8s_token(config, &token);
	if (err)
		return fail(ret_error, err, config->token_file ? config->token_file : "token");
	if (token && asprintf(&field, "Authorization: Bearer %s", token) < 0)
		field = NULL;
	err = token && (!field || add_field(r, field)) ? -ENOMEM : 0;
	free(field);
	if (asprintf(&field, "Accept: %s", accept ? accept : "application/json") < 0)
		field = NULL;
	if (!err)
		err = field ? add_field(r, field) : -ENOMEM;
	if (!token && config->user) {
		curl_easy_setopt(r->easy, CURLOPT_USERNAME, config->user);
		curl_easy_setopt(r->easy, CURLOPT_PASSWORD, config->password ? config->password : "");
	}
	curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->fields);
	free(token);
	free(field);
	return err ? fail(ret_error, err, "request") : 0;
}

/* Have the connection go to the server, and the URL name who its certificate is for. 0, or -ENOMEM. */
static int set_server_name(struct krl_http_request *r, const char *path, char **ret_url)
{
	const struct krl_k8s_config *config = r->http->config;
	const char *host = strstr(config->server, "://") + strlen("://"), *end = host + strcspn(host, "/");
	const char *port = *host == '[' ? host + strcspn(host, "]/") : host;
	char *to;

	port += strcspn(port, ":/");
	if (asprintf(&to, "::%.*s", (int)(end - host), host) < 0)
		return -ENOMEM;
	r->connect_to = curl_slist_append(NULL, to);
	free(to);
	if (!r->connect_to || curl_easy_setopt(r->easy, CURLOPT_CONNECT_TO, r->connect_to))
		return -ENOMEM;
	return asprintf(ret_url, "%.*s%s%s%s", (int)(host - config->server), config->server, config->server_name,
			port, path) < 0 ? -ENOMEM : 0;
}

static int set_url(struct krl_http_request *r, const char *path)
{
	const struct krl_k8s_config *config = r->http->config;
	char *url;
	int err;

	if (config->server_name)
		err = set_server_name(r, path, &url);
	else
		err = asprintf(&url, "%s%s", config->server, path) < 0 ? -ENOMEM : 0;
	if (err)
		return err;
	if (curl_easy_setopt(r->easy, CURLOPT_URL, url))
		err = -ENOMEM;
	free(url);
	return err;
}

static int set_up(struct krl_http_request *r, const struct krl_http_get *get, char *ret_error)
{
	const struct krl_k8s_config *config = r->http->config;
	CURL *easy = r->easy;

	if (set_url(r, get->path))
		return fail(ret_error, -ENOMEM, "request");
	curl_easy_setopt(easy, CURLOPT_PRIVATE, r);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->error);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "kmesh-rl-agent/" KRL_VERSION);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)get->fresh);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)get->limit_s);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)get->silence_s);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_EVERY_S);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_new_socket);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_field);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
	if (config->proxy)
		curl_easy_setopt(easy, CURLOPT_PROXY, config->proxy);
	return set_tls(easy, config, ret_error);
}

static int set_body(struct krl_http_request *r, const struct krl_http_body *body)
{
	char *field;
	int err;

	if (asprintf(&field, "Content-Type: %s", body->type) < 0)
		return -ENOMEM;
	err = add_field(r, field);
	free(field);
	if (err)
		return err;
	curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, body->method);
	return curl_easy_setopt(r->easy, CURLOPT_COPYPOSTFIELDS, body->text) ? -ENOMEM : 0;
}

int krl_http_get(struct krl_http *http, const struct krl_http_get *get, const struct krl_http_calls *calls, void *arg,
		 struct krl_http_request **ret, char ret_error[KRL_K8S_ERROR_BYTES])
{
	return krl_http_send(http, get, NULL, calls, arg, ret, ret_error);
}

int krl_http_send(struct krl_http *http, const struct krl_http_get *get, const struct krl_http_body *body,
		  const struct krl_http_calls *calls, void *arg, struct krl_http_request **ret,
		  char ret_error[KRL_K8S_ERROR_BYTES])
{
	struct krl_http_request *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return fail(ret_error, -ENOMEM, "request");
	r->http = http;
	r->calls = *calls;
	r->arg = arg;
	r->easy = curl_easy_init();
	err = r->easy ? set_up(r, get, ret_error) : fail(ret_error, -ENOMEM, "request");
	if (!err && body && set_body(r, body))
		err = fail(ret_error, -ENOMEM, "request");
	if (!err)
		err = set_fields(r, get->accept, ret_error);
	if (!err && curl_multi_add_handle(http->multi, r->easy))
		err = fail(ret_error, -ENOMEM, "request");
	if (err) {
		request_free(r);
		return err;
	}
	r->next = http->requests;
	r->here = &http->requests;
	if (r->next)
		r->next->here = &r->next;
	http->requests = r;
	*ret = r;
	return 0;
}

void krl_http_cancel(struct krl_http_request *r)
{
	if (!r)
		return;
	curl_multi_remove_handle(r->http->multi, r->easy);
	request_free(r);
}
