/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows one NATS server who we are, and explains to a person why it will not have us. Private to
 * this folder, and its only header with nats.c's types: the bus and JetStream share it.
 *
 * Thread: one at a time.
 */
#ifndef SIMCAST_BUS_NATS_ACCESS_H
#define SIMCAST_BUS_NATS_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include <nats/nats.h>

#include "bus/core.h"
#include "bus/login.h"

#define NATS_SERVER_BYTES 512
#define NATS_CAUSE_BYTES 384
#define NATS_WHY_BYTES (NATS_CAUSE_BYTES + 128) /* a cause, and words around it */

struct nats_access {
    char *const *files;             /* as bus->files; borrowed */
    char server[NATS_SERVER_BYTES]; /* its URL */
    struct login login;             /* until nats_access_end */
    char trouble[NATS_CAUSE_BYTES]; /* what is wrong with our own files; "": nothing */
};

/* Chooses the server: the first `bytes` of `url`. */
void nats_access_begin(struct nats_access *access, const char *url, size_t bytes);

/*
 * Puts server, login and TLS into the options; reads the login file. They may point into `access`
 * until the connection is made. NATS_CONNECTION_AUTH_FAILED the login cannot be read.
 */
natsStatus nats_access_set(struct nats_access *access, natsOptions *options);

/* Wipes the login once the connection is made or has failed. */
void nats_access_end(struct nats_access *access);

/* Why it failed and what to do. Call it on the thread that tried, before it uses nats.c again. */
void nats_access_explain(const struct nats_access *access, natsStatus status,
                         char text[NATS_WHY_BYTES]);

/* What nats.c said of its last failure on this thread, without the place in its source. */
const char *nats_access_last_error(natsStatus status);

/* Whether trying again is of no use before a person has done something. */
bool nats_access_needs_a_person(const struct nats_access *access, natsStatus status);

#endif
