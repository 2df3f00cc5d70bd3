#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""simcast-encoder on a GPU, to the viewer: e2e_gpu.py BUILDDIR [WORD]...

The real processes; the GPU is the stand-in of tests/fake_cuda and tests/fake_nvenc, which
simcast-encoder finds where it would find NVIDIA's libraries.
"""
import os
import pathlib
import subprocess
import sys
import time

import daemon_cases
from daemon_cases import Stack, case, check, equal, run_cases
from daemon_kit import wait_until
from ws import H264, HEVC, Video

FAKES = ("fake_cuda", "fake_nvenc", "fake_nvjpeg")
SKIPPED = 77


class GpuStack(Stack):
    """A stack whose encoder sees a GPU; `wishes` are the stand-ins' variables."""

    def __init__(self, *encoder_arguments, **wishes):
        self.wishes = wishes
        super().__init__(encoder_arguments=encoder_arguments)

    def start(self, name):
        if name != "encoder":
            super().start(name)
            return
        tests = daemon_cases.build / "tests"
        environment = {**os.environ, **self.wishes,
                       "LD_LIBRARY_PATH": ":".join(str(tests / fake) for fake in FAKES)}
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.children[name] = subprocess.Popen(
                [daemon_cases.build / "encoder" / "simcast-encoder", "--ipc-dir", self.directory,
                 *self.encoder_arguments], stderr=log, env=environment)

    @property
    def log_path(self):
        return pathlib.Path(self.directory) / "encoder.log"

    def says(self, text):
        return wait_until(lambda: text in self.log_path.read_text(encoding="utf-8"))

    def metric(self):
        page = self.daemon.get("/metrics")[2].decode()
        name = 'simcast_stream_gpu_lost{stream="front"} '
        return [line.removeprefix(name) for line in page.splitlines() if line.startswith(name)]


@case
def a_viewer_sees_what_nvenc_makes():
    with GpuStack() as stack, stack.daemon.connect() as viewer:
        first = viewer.receive(Video)
        equal((first.codec, first.keyframe), (H264, True), "the first frame")
        seen = [frame for frame in viewer.receive_all(1) if isinstance(frame, Video)]
        check(len(seen) >= 20, f"only {len(seen)} frames in a second")
        check(stack.says("front: encoding 320x240 as h264 with h264_nvenc"), "NVENC runs")
        equal(stack.metric(), ["0"], "simcast_stream_gpu_lost")


@case
def a_viewer_sees_hevc_where_it_is_asked_for():
    with GpuStack("--codec", "hevc") as stack, stack.daemon.connect() as viewer:
        first = viewer.receive(Video)
        equal((first.codec, first.keyframe), (HEVC, True), "the first frame")
        check(stack.says("hevc_nvenc"), "NVENC runs")


@case
def a_gpu_that_fails_is_replaced_and_told_of():
    with GpuStack(FAKE_NVENC_FAIL="nvEncEncodePicture:5") as stack, \
            stack.daemon.connect() as viewer:
        began = time.monotonic()
        first = viewer.receive(Video)
        check(time.monotonic() - began < 2, "it took more than two seconds to the first frame")
        equal((first.codec, first.keyframe), (H264, True), "the first frame")
        check(stack.says("the GPU failed in h264_nvenc"), "a line in the log")
        check(stack.says("with libx264"), "libx264 took over")
        check(wait_until(lambda: stack.metric() == ["1"]), f"the metric is {stack.metric()}")
        seen = [frame for frame in viewer.receive_all(1) if isinstance(frame, Video)]
        check(len(seen) >= 20, f"only {len(seen)} frames in a second")


if __name__ == "__main__":
    built = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build")
    if not (built / "tests" / "fake_nvenc" / "libnvidia-encode.so.1").exists():
        print("skip gpu: the stand-in for NVENC was not built (libffmpeg-nvenc-dev)")
        sys.exit(SKIPPED)
    run_cases(__doc__)
