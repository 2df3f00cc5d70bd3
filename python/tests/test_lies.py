# SPDX-License-Identifier: Apache-2.0
"""A producer that lies: whatever stands in a slot's metadata, a reader neither crashes nor reads
beyond the slot."""
import ctypes
import random
import struct
import unittest

import numpy

import kit

ROUNDS = 4000
PAGE = 4096
MARK = b"the user's metadata"
BATCH_BYTES = 16  # struct frame_batch of proto/batch.h
FRAME_BYTES = 112  # struct ring_frame of shm/ring.h
FLAGS, FOURCC, WIDTH, HEIGHT, STRIDE, CODEC = range(24, 48, 4)
PAYLOAD_BYTES, USER_BYTES = 16, 56
NUMBERS = [0, 1, 2, 3, 5, 6, 7, 8, 24, 25, 32, 144, 1023, 1024, 1025, 4096, 1 << 16, (1 << 31) - 1,
           1 << 31, (1 << 32) - 1]


class LieTest(kit.RingTest):
    def publish(self, camera, frame_id):
        """Returns the addresses of the slot's struct ring_frame and of its user metadata."""
        with camera.loan(frame_id=frame_id, metadata=MARK) as loan:
            slot = kit.address(loan.pixels) - PAGE
        page = ctypes.string_at(slot, PAGE)
        frame = slot + page.index(struct.pack("<Q", frame_id)) - 8
        return frame, slot + page.index(MARK) - (BATCH_BYTES if camera.batch else 0)

    def lie(self, chance, frame, user):
        for _ in range(chance.randint(1, 4)):
            kind = chance.randrange(4)
            if kind == 0:
                offset = chance.choice([FLAGS, FOURCC, WIDTH, HEIGHT, STRIDE, CODEC, USER_BYTES])
                ctypes.c_uint32.from_address(frame + offset).value = chance.choice(NUMBERS)
            elif kind == 1:
                ctypes.c_uint64.from_address(frame + PAYLOAD_BYTES).value = chance.choice(
                    NUMBERS + [1 << 63, (1 << 64) - 1])
            elif kind == 2:
                offset = chance.randrange(8, FRAME_BYTES)
                ctypes.c_uint8.from_address(frame + offset).value = chance.randrange(256)
            else:
                ctypes.memmove(user, struct.pack("<4s3I", b"BAT1", chance.choice(NUMBERS),
                                                 chance.choice(NUMBERS), 0), 16)

    def test_no_lie_does_harm(self):
        chance = random.Random(kit.SEED)
        seen = {True: 0, False: 0}
        for options in ({}, {"batch": 3}, {"format": "nv12"}, {"format": "rgba"}):
            stream = f"s{len(seen)}{sum(seen.values())}"
            camera = self.camera(stream, **options)
            subscription = self.subscribe(stream)
            self.assertTrue(kit.wait_until(
                lambda sub=subscription: sub.receive(0.01) is None and sub.attached))
            for number in range(ROUNDS // 4):
                self.lie(chance, *self.publish(camera, (0xABCD << 40) + number))
                frame = subscription.receive(0)
                seen[frame is not None] += 1
                if frame is not None:
                    self.look_at(frame, 4 * numpy.prod(camera.shape))
            camera.close()
        self.assertGreater(min(seen.values()), 10)

    def look_at(self, frame, bytes_max):
        pixels = frame.pixels
        if pixels.size:
            int(pixels.sum(dtype=numpy.uint64))
        self.assertLessEqual(pixels.size, bytes_max)
        if frame.batch:
            self.assertEqual(pixels.shape[:2], (frame.batch, frame.height))
            self.assertGreater(frame.height, 0)
        self.assertLessEqual(len(frame.metadata), 1024)
        self.assertTrue(frame.format and frame.height >= 0 and len(frame.envs) >= 0)
        repr((frame.stamps_ns, frame.sim_time, frame.lost, frame.keyframe, frame.bottom_up))
        for number in list(frame.envs[:3]):
            frame.env(number)


if __name__ == "__main__":
    unittest.main()
