/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of simcastd. One table (config_table.c) names each key once: its place in the YAML file,
 * its environment variable, the name that the service which simcastd replaces used, its flag, its
 * type and range. From weak to strong: default, systemd's credentials, file, environment, flags.
 *
 * Thread: the main thread, before anything else starts.
 */
#ifndef SIMCAST_DAEMON_CONFIG_H
#define SIMCAST_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

#define CONFIG_TEXT_BYTES 512
#define CONFIG_ERROR_BYTES 1024

enum video_source { VIDEO_SOURCE_AUTO, VIDEO_SOURCE_RING, VIDEO_SOURCE_LEGACY };

struct config {
    char listen[CONFIG_TEXT_BYTES];          /* ADDRESS:PORT or unix:/PATH, comma-separated */
    bool insecure;                           /* other addresses than loopback are allowed */
    char web_dir[CONFIG_TEXT_BYTES];         /* "": the installed viewer */
    char allowed_origins[CONFIG_TEXT_BYTES]; /* "https://a.example, ...": beside the own one */
    char allowed_hosts[CONFIG_TEXT_BYTES];   /* "robot.example, ...": beside numbers, localhost */
    char token_file[CONFIG_TEXT_BYTES];      /* "": everybody is an operator */
    char tls_cert[CONFIG_TEXT_BYTES];
    char tls_key[CONFIG_TEXT_BYTES];
    enum log_level log_level;
    enum log_format log_format;
    char ipc_dir[CONFIG_TEXT_BYTES];
    char stream[CONFIG_TEXT_BYTES];
    char bus_url[CONFIG_TEXT_BYTES]; /* "": ipc://<ipc_dir> */
    char bus_login[CONFIG_TEXT_BYTES];
    char bus_ca[CONFIG_TEXT_BYTES];
    char bus_cert[CONFIG_TEXT_BYTES];
    char bus_key[CONFIG_TEXT_BYTES];

    enum video_source video_source;
    char legacy_path[CONFIG_TEXT_BYTES];
    uint32_t legacy_bytes; /* size of the legacy slot's file */
    bool legacy_crc;
    uint32_t keyframe_coalesce_ms;
    uint32_t keyframe_timeout_ms; /* a client that waits this long: ask again */

    char telemetry_subjects[CONFIG_TEXT_BYTES]; /* patterns, comma-separated */
    uint32_t telemetry_bytes_max;
    uint32_t telemetry_queue; /* messages held for a slow client */

    uint32_t clients_max;
    uint32_t clients_per_address; /* 0: no limit */
    uint32_t operator_slots;
    uint32_t handshakes_max; /* connections that have not asked for anything yet */
    uint32_t stalled_s;      /* a client took no whole picture for this long: hang up; 0: never */
    uint32_t commands_per_s;
    uint32_t telemetry_per_s; /* 0: no limit */

    uint32_t gate_hold_ms;
    uint32_t gate_estop_ms;
    uint32_t gate_codec_grace_ms;
    uint32_t gate_deadman_ms;
    char gate_speed_max[CONFIG_TEXT_BYTES];

    bool check_only; /* --check-config: not a key of the file */
};

enum config_outcome {
    CONFIG_RUN,     /* start with these settings */
    CONFIG_EXIT_OK, /* --help, --version, --check-config: all said, exit 0 */
    CONFIG_INVALID, /* ret_error says what, where, and what was expected: exit 78 */
};

/*
 * Fills *ret_config from all sources and checks the whole. `environ_get` is getenv or a test's
 * stand-in. ret_error (CONFIG_ERROR_BYTES) names the file and line, the variable or the flag where
 * the fault is, the key, and what was expected. --check-config also reads the files that the
 * settings name.
 */
enum config_outcome config_load(int argc, char **argv, const char *(*environ_get)(const char *),
                                struct config *ret_config, char *ret_error);

#define CONFIG_NAMES_BYTES 512

/* Keys that another reading found changed, as "limits.clients, ...", or "" */
struct config_changes {
    char applied[CONFIG_NAMES_BYTES];
    char need_restart[CONFIG_NAMES_BYTES];
};

/*
 * Reads all sources again, as the last config_load did, and copies into *config what may change
 * while running. Errors: -EINVAL, and nothing is changed; ret_error as config_load's.
 */
int config_reload(struct config *config, struct config_changes *ret_changes, char *ret_error);

struct config_file_key {
    const char *section; /* "" for the top level */
    const char *name;
};

/* What a YAML file may hold, and who is told of it. */
struct config_file_schema {
    const struct config_file_key *keys;
    size_t key_count;
    int (*set)(void *data, size_t key, const char *text, size_t line);
    void *data;
};

/*
 * Reads a YAML file and calls `set` for each key that has a value in it, as text. Stops at the
 * first fault. Errors: -ENOENT and others from the system; -EINVAL not YAML, an unknown key, or the
 * same one twice (ret_error says which, on which line, and what was expected); or what `set`
 * returned.
 */
int config_file_read(const char *path, const struct config_file_schema *schema, char *ret_error);

#endif
