/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What case `encode` measures: codecs called directly, in turns with their yardsticks picture by
 * picture (encode_codecs.c), and the program simcast-encoder between two rings
 * (encode_program.c).
 *
 * Thread: one, which must have started no others (they fork).
 */
#ifndef SIMCAST_BENCH_ENCODE_PROBES_H
#define SIMCAST_BENCH_ENCODE_PROBES_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/encode_yardsticks.h"
#include "bench/scene.h"

#define ENCODE_JPEG_QUALITY 80

/* Nanoseconds per picture, medians; 0: not measured. */
struct encode_jpeg_times {
    double rgb24;
    double rgba;
    double nv12;
    double turbojpeg; /* of RGB24 */
};

/* The picture where a simulator left it, to the JPEG where its packet goes; 720p. */
int encode_jpeg(bool brief, struct encode_jpeg_times *ret_times);

/* The same of RGB24 at 1080p, by one thread and shared by two. */
int encode_jpeg_stripes(bool brief, double *ret_two_ns, double *ret_one_ns);

/* Bottom-up RGB24 to I420, 720p. */
int encode_convert(bool brief, double *ret_ours_ns, double *ret_swscale_ns);

/*
 * RGBA from ordinary memory to a packet on a GPU, copy included: H.264 by NVENC at 720p, JPEG by
 * nvJPEG at 1080p. Errors: -ENODEV this machine has none, codec_complaint() says why.
 */
int encode_nvenc(bool brief, double *ret_ns);
int encode_nvjpeg(bool brief, double *ret_ns);

/* simcast-encoder --codec h264 at stream->fps: frame published to packet published. */
int encode_program_h264(const char *dir, const struct scene *scene,
                        struct yardstick_stream *stream);

/* What simcast-encoder uses of a core while 30 frames a second come that nobody wants. */
int encode_program_idle(const char *dir, bool brief, double *ret_core_percent);

/*
 * From the first viewer's wish to its first packet, the simulator rendering 30 times a second
 * once it is told to; a new simcast-encoder for each sample.
 */
int encode_program_first_packet(const char *dir, bool brief, struct histogram *ret_times);

#endif
