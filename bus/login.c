/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a login file and tells what kind it is. Holds secrets in the caller's memory alone and
 * wipes its own copies.
 */
#include "bus/login.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX 16384 /* a .creds file holds a JWT of some hundred bytes to a few KiB */
#define CREDS_MARK "-----BEGIN NATS USER JWT-----"

static int fail(char reason[LOGIN_REASON_BYTES], const char *text)
{
    snprintf(reason, LOGIN_REASON_BYTES, "%s", text);
    return -EPROTO;
}

/* Reads the whole file; a longer one is no login. */
static int read_file(const char *path, char text[FILE_BYTES_MAX], char reason[LOGIN_REASON_BYTES])
{
    size_t used = 0;
    ssize_t got = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int error = fd < 0 ? -errno : 0;

    while (error == 0 && got > 0 && used < FILE_BYTES_MAX - 1) {
        got = read(fd, text + used, FILE_BYTES_MAX - 1 - used);
        if (got < 0)
            error = -errno;
        else
            used += (size_t)got;
    }
    if (fd >= 0)
        close(fd);
    if (error < 0) {
        snprintf(reason, LOGIN_REASON_BYTES, "%s", strerrordesc_np(-error));
        return error;
    }
    if (used == FILE_BYTES_MAX - 1)
        return fail(reason, "it is too long for a login");
    text[used] = '\0';
    return 0;
}

/* Cuts out the one line that counts. NULL: there is none, or more than one. */
static char *only_line(char *text)
{
    char *found = NULL;
    char *rest = NULL;

    for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        if (line[0] == '#' || line[strspn(line, " \t")] == '\0')
            continue;
        if (found)
            return NULL;
        found = line;
    }
    return found;
}

static bool is_seed(const char *line)
{
    return strncmp(line, "SU", 2) == 0 && strlen(line) == 58 &&
           strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == 58;
}

static int tell_line(const char *line, struct login *login, char reason[LOGIN_REASON_BYTES])
{
    const char *colon = strchr(line, ':');

    if (strlen(line) >= LOGIN_BYTES_MAX)
        return fail(reason, "its line is too long for a login");
    if (is_seed(line)) {
        login->kind = LOGIN_NKEY;
        snprintf(login->secret, sizeof(login->secret), "%s", line);
        return login_nkey_public(line, login->public) < 0
                   ? fail(reason, "its nkey seed is damaged; copy it again")
                   : 0;
    }
    if (!colon) {
        login->kind = LOGIN_TOKEN;
        snprintf(login->secret, sizeof(login->secret), "%s", line);
        return 0;
    }
    if (colon == line || colon[1] == '\0')
        return fail(reason, "a user or a password is missing beside the colon");
    login->kind = LOGIN_USER;
    snprintf(login->user, sizeof(login->user), "%.*s", (int)(colon - line), line);
    snprintf(login->secret, sizeof(login->secret), "%s", colon + 1);
    return 0;
}

int login_read(const char *path, struct login *ret_login, char ret_reason[LOGIN_REASON_BYTES])
{
    char text[FILE_BYTES_MAX];
    struct login login = {.kind = LOGIN_CREDS};
    int error = read_file(path, text, ret_reason);

    if (error == 0 && !strstr(text, CREDS_MARK)) {
        const char *line = only_line(text);
        error = line ? tell_line(line, &login, ret_reason)
                     : fail(ret_reason, "it is neither a .creds file nor one line of an nkey "
                                        "seed, USER:PASSWORD or a token");
    }
    if (error == 0)
        *ret_login = login;
    explicit_bzero(text, sizeof(text));
    explicit_bzero(&login, sizeof(login));
    return error;
}
