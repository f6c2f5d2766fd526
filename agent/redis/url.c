// SPDX-License-Identifier: Apache-2.0
#include "url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#define DEFAULT_PORT 6379
#define MOST_DATABASES 16384

static int refuse(char ret_error[KRL_REDIS_ERROR_BYTES], const char *expected)
{
	snprintf(ret_error, KRL_REDIS_ERROR_BYTES, "expected redis://[user:password@]host:port/db, %s", expected);
	return -EINVAL;
}

/* A part of @url, decoded; @ret is left empty when there is none. */
static int get(CURLU *url, CURLUPart part, char *ret, size_t room)
{
	char *text = NULL;
	int err = 0;

	ret[0] = '\0';
	if (curl_url_get(url, part, &text, CURLU_URLDECODE))
		return 0;
	if (strlen(text) < room)
		memcpy(ret, text, strlen(text) + 1);
	else
		err = -EINVAL;
	curl_free(text);
	return err;
}

static int number(const char *text, unsigned long most, unsigned int *ret)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > most)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int read_parts(CURLU *url, struct krl_redis_url *ret, char ret_error[KRL_REDIS_ERROR_BYTES])
{
	char scheme[16], port[16], path[64], host[sizeof(ret->host)];
	size_t len;

	if (get(url, CURLUPART_SCHEME, scheme, sizeof(scheme)) || strcmp(scheme, "redis"))
		return refuse(ret_error, strcmp(scheme, "rediss") ? "another scheme was found"
								  : "TLS (rediss://) is not supported");
	if (get(url, CURLUPART_HOST, host, sizeof(host)) || !host[0])
		return refuse(ret_error, "no host was found");
	len = strlen(host);
	if (host[0] == '[' && len > 2)
		snprintf(ret->host, sizeof(ret->host), "%.*s", (int)len - 2, host + 1);
	else
		memcpy(ret->host, host, len + 1);
	if (get(url, CURLUPART_PORT, port, sizeof(port)) || (port[0] && number(port, 65535, &ret->port)))
		return refuse(ret_error, "the port is none");
	if (get(url, CURLUPART_USER, ret->user, sizeof(ret->user)) ||
	    get(url, CURLUPART_PASSWORD, ret->password, sizeof(ret->password)))
		return refuse(ret_error, "the user or the password is too long");
	if (get(url, CURLUPART_PATH, path, sizeof(path)) ||
	    (strlen(path) > 1 && number(path + 1, MOST_DATABASES, &ret->db)))
		return refuse(ret_error, "the database is no number");
	return 0;
}

int krl_redis_url_parse(const char *text, struct krl_redis_url *ret, char ret_error[KRL_REDIS_ERROR_BYTES])
{
	CURLU *url = curl_url();
	int err;

	*ret = (struct krl_redis_url){ .port = DEFAULT_PORT };
	if (!url)
		return -ENOMEM;
	if (curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME))
		err = refuse(ret_error, "this is none");
	else
		err = read_parts(url, ret, ret_error);
	curl_url_cleanup(url);
	return err;
}
