# SPDX-License-Identifier: Apache-2.0
"""DLPack, and __cuda_array_interface__ with and without a driver."""
import ctypes
import gc
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import weakref

import numpy

import kit
from tensor_kit import Gpu, Tensor


class DlpackTest(kit.RingTest):
    def test_host_tensors_with_any_strides(self):
        camera, subscription = self.pair()
        picture = kit.noise(camera.shape)
        rgba = numpy.concatenate([picture, picture[..., :1]], axis=-1)
        planar = picture.transpose(2, 0, 1).copy()
        for name, view in (("contiguous", picture), ("rgba", rgba[..., :3]),
                           ("planar", planar.transpose(1, 2, 0)),
                           ("upside down", picture[::-1].copy()[::-1])):
            with self.subTest(name):
                camera.publish(Tensor(view))
                numpy.testing.assert_array_equal(subscription.receive(5).pixels, picture)

    def test_tensors_are_let_go(self):
        camera = self.camera()
        for image in (kit.noise(camera.shape), kit.noise((3, 3)), numpy.zeros(camera.shape, "f4")):
            class Owned(numpy.ndarray):
                """Can be referred to weakly."""
            owned = image.view(Owned)
            gone = weakref.ref(owned)
            try:
                camera.publish(Tensor(owned))
            except (ValueError, TypeError):
                pass
            del owned
            gc.collect()
            self.assertIsNone(gone())

    def test_wrong_tensors_are_refused(self):
        camera = self.camera()
        picture = kit.noise(camera.shape)

        class Liar(Tensor):
            def __dlpack__(self, stream=None):
                return self.array

        class Breaker(Tensor):
            def __dlpack__(self, stream=None):
                raise ValueError("requires_grad")

        class Closer(Tensor):
            def __dlpack__(self, stream=None):
                camera.close()
                return super().__dlpack__()

        for tensor, error, message in (
                (Tensor(picture.astype(numpy.float32)), TypeError, "uint8"),
                (Tensor(picture[None, None, None]), None, ""),
                (Tensor(numpy.zeros((1,) * 9, numpy.uint8)), ValueError, "dimensions"),
                (Tensor(picture, device=None), TypeError, ""),
                (Tensor(picture, device=("x",)), TypeError, ""),
                (Liar(7), TypeError, "dltensor"), (Liar(None), TypeError, "dltensor"),
                (Breaker(picture), ValueError, "requires_grad"),
                (Closer(picture), ValueError, "closed")):
            with self.subTest(message):
                if error is None:
                    self.assertGreater(camera.publish(tensor), 0)
                    continue
                with self.assertRaisesRegex(error, message):
                    camera.publish(tensor)


class NoCudaTest(kit.RingTest):
    def test_without_a_driver_it_says_so(self):
        try:
            ctypes.CDLL("libcuda.so.1")
        except OSError:
            pass
        else:
            self.skipTest("this machine has a CUDA driver")
        camera = self.camera()
        with self.assertRaisesRegex(RuntimeError, r"libcuda\.so\.1.*tensor\.cpu\(\)"):
            camera.publish(Gpu(kit.noise(camera.shape)))
        self.assertEqual(camera.publish(kit.noise(camera.shape)), 1)

    def test_wrong_descriptions_are_refused(self):
        camera = self.camera()
        picture = kit.noise(camera.shape)
        for changes in ({"shape": None}, {"shape": [6, 8, 3]}, {"shape": (6, "8", 3)},
                        {"shape": (6, 8, 4)}, {"shape": (1 << 62, 8, 3)}, {"shape": (1 << 70,)},
                        {"strides": 3}, {"strides": (24, 3)}, {"strides": (24, 3, 1 << 62)},
                        {"strides": (1 << 40, 3, 1)}, {"data": None}, {"data": (1,)},
                        {"data": ("x", False)}, {"data": (-1, False)}, {"typestr": "<f4"},
                        {"typestr": None}, {"typestr": "u"}, {"stream": "x"}, {"stream": -1}):
            with self.subTest(**changes):
                with self.assertRaises((ValueError, TypeError, OverflowError)):
                    camera.publish(Gpu(picture, **changes))


    def test_pinning_without_a_driver_is_no_failure(self):
        self.assertEqual(self.camera("plain").pin_reason, "")
        camera = self.camera(pin_memory=True, cuda_device=1023)
        self.assertTrue(camera.pin_reason)
        self.assertEqual(camera.publish(kit.noise(camera.shape)), 1)


class FakeDriverTest(kit.RingTest):
    def test_frames_from_gpu_memory(self):
        """cuda_cases.py, in a process that finds our libcuda.so.1 first."""
        compiler = shutil.which("cc")
        if not compiler:
            self.skipTest("there is no C compiler for the fake driver")
        tests = pathlib.Path(__file__).parent
        with tempfile.TemporaryDirectory() as place:
            subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o",
                            f"{place}/libcuda.so.1", str(tests / "fake_cuda.c")], check=True)
            done = subprocess.run(
                [sys.executable, tests, "cuda_cases"], check=False, text=True, timeout=60,
                capture_output=True, env={**os.environ, "LD_LIBRARY_PATH": place,
                                          "PYTHONPATH": str(kit.PACKAGE)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("\nok "), 8, done.stdout)


if __name__ == "__main__":
    unittest.main()
