# SPDX-License-Identifier: Apache-2.0
"""A NATS client on a plain socket, and a server to talk to, for tests."""
import json
import os
import shutil
import socket
import subprocess
import time


class Nats:
    """One connection; subscribes to `subjects` at once. Messages are (subject, bytes).

    `login` is what CONNECT may hold, e.g. user="x", pass="y" in a dict.
    """

    def __init__(self, port, *subjects, **login):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.buffer = b""
        self._send("CONNECT " + json.dumps({"verbose": False, "pedantic": False, "echo": False,
                                            **login}))
        for number, subject in enumerate(subjects, 1):
            self._send(f"SUB {subject} {number}")
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _send(self, line, payload=b""):
        self.socket.sendall(line.encode() + b"\r\n" + payload)

    def flush(self):
        """Returns when the server has done all that was asked so far."""
        self._send("PING")
        while self._next(time.monotonic() + 5) != "PONG":
            pass

    def publish(self, subject, payload):
        if not isinstance(payload, bytes):
            payload = json.dumps(payload).encode()
        self._send(f"PUB {subject} {len(payload)}", payload + b"\r\n")

    def publish_request(self, subject, answer_to):
        """Asks; the answer comes to `answer_to`, which must be subscribed to."""
        self._send(f"PUB {subject} {answer_to} 0", b"\r\n")

    def _fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no message in time")
        self.socket.settimeout(left)
        more = self.socket.recv(1 << 16)
        if not more:
            raise ConnectionError("the NATS server is gone")
        self.buffer += more

    def _next(self, deadline):
        """"PONG", or a message, or None for what does not matter."""
        while b"\r\n" not in self.buffer:
            self._fill(deadline)
        line, _, rest = self.buffer.partition(b"\r\n")
        words = line.decode().split(" ")
        if words[0] == "MSG":
            size = int(words[-1])
            while len(self.buffer) < len(line) + size + 4:
                self._fill(deadline)
            rest = self.buffer[len(line) + 2:]
            self.buffer = rest[size + 2:]
            return words[1], rest[:size]
        self.buffer = rest
        if words[0] == "PING":
            self._send("PONG")
        if words[0] == "-ERR":
            raise ConnectionError(line.decode())
        return "PONG" if words[0] == "PONG" else None

    def receive(self, subject=None, seconds=5, where=lambda payload: True):
        """The next message, or the next one of `subject` whose payload `where` accepts."""
        deadline = time.monotonic() + seconds
        while True:
            message = self._next(deadline)
            if message in (None, "PONG"):
                continue
            if subject in (None, message[0]) and where(message[1]):
                return message

    def receive_each(self, *subjects, seconds=5):
        """The next payload of each subject, in whatever order they come: {subject: payload}."""
        deadline = time.monotonic() + seconds
        payloads = {}
        while len(payloads) < len(subjects):
            subject, payload = self.receive(None, deadline - time.monotonic())
            if subject in subjects:
                payloads.setdefault(subject, payload)
        return payloads

    def receive_all(self, seconds):
        deadline = time.monotonic() + seconds
        messages = []
        while True:
            try:
                messages.append(self.receive(None, max(deadline - time.monotonic(), 0)))
            except TimeoutError:
                return messages


class NatsServer:
    """Debian's nats-server on a port of its own; `config`: path of a file with more settings;
    `prefix`: words before its command line, such as unshare."""

    PROGRAM = shutil.which("nats-server") or "/usr/sbin/nats-server"

    def __init__(self, port, *arguments, config=None, environment=None, prefix=()):
        self.port = port
        self.command = [*prefix, self.PROGRAM, "-a", "127.0.0.1", "-p", str(port), *map(str, arguments)]
        if config:
            self.command += ["-c", str(config)]
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env=self.environment)
        deadline = time.monotonic() + 10
        while not self._greets():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"no nats-server: {' '.join(self.command)}")
            time.sleep(0.02)

    def _greets(self):
        """A server speaks first, whatever it wants to know about its clients."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                return probe.recv(4) == b"INFO"
        except OSError:
            return False

    def stop(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
