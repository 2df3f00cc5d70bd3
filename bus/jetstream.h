/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JetStream, the store inside a NATS server: streams that keep what is published on their
 * subjects. This is only for setting streams up and for reading them back; the server keeps.
 *
 * A server writes into a stream before it reads on from who published. When its disk is full it
 * stops there (seen in 2.9.10), so what must not wait is kept in memory, from where a stream on
 * disk copies it: that one may hang as it likes.
 *
 * Thread: one at a time. Cost: blocks for at most JETSTREAM_TIMEOUT_MS per call.
 * Source: docs/bus.md "JetStream".
 */
#ifndef SIMCAST_BUS_JETSTREAM_H
#define SIMCAST_BUS_JETSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"

#define JETSTREAM_TIMEOUT_MS 2000
#define JETSTREAM_REASON_BYTES 256

struct jetstream;

struct jetstream_stream {
    const char *name;    /* "TRAIN" */
    const char *subject; /* "train.>"; NULL: copies `source` */
    const char *source;  /* name of a stream; NULL: takes `subject` */
    bool in_memory;
    int64_t age_ns_max; /* older messages are deleted */
    int64_t bytes_max;  /* the oldest are deleted to stay below */
};

struct jetstream_state {
    uint64_t messages;
    uint64_t bytes;
};

enum jetstream_outcome {
    JETSTREAM_CREATED,
    JETSTREAM_CHANGED,   /* it was there with other limits or another subject */
    JETSTREAM_UNCHANGED, /* it was there as it should be */
};

/*
 * Connects to the NATS server at `url`, with the process's login (bus/access.h). On success the
 * caller owns *ret_jetstream. Errors, with ret_reason for a person: -EINVAL no NATS URL, -ENOKEY
 * login or TLS, -ENOTCONN no server, -ENOTSUP its JetStream is off, -ENOMEM.
 */
int jetstream_open(const char *url, struct jetstream **ret_jetstream,
                   char ret_reason[JETSTREAM_REASON_BYTES]);

/* Takes NULL. */
void jetstream_close(struct jetstream *jetstream);

/* Makes the stream be as told; the same again changes nothing. Errors: -EIO, see ret_reason. */
int jetstream_make(struct jetstream *jetstream, const struct jetstream_stream *stream,
                   enum jetstream_outcome *ret_outcome, char ret_reason[JETSTREAM_REASON_BYTES]);

/* Deletes the stream and what it keeps. Errors: -ENOENT there is none, -EIO. */
int jetstream_delete(struct jetstream *jetstream, const char *name,
                     char ret_reason[JETSTREAM_REASON_BYTES]);

/* What it keeps now. Errors: -ENOENT there is none, -EIO. */
int jetstream_look(struct jetstream *jetstream, const char *name,
                   struct jetstream_state *ret_state);

/* Reads a stream from its first message, or from the first of the last `since_ns` if not 0. */
int jetstream_read_begin(struct jetstream *jetstream, const char *name, int64_t since_ns,
                         char ret_reason[JETSTREAM_REASON_BYTES]);

/*
 * The next message and when the server received it (wall time); valid until the next call.
 * Errors: -ENODATA there were no more when the reading began, -EIO.
 */
int jetstream_read_next(struct jetstream *jetstream, int64_t *ret_wall_ns,
                        struct bus_message *ret_message);

#endif
