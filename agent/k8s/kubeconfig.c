// SPDX-License-Identifier: Apache-2.0
/* The kubeconfig file of kubectl (kubernetes.io, "Organizing Cluster Access Using kubeconfig Files"; its fields are
 * those of client-go, tools/clientcmd/api/v1/types.go), as far as it needs no other program. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/yaml_node.h"
#include "agent/policy/yaml_stream.h"
#include "config.h"
#include "files.h"

/* The entry "name: @name" of the list @list of @root, and its value under @key; NULL: there is none. */
static yaml_node_t *find_entry(struct krl_reader *reader, yaml_node_t *root, const char *list, const char *name,
			       const char *key)
{
	yaml_node_t *all = krl_reader_get(reader, root, list), *entry, *found;
	yaml_node_item_t *item;

	if (!all || all->type != YAML_SEQUENCE_NODE)
		return NULL;
	for (item = all->data.sequence.items.start; item < all->data.sequence.items.top; item++) {
		entry = yaml_document_get_node(reader->document, *item);
		found = krl_reader_get(reader, entry, "name");
		if (found && krl_node_text(found) && !strcmp(krl_node_text(found), name))
			return krl_reader_get(reader, entry, key);
	}
	return NULL;
}

/* The text under @key of @node: NULL where there is none, or it is empty. A value of another kind is an error. */
static const char *text_of(struct krl_reader *reader, yaml_node_t *node, const char *key)
{
	yaml_node_t *value = krl_reader_get(reader, node, key);
	const char *text = value ? krl_node_text(value) : NULL;

	if (value && !text)
		krl_reader_error(reader, value, "%s: expected text", key);
	return value && !krl_node_is_null(value) && text && *text ? text : NULL;
}

static char *copy(struct krl_reader *reader, const char *text)
{
	char *copied = text ? strdup(text) : NULL;

	if (text && !copied)
		reader->no_memory = true;
	return copied;
}

/* The file @text, named from where the kubeconfig is. */
static char *copy_path(struct krl_reader *reader, const char *text)
{
	const char *slash = strrchr(reader->file, '/');
	char *path;

	if (!text || *text == '/' || !slash)
		return copy(reader, text);
	if (asprintf(&path, "%.*s/%s", (int)(slash - reader->file), reader->file, text) < 0) {
		reader->no_memory = true;
		return NULL;
	}
	return path;
}

/* PEM under @data in base64, which wins, or in the file under @file. */
static void read_pem(struct krl_reader *reader, yaml_node_t *node, const char *file, const char *data,
		     struct krl_k8s_pem *ret)
{
	const char *text = text_of(reader, node, data);
	int err;

	if (!text) {
		ret->file = copy_path(reader, text_of(reader, node, file));
		return;
	}
	err = krl_base64_decode(text, &ret->text, &ret->len);
	if (err == -EINVAL)
		krl_reader_error(reader, krl_reader_get(reader, node, data), "%s: expected base64", data);
	reader->no_memory |= err == -ENOMEM;
}

static void read_cluster(struct krl_reader *reader, yaml_node_t *node, struct krl_k8s_config *config)
{
	yaml_node_t *insecure = krl_reader_get(reader, node, "insecure-skip-tls-verify");
	const char *server = text_of(reader, node, "server");
	size_t len;

	if (!server) {
		krl_reader_error(reader, node, "server is missing");
		return;
	}
	if (strncmp(server, "https://", 8) && strncmp(server, "http://", 7))
		krl_reader_error(reader, krl_reader_get(reader, node, "server"),
				 "server: expected a URL that begins with https:// or http://, found \"%.80s\"", server);
	config->server = copy(reader, server);
	for (len = config->server ? strlen(config->server) : 0; len && config->server[len - 1] == '/';)
		config->server[--len] = '\0';
	config->server_name = copy(reader, text_of(reader, node, "tls-server-name"));
	config->proxy = copy(reader, text_of(reader, node, "proxy-url"));
	if (insecure && !krl_node_is_null(insecure))
		krl_reader_boolean(reader, insecure, &config->insecure);
	read_pem(reader, node, "certificate-authority", "certificate-authority-data", &config->ca);
}

static void read_user(struct krl_reader *reader, yaml_node_t *node, struct krl_k8s_config *config)
{
	static const char *const refused[] = { "exec", "auth-provider", "as", "as-uid", "as-groups",
					       "as-user-extra" };
	yaml_node_t *value;
	size_t i, before;

	for (i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		value = krl_reader_get(reader, node, refused[i]);
		if (value && !krl_node_is_null(value))
			krl_reader_error(reader, value,
					 i < 2 ? "%s: no program is run for credentials: give a token, a tokenFile "
						 "or a client certificate"
					       : "%s: acting for another user is not supported",
					 refused[i]);
	}
	config->token = copy(reader, text_of(reader, node, "token"));
	config->token_file = copy_path(reader, text_of(reader, node, "tokenFile"));
	config->user = copy(reader, text_of(reader, node, "username"));
	config->password = copy(reader, text_of(reader, node, "password"));
	before = reader->errors;
	read_pem(reader, node, "client-certificate", "client-certificate-data", &config->cert);
	read_pem(reader, node, "client-key", "client-key-data", &config->key);
	if (reader->errors == before &&
	    !(config->cert.file || config->cert.text) != !(config->key.file || config->key.text))
		krl_reader_error(reader, node, "client-certificate and client-key belong together");
}

static void read_root(struct krl_reader *reader, yaml_node_t *root, struct krl_k8s_config *config)
{
	const char *name = text_of(reader, root, "current-context"), *cluster_name, *user_name;
	yaml_node_t *context, *cluster, *user;

	if (!name) {
		krl_reader_error(reader, root, "current-context is missing");
		return;
	}
	context = find_entry(reader, root, "contexts", name, "context");
	if (!context) {
		krl_reader_error(reader, krl_reader_get(reader, root, "current-context"),
				 "current-context: there is no context \"%.80s\"", name);
		return;
	}
	config->ns = copy(reader, text_of(reader, context, "namespace"));
	cluster_name = text_of(reader, context, "cluster");
	user_name = text_of(reader, context, "user");
	cluster = cluster_name ? find_entry(reader, root, "clusters", cluster_name, "cluster") : NULL;
	user = user_name ? find_entry(reader, root, "users", user_name, "user") : NULL;
	if (!cluster)
		krl_reader_error(reader, context, "there is no cluster \"%.80s\"", cluster_name ? cluster_name : "");
	else
		read_cluster(reader, cluster, config);
	if (user_name && !user)
		krl_reader_error(reader, context, "there is no user \"%.80s\"", user_name);
	else if (user)
		read_user(reader, user, config);
}

/* Into @config, and complaints into @diags. 0, or -ENOMEM. */
static int read_text(const char *path, const char *text, size_t len, struct krl_k8s_config *config,
		     struct krl_diags *diags)
{
	yaml_document_t document;
	struct krl_reader reader = { .file = path, .document = &document, .diags = diags };
	yaml_parser_t parser;
	yaml_node_t *root;

	if (!krl_yaml_check(path, text, len, diags))
		return 0;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(&parser, &document)) {
		krl_yaml_complain(path, text, &parser, diags);
		yaml_parser_delete(&parser);
		return 0;
	}
	root = yaml_document_get_root_node(&document);
	if (root && root->type == YAML_MAPPING_NODE)
		read_root(&reader, root, config);
	else
		krl_diags_add(diags, path, 1, 1, "expected a kubeconfig");
	yaml_document_delete(&document);
	yaml_parser_delete(&parser);
	return reader.no_memory ? -ENOMEM : 0;
}

int krl_k8s_config_file(const char *path, struct krl_k8s_config *ret, char ret_error[KRL_K8S_ERROR_BYTES])
{
	struct krl_k8s_config config = { 0 };
	struct krl_diags diags = { 0 };
	size_t len;
	char *text;
	int err;

	err = krl_file_read(path, &text, &len);
	if (!err) {
		err = read_text(path, text, len, &config, &diags);
		free(text);
	}
	if (err)
		snprintf(ret_error, KRL_K8S_ERROR_BYTES, "reading %s: %s", path, strerror(-err));
	else if (diags.count) {
		snprintf(ret_error, KRL_K8S_ERROR_BYTES, "%s", diags.lines[0]);
		err = -EINVAL;
	}
	krl_diags_clear(&diags);
	if (err)
		krl_k8s_config_clear(&config);
	else
		*ret = config;
	return err;
}
