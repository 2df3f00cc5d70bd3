/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the file that is read, one line of it, and the message that the line became. */
#include "cli/recording.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/clock.h"

#define HEADER "{\"recording\":\"simcast bus\",\"version\":1}"
#define SECONDS_MAX 1e9

struct recording {
    FILE *file;
    char *line;
    size_t line_bytes;
    unsigned line_number;
    json_t *object;
    char *payload; /* from hex; NULL: it stands in the object */
};

int recording_begin(FILE *file)
{
    return fputs(HEADER "\n", file) < 0 || fflush(file) != 0 ? -EIO : 0;
}

static json_t *hex_of(const char *bytes, size_t count)
{
    char *text = malloc(2 * count + 1);
    json_t *json = NULL;

    if (!text)
        return NULL;
    for (size_t i = 0; i < count; i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned char)bytes[i]);
    json = json_stringn(text, 2 * count);
    free(text);
    return json;
}

static void wall_time(char *text, size_t text_bytes)
{
    int64_t now_ns = clock_wall_ns();
    time_t seconds = now_ns / NS_PER_S;
    struct tm broken;
    char date[32];

    gmtime_r(&seconds, &broken);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &broken);
    snprintf(text, text_bytes, "%s.%06dZ", date, (int)(now_ns % NS_PER_S / NS_PER_US));
}

int recording_write(FILE *file, int64_t since_first_ns, const struct bus_message *message)
{
    char time_text[48];
    const char *key = "payload";
    json_t *payload = json_stringn(message->payload, message->payload_bytes);

    if (!payload) {
        key = "payload_hex";
        payload = hex_of(message->payload, message->payload_bytes);
    }
    wall_time(time_text, sizeof(time_text));
    json_t *line = json_pack("{s:f, s:s, s:s, s:o}", "t", round((double)since_first_ns / 1e3) / 1e6,
                             "time", time_text, "subject", message->subject, key, payload);
    int error = line && json_dumpf(line, file, JSON_COMPACT | JSON_REAL_PRECISION(12)) == 0 &&
                        fputc('\n', file) != EOF
                    ? 0
                    : -EIO;
    json_decref(line);
    return error;
}

int recording_open(const char *path, struct recording **ret_recording)
{
    struct recording *recording = calloc(1, sizeof(*recording));

    if (!recording)
        return -ENOMEM;
    recording->file = fopen(path, "re");
    int error = recording->file ? 0 : -errno;
    if (error == 0 && (getline(&recording->line, &recording->line_bytes, recording->file) < 0 ||
                       strcmp(recording->line, HEADER "\n") != 0))
        error = -EPROTO;
    recording->line_number = 1;
    if (error < 0) {
        recording_close(recording);
        return error;
    }
    *ret_recording = recording;
    return 0;
}

void recording_close(struct recording *recording)
{
    if (!recording)
        return;
    if (recording->file)
        fclose(recording->file);
    json_decref(recording->object);
    free(recording->payload);
    free(recording->line);
    free(recording);
}

static int digit_of(char letter)
{
    static const char digits[] = "0123456789abcdef";
    const char *digit = letter ? strchr(digits, letter) : NULL;

    return digit ? (int)(digit - digits) : -1;
}

static bool take_hex(struct recording *recording, const char *text, struct bus_message *message)
{
    size_t count = strlen(text) / 2;

    recording->payload = malloc(count + 1);
    if (!recording->payload || strlen(text) % 2 != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        int high = digit_of(text[2 * i]);
        int low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        recording->payload[i] = (char)(high << 4 | low);
    }
    message->payload = recording->payload;
    message->payload_bytes = count;
    return true;
}

static bool take_line(struct recording *recording, int64_t *ret_since_ns,
                      struct bus_message *ret_message)
{
    const json_t *object = recording->object;
    double seconds = json_number_value(json_object_get(object, "t"));
    const json_t *payload = json_object_get(object, "payload");
    const char *hex = json_string_value(json_object_get(object, "payload_hex"));
    struct bus_message message = {
        .subject = json_string_value(json_object_get(object, "subject")),
        .payload = json_string_value(payload),
        .payload_bytes = json_string_length(payload),
    };

    if (!json_is_number(json_object_get(object, "t")) || !(seconds >= 0) || seconds > SECONDS_MAX ||
        !message.subject || (!message.payload && (!hex || !take_hex(recording, hex, &message))))
        return false;
    *ret_since_ns = (int64_t)(seconds * (double)NS_PER_S);
    *ret_message = message;
    return true;
}

int recording_next(struct recording *recording, int64_t *ret_since_first_ns,
                   struct bus_message *ret_message, char ret_reason[RECORDING_REASON_BYTES])
{
    json_error_t error = {0};

    json_decref(recording->object);
    recording->object = NULL;
    free(recording->payload);
    recording->payload = NULL;
    if (getline(&recording->line, &recording->line_bytes, recording->file) < 0)
        return -ENODATA;
    recording->line_number++;
    recording->object = json_loads(recording->line, JSON_ALLOW_NUL, &error);
    if (take_line(recording, ret_since_first_ns, ret_message))
        return 0;
    snprintf(ret_reason, RECORDING_REASON_BYTES, "line %u is no message%s%.80s",
             recording->line_number, error.text[0] ? ": " : "", error.text);
    return -EPROTO;
}
