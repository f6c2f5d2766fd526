/* SPDX-License-Identifier: Apache-2.0 */
/* From YAML text, or objects of an API server, to documents. No I/O but for the time zones that they name. */
#ifndef KMESH_RL_DECODE_H
#define KMESH_RL_DECODE_H

#include "diag.h"
#include "json_tree.h"
#include "model.h"

#define KRL_MAX_FILE_BYTES (1 << 20)

/* What became of one document of a file. */
struct krl_decoded {
	struct krl_document *document;	/* NULL: refused */
	enum krl_kind kind;		/* of a refused one, when named */
	bool named;			/* the identity of a refused one is known */
	char ns[64];
	char name[256];
	size_t line;			/* where it begins in its file, from 1; 0: of an object */
	int64_t created_s;		/* as in krl_document */
	bool refused;			/* what it says: document is NULL, or what it was before */
	/* Of a store: what the document was when it last went past no bound, and whether it does now. */
	struct krl_document *before;
	bool over;
};

struct krl_decoded_file {
	struct krl_decoded *documents;
	size_t count;
	bool cut;		/* a syntax error: what follows it could not be read */
};

/* Decode the @len bytes at @text, from the file called @file in complaints. Documents of kinds that
 * do not concern us are passed over, and counted in @diags, whose lines are in the order of @text. The
 * caller releases @ret with krl_decoded_file_clear, documents that it took over set to NULL. 0, or
 * -ENOMEM. */
int krl_decode(const char *file, const char *text, size_t len, struct krl_decoded_file *ret,
	       struct krl_diags *diags);

/* The same for one object, which is of @kind whatever it says, since the items of a list do not say it. Complaints
 * name it @label, with the path of the field. @node: the name of this node; addresses on others are away. */
int krl_decode_object(const char *label, enum krl_kind kind, const char *node, struct krl_json_tree *object,
		      struct krl_decoded_file *ret, struct krl_diags *diags);

void krl_decoded_file_clear(struct krl_decoded_file *file);

#endif
