#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""simcastd and those who mean ill: what each attack is answered with.

  tests/e2e_hostile.py BUILDDIR [WORD]...
"""
import contextlib
import json
import pathlib
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time

from daemon_cases import armed, case, check, equal, run_cases, simcastd, streaming
from daemon_kit import wait_until
from hostile_kit import counted, counter, status_of, with_header
from ws import BINARY, CLOSE, CONTINUATION, PING, TEXT, Closed, Video

VIEWER, ADA, BOB = (letter * 20 for letter in "vab")


@contextlib.contextmanager
def token_file(text=f"viewer wall {VIEWER}\noperator ada {ADA}\noperator bob {BOB}\n"):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "tokens")
        path.touch(0o600)
        path.write_text(text)
        yield path


@contextlib.contextmanager
def guarded(*arguments, **options):
    with token_file() as tokens, \
            streaming("--token-file", tokens, *arguments, **options) as (daemon, slot):
        daemon.tokens = tokens
        yield daemon, slot


def bearer(token):
    return {"Authorization": "Bearer " + token}


def say_auth(client, token):
    client.send(b"\x03" + json.dumps({"type": "auth", "token": token}).encode())


def ack(client, cmd_seq):
    return client.telemetry("telemetry.command.ack",
                            where=lambda m: m.json["cmd_seq"] == cmd_seq).json


# names and origins


def host_status(daemon, host, path="/health"):
    with socket.create_connection(daemon.address, timeout=5) as connection:
        line = f"Host: {host}\r\n" if host is not None else ""
        connection.sendall(f"GET {path} HTTP/1.1\r\n{line}\r\n".encode())
        return int(connection.recv(100).split(b" ")[1])


@case
def a_name_that_is_pointed_at_us_is_refused():
    with simcastd("--allowed-hosts", "robot.example") as daemon:
        port = daemon.port
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", "localhost", f"[::1]:{port}",
                     f"robot.example:{port}", "ROBOT.example"):
            equal(host_status(daemon, host), 200, host)
        for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example",
                     "127.0.0.1.evil.example", "robot.example.evil", ":80", "[", "a" * 300):
            equal(host_status(daemon, host), 421, host)
        equal(status_of(daemon, headers={"Origin": "http://evil.example:80"}), 403, "origin")
        equal(host_status(daemon, "evil.example", "/stream"), 421, "a stream")
        counted(daemon, "clients_refused", 10)
    with simcastd("--allowed-hosts", "*") as daemon:
        equal(host_status(daemon, "evil.example"), 200, "any name")


@case
def who_is_open_to_all_is_told_of_pages_that_may_drive():
    open_to_all = ("--listen", "0.0.0.0:0", "--insecure")
    with simcastd(*open_to_all) as daemon:
        check("may watch and drive" in daemon.log and "set allowed_hosts" in daemon.log, daemon.log)
        equal(host_status(daemon, "evil.example"), 200, "as it says")
    with simcastd(*open_to_all, "--allowed-hosts", "robot.example") as daemon:
        check("may watch and drive" in daemon.log, daemon.log)
        check("allowed_hosts" not in daemon.log, daemon.log)
        equal(host_status(daemon, "robot.example"), 200, "the name that is set")
        equal(host_status(daemon, "evil.example"), 421, "another")


# tokens


@case
def without_a_token_nothing_is_told():
    with guarded() as (daemon, _):
        for path in ("/stream", "/snapshot", "/video.h264", "/api/v1/streams", "/api/v1/clients"):
            status, headers, _ = daemon.get(path)
            equal((status, headers["www-authenticate"]), (401, "Bearer"), path)
            equal(daemon.get(path, headers=bearer("x" * 20))[0], 401, path)
        equal(daemon.get("/api/v1/streams", headers=bearer(VIEWER))[0], 200, "with a token")
        equal(daemon.get("/snapshot", headers=bearer(VIEWER))[0], 200, "with a token")
        equal(daemon.get("/healthz")[0], 200, "alive is for everybody")
        equal(status_of(daemon, headers=bearer("wrong" * 5)), 401, "wrong token")
        equal(status_of(daemon, headers={"Authorization": "Basic eDp5"}), 401, "another scheme")
        equal(status_of(daemon, path=f"/stream/ws?token={VIEWER}"), 101, "not looked at in a URL")
        with daemon.connect(path=f"/stream/ws?token={VIEWER}") as client:
            equal(client.close_status(), 1008, "nor does it open the door")
        check(not any(t in daemon.log for t in (VIEWER, ADA, "wrong" * 5)), "a token was logged")
        equal(counter(daemon, "clients_unauthorized", headers=bearer(VIEWER)), 13, "counted")


@case
def a_late_token_is_a_closed_door():
    with guarded() as (daemon, _), daemon.connect() as client:
        began = time.monotonic()
        equal(client.close_status(), 1008, "close status")
        check(1.8 < time.monotonic() - began < 3.5, "after 2 s")
        check(daemon.wait_health(lambda h: h["clients"] == 0), "gone")


@case
def only_a_token_opens_a_silent_door():
    with guarded() as (daemon, _):
        for message in (b"\x04{\"action\":\"estop\"}", b"\x03{\"type\":\"auth\"}", b"\x03[",
                        b"\x03{\"type\":\"auth\",\"token\":\"" + b"x" * 20 + b"\"}"):
            with daemon.connect() as client:
                client.send(message)
                equal(client.close_status(), 1008, message)
        with daemon.connect() as client:
            say_auth(client, VIEWER)
            answer = json.loads(client.receive_message()[1:])
            equal((answer["status"], answer["role"], answer["name"]), ("ok", "viewer", "wall"),
                  "answer")
            equal(client.telemetry("telemetry.operator.lease").json,
                  {"holder": None, "client": None}, "who commands")
            check(client.receive(Video), "video")
        with daemon.connect(headers=bearer(VIEWER)) as client:
            check(client.receive(Video), "video")


@case
def viewers_stop_but_do_not_drive():
    with guarded() as (daemon, _), daemon.connect(headers=bearer(VIEWER)) as viewer, \
            daemon.connect(headers=bearer(ADA)) as ada:
        armed(daemon)
        for number, action in enumerate(("set_cmd_vel", "estop_clear", "reset", "pause"), 1):
            viewer.send_command(action, number, linear_x=0.1, paused=True)
            equal(ack(viewer, number)["detail"], "only an operator may do this", action)
        viewer.send_command("estop", 9)
        check(daemon.wait_health(lambda h: h["gate"] == "ESTOP"), "a viewer stops")
        ada.send_command("estop_clear", 1)
        check(daemon.wait_health(lambda h: h["gate"] == "ARMED"), "an operator clears")


@case
def one_operator_at_a_time_taken_over_openly():
    with guarded() as (daemon, _), daemon.connect(headers=bearer(ADA)) as ada, \
            daemon.connect(headers=bearer(BOB)) as bob, \
            daemon.connect(headers=bearer(VIEWER)) as viewer:
        armed(daemon)
        holder = lambda name: lambda m: m.json["holder"] == name
        subject = "telemetry.operator.lease"
        ada.send_command("set_cmd_vel", 1, linear_x=0.1)
        viewer.telemetry(subject, where=holder("ada"))
        bob.send_command("set_cmd_vel", 2, linear_x=0.1)
        equal(ack(bob, 2)["detail"], "another operator holds the lease", "bob")
        bob.send(b'\x03{"type":"lease","action":"take"}')
        for client in (ada, bob, viewer):
            client.telemetry(subject, where=holder("bob"))
        ada.send_command("set_cmd_vel", 3, linear_x=0.1)
        equal(ack(ada, 3)["detail"], "another operator holds the lease", "ada")
        viewer.send(b'\x03{"type":"lease","action":"take"}')
        bob.drop()
        viewer.telemetry(subject, where=holder(None))


@case
def who_may_watch_may_choose_a_stream():
    with guarded() as (daemon, _), \
            daemon.connect(headers=bearer(VIEWER), subprotocols=["simcast.v2"]) as client:
        client.ask("subscribe", stream="none")
        check("reason" in client.told("error"), "an answer")


@case
def tokens_that_are_taken_back_end_their_clients():
    with guarded() as (daemon, _), daemon.connect(headers=bearer(VIEWER)) as wall, \
            daemon.connect(headers=bearer(ADA)) as ada:
        daemon.tokens.write_text("nonsense\n")
        daemon.process.send_signal(signal.SIGHUP)
        check(wait_until(lambda: "reloaded in part" in daemon.log), daemon.log)
        check("stay in force" in daemon.log and "reloaded all" not in daemon.log, daemon.log)
        check(wall.receive(Video), "a broken file changes nothing")
        daemon.tokens.write_text(f"operator ada {ADA}\n")
        daemon.process.send_signal(signal.SIGHUP)
        equal(wall.close_status(), 1008, "the viewer")
        check(wait_until(lambda: "reloaded all" in daemon.log), daemon.log)
        check(ada.receive(Video), "the operator stays")
        equal(status_of(daemon, headers=bearer(VIEWER)), 401, "the old token")


# limits


@case
def the_house_is_full():
    with streaming("--clients-max", 3) as (daemon, _), contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(daemon.connect())
        equal(status_of(daemon), 503, "websocket")
        equal(daemon.get("/stream")[0], 503, "stream")
        equal(daemon.get("/health")[0], 200, "health")
        counted(daemon, "clients_over_limit", 2)


@case
def one_address_does_not_take_all():
    with streaming("--clients-per-address", 2) as (daemon, _), contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(daemon.connect())
        equal(status_of(daemon), 429, "third")
        counted(daemon, "clients_over_limit")


@case
def viewers_leave_room_for_operators():
    with guarded("--clients-max", 3, "--operator-slots", 1) as (daemon, _), \
            contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(daemon.connect(headers=bearer(VIEWER)))
        equal(status_of(daemon, headers=bearer(VIEWER)), 503, "a third viewer")
        with daemon.connect() as late:
            say_auth(late, VIEWER)
            equal(late.close_status(), 1013, "a third viewer, late")
        check(daemon.wait_health(lambda h: h["clients"] == 2), "gone")
        with daemon.connect(headers=bearer(ADA)) as ada:
            check(ada.receive(Video), "an operator")


@case
def nobody_without_a_token_keeps_out_who_has_one():
    with guarded("--clients-max", 4, "--operator-slots", 1) as (daemon, _), \
            contextlib.ExitStack() as stack:
        for token in (ADA, VIEWER, VIEWER):
            stack.enter_context(daemon.connect(headers=bearer(token)))
        silent = [stack.enter_context(daemon.connect()) for _ in range(3)]
        with daemon.connect(headers=bearer(BOB)) as bob:
            check(bob.receive(Video), "an operator by header")
        with daemon.connect() as late:
            say_auth(late, BOB)
            check(late.receive(Video), "an operator by message")
        for client in silent:
            equal(client.close_status(), 1013, "made room")


@case
def commands_come_at_a_bounded_rate_but_stops_always():
    with streaming("--commands-per-s", 10) as (daemon, _), daemon.connect() as client:
        armed(daemon)
        for number in range(1, 101):
            client.send_command("pause", number, paused=True)
        equal(ack(client, 100)["detail"], "too many commands", "the last")
        refused = counter(daemon, "commands_over_rate")
        check(80 <= refused <= 90, f"of 100 in less than a second 10 to 20 pass, not {100 - refused}")
        passed = daemon.health()["commands_passed"]
        equal(passed, 100 - refused, "the others passed")
        for number in range(101, 201):
            client.send_command("estop", number)
        check(daemon.wait_health(lambda h: h["gate"] == "ESTOP"), "stop")
        check(daemon.wait_health(lambda h: h["commands_passed"] == passed + 100), "each stop")
        equal(counter(daemon, "commands_over_rate"), refused, "no stop was refused")


@case
def a_flood_of_pings_is_ended():
    with streaming() as (daemon, _), daemon.connect() as good, daemon.connect() as bad:
        good.receive(Video)
        pings = b"\x89\x80\0\0\0\0" * 20000
        bad.socket.setblocking(False)
        deadline = time.monotonic() + 5
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < deadline:
                with contextlib.suppress(BlockingIOError):
                    bad.socket.send(pings)
                with contextlib.suppress(BlockingIOError):
                    if not bad.socket.recv(1 << 20):
                        break
        check(daemon.wait_health(lambda h: h["clients"] == 1, 8), "it is gone")
        check(good.receive(Video), "the other is served")
        counted(daemon, "clients_expelled")


def status_of_pings(client):
    try:
        for _ in range(5):
            client.socket.sendall(client.frame_bytes(PING) * 50)
            client.receive(Video)
    except Closed as closed:
        return closed.status
    return client.close_status()


@case
def a_flood_is_told_why_it_ends():
    with streaming() as (daemon, _):
        with daemon.connect() as client:
            equal(status_of_pings(client), 1008, "pings")
        with daemon.connect() as client, contextlib.suppress(ConnectionError):
            for _ in range(200):
                client.send(b"\x03" + b" " * 4000)
            equal(client.close_status(), 1008, "messages")
        counted(daemon, "clients_expelled", 2)


@case
def who_takes_nothing_is_hung_up_on():
    make = lambda number: {"payload": bytes(300000)}
    with streaming("--stalled-s", 1, make=make) as (daemon, _), daemon.connect() as good, \
            daemon.connect(receive_buffer=4096), daemon.connect(receive_buffer=200000) as slow:
        deadline = time.monotonic() + 4
        slow.socket.settimeout(1)
        while time.monotonic() < deadline:  # 2 MB/s: too slow for the stream, but it takes
            slow.socket.recv(40000)
            good.receive_all(0.02)
        check(daemon.wait_health(lambda h: h["clients"] == 2), "it is gone")
        check(slow.socket.recv(100), "the slow one is served")
        equal(counter(daemon, "clients_stalled"), 1, "counted")


@case
def half_open_connections_do_not_lock_others_out():
    with streaming() as (daemon, _), contextlib.ExitStack() as stack:
        for _ in range(300):
            connection = stack.enter_context(socket.create_connection(daemon.address, timeout=9))
            connection.sendall(b"GET /stream/ws HTTP/1.1\r\nHost: localhost\r\nX-")
        began = time.monotonic()
        with daemon.connect() as client:
            check(client.receive(Video) and time.monotonic() - began < 2, "served")
        counted(daemon, "handshakes_late", 300, seconds=8)


@case
def of_too_many_half_open_connections_the_oldest_goes():
    with streaming("--handshakes-max", 50) as (daemon, _), contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(daemon.address, timeout=4))
                  for _ in range(120)]
        with daemon.connect() as client:
            check(client.receive(Video), "served")
        equal(silent[0].recv(1), b"", "the first")
        counted(daemon, "handshakes_crowded_out", 70)
        silent[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        check(b" 200 " in silent[-1].recv(100), "the last may still ask")


# frames


def close_of(daemon, *frames, **options):
    with daemon.connect(**options) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for opcode, payload, kinds in frames:
                client.send_frame(opcode, payload, **kinds)
        return client.close_status()


def close_of_length(daemon, length):
    """Of a frame that says that so much will come; nothing of it does."""
    with daemon.connect() as client:
        client.socket.sendall(struct.pack(">BBQ4s", 0x82, 0xff, length, b"mask"))
        return client.close_status()


@case
def frames_that_no_client_may_send_close_with_their_status():
    with streaming() as (daemon, _):
        frame = lambda opcode, payload=b"x", **kinds: (opcode, payload, kinds)
        first = frame(BINARY, fin=False)
        attacks = (
            (1002, "unmasked", [frame(BINARY, b'\x04{"action":"estop"}', mask=False)]),
            (1002, "unmasked text", [frame(TEXT, mask=False)]),
            (1002, "an unmasked ping", [frame(PING, mask=False)]),
            (1002, "a reserved bit", [frame(BINARY, rsv=0x40)]),
            (1002, "a reserved opcode", [frame(3)]),
            (1002, "a reserved control opcode", [frame(11)]),
            (1002, "a long ping", [frame(PING, bytes(126))]),
            (1002, "a ping in fragments", [frame(PING, fin=False)]),
            (1002, "a continuation of nothing", [frame(CONTINUATION)]),
            (1002, "a message within a message", [first, frame(BINARY)]),
            (1002, "a close with half a status", [frame(CLOSE, b"\x03")]),
            (1002, "a close with status 1005", [frame(CLOSE, b"\x03\xed")]),
            (1007, "a reason that is no UTF-8", [frame(CLOSE, b"\x03\xe8\xff")]),
            (1007, "text that is no UTF-8", [frame(TEXT, b"\xff\xfe")]),
            (1007, "text cut off", [frame(TEXT, b"\xe2\x82")]),
            (1009, "a message too long", [frame(BINARY, bytes(4097))]),
            (1009, "fragments too long", [first, frame(CONTINUATION, bytes(4096))]),
            (1009, "a message of 70 KB", [frame(BINARY, bytes(70000))]),
        )
        for status, what, frames in attacks:
            equal(close_of(daemon, *frames), status, what)
        for length, status in ((1 << 31, 1009), ((1 << 63) - 1, 1009), (1 << 63, 1002)):
            equal(close_of_length(daemon, length), status, f"a frame of {length} bytes")
        equal(counter(daemon, "protocol_errors"), 16, "counted")
        equal(counter(daemon, "messages_too_long"), 5, "counted")
        equal(daemon.health()["commands_passed"], 0, "none was heeded")


@case
def frames_right_behind_the_handshake_are_judged_too():
    with streaming() as (daemon, _), socket.create_connection(daemon.address) as connection:
        connection.settimeout(5)
        connection.sendall(
            b"GET /stream/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x82\x01x")
        answer = b""
        while b"\x88\x02\x03\xea" not in answer and (more := connection.recv(4096)):
            answer += more
        check(b"\x88\x02\x03\xea" in answer, "closed with 1002")


@case
def over_tls_and_unix_sockets_frames_are_judged_too():
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        cert, key = make_certificate(directory, "one.example")
        unix = directory / "socket"
        context = ssl.create_default_context(cafile=cert)
        context.check_hostname = False
        with simcastd("--tls-cert", cert, "--tls-key", key) as daemon:
            equal(close_of(daemon, (BINARY, b"x", {"mask": False}), tls=context), 1002, "TLS")
            equal(close_of(daemon, (PING, b"x", {}), (CLOSE, b"\x03\xe8", {}), tls=context), 1000,
                  "a good one over TLS")
        with streaming("--listen", f"127.0.0.1:0,unix:{unix}") as (daemon, _):
            equal(close_of(daemon, (BINARY, b"x", {"mask": False}), unix=unix), 1002, "unix")
            with daemon.connect(unix=unix) as client:
                check(client.receive(Video), "video over a unix socket")
                equal(status_of_pings(client), 1008, "a flood over a unix socket")


# TLS


def make_certificate(directory, name):
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-keyout", key, "-out", cert], check=True, stderr=subprocess.DEVNULL)
    return cert, key


def certificate_of(daemon):
    return ssl.get_server_certificate(daemon.address)


@case
def tls_serves_and_renews_its_certificate():
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        cert, key = make_certificate(directory, "one.example")
        with simcastd("--tls-cert", cert, "--tls-key", key) as daemon:
            first = certificate_of(daemon)
            equal(first.split(), cert.read_text().split(), "certificate")
            context = ssl.create_default_context(cafile=cert)
            context.check_hostname = False
            with context.wrap_socket(socket.create_connection(daemon.address)) as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                check(b" 200 " in connection.recv(1000), "answers over TLS")
            make_certificate(directory, "two.example")
            daemon.process.send_signal(signal.SIGHUP)
            check(wait_until(lambda: "reloaded all" in daemon.log), daemon.log)
            equal(certificate_of(daemon).split(), cert.read_text().split(), "renewed")
            second = certificate_of(daemon)
            check(first != second, "it is another one")
            key.write_text("nonsense\n")
            daemon.process.send_signal(signal.SIGHUP)
            check(wait_until(lambda: "reloaded in part" in daemon.log), daemon.log)
            check("former certificate stays in force" in daemon.log, daemon.log)
            equal(certificate_of(daemon), second, "the former stays")


def alpn(daemon, offer):
    """(what the server chose, how its answer begins)"""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(offer)
    with context.wrap_socket(socket.create_connection(daemon.address, timeout=5)) as connection:
        connection.sendall(with_header("X-Y: z").encode())
        return connection.selected_alpn_protocol(), connection.recv(8)


@case
def over_tls_it_speaks_nothing_newer_than_http_1():
    with tempfile.TemporaryDirectory() as name:
        cert, key = make_certificate(pathlib.Path(name), "one.example")
        with simcastd("--tls-cert", cert, "--tls-key", key) as daemon:
            equal(alpn(daemon, ["h2", "http/1.1"]), ("http/1.1", b"HTTP/1.1"), "h2 is turned down")
            equal(alpn(daemon, ["http/1.1"]), ("http/1.1", b"HTTP/1.1"), "http/1.1")
            equal(alpn(daemon, ["h2"])[0], None, "h2 alone")


@case
def beyond_this_machine_only_with_tokens_and_tls():
    with tempfile.TemporaryDirectory() as name, token_file() as tokens:
        cert, key = make_certificate(pathlib.Path(name), "one.example")
        tls = ("--tls-cert", cert, "--tls-key", key)
        for arguments, code in (((), 78), (("--token-file", tokens), 78), (tls, 78),
                                (("--tls-cert", cert), 78)):
            with simcastd("--listen", "0.0.0.0:0", *arguments, wait=False) as daemon:
                equal(daemon.wait(), code, f"{arguments}")
        with simcastd("--listen", "0.0.0.0:0", "--token-file", tokens, *tls) as daemon:
            check("warning" not in daemon.log, daemon.log)
        with simcastd("--tls-cert", key, "--tls-key", key, wait=False) as daemon:
            equal(daemon.wait(), 78, "no certificate")
            check("tls_cert" in daemon.log, daemon.log)
        tokens.chmod(0o644)
        with simcastd("--token-file", tokens, wait=False) as daemon:
            equal(daemon.wait(), 78, "a file for all")
            check("chmod" in daemon.log, daemon.log)


run_cases(__doc__)
