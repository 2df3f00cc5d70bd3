/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns nothing. Everything that can be wrong with a setting is found here, before a socket is
 * opened, and said in one sentence that begins with the place to correct.
 */
#include "daemon/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <getopt.h>

#include "bus/bus.h"
#include "daemon/auth.h"
#include "daemon/config_paths.h"
#include "daemon/config_table.h"
#include "daemon/listen.h"
#include "safety/limits.h"
#include "shm/ring.h"

/* The replaced service knew one more variable; simcastd always resumes at a keyframe. */
static const char *const ignored_variables[] = {"SDR_SHM_KEYFRAME_GATING"};

enum { OPTION_CONFIG = 1000, OPTION_CHECK, OPTION_HELP, OPTION_VERSION };

/* Where a key's value comes from. */
struct origin {
    const char *source; /* a file, a variable or a flag; NULL: the default */
    size_t line;        /* of the file; 0: it is none */
};

struct loading {
    struct config *config;
    const char *(*environ_get)(const char *);
    const char *file; /* the YAML file being read */
    struct origin origins[CONFIG_KEY_COUNT];
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

static int parse_number(const char *text, const struct config_key *key, uint32_t *ret_value)
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

static void say_expected(const struct config_key *key, char *text, size_t text_bytes)
{
    switch (key->type) {
    case CONFIG_BOOL:
        snprintf(text, text_bytes, "true or false");
        break;
    case CONFIG_NUMBER:
        snprintf(text, text_bytes, "a whole number from %u to %u", key->low, key->high);
        break;
    case CONFIG_CHOICE:
        snprintf(text, text_bytes, "one of");
        for (size_t i = 0; key->choices[i]; i++) {
            size_t used = strlen(text);
            snprintf(text + used, text_bytes - used, "%s %s", i > 0 ? "," : "", key->choices[i]);
        }
        break;
    case CONFIG_TEXT:
        snprintf(text, text_bytes, "at most %d bytes", CONFIG_TEXT_BYTES - 1);
        break;
    }
}

/* The place that the person has to correct: "simcastd.yaml:12: gate.hold_ms", "--gate-hold-ms". */
static void say_origin(const struct loading *loading, const struct config_key *key, char *text,
                       size_t text_bytes)
{
    const struct origin *origin = &loading->origins[key - config_keys];

    if (origin->line > 0)
        snprintf(text, text_bytes, "%.400s:%zu: %s%s%s", origin->source, origin->line,
                 key->file.section, key->file.section[0] != '\0' ? "." : "", key->file.name);
    else
        snprintf(text, text_bytes, "%.400s", origin->source ? origin->source : key->file.name);
}

/* The same of the key whose value stands at `field`. */
static const char *origin_of(const struct loading *loading, const void *field, char text[512])
{
    size_t offset = (size_t)((const char *)field - (const char *)loading->config);

    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        if (config_keys[i].offset == offset)
            say_origin(loading, &config_keys[i], text, 512);
    }
    return text;
}

static int parse_value(const struct config_key *key, const char *text, char *field)
{
    bool truth = false;
    uint32_t number = 0;
    int choice = 0;
    int error = 0;

    switch (key->type) {
    case CONFIG_TEXT:
        if (strlen(text) >= CONFIG_TEXT_BYTES)
            return -EINVAL;
        memcpy(field, text, strlen(text) + 1);
        break;
    case CONFIG_BOOL:
        error = parse_bool(text, &truth);
        if (error == 0)
            memcpy(field, &truth, sizeof(truth));
        break;
    case CONFIG_NUMBER:
        error = parse_number(text, key, &number);
        if (error == 0)
            memcpy(field, &number, sizeof(number));
        break;
    case CONFIG_CHOICE:
        error = parse_choice(text, key->choices, &choice);
        if (error == 0)
            memcpy(field, &choice, sizeof(choice));
        break;
    }
    return error;
}

static int set_key(struct loading *loading, const struct config_key *key, const char *text,
                   struct origin origin)
{
    char place[512];
    char expected[128];

    loading->origins[key - config_keys] = origin;
    if (parse_value(key, text, (char *)loading->config + key->offset) == 0)
        return 0;
    say_origin(loading, key, place, sizeof(place));
    say_expected(key, expected, sizeof(expected));
    snprintf(loading->error, CONFIG_ERROR_BYTES, "%s: expected %s, got '%.80s'", place, expected,
             text);
    return -EINVAL;
}

static int set_from_file(void *data, size_t index, const char *text, size_t line)
{
    struct loading *loading = data;

    return set_key(loading, &config_keys[index], text,
                   (struct origin){.source = loading->file, .line = line});
}

static int read_file(struct loading *loading, const char *path, bool required)
{
    struct config_file_key file_keys[CONFIG_KEY_COUNT];

    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++)
        file_keys[i] = config_keys[i].file;
    loading->file = path;
    int error = config_file_read(path,
                                 &(struct config_file_schema){
                                     .keys = file_keys,
                                     .key_count = CONFIG_KEY_COUNT,
                                     .set = set_from_file,
                                     .data = loading,
                                 },
                                 loading->error);
    return error == -ENOENT && !required ? 0 : error;
}

static int read_environment(struct loading *loading)
{
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const char *name = config_keys[i].environment;
        const char *text = loading->environ_get(name);
        if (!text && config_keys[i].alias) {
            name = config_keys[i].alias;
            text = loading->environ_get(name);
        }
        if (text && set_key(loading, &config_keys[i], text, (struct origin){.source = name}) < 0)
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
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];
        printf("\n  --%s%s\n      %s\n      (%s", key->flag,
               key->type == CONFIG_BOOL ? "[=false]" : " VALUE", key->help, key->environment);
        if (key->alias)
            printf(" or %s", key->alias);
        printf("; file: %s%s%s", key->file.section, key->file.section[0] != '\0' ? "." : "",
               key->file.name);
        printf("%s%s)\n", key->value[0] != '\0' ? "; default " : "", key->value);
    }
}

static void build_options(struct option options[CONFIG_KEY_COUNT + 5])
{
    size_t at = 0;

    for (; at < CONFIG_KEY_COUNT; at++) {
        options[at] = (struct option){
            .name = config_keys[at].flag,
            .has_arg = config_keys[at].type == CONFIG_BOOL ? optional_argument : required_argument,
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
    const char *values[CONFIG_KEY_COUNT];
    bool help;
    bool version;
};

static int read_options(struct loading *loading, int argc, char **argv, struct options *ret)
{
    struct option options[CONFIG_KEY_COUNT + 5];
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
        } else if (found > 0 && found <= (int)CONFIG_KEY_COUNT) {
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
    static char flags[CONFIG_KEY_COUNT][32]; /* origins borrow them */

    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        snprintf(flags[i], sizeof(flags[i]), "--%s", config_keys[i].flag);
        if (options->values[i] && set_key(loading, &config_keys[i], options->values[i],
                                          (struct origin){.source = flags[i]}) < 0)
            return -EINVAL;
    }
    return 0;
}

/*
 * systemd hands secrets to a service as files in a directory of its own (LoadCredential=). What
 * stands there under these names is used unless a stronger source names another file.
 */
static int set_credentials(struct loading *loading)
{
    static const struct {
        const char *name;
        const char *flag;
    } credentials[] = {
        {"simcast.tokens", "token-file"},
        {"simcast.cert", "tls-cert"},
        {"simcast.key", "tls-key"},
    };
    const char *directory = loading->environ_get("CREDENTIALS_DIRECTORY");
    char path[CONFIG_TEXT_BYTES];

    for (size_t i = 0; directory && i < sizeof(credentials) / sizeof(credentials[0]); i++) {
        int length = snprintf(path, sizeof(path), "%s/%s", directory, credentials[i].name);
        if (length < 0 || (size_t)length >= sizeof(path) || access(path, F_OK) < 0)
            continue;
        for (size_t at = 0; at < CONFIG_KEY_COUNT; at++) {
            if (strcmp(config_keys[at].flag, credentials[i].flag) == 0 &&
                set_key(loading, &config_keys[at], path,
                        (struct origin){.source = "CREDENTIALS_DIRECTORY"}) < 0)
                return -EINVAL;
        }
    }
    return 0;
}

static int check_listen(const struct loading *loading)
{
    const struct config *config = loading->config;
    char place[512];
    bool remote;

    if (listen_check(config->listen, &remote) < 0) {
        snprintf(loading->error, CONFIG_ERROR_BYTES,
                 "%s: expected ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080, or unix:/PATH, "
                 "at most %d of them, got '%.80s'",
                 origin_of(loading, config->listen, place), LISTEN_MAX, config->listen);
        return -EINVAL;
    }
    if (remote && !config->insecure &&
        (config->token_file[0] == '\0' || config->tls_cert[0] == '\0')) {
        snprintf(loading->error, CONFIG_ERROR_BYTES,
                 "%s: %.80s can be reached from other machines, so it needs --token-file, "
                 "--tls-cert and --tls-key; or use 127.0.0.1, or add --insecure "
                 "(SIMCAST_INSECURE=1) if everybody who can reach it may drive the robot",
                 origin_of(loading, config->listen, place), config->listen);
        return -EINVAL;
    }
    return 0;
}

static int check_tls(const struct loading *loading)
{
    const struct config *config = loading->config;
    const char *known = config->tls_cert[0] != '\0' ? config->tls_cert : config->tls_key;
    char place[512];

    if ((config->tls_cert[0] == '\0') == (config->tls_key[0] == '\0'))
        return 0;
    snprintf(loading->error, CONFIG_ERROR_BYTES,
             "%s: expected both tls_cert and tls_key, got one without the other",
             origin_of(loading, known, place));
    return -EINVAL;
}

static int check_stream(const struct loading *loading)
{
    const struct config *config = loading->config;
    char path[CONFIG_TEXT_BYTES];
    char place[512];

    if (ring_socket_path(config->ipc_dir, config->stream, RING_KIND_PACKETS, path, sizeof(path)) ==
        0)
        return 0;
    snprintf(loading->error, CONFIG_ERROR_BYTES,
             "%s: expected a name of letters, digits, '-' and '_' and a directory (ipc_dir) that "
             "fits a socket's path, got stream '%.60s' in '%.120s'",
             origin_of(loading, config->stream, place), config->stream, config->ipc_dir);
    return -EINVAL;
}

static int check_bus(const struct loading *loading)
{
    static const char *const starts[] = {"nats://", "tls://", "ipc:///"};
    const char *url = loading->config->bus_url;
    char shown[CONFIG_TEXT_BYTES];
    char place[512];

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        if (url[0] == '\0' || strncmp(url, starts[i], strlen(starts[i])) == 0)
            return 0;
    }
    bus_url_show(url, shown, sizeof(shown));
    snprintf(loading->error, CONFIG_ERROR_BYTES,
             "%s: bus_url: expected nats://HOST:PORT, tls://HOST:PORT or ipc:///DIRECTORY, got "
             "'%.120s'",
             origin_of(loading, url, place), shown);
    return -EINVAL;
}

static int check_gate(const struct loading *loading)
{
    const struct config *config = loading->config;
    char place[512];

    if (config->gate_estop_ms > config->gate_hold_ms)
        return 0;
    snprintf(loading->error, CONFIG_ERROR_BYTES,
             "%s: expected estop_ms (%u) to be more than hold_ms (%u)",
             origin_of(loading, &config->gate_estop_ms, place), config->gate_estop_ms,
             config->gate_hold_ms);
    return -EINVAL;
}

static int check_speed(const struct loading *loading)
{
    const struct config *config = loading->config;
    char place[512];
    double unused[LIMITS_AXES];

    if (limits_parse(config->gate_speed_max, unused))
        return 0;
    snprintf(loading->error, CONFIG_ERROR_BYTES,
             "%s: expected three numbers from 0, like 1.0,0.5,1.5, got '%.80s'",
             origin_of(loading, &config->gate_speed_max, place), config->gate_speed_max);
    return -EINVAL;
}

/* For --check-config: what the settings name can be read, too. */
static int check_files(const struct loading *loading)
{
    const struct config *config = loading->config;
    const char *const paths[] = {config->tls_cert, config->tls_key, config->web_dir};
    char fault[AUTH_ERROR_BYTES];
    char place[512];
    struct auth *auth = NULL;

    if (config->token_file[0] != '\0') {
        if (auth_load(config->token_file, &auth, fault) < 0) {
            snprintf(loading->error, CONFIG_ERROR_BYTES, "%.500s: %.500s",
                     origin_of(loading, config->token_file, place), fault);
            return -EINVAL;
        }
        auth_free(auth);
    }
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (paths[i][0] == '\0' || access(paths[i], R_OK) == 0)
            continue;
        snprintf(loading->error, CONFIG_ERROR_BYTES,
                 "%s: expected what can be read, got %.200s: %s",
                 origin_of(loading, paths[i], place), paths[i], strerror(errno));
        return -EINVAL;
    }
    return 0;
}

static int check_whole(const struct loading *loading)
{
    static int (*const checks[])(const struct loading *loading) = {
        check_listen, check_tls, check_stream, check_bus, check_gate, check_speed,
    };

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (checks[i](loading) < 0)
            return -EINVAL;
    }
    return loading->config->check_only ? check_files(loading) : 0;
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
    if (set_credentials(loading) < 0 || read_file(loading, path, required) < 0 ||
        read_environment(loading) < 0 || set_options(loading, options) < 0)
        return -EINVAL;
    return check_whole(loading);
}

/* What config_load was called with, for config_reload. */
static struct {
    int argc;
    char **argv;
    const char *(*environ_get)(const char *);
} command;

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
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        if (set_key(&loading, &config_keys[i], config_keys[i].value, (struct origin){0}) < 0)
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
    command.argc = argc;
    command.argv = argv;
    command.environ_get = environ_get;
    *ret_config = config;
    return CONFIG_RUN;
}

static void copy_value(const struct config_key *key, const char *from, char *to)
{
    static const size_t sizes[] = {
        [CONFIG_TEXT] = CONFIG_TEXT_BYTES,
        [CONFIG_BOOL] = sizeof(bool),
        [CONFIG_NUMBER] = sizeof(uint32_t),
        [CONFIG_CHOICE] = sizeof(int),
    };

    memcpy(to, from, sizes[key->type]);
}

static bool differs(const struct config_key *key, const char *one, const char *other)
{
    switch (key->type) {
    case CONFIG_TEXT:
        return strcmp(one, other) != 0;
    case CONFIG_BOOL:
        return memcmp(one, other, sizeof(bool)) != 0;
    case CONFIG_NUMBER:
        return memcmp(one, other, sizeof(uint32_t)) != 0;
    case CONFIG_CHOICE:
        return memcmp(one, other, sizeof(int)) != 0;
    }
    return false;
}

static void append_name(char names[CONFIG_NAMES_BYTES], const struct config_file_key *key)
{
    size_t used = strlen(names);

    snprintf(names + used, CONFIG_NAMES_BYTES - used, "%s%s%s%s", used > 0 ? ", " : "",
             key->section, key->section[0] != '\0' ? "." : "", key->name);
}

int config_reload(struct config *config, struct config_changes *ret_changes, char *ret_error)
{
    struct config fresh;

    if (config_load(command.argc, command.argv, command.environ_get, &fresh, ret_error) !=
        CONFIG_RUN)
        return -EINVAL;
    *ret_changes = (struct config_changes){0};
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];
        char *value = (char *)config + key->offset;
        const char *new_value = (const char *)&fresh + key->offset;
        if (!differs(key, value, new_value))
            continue;
        append_name(key->reloads ? ret_changes->applied : ret_changes->need_restart, &key->file);
        if (key->reloads)
            copy_value(key, new_value, value);
    }
    return 0;
}
