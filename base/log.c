/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the process-wide program name and level, both set before threads start. A line that
 * cannot be written is lost: logging never fails its caller.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *program_name = "simcast";
static enum log_level level_max = LOG_LEVEL_INFO;
static bool to_journal;

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int syslog_priorities[] = {3, 4, 6, 7};

void log_init(const char *program, enum log_level level)
{
    program_name = program;
    level_max = level;
    to_journal = getenv("JOURNAL_STREAM") && !isatty(STDERR_FILENO);
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

static void write_line(enum log_level level, const char *format, va_list args)
{
    char line[LOG_LINE_BYTES];
    int used;

    if (level > level_max)
        return;
    if (to_journal)
        used = snprintf(line, sizeof(line), "<%d>", syslog_priorities[level]);
    else if (level <= LOG_LEVEL_WARNING)
        used = snprintf(line, sizeof(line), "%s: %s: ", program_name, level_names[level]);
    else
        used = snprintf(line, sizeof(line), "%s: ", program_name);
    if (used < 0 || (size_t)used >= sizeof(line))
        return;
    int body = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, args);
    if (body < 0)
        return;
    size_t length = (size_t)used + (size_t)body;
    if (length > sizeof(line) - 2)
        length = sizeof(line) - 2;
    line[length++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written;
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
