/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus over a real nats-server, started here on a free port of 43000 to 43099, and over local
 * sockets between threads and processes. What every bus promises is tested on both kinds.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <zmq.h>

#include "base/clock.h"
#include "bus/bus.h"
#include "tests/support.h"

#define PORT_FIRST 43000
#define PORT_LAST 43099
#define PATIENCE_S 10
#define PATIENCE_MS 10000

static char dir[SUPPORT_PATH_BYTES];
static char url[256];
static int port;
static pid_t server_pid; /* nats-server, or a process that serves the local bus */

static int free_port(void)
{
    for (int candidate = PORT_FIRST; candidate <= PORT_LAST; candidate++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int on = 1;
        struct sockaddr_in address = {
            .sin_family = AF_INET,
            .sin_port = htons((uint16_t)candidate),
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };

        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        int result = bind(fd, (struct sockaddr *)&address, sizeof(address));
        close(fd);
        if (result == 0)
            return candidate;
    }
    ck_abort_msg("no free port between %d and %d", PORT_FIRST, PORT_LAST);
}

static pid_t fork_tied(void)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        signal(SIGTERM, SIG_DFL); /* Check's handler would end the whole group */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    return pid;
}

static void start_nats_server(void)
{
    char text[16];

    snprintf(text, sizeof(text), "%d", port);
    server_pid = fork_tied();
    if (server_pid == 0) {
        int null_fd = open("/dev/null", O_RDWR);
        dup2(null_fd, STDOUT_FILENO);
        dup2(null_fd, STDERR_FILENO);
        execlp("nats-server", "nats-server", "-a", "127.0.0.1", "-p", text, NULL);
        _exit(127);
    }
}

static void stop_server(int signal_number)
{
    int status;

    if (server_pid <= 0)
        return;
    kill(server_pid, signal_number);
    ck_assert_int_eq(waitpid(server_pid, &status, 0), server_pid);
    ck_assert_msg(!WIFEXITED(status) || WEXITSTATUS(status) != 127,
                  "nats-server does not start: install the package nats-server");
    server_pid = 0;
}

/* Removes what a killed server left behind. */
static void remove_dir(void)
{
    static const char *const left[] = {"bus.in", "bus.out", "bus.stop.in", "bus.stop.out",
                                       "bus.lock"};
    char path[256];

    for (unsigned i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, left[i]);
        unlink(path);
    }
    ck_assert_int_eq(rmdir(dir), 0);
}

static struct bus *open_bus(bool serve, const char *pattern, const char *stop_pattern)
{
    struct bus *bus = NULL;
    struct bus_config config = {
        .url = url,
        .name = "test",
        .serve = serve,
        .subscriptions = {pattern},
        .stop_subscription = stop_pattern,
    };

    ck_assert_int_eq(bus_open(&config, &bus), 0);
    return bus;
}

static bool connected(const struct bus *bus)
{
    return WAIT_UNTIL(bus_state(bus) == BUS_CONNECTED, PATIENCE_S);
}

static int publish(struct bus *bus, enum bus_lane lane, const char *subject, const char *payload)
{
    return bus_publish(bus, lane,
                       &(struct bus_message){
                           .subject = subject,
                           .payload = payload,
                           .payload_bytes = strlen(payload),
                       });
}

/* Waits for a message, through the descriptor that a loop would wait on. */
static bool take(struct bus *bus, struct bus_message *ret_message)
{
    struct pollfd fd = {.fd = bus_fd(bus), .events = POLLIN};

    return poll(&fd, 1, PATIENCE_MS) == 1 && bus_take(bus, ret_message) == 0;
}

static void expect_message(struct bus *bus, const char *subject, const char *payload)
{
    struct bus_message message;

    ck_assert(take(bus, &message));
    ck_assert_str_eq(message.subject, subject);
    ck_assert_uint_eq(message.payload_bytes, strlen(payload));
    ck_assert_str_eq(message.payload, payload);
}

static struct bus_counters counters(const struct bus *bus)
{
    struct bus_counters now;

    bus_counters(bus, &now);
    return now;
}

/* The two kinds, as loop index of the tests that run on both. */
enum kind { KIND_NATS, KIND_LOCAL, KIND_COUNT };

static void make_url(int kind)
{
    support_dir_make(dir);
    port = free_port();
    if (kind == KIND_NATS)
        snprintf(url, sizeof(url), "nats://127.0.0.1:%d", port);
    else
        snprintf(url, sizeof(url), "ipc://%s", dir);
}

/* Two connected parties. Over NATS a server is started; locally the first one serves. */
static void open_pair(int kind, const char *pattern, const char *stop_pattern, struct bus *pair[2])
{
    make_url(kind);
    if (kind == KIND_NATS)
        start_nats_server();
    pair[0] = open_bus(true, pattern, stop_pattern);
    pair[1] = open_bus(false, pattern, stop_pattern);
    ck_assert(connected(pair[0]));
    ck_assert(connected(pair[1]));
}

static void close_pair(struct bus *pair[2])
{
    bus_close(pair[1]);
    bus_close(pair[0]);
    stop_server(SIGTERM);
    ck_assert_uint_eq(support_count_entries(dir), 0);
    rmdir(dir);
}

START_TEST(matches_subjects_as_nats_does)
{
    static const struct {
        const char *pattern;
        const char *subject;
        bool matches;
    } table[] = {
        {"a.b", "a.b", true}, {"a.b", "a.bc", false}, {"a.b", "a", false},
        {"a", "a.b", false},  {"a.*", "a.b", true},   {"a.*", "a.b.c", false},
        {"a.*", "a", false},  {"*.b", "a.b", true},   {"a.*.c", "a.b.c", true},
        {"a.>", "a.b", true}, {"a.>", "a.b.c", true}, {"a.>", "a", false},
        {">", "a", true},     {">", "a.b", true},     {"*", "a", true},
        {"*", "a.b", false},  {"a.>", "ab.c", false}, {"a.*", "a.", false},
        {"a*", "ab", false},  {"", "a", false},
    };

    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        ck_assert_msg(bus_subject_matches(table[i].pattern, table[i].subject) == table[i].matches,
                      "\"%s\" on \"%s\"", table[i].pattern, table[i].subject);
}
END_TEST

START_TEST(shows_urls_without_credentials)
{
    static const char *const table[][2] = {
        {"nats://h:1", "nats://h:1"},
        {"nats://u:p@h:1", "nats://h:1"},
        {"nats://u:p@ss@h:1", "nats://h:1"},
        {"nats://token@h", "nats://h"},
        {"nats://u:p@a:1,nats://b:2,nats://x:y@c", "nats://a:1,nats://b:2,nats://c"},
        {"nats:u:p@h", "h"},
        {"ipc:///dir", "ipc:///dir"},
        {"", ""},
    };
    char text[64];
    char cut[8];

    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        bus_url_show(table[i][0], text, sizeof(text));
        ck_assert_str_eq(text, table[i][1]);
    }
    bus_url_show("nats://user:secret@host", cut, sizeof(cut));
    ck_assert_str_eq(cut, "nats://");
}
END_TEST

START_TEST(refuses_what_is_no_url_and_no_pattern)
{
    static const char *const bad_urls[] = {
        "",           "http://x",       "nats:4222",     "ipc://",    "/tmp",
        "nats://",    "nats:///",       "nats://h:",     "nats://:1", "nats://h:x",
        "nats://h:0", "nats://h:65536", "nats://u:p@",   "tls://",    "nats://h:99999999999",
        "nats://a,",  "nats://a,,b",    "nats://[::1]:x"};
    static const char *const good_urls[] = {"nats://127.0.0.1", "nats://127.0.0.1:1/",
                                            "tls://u:p@127.0.0.1:1", "nats://127.0.0.1:1,[::1]",
                                            "nats://[::1]:65535"};
    static const char *const bad_patterns[] = {"",     ".a",   "a.",    "a..b", "a b",
                                               "a\nb", "a.b>", "a.>.b", "a*"};
    struct bus *bus = NULL;

    for (unsigned i = 0; i < sizeof(bad_urls) / sizeof(bad_urls[0]); i++)
        ck_assert_int_eq(bus_open(&(struct bus_config){.url = bad_urls[i]}, &bus), -EINVAL);
    for (unsigned i = 0; i < sizeof(good_urls) / sizeof(good_urls[0]); i++) {
        ck_assert_int_eq(bus_open(&(struct bus_config){.url = good_urls[i]}, &bus), 0);
        bus_close(bus);
        bus = NULL;
    }
    for (unsigned i = 0; i < sizeof(bad_patterns) / sizeof(bad_patterns[0]); i++) {
        struct bus_config config = {.url = "nats://127.0.0.1:1",
                                    .subscriptions = {bad_patterns[i]}};
        ck_assert_int_eq(bus_open(&config, &bus), -EINVAL);
    }
    ck_assert_ptr_null(bus);
    bus_close(NULL);
}
END_TEST

START_TEST(refuses_forged_subjects_and_oversized_payloads)
{
    static const char *const bad[] = {"", "a b", "a\r\nPUB x 0", "a.*", "a.>", "a..b", "\ngreet.x"};
    char long_subject[BUS_SUBJECT_BYTES_MAX + 2];
    struct bus *pair[2];

    memset(long_subject, 'a', sizeof(long_subject));
    long_subject[sizeof(long_subject) - 1] = '\0';
    open_pair(_i, "big.>", NULL, pair);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_int_eq(publish(pair[0], BUS_LANE_NORMAL, bad[i], "x"), -EINVAL);
    ck_assert_int_eq(publish(pair[0], BUS_LANE_NORMAL, long_subject, "x"), -EINVAL);

    char *payload = malloc(BUS_PAYLOAD_BYTES_MAX + 1);
    struct bus_message message = {.subject = "big.one", .payload = payload};
    memset(payload, 'x', BUS_PAYLOAD_BYTES_MAX + 1);
    message.payload_bytes = BUS_PAYLOAD_BYTES_MAX + 1;
    ck_assert_int_eq(bus_publish(pair[0], BUS_LANE_NORMAL, &message), -EMSGSIZE);
    message.payload_bytes = BUS_STOP_PAYLOAD_BYTES_MAX + 1;
    ck_assert_int_eq(bus_publish(pair[0], BUS_LANE_STOP, &message), -EMSGSIZE);
    message.payload_bytes = BUS_PAYLOAD_BYTES_MAX;
    ck_assert_int_eq(bus_publish(pair[0], BUS_LANE_NORMAL, &message), 0);
    ck_assert(take(pair[1], &message));
    ck_assert_uint_eq(message.payload_bytes, BUS_PAYLOAD_BYTES_MAX);
    ck_assert_mem_eq(message.payload, payload, BUS_PAYLOAD_BYTES_MAX);
    free(payload);
    close_pair(pair);
}
END_TEST

START_TEST(carries_messages_both_ways_on_both_lanes_in_order)
{
    struct bus *pair[2];
    char text[16];

    open_pair(_i, "t.>", NULL, pair);
    for (int lane = 0; lane < BUS_LANE_COUNT; lane++) {
        for (int from = 0; from < 2; from++) {
            for (int i = 0; i < 50; i++) {
                snprintf(text, sizeof(text), "%d", i);
                ck_assert_int_eq(publish(pair[from], (enum bus_lane)lane, "t.x", text), 0);
            }
            for (int i = 0; i < 50; i++) {
                snprintf(text, sizeof(text), "%d", i);
                expect_message(pair[1 - from], "t.x", text);
            }
        }
    }
    ck_assert_int_eq(publish(pair[0], BUS_LANE_NORMAL, "t.empty", ""), 0);
    expect_message(pair[1], "t.empty", "");
    ck_assert(WAIT_UNTIL(counters(pair[0]).published == 101, PATIENCE_S));
    ck_assert_uint_eq(counters(pair[0]).received, 100);
    ck_assert_uint_eq(counters(pair[0]).dropped_out + counters(pair[0]).dropped_in, 0);
    close_pair(pair);
}
END_TEST

START_TEST(never_hears_itself)
{
    struct bus *pair[2];
    struct bus_message message;
    const char *stop_pattern = _i >= KIND_COUNT ? "t.stop" : NULL;

    open_pair(_i % KIND_COUNT, "t.>", stop_pattern, pair);
    for (int self = 0; self < 2; self++) {
        ck_assert_int_eq(publish(pair[self], BUS_LANE_NORMAL, "t.own", "1"), 0);
        ck_assert_int_eq(publish(pair[self], BUS_LANE_STOP, "t.own", "2"), 0);
        ck_assert_int_eq(publish(pair[self], BUS_LANE_NORMAL, "t.stop", "3"), 0);
        ck_assert_int_eq(publish(pair[self], BUS_LANE_STOP, "t.stop", "4"), 0);
        for (int i = 0; i < 4; i++)
            ck_assert(take(pair[1 - self], &message));
        /* An echo would have been on its way before the answers to these. */
        ck_assert_int_eq(publish(pair[1 - self], BUS_LANE_NORMAL, "t.other", "n"), 0);
        ck_assert_int_eq(publish(pair[1 - self], BUS_LANE_STOP, "t.other", "s"), 0);
        for (int i = 0; i < 2; i++) {
            ck_assert(take(pair[self], &message));
            ck_assert_str_eq(message.subject, "t.other");
        }
        ck_assert_int_eq(bus_take(pair[self], &message), -EAGAIN);
    }
    close_pair(pair);
}
END_TEST

START_TEST(takes_stop_before_what_came_earlier_and_only_once)
{
    struct bus *pair[2];
    struct bus_message message;

    open_pair(_i, "command.>", "command.estop", pair);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(publish(pair[0], BUS_LANE_NORMAL, "command.motion", "{}"), 0);
    ck_assert(WAIT_UNTIL(counters(pair[1]).received == 100, PATIENCE_S));
    ck_assert_int_eq(publish(pair[0], BUS_LANE_STOP, "command.estop", "{}"), 0);
    ck_assert(WAIT_UNTIL(counters(pair[1]).received == 101, PATIENCE_S));
    expect_message(pair[1], "command.estop", "{}");
    for (int i = 0; i < 100; i++)
        expect_message(pair[1], "command.motion", "{}");
    ck_assert_int_eq(bus_take(pair[1], &message), -EAGAIN);
    close_pair(pair);
}
END_TEST

START_TEST(a_full_mailbox_drops_the_flood_but_not_the_stop)
{
    struct bus *pair[2];
    char payload[32 << 10];

    memset(payload, 'x', sizeof(payload) - 1);
    payload[sizeof(payload) - 1] = '\0';
    open_pair(_i, "t.>", "t.stop", pair);
    ck_assert(WAIT_UNTIL(
        (publish(pair[0], BUS_LANE_NORMAL, "t.flood", payload), counters(pair[1]).dropped_in > 0),
        60));
    ck_assert_uint_eq(counters(pair[1]).slow_episodes, 1); /* however many were lost */
    ck_assert_int_eq(publish(pair[0], BUS_LANE_STOP, "t.stop", "{}"), 0);
    struct bus_message message;
    ck_assert(WAIT_UNTIL(bus_take(pair[1], &message) == 0 && strcmp(message.subject, "t.stop") == 0,
                         PATIENCE_S));
    close_pair(pair);
}
END_TEST

START_TEST(waits_for_a_server_that_comes_late)
{
    make_url(_i);
    int64_t begin_ns = clock_now_ns();
    struct bus *client = open_bus(false, "t.>", NULL);
    ck_assert_int_lt(clock_now_ns() - begin_ns, 200 * NS_PER_MS);
    ck_assert_int_eq(publish(client, BUS_LANE_NORMAL, "t.early", "old"), -EPIPE);
    ck_assert_int_eq(publish(client, BUS_LANE_STOP, "t.early", "old"), -EPIPE);
    ck_assert_uint_eq(counters(client).dropped_out, 2);
    ck_assert_int_eq(bus_state(client), BUS_CONNECTING);

    if (_i == KIND_NATS)
        start_nats_server();
    struct bus *other = open_bus(true, "t.>", NULL);
    ck_assert(connected(client));
    ck_assert(connected(other));
    ck_assert_int_eq(publish(client, BUS_LANE_NORMAL, "t.late", "new"), 0);
    expect_message(other, "t.late", "new");
    ck_assert_uint_eq(counters(client).reconnects, 0);
    close_pair((struct bus *[2]){other, client});
}
END_TEST

START_TEST(closes_at_once_when_no_server_is_there)
{
    make_url(_i);
    struct bus *client = open_bus(false, "t.>", NULL);
    int64_t begin_ns = clock_now_ns();
    bus_close(client);
    ck_assert_int_lt(clock_now_ns() - begin_ns, 1 * NS_PER_S);
    ck_assert_uint_eq(support_count_entries(dir), 0);
    rmdir(dir);
}
END_TEST

START_TEST(sends_what_was_published_just_before_the_close)
{
    struct bus *pair[2];
    char text[16];

    open_pair(_i, "t.>", NULL, pair);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "%d", i);
        ck_assert_int_eq(publish(pair[1], BUS_LANE_NORMAL, "t.x", text), 0);
    }
    ck_assert_int_eq(publish(pair[1], BUS_LANE_STOP, "t.x", "stop"), 0);
    bus_close(pair[1]);
    ck_assert(WAIT_UNTIL(counters(pair[0]).received == 101, PATIENCE_S));
    pair[1] = NULL;
    close_pair(pair);
}
END_TEST

/* What `test_bus --serve URL` is: a process that serves the local bus until it is killed. */
static int serve_until_killed(const char *serve_url)
{
    struct bus *bus = NULL;
    struct bus_config config = {.url = serve_url, .serve = true};

    if (bus_open(&config, &bus) < 0)
        return EXIT_FAILURE;
    while (true)
        pause();
}

/* Executes this program anew, as threads do not survive a fork. */
static void start_local_server(void)
{
    server_pid = fork_tied();
    if (server_pid == 0) {
        execl("/proc/self/exe", "test_bus", "--serve", url, NULL);
        _exit(126);
    }
}

static void start_server(int kind)
{
    if (kind == KIND_NATS)
        start_nats_server();
    else
        start_local_server();
}

static int publish_of_epoch(struct bus *bus, uint64_t epoch, const char *payload)
{
    return bus_publish(bus, BUS_LANE_NORMAL,
                       &(struct bus_message){
                           .subject = "t.motion",
                           .payload = payload,
                           .payload_bytes = strlen(payload),
                           .epoch = epoch,
                       });
}

START_TEST(carries_the_epoch_and_the_time_beside_the_payload)
{
    struct bus *pair[2];
    struct bus_message message;

    open_pair(_i, "t.>", NULL, pair);
    int64_t before_ns = clock_now_ns();
    ck_assert_int_eq(publish_of_epoch(pair[0], UINT64_MAX - 1, "as it is"), 0);
    ck_assert(take(pair[1], &message));
    ck_assert_str_eq(message.payload, "as it is");
    ck_assert_uint_eq(message.epoch, UINT64_MAX - 1);
    ck_assert_int_ge(message.sent_ns, before_ns);
    ck_assert_int_le(message.sent_ns, clock_now_ns());
    ck_assert_int_eq(publish(pair[0], BUS_LANE_NORMAL, "t.plain", "of none"), 0);
    ck_assert(take(pair[1], &message));
    ck_assert_uint_eq(message.epoch, 0);
    close_pair(pair);
}
END_TEST

/* Who waits to be sent while its epoch ends is not sent; what is of no epoch is. */
START_TEST(drops_what_waits_when_its_epoch_ends)
{
    struct bus *pair[2];
    struct bus_message message;

    open_pair(_i, "t.>", NULL, pair);
    bus_end_epochs(pair[0], 8);
    ck_assert_int_eq(publish_of_epoch(pair[0], 7, "of the last one"), 0);
    ck_assert_int_eq(
        bus_publish(
            pair[0], BUS_LANE_NORMAL,
            &(struct bus_message){.subject = "t.hold", .payload = "", .epoch = 7, .lasts = true}),
        0);
    ck_assert_int_eq(publish(pair[0], BUS_LANE_NORMAL, "t.plain", "of none"), 0);
    ck_assert_int_eq(publish_of_epoch(pair[0], 8, "of this one"), 0);
    expect_message(pair[1], "t.hold", "");
    expect_message(pair[1], "t.plain", "of none");
    ck_assert(take(pair[1], &message));
    ck_assert_str_eq(message.payload, "of this one");
    ck_assert_uint_eq(counters(pair[0]).dropped_out, 1);
    close_pair(pair);
}
END_TEST

/*
 * Publishes all the while; each message names the server's life in which it was published. What
 * is received after a restart must be of the new life.
 */
START_TEST(replays_nothing_over_killed_servers)
{
    struct bus_message message;
    char life_text[16];

    make_url(_i);
    start_server(_i);
    struct bus *sender = open_bus(false, NULL, NULL);
    struct bus *receiver = open_bus(false, "t.>", NULL);
    for (int life = 0; life < 6; life++) {
        ck_assert(connected(sender));
        ck_assert(connected(receiver));
        ck_assert_uint_eq(counters(receiver).reconnects, (uint64_t)life);
        snprintf(life_text, sizeof(life_text), "%d", life);
        ck_assert(WAIT_UNTIL((publish(sender, BUS_LANE_NORMAL, "t.life", life_text),
                              bus_take(receiver, &message) == 0),
                             PATIENCE_S));
        ck_assert_str_eq(message.payload, life_text);
        for (int i = 0; i < 100; i++)
            publish(sender, i % 8 ? BUS_LANE_NORMAL : BUS_LANE_STOP, "t.life", life_text);
        stop_server(SIGKILL);
        ck_assert(WAIT_UNTIL(
            (publish(sender, BUS_LANE_NORMAL, "t.life", life_text),
             bus_state(sender) == BUS_CONNECTING && bus_state(receiver) == BUS_CONNECTING),
            PATIENCE_S));
        for (int lane = 0; lane < BUS_LANE_COUNT; lane++)
            ck_assert(WAIT_UNTIL(publish(sender, (enum bus_lane)lane, "t.life", "old") == -EPIPE,
                                 PATIENCE_S));
        while (bus_take(receiver, &message) == 0)
            ck_assert_str_eq(message.payload, life_text);
        start_server(_i);
    }
    ck_assert_uint_gt(counters(sender).dropped_out, 0);
    bus_close(sender);
    bus_close(receiver);
    stop_server(SIGKILL);
    remove_dir();
}
END_TEST

START_TEST(notices_a_server_that_hangs)
{
    make_url(_i);
    start_server(_i);
    struct bus *client = open_bus(false, NULL, NULL);
    ck_assert(connected(client));
    kill(server_pid, SIGSTOP);
    ck_assert(WAIT_UNTIL(bus_state(client) == BUS_CONNECTING, PATIENCE_S));
    ck_assert(WAIT_UNTIL(publish(client, BUS_LANE_NORMAL, "t.x", "x") == -EPIPE, PATIENCE_S));
    kill(server_pid, SIGCONT);
    ck_assert(connected(client));
    bus_close(client);
    stop_server(SIGKILL);
    remove_dir();
}
END_TEST

START_TEST(never_logs_a_password)
{
    char log[4096] = "";
    FILE *file = tmpfile();
    struct bus *bus = NULL;

    ck_assert_ptr_nonnull(file);
    make_url(KIND_NATS);
    snprintf(url, sizeof(url), "nats://operator:s3cr3t@127.0.0.1:%d", port);
    int kept_fd = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    ck_assert_int_eq(bus_open(&(struct bus_config){.url = url}, &bus), 0);
    bool logged = WAIT_UNTIL(pread(fileno(file), log, sizeof(log) - 1, 0) > 0, PATIENCE_S);
    start_nats_server();
    bool up = connected(bus);
    bus_close(bus);
    dup2(kept_fd, STDERR_FILENO);
    close(kept_fd);
    ck_assert(logged && up);
    ck_assert_int_gt(pread(fileno(file), log, sizeof(log) - 1, 0), 0);
    ck_assert_ptr_nonnull(strstr(log, "nats://127.0.0.1:"));
    ck_assert_ptr_null(strstr(log, "s3cr3t"));
    ck_assert_ptr_null(strstr(log, "operator"));
    fclose(file);
    stop_server(SIGTERM);
    rmdir(dir);
}
END_TEST

START_TEST(lets_only_one_living_process_serve)
{
    struct bus *second = NULL;
    struct bus_config config = {.serve = true};

    make_url(KIND_LOCAL);
    config.url = url;
    start_local_server();
    struct bus *client = open_bus(false, NULL, NULL);
    ck_assert(connected(client));
    ck_assert_int_eq(bus_open(&config, &second), -EADDRINUSE);
    ck_assert_ptr_null(second);
    ck_assert_int_eq(bus_state(client), BUS_CONNECTED);

    stop_server(SIGKILL);
    ck_assert_uint_gt(support_count_entries(dir), 0); /* what a killed server leaves behind */
    ck_assert_int_eq(bus_open(&config, &second), 0);
    ck_assert(WAIT_UNTIL(bus_state(client) == BUS_CONNECTING || counters(client).reconnects == 1,
                         PATIENCE_S));
    ck_assert(connected(client));
    close_pair((struct bus *[2]){second, client});
}
END_TEST

START_TEST(says_why_it_cannot_serve_there)
{
    struct bus *bus = NULL;
    struct bus_config config = {.url = "ipc:///nonexistent/simcast", .serve = true};

    ck_assert_int_eq(bus_open(&config, &bus), -ENOENT);
    make_url(KIND_LOCAL);
    snprintf(url, sizeof(url), "ipc://%s/%080d", dir, 0);
    ck_assert_int_eq(mkdir(url + strlen("ipc://"), 0700), 0);
    config.url = url;
    ck_assert_int_eq(bus_open(&config, &bus), -ENAMETOOLONG);
    config.serve = false;
    ck_assert_int_eq(bus_open(&config, &bus), -ENAMETOOLONG);
    ck_assert_uint_eq(support_count_entries(url + strlen("ipc://")), 0);
    rmdir(url + strlen("ipc://"));
    rmdir(dir);
}
END_TEST

#define CHATTERS 3
#define CHATTER_MESSAGES 200

/* Announces itself, publishes when told to, and expects all of the others' messages, none of its
 * own. Exits 0 when it got exactly that. */
static _Noreturn void chatter(int self)
{
    struct bus_message message;
    char subject[32];
    int others = 0;
    struct bus *bus = open_bus(false, "chat.>", NULL);

    snprintf(subject, sizeof(subject), "chat.from.%d", self);
    if (!connected(bus) || publish(bus, BUS_LANE_NORMAL, "hello.there", "") < 0)
        _exit(2);
    while (others < (CHATTERS - 1) * CHATTER_MESSAGES) {
        if (!take(bus, &message) || strcmp(message.subject, subject) == 0)
            _exit(3);
        others += strncmp(message.subject, "chat.from.", 10) == 0;
        if (strcmp(message.subject, "chat.go") == 0)
            for (int i = 0; i < CHATTER_MESSAGES; i++)
                if (publish(bus, BUS_LANE_NORMAL, subject, "x") < 0)
                    _exit(4);
    }
    bus_close(bus);
    _exit(0);
}

START_TEST(lets_processes_talk_to_each_other_through_the_server)
{
    pid_t children[CHATTERS];
    struct bus_message message;
    int from[CHATTERS] = {0};

    make_url(KIND_LOCAL);
    for (int i = 0; i < CHATTERS; i++) {
        children[i] = fork_tied();
        if (children[i] == 0)
            chatter(i);
    }
    struct bus *server = NULL;
    struct bus_config config = {
        .url = url, .serve = true, .subscriptions = {"chat.from.*", "hello.>"}};
    ck_assert_int_eq(bus_open(&config, &server), 0);
    for (int i = 0; i < CHATTERS; i++)
        expect_message(server, "hello.there", "");
    ck_assert_int_eq(publish(server, BUS_LANE_NORMAL, "chat.go", ""), 0);
    for (int i = 0; i < CHATTERS * CHATTER_MESSAGES; i++) {
        ck_assert(take(server, &message));
        ck_assert_int_eq(strncmp(message.subject, "chat.from.", 10), 0);
        from[message.subject[10] - '0']++;
    }
    for (int i = 0; i < CHATTERS; i++) {
        int status;
        ck_assert_int_eq(from[i], CHATTER_MESSAGES);
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "process %d: status %#x", i,
                      (unsigned)status);
    }
    close_pair((struct bus *[2]){server, NULL});
}
END_TEST

/* Sends parts until NULL as one message. */
static void send_raw(void *socket, const char *const *parts)
{
    for (; *parts; parts++)
        ck_assert_int_ge(zmq_send(socket, *parts, strlen(*parts), parts[1] ? ZMQ_SNDMORE : 0), 0);
}

START_TEST(survives_foreign_peers_and_understands_plain_two_part_messages)
{
    static const char *const garbage[][6] = {
        {"t.one"},    {"t.many", "a", "b", "c", "d"},    {"bad subject", "x"},
        {"t.*", "x"}, {"\ngreet.0123456789abcdef", "x"}, {"\ngreet.0123456789abcdef"},
        {"", ""},
    };
    char endpoint[256];
    struct bus *pair[2];
    struct bus_message message;

    open_pair(KIND_LOCAL, "t.>", NULL, pair);
    void *context = zmq_ctx_new();
    void *publisher = zmq_socket(context, ZMQ_XPUB);
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/bus.in", dir);
    ck_assert_int_eq(zmq_connect(publisher, endpoint), 0);
    zmq_pollitem_t ready = {.socket = publisher, .events = ZMQ_POLLIN};
    ck_assert_int_eq(zmq_poll(&ready, 1, PATIENCE_MS), 1);
    for (unsigned i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
        send_raw(publisher, garbage[i]);
    send_raw(publisher, (const char *const[]){"t.plain", "payload", NULL});
    expect_message(pair[0], "t.plain", "payload");
    expect_message(pair[1], "t.plain", "payload");
    ck_assert_int_eq(bus_take(pair[0], &message), -EAGAIN);
    zmq_close(publisher);
    zmq_ctx_term(context);
    close_pair(pair);
}
END_TEST

START_TEST(leaks_no_descriptor)
{
    struct bus *pair[2];

    open_pair(_i, "t.>", NULL, pair); /* the libraries keep a few for themselves */
    close_pair(pair);
    unsigned before = support_count_fds();
    for (int i = 0; i < 3; i++) {
        open_pair(_i, "t.>", NULL, pair);
        close_pair(pair);
    }
    ck_assert(WAIT_UNTIL(support_count_fds() == before, PATIENCE_S));
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--serve") == 0)
        return serve_until_killed(argv[2]);

    Suite *suite = suite_create("bus");
    TCase *plain = tcase_create("plain");
    TCase *both = tcase_create("nats and local");
    TCase *local = tcase_create("local");

    tcase_add_test(plain, matches_subjects_as_nats_does);
    tcase_add_test(plain, shows_urls_without_credentials);
    tcase_add_test(plain, refuses_what_is_no_url_and_no_pattern);
    tcase_add_test(plain, never_logs_a_password);
    tcase_add_loop_test(both, refuses_forged_subjects_and_oversized_payloads, 0, KIND_COUNT);
    tcase_add_loop_test(both, carries_messages_both_ways_on_both_lanes_in_order, 0, KIND_COUNT);
    tcase_add_loop_test(both, never_hears_itself, 0, 2 * KIND_COUNT);
    tcase_add_loop_test(both, takes_stop_before_what_came_earlier_and_only_once, 0, KIND_COUNT);
    tcase_add_loop_test(both, a_full_mailbox_drops_the_flood_but_not_the_stop, 0, KIND_COUNT);
    tcase_add_loop_test(both, waits_for_a_server_that_comes_late, 0, KIND_COUNT);
    tcase_add_loop_test(both, closes_at_once_when_no_server_is_there, 0, KIND_COUNT);
    tcase_add_loop_test(both, sends_what_was_published_just_before_the_close, 0, KIND_COUNT);
    tcase_add_loop_test(both, carries_the_epoch_and_the_time_beside_the_payload, 0, KIND_COUNT);
    tcase_add_loop_test(both, drops_what_waits_when_its_epoch_ends, 0, KIND_COUNT);
    tcase_add_loop_test(both, replays_nothing_over_killed_servers, 0, KIND_COUNT);
    tcase_add_loop_test(both, notices_a_server_that_hangs, 0, KIND_COUNT);
    tcase_add_loop_test(both, leaks_no_descriptor, 0, KIND_COUNT);
    tcase_add_test(local, lets_only_one_living_process_serve);
    tcase_add_test(local, says_why_it_cannot_serve_there);
    tcase_add_test(local, lets_processes_talk_to_each_other_through_the_server);
    tcase_add_test(local, survives_foreign_peers_and_understands_plain_two_part_messages);
    tcase_set_timeout(plain, 120);
    tcase_set_timeout(both, 120);
    tcase_set_timeout(local, 120);
    suite_add_tcase(suite, plain);
    suite_add_tcase(suite, both);
    suite_add_tcase(suite, local);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
