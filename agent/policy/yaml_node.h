/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a YAML tree by a table of fields. Every complaint carries file, line, column, and the path of
 * the field. */
#ifndef KMESH_RL_YAML_NODE_H
#define KMESH_RL_YAML_NODE_H

#include <stdbool.h>
#include <stdint.h>
#include <yaml.h>

#include "agent/base/vec.h"
#include "diag.h"

#define KRL_PATH_BYTES 256
#define KRL_MAX_DOCUMENT_DIAGS 20

/* Where in a document the reader is. */
struct krl_reader {
	const char *file;
	yaml_document_t *document;
	struct krl_diags *diags;
	size_t errors;
	/* Places of the lines said so far, which are the last @said ones of @diags. */
	yaml_mark_t marks[KRL_MAX_DOCUMENT_DIAGS];
	size_t said;
	bool no_memory;		/* something is missing of what was read */
	bool object;		/* of an API server: its fields have no place in a text, and none is given twice */
	const char *node;	/* name of the node whose endpoints are ours; NULL: all are */
	char path[KRL_PATH_BYTES];
};

typedef void (*krl_field_fn)(struct krl_reader *reader, yaml_node_t *node, void *out);

/* A table of these ends with a NULL name; its read, if it has one, gets every other field. */
struct krl_field {
	const char *name;
	krl_field_fn read;	/* NULL: as krl_reader_unique */
};

/* Complain about @node; "PATH: " comes first. The lines of a reader are in the order of the text. */
void krl_reader_error(struct krl_reader *reader, const yaml_node_t *node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "expected WHAT, found FOUND", FOUND being the scalar in quotes or the kind of @node. */
void krl_reader_expected(struct krl_reader *reader, const yaml_node_t *node, const char *what);

/* "A, B and C are missing" from @node, of the @count @names that are not NULL; nothing without any. */
void krl_reader_missing(struct krl_reader *reader, const yaml_node_t *node, const char *const *names,
			size_t count);

/* Append to the path, and take it off again: krl_reader_leave() with what krl_reader_enter() returned. */
size_t krl_reader_enter(struct krl_reader *reader, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void krl_reader_leave(struct krl_reader *reader, size_t len);

/* Read the mapping @node by @fields, each with @out. A field that is given twice, one that nobody
 * reads, or no mapping is an error. */
void krl_reader_mapping(struct krl_reader *reader, yaml_node_t *node, const struct krl_field *fields,
			void *out);

/* A krl_field_fn for what is not looked at: only keys that are given twice in it are errors, since one
 * reader would take the first and the next one the last. Ignores @out. */
void krl_reader_unique(struct krl_reader *reader, yaml_node_t *node, void *out);

/* krl_vec_add() for what is read: without memory, which @reader remembers, the document is not whole. */
#define krl_reader_add(reader, items, count)                                                       \
	({                                                                                         \
		__typeof__(*(items)) added_ = krl_vec_add(items, count);                           \
                                                                                                   \
		if (!added_)                                                                       \
			(reader)->no_memory = true;                                                \
		added_;                                                                            \
	})

/* Call @read for each item of the sequence @node, with the path "[i]" appended. */
void krl_reader_sequence(struct krl_reader *reader, yaml_node_t *node, krl_field_fn read, void *out);

/* The value under @key of the mapping @node, or NULL. */
yaml_node_t *krl_reader_get(struct krl_reader *reader, yaml_node_t *node, const char *key);

/* Is @key not in the mapping @node, nor likely to be meant by a key there that is none of @fields? */
bool krl_reader_lacks(struct krl_reader *reader, yaml_node_t *node, const struct krl_field *fields,
		      const char *key);

/* The text of the scalar @node; NULL for another kind of node, and for text with a zero byte. */
const char *krl_node_text(const yaml_node_t *node);

/* Is @node null, which is no text though it reads as some: nothing, null or ~, without quotes? */
bool krl_node_is_null(const yaml_node_t *node);

/* Is @node an unquoted decimal integer from @min to @max? Sets *@ret then. */
bool krl_node_integer(const yaml_node_t *node, uint64_t min, uint64_t max, uint64_t *ret);

/* As krl_node_integer; else an error. */
bool krl_reader_integer(struct krl_reader *reader, yaml_node_t *node, uint64_t min, uint64_t max,
			uint64_t *ret);

/* true or false, without quotes; else an error. */
bool krl_reader_boolean(struct krl_reader *reader, yaml_node_t *node, bool *ret);

/* A string of 1 to @size - 1 bytes, copied to @ret; else an error. */
bool krl_reader_string(struct krl_reader *reader, yaml_node_t *node, size_t size, char *ret);

#endif
