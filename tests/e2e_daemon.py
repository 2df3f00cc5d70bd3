#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""simcastd end to end: HTTP, video, the WebSocket protocol, start and stop.

  tests/e2e_daemon.py BUILDDIR [WORD]...

Each case starts its own simcastd, fed by a legacy frame slot or by simulator and encoder.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import urllib.request

from daemon_cases import (NATS_PORT, Stack, armed, case, check, check_order, equal, on_nats,
                          run_cases, simcastd, streaming)
from daemon_kit import Slot, free_port, h264_like, wait_until
from nats import NatsServer
from ws import (BINARY, CONTINUATION, H264, JPEG, PING, TEXT, Clock, FrameInfo, Refused, Telemetry,
                Video)

FIXED_PORT = free_port()


# HTTP


@case
def health_has_all_fields_and_null_age_before_the_first_frame():
    with simcastd() as daemon:
        status, headers, body = daemon.get("/health")
        health = json.loads(body)
        equal(status, 200, "status")
        equal(headers["content-type"], "application/json", "type")
        equal({name: health[name] for name in (
            "status", "clients", "shm_seq", "last_frame_age_ms", "frames_broadcast",
            "client_lag_total", "avg_frame_size_bytes")},
            {"status": "ok", "clients": 0, "shm_seq": 0, "last_frame_age_ms": None,
             "frames_broadcast": 0, "client_lag_total": 0, "avg_frame_size_bytes": 0}, "health")
        check(isinstance(health["uptime_s"], int), "uptime_s is a number")


@case
def health_counts_frames_and_clients():
    with streaming() as (daemon, slot), daemon.connect() as client:
        client.receive(Video)
        health = daemon.health()
        equal(health["clients"], 1, "clients")
        equal(health["avg_frame_size_bytes"], 512, "average size")
        check(abs(health["shm_seq"] - slot.sequence) <= 2, "shm_seq follows the slot")
        check(0 <= health["last_frame_age_ms"] < 500, "age of the newest frame")
        client.drop()
        check(daemon.wait_health(lambda health: health["clients"] == 0), "the client left")


@case
def healthz_lives_and_readyz_says_what_is_missing():
    with simcastd() as daemon:
        equal(daemon.get("/healthz")[0], 200, "/healthz")
        status, _, body = daemon.get("/readyz")
        equal(status, 503, "/readyz without a source")
        check("video source" in json.loads(body)["reasons"][0], "the reason")
        with Slot(daemon.slot_path) as slot:
            slot.play()
            check(wait_until(lambda: daemon.get("/readyz")[0] == 200), "/readyz with a source")


@case
def the_viewer_is_served_with_types_and_safe_headers():
    with tempfile.TemporaryDirectory() as web:
        files = {"index.html": "text/html; charset=utf-8", "a.js": "text/javascript; charset=utf-8",
                 "a.css": "text/css; charset=utf-8"}
        for name in files:
            pathlib.Path(web, name).write_text("x" * 100000 + name)
        pathlib.Path(web, "secret.key").write_text("no")
        os.symlink("/etc/passwd", pathlib.Path(web, "passwd.txt"))
        with simcastd("--web-dir", web) as daemon:
            for name, content_type in files.items():
                status, headers, body = daemon.get("/" + name)
                equal((status, headers["content-type"]), (200, content_type), name)
                equal(body.decode(), "x" * 100000 + name, name)
                equal(headers["cache-control"], "no-store", "cache")
                equal(headers["x-content-type-options"], "nosniff", "nosniff")
                check("default-src 'self'" in headers["content-security-policy"], "CSP")
            equal(daemon.get("/")[2], daemon.get("/index.html")[2], "GET /")
            equal(daemon.get("/a.js", method="HEAD")[2], b"", "HEAD")
            for path in ("/secret.key", "/passwd.txt", "/../secret.key", "/%2e%2e/passwd",
                         "//etc/passwd", "/none.js"):
                equal(daemon.get(path)[0], 404, path)
            equal(daemon.get("/a.js", method="DELETE")[0], 405, "DELETE")
            equal(daemon.get("/stream/ws")[0], 426, "no upgrade")


@case
def an_offer_of_http2_is_turned_down():
    with simcastd() as daemon:
        status, headers, _ = daemon.get("/health", headers={
            "Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c",
            "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA"})
        equal(status, 200, "status")
        check(headers["upgrade"] is None, "still HTTP/1.1")


@case
def pages_of_other_sites_cannot_connect():
    with simcastd("--allowed-origins", "https://a.example, http://b.example:81") as daemon:
        own = f"http://127.0.0.1:{daemon.port}"
        for origin in (own, "https://a.example", "http://b.example:81"):
            daemon.connect(headers={"Origin": origin}).drop()
        daemon.connect().drop()
        for origin in ("http://evil.example", "null", own + "1", "http://b.example",
                       f"http://127.0.0.1:{daemon.port}.evil.example"):
            try:
                daemon.connect(headers={"Origin": origin}).drop()
                raise AssertionError(f"{origin} got in")
            except Refused as refused:
                equal(refused.status, 403, origin)


@case
def a_handshake_that_never_ends_is_dropped():
    with simcastd() as daemon:
        silent, slow = (socket.create_connection(daemon.address, timeout=9) for _ in range(2))
        slow.sendall(b"GET /stream/ws HTTP/1.1\r\nHost: x\r\n")
        began = time.monotonic()
        for connection in (silent, slow):
            with connection:
                equal(connection.recv(1), b"", "closed")
        check(time.monotonic() - began < 8, "in time")


@case
def compression_is_never_agreed_to():
    with simcastd() as daemon:
        offer = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
        daemon.connect(headers=offer).drop()  # WebSocket() raises when it is


@case
def other_paths_are_no_websocket():
    with simcastd() as daemon:
        try:
            daemon.connect(path="/elsewhere").drop()
            raise AssertionError("connected")
        except Refused as refused:
            equal(refused.status, 404, "status")


# video


@case
def a_silent_client_gets_the_slots_bytes_after_its_delay():
    with streaming() as (daemon, _):
        began = time.monotonic()
        with daemon.connect() as client:
            equal(client.bytes_with_answer, 0, "bytes together with the 101")
            video = client.receive(Video)
            check(video.received - began >= 0.09, f"video after {video.received - began:.3f} s")
            check(video.received - began < 1, f"video after {video.received - began:.3f} s")
            equal(video.payload, struct.pack("<Q", video.frame_seq) * 64, "payload")
            equal((video.frame_id, video.codec, video.flags, video.reserved),
                  (video.frame_seq + 7, JPEG, 1, 0), "header")


@case
def a_client_that_speaks_is_served_at_once():
    with streaming(fps=200) as (daemon, _), daemon.connect() as client:
        client.send(b"\x03{}")
        began = time.monotonic()
        video = client.receive(Video)
        check(video.received - began < 0.08, f"video after {video.received - began:.3f} s")


@case
def h264_starts_at_a_keyframe_and_stays_in_order():
    with streaming(make=h264_like(10)) as (daemon, _), daemon.connect() as client:
        videos = [m for m in client.receive_all(2) if isinstance(m, Video)]
        check_order(videos)
        check(len(videos) > 20, f"{len(videos)} frames in 2 s")


@case
def a_gap_in_the_slot_is_bridged_to_the_next_keyframe():
    with simcastd() as daemon, Slot(daemon.slot_path) as slot, daemon.connect() as client:
        def write(**options):
            frames = daemon.health()["frames_broadcast"]
            slot.write(codec=H264, **options)
            check(daemon.wait_health(lambda h: h["frames_broadcast"] > frames), "not taken")
        time.sleep(0.2)  # the slot's first look and the client's delay are over
        first = slot.frame_seq + 1
        write(keyframe=True)
        write(keyframe=False)
        write(keyframe=False, gap=3)
        write(keyframe=False)
        write(keyframe=True)
        write(keyframe=False)
        videos = [m for m in client.receive_all(0.3) if isinstance(m, Video)]
        equal([v.frame_seq - first for v in videos], [0, 1, 7, 8], "frames")


@case
def a_stalled_reader_hurts_nobody():
    payload = os.urandom(100000)
    make = lambda number: {"payload": struct.pack("<Q", number) + payload}
    with streaming(make=make) as (daemon, _), contextlib.ExitStack() as stack:
        good = stack.enter_context(daemon.connect(subprotocols=["simcast.v2"]))
        stalled = [stack.enter_context(daemon.connect(receive_buffer=4096)) for _ in range(30)]
        good.receive_all(1)
        before = daemon.memory_bytes()
        messages = good.receive_all(4)
        videos = [m for m in messages if isinstance(m, Video)]
        check_order(videos)
        missed = sum(m.missed for m in messages if isinstance(m, FrameInfo))
        check(missed <= len(videos) // 20, f"the good client missed {missed} of {len(videos)}")
        grown = daemon.memory_bytes() - before
        check(grown < 8 << 20, f"memory grew by {grown} bytes")
        check(daemon.health()["client_lag_total"] > 30 * 50, "the others' loss is counted")
        again = [m for m in stalled[0].receive_all(1) if isinstance(m, Video)]
        check_order(again)
        check(again[-1].frame_seq > videos[-1].frame_seq, "the stalled one goes on with new frames")


@case
def a_slow_h264_reader_resumes_at_keyframes():
    make = lambda number: {"payload": os.urandom(60000), "codec": H264,
                           "keyframe": number % 20 == 0}
    with streaming(make=make, fps=100) as (daemon, _), \
            daemon.connect(receive_buffer=4096) as client:
        videos = []
        for _ in range(12):
            videos += [m for m in client.receive_all(0.1) if isinstance(m, Video)]
            time.sleep(0.2)  # does not read: this is what is tested
        check_order(videos)
        seqs = [v.frame_seq for v in videos]
        check(seqs[-1] - seqs[0] + 1 > len(seqs), "it was never too slow; the case proves nothing")


@case
def a_frame_that_lay_there_before_is_not_live():
    with tempfile.TemporaryDirectory() as directory, Slot(f"{directory}/frames") as slot:
        slot.write()
        with simcastd(directory=directory) as daemon, daemon.connect() as client:
            equal(client.receive_all(0.5), [], "messages")
            equal(daemon.health()["gate"], "HOLD", "gate")
            seq = slot.write()
            equal(client.receive(Video).frame_seq, seq, "the next frame")


@case
def a_garbled_slot_is_survived():
    with streaming() as (daemon, slot), daemon.connect() as client:
        client.receive(Video)
        slot.pause()
        for length in (0, 31, 1 << 40, (1 << 64) - 1, slot.size):
            slot.memory[8:16] = struct.pack("<Q", length)
            slot.sequence += 1
            slot.memory[0:8] = struct.pack("<Q", slot.sequence)
            check(daemon.wait_health(lambda h: h["shm_seq"] == slot.sequence), "not looked at")
        os.truncate(slot.path, 10)
        slot.path.unlink()
        equal(daemon.get("/healthz")[0], 200, "alive")
        with Slot(daemon.slot_path) as new:
            new.frame_seq = slot.frame_seq + 100
            new.play()
            check(client.receive(Video, where=lambda v: v.frame_seq > slot.frame_seq + 100),
                  "video from the replaced file")
        check(daemon.health()["packets_malformed"] >= 4, "garbage is counted")


# video over plain HTTP


def jpeg_like(number):
    return {"payload": b"\xff\xd8" + struct.pack("<Q", number) * 2000 + b"\xff\xd9"}


@case
def a_snapshot_is_the_newest_picture():
    with streaming(make=jpeg_like) as (daemon, _):
        for path in ("/snapshot", "/?action=snapshot"):
            status, headers, body = daemon.get(path)
            equal((status, headers["content-type"]), (200, "image/jpeg"), path)
            equal((body[:2], body[-2:], len(body)), (b"\xff\xd8", b"\xff\xd9", 16004), path)
        equal(daemon.get("/snapshot", method="HEAD")[0], 200, "HEAD")
        check(daemon.wait_health(lambda h: h["clients"] == 0), "they left")


@case
def mjpeg_plays_in_every_reader_of_multipart():
    with streaming(make=jpeg_like) as (daemon, _):
        for path in ("/stream", "/?x=1&action=stream"):
            answer = urllib.request.urlopen(f"http://127.0.0.1:{daemon.port}{path}", timeout=5)
            with answer:
                check("boundary=simcast-frame" in answer.headers["content-type"], "type")
                numbers = []
                for _ in range(10):
                    while (line := answer.readline()) != b"--simcast-frame\r\n":
                        equal(line, b"\r\n", "between the parts")
                    part = {}
                    while (line := answer.readline().strip()):
                        name, _, value = line.partition(b": ")
                        part[name.lower()] = value
                    body = answer.read(int(part[b"content-length"]))
                    equal((body[:2], body[-2:]), (b"\xff\xd8", b"\xff\xd9"), "a whole picture")
                    numbers.append(struct.unpack_from("<Q", body, 2)[0])
                equal(numbers, sorted(set(numbers)), "in order")
        check(daemon.wait_health(lambda h: h["clients"] == 0), "they left")


@case
def a_slow_mjpeg_reader_gets_whole_pictures():
    make = lambda number: {"payload": b"\xff\xd8" + struct.pack("<Q", number) * 20000}
    with streaming(make=make, fps=60) as (daemon, _), \
            socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(daemon.address)
        reader.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        file = reader.makefile("rb")
        numbers = []
        while len(numbers) < 6:
            while file.readline() != b"--simcast-frame\r\n":
                pass
            length = 0
            while (line := file.readline().strip()):
                length = int(line.split(b" ")[1]) if line.startswith(b"Content-Length") else length
            body = file.read(length)
            number = struct.unpack_from("<Q", body, 2)[0]
            equal(body, b"\xff\xd8" + struct.pack("<Q", number) * 20000, "whole and untorn")
            numbers.append(number)
            time.sleep(0.2)  # does not read: this is what is tested
        equal(numbers, sorted(set(numbers)), "in order")
        check(numbers[-1] - numbers[0] > 20, f"skipped too few: {numbers}")


@case
def who_talks_into_a_stream_is_hung_up_on():
    with streaming(make=jpeg_like) as (daemon, _), socket.create_connection(daemon.address) as one:
        one.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        check(one.recv(100), "video")
        one.sendall(b"x")
        check(daemon.wait_health(lambda h: h["clients"] == 0, 2), "hung up on")


@case
def raw_h264_starts_at_a_keyframe():
    make = lambda number: {"payload": b"\0\0\0\1" + bytes([number % 10]) * 5, "codec": H264,
                           "keyframe": number % 10 == 0}
    with streaming(make=make) as (daemon, _), \
            urllib.request.urlopen(f"http://127.0.0.1:{daemon.port}/video.h264") as answer:
        equal(answer.headers["content-type"], "video/h264", "type")
        body = answer.read(9 * 25)
        equal([body[at] for at in range(4, len(body), 9)], [n % 10 for n in range(25)], "units")


@case
def what_is_not_encoded_is_refused_with_a_reason():
    with streaming(make=h264_like(10)) as (daemon, _):
        status, headers, body = daemon.get("/stream")
        equal((status, headers["content-type"]), (503, "text/plain; charset=utf-8"), "status")
        check(b"encoded as h264" in body and b"needs jpeg" in body, body)


@case
def a_codec_that_nobody_else_watches_is_encoded_on_demand():
    only = ("--rendition", "jpeg=none", "--rendition", "h264=none")
    with Stack(encoder_arguments=only) as stack:
        daemon = stack.daemon
        status, headers, body = daemon.get("/snapshot")
        equal((status, body[:3]), (200, b"\xff\xd8\xff"), "a JPEG of an encoder set to H.264")
        check(0 <= int(headers["x-simcast-age-ms"]) < 1000, "age")
        with daemon.connect() as client:
            check(client.receive(Video, where=lambda v: v.codec == H264), "H.264 is back")
            equal(daemon.get("/snapshot")[0], 503, "while others watch H.264")
            with urllib.request.urlopen(f"http://127.0.0.1:{daemon.port}/video.h264") as answer:
                equal(answer.read(4), b"\0\0\0\1", "but H.264 can be had")


@case
def a_picture_that_never_comes_is_an_error():
    with simcastd() as daemon:
        began = time.monotonic()
        equal(urllib_status(daemon, "/snapshot"), 503, "status")
        check(4 < time.monotonic() - began < 7, "in 5 s")


def urllib_status(daemon, path):
    with socket.create_connection(daemon.address, timeout=9) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return int(connection.recv(4096).split(b" ")[1])


@case
def the_api_tells_of_streams_and_clients():
    with streaming(make=jpeg_like) as (daemon, _), \
            daemon.connect(subprotocols=["simcast.v2"]) as client:
        client.receive(Video)
        stream = json.loads(daemon.get("/api/v1/streams")[2])["streams"][0]
        equal((stream["name"], stream["source"], stream["codec"], stream["clients"]),
              ("front", "legacy", "jpeg", 1), "stream")
        check(0 <= stream["last_frame_age_ms"] < 1000, "age")
        one, = json.loads(daemon.get("/api/v1/clients")[2])["clients"]
        equal((one["kind"], one["address"], one["missed"]), ("simcast.v2", "127.0.0.1", 0),
              "client")
        check(one["frames"] >= 1 and one["bytes"] == one["frames"] * 16004, f"{one}")


@case
def prometheus_finds_no_fault_in_the_metrics():
    with Stack() as stack, stack.daemon.connect() as client:
        client.receive(Video)
        status, headers, page = stack.daemon.get("/metrics")
        equal(status, 200, "status")
        check("version=0.0.4" in headers["content-type"], "type")
        values = dict(line.rsplit(" ", 1) for line in page.decode().splitlines()
                      if not line.startswith("#"))
        check(float(values["simcast_frames_delivered_total"]) >= 1, "delivered")
        equal(values["simcast_clients"], "1", "clients")
        for stage in ("wait", "encode", "publish", "wake", "fanout"):
            check(int(values[f'simcast_stage_seconds_count{{stream="front",stage="{stage}"}}'])
                  >= 1, stage)
        if shutil.which("promtool"):
            judged = subprocess.run(["promtool", "check", "metrics"], input=page,
                                    capture_output=True, check=False)
            equal((judged.returncode, judged.stderr), (0, b""), "promtool")
        else:
            print("skip promtool is missing; install the package prometheus", flush=True)


@case
def who_joins_while_the_video_is_away_is_told():
    with streaming() as (daemon, slot):
        armed(daemon)
        slot.pause()
        check(daemon.wait_health(lambda h: h["gate"] == "HOLD"), "hold")
        with daemon.connect() as client:
            equal(client.telemetry("telemetry.safety.video_gate").json["gated"], True, "told")


# the ring


@case
def the_rings_frames_carry_their_stamps():
    with Stack() as stack, stack.daemon.connect(subprotocols=["simcast.v2"]) as client:
        messages = [client.receive(Video)] + client.receive_all(2)
        videos = [m for m in messages if isinstance(m, Video)]
        infos = [m for m in messages if isinstance(m, FrameInfo)]
        check_order(videos)
        check(len(videos) > 30, f"{len(videos)} frames in 2 s")
        for info in infos:
            _, published, begin, end, packet, sent = info.stamps_ns
            check(0 < published <= begin <= end <= packet <= sent, f"stamps {info.stamps_ns}")
        published_us = {i.frame_seq: i.stamps_ns[1] // 1000 & 0xffffffff for i in infos}
        equal([v.reserved for v in videos if v.frame_seq in published_us],
              [published_us[v.frame_seq] for v in videos if v.frame_seq in published_us],
              "reserved is the time of publishing")
        stats = [m.json for m in messages
                 if isinstance(m, Telemetry) and m.subject == "telemetry.frame.stats"]
        check(1 <= len(stats) <= 3, f"{len(stats)} frame.stats in 2 s")
        equal(stats[0]["codec"], "h264", "codec")
        check(stats[0]["encode_ms"] > 0 and stats[0]["frame_bytes"] > 0, f"{stats[0]}")
        equal(stack.daemon.health()["source"], "ring", "source")
        equal(stack.daemon.health()["gate"], "ARMED", "gate")


@case
def nobody_watching_means_nothing_is_encoded():
    with Stack() as stack:
        check(wait_until(lambda: stack.daemon.health()["source"] == "ring"), "attached")
        equal(stack.daemon.health()["frames_broadcast"], 0, "frames before the first client")
        with stack.daemon.connect() as client:
            client.receive(Video)
        check(stack.daemon.wait_health(lambda h: h["clients"] == 0), "left")
        check(stack.daemon.wait_health(lambda h: h["last_frame_age_ms"] > 500), "frames still come")
        equal(stack.daemon.health()["gate_reason"], "no_viewer", "gate")
        with stack.daemon.connect() as client:
            check(client.receive(Video).keyframe, "video again")


@case
def a_clients_settings_reach_the_encoder():
    with Stack() as stack, stack.daemon.connect() as client:
        equal(client.receive(Video).codec, H264, "at start")
        client.send_command("settings", 1, codec="jpeg", jpeg_quality=30)
        low = client.receive(Video, where=lambda v: v.codec == JPEG)
        equal(low.payload[:2], b"\xff\xd8", "a JPEG")
        client.send_command("settings", 2, jpeg_quality=95)
        check(client.receive(Video, where=lambda v: v.size > 1.3 * low.size), "better pictures")
        client.send_command("settings", 3, codec="h264")
        check(client.receive(Video, where=lambda v: v.codec == H264).keyframe, "starts at an IDR")


@case
def video_is_back_within_two_seconds_after_any_kill():
    with Stack() as stack:
        client = stack.daemon.connect()
        last = client.receive(Video)
        for name in ("encoder", "sim"):
            stack.kill(name)
            client.receive_all(0.3)
            stack.start(name)
            began = time.monotonic()
            last = client.receive(Video, 3, lambda v, seq=last.frame_seq: v.frame_seq > seq + 30)
            check(last.received - began < 2, f"{name}: back after {last.received - began:.2f} s")
        stack.restart_daemon()
        client.drop()
        began = time.monotonic()
        with stack.daemon.connect() as client:
            video = client.receive(Video)
            check(video.keyframe and video.received - began < 2, "simcastd")


# the protocol


@case
def pings_are_answered_between_frames():
    with streaming(make=lambda n: {"payload": os.urandom(200000)}) as (daemon, _), \
            daemon.connect() as client:
        client.receive(Video)
        for number in range(20):
            client.send_frame(PING, b"ping %d" % number)
            client.receive(Video)
        wait_until(lambda: client.receive(Video) and len(client.pongs) >= 20, 2)
        equal(client.pongs, [b"ping %d" % n for n in range(20)], "pongs")


@case
def odd_messages_are_counted_and_the_connection_stays():
    with streaming() as (daemon, _), daemon.connect() as client:
        client.send_frame(TEXT, b"hello")
        for message in (b"", b"\x00", b"\x01x", b"\x02", b"\x03{}", b"\x06short", b"\xff" * 100):
            client.send(message)
        check(client.receive(Video), "video goes on")
        check(daemon.wait_health(lambda h: h["messages_ignored"] >= 7), "counted")


@case
def a_message_over_4_kib_closes_with_1009():
    with streaming() as (daemon, _):
        with daemon.connect() as client:
            client.send(b"\x04" + b" " * 4096)
            equal(client.close_status(), 1009, "one frame")
        with daemon.connect() as client:
            client.send_frame(BINARY, b"\x04" + b" " * 3000, fin=False)
            client.send_frame(CONTINUATION, b" " * 3000)
            equal(client.close_status(), 1009, "fragments")
        with daemon.connect() as client:
            client.send(b"\x04" + b"{" * 4095)
            ack = client.telemetry("telemetry.command.ack")
            equal(ack.json["status"], "error", "4 KiB are read")


@case
def fragments_make_one_message():
    with on_nats("command.genesis.pause") as (daemon, _, nats, _server), \
            daemon.connect() as client:
        message = b'\x04{"action":"pause","cmd_seq":3,"data":{"paused":true}}'
        client.send_frame(BINARY, message[:10], fin=False)
        client.send_frame(PING, b"in between")
        client.send_frame(CONTINUATION, message[10:20], fin=False)
        client.send_frame(CONTINUATION, message[20:])
        equal(nats.receive("command.genesis.pause")[1], message[1:], "payload")


@case
def only_v2_clients_get_v2_messages():
    with streaming() as (daemon, _), daemon.connect(subprotocols=["simcast.v2"]) as v2, \
            daemon.connect(subprotocols=["other", "simcast.v1"]) as named, daemon.connect() as v1:
        equal((v2.subprotocol, named.subprotocol, v1.subprotocol),
              ("simcast.v2", "simcast.v1", None), "subprotocols")
        v2.send_clock(123456789)
        v1.send_clock(1)
        messages = v2.receive_all(1)
        clocks = [m for m in messages if isinstance(m, Clock)]
        equal([c.client_time for c in clocks], [123456789], "clock replies")
        check(abs(clocks[0].server_time_ns / 1e9 - time.monotonic()) < 5, "server time")
        pictures = [m for m in messages if isinstance(m, (FrameInfo, Video))]
        check(len(pictures) > 20, "video")
        for info, video in zip(pictures[0::2], pictures[1::2]):
            check(isinstance(info, FrameInfo) and isinstance(video, Video), "info before video")
            equal(info.frame_seq, video.frame_seq, "frame_seq")
            check(info.stamps_ns[5] > 0, "sent stamp")
        for client in (v1, named):
            check({type(m) for m in client.receive_all(0.5)} == {Video}, "v1 gets video only")


@case
def a_missed_frame_is_told_to_v2_clients():
    make = lambda number: {"payload": os.urandom(100000)}
    with streaming(make=make, fps=60) as (daemon, _), \
            daemon.connect(subprotocols=["simcast.v2"], receive_buffer=4096) as client:
        client.receive(Video)
        time.sleep(1)  # does not read: this is what is tested
        pictures = [m for m in client.receive_all(1) if isinstance(m, (FrameInfo, Video))]
        last = None
        told = 0
        for info, video in zip(pictures[0::2], pictures[1::2]):
            equal(info.frame_seq, video.frame_seq, "pairs")
            if last is not None:
                equal(info.missed, video.frame_seq - last - 1, "missed")
                told += info.missed
            last = video.frame_seq
        check(told > 10, f"only {told} were missed; the case proves nothing")


# start, stop, faults


@case
def sigterm_says_goodbye_and_leaves_nothing():
    for number in (signal.SIGTERM, signal.SIGINT):
        with streaming() as (daemon, slot), daemon.connect() as client, \
                daemon.connect(receive_buffer=4096):
            client.receive(Video)
            began = time.monotonic()
            daemon.process.send_signal(number)
            equal(client.close_status(), 1001, "close status")
            equal(daemon.wait(), 0, "exit code")
            check(time.monotonic() - began < 3, "stops soon")
            slot.pause()
            equal([p.name for p in daemon.directory.iterdir()], ["frames"], "left behind")


def fails(code, words, *arguments, **options):
    with simcastd(*arguments, wait=False, **options) as daemon:
        equal(daemon.wait(), code, f"exit code of {arguments}")
        errors = [line for line in daemon.lines if "error" in line]
        equal(len(errors), 1, f"sentences: {daemon.lines}")
        for word in words:
            check(word in errors[0], f"'{word}' is not in: {errors[0]}")


@case
def what_cannot_start_says_why():
    with tempfile.TemporaryDirectory() as directory:
        config = pathlib.Path(directory, "c.yaml")
        fails(78, ["none.yaml"], "--config", f"{directory}/none.yaml")
        config.write_text("listen: 127.0.0.1:0\nvideo:\n  sauce: ring\n")
        fails(78, ["c.yaml:3:", "sauce"], "--config", config)
        config.write_text("gate:\n  hold_ms: soon\n")
        fails(78, ["c.yaml:2:", "gate.hold_ms", "whole number"], "--config", config)
        fails(78, ["0.0.0.0", "--insecure"], "--listen", "0.0.0.0:0")
        fails(78, ["--nonsense"], "--nonsense")
        fails(78, ["web_dir"], "--web-dir", f"{directory}/none")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", FIXED_PORT))
            taken.listen()
            fails(1, [str(FIXED_PORT), "in use", "--listen"], port=FIXED_PORT)
        with simcastd(directory=directory):
            fails(1, ["another simcastd", directory], directory=directory)
        fails(1, ["/proc/none"], "--bus", "ipc:///proc/none")


@case
def check_config_validates_and_exits():
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write("video:\n  source: ring\n")
        config.flush()
        with simcastd("--check-config", "--config", config.name, wait=False) as daemon:
            equal(daemon.wait(), 0, "exit code")
    fails(78, ["stream"], "--check-config", "--stream", "a/b")


@case
def insecure_is_allowed_with_a_warning():
    with simcastd("--listen", "0.0.0.0:0", environment={"SIMCAST_INSECURE": "1"}) as daemon:
        check("warning" in daemon.log and "0.0.0.0" in daemon.log, daemon.log)
        equal(daemon.get("/healthz")[0], 200, "serves")


@case
def a_missing_nats_is_waited_for():
    with streaming("--bus", f"nats://127.0.0.1:{NATS_PORT}") as (daemon, _), \
            daemon.connect() as client:
        check(client.receive(Video), "video flows without a bus")
        equal(daemon.health()["bus"], "connecting", "bus")
        with NatsServer(NATS_PORT):
            check(daemon.wait_health(lambda h: h["bus"] == "connected", 15), "connected")


@case
def the_replaced_services_variables_work():
    with tempfile.TemporaryDirectory() as directory:
        environment = {"SDR_SHM_KEYFRAME_GATING": "false", "SDR_IDR_COALESCE_MS": "100",
                       "SDR_CRC_ENABLED": "false", "SDR_IDR_TIMEOUT_MS": "5000"}
        with simcastd(environment=environment, directory=directory) as daemon, \
                Slot(daemon.slot_path) as slot, daemon.connect() as client:
            slot.play(make=lambda number: {"crc": False})
            check(client.receive(Video), "video")


@case
def systemd_hears_of_it():
    with tempfile.TemporaryDirectory() as directory, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        path = f"{directory}/notify"
        notify.bind(path)
        notify.settimeout(5)
        with simcastd(environment={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "600000"}) as daemon:
            def hear(word):
                while word not in (said := notify.recv(4096).decode()):
                    pass
                return said
            hear("READY=1")
            first = hear("WATCHDOG=1") and time.monotonic()
            check(hear("WATCHDOG=1") and time.monotonic() - first < 0.35, "pings come often enough")
            check("clients" in hear("STATUS="), "status")
            daemon.process.send_signal(signal.SIGTERM)
            hear("STOPPING=1")


run_cases(__doc__)
