/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every codec back end does, as a table of five functions. One back end, one file:
 * jpeg_stripes.c, nvjpeg.c, x264.c, nvenc.c (jpeg.c, lavc.c and cuda.c do work for them).
 *
 * A codec lives for one picture size. Use:
 *
 *     const struct codec_backend *backend = &codec_jpeg;
 *     struct codec *codec;
 *     backend->open(&config, &codec);
 *     backend->load(codec, &picture);
 *     if (!backend->borrows_picture)   the picture's memory may be given back already
 *     backend->encode(codec, keyframe, &packet);
 *     backend->close(codec);
 *
 * Thread: one thread per codec. Cost: everything is allocated in open.
 */
#ifndef SIMCAST_ENCODER_CODEC_H
#define SIMCAST_ENCODER_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "encoder/picture.h"
#include "proto/settings.h"
#include "proto/video.h"

struct codec;

#define CODEC_JPEG_THREADS_MAX 8

struct codec_config {
    struct stream_settings settings; /* every field set; width and height: of the pictures,
                                        fps: pictures per second to expect */
    size_t packet_bytes_max;         /* room for a coded picture, also in every codec_packet */
    unsigned jpeg_threads;           /* JPEG: threads that share a picture; 0: as many as pay */
    const struct picture *like;      /* the first to come, its pixels not looked at; NULL: unknown.
                                        Others may follow: some back ends open faster when told */
    unsigned h264_threads;           /* H.264: slices of a picture; 0: as many as pay */
    bool intra_refresh;              /* H.264: a wave of intra blocks instead of keyframes that
                                        nobody asked for */
    unsigned vbv_pictures;           /* H.264: how much a picture may take, in average ones; 0: as
                                        the back end thinks best */
};

/* Where a coded picture goes, and what became of it. */
struct codec_packet {
    uint8_t *bytes; /* the caller's memory, written in place */
    size_t bytes_max;
    size_t size_bytes; /* set by encode, as are the two below */
    bool keyframe;     /* decodable alone */
    bool degraded;     /* coded worse than asked, because bytes_max is too small */
};

struct codec_backend {
    const char *name; /* for people: "libjpeg", "libx264", "h264_nvenc" */
    enum video_codec codec;
    bool borrows_picture; /* the loaded picture must stay readable until encode returns */
    bool takes_cuda;      /* load takes pictures in GPU memory, too */

    /* Whether this back end knows a preset by that name. */
    bool (*has_preset)(const char *preset);

    /*
     * On success the caller owns *ret_codec. Errors: -ENODEV this machine lacks the encoder;
     * -EINVAL it refuses the configuration; -ENOMEM. What the library said is in the log at
     * debug level and in codec_complaint().
     */
    int (*open)(const struct codec_config *config, struct codec **ret_codec);

    /*
     * Takes over quality, bitrate and fps from now on, without a visible break. False: it
     * cannot (another size or preset): close, open anew and begin with a keyframe.
     */
    bool (*adapt)(struct codec *codec, const struct stream_settings *settings);

    /*
     * Takes a picture of the configured size. Errors: -EPROTONOSUPPORT a layout or a memory that
     * this codec does not take; -EIO the GPU failed: close it. Nothing is kept then.
     */
    int (*load)(struct codec *codec, const struct picture *picture);

    /*
     * Codes the loaded picture into packet->bytes. `keyframe`: it must be decodable alone.
     * Errors: -EMSGSIZE it does not fit; -EIO the encoder failed. The picture is lost then, and
     * the next one must be a keyframe.
     */
    int (*encode)(struct codec *codec, bool keyframe, struct codec_packet *packet);

    /* Takes NULL. */
    void (*close)(struct codec *codec);
};

extern const struct codec_backend codec_jpeg;
extern const struct codec_backend codec_x264;
extern const struct codec_backend codec_nvenc;
extern const struct codec_backend codec_nvenc_hevc;
extern const struct codec_backend codec_nvjpeg;

/*
 * Why a back end failed, last on this thread, in the words of the library behind it; "" if none
 * said anything. Valid until the next failure.
 */
const char *codec_complaint(void);

/* For back ends. An empty one forgets the last. */
void codec_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
