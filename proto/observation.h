/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Observations and joint commands as existing control programs exchange them over ZeroMQ.
 *
 *   observation, eight parts: "observation" | "1.0" | metadata | joint_positions f32[18] |
 *       rgb_camera_1 u8[H,W,3] | rgb_camera_2 u8[H,W,3] | depth_map f32[H,W] (metres) |
 *       confidence_map f32[H,W]
 *   joint command, two parts: metadata | joint_positions f32[18]
 *
 * The metadata is JSON: for each array {"shape":[...],"dtype":"float32"|"uint8"} under its name;
 * an observation adds camera_height, camera_width and timestamp_ns, a command timestamp_ns and
 * observation_timestamp_ns, the stamp of what it answers. Radians, little-endian, top row first.
 * Without a camera H and W are 0.
 *
 * No sockets here: the caller hands over the parts as it received them.
 *
 * Source: docs/wire.md "HAL over ZeroMQ". Thread: any. Cost: reading allocates (jansson) and
 * frees, and looks at every float once; nothing is copied but the joints.
 */
#ifndef SIMCAST_PROTO_OBSERVATION_H
#define SIMCAST_PROTO_OBSERVATION_H

#include <stddef.h>
#include <stdint.h>

#define OBSERVATION_TOPIC "observation"
#define OBSERVATION_VERSION "1.0"
#define OBSERVATION_JOINTS 18
#define OBSERVATION_SIDE_MAX 16384 /* pixels */
#define OBSERVATION_METADATA_BYTES_MAX 4096

enum observation_part_index {
    OBSERVATION_PART_TOPIC,
    OBSERVATION_PART_VERSION,
    OBSERVATION_PART_METADATA,
    OBSERVATION_PART_JOINTS,
    OBSERVATION_PART_RGB_1,
    OBSERVATION_PART_RGB_2,
    OBSERVATION_PART_DEPTH,
    OBSERVATION_PART_CONFIDENCE,
    OBSERVATION_PARTS,
};

enum joint_command_part_index {
    JOINT_COMMAND_PART_METADATA,
    JOINT_COMMAND_PART_JOINTS,
    JOINT_COMMAND_PARTS,
};

/* What is wrong with a message. Receivers count each kind and log its first. */
enum observation_fault {
    OBSERVATION_FINE,
    OBSERVATION_FAULT_PART_COUNT,
    OBSERVATION_FAULT_TOPIC,
    OBSERVATION_FAULT_VERSION,   /* not 1.x */
    OBSERVATION_FAULT_JSON,      /* no JSON object, or a field is missing or of the wrong type */
    OBSERVATION_FAULT_TIMESTAMP, /* negative */
    OBSERVATION_FAULT_DTYPE,
    OBSERVATION_FAULT_SHAPE,
    OBSERVATION_FAULT_SIZE, /* a part's bytes are not those of its shape */
    OBSERVATION_FAULT_NOT_FINITE,
    OBSERVATION_FAULT_COUNT,
};

struct observation_part {
    const void *bytes;
    size_t count;
};

struct observation {
    int64_t timestamp_ns;
    uint32_t camera_width;
    uint32_t camera_height;
    float joint_position_rad[OBSERVATION_JOINTS];
    struct observation_part array[OBSERVATION_PARTS]; /* borrowed; the last four are the pictures */
};

struct joint_command {
    int64_t timestamp_ns;
    int64_t observation_timestamp_ns;
    float joint_position_rad[OBSERVATION_JOINTS];
};

/* Bytes that part `index` must have at this size; 0 for the first three, which vary. */
size_t observation_part_bytes(enum observation_part_index index, uint32_t width, uint32_t height);

/*
 * Writes the metadata part, NUL-terminated, and returns its bytes without the NUL.
 * Errors: -EINVAL a side over OBSERVATION_SIDE_MAX or a negative time; -EMSGSIZE the buffer is
 * short (OBSERVATION_METADATA_BYTES_MAX is enough).
 */
int observation_write_metadata(const struct observation *observation, char *json,
                               size_t json_bytes);
int joint_command_write_metadata(const struct joint_command *command, char *json,
                                 size_t json_bytes);

/*
 * Checks all of a message. Returns OBSERVATION_FINE and fills the result, whose arrays point into
 * the parts; otherwise says the first thing that is wrong and leaves the result alone.
 */
enum observation_fault observation_read(const struct observation_part *parts, size_t part_count,
                                        struct observation *ret_observation);
enum observation_fault joint_command_read(const struct observation_part *parts, size_t part_count,
                                          struct joint_command *ret_command);

/* "the number of parts", "NaN or infinity", ...; a string constant. */
const char *observation_fault_name(enum observation_fault fault);

#endif
