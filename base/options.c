/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing; runs on the main thread and prints to stdout and stderr. Cannot fail otherwise. */
#include "base/options.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <getopt.h>

#define HELP_COLUMN 22

enum { FLAG_HELP = 'h', FLAG_VERSION = 'v', FLAG_ROW = 1000 };

bool option_whole(const char *text, uint32_t low, uint32_t high, uint32_t *ret_number)
{
    char *end;

    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || number < low ||
        number > high)
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

bool option_size(const char *text, uint32_t side_max, uint32_t *ret_width, uint32_t *ret_height)
{
    char left[12] = "";
    const char *cross = strchr(text, 'x');
    uint32_t width;

    if (!cross || (size_t)(cross - text) >= sizeof(left))
        return false;
    memcpy(left, text, (size_t)(cross - text));
    if (!option_whole(left, 1, side_max, &width) ||
        !option_whole(cross + 1, 1, side_max, ret_height))
        return false;
    *ret_width = width;
    return true;
}

enum option_result option_wrong(const struct option_program *program, const char *flag,
                                const char *value, const char *allowed)
{
    fprintf(stderr, "%s: --%s %s is not valid: give %s\n", program->name, flag, value, allowed);
    return OPTION_WRONG;
}

/* ---- the table -------------------------------------------------------------------------------
 */

/* Row number i, counted over all groups; NULL: there are fewer. */
static const struct option_row *row_at(const struct option_program *program, size_t i,
                                       void **ret_into)
{
    for (size_t group = 0; group < program->group_count; group++) {
        const struct option_group *at = &program->groups[group];
        if (i < at->row_count) {
            *ret_into = at->into;
            return &at->rows[i];
        }
        i -= at->row_count;
    }
    return NULL;
}

static void print_row(const struct option_row *row)
{
    const char *help = row->help;
    int used = printf("  --%s%s%s", row->flag, row->value ? " " : "", row->value ? row->value : "");

    while (help && *help != '\0') {
        int length = (int)strcspn(help, "\n");
        printf("%*s%.*s\n", used < HELP_COLUMN - 1 ? HELP_COLUMN - used : 2, "", length, help);
        help += length + (help[length] == '\n');
        used = 0;
    }
    if (!row->help)
        putchar('\n');
    if (row->variable)
        printf("%*s(%s%s%s)\n", HELP_COLUMN, "", row->variable, row->older ? ", " : "",
               row->older ? row->older : "");
}

static void print_help(const struct option_program *program)
{
    const struct option_row *row;
    void *into;

    fputs(program->before, stdout);
    for (size_t i = 0; (row = row_at(program, i, &into)); i++)
        print_row(row);
    printf("  --help, --version\n%s", program->after);
}

/* ---- reading ---------------------------------------------------------------------------------
 */

// NOLINTBEGIN(concurrency-mt-unsafe): before threads start
static const char *from_environment(const struct option_row *row, const char **ret_name)
{
    const char *value = row->variable ? getenv(row->variable) : NULL;

    *ret_name = row->variable;
    if ((!value || !*value) && row->older) {
        value = getenv(row->older);
        *ret_name = row->older;
    }
    return value && *value ? value : NULL;
}

static enum option_result read_environment(const struct option_program *program)
{
    const struct option_row *row;
    void *into;

    for (size_t i = 0; (row = row_at(program, i, &into)); i++) {
        const char *name;
        const char *value = from_environment(row, &name);
        if (!value || row->read(into, value))
            continue;
        fprintf(stderr, "%s: %s=%s in the environment is not valid: give %s\n", program->name, name,
                value, row->allowed);
        return OPTION_WRONG;
    }
    return OPTION_GO;
}

static enum option_result take(const struct option_program *program, int code)
{
    void *into = NULL;

    if (code == FLAG_HELP) {
        print_help(program);
        return OPTION_DONE;
    }
    if (code == FLAG_VERSION) {
        printf("%s %s\n", program->name, program->version);
        return OPTION_DONE;
    }
    if (code < FLAG_ROW) { /* getopt has said what is wrong */
        fprintf(stderr, "%s --help lists the options\n", program->name);
        return OPTION_WRONG;
    }
    const struct option_row *row = row_at(program, (size_t)(code - FLAG_ROW), &into);
    if (!row->read(into, optarg))
        return option_wrong(program, row->flag, optarg ? optarg : "", row->allowed);
    return OPTION_GO;
}

static enum option_result take_operands(const struct option_program *program, int argc, char **argv)
{
    for (int i = optind; i < argc; i++) {
        if (program->operand && program->operand(program->groups[0].into, argv[i]))
            continue;
        fprintf(stderr, "%s: '%s' is not an option: %s --help lists them\n", program->name, argv[i],
                program->name);
        return OPTION_WRONG;
    }
    return OPTION_GO;
}

enum option_result option_read(const struct option_program *program, int argc, char **argv)
{
    struct option flags[OPTION_ROWS_MAX + 3] = {0};
    const struct option_row *row;
    size_t count = 0;
    void *into;
    int code;

    enum option_result result = read_environment(program);
    if (result != OPTION_GO)
        return result;
    for (; (row = row_at(program, count, &into)); count++) {
        assert(count < OPTION_ROWS_MAX);
        flags[count] = (struct option){row->flag, row->value ? required_argument : no_argument,
                                       NULL, FLAG_ROW + (int)count};
    }
    flags[count++] = (struct option){"help", no_argument, NULL, FLAG_HELP};
    flags[count] = (struct option){"version", no_argument, NULL, FLAG_VERSION};
    optind = 0; /* GNU getopt starts anew, for a test that reads twice */
    while ((code = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        result = take(program, code);
        if (result != OPTION_GO)
            return result;
    }
    return take_operands(program, argc, argv);
}
// NOLINTEND(concurrency-mt-unsafe)
