# SPDX-License-Identifier: Apache-2.0
"""What the tests share: a ring directory of their own, child processes, waiting for conditions."""
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import numpy

import simcast

SEED = int(os.environ.get("SIMCAST_TEST_SEED") or random.SystemRandom().getrandbits(32))
PACKAGE = pathlib.Path(simcast.__file__).parent.parent
PYTHON_ROOT = pathlib.Path(__file__).resolve().parent.parent


def wait_until(condition, seconds=5):
    """Asks every 5 ms; returns the first true answer, or the last one."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return answer


def noise(shape, seed=SEED):
    return numpy.random.default_rng(seed).integers(0, 256, shape, dtype=numpy.uint8)


def mappings(name):
    """[(first, last address, permissions)] of this process's mappings of a memfd."""
    found = []
    with open("/proc/self/maps", encoding="utf-8") as lines:
        for line in lines:
            fields = line.split(maxsplit=5)
            if len(fields) == 6 and name in fields[5]:
                first, last = (int(text, 16) for text in fields[0].split("-"))
                found.append((first, last, fields[1]))
    return found


def address(array):
    return array.__array_interface__["data"][0]


def rss_bytes():
    with open("/proc/self/statm", encoding="utf-8") as line:
        return int(line.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


class RingTest(unittest.TestCase):
    """A test with its own ring directory, named by SIMCAST_IPC_DIR for all that it opens."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="simcast-python-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        os.environ["SIMCAST_IPC_DIR"] = self.dir
        self.addCleanup(os.environ.pop, "SIMCAST_IPC_DIR", None)

    def camera(self, stream="front", width=8, height=6, **options):
        camera = simcast.Camera(stream, width, height, **options)
        self.addCleanup(camera.close)
        return camera

    def subscribe(self, stream="front", **options):
        subscription = simcast.subscribe(stream, **options)
        self.addCleanup(subscription.close)
        return subscription

    def pair(self, **options):
        """A camera and an attached subscription that has seen nothing yet."""
        camera = self.camera(**options)
        subscription = self.subscribe()
        subscription.receive(0.01)
        self.assertTrue(wait_until(lambda: subscription.receive(0.01) is None and camera.wanted))
        return camera, subscription

    def child(self, code, *arguments, **environment):
        """A Python process that runs `code`; killed at the test's end if it still lives."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, *map(str, arguments)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(PACKAGE), **environment})
        self.addCleanup(self._end, process)
        return process

    @staticmethod
    def _end(process):
        process.kill()
        process.communicate()
