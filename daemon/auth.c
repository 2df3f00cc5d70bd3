/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the tokens, padded to one length, so that comparing them takes the same time for all. */
#include "daemon/auth.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <ctype.h>
#include <strings.h>

#define LINE_BYTES 512

struct entry {
    enum auth_role role;
    char name[AUTH_NAME_BYTES];
    char token[AUTH_TOKEN_BYTES]; /* the rest is zero */
};

struct auth {
    size_t count;
    struct entry entries[AUTH_TOKENS_MAX];
};

static const char *const role_names[] = {"none", "viewer", "operator"};

const char *auth_role_name(enum auth_role role)
{
    return role_names[role];
}

static bool name_is_plain(const char *name)
{
    size_t length =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return length > 0 && length < AUTH_NAME_BYTES && name[length] == '\0';
}

/* Returns what is wrong with the line, or NULL. */
static const char *parse_line(struct auth *auth, char *line)
{
    char *rest = NULL;
    const char *role = strtok_r(line, " \t\n", &rest);

    if (!role || role[0] == '#')
        return NULL;
    const char *name = strtok_r(NULL, " \t\n", &rest);
    const char *token = strtok_r(NULL, " \t\n", &rest);
    if (!token || strtok_r(NULL, " \t\n", &rest))
        return "expected ROLE NAME TOKEN";
    if (strcmp(role, "viewer") != 0 && strcmp(role, "operator") != 0)
        return "the role is neither viewer nor operator";
    if (!name_is_plain(name))
        return "the name may hold 32 letters, digits, '.', '_' and '-'";
    if (strlen(token) < AUTH_TOKEN_BYTES_MIN || strlen(token) >= AUTH_TOKEN_BYTES)
        return "a token has 16 to 128 characters; try: openssl rand -hex 32";
    if (auth->count == AUTH_TOKENS_MAX)
        return "more than 256 tokens";
    struct entry *entry = &auth->entries[auth->count++];
    entry->role = role[0] == 'o' ? AUTH_OPERATOR : AUTH_VIEWER;
    memcpy(entry->name, name, strlen(name));
    memcpy(entry->token, token, strlen(token));
    return NULL;
}

static int parse_file(struct auth *auth, FILE *file, const char *path, char *ret_error)
{
    char line[LINE_BYTES];
    const char *fault = NULL;
    unsigned number = 0;

    while (!fault && fgets(line, sizeof(line), file)) {
        number++;
        fault = strchr(line, '\n') || feof(file) ? parse_line(auth, line) : "the line is too long";
    }
    explicit_bzero(line, sizeof(line));
    if (!fault && auth->count == 0)
        fault = "it holds no token";
    if (fault)
        snprintf(ret_error, AUTH_ERROR_BYTES, "token_file: %.200s, line %u: %s", path, number,
                 fault);
    return fault ? -EINVAL : 0;
}

static int check_mode(FILE *file, const char *path, char *ret_error)
{
    struct stat info;

    if (fstat(fileno(file), &info) == 0 && (info.st_mode & S_IRWXO) == 0)
        return 0;
    snprintf(ret_error, AUTH_ERROR_BYTES,
             "token_file: everybody on this machine may read %.200s; chmod 600 it", path);
    return -EINVAL;
}

int auth_load(const char *path, struct auth **ret_auth, char *ret_error)
{
    struct auth *auth = calloc(1, sizeof(*auth));
    FILE *file = fopen(path, "re");
    int error = file ? 0 : -errno;

    if (!auth)
        error = -ENOMEM;
    if (error < 0)
        snprintf(ret_error, AUTH_ERROR_BYTES, "token_file: cannot read %.200s: %s", path,
                 strerror(-error));
    if (error == 0)
        error = check_mode(file, path, ret_error);
    if (error == 0)
        error = parse_file(auth, file, path, ret_error);
    if (file)
        fclose(file);
    if (error < 0)
        auth_free(auth);
    else
        *ret_auth = auth;
    return error;
}

size_t auth_count(const struct auth *auth)
{
    return auth->count;
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    explicit_bzero(auth, sizeof(*auth));
    free(auth);
}

enum auth_role auth_check(const struct auth *auth, const char *token, const char **ret_name)
{
    char padded[AUTH_TOKEN_BYTES] = {0};
    size_t length = strnlen(token, AUTH_TOKEN_BYTES);
    enum auth_role role = AUTH_NONE;

    if (length < AUTH_TOKEN_BYTES_MIN || length == AUTH_TOKEN_BYTES)
        return AUTH_NONE;
    memcpy(padded, token, length);
    for (size_t i = 0; i < auth->count; i++) {
        const struct entry *entry = &auth->entries[i];
        uint8_t difference = 0;
        for (size_t at = 0; at < AUTH_TOKEN_BYTES; at++)
            difference |= (uint8_t)(padded[at] ^ entry->token[at]);
        if (difference == 0) {
            role = entry->role;
            *ret_name = entry->name;
        }
    }
    explicit_bzero(padded, sizeof(padded));
    return role;
}

const char *auth_bearer(const char *header)
{
    if (strncasecmp(header, "Bearer ", 7) != 0)
        return NULL;
    return header + 7 + strspn(header + 7, " ");
}
