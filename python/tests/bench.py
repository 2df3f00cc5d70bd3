# SPDX-License-Identifier: Apache-2.0
"""What publishing costs beside a bare copy of the same picture: prints medians of one interleaved
run, and each as a ratio to the copy.

    PYTHONPATH=build/python/site /usr/bin/python3 python/tests/bench.py [WIDTH HEIGHT]
"""
import statistics
import sys
import tempfile
import time

import numpy

import simcast

ROUNDS = 100
SLOTS = 10  # as many targets as the camera has slots, so that neither side finds them in cache


def main():
    width, height = map(int, sys.argv[1:3]) if len(sys.argv) > 2 else (1920, 1080)
    image = numpy.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=numpy.uint8)
    rgba = numpy.dstack([image, image[..., 0]])
    targets = [image.copy() for _ in range(SLOTS)]
    with tempfile.TemporaryDirectory() as place:
        camera = simcast.Camera("bench", width, height, ipc_dir=place)

        def copy(number, source):
            targets[number % SLOTS][:] = source

        def loan(_, source):
            with camera.loan() as frame:
                if source is not None:
                    frame.pixels[:] = source

        def publish(_, source):
            camera.publish(source)

        cases = {
            "copy (the yardstick)": (copy, image),
            "publish(img)": (publish, image),
            "publish(img[::-1])": (publish, image[::-1]),
            "publish(rgba[..., :3])": (publish, rgba[..., :3]),
            "  numpy alone, that view of rgba": (copy, rgba[..., :3]),
            "publish(bgr[..., ::-1])": (publish, image[..., ::-1]),
            "  numpy alone, that view of bgr": (copy, image[..., ::-1]),
            "loan, pixels[:] = img": (loan, image),
            "loan, nothing drawn": (loan, None),
        }
        times = {name: [] for name in cases}
        for number in range(ROUNDS):
            for name, (work, source) in cases.items():
                begin = time.perf_counter()
                work(number, source)
                times[name].append(time.perf_counter() - begin)
        camera.close()
    yardstick = statistics.median(times["copy (the yardstick)"])
    print(f"{width} x {height}, median of {ROUNDS}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:32} {median * 1e6:9.1f} us   x {median / yardstick:.3f}")


if __name__ == "__main__":
    main()
