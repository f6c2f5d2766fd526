/* SPDX-License-Identifier: Apache-2.0 */
/* Documents compiled to a plan. */
#ifndef KMESH_RL_TEST_COMPILED_H
#define KMESH_RL_TEST_COMPILED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/policy/compile.h"
#include "agent/policy/decode.h"
#include "agent/policy/decode_kinds.h"

#define MAX_DOCUMENTS 8
#define LIMIT(spec) "{apiVersion: kmesh.net/v1alpha1, kind: RateLimit, metadata: {name: web}, spec: " spec "}\n"
#define SLICE(name, service, ports, addresses)                                                     \
	"---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: " name           \
	", labels: {kubernetes.io/service-name: " service "}}, ports: " ports ", endpoints: [{addresses: "     \
	addresses "}]}\n"

static struct krl_decoded_file file;
static struct krl_plan plan;
static struct krl_diags notes, errors;

/* Compile @text, of which every document can be read. */
static inline void compile_in_part(const char *text)
{
	struct krl_source_document documents[MAX_DOCUMENTS];
	size_t i;

	assert_int_equal(krl_decode("f.yaml", text, strlen(text), &file, &errors), 0);
	assert_in_range(file.count, 1, MAX_DOCUMENTS);
	if (errors.count)
		fail_msg("%s\nin\n%s", errors.lines[0], text);
	for (i = 0; i < file.count; i++)
		documents[i] = (struct krl_source_document){ .file = "f.yaml", .document = file.documents[i].document };
	assert_int_equal(krl_compile(documents, file.count, 0, &plan, &errors, &notes), 0);
}

/* Compile @text, in which nothing may be wrong. */
static inline void compile(const char *text)
{
	compile_in_part(text);
	assert_int_equal(errors.count, 0);
}

static inline int teardown(void **state)
{
	krl_plan_clear(&plan);
	krl_diags_clear(&errors);
	krl_diags_clear(&notes);
	krl_decoded_file_clear(&file);
	return 0;
}

static inline const struct krl_plan_endpoint *endpoint_at(__u16 port)
{
	size_t i;

	for (i = 0; i < plan.endpoint_count; i++)
		if (plan.endpoints[i].key.port == port)
			return &plan.endpoints[i];
	fail_msg("no endpoint at port %d", port);
	return NULL;
}

static inline const struct krl_plan_endpoint *endpoint_of(const char *address, __u16 port)
{
	__u8 addr[16];
	size_t i;

	assert_int_equal(krl_address_parse(address, addr), 0);
	for (i = 0; i < plan.endpoint_count; i++)
		if (plan.endpoints[i].key.port == port && !memcmp(plan.endpoints[i].key.addr, addr, 16))
			return &plan.endpoints[i];
	fail_msg("no endpoint at %s port %d", address, port);
	return NULL;
}

#endif
