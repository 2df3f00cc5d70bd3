/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the doorway, one connection per consumer, and the thread "ring-door", which alone puts
 * consumers into the seats and takes them out. A failure to serve one consumer ends that
 * consumer's connection and nothing else.
 */
#include "shm/door.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "shm/doorway.h"
#include "shm/fork_guard.h"
#include "shm/handoff.h"

#define CONNECTIONS_MAX (RING_LEASES_MAX + 8)
#define HELLO_NS_MAX (1 * NS_PER_S)
#define HELLO_LOOK_MS 100
#define REST_MS 100

struct connection {
    int socket_fd; /* -1: free entry */
    pid_t pid;
    int64_t since_ns;
    struct seat *seat; /* NULL until the hello was good */
    bool wanted;
    uint32_t keyframe_requests;
    uint32_t settings_changes;
};

struct door {
    struct seats seats;
    struct door_config config;
    struct doorway doorway;
    int stop_fd;
    int demand_fd;
    pthread_t thread;
    bool thread_runs;
    uint32_t fork_generation;

    struct connection connections[CONNECTIONS_MAX]; /* the door thread's */
    unsigned leases_used;                           /* the door thread's */
    int64_t rest_until_ns;                          /* the door thread's; 0: accepts */

    pthread_mutex_t demand_lock;
    struct ring_demand demand; /* guarded by demand_lock */
};

struct seats *door_seats(struct door *door)
{
    return &door->seats;
}

void door_demand(struct door *door, struct ring_demand *ret_demand)
{
    if (door->fork_generation != fork_guard_generation()) {
        *ret_demand = (struct ring_demand){0}; /* the lock may be the parent's for ever */
        return;
    }
    pthread_mutex_lock(&door->demand_lock);
    *ret_demand = door->demand;
    pthread_mutex_unlock(&door->demand_lock);
}

int door_demand_fd(const struct door *door)
{
    return door->demand_fd;
}

/* ---- attaching and detaching --------------------------------------------------------------- */

static void seat_connection(struct door *door, struct connection *connection, struct seat *seat)
{
    connection->seat = seat;
    door->leases_used += seat->lease_count;
    pthread_mutex_lock(&door->demand_lock);
    door->demand.consumers++;
    pthread_mutex_unlock(&door->demand_lock);
    eventfd_write(door->demand_fd, 1);
}

static void unseat_connection(struct door *door, struct connection *connection)
{
    struct seat *seat = connection->seat;

    if (!seat)
        return;
    seats_take(&door->seats, seat);
    door->leases_used -= seat->lease_count;
    seat_destroy(seat);
    connection->seat = NULL;
    pthread_mutex_lock(&door->demand_lock);
    door->demand.consumers--;
    door->demand.wanting -= connection->wanted;
    pthread_mutex_unlock(&door->demand_lock);
    eventfd_write(door->demand_fd, 1);
}

static void hang_up(struct door *door, struct connection *connection)
{
    unseat_connection(door, connection);
    fork_guard_close(connection->socket_fd);
    *connection = (struct connection){.socket_fd = -1};
}

static int check_hello(const struct door *door, const struct handoff_hello *hello)
{
    if (hello->version != RING_LAYOUT_VERSION || hello->kind != door->config.header->kind)
        return -EPROTONOSUPPORT;
    if (hello->leases < 1 || hello->leases > RING_CONSUMER_LEASES_MAX)
        return -EINVAL;
    if (door->leases_used + hello->leases > door->config.leases_max)
        return -EBUSY;
    return 0;
}

static int attach(struct door *door, struct connection *connection,
                  const struct handoff_hello *hello)
{
    struct handoff_welcome welcome = {.magic = HANDOFF_MAGIC, .version = RING_LAYOUT_VERSION};
    struct seat *seat = NULL;
    int lease_fd = -1;
    int error = check_hello(door, hello);

    if (error == 0)
        error = seat_create(hello->leases, &seat, &lease_fd);
    if (error == 0)
        error = seats_put(&door->seats, seat);
    if (error < 0) {
        seat_destroy(seat);
        if (lease_fd >= 0)
            close(lease_fd);
        welcome.status = error;
        handoff_send(connection->socket_fd, &welcome, sizeof(welcome), NULL, 0);
        return error;
    }
    seat_connection(door, connection, seat);
    welcome.leases = hello->leases;
    int fds[HANDOFF_FDS] = {
        [HANDOFF_FD_FRAMES] = door->config.frames_fd,
        [HANDOFF_FD_LEASES] = lease_fd,
        [HANDOFF_FD_WAKE] = seat->wake_read_fd,
        [HANDOFF_FD_DEVICE] = door->config.device_fd,
    };
    error = handoff_send(connection->socket_fd, &welcome, sizeof(welcome), fds,
                         door->config.device_fd >= 0 ? HANDOFF_FDS : HANDOFF_FDS_HOST);
    close(lease_fd);
    return error;
}

static struct ring_consumer_info describe(const struct door *door,
                                          const struct connection *connection)
{
    const struct ring_leases *leases = connection->seat->leases;

    return (struct ring_consumer_info){
        .pid = connection->pid,
        .leases = connection->seat->lease_count,
        .pinned = seat_pins(connection->seat, door->seats.slot_count),
        .wanted = connection->wanted,
        .seq = atomic_load_explicit(&leases->seq, memory_order_relaxed),
        .frames = atomic_load_explicit(&leases->frames, memory_order_relaxed),
        .lost = atomic_load_explicit(&leases->lost, memory_order_relaxed),
        .spin_ns = atomic_load_explicit(&leases->spin_ns, memory_order_relaxed),
        .revoked = connection->seat->revoked,
    };
}

/* Always ends the connection. */
static int answer_inquiry(const struct door *door, const struct connection *asker)
{
    const struct ring_header *header = door->config.header;
    struct ring_info info = {
        .pid = getpid(),
        .slot_count = header->slot_count,
        .slot_bytes = header->slot_bytes,
        .payload_bytes_max = header->payload_bytes_max,
        .epoch = header->epoch,
        .newest = ring_entry_seq(atomic_load_explicit(&header->newest, memory_order_relaxed)),
        .leases_max = door->config.leases_max,
        .memory = header->memory,
        .device_slot_bytes = header->device_slot_bytes,
    };

    for (unsigned i = 0; i < CONNECTIONS_MAX && info.consumer_count < RING_LEASES_MAX; i++) {
        if (door->connections[i].seat)
            info.consumers[info.consumer_count++] = describe(door, &door->connections[i]);
    }
    handoff_send(asker->socket_fd, &info, sizeof(info), NULL, 0);
    return -EPIPE;
}

/* Returns 0 when the consumer is attached; any error but -EAGAIN ends the connection. */
static int hear_hello(struct door *door, struct connection *connection)
{
    struct handoff_hello hello;
    int error = handoff_receive(connection->socket_fd, &hello, sizeof(hello), NULL);

    if (error < 0)
        return error;
    if (hello.magic == HANDOFF_INQUIRY_MAGIC)
        return answer_inquiry(door, connection);
    return hello.magic == HANDOFF_MAGIC ? attach(door, connection, &hello) : -EPROTO;
}

static int hear_demand(struct door *door, struct connection *connection)
{
    struct handoff_demand told;
    int error = handoff_receive(connection->socket_fd, &told, sizeof(told), NULL);

    if (error < 0)
        return error;
    if (told.magic != HANDOFF_MAGIC)
        return -EPROTO;
    bool wanted = told.wanted != 0;
    pthread_mutex_lock(&door->demand_lock);
    struct ring_demand *demand = &door->demand;
    demand->wanting += (uint32_t)wanted - (uint32_t)connection->wanted;
    if (told.keyframe_requests != connection->keyframe_requests)
        demand->keyframe_requests++;
    if (told.settings_changes != connection->settings_changes) {
        stream_settings_merge(&demand->settings, &told.settings);
        demand->settings_changes++;
    }
    pthread_mutex_unlock(&door->demand_lock);
    connection->wanted = wanted;
    connection->keyframe_requests = told.keyframe_requests;
    connection->settings_changes = told.settings_changes;
    eventfd_write(door->demand_fd, 1);
    return 0;
}

/* ---- the thread --------------------------------------------------------------------------- */

static pid_t peer_pid(int socket_fd)
{
    struct ucred peer = {0};
    socklen_t length = sizeof(peer);

    getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
    return peer.pid;
}

static void accept_one(struct door *door)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &door->connections[i];
        if (connection->socket_fd >= 0)
            continue;
        fork_guard_hold();
        int fd = accept4(door->doorway.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        fork_guard_add(fd);
        fork_guard_let_go();
        if (fd < 0) {
            /* Without descriptors left the knocking does not stop; it can wait. */
            door->rest_until_ns = clock_now_ns() + REST_MS * NS_PER_MS;
            return;
        }
        *connection =
            (struct connection){.socket_fd = fd, .pid = peer_pid(fd), .since_ns = clock_now_ns()};
        return;
    }
}

static void serve(struct door *door, struct connection *connection)
{
    int error = connection->seat ? hear_demand(door, connection) : hear_hello(door, connection);

    if (error < 0 && error != -EAGAIN)
        hang_up(door, connection);
}

static void revoke_old_pins(struct door *door, struct connection *connection, int64_t now_ns)
{
    unsigned revoked =
        seats_revoke(&door->seats, connection->seat, door->config.lease_ns_max, now_ns);

    if (revoked > 0)
        log_warning("process %d held %u frames of '%s' for over %lld ms; its pins are revoked",
                    (int)connection->pid, revoked, door->config.header->stream,
                    (long long)(door->config.lease_ns_max / NS_PER_MS));
}

/* Looks after what only time can tell. Returns poll's timeout until the next look. */
static int look_at_the_clock(struct door *door)
{
    int64_t now_ns = clock_now_ns();
    int timeout_ms = INT_MAX;
    int64_t revoke_ms = door->config.lease_ns_max / 4 / NS_PER_MS + 1;

    if (now_ns >= door->rest_until_ns)
        door->rest_until_ns = 0;
    else
        timeout_ms = REST_MS;
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &door->connections[i];
        if (connection->socket_fd < 0)
            continue;
        if (connection->seat) {
            if (door->config.lease_ns_max == 0)
                continue;
            revoke_old_pins(door, connection, now_ns);
            timeout_ms = revoke_ms < timeout_ms ? (int)revoke_ms : timeout_ms;
        } else if (now_ns - connection->since_ns > HELLO_NS_MAX) {
            hang_up(door, connection); /* came in and said nothing */
        } else {
            timeout_ms = HELLO_LOOK_MS < timeout_ms ? HELLO_LOOK_MS : timeout_ms;
        }
    }
    return timeout_ms == INT_MAX ? -1 : timeout_ms;
}

static bool door_is_shut(const struct door *door)
{
    if (door->rest_until_ns != 0)
        return true;
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        if (door->connections[i].socket_fd < 0)
            return false;
    }
    return true;
}

enum { POLL_STOP, POLL_CROWD, POLL_LISTENER, POLL_CONNECTIONS };

static void fill_polls(const struct door *door, struct pollfd *polls)
{
    polls[POLL_STOP] = (struct pollfd){.fd = door->stop_fd, .events = POLLIN};
    polls[POLL_CROWD] = (struct pollfd){.fd = door->seats.crowd_fd, .events = POLLIN};
    polls[POLL_LISTENER] =
        (struct pollfd){.fd = door_is_shut(door) ? -1 : door->doorway.fd, .events = POLLIN};
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        polls[POLL_CONNECTIONS + i] =
            (struct pollfd){.fd = door->connections[i].socket_fd, .events = POLLIN};
}

static void *door_thread(void *argument)
{
    struct door *door = argument;
    struct pollfd polls[POLL_CONNECTIONS + CONNECTIONS_MAX];
    eventfd_t told;

    for (;;) {
        int timeout_ms = look_at_the_clock(door);
        fill_polls(door, polls);
        if (poll(polls, POLL_CONNECTIONS + CONNECTIONS_MAX, timeout_ms) < 0)
            continue; /* EINTR; anything else would be our own bug */
        if (polls[POLL_STOP].revents)
            return NULL;
        if (polls[POLL_CROWD].revents && eventfd_read(door->seats.crowd_fd, &told) == 0)
            seats_wake_all(&door->seats);
        for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
            if (polls[POLL_CONNECTIONS + i].revents)
                serve(door, &door->connections[i]);
        }
        if (polls[POLL_LISTENER].revents)
            accept_one(door);
    }
}

static int start_thread(struct door *door)
{
    sigset_t all;
    sigset_t before;

    /* The process's signals belong to its own loop, not to this thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&door->thread, NULL, door_thread, door);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return -error;
    pthread_setname_np(door->thread, "ring-door");
    door->thread_runs = true;
    return 0;
}

/* ---- open and close ------------------------------------------------------------------------ */

static int make_descriptors(struct door *door)
{
    int *const fds[] = {&door->stop_fd, &door->demand_fd, &door->seats.crowd_fd};

    for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        *fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (*fds[i] < 0)
            return -EMFILE;
    }
    return 0;
}

int door_open(const struct door_config *config, struct door **ret_door)
{
    struct door *door = aligned_alloc(alignof(struct door), sizeof(*door));

    if (!door)
        return -ENOMEM;
    memset(door, 0, sizeof(*door));
    door->config = *config;
    door->fork_generation = fork_guard_generation();
    door->seats.slot_count = config->header->slot_count;
    door->seats.crowd_fd = door->stop_fd = door->demand_fd = door->doorway.fd = -1;
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        door->connections[i].socket_fd = -1;
    pthread_mutex_init(&door->demand_lock, NULL);
    int error = make_descriptors(door);
    if (error == 0)
        error = doorway_open(&door->doorway, &config->address);
    if (error == 0)
        error = start_thread(door);
    if (error < 0) {
        door_close(door);
        return error;
    }
    *ret_door = door;
    return 0;
}

void door_close(struct door *door)
{
    if (!door)
        return;
    bool ours = door->fork_generation == fork_guard_generation();
    if (ours && door->thread_runs) {
        eventfd_write(door->stop_fd, 1);
        pthread_join(door->thread, NULL);
    }
    if (ours)
        doorway_close(&door->doorway);
    for (unsigned i = 0; ours && i < CONNECTIONS_MAX; i++) {
        if (door->connections[i].socket_fd >= 0)
            hang_up(door, &door->connections[i]);
    }
    int fds[] = {door->stop_fd, door->demand_fd, door->seats.crowd_fd};
    for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    if (ours)
        pthread_mutex_destroy(&door->demand_lock);
    free(door);
}
