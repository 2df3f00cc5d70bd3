/* SPDX-License-Identifier: Apache-2.0 */
/* Listens and counts. On a terminal the table is drawn anew once a second until Ctrl-C. */
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <sysexits.h>

#include "base/clock.h"
#include "cli/bus_command.h"
#include "cli/bus_link.h"
#include "cli/bus_options.h"
#include "cli/bus_table.h"

#define SECONDS_MAX 86400
#define SECONDS_UNATTENDED 5
#define WIDTH_UNATTENDED 160
#define CLEAR_SCREEN "\033[H\033[J"

static const char before[] =
    "Usage: simcast bus show [PATTERN]... [OPTION]...\n"
    "Shows each subject with its rate and last value. Without PATTERN: all telemetry and commands.\n"
    "On a terminal live until Ctrl-C; elsewhere one table after 5 s.\n"
    "\n";
static const char after[] = "\n"
                            "  simcast bus show\n"
                            "  simcast bus show 'telemetry.hal.>' --seconds 10 --json\n"
                            "Exit status: 0, 78 a wrong option, 1 anything else.\n";

struct show {
    struct bus_options bus;
    struct bus_patterns patterns;
    uint32_t seconds; /* 0: until a signal */
    bool json;
    struct bus_table table;
};

static bool read_seconds(void *into, const char *value)
{
    return option_whole(value, 1, SECONDS_MAX, &((struct show *)into)->seconds);
}

static bool read_json(void *into, const char *value)
{
    (void)value;
    ((struct show *)into)->json = true;
    return true;
}

static const struct option_row rows[] = {
    {"seconds", NULL, NULL, "N", read_seconds, "a whole number from 1", "end after N seconds"},
    {"json", NULL, NULL, NULL, read_json, "nothing", "one line of JSON at the end, no table"},
};

static int terminal_width(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : WIDTH_UNATTENDED;
}

static void draw(struct show *show, const struct bus_link *link)
{
    struct bus_counters counters;
    bool connected = bus_state(link->bus) == BUS_CONNECTED;

    bus_counters(link->bus, &counters);
    bus_table_rates(&show->table, clock_now_ns());
    printf(CLEAR_SCREEN "bus %s%s, once a second; Ctrl-C ends\n\n", link->shown_url,
           connected ? "" : " (away, waiting)");
    bus_table_print(&show->table, clock_now_ns(), terminal_width(), stdout);
    if (counters.dropped_in > 0)
        printf("%llu messages came faster than they could be counted\n",
               (unsigned long long)counters.dropped_in);
    fflush(stdout);
}

static int listen_and_show(struct show *show, struct bus_link *link, bool live)
{
    int64_t began_ns = clock_now_ns();
    int64_t ends_ns = show->seconds ? began_ns + (int64_t)show->seconds * NS_PER_S : INT64_MAX;
    int64_t draw_ns = live ? began_ns + NS_PER_S : INT64_MAX;
    enum bus_link_event event;
    struct bus_message message;

    show->table.rates_ns = began_ns;
    do {
        event = bus_link_next(link, draw_ns < ends_ns ? draw_ns : ends_ns, &message);
        if (event == BUS_LINK_MESSAGE)
            bus_table_add(&show->table, &message, clock_now_ns());
        if (clock_now_ns() >= draw_ns) {
            draw(show, link);
            draw_ns += NS_PER_S;
        }
    } while (event != BUS_LINK_QUIT && clock_now_ns() < ends_ns && !ferror(stdout));
    if (live)
        return ferror(stdout) ? 1 : 0;
    bus_table_rates(&show->table, clock_now_ns());
    if (!show->json)
        bus_table_print(&show->table, clock_now_ns(), WIDTH_UNATTENDED, stdout);
    else if (!bus_table_json(&show->table, link->shown_url, clock_now_ns(), stdout))
        return 1;
    return fflush(stdout) == 0 ? 0 : 1;
}

int bus_show_main(int argc, char **argv)
{
    struct show show = {.bus = bus_options_defaults()};
    const struct bus_action action = {
        .name = "simcast bus show",
        .before = before,
        .after = after,
        .own = {rows, sizeof(rows) / sizeof(rows[0]), &show},
        .patterns = &show.patterns,
        .options = &show.bus,
    };
    struct bus_link link;
    enum option_result result = bus_options_read(&action, argc, argv);

    if (result != OPTION_GO)
        return result == OPTION_DONE ? 0 : EX_CONFIG;
    bool live = isatty(STDOUT_FILENO) && !show.json;
    if (!live && show.seconds == 0)
        show.seconds = SECONDS_UNATTENDED;
    int code = bus_link_open(&show.bus, show.patterns.words, &link);
    if (code != 0)
        return code;
    code = listen_and_show(&show, &link, live);
    bus_link_close(&link);
    bus_table_fini(&show.table);
    return code;
}
