#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo from the outside: e2e_demo.py BUILD_DIR [PART OF A CASE'S NAME].

Every process of a case carries a mark in its environment and makes its directory below one of
ours, so what is left behind is found whatever its name.
"""
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

import ws
from case_kit import Skip, cases_in, command_line, run_part
from daemon_kit import free_port

PORT = free_port()
PATTERN_FPS_MIN = 25
ROBOT_FPS_MIN = 15  # half of the nominal: a software renderer beside whatever else runs here
BACK_SECONDS = 2.3  # 2 s after the restart, which comes 0.3 s after the death
PROGRAMS = ["simcastd", "simcast-encoder", "simcast-sim"]
KEYS = ["frames_rendered", "frames_encoded", "frames_delivered", "fps", "torn_frames",
        "latency_ms", "stages_ms", "codec", "resolution"]


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, \
            f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.01)


class Demo:
    """One `simcast demo`, and everything that carries its mark."""

    def __init__(self, build, *options, port=PORT):
        self.address = ("127.0.0.1", port)
        self.mark = f"SIMCAST_E2E={uuid.uuid4()}"
        self.scratch = tempfile.TemporaryDirectory(prefix="simcast-e2e-")
        name, value = self.mark.split("=")
        self.process = subprocess.Popen(
            [build / "cli" / "simcast", "demo", "--port", str(port), *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, name: value, "XDG_RUNTIME_DIR": self.scratch.name})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.scratch.cleanup()

    def pids(self):
        """Living processes with our mark, by pid, with their names."""
        found = {}
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = os.path.basename(os.readlink(folder / "exe"))
        return found

    def pid(self, program):
        pids = [pid for pid, name in self.pids().items() if name == program]
        return pids[0] if len(pids) == 1 else None

    def finish(self, seconds):
        """Waits for the end; returns (exit code, stdout, stderr)."""
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, err

    def left(self):
        return [*self.pids().values(), *os.listdir(self.scratch.name)]

    def assert_nothing_left(self, seconds=0.5):
        until(lambda: not self.left(), seconds, lambda: f"gone, but left are {self.left()}")

    def connect(self, seconds=10):
        deadline = time.monotonic() + seconds
        while True:
            try:
                return ws.WebSocket(self.address, subprotocols=["simcast.v2"])
            except (OSError, ws.Refused, ws.Closed):
                assert time.monotonic() < deadline, f"no connection within {seconds} s"
                time.sleep(0.02)


def run_measured(build, *options, fps_min, seconds=5):
    with Demo(build, "--json", "--seconds", str(seconds), *options) as demo:
        code, out, err = demo.finish(seconds + 40)
        if code != 0 and "EGL" in err:
            raise Skip("EGL does not work here: " + err.strip().splitlines()[-1])
        assert code == 0, f"exit code {code}: {err}"
        assert out.count("\n") == 1, f"more than the JSON line on stdout: {out}"
        result = json.loads(out)
        print(f"# {out.strip()}")
        assert list(result) == KEYS, f"keys {list(result)}"
        assert result["torn_frames"] == 0, result
        assert result["fps"] >= fps_min, f"{result['fps']} fps, expected {fps_min}"
        assert 0 < result["frames_delivered"] <= result["frames_encoded"], result
        assert result["frames_encoded"] <= result["frames_rendered"], result
        stages = result["stages_ms"]
        assert list(stages) == ["ring", "encode", "packet", "fanout"], stages
        assert 0 < stages["encode"] < result["latency_ms"]["p50"], result
        assert result["latency_ms"]["p50"] <= result["latency_ms"]["p99"], result
        demo.assert_nothing_left()
        return result


def case_pattern_flows(build):
    result = run_measured(build, "--pattern", fps_min=PATTERN_FPS_MIN)
    assert result["resolution"] == "640x480", result


def case_robot_flows(build):
    run_measured(build, fps_min=ROBOT_FPS_MIN)


def case_jpeg_of_another_size_flows(build):
    result = run_measured(build, "--pattern", "--codec", "jpeg", "--size", "320x240",
                          "--fps", "20", fps_min=18, seconds=3)
    assert (result["codec"], result["resolution"]) == ("jpeg", "320x240"), result
    assert result["fps"] <= 22, f"{result['fps']} fps, asked for 20"


def case_nats_carries_the_bus(build):
    with Demo(build, "--nats", "--pattern") as demo:
        with demo.connect() as viewer:
            viewer.receive(ws.Video, seconds=10)
            assert demo.pid("nats-server"), f"no nats-server among {demo.pids()}"
            viewer.send_command("set_cmd_vel", 1, linear_x=0.2)
            viewer.telemetry("telemetry.command.ack", seconds=5)
        demo.process.send_signal(signal.SIGINT)
        assert demo.finish(10)[0] == 0
        demo.assert_nothing_left()


def next_video(demo, viewer):
    """The next whole frame and the connection it came by, which may be a new one."""
    while True:
        try:
            return viewer.receive(ws.Video, seconds=5), viewer
        except ws.Closed:
            viewer.drop()
            viewer = demo.connect()


def video_is_back_after_killing(build, program):
    with Demo(build, "--pattern") as demo:
        viewer = demo.connect()
        for _ in range(10):
            viewer.receive(ws.Video, seconds=10)
        before = demo.pids()
        victim = demo.pid(program)
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        # What was on its way already does not count: wait until the new process runs.
        until(lambda: demo.pid(program) not in (None, victim), 2, f"{program} runs again")
        restarted = time.monotonic()
        frame, viewer = next_video(demo, viewer)
        while frame.received < restarted:
            frame, viewer = next_video(demo, viewer)
        back = frame.received - killed
        print(f"# {program}: video back {back:.2f} s after the kill")
        assert back < BACK_SECONDS, f"back after {back:.2f} s, expected {BACK_SECONDS} s"
        for _ in range(10):
            viewer.receive(ws.Video, seconds=1)
        others = {pid: name for pid, name in before.items() if pid != victim}
        assert others.items() <= demo.pids().items(), "another process was restarted, too"
        viewer.drop()
        demo.process.send_signal(signal.SIGINT)
        code, _, err = demo.finish(10)
        assert code == 0, f"exit code {code}: {err}"
        assert f"{program} was killed by signal 9; starting it again" in err, err
        demo.assert_nothing_left()


def case_video_is_back_after_kill_9_of_simcastd(build):
    video_is_back_after_killing(build, "simcastd")


def case_video_is_back_after_kill_9_of_the_encoder(build):
    video_is_back_after_killing(build, "simcast-encoder")


def case_video_is_back_after_kill_9_of_the_simulator(build):
    video_is_back_after_killing(build, "simcast-sim")


def case_kill_9_of_the_demo_leaves_nothing(build):
    with Demo(build, "--nats", "--pattern") as demo:
        with demo.connect() as viewer:
            viewer.receive(ws.Video, seconds=10)
        assert os.listdir(demo.scratch.name), "the demo has no directory of its own"
        demo.process.kill()
        demo.assert_nothing_left(seconds=3)


def case_nobody_watches_nothing_is_rendered(build):
    with Demo(build, "--pattern") as demo:
        lines = [demo.process.stdout.readline() for _ in range(4)]
        demo.process.send_signal(signal.SIGTERM)
        code, _, err = demo.finish(10)
        assert code == 0, f"exit code {code}: {lines} {err}"
    assert lines[0].startswith(f"simcast is at http://localhost:{PORT}"), lines
    assert "nobody watches, so nothing is rendered" in lines[-1], lines


def case_a_taken_port_is_named(build):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        with Demo(build, port=port) as demo:
            code, out, err = demo.finish(5)
            assert (code, out) == (1, ""), f"exit code {code}: {out}{err}"
            assert err.count("\n") == 1 and f"port {port} is taken" in err, err
            assert "--port" in err, err
            demo.assert_nothing_left()


def case_wrong_options_exit_78(build):
    for options in [["--fps", "0"], ["--size", "641x480"], ["--codec", "hevc"], ["--bogus"],
                    ["--seconds"], ["--log-level", "loud"], ["left over"]]:
        with Demo(build, *options) as demo:
            code, out, err = demo.finish(5)
            assert (code, out) == (78, ""), f"{options}: exit code {code}: {out}{err}"
            assert err.count("\n") == 1, f"{options}: {err}"
            demo.assert_nothing_left()


def main():
    build, part = command_line()
    return run_part(cases_in(globals()), part, build)


if __name__ == "__main__":
    sys.exit(main())
