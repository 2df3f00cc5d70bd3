/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JPEG on an NVIDIA GPU, for pictures that lie there and for large ones; data-centre GPUs, which
 * have no NVENC, have this. Home of nvJPEG: libnvjpeg of CUDA 11 to 13 is loaded when it is first
 * asked for, and what it exports is declared here as nvjpeg.h has it.
 *
 * Owns a GPU's context and stream, nvJPEG's state on it, and one RGB picture. RGB24 of the GPU
 * with rows from the top is read where it lies; a kernel makes RGB24 of all else. A picture that
 * does not fit is coded again at lower quality, as jpeg.c does.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <dlfcn.h>

#include "encoder/codec.h"
#include "encoder/cuda.h"
#include "proto/pixel.h"

#define QUALITY_MIN 5U
#define SUBSAMPLING_420 2 /* NVJPEG_CSS_420 */
#define INPUT_RGBI 5      /* NVJPEG_INPUT_RGBI: R, G, B in turn */
#define RGB_BYTES 3U

/* nvjpegImage_t */
struct nvjpeg_image {
    void *planes[4];
    size_t strides_bytes[4];
};

static_assert(sizeof(void *) != 8 || sizeof(struct nvjpeg_image) == 64, "nvjpegImage_t");

/* Each returns an nvjpegStatus_t, 0 for success. */
struct nvjpeg_library {
    int (*create)(void **ret_handle);
    int (*destroy)(void *handle);
    int (*state_create)(void *handle, void **ret_state, void *stream);
    int (*state_destroy)(void *state);
    int (*params_create)(void *handle, void **ret_params, void *stream);
    int (*params_destroy)(void *params);
    int (*set_quality)(void *params, int quality, void *stream);
    int (*set_sampling)(void *params, int subsampling, void *stream);
    int (*encode)(void *handle, void *state, void *params, const struct nvjpeg_image *image,
                  int input, int width, int height, void *stream);
    int (*retrieve)(void *handle, void *state, uint8_t *bytes, size_t *size_bytes, void *stream);
};

static const struct {
    const char *name;
    size_t offset;
} entry_points[] = {
    {"nvjpegCreateSimple", offsetof(struct nvjpeg_library, create)},
    {"nvjpegDestroy", offsetof(struct nvjpeg_library, destroy)},
    {"nvjpegEncoderStateCreate", offsetof(struct nvjpeg_library, state_create)},
    {"nvjpegEncoderStateDestroy", offsetof(struct nvjpeg_library, state_destroy)},
    {"nvjpegEncoderParamsCreate", offsetof(struct nvjpeg_library, params_create)},
    {"nvjpegEncoderParamsDestroy", offsetof(struct nvjpeg_library, params_destroy)},
    {"nvjpegEncoderParamsSetQuality", offsetof(struct nvjpeg_library, set_quality)},
    {"nvjpegEncoderParamsSetSamplingFactors", offsetof(struct nvjpeg_library, set_sampling)},
    {"nvjpegEncodeImage", offsetof(struct nvjpeg_library, encode)},
    {"nvjpegEncodeRetrieveBitstream", offsetof(struct nvjpeg_library, retrieve)},
};

#define ENTRY_POINTS (sizeof(entry_points) / sizeof(entry_points[0]))

static_assert(ENTRY_POINTS * sizeof(void *) == sizeof(struct nvjpeg_library), "each has its name");

struct codec {
    struct cuda cuda;
    void *handle; /* nvjpegHandle_t */
    void *state;  /* nvjpegEncoderState_t */
    void *params; /* nvjpegEncoderParams_t */
    uint64_t rgb; /* device memory, height rows of rgb_stride bytes */
    size_t rgb_stride;
    uint32_t width, height;
    uint32_t quality;     /* asked for */
    uint32_t quality_set; /* in params; 0: none yet */
    struct nvjpeg_image loaded;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct nvjpeg_library nvjpeg; /* guarded by lock until is_ready */
static bool is_ready;

/* ---- opening ------------------------------------------------------------------------------- */

static int load_library(void)
{
    static const char *const names[] = {"libnvjpeg.so.13", "libnvjpeg.so.12", "libnvjpeg.so.11"};
    void *library = NULL;

    for (size_t i = 0; !library && i < sizeof(names) / sizeof(names[0]); i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        codec_complain("libnvjpeg.so.11 to .13 cannot be loaded: install NVIDIA's nvJPEG");
        return -ENODEV;
    }
    for (size_t i = 0; i < ENTRY_POINTS; i++) {
        void *symbol = dlsym(library, entry_points[i].name);
        if (!symbol) {
            codec_complain("libnvjpeg has no %s: install that of CUDA 11 or later",
                           entry_points[i].name);
            return -ENODEV;
        }
        memcpy((char *)&nvjpeg + entry_points[i].offset, &symbol, sizeof(symbol));
    }
    return 0;
}

static int get_library(void)
{
    int error = 0;

    pthread_mutex_lock(&lock);
    if (!is_ready)
        error = load_library();
    is_ready = error == 0;
    pthread_mutex_unlock(&lock);
    return error;
}

static int check(int status, const char *call)
{
    if (status == 0)
        return 0;
    codec_complain("%s failed with %d", call, status);
    return -EIO;
}

/* Of cuda.h's functions. */
static int check_cuda(int error)
{
    if (error < 0)
        codec_complain("%s", cuda_driver_reason());
    return error < 0 ? -EIO : 0;
}

static void close_nvjpeg(struct codec *codec)
{
    if (!codec)
        return;
    bool entered = codec->cuda.device.driver && cuda_enter(&codec->cuda) == 0;
    if (entered)
        cuda_wait(&codec->cuda);
    /* On a GPU that is lost, too: they hold memory of the host. */
    if (codec->params)
        nvjpeg.params_destroy(codec->params);
    if (codec->state)
        nvjpeg.state_destroy(codec->state);
    if (codec->handle)
        nvjpeg.destroy(codec->handle);
    if (entered) {
        cuda_free(codec->rgb);
        cuda_leave(&codec->cuda);
    }
    cuda_close(&codec->cuda);
    free(codec);
}

/* In the GPU's context. */
static int create_state(struct codec *codec)
{
    void *stream = codec->cuda.stream;
    int error = check(nvjpeg.create(&codec->handle), "nvjpegCreateSimple");

    if (error == 0)
        error = check(nvjpeg.state_create(codec->handle, &codec->state, stream),
                      "nvjpegEncoderStateCreate");
    if (error == 0)
        error = check(nvjpeg.params_create(codec->handle, &codec->params, stream),
                      "nvjpegEncoderParamsCreate");
    if (error == 0)
        error = check(nvjpeg.set_sampling(codec->params, SUBSAMPLING_420, stream),
                      "nvjpegEncoderParamsSetSamplingFactors");
    if (error == 0)
        error =
            check_cuda(cuda_allocate(&codec->cuda, codec->rgb_stride * codec->height, &codec->rgb));
    return error;
}

static int open_codec(struct codec *codec, const struct picture *like)
{
    int ordinal = like && like->memory == RING_MEMORY_CUDA ? like->cuda_device : 0;
    int error = check_cuda(cuda_open(ordinal, &codec->cuda));

    if (error == 0)
        error = get_library();
    if (error == 0)
        error = check_cuda(cuda_enter(&codec->cuda));
    if (error < 0)
        return error;
    error = create_state(codec);
    cuda_leave(&codec->cuda);
    return error;
}

static int open_nvjpeg(const struct codec_config *config, struct codec **ret_codec)
{
    struct codec *codec = calloc(1, sizeof(*codec));

    if (!codec)
        return -ENOMEM;
    codec_complain("%s", "");
    codec->width = config->settings.width;
    codec->height = config->settings.height;
    codec->quality = config->settings.jpeg_quality;
    codec->rgb_stride = (size_t)codec->width * RGB_BYTES;
    if (open_codec(codec, config->like) < 0) {
        close_nvjpeg(codec);
        return -ENODEV;
    }
    *ret_codec = codec;
    return 0;
}

/* ---- pictures ------------------------------------------------------------------------------ */

static bool adapt(struct codec *codec, const struct stream_settings *settings)
{
    if (settings->width != codec->width || settings->height != codec->height)
        return false;
    codec->quality = settings->jpeg_quality;
    return true;
}

static bool is_direct(const struct picture *picture)
{
    return picture->memory == RING_MEMORY_CUDA && picture->fourcc == PIXEL_RGB24 &&
           picture->stride_bytes > 0;
}

/* In the GPU's context. */
static int make_rgb(struct codec *codec, const struct picture *picture)
{
    struct cuda_plane into = {codec->rgb, (int64_t)codec->rgb_stride};
    uint32_t size[] = {codec->width, codec->height};
    struct picture brought;
    int error = cuda_bring(&codec->cuda, picture, &brought);

    if (error == 0)
        error = cuda_to_rgb(&codec->cuda, &brought, into, size, RGB_BYTES);
    if (error < 0)
        cuda_wait(&codec->cuda);
    return check_cuda(error);
}

static int load(struct codec *codec, const struct picture *picture)
{
    if (!cuda_knows_layout(picture->fourcc) ||
        (picture->memory == RING_MEMORY_CUDA && picture->cuda_device != codec->cuda.device.ordinal))
        return -EPROTONOSUPPORT;
    if (is_direct(picture)) {
        codec->loaded = (struct nvjpeg_image){
            .planes = {(void *)(uintptr_t)picture->top},
            .strides_bytes = {(size_t)picture->stride_bytes},
        };
        return 0;
    }
    codec->loaded = (struct nvjpeg_image){
        .planes = {(void *)(uintptr_t)codec->rgb},
        .strides_bytes = {codec->rgb_stride},
    };
    if (check_cuda(cuda_enter(&codec->cuda)) < 0)
        return -EIO;
    int error = make_rgb(codec, picture);
    cuda_leave(&codec->cuda);
    return error;
}

/* In the GPU's context. *ret_size_bytes: of the JPEG, which stays in nvJPEG's state. */
static int compress(struct codec *codec, uint32_t quality, size_t *ret_size_bytes)
{
    void *stream = codec->cuda.stream;
    int error = 0;

    if (quality != codec->quality_set)
        error = check(nvjpeg.set_quality(codec->params, (int)quality, stream),
                      "nvjpegEncoderParamsSetQuality");
    codec->quality_set = quality;
    if (error == 0)
        error = check(nvjpeg.encode(codec->handle, codec->state, codec->params, &codec->loaded,
                                    INPUT_RGBI, (int)codec->width, (int)codec->height, stream),
                      "nvjpegEncodeImage");
    if (error == 0)
        error = check(nvjpeg.retrieve(codec->handle, codec->state, NULL, ret_size_bytes, stream),
                      "nvjpegEncodeRetrieveBitstream");
    return error;
}

/* In the GPU's context. */
static int encode_there(struct codec *codec, struct codec_packet *packet)
{
    void *stream = codec->cuda.stream;
    uint32_t quality = codec->quality;
    size_t size_bytes = 0;
    int error = compress(codec, quality, &size_bytes);

    while (error == 0 && size_bytes > packet->bytes_max && quality > QUALITY_MIN) {
        quality = quality / 2 > QUALITY_MIN ? quality / 2 : QUALITY_MIN;
        error = compress(codec, quality, &size_bytes);
    }
    if (error == 0 && size_bytes > packet->bytes_max)
        return -EMSGSIZE;
    if (error == 0)
        error =
            check(nvjpeg.retrieve(codec->handle, codec->state, packet->bytes, &size_bytes, stream),
                  "nvjpegEncodeRetrieveBitstream");
    packet->size_bytes = size_bytes;
    packet->keyframe = true;
    packet->degraded = quality < codec->quality;
    return error;
}

static int encode(struct codec *codec, bool keyframe, struct codec_packet *packet)
{
    (void)keyframe; /* each is one */
    if (check_cuda(cuda_enter(&codec->cuda)) < 0)
        return -EIO;
    int error = encode_there(codec, packet);
    int waited = check_cuda(cuda_wait(&codec->cuda)); /* the picture and the packet are borrowed */
    cuda_leave(&codec->cuda);
    return error < 0 ? error : waited;
}

static bool has_preset(const char *preset)
{
    (void)preset;
    return false;
}

const struct codec_backend codec_nvjpeg = {
    .name = "nvJPEG",
    .codec = VIDEO_CODEC_JPEG,
    .borrows_picture = true,
    .takes_cuda = true,
    .has_preset = has_preset,
    .open = open_nvjpeg,
    .adapt = adapt,
    .load = load,
    .encode = encode,
    .close = close_nvjpeg,
};
