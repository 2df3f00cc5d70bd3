/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of a simcastd: GET over TCP or a unix socket, one connection each.
 *
 * Thread: any. Cost: blocks for at most TOP_PAGE_MS; allocates the page.
 */
#ifndef SIMCAST_CLI_TOP_PAGE_H
#define SIMCAST_CLI_TOP_PAGE_H

#include <stddef.h>

#define TOP_PAGE_MS 1000
#define TOP_PAGE_BYTES_MAX (4UL << 20)

struct top_server {
    const char *address; /* "host:port" or "unix:/path" */
    const char *token;   /* NULL: none */
};

/*
 * On success the caller frees *ret_page, NUL-terminated. On failure `reason` says in one sentence
 * what is wrong and what to do. Errors: -ECONNREFUSED and others of connect, -EINVAL the address
 * is none, -ETIMEDOUT, -EACCES the server wants a token, -EPROTO no answer of simcastd, -ENOMEM.
 */
int top_page_get(const struct top_server *server, const char *path, char **ret_page, char *reason,
                 size_t reason_bytes);

#endif
