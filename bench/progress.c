/* SPDX-License-Identifier: Apache-2.0 */
/* Writes to stderr and cannot fail. */
#include "bench/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define WIPE "\r\033[K"

void progress(const char *format, ...)
{
    va_list arguments;
    int terminal = isatty(STDERR_FILENO);

    va_start(arguments, format);
    if (terminal)
        fputs(WIPE, stderr);
    vfprintf(stderr, format, arguments);
    if (!terminal)
        fputc('\n', stderr);
    fflush(stderr);
    va_end(arguments);
}

void progress_done(void)
{
    if (isatty(STDERR_FILENO))
        fputs(WIPE, stderr);
}
