// SPDX-License-Identifier: Apache-2.0
#include "secret.h"

#include <stddef.h>
#include <string.h>

/* Parts of such names: Authorization, Proxy-Authorization, Cookie, X-Api-Key, X-Auth-Token, ... */
static const char *const parts[] = {
	"auth", "cookie", "credential", "csrf", "jwt", "key", "oidc", "passphrase", "passw",
	"saml", "secret", "session", "signature", "token", "xsrf",
};

bool krl_header_is_secret(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (strstr(name, parts[i]))
			return true;
	return false;
}
