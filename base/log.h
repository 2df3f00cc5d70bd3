/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines on stderr: one line, one write(2). Under journald each line carries its priority as
 * "<N>", which journald strips and stores; on a terminal it carries the program's name.
 *
 * A message says what happened, to which thing, and what the reader can do about it.
 *
 * Thread: any; lines of different threads never interleave. Cost: one write(2); lines over
 * LOG_LINE_BYTES are cut. Never allocates.
 */
#ifndef SIMCAST_BASE_LOG_H
#define SIMCAST_BASE_LOG_H

#define LOG_LINE_BYTES 1024

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

/*
 * Names the program and sets the least severe level that is written (default: info).
 * `program` is borrowed for the life of the process. Call once, before other threads start.
 */
void log_init(const char *program, enum log_level level);

/* Parses "error", "warning", "info" or "debug". Returns 0, or -EINVAL and leaves ret_level. */
int log_level_parse(const char *text, enum log_level *ret_level);

#define LOG_PRINTF(fmt_index) __attribute__((format(printf, (fmt_index), (fmt_index) + 1)))

void log_error(const char *format, ...) LOG_PRINTF(1);
void log_warning(const char *format, ...) LOG_PRINTF(1);
void log_info(const char *format, ...) LOG_PRINTF(1);
void log_debug(const char *format, ...) LOG_PRINTF(1);

#endif
