/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels: one thread per pixel, in blocks of 32 by 8. encoder/cuda_kernels.ptx is made of this
 * file by clang for the oldest GPU that it can name, so that every driver takes it and the build
 * needs no compiler for GPUs: tests/check_kernels.py . --write makes it again, and the test
 * "cuda_kernels" compares. nvcc takes this file, too, but its PTX needs a driver as new as nvcc.
 */
#include "encoder/cuda_kernels.h"

#ifdef __clang__
#define KERNEL(name) extern "C" __attribute__((global)) void name
#define COLUMN                                                                                     \
    (__nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() +                              \
     __nvvm_read_ptx_sreg_tid_x())
#define ROW                                                                                        \
    (__nvvm_read_ptx_sreg_ctaid_y() * __nvvm_read_ptx_sreg_ntid_y() +                              \
     __nvvm_read_ptx_sreg_tid_y())
#else
#define KERNEL(name) extern "C" __global__ void name
#define COLUMN (blockIdx.x * blockDim.x + threadIdx.x)
#define ROW (blockIdx.y * blockDim.y + threadIdx.y)
#endif

KERNEL(simcast_pack)(struct cuda_pack_job job)
{
    if (COLUMN < job.width && ROW < job.height)
        cuda_pack_pixel(&job, COLUMN, ROW);
}

KERNEL(simcast_rows)(struct cuda_rows_job job)
{
    if (COLUMN < job.width_bytes && ROW < job.height)
        cuda_rows_byte(&job, COLUMN, ROW);
}

KERNEL(simcast_nv12)(struct cuda_nv12_job job)
{
    if (COLUMN < job.width && ROW < job.height)
        cuda_nv12_pixel(&job, COLUMN, ROW);
}
