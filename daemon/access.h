/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may come in, and who may command. Without a token file everybody who reaches the socket is an
 * operator. With one:
 *
 *   - A client shows its token in the handshake (Authorization: Bearer) or as its first message
 *     within ACCESS_PATIENCE_NS; before, it gets nothing and is not counted as a viewer.
 *   - Viewers may watch, and stop the robot. Only the operator who holds the lease may do more.
 *   - The lease is free, or one operator's. Its holder keeps it until he leaves or another operator
 *     takes it over, which every client is told of.
 *
 * Limits hold for all: clients in all and per address, commands per second.
 *
 * Source: docs/deployment.md, docs/wire.md "Signaling". Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_ACCESS_H
#define SIMCAST_DAEMON_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "daemon/auth.h"
#include "daemon/config.h"
#include "daemon/fanout.h"
#include "daemon/http.h"
#include "proto/command.h"

#define ACCESS_PATIENCE_NS (2 * NS_PER_S)
#define ACCESS_MESSAGE_TYPE 0x03 /* SIGNALING */

/* Embed it; the caller fills what stands above the blank line. */
struct access {
    struct auth *auth; /* NULL: no tokens. Borrowed; access_reload changes it */
    struct fanout *fanout;
    struct counters *counters;
    const char *allowed_origins;
    const char *allowed_hosts;
    bool loopback; /* only this machine can reach us */
    unsigned clients_max;
    unsigned clients_per_address; /* 0: no limit */
    unsigned operator_slots;      /* of clients_max, not for viewers */
    unsigned commands_per_s;

    struct client *holder; /* of the lease; NULL: nobody */
};

/*
 * Whether a request from `address` may come in, and as whom. `joins`: it would stay as a client;
 * `late`: it may show its token later. Returns 0, or the HTTP status that refuses it (counted).
 */
unsigned access_request(struct access *access, const struct http_request *request, bool joins,
                        bool late);

/* A client has joined by such a request. Errors: -EACCES close it. */
int access_join(struct access *access, struct client *client, const char *authorization);
void access_leave(struct access *access, struct client *client);

enum access_verdict {
    ACCESS_OK,        /* none of ours, and the client may say it */
    ACCESS_DONE,      /* the lease was asked for, or given back */
    ACCESS_WELCOME,   /* the client has just shown its token */
    ACCESS_IGNORED,   /* not a message that we know */
    ACCESS_VIOLATION, /* close it: 1008 */
    ACCESS_FULL,      /* close it: 1013 */
};

/* One message of a client, type byte first, before anybody else looks at it. */
enum access_verdict access_message(struct access *access, struct client *client,
                                   const uint8_t *bytes, size_t size);

/* Why the client may not give this command, a constant; NULL: it may. May give it the lease. */
const char *access_command(struct access *access, struct client *client,
                           enum command_action action);

/* Whether the client is within its commands per second. A stop is not counted here. */
bool access_rate(struct access *access, struct client *client, int64_t now_ns);

/* Whether the client's time to show a token is over. */
bool access_expired(const struct client *client, int64_t now_ns);

/* Names and limits from these settings, which stay in place, from now on. */
void access_settings(struct access *access, const struct config *config);

/* Other tokens from now on; whether `client` still may stay is what access_revoked says. */
void access_reload(struct access *access, struct auth *auth);
bool access_revoked(const struct access *access, const struct client *client);

#endif
