/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GPU as the encoders of pictures use it: a stream of work, copies into its memory, and the
 * kernels of cuda_kernels.h for layouts that its encoders do not take. Home of CUDA in encoder/;
 * shm/cuda_device.h loads the driver and holds the context, which the ring's memory is mapped in.
 *
 * Work is done in the order in which it is given, later than the call: what it reads must stay
 * until cuda_wait, or until an encoder that works on the same stream has delivered its packet.
 *
 * Errors: negative errno; cuda_driver_reason() has the sentence. After -EIO the GPU is to be
 * thought lost: close.
 *
 * Thread: one per struct cuda.
 */
#ifndef SIMCAST_ENCODER_CUDA_H
#define SIMCAST_ENCODER_CUDA_H

#include "encoder/cuda_kernels.h"
#include "encoder/picture.h"
#include "shm/cuda_device.h"

/* Zeroed: not open. */
struct cuda {
    struct cuda_device device;
    void *stream; /* CUstream */
    void *module; /* CUmodule */
    void *pack;   /* CUfunctions */
    void *rows;
    void *nv12;
    uint64_t staging; /* device memory for pictures of the host; 0: none yet */
    size_t staging_bytes;
};

/* Rows of bytes to copy; `from` is a pointer of that memory. */
struct cuda_copy {
    enum ring_memory from_memory;
    const void *from;
    size_t from_stride_bytes; /* at least width_bytes, as below */
    uint64_t into;            /* the GPU's memory */
    size_t into_stride_bytes;
    size_t width_bytes;
    size_t rows;
};

/* Whether this machine has an NVIDIA driver, which needs not mean that it works. */
bool cuda_is_there(void);

/*
 * Opens GPU `ordinal`, its primary context, a stream and the kernels. Errors: those of
 * cuda_device_open; -ENODEV the driver does not take the kernels. Cost: tens of milliseconds.
 */
int cuda_open(int ordinal, struct cuda *ret_cuda);

/* Takes a zeroed one. Waits for the stream. */
void cuda_close(struct cuda *cuda);

/* Everything below works between these two, on the calling thread. */
int cuda_enter(const struct cuda *cuda);
void cuda_leave(const struct cuda *cuda);

int cuda_copy(const struct cuda *cuda, const struct cuda_copy *copy);
int cuda_pack(const struct cuda *cuda, const struct cuda_pack_job *job);
int cuda_rows(const struct cuda *cuda, const struct cuda_rows_job *job);
int cuda_nv12(const struct cuda *cuda, const struct cuda_nv12_job *job);

/*
 * Brings a picture of the host to the GPU as it lies; *ret_picture describes it there until the
 * next call. Pictures of the GPU are left where they are.
 */
int cuda_bring(struct cuda *cuda, const struct picture *picture, struct picture *ret_picture);

/* Whether cuda_to_rgb knows it. */
bool cuda_knows_layout(uint32_t fourcc);

/*
 * Makes RGB (3 bytes per pixel) or RGBX (4) of a picture on the GPU, whatever its layout, of its
 * top rows and left columns.
 */
int cuda_to_rgb(const struct cuda *cuda, const struct picture *picture, struct cuda_plane into,
                const uint32_t size[2], uint32_t into_bytes);

/* Device memory. */
int cuda_allocate(const struct cuda *cuda, size_t bytes, uint64_t *ret_address);
void cuda_free(uint64_t address); /* takes 0 */

/* Until all work given so far is done. */
int cuda_wait(const struct cuda *cuda);

#endif
