# SPDX-License-Identifier: Apache-2.0
"""Camera.publish: every memory layout arrives pixel by pixel, with as little work as it allows."""
import ctypes
import mmap
import random
import time
import unittest

import numpy

import kit
import simcast

WIDTH, HEIGHT = 8, 6
LIBC = ctypes.CDLL(None, use_errno=True)


def padded_rows(picture):
    """The same pixels in memory whose rows are 5 bytes longer than the pixels."""
    height, width, channels = picture.shape
    memory = numpy.zeros((height, width * channels + 5), numpy.uint8)
    view = memory[:, :width * channels].reshape(height, width, channels)
    view = numpy.lib.stride_tricks.as_strided(
        memory, picture.shape, (memory.strides[0], channels, 1))
    view[:] = picture
    return view


def in_rgba(picture, offset=0):
    """The same pixels as a view into memory of four channels."""
    height, width, _ = picture.shape
    memory = numpy.full((height, width, 4), 77, numpy.uint8)
    memory[..., offset:offset + 3] = picture
    return memory[..., offset:offset + 3]


# name: (makes a view with the picture's pixels, format in the slot, bottom-up in the slot)
LAYOUTS = {
    "contiguous": (lambda p: p, "rgb24", False),
    "upside down": (lambda p: p[::-1].copy()[::-1], "rgb24", True),
    "mirrored": (lambda p: p[:, ::-1].copy()[:, ::-1], "rgb24", False),
    "turned": (lambda p: p[::-1, ::-1].copy()[::-1, ::-1], "rgb24", True),
    "bgr": (lambda p: p[..., ::-1].copy()[..., ::-1], "rgb24", False),
    "padded rows": (padded_rows, "rgb24", False),
    "padded rows upside down": (lambda p: padded_rows(p[::-1])[::-1], "rgb24", True),
    "rgba": (in_rgba, "rgbx", False),
    "rgba upside down": (lambda p: in_rgba(p[::-1])[::-1], "rgbx", True),
    "argb": (lambda p: in_rgba(p, offset=1), "rgbx", False),
    "bgra": (lambda p: in_rgba(p[..., ::-1])[..., ::-1], "rgb24", False),
    "planar": (lambda p: p.transpose(2, 0, 1).copy().transpose(1, 2, 0), "rgb24", False),
    "columns first": (numpy.asfortranarray, "rgb24", False),
    "one more dimension": (lambda p: p[None], "rgb24", False),
    "every second": (lambda p: p.repeat(2, 0).repeat(2, 1)[::2, ::2], "rgb24", False),
}


class PublishTest(kit.RingTest):
    def publish(self, image, **options):
        """Publishes on a new camera; returns the frame that arrives."""
        publish = {name: options.pop(name) for name in ("bottom_up",) if name in options}
        camera, subscription = self.pair(**options)
        camera.publish(image, **publish)
        frame = subscription.receive(5)
        self.assertIsNotNone(frame)
        camera.close()
        return frame

    def test_every_layout_is_exact(self):
        chance = random.Random(kit.SEED)
        sizes = [(6, 8), (1, 1), (1, 7), (5, 1), (480, 640)]
        sizes += [(chance.randint(2, 90), chance.randint(2, 90)) for _ in range(4)]
        for height, width in sizes:
            picture = kit.noise((height, width, 3))
            for name, (view_of, layout, bottom_up) in LAYOUTS.items():
                with self.subTest(name, height=height, width=width):
                    view = view_of(picture)
                    self.assertTrue(numpy.array_equal(view.reshape(picture.shape), picture))
                    frame = self.publish(view, width=width, height=height)
                    numpy.testing.assert_array_equal(frame.pixels, picture)
                    if height > 1 and width > 1:
                        self.assertEqual((frame.format, frame.bottom_up), (layout, bottom_up))

    def test_every_format_is_exact(self):
        shapes = {"rgb24": (6, 8, 3), "rgba": (6, 8, 4), "bgra": (6, 8, 4), "grey": (6, 8),
                  "nv12": (9, 8)}
        for name, shape in shapes.items():
            with self.subTest(name):
                picture = kit.noise(shape)
                frame = self.publish(picture, format=name)
                self.assertEqual(frame.format, name)
                numpy.testing.assert_array_equal(frame.pixels, picture)
        picture = kit.noise((6, 8, 4))
        frame = self.publish(picture, format="rgbx")
        numpy.testing.assert_array_equal(frame.pixels, picture[..., :3])

    def test_grey_may_have_a_channel(self):
        picture = kit.noise((6, 8, 1))
        frame = self.publish(picture, format="grey")
        numpy.testing.assert_array_equal(frame.pixels, picture[..., 0])

    def test_broadcast_grey_becomes_rgb(self):
        grey = kit.noise((6, 8))
        picture = numpy.broadcast_to(grey[..., None], (6, 8, 3))
        numpy.testing.assert_array_equal(self.publish(picture).pixels, picture)

    def test_plain_bytes_are_a_picture(self):
        picture = kit.noise((HEIGHT, WIDTH, 3))
        for kind in (bytes, bytearray, memoryview):
            with self.subTest(kind.__name__):
                frame = self.publish(kind(picture.tobytes()))
                numpy.testing.assert_array_equal(frame.pixels, picture)

    def test_read_only_arrays_are_taken(self):
        picture = kit.noise((HEIGHT, WIDTH, 3))
        picture.flags.writeable = False
        numpy.testing.assert_array_equal(self.publish(picture).pixels, picture)

    def test_declared_bottom_up_arrives_upright(self):
        picture = kit.noise((HEIGHT, WIDTH, 3))
        frame = self.publish(picture[::-1].copy(), bottom_up=True)
        self.assertTrue(frame.bottom_up)
        numpy.testing.assert_array_equal(frame.pixels, picture)

    def test_bottom_up_of_a_flipped_view_cancels_out(self):
        picture = kit.noise((HEIGHT, WIDTH, 3))
        frame = self.publish(picture[::-1], bottom_up=True)
        self.assertFalse(frame.bottom_up)
        numpy.testing.assert_array_equal(frame.pixels, picture)

    def test_reads_nothing_beyond_the_array(self):
        """The last pixel's fourth byte lies in a page that nobody may read."""
        page = mmap.PAGESIZE
        memory = mmap.mmap(-1, 2 * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        bytes_used = WIDTH * HEIGHT * 4 - 1
        whole = numpy.frombuffer(memory, numpy.uint8, page)
        view = numpy.lib.stride_tricks.as_strided(whole[page - bytes_used:],
                                                  (HEIGHT, WIDTH, 3), (WIDTH * 4, 4, 1))
        view[:] = kit.noise((HEIGHT, WIDTH, 3))
        self.assertEqual(LIBC.mprotect(ctypes.c_void_p(start + page), page, 0), 0)
        self.addCleanup(LIBC.mprotect, ctypes.c_void_p(start + page), page, 3)
        frame = self.publish(view)
        self.assertEqual(frame.format, "rgbx")
        numpy.testing.assert_array_equal(frame.pixels, view)

    def test_says_what_was_said(self):
        camera, subscription = self.pair()
        before = time.monotonic_ns()
        seq = camera.publish(kit.noise(camera.shape), sim_time=1.25, frame_id=77,
                             metadata={"pose": [1, 2, 3]})
        frame = subscription.receive(5)
        self.assertEqual((seq, frame.seq, frame.frame_id, frame.sim_time), (1, 1, 77, 1.25))
        self.assertEqual(frame.metadata_json(), {"pose": [1, 2, 3]})
        self.assertEqual((frame.width, frame.height, frame.stride_bytes), (8, 6, 24))
        stamps = frame.stamps_ns
        self.assertLessEqual(before, stamps["rendered"])
        self.assertLessEqual(stamps["rendered"], stamps["published"])
        self.assertEqual(set(stamps), {"rendered", "published"})
        self.assertIsNone(frame.batch)
        camera.publish(kit.noise(camera.shape), metadata=b"\x00\xff" * 512)
        self.assertEqual(subscription.receive(5).metadata, b"\x00\xff" * 512)

    def test_frames_count_themselves(self):
        camera, subscription = self.pair()
        for number in (1, 2, 3):
            camera.publish(kit.noise(camera.shape))
            self.assertEqual(subscription.receive(5).frame_id, number)

    def test_wanted_follows_the_watchers(self):
        camera = self.camera()
        self.assertFalse(camera.wanted)
        subscription = self.subscribe()
        self.assertTrue(kit.wait_until(lambda: not subscription.receive(0.01) and camera.wanted))
        self.assertEqual(camera.consumers, 1)
        subscription.close()
        self.assertTrue(kit.wait_until(lambda: not camera.wanted))

    def test_publishing_to_nobody_is_fine(self):
        camera = self.camera()
        self.assertEqual([camera.publish(kit.noise(camera.shape)) for _ in range(50)],
                         list(range(1, 51)))

    def test_other_threads_run_during_the_copy(self):
        """`publish` lets go of the GIL, so a second thread on the same camera meets the guard."""
        import threading
        camera = self.camera(width=4096, height=2048)
        picture = numpy.zeros((4096, 2048, 3), numpy.uint8).transpose(1, 0, 2)
        busy = []

        def publish():
            for _ in range(20):
                try:
                    camera.publish(picture)
                except RuntimeError as error:
                    busy.append(str(error))

        threads = [threading.Thread(target=publish) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertTrue(busy)
        self.assertIn("another thread", busy[0])

    def test_a_name_is_published_once(self):
        self.camera()
        with self.assertRaisesRegex(OSError, "living process"):
            self.camera()

    def test_a_directory_that_cannot_be_is_named(self):
        with self.assertRaisesRegex(OSError, "/proc/nowhere"):
            simcast.Camera("front", 8, 6, ipc_dir="/proc/nowhere")

    def test_a_closed_camera_says_so(self):
        camera = self.camera()
        camera.close()
        camera.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            camera.publish(kit.noise(camera.shape))
        self.assertFalse(camera.wanted)


class BatchTest(kit.RingTest):
    def test_all_environments_arrive(self):
        camera, subscription = self.pair(batch=5, first_env=10)
        pictures = kit.noise((5, 6, 8, 3))
        layouts = {
            "contiguous": pictures,
            "rgba": numpy.concatenate([pictures, pictures[..., :1]], axis=-1)[..., :3],
            "rows upside down": pictures[:, ::-1].copy()[:, ::-1],
            "environments backwards": pictures[::-1].copy()[::-1],
            "environment last": pictures.transpose(1, 2, 3, 0).copy().transpose(3, 0, 1, 2),
            "bytes": pictures.tobytes(),
        }
        for name, view in layouts.items():
            with self.subTest(name):
                camera.publish(view, metadata=b"mine")
                frame = subscription.receive(5)
                self.assertEqual((frame.batch, frame.envs, frame.height), (5, range(10, 15), 6))
                self.assertFalse(frame.bottom_up)
                self.assertEqual(frame.metadata, b"mine")
                numpy.testing.assert_array_equal(frame.pixels, pictures)
                numpy.testing.assert_array_equal(frame.env(12), pictures[2])
        with self.assertRaisesRegex(IndexError, "environments"):
            frame.env(3)

    def test_declared_bottom_up_turns_each_picture(self):
        camera, subscription = self.pair(batch=3)
        pictures = kit.noise((3, 6, 8, 3))
        camera.publish(pictures[:, ::-1].copy(), bottom_up=True)
        numpy.testing.assert_array_equal(subscription.receive(5).pixels, pictures)

    def test_a_loan_has_all_pictures(self):
        camera, subscription = self.pair(batch=4)
        pictures = kit.noise((4, 6, 8, 3))
        with camera.loan() as frame:
            for number in range(4):
                frame.pixels[number] = pictures[number]
        numpy.testing.assert_array_equal(subscription.receive(5).pixels, pictures)

    def test_a_batch_of_one_keeps_its_dimension(self):
        camera, subscription = self.pair(batch=1)
        pictures = kit.noise((1, 6, 8, 3))
        camera.publish(pictures)
        numpy.testing.assert_array_equal(subscription.receive(5).pixels, pictures)


if __name__ == "__main__":
    unittest.main()
