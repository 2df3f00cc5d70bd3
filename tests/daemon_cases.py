# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end scripts of simcastd share: cases, checks, and things to start.

A script writes its cases as functions under @case and ends with `run_cases(__doc__)`.
"""
import contextlib
import pathlib
import shutil
import subprocess
import sys
import tempfile

from case_kit import run_case, title_of
from daemon_kit import Daemon, Slot, free_port
from nats import Nats, NatsServer

NATS_PORT = free_port()
cases = []
build = None  # pathlib.Path


def case(function):
    cases.append(function)
    return function


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def equal(got, expected, what):
    check(got == expected, f"{what}: expected {expected!r}, got {got!r}")


def simcastd(*arguments, **options):
    return Daemon(build / "daemon" / "simcastd", *arguments, **options)


@contextlib.contextmanager
def streaming(*arguments, make=None, fps=30, **options):
    """simcastd and a slot that plays."""
    with simcastd(*arguments, **options) as daemon, Slot(daemon.slot_path) as slot:
        slot.play(fps, make)
        check(daemon.wait_health(lambda health: health["frames_broadcast"] > 0),
              "no frame was taken from the slot:\n" + daemon.log)
        yield daemon, slot


@contextlib.contextmanager
def on_nats(*subjects, **options):
    """The same with a nats-server, and a program on it that hears `subjects`."""
    with NatsServer(NATS_PORT) as server, \
            streaming("--bus", f"nats://127.0.0.1:{NATS_PORT}", **options) as (daemon, slot):
        check(daemon.wait_health(lambda health: health["bus"] == "connected"), "no bus")
        with Nats(NATS_PORT, *subjects) as nats:
            yield daemon, slot, nats, server


def armed(daemon):
    check(daemon.wait_health(lambda health: health["gate"] == "ARMED"), "the gate stayed closed")


def check_order(videos):
    """A gap in frame_seq stands only right before a keyframe; nothing comes twice."""
    check(videos and videos[0].keyframe, "the first frame is no keyframe")
    for before, after in zip(videos, videos[1:]):
        check(after.frame_seq > before.frame_seq, "frame_seq ran backwards")
        check(after.frame_seq == before.frame_seq + 1 or after.keyframe,
              f"gap from {before.frame_seq} to {after.frame_seq} without a keyframe")


class Stack:
    """Simulator (test pattern), encoder and simcastd in one directory; each can be restarted."""

    def __init__(self, *daemon_arguments, encoder_arguments=()):
        self.directory = tempfile.mkdtemp(prefix="simcast-e2e-")
        self.children = {}
        self.encoder_arguments = encoder_arguments
        for name in ("sim", "encoder"):
            self.start(name)
        self.daemon = simcastd(*daemon_arguments, directory=self.directory)

    def start(self, name):
        command = [build / name / f"simcast-{name}", "--ipc-dir", self.directory]
        if name == "sim":
            command += ["--pattern", "--size", "320x240", "--fps", "60"]
        if name == "encoder":
            command += self.encoder_arguments
        self.children[name] = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def kill(self, name):
        self.children[name].kill()
        self.children[name].wait()

    def restart_daemon(self):
        self.daemon.process.kill()
        self.daemon.wait()
        self.daemon = simcastd(directory=self.directory)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.daemon.__exit__()
        for name in self.children:
            self.kill(name)
        shutil.rmtree(self.directory, ignore_errors=True)


def run_cases(usage):
    """SCRIPT BUILDDIR [WORD]...: the cases whose names hold one of the words, or all."""
    global build
    if len(sys.argv) < 2:
        sys.exit(usage)
    build = pathlib.Path(sys.argv[1]).resolve()
    if not (build / "daemon" / "simcastd").exists():
        sys.exit(f"{build}/daemon/simcastd is missing: build it first")
    words = sys.argv[2:]
    chosen = [one for one in cases if not words or any(word in one.__name__ for word in words)]
    sys.exit(0 if all([run_case(title_of(one), one) for one in chosen]) else 1)
