/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of actions, and a reader for their data. Owns nothing: what jansson parsed does not
 * outlive the call that parsed it. On any thread; what a peer sent wrongly ends in -EPROTO.
 */
#include "proto/command.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ctype.h>
#include <jansson.h>

#include "proto/video.h"

#define SUBJECT_PREFIX "command.genesis."

typedef int (*data_reader)(json_t *data, struct command *command, const char **ret_reason);

static int read_number(json_t *data, const char *key, double *ret_value)
{
    json_t *value = json_object_get(data, key);

    if (!value)
        return 0;
    if (!json_is_number(value) || !isfinite(json_number_value(value)))
        return -EPROTO;
    *ret_value = json_number_value(value);
    return 0;
}

static int read_u32(json_t *data, const char *key, double scale, uint32_t *ret_value)
{
    double value = 0;

    if (read_number(data, key, &value) < 0)
        return -EPROTO;
    value *= scale;
    if (value < 0 || value > UINT32_MAX)
        return -ERANGE;
    *ret_value = (uint32_t)lround(value);
    return 0;
}

static int read_name(json_t *data, const char *key, char *ret_name, size_t name_bytes)
{
    json_t *value = json_object_get(data, key);

    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value) || json_string_length(value) >= name_bytes)
        return -EPROTO;
    snprintf(ret_name, name_bytes, "%s", json_string_value(value));
    return 0;
}

static int read_velocity(json_t *data, struct command *command, const char **ret_reason)
{
    if (read_number(data, "linear_x", &command->data.velocity.linear_x_mps) < 0 ||
        read_number(data, "linear_y", &command->data.velocity.linear_y_mps) < 0 ||
        read_number(data, "angular_z", &command->data.velocity.angular_z_radps) < 0 ||
        read_number(data, "angular_y", &command->data.velocity.angular_y_radps) < 0) {
        *ret_reason = "linear_x, linear_y, angular_z and angular_y must be finite numbers";
        return -EPROTO;
    }
    return 0;
}

/*
 * Some readers of the bus look at the top level and some in "data": a velocity that is judged by
 * one and obeyed by the other would pass every limit. What stands at the top must be the same in
 * "data".
 */
static int check_both_places(json_t *root, json_t *data, const char **ret_reason)
{
    static const char *const keys[] = {"linear_x", "linear_y", "angular_z", "angular_y"};

    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        json_t *above = json_object_get(root, keys[i]);
        json_t *within = json_object_get(data, keys[i]);
        if (above && (!json_is_number(above) || !json_is_number(within) ||
                      json_number_value(above) != json_number_value(within))) {
            *ret_reason = "a velocity beside data must be the same in data";
            return -EPROTO;
        }
    }
    return 0;
}

static int read_alpha(json_t *data, struct command *command, const char **ret_reason)
{
    if (!json_object_get(data, "alpha") || read_number(data, "alpha", &command->data.alpha) < 0 ||
        command->data.alpha < 0 || command->data.alpha > 1) {
        *ret_reason = "alpha must be a number from 0 to 1";
        return -EPROTO;
    }
    return 0;
}

static int read_paused(json_t *data, struct command *command, const char **ret_reason)
{
    json_t *paused = json_object_get(data, "paused");

    if (paused && !json_is_boolean(paused)) {
        *ret_reason = "paused must be true or false";
        return -EPROTO;
    }
    command->data.paused = !paused || json_is_true(paused);
    return 0;
}

static int read_any_name(json_t *data, struct command *command, const char **ret_reason)
{
    static const char *const keys[COMMAND_ACTION_COUNT] = {
        [COMMAND_SET_SKILL] = "skill",
        [COMMAND_LOAD_ROBOT] = "robot_name",
        [COMMAND_UNLOAD_ROBOT] = "robot_name",
        [COMMAND_SET_MODE] = "mode",
        [COMMAND_LOAD_POLICY] = "checkpoint_dir",
        [COMMAND_ESTOP] = "reason",
    };

    /* A stop is never refused for the way it gives its reason. */
    if (read_name(data, keys[command->action], command->data.name, COMMAND_NAME_BYTES) < 0 &&
        command->action != COMMAND_ESTOP) {
        *ret_reason = "the name must be a string of at most 63 bytes";
        return -EPROTO;
    }
    return 0;
}

static int read_vector(json_t *data, const char *key, double ret_vector[3])
{
    json_t *array = json_object_get(data, key);

    if (!json_is_array(array) || json_array_size(array) != 3)
        return -EPROTO;
    for (size_t i = 0; i < 3; i++) {
        json_t *value = json_array_get(array, i);
        if (!json_is_number(value) || !isfinite(json_number_value(value)))
            return -EPROTO;
        ret_vector[i] = json_number_value(value);
    }
    return 0;
}

static int read_camera(json_t *data, struct command *command, const char **ret_reason)
{
    if (read_vector(data, "position", command->data.camera.position_m) < 0 ||
        read_vector(data, "lookat", command->data.camera.lookat_m) < 0) {
        *ret_reason = "position and lookat must be arrays of three finite numbers";
        return -EPROTO;
    }
    return 0;
}

/* The codec may be a name or the wire's number. */
static int read_codec(json_t *data, uint32_t *ret_codec)
{
    json_t *value = json_object_get(data, "codec");
    enum video_codec codec;

    if (!value || json_is_null(value))
        return 0;
    if (json_is_integer(value) && json_integer_value(value) >= VIDEO_CODEC_H264 &&
        json_integer_value(value) <= VIDEO_CODEC_JPEG) {
        *ret_codec = (uint32_t)json_integer_value(value);
        return 0;
    }
    if (!json_is_string(value) || video_codec_parse(json_string_value(value), &codec) < 0)
        return -EPROTO;
    *ret_codec = codec;
    return 0;
}

/* A number of pixels up to 65535 at *text, which moves behind it. */
static bool take_pixels(const char **text, uint32_t *ret_pixels)
{
    char *end;
    unsigned long pixels = isdigit((unsigned char)**text) ? strtoul(*text, &end, 10) : 0;

    if (pixels < 1 || pixels > UINT16_MAX)
        return false;
    *text = end;
    *ret_pixels = (uint32_t)pixels;
    return true;
}

/* "640x480" or [640, 480]. */
static int read_resolution(json_t *data, struct stream_settings *settings)
{
    json_t *value = json_object_get(data, "camera_res");

    if (!value || json_is_null(value))
        return 0;
    if (json_is_array(value) && json_array_size(value) == 2 &&
        json_is_integer(json_array_get(value, 0)) && json_is_integer(json_array_get(value, 1))) {
        json_int_t width = json_integer_value(json_array_get(value, 0));
        json_int_t height = json_integer_value(json_array_get(value, 1));
        if (width < 1 || width > UINT16_MAX || height < 1 || height > UINT16_MAX)
            return -ERANGE;
        settings->width = (uint32_t)width;
        settings->height = (uint32_t)height;
        return 0;
    }
    const char *text = json_string_value(value);
    bool both = text && take_pixels(&text, &settings->width) && *text++ == 'x' &&
                take_pixels(&text, &settings->height) && *text == '\0';
    return both ? 0 : -EPROTO;
}

static int read_settings(json_t *data, struct command *command, const char **ret_reason)
{
    struct stream_settings asked = {0};
    struct stream_settings valid = {0};

    if (read_codec(data, &asked.codec) < 0) {
        *ret_reason = "codec must be h264, hevc or jpeg";
        return -EPROTO;
    }
    if (read_resolution(data, &asked) < 0) {
        *ret_reason = "camera_res must look like 640x480";
        return -EPROTO;
    }
    if (read_u32(data, "jpeg_quality", 1, &asked.jpeg_quality) < 0 ||
        read_u32(data, "h264_bitrate", 1e6, &asked.bitrate_bps) < 0 ||
        read_u32(data, "stream_fps", 1, &asked.fps) < 0 ||
        read_name(data, "h264_preset", asked.preset, sizeof(asked.preset)) < 0) {
        *ret_reason = "a setting has the wrong type";
        return -EPROTO;
    }
    int error = stream_settings_merge(&valid, &asked);
    if (error < 0)
        *ret_reason = "a setting is out of range";
    command->data.settings = valid;
    return error;
}

static const struct {
    const char *subject;
    data_reader read;
    bool motion;
} actions[COMMAND_ACTION_COUNT] = {
    [COMMAND_SET_CMD_VEL] = {SUBJECT_PREFIX "set_cmd_vel", read_velocity, true},
    [COMMAND_SET_ALPHA] = {SUBJECT_PREFIX "set_alpha", read_alpha, true},
    [COMMAND_SET_SKILL] = {SUBJECT_PREFIX "set_skill", read_any_name, true},
    [COMMAND_PAUSE] = {SUBJECT_PREFIX "pause", read_paused, false},
    [COMMAND_RESET] = {SUBJECT_PREFIX "reset", NULL, false},
    [COMMAND_LOAD_ROBOT] = {SUBJECT_PREFIX "load_robot", read_any_name, false},
    [COMMAND_UNLOAD_ROBOT] = {SUBJECT_PREFIX "unload_robot", read_any_name, false},
    [COMMAND_SET_MODE] = {SUBJECT_PREFIX "set_mode", read_any_name, false},
    [COMMAND_LOAD_POLICY] = {SUBJECT_PREFIX "load_policy", read_any_name, false},
    [COMMAND_LIST_POLICIES] = {SUBJECT_PREFIX "list_policies", NULL, false},
    [COMMAND_ESTOP] = {SUBJECT_PREFIX "estop", read_any_name, false},
    [COMMAND_ESTOP_CLEAR] = {SUBJECT_PREFIX "estop_clear", NULL, false},
    [COMMAND_CAMERA] = {SUBJECT_PREFIX "camera", read_camera, false},
    [COMMAND_FORCE_IDR] = {SUBJECT_PREFIX "force_idr", NULL, false},
    [COMMAND_SETTINGS] = {SUBJECT_PREFIX "settings", read_settings, false},
};

static int action_of_name(const char *name, enum command_action *ret_action)
{
    for (unsigned i = 0; i < COMMAND_ACTION_COUNT; i++) {
        if (strcmp(name, command_name((enum command_action)i)) == 0) {
            *ret_action = (enum command_action)i;
            return 0;
        }
    }
    return -ENOTSUP;
}

/* Whether it is there; null is not. Errors: -EPROTO not a whole number from 0. */
static int read_count(json_t *root, const char *key, bool *ret_there, uint64_t *ret_value)
{
    json_t *value = json_object_get(root, key);

    *ret_there = value && !json_is_null(value);
    if (!*ret_there)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return -EPROTO;
    *ret_value = (uint64_t)json_integer_value(value);
    return 0;
}

/* What simcast adds: in which epoch and when it was sent, and the deadman. */
static int read_additions(json_t *root, struct command *command, const char **ret_reason)
{
    json_t *deadman = json_object_get(root, "deadman");
    uint64_t sent_ns = 0;
    bool there;

    if (read_count(root, "epoch", &there, &command->epoch) < 0 ||
        read_count(root, "sent_ns", &there, &sent_ns) < 0) {
        *ret_reason = "epoch and sent_ns must be whole numbers from 0";
        return -EPROTO;
    }
    command->sent_ns = (int64_t)sent_ns;
    if (!deadman || json_is_null(deadman))
        return 0;
    if (!json_is_boolean(deadman)) {
        *ret_reason = "deadman must be true or false";
        return -EPROTO;
    }
    command->deadman = json_is_true(deadman) ? COMMAND_DEADMAN_HELD : COMMAND_DEADMAN_RELEASED;
    return 0;
}

static int read_envelope(json_t *root, struct command *command, const char **ret_reason)
{
    json_t *ttl_ms = json_object_get(root, "ttl_ms");
    const char *safety = json_string_value(json_object_get(root, "_safety"));

    if (read_count(root, "cmd_seq", &command->has_cmd_seq, &command->cmd_seq) < 0) {
        command->has_cmd_seq = false;
        *ret_reason = "cmd_seq must be a whole number from 0";
        return -EPROTO;
    }
    if (ttl_ms && !json_is_null(ttl_ms)) {
        if (!json_is_number(ttl_ms) || json_number_value(ttl_ms) < 0 ||
            json_number_value(ttl_ms) > UINT32_MAX) {
            *ret_reason = "ttl_ms must be a number of milliseconds";
            return -EPROTO;
        }
        command->ttl_ms = (uint32_t)json_number_value(ttl_ms);
    }
    if (safety && strcmp(safety, "hold") == 0)
        command->origin = COMMAND_FROM_GATE_HOLD;
    else if (safety && strcmp(safety, "estop") == 0)
        command->origin = COMMAND_FROM_GATE_ESTOP;
    return read_additions(root, command, ret_reason);
}

static int read_command(json_t *root, struct command *command, const char **ret_reason)
{
    int error = read_envelope(root, command, ret_reason);

    if (error < 0 && command->action == COMMAND_ESTOP)
        error = 0; /* a stop with a broken envelope is still a stop */
    if (error < 0 || !actions[command->action].read)
        return error;
    json_t *data = json_object_get(root, "data");
    if (data && !json_is_object(data) && command->action != COMMAND_ESTOP) {
        *ret_reason = "data must be an object";
        return -EPROTO;
    }
    if (!json_is_object(data))
        return actions[command->action].read(root, command, ret_reason);
    if (command->action == COMMAND_SET_CMD_VEL && check_both_places(root, data, ret_reason) < 0)
        return -EPROTO;
    return actions[command->action].read(data, command, ret_reason);
}

static json_t *load(const char *json, size_t json_bytes, int *ret_error, const char **ret_reason)
{
    if (json_bytes > COMMAND_BYTES_MAX) {
        *ret_error = -EMSGSIZE;
        *ret_reason = "the command is over 4096 bytes";
        return NULL;
    }
    json_t *root = json_loadb(json, json_bytes, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        *ret_error = -EPROTO;
        *ret_reason = "the command is not a JSON object";
        return NULL;
    }
    return root;
}

int command_parse(const char *json, size_t json_bytes, struct command *ret_command,
                  const char **ret_reason)
{
    struct command command = {0};
    const char *unused_reason;
    const char **reason = ret_reason ? ret_reason : &unused_reason;
    int error = 0;
    json_t *root = load(json, json_bytes, &error, reason);

    if (!root)
        return error;
    const char *name = json_string_value(json_object_get(root, "action"));
    if (!name) {
        *reason = "action is missing or not a string";
        error = -EPROTO;
    } else if (action_of_name(name, &command.action) < 0) {
        *reason = "unknown action";
        error = -ENOTSUP;
    } else {
        error = read_command(root, &command, reason);
    }
    json_decref(root);
    if (error == 0)
        *ret_command = command;
    return error;
}

int command_identify(const char *json, size_t json_bytes, struct command *ret_command)
{
    struct command command = {0};
    const char *unused_reason;
    int error = 0;
    json_t *root = load(json, json_bytes, &error, &unused_reason);

    if (root) {
        const char *name = json_string_value(json_object_get(root, "action"));
        json_t *cmd_seq = json_object_get(root, "cmd_seq");
        error = name ? action_of_name(name, &command.action) : -EPROTO;
        if (json_is_integer(cmd_seq) && json_integer_value(cmd_seq) >= 0) {
            command.has_cmd_seq = true;
            command.cmd_seq = (uint64_t)json_integer_value(cmd_seq);
        }
        json_decref(root);
    }
    *ret_command = command;
    return error;
}

int command_parse_as(enum command_action action, const char *json, size_t json_bytes,
                     struct command *ret_command, const char **ret_reason)
{
    struct command command = {.action = action};
    const char *unused_reason;
    const char **reason = ret_reason ? ret_reason : &unused_reason;
    int error = 0;
    json_t *root = load(json, json_bytes, &error, reason);

    if (root) {
        error = read_command(root, &command, reason);
        json_decref(root);
    } else if (action == COMMAND_ESTOP) {
        error = 0; /* the subject alone says stop */
    }
    if (error == 0)
        *ret_command = command;
    return error;
}

uint64_t command_epoch_of_state(const char *json, size_t json_bytes)
{
    const char *unused_reason;
    int unused_error;
    uint64_t epoch = 0;
    bool there;
    json_t *root = load(json, json_bytes, &unused_error, &unused_reason);

    if (root && read_count(root, "epoch", &there, &epoch) < 0)
        epoch = 0;
    json_decref(root);
    return epoch;
}

int command_set_velocity(const char *json, size_t json_bytes, const double velocity[3],
                         char *ret_json, size_t capacity)
{
    static const char *const keys[] = {"linear_x", "linear_y", "angular_z"};
    const char *unused_reason;
    int error = 0;
    json_t *root = load(json, json_bytes, &error, &unused_reason);

    if (!root)
        return error;
    json_t *data = json_object_get(root, "data");
    json_t *object = json_is_object(data) ? data : root;
    for (unsigned i = 0; i < 3 && error == 0; i++) {
        bool twice = object != root && json_object_get(root, keys[i]);
        if (json_object_set_new(object, keys[i], json_real(velocity[i])) < 0 ||
            (twice && json_object_set_new(root, keys[i], json_real(velocity[i])) < 0))
            error = -ENOMEM;
    }
    size_t bytes = json_dumpb(root, ret_json, capacity, JSON_COMPACT);
    json_decref(root);
    if (error == 0 && (bytes == 0 || bytes >= capacity))
        error = -EMSGSIZE;
    if (error == 0)
        ret_json[bytes] = '\0';
    return error;
}

const char *command_subject(enum command_action action)
{
    return actions[action].subject;
}

const char *command_name(enum command_action action)
{
    return actions[action].subject + strlen(SUBJECT_PREFIX);
}

int command_action_of_subject(const char *subject, enum command_action *ret_action)
{
    size_t prefix_bytes = strlen(SUBJECT_PREFIX);

    if (strncmp(subject, SUBJECT_PREFIX, prefix_bytes) != 0)
        return -ENOTSUP;
    return action_of_name(subject + prefix_bytes, ret_action);
}

bool command_is_motion(enum command_action action)
{
    return actions[action].motion;
}
