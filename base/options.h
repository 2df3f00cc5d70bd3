/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags and environment of a program: one table says how each is called, what it takes, how its
 * value is read and what the help says of it.
 *
 * Defaults come first, then the environment, then the command line. A variable that is empty is
 * as if it was not there.
 *
 * Thread: once, before threads start. Cost: a getenv per row.
 */
#ifndef SIMCAST_BASE_OPTIONS_H
#define SIMCAST_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTION_ROWS_MAX 64

struct option_row {
    const char *flag;     /* "rate": --rate */
    const char *variable; /* NULL: none in the environment */
    const char *older;    /* a second variable, asked when that is not there; NULL: none */
    const char *value;    /* what the help calls the value; NULL: the flag takes none */
    /* Stores the value in the group's `into`; false: it is not valid. NULL for a bare flag. */
    bool (*read)(void *into, const char *value);
    const char *allowed; /* "give ...": what is valid, for the message */
    const char *help;    /* lines of 76 characters at most; NULL: of the row above */
};

/* Rows that belong together, and where their readers store what they read. */
struct option_group {
    const struct option_row *rows;
    size_t row_count;
    void *into;
};

struct option_program {
    const char *name;    /* "simcast-hal" */
    const char *version; /* "0.1.0" */
    const char *before;  /* the help above the options, ended by a newline */
    const char *after;   /* and below them */
    bool (*operand)(void *into, const char *word); /* of the first group; NULL: none are taken */
    const struct option_group *groups;
    size_t group_count;
};

enum option_result {
    OPTION_GO,    /* all is read */
    OPTION_DONE,  /* --help or --version has been answered on stdout */
    OPTION_WRONG, /* said on stderr what, and what to write instead */
};

/* Reads environment and arguments. At most OPTION_ROWS_MAX rows in all. */
enum option_result option_read(const struct option_program *program, int argc, char **argv);

/* Says that a value is wrong, as option_read does, for what can only be judged at the end. */
enum option_result option_wrong(const struct option_program *program, const char *flag,
                                const char *value, const char *allowed);

/* Readers of values. Each leaves its result alone when the text is not valid. */
bool option_whole(const char *text, uint32_t low, uint32_t high, uint32_t *ret_number);
bool option_size(const char *text, uint32_t side_max, uint32_t *ret_width, uint32_t *ret_height);

#endif
