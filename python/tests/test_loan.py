# SPDX-License-Identifier: Apache-2.0
"""Camera.loan: the array is the slot itself, and no array can write into a published slot."""
import gc
import hashlib
import unittest

import numpy

import kit


class LoanTest(kit.RingTest):
    def setUp(self):
        super().setUp()
        self.cam, self.sub = self.pair()
        self.picture = kit.noise(self.cam.shape)

    def assert_works(self):
        with self.cam.loan() as frame:
            frame.pixels[:] = self.picture
        numpy.testing.assert_array_equal(self.sub.receive(5).pixels, self.picture)

    def test_leaving_the_block_publishes(self):
        with self.cam.loan(sim_time=2.5, metadata=b"one") as frame:
            frame.pixels[:] = self.picture
            frame.metadata = {"two": 2}
        frame = self.sub.receive(5)
        numpy.testing.assert_array_equal(frame.pixels, self.picture)
        self.assertEqual((frame.sim_time, frame.metadata_json()), (2.5, {"two": 2}))

    def test_pixels_are_the_slot_itself(self):
        """Zero copies: both sides' arrays lie in their mappings of the ring's memory."""
        with self.cam.loan() as frame:
            written = kit.address(frame.pixels)
            self.assertTrue(frame.pixels.flags.writeable)
        frame = self.sub.receive(5)
        read = kit.address(frame.pixels)
        rings = kit.mappings("memfd:simcast-ring")
        writable = [ring for ring in rings if "w" in ring[2]]
        constant = [ring for ring in rings if "w" not in ring[2]]
        self.assertTrue(any(first <= written < last for first, last, _ in writable))
        self.assertTrue(any(first <= read < last for first, last, _ in constant))
        self.assertEqual(written - writable[0][0], read - constant[0][0])
        self.assertFalse(frame.pixels.flags.writeable)
        with self.assertRaises(ValueError):
            frame.pixels.flags.writeable = True

    def test_an_exception_abandons(self):
        with self.assertRaises(ZeroDivisionError):
            with self.cam.loan() as frame:
                frame.pixels[:] = 1
                1 / 0
        self.assertIsNone(self.sub.receive(0.05))
        self.assert_works()

    def test_abandon_publishes_nothing(self):
        with self.cam.loan() as frame:
            frame.abandon()
        self.assertIsNone(self.sub.receive(0.05))
        self.assert_works()

    def test_an_array_that_stays_is_never_published(self):
        kept = None
        with self.assertRaisesRegex(BufferError, "not published"):
            with self.cam.loan() as frame:
                kept = frame.pixels[2:, :, 1]
        kept[:] = 9  # harmless: nobody sees it
        self.assertIsNone(self.sub.receive(0.05))
        for begin in (self.cam.loan, lambda: self.cam.publish(self.picture)):
            with self.assertRaisesRegex(BufferError, "still out"):
                begin()
        del kept
        self.assert_works()

    def test_an_array_that_stays_after_an_exception_holds_the_loan(self):
        kept = None
        with self.assertRaises(ZeroDivisionError):
            with self.cam.loan() as frame:
                kept = frame.pixels
                1 / 0
        with self.assertRaisesRegex(BufferError, "still out"):
            self.cam.loan()
        kept[:] = 1
        del kept
        self.assert_works()

    def test_after_the_block_there_are_no_pixels(self):
        with self.cam.loan() as frame:
            pass
        with self.assertRaisesRegex(BufferError, "published or abandoned"):
            _ = frame.pixels
        with self.assertRaises(ValueError):
            with frame:
                pass

    def test_one_loan_at_a_time(self):
        with self.cam.loan() as frame:
            with self.assertRaisesRegex(BufferError, "still out"):
                self.cam.loan()
            with self.assertRaisesRegex(BufferError, "still out"):
                self.cam.publish(self.picture)
            frame.pixels[:] = self.picture
        numpy.testing.assert_array_equal(self.sub.receive(5).pixels, self.picture)

    def test_a_forgotten_loan_goes_back(self):
        loan = self.cam.loan()
        loan.pixels[:] = 3
        del loan
        gc.collect()
        self.assert_works()

    def test_closing_during_a_loan_keeps_its_memory(self):
        loan = self.cam.loan()
        pixels = loan.pixels
        self.cam.close()
        del loan
        pixels[:] = 5
        self.assertEqual(int(pixels.sum()), 5 * pixels.size)
        del pixels
        self.assertTrue(kit.wait_until(lambda: not any(
            "w" in ring[2] for ring in kit.mappings("memfd:simcast-ring"))))

    def test_bad_remarks_abandon(self):
        for name, value, error in (("sim_time", float("nan"), ValueError),
                                   ("sim_time", "soon", TypeError),
                                   ("metadata", bytes(1025), ValueError),
                                   ("metadata", {1, 2}, TypeError),
                                   ("frame_id", -2, ValueError)):
            with self.subTest(name, value=str(value)[:20]):
                with self.assertRaises(error):
                    with self.cam.loan() as frame:
                        setattr(frame, name, value)
                self.assertIsNone(self.sub.receive(0.01))
        self.assert_works()

    def test_bottom_up_is_said_not_done(self):
        with self.cam.loan(bottom_up=True) as frame:
            frame.pixels[:] = self.picture[::-1]
        frame = self.sub.receive(5)
        self.assertTrue(frame.bottom_up)
        numpy.testing.assert_array_equal(frame.pixels, self.picture)

    def test_buffer_requests_that_cannot_be_met(self):
        """hashlib asks for one run of bytes: a slot of rgb24 is one, a view of rgbx is not."""
        rgba = kit.noise((6, 8, 4))
        self.cam.publish(rgba[..., :3])
        frame = self.sub.receive(5)
        with self.assertRaisesRegex(BufferError, "strides"):
            hashlib.sha256(frame._view)
        with self.cam.loan() as loan:
            self.assertEqual(len(hashlib.sha256(loan._loan).digest()), 32)
        with memoryview(frame._view) as view:
            self.assertEqual(view.tobytes(), rgba[..., :3].tobytes())

    def test_memoryviews_do_without_numpy(self):
        with self.cam.loan() as frame:
            with memoryview(frame._loan) as view:
                self.assertEqual((view.shape, view.readonly), (self.cam.shape, False))
                view[1, 2, 0] = 200
        frame = self.sub.receive(5)
        with memoryview(frame._view) as view:
            self.assertEqual((view[1, 2, 0], view.readonly, view.format), (200, True, "B"))


if __name__ == "__main__":
    unittest.main()
