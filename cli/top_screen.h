/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The view in words: a screen of a given size, 80 columns and more, or one JSON object.
 *
 * Thread: any. Cost: no I/O but the printing.
 */
#ifndef SIMCAST_CLI_TOP_SCREEN_H
#define SIMCAST_CLI_TOP_SCREEN_H

#include <stdio.h>

#include "cli/top_view.h"

#define TOP_LINE_BYTES 256
#define TOP_LINES_MAX 512

enum top_style { TOP_PLAIN, TOP_TITLE, TOP_HEADING, TOP_ALARM };

struct top_line {
    enum top_style style;
    char text[TOP_LINE_BYTES];
};

struct top_screen {
    unsigned width;  /* columns to fill, at most TOP_LINE_BYTES - 1 */
    unsigned height; /* lines to fill; 0: as many as it takes */
    unsigned count;
    struct top_line lines[TOP_LINES_MAX];
};

/* Fills the lines for width and height. Where not all rows fit, the last says how many more. */
void top_screen_fill(const struct top_view *view, const char *address, struct top_screen *screen);

/* Seconds as a person reads them, 7 characters at most: "850 us", "12 ms", "3.4 s", "-". */
const char *top_time(double seconds, char text[16]);

/* One line, one object. Errors: -ENOMEM; nothing was printed then. */
int top_print_json(const struct top_view *view, const char *address, FILE *out);

#endif
