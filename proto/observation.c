/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's bytes, which a peer wrote: each is read once, checked, then used. */
#include "proto/observation.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#define DIMENSIONS_MAX 3

struct array {
    const char *name;
    const char *dtype;
    unsigned element_bytes;
    unsigned dimensions;
    json_int_t shape[DIMENSIONS_MAX];
};

/* The array that part `index` holds; the parts before the joints have none. */
static struct array array_of(enum observation_part_index index, uint32_t width, uint32_t height)
{
    switch (index) {
    case OBSERVATION_PART_JOINTS:
        return (struct array){"joint_positions", "float32", 4, 1, {OBSERVATION_JOINTS}};
    case OBSERVATION_PART_RGB_1:
        return (struct array){"rgb_camera_1", "uint8", 1, 3, {height, width, 3}};
    case OBSERVATION_PART_RGB_2:
        return (struct array){"rgb_camera_2", "uint8", 1, 3, {height, width, 3}};
    case OBSERVATION_PART_DEPTH:
        return (struct array){"depth_map", "float32", 4, 2, {height, width}};
    case OBSERVATION_PART_CONFIDENCE:
        return (struct array){"confidence_map", "float32", 4, 2, {height, width}};
    case OBSERVATION_PART_TOPIC:
    case OBSERVATION_PART_VERSION:
    case OBSERVATION_PART_METADATA:
    case OBSERVATION_PARTS:
        break;
    }
    return (struct array){0};
}

static size_t bytes_of(const struct array *array)
{
    size_t bytes = array->element_bytes;

    for (unsigned i = 0; i < array->dimensions; i++)
        bytes *= (size_t)array->shape[i];
    return bytes;
}

size_t observation_part_bytes(enum observation_part_index index, uint32_t width, uint32_t height)
{
    struct array array = array_of(index, width, height);

    return bytes_of(&array);
}

/* ---- writing ------------------------------------------------------------------------------ */

int observation_write_metadata(const struct observation *observation, char *json, size_t json_bytes)
{
    uint32_t width = observation->camera_width;
    uint32_t height = observation->camera_height;

    if (width > OBSERVATION_SIDE_MAX || height > OBSERVATION_SIDE_MAX ||
        observation->timestamp_ns < 0)
        return -EINVAL;
    int count = snprintf(
        json, json_bytes,
        "{\"joint_positions\": {\"shape\": [%d], \"dtype\": \"float32\"}, "
        "\"rgb_camera_1\": {\"shape\": [%" PRIu32 ", %" PRIu32 ", 3], \"dtype\": \"uint8\"}, "
        "\"rgb_camera_2\": {\"shape\": [%" PRIu32 ", %" PRIu32 ", 3], \"dtype\": \"uint8\"}, "
        "\"depth_map\": {\"shape\": [%" PRIu32 ", %" PRIu32 "], \"dtype\": \"float32\"}, "
        "\"confidence_map\": {\"shape\": [%" PRIu32 ", %" PRIu32 "], \"dtype\": \"float32\"}, "
        "\"camera_height\": %" PRIu32 ", \"camera_width\": %" PRIu32 ", \"timestamp_ns\": %" PRId64
        "}",
        OBSERVATION_JOINTS, height, width, height, width, height, width, height, width, height,
        width, observation->timestamp_ns);
    return count < 0 || (size_t)count >= json_bytes ? -EMSGSIZE : count;
}

int joint_command_write_metadata(const struct joint_command *command, char *json, size_t json_bytes)
{
    if (command->timestamp_ns < 0 || command->observation_timestamp_ns < 0)
        return -EINVAL;
    int count =
        snprintf(json, json_bytes,
                 "{\"joint_positions\": {\"shape\": [%d], \"dtype\": \"float32\"}, "
                 "\"timestamp_ns\": %" PRId64 ", \"observation_timestamp_ns\": %" PRId64 "}",
                 OBSERVATION_JOINTS, command->timestamp_ns, command->observation_timestamp_ns);
    return count < 0 || (size_t)count >= json_bytes ? -EMSGSIZE : count;
}

/* ---- reading ------------------------------------------------------------------------------ */

static bool is_text(const struct observation_part *part, const char *text)
{
    return part->count == strlen(text) && memcmp(part->bytes, text, part->count) == 0;
}

/* "1." and one to four digits. */
static bool is_version_1(const struct observation_part *part)
{
    const char *text = part->bytes;

    if (part->count < 3 || part->count > 6 || memcmp(text, "1.", 2) != 0)
        return false;
    for (size_t i = 2; i < part->count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
    }
    return true;
}

/* Borrowed by nobody: json_decref it. NULL: not an object. */
static json_t *load(const struct observation_part *part)
{
    json_t *root = NULL;

    if (part->count > 0 && part->count <= OBSERVATION_METADATA_BYTES_MAX)
        root = json_loadb(part->bytes, part->count, JSON_REJECT_DUPLICATES, NULL);
    if (root && !json_is_object(root)) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

static enum observation_fault read_time(const json_t *root, const char *name, int64_t *ret_ns)
{
    const json_t *value = json_object_get(root, name);

    if (!json_is_integer(value))
        return OBSERVATION_FAULT_JSON;
    if (json_integer_value(value) < 0)
        return OBSERVATION_FAULT_TIMESTAMP;
    *ret_ns = json_integer_value(value);
    return OBSERVATION_FINE;
}

static enum observation_fault read_side(const json_t *root, const char *name, uint32_t *ret_side)
{
    const json_t *value = json_object_get(root, name);

    if (!json_is_integer(value))
        return OBSERVATION_FAULT_JSON;
    if (json_integer_value(value) < 0 || json_integer_value(value) > OBSERVATION_SIDE_MAX)
        return OBSERVATION_FAULT_SHAPE;
    *ret_side = (uint32_t)json_integer_value(value);
    return OBSERVATION_FINE;
}

static enum observation_fault check_shape(const json_t *shape, const struct array *array)
{
    if (!json_is_array(shape))
        return OBSERVATION_FAULT_JSON;
    if (json_array_size(shape) != array->dimensions)
        return OBSERVATION_FAULT_SHAPE;
    for (unsigned i = 0; i < array->dimensions; i++) {
        const json_t *side = json_array_get(shape, i);
        if (!json_is_integer(side))
            return OBSERVATION_FAULT_JSON;
        if (json_integer_value(side) != array->shape[i])
            return OBSERVATION_FAULT_SHAPE;
    }
    return OBSERVATION_FINE;
}

static bool all_finite(const struct observation_part *part)
{
    const uint8_t *bytes = part->bytes;

    for (size_t i = 0; i + sizeof(uint32_t) <= part->count; i += sizeof(uint32_t)) {
        uint32_t bits;
        memcpy(&bits, bytes + i, sizeof(bits));
        if ((bits & 0x7f800000u) == 0x7f800000u)
            return false;
    }
    return true;
}

/* What the metadata says of the array, against what it must be and what the part is. */
static enum observation_fault check_array(const json_t *root, const struct array *array,
                                          const struct observation_part *part)
{
    const json_t *entry = json_object_get(root, array->name);
    const json_t *dtype = json_object_get(entry, "dtype");

    if (!json_is_string(dtype))
        return OBSERVATION_FAULT_JSON;
    if (strcmp(json_string_value(dtype), array->dtype) != 0)
        return OBSERVATION_FAULT_DTYPE;
    enum observation_fault fault = check_shape(json_object_get(entry, "shape"), array);
    if (fault != OBSERVATION_FINE)
        return fault;
    if (part->count != bytes_of(array))
        return OBSERVATION_FAULT_SIZE;
    if (array->element_bytes == sizeof(float) && !all_finite(part))
        return OBSERVATION_FAULT_NOT_FINITE;
    return OBSERVATION_FINE;
}

static enum observation_fault read_observation(const json_t *root,
                                               const struct observation_part *parts,
                                               struct observation *observation)
{
    enum observation_fault fault = read_side(root, "camera_height", &observation->camera_height);

    if (fault == OBSERVATION_FINE)
        fault = read_side(root, "camera_width", &observation->camera_width);
    if (fault == OBSERVATION_FINE)
        fault = read_time(root, "timestamp_ns", &observation->timestamp_ns);
    for (unsigned i = OBSERVATION_PART_JOINTS; i < OBSERVATION_PARTS; i++) {
        struct array array = array_of(i, observation->camera_width, observation->camera_height);
        if (fault == OBSERVATION_FINE)
            fault = check_array(root, &array, &parts[i]);
    }
    return fault;
}

enum observation_fault observation_read(const struct observation_part *parts, size_t part_count,
                                        struct observation *ret_observation)
{
    struct observation observation = {0};

    if (part_count != OBSERVATION_PARTS)
        return OBSERVATION_FAULT_PART_COUNT;
    if (!is_text(&parts[OBSERVATION_PART_TOPIC], OBSERVATION_TOPIC))
        return OBSERVATION_FAULT_TOPIC;
    if (!is_version_1(&parts[OBSERVATION_PART_VERSION]))
        return OBSERVATION_FAULT_VERSION;
    json_t *root = load(&parts[OBSERVATION_PART_METADATA]);
    if (!root)
        return OBSERVATION_FAULT_JSON;
    enum observation_fault fault = read_observation(root, parts, &observation);
    json_decref(root);
    if (fault != OBSERVATION_FINE)
        return fault;
    memcpy(observation.joint_position_rad, parts[OBSERVATION_PART_JOINTS].bytes,
           sizeof(observation.joint_position_rad));
    memcpy(observation.array, parts, sizeof(observation.array));
    *ret_observation = observation;
    return OBSERVATION_FINE;
}

enum observation_fault joint_command_read(const struct observation_part *parts, size_t part_count,
                                          struct joint_command *ret_command)
{
    struct array joints = array_of(OBSERVATION_PART_JOINTS, 0, 0);
    struct joint_command command;

    if (part_count != JOINT_COMMAND_PARTS)
        return OBSERVATION_FAULT_PART_COUNT;
    json_t *root = load(&parts[JOINT_COMMAND_PART_METADATA]);
    if (!root)
        return OBSERVATION_FAULT_JSON;
    enum observation_fault fault = read_time(root, "timestamp_ns", &command.timestamp_ns);
    if (fault == OBSERVATION_FINE)
        fault = read_time(root, "observation_timestamp_ns", &command.observation_timestamp_ns);
    if (fault == OBSERVATION_FINE)
        fault = check_array(root, &joints, &parts[JOINT_COMMAND_PART_JOINTS]);
    json_decref(root);
    if (fault != OBSERVATION_FINE)
        return fault;
    memcpy(command.joint_position_rad, parts[JOINT_COMMAND_PART_JOINTS].bytes,
           sizeof(command.joint_position_rad));
    *ret_command = command;
    return OBSERVATION_FINE;
}

const char *observation_fault_name(enum observation_fault fault)
{
    static const char *const names[OBSERVATION_FAULT_COUNT] = {
        [OBSERVATION_FINE] = "nothing",
        [OBSERVATION_FAULT_PART_COUNT] = "the number of parts",
        [OBSERVATION_FAULT_TOPIC] = "the topic",
        [OBSERVATION_FAULT_VERSION] = "a schema version that is not 1.x",
        [OBSERVATION_FAULT_JSON] = "the metadata's JSON",
        [OBSERVATION_FAULT_TIMESTAMP] = "a negative timestamp",
        [OBSERVATION_FAULT_DTYPE] = "an array's dtype",
        [OBSERVATION_FAULT_SHAPE] = "an array's shape",
        [OBSERVATION_FAULT_SIZE] = "an array's size in bytes",
        [OBSERVATION_FAULT_NOT_FINITE] = "NaN or infinity",
    };

    assert(fault < OBSERVATION_FAULT_COUNT);
    return names[fault];
}
