/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of --bus-login. What stands in it tells its kind:
 *
 *   .creds file    as `nsc generate creds` writes it: a JWT and the seed that belongs to it
 *   nkey seed      as `nk -gen user` writes it: 58 letters and digits, beginning with "SU"
 *   USER:PASSWORD  one line; the user ends at the first colon
 *   TOKEN          one line without a colon
 *
 * The last two are what may stand before the "@" of a NATS URL. Empty lines and lines that begin
 * with "#" are passed over.
 *
 * Thread: any. Cost: one read of a small file. Source: docs/bus.md "Who we are".
 */
#ifndef SIMCAST_BUS_LOGIN_H
#define SIMCAST_BUS_LOGIN_H

#include <stddef.h>

#define LOGIN_BYTES_MAX 1024
#define LOGIN_NKEY_BYTES 57 /* of a public key as text, with NUL */
#define LOGIN_REASON_BYTES 256

enum login_kind { LOGIN_CREDS, LOGIN_NKEY, LOGIN_USER, LOGIN_TOKEN };

struct login {
    enum login_kind kind;
    char user[LOGIN_BYTES_MAX];    /* USER */
    char secret[LOGIN_BYTES_MAX];  /* NKEY: the seed; USER: the password; TOKEN; CREDS: "" */
    char public[LOGIN_NKEY_BYTES]; /* NKEY: the key that the server knows us by */
};

/*
 * Reads the file; the caller wipes *ret_login after use (explicit_bzero).
 * Errors: from the system, -EPROTO not a login; ret_reason then says what is wrong with it, without
 * any of its content.
 */
int login_read(const char *path, struct login *ret_login, char ret_reason[LOGIN_REASON_BYTES]);

/*
 * The public key that belongs to a user's seed. Errors: -EPROTO not the seed of a user.
 * Source: NATS's nkeys: base32 of a two-byte prefix, 32 bytes of Ed25519, CRC-16.
 */
int login_nkey_public(const char *seed, char ret_public[LOGIN_NKEY_BYTES]);

#endif
