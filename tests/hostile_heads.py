#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""simcastd and requests that no decent client sends: heads, header names, subprotocols.

  tests/hostile_heads.py BUILDDIR [WORD]...
"""
import contextlib
import socket
import time

from daemon_cases import case, check, equal, run_cases, simcastd, streaming
from hostile_kit import asking, counted, counter, status_of, with_header
from ws import Video


@case
def endless_headers_are_hung_up_on():
    with streaming() as (daemon, _), \
            socket.create_connection(daemon.address, timeout=9) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            for number in range(20000):
                connection.sendall(b"X-%d: " % number + b"y" * 100 + b"\r\n")
            connection.sendall(b"\r\n")
        with contextlib.suppress(ConnectionResetError):
            answer = connection.recv(100)
            check(answer == b"" or b" 431 " in answer, answer)
        equal(daemon.get("/healthz")[0], 200, "alive")
        counted(daemon, "requests_too_long")


@case
def headers_that_are_too_long_are_told_so():
    with streaming() as (daemon, _):
        for path in ("/", "/stream/ws"):
            with socket.create_connection(daemon.address, timeout=9) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode() +
                                   b"Cookie: " + b"c" * 8400)
                check(b" 431 " in connection.recv(100), path)
        equal(daemon.get("/healthz", headers={"Cookie": "c" * 7000})[0], 200, "7 KB are fine")
        counted(daemon, "requests_too_long", 2)


@case
def heads_with_strange_line_ends_are_hung_up_on():
    with streaming() as (daemon, _):
        for head in (b"GET /stream HTTP/1.1\nHost: localhost\n\n",
                     b"GET /stream HTTP/1.1\r\nHost: local\0host\r\n\r\n",
                     b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\rX: y\r\n\r\n",
                     b"PRI * HTTP/2.0\n\nSM\n\n"):
            with socket.create_connection(daemon.address, timeout=4) as connection:
                connection.sendall(head)
                with contextlib.suppress(ConnectionResetError):
                    equal(connection.recv(100), b"", head)
        counted(daemon, "protocol_errors", 4)


# Names that libwebsockets knows. What only begins like one, it would wait for ever to see end.
KNOWN_NAMES = """Accept-Charset Accept-Encoding Accept-Language Accept-Ranges Age Allow Authorization
Access-Control-Request-Headers Cache-Control Connection Content-Disposition Content-Length Cookie
Content-Type Date ETag Expect Expires From Host HTTP2-Settings If-Match If-Modified-Since If-None-Match
If-Range Last-Modified Link Location Max-Forwards Origin Pragma Proxy-Authorization Range Referer
Retry-After Sec-WebSocket-Extensions Sec-WebSocket-Key Sec-WebSocket-Protocol Sec-WebSocket-Version
Server Set-Cookie TE Transfer-Encoding Upgrade User-Agent Vary Via X-Auth-Token X-Forwarded-For
X-Real-IP""".split()


def served_soon(daemon):
    began = time.monotonic()
    equal(daemon.get("/healthz")[0], 200, "an honest request")
    check(time.monotonic() - began < 2, "an honest request had to wait")


@case
def a_header_that_only_begins_like_a_known_one_is_refused():
    known = {name.lower() for name in KNOWN_NAMES} | {"accept", "sec-websocket-key1"}
    begun = {name[:length] for name in KNOWN_NAMES for length in range(1, len(name))}
    begun = sorted(name for name in begun if name.lower() not in known)
    with simcastd() as daemon, contextlib.ExitStack() as stack:
        asked = [(name, asking(daemon, stack, with_header(f"{name}: x"))) for name in begun]
        for name, connection in asked:
            check(b" 400 " in connection.recv(100), name)
            while connection.recv(4096):
                pass
        counted(daemon, "protocol_errors", len(begun))
        for name in (*KNOWN_NAMES, "X-Y", "X-Forwarded-Proto", "Sec-Fetch-Mode", "Accept-Language-2", "~"):
            if name not in ("Host", "Origin", "Content-Length", "Transfer-Encoding", "Upgrade", "Connection"):
                with contextlib.closing(asking(daemon, stack, with_header(f"{name}: 0"))) as fine:
                    check(b" 200 " in fine.recv(100), name)


@case
def a_header_line_without_a_proper_name_is_refused():
    lines = ("no colon", "X-Nothing", "Host", ": no name", ":path: /", " folded: line", "Host : x",
             "X(1): x", "X\u00e9: x", "Put: x", "Patch-Id: 3", "Uri-Args: a")
    with simcastd() as daemon, contextlib.ExitStack() as stack:
        for line in lines:
            for ended in (with_header(line), with_header(line + "\r\nX-Y: z")):
                answer = asking(daemon, stack, ended).recv(100)
                check(answer == b"" or b" 400 " in answer, f"{line}: {answer}")
        hidden = "GET /healthz HTTP/1.1\r\nConte: x\r\nHost: evil.example\r\n\r\n"
        check(b" 400 " in asking(daemon, stack, hidden).recv(100), "a line that hides another")
        slow = asking(daemon, stack, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nSec-WebSo")
        equal(daemon.get("/healthz")[0], 200, "in between")
        slow.sendall(b"ck: 1\r\n\r\n")
        check(b" 400 " in slow.recv(100), "a name in two pieces")
        counted(daemon, "protocol_errors", 2 * len(lines) + 2)


@case
def heads_that_are_never_answered_lock_nobody_out():
    with simcastd() as daemon, contextlib.ExitStack() as stack:
        for _ in range(2300):
            asking(daemon, stack, with_header("Conte: x"))
        served_soon(daemon)
        counted(daemon, "protocol_errors", 2300)


@case
def half_a_second_request_locks_nobody_out():
    with simcastd() as daemon, contextlib.ExitStack() as stack:
        for _ in range(2300):
            connection = asking(daemon, stack, with_header("X-Y: z"))
            said = connection.recv(1000)
            check(b" 200 " in said, f"the first request {_} {said}")
            connection.sendall(b"GET /healthz HTTP/1.1\r\nX-")
        served_soon(daemon)
        counted(daemon, "handshakes_crowded_out", 2300 - 1024)
        counted(daemon, "handshakes_late", 500, seconds=8)


@case
def subprotocols_that_nobody_knows_are_refused():
    offer = lambda text: {"Sec-WebSocket-Protocol": text}
    with streaming() as (daemon, _):
        for text in ("soap", "x" * 70, "simcast.v2," + "a, " * 40, "x" * 64 + ", simcast.v2"):
            equal(status_of(daemon, headers=offer(text)), 400, text)
        equal(counter(daemon, "protocol_errors"), 4, "counted")
        for text in ("simcast.v2, soap", ("simcast.v1, " + "x, " * 40)[:99], "soap,simcast.v2"):
            with daemon.connect(headers=offer(text)) as client:
                check(client.receive(Video), text)


@case
def a_body_of_a_request_is_no_second_request():
    with simcastd() as daemon, \
            socket.create_connection(daemon.address, timeout=9) as connection:
        connection.sendall(b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
                           b"\r\nhello")
        check(b" 405 " in connection.recv(1000), "refused")
        equal(daemon.get("/healthz")[0], 200, "alive")


run_cases(__doc__)
