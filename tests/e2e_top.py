#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""simcast top against the real processes: e2e_top.py BUILD_DIR [PART OF A CASE'S NAME]."""
import fcntl
import json
import os
import pathlib
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time

from case_kit import command_line, run_part
from daemon_kit import Daemon, wait_until
from program_kit import Yard

ROWS, COLUMNS = 24, 80
TOKEN = "a-viewers-token-of-some-length"


class Stack(Yard):
    """Simulator, encoder, control loop and simcastd."""

    def __init__(self, build, *daemon_options):
        super().__init__()
        self.build = build
        self.daemon_options = daemon_options
        self.daemon = None

    def __enter__(self):
        self.start("simcast-sim", "--pattern", "--fps", 30, "--size", "320x240")
        self.start("simcast-encoder", "--codec", "jpeg")
        self.start("simcast-hal")
        self.daemon = Daemon(self.build / "daemon" / "simcastd", "--video-source", "ring",
                             *self.daemon_options, directory=self.directory)
        return self

    def __exit__(self, *_):
        self.daemon.stop()
        super().__exit__()

    def start(self, name, *options):
        folder = name.removeprefix("simcast-")
        self.launch([self.build / folder / name, "--ipc-dir", self.directory, *options],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL)

    def command(self, *options):
        return [str(self.build / "cli" / "simcast"), "top", "--ipc-dir", str(self.directory),
                "--server", f"127.0.0.1:{self.daemon.port}", "--interval", "0.5", *options]

    def top(self, *options):
        """(exit code, stdout, stderr)"""
        done = subprocess.run(self.command(*options), capture_output=True, text=True, timeout=30,
                              stdin=subprocess.DEVNULL, check=False)
        return done.returncode, done.stdout, done.stderr


def json_until(stack, condition, seconds=20):
    """The first answer of `top --json` that the condition accepts; else the last."""
    answer = {}

    def accepted():
        code, out, err = stack.top("--json")
        assert code == 0, err
        answer.update(json.loads(out))
        return condition(answer)
    wait_until(accepted, seconds)
    return answer


class Terminal:
    """A program on a terminal of 80x24, and what stands on it."""

    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(command[0], command)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.written = ""

    def read(self, seconds):
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.written += os.read(self.fd, 65536).decode()
                except OSError:
                    return

    def read_until(self, text, seconds=15):
        assert wait_until(lambda: self.read(0.1) or text in self.written, seconds), self.written

    def end(self, key):
        os.write(self.fd, key)
        self.read(0.5)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


# ---- cases -----------------------------------------------------------------------------------

def it_tells_of_streams_stages_clients_and_the_control_loop(build):
    with Stack(build) as stack, stack.daemon.connect() as client:
        def flowing(answer):
            client.receive_all(0.05)
            packets = [row for row in answer["streams"] if row["name"] == "front.packets"]
            return (packets and packets[0]["fps"] > 5 and answer["robots"] and
                    answer["robots"][0]["period"]["p50_s"] and answer["list"] and
                    answer["stages"]["encode"]["p50_s"])
        answer = json_until(stack, flowing)
        assert flowing(answer), answer
        assert answer["problem"] == "" and answer["bus_connected"], answer
        names = {row["name"] for row in answer["streams"]}
        assert {"front.frames", "front.packets", "front.state", "front.actions"} <= names, names
        robot = answer["robots"][0]
        assert robot["stream"] == "front" and 50 < robot["rate_hz"] < 150, robot
        assert 0.005 < robot["period"]["p50_s"] < 0.02, robot
        assert answer["list"][0]["kind"] == "websocket", answer["list"]
        assert 0 < answer["stages"]["encode"]["p50_s"] < 0.1, answer["stages"]
        code, out, err = stack.top("--once")
        assert code == 0, err
        assert "STREAM" in out and "STAGE" in out and "front.packets" in out, out
        assert max(map(len, out.splitlines())) <= 120, out


def on_a_terminal_it_goes_on_until_q(build):
    with Stack(build) as stack:
        terminal = Terminal(stack.command())
        terminal.read_until("front.packets")
        terminal.read_until("front: ")  # the control loop told of itself
        assert terminal.end(b"q") == 0
        assert terminal.written.endswith("\033[?25h\033[?1049l"), terminal.written[-80:]
        terminal = Terminal(stack.command())
        terminal.read_until("front.packets")
        stack.daemon.stop()
        terminal.read_until("nobody listens")
        assert terminal.end(b"\x03") == 0


def without_a_server_it_says_what_to_do(build):
    with tempfile.TemporaryDirectory() as directory:
        top = [build / "cli" / "simcast", "top", "--ipc-dir", directory]
        done = subprocess.run([*top, "--server", "127.0.0.1:1", "--once"], capture_output=True,
                              text=True, timeout=20, check=False)
        assert done.returncode == 1 and "start simcastd" in done.stdout, done
        for wrong in (["--server", "here"], ["--interval", "0"], ["--token-file", "/no/such"],
                      ["--sideways"], ["now"]):
            done = subprocess.run([*top, *wrong, "--once"], capture_output=True, text=True,
                                  timeout=20, check=False)
            assert done.returncode == 78 and done.stderr, (wrong, done)


def a_token_is_shown_where_one_is_wanted(build):
    with tempfile.TemporaryDirectory() as directory:
        tokens = pathlib.Path(directory) / "tokens"
        tokens.write_text(f"# who may look\nviewer top {TOKEN}\n")
        tokens.chmod(0o600)
        with Stack(build, "--token-file", str(tokens)) as stack:
            code, out, _ = stack.top("--once")
            assert code == 0 and "wants a token" in out, out
            answer = json_until(stack, lambda answer: answer["streams"])
            assert "wants a token" in answer["problem"], answer
            code, out, err = stack.top("--json", "--token-file", str(tokens))
            assert code == 0 and json.loads(out)["problem"] == "", (out, err)
            assert TOKEN not in out + err
            tokens.write_text("viewer top another-token-of-some-length\n")
            code, out, _ = stack.top("--once", "--token-file", str(tokens))
            assert "wants another token" in out, out


CASES = [it_tells_of_streams_stages_clients_and_the_control_loop, on_a_terminal_it_goes_on_until_q,
         without_a_server_it_says_what_to_do, a_token_is_shown_where_one_is_wanted]


def main():
    build, part = command_line()
    return run_part(CASES, part, build)


if __name__ == "__main__":
    sys.exit(main())
