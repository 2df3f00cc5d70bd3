# SPDX-License-Identifier: Apache-2.0
"""Ten thousand frames, and many openings: memory, descriptors and references stay as they were."""
import gc
import sys
import unittest

import numpy

import kit

FRAMES = 10_000
RSS_SLACK_BYTES = 1 << 20


class LeakTest(kit.RingTest):
    def assert_flat(self, work, warm_up, rounds):
        work(warm_up)
        gc.collect()
        before = kit.rss_bytes(), kit.open_descriptors(), len(gc.get_objects())
        work(rounds)
        gc.collect()
        after = kit.rss_bytes(), kit.open_descriptors(), len(gc.get_objects())
        self.assertLess(after[0] - before[0], RSS_SLACK_BYTES)
        self.assertEqual(after[1], before[1])
        self.assertLess(after[2] - before[2], 100)

    def test_frames(self):
        camera, subscription = self.pair(width=64, height=48)
        picture = kit.noise(camera.shape)
        flipped = picture[::-1]
        metadata = {"pose": [1.0, 2.0]}
        references = sys.getrefcount(picture), sys.getrefcount(metadata)

        def work(frames):
            for number in range(frames):
                if number % 2:
                    with camera.loan(metadata=metadata) as frame:
                        frame.pixels[:] = picture
                else:
                    camera.publish(flipped, metadata=metadata)
                frame = subscription.receive(5)
                self.assertEqual(frame.pixels[0, 0, 0], picture[0 if number % 2 else -1, 0, 0])
                self.assertTrue(frame.metadata and frame.stamps_ns)

        self.assert_flat(work, 500, FRAMES)
        self.assertEqual((sys.getrefcount(picture), sys.getrefcount(metadata)), references)

    def test_refusals(self):
        camera = self.camera()
        images = [numpy.zeros((3, 3), numpy.uint8), numpy.zeros(camera.shape), None, object()]

        def work(rounds):
            for number in range(rounds):
                try:
                    camera.publish(images[number % len(images)])
                except (TypeError, ValueError):
                    pass
                try:
                    with camera.loan() as frame:
                        frame.metadata = {1, 2}
                except TypeError:
                    pass

        self.assert_flat(work, 500, FRAMES)

    def test_openings(self):
        def work(rounds):
            for _ in range(rounds):
                camera = self.camera()
                subscription = self.subscribe()
                camera.publish(kit.noise(camera.shape))
                self.assertIsNotNone(subscription.receive(5))
                pixels = subscription._current.pixels
                subscription.close()
                camera.close()
                del pixels
                self._cleanups.clear()

        self.assert_flat(work, 20, 200)


if __name__ == "__main__":
    unittest.main()
