/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the terminal while it runs, and gives it back as it was. Plain ANSI: a line is written
 * again only when it changed. On a server that goes away it stays and says so.
 */
#include "cli/top.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <sysexits.h>
#include <termios.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/options.h"
#include "cli/top_screen.h"
#include "cli/values.h"

#define SERVER_DEFAULT "127.0.0.1:8080"
#define TOKEN_BYTES 512
#define WIDTH_MIN 80
#define HEIGHT_MIN 12
#define WIDTH_ONCE 120
#define KEY_CTRL_C 3

#define ENTER "\033[?1049h\033[?25l" /* another screen, no cursor */
#define LEAVE "\033[?25h\033[?1049l"
#define ERASE "\033[H\033[J"

struct settings {
    struct top_server server;
    const char *token_file;
    const char *ipc_dir;
    uint32_t interval_ms;
    bool once;
    bool json;
    char token[TOKEN_BYTES];
};

struct display {
    struct settings *settings;
    struct top *top;
    struct top_screen screen;
    struct top_screen shown;
    struct termios before;
    int signal_fd;
};

/* ---- options ----------------------------------------------------------------------------------
 */

static bool read_server(void *into, const char *value)
{
    ((struct settings *)into)->server.address = value;
    return strchr(value, ':') != NULL;
}

static bool read_token_file(void *into, const char *value)
{
    ((struct settings *)into)->token_file = value;
    return true;
}

static bool read_ipc_dir(void *into, const char *value)
{
    ((struct settings *)into)->ipc_dir = value;
    return true;
}

static bool read_interval(void *into, const char *value)
{
    char *end;
    double seconds = strtod(value, &end);

    if (end == value || *end != '\0' || !(seconds >= 0.2 && seconds <= 60))
        return false;
    ((struct settings *)into)->interval_ms = (uint32_t)lround(seconds * 1000);
    return true;
}

static bool read_once(void *into, const char *value)
{
    (void)value;
    ((struct settings *)into)->once = true;
    return true;
}

static bool read_json(void *into, const char *value)
{
    (void)value;
    ((struct settings *)into)->once = ((struct settings *)into)->json = true;
    return true;
}

static const struct option_row rows[] = {
    {"server", "SIMCAST_SERVER", NULL, "ADDRESS", read_server, "host:port or unix:/path",
     "simcastd, as host:port or unix:/path (" SERVER_DEFAULT ")"},
    {"token-file", "SIMCAST_TOKEN_FILE", NULL, "FILE", read_token_file, "a file",
     "where the server's token for a viewer is: the last word of the\n"
     "first line; simcastd's own file will do"},
    {"ipc-dir", NULL, NULL, "DIR", read_ipc_dir, "a directory",
     "where the rings are (SIMCAST_IPC_DIR, " RING_DIR_DEFAULT ")"},
    {"interval", NULL, NULL, "SECONDS", read_interval, "a number from 0.2 to 60",
     "from one look to the next, 0.2 to 60 (1)"},
    {"once", NULL, NULL, NULL, read_once, "", "print what an interval brought, and end"},
    {"json", NULL, NULL, NULL, read_json, "", "the same as one JSON object"},
};

static const char usage[] =
    "Usage: simcast top [OPTION]...\n"
    "Shows once a second how streams, stages, clients, the gate and control loops do, from the\n"
    "rings of this machine and a simcastd's pages. q ends it. Looking makes nobody render.\n"
    "\n";

static const char more[] =
    "\n"
    "WANT: consumers that want frames; LOST: frames that consumers were too slow for; STAGE: how\n"
    "long the frames of all watched streams took, ack from a command to the robot's answer; HAL:\n"
    "the robot's control loop. docs/perf.md says how to read them.\n"
    "\n"
    "  simcast top --server 10.0.0.5:8080 --token-file token\n"
    "  simcast top --json | jq .stages\n"
    "Exit status: 0, 1 there was neither a ring nor a simcastd (--once), 78 a wrong flag.\n";

/* The last word of the first line that is no comment. */
static int load_token(struct settings *settings)
{
    char line[TOKEN_BYTES] = "";
    FILE *file = fopen(settings->token_file, "re");

    if (!file) {
        log_error("top: cannot read the token in %s: %s", settings->token_file,
                  strerrordesc_np(errno));
        return -EINVAL;
    }
    while (fgets(line, sizeof(line), file) && (line[0] == '#' || line[0] == '\n'))
        continue;
    fclose(file);
    for (char *word = strtok(line, " \t\r\n"); word; word = strtok(NULL, " \t\r\n"))
        snprintf(settings->token, sizeof(settings->token), "%s", word);
    if (settings->token[0] == '\0') {
        log_error("top: %s holds no token", settings->token_file);
        return -EINVAL;
    }
    settings->server.token = settings->token;
    return 0;
}

/* ---- once -------------------------------------------------------------------------------------
 */

static void pause_ms(uint32_t ms)
{
    poll(NULL, 0, (int)ms);
}

static void print_lines(const struct top_screen *screen)
{
    for (unsigned i = 0; i < screen->count; i++)
        puts(screen->lines[i].text);
}

static int run_once(struct display *display)
{
    const struct settings *settings = display->settings;
    const char *address = settings->server.address;

    (void)top_look(display->top);
    pause_ms(settings->interval_ms);
    const struct top_view *view = top_look(display->top);
    if (settings->json) {
        if (top_print_json(view, address, stdout) < 0)
            return EXIT_FAILURE;
    } else {
        display->screen.width = WIDTH_ONCE;
        top_screen_fill(view, address, &display->screen);
        print_lines(&display->screen);
    }
    return view->problem[0] != '\0' && view->stream_count == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- live -------------------------------------------------------------------------------------
 */

static void measure_terminal(struct top_screen *screen)
{
    struct winsize size = {0};

    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    screen->width = size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
    screen->height = size.ws_row < HEIGHT_MIN ? HEIGHT_MIN : size.ws_row;
    if (screen->width > TOP_LINE_BYTES - 1)
        screen->width = TOP_LINE_BYTES - 1;
    if (screen->height > TOP_LINES_MAX)
        screen->height = TOP_LINES_MAX;
}

static void write_line(unsigned number, const struct top_line *line, unsigned width)
{
    static const char *const styles[] = {[TOP_PLAIN] = "",
                                         [TOP_TITLE] = "\033[7m",
                                         [TOP_HEADING] = "\033[1m",
                                         [TOP_ALARM] = "\033[1;37;41m"};
    int filled = line->style == TOP_TITLE || line->style == TOP_ALARM ? (int)width : 0;

    printf("\033[%u;1H%s%-*s\033[0m\033[K", number + 1, styles[line->style], filled, line->text);
}

static void show(struct display *display, bool anew)
{
    struct top_screen *screen = &display->screen;
    struct top_screen *shown = &display->shown;

    if (anew)
        fputs(ERASE, stdout);
    for (unsigned i = 0; i < screen->count; i++) {
        const struct top_line *line = &screen->lines[i];
        if (anew || i >= shown->count || line->style != shown->lines[i].style ||
            strcmp(line->text, shown->lines[i].text) != 0)
            write_line(i, line, screen->width);
    }
    if (screen->count < shown->count)
        printf("\033[%u;1H\033[J", screen->count + 1);
    fflush(stdout);
    *shown = *screen;
}

/* Waits for the next look; false: the user or a signal wants the end. */
static bool wait_for_user(struct display *display, bool *ret_resized)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = display->signal_fd, .events = POLLIN}};
    struct signalfd_siginfo signal;
    char key;

    *ret_resized = false;
    if (poll(fds, 2, (int)display->settings->interval_ms) <= 0)
        return true;
    if (fds[1].revents != 0 && read(fds[1].fd, &signal, sizeof(signal)) == sizeof(signal)) {
        *ret_resized = signal.ssi_signo == SIGWINCH;
        return *ret_resized;
    }
    if (fds[0].revents == 0)
        return true;
    return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q' && key != KEY_CTRL_C;
}

static int enter_terminal(struct display *display)
{
    struct termios raw;
    sigset_t set;

    if (tcgetattr(STDIN_FILENO, &display->before) < 0)
        return -errno;
    raw = display->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL); // NOLINT(concurrency-mt-unsafe): there is one thread
    display->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (display->signal_fd < 0)
        return -errno;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs(ENTER, stdout);
    return 0;
}

static int run_live(struct display *display)
{
    bool anew = true;
    int error = enter_terminal(display);

    if (error < 0) {
        log_error("top: cannot use this terminal: %s; try --once", strerrordesc_np(-error));
        return EXIT_FAILURE;
    }
    do {
        measure_terminal(&display->screen);
        top_screen_fill(top_look(display->top), display->settings->server.address,
                        &display->screen);
        show(display, anew);
    } while (wait_for_user(display, &anew));
    fputs(LEAVE, stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &display->before);
    close(display->signal_fd);
    return EXIT_SUCCESS;
}

int top_main(int argc, char **argv)
{
    static struct display display; /* large for a stack */
    static struct settings settings = {.server.address = SERVER_DEFAULT, .interval_ms = 1000};
    const struct option_group group = {rows, sizeof(rows) / sizeof(rows[0]), &settings};
    const struct option_program program = {.name = "simcast top",
                                           .version = SIMCAST_VERSION,
                                           .before = usage,
                                           .after = more,
                                           .groups = &group,
                                           .group_count = 1};

    settings.ipc_dir = value_ipc_dir();
    enum option_result parsed = option_read(&program, argc, argv);
    if (parsed != OPTION_GO)
        return parsed == OPTION_DONE ? EXIT_SUCCESS : EX_CONFIG;
    if (settings.token_file && load_token(&settings) < 0)
        return EX_CONFIG;
    display.settings = &settings;
    if (top_create(&settings.server, settings.ipc_dir, &display.top) < 0)
        return EXIT_FAILURE;
    bool live = !settings.once && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    int code = live ? run_live(&display) : run_once(&display);
    top_destroy(display.top);
    return code;
}
