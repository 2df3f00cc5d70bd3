/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a log line looks in each format; pure functions for base/log.c. Each writes at most
 * `text_bytes` into `text`, cuts the message if it must, and returns the length. What a peer put
 * into a message can forge neither a second line nor a field.
 *
 * Thread: any. Cost: no allocation.
 */
#ifndef SIMCAST_BASE_LOG_LINE_H
#define SIMCAST_BASE_LOG_LINE_H

#include <stddef.h>
#include <stdint.h>

struct log_line {
    const char *level;   /* "warning" */
    const char *program; /* plain words: copied as they are */
    const char *thread;
    const char *message;
    int pid;
    int priority; /* as syslog has it */
    int64_t wall_ns;
};

/* Ended by a newline. Of an error or a warning, text also says that it is one. */
size_t log_line_text(const struct log_line *line, char *text, size_t text_bytes);
size_t log_line_prefixed(const struct log_line *line, char *text, size_t text_bytes);
size_t log_line_json(const struct log_line *line, char *text, size_t text_bytes);

/* One datagram of the journal's own protocol, "FIELD=value" lines. Source: systemd's
 * JOURNAL_NATIVE_PROTOCOL. */
size_t log_line_journal(const struct log_line *line, char *text, size_t text_bytes);

#endif
