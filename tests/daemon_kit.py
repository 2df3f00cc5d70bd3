# SPDX-License-Identifier: Apache-2.0
"""simcastd as a child process, and a simulator's legacy frame slot to feed it."""
import collections
import json
import mmap
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zlib

from program_kit import clean_environment
from ws import H264, JPEG, WebSocket


def wait_until(condition, seconds=5):
    """Asks every 5 ms; returns the first true answer, or the last one."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return answer


handed_out = collections.deque(maxlen=20)  # ports that are perhaps not in use yet


def free_port():
    """A port from 43200 to 43299 that nobody uses now; another run may be going on beside us."""
    ports = [port for port in range(43200, 43300) if port not in handed_out]
    random.shuffle(ports)
    for port in ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                handed_out.append(port)
                return port
            except OSError:
                continue
    raise RuntimeError("no free port from 43200 to 43299")


class Slot:
    """Writes frames as the existing Python simulators do: payload first, sequence last."""

    def __init__(self, path, size=4 << 20):
        self.path = pathlib.Path(path)
        self.size = size
        self.sequence = 0
        self.frame_seq = 1000
        self.writing = threading.Lock()
        self.thread = None
        self.stopping = threading.Event()
        with open(self.path, "wb") as file:
            file.truncate(size)
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), size)

    def write(self, payload=None, *, codec=JPEG, keyframe=None, crc=True, gap=0):
        """Writes one frame; returns its frame_seq."""
        with self.writing:
            self.sequence += 1
            self.frame_seq += 1 + gap
            if payload is None:
                payload = struct.pack("<Q", self.frame_seq) * 64
            flags = 1 if (codec == JPEG if keyframe is None else keyframe) else 0
            header = struct.pack("<QQIHHII", self.frame_seq + 7, self.frame_seq, len(payload),
                                 flags, codec, zlib.crc32(payload) if crc else 0, 0)
            self.memory[8:16] = struct.pack("<Q", 32 + len(payload))
            self.memory[16:48] = header
            self.memory[48:48 + len(payload)] = payload
            self.memory[0:8] = struct.pack("<Q", self.sequence)
            return self.frame_seq

    def play(self, fps=30, make=None):
        """Writes frames from a thread until `pause`; `make(n)` gives write's arguments."""
        self.stopping.clear()
        self.thread = threading.Thread(target=self._play, args=(fps, make), daemon=True)
        self.thread.start()
        return self

    def _play(self, fps, make):
        number = 0
        due = time.monotonic()
        while not self.stopping.is_set():
            self.write(**(make(number) if make else {}))
            number += 1
            due += 1 / fps
            self.stopping.wait(max(due - time.monotonic(), 0))

    def pause(self):
        if self.thread:
            self.stopping.set()
            self.thread.join()
            self.thread = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pause()


def h264_like(period):
    """For Slot.play: every `period`th frame is a keyframe. The bytes are no real H.264."""
    return lambda number: {"codec": H264, "keyframe": number % period == 0}


class Daemon:
    """A running simcastd with a directory of its own. `port` 0 lets the system choose."""

    def __init__(self, program, *arguments, environment=None, port=0, wait=True, directory=None):
        self.own_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="simcast-e2e-"))
        self.slot_path = self.directory / "frames"
        command = [str(program), "--ipc-dir", str(self.directory), "--legacy-path",
                   str(self.slot_path), "--listen", f"127.0.0.1:{port}", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True,
                                        env=clean_environment(**(environment or {})))
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.port = port
        if wait:
            self.port = self._await_port()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def _await_port(self):
        def serving():
            return [line for line in self.lines if "serving http" in line]
        if not wait_until(serving, 10):
            raise RuntimeError("simcastd did not start:\n" + self.log)
        return int(serving()[0].split("://")[1].split("/")[0].rpartition(":")[2])

    @property
    def log(self):
        return "\n".join(self.lines)

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    def connect(self, **options):
        return WebSocket(self.address, **options)

    def get(self, path, *, method="GET", headers=None):
        """(status, headers, body)"""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.headers, answer.read()

    def health(self):
        return json.loads(self.get("/health")[2])

    def wait_health(self, condition, seconds=5):
        """Waits until condition(health) holds; returns whether it did."""
        return wait_until(lambda: condition(self.health()), seconds)

    def memory_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS")

    def stop(self, number=signal.SIGTERM, seconds=5):
        """Returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(seconds)

    def wait(self, seconds=5):
        code = self.process.wait(seconds)
        self.reader.join(1)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        if self.own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)
