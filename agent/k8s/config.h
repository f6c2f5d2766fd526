/* SPDX-License-Identifier: Apache-2.0 */
/* Where the API server is and who we are to it: from a kubeconfig file, or from what a pod is given. */
#ifndef KMESH_RL_K8S_CONFIG_H
#define KMESH_RL_K8S_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#define KRL_K8S_ERROR_BYTES 512

/* PEM text, here or in a file that is read anew whenever it is needed. */
struct krl_k8s_pem {
	char *file;
	char *text;
	size_t len;
};

struct krl_k8s_config {
	char *server;		/* "https://host:port", without a slash at its end */
	char *server_name;	/* that the certificate is to be for; NULL: the host of server */
	char *proxy;
	struct krl_k8s_pem ca;	/* without file and text: the system's */
	struct krl_k8s_pem cert, key;
	char *token, *token_file;	/* the file wins, and is read anew for each request */
	char *user, *password;
	bool insecure;		/* the certificate of the server is not verified */
	char *ns;		/* of the pod, or of the context; NULL: it does not say */
};

/* The current context of the kubeconfig file @path; what it names relatively is beside it. 0 and a configuration that
 * the caller clears, or -errno with one line in @ret_error: -EINVAL for what it says. */
int krl_k8s_config_file(const char *path, struct krl_k8s_config *ret, char ret_error[KRL_K8S_ERROR_BYTES]);

/* The service account of the pod that this runs in. 0 as above, or -errno with a line in @ret_error: -ENOENT, this is
 * no pod. */
int krl_k8s_config_pod(struct krl_k8s_config *ret, char ret_error[KRL_K8S_ERROR_BYTES]);

void krl_k8s_config_clear(struct krl_k8s_config *config);

/* The token of now, without blanks around it, NULL: there is none. 0 and text that the caller frees, or -errno. */
int krl_k8s_token(const struct krl_k8s_config *config, char **ret);

/* The bytes of @pem now, which the caller frees; *@ret_bytes is NULL where there is none. 0, or -errno. */
int krl_k8s_pem_read(const struct krl_k8s_pem *pem, char **ret_bytes, size_t *ret_len);

#endif
