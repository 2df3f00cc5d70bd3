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
import subprocess
import tempfile
import time

from daemon_cases import armed, case, check, equal, run_cases, simcastd, streaming
from daemon_kit import wait_until
from ws import TEXT, Refused, Video

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


def status_of(daemon, **options):
    """101, or what the handshake is refused with."""
    try:
        daemon.connect(**options).drop()
        return 101
    except Refused as refused:
        return refused.status


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
        check(not any(t in daemon.log for t in (VIEWER, ADA, "wrong" * 5)), "a token was logged")


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
            equal(client.receive_message()[1:],
                  b'{"type":"auth","status":"ok","role":"viewer"}', "answer")
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
def tokens_that_are_taken_back_end_their_clients():
    with guarded() as (daemon, _), daemon.connect(headers=bearer(VIEWER)) as wall, \
            daemon.connect(headers=bearer(ADA)) as ada:
        daemon.tokens.write_text("nonsense\n")
        daemon.process.send_signal(signal.SIGHUP)
        check(wait_until(lambda: "stay in force" in daemon.log), daemon.log)
        check(wall.receive(Video), "a broken file changes nothing")
        daemon.tokens.write_text(f"operator ada {ADA}\n")
        daemon.process.send_signal(signal.SIGHUP)
        equal(wall.close_status(), 1008, "the viewer")
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


@case
def one_address_does_not_take_all():
    with streaming("--clients-per-address", 2) as (daemon, _), contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(daemon.connect())
        equal(status_of(daemon), 429, "third")


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
def commands_come_at_a_bounded_rate_but_stops_always():
    with streaming("--commands-per-s", 10) as (daemon, _), daemon.connect() as client:
        armed(daemon)
        for number in range(1, 101):
            client.send_command("pause", number, paused=True)
        equal(ack(client, 100)["detail"], "too many commands", "the last")
        for number in range(101, 201):
            client.send_command("estop", number)
        check(daemon.wait_health(lambda h: h["gate"] == "ESTOP"), "stop")
        health = daemon.health()
        check(80 <= health["commands_refused"] <= 95 + 100, f"{health}")


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


@case
def half_open_connections_do_not_lock_others_out():
    with streaming() as (daemon, _), contextlib.ExitStack() as stack:
        for _ in range(300):
            connection = stack.enter_context(socket.create_connection(daemon.address, timeout=9))
            connection.sendall(b"GET /stream/ws HTTP/1.1\r\nHost: localhost\r\nX-")
        began = time.monotonic()
        with daemon.connect() as client:
            check(client.receive(Video) and time.monotonic() - began < 2, "served")


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
            check(answer == b"" or b"HTTP/1.1 4" in answer, answer)
        equal(daemon.get("/healthz")[0], 200, "alive")


@case
def text_that_is_no_utf8_closes():
    with streaming() as (daemon, _), daemon.connect() as client:
        client.send_frame(TEXT, b"\xff\xfe")
        equal(client.close_status(), 1007, "close status")


@case
def reserved_opcodes_close():
    with streaming() as (daemon, _), daemon.connect() as client:
        client.send_frame(3, b"x")
        check(client.close_status() in (1002, None), "close status")


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
            check(wait_until(lambda: "reloaded" in daemon.log), daemon.log)
            equal(certificate_of(daemon).split(), cert.read_text().split(), "renewed")
            check(first != certificate_of(daemon), "it is another one")


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
