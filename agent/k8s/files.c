// SPDX-License-Identifier: Apache-2.0
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILE_BYTES (1 << 20)

static int read_whole(int fd, char *bytes, size_t size, size_t *ret_len)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, bytes + len, size - len);
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? n : 0;
	} while (n && len < size);
	*ret_len = len;
	return len < size ? 0 : -EFBIG;
}

int krl_file_read(const char *path, char **ret_bytes, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err = -ENOMEM;
	char *bytes, *fitting;

	if (fd < 0)
		return -errno;
	bytes = malloc(MAX_FILE_BYTES + 1);
	if (bytes)
		err = read_whole(fd, bytes, MAX_FILE_BYTES + 1, ret_len);
	close(fd);
	if (err) {
		free(bytes);
		return err;
	}
	bytes[*ret_len] = '\0';
	fitting = realloc(bytes, *ret_len + 1);
	*ret_bytes = fitting ? fitting : bytes;
	return 0;
}

static int value_of(char digit)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *found = digit ? strchr(digits, digit) : NULL;

	return found ? (int)(found - digits) : -1;
}

int krl_base64_decode(const char *text, char **ret_bytes, size_t *ret_len)
{
	char *bytes = malloc(strlen(text) / 4 * 3 + 4);
	unsigned int have = 0, padding = 0, digits = 0;
	uint32_t bits = 0;
	size_t len = 0;
	int value;

	if (!bytes)
		return -ENOMEM;
	for (; *text; text++) {
		if (strchr(" \t\r\n", *text))
			continue;
		value = value_of(*text);
		padding += *text == '=';
		if ((value < 0 && *text != '=') || (value >= 0 && padding) || padding > 2)
			goto refused;
		digits++;
		if (padding)
			continue;
		bits = bits << 6 | value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			bytes[len++] = bits >> have;
		}
	}
	if (digits % 4 || !len)
		goto refused;
	bytes[len] = '\0';
	*ret_bytes = bytes;
	*ret_len = len;
	return 0;
refused:
	free(bytes);
	return -EINVAL;
}
