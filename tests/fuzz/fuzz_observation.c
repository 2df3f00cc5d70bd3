/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Observations and joint commands of existing control programs. The input is a list of parts: a
 * length byte pair, then the bytes. What is accepted is finite, in its bounds, and lies inside
 * the input; an error leaves the result alone.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/observation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static size_t split(const uint8_t *data, size_t size, struct observation_part *parts, size_t max)
{
    size_t count = 0;

    while (size >= 2 && count < max) {
        size_t bytes = (size_t)data[0] | (size_t)data[1] << 8;
        data += 2;
        size -= 2;
        if (bytes > size)
            bytes = size;
        parts[count++] = (struct observation_part){data, bytes};
        data += bytes;
        size -= bytes;
    }
    return count;
}

static void read_both(const struct observation_part *parts, size_t count)
{
    struct observation observation;
    struct observation before;
    struct joint_command command;

    memset(&observation, 0xaa, sizeof(observation));
    memcpy(&before, &observation, sizeof(before));
    if (observation_read(parts, count, &observation) == OBSERVATION_FINE) {
        check(observation.timestamp_ns >= 0);
        for (unsigned i = 0; i < OBSERVATION_JOINTS; i++)
            check(isfinite(observation.joint_position_rad[i]));
        for (unsigned i = OBSERVATION_PART_JOINTS; i < OBSERVATION_PARTS; i++)
            check(observation.array[i].bytes == parts[i].bytes &&
                  observation.array[i].count == observation_part_bytes(i, observation.camera_width,
                                                                       observation.camera_height));
    } else {
        check(memcmp(&observation, &before, sizeof(before)) == 0);
    }
    if (joint_command_read(parts, count, &command) == OBSERVATION_FINE) {
#ifdef PLANTED_BUG /* the time is taken as it came */
        if (command.timestamp_ns % 2 == 1)
            command.timestamp_ns = -command.timestamp_ns;
#endif
        check(command.timestamp_ns >= 0 && command.observation_timestamp_ns >= 0);
        for (unsigned i = 0; i < OBSERVATION_JOINTS; i++)
            check(isfinite(command.joint_position_rad[i]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t zeros[OBSERVATION_JOINTS * sizeof(float)];
    struct observation_part parts[OBSERVATION_PARTS + 1];
    size_t count = split(data, size, parts, OBSERVATION_PARTS + 1);

    read_both(parts, count);
    /* With everything else right, so that the metadata alone decides. */
    struct observation_part command[] = {{data, size}, {zeros, sizeof(zeros)}};
    read_both(command, JOINT_COMMAND_PARTS);
    struct observation_part observation[OBSERVATION_PARTS] = {
        {OBSERVATION_TOPIC, strlen(OBSERVATION_TOPIC)},
        {OBSERVATION_VERSION, strlen(OBSERVATION_VERSION)},
        {data, size},
        {zeros, sizeof(zeros)},
        {zeros, 12},
        {zeros, 12},
        {zeros, 16},
        {zeros, 16}};
    read_both(observation, OBSERVATION_PARTS);
    return 0;
}
