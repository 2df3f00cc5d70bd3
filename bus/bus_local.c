/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the ZeroMQ context and sockets of the local bus, all of them in one thread.
 *
 * Each lane is a pair of sockets: `tx` (XPUB) sends, `rx` (SUB) receives. The process that serves
 * binds them and forwards from rx to tx; all others connect tx to its rx and rx to its tx. A
 * message has three parts: subject, payload, and the 8-byte identity of its sender, by which one
 * recognises one's own, followed by epoch and time if it is of an epoch; other programs may leave
 * the third out.
 *
 * A client knows the truth about both directions without a timer. Towards the server: an XPUB
 * receives the server's subscription when the connection is made and its withdrawal when it is
 * lost (at once when the process dies; by ZeroMQ's heartbeats when it hangs). From the server: the
 * client subscribes to a greeting that only it knows, the server answers the subscription, and
 * what was subscribed before it is then in place. When a connection is lost, all sockets are
 * thrown away with what they hold and made anew, so nothing old is sent later.
 *
 * A server that was killed leaves its socket files behind, and ZeroMQ replaces such files whether
 * or not somebody still listens there. So who serves holds a lock on a file beside them, which
 * dies with its process.
 *
 * A slow client loses messages (high-water marks below); nobody waits for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <semaphore.h>
#include <zmq.h>

#include "base/log.h"
#include "bus/core.h"

#define HIGH_WATER_NORMAL 1024 /* messages per peer and direction */
#define HIGH_WATER_STOP 64
#define RECONNECT_MS_MIN 20
#define RECONNECT_MS_MAX 500
#define HEARTBEAT_MS 500
#define HEARTBEAT_TIMEOUT_MS 1500
#define GREETING_TIMEOUT_MS 1000
#define BATCH 64 /* normal messages between two looks at the stop lane */

/* No subject begins like this, so no message can pass for a greeting. */
#define GREETING_PREFIX "\ngreet."
#define GREETING_BYTES (sizeof(GREETING_PREFIX) - 1 + 16)

#define PARTS 3
#define SENDER_PART_BYTES (BUS_SENDER_BYTES + 16) /* of a message of an epoch */
enum part { PART_SUBJECT, PART_PAYLOAD, PART_SENDER };

struct lane {
    void *tx;
    void *rx;
    bool tx_ready; /* the server listens to tx */
    bool rx_ready; /* the server knows what rx subscribed to */
};

struct local {
    struct bus *bus;
    const char *dir;
    pthread_t thread;
    int lock_fd; /* the server's, else -1 */
    void *context;
    struct lane lanes[BUS_LANE_COUNT];
    char greeting[GREETING_BYTES + 1]; /* a new one for each connection */
    sem_t started;
    int start_result;
};

#define SCHEME "ipc://"

/* "ipc://<dir>/bus.<in or out>"; "in" is where all others send to and the server receives. */
static void endpoint(const struct local *local, enum bus_lane lane, bool in, char text[PATH_MAX])
{
    snprintf(text, PATH_MAX, SCHEME "%s/bus%s.%s", local->dir, lane == BUS_LANE_STOP ? ".stop" : "",
             in ? "in" : "out");
}

static void lock_path(const struct local *local, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/bus.lock", local->dir);
}

/* Whoever holds the file that the path names serves. A file that was unlinked between open and
 * flock is no such file, hence the second look. */
static int take_lock(struct local *local)
{
    char path[PATH_MAX];
    struct stat held;
    struct stat named;

    lock_path(local, path);
    while (true) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            int result = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
            close(fd);
            return result;
        }
        if (fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
            held.st_dev == named.st_dev) {
            local->lock_fd = fd;
            return 0;
        }
        close(fd);
    }
}

/* ZeroMQ leaves its socket files behind; they are ours as long as the lock is. */
static void drop_lock(struct local *local)
{
    char path[PATH_MAX];

    if (local->lock_fd < 0)
        return;
    for (int lane = 0; lane < BUS_LANE_COUNT; lane++) {
        for (int in = 0; in < 2; in++) {
            endpoint(local, (enum bus_lane)lane, in, path);
            unlink(path + strlen(SCHEME));
        }
    }
    lock_path(local, path);
    unlink(path);
    close(local->lock_fd);
    local->lock_fd = -1;
}

static int set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int subscribe(void *rx, const char *prefix, size_t bytes)
{
    return zmq_setsockopt(rx, ZMQ_SUBSCRIBE, prefix, bytes) < 0 ? -errno : 0;
}

/* ZeroMQ filters by prefix; bus_wants does the rest. */
static int subscribe_all(const struct local *local, void *rx)
{
    const struct bus *bus = local->bus;
    int result = 0;

    if (bus->serve)
        return subscribe(rx, "", 0);
    for (unsigned i = 0; i < bus->pattern_count && result == 0; i++)
        result = subscribe(rx, bus->patterns[i], strcspn(bus->patterns[i], "*>"));
    if (bus->stop_pattern && result == 0)
        result = subscribe(rx, bus->stop_pattern, strcspn(bus->stop_pattern, "*>"));
    if (result == 0)
        result = subscribe(rx, local->greeting, GREETING_BYTES);
    return result;
}

static int open_socket(const struct local *local, enum bus_lane lane, int type, void **ret_socket)
{
    int high_water = lane == BUS_LANE_STOP ? HIGH_WATER_STOP : HIGH_WATER_NORMAL;
    const int options[][2] = {
        {ZMQ_LINGER, 0},
        {ZMQ_SNDHWM, high_water},
        {ZMQ_RCVHWM, high_water},
        {ZMQ_IMMEDIATE, 1}, /* a lost peer's queue is dropped, and its subscription withdrawn */
        {ZMQ_RECONNECT_IVL, RECONNECT_MS_MIN},
        {ZMQ_RECONNECT_IVL_MAX, RECONNECT_MS_MAX},
        {ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS},
        {ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS},
    };
    const int64_t part_bytes_max = BUS_PAYLOAD_BYTES_MAX;
    void *socket = zmq_socket(local->context, type);

    if (!socket)
        return -errno;
    *ret_socket = socket;
    if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &part_bytes_max, sizeof(part_bytes_max)) < 0)
        return -errno;
    for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        int result = set_int(socket, options[i][0], options[i][1]);
        if (result < 0)
            return result;
    }
    /* A client's only peer is the server, so a full queue is told, not hidden. */
    return type == ZMQ_XPUB && !local->bus->serve ? set_int(socket, ZMQ_XPUB_NODROP, 1) : 0;
}

static int attach(const struct local *local, void *socket, enum bus_lane lane, bool in)
{
    char text[PATH_MAX];

    endpoint(local, lane, in, text);
    int result = local->bus->serve ? zmq_bind(socket, text) : zmq_connect(socket, text);
    return result < 0 ? -errno : 0;
}

static int open_lane(struct local *local, enum bus_lane lane_index)
{
    struct lane *lane = &local->lanes[lane_index];
    bool serve = local->bus->serve;
    int result = open_socket(local, lane_index, ZMQ_XPUB, &lane->tx);

    if (result == 0)
        result = open_socket(local, lane_index, ZMQ_SUB, &lane->rx);
    if (result == 0)
        result = subscribe_all(local, lane->rx);
    if (result == 0)
        result = attach(local, lane->rx, lane_index, serve);
    if (result == 0)
        result = attach(local, lane->tx, lane_index, !serve);
    lane->tx_ready = serve;
    lane->rx_ready = serve;
    return result;
}

static void close_sockets(struct local *local, int linger_ms)
{
    for (int i = 0; i < BUS_LANE_COUNT; i++) {
        struct lane *lane = &local->lanes[i];
        if (lane->tx) {
            set_int(lane->tx, ZMQ_LINGER, linger_ms);
            zmq_close(lane->tx);
        }
        if (lane->rx)
            zmq_close(lane->rx);
        *lane = (struct lane){0};
    }
}

static int open_sockets(struct local *local)
{
    uint64_t nonce;
    int result;

    if (getrandom(&nonce, sizeof(nonce), 0) != sizeof(nonce))
        return -EIO;
    snprintf(local->greeting, sizeof(local->greeting), GREETING_PREFIX "%016llx",
             (unsigned long long)nonce);
    result = open_lane(local, BUS_LANE_STOP);
    if (result == 0)
        result = open_lane(local, BUS_LANE_NORMAL);
    if (result < 0)
        close_sockets(local, 0);
    return result;
}

static bool is_greeting(const void *bytes, size_t size)
{
    return size == GREETING_BYTES &&
           memcmp(bytes, GREETING_PREFIX, sizeof(GREETING_PREFIX) - 1) == 0;
}

/*
 * What comes up from an XPUB: 1 or 0, then the prefix that a peer subscribed to or withdrew.
 * Returns false when it says that the server is lost.
 */
static bool read_subscriptions(const struct local *local, struct lane *lane)
{
    uint8_t event[1 + GREETING_BYTES];
    int bytes;

    while ((bytes = zmq_recv(lane->tx, event, sizeof(event), ZMQ_DONTWAIT)) >= 0) {
        if (bytes == 0 || event[0] > 1)
            continue;
        if (local->bus->serve) {
            if (event[0] == 1 && is_greeting(event + 1, (size_t)bytes - 1))
                zmq_send(lane->tx, event + 1, GREETING_BYTES, ZMQ_DONTWAIT);
        } else if (event[0] == 1) {
            lane->tx_ready = true;
        } else {
            return false;
        }
    }
    return true;
}

/* Receives one whole message into PARTS initialised parts. Returns how many it had, or -EAGAIN. */
static int receive(void *rx, zmq_msg_t parts[PARTS])
{
    int count = 0;
    bool more = true;

    while (more) {
        zmq_msg_t surplus;
        zmq_msg_t *part = count < PARTS ? &parts[count] : &surplus;

        zmq_msg_init(&surplus);
        if (zmq_msg_recv(part, rx, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&surplus);
            return -EAGAIN;
        }
        more = zmq_msg_more(part);
        zmq_msg_close(&surplus);
        count++;
    }
    return count;
}

/* Copies the first part, which has no final NUL, and checks it. */
static bool read_subject(zmq_msg_t *part, char subject[BUS_SUBJECT_BYTES_MAX + 1])
{
    size_t bytes = zmq_msg_size(part);

    if (bytes > BUS_SUBJECT_BYTES_MAX || memchr(zmq_msg_data(part), '\0', bytes))
        return false;
    memcpy(subject, zmq_msg_data(part), bytes);
    subject[bytes] = '\0';
    return bus_subject_is_valid(subject);
}

static bool is_own(const struct bus *bus, int count, zmq_msg_t parts[PARTS])
{
    return count == PARTS && zmq_msg_size(&parts[PART_SENDER]) >= BUS_SENDER_BYTES &&
           memcmp(zmq_msg_data(&parts[PART_SENDER]), bus->sender, BUS_SENDER_BYTES) == 0;
}

static void forward(void *tx, int count, zmq_msg_t parts[PARTS])
{
    for (int i = 0; i < count; i++) {
        int flags = ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0);
        if (zmq_msg_send(&parts[i], tx, flags) < 0)
            return;
    }
}

/* The sender's part may go on with the epoch and when it was published, 8 bytes each. */
static void read_stamp(zmq_msg_t *part, struct bus_message *ret_message)
{
    const char *bytes = zmq_msg_data(part);

    if (zmq_msg_size(part) != SENDER_PART_BYTES)
        return;
    memcpy(&ret_message->epoch, bytes + BUS_SENDER_BYTES, sizeof(ret_message->epoch));
    memcpy(&ret_message->sent_ns, bytes + BUS_SENDER_BYTES + sizeof(ret_message->epoch),
           sizeof(ret_message->sent_ns));
}

/* A message is what has a subject and a payload, perhaps a sender; anything else is dropped. */
static void handle(const struct local *local, enum bus_lane lane_index, int count,
                   zmq_msg_t parts[PARTS])
{
    struct bus *bus = local->bus;
    char subject[BUS_SUBJECT_BYTES_MAX + 1];
    enum bus_lane wanted;

    if (count < PART_SENDER || count > PARTS || !read_subject(&parts[PART_SUBJECT], subject) ||
        is_own(bus, count, parts))
        return;
    if (bus_wants(bus, subject, &wanted)) {
        struct bus_message taken = {
            .subject = subject,
            .payload = zmq_msg_data(&parts[PART_PAYLOAD]),
            .payload_bytes = zmq_msg_size(&parts[PART_PAYLOAD]),
        };
        read_stamp(&parts[PART_SENDER], &taken);
        bus_deliver(bus, lane_index == BUS_LANE_STOP ? BUS_LANE_STOP : wanted, &taken);
    }
    if (bus->serve)
        forward(local->lanes[lane_index].tx, count, parts);
}

/* Returns false when nothing was there. */
static bool receive_one(struct local *local, enum bus_lane lane_index)
{
    struct lane *lane = &local->lanes[lane_index];
    zmq_msg_t parts[PARTS];

    for (int i = 0; i < PARTS; i++)
        zmq_msg_init(&parts[i]);
    int count = receive(lane->rx, parts);
    if (count == 1 && !local->bus->serve && zmq_msg_size(&parts[0]) == GREETING_BYTES &&
        memcmp(zmq_msg_data(&parts[0]), local->greeting, GREETING_BYTES) == 0)
        lane->rx_ready = true;
    else if (count > 0)
        handle(local, lane_index, count, parts);
    for (int i = 0; i < PARTS; i++)
        zmq_msg_close(&parts[i]);
    return count > 0;
}

static bool send_message(const struct local *local, void *tx, const struct bus_message *message)
{
    char sender[SENDER_PART_BYTES];
    size_t sender_bytes = message->epoch > 0 ? SENDER_PART_BYTES : BUS_SENDER_BYTES;

    memcpy(sender, local->bus->sender, BUS_SENDER_BYTES);
    memcpy(sender + BUS_SENDER_BYTES, &message->epoch, sizeof(message->epoch));
    memcpy(sender + BUS_SENDER_BYTES + sizeof(message->epoch), &message->sent_ns,
           sizeof(message->sent_ns));
    return zmq_send(tx, message->subject, strlen(message->subject), ZMQ_DONTWAIT | ZMQ_SNDMORE) >=
               0 &&
           zmq_send(tx, message->payload, message->payload_bytes, ZMQ_DONTWAIT | ZMQ_SNDMORE) >=
               0 &&
           zmq_send(tx, sender, sender_bytes, ZMQ_DONTWAIT) >= 0;
}

/* Returns false when nothing waits. */
static bool send_one(const struct local *local, enum bus_lane lane)
{
    struct bus_message message;

    if (bus_next_out(local->bus, lane, &message) < 0)
        return false;
    bus_sent(local->bus, send_message(local, local->lanes[lane].tx, &message));
    return true;
}

static void move_stop(struct local *local)
{
    while (receive_one(local, BUS_LANE_STOP) || send_one(local, BUS_LANE_STOP))
        ;
}

/* One round of work; the stop lane comes before each batch of the other. False: server lost. */
static bool move(struct local *local)
{
    if (!read_subscriptions(local, &local->lanes[BUS_LANE_STOP]) ||
        !read_subscriptions(local, &local->lanes[BUS_LANE_NORMAL]))
        return false;
    move_stop(local);
    for (int i = 0; i < BATCH && receive_one(local, BUS_LANE_NORMAL); i++)
        ;
    move_stop(local);
    for (int i = 0; i < BATCH && send_one(local, BUS_LANE_NORMAL); i++)
        ;
    return true;
}

static bool all_ready(const struct local *local)
{
    for (int i = 0; i < BUS_LANE_COUNT; i++)
        if (!local->lanes[i].tx_ready || !local->lanes[i].rx_ready)
            return false;
    return true;
}

enum outcome { OUTCOME_LOST, OUTCOME_QUIT };

/* A server that is connected but does not greet in time is tried anew: it may have come back
 * between two of our sockets. */
static enum outcome serve(struct local *local)
{
    struct bus *bus = local->bus;
    const struct lane *stop = &local->lanes[BUS_LANE_STOP];
    const struct lane *normal = &local->lanes[BUS_LANE_NORMAL];
    zmq_pollitem_t items[] = {
        {.fd = bus->quit_fd, .events = ZMQ_POLLIN},
        {.socket = stop->tx, .events = ZMQ_POLLIN},
        {.socket = stop->rx, .events = ZMQ_POLLIN},
        {.fd = mailbox_fd(bus->outbox[BUS_LANE_STOP]), .events = ZMQ_POLLIN},
        {.socket = normal->tx, .events = ZMQ_POLLIN},
        {.socket = normal->rx, .events = ZMQ_POLLIN},
        {.fd = mailbox_fd(bus->outbox[BUS_LANE_NORMAL]), .events = ZMQ_POLLIN},
    };

    while (true) {
        bool ready = all_ready(local);
        if (ready)
            for (int i = 0; i < BUS_LANE_COUNT; i++)
                bus_link_up(bus, (enum bus_lane)i);
        int events =
            zmq_poll(items, sizeof(items) / sizeof(items[0]), ready ? -1 : GREETING_TIMEOUT_MS);
        if (events == 0 && (stop->tx_ready || normal->tx_ready))
            return OUTCOME_LOST;
        if (!move(local))
            return OUTCOME_LOST;
        if (items[0].revents)
            return OUTCOME_QUIT;
    }
}

static void drain_outboxes(struct local *local)
{
    for (int i = 0; i < BUS_LANE_COUNT; i++)
        while (send_one(local, (enum bus_lane)i))
            ;
}

/* Makes new sockets for a client; if even that fails, again a little later. */
static bool reopen(struct local *local)
{
    zmq_pollitem_t quit = {.fd = local->bus->quit_fd, .events = ZMQ_POLLIN};
    int result;

    while ((result = open_sockets(local)) < 0) {
        log_warning("bus %s: no new socket (%s), trying again", local->bus->shown_url,
                    zmq_strerror(-result));
        if (zmq_poll(&quit, 1, RECONNECT_MS_MAX) != 0)
            return false;
    }
    return true;
}

/* What arrived before the connection broke, a stop perhaps, is still for us. */
static void receive_rest(struct local *local)
{
    for (int i = 0; i < HIGH_WATER_STOP && receive_one(local, BUS_LANE_STOP); i++)
        ;
    for (int i = 0; i < HIGH_WATER_NORMAL && receive_one(local, BUS_LANE_NORMAL); i++)
        ;
}

static void links_down(struct bus *bus, const char *why)
{
    for (int i = 0; i < BUS_LANE_COUNT; i++)
        bus_link_down(bus, (enum bus_lane)i, why);
}

static void work(struct local *local)
{
    while (serve(local) == OUTCOME_LOST) {
        links_down(local->bus, "connection lost, waiting for the server");
        receive_rest(local);
        close_sockets(local, 0);
        if (!reopen(local))
            return;
    }
    bool ready = all_ready(local);
    drain_outboxes(local);
    links_down(local->bus, "closed");
    close_sockets(local, ready ? BUS_CLOSE_FLUSH_MS : 0);
}

static void *local_run(void *arg)
{
    struct local *local = arg;
    int result = local->bus->serve ? take_lock(local) : 0;

    if (result == 0) {
        local->context = zmq_ctx_new();
        result = local->context ? open_sockets(local) : -errno;
    }
    bool started = result == 0;
    local->start_result = result;
    sem_post(&local->started);
    if (started)
        work(local);
    if (local->context)
        zmq_ctx_term(local->context);
    drop_lock(local);
    return NULL;
}

static void local_stop(struct bus *bus)
{
    struct local *local = bus->driver_state;

    pthread_join(local->thread, NULL);
    sem_destroy(&local->started);
    free(local);
}

static int local_start(struct bus *bus)
{
    struct local *local = calloc(1, sizeof(*local));

    if (!local)
        return -ENOMEM;
    local->bus = bus;
    local->dir = bus->url + strlen(SCHEME);
    local->lock_fd = -1;
    sem_init(&local->started, 0, 0);
    bus->driver_state = local;
    int result = bus_thread_start(&local->thread, "bus-local", local_run, local);
    if (result < 0) {
        sem_destroy(&local->started);
        free(local);
        return result;
    }
    while (sem_wait(&local->started) < 0)
        ;
    result = local->start_result;
    if (result < 0)
        local_stop(bus);
    return result;
}

const struct bus_driver bus_local_driver = {.start = local_start, .stop = local_stop};
