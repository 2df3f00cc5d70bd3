/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the encoder is measured against: libraries and programs that do the same. One file each;
 * where a build did not find a library, yardstick_NAME_none.c says so instead.
 *
 * Thread: one, which must have started no others (the programs are forked).
 */
#ifndef SIMCAST_BENCH_ENCODE_YARDSTICKS_H
#define SIMCAST_BENCH_ENCODE_YARDSTICKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "bench/scene.h"

/* Why a yardstick cannot run here and what to install; NULL: it can. */
const char *yardstick_turbojpeg_missing(void);
const char *yardstick_swscale_missing(void);
const char *yardstick_ffmpeg_missing(void);
const char *yardstick_pyav_missing(void);

/* tjCompress2 as its manual shows it: 4:2:0, its own choice of DCT, into memory of the caller. */
struct yardstick_turbojpeg;

/* NULL: no memory. */
struct yardstick_turbojpeg *yardstick_turbojpeg_open(void);
/* Takes NULL. */
void yardstick_turbojpeg_close(struct yardstick_turbojpeg *turbojpeg);
/* `into` must hold what tjBufSize says: at most 6 bytes per pixel. Errors: -EIO. */
int yardstick_turbojpeg_encode(struct yardstick_turbojpeg *turbojpeg, const struct scene *scene,
                               const uint8_t *rgb24, int quality, uint8_t *into);

/* sws_scale from bottom-up RGB24 to I420 as the encoder makes it, without scaling, with its fastest
 * filter. */
struct yardstick_swscale;

struct yardstick_swscale *yardstick_swscale_open(const struct scene *scene);
void yardstick_swscale_close(struct yardstick_swscale *swscale);
/* `i420`: width x height bytes, then half as many. */
void yardstick_swscale_convert(struct yardstick_swscale *swscale, const uint8_t *rgb24,
                               uint8_t *i420);

/* How a program coped with pictures at a steady rate. */
struct yardstick_stream {
    unsigned pictures; /* that count */
    unsigned warm_up;  /* before them */
    unsigned fps;
    struct histogram latency; /* set: from a picture at hand to its access unit */
    double picture_cpu_ns;    /* set: processor time of the program per picture */
};

/*
 * ffmpeg's command line: raw RGB24 into a pipe, libx264 ultrafast zerolatency, Annex-B out of
 * another. The latency ends with the first byte of the access unit, in ffmpeg's favour.
 * Errors: -EPIPE it ended; -ETIMEDOUT it got stuck.
 */
int yardstick_ffmpeg(const struct scene *scene, struct yardstick_stream *stream);

/*
 * PyAV: VideoFrame.from_ndarray on pictures that Python has mapped already, then encode of
 * libx264 ultrafast zerolatency, then bytes(). Errors: as above.
 */
int yardstick_pyav(const struct scene *scene, struct yardstick_stream *stream);

#endif
