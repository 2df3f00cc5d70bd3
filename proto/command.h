/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands: JSON {"action","cmd_seq","ttl_ms","data":{}} from a client (after the type byte
 * 0x04) and as payload on the bus, where the subject names the action. Subjects come from the
 * fixed table below, never from a client's bytes. A client may add "epoch", "sent_ns" and
 * "deadman"; see docs/safety.md.
 *
 * Source: docs/wire.md "Commands". Thread: any. Cost: parsing allocates (jansson) and frees.
 */
#ifndef SIMCAST_PROTO_COMMAND_H
#define SIMCAST_PROTO_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/settings.h"

#define COMMAND_MESSAGE_TYPE 0x04
#define COMMAND_BYTES_MAX 4096
#define COMMAND_NAME_BYTES 64
#define COMMAND_SUBJECT_WILDCARD "command.genesis.>"

enum command_action {
    COMMAND_SET_CMD_VEL,
    COMMAND_SET_ALPHA,
    COMMAND_SET_SKILL,
    COMMAND_PAUSE,
    COMMAND_RESET,
    COMMAND_LOAD_ROBOT,
    COMMAND_UNLOAD_ROBOT,
    COMMAND_SET_MODE,
    COMMAND_LOAD_POLICY,
    COMMAND_LIST_POLICIES,
    COMMAND_ESTOP,
    COMMAND_ESTOP_CLEAR,
    COMMAND_CAMERA,
    COMMAND_FORCE_IDR,
    COMMAND_SETTINGS,
    COMMAND_ACTION_COUNT,
};

/* Who wrote it: the "_safety" field that the transport gate adds to what it publishes itself. */
enum command_origin {
    COMMAND_FROM_CLIENT,
    COMMAND_FROM_GATE_HOLD,
    COMMAND_FROM_GATE_ESTOP,
};

enum command_deadman {
    COMMAND_DEADMAN_ABSENT,
    COMMAND_DEADMAN_RELEASED,
    COMMAND_DEADMAN_HELD,
};

struct command {
    enum command_action action;
    enum command_origin origin;
    bool has_cmd_seq;
    uint64_t cmd_seq;
    uint32_t ttl_ms; /* 0: no limit */
    uint64_t epoch;  /* that its sender meant; 0: it told none */
    int64_t sent_ns; /* server's clock, as the sender knows it by CLOCK; 0: it did not tell */
    enum command_deadman deadman;
    union {
        struct {
            double linear_x_mps; /* forward */
            double linear_y_mps; /* left */
            double angular_z_radps;
            double angular_y_radps;      /* pitch; for robots of others, usually left out */
        } velocity;                      /* SET_CMD_VEL */
        double alpha;                    /* SET_ALPHA, 0 to 1 */
        bool paused;                     /* PAUSE */
        char name[COMMAND_NAME_BYTES];   /* robot_name, mode, skill or reason; may be "" */
        struct stream_settings settings; /* SETTINGS */
        struct {
            double position_m[3];
            double lookat_m[3];
        } camera; /* CAMERA */
    } data;
};

/*
 * Parses a client's JSON, which names its own action. Unknown keys are ignored; the data may
 * stand in "data" or, as some programs write it, at the top level. A velocity that stands in both
 * must be the same in both, because some readers look here and some there: else -EPROTO.
 * Errors: -EPROTO not JSON, not an object, or a field of the wrong type or not finite;
 * -ENOTSUP an action that is not in the table; -EMSGSIZE over COMMAND_BYTES_MAX;
 * -ERANGE settings out of range.
 * On error *ret_reason (if not NULL) names the cause in a few words, a string constant that may
 * be shown to the client.
 */
int command_parse(const char *json, size_t json_bytes, struct command *ret_command,
                  const char **ret_reason);

/*
 * For the answer to a command that command_parse refused: fills action, has_cmd_seq and cmd_seq
 * as far as they can be read, nothing else. Errors: -EPROTO or -ENOTSUP the action cannot be told;
 * has_cmd_seq and cmd_seq are then set all the same.
 */
int command_identify(const char *json, size_t json_bytes, struct command *ret_command);

/* command_parse for a payload from the bus, whose subject gives the action. Errors as above. */
int command_parse_as(enum command_action action, const char *json, size_t json_bytes,
                     struct command *ret_command, const char **ret_reason);

/* The epoch that a telemetry.safety.state tells, 0 if none. */
#define COMMAND_STATE_SUBJECT "telemetry.safety.state"
uint64_t command_epoch_of_state(const char *json, size_t json_bytes);

/*
 * Writes a set_cmd_vel that command_parse took once more, with another velocity (forward, left,
 * turn), wherever it stands, and all else as it was; with a final NUL. Errors: -EMSGSIZE it needs
 * more than `capacity` bytes, -EPROTO, -ENOMEM.
 */
int command_set_velocity(const char *json, size_t json_bytes, const double velocity[3],
                         char *ret_json, size_t capacity);

/* "command.genesis.<action>"; a string constant. */
const char *command_subject(enum command_action action);
/* "<action>" alone; a string constant. */
const char *command_name(enum command_action action);

/* Errors: -ENOTSUP and ret_action untouched. */
int command_action_of_subject(const char *subject, enum command_action *ret_action);

/* set_cmd_vel, set_alpha, set_skill: what the gate stops. */
bool command_is_motion(enum command_action action);

#endif
