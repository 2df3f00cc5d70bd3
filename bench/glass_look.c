/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a browser sees. Its page says of each picture when it was drawn, our own viewer's
 * FRAME_INFO of the same picture when it was published; one poll loop matches the two.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bench/glass_rig.h"
#include "proto/command.h"

#define START_NS (30 * NS_PER_S) /* a cold Chromium on a slow disk */
#define PATIENCE_NS (10 * NS_PER_S)
#define SETTINGS_BYTES 128
#define WARM_UP 30      /* pictures; the page's clock settles */
#define REMEMBERED 1024 /* pictures; the browser is never that far behind */

struct look {
    struct glass_rig *rig;
    enum video_codec codec; /* pictures in another one do not count */
    struct frame_info pending;
    struct {
        uint64_t frame_seq;
        int64_t published_ns;
    } frames[REMEMBERED]; /* by frame_seq */
    unsigned drawn;
};

static int take_frames(struct look *look)
{
    struct glass_message message;
    struct glass_frame frame;
    int error;

    while ((error = glass_client_receive(&look->rig->client, &message)) == 0) {
        if (!glass_frame_take(&look->pending, &message, &frame) ||
            frame.header.codec != look->codec)
            continue;
        uint64_t seq = frame.info.frame_seq;
        look->frames[seq % REMEMBERED].frame_seq = seq;
        look->frames[seq % REMEMBERED].published_ns = frame.info.stamp_ns[FRAME_STAGE_PUBLISHED];
    }
    return error == -EAGAIN ? 0 : error;
}

static void note(struct look *look, const struct glass_drawn *drawn, struct glass_shown *shown)
{
    if (look->frames[drawn->frame_seq % REMEMBERED].frame_seq != drawn->frame_seq ||
        look->drawn++ < WARM_UP)
        return;
    histogram_record(&shown->decode, drawn->decoded_ns - drawn->received_ns);
    histogram_record(&shown->draw, drawn->drawn_ns - drawn->decoded_ns);
    histogram_record(&shown->all,
                     drawn->drawn_ns - look->frames[drawn->frame_seq % REMEMBERED].published_ns);
}

static int take_drawn(struct look *look, struct glass_shown *shown)
{
    struct glass_drawn drawn;
    int error;

    while ((error = glass_browser_next(&look->rig->browser, &drawn)) == 0)
        note(look, &drawn, shown);
    return error == -EAGAIN ? 0 : error;
}

int glass_rig_browse(struct glass_rig *rig)
{
    int64_t give_up_ns = clock_now_ns() + START_NS;
    struct glass_drawn drawn;
    int error = glass_browser_open(&rig->browser, rig->port);

    if (error < 0)
        return error;
    while ((error = glass_browser_next(&rig->browser, &drawn)) == -EAGAIN) {
        struct pollfd fd = {.fd = rig->browser.lines, .events = POLLIN};
        poll(&fd, 1, 100);
        if (clock_now_ns() > give_up_ns)
            return -ETIMEDOUT;
    }
    return error;
}

static int ask_for(struct glass_rig *rig, enum video_codec codec)
{
    char json[SETTINGS_BYTES];
    int count =
        snprintf(json, sizeof(json), "%c{\"action\":\"settings\",\"data\":{\"codec\":\"%s\"}}",
                 COMMAND_MESSAGE_TYPE, video_codec_name(codec));

    return glass_client_send(&rig->client, json, (size_t)count);
}

int glass_rig_look(struct glass_rig *rig, enum video_codec codec, unsigned frames,
                   struct glass_shown *ret_shown)
{
    struct look look = {.rig = rig, .codec = codec};
    int64_t give_up_ns =
        clock_now_ns() + PATIENCE_NS + 4 * (int64_t)(WARM_UP + frames) * NS_PER_S / GLASS_FPS;
    int error = ask_for(rig, codec);

    memset(ret_shown, 0, sizeof(*ret_shown));
    while (error == 0 && look.drawn < WARM_UP + frames) {
        struct pollfd fds[] = {{.fd = rig->client.fd, .events = POLLIN},
                               {.fd = rig->browser.lines, .events = POLLIN}};
        poll(fds, 2, 100);
        if (clock_now_ns() > give_up_ns)
            return -ETIMEDOUT;
        error = take_frames(&look);
        if (error == 0)
            error = take_drawn(&look, ret_shown);
    }
    return error;
}
