#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""simcast-encoder between real simulators and real viewers.

  tests/e2e_encoder.py BUILDDIR [WORD]...
"""
import ctypes
import os
import pathlib
import signal
import socket
import struct
import subprocess
import time

import daemon_cases
from daemon_cases import case, check, equal, run_cases
from daemon_kit import wait_until
from program_kit import Yard, clean_environment

IDLE_SECONDS = 5
IDLE_SHARE = 0.01  # of a core
FIRST_PACKET_SECONDS = 0.4  # four times what `./run bench encode` asks for: this machine is busy


def jpeg_size(data):
    """(width, height) from a JPEG's frame header."""
    check(data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9", "no whole JPEG")
    at = 2
    while data[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    height, width = struct.unpack_from(">HH", data, at + 5)
    return width, height


class Cameras(Yard):
    """Simulators, encoders and viewers; what each program says is in its log."""

    def start(self, program, *arguments, **environment):
        path = self.directory / f"{program}-{len(self.children)}.log"
        with open(path, "w", encoding="utf-8") as log:
            child = self.launch(
                [daemon_cases.build / program.removeprefix("simcast-") / program,
                 "--ipc-dir", self.directory, *arguments],
                stdout=log, stderr=subprocess.STDOUT, env=clean_environment(**environment))
        child.log = path
        return child

    def camera(self, name="front", *arguments):
        return self.start("simcast-sim", "--pattern", "--stream", name, "--size", "320x240",
                          "--bus", f"ipc://{self.directory}/bus-{name}", *arguments)

    def encoder(self, *arguments, **environment):
        return self.start("simcast-encoder", *arguments, **environment)

    def rings(self):
        """Names of the rings of packets."""
        return sorted(path.stem for path in self.directory.glob("*.packets"))

    def tool(self, *arguments):
        return subprocess.run([daemon_cases.build / "cli" / "simcast", "ring", *map(str, arguments),
                               "--ipc-dir", self.directory],
                              capture_output=True, text=True, timeout=20, check=False)

    def watch(self, ring):
        """The next packet of that ring, as its one viewer gets it."""
        file = self.directory / f"picture.{'jpg' if 'jpeg' in ring else 'h264'}"
        run = self.tool("snapshot", f"{ring}.packets", file)
        equal(run.returncode, 0, f"snapshot of {ring}: {run.stderr}")
        return file.read_bytes()

    def await_rings(self, *names, seconds=10):
        check(wait_until(lambda: all((self.directory / f"{name}.packets").exists()
                                     for name in names), seconds), f"no {names} within {seconds} s")


def processor_seconds(child):
    fields = pathlib.Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ends(child, code, *words):
    """That it ends by itself with this exit code, and says why."""
    equal(child.wait(10), code, child.args[0].name)
    text = child.log.read_text()
    for word in words:
        check(word in text, f"no \"{word}\" in: {text}")


@case
def a_camera_is_there_in_every_rendition():
    with Cameras() as yard:
        yard.camera()
        yard.encoder("--rendition", "preview=jpeg,160x160,quality=50,fps=10",
                     "--rendition", "tiny-jpeg=jpeg,64x48")
        yard.await_rings("front", "front+jpeg", "front+h264", "front+preview", "front+tiny-jpeg")
        for ring in ("front", "front+h264"):
            check(yard.watch(ring).startswith(b"\0\0\0\1"), f"{ring} is no Annex-B")
        equal(jpeg_size(yard.watch("front+jpeg")), (320, 240), "front+jpeg")
        equal(jpeg_size(yard.watch("front+tiny-jpeg")), (64, 48), "front+tiny-jpeg")


@case
def environments_come_as_a_grid():
    with Cameras() as yard:
        yard.camera("front", "--envs", "4")
        yard.encoder("--rendition", "small-jpeg=jpeg,320x320")
        yard.await_rings("front+jpeg", "front+small-jpeg")
        equal(jpeg_size(yard.watch("front+jpeg")), (640, 480), "front+jpeg")
        equal(jpeg_size(yard.watch("front+small-jpeg")), (320, 240), "front+small-jpeg")


@case
def cameras_appear_and_vanish():
    with Cameras() as yard:
        first = yard.camera("first")
        encoder = yard.encoder("--all-streams")
        yard.await_rings("first+jpeg")
        equal(jpeg_size(yard.watch("first+jpeg")), (320, 240), "first+jpeg")
        second = yard.camera("second")
        yard.await_rings("second+jpeg")
        first.send_signal(signal.SIGSTOP)  # hangs: its viewers wait, others do not
        equal(jpeg_size(yard.watch("second+jpeg")), (320, 240), "second beside a hanging one")
        first.kill()
        first.wait()
        equal(jpeg_size(yard.watch("second+jpeg")), (320, 240), "second beside a dead one")
        yard.camera("first")
        equal(jpeg_size(yard.watch("first+jpeg")), (320, 240), "first after its restart")
        second.terminate()
        check(wait_until(lambda: not (yard.directory / "second.packets").exists(), 15),
              "the rings of a camera that is gone stayed")
        equal(encoder.poll(), None, "the encoder's exit code")
        encoder.terminate()
        equal(encoder.wait(5), 0, "the encoder's exit code")
        equal(yard.rings(), [], "left behind")


@case
def several_named_cameras_are_served():
    with Cameras() as yard:
        yard.camera("left")
        yard.camera("right")
        yard.encoder(SIMCAST_STREAM="left,right", SIMCAST_RENDITIONS="jpeg=none h264=none")
        yard.await_rings("left", "right")
        for name in ("left", "right"):
            check(yard.watch(name).startswith(b"\0\0\0\1"), f"{name} is no Annex-B")
        equal(yard.rings(), ["left", "right"], "rings")


@case
def nobody_watching_costs_next_to_nothing():
    with Cameras() as yard:
        yard.camera("front", "--fps", "60")
        encoder = yard.encoder("--all-streams")
        yard.await_rings("front+h264")
        yard.watch("front+jpeg")
        before = processor_seconds(encoder)
        began = time.monotonic()
        time.sleep(IDLE_SECONDS)  # what it uses in a while is what is asked
        share = (processor_seconds(encoder) - before) / (time.monotonic() - began)
        print(f"# {100 * share:.1f}% of a core")
        check(share <= IDLE_SHARE, f"{100 * share:.1f}% of a core while nobody watches")


@case
def the_first_viewer_does_not_wait():
    with Cameras() as yard:
        yard.camera("front", "--fps", "30")
        encoder = yard.encoder()
        yard.await_rings("front+h264")
        check(wait_until(lambda: "the simulator is here" in encoder.log.read_text(), 10),
              "the encoder never met the simulator")
        for ring in ("front", "front+jpeg", "front+h264"):
            began = time.monotonic()
            yard.watch(ring)
            took = time.monotonic() - began
            print(f"# {ring}: {1000 * took:.0f} ms, with the viewer's own start")
            check(took <= FIRST_PACKET_SECONDS,
                  f"{1000 * took:.0f} ms to the first packet of {ring}")


def driver_is_here():
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


@case
def without_a_gpu_one_line_says_so_and_hevc_is_h264():
    if driver_is_here():
        print("skip without a GPU one line says so: there is an NVIDIA driver")
        return
    with Cameras() as yard:
        yard.camera("front")
        encoder = yard.encoder("--codec", "hevc", "--rendition", "best=hevc,160x160")
        yard.await_rings("front+best")
        for ring in ("front", "front+h264", "front+best"):
            yard.watch(ring)
        said = encoder.log.read_text().splitlines()
        equal(len([line for line in said if "NVIDIA" in line]), 1, said)
        for ring in ("front", "front+best"):
            equal(len([line for line in said if f" {ring}: hevc was asked for" in line]), 1, said)
            check(any(line.endswith("as h264 with libx264") and f" {ring}: " in line
                      for line in said), f"{ring} is not H.264: {said}")
        equal(len([line for line in said if " front+h264: hevc" in line]), 0, said)


@case
def what_cannot_be_served_is_said_with_a_remedy():
    with Cameras() as yard:
        waiting = yard.encoder()
        yard.await_rings("front+h264")
        check(wait_until(lambda: "front: waiting for the simulator: no producer listens at"
                         in waiting.log.read_text(), 10), "nobody was told of the wait")
        ends(yard.encoder(), 1, "another simcast-encoder serves it")
        ends(yard.encoder("--rendition", "x=gif"), 78, "\"gif\" is none of h264, hevc, jpeg")
        ends(yard.encoder("--stream", "a+b"), 78, "--stream a+b is not valid")
        ends(yard.encoder("--stream", "name-of-twenty-letters-x", "--rendition",
                          "twelve-chars=jpeg"), 78, "too long together")


@case
def killed_it_starts_again():
    with Cameras() as yard:
        yard.camera()
        first = yard.encoder()
        yard.await_rings("front+h264")
        yard.watch("front+jpeg")
        first.kill()
        first.wait()
        yard.encoder()
        equal(jpeg_size(yard.watch("front+jpeg")), (320, 240), "after kill -9")


@case
def systemd_is_told_what_it_does():
    with Cameras() as yard, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notes:
        path = yard.directory / "notify"
        notes.bind(str(path))
        notes.settimeout(10)
        yard.camera()
        encoder = yard.encoder("--log-level", "debug", NOTIFY_SOCKET=str(path),
                               WATCHDOG_USEC="600000")
        said = []
        while sum("WATCHDOG=1" in note for note in said) < 3:
            said.append(notes.recv(4096).decode())
        check("READY=1" in said[0], f"first: {said[0]}")
        while not any("STATUS=front: idle" in note for note in said):
            said.append(notes.recv(4096).decode())
        encoder.terminate()
        while "STOPPING=1" not in said[-1]:
            said.append(notes.recv(4096).decode())


run_cases(__doc__)
