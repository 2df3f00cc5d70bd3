/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the three processes of a rig; what fails ends them all. */
#include "bench/fanout_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/glass_client.h"
#include "bench/program.h"
#include "bench/yardstick_send_loop.h"
#include "bench/yardstick_servers.h"

#define PATH_BYTES 4096
#define GB 1e9
#define TEXT_BYTES 64
#define PIPE_BYTES (1 << 20)
#define SPARE_DESCRIPTORS 100
#define JOIN_MS 10000
#define SERVE_NS (10 * NS_PER_S)
#define FEED_MS 5000              /* more than its pictures take */
#define LATE_NS (150 * NS_PER_MS) /* what has not come by then was dropped */
#define SETTLE_MS 20              /* the last picture is on its way */
#define WARM_UP 6                 /* pictures at a time, until all clients have one */

static const char *const streams[] = {
    [FANOUT_SIMCASTD] = "fanout",
    [FANOUT_SEND_LOOP] = "bare",
};

const char *fanout_rig_missing(enum fanout_server server)
{
    if (server == FANOUT_NODE)
        return yardstick_node_missing();
    return server == FANOUT_USTREAMER ? yardstick_ustreamer_missing() : NULL;
}

/* Children inherit the limit, simcastd raises its own. */
static int make_room(unsigned clients)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_max < clients + SPARE_DESCRIPTORS ? -EMFILE : 0;
}

/* ---- servers ------------------------------------------------------------------------------- */

static int start_simcastd(struct fanout_rig *rig)
{
    char path[PATH_BYTES];
    char listen[TEXT_BYTES];
    char clients[TEXT_BYTES];
    const char *const argv[] = {
        path,       "--ipc-dir",   rig->setup.dir,   "--stream", streams[FANOUT_SIMCASTD],
        "--listen", listen,        "--video-source", "ring",     "--clients-max",
        clients,    "--log-level", "error",          NULL,
    };

    program_path("daemon/simcastd", path, sizeof(path));
    snprintf(listen, sizeof(listen), "127.0.0.1:%u", (unsigned)rig->port);
    snprintf(clients, sizeof(clients), "%u", (unsigned)FANOUT_CLIENTS_MAX);
    return program_start(&rig->server, argv, (struct program_pipes){-1, -1});
}

static int start_send_loop(struct fanout_rig *rig)
{
    struct send_loop_setup setup = {rig->setup.dir, streams[FANOUT_SEND_LOOP], rig->port};

    return peer_start(&rig->server, send_loop_run, &setup);
}

static int start_server(struct fanout_rig *rig, int input)
{
    switch (rig->setup.server) {
    case FANOUT_SIMCASTD:
        return start_simcastd(rig);
    case FANOUT_SEND_LOOP:
        return start_send_loop(rig);
    case FANOUT_NODE:
        return yardstick_node_start(&rig->server, input, rig->port);
    case FANOUT_USTREAMER:
        return yardstick_ustreamer_start(&rig->server, input, rig->port, false);
    }
    return -EINVAL;
}

static int start_fed_server(struct fanout_rig *rig)
{
    int ends[2];
    struct fanout_feed_setup setup = {
        .album = rig->setup.album,
        .dir = rig->setup.dir,
        .fps = rig->setup.fps,
    };

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
    if (rig->setup.server == FANOUT_SIMCASTD || rig->setup.server == FANOUT_SEND_LOOP)
        setup.stream = streams[rig->setup.server];
    setup.pipe = ends[1];
    int error = start_server(rig, ends[0]);
    if (error == 0)
        error = fanout_feed_start(&rig->feed, &setup);
    close(ends[0]);
    close(ends[1]);
    return error;
}

/* ---- clients ------------------------------------------------------------------------------- */

static enum fanout_protocol protocol_of(enum fanout_server server)
{
    if (server == FANOUT_USTREAMER)
        return FANOUT_MULTIPART;
    return server == FANOUT_NODE ? FANOUT_WEBSOCKET : FANOUT_SIMCAST;
}

static int start_clients(struct fanout_rig *rig, enum fanout_habit habit, unsigned clients,
                         struct fanout_load *ret_load)
{
    const struct fanout_load_setup setup = {
        .protocol = protocol_of(rig->setup.server),
        .habit = habit,
        .album = rig->setup.album,
        .port = rig->port,
        .stamped = rig->setup.stamped,
        .clients = clients,
        .bytes_per_s = rig->setup.bytes_per_s,
    };
    int error = fanout_load_start(ret_load, &setup);

    /* ustreamer answers a request when it has a picture. */
    if (error == 0)
        error = fanout_feed_order(&rig->feed, WARM_UP);
    if (error == 0)
        error = fanout_load_await(ret_load, JOIN_MS);
    if (error == 0)
        error = fanout_feed_await(&rig->feed, FEED_MS);
    poll(NULL, 0, SETTLE_MS);
    return error;
}

/* simcastd serves a silent client after a delay, so the first pictures pass some by. */
static int serve_all(struct fanout_rig *rig)
{
    int64_t give_up_ns = clock_now_ns() + SERVE_NS;
    struct fanout_turns ignored = {0};

    do {
        int error = fanout_rig_turn(rig, WARM_UP, &ignored);
        if (error < 0)
            return error;
        if (clock_now_ns() > give_up_ns)
            return -ETIMEDOUT;
    } while (atomic_load_explicit(&rig->load.tally->served, memory_order_acquire) <
             rig->setup.clients);
    histogram_init(&rig->load.tally->ages);
    return 0;
}

int fanout_rig_open(struct fanout_rig *rig, const struct fanout_rig_setup *setup)
{
    *rig = (struct fanout_rig){.setup = *setup, .port = glass_port()};
    int error = make_room(setup->clients);

    if (error == 0)
        error = start_fed_server(rig);
    if (error == 0)
        error = start_clients(rig, setup->habit, setup->clients, &rig->load);
    if (error == 0)
        error = serve_all(rig);
    if (error < 0)
        fanout_rig_close(rig);
    return error;
}

void fanout_rig_close(struct fanout_rig *rig)
{
    fanout_load_stop(&rig->load);
    peer_signal(&rig->server, SIGKILL);
    peer_join(&rig->server, 1000);
    fanout_feed_stop(&rig->feed);
}

int fanout_rig_stall(struct fanout_rig *rig, unsigned clients, struct fanout_load *ret_load)
{
    return start_clients(rig, FANOUT_STALLED, clients, ret_load);
}

/* ---- turns --------------------------------------------------------------------------------- */

/* Where the counters stood before a turn. */
struct before {
    int64_t cpu_ns;
    uint64_t bytes;
    uint64_t delivered;
    uint64_t published;
    uint32_t pictures[FANOUT_CLIENTS_MAX];
};

static void look(const struct fanout_rig *rig, struct before *ret_before)
{
    struct fanout_tally *tally = rig->load.tally;

    ret_before->delivered = atomic_load_explicit(&tally->delivered, memory_order_acquire);
    ret_before->cpu_ns = program_cpu_ns(&rig->server);
    ret_before->bytes = atomic_load_explicit(&tally->bytes, memory_order_relaxed);
    ret_before->published = rig->feed.ordered;
    for (unsigned i = 0; i < rig->setup.clients; i++)
        ret_before->pictures[i] = atomic_load_explicit(&tally->pictures[i], memory_order_relaxed);
}

/* Until all have all, or nothing came for a while. */
static void await_delivery(const struct fanout_rig *rig, uint64_t all)
{
    struct fanout_tally *tally = rig->load.tally;
    int64_t moved_ns = clock_now_ns();
    uint64_t delivered = 0;

    while (delivered < all && clock_now_ns() - moved_ns < LATE_NS) {
        uint64_t now = atomic_load_explicit(&tally->delivered, memory_order_acquire);
        if (now != delivered)
            moved_ns = clock_now_ns();
        delivered = now;
        poll(NULL, 0, 1);
    }
}

static void add_pictures(const struct fanout_rig *rig, const struct before *before,
                         struct fanout_turns *turns)
{
    const struct fanout_tally *tally = rig->load.tally;
    int64_t first_ns = 0;
    int64_t newest_ns = 0;

    for (uint64_t seq = before->published + 1; seq <= rig->feed.ordered; seq++) {
        const struct fanout_seen *seen = &tally->seen[seq % FANOUT_SEEN_MAX];
        if (seen->seq != seq)
            continue; /* nobody got it */
        if (first_ns == 0)
            first_ns = seen->published_ns;
        newest_ns = seen->published_ns;
        histogram_record(&turns->last, seen->last_ns - seen->published_ns);
        if (seen->sent_ns > 0)
            histogram_record(&turns->wake, seen->sent_ns - seen->published_ns);
    }
    turns->elapsed_ns += newest_ns - first_ns + NS_PER_S / rig->setup.fps;
}

static uint64_t fewest_since(const struct fanout_rig *rig, const struct before *before)
{
    uint64_t fewest = UINT64_MAX;

    for (unsigned i = 0; i < rig->setup.clients; i++) {
        uint32_t got = atomic_load_explicit(&rig->load.tally->pictures[i], memory_order_relaxed) -
                       before->pictures[i];
        fewest = got < fewest ? got : fewest;
    }
    return fewest;
}

int fanout_rig_turn(struct fanout_rig *rig, unsigned pictures, struct fanout_turns *turns)
{
    struct fanout_tally *tally = rig->load.tally;
    struct before before = {0};
    struct before after = {0};

    look(rig, &before);
    atomic_store_explicit(&tally->counting, true, memory_order_release);
    int error = fanout_feed_order(&rig->feed, pictures);
    if (error == 0)
        error = fanout_feed_await(&rig->feed, FEED_MS + (int)(1000 * pictures / rig->setup.fps));
    if (error < 0)
        return error;
    await_delivery(rig, before.delivered + (uint64_t)pictures * rig->setup.clients);
    atomic_store_explicit(&tally->counting, false, memory_order_release);
    look(rig, &after);
    if (after.bytes > before.bytes && turns->count < FANOUT_TURNS_MAX)
        turns->cpu_ns_per_gb[turns->count++] =
            GB * (double)(after.cpu_ns - before.cpu_ns) / (double)(after.bytes - before.bytes);
    turns->fewest += fewest_since(rig, &before);
    add_pictures(rig, &before, turns);
    return fanout_load_error(&rig->load);
}

uint64_t fanout_rig_memory(const struct fanout_rig *rig)
{
    return program_memory_bytes(&rig->server);
}
