/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the opener's side: the mailboxes, the counters, the links, and the choice of driver. All
 * of it is allocated in bus_open; afterwards publish and take only copy bytes. What fails later
 * is counted, or shows in bus_state.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/core.h"

#define SLOW_EPISODE_NS (10 * NS_PER_S) /* without loss, and the next loss is told again */
#define OUTBOX_BYTES (4u << 20)
#define STOP_OUTBOX_BYTES (4 * (size_t)BUS_STOP_PAYLOAD_BYTES_MAX)
#define INBOX_BYTES (4u << 20)
#define INBOX_BYTES_MIN (64u << 10)
#define STOP_INBOX_BYTES (4 * (size_t)BUS_STOP_PAYLOAD_BYTES_MAX)

/* What stands before the subject in a mailbox. */
struct stamp {
    uint64_t epoch;
    int64_t sent_ns;
    bool lasts;
};

static bool link_is_up(uint32_t link)
{
    return link & 1;
}

static bool token_is_plain(const char *token, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (token[i] <= ' ' || token[i] > '~' || token[i] == '*' || token[i] == '>')
            return false;
    return bytes > 0;
}

/* What is sent to NATS is a line of text: a space or a newline in a subject would forge another. */
static bool tokens_are_valid(const char *text, bool wildcards)
{
    if (strlen(text) > BUS_SUBJECT_BYTES_MAX)
        return false;
    while (true) {
        size_t bytes = strcspn(text, ".");
        bool last = text[bytes] == '\0';
        bool wildcard = wildcards && bytes == 1 && (*text == '*' || (*text == '>' && last));

        if (!wildcard && !token_is_plain(text, bytes))
            return false;
        if (last)
            return true;
        text += bytes + 1;
    }
}

bool bus_subject_is_valid(const char *subject)
{
    return tokens_are_valid(subject, false);
}

bool bus_subject_matches(const char *pattern, const char *subject)
{
    while (true) {
        size_t pattern_token = strcspn(pattern, ".");
        size_t subject_token = strcspn(subject, ".");

        if (subject_token == 0)
            return false;
        if (strcmp(pattern, ">") == 0)
            return true;
        if (!(pattern_token == 1 && *pattern == '*') &&
            (pattern_token != subject_token || memcmp(pattern, subject, subject_token) != 0))
            return false;
        pattern += pattern_token;
        subject += subject_token;
        if (*pattern == '\0' || *subject == '\0')
            return *pattern == *subject;
        pattern++;
        subject++;
    }
}

static const struct bus_driver *driver_of(const char *url)
{
    if (strncmp(url, "nats://", 7) == 0 || strncmp(url, "tls://", 6) == 0)
        return &bus_nats_driver;
    if (strncmp(url, "ipc://", 6) == 0 && url[6] != '\0')
        return &bus_local_driver;
    return NULL;
}

static int find_access(struct bus *bus)
{
    if (bus_url_has_secret(bus->url) && bus_url_is_argument(bus->url)) {
        log_error("bus %s: a login in an argument list can be read by everybody on this machine; "
                  "put what stands before the @ into a file for --bus-login, or give the whole URL "
                  "by SIMCAST_BUS_URL",
                  bus->shown_url);
        return -ENOKEY;
    }
    return bus_access_find(bus->files);
}

static int copy_config(struct bus *bus, const struct bus_config *config)
{
    bus->serve = config->serve;
    bus->url = strdup(config->url);
    bus->shown_url = malloc(strlen(config->url) + 1);
    bus->name = strdup(config->name ? config->name : "simcast");
    if (!bus->url || !bus->shown_url || !bus->name)
        return -ENOMEM;
    bus_url_show(config->url, bus->shown_url, strlen(config->url) + 1);
    if (bus->driver == &bus_nats_driver) {
        int result = find_access(bus);
        if (result < 0)
            return result;
    }
    for (unsigned i = 0; i < BUS_SUBSCRIPTIONS_MAX && config->subscriptions[i]; i++) {
        if (!tokens_are_valid(config->subscriptions[i], true))
            return -EINVAL;
        bus->patterns[i] = strdup(config->subscriptions[i]);
        if (!bus->patterns[i])
            return -ENOMEM;
        bus->pattern_count++;
    }
    if (!config->stop_subscription)
        return 0;
    if (!tokens_are_valid(config->stop_subscription, true))
        return -EINVAL;
    bus->stop_pattern = strdup(config->stop_subscription);
    return bus->stop_pattern ? 0 : -ENOMEM;
}

static int create_mailboxes(struct bus *bus, size_t inbox_bytes)
{
    int result;

    if (inbox_bytes == 0)
        inbox_bytes = INBOX_BYTES;
    if (inbox_bytes < INBOX_BYTES_MIN)
        inbox_bytes = INBOX_BYTES_MIN;
    result = mailbox_create(OUTBOX_BYTES, &bus->outbox[BUS_LANE_NORMAL]);
    if (result == 0)
        result = mailbox_create(STOP_OUTBOX_BYTES, &bus->outbox[BUS_LANE_STOP]);
    if (result == 0)
        result = mailbox_create(inbox_bytes, &bus->inbox[BUS_LANE_NORMAL]);
    if (result == 0)
        result = mailbox_create(STOP_INBOX_BYTES, &bus->inbox[BUS_LANE_STOP]);
    return result;
}

static int create_descriptors(struct bus *bus)
{
    bus->quit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bus->inbox_fd = epoll_create1(EPOLL_CLOEXEC);
    if (bus->quit_fd < 0 || bus->inbox_fd < 0)
        return -errno;
    for (int lane = 0; lane < BUS_LANE_COUNT; lane++) {
        struct epoll_event event = {.events = EPOLLIN};
        if (epoll_ctl(bus->inbox_fd, EPOLL_CTL_ADD, mailbox_fd(bus->inbox[lane]), &event) < 0)
            return -errno;
    }
    return 0;
}

/* Without it nobody takes our times for his: they are then unknown. */
static void name_clock(struct bus *bus)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || read(fd, bus->clock, BUS_CLOCK_BYTES) != BUS_CLOCK_BYTES)
        memset(bus->clock, 0, sizeof(bus->clock));
    if (fd >= 0)
        close(fd);
}

static void bus_free(struct bus *bus)
{
    for (int lane = 0; lane < BUS_LANE_COUNT; lane++) {
        mailbox_destroy(bus->outbox[lane]);
        mailbox_destroy(bus->inbox[lane]);
    }
    if (bus->quit_fd >= 0)
        close(bus->quit_fd);
    if (bus->inbox_fd >= 0)
        close(bus->inbox_fd);
    for (unsigned i = 0; i < bus->pattern_count; i++)
        free(bus->patterns[i]);
    for (int i = 0; i < BUS_ACCESS_FILES; i++)
        free(bus->files[i]);
    free(bus->stop_pattern);
    free(bus->name);
    free(bus->shown_url);
    free(bus->url);
    pthread_mutex_destroy(&bus->told_lock);
    free(bus);
}

int bus_open(const struct bus_config *config, struct bus **ret_bus)
{
    const struct bus_driver *driver = driver_of(config->url);
    int result;

    if (!driver)
        return -EINVAL;
    struct bus *bus = calloc(1, sizeof(*bus));
    if (!bus)
        return -ENOMEM;
    bus->driver = driver;
    bus->quit_fd = -1;
    bus->inbox_fd = -1;
    pthread_mutex_init(&bus->told_lock, NULL);
    result = copy_config(bus, config);
    if (result == 0)
        result = create_mailboxes(bus, config->mailbox_bytes);
    if (result == 0)
        result = create_descriptors(bus);
    if (result == 0 && getrandom(bus->sender, sizeof(bus->sender), 0) != sizeof(bus->sender))
        result = -EIO;
    name_clock(bus);
    if (result == 0)
        result = driver->start(bus);
    if (result < 0) {
        bus_free(bus);
        return result;
    }
    *ret_bus = bus;
    return 0;
}

void bus_close(struct bus *bus)
{
    if (!bus)
        return;
    eventfd_write(bus->quit_fd, 1);
    bus->driver->stop(bus);
    bus_free(bus);
}

/* Puts the message into a mailbox, its subject behind its stamp. Errors: as mailbox_post. */
static int post(struct mailbox *mailbox, uint32_t tag, const struct bus_message *message)
{
    struct stamp stamp = {
        .epoch = message->epoch,
        .sent_ns = message->sent_ns,
        .lasts = message->lasts,
    };
    char head[sizeof(stamp) + BUS_SUBJECT_BYTES_MAX];
    size_t subject_bytes = strlen(message->subject);

    memcpy(head, &stamp, sizeof(stamp));
    memcpy(head + sizeof(stamp), message->subject, subject_bytes);
    return mailbox_post(mailbox, &(struct mailbox_message){
                                     .tag = tag,
                                     .head = head,
                                     .head_bytes = sizeof(stamp) + subject_bytes,
                                     .body = message->payload,
                                     .body_bytes = message->payload_bytes,
                                 });
}

void bus_end_epochs(struct bus *bus, uint64_t before)
{
    atomic_store_explicit(&bus->epoch, before, memory_order_relaxed);
}

int bus_publish(struct bus *bus, enum bus_lane lane, const struct bus_message *message)
{
    struct bus_message stamped = *message;
    size_t limit = lane == BUS_LANE_STOP ? BUS_STOP_PAYLOAD_BYTES_MAX : BUS_PAYLOAD_BYTES_MAX;
    uint32_t link = atomic_load_explicit(&bus->link[lane], memory_order_relaxed);
    int result = 0;

    if (!bus_subject_is_valid(message->subject))
        return -EINVAL;
    if (message->payload_bytes > limit) {
        result = -EMSGSIZE;
    } else if (!link_is_up(link)) {
        result = -EPIPE;
    } else {
        stamped.sent_ns = clock_now_ns();
        result = post(bus->outbox[lane], link, &stamped);
    }
    if (result < 0)
        bus_sent(bus, false);
    return result;
}

int bus_fd(const struct bus *bus)
{
    return bus->inbox_fd;
}

static void message_of_mail(const struct mailbox_message *mail, struct bus_message *ret_message)
{
    struct stamp stamp;

    memcpy(&stamp, mail->head, sizeof(stamp));
    *ret_message = (struct bus_message){
        .subject = mail->head + sizeof(stamp),
        .payload = mail->body,
        .payload_bytes = mail->body_bytes,
        .epoch = stamp.epoch,
        .sent_ns = stamp.sent_ns,
        .lasts = stamp.lasts,
    };
}

int bus_take(struct bus *bus, struct bus_message *ret_message)
{
    struct mailbox_message mail;
    int result = mailbox_take(bus->inbox[BUS_LANE_STOP], &mail);

    if (result < 0)
        result = mailbox_take(bus->inbox[BUS_LANE_NORMAL], &mail);
    if (result == 0)
        message_of_mail(&mail, ret_message);
    return result;
}

enum bus_state bus_state(const struct bus *bus)
{
    for (int lane = 0; lane < BUS_LANE_COUNT; lane++)
        if (!link_is_up(atomic_load_explicit(&bus->link[lane], memory_order_relaxed)))
            return BUS_CONNECTING;
    return BUS_CONNECTED;
}

void bus_counters(const struct bus *bus, struct bus_counters *ret_counters)
{
    *ret_counters = (struct bus_counters){
        .published = atomic_load_explicit(&bus->published, memory_order_relaxed),
        .received = atomic_load_explicit(&bus->received, memory_order_relaxed),
        .dropped_out = atomic_load_explicit(&bus->dropped_out, memory_order_relaxed),
        .dropped_in = atomic_load_explicit(&bus->dropped_in, memory_order_relaxed),
        .slow_episodes = atomic_load_explicit(&bus->slow_episodes, memory_order_relaxed),
        .refused = atomic_load_explicit(&bus->refused, memory_order_relaxed),
        .reconnects = atomic_load_explicit(&bus->reconnects[BUS_LANE_NORMAL], memory_order_relaxed),
        .stop_reconnects =
            atomic_load_explicit(&bus->reconnects[BUS_LANE_STOP], memory_order_relaxed),
    };
}

int bus_thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *arg)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(ret_thread, NULL, run, arg);
    if (error == 0)
        pthread_setname_np(*ret_thread, name);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

static const char *lane_suffix(enum bus_lane lane)
{
    return lane == BUS_LANE_STOP ? " (stop lane)" : "";
}

void bus_link_up(struct bus *bus, enum bus_lane lane)
{
    uint32_t link = atomic_load_explicit(&bus->link[lane], memory_order_relaxed);

    if (link_is_up(link))
        return;
    atomic_store_explicit(&bus->link[lane], link + 1, memory_order_relaxed);
    bus_note_trouble(bus, "");
    if (link > 0)
        atomic_fetch_add_explicit(&bus->reconnects[lane], 1, memory_order_relaxed);
    log_info("bus %s%s: connected", bus->shown_url, lane_suffix(lane));
}

void bus_link_down(struct bus *bus, enum bus_lane lane, const char *why)
{
    uint32_t link = atomic_load_explicit(&bus->link[lane], memory_order_relaxed);

    if (!link_is_up(link))
        return;
    atomic_store_explicit(&bus->link[lane], link + 1, memory_order_relaxed);
    bus_note_trouble(bus, why);
    log_info("bus %s%s: %s", bus->shown_url, lane_suffix(lane), why);
}

int bus_next_out(struct bus *bus, enum bus_lane lane, struct bus_message *ret_message)
{
    struct mailbox_message mail;

    while (mailbox_take(bus->outbox[lane], &mail) == 0) {
        message_of_mail(&mail, ret_message);
        bool ended = lane == BUS_LANE_NORMAL && ret_message->epoch > 0 && !ret_message->lasts &&
                     ret_message->epoch < atomic_load_explicit(&bus->epoch, memory_order_relaxed);
        if (mail.tag == atomic_load_explicit(&bus->link[lane], memory_order_relaxed) && !ended)
            return 0;
        bus_sent(bus, false);
    }
    return -EAGAIN;
}

void bus_sent(struct bus *bus, bool accepted)
{
    atomic_fetch_add_explicit(accepted ? &bus->published : &bus->dropped_out, 1,
                              memory_order_relaxed);
}

bool bus_wants(const struct bus *bus, const char *subject, enum bus_lane *ret_lane)
{
    if (bus->stop_pattern && bus_subject_matches(bus->stop_pattern, subject)) {
        *ret_lane = BUS_LANE_STOP;
        return true;
    }
    for (unsigned i = 0; i < bus->pattern_count; i++) {
        if (bus_subject_matches(bus->patterns[i], subject)) {
            *ret_lane = BUS_LANE_NORMAL;
            return true;
        }
    }
    return false;
}

void bus_slow(struct bus *bus, uint64_t lost)
{
    int64_t now_ns = clock_now_ns();
    int64_t before_ns = atomic_exchange_explicit(&bus->slow_ns, now_ns, memory_order_relaxed);

    atomic_fetch_add_explicit(&bus->dropped_in, lost, memory_order_relaxed);
    if (before_ns > 0 && now_ns - before_ns < SLOW_EPISODE_NS)
        return;
    atomic_fetch_add_explicit(&bus->slow_episodes, 1, memory_order_relaxed);
    log_warning("bus %s: messages come faster than %s takes them, so it loses some; subscribe to "
                "less, or give it more of the processor",
                bus->shown_url, bus->name);
}

void bus_note_trouble(struct bus *bus, const char *why)
{
    pthread_mutex_lock(&bus->told_lock);
    snprintf(bus->trouble, sizeof(bus->trouble), "%s", why);
    pthread_mutex_unlock(&bus->told_lock);
}

void bus_trouble(struct bus *bus, char *ret_text, size_t text_bytes)
{
    pthread_mutex_lock(&bus->told_lock);
    snprintf(ret_text, text_bytes, "%s", bus->trouble);
    pthread_mutex_unlock(&bus->told_lock);
}

uint32_t bus_hash(const char *text)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

/* Whether it is new; the last ones that fit nowhere are not told at all. */
static bool note_refusal(struct bus *bus, uint32_t hash)
{
    bool fresh = false;

    pthread_mutex_lock(&bus->told_lock);
    for (unsigned i = 0; i < BUS_REFUSALS_TOLD && bus->refused_told[i] != hash; i++) {
        fresh = bus->refused_told[i] == 0;
        if (fresh) {
            bus->refused_told[i] = hash;
            break;
        }
    }
    pthread_mutex_unlock(&bus->told_lock);
    return fresh;
}

void bus_refused(struct bus *bus, const char *why)
{
    atomic_fetch_add_explicit(&bus->refused, 1, memory_order_relaxed);
    if (note_refusal(bus, bus_hash(why)))
        log_warning("bus %s: the server does not let %s do that: %s; if it should, add it to the "
                    "account's permissions in the server's file",
                    bus->shown_url, bus->name, why);
}

void bus_deliver(struct bus *bus, enum bus_lane lane, const struct bus_message *message)
{
    int result = post(bus->inbox[lane], 0, message);

    if (result < 0)
        bus_slow(bus, 1);
    else
        atomic_fetch_add_explicit(&bus->received, 1, memory_order_relaxed);
}
