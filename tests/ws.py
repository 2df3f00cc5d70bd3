# SPDX-License-Identifier: Apache-2.0
"""A WebSocket client on plain sockets (RFC 6455), for tests, and what simcast says through it.

It reads what the server really sent, byte by byte, and raises on everything that the RFC forbids
a server to send, so that a torn or interleaved frame cannot pass unnoticed. It can also send what
a decent client never would.

    with WebSocket(("127.0.0.1", 8080)) as socket:
        socket.send_command("set_cmd_vel", 1, linear_x=0.5)
        message = socket.receive(Video, seconds=2)
"""
import base64
import dataclasses
import hashlib
import json
import os
import socket
import struct
import time
import zlib

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
H264, HEVC, JPEG = 1, 2, 3
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Closed(Exception):
    """The server closed: `status` is its close code, or None without a close frame."""

    def __init__(self, status):
        super().__init__(f"closed with {status}")
        self.status = status


class Refused(Exception):
    """The server answered the handshake with something else than 101."""

    def __init__(self, status, head):
        super().__init__(f"handshake answered with {status}")
        self.status = status
        self.head = head


class ProtocolError(Exception):
    """The server broke RFC 6455 or simcast's formats."""


@dataclasses.dataclass
class Video:
    frame_id: int
    frame_seq: int
    size: int
    flags: int
    codec: int
    crc32: int
    reserved: int
    payload: bytes
    received: float  # time.monotonic()

    @property
    def keyframe(self):
        return self.codec == JPEG or bool(self.flags & 1)


@dataclasses.dataclass
class Telemetry:
    subject: str
    payload: bytes
    received: float

    @property
    def json(self):
        return json.loads(self.payload)


@dataclasses.dataclass
class FrameInfo:
    missed: int
    frame_seq: int
    sim_time_ns: int
    stamps_ns: tuple
    received: float
    stream: int = 0


@dataclasses.dataclass
class Metadata:
    stream: int
    frame_seq: int
    payload: bytes
    received: float


@dataclasses.dataclass
class Signaling:
    json: dict
    received: float


@dataclasses.dataclass
class Clock:
    client_time: int
    server_time_ns: int
    received: float


def parse(message):
    """Turns a binary message into one of the classes above."""
    now = time.monotonic()
    kind = message[0] if message else None
    if kind == 0x01:
        fields = struct.unpack_from("<QQIHHII", message, 1)
        payload = message[33:]
        if fields[2] != len(payload):
            raise ProtocolError(f"size says {fields[2]}, {len(payload)} bytes came")
        if fields[5] != 0 and fields[5] != zlib.crc32(payload):
            raise ProtocolError(f"CRC of frame {fields[1]} does not match")
        return Video(*fields, payload, now)
    if kind == 0x02:
        (length,) = struct.unpack_from("<H", message, 1)
        if 3 + length > len(message):
            raise ProtocolError("telemetry subject is cut off")
        return Telemetry(message[3:3 + length].decode(), message[3 + length:], now)
    if kind == 0x05:
        if len(message) != 72 or message[1] != 1 or message[6:8] != bytes(2):
            raise ProtocolError(f"bad FRAME_INFO: {message.hex()}")
        missed, stream = struct.unpack_from("<HH", message, 2)
        return FrameInfo(missed, *struct.unpack_from("<Qq", message, 8),
                         struct.unpack_from("<6q", message, 24), now, stream)
    if kind == 0x03:
        return Signaling(json.loads(message[1:]), now)
    if kind == 0x08:
        if len(message) < 17 or message[1:4] != b"\1\0\0" or message[6:8] != bytes(2):
            raise ProtocolError(f"bad METADATA: {message[:16].hex()}")
        return Metadata(*struct.unpack_from("<H2xQ", message, 4), message[16:], now)
    if kind == 0x06:
        if len(message) != 24:
            raise ProtocolError(f"bad CLOCK: {message.hex()}")
        return Clock(*struct.unpack_from("<qq", message, 8), now)
    raise ProtocolError(f"unknown message type {kind}")


class WebSocket:
    """One connection. `head` is the server's answer to the handshake."""

    def __init__(self, address, path="/stream/ws", *, headers=None, subprotocols=None,
                 receive_buffer=None, seconds=5, tls=None, unix=None):
        self.socket = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        self.socket.settimeout(seconds)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(str(unix) if unix else address)
        if tls:
            self.socket = tls.wrap_socket(self.socket)
        self.buffer = bytearray()
        self.pongs = []
        self.parts = None
        key = base64.b64encode(os.urandom(16))
        lines = [f"GET {path} HTTP/1.1", f"Host: {address[0]}:{address[1]}",
                 "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: " + key.decode()]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if subprotocols:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(subprotocols))
        self.socket.sendall("\r\n".join(lines + ["", ""]).encode())
        try:
            self._read_answer(key, time.monotonic() + seconds)
        except BaseException:
            self.socket.close()
            raise

    def _read_answer(self, key, deadline):
        while b"\r\n\r\n" not in self.buffer:
            self._fill(deadline)
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        self.buffer = bytearray(rest)
        self.head = head.decode("latin-1")
        self.bytes_with_answer = len(rest)
        status = int(self.head.split(" ", 2)[1])
        if status != 101:
            raise Refused(status, self.head)
        fields = {name.lower(): value.strip() for name, _, value in
                  (line.partition(":") for line in self.head.split("\r\n")[1:])}
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        if fields.get("sec-websocket-accept") != accept:
            raise ProtocolError("wrong Sec-WebSocket-Accept")
        if "sec-websocket-extensions" in fields:
            raise ProtocolError("an extension that was not offered")
        self.subprotocol = fields.get("sec-websocket-protocol")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.drop()

    def drop(self):
        """Ends the connection without a word."""
        self.socket.close()

    def _fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("nothing came in time")
        self.socket.settimeout(left)
        try:
            more = self.socket.recv(1 << 20)
        except ConnectionResetError:
            raise Closed(None) from None
        if not more:
            raise Closed(None)
        self.buffer += more

    def _take(self, count, deadline):
        while len(self.buffer) < count:
            self._fill(deadline)
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def send_frame(self, opcode, payload=b"", **options):
        self.socket.sendall(self.frame_bytes(opcode, payload, **options))

    def frame_bytes(self, opcode, payload=b"", *, fin=True, mask=True, rsv=0):
        head = bytearray([(0x80 if fin else 0) | rsv | opcode])
        size = len(payload)
        flag = 0x80 if mask else 0
        if size < 126:
            head.append(flag | size)
        elif size < 65536:
            head += struct.pack(">BH", flag | 126, size)
        else:
            head += struct.pack(">BQ", flag | 127, size)
        if mask:
            key = os.urandom(4)
            head += key
            repeated = key * (size // 4 + 1)
            payload = (int.from_bytes(payload, "big") ^
                       int.from_bytes(repeated[:size], "big")).to_bytes(size, "big")
        return bytes(head) + payload

    def send(self, message):
        self.send_frame(BINARY, message)

    def send_json(self, command):
        self.send(b"\x04" + json.dumps(command).encode())

    def send_command(self, action, cmd_seq, **data):
        self.send_json({"action": action, "cmd_seq": cmd_seq, "data": data})

    def send_clock(self, client_time):
        self.send(b"\x06" + bytes(7) + struct.pack("<q", client_time))

    def send_displayed(self, frame_seq, stream=0, shown_ns=None):
        self.send(struct.pack("<B3xH2xQ", 7, stream, frame_seq) +
                  (b"" if shown_ns is None else struct.pack("<q", shown_ns)))

    def ask(self, kind, **fields):
        """A SIGNALING message, such as ask("subscribe", stream="front")."""
        self.send(b"\x03" + json.dumps({"type": kind, **fields}).encode())

    def told(self, kind, seconds=5, where=lambda message: True):
        """The next SIGNALING message of this type, as a dict."""
        return self.receive(Signaling, seconds, lambda message: message.json["type"] == kind and
                            where(message.json)).json

    def receive_frame(self, seconds=5):
        """One frame: (opcode, fin, payload). A timeout in the middle of one loses nothing."""
        deadline = time.monotonic() + seconds
        while True:
            frame = self._parse_frame()
            if frame:
                return frame
            self._fill(deadline)

    def _parse_frame(self):
        if len(self.buffer) < 2:
            return None
        first, second = self.buffer[0], self.buffer[1]
        if first & 0x70 or second & 0x80:
            raise ProtocolError(f"reserved bit or mask from the server: {first:#x} {second:#x}")
        size, at = second, 2
        if second in (126, 127):
            at = 4 if second == 126 else 10
            if len(self.buffer) < at:
                return None
            size = int.from_bytes(self.buffer[2:at], "big")
            if size < (126 if second == 126 else 65536):
                raise ProtocolError("length not in its shortest form")
        opcode = first & 15
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise ProtocolError(f"unknown opcode {opcode}")
        if len(self.buffer) < at + size:
            return None
        self._take(at, 0)
        return opcode, bool(first & 0x80), self._take(size, 0)

    def receive_message(self, seconds=5):
        """The next whole binary message. Answers pings, keeps pongs in `pongs`."""
        deadline = time.monotonic() + seconds
        while True:
            opcode, fin, payload = self.receive_frame(max(deadline - time.monotonic(), 0.001))
            if opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode == PONG:
                self.pongs.append(payload)
            elif opcode == CLOSE:
                raise Closed(int.from_bytes(payload[:2], "big") if payload else None)
            elif opcode == TEXT or (opcode == CONTINUATION) != (self.parts is not None):
                raise ProtocolError(f"unexpected opcode {opcode}")
            else:
                self.parts = (self.parts or b"") + payload
                if fin:
                    message, self.parts = self.parts, None
                    return message

    def receive(self, kind=None, seconds=5, where=lambda message: True):
        """The next message of `kind` (Video, Telemetry, ...) that `where` accepts."""
        deadline = time.monotonic() + seconds
        while True:
            message = parse(self.receive_message(max(deadline - time.monotonic(), 0.001)))
            if (kind is None or isinstance(message, kind)) and where(message):
                return message

    def receive_all(self, seconds):
        """All messages of the next `seconds`."""
        deadline = time.monotonic() + seconds
        messages = []
        while (left := deadline - time.monotonic()) > 0:
            try:
                messages.append(parse(self.receive_message(left)))
            except TimeoutError:
                break
        return messages

    def telemetry(self, subject, seconds=5, where=lambda message: True):
        return self.receive(Telemetry, seconds,
                            lambda message: message.subject == subject and where(message))

    def close_status(self, seconds=5):
        """Reads on until the server closes; returns the status of its close frame, or None."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self.receive_message(max(deadline - time.monotonic(), 0.001))
        except Closed as closed:
            if closed.status is not None:
                self.send_frame(CLOSE, struct.pack(">H", closed.status))
            return closed.status
