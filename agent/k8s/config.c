// SPDX-License-Identifier: Apache-2.0
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

/* Where a pod finds its service account (kubernetes.io, "Accessing the Kubernetes API from a Pod"). */
#define ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount/"

static void pem_clear(struct krl_k8s_pem *pem)
{
	free(pem->file);
	free(pem->text);
}

void krl_k8s_config_clear(struct krl_k8s_config *config)
{
	free(config->server);
	free(config->server_name);
	free(config->proxy);
	pem_clear(&config->ca);
	pem_clear(&config->cert);
	pem_clear(&config->key);
	free(config->token);
	free(config->token_file);
	free(config->user);
	free(config->password);
	free(config->ns);
	*config = (struct krl_k8s_config){ 0 };
}

/* What the file @path says in one line. NULL: nothing, or it cannot be read. */
static char *read_line(const char *path)
{
	char *text;
	size_t len;

	if (krl_file_read(path, &text, &len))
		return NULL;
	text[strcspn(text, " \t\r\n")] = '\0';
	if (*text)
		return text;
	free(text);
	return NULL;
}

int krl_k8s_config_pod(struct krl_k8s_config *ret, char ret_error[KRL_K8S_ERROR_BYTES])
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
	struct krl_k8s_config config = { 0 };

	if (!host || !*host || !port || !*port) {
		snprintf(ret_error, KRL_K8S_ERROR_BYTES,
			 "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is no pod: give "
			 "--kubeconfig FILE");
		return -ENOENT;
	}
	if (access(ACCOUNT_DIR "token", R_OK)) {
		snprintf(ret_error, KRL_K8S_ERROR_BYTES, "reading " ACCOUNT_DIR "token: %s", strerror(errno));
		return -errno;
	}
	if (asprintf(&config.server, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port) < 0)
		config.server = NULL;
	config.token_file = strdup(ACCOUNT_DIR "token");
	config.ca.file = strdup(ACCOUNT_DIR "ca.crt");
	config.ns = read_line(ACCOUNT_DIR "namespace");
	if (!config.server || !config.token_file || !config.ca.file) {
		krl_k8s_config_clear(&config);
		snprintf(ret_error, KRL_K8S_ERROR_BYTES, "out of memory");
		return -ENOMEM;
	}
	*ret = config;
	return 0;
}

/* Is @token what may stand in a header field (RFC 6750, 2.1, and more than that, but no control character)? */
static bool is_token(const char *token)
{
	for (; *token; token++)
		if (!isgraph((unsigned char)*token))
			return false;
	return true;
}

int krl_k8s_token(const struct krl_k8s_config *config, char **ret)
{
	char *text = NULL, *begin;
	size_t len;
	int err;

	if (!config->token && !config->token_file) {
		*ret = NULL;
		return 0;
	}
	if (config->token_file) {
		err = krl_file_read(config->token_file, &text, &len);
		if (err)
			return err;
	} else {
		text = strdup(config->token);
		if (!text)
			return -ENOMEM;
	}
	begin = text + strspn(text, " \t\r\n");
	len = strlen(begin);
	while (len && isspace((unsigned char)begin[len - 1]))
		len--;
	memmove(text, begin, len);
	text[len] = '\0';
	if (!len || !is_token(text)) {
		free(text);
		return -EBADMSG;
	}
	*ret = text;
	return 0;
}

int krl_k8s_pem_read(const struct krl_k8s_pem *pem, char **ret_bytes, size_t *ret_len)
{
	char *copy;

	if (pem->text) {
		copy = malloc(pem->len + 1);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, pem->text, pem->len);
		copy[pem->len] = '\0';
		*ret_bytes = copy;
		*ret_len = pem->len;
		return 0;
	}
	if (pem->file)
		return krl_file_read(pem->file, ret_bytes, ret_len);
	*ret_bytes = NULL;
	*ret_len = 0;
	return 0;
}
