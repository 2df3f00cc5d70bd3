#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps README.md true: e2e_readme.py BUILD_DIR.

Every command of its shell blocks and its table of commands must be known here, and those that can
run unattended are run as they are written. A link to a file of ours must have its file.
"""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

from case_kit import Skip, run_case

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
DEMO_PORT = 8080

# Run elsewhere: by continuous integration itself, by suite "install", or by whoever installs.
RUN_ELSEWHERE = {
    "./run",
    "./run build",
    "./run test",
    "./run check",
    "./run bench",
    "./run prove",
    "./run chaos",
    "meson setup build --prefix=/usr --buildtype=release && meson install -C build",
    "systemd-sysusers && systemd-tmpfiles --create",
    "systemctl enable --now simcast.target",
}


def demo_port_is_free():
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", DEMO_PORT)) != 0


def run_demo(command):
    """As a person would: start, look at the page, Ctrl-C."""
    if not demo_port_is_free():
        raise Skip(f"port {DEMO_PORT} is in use")
    demo = subprocess.Popen(command.split(), cwd=ROOT, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://localhost:{DEMO_PORT}/", timeout=2) as page:
                    assert "simcast" in page.read().decode()
                    break
            except OSError:
                assert demo.poll() is None, f"ended by itself: {demo.stdout.read()[-500:]}"
                assert time.monotonic() < deadline, "no page within 120 s"
                time.sleep(0.1)
        os.killpg(demo.pid, signal.SIGINT)
        said, _ = demo.communicate(timeout=20)
        assert demo.returncode == 0, f"exit code {demo.returncode}: {said[-500:]}"
        assert f"http://localhost:{DEMO_PORT}" in said, "does not say where to look"
    finally:
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGKILL)


def run_to_json(command, keys, seconds):
    if "demo" in command and not demo_port_is_free():
        raise Skip(f"port {DEMO_PORT} is in use")
    done = subprocess.run(command.split(), cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds,
                          check=False)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-500:]}"
    answer = json.loads(done.stdout.splitlines()[-1])
    missing = [key for key in keys if key not in answer]
    assert not missing, f"the JSON line lacks {missing}"
    return answer


def run_measured_demo(command):
    answer = run_to_json(command, ["fps", "torn_frames", "latency_ms", "stages_ms"], 180)
    assert answer["torn_frames"] == 0 and answer["fps"] > 10, answer


RUN_HERE = {
    "./run demo": run_demo,
    "./run demo --seconds 15 --json": run_measured_demo,
}


def commands():
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL):
        yield from (line.split("#")[0].strip() for line in block.splitlines() if line.strip())
    yield from re.findall(r"^\| `(\./run[^`]*)`", TEXT, re.MULTILINE)


def check_links():
    targets = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert len(targets) > 10, "found hardly any link"
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert not missing, f"no such file: {', '.join(missing)}"


def check_mentioned_demos_exist():
    usage = subprocess.run([BUILD / "cli" / "simcast", "demo", "--help"], text=True, check=True,
                           stdout=subprocess.PIPE).stdout
    options = {option for command in re.findall(r"\./run demo([^`\n]*)", TEXT)
               for option in re.findall(r"--[a-z-]+", command)} - {"--help"}
    unknown = [option for option in sorted(options) if option not in usage]
    assert not unknown, f"simcast demo knows no {unknown}"


def refuse(command):
    raise AssertionError(f"README.md names a command that no test runs: {command}")


def main():
    good = run_case("links lead to files", check_links)
    good &= run_case("options of the demo exist", check_mentioned_demos_exist)
    for command in dict.fromkeys(commands()):
        if command in RUN_HERE:
            good &= run_case(command, RUN_HERE[command], command)
        elif command not in RUN_ELSEWHERE:
            good &= run_case(command, refuse, command)
    return 0 if good else 1


if __name__ == "__main__":
    BUILD = pathlib.Path(sys.argv[1]).resolve()
    sys.exit(main())
