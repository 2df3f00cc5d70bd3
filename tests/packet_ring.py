# SPDX-License-Identifier: Apache-2.0
"""An encoder's side of a packet ring, on libsimcast itself: publishes what a test wants published,
and tells what simcastd asks for."""
import ctypes
import os
import struct
import threading
import time
import zlib

from ws import JPEG

KEYFRAME = 1
PACKETS = 1
PAYLOAD_OFFSET = 64


class Config(ctypes.Structure):
    _fields_ = [("dir", ctypes.c_char_p), ("stream", ctypes.c_char_p), ("kind", ctypes.c_int),
                ("payload_bytes_max", ctypes.c_size_t), ("leases_max", ctypes.c_uint),
                ("lease_ns_max", ctypes.c_int64), ("history", ctypes.c_uint),
                ("memory", ctypes.c_int), ("cuda_device", ctypes.c_int),
                ("pin_for_cuda", ctypes.c_bool), ("reserve", ctypes.c_byte * 256)]


class Loan(ctypes.Structure):
    _fields_ = [("payload", ctypes.c_void_p), ("payload_bytes_max", ctypes.c_size_t),
                ("user", ctypes.c_void_p), ("slot", ctypes.c_uint32), ("memory", ctypes.c_int),
                ("reserve", ctypes.c_byte * 256)]


class Frame(ctypes.Structure):
    _fields_ = [("seq", ctypes.c_uint64), ("frame_id", ctypes.c_uint64),
                ("payload_bytes", ctypes.c_uint64), ("flags", ctypes.c_uint32),
                ("fourcc", ctypes.c_uint32), ("width", ctypes.c_uint32),
                ("height", ctypes.c_uint32), ("stride_bytes", ctypes.c_uint32),
                ("codec", ctypes.c_uint32), ("matrix", ctypes.c_uint32),
                ("range", ctypes.c_uint32), ("user_bytes", ctypes.c_uint32),
                ("reserved", ctypes.c_uint32), ("sim_time_ns", ctypes.c_int64),
                ("stamp_ns", ctypes.c_int64 * 5)]


class Demand(ctypes.Structure):
    _fields_ = [("consumers", ctypes.c_uint32), ("wanting", ctypes.c_uint32),
                ("keyframe_requests", ctypes.c_uint32), ("settings_changes", ctypes.c_uint32),
                ("settings", ctypes.c_byte * 40)]


def websocket_header(size):
    """Of an unmasked binary message of `size` bytes."""
    if size < 126:
        return struct.pack(">BB", 0x82, size)
    if size < 65536:
        return struct.pack(">BBH", 0x82, 126, size)
    return struct.pack(">BBQ", 0x82, 127, size)


class PacketRing:
    """One ring NAME.packets. `play` publishes from a thread while somebody wants it."""

    def __init__(self, build, directory, name, *, codec=JPEG, size=(64, 48), bytes_max=1 << 20):
        self.library = ctypes.CDLL(str(build / "shm" / "libsimcast.so"), use_errno=True)
        self.library.ring_publish.restype = ctypes.c_int64
        self.name = name
        self.codec = codec
        self.size = size
        self.frame_seq = 5000
        self.ring = ctypes.c_void_p()
        self.thread = None
        self.stopping = threading.Event()
        config = Config(dir=str(directory).encode(), stream=name.encode(), kind=PACKETS,
                        payload_bytes_max=bytes_max, history=4)
        error = self.library.ring_producer_open(ctypes.byref(config), ctypes.byref(self.ring))
        if error < 0:
            raise OSError(-error, os.strerror(-error), name)

    def demand(self):
        demand = Demand()
        self.library.ring_producer_demand(self.ring, ctypes.byref(demand))
        return demand

    @property
    def wanted(self):
        return self.demand().wanting > 0

    def publish(self, payload=None, *, keyframe=None, metadata=b""):
        """One packet; returns its frame_seq."""
        if keyframe is None:
            keyframe = self.codec == JPEG
        if payload is None:
            payload = struct.pack("<Q", self.frame_seq) * 64
        self.frame_seq += 1
        header = struct.pack("<QQIHHII", self.frame_seq, self.frame_seq, len(payload),
                             int(keyframe), self.codec, zlib.crc32(payload), 0)
        message = b"\1" + header + payload
        packet = (websocket_header(len(message)) + message).rjust(PAYLOAD_OFFSET + len(payload),
                                                                  b"\0")
        loan = Loan()
        error = self.library.ring_loan(self.ring, ctypes.byref(loan))
        if error < 0:
            raise OSError(-error, os.strerror(-error))
        ctypes.memmove(loan.payload, packet, len(packet))
        if metadata:
            ctypes.memmove(loan.user, metadata, len(metadata))
        now = time.monotonic_ns()
        frame = Frame(frame_id=self.frame_seq, payload_bytes=len(packet),
                      flags=KEYFRAME if keyframe else 0, width=self.size[0], height=self.size[1],
                      codec=self.codec, user_bytes=len(metadata), sim_time_ns=self.frame_seq * 1000,
                      stamp_ns=(ctypes.c_int64 * 5)(*[now] * 5))
        if self.library.ring_publish(self.ring, ctypes.byref(loan), ctypes.byref(frame)) < 0:
            raise RuntimeError("ring_publish failed")
        return self.frame_seq

    def play(self, fps=30, make=None, *, always=False):
        """`make(n, keyframe)` gives publish's arguments; keyframes come first and on request."""
        self.thread = threading.Thread(target=self._play, args=(fps, make, always), daemon=True)
        self.thread.start()
        return self

    def _play(self, fps, make, always):
        number = 0
        asked = None
        while not self.stopping.wait(1 / fps):
            demand = self.demand()
            if not always and demand.wanting == 0:
                continue
            keyframe = self.codec == JPEG or demand.keyframe_requests != asked
            asked = demand.keyframe_requests
            self.publish(**{"keyframe": keyframe, **(make(number) if make else {})})
            number += 1

    def close(self):
        self.stopping.set()
        if self.thread:
            self.thread.join()
            self.thread = None
        if self.ring:
            self.library.ring_producer_close(self.ring)
            self.ring = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
