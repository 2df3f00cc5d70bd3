/* SPDX-License-Identifier: Apache-2.0 */
/* Holds a login while a connection is being made, no longer. */
#include "bus/nats_access.h"

#include <stdio.h>
#include <string.h>

void nats_access_begin(struct nats_access *access, const char *url, size_t bytes)
{
    snprintf(access->server, sizeof(access->server), "%.*s", (int)bytes, url);
    access->trouble[0] = '\0';
}

void nats_access_end(struct nats_access *access)
{
    explicit_bzero(&access->login, sizeof(access->login));
}

/* Signs what the server asks for with our nkey; the library frees the signature. */
static natsStatus sign(char **error_text, unsigned char **signature, int *signature_bytes,
                       const char *nonce, void *closure)
{
    const struct nats_access *access = closure;

    (void)error_text;
    return nats_Sign(access->login.secret, nonce, signature, signature_bytes);
}

static natsStatus set_login(struct nats_access *access, natsOptions *options)
{
    const char *file = access->files[BUS_FILE_LOGIN];
    char reason[LOGIN_REASON_BYTES];

    if (!file)
        return NATS_OK;
    if (login_read(file, &access->login, reason) < 0) {
        snprintf(access->trouble, sizeof(access->trouble), "cannot use the login in %s: %s", file,
                 reason);
        return NATS_CONNECTION_AUTH_FAILED;
    }
    switch (access->login.kind) {
    case LOGIN_CREDS:
        return natsOptions_SetUserCredentialsFromFiles(options, file, NULL);
    case LOGIN_NKEY:
        return natsOptions_SetNKey(options, access->login.public, sign, access);
    case LOGIN_USER:
        return natsOptions_SetUserInfo(options, access->login.user, access->login.secret);
    case LOGIN_TOKEN:
        return natsOptions_SetToken(options, access->login.secret);
    }
    return NATS_OK;
}

const char *nats_access_last_error(natsStatus status)
{
    const char *said = nats_GetLastError(NULL);
    const char *rest = said && said[0] == '(' ? strstr(said, "): ") : NULL;

    if (rest)
        return rest + strlen("): ");
    return said && said[0] != '\0' ? said : natsStatus_GetText(status);
}

static bool uses_tls(const struct nats_access *access)
{
    return strncmp(access->server, "tls://", 6) == 0 || access->files[BUS_FILE_CA] ||
           access->files[BUS_FILE_CERT];
}

static natsStatus set_tls(struct nats_access *access, natsOptions *options)
{
    char *const *files = access->files;
    natsStatus status = NATS_OK;

    if (!uses_tls(access))
        return NATS_OK;
    status = natsOptions_SetSecure(options, true);
    if (status == NATS_OK && files[BUS_FILE_CA]) {
        status = natsOptions_LoadCATrustedCertificates(options, files[BUS_FILE_CA]);
        if (status != NATS_OK)
            snprintf(access->trouble, sizeof(access->trouble),
                     "cannot use the CA certificates in %s", files[BUS_FILE_CA]);
    }
    if (status == NATS_OK && files[BUS_FILE_CERT]) {
        status =
            natsOptions_LoadCertificatesChain(options, files[BUS_FILE_CERT], files[BUS_FILE_KEY]);
        if (status != NATS_OK)
            snprintf(access->trouble, sizeof(access->trouble),
                     "cannot use the certificate in %s with the key in %s", files[BUS_FILE_CERT],
                     files[BUS_FILE_KEY]);
    }
    return status;
}

/* With TLS 1.3 a server that misses our certificate says so only after the handshake. */
static bool is_cut_off(const struct nats_access *access, natsStatus status)
{
    return uses_tls(access) && !access->files[BUS_FILE_CERT] &&
           (status == NATS_PROTOCOL_ERROR || status == NATS_IO_ERROR ||
            status == NATS_CONNECTION_CLOSED);
}

void nats_access_explain(const struct nats_access *access, natsStatus status,
                         char text[NATS_WHY_BYTES])
{
    const char *file = access->files[BUS_FILE_LOGIN];
    const char *said = nats_access_last_error(status);
    size_t bytes = NATS_WHY_BYTES;

    if (access->trouble[0] != '\0')
        snprintf(text, bytes, "%s; correct the file", access->trouble);
    else if (status == NATS_CONNECTION_AUTH_FAILED && file)
        snprintf(text, bytes,
                 "the server refuses the login in %s; correct that file, or the server's users",
                 file);
    else if (status == NATS_CONNECTION_AUTH_FAILED && bus_url_has_secret(access->server))
        snprintf(text, bytes, "the server refuses the login in the URL; correct it");
    else if (status == NATS_CONNECTION_AUTH_FAILED)
        snprintf(text, bytes, "the server wants a login; name its file by --bus-login");
    else if (status == NATS_SECURE_CONNECTION_REQUIRED)
        snprintf(text, bytes, "the server wants TLS; use tls:// and --bus-ca");
    else if (status == NATS_SECURE_CONNECTION_WANTED)
        snprintf(text, bytes, "the server has no TLS; use nats:// without --bus-ca and --bus-cert");
    else if (status == NATS_SSL_ERROR)
        snprintf(text, bytes,
                 "no TLS with the server (%s); check --bus-ca, the name in the URL "
                 "and, if the server asks for one, --bus-cert",
                 said);
    else if (is_cut_off(access, status))
        snprintf(text, bytes,
                 "the server ends the TLS connection (%s); if it wants our certificate, name it by "
                 "--bus-cert and --bus-key",
                 natsStatus_GetText(status));
    else
        snprintf(text, bytes, "cannot connect (%s)", natsStatus_GetText(status));
}

bool nats_access_needs_a_person(const struct nats_access *access, natsStatus status)
{
    return access->trouble[0] != '\0' || status == NATS_CONNECTION_AUTH_FAILED ||
           status == NATS_SECURE_CONNECTION_WANTED || status == NATS_SECURE_CONNECTION_REQUIRED ||
           status == NATS_SSL_ERROR || is_cut_off(access, status);
}

natsStatus nats_access_set(struct nats_access *access, natsOptions *options)
{
    natsStatus status = natsOptions_SetURL(options, access->server);

    if (status == NATS_OK)
        status = set_login(access, options);
    if (status == NATS_OK)
        status = set_tls(access, options);
    return status;
}
