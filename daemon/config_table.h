/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of settings: each key once, with its place in the YAML file, its variable, its
 * flag, its type and range. daemon/config.c reads all sources by it; the example file, --help and
 * the manual follow it.
 *
 * Thread: any; it is constant.
 */
#ifndef SIMCAST_DAEMON_CONFIG_TABLE_H
#define SIMCAST_DAEMON_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/config.h"

enum config_type { CONFIG_TEXT, CONFIG_BOOL, CONFIG_NUMBER, CONFIG_CHOICE };

struct config_key {
    struct config_file_key file;
    const char *flag;
    const char *environment;
    const char *alias; /* the replaced service's variable; NULL: none */
    bool reloads;      /* SIGHUP changes it; the others need a restart */
    enum config_type type;
    size_t offset;              /* in struct config */
    uint32_t low, high;         /* CONFIG_NUMBER */
    const char *const *choices; /* CONFIG_CHOICE: NULL-terminated, index = value */
    const char *value;          /* default */
    const char *help;
};

#define CONFIG_KEY_COUNT 38

extern const struct config_key config_keys[CONFIG_KEY_COUNT];

#endif
