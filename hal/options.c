/* SPDX-License-Identifier: Apache-2.0 */
/* Reads argv and the environment once, on the main thread; a wrong value ends the program. */
#include "hal/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <getopt.h>

#include "base/clock.h"
#include "shm/ring.h"

#define PATIENCE_MAX 1000
#define ACTION_MS_MAX 1000
#define CPU_MAX 1023
#define SECONDS_MAX 86400

static const char help_text[] =
    "simcast-hal: a robot's control loop; a policy moves the joints of the simulated robot\n"
    "\n"
    "Usage: simcast-hal [OPTION]...           drive the robot\n"
    "       simcast-hal dump [OPTION]...      print its states and actions as they pass\n"
    "       simcast-hal --game-loop [OPTION]...  feed the loops without a simulator, and check\n"
    "\n"
    "  --policy NAME     stand, trot, mlp:FILE, external, or ./mine.so[:ARGUMENT]            (trot)\n"
    "  --observations URL --commands URL   serve a program that is the policy instead, at\n"
    "                    tcp://127.0.0.1:6001 and the like, with 18-joint messages\n"
    "  --joint-map LIST  our 12 joints among its 18 (0,1,2,3,4,5,6,7,8,9,10,11)\n"
    "  --rate HZ         periods per second, 1 to 1000                                     (100)\n"
    "  --action-ms N     an action to an older observation is refused, 1 to 1000            (50)\n"
    "  --patience N      periods without an action before the robot stands, 1 to 1000       (10)\n"
    "  --camera-1 NAME   stream whose frames the policy sees as rgb_camera_1, without a copy\n"
    "  --camera-2 NAME   the same for rgb_camera_2; --depth and --confidence likewise\n"
    "  --fifo N          SCHED_FIFO priority of the HAL loop, 1 to 99; the inference gets N - 1\n"
    "  --cpu N           CPU of the HAL loop            --inference-cpu N  of the inference\n"
    "  --lock-memory     keep all pages in memory\n"
    "  --seconds N       end dump or game loop by itself\n"
    "  --ipc-dir DIR     where rings and local bus meet   (SIMCAST_IPC_DIR, " RING_DIR_DEFAULT ")\n"
    "  --stream NAME     the robot's stream               (SIMCAST_STREAM, front)\n"
    "  --bus URL         nats://host:4222 or ipc:///dir   (SIMCAST_BUS_URL, SDR_NATS_URL,\n"
    "                                                      ipc://<ipc-dir>)\n"
    "  --log-level L     error, warning, info or debug    (SIMCAST_LOG_LEVEL, info)\n"
    "  --help, --version\n"
    "\n"
    "It needs a simulator's <stream>.state ring and writes <stream>.actions; either may come and\n"
    "go. The bus carries only its telemetry: stop reaches it through the rings.\n"
    "\n"
    "Example: simcast-hal --policy trot --rate 200 --fifo 50 --cpu 1\n"
    "Exit status: 0 stopped by SIGTERM or SIGINT, 78 a wrong flag or value, 1 anything else.\n";

enum option_code {
    POLICY = 1000,
    RATE,
    ACTION_MS,
    PATIENCE,
    CAMERA_1,
    CAMERA_2,
    DEPTH,
    CONFIDENCE,
    FIFO,
    CPU,
    INFERENCE_CPU,
    OBSERVATIONS,
    COMMANDS,
    JOINT_MAP,
    LOCK_MEMORY,
    GAME_LOOP,
    SECONDS,
    IPC_DIR,
    STREAM,
    BUS,
    LEVEL,
    HELP,
    VERSION,
};

static const struct option long_options[] = {
    {"policy", required_argument, NULL, POLICY},
    {"rate", required_argument, NULL, RATE},
    {"action-ms", required_argument, NULL, ACTION_MS},
    {"patience", required_argument, NULL, PATIENCE},
    {"camera-1", required_argument, NULL, CAMERA_1},
    {"camera-2", required_argument, NULL, CAMERA_2},
    {"depth", required_argument, NULL, DEPTH},
    {"confidence", required_argument, NULL, CONFIDENCE},
    {"fifo", required_argument, NULL, FIFO},
    {"cpu", required_argument, NULL, CPU},
    {"inference-cpu", required_argument, NULL, INFERENCE_CPU},
    {"observations", required_argument, NULL, OBSERVATIONS},
    {"commands", required_argument, NULL, COMMANDS},
    {"joint-map", required_argument, NULL, JOINT_MAP},
    {"lock-memory", no_argument, NULL, LOCK_MEMORY},
    {"game-loop", no_argument, NULL, GAME_LOOP},
    {"seconds", required_argument, NULL, SECONDS},
    {"ipc-dir", required_argument, NULL, IPC_DIR},
    {"stream", required_argument, NULL, STREAM},
    {"bus", required_argument, NULL, BUS},
    {"log-level", required_argument, NULL, LEVEL},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {NULL, 0, NULL, 0},
};

struct raw_options {
    const char *bus;
    const char *log_level;
    unsigned action_ms;
};

/* An option whose value is a whole number from low to high. */
static const struct numeric {
    enum option_code code;
    const char *flag;
    unsigned low;
    unsigned high;
} numerics[] = {
    {RATE, "--rate", 1, HAL_RATE_HZ_MAX},
    {ACTION_MS, "--action-ms", 1, ACTION_MS_MAX},
    {PATIENCE, "--patience", 1, PATIENCE_MAX},
    {FIFO, "--fifo", 1, 99},
    {CPU, "--cpu", 0, CPU_MAX},
    {INFERENCE_CPU, "--inference-cpu", 0, CPU_MAX},
    {SECONDS, "--seconds", 1, SECONDS_MAX},
};

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe): before threads start

    return value && *value ? value : otherwise;
}

static void take_number(enum option_code code, unsigned value, struct hal_options *options,
                        struct raw_options *raw)
{
    struct hal_config *hal = &options->hal;

    if (code == RATE)
        hal->rate_hz = value;
    else if (code == ACTION_MS)
        raw->action_ms = value;
    else if (code == PATIENCE)
        hal->patience = value;
    else if (code == CPU)
        hal->hal_thread.cpu = (int)value;
    else if (code == INFERENCE_CPU)
        hal->inference_thread.cpu = (int)value;
    else if (code == SECONDS)
        options->seconds = value;
    else if (code == FIFO) {
        hal->hal_thread.fifo_priority = (int)value;
        hal->inference_thread.fifo_priority = value > 1 ? (int)value - 1 : 1;
    }
}

static enum hal_options_result parse_number(const struct numeric *numeric,
                                            struct hal_options *options, struct raw_options *raw)
{
    char *end;

    errno = 0;
    unsigned long value = strtoul(optarg, &end, 10);
    if (errno != 0 || end == optarg || *end != '\0' || *optarg == '-' || value < numeric->low ||
        value > numeric->high) {
        fprintf(stderr, "simcast-hal: %s %s is not valid: give a whole number from %u to %u\n",
                numeric->flag, optarg, numeric->low, numeric->high);
        return HAL_OPTIONS_WRONG;
    }
    take_number(numeric->code, (unsigned)value, options, raw);
    return HAL_OPTIONS_GO;
}

/* Twelve different numbers from 0 to 17, with commas. */
static enum hal_options_result parse_joint_map(const char *text, uint8_t map[POLICY_JOINTS])
{
    uint32_t seen = 0;
    unsigned count = 0;
    const char *at = text;

    while (count < POLICY_JOINTS) {
        char *end;
        unsigned long joint = strtoul(at, &end, 10);
        if (end == at || joint >= OBSERVATION_JOINTS || *at == '-' || (seen & 1u << joint))
            break;
        seen |= 1u << joint;
        map[count++] = (uint8_t)joint;
        at = end;
        if (*at != ',')
            break;
        at++;
    }
    if (count == POLICY_JOINTS && *at == '\0' && at[-1] != ',')
        return HAL_OPTIONS_GO;
    fprintf(stderr,
            "simcast-hal: --joint-map %s is not valid: give 12 different numbers from 0 to 17, "
            "with commas\n",
            text);
    return HAL_OPTIONS_WRONG;
}

static enum hal_options_result take_text(int code, struct hal_options *options,
                                         struct raw_options *raw)
{
    switch (code) {
    case POLICY:
        options->hal.policy = optarg;
        break;
    case CAMERA_1:
    case CAMERA_2:
    case DEPTH:
    case CONFIDENCE:
        options->hal.cameras[code - CAMERA_1] = optarg;
        break;
    case OBSERVATIONS:
        options->hal.endpoint.observations = optarg;
        break;
    case COMMANDS:
        options->hal.endpoint.commands = optarg;
        break;
    case JOINT_MAP:
        return parse_joint_map(optarg, options->hal.endpoint.joint_map);
    case LOCK_MEMORY:
        options->hal.lock_memory = true;
        break;
    case GAME_LOOP:
        options->task = HAL_TASK_GAME_LOOP;
        break;
    case IPC_DIR:
        options->hal.dir = optarg;
        break;
    case STREAM:
        options->hal.stream = optarg;
        break;
    case BUS:
        raw->bus = optarg;
        break;
    case LEVEL:
        raw->log_level = optarg;
        break;
    case HELP:
        fputs(help_text, stdout);
        return HAL_OPTIONS_DONE;
    case VERSION:
        puts("simcast-hal " SIMCAST_VERSION);
        return HAL_OPTIONS_DONE;
    default: /* getopt has said what is wrong */
        fputs("simcast-hal --help lists the options\n", stderr);
        return HAL_OPTIONS_WRONG;
    }
    return HAL_OPTIONS_GO;
}

static enum hal_options_result take_option(int code, struct hal_options *options,
                                           struct raw_options *raw)
{
    for (size_t i = 0; i < sizeof(numerics) / sizeof(numerics[0]); i++) {
        if (numerics[i].code == (enum option_code)code)
            return parse_number(&numerics[i], options, raw);
    }
    return take_text(code, options, raw);
}

static enum hal_options_result complete(struct hal_options *options, const struct raw_options *raw)
{
    struct endpoint_config *endpoint = &options->hal.endpoint;

    options->hal.action_ns_max = raw->action_ms * NS_PER_MS;
    if (!endpoint->observations != !endpoint->commands ||
        (endpoint->observations && strcmp(options->hal.policy, "external") != 0) ||
        (!endpoint->observations && strcmp(options->hal.policy, "external") == 0)) {
        fputs("simcast-hal: --policy external, --observations and --commands belong together: "
              "give all three or none\n",
              stderr);
        return HAL_OPTIONS_WRONG;
    }
    if (log_level_parse(raw->log_level, &options->log_level) < 0) {
        fprintf(stderr,
                "simcast-hal: --log-level %s is not valid: give error, warning, info or debug\n",
                raw->log_level);
        return HAL_OPTIONS_WRONG;
    }
    int used = snprintf(options->bus_url, sizeof(options->bus_url), "%s%s",
                        raw->bus ? "" : "ipc://", raw->bus ? raw->bus : options->hal.dir);
    if (used < 0 || (size_t)used >= sizeof(options->bus_url)) {
        fputs("simcast-hal: --ipc-dir or --bus is too long: give a shorter path\n", stderr);
        return HAL_OPTIONS_WRONG;
    }
    return HAL_OPTIONS_GO;
}

static enum hal_options_result take_arguments(int argc, char **argv, struct hal_options *options)
{
    if (optind < argc && strcmp(argv[optind], "dump") == 0) {
        options->task = HAL_TASK_DUMP;
        optind++;
    }
    if (optind == argc)
        return HAL_OPTIONS_GO;
    fprintf(stderr, "simcast-hal: '%s' is not an option: simcast-hal --help lists them\n",
            argv[optind]);
    return HAL_OPTIONS_WRONG;
}

enum hal_options_result hal_options_parse(int argc, char **argv, struct hal_options *ret_options)
{
    struct hal_options options = {
        .hal = {.endpoint.joint_map = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
                .dir = from_environment("SIMCAST_IPC_DIR", RING_DIR_DEFAULT),
                .stream = from_environment("SIMCAST_STREAM", "front"),
                .policy = "trot",
                .rate_hz = 100,
                .patience = 10,
                .hal_thread.cpu = -1,
                .inference_thread.cpu = -1},
    };
    struct raw_options raw = {
        .bus = from_environment("SIMCAST_BUS_URL", from_environment("SDR_NATS_URL", NULL)),
        .log_level = from_environment("SIMCAST_LOG_LEVEL", "info"),
        .action_ms = 50,
    };
    enum hal_options_result result = HAL_OPTIONS_GO;

    for (;;) {
        // NOLINTNEXTLINE(concurrency-mt-unsafe): before threads start
        int code = getopt_long(argc, argv, "", long_options, NULL);
        if (code == -1)
            break;
        result = take_option(code, &options, &raw);
        if (result != HAL_OPTIONS_GO)
            return result;
    }
    result = take_arguments(argc, argv, &options);
    if (result == HAL_OPTIONS_GO)
        result = complete(&options, &raw);
    if (result == HAL_OPTIONS_GO)
        *ret_options = options;
    return result;
}
