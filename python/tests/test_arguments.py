# SPDX-License-Identifier: Apache-2.0
"""Wrong arguments: an exception that says what to do, never a crash, and the camera goes on."""
import math
import random
import unittest

import numpy

import kit
import simcast

ROUNDS = 3000


class ArgumentsTest(kit.RingTest):
    def test_camera_arguments(self):
        for options in ({"width": 0}, {"width": -4}, {"width": 1 << 40}, {"width": 2.5},
                        {"height": "6"}, {"format": "rgb"}, {"format": None}, {"batch": 0},
                        {"batch": -1}, {"batch": 2.5}, {"leases": 0}, {"leases": 33},
                        {"first_env": -1}, {"lease_limit": 0}, {"lease_limit": -1},
                        {"lease_limit": math.nan}, {"lease_limit": "1"}, {"cuda_device": -1},
                        {"stream": "a/b"}, {"stream": "a" * 32},
                        {"stream": b"front"}, {"format": "nv12", "batch": 2},
                        {"width": 32768, "height": 32768, "batch": 65536},
                        {"ipc_dir": "x" * 200}, {"ipc_dir": b"a\0b"}, {"ipc_dir": 3}):
            with self.subTest(**options), self.assertRaises((ValueError, TypeError, OSError)):
                simcast.Camera(**{"stream": "front", "width": 8, "height": 6, **options})

    def test_messages_name_the_remedy(self):
        rgb = self.camera("rgb", 1280, 720)
        rgba = self.camera("rgba", format="rgba")
        cases = [
            (rgb, kit.noise((720, 1280, 4)), ValueError, r"img\[\.\.\., :3\]"),
            (rgb, kit.noise((480, 640, 3)), ValueError,
             r"\(720, 1280, 3\) and got \(480, 640, 3\)"),
            (rgb, kit.noise((2, 720, 1280, 3)), ValueError, "batch"),
            (rgb, kit.noise((720, 1280, 3)).astype(numpy.float32), TypeError, r"numpy\.uint8"),
            (rgb, kit.noise((720, 1280, 3)).astype(numpy.int8), TypeError, "uint8"),
            (rgb, None, TypeError, "numpy array or a tensor"),
            (rgb, "pixels", TypeError, "numpy array or a tensor"),
            (rgb, [[1, 2, 3]], TypeError, "numpy array or a tensor"),
            (rgba, kit.noise((6, 8, 3)), ValueError, "rgb24"),
        ]
        for camera, image, error, message in cases:
            with self.subTest(message), self.assertRaisesRegex(error, message):
                camera.publish(image)
        picture = kit.noise((720, 1280, 3))
        for options, error, message in (
                ({"metadata": bytes(1025)}, ValueError, "1025 bytes and may have 1024"),
                ({"metadata": object()}, TypeError, "JSON"),
                ({"metadata": {"a": math.nan}}, TypeError, "JSON"),
                ({"sim_time": math.inf}, ValueError, "finite"),
                ({"sim_time": 1e300}, ValueError, "finite"),
                ({"sim_time": "now"}, TypeError, "seconds"),
                ({"sim_time": "1"}, TypeError, "seconds"),
                ({"frame_id": -1}, ValueError, "frame_id"),
                ({"frame_id": 1 << 64}, ValueError, "frame_id"),
                ({"frame_id": 1.5}, TypeError, "frame_id")):
            with self.subTest(**options), self.assertRaisesRegex(error, message):
                rgb.publish(picture, **options)
        self.assertEqual(rgb.publish(picture), 1)

    def random_image(self, chance, shape):
        """An array that is right, or wrong in one or more ways; or no array at all."""
        kind = chance.randrange(8)
        if kind == 0:
            return chance.choice([None, 5, "text", {}, [], object(), 3.5, b"", b"abc", range(9)])
        wanted = list(shape)
        if kind == 1:
            wanted[chance.randrange(len(wanted))] = chance.choice([0, 1, 2, 5, 17])
        if kind == 2:
            wanted.insert(chance.randrange(len(wanted) + 1), chance.choice([0, 1, 2]))
        if kind == 3:
            del wanted[chance.randrange(len(wanted))]
        dtype = numpy.uint8
        if kind == 4:
            dtype = chance.choice(["i1", "?", "f2", "f4", "f8", "u2", "O", "S1", "V1", "M8[s]",
                                   [("r", "u1")], "<u2", ">f8", "c8"])
        image = numpy.zeros(wanted, dtype)
        if kind == 5:  # strides of zero, negative, or past the next row, all inside the memory
            memory = numpy.zeros(1 << 16, numpy.uint8)
            strides = [chance.choice([0, 1, 3, 4, 24, 100, -1, -3, -24, -100]) for _ in wanted]
            image = numpy.lib.stride_tricks.as_strided(memory[1 << 15:], wanted, strides)
        if kind == 6:
            image = image.transpose(chance.sample(range(image.ndim), image.ndim))
        if kind == 7:
            image = memoryview(image).cast("B") if image.size else memoryview(b"")
        return image

    def test_random_images(self):
        chance = random.Random(kit.SEED)
        cameras = [self.camera("a"), self.camera("b", format="rgba"),
                   self.camera("c", format="grey"), self.camera("d", format="nv12"),
                   self.camera("e", batch=3), self.camera("f", width=1, height=1)]
        subscriptions = [self.subscribe(camera.stream) for camera in cameras]
        outcomes = {True: 0, False: 0}
        for _ in range(ROUNDS):
            number = chance.randrange(len(cameras))
            camera = cameras[number]
            try:
                image = self.random_image(chance, camera.shape)
                camera.publish(image, bottom_up=chance.random() < 0.2)
                published = True
            except (TypeError, ValueError) as error:
                self.assertGreater(len(str(error)), 20)
                published = False
            outcomes[published] += 1
            frame = subscriptions[number].receive(0)
            if frame and published:
                shape = camera.shape if camera.format != "grey" else camera.shape[:2]
                self.assertEqual(frame.pixels.shape, shape)
        self.assertGreater(min(outcomes.values()), ROUNDS // 10)
        for camera, subscription in zip(cameras, subscriptions):
            picture = kit.noise(camera.shape)
            camera.publish(picture)
            numpy.testing.assert_array_equal(subscription.receive(5).pixels, picture)

    def test_the_extension_alone_is_as_strict(self):
        """What the Python classes never do may raise, and must not crash either."""
        from simcast import _ring
        chance = random.Random(kit.SEED)
        values = [0, 1, -1, 6, 8, 1 << 31, 1 << 32, 1 << 63, 1 << 64, None, "front", b"x", 2.5,
                  self.dir, "a\0b", [], _ring.FORMATS["rgb24"], _ring.FORMATS["nv12"]]
        producer = _ring.Producer(self.dir, "own", 8, 6, _ring.FORMATS["rgb24"], 0, 0, 2,
                                  0, False, 0)
        consumer = _ring.Consumer(self.dir, "own", 0, 1)
        calls = [(_ring.Producer, 11), (_ring.Consumer, 4), (producer.publish, 5),
                 (consumer.take, 2), (producer.loan, 0), (_ring.Loan, 0), (_ring.View, 0),
                 (lambda *args: producer.loan().publish(*args), 4)]
        raised = 0
        for _ in range(ROUNDS):
            call, count = chance.choice(calls)
            arguments = [chance.choice(values) for _ in range(count)]
            if call == consumer.take:
                arguments[1] = chance.choice([0, 1, 1000, "x", None])
            try:
                call(*arguments)
            except (TypeError, ValueError, OverflowError, OSError, BufferError, MemoryError):
                raised += 1
        self.assertGreater(raised, ROUNDS // 2)
        seq = producer.publish(kit.noise((6, 8, 3)), 1, 2, b"", False)
        self.assertGreater(seq, 0)


if __name__ == "__main__":
    unittest.main()
