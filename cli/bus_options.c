/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the rows that all actions have. On the main thread; what is wrong is said on stderr. */
#include "cli/bus_options.h"

#include "cli/values.h"
#include "shm/ring.h"

#define TIMEOUT_S_DEFAULT 5
#define TIMEOUT_S_MAX 86400

static bool read_ipc_dir(void *into, const char *value)
{
    ((struct bus_options *)into)->ipc_dir = value;
    return *value != '\0';
}

static bool read_bus(void *into, const char *value)
{
    ((struct bus_options *)into)->url = value;
    return *value != '\0';
}

static bool read_timeout(void *into, const char *value)
{
    return option_whole(value, 0, TIMEOUT_S_MAX, &((struct bus_options *)into)->timeout_s);
}

static const struct option_row rows[] = {
    {"bus", "SIMCAST_BUS_URL", "SDR_NATS_URL", "URL", read_bus,
     "nats://host:4222 or ipc:///directory",
     "nats://host:4222, several with commas, or ipc:///directory\n(default: ipc://<ipc-dir>)"},
    {"ipc-dir", "SIMCAST_IPC_DIR", NULL, "DIR", read_ipc_dir, "a directory",
     "where the local bus is (default " RING_DIR_DEFAULT ")"},
    {"timeout", NULL, NULL, "N", read_timeout, "a whole number of seconds, 0: wait for ever",
     "seconds to wait for the bus (default 5; 0: for ever)"},
};

static bool take_pattern(void *into, const char *word)
{
    struct bus_patterns *patterns = into;

    if (patterns->count == BUS_SUBSCRIPTIONS_MAX)
        return false;
    patterns->words[patterns->count++] = word;
    return true;
}

struct bus_options bus_options_defaults(void)
{
    return (struct bus_options){.ipc_dir = value_ipc_dir(), .timeout_s = TIMEOUT_S_DEFAULT};
}

enum option_result bus_options_read(const struct bus_action *action, int argc, char **argv)
{
    struct bus_patterns *patterns = action->patterns;
    /* The first group has no rows: it says where operands go. */
    const struct option_group groups[] = {
        {.into = patterns ? patterns : action->own.into},
        action->own,
        {rows, sizeof(rows) / sizeof(rows[0]), action->options},
        BUS_ACCESS_GROUP,
    };
    const struct option_program program = {
        .name = action->name,
        .version = SIMCAST_VERSION,
        .before = action->before,
        .after = action->after,
        .operand = patterns ? take_pattern : action->operand,
        .groups = groups,
        .group_count = sizeof(groups) / sizeof(groups[0]),
    };
    enum option_result result = option_read(&program, argc, argv);

    if (result == OPTION_GO && patterns && patterns->count == 0) {
        take_pattern(patterns, "telemetry.>");
        take_pattern(patterns, "command.>");
    }
    return result;
}
