// SPDX-License-Identifier: Apache-2.0
#include "url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#define DEFAULT_PORT 6379
#define SENTINEL_PORT 26379
#define MOST_DATABASES 16384
#define ONE_BYTES 4096

static const char redis[] = "redis://", sentinel[] = "redis+sentinel://", tls[] = "rediss://";

static int refuse(char ret_error[KRL_REDIS_ERROR_BYTES], const char *found)
{
	snprintf(ret_error, KRL_REDIS_ERROR_BYTES,
		 "expected redis://[user:password@]host:port/db or redis+sentinel://[user:password@]host:port/MASTER/db, %s", found);
	return -EINVAL;
}

/* A part of @url, decoded; @ret is left empty when there is none. */
static int get(CURLU *url, CURLUPart part, char *ret, size_t room)
{
	CURLUcode code;
	char *text;
	int err = 0;

	ret[0] = '\0';
	code = curl_url_get(url, part, &text, CURLU_URLDECODE);
	if (code)
		return code == CURLUE_URLDECODE || code == CURLUE_OUT_OF_MEMORY ? -EINVAL : 0;
	if (strlen(text) < room)
		memcpy(ret, text, strlen(text) + 1);
	else
		err = -EINVAL;
	explicit_bzero(text, strlen(text));
	curl_free(text);
	return err;
}

static int number(const char *text, unsigned long least, unsigned long most, unsigned int *ret)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value < least || value > most)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int read_host(CURLU *url, struct krl_redis_seed *ret)
{
	char host[sizeof(ret->host)], zone[32];
	size_t len;

	if (get(url, CURLUPART_HOST, host, sizeof(host)) || get(url, CURLUPART_ZONEID, zone, sizeof(zone)) || !host[0])
		return -EINVAL;
	len = strlen(host);
	if (host[0] != '[')
		memcpy(ret->host, host, len + 1);
	else if (snprintf(ret->host, sizeof(ret->host), "%.*s%s%s", (int)len - 2, host + 1, zone[0] ? "%" : "", zone) >=
		 (int)sizeof(ret->host))
		return -EINVAL;
	return 0;
}

/* @text has one host. */
static int read_one(const char *text, struct krl_redis_url *ret, char ret_error[KRL_REDIS_ERROR_BYTES])
{
	struct krl_redis_seed *seed = &ret->seeds[ret->count];
	CURLU *url = curl_url();
	char port[16];
	int err = 0;

	if (!url)
		return -ENOMEM;
	seed->port = ret->master[0] ? SENTINEL_PORT : DEFAULT_PORT;
	if (curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME))
		err = refuse(ret_error, "a host or a port is none");
	else if (read_host(url, seed))
		err = refuse(ret_error, "no host was found");
	else if (get(url, CURLUPART_PORT, port, sizeof(port)) || (port[0] && number(port, 1, 65535, &seed->port)))
		err = refuse(ret_error, "the port is none");
	else if (get(url, CURLUPART_USER, ret->user, sizeof(ret->user)) ||
		 get(url, CURLUPART_PASSWORD, ret->password, sizeof(ret->password)))
		err = refuse(ret_error, "the user or the password is too long, or has control characters");
	else
		ret->count++;
	curl_url_cleanup(url);
	return err;
}

/* What is before the path has hosts separated by commas. */
static int read_hosts(const char *text, size_t len, struct krl_redis_url *ret, char ret_error[KRL_REDIS_ERROR_BYTES])
{
	const char *at = memrchr(text, '@', len), *hosts = at ? at + 1 : text, *end = text + len;
	char one[ONE_BYTES];
	int err = 0, room;
	const char *comma;
	size_t host;

	for (; !err; hosts += host + 1) {
		comma = memchr(hosts, ',', end - hosts);
		host = (comma ? comma : end) - hosts;
		if (ret->count == KRL_REDIS_SEEDS)
			return refuse(ret_error, "more than 16 hosts were found");
		room = snprintf(one, sizeof(one), "%s%.*s%.*s", redis, at ? (int)(at + 1 - text) : 0, text, (int)host, hosts);
		err = room < (int)sizeof(one) ? read_one(one, ret, ret_error) : refuse(ret_error, "something longer was found");
		explicit_bzero(one, sizeof(one));
		if (hosts + host == end)
			break;
	}
	return err;
}

/* MASTER[/db], into @ret. */
static int read_master(const char *path, struct krl_redis_url *ret, const char **ret_db)
{
	size_t len = strcspn(path, "/");
	char *text;
	int decoded;

	text = len ? curl_easy_unescape(NULL, path, len, &decoded) : NULL;
	if (!text)
		return -EINVAL;
	len = strlen(text);
	if (len && len == (size_t)decoded && len < sizeof(ret->master))
		memcpy(ret->master, text, len + 1);
	curl_free(text);
	*ret_db = path + strcspn(path, "/");
	return ret->master[0] ? 0 : -EINVAL;
}

int krl_redis_url_parse(const char *text, struct krl_redis_url *ret, char ret_error[KRL_REDIS_ERROR_BYTES])
{
	const char *authority, *path;
	bool sentinels;
	size_t len;

	*ret = (struct krl_redis_url){ 0 };
	sentinels = !strncasecmp(text, sentinel, strlen(sentinel));
	if (!strncasecmp(text, tls, strlen(tls)))
		return refuse(ret_error, "TLS (rediss://) is not supported");
	if (!sentinels && strncasecmp(text, redis, strlen(redis)))
		return refuse(ret_error, "another scheme was found");
	authority = text + strlen(sentinels ? sentinel : redis);
	len = strcspn(authority, "/?#");
	path = authority + len;
	if (path[strcspn(path, "?#")])
		return refuse(ret_error, "something behind it was found ('?', '#' and '/' of a password are written %3F, %23 and %2F)");
	if (sentinels && read_master(path + (*path == '/'), ret, &path))
		return refuse(ret_error, "no MASTER was found");
	if (path[0] && path[1] && number(path + 1, 0, MOST_DATABASES, &ret->db))
		return refuse(ret_error, "the database is no number");
	return read_hosts(authority, len, ret, ret_error);
}

int krl_redis_url_add(const char *text, struct krl_redis_url *url, char ret_error[KRL_REDIS_ERROR_BYTES])
{
	struct krl_redis_url more;
	int err = krl_redis_url_parse(text, &more, ret_error);
	bool given = more.user[0] || more.password[0], known = url->user[0] || url->password[0];

	if (!err && (strcmp(more.master, url->master) || more.db != url->db))
		err = refuse(ret_error, "several that differ in more than hosts were found");
	else if (!err && given && known && (strcmp(more.user, url->user) || strcmp(more.password, url->password)))
		err = refuse(ret_error, "several with different users or passwords were found");
	else if (!err && more.count > KRL_REDIS_SEEDS - url->count)
		err = refuse(ret_error, "more than 16 hosts were found");
	if (!err) {
		memcpy(url->seeds + url->count, more.seeds, more.count * sizeof(*more.seeds));
		url->count += more.count;
		if (given) {
			memcpy(url->user, more.user, sizeof(url->user));
			memcpy(url->password, more.password, sizeof(url->password));
		}
	}
	explicit_bzero(&more, sizeof(more));
	return err;
}
