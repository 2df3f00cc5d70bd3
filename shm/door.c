/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the listening socket, one connection and one lease page per consumer, and the thread
 * "ring-door". That thread alone creates and frees consumers; the writing thread only follows
 * the pointers in `seats` between enter() and leave(). A failure to serve one consumer ends that
 * consumer's connection and nothing else.
 */
#include "shm/door.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sched.h>

#include "base/clock.h"
#include "base/log.h"
#include "shm/handoff.h"
#include "shm/layout.h"

#define CONNECTIONS_MAX (RING_LEASES_MAX + 8)
#define HELLO_NS_MAX (1 * NS_PER_S)

/* What the writing thread needs of a consumer. */
struct seat {
    struct ring_leases *leases; /* mapped; the consumer writes here what it likes */
    unsigned lease_count;       /* agreed; our own memory */
    int wake_fd;
};

struct connection {
    int socket_fd; /* -1: free entry */
    int64_t since_ns;
    struct seat *seat; /* NULL until the hello was good */
    unsigned seat_index;
    bool wanted;
    uint32_t keyframe_requests;
    uint32_t settings_changes;
};

struct door {
    struct door_config config;
    int listen_fd;
    int stop_fd;
    int demand_fd;
    ino_t socket_inode;
    pthread_t thread;
    bool thread_runs;

    struct connection connections[CONNECTIONS_MAX]; /* the door thread's */
    unsigned leases_used;                           /* the door thread's */

    pthread_mutex_t demand_lock;
    struct ring_demand demand; /* guarded by demand_lock */

    alignas(64) _Atomic uint32_t writer_inside;
    _Atomic uint32_t seat_limit; /* seats at and above are empty */
    _Atomic(struct seat *) seats[RING_LEASES_MAX];
};

/*
 * enter() and the door thread's unseat() are a handshake on two variables in opposite order, so
 * both need one total order (seq_cst): either the writer sees the empty seat, or the door thread
 * sees the writer inside and waits for leave().
 */
static void enter(struct door *door)
{
    atomic_store_explicit(&door->writer_inside, 1, memory_order_seq_cst);
}

static void leave(struct door *door)
{
    /* Pairs with the load in unseat(): our reads of the seat happen before it is freed. */
    atomic_store_explicit(&door->writer_inside, 0, memory_order_seq_cst);
}

uint64_t door_pinned(struct door *door)
{
    uint64_t pinned = 0;

    enter(door);
    unsigned limit = atomic_load_explicit(&door->seat_limit, memory_order_seq_cst);
    for (unsigned i = 0; i < limit; i++) {
        struct seat *seat = atomic_load_explicit(&door->seats[i], memory_order_seq_cst);
        for (unsigned k = 0; seat && k < seat->lease_count; k++) {
            uint64_t word =
                atomic_load_explicit(&seat->leases->slot_plus_1[k], memory_order_seq_cst);
            if (word >= 1 && word <= door->config.slot_count)
                pinned |= UINT64_C(1) << (word - 1);
        }
    }
    leave(door);
    return pinned;
}

void door_wake(struct door *door)
{
    enter(door);
    unsigned limit = atomic_load_explicit(&door->seat_limit, memory_order_seq_cst);
    for (unsigned i = 0; i < limit; i++) {
        struct seat *seat = atomic_load_explicit(&door->seats[i], memory_order_seq_cst);
        if (!seat || !atomic_load_explicit(&seat->leases->waiting, memory_order_seq_cst))
            continue;
        atomic_store_explicit(&seat->leases->waiting, 0, memory_order_seq_cst);
        eventfd_write(seat->wake_fd, 1);
    }
    leave(door);
}

void door_demand(struct door *door, struct ring_demand *ret_demand)
{
    pthread_mutex_lock(&door->demand_lock);
    *ret_demand = door->demand;
    pthread_mutex_unlock(&door->demand_lock);
}

int door_demand_fd(const struct door *door)
{
    return door->demand_fd;
}

/* ---- attaching and detaching, on the door thread ------------------------------------------ */

static void seat_free(struct seat *seat)
{
    if (!seat)
        return;
    if (seat->leases)
        munmap(seat->leases, RING_PAGE_BYTES);
    if (seat->wake_fd >= 0)
        close(seat->wake_fd);
    free(seat);
}

/* A page that nobody can shrink under us. Its descriptor goes to *ret_fd, the caller's. */
static int lease_page_create(struct ring_leases **ret_leases, int *ret_fd)
{
    int fd = memfd_create("simcast-leases", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *page = MAP_FAILED;

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, RING_PAGE_BYTES) == 0 && fallocate(fd, 0, 0, RING_PAGE_BYTES) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        page =
            mmap(NULL, RING_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (page == MAP_FAILED) {
        int error = -errno;
        close(fd);
        return error;
    }
    *ret_leases = page;
    *ret_fd = fd;
    return 0;
}

static int seat_create(unsigned lease_count, struct seat **ret_seat, int *ret_lease_fd)
{
    struct seat *seat = calloc(1, sizeof(*seat));

    if (!seat)
        return -ENOMEM;
    seat->lease_count = lease_count;
    seat->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = seat->wake_fd < 0 ? -errno : lease_page_create(&seat->leases, ret_lease_fd);
    if (error < 0) {
        seat_free(seat);
        return error;
    }
    *ret_seat = seat;
    return 0;
}

static void demand_changed(struct door *door)
{
    eventfd_write(door->demand_fd, 1);
}

static int seat_take(struct door *door, struct connection *connection, struct seat *seat)
{
    for (unsigned i = 0; i < RING_LEASES_MAX; i++) {
        if (atomic_load_explicit(&door->seats[i], memory_order_relaxed))
            continue;
        /* Pairs with the loads in door_pinned and door_wake: the seat is complete. */
        atomic_store_explicit(&door->seats[i], seat, memory_order_seq_cst);
        if (atomic_load_explicit(&door->seat_limit, memory_order_relaxed) <= i)
            atomic_store_explicit(&door->seat_limit, i + 1, memory_order_seq_cst);
        connection->seat = seat;
        connection->seat_index = i;
        door->leases_used += seat->lease_count;
        pthread_mutex_lock(&door->demand_lock);
        door->demand.consumers++;
        pthread_mutex_unlock(&door->demand_lock);
        demand_changed(door);
        return 0;
    }
    return -EBUSY;
}

static void unseat(struct door *door, struct connection *connection)
{
    struct seat *seat = connection->seat;

    if (!seat)
        return;
    atomic_store_explicit(&door->seats[connection->seat_index], NULL, memory_order_seq_cst);
    while (atomic_load_explicit(&door->writer_inside, memory_order_seq_cst))
        sched_yield();
    door->leases_used -= seat->lease_count;
    seat_free(seat);
    connection->seat = NULL;
    pthread_mutex_lock(&door->demand_lock);
    door->demand.consumers--;
    door->demand.wanting -= connection->wanted;
    pthread_mutex_unlock(&door->demand_lock);
    demand_changed(door);
}

static void hang_up(struct door *door, struct connection *connection)
{
    unseat(door, connection);
    close(connection->socket_fd);
    *connection = (struct connection){.socket_fd = -1};
}

static void refuse(struct connection *connection, int status)
{
    struct handoff_welcome welcome = {
        .magic = HANDOFF_MAGIC, .version = RING_LAYOUT_VERSION, .status = status};

    handoff_send(connection->socket_fd, &welcome, sizeof(welcome), NULL, 0);
}

static int check_hello(const struct door *door, const struct handoff_hello *hello)
{
    if (hello->version != RING_LAYOUT_VERSION || hello->kind != door->config.kind)
        return -EPROTONOSUPPORT;
    if (hello->leases < 1 || hello->leases > RING_CONSUMER_LEASES_MAX)
        return -EINVAL;
    if (door->leases_used + hello->leases > door->config.leases_max)
        return -EBUSY;
    return 0;
}

/* Returns 0 when the consumer is attached; any error ends the connection. */
static int welcome(struct door *door, struct connection *connection)
{
    struct handoff_hello hello;
    struct seat *seat = NULL;
    int lease_fd = -1;
    int error = handoff_receive(connection->socket_fd, &hello, sizeof(hello), NULL);

    if (error < 0)
        return error;
    if (hello.magic != HANDOFF_MAGIC)
        return -EPROTO;
    error = check_hello(door, &hello);
    if (error == 0)
        error = seat_create(hello.leases, &seat, &lease_fd);
    if (error == 0) {
        error = seat_take(door, connection, seat);
        if (error < 0)
            seat_free(seat);
    }
    if (error < 0) {
        if (lease_fd >= 0)
            close(lease_fd);
        refuse(connection, error);
        return error;
    }
    struct handoff_welcome answer = {
        .magic = HANDOFF_MAGIC, .version = RING_LAYOUT_VERSION, .leases = hello.leases};
    int fds[HANDOFF_FDS] = {
        [HANDOFF_FD_FRAMES] = door->config.frames_fd,
        [HANDOFF_FD_LEASES] = lease_fd,
        [HANDOFF_FD_WAKE] = seat->wake_fd,
    };
    error = handoff_send(connection->socket_fd, &answer, sizeof(answer), fds, HANDOFF_FDS);
    close(lease_fd);
    return error;
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
    demand_changed(door);
    return 0;
}

static void serve(struct door *door, struct connection *connection)
{
    int error = connection->seat ? hear_demand(door, connection) : welcome(door, connection);

    if (error < 0 && error != -EAGAIN)
        hang_up(door, connection);
}

/* ---- the thread --------------------------------------------------------------------------- */

static void accept_one(struct door *door)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &door->connections[i];
        if (connection->socket_fd >= 0)
            continue;
        int fd = accept4(door->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            *connection = (struct connection){.socket_fd = fd, .since_ns = clock_now_ns()};
        return;
    }
}

/* Hangs up on who connected but never said hello. Returns poll's timeout until the next check. */
static int expire_silent(struct door *door)
{
    int64_t now_ns = clock_now_ns();
    bool waiting = false;

    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &door->connections[i];
        if (connection->socket_fd < 0 || connection->seat)
            continue;
        if (now_ns - connection->since_ns > HELLO_NS_MAX)
            hang_up(door, connection);
        else
            waiting = true;
    }
    return waiting ? 100 : -1;
}

static bool door_is_full(const struct door *door)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        if (door->connections[i].socket_fd < 0)
            return false;
    }
    return true;
}

static void *door_thread(void *argument)
{
    struct door *door = argument;
    struct pollfd polls[2 + CONNECTIONS_MAX];

    for (;;) {
        int timeout_ms = expire_silent(door);
        polls[0] = (struct pollfd){.fd = door->stop_fd, .events = POLLIN};
        polls[1] =
            (struct pollfd){.fd = door_is_full(door) ? -1 : door->listen_fd, .events = POLLIN};
        for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
            polls[2 + i] = (struct pollfd){.fd = door->connections[i].socket_fd, .events = POLLIN};
        if (poll(polls, 2 + CONNECTIONS_MAX, timeout_ms) < 0 && errno != EINTR)
            log_error("a ring's socket thread cannot poll: %s", strerror(errno));
        if (polls[0].revents)
            return NULL;
        for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
            if (polls[2 + i].revents)
                serve(door, &door->connections[i]);
        }
        if (polls[1].revents)
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

/* ---- the socket --------------------------------------------------------------------------- */

static bool somebody_listens(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return false;
    int result = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    bool alive = result == 0 || errno == EAGAIN; /* EAGAIN: its backlog is full */
    close(fd);
    return alive;
}

static int bind_replacing_stale(int fd, const struct sockaddr_un *address)
{
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return -errno;
    if (somebody_listens(address))
        return -EADDRINUSE;
    if (unlink(address->sun_path) < 0 && errno != ENOENT)
        return -errno;
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return -errno;
    return 0;
}

/* Creates the last component of the directory when it is missing and locks the directory. */
static int lock_directory(const struct sockaddr_un *address, int *ret_fd)
{
    char dir[sizeof(address->sun_path)];

    memcpy(dir, address->sun_path, sizeof(dir));
    *strrchr(dir, '/') = '\0';
    if (mkdir(dir, 0770) < 0 && errno != EEXIST)
        return -errno;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

static int listen_at(struct door *door)
{
    const struct sockaddr_un *address = &door->config.address;
    struct stat status;
    int dir_fd = -1;

    door->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (door->listen_fd < 0)
        return -errno;
    /* Two producers that start at once must not both find the old socket dead. */
    int error = lock_directory(address, &dir_fd);
    if (error < 0)
        return error;
    error = bind_replacing_stale(door->listen_fd, address);
    if (error == 0 && stat(address->sun_path, &status) == 0)
        door->socket_inode = status.st_ino;
    if (error == 0 && (chmod(address->sun_path, 0660) < 0 || listen(door->listen_fd, 16) < 0))
        error = -errno;
    close(dir_fd);
    return error;
}

static void remove_socket(const struct door *door)
{
    struct stat status;

    /* Not one that a successor has put there meanwhile. */
    if (door->socket_inode != 0 && stat(door->config.address.sun_path, &status) == 0 &&
        status.st_ino == door->socket_inode)
        unlink(door->config.address.sun_path);
}

int door_open(const struct door_config *config, struct door **ret_door)
{
    struct door *door = aligned_alloc(64, (sizeof(*door) + 63) / 64 * 64);

    if (!door)
        return -ENOMEM;
    memset(door, 0, sizeof(*door));
    door->config = *config;
    door->listen_fd = -1;
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        door->connections[i].socket_fd = -1;
    pthread_mutex_init(&door->demand_lock, NULL);
    door->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    door->demand_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = door->stop_fd < 0 || door->demand_fd < 0 ? -EMFILE : listen_at(door);
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
    if (door->thread_runs) {
        eventfd_write(door->stop_fd, 1);
        pthread_join(door->thread, NULL);
    }
    remove_socket(door);
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        if (door->connections[i].socket_fd >= 0)
            hang_up(door, &door->connections[i]);
    }
    int fds[] = {door->listen_fd, door->stop_fd, door->demand_fd};
    for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    pthread_mutex_destroy(&door->demand_lock);
    free(door);
}
