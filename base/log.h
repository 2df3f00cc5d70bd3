/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines: one line, one system call. A message says what happened, to which thing, and what the
 * reader can do about it.
 *
 *   text     simcastd: warning: bus nats://nats:4222: cannot connect (...)
 *   json     {"time":"2026-01-31T12:00:00.250000Z","level":"warning","program":"simcastd",
 *             "pid":7,"thread":"bus-nats","message":"bus nats://nats:4222: cannot connect (...)"}
 *   journal  the fields MESSAGE, PRIORITY, SYSLOG_IDENTIFIER and SIMCAST_THREAD to systemd's
 *            journal: journalctl SIMCAST_THREAD=bus-nats PRIORITY=4
 *
 * Without a choice it is the journal when stderr leads there, else text. Where the journal cannot
 * be reached, lines go to stderr with their priority as "<N>", which journald understands too.
 *
 * Thread: any; lines of different threads never interleave. Cost: one write(2), or one sendmsg(2)
 * that does not wait; lines over LOG_LINE_BYTES are cut. Never allocates.
 */
#ifndef SIMCAST_BASE_LOG_H
#define SIMCAST_BASE_LOG_H

#include <stdbool.h>

#define LOG_LINE_BYTES 1024

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

/*
 * Names the program and sets the least severe level that is written (default: info); takes the
 * format from SIMCAST_LOG_FORMAT unless it was set before. `program` is borrowed for the life of
 * the process. Call before other threads start; once more when the level is known.
 */
void log_init(const char *program, enum log_level level);

/* Parses "error", "warning", "info" or "debug". Returns 0, or -EINVAL and leaves ret_level. */
int log_level_parse(const char *text, enum log_level *ret_level);

enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNAL };

/* From now on. Before other threads start. */
void log_format_use(enum log_format format);

/* Parses "auto", "text", "json" or "journal". Returns 0, or -EINVAL and leaves ret_format. */
int log_format_parse(const char *text, enum log_format *ret_format);

/* Both as a reader of base/options.h, and its row: --log-format. `into` is not used. */
bool log_read_format(void *into, const char *value);
#define LOG_FORMATS "auto, text, json or journal"
#define LOG_FORMAT_ROW                                                                             \
    {                                                                                              \
        "log-format", "SIMCAST_LOG_FORMAT", NULL, "NAME", log_read_format, LOG_FORMATS,            \
            "text, json, journal, or auto: the journal under systemd, else text"                   \
    }

#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

/* The format journal, at this socket: for tests. Errors: from the system; nothing changes then. */
int log_journal_open(const char *socket_path);

#define LOG_PRINTF(fmt_index) __attribute__((format(printf, (fmt_index), (fmt_index) + 1)))

void log_error(const char *format, ...) LOG_PRINTF(1);
void log_warning(const char *format, ...) LOG_PRINTF(1);
void log_info(const char *format, ...) LOG_PRINTF(1);
void log_debug(const char *format, ...) LOG_PRINTF(1);

#endif
