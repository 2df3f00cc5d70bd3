/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kills producers and consumers of one ring at random moments and looks whether any frame was
 * torn and anything was left behind.
 *
 *   chaos_ring [--kills N] [--seed S] [--seconds T] [--json]
 *
 * Everything runs in a PID namespace of its own, so a signal can reach nobody else and no process
 * survives. A supervisor (its process 1) keeps one process per role below; again and again it
 * picks one, kills it (SIGKILL, 0 to 2 ms after its start or any time later) or stops it for a
 * moment, and starts it anew. Consumers check each frame before they release it: its number, its
 * fill pattern, its sum. What they count lies in memory shared with the supervisor.
 *
 * The last line is {"kills","reads","torn","leaked","seed"}; exit code 1 when a frame was torn,
 * something leaked, or nothing was read; 77 when the kernel forbids the namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <getopt.h>
#include <sched.h>

#include "base/clock.h"
#include "shm/handoff.h"
#include "shm/layout.h"
#include "tests/support.h"

#define EXIT_SKIPPED 77
/*
 * Few and small slots: the producer laps its consumers all the time. Each of three mistakes put
 * into shm/ by hand (no check after the pin, a claim that ignores pins, no odd mark) showed torn
 * frames within 300 kills; with 22 slots of 16 KB some runs of 600 kills showed none.
 */
#define WORDS 256 /* of a payload */
#define LEASES_MAX 10
#define HISTORY 1
#define DEADLOCK_NS (20 * NS_PER_S)

struct totals {
    atomic_ullong reads;
    atomic_ullong torn;
    atomic_ullong revoked;
    atomic_ullong published;
};

struct options {
    unsigned long long kills;
    uint64_t seed;
    double seconds;
    bool json;
};

static struct totals *totals;
static char dir[SUPPORT_PATH_BYTES];

/* ---- frames -------------------------------------------------------------------------------- */

/* Word i of frame `id`; word 0 is the id, the last word the sum of all before it. */
static uint64_t word_of(uint64_t id, unsigned i)
{
    return i == 0 ? id : (id + i) * UINT64_C(0x9e3779b97f4a7c15);
}

static void fill(uint64_t *words, uint64_t id)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < WORDS - 1; i++) {
        words[i] = word_of(id, i);
        sum += words[i];
    }
    words[WORDS - 1] = sum;
}

static bool is_whole(const struct ring_view *view)
{
    const uint64_t *words = view->payload;
    uint64_t sum = 0;

    if (view->frame.payload_bytes != WORDS * sizeof(uint64_t))
        return false;
    for (unsigned i = 0; i < WORDS - 1; i++) {
        if (words[i] != word_of(view->frame.frame_id, i))
            return false;
        sum += words[i];
    }
    return words[WORDS - 1] == sum;
}

/* Whole now and at the end, or else the release must say so. */
static void check_and_release(struct ring_consumer *consumer, const struct ring_view *view,
                              bool whole_before)
{
    bool whole = whole_before && is_whole(view);
    int error = ring_release(consumer, view);

    atomic_fetch_add(&totals->reads, 1);
    if (error == -ESTALE)
        atomic_fetch_add(&totals->revoked, 1);
    else if (!whole)
        atomic_fetch_add(&totals->torn, 1);
}

/* ---- roles: each runs until it is killed ---------------------------------------------------- */

static struct ring_producer *producer_opened(void)
{
    struct ring_producer_config config = {
        .dir = dir,
        .stream = "chaos",
        .payload_bytes_max = WORDS * sizeof(uint64_t),
        .leases_max = LEASES_MAX,
        .lease_ns_max = 20 * NS_PER_MS,
        .history = HISTORY,
    };
    struct ring_producer *producer = NULL;

    while (ring_producer_open(&config, &producer) != 0)
        poll(NULL, 0, 1); /* -EADDRINUSE: the one before is about to die */
    return producer;
}

static void publish_one(struct ring_producer *producer, uint64_t id, uint64_t *random)
{
    struct ring_loan loan;
    struct ring_frame frame = {
        .frame_id = id,
        .payload_bytes = WORDS * sizeof(uint64_t),
        .flags = id % 3 == 0 ? RING_FRAME_KEYFRAME : 0,
    };

    if (ring_loan(producer, &loan) != 0)
        abort(); /* whatever consumers do, there is a slot */
    fill(loan.payload, id);
    if (support_random(random) % 32 == 0)
        ring_abandon(producer, &loan);
    else if (ring_publish(producer, &loan, &frame) < 0)
        abort();
    atomic_fetch_add(&totals->published, 1);
}

static void produce(uint64_t random)
{
    struct ring_producer *producer = producer_opened();

    for (uint64_t id = support_random(&random);; id++) {
        publish_one(producer, id, &random);
        if (support_random(&random) % 32 == 0)
            usleep((useconds_t)(support_random(&random) % 300));
    }
}

static struct ring_consumer *consumer_opened(unsigned leases)
{
    struct ring_consumer_config config = {.dir = dir, .stream = "chaos", .leases = leases};
    struct ring_consumer *consumer = NULL;

    if (ring_consumer_open(&config, &consumer) != 0)
        abort();
    ring_consumer_want(consumer, true);
    return consumer;
}

static void consume(enum ring_policy policy)
{
    struct ring_consumer *consumer = consumer_opened(1);
    struct ring_view view;

    for (;;) {
        ring_consumer_wait(consumer, 100);
        if (ring_acquire(consumer, policy, &view) == 0)
            check_and_release(consumer, &view, is_whole(&view));
    }
}

static void consume_latest(uint64_t random)
{
    (void)random;
    consume(RING_LATEST);
}

static void consume_next(uint64_t random)
{
    (void)random;
    consume(RING_NEXT);
}

/* Keeps three views, some for longer than a lease may be, and lets them go in any order. */
static void hold(uint64_t random)
{
    struct ring_consumer *consumer = consumer_opened(3);
    struct ring_view views[3];
    bool held[3] = {false};
    bool whole[3] = {false};

    for (;;) {
        unsigned i = support_random(&random) % 3;
        if (held[i])
            check_and_release(consumer, &views[i], whole[i]);
        held[i] = ring_acquire(consumer, RING_LATEST, &views[i]) == 0;
        whole[i] = held[i] && is_whole(&views[i]);
        ring_consumer_wait(consumer, 1);
        if (support_random(&random) % 16 == 0)
            usleep((useconds_t)(support_random(&random) % 40000));
    }
}

/* Attaches by hand and writes nonsense over its lease page. */
static void scribble(uint64_t random)
{
    struct sockaddr_un address;
    struct handoff_hello hello = {HANDOFF_MAGIC, RING_LAYOUT_VERSION, RING_KIND_FRAMES, 2};
    struct handoff_welcome welcome;
    int fds[HANDOFF_FDS] = {0};
    int fd = -1;

    handoff_address(dir, "chaos", RING_KIND_FRAMES, &address);
    while (handoff_connect(&address, &fd) != 0 ||
           handoff_send(fd, &hello, sizeof(hello), NULL, 0) != 0)
        poll(NULL, 0, 1);
    struct pollfd answer = {.fd = fd, .events = POLLIN};
    poll(&answer, 1, 1000);
    if (handoff_receive(fd, &welcome, sizeof(welcome), fds) != 0 || welcome.status != 0)
        _exit(0);
    _Atomic uint64_t *words =
        mmap(NULL, RING_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fds[HANDOFF_FD_LEASES], 0);
    if (words == MAP_FAILED)
        _exit(0);
    for (;;) {
        uint64_t value = support_random(&random);
        unsigned place = support_random(&random) % (RING_PAGE_BYTES / sizeof(uint64_t));
        atomic_store(&words[value % 3 ? place % 16 : place], value >> (value % 64));
    }
}

/* A consumer whose children live a little longer than their next sibling's birth. */
static void fork_often(uint64_t random)
{
    struct ring_consumer *consumer = consumer_opened(1);
    struct ring_view view;

    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        ring_consumer_wait(consumer, 20);
        if (ring_acquire(consumer, RING_LATEST, &view) != 0)
            continue;
        bool whole = is_whole(&view);
        if (support_random(&random) % 8 == 0 && fork() == 0) {
            if (ring_release(consumer, &view) != -ESTALE)
                atomic_fetch_add(&totals->torn, 1);
            usleep((useconds_t)(support_random(&random) % 3000));
            ring_consumer_close(consumer);
            _exit(0);
        }
        check_and_release(consumer, &view, whole);
    }
}

/* Comes, takes one frame, goes: the door at work. */
static void come_and_go(uint64_t random)
{
    struct ring_view view;

    for (;;) {
        struct ring_consumer *consumer = consumer_opened(1 + support_random(&random) % 2);
        ring_consumer_wait(consumer, 5);
        if (ring_acquire(consumer, RING_LATEST, &view) == 0)
            check_and_release(consumer, &view, is_whole(&view));
        ring_consumer_close(consumer);
    }
}

static void (*const roles[])(uint64_t random) = {
    produce, consume_latest, consume_next, hold, scribble, fork_often, come_and_go, consume_latest,
};
#define ROLES (sizeof(roles) / sizeof(roles[0]))

/* ---- the supervisor, process 1 of the namespace ---------------------------------------------- */

/* Signals only a process that this supervisor started and has not reaped. */
static void signal_child(pid_t child, int number)
{
    if (child > 1)
        kill(child, number);
}

static pid_t start(unsigned role, uint64_t seed)
{
    pid_t child = fork();

    if (child == 0) {
        roles[role](seed | 1);
        _exit(1);
    }
    return child;
}

static void reap(pid_t child)
{
    if (child > 1)
        waitpid(child, NULL, 0);
    while (waitpid(-1, NULL, WNOHANG) > 0) /* orphans of fork_often come to us */
        continue;
}

static unsigned long shmem_kb(void)
{
    char line[128];
    unsigned long found = 0;
    FILE *file = fopen("/proc/meminfo", "re");

    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "Shmem:", 6) == 0)
            found = strtoul(line + 6, NULL, 10);
    }
    if (file)
        fclose(file);
    return found;
}

/* One kill: of a random role, mostly shortly after its start, sometimes while it is stopped. */
static void strike(pid_t children[ROLES], uint64_t *random)
{
    unsigned role = support_random(random) % (2 * ROLES) < 5 ? 0 : support_random(random) % ROLES;

    if (support_random(random) % 8 == 0) {
        pid_t victim = children[support_random(random) % ROLES];
        signal_child(victim, SIGSTOP);
        usleep((useconds_t)(support_random(random) % 30000));
        signal_child(victim, SIGCONT);
    }
    signal_child(children[role], SIGKILL);
    reap(children[role]);
    children[role] = start(role, support_random(random));
    if (support_random(random) % 4 != 0)
        usleep((useconds_t)(support_random(random) % 2000));
    else
        usleep((useconds_t)(support_random(random) % 20000));
}

static unsigned leak(bool found, const char *what)
{
    if (found)
        fprintf(stderr, "chaos_ring: left behind: %s\n", what);
    return found;
}

static bool maps_a_ring(void)
{
    char line[512];
    bool found = false;
    FILE *file = fopen("/proc/self/maps", "re");

    while (file && !found && fgets(line, sizeof(line), file))
        found = strstr(line, "memfd:simcast") != NULL;
    if (file)
        fclose(file);
    return found;
}

/*
 * A socket may lie there when its producer was killed; the next one replaces it and removes it.
 * All others of the namespace are dead, so memory is held by this process, or by the kernel alone.
 * The latter shows only in Shmem, which is the whole machine's: others may use 64 MB more of it
 * meanwhile, and a leak of each 50th ring is seen.
 */
static unsigned count_leaks(unsigned fds_before, unsigned long shmem_before_kb,
                            unsigned long long kills)
{
    unsigned long ring_kb = (LEASES_MAX + 2 + HISTORY) * (WORDS * sizeof(uint64_t) + 4096) / 1024;
    unsigned long allowed_kb = shmem_before_kb + 64 * 1024 + ring_kb * kills / 50;

    ring_producer_close(producer_opened());
    for (unsigned i = 0; i < 300 && shmem_kb() > allowed_kb; i++)
        poll(NULL, 0, 10); /* the kernel frees a killed process's memory in a while */
    return leak(support_count_entries(dir) > 0, "a file in the ring's directory") +
           leak(support_count_fds() > fds_before, "a descriptor") +
           leak(maps_a_ring(), "a mapping") + leak(shmem_kb() > allowed_kb, "shared memory");
}

/* After all that, the ring must still work for a consumer that has not been touched. */
static bool still_works(void)
{
    uint64_t random = 1;
    struct ring_producer *producer = producer_opened();
    struct ring_consumer *consumer = consumer_opened(1);
    struct ring_view view;
    int64_t give_up_ns = clock_now_ns() + DEADLOCK_NS;
    int error = -EAGAIN;

    for (uint64_t id = 1; error != 0 && clock_now_ns() < give_up_ns; id++) {
        publish_one(producer, id, &random);
        error = ring_acquire(consumer, RING_LATEST, &view);
        if (error == 0)
            check_and_release(consumer, &view, is_whole(&view));
        else
            ring_consumer_wait(consumer, 10);
    }
    ring_consumer_close(consumer);
    ring_producer_close(producer);
    return error == 0;
}

static int supervise(const struct options *options)
{
    pid_t children[ROLES] = {0};
    uint64_t random = options->seed;
    unsigned fds_before = support_count_fds();
    unsigned long shmem_before_kb = shmem_kb();
    int64_t end_ns = clock_now_ns() + (int64_t)(options->seconds * 1e9);
    unsigned long long kills = 0;

    for (unsigned i = 0; i < ROLES; i++)
        children[i] = start(i, support_random(&random));
    for (; kills < options->kills && (options->seconds <= 0 || clock_now_ns() < end_ns); kills++)
        strike(children, &random);
    for (unsigned i = 0; i < ROLES; i++)
        signal_child(children[i], SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    bool works = still_works();
    unsigned leaked = count_leaks(fds_before, shmem_before_kb, kills);
    unsigned long long reads = atomic_load(&totals->reads);
    unsigned long long torn = atomic_load(&totals->torn);
    if (!options->json)
        printf("%llu frames published, %llu releases told of a revoked pin\n",
               (unsigned long long)atomic_load(&totals->published),
               (unsigned long long)atomic_load(&totals->revoked));
    if (!works)
        printf("the ring serves nobody any more\n");
    printf("{\"kills\": %llu, \"reads\": %llu, \"torn\": %llu, \"leaked\": %u, \"seed\": %llu}\n",
           kills, reads, torn, leaked, (unsigned long long)options->seed);
    return works && torn == 0 && leaked == 0 && reads > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- outside --------------------------------------------------------------------------------- */

static int usage(const char *why)
{
    fprintf(stderr,
            "chaos_ring: %s\nUsage: chaos_ring [--kills N] [--seed S] [--seconds T] [--json]\n"
            "  --kills N     processes to kill (default 300)\n"
            "  --seed S      repeats the random choices of a run (default: the time)\n"
            "  --seconds T   ends after T seconds at the latest\n"
            "  --json        no line of counts before the line of JSON\n",
            why);
    return 2;
}

static bool parse(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"kills", required_argument, NULL, 'k'},
        {"seed", required_argument, NULL, 's'},
        {"seconds", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {0},
    };
    char *end = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == '?')
            return false;
        if (option == 'j')
            options->json = true;
        else if (option == 'k')
            options->kills = strtoull(optarg, &end, 0);
        else if (option == 's')
            options->seed = strtoull(optarg, &end, 0);
        else
            options->seconds = strtod(optarg, &end);
        if (option != 'j' && (end == optarg || *end != '\0'))
            return false;
    }
    return optind == argc;
}

__attribute__((format(printf, 2, 0))) static bool tell_kernel(const char *path, const char *format,
                                                              unsigned id)
{
    FILE *file = fopen(path, "we");

    if (!file)
        return false;
    fprintf(file, format, id);
    return fclose(file) == 0;
}

/* As root a PID namespace alone; else with a user namespace, whose root we are. */
static bool enter_namespace(void)
{
    unsigned user = getuid();
    unsigned group = getgid();

    if (unshare(CLONE_NEWPID) == 0)
        return true;
    return unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0 &&
           tell_kernel("/proc/self/setgroups", "deny", 0) &&
           tell_kernel("/proc/self/uid_map", "0 %u 1", user) &&
           tell_kernel("/proc/self/gid_map", "0 %u 1", group);
}

int main(int argc, char **argv)
{
    struct options options = {.kills = 300, .seed = (uint64_t)clock_wall_ns()};
    int status = 0;

    if (!parse(argc, argv, &options))
        return usage("wrong option or value");
    options.seed |= 1;
    if (!enter_namespace()) {
        printf("chaos_ring: the kernel grants no PID namespace (%s); run it as root\n",
               strerror(errno));
        return EXIT_SKIPPED;
    }
    printf("chaos_ring: seed %llu\n", (unsigned long long)options.seed);
    fflush(stdout);
    totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (totals == MAP_FAILED)
        return EXIT_FAILURE;
    support_dir_make(dir);
    pid_t first = fork(); /* process 1 there; with it ends everything */
    if (first == 0) {
        int code = supervise(&options);
        fflush(stdout);
        _exit(code);
    }
    if (first > 1)
        waitpid(first, &status, 0);
    rmdir(dir);
    return first > 1 && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
