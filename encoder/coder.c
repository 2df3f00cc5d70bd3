/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the running codec; on the stage's thread. When an encoder fails to open, takes the next. */
#include "encoder/coder.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/log.h"
#include "encoder/cuda.h"

/* From so many pixels on, JPEG of host memory is worth the way to the GPU. */
#define NVJPEG_HOST_PIXELS (1920U * 1080U)

/* The best first, for each codec. */
static const struct codec_backend *const backends[] = {&codec_nvenc_hevc, &codec_nvenc, &codec_x264,
                                                       &codec_nvjpeg, &codec_jpeg};

#define HEVC_INDEX 0U
#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

static bool is_on_gpu(const struct picture *like)
{
    return like && like->memory == RING_MEMORY_CUDA;
}

void coder_close(struct coder *coder)
{
    if (coder->backend)
        coder->backend->close(coder->codec);
    coder->backend = NULL;
    coder->codec = NULL;
    coder->wish = (struct stream_settings){0};
}

static void leave_gpu(struct coder *coder)
{
    for (unsigned i = 0; i < BACKENDS; i++)
        coder->absent |= backends[i]->takes_cuda ? 1u << i : 0;
}

void coder_lost(struct coder *coder)
{
    bool on_gpu = coder->backend && coder->backend->takes_cuda;

    if (on_gpu) {
        coder->gpu_losses++;
        leave_gpu(coder);
        log_error("%s: the GPU failed in %s (%s): the processor takes over with the next picture; "
                  "to try the GPU again, restart simcast-encoder",
                  coder->name, coder->backend->name, codec_complaint());
    }
    coder_close(coder);
}

/* Whether a back end writes what is wished, or what may stand in for it. */
static bool serves(const struct coder *coder, const struct codec_backend *backend)
{
    uint32_t wished = coder->wish.codec;

    if (backend->codec == wished)
        return true;
    if (wished == VIDEO_CODEC_JPEG)
        return false;
    return backend->codec == VIDEO_CODEC_H264 ||
           (backend->codec == VIDEO_CODEC_JPEG && coder->jpeg_instead);
}

static bool is_candidate(const struct coder *coder, unsigned index, const struct picture *like)
{
    const struct codec_backend *backend = backends[index];

    if ((coder->absent & 1u << index) || !serves(coder, backend))
        return false;
    if (is_on_gpu(like)) /* where only the GPU reads them, the choice is of H.264 alone */
        return backend->takes_cuda &&
               (coder->choice != CODER_X264 || backend->codec == VIDEO_CODEC_JPEG);
    if (backend == &codec_nvjpeg && coder->wish.width * coder->wish.height < NVJPEG_HOST_PIXELS)
        return false;
    return !backend->takes_cuda || coder->choice != CODER_X264;
}

static int try_open(struct coder *coder, const struct codec_backend *backend,
                    const struct picture *like)
{
    struct codec_config config = {
        .settings = coder->wish,
        .packet_bytes_max = coder->packet_bytes_max,
        .jpeg_threads = coder->jpeg_threads,
        .like = like,
        .h264_threads = coder->h264_threads,
        .intra_refresh = coder->intra_refresh,
        .vbv_pictures = coder->vbv_pictures,
    };
    int rc = backend->open(&config, &coder->codec);

    if (rc < 0)
        return rc;
    coder->backend = backend;
    coder->h264_threads_now = coder->h264_threads;
    log_info("%s: encoding %ux%u as %s with %s", coder->name, config.settings.width,
             config.settings.height, video_codec_name(backend->codec), backend->name);
    return 0;
}

/* Said once of a GPU's encoder, whose absence is no fault; each time of the processor's. */
static void tell_unopened(struct coder *coder, unsigned index)
{
    const struct codec_backend *backend = backends[index];

    if (backend->takes_cuda) {
        coder->absent |= 1u << index;
        log_info("%s: no %s on this machine: %s", coder->name, backend->name, codec_complaint());
    } else {
        log_error("%s: %s refuses %ux%u with preset \"%s\" (%s): %s", coder->name, backend->name,
                  coder->wish.width, coder->wish.height, coder->wish.preset, codec_complaint(),
                  coder->jpeg_instead ? "sending JPEG instead" : "ask for JPEG or another size");
    }
}

const char *coder_reason(const struct coder *coder)
{
    if (coder->memory_short)
        return "there is no memory for an encoder";
    return coder->memory == RING_MEMORY_CUDA
               ? "its pixels lie in GPU memory, and no encoder here takes them from there: publish "
                 "to a ring with memory: host, or ask for JPEG where there is nvJPEG"
               : "no encoder takes it";
}

/* Whether the codec that runs shares its pictures among as many threads as it should now. */
static bool same_threads(const struct coder *coder)
{
    return coder->backend != &codec_x264 || coder->h264_threads == coder->h264_threads_now;
}

/* Whether it may go on with such pictures: those of a GPU are for those that take them. */
static bool same_memory(const struct coder *coder, const struct picture *like)
{
    enum ring_memory memory = like ? like->memory : RING_MEMORY_HOST;

    return memory == coder->memory || (coder->backend && coder->backend->takes_cuda);
}

/* The wish as it can be: HEVC that no encoder has is H.264. */
static struct stream_settings possible(struct coder *coder, const struct stream_settings *wish)
{
    struct stream_settings settings = *wish;
    bool has_hevc = coder->choice != CODER_X264 && !(coder->absent & 1u << HEVC_INDEX);

    if (wish->codec != VIDEO_CODEC_HEVC || has_hevc)
        return settings;
    settings.codec = VIDEO_CODEC_H264;
    if (!coder->hevc_named)
        log_warning("%s: hevc was asked for, but %s: h264 instead", coder->name,
                    coder->choice == CODER_X264
                        ? "only NVENC encodes it, and --codec-backend is x264"
                        : "no encoder here has it (only NVENC would)");
    coder->hevc_named = true;
    return settings;
}

/* Without a driver none of the GPU's encoders opens: said once, for all cameras and renditions. */
static bool is_driver_missing(struct coder *coder)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;

    if (cuda_is_there())
        return false;
    leave_gpu(coder);
    if (!atomic_flag_test_and_set(&told))
        log_info("no NVENC here: this machine has no NVIDIA driver (libcuda.so.1); libx264 and "
                 "libjpeg encode on the processor");
    return true;
}

static int open_best(struct coder *coder, const struct picture *like)
{
    for (unsigned i = 0; i < BACKENDS; i++) {
        if (!is_candidate(coder, i, like) || (backends[i]->takes_cuda && is_driver_missing(coder)))
            continue;
        int rc = try_open(coder, backends[i], like);
        if (rc == 0)
            return CODER_NEW;
        if (rc == -ENOMEM && !backends[i]->takes_cuda)
            return rc; /* it says nothing of the encoder */
        tell_unopened(coder, i);
    }
    return -ENODEV;
}

int coder_fulfil(struct coder *coder, const struct stream_settings *wanted,
                 const struct picture *like)
{
    struct stream_settings wish = possible(coder, wanted);
    bool same = same_threads(coder) && same_memory(coder, like);

    if (same && memcmp(&wish, &coder->wish, sizeof(wish)) == 0)
        return coder->backend ? CODER_SAME : -ENODEV;
    if (same && coder->backend && wish.codec == coder->wish.codec &&
        coder->backend->adapt(coder->codec, &wish)) {
        coder->wish = wish;
        return CODER_SAME;
    }
    coder_close(coder);
    coder->wish = wish;
    coder->memory = like ? like->memory : RING_MEMORY_HOST;
    int rc = open_best(coder, like);
    coder->wish = possible(coder, &wish); /* now that it is known who is here */
    coder->memory_short = rc == -ENOMEM;
    if (coder->memory_short)
        coder->wish = (struct stream_settings){0};
    return rc;
}

bool coder_wants_pinned(enum coder_choice choice)
{
    return choice != CODER_X264 && cuda_is_there();
}
