/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the bytes of raw pictures that the processor copies while NVENC makes H.264 of them: by
 * memcpy and its relatives (bench/copy_counter.h), and in copies from memory that is not pinned,
 * which the driver makes. Pictures lie in pinned memory of the host, and on the GPU; the GPU is
 * the stand-in, whose own work is not counted. Prints "PICTURES COPIED" in bytes. Exit code 1:
 * coding failed, or the counting does not work, or, with --none, a byte was copied.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dlfcn.h>

#include "bench/copy_counter.h"
#include "encoder/codec.h"
#include "encoder/cuda.h"
#include "proto/pixel.h"
#include "shm/cuda_pin.h"
#include "tests/fake_cuda/fake_cuda.h"

#define WIDTH 1280U
#define HEIGHT 720U
#define PICTURE_BYTES (WIDTH * HEIGHT * 4UL)
#define SKIPPED 77
#define PACKET_BYTES (1UL << 20)

static const uint32_t layouts[] = {PIXEL_RGB24, PIXEL_RGBA, PIXEL_BGRA, PIXEL_NV12};

#define LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

static size_t bytes_of(uint32_t fourcc)
{
    return fourcc == PIXEL_NV12 ? WIDTH * HEIGHT * 3UL / 2
                                : (size_t)WIDTH * HEIGHT * pixel_bytes(fourcc);
}

static struct picture picture_at(uint32_t fourcc, uint64_t address, enum ring_memory memory,
                                 bool bottom_up)
{
    ptrdiff_t stride = (ptrdiff_t)WIDTH * pixel_bytes(fourcc);
    const uint8_t *first = (const uint8_t *)(uintptr_t)address;
    struct picture picture = {.top = bottom_up ? first + (HEIGHT - 1) * stride : first,
                              .stride_bytes = bottom_up ? -stride : stride,
                              .fourcc = fourcc,
                              .width = WIDTH,
                              .height = HEIGHT,
                              .limited_range = true,
                              .memory = memory};

    if (fourcc == PIXEL_NV12) {
        picture.chroma_top = first + HEIGHT * stride + (bottom_up ? (HEIGHT / 2 - 1) * stride : 0);
        picture.chroma_stride_bytes = picture.stride_bytes;
    }
    return picture;
}

static bool encode(const struct picture *picture)
{
    static uint8_t packet_bytes[PACKET_BYTES + 64];
    struct codec_packet packet = {.bytes = packet_bytes, .bytes_max = PACKET_BYTES};
    struct codec_config config = {.settings = {.codec = VIDEO_CODEC_H264,
                                               .bitrate_bps = 4000000,
                                               .fps = 30,
                                               .width = WIDTH,
                                               .height = HEIGHT},
                                  .packet_bytes_max = PACKET_BYTES,
                                  .like = picture};
    struct codec *codec;

    if (codec_nvenc.open(&config, &codec) < 0) {
        fprintf(stderr, "count_copies: %s\n", codec_complaint());
        return false;
    }
    bool done = codec_nvenc.load(codec, picture) == 0 &&
                codec_nvenc.encode(codec, true, &packet) == 0 && packet.size_bytes > 0;
    codec_nvenc.close(codec);
    return done;
}

/* Every layout, from the top and from the bottom. Returns the bytes seen; 0: it failed. */
static size_t encode_all(uint64_t address, enum ring_memory memory)
{
    size_t seen_bytes = 0;

    for (size_t i = 0; i < 2 * LAYOUTS; i++) {
        struct picture picture = picture_at(layouts[i / 2], address, memory, i % 2 == 1);
        if (!encode(&picture))
            return 0;
        seen_bytes += bytes_of(layouts[i / 2]);
    }
    return seen_bytes;
}

static uint64_t pageable_bytes(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    void *symbol = library ? dlsym(library, "fake_cuda_state") : NULL;
    fake_cuda_state_function *ask;
    struct fake_cuda_state state;

    if (!symbol) {
        fputs("count_copies: the GPU is not the stand-in\n", stderr);
        exit(EXIT_FAILURE);
    }
    memcpy(&ask, &symbol, sizeof(ask));
    ask(&state);
    return state.pageable_bytes;
}

/* A copy of ours is seen, and so is that which the driver makes of memory that is not pinned. */
static bool counting_works(const uint8_t *bytes)
{
    static uint8_t elsewhere[WIDTH];
    void *(*volatile copy)(void *restrict, const void *restrict, size_t) = memcpy;
    struct picture picture =
        picture_at(PIXEL_RGBA, (uint64_t)(uintptr_t)bytes, RING_MEMORY_HOST, false);

    copy_counter_watch(bytes, PICTURE_BYTES);
    copy(elsewhere, bytes, WIDTH);
    return copy_counter_copied() == WIDTH && encode(&picture) && pageable_bytes() >= PICTURE_BYTES;
}

static size_t encode_of_gpu(struct cuda *cuda)
{
    uint64_t address = 0;
    size_t seen_bytes = 0;

    if (cuda_enter(cuda) < 0)
        return 0;
    if (cuda_allocate(cuda, PICTURE_BYTES, &address) == 0) {
        seen_bytes = encode_all(address, RING_MEMORY_CUDA);
        cuda_free(address);
    }
    cuda_leave(cuda);
    return seen_bytes;
}

int main(int argc, char **argv)
{
    bool allows_none = argc > 1 && strcmp(argv[1], "--none") == 0;
#ifdef __SANITIZE_ADDRESS__
    puts("skipped: the address sanitizer has a memcpy of its own");
    return SKIPPED;
#endif
    uint8_t *bytes = aligned_alloc(4096, PICTURE_BYTES);
    struct cuda cuda;
    struct cuda_pin pin;

    /* Found by this program's RUNPATH; FFmpeg's own dlopen then finds it loaded. */
    if (!bytes || !dlopen("libcuda.so.1", RTLD_NOW) || !dlopen("libnvidia-encode.so.1", RTLD_NOW) ||
        cuda_open(0, &cuda) < 0) {
        fputs("count_copies: the stand-ins cannot be loaded\n", stderr);
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < PICTURE_BYTES; i++)
        bytes[i] = (uint8_t)(i / 256);
    if (!counting_works(bytes)) {
        fputs("count_copies: copies are made that it cannot see\n", stderr);
        return EXIT_FAILURE;
    }
    if (!cuda_pin_init(&pin, 0, bytes, PICTURE_BYTES, false))
        return EXIT_FAILURE;
    uint64_t before = pageable_bytes();
    copy_counter_watch(bytes, PICTURE_BYTES);
    size_t seen_host = encode_all((uint64_t)(uintptr_t)bytes, RING_MEMORY_HOST);
    size_t seen_gpu = encode_of_gpu(&cuda);
    size_t copied = copy_counter_copied() + (size_t)(pageable_bytes() - before);
    cuda_pin_fini(&pin);
    cuda_close(&cuda);
    free(bytes);
    printf("%zu %zu\n", seen_host + seen_gpu, copied);
    return seen_host && seen_gpu && (copied == 0 || !allows_none) ? EXIT_SUCCESS : EXIT_FAILURE;
}
