/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing. Names of rings hold no character that a label would have to escape. */
#include "daemon/stream_metrics.h"

#include "base/clock.h"

static double is_live(const struct stream *stream, int64_t now_ns)
{
    return stream_live(stream, now_ns);
}

static double is_wanted(const struct stream *stream, int64_t now_ns)
{
    (void)now_ns;
    return stream_wanted(stream);
}

static double clients(const struct stream *stream, int64_t now_ns)
{
    (void)now_ns;
    return audience_watchers(stream->audience);
}

static double frames(const struct stream *stream, int64_t now_ns)
{
    (void)now_ns;
    return (double)stream->frames;
}

static double bytes(const struct stream *stream, int64_t now_ns)
{
    (void)now_ns;
    return (double)stream->bytes;
}

static double lost(const struct stream *stream, int64_t now_ns)
{
    (void)now_ns;
    return (double)stream->lost;
}

static double gpu_lost(const struct stream *stream, int64_t now_ns)
{
    (void)now_ns;
    return stream->gpu_lost;
}

static double last_frame(const struct stream *stream, int64_t now_ns)
{
    return stream->frame_ns > 0 ? (double)(now_ns - stream->frame_ns) / (double)NS_PER_S : -1;
}

/* A negative value is unknown, and left out. */
static const struct {
    const char *name;
    const char *type;
    double (*value)(const struct stream *stream, int64_t now_ns);
    const char *help;
} families[] = {
    {"live", "gauge", is_live, "1 while the stream has a producer."},
    {"wanted", "gauge", is_wanted, "1 while its encoder is asked to encode."},
    {"clients", "gauge", clients, "Clients that watch it now."},
    {"frames_total", "counter", frames, "Its frames that were offered to clients, once each."},
    {"bytes_total", "counter", bytes, "Payload bytes of these frames."},
    {"lost_total", "counter", lost, "Its frames that were overwritten before they were read."},
    {"gpu_lost", "gauge", gpu_lost,
     "1 while its encoder codes without the GPU, which failed in mid-stream."},
    {"last_frame_age_seconds", "gauge", last_frame, "Age of its newest frame."},
};

/* Of streams that never delivered there is nothing to tell. */
static void write_stages(FILE *file, const struct streams *streams)
{
    metrics_write_stages_head(file);
    for (unsigned at = 0; at < streams_count(streams); at++) {
        const struct stream *stream = streams_at(streams, at);
        if (stream->stages.of[METRICS_FANOUT].count > 0)
            metrics_write_stages(file, stream->name, &stream->stages);
    }
}

void stream_metrics_write(FILE *file, const struct streams *streams, int64_t now_ns)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        fprintf(file, "# HELP simcast_stream_%s %s\n# TYPE simcast_stream_%s %s\n",
                families[i].name, families[i].help, families[i].name, families[i].type);
        for (unsigned at = 0; at < streams_count(streams); at++) {
            const struct stream *stream = streams_at(streams, at);
            double value = families[i].value(stream, now_ns);
            if (value >= 0)
                fprintf(file, "simcast_stream_%s{stream=\"%s\"} %.15g\n", families[i].name,
                        stream->name, value);
        }
    }
    write_stages(file, streams);
}
