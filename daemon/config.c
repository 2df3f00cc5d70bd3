/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the table of keys. Everything that can be wrong with a setting is found here, before a
 * socket is opened, and said in one sentence.
 */
#include "daemon/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <getopt.h>

#include "daemon/config_paths.h"
#include "daemon/listen.h"
#include "shm/ring.h"

enum type { TYPE_TEXT, TYPE_BOOL, TYPE_NUMBER, TYPE_CHOICE };

struct key {
    struct config_file_key file;
    const char *flag;
    const char *environment;
    const char *alias; /* the replaced service's variable */
    enum type type;
    size_t offset;
    uint32_t low, high;         /* NUMBER */
    const char *const *choices; /* CHOICE: NULL-terminated, index = value */
    const char *value;          /* default */
    const char *help;
};

static const char *const source_choices[] = {"auto", "ring", "legacy", NULL};
static const char *const level_choices[] = {"error", "warning", "info", "debug", NULL};

#define AT(member) .offset = offsetof(struct config, member)
#define RANGE(low_value, high_value) .type = TYPE_NUMBER, .low = (low_value), .high = (high_value)

static const struct key keys[] = {
    {.file = {"", "listen"},
     .flag = "listen",
     .environment = "SIMCAST_LISTEN",
     .alias = "SDR_LISTEN_ADDR",
     AT(listen),
     .value = "127.0.0.1:8080",
     .help = "ADDRESS:PORT to serve browsers on"},
    {.file = {"", "insecure"},
     .flag = "insecure",
     .environment = "SIMCAST_INSECURE",
     .type = TYPE_BOOL,
     AT(insecure),
     .value = "false",
     .help = "allow listening beyond this machine without any authentication"},
    {.file = {"", "web_dir"},
     .flag = "web-dir",
     .environment = "SIMCAST_WEB_DIR",
     AT(web_dir),
     .value = "",
     .help = "directory of the viewer's files (default: the installed one)"},
    {.file = {"", "allowed_origins"},
     .flag = "allowed-origins",
     .environment = "SIMCAST_ALLOWED_ORIGINS",
     AT(allowed_origins),
     .value = "",
     .help = "other sites whose pages may connect, e.g. https://a.example, comma-separated"},
    {.file = {"", "allowed_hosts"},
     .flag = "allowed-hosts",
     .environment = "SIMCAST_ALLOWED_HOSTS",
     AT(allowed_hosts),
     .value = "",
     .help = "names that browsers may call this server by, besides numbers and localhost"},
    {.file = {"", "token_file"},
     .flag = "token-file",
     .environment = "SIMCAST_TOKEN_FILE",
     AT(token_file),
     .value = "",
     .help = "who may watch and who may command: lines of ROLE NAME TOKEN"},
    {.file = {"", "tls_cert"},
     .flag = "tls-cert",
     .environment = "SIMCAST_TLS_CERT",
     AT(tls_cert),
     .value = "",
     .help = "certificate chain, PEM; serves https and wss"},
    {.file = {"", "tls_key"},
     .flag = "tls-key",
     .environment = "SIMCAST_TLS_KEY",
     AT(tls_key),
     .value = "",
     .help = "its private key, PEM"},
    {.file = {"", "log_level"},
     .flag = "log-level",
     .environment = "SIMCAST_LOG_LEVEL",
     .type = TYPE_CHOICE,
     .choices = level_choices,
     AT(log_level),
     .value = "info",
     .help = "error, warning, info or debug"},
    {.file = {"", "ipc_dir"},
     .flag = "ipc-dir",
     .environment = "SIMCAST_IPC_DIR",
     AT(ipc_dir),
     .value = RING_DIR_DEFAULT,
     .help = "directory of the rings' and the local bus's sockets"},
    {.file = {"", "stream"},
     .flag = "stream",
     .environment = "SIMCAST_STREAM",
     AT(stream),
     .value = "front",
     .help = "name of the stream to serve"},
    {.file = {"", "bus_url"},
     .flag = "bus",
     .environment = "SIMCAST_BUS_URL",
     .alias = "SDR_NATS_URL",
     AT(bus_url),
     .value = "",
     .help = "nats://host:4222, or ipc:///dir (default: ipc://<ipc-dir>, served by simcastd)"},

    {.file = {"video", "source"},
     .flag = "video-source",
     .environment = "SIMCAST_VIDEO_SOURCE",
     .type = TYPE_CHOICE,
     .choices = source_choices,
     AT(video_source),
     .value = "auto",
     .help = "ring, legacy, or auto: the ring while it delivers, else the legacy file"},
    {.file = {"video", "legacy_path"},
     .flag = "legacy-path",
     .environment = "SIMCAST_LEGACY_PATH",
     .alias = "SDR_SHM_PATH",
     AT(legacy_path),
     .value = RING_DIR_DEFAULT "/frames",
     .help = "the legacy frame slot"},
    {.file = {"video", "legacy_bytes"},
     .flag = "legacy-bytes",
     .environment = "SIMCAST_LEGACY_BYTES",
     .alias = "SDR_SHM_SIZE",
     RANGE(4096, 256 * 1024 * 1024),
     AT(legacy_bytes),
     .value = "4194304",
     .help = "size of the legacy slot's file"},
    {.file = {"video", "legacy_crc"},
     .flag = "legacy-crc",
     .environment = "SIMCAST_LEGACY_CRC",
     .alias = "SDR_CRC_ENABLED",
     .type = TYPE_BOOL,
     AT(legacy_crc),
     .value = "true",
     .help = "check the CRC of frames from the legacy slot"},
    {.file = {"video", "keyframe_coalesce_ms"},
     .flag = "keyframe-coalesce-ms",
     .environment = "SIMCAST_KEYFRAME_COALESCE_MS",
     .alias = "SDR_IDR_COALESCE_MS",
     RANGE(0, 60000),
     AT(keyframe_coalesce_ms),
     .value = "500",
     .help = "at most one keyframe request per this time"},
    {.file = {"video", "keyframe_timeout_ms"},
     .flag = "keyframe-timeout-ms",
     .environment = "SIMCAST_KEYFRAME_TIMEOUT_MS",
     .alias = "SDR_IDR_TIMEOUT_MS",
     RANGE(100, 600000),
     AT(keyframe_timeout_ms),
     .value = "5000",
     .help = "ask again when clients waited this long for a keyframe"},

    {.file = {"telemetry", "subjects"},
     .flag = "telemetry-subjects",
     .environment = "SIMCAST_TELEMETRY_SUBJECTS",
     .alias = "SDR_TELEMETRY_SUBJECTS",
     AT(telemetry_subjects),
     .value = "telemetry.>",
     .help = "subjects forwarded to the clients, comma-separated, with * and >"},
    {.file = {"telemetry", "bytes_max"},
     .flag = "telemetry-bytes-max",
     .environment = "SIMCAST_TELEMETRY_BYTES_MAX",
     .alias = "SDR_TELEMETRY_MAX_SIZE",
     RANGE(1, 65536),
     AT(telemetry_bytes_max),
     .value = "65536",
     .help = "longer telemetry payloads are dropped and counted"},
    {.file = {"telemetry", "queue"},
     .flag = "telemetry-queue",
     .environment = "SIMCAST_TELEMETRY_QUEUE",
     .alias = "SDR_BROADCAST_CAPACITY",
     RANGE(1, 4096),
     AT(telemetry_queue),
     .value = "64",
     .help = "messages kept for a client that reads slowly; the oldest are dropped"},

    {.file = {"limits", "clients"},
     .flag = "clients-max",
     .environment = "SIMCAST_CLIENTS_MAX",
     RANGE(1, 30000),
     AT(clients_max),
     .value = "1000",
     .help = "clients at the same time"},
    {.file = {"limits", "clients_per_address"},
     .flag = "clients-per-address",
     .environment = "SIMCAST_CLIENTS_PER_ADDRESS",
     RANGE(0, 30000),
     AT(clients_per_address),
     .value = "0",
     .help = "of these from one address; 0: no limit, as behind a proxy"},
    {.file = {"limits", "operator_slots"},
     .flag = "operator-slots",
     .environment = "SIMCAST_OPERATOR_SLOTS",
     RANGE(0, 1000),
     AT(operator_slots),
     .value = "4",
     .help = "of the clients, kept free of viewers when tokens are in use"},
    {.file = {"limits", "commands_per_s"},
     .flag = "commands-per-s",
     .environment = "SIMCAST_COMMANDS_PER_S",
     RANGE(1, 100000),
     AT(commands_per_s),
     .value = "50",
     .help = "commands of one client; a stop is never counted"},

    {.file = {"gate", "hold_ms"},
     .flag = "gate-hold-ms",
     .environment = "SIMCAST_GATE_HOLD_MS",
     .alias = "SDR_VIDEO_GATE_HOLD_MS",
     RANGE(100, 60000),
     AT(gate_hold_ms),
     .value = "1000",
     .help = "newest frame older than this: the robot holds"},
    {.file = {"gate", "estop_ms"},
     .flag = "gate-estop-ms",
     .environment = "SIMCAST_GATE_ESTOP_MS",
     .alias = "SDR_VIDEO_GATE_ESTOP_MS",
     RANGE(200, 600000),
     AT(gate_estop_ms),
     .value = "5000",
     .help = "newest frame older than this: emergency stop"},
    {.file = {"gate", "codec_grace_ms"},
     .flag = "gate-codec-grace-ms",
     .environment = "SIMCAST_GATE_CODEC_GRACE_MS",
     .alias = "SDR_VIDEO_GATE_CODEC_CHANGE_GRACE_MS",
     RANGE(0, 60000),
     AT(gate_codec_grace_ms),
     .value = "2000",
     .help = "added to estop_ms after a change of codec"},
};

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

/* The replaced service knew one more variable; simcastd always resumes at a keyframe. */
static const char *const ignored_variables[] = {"SDR_SHM_KEYFRAME_GATING"};

enum { OPTION_CONFIG = 1000, OPTION_CHECK, OPTION_HELP, OPTION_VERSION };

struct loading {
    struct config *config;
    const char *(*environ_get)(const char *);
    const char *file; /* of the YAML file being read */
    char *error;
};

static int parse_bool(const char *text, bool *ret_value)
{
    static const struct {
        const char *text;
        bool value;
    } words[] = {{"true", true},   {"yes", true}, {"on", true},   {"1", true},
                 {"false", false}, {"no", false}, {"off", false}, {"0", false}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i].text) == 0) {
            *ret_value = words[i].value;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_number(const char *text, const struct key *key, uint32_t *ret_value)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return -EINVAL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || errno != 0 || value < key->low || value > key->high)
        return -EINVAL;
    *ret_value = (uint32_t)value;
    return 0;
}

static int parse_choice(const char *text, const char *const *choices, int *ret_value)
{
    for (int i = 0; choices[i]; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *ret_value = i;
            return 0;
        }
    }
    return -EINVAL;
}

static void say_expected(const struct key *key, char *text, size_t text_bytes)
{
    switch (key->type) {
    case TYPE_BOOL:
        snprintf(text, text_bytes, "true or false");
        break;
    case TYPE_NUMBER:
        snprintf(text, text_bytes, "a whole number from %u to %u", key->low, key->high);
        break;
    case TYPE_CHOICE:
        snprintf(text, text_bytes, "one of");
        for (size_t i = 0; key->choices[i]; i++) {
            size_t used = strlen(text);
            snprintf(text + used, text_bytes - used, "%s %s", i > 0 ? "," : "", key->choices[i]);
        }
        break;
    case TYPE_TEXT:
        snprintf(text, text_bytes, "at most %d bytes", CONFIG_TEXT_BYTES - 1);
        break;
    }
}

/* `origin` names the place that the person has to correct. */
static int set_key(struct loading *loading, const struct key *key, const char *text,
                   const char *origin)
{
    char *field = (char *)loading->config + key->offset;
    char expected[128];
    bool truth = false;
    uint32_t number = 0;
    int choice = 0;
    int error = 0;

    switch (key->type) {
    case TYPE_TEXT:
        if (strlen(text) >= CONFIG_TEXT_BYTES)
            error = -EINVAL;
        else
            memcpy(field, text, strlen(text) + 1);
        break;
    case TYPE_BOOL:
        error = parse_bool(text, &truth);
        if (error == 0)
            memcpy(field, &truth, sizeof(truth));
        break;
    case TYPE_NUMBER:
        error = parse_number(text, key, &number);
        if (error == 0)
            memcpy(field, &number, sizeof(number));
        break;
    case TYPE_CHOICE:
        error = parse_choice(text, key->choices, &choice);
        if (error == 0)
            memcpy(field, &choice, sizeof(choice));
        break;
    }
    if (error < 0) {
        say_expected(key, expected, sizeof(expected));
        snprintf(loading->error, CONFIG_ERROR_BYTES, "%s: expected %s, got '%.80s'", origin,
                 expected, text);
    }
    return error;
}

static int set_from_file(void *data, size_t index, const char *text)
{
    struct loading *loading = data;
    const struct key *key = &keys[index];
    char origin[CONFIG_ERROR_BYTES];

    snprintf(origin, sizeof(origin), "%s: %s%s%s", loading->file, key->file.section,
             key->file.section[0] != '\0' ? "." : "", key->file.name);
    return set_key(loading, key, text, origin);
}

static int read_file(struct loading *loading, const char *path, bool required)
{
    struct config_file_key file_keys[KEY_COUNT];

    for (size_t i = 0; i < KEY_COUNT; i++)
        file_keys[i] = keys[i].file;
    loading->file = path;
    int error = config_file_read(path,
                                 &(struct config_file_schema){
                                     .keys = file_keys,
                                     .key_count = KEY_COUNT,
                                     .set = set_from_file,
                                     .data = loading,
                                 },
                                 loading->error);
    return error == -ENOENT && !required ? 0 : error;
}

static int read_environment(struct loading *loading)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const char *name = keys[i].environment;
        const char *text = loading->environ_get(name);
        if (!text && keys[i].alias) {
            name = keys[i].alias;
            text = loading->environ_get(name);
        }
        if (text && set_key(loading, &keys[i], text, name) < 0)
            return -EINVAL;
    }
    for (size_t i = 0; i < sizeof(ignored_variables) / sizeof(ignored_variables[0]); i++) {
        if (loading->environ_get(ignored_variables[i]))
            log_debug("%s is ignored: clients always resume at a keyframe", ignored_variables[i]);
    }
    return 0;
}

static void print_help(void)
{
    printf("Usage: simcastd [OPTION]...\n"
           "Serves the video and telemetry of a robot simulator to browsers, and their commands\n"
           "back to it. Try: simcastd, then open http://localhost:8080\n\n"
           "Settings, from weak to strong: default, file, environment, option.\n\n"
           "  --config FILE             (SIMCAST_CONFIG; %s)\n"
           "  --check-config            check the settings and exit: 0 fine, 78 wrong\n"
           "  --help, --version\n",
           CONFIG_FILE_DEFAULT);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct key *key = &keys[i];
        printf("\n  --%s%s\n      %s\n      (%s", key->flag,
               key->type == TYPE_BOOL ? "[=false]" : " VALUE", key->help, key->environment);
        if (key->alias)
            printf(" or %s", key->alias);
        printf("; file: %s%s%s", key->file.section, key->file.section[0] != '\0' ? "." : "",
               key->file.name);
        printf("%s%s)\n", key->value[0] != '\0' ? "; default " : "", key->value);
    }
}

static void build_options(struct option options[KEY_COUNT + 5])
{
    size_t at = 0;

    for (; at < KEY_COUNT; at++) {
        options[at] = (struct option){
            .name = keys[at].flag,
            .has_arg = keys[at].type == TYPE_BOOL ? optional_argument : required_argument,
            .val = (int)at + 1,
        };
    }
    options[at++] = (struct option){"config", required_argument, NULL, OPTION_CONFIG};
    options[at++] = (struct option){"check-config", no_argument, NULL, OPTION_CHECK};
    options[at++] = (struct option){"help", no_argument, NULL, OPTION_HELP};
    options[at++] = (struct option){"version", no_argument, NULL, OPTION_VERSION};
    options[at] = (struct option){0};
}

/* What the options ask for; the values of keys are kept until file and environment were read. */
struct options {
    const char *config_path;
    const char *values[KEY_COUNT];
    bool help;
    bool version;
};

static int read_options(struct loading *loading, int argc, char **argv, struct options *ret)
{
    struct option options[KEY_COUNT + 5];
    int found;

    build_options(options);
    optind = 1;
    opterr = 0;
    while ((found = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (found == OPTION_CONFIG) {
            ret->config_path = optarg;
        } else if (found == OPTION_CHECK) {
            loading->config->check_only = true;
        } else if (found == OPTION_HELP) {
            ret->help = true;
        } else if (found == OPTION_VERSION) {
            ret->version = true;
        } else if (found > 0 && found <= (int)KEY_COUNT) {
            ret->values[found - 1] = optarg ? optarg : "true";
        } else {
            snprintf(loading->error, CONFIG_ERROR_BYTES, "%s '%.80s'; try simcastd --help",
                     found == ':' ? "a value is missing after" : "unknown option",
                     argv[optind - 1]);
            return -EINVAL;
        }
    }
    if (optind < argc) {
        snprintf(loading->error, CONFIG_ERROR_BYTES,
                 "unexpected argument '%.80s'; try simcastd --help", argv[optind]);
        return -EINVAL;
    }
    return 0;
}

static int set_options(struct loading *loading, const struct options *options)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        char origin[64];
        snprintf(origin, sizeof(origin), "--%s", keys[i].flag);
        if (options->values[i] && set_key(loading, &keys[i], options->values[i], origin) < 0)
            return -EINVAL;
    }
    return 0;
}

static int check_whole(const struct config *config, char *error)
{
    char path[CONFIG_TEXT_BYTES];
    bool loopback;

    if (listen_parse(config->listen, &loopback) < 0) {
        snprintf(error, CONFIG_ERROR_BYTES,
                 "listen: expected ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080, got '%.80s'",
                 config->listen);
        return -EINVAL;
    }
    if ((config->tls_cert[0] == '\0') != (config->tls_key[0] == '\0')) {
        snprintf(error, CONFIG_ERROR_BYTES, "tls_cert and tls_key: one without the other");
        return -EINVAL;
    }
    if (!loopback && !config->insecure &&
        (config->token_file[0] == '\0' || config->tls_cert[0] == '\0')) {
        snprintf(error, CONFIG_ERROR_BYTES,
                 "listen: %.80s can be reached from other machines, so it needs --token-file, "
                 "--tls-cert and --tls-key; or use 127.0.0.1, or add --insecure "
                 "(SIMCAST_INSECURE=1) if everybody who can reach it may drive the robot",
                 config->listen);
        return -EINVAL;
    }
    if (ring_socket_path(config->ipc_dir, config->stream, RING_KIND_PACKETS, path, sizeof(path)) <
        0) {
        snprintf(error, CONFIG_ERROR_BYTES,
                 "stream and ipc_dir: expected a name of letters, digits, '-' and '_' and a "
                 "directory that fits a socket's path, got '%.60s' in '%.120s'",
                 config->stream, config->ipc_dir);
        return -EINVAL;
    }
    if (config->bus_url[0] != '\0' && strncmp(config->bus_url, "nats://", 7) != 0 &&
        strncmp(config->bus_url, "tls://", 6) != 0 && strncmp(config->bus_url, "ipc:///", 7) != 0) {
        snprintf(error, CONFIG_ERROR_BYTES,
                 "bus_url: expected nats://HOST:PORT, tls://HOST:PORT or ipc:///DIRECTORY, got "
                 "'%.120s'",
                 config->bus_url);
        return -EINVAL;
    }
    if (config->gate_estop_ms <= config->gate_hold_ms) {
        snprintf(error, CONFIG_ERROR_BYTES, "gate: estop_ms (%u) must be more than hold_ms (%u)",
                 config->gate_estop_ms, config->gate_hold_ms);
        return -EINVAL;
    }
    return 0;
}

static int load(struct loading *loading, const struct options *options)
{
    const char *path = options->config_path;
    bool required = true;

    if (!path)
        path = loading->environ_get("SIMCAST_CONFIG");
    if (!path) {
        path = CONFIG_FILE_DEFAULT;
        required = false;
    }
    if (read_file(loading, path, required) < 0 || read_environment(loading) < 0 ||
        set_options(loading, options) < 0)
        return -EINVAL;
    return check_whole(loading->config, loading->error);
}

enum config_outcome config_load(int argc, char **argv, const char *(*environ_get)(const char *),
                                struct config *ret_config, char *ret_error)
{
    struct config config = {0};
    struct options options = {0};
    struct loading loading = {
        .config = &config,
        .environ_get = environ_get,
    };

    loading.error = ret_error;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (set_key(&loading, &keys[i], keys[i].value, "default") < 0)
            return CONFIG_INVALID;
    }
    if (read_options(&loading, argc, argv, &options) < 0)
        return CONFIG_INVALID;
    if (options.help) {
        print_help();
        return CONFIG_EXIT_OK;
    }
    if (options.version) {
        printf("simcastd %s\n", SIMCAST_VERSION);
        return CONFIG_EXIT_OK;
    }
    if (load(&loading, &options) < 0)
        return CONFIG_INVALID;
    if (config.check_only) {
        printf("the settings are fine\n");
        return CONFIG_EXIT_OK;
    }
    *ret_config = config;
    return CONFIG_RUN;
}
