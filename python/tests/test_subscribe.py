# SPDX-License-Identifier: Apache-2.0
"""subscribe: policies, leases, what keeps a frame alive, waiting, threads."""
import gc
import math
import threading
import time
import unittest

import numpy

import kit
import simcast


class SubscribeTest(kit.RingTest):
    def test_latest_skips_and_counts(self):
        camera, subscription = self.pair()
        for _ in range(5):
            camera.publish(kit.noise(camera.shape))
        self.assertEqual(subscription.receive(5).frame_id, 5)
        for _ in range(3):
            camera.publish(kit.noise(camera.shape))
        frame = subscription.receive(5)
        self.assertEqual((frame.frame_id, frame.lost), (8, 2))

    def test_next_takes_each_in_turn(self):
        camera = self.camera()
        subscription = self.subscribe(policy="next")
        self.assertIsNone(subscription.receive(0.05))
        self.assertTrue(kit.wait_until(lambda: not subscription.receive(0.01) and camera.wanted))
        camera.publish(kit.noise(camera.shape))
        self.assertEqual(subscription.receive(5).frame_id, 1)
        for _ in range(4):
            camera.publish(kit.noise(camera.shape))
        self.assertEqual([subscription.receive(5).frame_id for _ in range(4)], [2, 3, 4, 5])
        for _ in range(200):
            camera.publish(kit.noise(camera.shape))
        frame = subscription.receive(5)
        self.assertEqual(frame.frame_id - frame.lost - 1, 5)

    def test_iterating_gives_valid_frames(self):
        camera, subscription = self.pair()
        pictures = [kit.noise(camera.shape, seed) for seed in range(20)]
        camera.publish(pictures[0])
        for picture, frame in zip(pictures, subscription):
            pixels = frame.pixels  # still alive when the next frame is taken
            numpy.testing.assert_array_equal(pixels, picture)
            if frame.frame_id < len(pictures):
                camera.publish(pictures[frame.frame_id])
        self.assertEqual(frame.frame_id, 20)

    def test_a_released_frame_says_so(self):
        camera, subscription = self.pair()
        camera.publish(kit.noise(camera.shape))
        with subscription.receive(5) as frame:
            frame.pixels.sum()
        with self.assertRaisesRegex(BufferError, "released"):
            _ = frame.pixels
        with self.assertRaisesRegex(ValueError, "released"):
            _ = frame.metadata
        self.assertEqual(frame.frame_id, 1)

    def test_an_array_keeps_its_slot(self):
        """The producer goes many rounds; what is still seen does not change."""
        camera = self.camera()
        subscription = self.subscribe(leases=3)
        self.assertTrue(kit.wait_until(lambda: not subscription.receive(0.01) and camera.wanted))
        kept = []
        for seed in range(3):
            camera.publish(kit.noise(camera.shape, seed))
            kept.append(subscription.receive(5).pixels)
        for _ in range(100):
            camera.publish(numpy.zeros(camera.shape, numpy.uint8))
        for seed, pixels in enumerate(kept):
            numpy.testing.assert_array_equal(pixels, kit.noise(camera.shape, seed))
        with self.assertRaisesRegex(BufferError, "copy"):
            subscription.receive(5)
        kept.pop(0)
        del pixels
        self.assertEqual(subscription.receive(5).frame_id, 103)
        subscription.close()
        camera.close()
        numpy.testing.assert_array_equal(kept[0], kit.noise(camera.shape, 1))
        kept.clear()
        gc.collect()
        self.assertTrue(kit.wait_until(lambda: not kit.mappings("memfd:simcast")))

    def test_a_frame_held_too_long_is_counted(self):
        camera, subscription = self.pair(lease_limit=0.05)
        camera.publish(kit.noise(camera.shape, 1))
        kept = subscription.receive(5).pixels
        other = numpy.zeros(camera.shape, numpy.uint8)
        self.assertTrue(kit.wait_until(
            lambda: camera.publish(other) and not kept.any()), "the slot was not written again")
        self.assertEqual(subscription.revoked, 0)
        del kept
        self.assertIsNotNone(subscription.receive(5))
        self.assertEqual(subscription.revoked, 1)

    def test_waiting_ends_in_time(self):
        subscription = self.subscribe("nobody")
        for timeout in (0, 0.03, 0.25):
            before = time.monotonic()
            self.assertIsNone(subscription.receive(timeout))
            took = time.monotonic() - before
            self.assertTrue(timeout <= took < timeout + 0.5, (timeout, took))
        self.assertFalse(subscription.attached)
        self.assertIn("nobody.frames", subscription.reason)

    def test_bad_timeouts_are_refused(self):
        subscription = self.subscribe()
        for timeout in (-1, math.nan, "soon"):
            with self.subTest(timeout), self.assertRaises((ValueError, TypeError)):
                subscription.receive(timeout)

    def test_other_threads_run_while_one_waits(self):
        camera, subscription = self.pair()
        received = []
        thread = threading.Thread(target=lambda: received.append(subscription.receive(10)))
        thread.start()
        with self.assertRaisesRegex(RuntimeError, "another thread"):
            kit.wait_until(lambda: subscription.request_keyframe())
        camera.publish(kit.noise(camera.shape))
        thread.join(5)
        self.assertFalse(thread.is_alive())
        self.assertEqual(received[0].frame_id, 1)

    def test_arrays_may_die_while_a_thread_waits(self):
        camera = self.camera()
        subscription = self.subscribe(leases=1)
        self.assertTrue(kit.wait_until(lambda: not subscription.receive(0.01) and camera.wanted))
        camera.publish(kit.noise(camera.shape))
        frame = subscription.receive(5)
        frame.pixels.sum()
        other = self.subscribe(leases=1)
        thread = threading.Thread(target=lambda: other.receive(0.5))
        thread.start()
        frame.release()
        thread.join()
        for number in range(2, 30):
            camera.publish(kit.noise(camera.shape))
            self.assertEqual(subscription.receive(5).frame_id, number)

    def test_closing_ends_a_thread_that_waits(self):
        for wait in (lambda sub: sub.receive(), lambda sub: list(sub)):
            subscription = self.subscribe()
            thread = threading.Thread(target=wait, args=(subscription,))
            thread.start()
            subscription.close()
            thread.join(5)
            self.assertFalse(thread.is_alive())
        self.assertEqual(list(subscription), [])
        self.assertIsNone(subscription.receive())

    def test_a_camera_may_come_later_and_again(self):
        subscription = self.subscribe()
        epochs = set()
        for _ in range(3):
            camera = self.camera()
            picture = kit.noise(camera.shape)
            self.assertTrue(kit.wait_until(
                lambda: not subscription.receive(0.01) and camera.wanted))
            camera.publish(picture)
            frame = subscription.receive(5)
            self.assertEqual(frame.seq, 1)
            numpy.testing.assert_array_equal(frame.pixels, picture)
            epochs.add(frame.epoch)
            camera.close()
        self.assertEqual(len(epochs), 3)

    def test_too_many_leases_are_refused_with_a_reason(self):
        camera = self.camera(leases=2)
        self.assertTrue(kit.wait_until(lambda: camera.consumers == 0))
        subscription = self.subscribe(leases=3)
        self.assertTrue(kit.wait_until(
            lambda: not subscription.receive(0.01) and "leases" in subscription.reason))
        self.assertFalse(subscription.attached)

    def test_bad_arguments_are_refused(self):
        for options in ({"policy": "newest"}, {"kind": "sound"}, {"leases": 0}, {"leases": 99},
                        {"leases": 1.5}, {"stream": "../etc"}, {"stream": ""}, {"stream": "x" * 32},
                        {"stream": 7}):
            with self.subTest(**options), self.assertRaises((ValueError, TypeError)):
                simcast.subscribe(**{"stream": "front", **options})


if __name__ == "__main__":
    unittest.main()
