/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the process-wide program name, level and format, all set before threads start, and the
 * socket to the journal. A line that cannot be written is lost: logging never fails its caller.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_line.h"

#define THREAD_NAME_BYTES 16

enum form { FORM_UNSET, FORM_TEXT, FORM_JSON, FORM_JOURNAL, FORM_PREFIXED };

static const char *program_name = "simcast";
static enum log_level level_max = LOG_LEVEL_INFO;
static enum form form;
static int journal_fd = -1;

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const char *const format_names[] = {"auto", "text", "json", "journal"};
static const int syslog_priorities[] = {3, 4, 6, 7};

int log_journal_open(const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(socket_path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    if (journal_fd >= 0)
        close(journal_fd);
    journal_fd = fd;
    form = FORM_JOURNAL;
    return 0;
}

static void use_journal(void)
{
    if (log_journal_open(LOG_JOURNAL_SOCKET) < 0)
        form = FORM_PREFIXED;
}

/* systemd names the stream that it made of our stderr by device and inode. */
static bool stderr_is_journal(void)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): before threads start
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    char text[64];

    if (!stream || fstat(STDERR_FILENO, &status) < 0)
        return false;
    snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    return strcmp(stream, text) == 0;
}

void log_format_use(enum log_format format)
{
    if (format == LOG_FORMAT_JSON)
        form = FORM_JSON;
    else if (format == LOG_FORMAT_JOURNAL || (format == LOG_FORMAT_AUTO && stderr_is_journal()))
        use_journal();
    else
        form = FORM_TEXT;
}

int log_format_parse(const char *text, enum log_format *ret_format)
{
    for (unsigned i = 0; i < sizeof(format_names) / sizeof(format_names[0]); i++) {
        if (strcmp(text, format_names[i]) == 0) {
            *ret_format = (enum log_format)i;
            return 0;
        }
    }
    return -EINVAL;
}

bool log_read_format(void *into, const char *value)
{
    enum log_format format;

    (void)into;
    if (log_format_parse(value, &format) < 0)
        return false;
    log_format_use(format);
    return true;
}

void log_init(const char *program, enum log_level level)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): before threads start
    const char *text = getenv("SIMCAST_LOG_FORMAT");
    enum log_format format = LOG_FORMAT_AUTO;

    program_name = program;
    level_max = level;
    if (form != FORM_UNSET)
        return;
    bool valid = !text || text[0] == '\0' || log_format_parse(text, &format) == 0;
    log_format_use(format);
    if (!valid)
        log_warning("SIMCAST_LOG_FORMAT=%.40s is not valid: give " LOG_FORMATS, text);
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
    for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

static void send_line(const struct log_line *line)
{
    char text[2 * LOG_LINE_BYTES];
    ssize_t written;

    if (form == FORM_JOURNAL)
        written = send(journal_fd, text, log_line_journal(line, text, sizeof(text)),
                       MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (form == FORM_JSON)
        written = write(STDERR_FILENO, text, log_line_json(line, text, sizeof(text)));
    else if (form == FORM_PREFIXED)
        written = write(STDERR_FILENO, text, log_line_prefixed(line, text, LOG_LINE_BYTES));
    else
        written = write(STDERR_FILENO, text, log_line_text(line, text, LOG_LINE_BYTES));
    (void)written;
}

static void write_line(enum log_level level, const char *format, va_list args)
{
    char message[LOG_LINE_BYTES];
    char thread[THREAD_NAME_BYTES] = "";

    if (level > level_max || vsnprintf(message, sizeof(message), format, args) < 0)
        return;
    prctl(PR_GET_NAME, thread);
    send_line(&(struct log_line){
        .level = level_names[level],
        .program = program_name,
        .thread = thread,
        .message = message,
        .pid = getpid(),
        .priority = syslog_priorities[level],
        .wall_ns = clock_wall_ns(),
    });
}

#define DEFINE_LOG(name, level)                                                                    \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        write_line(level, format, args);                                                           \
        va_end(args);                                                                              \
    }

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warning, LOG_LEVEL_WARNING)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)
