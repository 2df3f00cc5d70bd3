/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns one TLS connection for the time of a call. The certificate is looked at, not verified: the
 * question goes to this machine, and is whether browsers will be content.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "cli/health.h"

#define ANSWER_BYTES 8192

static int days_left(const SSL *tls)
{
    X509 *certificate = SSL_get1_peer_certificate(tls);
    int days = 0;
    int seconds = 0;

    if (certificate)
        ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate));
    X509_free(certificate);
    return seconds < 0 ? days - 1 : days;
}

/* Asks and reads to the end; returns whether anything came. */
static bool ask(SSL *tls, uint16_t port, char answer[ANSWER_BYTES])
{
    int used = 0;
    int got;
    int count = snprintf(answer, ANSWER_BYTES,
                         "GET /health HTTP/1.1\r\nHost: localhost:%u\r\nConnection: close\r\n\r\n",
                         (unsigned)port);

    if (SSL_write(tls, answer, count) != count)
        return false;
    while (used < ANSWER_BYTES - 1 &&
           (got = SSL_read(tls, answer + used, ANSWER_BYTES - 1 - used)) > 0)
        used += got;
    answer[used] = '\0';
    return used > 0;
}

static int talk(SSL *tls, uint16_t port, struct health *ret_health, int *ret_days_left)
{
    char answer[ANSWER_BYTES];

    if (SSL_connect(tls) != 1)
        return -EPROTO;
    if (!ask(tls, port, answer))
        return -ETIMEDOUT;
    int error = health_parse(answer, ret_health);
    if (error == 0)
        *ret_days_left = days_left(tls);
    return error;
}

int health_get_tls(uint16_t port, struct health *ret_health, int *ret_days_left)
{
    SSL_CTX *context = NULL;
    SSL *tls = NULL;
    int error = -ENOMEM;
    int fd = health_connect(port);

    if (fd < 0)
        return fd;
    context = SSL_CTX_new(TLS_client_method());
    if (context)
        tls = SSL_new(context);
    if (tls && SSL_set_fd(tls, fd) == 1)
        error = talk(tls, port, ret_health, ret_days_left);
    SSL_free(tls);
    SSL_CTX_free(context);
    close(fd);
    return error;
}
