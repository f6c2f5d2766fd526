// SPDX-License-Identifier: Apache-2.0
/* kmesh-rl convert */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/policy/decode.h"
#include "cli.h"
#include "convert/convert.h"

const struct krl_cli_option krl_cli_convert_options[] = {
	{ 'f', "filename", "FILE|-", "what to convert", KRL_CLI_LIST,
	  offsetof(struct krl_cli, files), NULL },
	{ 0, NULL, NULL, NULL, KRL_CLI_SWITCH, 0, NULL },
};

/* Read @file, but no more than one byte past what is converted. The caller frees *@ret. 0, or
 * -errno. */
static int read_all(FILE *file, char **ret, size_t *ret_len)
{
	size_t room = KRL_MAX_FILE_BYTES + 1, len;
	struct stat st;
	char *text = NULL;

	if (!fstat(fileno(file), &st) && S_ISDIR(st.st_mode))
		return -EISDIR;
	text = malloc(room);
	if (!text)
		return -ENOMEM;
	len = fread(text, 1, room, file);
	if (ferror(file)) {
		free(text);
		return -EIO;
	}
	*ret = text;
	*ret_len = len;
	return 0;
}

enum krl_cli_exit krl_cli_convert(const struct krl_cli *cli)
{
	const char *path = cli->files.count ? cli->files.words[0] : NULL;
	bool input = path && !strcmp(path, "-");
	size_t len = 0;
	char *text = NULL;
	FILE *file;
	int err;

	if (cli->words.count)
		return krl_cli_misuse("convert takes what to convert with -f: -f %s",
				      cli->words.words[0]);
	if (cli->files.count != 1)
		return krl_cli_misuse("convert needs what to convert, once: -f FILE or -f -");
	file = input ? stdin : fopen(path, "re");
	err = file ? read_all(file, &text, &len) : -errno;
	if (file && !input)
		fclose(file);
	if (err)
		return krl_cli_fail("%s: %s", path, strerror(-err));
	err = krl_convert(text, len, input ? "stdin" : path, stdout, stderr);
	free(text);
	if (err == -ENOMEM)
		return krl_cli_fail("out of memory");
	return err ? KRL_CLI_FAILED : KRL_CLI_GOOD;
}
