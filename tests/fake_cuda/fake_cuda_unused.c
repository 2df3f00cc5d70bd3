/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry points that FFmpeg looks up before it uses CUDA at all, and that none of our ways through
 * it ever calls. They say so.
 */
#include "shm/cuda_driver.h"
#include "tests/fake_cuda/fake_cuda_parts.h"

#define NEVER_CALLED(name)                                                                         \
    API int name(void);                                                                            \
    API int name(void)                                                                             \
    {                                                                                              \
        return CUDA_NOT_SUPPORTED;                                                                 \
    }

NEVER_CALLED(cuDeviceGetName)
NEVER_CALLED(cuDeviceComputeCapability)
NEVER_CALLED(cuCtxCreate_v2)
NEVER_CALLED(cuCtxSetLimit)
NEVER_CALLED(cuCtxDestroy_v2)
NEVER_CALLED(cuMemAllocPitch_v2)
NEVER_CALLED(cuMemAllocManaged)
NEVER_CALLED(cuMemsetD8Async)
NEVER_CALLED(cuMemcpy)
NEVER_CALLED(cuMemcpyAsync)
NEVER_CALLED(cuMemcpy2D_v2)
NEVER_CALLED(cuMemcpyHtoDAsync_v2)
NEVER_CALLED(cuMemcpyDtoHAsync_v2)
NEVER_CALLED(cuMemcpyDtoD_v2)
NEVER_CALLED(cuMemcpyDtoDAsync_v2)
NEVER_CALLED(cuCtxGetDevice)
NEVER_CALLED(cuDevicePrimaryCtxRelease)
NEVER_CALLED(cuDevicePrimaryCtxSetFlags)
NEVER_CALLED(cuDevicePrimaryCtxGetState)
NEVER_CALLED(cuDevicePrimaryCtxReset)
NEVER_CALLED(cuStreamQuery)
NEVER_CALLED(cuStreamAddCallback)
NEVER_CALLED(cuEventCreate)
NEVER_CALLED(cuEventDestroy_v2)
NEVER_CALLED(cuEventSynchronize)
NEVER_CALLED(cuEventQuery)
NEVER_CALLED(cuEventRecord)
NEVER_CALLED(cuLinkCreate)
NEVER_CALLED(cuLinkAddData)
NEVER_CALLED(cuLinkComplete)
NEVER_CALLED(cuLinkDestroy)
NEVER_CALLED(cuModuleGetGlobal)
NEVER_CALLED(cuTexObjectCreate)
NEVER_CALLED(cuTexObjectDestroy)
NEVER_CALLED(cuGLGetDevices_v2)
NEVER_CALLED(cuGraphicsGLRegisterImage)
NEVER_CALLED(cuGraphicsUnregisterResource)
NEVER_CALLED(cuGraphicsMapResources)
NEVER_CALLED(cuGraphicsUnmapResources)
NEVER_CALLED(cuGraphicsSubResourceGetMappedArray)
NEVER_CALLED(cuGraphicsResourceGetMappedPointer_v2)
NEVER_CALLED(cuArray3DCreate_v2)
NEVER_CALLED(cuArrayDestroy)
