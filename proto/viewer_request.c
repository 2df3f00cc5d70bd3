/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the parsed JSON while it reads it. What is not understood is refused, never guessed. */
#include "proto/viewer_request.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

static const char *const names[] = {
    [VIEWER_SUBSCRIBE] = "subscribe", [VIEWER_UNSUBSCRIBE] = "unsubscribe",
    [VIEWER_PAUSE] = "pause",         [VIEWER_KEYFRAME] = "keyframe",
    [VIEWER_STREAMS] = "streams",
};

const char *viewer_request_name(enum viewer_request_kind kind)
{
    return names[kind];
}

/* A name that may be left out. */
static bool read_name(const json_t *root, const char *key, char ret_name[VIEWER_NAME_BYTES])
{
    const json_t *value = json_object_get(root, key);
    size_t length = json_string_length(value);

    if (!value)
        return true;
    if (!json_is_string(value) || length >= VIEWER_NAME_BYTES)
        return false;
    memcpy(ret_name, json_string_value(value), length);
    ret_name[length] = '\0';
    return strlen(ret_name) == length;
}

/* A truth that may be left out, unless `required`. */
static bool read_truth(const json_t *root, const char *key, bool required, bool *ret_truth)
{
    const json_t *value = json_object_get(root, key);

    if (!value)
        return !required;
    *ret_truth = json_is_true(value);
    return json_is_boolean(value);
}

static bool read_id(const json_t *root, uint16_t *ret_id)
{
    const json_t *value = json_object_get(root, "id");
    json_int_t id = json_integer_value(value);

    if (!json_is_integer(value) || id < 0 || id > UINT16_MAX)
        return false;
    *ret_id = (uint16_t)id;
    return true;
}

/* Returns why it is malformed, or NULL. */
static const char *read_fields(const json_t *root, struct viewer_request *request)
{
    bool by_id = request->kind != VIEWER_SUBSCRIBE && request->kind != VIEWER_STREAMS;

    if (by_id && !read_id(root, &request->id))
        return "id must be a number from 0 to 65535";
    if (!read_truth(root, "paused", request->kind == VIEWER_PAUSE, &request->paused))
        return "paused must be true or false";
    if (!read_truth(root, "metadata", false, &request->metadata))
        return "metadata must be true or false";
    if (!read_name(root, "stream", request->stream) ||
        !read_name(root, "rendition", request->rendition))
        return "stream and rendition must be names of at most 31 characters";
    return NULL;
}

static int identify(const json_t *root, enum viewer_request_kind *ret_kind)
{
    const char *type = json_string_value(json_object_get(root, "type"));

    for (unsigned kind = 0; type && kind < VIEWER_REQUEST_COUNT; kind++) {
        if (strcmp(type, names[kind]) == 0) {
            *ret_kind = (enum viewer_request_kind)kind;
            return 0;
        }
    }
    return -ENOMSG;
}

int viewer_request_parse(const char *json, size_t json_bytes, struct viewer_request *ret_request,
                         const char **ret_reason)
{
    json_t *root = json_loadb(json, json_bytes, JSON_REJECT_DUPLICATES, NULL);
    struct viewer_request request = {0};
    int error = identify(root, &request.kind);

    if (error == 0) {
        const char *reason = read_fields(root, &request);
        if (reason) {
            *ret_reason = reason;
            request = (struct viewer_request){.kind = request.kind};
            error = -EPROTO;
        }
        *ret_request = request;
    }
    json_decref(root);
    return error;
}
