# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for the tensors of torch, JAX and their like."""
import kit


class Tensor:
    """What torch and JAX offer on the host: DLPack and no buffer protocol."""

    def __init__(self, array, device=(1, 0)):
        self.array = array
        self.device = device

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__(stream=stream)


class Gpu:
    """What torch, CuPy and Warp offer on a GPU. The fake driver reads it from host memory."""

    def __init__(self, array, **changes):
        self.array = array
        self.__cuda_array_interface__ = {
            "version": 3, "shape": array.shape, "typestr": array.dtype.str,
            "data": (kit.address(array), False),
            "strides": None if array.flags.c_contiguous else array.strides, **changes}
