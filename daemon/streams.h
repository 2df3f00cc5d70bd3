/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All streams: the default one, and each packet ring that appears in the ipc directory while we
 * run. A ring whose producer is gone for good is forgotten as soon as nobody watches it; who
 * watches sees it go on when the producer is back.
 *
 * Thread: the loop. Cost of a stream that nobody watches: its descriptors; if another program
 * makes its frames flow, one wake-up a second.
 */
#ifndef SIMCAST_DAEMON_STREAMS_H
#define SIMCAST_DAEMON_STREAMS_H

#include "daemon/fanout.h"
#include "daemon/loop.h"
#include "daemon/relay.h"
#include "daemon/stream.h"

#define STREAMS_MAX 64 /* beside the default one */

struct streams;

/* All pointers are borrowed. */
struct streams_config {
    const char *name; /* of the default stream */
    struct loop *loop;
    struct source *source; /* of the default stream, as are the next two */
    struct fanout *fanout;
    struct relay *relay;
    struct stream_terms terms;
};

/*
 * Errors: -EINVAL, -ENOMEM, -EMFILE. A directory that does not exist is waited for.
 */
int streams_open(const struct streams_config *config, int64_t now_ns, struct streams **ret_streams);

/* Takes NULL. Nobody may watch any more. */
void streams_close(struct streams *streams);

/* To be called when somebody came to a stream, left it or paused it. */
void streams_update(struct streams *streams, struct stream *stream, int64_t now_ns);

/* Every 50 ms, and once a second. */
void streams_tick(struct streams *streams, int64_t now_ns);
void streams_second(struct streams *streams, int64_t now_ns);

struct stream *streams_default(const struct streams *streams);

/* NULL: there is none. */
struct stream *streams_by_id(const struct streams *streams, uint16_t id);
struct stream *streams_find(const struct streams *streams, const char *camera,
                            const char *rendition);

/* All of them, the default one first; valid until the next turn of the loop. */
unsigned streams_count(const struct streams *streams);
struct stream *streams_at(const struct streams *streams, unsigned at);

/* Whether the set differs from that of the last call: a stream came, went, or is live again. */
bool streams_changed(struct streams *streams);

#endif
