/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the NATS connections: one thread per lane makes one, keeps it, and makes the next.
 *
 * nats.c could reconnect by itself, but it would keep what was published while it was away and
 * send it later: a reconnect buffer of 0 means its default of 8 MiB, and a buffer of 1 still
 * takes one message. It also holds its lock while it connects, which would block a publisher.
 * So its reconnection is off: a connection that is lost is destroyed with all it holds, and the
 * lane's thread makes a new one, waiting longer and longer, with jitter.
 *
 * The library's callbacks may still run after a connection was destroyed. They see only a
 * session, which they share with the lane by reference count and which no longer leads to the
 * bus once the lane has detached it.
 *
 * A write that the server does not take within WRITE_DEADLINE_MS, or pings that it leaves
 * unanswered for about 3 s, count as a lost connection.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "bus/core.h"
#include "bus/nats_access.h"

#define CONNECT_TIMEOUT_MS 1000
#define WRITE_DEADLINE_MS 500
#define PING_INTERVAL_MS 1000
#define PINGS_OUT_MAX 2
#define RETRY_MS_MIN 50
#define RETRY_MS_MAX 2000
#define RETRY_REFUSED_MS_MIN 1000 /* after a login that was refused: a person has to act */
#define RETRY_REFUSED_MS_MAX 10000
#define PENDING_MESSAGES_MAX 16384
#define PENDING_BYTES_MAX (8 << 20)
#define REPORTS 8 /* servers whose last failure is remembered */

/* Marks what came from ourselves where two connections make the server's no_echo blind. */
#define SENDER_HEADER "Simcast-Sender"
#define SENDER_TEXT_BYTES (2 * BUS_SENDER_BYTES + 1)

/* "<epoch> <sent_ns> <clock>", on messages of an epoch. */
#define STAMP_HEADER "Simcast-Stamp"
#define STAMP_TEXT_BYTES 64

/* What a connection's callbacks may touch. One reference each: the lane, the closed callback,
 * every subscription. */
struct session {
    pthread_mutex_t lock;
    struct bus *bus; /* NULL once detached */
    enum bus_lane lane;
    int lost_fd; /* eventfd: the connection is closed */
    unsigned references;
    char why[NATS_CAUSE_BYTES]; /* it was closed; under the lock */
};

struct lane {
    struct bus *bus;
    enum bus_lane lane;
    bool started;
    pthread_t thread;
    natsConnection *connection;
    natsSubscription *subscriptions[BUS_SUBSCRIPTIONS_MAX];
    unsigned subscription_count;
    struct session *session;
    struct nats_access access;  /* to the server that is being tried */
    uint32_t reported[REPORTS]; /* each server's last failure, so that it is logged once */
};

struct nats_driver_state {
    struct lane lanes[BUS_LANE_COUNT];
};

static struct session *session_create(struct bus *bus, enum bus_lane lane)
{
    struct session *session = calloc(1, sizeof(*session));

    if (!session)
        return NULL;
    session->lost_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (session->lost_fd < 0) {
        free(session);
        return NULL;
    }
    pthread_mutex_init(&session->lock, NULL);
    session->bus = bus;
    session->lane = lane;
    session->references = 1;
    return session;
}

static void session_ref(struct session *session)
{
    pthread_mutex_lock(&session->lock);
    session->references++;
    pthread_mutex_unlock(&session->lock);
}

static void session_unref(void *closure)
{
    struct session *session = closure;

    pthread_mutex_lock(&session->lock);
    unsigned left = --session->references;
    pthread_mutex_unlock(&session->lock);
    if (left > 0)
        return;
    close(session->lost_fd);
    pthread_mutex_destroy(&session->lock);
    free(session);
}

static void on_closed(natsConnection *connection, void *closure)
{
    struct session *session = closure;
    const char *text = NULL;

    pthread_mutex_lock(&session->lock);
    if (natsConnection_GetLastError(connection, &text) != NATS_OK && text)
        snprintf(session->why, sizeof(session->why), "%s", text);
    pthread_mutex_unlock(&session->lock);
    eventfd_write(session->lost_fd, 1);
    session_unref(session);
}

/* Comes before on_closed, whose reference keeps the session until then. */
static void on_error(natsConnection *connection, natsSubscription *subscription, natsStatus status,
                     void *closure)
{
    struct session *session = closure;
    const char *text = NULL;
    char said[NATS_CAUSE_BYTES];

    (void)subscription;
    natsConnection_GetLastError(connection, &text);
    /* The next error overwrites the text, from another thread. */
    snprintf(said, sizeof(said), "%s", text ? text : natsStatus_GetText(status));
    pthread_mutex_lock(&session->lock);
    if (session->bus && status == NATS_SLOW_CONSUMER)
        bus_slow(session->bus, 1); /* the library tells once for many */
    else if (session->bus && status == NATS_NOT_PERMITTED)
        bus_refused(session->bus, said);
    else
        log_debug("bus: nats reports: %s", natsStatus_GetText(status));
    pthread_mutex_unlock(&session->lock);
}

static void sender_text(const struct bus *bus, char text[SENDER_TEXT_BYTES])
{
    for (unsigned i = 0; i < BUS_SENDER_BYTES; i++)
        snprintf(text + 2 * (size_t)i, 3, "%02x", bus->sender[i]);
}

static bool is_own(const struct bus *bus, natsMsg *message)
{
    const char *sender;
    char own[SENDER_TEXT_BYTES];

    if (natsMsgHeader_Get(message, SENDER_HEADER, &sender) != NATS_OK)
        return false;
    sender_text(bus, own);
    return strcmp(sender, own) == 0;
}

static void write_stamp(const struct bus *bus, const struct bus_message *message,
                        char text[STAMP_TEXT_BYTES])
{
    snprintf(text, STAMP_TEXT_BYTES, "%" PRIu64 " %" PRId64 " %s", message->epoch, message->sent_ns,
             bus->clock);
}

/* What cannot be read was written by no simcast program. */
static void read_stamp(const struct bus *bus, natsMsg *message, struct bus_message *ret_message)
{
    const char *text;
    char *end;

    if (natsMsgHeader_Get(message, STAMP_HEADER, &text) != NATS_OK)
        return;
    ret_message->epoch = strtoull(text, &end, 10);
    int64_t sent_ns = *end == ' ' ? strtoll(end + 1, &end, 10) : 0;
    if (*end == ' ' && bus->clock[0] != '\0' && strcmp(end + 1, bus->clock) == 0)
        ret_message->sent_ns = sent_ns;
}

/*
 * The normal connection sees what the stop connection is for as well, when a wider pattern
 * covers it: it leaves that to the other one.
 */
static void on_message(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
                       void *closure)
{
    struct session *session = closure;
    enum bus_lane lane;

    (void)connection;
    (void)subscription;
    pthread_mutex_lock(&session->lock);
    struct bus *bus = session->bus;
    if (bus && bus_wants(bus, natsMsg_GetSubject(message), &lane) && lane == session->lane &&
        !is_own(bus, message)) {
        struct bus_message taken = {
            .subject = natsMsg_GetSubject(message),
            .payload = natsMsg_GetData(message),
            .payload_bytes = (size_t)natsMsg_GetDataLength(message),
        };
        read_stamp(bus, message, &taken);
        bus_deliver(bus, lane, &taken);
    }
    pthread_mutex_unlock(&session->lock);
    natsMsg_Destroy(message);
}

static natsStatus set_behaviour(const struct lane *lane, natsOptions *options)
{
    natsStatus status = natsOptions_SetName(options, lane->bus->name);
    if (status == NATS_OK)
        status = natsOptions_SetAllowReconnect(options, false);
    if (status == NATS_OK)
        status = natsOptions_SetNoEcho(options, true);
    if (status == NATS_OK)
        status = natsOptions_SetSendAsap(options, true);
    if (status == NATS_OK)
        status = natsOptions_SetTimeout(options, CONNECT_TIMEOUT_MS);
    if (status == NATS_OK)
        status = natsOptions_SetWriteDeadline(options, WRITE_DEADLINE_MS);
    if (status == NATS_OK)
        status = natsOptions_SetPingInterval(options, PING_INTERVAL_MS);
    if (status == NATS_OK)
        status = natsOptions_SetMaxPingsOut(options, PINGS_OUT_MAX);
    if (status == NATS_OK)
        status = natsOptions_SetErrorHandler(options, on_error, lane->session);
    if (status == NATS_OK)
        status = natsOptions_SetClosedCB(options, on_closed, lane->session);
    return status;
}

static natsStatus make_options(struct lane *lane, natsOptions **ret_options)
{
    natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);

    if (status == NATS_OK)
        status = set_behaviour(lane, options);
    if (status == NATS_OK)
        status = nats_access_set(&lane->access, options);
    if (status != NATS_OK) {
        natsOptions_Destroy(options);
        return status;
    }
    *ret_options = options;
    return NATS_OK;
}

static natsStatus subscribe(struct lane *lane, const char *pattern)
{
    natsSubscription *subscription = NULL;
    natsStatus status = natsConnection_Subscribe(&subscription, lane->connection, pattern,
                                                 on_message, lane->session);

    if (status != NATS_OK)
        return status;
    lane->subscriptions[lane->subscription_count++] = subscription;
    session_ref(lane->session);
    status = natsSubscription_SetOnCompleteCB(subscription, session_unref, lane->session);
    if (status == NATS_OK)
        status = natsSubscription_SetPendingLimits(subscription, PENDING_MESSAGES_MAX,
                                                   PENDING_BYTES_MAX);
    return status;
}

static natsStatus subscribe_all(struct lane *lane)
{
    const struct bus *bus = lane->bus;
    natsStatus status = NATS_OK;

    if (lane->lane == BUS_LANE_STOP)
        return bus->stop_pattern ? subscribe(lane, bus->stop_pattern) : NATS_OK;
    for (unsigned i = 0; i < bus->pattern_count && status == NATS_OK; i++)
        status = subscribe(lane, bus->patterns[i]);
    return status;
}

static void lane_disconnect(struct lane *lane)
{
    pthread_mutex_lock(&lane->session->lock);
    lane->session->bus = NULL;
    pthread_mutex_unlock(&lane->session->lock);
    for (unsigned i = 0; i < lane->subscription_count; i++)
        natsSubscription_Destroy(lane->subscriptions[i]);
    lane->subscription_count = 0;
    natsConnection_Destroy(lane->connection);
    lane->connection = NULL;
    session_unref(lane->session);
    lane->session = NULL;
}

/* The closing flush makes sure that the server has the subscriptions before the link is up. */
static natsStatus connect_server(struct lane *lane)
{
    natsOptions *options = NULL;

    lane->session = session_create(lane->bus, lane->lane);
    if (!lane->session)
        return NATS_NO_MEMORY;
    natsStatus status = make_options(lane, &options);
    if (status == NATS_OK) {
        session_ref(lane->session);
        status = natsConnection_Connect(&lane->connection, options);
        if (status != NATS_OK)
            session_unref(lane->session); /* on_closed belongs to connections that were made */
        natsOptions_Destroy(options);
    }
    if (status == NATS_OK)
        status = subscribe_all(lane);
    if (status == NATS_OK)
        status = natsConnection_FlushTimeout(lane->connection, CONNECT_TIMEOUT_MS);
    nats_access_end(&lane->access);
    if (status != NATS_OK)
        lane_disconnect(lane);
    return status;
}

/*
 * no_echo works per connection, so a message that goes out on one lane and comes back on the
 * other carries its sender. Servers older than 2.2 have no headers: there it goes without.
 */
static natsStatus publish(struct lane *lane, const struct bus_message *out)
{
    natsMsg *message = NULL;
    char sender[SENDER_TEXT_BYTES];
    char stamp[STAMP_TEXT_BYTES];
    enum bus_lane wanted;

    bool headers = natsConnection_HasHeaderSupport(lane->connection) == NATS_OK;
    bool comes_back =
        headers && bus_wants(lane->bus, out->subject, &wanted) && wanted != lane->lane;
    natsStatus status =
        natsMsg_Create(&message, out->subject, NULL, out->payload, (int)out->payload_bytes);
    if (status == NATS_OK && comes_back) {
        sender_text(lane->bus, sender);
        status = natsMsgHeader_Set(message, SENDER_HEADER, sender);
    }
    if (status == NATS_OK && headers && out->epoch > 0) {
        write_stamp(lane->bus, out, stamp);
        status = natsMsgHeader_Set(message, STAMP_HEADER, stamp);
    }
    if (status == NATS_OK)
        status = natsConnection_PublishMsg(lane->connection, message);
    natsMsg_Destroy(message);
    return status;
}

/* Sends what waits. A server may take less than 1 MiB; that is no reason to give it up. */
static natsStatus publish_waiting(struct lane *lane)
{
    struct bus_message message;

    while (bus_next_out(lane->bus, lane->lane, &message) == 0) {
        natsStatus status = publish(lane, &message);
        bus_sent(lane->bus, status == NATS_OK);
        if (status != NATS_OK && status != NATS_MAX_PAYLOAD)
            return status;
    }
    return NATS_OK;
}

enum wake { WAKE_QUIT, WAKE_LOST, WAKE_WORK };

static enum wake lane_wait(const struct lane *lane)
{
    struct pollfd fds[] = {
        {.fd = lane->bus->quit_fd, .events = POLLIN},
        {.fd = lane->session->lost_fd, .events = POLLIN},
        {.fd = mailbox_fd(lane->bus->outbox[lane->lane]), .events = POLLIN},
    };

    while (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0)
        ;
    if (fds[0].revents)
        return WAKE_QUIT;
    return fds[1].revents ? WAKE_LOST : WAKE_WORK;
}

static void why_lost(struct session *session, char text[NATS_WHY_BYTES])
{
    pthread_mutex_lock(&session->lock);
    const char *said = session->why;
    snprintf(text, NATS_WHY_BYTES, "connection lost%s%s%s, waiting for the server",
             said[0] != '\0' ? " (" : "", said, said[0] != '\0' ? ")" : "");
    pthread_mutex_unlock(&session->lock);
}

static void lane_serve(struct lane *lane)
{
    char why[NATS_WHY_BYTES] = "closed";
    enum wake wake;

    bus_link_up(lane->bus, lane->lane);
    do {
        wake = lane_wait(lane);
        if (wake == WAKE_LOST) {
            why_lost(lane->session, why);
            break;
        }
        if (publish_waiting(lane) != NATS_OK) {
            snprintf(why, sizeof(why), "the server takes no more, connecting anew");
            break;
        }
    } while (wake == WAKE_WORK);
    if (wake == WAKE_QUIT)
        natsConnection_FlushTimeout(lane->connection, BUS_CLOSE_FLUSH_MS);
    bus_link_down(lane->bus, lane->lane, why);
}

static void report_failure(struct lane *lane, unsigned server, natsStatus status)
{
    char text[NATS_WHY_BYTES];
    char shown[NATS_SERVER_BYTES];
    uint32_t *reported = &lane->reported[server < REPORTS ? server : REPORTS - 1];

    nats_access_explain(&lane->access, status, text);
    bus_url_show(lane->access.server, shown, sizeof(shown));
    if (lane->lane != BUS_LANE_NORMAL) {
        log_debug("bus %s (stop lane): %s", shown, text);
        return;
    }
    bus_note_trouble(lane->bus, text);
    uint32_t hash = bus_hash(text);
    if (*reported == hash)
        return;
    *reported = hash;
    log_warning("bus %s: %s; trying again until it works", shown, text);
}

/* Tries the URL's servers in their order: all programs then meet at the first that works. */
static natsStatus lane_connect(struct lane *lane)
{
    const char *url = lane->bus->url;
    natsStatus worst = NATS_NO_SERVER;

    for (unsigned server = 0;; server++) {
        size_t bytes = strcspn(url, ",");
        nats_access_begin(&lane->access, url, bytes);
        natsStatus status = connect_server(lane);
        if (status == NATS_OK)
            return NATS_OK;
        report_failure(lane, server, status);
        if (nats_access_needs_a_person(&lane->access, status))
            worst = NATS_CONNECTION_AUTH_FAILED;
        if (url[bytes] == '\0')
            return worst;
        url += bytes + 1;
    }
}

/* Waits between half and all of `wait_ms`. Returns false when the bus closes meanwhile. */
static bool wait_to_retry(const struct lane *lane, unsigned wait_ms)
{
    struct pollfd quit = {.fd = lane->bus->quit_fd, .events = POLLIN};
    uint32_t random = 0;

    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
        random = 0;
    return poll(&quit, 1, (int)(wait_ms / 2 + random % (wait_ms / 2 + 1))) == 0;
}

static unsigned longer(unsigned wait_ms, bool refused)
{
    unsigned most = refused ? RETRY_REFUSED_MS_MAX : RETRY_MS_MAX;
    unsigned next = 2 * wait_ms < most ? 2 * wait_ms : most;

    return refused && next < RETRY_REFUSED_MS_MIN ? RETRY_REFUSED_MS_MIN : next;
}

static void *lane_run(void *arg)
{
    struct lane *lane = arg;
    unsigned wait_ms = RETRY_MS_MIN;

    do {
        natsStatus status = lane_connect(lane);
        if (status == NATS_OK) {
            lane_serve(lane);
            lane_disconnect(lane);
            memset(lane->reported, 0, sizeof(lane->reported));
            wait_ms = RETRY_MS_MIN;
        } else {
            wait_ms = longer(wait_ms, status == NATS_CONNECTION_AUTH_FAILED);
        }
    } while (wait_to_retry(lane, wait_ms));
    nats_ReleaseThreadMemory();
    return NULL;
}

static void nats_stop(struct bus *bus)
{
    struct nats_driver_state *state = bus->driver_state;

    for (int i = 0; i < BUS_LANE_COUNT; i++)
        if (state->lanes[i].started)
            pthread_join(state->lanes[i].thread, NULL);
    free(state);
}

static int nats_start(struct bus *bus)
{
    if (!bus_url_is_valid(bus->url))
        return -EINVAL;
    struct nats_driver_state *state = calloc(1, sizeof(*state));
    if (!state)
        return -ENOMEM;
    bus->driver_state = state;
    for (int i = 0; i < BUS_LANE_COUNT; i++) {
        struct lane *lane = &state->lanes[i];
        *lane = (struct lane){.bus = bus, .lane = (enum bus_lane)i, .access.files = bus->files};
        const char *name = i == BUS_LANE_STOP ? "bus-nats-stop" : "bus-nats";
        int result = bus_thread_start(&lane->thread, name, lane_run, lane);
        if (result < 0) {
            eventfd_write(bus->quit_fd, 1);
            nats_stop(bus);
            return result;
        }
        lane->started = true;
    }
    return 0;
}

const struct bus_driver bus_nats_driver = {.start = nats_start, .stop = nats_stop};
