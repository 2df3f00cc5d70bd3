# SPDX-License-Identifier: Apache-2.0
"""Frames from GPU memory, with the driver of fake_cuda.c. test_tensors runs this in a process that
finds that driver; a real one would refuse the addresses."""
import ctypes
import unittest

import numpy

import kit
from tensor_kit import Gpu, Tensor


class FakeCudaTest(kit.RingTest):
    """Counts what the driver was asked to do."""

    def setUp(self):
        super().setUp()
        self.driver = ctypes.CDLL("libcuda.so.1")
        self.calls = (ctypes.c_int * 5).in_dll(self.driver, "calls")
        self.current = ctypes.c_void_p.in_dll(self.driver, "current")
        self.fail_with = ctypes.c_int.in_dll(self.driver, "fail_with")
        self.reset()

    def reset(self, current=None):
        ctypes.memset(self.calls, 0, ctypes.sizeof(self.calls))
        self.current.value = current
        self.fail_with.value = 0

    def counts(self):
        return dict(zip(("runs", "pitched", "streams", "pushed", "popped"), self.calls))

    def test_whole_pictures_are_one_transfer(self):
        camera, subscription = self.pair()
        picture = kit.noise(camera.shape)
        camera.publish(Gpu(picture))
        numpy.testing.assert_array_equal(subscription.receive(5).pixels, picture)
        self.assertEqual(self.counts(),
                         {"runs": 1, "pitched": 0, "streams": 0, "pushed": 1, "popped": 1})
        self.assertIsNone(self.current.value)

    def test_a_current_context_is_used(self):
        camera, _ = self.pair()
        self.reset(current=0x1234)
        camera.publish(Gpu(kit.noise(camera.shape)))
        self.assertEqual((self.counts()["runs"], self.counts()["pushed"]), (1, 0))
        self.assertEqual(self.current.value, 0x1234)

    def test_rgb_of_rgba_batches_is_one_transfer(self):
        camera, subscription = self.pair(batch=4)
        rgba = kit.noise((4, 6, 8, 4))
        camera.publish(Gpu(rgba[..., :3]))
        frame = subscription.receive(5)
        self.assertEqual(frame.format, "rgbx")
        numpy.testing.assert_array_equal(frame.pixels, rgba[..., :3])
        self.assertEqual((self.counts()["runs"], self.counts()["pitched"]), (1, 0))

    def test_padded_rows_are_one_transfer_per_picture(self):
        camera, subscription = self.pair(batch=2)
        wide = kit.noise((2, 6, 11, 3))
        camera.publish(Gpu(wide[:, :, :8]))
        numpy.testing.assert_array_equal(subscription.receive(5).pixels, wide[:, :, :8])
        self.assertEqual((self.counts()["runs"], self.counts()["pitched"]), (0, 2))

    def test_streams_are_waited_for(self):
        camera, _ = self.pair()
        picture = kit.noise(camera.shape)
        for stream, waits in ((None, 0), (1, 0), (2, 1), (0xABC0, 1)):
            with self.subTest(stream=stream):
                self.reset()
                camera.publish(Gpu(picture, stream=stream))
                self.assertEqual(self.counts()["streams"], waits)

    def test_scattered_pixels_are_refused(self):
        camera, subscription = self.pair()
        picture = kit.noise(camera.shape)
        for view in (picture[..., ::-1], picture.repeat(2, 1)[:, ::2],
                     numpy.broadcast_to(picture[:1], picture.shape)):
            with self.assertRaisesRegex(ValueError, r"contiguous\(\)"):
                camera.publish(Gpu(view))
        self.assertIsNone(subscription.receive(0.02))

    def test_dlpack_on_a_gpu(self):
        class OnGpu(Tensor):
            """numpy's capsule with its device changed, as a GPU's tensor has it."""

            def __dlpack__(self, stream=None):
                asked.append(stream)
                capsule = self.array.__dlpack__()
                get = ctypes.pythonapi.PyCapsule_GetPointer
                get.restype = ctypes.c_void_p
                get.argtypes = [ctypes.py_object, ctypes.c_char_p]
                ctypes.c_int32.from_address(get(capsule, b"dltensor") + 8).value = 2
                return capsule

        asked = []
        camera, subscription = self.pair()
        picture = kit.noise(camera.shape)
        camera.publish(OnGpu(picture, device=(2, 0)))
        numpy.testing.assert_array_equal(subscription.receive(5).pixels, picture)
        self.assertEqual((asked, self.counts()["runs"]), ([1], 1))

    def test_a_failing_driver_is_quoted_and_nothing_is_published(self):
        camera, subscription = self.pair()
        picture = kit.noise(camera.shape)
        self.fail_with.value = 700
        with self.assertRaisesRegex(RuntimeError, "illegal address"):
            camera.publish(Gpu(picture))
        self.assertIsNone(subscription.receive(0.02))
        self.reset()
        camera.publish(Gpu(picture))
        numpy.testing.assert_array_equal(subscription.receive(5).pixels, picture)


if __name__ == "__main__":
    unittest.main()
