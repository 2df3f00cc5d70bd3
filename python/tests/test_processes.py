# SPDX-License-Identifier: Apache-2.0
"""Across processes: stopped and killed peers, restarts, fork, Ctrl-C."""
import os
import signal
import threading
import time
import unittest

import numpy

import kit
import simcast

CONSUMER = """
import simcast
for frame in simcast.subscribe("front"):
    pixels = frame.pixels
    print(frame.frame_id, int(pixels.min()), int(pixels.max()), flush=True)
"""

PRODUCER = """
import sys, numpy, simcast
camera = simcast.Camera("front", width=8, height=6)
print("open", flush=True)
for line in sys.stdin:
    camera.publish(numpy.full(camera.shape, int(line), numpy.uint8))
"""


class ProcessTest(kit.RingTest):
    def test_a_stopped_consumer_does_not_block(self):
        camera = self.camera(width=640, height=480)
        child = self.child(CONSUMER)
        self.assertTrue(kit.wait_until(lambda: camera.wanted, 20))
        camera.publish(numpy.full(camera.shape, 1, numpy.uint8))
        self.assertEqual(child.stdout.readline(), "1 1 1\n")
        os.kill(child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        picture = numpy.full(camera.shape, 2, numpy.uint8)
        worst = 0.0
        for _ in range(200):
            before = time.thread_time()
            self.assertGreater(camera.publish(picture), 0)
            with camera.loan() as frame:
                frame.pixels[:] = 2
            worst = max(worst, time.thread_time() - before)
        self.assertLess(worst, 0.1)
        os.kill(child.pid, signal.SIGCONT)
        number, low, high = map(int, child.stdout.readline().split())
        self.assertEqual((low, high), (2, 2))
        if number < 401:  # it had taken a frame before it was stopped
            number, low, high = map(int, child.stdout.readline().split())
        self.assertEqual((number, low, high), (401, 2, 2))

    def test_a_killed_consumer_leaves_nothing(self):
        camera = self.camera()
        child = self.child(CONSUMER)
        self.assertTrue(kit.wait_until(lambda: camera.wanted, 20))
        camera.publish(kit.noise(camera.shape))
        child.stdout.readline()
        child.kill()
        self.assertTrue(kit.wait_until(lambda: camera.consumers == 0))
        self.assertFalse(camera.wanted)
        self.assertGreater(camera.publish(kit.noise(camera.shape)), 0)

    def test_a_killed_producer_is_replaced(self):
        subscription = self.subscribe()
        epochs = []
        for value in (3, 4, 5):
            child = self.child(PRODUCER)
            self.assertEqual(child.stdout.readline(), "open\n")
            self.assertTrue(kit.wait_until(
                lambda: not subscription.receive(0.01) and subscription.attached))
            child.stdin.write(f"{value}\n")
            child.stdin.flush()
            frame = subscription.receive(5)
            self.assertEqual(int(frame.pixels.min()), value)
            epochs.append(frame.epoch)
            child.kill()
            child.wait()
            # Its last frame stays readable although the process is gone.
            self.assertEqual(int(frame.pixels.max()), value)
            self.assertTrue(kit.wait_until(
                lambda: not subscription.receive(0.01) and not subscription.attached))
            self.assertTrue(subscription.reason)
        self.assertEqual(len(set(epochs)), 3)

    def test_ctrl_c_ends_the_waiting(self):
        camera = self.camera()
        child = self.child(CONSUMER)
        self.assertTrue(kit.wait_until(lambda: camera.wanted, 20))
        camera.publish(kit.noise(camera.shape))
        # It has taken a frame, so all is imported: while Python imports, it can lose a Ctrl-C.
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        self.assertIn("KeyboardInterrupt", child.communicate(timeout=20)[1])

    def test_a_frame_wakes_the_waiting(self):
        camera, subscription = self.pair()
        sent = []

        def publish():
            sent.append(time.monotonic())
            camera.publish(kit.noise(camera.shape))

        threading.Timer(0.12, publish).start()
        self.assertIsNotNone(subscription.receive(10))
        self.assertLess(time.monotonic() - sent[0], 0.5)

    def in_fork(self, code):
        """Runs `code` in a forked child; returns its exit status."""
        child = os.fork()
        if child == 0:
            status = 99
            try:
                status = code()
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def test_a_forked_child_is_told_and_does_no_harm(self):
        camera, subscription = self.pair()
        picture = kit.noise(camera.shape)
        camera.publish(picture)
        frame = subscription.receive(5)
        loan = camera.loan()

        def use_everything():
            nonlocal camera, subscription, frame, loan
            refusals = 0
            for use in (lambda: camera.publish(picture), lambda: camera.loan(),
                        lambda: loan.__exit__(None, None, None), lambda: subscription.receive(0)):
                try:
                    use()
                except RuntimeError as error:
                    refusals += "process" in str(error)
            frame.release()
            subscription.close()
            camera.close()
            self._cleanups.clear()
            del camera, subscription, frame, loan, use
            own = simcast.Camera("mine", 8, 6)
            return refusals if own.publish(picture) == 1 else 50

        self.assertEqual(self.in_fork(use_everything), 4)
        with loan:
            loan.pixels[:] = 7
        numpy.testing.assert_array_equal(frame.pixels, picture)
        self.assertEqual(int(subscription.receive(5).pixels.min()), 7)
        self.assertEqual(camera.publish(picture), 3)


if __name__ == "__main__":
    unittest.main()
