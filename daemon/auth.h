/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens and what their bearers may do. A file of lines "ROLE NAME TOKEN": role viewer or operator,
 * a name of letters, digits, '.', '_' and '-', a token of AUTH_TOKEN_BYTES_MIN bytes or more
 * without spaces. Empty lines and lines that start with '#' say nothing.
 *
 * Source: docs/deployment.md. Thread: the loop. Cost: loading reads a file; checking compares with
 * every token, in a time that depends on their number alone.
 */
#ifndef SIMCAST_DAEMON_AUTH_H
#define SIMCAST_DAEMON_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#define AUTH_TOKENS_MAX 256
#define AUTH_TOKEN_BYTES_MIN 16
#define AUTH_TOKEN_BYTES 129 /* with its NUL */
#define AUTH_NAME_BYTES 33
#define AUTH_ERROR_BYTES 512

enum auth_role {
    AUTH_NONE, /* nobody has shown a token yet */
    AUTH_VIEWER,
    AUTH_OPERATOR,
};

struct auth;

/*
 * Reads the file. Errors: -EINVAL a line is wrong, the file holds no token, or others than its
 * owner's group may read it; or what the system says. ret_error (AUTH_ERROR_BYTES) has a sentence
 * that holds no token.
 */
int auth_load(const char *path, struct auth **ret_auth, char *ret_error);

size_t auth_count(const struct auth *auth);

/* Takes NULL. Wipes the tokens. */
void auth_free(struct auth *auth);

/* AUTH_NONE: no such token. *ret_name is valid until auth_free; untouched on AUTH_NONE. */
enum auth_role auth_check(const struct auth *auth, const char *token, const char **ret_name);

/* The token in "Bearer TOKEN", or NULL. */
const char *auth_bearer(const char *header);

/* "none", "viewer" or "operator"; a string constant. */
const char *auth_role_name(enum auth_role role);

#endif
