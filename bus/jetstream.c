/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns one connection, its JetStream context and at most one reading. Every call waits for the
 * server's answer; failures come back as a sentence.
 */
#include "bus/jetstream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bus/nats_access.h"

struct jetstream {
    natsConnection *connection;
    jsCtx *context;
    natsSubscription *reading;
    uint64_t
        last; /* number of the newest message when it began: what we replay may be kept again */
    bool ended;
    natsMsg *message;
};

static int connect_server(struct jetstream *jetstream, struct nats_access *access, char *reason)
{
    natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);

    if (status == NATS_OK)
        status = natsOptions_SetName(options, "simcast bus");
    if (status == NATS_OK)
        status = natsOptions_SetAllowReconnect(options, false);
    if (status == NATS_OK)
        status = natsOptions_SetTimeout(options, JETSTREAM_TIMEOUT_MS);
    if (status == NATS_OK)
        status = nats_access_set(access, options);
    if (status == NATS_OK)
        status = natsConnection_Connect(&jetstream->connection, options);
    natsOptions_Destroy(options);
    nats_access_end(access);
    if (status == NATS_OK)
        return 0;
    char why[NATS_WHY_BYTES];
    nats_access_explain(access, status, why);
    snprintf(reason, JETSTREAM_REASON_BYTES, "%.*s", JETSTREAM_REASON_BYTES - 1, why);
    return nats_access_needs_a_person(access, status) ? -ENOKEY : -ENOTCONN;
}

/* The first server that works; the others of a cluster know the same streams. */
static int connect_any(struct jetstream *jetstream, const char *url, struct nats_access *access,
                       char *reason)
{
    while (true) {
        size_t bytes = strcspn(url, ",");
        nats_access_begin(access, url, bytes);
        int error = connect_server(jetstream, access, reason);
        if (error == 0 || url[bytes] == '\0')
            return error;
        url += bytes + 1;
    }
}

static int open_context(struct jetstream *jetstream, char *reason)
{
    struct jsOptions options;
    jsAccountInfo *info = NULL;
    jsErrCode code = 0;

    jsOptions_Init(&options);
    options.Wait = JETSTREAM_TIMEOUT_MS;
    natsStatus status =
        natsConnection_JetStream(&jetstream->context, jetstream->connection, &options);
    if (status == NATS_OK)
        status = js_GetAccountInfo(&info, jetstream->context, &options, &code);
    jsAccountInfo_Destroy(info);
    if (status == NATS_OK)
        return 0;
    snprintf(reason, JETSTREAM_REASON_BYTES,
             "the server's JetStream is off, or not for this account (%s); start nats-server with "
             "-js, or add jetstream {} to its file",
             natsStatus_GetText(status));
    return -ENOTSUP;
}

int jetstream_open(const char *url, struct jetstream **ret_jetstream,
                   char ret_reason[JETSTREAM_REASON_BYTES])
{
    char *files[BUS_ACCESS_FILES] = {NULL};
    struct nats_access server = {.files = files};
    struct jetstream *jetstream;
    int error;

    if ((strncmp(url, "nats://", 7) != 0 && strncmp(url, "tls://", 6) != 0) ||
        !bus_url_is_valid(url)) {
        snprintf(ret_reason, JETSTREAM_REASON_BYTES,
                 "JetStream is a part of NATS; give --bus nats://host:4222");
        return -EINVAL;
    }
    jetstream = calloc(1, sizeof(*jetstream));
    if (!jetstream)
        return -ENOMEM;
    snprintf(ret_reason, JETSTREAM_REASON_BYTES, "the login or TLS files cannot be used");
    error = bus_access_find(files);
    if (error == 0)
        error = connect_any(jetstream, url, &server, ret_reason);
    if (error == 0)
        error = open_context(jetstream, ret_reason);
    for (int i = 0; i < BUS_ACCESS_FILES; i++)
        free(files[i]);
    if (error < 0) {
        jetstream_close(jetstream);
        return error;
    }
    *ret_jetstream = jetstream;
    return 0;
}

void jetstream_close(struct jetstream *jetstream)
{
    if (!jetstream)
        return;
    natsMsg_Destroy(jetstream->message);
    natsSubscription_Destroy(jetstream->reading);
    jsCtx_Destroy(jetstream->context);
    natsConnection_Destroy(jetstream->connection);
    free(jetstream);
}

static int fail(natsStatus status, const char *what, const char *name, char *reason)
{
    snprintf(reason, JETSTREAM_REASON_BYTES, "cannot %s the stream %s: %s", what, name,
             nats_access_last_error(status));
    return -EIO;
}

static bool is_as_told(const jsStreamConfig *config, const struct jetstream_stream *stream)
{
    bool takes =
        stream->source
            ? config->SourcesLen == 1 && strcmp(config->Sources[0]->Name, stream->source) == 0
            : config->SubjectsLen == 1 && strcmp(config->Subjects[0], stream->subject) == 0;

    return takes && config->MaxAge == stream->age_ns_max && config->MaxBytes == stream->bytes_max &&
           config->Discard == js_DiscardOld;
}

static natsStatus make(struct jetstream *jetstream, const struct jetstream_stream *stream,
                       bool exists)
{
    const char *subjects[] = {stream->subject};
    jsStreamSource source;
    jsStreamSource *sources[] = {&source};
    jsStreamConfig config;
    jsErrCode code = 0;

    jsStreamSource_Init(&source);
    jsStreamConfig_Init(&config);
    source.Name = stream->source;
    config.Name = stream->name;
    if (stream->source) {
        config.Sources = sources;
        config.SourcesLen = 1;
    } else {
        config.Subjects = subjects;
        config.SubjectsLen = 1;
    }
    config.MaxAge = stream->age_ns_max;
    config.MaxBytes = stream->bytes_max;
    config.Discard = js_DiscardOld;
    config.Storage = stream->in_memory ? js_MemoryStorage : js_FileStorage;
    return exists ? js_UpdateStream(NULL, jetstream->context, &config, NULL, &code)
                  : js_AddStream(NULL, jetstream->context, &config, NULL, &code);
}

int jetstream_make(struct jetstream *jetstream, const struct jetstream_stream *stream,
                   enum jetstream_outcome *ret_outcome, char ret_reason[JETSTREAM_REASON_BYTES])
{
    enum jetstream_outcome outcome = JETSTREAM_CREATED;
    jsStreamInfo *info = NULL;
    jsErrCode code = 0;
    natsStatus status = js_GetStreamInfo(&info, jetstream->context, stream->name, NULL, &code);

    if (status == NATS_OK)
        outcome = is_as_told(info->Config, stream) ? JETSTREAM_UNCHANGED : JETSTREAM_CHANGED;
    jsStreamInfo_Destroy(info);
    if (status == NATS_NOT_FOUND || (status == NATS_OK && outcome == JETSTREAM_CHANGED))
        status = make(jetstream, stream, outcome == JETSTREAM_CHANGED);
    if (status != NATS_OK)
        return fail(status, "make", stream->name, ret_reason);
    *ret_outcome = outcome;
    return 0;
}

int jetstream_delete(struct jetstream *jetstream, const char *name,
                     char ret_reason[JETSTREAM_REASON_BYTES])
{
    jsErrCode code = 0;
    natsStatus status = js_DeleteStream(jetstream->context, name, NULL, &code);

    if (status == NATS_NOT_FOUND || code == JSStreamNotFoundErr)
        return -ENOENT;
    return status == NATS_OK ? 0 : fail(status, "delete", name, ret_reason);
}

int jetstream_look(struct jetstream *jetstream, const char *name, struct jetstream_state *ret_state)
{
    jsStreamInfo *info = NULL;
    jsErrCode code = 0;
    natsStatus status = js_GetStreamInfo(&info, jetstream->context, name, NULL, &code);

    if (status != NATS_OK)
        return status == NATS_NOT_FOUND ? -ENOENT : -EIO;
    *ret_state = (struct jetstream_state){.messages = info->State.Msgs, .bytes = info->State.Bytes};
    jsStreamInfo_Destroy(info);
    return 0;
}

int jetstream_read_begin(struct jetstream *jetstream, const char *name, int64_t since_ns,
                         char ret_reason[JETSTREAM_REASON_BYTES])
{
    jsStreamInfo *info = NULL;
    jsSubOptions options;
    jsErrCode code = 0;

    if (js_GetStreamInfo(&info, jetstream->context, name, NULL, &code) != NATS_OK) {
        snprintf(ret_reason, JETSTREAM_REASON_BYTES,
                 "there is no stream %s; simcast bus setup shows those that there are", name);
        return -ENOENT;
    }
    jetstream->last = info->State.LastSeq;
    jetstream->ended = info->State.Msgs == 0;
    jsStreamInfo_Destroy(info);
    if (jetstream->ended)
        return 0;
    jsSubOptions_Init(&options);
    options.Stream = name;
    options.Ordered = true;
    if (since_ns > 0) {
        options.Config.DeliverPolicy = js_DeliverByStartTime;
        options.Config.OptStartTime = clock_wall_ns() - since_ns;
    }
    natsStatus status =
        js_SubscribeSync(&jetstream->reading, jetstream->context, ">", NULL, &options, &code);
    return status == NATS_OK ? 0 : fail(status, "read", name, ret_reason);
}

int jetstream_read_next(struct jetstream *jetstream, int64_t *ret_wall_ns,
                        struct bus_message *ret_message)
{
    jsMsgMetaData *meta = NULL;

    natsMsg_Destroy(jetstream->message);
    jetstream->message = NULL;
    if (jetstream->ended)
        return -ENODATA;
    natsStatus status =
        natsSubscription_NextMsg(&jetstream->message, jetstream->reading, JETSTREAM_TIMEOUT_MS);
    if (status == NATS_TIMEOUT)
        return -ENODATA; /* nothing is as young as asked for */
    if (status == NATS_OK)
        status = natsMsg_GetMetaData(&meta, jetstream->message);
    if (status != NATS_OK)
        return -EIO;
    *ret_wall_ns = meta->Timestamp;
    jetstream->ended = meta->Sequence.Stream >= jetstream->last;
    jsMsgMetaData_Destroy(meta);
    *ret_message = (struct bus_message){
        .subject = natsMsg_GetSubject(jetstream->message),
        .payload = natsMsg_GetData(jetstream->message),
        .payload_bytes = (size_t)natsMsg_GetDataLength(jetstream->message),
    };
    return 0;
}
