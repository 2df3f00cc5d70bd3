/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a seed to its public key. The only place that knows OpenSSL: nats.c signs with a seed, but
 * wants to be told the public key, and files of one seed are what `nk` writes.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <openssl/evp.h>

#include "bus/login.h"

#define PREFIX_SEED (18u << 3) /* 'S' */
#define PREFIX_USER (20u << 3) /* 'U' */
#define KEY_BYTES 32
#define SEED_BYTES (2 + KEY_BYTES + 2) /* prefix, key, CRC */
#define PUBLIC_BYTES (1 + KEY_BYTES + 2)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* CRC-16 with polynomial 0x1021 from 0, as XMODEM has it. */
static uint16_t crc16(const uint8_t *bytes, size_t count)
{
    unsigned crc = 0;

    for (size_t i = 0; i < count; i++) {
        crc ^= (unsigned)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0);
    }
    return (uint16_t)crc;
}

static bool base32_decode(const char *text, uint8_t *bytes, size_t count)
{
    unsigned bits = 0;
    unsigned held = 0;
    size_t used = 0;

    for (; *text; text++) {
        const char *digit = strchr(alphabet, *text);
        if (!digit)
            return false;
        bits = bits << 5 | (unsigned)(digit - alphabet);
        held += 5;
        if (held < 8)
            continue;
        held -= 8;
        if (used == count)
            return false;
        bytes[used++] = (uint8_t)(bits >> held);
    }
    return used == count;
}

static void base32_encode(const uint8_t *bytes, size_t count, char *text)
{
    unsigned bits = 0;
    unsigned held = 0;

    for (size_t i = 0; i < count; i++) {
        bits = bits << 8 | bytes[i];
        for (held += 8; held >= 5; held -= 5)
            *text++ = alphabet[bits >> (held - 5) & 31];
    }
    if (held > 0)
        *text++ = alphabet[bits << (5 - held) & 31];
    *text = '\0';
}

static bool derive(const uint8_t seed[KEY_BYTES], uint8_t public[KEY_BYTES])
{
    size_t bytes = KEY_BYTES;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, KEY_BYTES);
    bool derived = key && EVP_PKEY_get_raw_public_key(key, public, &bytes) == 1;

    EVP_PKEY_free(key);
    return derived;
}

int login_nkey_public(const char *seed, char ret_public[LOGIN_NKEY_BYTES])
{
    uint8_t raw[SEED_BYTES];
    uint8_t public[PUBLIC_BYTES] = {PREFIX_USER};
    int result = -EPROTO;

    /* The first byte holds 'S' and 3 bits of the kind, the second the other 5. */
    if (base32_decode(seed, raw, sizeof(raw)) && (raw[0] & 0xf8) == PREFIX_SEED &&
        ((raw[0] & 7u) << 5 | raw[1] >> 3) == PREFIX_USER &&
        (raw[SEED_BYTES - 2] | raw[SEED_BYTES - 1] << 8) == crc16(raw, SEED_BYTES - 2) &&
        derive(raw + 2, public + 1)) {
        uint16_t crc = crc16(public, PUBLIC_BYTES - 2);
        public[PUBLIC_BYTES - 2] = (uint8_t)crc;
        public[PUBLIC_BYTES - 1] = (uint8_t)(crc >> 8);
        base32_encode(public, sizeof(public), ret_public);
        result = 0;
    }
    explicit_bzero(raw, sizeof(raw));
    return result;
}
