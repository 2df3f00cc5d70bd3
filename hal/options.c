/* SPDX-License-Identifier: Apache-2.0 */
/* One table: each row has its reader. Owns nothing; a wrong value ends the program. */
#include "hal/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bus/access.h"
#include "shm/ring.h"

#define PATIENCE_MAX 1000
#define ACTION_MS_MAX 1000
#define CPU_MAX 1023
#define SECONDS_MAX 86400

static const char usage[] =
    "simcast-hal: a robot's control loop; a policy moves the joints of the simulated robot\n"
    "\n"
    "Usage: simcast-hal [OPTION]...              drive the robot\n"
    "       simcast-hal dump [OPTION]...         print its states and actions as they pass\n"
    "       simcast-hal --game-loop [OPTION]...  feed the loops without a simulator, and check\n"
    "\n";

static const char more[] =
    "\n"
    "It needs a simulator's <stream>.state ring and writes <stream>.actions; either may come and\n"
    "go. The bus carries only its telemetry: stop reaches it through the rings.\n"
    "\n"
    "Example: simcast-hal --policy trot --rate 200 --fifo 50 --cpu 1\n"
    "Exit status: 0 stopped by SIGTERM or SIGINT, 78 a wrong flag or value, 1 anything else.\n";

static bool read_policy(void *into, const char *value)
{
    ((struct hal_options *)into)->hal.policy = value;
    return *value != '\0';
}

static bool read_teleop(void *into, const char *value)
{
    ((struct hal_options *)into)->hal.teleop = value;
    return strcmp(value, "stand") == 0 || strcmp(value, "trot") == 0;
}

static bool read_observations(void *into, const char *value)
{
    ((struct hal_options *)into)->hal.endpoint.observations = value;
    return *value != '\0';
}

static bool read_commands(void *into, const char *value)
{
    ((struct hal_options *)into)->hal.endpoint.commands = value;
    return *value != '\0';
}

static bool read_joint_map(void *into, const char *value)
{
    uint8_t *map = ((struct hal_options *)into)->hal.endpoint.joint_map;
    uint32_t seen = 0;
    const char *at = value;

    for (unsigned count = 0; count < POLICY_JOINTS; count++) {
        char *end;
        unsigned long joint = strtoul(at, &end, 10);
        if (*at < '0' || *at > '9' || joint >= OBSERVATION_JOINTS || (seen & 1u << joint))
            return false;
        seen |= 1u << joint;
        map[count] = (uint8_t)joint;
        if (*end != (count + 1 < POLICY_JOINTS ? ',' : '\0'))
            return false;
        at = end + 1;
    }
    return true;
}

static bool read_rate(void *into, const char *value)
{
    return option_whole(value, 1, HAL_RATE_HZ_MAX, &((struct hal_options *)into)->hal.rate_hz);
}

static bool read_action_ms(void *into, const char *value)
{
    uint32_t ms;

    if (!option_whole(value, 1, ACTION_MS_MAX, &ms))
        return false;
    ((struct hal_options *)into)->hal.action_ns_max = ms * NS_PER_MS;
    return true;
}

static bool read_patience(void *into, const char *value)
{
    return option_whole(value, 1, PATIENCE_MAX, &((struct hal_options *)into)->hal.patience);
}

static bool read_camera(void *into, const char *value, enum policy_image_index index)
{
    ((struct hal_options *)into)->hal.cameras[index] = value;
    return *value != '\0';
}

static bool read_camera_1(void *into, const char *value)
{
    return read_camera(into, value, POLICY_RGB_CAMERA_1);
}

static bool read_camera_2(void *into, const char *value)
{
    return read_camera(into, value, POLICY_RGB_CAMERA_2);
}

static bool read_depth(void *into, const char *value)
{
    return read_camera(into, value, POLICY_DEPTH_MAP);
}

static bool read_confidence(void *into, const char *value)
{
    return read_camera(into, value, POLICY_CONFIDENCE_MAP);
}

static bool read_fifo(void *into, const char *value)
{
    struct hal_config *hal = &((struct hal_options *)into)->hal;
    uint32_t priority;

    if (!option_whole(value, 1, 99, &priority))
        return false;
    hal->hal_thread.fifo_priority = (int)priority;
    hal->inference_thread.fifo_priority = priority > 1 ? (int)priority - 1 : 1;
    return true;
}

static bool read_one_cpu(const char *value, int *ret_cpu)
{
    uint32_t cpu;

    if (!option_whole(value, 0, CPU_MAX, &cpu))
        return false;
    *ret_cpu = (int)cpu;
    return true;
}

static bool read_cpu(void *into, const char *value)
{
    return read_one_cpu(value, &((struct hal_options *)into)->hal.hal_thread.cpu);
}

static bool read_inference_cpu(void *into, const char *value)
{
    return read_one_cpu(value, &((struct hal_options *)into)->hal.inference_thread.cpu);
}

static bool read_lock_memory(void *into, const char *value)
{
    (void)value;
    ((struct hal_options *)into)->hal.lock_memory = true;
    return true;
}

static bool read_game_loop(void *into, const char *value)
{
    (void)value;
    ((struct hal_options *)into)->task = HAL_TASK_GAME_LOOP;
    return true;
}

static bool read_seconds(void *into, const char *value)
{
    return option_whole(value, 1, SECONDS_MAX, &((struct hal_options *)into)->seconds);
}

static bool read_ipc_dir(void *into, const char *value)
{
    ((struct hal_options *)into)->hal.dir = value;
    return *value != '\0';
}

static bool read_stream(void *into, const char *value)
{
    ((struct hal_options *)into)->hal.stream = value;
    return *value != '\0';
}

static bool read_bus(void *into, const char *value)
{
    ((struct hal_options *)into)->bus = value;
    return *value != '\0';
}

static bool read_log_level(void *into, const char *value)
{
    return log_level_parse(value, &((struct hal_options *)into)->log_level) == 0;
}

static bool read_operand(void *into, const char *word)
{
    ((struct hal_options *)into)->task = HAL_TASK_DUMP;
    return strcmp(word, "dump") == 0;
}

static const struct option_row rows[] = {
    {"policy", NULL, NULL, "NAME", read_policy, "a policy",
     "stand, trot, mlp:FILE, external, or ./mine.so[:ARGUMENT] (trot)"},
    {"teleop", NULL, NULL, "NAME", read_teleop, "stand or trot",
     "what the operator's part is, 1 - alpha: stand, or trot by the\n"
     "commanded velocity (stand)"},
    {"observations", NULL, NULL, "URL", read_observations, "a URL", NULL},
    {"commands", NULL, NULL, "URL", read_commands, "a URL",
     "serve a program that is the policy (external) instead, at\n"
     "tcp://127.0.0.1:6001 and the like, with 18-joint messages"},
    {"joint-map", NULL, NULL, "LIST", read_joint_map,
     "12 different numbers from 0 to 17, with commas",
     "our 12 joints among its 18 (0,1,2,3,4,5,6,7,8,9,10,11)"},
    {"rate", NULL, NULL, "HZ", read_rate, "a whole number from 1 to 1000",
     "periods per second, 1 to 1000 (100)"},
    {"action-ms", NULL, NULL, "N", read_action_ms, "a whole number from 1 to 1000",
     "an action to an older observation is refused, 1 to 1000 (50)"},
    {"patience", NULL, NULL, "N", read_patience, "a whole number from 1 to 1000",
     "periods without an action before the robot stands, 1 to 1000 (10)"},
    {"camera-1", NULL, NULL, "NAME", read_camera_1, "a stream", NULL},
    {"camera-2", NULL, NULL, "NAME", read_camera_2, "a stream", NULL},
    {"depth", NULL, NULL, "NAME", read_depth, "a stream", NULL},
    {"confidence", NULL, NULL, "NAME", read_confidence, "a stream",
     "streams whose frames the policy sees, without a copy, as\n"
     "rgb_camera_1, rgb_camera_2, depth_map and confidence_map"},
    {"fifo", NULL, NULL, "N", read_fifo, "a whole number from 1 to 99",
     "SCHED_FIFO priority of the HAL loop, 1 to 99; the inference gets N - 1"},
    {"cpu", NULL, NULL, "N", read_cpu, "a whole number from 0 to 1023", "CPU of the HAL loop"},
    {"inference-cpu", NULL, NULL, "N", read_inference_cpu, "a whole number from 0 to 1023",
     "CPU of the inference loop"},
    {"lock-memory", NULL, NULL, NULL, read_lock_memory, "", "keep all pages in memory"},
    {"game-loop", NULL, NULL, NULL, read_game_loop, "",
     "play the robot, and check what comes back"},
    {"seconds", NULL, NULL, "N", read_seconds, "a whole number from 1 to 86400",
     "end dump or game loop by itself"},
    {"ipc-dir", "SIMCAST_IPC_DIR", NULL, "DIR", read_ipc_dir, "a directory",
     "where rings and local bus meet (" RING_DIR_DEFAULT ")"},
    {"stream", "SIMCAST_STREAM", NULL, "NAME", read_stream, "a name", "the robot's stream (front)"},
    {"bus", "SIMCAST_BUS_URL", "SDR_NATS_URL", "URL", read_bus, "a URL",
     "nats://host:4222 or ipc:///dir (ipc://<ipc-dir>)"},
    {"log-level", "SIMCAST_LOG_LEVEL", NULL, "L", read_log_level, "error, warning, info or debug",
     "error, warning, info or debug (info)"},
    LOG_FORMAT_ROW,
};

static const struct hal_options defaults = {
    .hal = {.dir = RING_DIR_DEFAULT,
            .stream = "front",
            .policy = "trot",
            .teleop = "stand",
            .endpoint.joint_map = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
            .rate_hz = 100,
            .action_ns_max = 50 * NS_PER_MS,
            .patience = 10,
            .hal_thread.cpu = -1,
            .inference_thread.cpu = -1},
    .log_level = LOG_LEVEL_INFO,
};

/* What only all options together can tell. */
static enum option_result complete(const struct option_program *program,
                                   struct hal_options *options)
{
    const struct endpoint_config *endpoint = &options->hal.endpoint;
    bool external = strcmp(options->hal.policy, "external") == 0;

    if (external != (endpoint->observations != NULL) || external != (endpoint->commands != NULL)) {
        fprintf(stderr,
                "%s: --policy external, --observations and --commands belong together: give all "
                "three or none\n",
                program->name);
        return OPTION_WRONG;
    }
    int used =
        snprintf(options->bus_url, sizeof(options->bus_url), "%s%s", options->bus ? "" : "ipc://",
                 options->bus ? options->bus : options->hal.dir);
    if (used < 0 || (size_t)used >= sizeof(options->bus_url))
        return option_wrong(program, "ipc-dir", options->hal.dir, "a shorter path");
    return OPTION_GO;
}

enum option_result hal_options_parse(int argc, char **argv, struct hal_options *ret_options)
{
    struct hal_options options = defaults;
    const struct option_group groups[] = {{rows, sizeof(rows) / sizeof(rows[0]), &options},
                                          BUS_ACCESS_GROUP};
    const struct option_program program = {.name = "simcast-hal",
                                           .version = SIMCAST_VERSION,
                                           .before = usage,
                                           .after = more,
                                           .operand = read_operand,
                                           .groups = groups,
                                           .group_count = 2};
    enum option_result result = option_read(&program, argc, argv);

    if (result == OPTION_GO)
        result = complete(&program, &options);
    if (result == OPTION_GO)
        *ret_options = options;
    return result;
}
