// SPDX-License-Identifier: Apache-2.0
/* kubeconfig files, what is refused of them, and the token of now. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/k8s/config.h"

#define HEAD "current-context: a\ncontexts: [{name: b}, {name: a, context: {cluster: c, user: u, namespace: shop}}]\n"
#define CLUSTER "clusters: [{name: c, cluster: {server: \"https://host:6443/\"}}]\n"

static char top[64], file[96];
static struct krl_k8s_config config;
static char error[KRL_K8S_ERROR_BYTES];

static int setup(void **state)
{
	strcpy(top, "/tmp/krl-k8s-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	snprintf(file, sizeof(file), "%s/config", top);
	return 0;
}

static int teardown(void **state)
{
	krl_k8s_config_clear(&config);
	unlink(file);
	return rmdir(top);
}

static void write_config(const char *text)
{
	FILE *out = fopen(file, "w");

	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static int read_config(const char *text)
{
	krl_k8s_config_clear(&config);
	write_config(text);
	return krl_k8s_config_file(file, &config, error);
}

/* Refused, with this behind the name of the file. */
static void check_refused(const char *text, const char *says)
{
	char expected[KRL_K8S_ERROR_BYTES];

	assert_int_equal(read_config(text), -EINVAL);
	snprintf(expected, sizeof(expected), "%s:%s", file, says);
	assert_string_equal(error, expected);
}

static void the_current_context_is_read(void **state)
{
	char expected[128];

	assert_int_equal(read_config(HEAD "clusters:\n"
				     "- {name: x, cluster: {server: \"https://wrong\"}}\n"
				     "- {name: c, cluster: {server: \"https://host:6443/\", certificate-authority: ca.crt,\n"
				     "   tls-server-name: kubernetes, proxy-url: \"http://proxy:1\"}}\n"
				     "users:\n"
				     "- {name: u, user: {tokenFile: /run/token, token: t, username: n, password: p,\n"
				     "   client-certificate-data: Zm9v, client-key: sub/key}}\n"), 0);
	assert_string_equal(config.server, "https://host:6443");
	assert_string_equal(config.server_name, "kubernetes");
	assert_string_equal(config.proxy, "http://proxy:1");
	snprintf(expected, sizeof(expected), "%s/ca.crt", top);
	assert_string_equal(config.ca.file, expected);
	assert_string_equal(config.token_file, "/run/token");
	assert_string_equal(config.token, "t");
	assert_string_equal(config.user, "n");
	assert_string_equal(config.password, "p");
	assert_int_equal(config.cert.len, 3);
	assert_memory_equal(config.cert.text, "foo", 3);
	snprintf(expected, sizeof(expected), "%s/sub/key", top);
	assert_string_equal(config.key.file, expected);
	assert_false(config.insecure);
	assert_string_equal(config.ns, "shop");
}

static void data_wins_over_a_file_and_null_is_nothing(void **state)
{
	assert_int_equal(read_config(HEAD "clusters: [{name: c, cluster: {server: \"http://h\", certificate-authority: x,\n"
				     "certificate-authority-data: Zm9v, insecure-skip-tls-verify: true}}]\n"
				     "users: [{name: u, user: {exec: null, token: null, tokenFile: \"\"}}]\n"), 0);
	assert_null(config.ca.file);
	assert_memory_equal(config.ca.text, "foo", 3);
	assert_true(config.insecure);
	assert_null(config.token);
	assert_null(config.token_file);
}

static void what_cannot_be_done_is_refused_by_name(void **state)
{
	check_refused("[]", "1:1: expected a kubeconfig");
	check_refused("", "1:1: expected a kubeconfig");
	check_refused("contexts: []\n", "1:1: current-context is missing");
	check_refused("current-context: z\n", "1:18: current-context: there is no context \"z\"");
	check_refused(HEAD, "2:42: there is no cluster \"c\"");
	check_refused(HEAD CLUSTER, "2:42: there is no user \"u\"");
	check_refused(HEAD CLUSTER "users: [{name: u, user: {exec: {command: aws}}}]\n",
		      "4:32: exec: no program is run for credentials: give a token, a tokenFile or a client "
		      "certificate");
	check_refused(HEAD CLUSTER "users: [{name: u, user: {auth-provider: {name: gcp}}}]\n",
		      "4:41: auth-provider: no program is run for credentials: give a token, a tokenFile or a client "
		      "certificate");
	check_refused(HEAD CLUSTER "users: [{name: u, user: {as: root}}]\n",
		      "4:30: as: acting for another user is not supported");
	check_refused(HEAD CLUSTER "users: [{name: u, user: {client-certificate: x}}]\n",
		      "4:25: client-certificate and client-key belong together");
	check_refused(HEAD CLUSTER "users: [{name: u, user: {client-key-data: \"*\", client-certificate: x}}]\n",
		      "4:43: client-key-data: expected base64");
	check_refused(HEAD "clusters: [{name: c, cluster: {}}]\nusers: [{name: u, user: {}}]\n",
		      "3:31: server is missing");
	check_refused(HEAD "clusters: [{name: c, cluster: {server: ftp}}]\nusers: [{name: u, user: {}}]\n",
		      "3:40: server: expected a URL that begins with https:// or http://, found \"ftp\"");
	check_refused("a: &b 1\n", "1:4: YAML: anchors and aliases are not supported, found \"b\"");
}

static void check_token(const char *text, const char *expected)
{
	struct krl_k8s_config with_file = { .token_file = file };
	char *token = NULL;

	write_config(text);
	assert_int_equal(krl_k8s_token(&with_file, &token), expected ? 0 : -EBADMSG);
	if (expected)
		assert_string_equal(token, expected);
	free(token);
}

static void a_token_is_one_word(void **state)
{
	struct krl_k8s_config none = { 0 }, gone = { .token_file = "/nonexistent/token" };
	char *token = NULL;

	check_token("abc.def\n", "abc.def");
	check_token("  abc\r\n\n", "abc");
	check_token("", NULL);
	check_token("\n", NULL);
	check_token("abc\r\nX-Evil: 1", NULL);
	check_token("abc def", NULL);
	assert_int_equal(krl_k8s_token(&none, &token), 0);
	assert_null(token);
	assert_int_equal(krl_k8s_token(&gone, &token), -ENOENT);
}

static void a_pod_is_told_where_the_server_is(void **state)
{
	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(krl_k8s_config_pod(&config, error), -ENOENT);
	assert_non_null(strstr(error, "--kubeconfig"));
	write_config("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_current_context_is_read),
		cmocka_unit_test(data_wins_over_a_file_and_null_is_nothing),
		cmocka_unit_test(what_cannot_be_done_is_refused_by_name),
		cmocka_unit_test(a_token_is_one_word),
		cmocka_unit_test(a_pod_is_told_where_the_server_is),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
