/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing. Runs on any thread. Leaves no error behind that OpenSSL would tell the next. */
#include "daemon/certificate.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

bool certificate_fits(const char *certificate_path, const char *key_path)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    bool fits = context && SSL_CTX_use_certificate_chain_file(context, certificate_path) == 1 &&
                SSL_CTX_use_PrivateKey_file(context, key_path, SSL_FILETYPE_PEM) == 1 &&
                SSL_CTX_check_private_key(context) == 1;

    SSL_CTX_free(context);
    ERR_clear_error();
    return fits;
}
