#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""H.264 as a Python program does it: yardstick_pyav.py FILE WIDTH HEIGHT FPS WARM_UP NUMBER...

FILE holds RGB24 pictures, bottom row first; the numbers say which one to show when. Prints for
each picture after the first WARM_UP ones how many nanoseconds it took from the mapped pixels to
the access unit's bytes, one per line. The pictures stay upside down: turning them would cost
more.
"""
import mmap
import sys
import time

import av
import numpy


def main():
    path, *numbers = sys.argv[1:]
    width, height, fps, warm_up, *order = map(int, numbers)
    with open(path, "rb") as file:
        pixels = numpy.frombuffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ), numpy.uint8)
    pictures = pixels.reshape(-1, height, width, 3)
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.framerate = width, height, fps
    codec.pix_fmt = "yuv420p"
    codec.bit_rate = 4_000_000
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "1000000",
                     "maxrate": "4000000", "bufsize": "266000"}
    due = time.monotonic()
    for count, number in enumerate(order):
        due += 1 / fps
        time.sleep(max(0, due - time.monotonic()))
        began = time.monotonic_ns()
        frame = av.VideoFrame.from_ndarray(pictures[number], format="rgb24")
        unit = b"".join(bytes(packet) for packet in codec.encode(frame))
        took = time.monotonic_ns() - began
        if not unit:
            sys.exit("libx264 held a picture back")
        if count >= warm_up:
            print(took)


if __name__ == "__main__":
    main()
