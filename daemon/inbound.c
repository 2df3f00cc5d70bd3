/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns a record per watched descriptor and the list of those that have not become clients yet, the
 * longest waiting first. It never closes a descriptor: it shuts the connection down, and
 * libwebsockets finds it ended.
 *
 * The records are found by descriptor, because recv(2) gets no more than that; so there is one
 * table in the process, and only its own thread sees it.
 */
#include "daemon/inbound.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <dlfcn.h>
#include <openssl/ssl.h>

#include "daemon/head.h"

#define SCRATCH_BYTES 4096
#define DESCRIPTORS_MAX 65536u
#define ROUNDS_MAX 64 /* of reading what does not pass; the others have their turn then */

enum stage {
    STAGE_REQUEST,
    STAGE_REFUSED, /* what else comes is thrown away */
    STAGE_STREAM,  /* passes as it is */
    STAGE_FRAMES,
};

struct record {
    int fd;
    enum stage stage;
    unsigned refusal;    /* what STAGE_REFUSED is answered with */
    struct head head;    /* that goes on, in STAGE_REQUEST */
    int64_t since_ns;    /* it waits, or it began to count what comes */
    uint64_t bytes;      /* since then */
    uint64_t controls;   /* as of then */
    struct record *next; /* in the list of those that wait */
    struct record *previous;
    const struct inbound_events *events;
    struct frames frames;
};

/* The functions that a connection is read with. */
struct reader {
    void *from;
    ssize_t (*read)(void *from, void *bytes, size_t size);
    ssize_t (*peek)(void *from, void *bytes, size_t size);
};

static struct {
    struct inbound_config config;
    struct record **records; /* by descriptor */
    size_t descriptors_max;
    struct record *oldest;
    struct record *newest;
    unsigned waiting;
} inbound;

/* Other threads of this process read sockets of their own, such as the bus's. */
static _Thread_local bool watching;

static struct record *record_of(int fd)
{
    if (!watching || fd < 0 || (size_t)fd >= inbound.descriptors_max)
        return NULL;
    return inbound.records[fd];
}

int inbound_open(const struct inbound_config *config)
{
    struct rlimit limit = {.rlim_max = DESCRIPTORS_MAX};

    getrlimit(RLIMIT_NOFILE, &limit);
    inbound.config = *config;
    inbound.descriptors_max = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    inbound.records = calloc(inbound.descriptors_max, sizeof(void *));
    watching = inbound.records != NULL;
    return watching ? 0 : -ENOMEM;
}

void inbound_close(void)
{
    if (!watching)
        return;
    for (size_t fd = 0; fd < inbound.descriptors_max; fd++)
        free(inbound.records[fd]);
    free(inbound.records);
    memset(&inbound, 0, sizeof(inbound));
    watching = false;
}

static void wait_in_line(struct record *record)
{
    record->since_ns = clock_now_ns();
    record->next = NULL;
    record->previous = inbound.newest;
    if (inbound.newest)
        inbound.newest->next = record;
    else
        inbound.oldest = record;
    inbound.newest = record;
    inbound.waiting++;
}

static bool waits(const struct record *record)
{
    return record->previous || inbound.oldest == record;
}

static void leave_line(struct record *record)
{
    if (!waits(record))
        return;
    if (record->previous)
        record->previous->next = record->next;
    else
        inbound.oldest = record->next;
    if (record->next)
        record->next->previous = record->previous;
    else
        inbound.newest = record->previous;
    record->next = record->previous = NULL;
    inbound.waiting--;
}

static void hang_up(struct record *record)
{
    leave_line(record);
    shutdown(record->fd, SHUT_RDWR);
}

/* In a full line, who waits longest makes room. */
static void line_up(struct record *record)
{
    if (inbound.waiting >= inbound.config.waiting_max) {
        inbound.config.counters->handshakes_crowded_out++;
        hang_up(inbound.oldest);
    }
    wait_in_line(record);
}

int inbound_watch(int fd)
{
    if (fd < 0 || (size_t)fd >= inbound.descriptors_max)
        return -EMFILE;
    inbound_forget(fd);
    struct record *record = calloc(1, sizeof(*record));
    if (!record)
        return -ENOMEM;
    record->fd = fd;
    inbound.records[fd] = record;
    line_up(record);
    return 0;
}

void inbound_forget(int fd)
{
    struct record *record = record_of(fd);

    if (!record)
        return;
    leave_line(record);
    inbound.records[fd] = NULL;
    free(record);
}

void inbound_asked(int fd)
{
    struct record *record = record_of(fd);

    if (record && record->stage != STAGE_REFUSED)
        leave_line(record);
}

unsigned inbound_malformed(void)
{
    inbound.config.counters->protocol_errors++;
    return 400;
}

static struct record *settle(int fd, enum stage stage)
{
    struct record *record = record_of(fd);

    if (!record)
        return NULL;
    leave_line(record);
    record->stage = stage;
    record->since_ns = clock_now_ns();
    return record;
}

void inbound_is_websocket(int fd, const struct inbound_events *events, void *data)
{
    struct record *record = settle(fd, STAGE_FRAMES);

    if (!record)
        return;
    record->events = events;
    frames_init(&record->frames, inbound.config.message_bytes_max, events->ping, data);
}

void inbound_is_stream(int fd)
{
    settle(fd, STAGE_STREAM);
}

unsigned inbound_refusal(int fd)
{
    const struct record *record = record_of(fd);

    return record && record->stage == STAGE_REFUSED ? record->refusal : 0;
}

void inbound_tick(int64_t now_ns)
{
    while (inbound.oldest && now_ns - inbound.oldest->since_ns >= INBOUND_PATIENCE_NS) {
        inbound.config.counters->handshakes_late++;
        hang_up(inbound.oldest);
    }
}

/*
 * The head ends here, and nothing more of the connection is read. Returns the bytes that make
 * libwebsockets answer it.
 */
static size_t refuse(struct record *record, enum head_status status, uint8_t *ret_bytes)
{
    bool too_long = status == HEAD_TOO_LONG;

    if (too_long)
        inbound.config.counters->requests_too_long++;
    else
        inbound.config.counters->protocol_errors++;
    record->stage = STAGE_REFUSED;
    record->refusal = too_long ? 431 : 400;
    return head_finish(&record->head, ret_bytes);
}

/* Nothing is read beyond the end of the head: what follows it is judged as what it is then. */
static ssize_t read_head(struct record *record, const struct reader *reader, uint8_t *bytes,
                         size_t size)
{
    size_t part;
    ssize_t got = reader->peek(reader->from, bytes, size - HEAD_ENDING_BYTES_MAX);

    if (got <= 0)
        return got;
    if (!waits(record)) /* the next request of a connection that stayed */
        line_up(record);
    enum head_status status = head_take(&record->head, bytes, (size_t)got, &part);
    if (status == HEAD_BROKEN) {
        inbound.config.counters->protocol_errors++;
        hang_up(record);
        return 0;
    }
    got = part > 0 ? reader->read(reader->from, bytes, part) : 0;
    if (got != (ssize_t)part)
        return got;
    if (status == HEAD_WHOLE)
        record->head = (struct head){0};
    else if (status != HEAD_GOES_ON)
        part += refuse(record, status, bytes + part);
    return (ssize_t)part;
}

/* What came in this second, with the next `size` bytes, is too much. */
static bool floods(struct record *record, size_t size)
{
    int64_t now_ns = clock_now_ns();

    if (now_ns - record->since_ns >= NS_PER_S) {
        record->since_ns = now_ns;
        record->bytes = 0;
        record->controls = record->frames.controls;
    }
    record->bytes += size;
    return record->bytes > INBOUND_BYTES_PER_S ||
           record->frames.controls - record->controls > INBOUND_CONTROLS_PER_S;
}

static void count(enum frames_status status)
{
    struct counters *counters = inbound.config.counters;

    if (status == FRAMES_VIOLATION)
        counters->clients_expelled++;
    else if (status == FRAMES_TOO_BIG)
        counters->messages_too_long++;
    else
        counters->protocol_errors++;
}

static ssize_t read_frames(struct record *record, const struct reader *reader, uint8_t *bytes,
                           size_t size)
{
    uint8_t scratch[SCRATCH_BYTES];
    size_t most = size - FRAMES_HELD_BYTES_MAX;
    size_t passed = 0;

    if (most > sizeof(scratch))
        most = sizeof(scratch);
    for (unsigned round = 0; passed == 0 && round < ROUNDS_MAX; round++) {
        ssize_t got = reader->read(reader->from, scratch, most);
        if (got <= 0)
            return got;
        bool ended = record->frames.ended;
        if (floods(record, (size_t)got))
            frames_refuse(&record->frames, FRAMES_VIOLATION);
        passed = frames_filter(&record->frames, scratch, (size_t)got, bytes);
        if (!ended && record->frames.ended && record->frames.status != FRAMES_FINE) {
            count(record->frames.status);
            record->events->fault(record->frames.data, record->frames.status);
        }
    }
    errno = EAGAIN;
    return passed > 0 ? (ssize_t)passed : -1;
}

static ssize_t read_nothing(const struct reader *reader, uint8_t *bytes, size_t size)
{
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        ssize_t got = reader->read(reader->from, bytes, size);
        if (got <= 0)
            return got;
    }
    errno = EAGAIN;
    return -1;
}

static ssize_t judge(struct record *record, const struct reader *reader, void *bytes, size_t size)
{
    if (size < 2 * FRAMES_HELD_BYTES_MAX) { /* libwebsockets reads 4 KiB */
        errno = ENOBUFS;
        return -1;
    }
    switch (record->stage) {
    case STAGE_REQUEST:
        return read_head(record, reader, bytes, size);
    case STAGE_REFUSED:
        return read_nothing(reader, bytes, size);
    case STAGE_FRAMES:
        return read_frames(record, reader, bytes, size);
    case STAGE_STREAM:
        break;
    }
    return reader->read(reader->from, bytes, size);
}

static ssize_t read_plain(void *from, void *bytes, size_t size)
{
    return recvfrom(*(int *)from, bytes, size, 0, NULL, NULL);
}

static ssize_t peek_plain(void *from, void *bytes, size_t size)
{
    return recvfrom(*(int *)from, bytes, size, MSG_PEEK, NULL, NULL);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): theirs are reserved */
ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    const struct reader reader = {.from = &fd, .read = read_plain, .peek = peek_plain};
    struct record *record = flags == 0 ? record_of(fd) : NULL;

    if (!record)
        return recvfrom(fd, bytes, size, flags, NULL, NULL);
    return judge(record, &reader, bytes, size);
}

/* OpenSSL's own, behind ours. */
static int (*real_ssl_read(void))(SSL *, void *, int)
{
    static _Atomic(int (*)(SSL *, void *, int)) real;
    int (*found)(SSL *, void *, int) = atomic_load_explicit(&real, memory_order_relaxed);

    if (!found) {
        *(void **)&found = dlsym(RTLD_NEXT, "SSL_read");
        atomic_store_explicit(&real, found, memory_order_relaxed);
    }
    return found;
}

static ssize_t read_tls(void *from, void *bytes, size_t size)
{
    return real_ssl_read()(from, bytes, (int)size);
}

static ssize_t peek_tls(void *from, void *bytes, size_t size)
{
    return SSL_peek(from, bytes, (int)size);
}

int SSL_read(SSL *ssl, void *buf, int num)
{
    const struct reader reader = {.from = ssl, .read = read_tls, .peek = peek_tls};
    struct record *record = record_of(SSL_get_fd(ssl));

    if (!record || num < 0)
        return real_ssl_read()(ssl, buf, num);
    return (int)judge(record, &reader, buf, (size_t)num);
}
