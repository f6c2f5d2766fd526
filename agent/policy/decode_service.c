// SPDX-License-Identifier: Apache-2.0
/* Service and EndpointSlice, as far as they tell where a service's sockets are. They are Kubernetes'
 * own documents: fields that do not concern us are passed over. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "decode_kinds.h"

#define PORT_MAX 65535

int krl_address_parse(const char *text, __u8 ret[16])
{
	static const __u8 mapped[12] = { [10] = 0xff, [11] = 0xff };
	__u8 v4[4];

	if (inet_pton(AF_INET, text, v4) == 1) {
		memcpy(ret, mapped, sizeof(mapped));
		memcpy(ret + sizeof(mapped), v4, sizeof(v4));
		return 0;
	}
	return inet_pton(AF_INET6, text, ret) == 1 ? 0 : -EINVAL;
}

/* The value under @key of the mapping @node. Kubernetes writes null for an empty list: NULL for that, as
 * when there is none. */
static yaml_node_t *get(struct krl_reader *reader, yaml_node_t *node, const char *key)
{
	yaml_node_t *value = krl_reader_get(reader, node, key);

	return value && krl_node_is_null(value) ? NULL : value;
}

static const struct krl_field fields[] = {
	{ "metadata", krl_decode_metadata },
	{ NULL, krl_reader_unique },
};

/* Who the document is, and keys that are given twice anywhere in it. Returns its metadata, or NULL. */
static yaml_node_t *read_metadata(struct krl_reader *reader, yaml_node_t *root, struct krl_document *document)
{
	yaml_node_t *metadata = krl_reader_get(reader, root, "metadata");

	krl_reader_mapping(reader, root, fields, document);
	if (!metadata)
		krl_reader_error(reader, root, "metadata is missing");
	return metadata;
}

/* The string under @key, at most @size - 1 bytes, or what @ret had. */
static void read_text(struct krl_reader *reader, yaml_node_t *node, const char *key, size_t size, char *ret)
{
	yaml_node_t *value = get(reader, node, key);
	size_t len;

	if (!value || !krl_node_text(value) || !*krl_node_text(value))
		return;
	len = krl_reader_enter(reader, "%s%s", *reader->path ? "." : "", key);
	krl_reader_string(reader, value, size, ret);
	krl_reader_leave(reader, len);
}

/* A port number @value, the field @key of where the reader is. */
static bool read_port(struct krl_reader *reader, yaml_node_t *value, const char *key, __u16 *ret)
{
	size_t len = krl_reader_enter(reader, ".%s", key);
	uint64_t number;
	bool good;

	good = krl_reader_integer(reader, value, 1, PORT_MAX, &number);
	krl_reader_leave(reader, len);
	if (good)
		*ret = number;
	return good;
}

static bool is_tcp(struct krl_reader *reader, yaml_node_t *node)
{
	char protocol[8] = "TCP";

	read_text(reader, node, "protocol", sizeof(protocol), protocol);
	return !strcmp(protocol, "TCP");
}

static void read_service_port(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_service *service = out;
	yaml_node_t *value = get(reader, node, "port");
	struct krl_service_port *port;
	__u16 number;

	if (!value) {
		krl_reader_error(reader, node, "port is missing");
		return;
	}
	if (!is_tcp(reader, node) || !read_port(reader, value, "port", &number))
		return;
	port = krl_reader_add(reader, &service->ports, &service->port_count);
	if (!port)
		return;
	port->port = port->target_port = number;
	read_text(reader, node, "name", sizeof(port->name), port->name);
	value = get(reader, node, "targetPort");
	if (!value)
		return;
	if (krl_node_text(value) && strspn(krl_node_text(value), "0123456789") != strlen(krl_node_text(value)))
		read_text(reader, node, "targetPort", sizeof(port->target_name), port->target_name);
	else
		read_port(reader, value, "targetPort", &port->target_port);
}

/* Append the address @node to the @count at @addrs. */
static void add_address(struct krl_reader *reader, yaml_node_t *node, __u8 (**addrs)[16], size_t *count)
{
	const char *text = krl_node_text(node);
	__u8 addr[16], (*added)[16];

	if (!text || krl_address_parse(text, addr)) {
		krl_reader_expected(reader, node, "an IPv4 or IPv6 address");
		return;
	}
	added = krl_reader_add(reader, addrs, count);
	if (added)
		memcpy(*added, addr, sizeof(addr));
}

/* A headless service has None; one that waits for its address has an empty one. */
static void read_cluster_ip(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	const char *text = krl_node_text(node);
	struct krl_service *service = out;

	if (!text || (*text && strcmp(text, "None")))
		add_address(reader, node, &service->addrs, &service->addr_count);
}

/* clusterIPs has clusterIP as its first, where it is there. */
static void read_cluster_ips(struct krl_reader *reader, yaml_node_t *spec, struct krl_service *service)
{
	yaml_node_t *all = get(reader, spec, "clusterIPs"), *one = get(reader, spec, "clusterIP");

	if (all) {
		snprintf(reader->path, sizeof(reader->path), "spec.clusterIPs");
		krl_reader_sequence(reader, all, read_cluster_ip, service);
	} else if (one) {
		snprintf(reader->path, sizeof(reader->path), "spec.clusterIP");
		read_cluster_ip(reader, one, service);
	}
}

void krl_decode_service(struct krl_reader *reader, yaml_node_t *root, struct krl_document *document)
{
	yaml_node_t *spec = get(reader, root, "spec"), *ports = get(reader, spec, "ports");

	read_metadata(reader, root, document);
	read_cluster_ips(reader, spec, &document->service);
	snprintf(reader->path, sizeof(reader->path), "spec.ports");
	if (ports)
		krl_reader_sequence(reader, ports, read_service_port, &document->service);
	*reader->path = '\0';
}

static void read_slice_port(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	yaml_node_t *value = get(reader, node, "port");
	struct krl_slice *slice = out;
	struct krl_slice_port *port;
	__u16 number;

	if (!value || !is_tcp(reader, node) || !read_port(reader, value, "port", &number))
		return;
	port = krl_reader_add(reader, &slice->ports, &slice->port_count);
	if (!port)
		return;
	port->port = number;
	read_text(reader, node, "name", sizeof(port->name), port->name);
}

static void read_address(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_slice *slice = out;

	add_address(reader, node, &slice->addrs, &slice->addr_count);
}

static void read_address_away(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	struct krl_slice *slice = out;

	add_address(reader, node, &slice->away, &slice->away_count);
}

/* Is the endpoint @node on another node than ours? v1beta1 has the name among the labels of topology as well. One that
 * is on no node is anywhere. */
static bool is_away(struct krl_reader *reader, yaml_node_t *node)
{
	yaml_node_t *name = get(reader, node, "nodeName");

	if (!name)
		name = get(reader, get(reader, node, "topology"), "kubernetes.io/hostname");
	return reader->node && name && krl_node_text(name) && strcmp(krl_node_text(name), reader->node);
}

/* Whatever its conditions: who is not ready, or terminates, has connections all the same, and one that comes is limited
 * before the first request does. */
static void read_slice_endpoint(struct krl_reader *reader, yaml_node_t *node, void *out)
{
	yaml_node_t *addresses = get(reader, node, "addresses");
	size_t len;

	if (!addresses) {
		krl_reader_error(reader, node, "addresses is missing");
		return;
	}
	len = krl_reader_enter(reader, ".addresses");
	krl_reader_sequence(reader, addresses, is_away(reader, node) ? read_address_away : read_address, out);
	krl_reader_leave(reader, len);
}

void krl_decode_slice(struct krl_reader *reader, yaml_node_t *root, struct krl_document *document)
{
	yaml_node_t *ports = get(reader, root, "ports");
	yaml_node_t *endpoints = get(reader, root, "endpoints");
	yaml_node_t *metadata;
	char type[16] = "";

	metadata = read_metadata(reader, root, document);
	snprintf(reader->path, sizeof(reader->path), "metadata.labels");
	read_text(reader, get(reader, metadata, "labels"), "kubernetes.io/service-name",
		  sizeof(document->slice.service), document->slice.service);
	snprintf(reader->path, sizeof(reader->path), "ports");
	if (ports)
		krl_reader_sequence(reader, ports, read_slice_port, &document->slice);
	snprintf(reader->path, sizeof(reader->path), "endpoints");
	read_text(reader, root, "addressType", sizeof(type), type);
	/* Names (addressType: FQDN) are no endpoints on this node. */
	if (endpoints && strcmp(type, "FQDN"))
		krl_reader_sequence(reader, endpoints, read_slice_endpoint, &document->slice);
	*reader->path = '\0';
}
