#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""RFC 6455, clause by clause, against a simcastd that echoes (meson setup -Dwebsocket_echo=true).

  tests/hostile_conformance.py BUILDDIR [WORD]...

The same path of messages as in any other build: inbound, libwebsockets, ws. To point a public suite
at it: simcastd --listen 127.0.0.1:9001, then ws://127.0.0.1:9001/echo.
"""
import contextlib
import functools
import os
import socket
import struct
import time

from daemon_cases import case, check, equal, run_cases, simcastd
from ws import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, Refused

SIZES = (0, 1, 125, 126, 127, 128, 4095, 4096, 65535, 65536, 300000)


@contextlib.contextmanager
def echo(daemon):
    with daemon.connect(path="/echo") as client:
        yield client


def with_daemon(function):
    @functools.wraps(function)
    def run():
        with simcastd() as daemon:
            function(daemon)
            check("error" not in daemon.log, daemon.log)
    return case(run)


def expect(client, opcode, payload, what=""):
    equal(client.receive_frame(), (opcode, True, payload), what)


def refused(daemon, status, *frames, what):
    """The frames end in a close frame with this status and then in silence."""
    with echo(daemon) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for opcode, payload, options in frames:
                client.send_frame(opcode & 15, payload, rsv=opcode & 0x70, **options)
        while True:
            try:
                opcode, _, payload = client.receive_frame()
            except Closed:
                raise AssertionError(f"{what}: hung up without a word") from None
            if opcode == CLOSE:
                break
        equal(struct.unpack(">H", payload[:2])[0], status, what)
        with contextlib.suppress(OSError):
            client.send_frame(BINARY, b"after the end")
        try:
            equal(client.receive_frame(0.05), None, f"{what}: after the close frame")
        except (Closed, TimeoutError):
            pass


def frame(opcode, payload=b"", **options):
    return opcode, payload, options


# framing


@with_daemon
def messages_of_every_length_come_back(daemon):
    with echo(daemon) as client:
        for size in SIZES:
            payload = os.urandom(size)
            client.send_frame(BINARY, payload)
            expect(client, BINARY, payload, f"{size} bytes")
            text = ("äöü€😀x" * (size // 14 + 1)).encode()[:size].decode(errors="ignore").encode()
            client.send_frame(TEXT, text)
            expect(client, TEXT, text, f"{size} bytes of text")


@with_daemon
def bytes_in_any_pieces_make_the_same_frames(daemon):
    for piece in (1, 2, 3, 7, 997):
        with echo(daemon) as client:
            payload = os.urandom(piece * 40)
            sent = client.frame_bytes(BINARY, payload) + client.frame_bytes(TEXT, b"and")
            for at in range(0, len(sent), piece):
                client.socket.sendall(sent[at:at + piece])
            expect(client, BINARY, payload, f"in pieces of {piece}")
            expect(client, TEXT, b"and", f"in pieces of {piece}")


@with_daemon
def reserved_bits_and_opcodes_are_errors(daemon):
    for bits in (0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70):
        for opcode in (TEXT, BINARY, PING, CLOSE):
            refused(daemon, 1002, frame(opcode | bits), what=f"bits {bits:#x} opcode {opcode}")
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        refused(daemon, 1002, frame(TEXT, b"first"), frame(opcode), what=f"opcode {opcode}")


@with_daemon
def unmasked_frames_are_errors(daemon):
    for opcode in (TEXT, BINARY, PING, PONG, CLOSE):
        refused(daemon, 1002, frame(opcode, b"", mask=False), what=f"opcode {opcode}")
        refused(daemon, 1002, frame(BINARY, b"masked"), frame(opcode, b"xx", mask=False),
                what=f"opcode {opcode} after a masked one")


@with_daemon
def lengths_are_in_their_shortest_form(daemon):
    for header in (b"\x82\xfe\x00\x7d", b"\x82\xff" + struct.pack(">Q", 126),
                   b"\x82\xff" + struct.pack(">Q", 65535), b"\x82\xff" + b"\xff" * 8):
        with echo(daemon) as client:
            client.socket.sendall(header + bytes(4))
            equal(client.close_status(), 1002, header.hex())


# pings


@with_daemon
def pings_come_back_as_pongs(daemon):
    with echo(daemon) as client:
        for payload in (b"", b"Hello", bytes(range(125)), b"\x00\xff\xfe"):
            client.send_frame(PING, payload)
            expect(client, PONG, payload)
        for number in range(10):
            client.send_frame(PING, b"ping %d" % number)
        for number in range(10):
            expect(client, PONG, b"ping %d" % number)
        client.send_frame(PONG, b"nobody asked")
        client.send_frame(BINARY, b"goes on")
        expect(client, BINARY, b"goes on")


@with_daemon
def control_frames_are_short_and_whole(daemon):
    for opcode in (PING, PONG, CLOSE):
        refused(daemon, 1002, frame(opcode, bytes(126)), what=f"126 bytes, opcode {opcode}")
        refused(daemon, 1002, frame(opcode, b"", fin=False), what=f"in pieces, opcode {opcode}")


# fragments


@with_daemon
def fragments_make_one_message(daemon):
    with echo(daemon) as client:
        for parts in ((b"a", b"b"), (b"", b""), (b"", b"middle", b""), [b"x"] * 50,
                      (bytes(1000), bytes(70000))):
            for opcode in (TEXT, BINARY):
                client.send_frame(opcode, parts[0], fin=False)
                for part in parts[1:-1]:
                    client.send_frame(CONTINUATION, part, fin=False)
                client.send_frame(PING, b"between")
                client.send_frame(CONTINUATION, parts[-1])
                expect(client, PONG, b"between")
                expect(client, opcode, b"".join(parts))


@with_daemon
def fragments_out_of_order_are_errors(daemon):
    first = frame(TEXT, b"a", fin=False)
    refused(daemon, 1002, frame(CONTINUATION, b"a"), what="a continuation of nothing")
    refused(daemon, 1002, frame(CONTINUATION, b"a", fin=False), what="the same, not final")
    refused(daemon, 1002, first, frame(TEXT, b"b"), what="a new message within one")
    refused(daemon, 1002, first, frame(BINARY, b"b", fin=False), what="the same, binary")
    refused(daemon, 1002, first, frame(CONTINUATION, b"b"), frame(CONTINUATION, b"c"),
            what="a continuation after the end")


# UTF-8

GOOD = ("Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\ud7ff\ue000", "\ufffd\uffff", "\U00010000\U0010ffff",
        "\x00", "\x7f\x80\u07ff\u0800")
BAD = (b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xed\xa0\x80",
       b"\xed\xbf\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80",
       b"\xf5\x80\x80\x80", b"\xfe", b"\xff", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80edited",
       b"\xe2\x82", b"\xf0\x9f\x98")


@with_daemon
def text_is_utf8_across_fragments_too(daemon):
    with echo(daemon) as client:
        for text in GOOD:
            payload = text.encode()
            client.send_frame(TEXT, payload)
            expect(client, TEXT, payload)
            for at in range(len(payload) + 1):
                client.send_frame(TEXT, payload[:at], fin=False)
                client.send_frame(CONTINUATION, payload[at:])
                expect(client, TEXT, payload, f"cut at {at}")


@with_daemon
def text_that_is_no_utf8_ends_with_1007(daemon):
    for payload in BAD:
        refused(daemon, 1007, frame(TEXT, payload), what=payload.hex())
        refused(daemon, 1007, frame(TEXT, payload[:1], fin=False), frame(CONTINUATION, payload[1:]),
                what=f"{payload.hex()} in fragments")
        refused(daemon, 1007, frame(TEXT, b"good before" + payload), what=f"after {payload.hex()}")


@with_daemon
def binary_may_hold_anything(daemon):
    with echo(daemon) as client:
        for payload in BAD:
            client.send_frame(BINARY, payload)
            expect(client, BINARY, payload)


# closing


@with_daemon
def a_close_is_answered_with_its_status(daemon):
    # 1012 to 1014 are for servers to send; libwebsockets 4.1.6 does not know them.
    for status in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        for reason in (b"", "grüße".encode(), b"x" * 123):
            refused(daemon, status, frame(CLOSE, struct.pack(">H", status) + reason),
                    what=f"{status} {reason[:5]}")


@with_daemon
def an_empty_close_is_answered_too(daemon):
    with echo(daemon) as client:
        client.send_frame(CLOSE)
        opcode, _, payload = client.receive_frame()
        equal(opcode, CLOSE, "opcode")
        check(payload in (b"", b"\x03\xe8"), payload)


@with_daemon
def a_status_that_may_not_be_sent_is_an_error(daemon):
    for status in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        refused(daemon, 1002, frame(CLOSE, struct.pack(">H", status)), what=str(status))
    refused(daemon, 1002, frame(CLOSE, b"\x03"), what="half a status")
    refused(daemon, 1007, frame(CLOSE, b"\x03\xe8\xce\xba\xff"), what="a reason that is no UTF-8")


@with_daemon
def nothing_after_a_close_counts(daemon):
    refused(daemon, 1000, frame(CLOSE, b"\x03\xe8"), frame(BINARY, b"late"), frame(PING, b"late"),
            what="close, then more")
    with echo(daemon) as client:
        client.socket.sendall(client.frame_bytes(BINARY, b"before") +
                              client.frame_bytes(CLOSE, b"\x03\xe8") +
                              client.frame_bytes(BINARY, b"behind"))
        expect(client, BINARY, b"before")
        equal(client.receive_frame()[0], CLOSE, "the next")


@with_daemon
def a_message_in_pieces_may_be_closed_on(daemon):
    refused(daemon, 1000, frame(TEXT, b"a", fin=False), frame(CLOSE, b"\x03\xe8"), what="cut short")


# the handshake

HANDSHAKE = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade",
             "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def handshake(daemon, change=None, then=b""):
    """(status, whole answer) of a handshake with these headers changed; None leaves one out."""
    headers = {name: value for name, value in {**HANDSHAKE, **(change or {})}.items()
               if value is not None}
    lines = ["GET /echo HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    with socket.create_connection(daemon.address, timeout=9) as connection:
        connection.sendall("\r\n".join(lines).encode() + then)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while b"\r\n\r\n" not in answer and (more := connection.recv(4096)):
                answer += more
        status = int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.") else None
        if then and status == 101:
            connection.settimeout(2)
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while more := connection.recv(4096):
                    answer += more
        return status, answer


@with_daemon
def a_handshake_is_answered_with_its_key(daemon):
    for change in ({}, {"Connection": "keep-alive, Upgrade"}, {"Upgrade": "WebSocket"}):
        status, answer = handshake(daemon, change)
        equal(status, 101, change)
        check(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer, answer)
    status, answer = handshake(daemon, {"sec-websocket-key": HANDSHAKE["Sec-WebSocket-Key"],
                                        "Sec-WebSocket-Key": None})
    equal(status, 101, "a header in small letters")


@with_daemon
def a_handshake_without_its_parts_is_no_websocket(daemon):
    for change in ({"Upgrade": None}, {"Upgrade": "tea"}, {"Sec-WebSocket-Key": None},
                   {"Sec-WebSocket-Version": None}, {"Sec-WebSocket-Version": "12"}):
        status, answer = handshake(daemon, change)
        check(status != 101, f"{change}: {answer}")
    status, answer = handshake(daemon, {"Sec-WebSocket-Version": "8"})
    equal(status, 426, "an old version")
    check(b"sec-websocket-version: 13" in answer.lower(), answer)


@with_daemon
def frames_right_behind_the_handshake_are_judged_too(daemon):
    _, answer = handshake(daemon, then=b"\x81\x85" + bytes(4) + b"hello")
    check(b"\x81\x05hello" in answer, answer)
    _, answer = handshake(daemon, then=b"\x81\x05hello")
    check(b"\x88\x02\x03\xea" in answer and b"\x81\x05hello" not in answer, answer)


# much of it


@with_daemon
def a_thousand_messages_keep_their_order(daemon):
    with echo(daemon) as client:
        began = time.monotonic()
        for start in range(0, 1000, 50):
            for number in range(start, start + 50):
                client.send_frame(BINARY, struct.pack("<I", number) * 100)
            for number in range(start, start + 50):
                expect(client, BINARY, struct.pack("<I", number) * 100)
        check(time.monotonic() - began < 10, "in time")


@with_daemon
def too_long_a_message_ends_with_1009(daemon):
    refused(daemon, 1009, frame(BINARY, bytes((1 << 20) + 1)), what="in one frame")
    refused(daemon, 1009, frame(BINARY, bytes(1 << 20), fin=False), frame(CONTINUATION, b"x"),
            what="in fragments")


@with_daemon
def only_the_path_echoes(daemon):
    for path in ("/echo/", "/ech", "/"):
        try:
            daemon.connect(path=path).drop()
            raise AssertionError(f"{path} is a WebSocket")
        except Refused as no:
            check(no.status in (404, 426), f"{path}: {no.status}")


run_cases(__doc__)
