# SPDX-License-Identifier: Apache-2.0
"""End to end: a Python camera, the real encoder, a Python subscriber of packets."""
import os
import pathlib
import struct
import subprocess
import unittest

import numpy

import kit


def jpeg_size(data):
    """(width, height) from a JPEG's frame header."""
    if data[:2] != b"\xff\xd8" or data[-2:] != b"\xff\xd9":
        raise ValueError("no JPEG")
    at = 2
    while True:
        marker, length = struct.unpack_from(">HH", data, at)
        if marker in (0xFFC0, 0xFFC1, 0xFFC2):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + length


class EncoderTest(kit.RingTest):
    def encoder(self, *options):
        program = pathlib.Path(os.environ.get("SIMCAST_BUILD", "build"), "encoder",
                               "simcast-encoder")
        if not program.exists():
            self.skipTest(f"{program} is not built")
        process = subprocess.Popen([program, "--ipc-dir", self.dir, "--log-level", "error",
                                    *options], stderr=subprocess.PIPE)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        return process

    def drive(self, camera, packets, image, check, tries=200):
        """Publishes while wanted; checks the first packet that comes."""
        for _ in range(tries):
            if camera.wanted:
                camera.publish(image, sim_time=3.5, frame_id=42)
            packet = packets.receive(0.05)
            if packet is not None:
                return check(packet)
        return self.fail(f"no packet came: {packets.reason}")

    def test_frames_become_jpeg_packets(self):
        camera = self.camera(width=320, height=240)
        self.encoder("--codec", "jpeg")
        self.assertTrue(kit.wait_until(lambda: camera.consumers == 1))
        self.assertFalse(camera.wanted)  # nobody wants packets yet
        picture = numpy.zeros(camera.shape, numpy.uint8)
        picture[:120] = (250, 10, 10)
        rgba = numpy.concatenate([picture, picture[..., :1]], axis=-1)
        packets = self.subscribe(kind="packets")

        def check(packet):
            self.assertEqual((packet.codec, packet.keyframe), ("jpeg", True))
            self.assertEqual((packet.frame_id, packet.sim_time), (42, 3.5))
            self.assertEqual((packet.width, packet.height), (320, 240))
            self.assertTrue(packet.payload.readonly)
            self.assertEqual(jpeg_size(bytes(packet.payload)), (320, 240))
            self.assertEqual(list(packet.stamps_ns.values()),
                             sorted(packet.stamps_ns.values()))
            self.assertEqual(len(packet.stamps_ns), 5)
            return packet.frame_seq

        first = self.drive(camera, packets, picture, check)
        second = self.drive(camera, packets, rgba[..., :3], check)
        third = self.drive(camera, packets, picture[::-1], check)
        self.assertLess(first, second)
        self.assertLess(second, third)
        packets.close()
        self.assertTrue(kit.wait_until(lambda: not camera.wanted))

    def test_a_killed_encoder_is_replaced(self):
        camera = self.camera(width=64, height=48)
        packets = self.subscribe(kind="packets")
        seqs = []
        for _ in range(2):
            encoder = self.encoder("--codec", "h264", "--codec-backend", "x264")
            seqs.append(self.drive(
                camera, packets, kit.noise(camera.shape),
                lambda packet: packet.keyframe and packet.codec == "h264" and packet.frame_seq))
            encoder.kill()
            encoder.wait()
            self.assertTrue(kit.wait_until(lambda: not camera.wanted))
        self.assertTrue(all(seqs))
        self.assertLess(seqs[0], seqs[1])


if __name__ == "__main__":
    unittest.main()
