/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing; writes into the caller's buffer. */
#include "daemon/http.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <strings.h>

#define TYPE_JSON "application/json"
#define TYPE_TEXT "text/plain; charset=utf-8"

static const struct {
    unsigned status;
    const char *text;
} errors[] = {
    {400, "400: a header without a proper name, or subprotocols of which none is known here\n"},
    {401, "401: show a token: Authorization: Bearer TOKEN\n"},
    {403, "403: pages of that origin may not connect; see allowed_origins\n"},
    {404, "404: there is nothing here\n"},
    {405, "405: only GET\n"},
    {421, "421: simcastd is not known by that name; see allowed_hosts\n"},
    {426, "426: this path speaks WebSocket\n"},
    {431, "431: the request's headers are too long; at most 8 KiB, cookies included\n"},
    {429, "429: too many connections from this address; see limits.clients_per_address\n"},
    {503, "503: no room for more, or simcastd is stopping; try again later\n"},
};

void http_error(unsigned status, struct http_response *ret_response)
{
    const char *text = "error\n";

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (errors[i].status == status)
            text = errors[i].text;
    }
    *ret_response = (struct http_response){
        .status = status,
        .content_type = TYPE_TEXT,
        .body = text,
        .body_bytes = strlen(text),
    };
}

static void write_health(const struct http_health *health, char *buffer)
{
    const struct counters *counters = health->counters;
    char age[24] = "null";
    uint64_t average =
        counters->frames_broadcast > 0 ? counters->frame_bytes / counters->frames_broadcast : 0;

    if (health->last_frame_age_ms >= 0)
        snprintf(age, sizeof(age), "%" PRId64, health->last_frame_age_ms);
    snprintf(buffer, HTTP_BODY_BYTES,
             "{\"status\":\"ok\",\"clients\":%u,\"shm_seq\":%" PRIu64
             ",\"last_frame_age_ms\":%s,\"uptime_s\":%" PRId64 ",\"frames_broadcast\":%" PRIu64
             ",\"client_lag_total\":%" PRIu64 ",\"avg_frame_size_bytes\":%" PRIu64
             ",\"source\":\"%s\",\"bus\":\"%s\",\"gate\":\"%s\",\"gate_reason\":\"%s\""
             ",\"frames_delivered\":%" PRIu64 ",\"commands_passed\":%" PRIu64
             ",\"commands_refused\":%" PRIu64 ",\"messages_ignored\":%" PRIu64
             ",\"telemetry_dropped\":%" PRIu64 ",\"telemetry_too_long\":%" PRIu64
             ",\"packets_malformed\":%" PRIu64 ",\"packets_lost\":%" PRIu64
             ",\"motion_countered\":%" PRIu64 "}\n",
             health->clients, health->shm_seq, age, health->uptime_s, counters->frames_broadcast,
             counters->client_lag, average, health->source,
             health->bus_connected ? "connected" : "connecting", health->gate_mode,
             health->gate_reason, counters->frames_delivered, counters->commands_passed,
             counters->commands_refused, counters->messages_ignored, counters->telemetry_dropped,
             counters->telemetry_too_long, counters->packets_malformed, counters->packets_lost,
             counters->motion_countered);
}

/* Our own sentences, but a path in one may hold anything: keep JSON's own characters out. */
static void plain(const char *text, char *ret_text, size_t text_bytes)
{
    size_t used = 0;

    for (; *text != '\0' && used + 1 < text_bytes; text++) {
        bool special = *text == '"' || *text == '\\' || (unsigned char)*text < ' ' ||
                       (unsigned char)*text > '~';
        ret_text[used++] = (char)(special ? '?' : *text);
    }
    ret_text[used] = '\0';
}

static bool write_readiness(const struct http_health *health, char *buffer)
{
    bool attached = strcmp(health->source, "none") != 0;
    char reason[512] = "";

    plain(health->source_reason ? health->source_reason : "", reason, sizeof(reason));
    snprintf(buffer, HTTP_BODY_BYTES, "{\"ready\":%s,\"reasons\":[%s%s%s%s%s]}\n",
             attached && health->bus_connected ? "true" : "false",
             health->bus_connected ? "" : "\"the bus is not connected\"",
             !health->bus_connected && !attached ? "," : "",
             attached ? "" : "\"no video source: ", attached ? "" : reason, attached ? "" : "\"");
    return attached && health->bus_connected;
}

static void respond_json(unsigned status, const char *body, struct http_response *ret_response)
{
    *ret_response = (struct http_response){
        .status = status,
        .content_type = TYPE_JSON,
        .body = body,
        .body_bytes = strlen(body),
    };
}

static void respond_stream(enum client_kind kind, const struct http_health *health, char *buffer,
                           struct http_response *ret_response)
{
    const char *name = video_codec_name(http_stream_codec(kind));

    *ret_response = (struct http_response){.status = 200, .streams = true, .kind = kind};
    if (health->codec == VIDEO_CODEC_NONE || health->codec == http_stream_codec(kind))
        return;
    snprintf(buffer, HTTP_BODY_BYTES,
             "503: the stream is encoded as %s, this address needs %s; try again when nobody else "
             "watches, or let an operator send settings {\"codec\":\"%s\"}\n",
             video_codec_name(health->codec), name, name);
    *ret_response = (struct http_response){
        .status = 503,
        .content_type = TYPE_TEXT,
        .body = buffer,
        .body_bytes = strlen(buffer),
    };
}

void http_get(const struct http_request *request, const struct http_health *health,
              const struct web_files *files, char buffer[HTTP_BODY_BYTES],
              struct http_response *ret_response)
{
    const char *path = request->path;
    enum client_kind kind;

    if (http_stream_kind(path, request->query, &kind) == 0) {
        respond_stream(kind, health, buffer, ret_response);
    } else if (strcmp(path, "/health") == 0) {
        write_health(health, buffer);
        respond_json(200, buffer, ret_response);
    } else if (strcmp(path, "/healthz") == 0) {
        respond_json(200, "{\"alive\":true}\n", ret_response);
    } else if (strcmp(path, "/readyz") == 0) {
        bool ready = write_readiness(health, buffer);
        respond_json(ready ? 200 : 503, buffer, ret_response);
    } else if (strcmp(path, HTTP_WS_PATH) == 0) {
        http_error(426, ret_response);
    } else {
        const char *name = strcmp(path, "/") == 0 ? "index.html" : path + (path[0] == '/');
        const struct web_file *file = web_files_find(files, name);
        if (!file) {
            http_error(404, ret_response);
            return;
        }
        *ret_response = (struct http_response){
            .status = 200,
            .content_type = file->content_type,
            .body = file->bytes,
            .body_bytes = file->size,
        };
    }
}

static bool listed(const char *origin, const char *list)
{
    size_t length = strlen(origin);

    while (*list != '\0') {
        list += strspn(list, ", ");
        size_t entry = strcspn(list, ", ");
        if (entry == length && strncasecmp(list, origin, length) == 0)
            return true;
        list += entry;
    }
    return false;
}

bool http_origin_allowed(const char *origin, const char *host, const char *allowed)
{
    if (origin[0] == '\0')
        return true;
    const char *authority = strstr(origin, "://");
    if (authority && host[0] != '\0' && strcasecmp(authority + 3, host) == 0)
        return true;
    return listed(origin, allowed);
}

static bool is_number(const char *host)
{
    struct in6_addr address;

    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

bool http_host_allowed(const char *host, const char *allowed, bool loopback)
{
    char name[256];
    size_t length = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":");

    if (host[0] == '\0' || (!loopback && allowed[0] == '\0'))
        return true;
    if (host[0] == '[') {
        host++;
        length--;
    }
    if (length == 0 || length >= sizeof(name))
        return false;
    memcpy(name, host, length);
    name[length] = '\0';
    return strcasecmp(name, "localhost") == 0 || is_number(name) || listed("*", allowed) ||
           listed(name, allowed);
}
