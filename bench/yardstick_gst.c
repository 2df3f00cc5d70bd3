/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GStreamer's shared memory: appsrc ! shmsink to shmsrc ! appsink. Buffers come from shmsink's own
 * allocator, so the picture is drawn where the other process reads it and nothing is copied. The
 * time travels in the picture's first eight bytes. Home of GStreamer, whose threads live from open
 * to close; GLib does not survive a fork once it has started threads, so each run has fresh
 * processes and the benchmark itself never initialises it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>

#include "base/clock.h"
#include "bench/peer.h"
#include "bench/yardsticks.h"

#define PATH_BYTES 128
#define PIPELINE_BYTES 512
#define LOOK_MS 100
#define SHM_PICTURES 4
#define PROBE_MS 60000 /* the very first use scans all plugins */

struct sender {
    GstElement *pipeline;
    GstAppSrc *source;
    GstAllocator *allocator;
    GstBuffer *buffer; /* being drawn */
    GstMapInfo map;
};

static int start_gst(void)
{
    return gst_init_check(NULL, NULL, NULL) ? 0 : -ENOSYS;
}

static void make_path(const struct delivery *delivery, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/gst", delivery->dir);
}

/* ---- sender -------------------------------------------------------------------------------- */

/* The allocator that shmsink offers to whoever feeds it. */
static GstAllocator *ask_for_allocator(GstAppSrc *source)
{
    GstAllocator *allocator = NULL;
    GstCaps *caps = gst_caps_new_empty_simple("application/octet-stream");
    GstQuery *query = gst_query_new_allocation(caps, FALSE);
    GstPad *pad = gst_element_get_static_pad(GST_ELEMENT(source), "src");

    if (gst_pad_peer_query(pad, query) && gst_query_get_n_allocation_params(query) > 0)
        gst_query_parse_nth_allocation_param(query, 0, &allocator, NULL);
    gst_object_unref(pad);
    gst_query_unref(query);
    gst_caps_unref(caps);
    return allocator;
}

static int gst_courier_open(struct delivery *delivery)
{
    char path[PATH_BYTES];
    char text[PIPELINE_BYTES];
    struct sender *sender = calloc(1, sizeof(*sender));

    if (!sender)
        return -ENOMEM;
    delivery->state = sender;
    if (start_gst() < 0)
        return -ENOSYS;
    make_path(delivery, path);
    snprintf(text, sizeof(text),
             "appsrc name=source format=bytes ! shmsink socket-path=%s shm-size=%zu sync=false "
             "async=false wait-for-connection=true",
             path, (delivery->picture_bytes + 4096) * SHM_PICTURES);
    sender->pipeline = gst_parse_launch(text, NULL);
    if (!sender->pipeline)
        return -ENOSYS;
    sender->source = GST_APP_SRC(gst_bin_get_by_name(GST_BIN(sender->pipeline), "source"));
    if (gst_element_set_state(sender->pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
        return -EIO;
    sender->allocator = ask_for_allocator(sender->source);
    return sender->allocator ? 0 : -ENOSYS;
}

static void *gst_courier_canvas(struct delivery *delivery)
{
    struct sender *sender = delivery->state;

    sender->buffer = gst_buffer_new_allocate(sender->allocator, delivery->picture_bytes, NULL);
    if (!sender->buffer)
        return NULL;
    if (gst_buffer_map(sender->buffer, &sender->map, GST_MAP_WRITE))
        return sender->map.data;
    gst_buffer_unref(sender->buffer);
    sender->buffer = NULL;
    return NULL;
}

static int gst_courier_send(struct delivery *delivery)
{
    struct sender *sender = delivery->state;
    GstBuffer *buffer = sender->buffer;
    int64_t now_ns = clock_now_ns();

    memcpy(sender->map.data, &now_ns, sizeof(now_ns));
    gst_buffer_unmap(buffer, &sender->map);
    sender->buffer = NULL;
    return gst_app_src_push_buffer(sender->source, buffer) == GST_FLOW_OK ? 0 : -EIO;
}

static void unref(gpointer object)
{
    if (object)
        gst_object_unref(object);
}

static void gst_courier_close(struct delivery *delivery)
{
    struct sender *sender = delivery->state;

    if (!sender)
        return;
    if (sender->buffer) {
        gst_buffer_unmap(sender->buffer, &sender->map);
        gst_buffer_unref(sender->buffer);
    }
    if (sender->pipeline)
        gst_element_set_state(sender->pipeline, GST_STATE_NULL);
    unref(sender->allocator);
    unref(sender->source);
    unref(sender->pipeline);
    free(sender);
}

/* ---- receiver ------------------------------------------------------------------------------ */

static void take(struct delivery *delivery, GstSample *sample)
{
    GstBuffer *buffer = gst_sample_get_buffer(sample);
    int64_t stamp_ns;
    GstMapInfo map;

    if (gst_buffer_map(buffer, &map, GST_MAP_READ)) {
        memcpy(&stamp_ns, map.data, sizeof(stamp_ns));
        delivery_arrived(delivery, stamp_ns);
        gst_buffer_unmap(buffer, &map);
    }
    gst_sample_unref(sample);
}

static void pull(struct delivery *delivery, GstAppSink *sink)
{
    delivery_ready(delivery);
    while (!delivery_over(delivery) && !gst_app_sink_is_eos(sink)) {
        GstSample *sample = gst_app_sink_try_pull_sample(sink, LOOK_MS * GST_MSECOND);
        if (sample)
            take(delivery, sample);
    }
}

static int gst_courier_receive(struct delivery *delivery)
{
    char path[PATH_BYTES];
    char text[PIPELINE_BYTES];

    make_path(delivery, path);
    while (!delivery_over(delivery) && access(path, F_OK) < 0)
        poll(NULL, 0, 1); /* shmsrc does not wait for its socket */
    if (start_gst() < 0)
        return -ENOSYS;
    snprintf(text, sizeof(text),
             "shmsrc socket-path=%s is-live=true ! appsink name=sink sync=false max-buffers=1 "
             "drop=true",
             path);
    GstElement *pipeline = gst_parse_launch(text, NULL);
    if (!pipeline)
        return -ENOSYS;
    GstAppSink *sink = GST_APP_SINK(gst_bin_get_by_name(GST_BIN(pipeline), "sink"));
    GstStateChangeReturn change = gst_element_set_state(pipeline, GST_STATE_PLAYING);
    if (change != GST_STATE_CHANGE_FAILURE)
        pull(delivery, sink);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(sink);
    gst_object_unref(pipeline);
    return change == GST_STATE_CHANGE_FAILURE ? -EIO : 0;
}

const struct courier courier_gst = {
    .open = gst_courier_open,
    .canvas = gst_courier_canvas,
    .send = gst_courier_send,
    .close = gst_courier_close,
    .receive = gst_courier_receive,
};

/* ---- is it there? -------------------------------------------------------------------------- */

/* In a child of its own. Its exit code is 0 when both elements can be had. */
static int look_for_elements(void *context)
{
    static const char *const names[] = {"appsrc", "appsink", "shmsink", "shmsrc"};

    (void)context;
    if (start_gst() < 0)
        return 1;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        GstElementFactory *factory = gst_element_factory_find(names[i]);
        if (!factory)
            return 1;
        gst_object_unref(factory);
    }
    return 0;
}

const char *yardstick_gst_missing(void)
{
    static enum { UNKNOWN, THERE, MISSING } found;
    struct peer peer = {0};

    if (found == UNKNOWN) {
        int error = peer_start(&peer, look_for_elements, NULL);
        found = error == 0 && peer_join(&peer, PROBE_MS) == 0 ? THERE : MISSING;
    }
    return found == THERE ? NULL
                          : "GStreamer has no shmsink and appsrc here; install "
                            "gstreamer1.0-plugins-bad and gstreamer1.0-plugins-base";
}
