// SPDX-License-Identifier: Apache-2.0
#include "pod.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode_kinds.h"

/* "NAMESPACE/Kind/NAME" */
#define NAME_BYTES 512

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* The owner that controls @object; NULL: none does. */
static const json_t *controller_of(const json_t *metadata)
{
	json_t *owner;
	size_t i;

	json_array_foreach(json_object_get(metadata, "ownerReferences"), i, owner)
		if (json_is_true(json_object_get(owner, "controller")))
			return owner;
	return NULL;
}

/* The length of @name without "-SUFFIX" where SUFFIX is as @is_suffix says; 0: it does not end so. */
static size_t stem(const char *name, bool (*is_suffix)(const char *suffix, const char *expected), const char *expected)
{
	const char *hyphen = strrchr(name, '-');

	return hyphen && hyphen != name && is_suffix(hyphen + 1, expected) ? (size_t)(hyphen - name) : 0;
}

static bool is_same(const char *suffix, const char *expected)
{
	return !strcmp(suffix, expected);
}

/* Minutes since 1970, as CronJobs name their Jobs (kubernetes, pkg/controller/cronjob/utils.go, getJobName). */
static bool is_minutes(const char *suffix, const char *expected)
{
	size_t len = strlen(suffix);

	return len >= 8 && len <= 10 && strspn(suffix, "0123456789") == len;
}

/* The workload that @metadata belongs to: its controller, or what in all likelihood controls that. */
static void name_workload(const json_t *metadata, const char *ns, const char *name, char ret[NAME_BYTES])
{
	const char *hash = text_of(json_object_get(metadata, "labels"), "pod-template-hash");
	const json_t *owner = controller_of(metadata);
	const char *kind = owner ? text_of(owner, "kind") : "Pod";
	size_t len = 0;

	if (owner)
		name = text_of(owner, "name");
	/* A Deployment calls its ReplicaSets so (kubernetes, pkg/controller/deployment/sync.go, getNewReplicaSet). */
	if (!strcmp(kind, "ReplicaSet") && *hash)
		len = stem(name, is_same, hash);
	if (len)
		kind = "Deployment";
	if (!strcmp(kind, "Job"))
		len = stem(name, is_minutes, NULL);
	if (!strcmp(kind, "Job") && len)
		kind = "CronJob";
	snprintf(ret, NAME_BYTES, "%s/%s/%.*s", ns, kind, (int)(len ? len : strlen(name)), name);
}

struct krl_label *krl_labels_read(const json_t *object, size_t *ret_count)
{
	json_t *labels = json_object_get(json_object_get(object, "metadata"), "labels"), *value;
	size_t count = json_object_size(labels), bytes = 0, n = 0;
	struct krl_label *ret;
	const char *key;
	char *at;

	json_object_foreach(labels, key, value)
		bytes += strlen(key) + json_string_length(value) + 2;
	ret = malloc((count + 1) * sizeof(*ret) + bytes);
	if (!ret)
		return NULL;
	at = (char *)(ret + count + 1);
	json_object_foreach(labels, key, value) {
		if (!json_is_string(value))
			continue;
		ret[n].key = at;
		at = stpcpy(at, key) + 1;
		ret[n++].value = at;
		at = stpcpy(at, json_string_value(value)) + 1;
	}
	*ret_count = n;
	return ret;
}

static bool has_ended(const json_t *status)
{
	const char *phase = text_of(status, "phase");

	return !strcmp(phase, "Succeeded") || !strcmp(phase, "Failed");
}

static int append_address(struct krl_pod *pod, const __u8 addr[16])
{
	__u8 (*grown)[16];
	size_t i;

	for (i = 0; i < pod->addr_count; i++)
		if (!memcmp(pod->addrs[i], addr, sizeof(*pod->addrs)))
			return 0;
	grown = reallocarray(pod->addrs, pod->addr_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	pod->addrs = grown;
	memcpy(grown[pod->addr_count++], addr, sizeof(*grown));
	return 0;
}

static int add_address(struct krl_pod *pod, const char *text)
{
	__u8 addr[16];

	return krl_address_parse(text, addr) ? 0 : append_address(pod, addr);
}

int krl_pod_add_netns(struct krl_pod *pod, const __u8 addr[16])
{
	int err = append_address(pod, addr);

	pod->has_netns |= !err;
	return err;
}

static int read_addresses(struct krl_pod *pod, const json_t *object)
{
	const json_t *spec = json_object_get(object, "spec"), *status = json_object_get(object, "status");
	json_t *item;
	size_t i;
	int err;

	pod->ended = has_ended(status);
	pod->on_host = json_is_true(json_object_get(spec, "hostNetwork"));
	/* All pods on the host's network have the node's address, and so have other processes there. */
	if (pod->ended || pod->on_host)
		return 0;
	err = add_address(pod, text_of(status, "podIP"));
	json_array_foreach(json_object_get(status, "podIPs"), i, item)
		err = err ? err : add_address(pod, text_of(item, "ip"));
	return err;
}

/* Put the names into pod->text. */
static int read_names(struct krl_pod *pod, const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *ns = text_of(metadata, "namespace"), *name = text_of(metadata, "name");
	const char *account = text_of(json_object_get(object, "spec"), "serviceAccountName");
	const char *uid = text_of(metadata, "uid"), *node = text_of(json_object_get(object, "spec"), "nodeName");
	char workload[NAME_BYTES];
	size_t size;
	char *at;

	if (!*ns || !*name)
		return -EINVAL;
	/* As the API server itself does where a pod says none. */
	if (!*account)
		account = "default";
	name_workload(metadata, ns, name, workload);
	size = 3 * strlen(ns) + strlen(name) + strlen(workload) + strlen(account) + strlen(uid) + strlen(node) + 16;
	pod->text = at = malloc(size);
	if (!at)
		return -ENOMEM;
	pod->names[KRL_PEER_NAMESPACE] = pod->facts.ns = at;
	at = stpcpy(at, ns) + 1;
	pod->names[KRL_PEER_POD] = at;
	at += sprintf(at, "%s/%s", ns, name) + 1;
	pod->names[KRL_PEER_WORKLOAD] = at;
	at = stpcpy(at, workload) + 1;
	pod->names[KRL_PEER_ACCOUNT] = at;
	at += sprintf(at, "%s/%s", ns, account) + 1;
	pod->facts.account = strchr(pod->names[KRL_PEER_ACCOUNT], '/') + 1;
	pod->uid = at;
	at = stpcpy(at, uid) + 1;
	pod->node = at;
	strcpy(at, node);
	return 0;
}

int krl_pod_read(const json_t *object, struct krl_pod *ret)
{
	const json_t *metadata = json_object_get(object, "metadata");
	struct krl_pod pod = { 0 };
	int err = read_names(&pod, object);

	if (!err)
		err = read_addresses(&pod, object);
	if (!err) {
		pod.labels = krl_labels_read(object, &pod.facts.label_count);
		pod.facts.labels = pod.labels;
		err = pod.labels ? 0 : -ENOMEM;
	}
	if (err) {
		krl_pod_clear(&pod);
		return err;
	}
	snprintf(pod.started, sizeof(pod.started), "%s", text_of(metadata, "creationTimestamp"));
	*ret = pod;
	return 0;
}

void krl_pod_clear(struct krl_pod *pod)
{
	free(pod->text);
	free(pod->labels);
	free(pod->addrs);
	*pod = (struct krl_pod){ 0 };
}

/* Names of pods differ at their ends. */
size_t krl_peer_text(const char *name, char ret[KRL_KEPT_BYTES])
{
	const size_t head = KRL_KEPT_BYTES / 3, tail = KRL_KEPT_BYTES - head - 3;
	size_t len = strlen(name);

	memset(ret, 0, KRL_KEPT_BYTES);
	if (len <= KRL_KEPT_BYTES) {
		memcpy(ret, name, len);
		return len;
	}
	memcpy(ret, name, head);
	memcpy(ret + head, "...", 3);
	memcpy(ret + head + 3, name + len - tail, tail);
	return KRL_KEPT_BYTES;
}
