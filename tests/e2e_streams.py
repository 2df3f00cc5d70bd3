#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many streams through one simcastd: e2e_streams.py BUILDDIR [WORD]...

Packet rings come and go while it runs, a viewer watches several of them on one socket, and programs
get theirs over HTTP in the codec that they need.
"""
import contextlib
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import daemon_cases
from daemon_cases import Stack, case, check, equal, run_cases, simcastd
from daemon_kit import wait_until
from packet_ring import PacketRing
from ws import H264, JPEG, FrameInfo, Metadata, Video

V2 = {"subprotocols": ["simcast.v2"]}
NO_DEFAULT = {**V2, "path": "/stream/ws?default=0"}


def ring(daemon, name, **options):
    return PacketRing(daemon_cases.build, daemon.directory, name, **options)


def streams(daemon):
    """name -> what /api/v1/streams says."""
    listed = json.loads(daemon.get("/api/v1/streams")[2])["streams"]
    return {stream["name"]: stream for stream in listed}


def serves(daemon, *names):
    """Waits until these and no others are live."""
    def live():
        return {name for name, stream in streams(daemon).items() if stream["live"]}
    check(wait_until(lambda: live() == set(names)), f"expected {names}, live are {live()}")


def frames_of(client, seconds):
    """stream id -> [(Video, FrameInfo), ...] of the next seconds."""
    found = {}
    pending = None
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        try:
            message = client.receive(seconds=left)
        except TimeoutError:
            break
        if isinstance(message, FrameInfo):
            pending = message
        elif isinstance(message, Video):
            check(pending and pending.frame_seq == message.frame_seq,
                  "a frame without its FRAME_INFO")
            found.setdefault(pending.stream, []).append((message, pending))
            pending = None
    return found


@case
def streams_come_and_go_while_it_runs():
    with simcastd() as daemon, daemon.connect(**V2) as client:
        equal([one["stream"] for one in client.told("streams")["streams"]], ["front"], "at first")
        with ring(daemon, "arm"), ring(daemon, "arm+preview"):
            serves(daemon, "arm", "arm+preview")
            told = client.told("streams", where=lambda told: sum(
                one["live"] for one in told["streams"]) == 2)
            equal([(one["stream"], one["rendition"]) for one in told["streams"]][0],
                  ("front", ""), "the default stream stays first")
            equal({(one["stream"], one["rendition"]) for one in told["streams"] if one["live"]},
                  {("arm", ""), ("arm", "preview")}, "the set")
            with ring(daemon, "front"):
                serves(daemon, "front", "arm", "arm+preview")
        serves(daemon)
        told = client.told("streams", where=lambda told: len(told["streams"]) == 1)
        equal(told["streams"][0]["id"], 0, "what is left")


@case
def the_directory_may_be_missing_and_be_made_anew():
    parent = pathlib.Path(tempfile.mkdtemp(prefix="simcast-e2e-"))
    directory = parent / "ipc"
    directory.mkdir()
    (parent / "bus").mkdir()
    try:
        with simcastd("--bus", f"ipc://{parent}/bus", directory=directory) as daemon:
            with ring(daemon, "arm"):
                serves(daemon, "arm")
            shutil.rmtree(directory)
            serves(daemon)
            directory.mkdir()
            with ring(daemon, "leg"):
                serves(daemon, "leg")
                directory.rename(parent / "elsewhere")
                directory.mkdir()
                with ring(daemon, "hip"):
                    check(wait_until(lambda: "hip" in streams(daemon)), "not seen in the new one")
    finally:
        shutil.rmtree(parent, ignore_errors=True)


@case
def a_producer_that_dies_is_forgotten_and_found_again():
    with simcastd() as daemon:
        program = ("import sys, pathlib, time; sys.path.insert(0, sys.argv[3]);"
                   "from packet_ring import PacketRing;"
                   "PacketRing(pathlib.Path(sys.argv[1]), sys.argv[2], 'arm');"
                   "print('up', flush=True); time.sleep(60)")
        command = ["python3", "-c", program, daemon_cases.build, daemon.directory,
                   pathlib.Path(__file__).parent]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as producer:
            equal(producer.stdout.readline(), "up\n", "the producer")
            serves(daemon, "arm")
            producer.kill()
        check((daemon.directory / "arm.packets").exists(), "a killed producer leaves its socket")
        check(wait_until(lambda: "arm" not in streams(daemon)), "still listed")
        with ring(daemon, "arm"):
            serves(daemon, "arm")


@case
def their_number_is_bounded_and_said():
    with simcastd() as daemon, contextlib.ExitStack() as stack:
        for number in range(66):
            stack.enter_context(ring(daemon, f"cam{number}", bytes_max=4096))
        check(wait_until(lambda: "is passed over: 64 streams" in daemon.log), "nothing was said")
        equal(len(streams(daemon)), 65, "the default one and 64")
        equal(daemon.log.count("is passed over"), 1, "said once")


@case
def nobody_watching_means_not_wanted():
    with simcastd() as daemon, ring(daemon, "arm") as arm, daemon.connect(**V2) as client:
        serves(daemon, "arm")
        check(not arm.wanted, "wanted by nobody")
        arm.play(always=True)  # as if another program watched
        client.ask("subscribe", stream="arm")
        number = client.told("subscribed")["id"]
        check(wait_until(lambda: arm.wanted), "not wanted")
        client.ask("pause", id=number, paused=True)
        check(wait_until(lambda: not arm.wanted), "wanted in a pause")
        client.ask("pause", id=number, paused=False)
        check(wait_until(lambda: arm.wanted), "not wanted after the pause")
        client.ask("unsubscribe", id=number)
        check(wait_until(lambda: not arm.wanted), "wanted after the last one left")
        client.ask("subscribe", stream="arm")
        check(wait_until(lambda: arm.wanted), "not wanted again")
        client.drop()
        check(wait_until(lambda: not arm.wanted), "wanted by one who hung up")


@case
def two_cameras_and_three_renditions_on_one_socket():
    with simcastd() as daemon, contextlib.ExitStack() as stack:
        names = {"front": H264, "front+preview": JPEG, "arm": JPEG}
        for name, codec in names.items():
            stack.enter_context(ring(daemon, name, codec=codec)).play()
        serves(daemon, *names)
        client = stack.enter_context(daemon.connect(**V2))
        for camera, rendition in (("front", "preview"), ("arm", "")):
            client.ask("subscribe", stream=camera, rendition=rendition)
        ids = {}
        while len(ids) < 2:
            told = client.told("subscribed")
            ids[told["stream"], told["rendition"]] = told["id"]
        found = frames_of(client, 2)
        equal(set(found), {0, ids["front", "preview"], ids["arm", ""]}, "streams that came")
        for number, expected in ((0, H264), (ids["front", "preview"], JPEG), (ids["arm", ""], JPEG)):
            frames = [frame for frame, _ in found[number]]
            check(len(frames) > 20, f"stream {number}: {len(frames)} frames in 2 s")
            equal({frame.codec for frame in frames}, {expected}, "codec")
            equal([frame.frame_seq for frame in frames],
                  list(range(frames[0].frame_seq, frames[0].frame_seq + len(frames))),
                  "frames of one stream in order")
            check(frames[0].keyframe, "it starts on a keyframe")
            info = found[number][0][1]
            equal(info.sim_time_ns, info.frame_seq * 1000, "simulation time")
            check(all(stamp > 0 for stamp in info.stamps_ns), "stage stamps")
        (one,) = json.loads(daemon.get("/api/v1/clients")[2])["clients"]
        equal({stream["name"] for stream in one["streams"]}, set(names), "the client's streams")
        check(all(stream["frames"] > 0 for stream in one["streams"]), "its counts")
        listed = streams(daemon)
        for name, codec in names.items():
            equal((listed[name]["codec"], listed[name]["wanted"], listed[name]["clients"]),
                  ("h264" if codec == H264 else "jpeg", True, 1), name)
            check(listed[name]["fps"] > 20 and listed[name]["width"] == 64, name)


@case
def the_default_stream_may_be_declined():
    with simcastd() as daemon, ring(daemon, "front") as front, \
            ring(daemon, "arm") as arm, daemon.connect(**NO_DEFAULT) as client:
        serves(daemon, "front", "arm")
        front.play(always=True)
        arm.play()
        client.ask("subscribe", stream="arm")
        number = client.told("subscribed")["id"]
        equal(set(frames_of(client, 0.5)), {number}, "streams that came")
        check(not front.wanted, "the default stream is wanted by nobody")
        client.ask("subscribe")
        equal(client.told("subscribed")["id"], 0, "the default stream's id")
        check(wait_until(lambda: front.wanted), "not wanted")
        client.ask("unsubscribe", id=0)
        client.told("unsubscribed")
        equal(set(frames_of(client, 0.5)), {number}, "nothing after the answer")
        check(wait_until(lambda: not front.wanted), "still wanted")


@case
def metadata_comes_to_who_asked_for_it():
    pose = b'{"camera_pose":[1,2,3,0,0,0,1]}'
    with simcastd() as daemon, ring(daemon, "arm") as arm, daemon.connect(**NO_DEFAULT) as asks, \
            daemon.connect(**NO_DEFAULT) as other:
        serves(daemon, "arm")
        arm.play(make=lambda number: {"metadata": (pose, b"", b"\0\xff" * 512)[number % 3]})
        asks.ask("subscribe", stream="arm", metadata=True)
        other.ask("subscribe", stream="arm")
        number = asks.told("subscribed")["id"]
        sizes = set()
        for _ in range(6):
            message = asks.receive(Metadata)
            equal(message.stream, number, "stream")
            check(message.payload in (pose, b"\0\xff" * 512), "as the simulator wrote it")
            sizes.add(len(message.payload))
            info = asks.receive(FrameInfo)
            equal(info.frame_seq, message.frame_seq, "right before its frame")
            equal(asks.receive(Video).frame_seq, message.frame_seq, "the frame")
        equal(sizes, {len(pose), 1024}, "short and long")
        check(not any(isinstance(one, Metadata) for one in other.receive_all(0.3)),
              "it came to one who did not ask")


@case
def a_pause_ends_with_a_keyframe_and_counts_nothing_as_missed():
    with simcastd() as daemon, ring(daemon, "arm", codec=H264) as arm, \
            daemon.connect(**NO_DEFAULT) as client, daemon.connect(**NO_DEFAULT) as other:
        serves(daemon, "arm")
        arm.play()
        for one in (client, other):
            one.ask("subscribe", stream="arm")
            one.receive(Video)
        number = 1
        client.ask("pause", id=number, paused=True)
        equal(client.told("paused")["paused"], True, "the answer")
        paused_at = arm.frame_seq
        equal(frames_of(client, 0.5), {}, "frames in a pause")
        passed = arm.frame_seq - paused_at
        client.ask("pause", id=number, paused=False)
        client.told("paused")
        info = client.receive(FrameInfo)
        check(passed > 5 and info.frame_seq - paused_at - info.missed >= passed,
              f"{info.missed} missed until {info.frame_seq}, {passed} passed from {paused_at} on")
        check(client.receive(Video).keyframe, "it goes on in the middle")


@case
def a_keyframe_may_be_asked_for():
    with simcastd() as daemon, ring(daemon, "arm", codec=H264) as arm, \
            daemon.connect(**NO_DEFAULT) as client:
        serves(daemon, "arm")
        arm.play()
        client.ask("subscribe", stream="arm")
        number = client.told("subscribed")["id"]
        check(client.receive(Video).keyframe, "it starts in the middle")
        client.receive(Video, where=lambda frame: not frame.keyframe)
        client.ask("keyframe", id=number)
        client.receive(Video, where=lambda frame: frame.keyframe)
        asked = arm.demand().keyframe_requests
        for _ in range(20):
            client.ask("keyframe", id=number)
        time.sleep(0.7)
        check(arm.demand().keyframe_requests - asked <= 2, "requests are not coalesced")


@case
def what_cannot_be_done_is_answered_with_a_reason():
    with simcastd() as daemon, contextlib.ExitStack() as stack:
        names = [f"cam{number}" for number in range(17)]
        for name in names:
            stack.enter_context(ring(daemon, name, bytes_max=4096))
        serves(daemon, *names)
        client = stack.enter_context(daemon.connect(**NO_DEFAULT))

        def refused(kind, words, **fields):
            client.ask(kind, **fields)
            told = client.told("error")
            equal(told["request"], kind, "which request")
            check(words in told["reason"], f"reason of {kind} {fields}: {told['reason']}")
        refused("subscribe", "no such stream", stream="nowhere")
        refused("subscribe", "no such stream", stream="cam1", rendition="nowhere")
        refused("subscribe", "at most 31", stream="x" * 32)
        refused("subscribe", "names", stream=5)
        refused("subscribe", "true or false", stream="cam1", metadata="yes")
        refused("unsubscribe", "no stream of this id", id=9)
        refused("unsubscribe", "number", id=-1)
        refused("keyframe", "number")
        refused("pause", "true or false", id=1)
        for name in names[:16]:
            client.ask("subscribe", stream=name)
            client.told("subscribed")
        refused("subscribe", "too many", stream="cam16")
        client.ask("unsubscribe", id=1)
        client.told("unsubscribed")
        client.ask("subscribe", stream="cam16")
        client.told("subscribed")
        for _ in range(100):
            client.ask("streams")
        check("too many requests" in client.told("error")["reason"], "no limit")
        before = daemon.health()["messages_ignored"]
        for message in (b"\x03{\"type\":\"dance\"}", b"\x03[1]", b"\x03{", b"\x08", b"\x07" * 15):
            client.send(message)
        check(daemon.wait_health(lambda health: health["messages_ignored"] == before + 5),
              "what is none of ours is ignored and counted")
    with simcastd() as daemon, daemon.connect() as v1:
        v1.ask("streams")
        check(daemon.wait_health(lambda health: health["messages_ignored"] == 1), "v1 was answered")


@case
def a_subscription_outlives_its_encoder():
    with simcastd() as daemon, daemon.connect(**NO_DEFAULT) as client:
        with ring(daemon, "arm") as arm:
            serves(daemon, "arm")
            arm.play()
            client.ask("subscribe", stream="arm")
            number = client.told("subscribed")["id"]
            client.receive(Video)
        client.told("streams", where=lambda told: not any(
            one["live"] for one in told["streams"] if one["id"] == number))
        with ring(daemon, "arm") as arm:
            arm.play()
            client.told("streams", where=lambda told: any(
                one["live"] for one in told["streams"] if one["id"] == number))
            client.receive(Video)


@case
def a_slow_subscriber_hurts_nobody_and_gets_each_of_its_streams():
    picture = bytes(200_000)
    with simcastd() as daemon, contextlib.ExitStack() as stack:
        for name in ("left", "right"):
            stack.enter_context(ring(daemon, name)).play(
                15, make=lambda number: {"payload": picture})
        serves(daemon, "left", "right")
        slow = stack.enter_context(daemon.connect(**NO_DEFAULT, receive_buffer=65536))
        good = stack.enter_context(daemon.connect(**NO_DEFAULT))
        for client in (slow, good):
            for name in ("left", "right"):
                client.ask("subscribe", stream=name)
        reader = threading.Thread(target=read_slowly, args=(slow, 1_500_000, 3))
        reader.start()
        frames = frames_of(good, 3)
        reader.join()
        for number, got in frames.items():
            check(len(got) > 35, f"the good one got {len(got)} frames of stream {number} in 3 s")
        clients = json.loads(daemon.get("/api/v1/clients")[2])["clients"]
        listed = min(clients, key=lambda one: one["id"])
        counts = sorted(stream["frames"] for stream in listed["streams"])
        check(listed["missed"] > 20, f"it was not slow: {listed}")
        check(counts[0] > 2 and counts[0] * 2 >= counts[1],
              f"the slow one's streams got {counts} frames: not fair")


def read_slowly(client, bytes_per_s, seconds):
    """Takes no more than this from the socket; looks at none of it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(len(client.socket.recv(16384)) / bytes_per_s)


@case
def the_glass_latency_is_known_from_what_viewers_say():
    def count(daemon):
        return stage_counts(daemon)["arm", "glass"]
    with simcastd() as daemon, ring(daemon, "arm") as arm, daemon.connect(**NO_DEFAULT) as client:
        serves(daemon, "arm")
        arm.play()
        client.ask("subscribe", stream="arm")
        number = client.told("subscribed")["id"]
        frame = client.receive(Video)
        client.send_displayed(frame.frame_seq, number)             # does not say when
        client.send_displayed(frame.frame_seq, number, 1)          # before it came
        client.send_displayed(frame.frame_seq, number, 1 << 62)    # in the future
        client.send_displayed(frame.frame_seq + 99, number, time.monotonic_ns())
        client.send_displayed(frame.frame_seq, 999, time.monotonic_ns())
        client.send_displayed(frame.frame_seq, number, time.monotonic_ns())
        check(wait_until(lambda: count(daemon) == 1), f"{count(daemon)} counted, expected 1")


def stage_counts(daemon):
    """(stream, stage) -> how many frames /metrics has counted."""
    text = daemon.get("/metrics")[2].decode()
    return {(stream, stage): int(count) for stream, stage, count in re.findall(
        r'^simcast_stage_seconds_count\{stream="(.*)",stage="(.*)"\} (\d+)$', text, re.MULTILINE)}


@case
def stages_are_told_of_the_rendition_that_is_watched():
    with Stack() as stack:
        daemon = stack.daemon
        serves(daemon, "front", "front+jpeg", "front+h264")
        equal(stage_counts(daemon), {}, "before anybody watches")
        with socket.create_connection(daemon.address) as reader:
            reader.sendall(b"GET /stream?camera=front&rendition=jpeg HTTP/1.1\r\n"
                           b"Host: localhost\r\n\r\n")
            text = b""
            while text.count(b"--simcast-frame") < 5:
                more = reader.recv(65536)
                check(more, f"it ended: {text[:200]}")
                text += more
            counts = stage_counts(daemon)
            top = subprocess.run(
                [daemon_cases.build / "cli" / "simcast", "top", "--json", "--interval", "1",
                 "--ipc-dir", daemon.directory, "--server", f"127.0.0.1:{daemon.port}"],
                capture_output=True, check=True, timeout=30)
        equal({stream for stream, _ in counts}, {"front+jpeg"}, "streams with stages")
        for stage in ("wait", "encode", "publish", "wake", "fanout"):
            check(counts["front+jpeg", stage] >= 4, f"{stage}: {counts}")
        check(json.loads(top.stdout)["stages"]["encode"]["p50_s"] > 0, f"top: {top.stdout}")


@case
def mjpeg_and_h264_at_the_same_time():
    with simcastd() as daemon, ring(daemon, "front", codec=H264) as front, \
            ring(daemon, "front+jpeg") as jpeg, daemon.connect() as viewer:
        serves(daemon, "front", "front+jpeg")
        front.play()
        jpeg.play()
        viewer.receive(Video)
        check(not jpeg.wanted, "a rendition that nobody watches is wanted")
        with socket.create_connection(daemon.address) as reader:
            reader.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            text = b""
            while text.count(b"--simcast-frame") < 5:
                more = reader.recv(65536)
                check(more, f"it ended: {text[:200]}")
                text += more
            check(text.startswith(b"HTTP/1.1 200 OK\r\n"), "status")
            check(jpeg.wanted and front.wanted, "both are encoded")
        check(wait_until(lambda: not jpeg.wanted), "still encoded")
        equal(viewer.receive(Video).codec, H264, "the viewer's codec")
        for path in ("/snapshot", "/?action=snapshot", "/snapshot?camera=front",
                     "/snapshot?camera=front&rendition=jpeg", "/?action=snapshot&camera=front"):
            status, headers, _ = daemon.get(path)
            equal((status, headers["Content-Type"]), (200, "image/jpeg"), path)
            check(0 <= int(headers["X-Simcast-Age-Ms"]) < 1000, "its age")


@case
def the_encoder_makes_what_is_asked_for_and_nothing_else():
    with Stack() as stack, stack.daemon.connect() as viewer:
        daemon = stack.daemon
        serves(daemon, "front", "front+jpeg", "front+h264")
        equal(viewer.receive(Video).codec, H264, "the viewer's codec")
        for _ in range(3):
            status, _, body = daemon.get("/snapshot")
            equal((status, body[:3]), (200, b"\xff\xd8\xff"), "a JPEG beside H.264")
        seen = viewer.receive_all(1)
        equal({frame.codec for frame in seen if isinstance(frame, Video)}, {H264},
              "what the viewer saw meanwhile")
        listed = streams(daemon)
        equal(listed["front+jpeg"]["paths"],
              {"websocket": "/stream/ws", "mjpeg": "/stream?camera=front&rendition=jpeg",
               "jpeg": "/snapshot?camera=front&rendition=jpeg"}, "where programs find it")
        page = daemon.get("/metrics")[2].decode()
        for name, value in (("front", 1), ("front+jpeg", 0)):
            check(f'simcast_stream_wanted{{stream="{name}"}} {value}\n' in page, "its metric")
        check('simcast_stream_frames_total{stream="front+h264"} 0\n' in page, "none encoded")
        equal([listed[name]["wanted"] for name in ("front", "front+jpeg", "front+h264")],
              [True, False, False], "wanted")
        equal(listed["front+h264"]["frames"], 0, "frames that nobody asked for")


@case
def what_nobody_encodes_is_said_so():
    with simcastd() as daemon, ring(daemon, "front", codec=H264) as front, \
            ring(daemon, "arm", codec=H264) as arm, daemon.connect(**V2) as viewer:
        serves(daemon, "front", "arm")
        front.play()
        arm.play()
        viewer.ask("subscribe", stream="arm")
        viewer.told("subscribed")
        frames_of(viewer, 0.5)
        for path, status, words in (
                ("/snapshot", 503, "is encoded as h264"),
                ("/snapshot?camera=arm", 503, "there is no stream 'arm+jpeg'"),
                ("/stream?camera=nowhere", 404, "no such camera"),
                ("/stream?camera=arm&rendition=nowhere", 404, "no such camera or rendition"),
                (f"/stream?camera={'x' * 40}", 404, "no such camera"),
                ("/stream?camera=..%2Fetc", 404, "no such camera")):
            got, _, body = daemon.get(path)
            equal(got, status, path)
            check(words in body.decode(), f"{path}: {body}")


@case
def raw_h264_of_a_camera_plays():
    if not shutil.which("ffmpeg"):
        print("skip raw h264 of a camera plays: ffmpeg is not installed")
        return
    directory = tempfile.mkdtemp(prefix="simcast-e2e-")
    build = daemon_cases.build
    programs = [[build / "cli" / "simcast", "source", "--ring", "side", "--size", "320x240",
                 "--ipc-dir", directory],
                [build / "encoder" / "simcast-encoder", "--stream", "side", "--codec", "h264",
                 "--ipc-dir", directory]]
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        for command in programs:
            child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            stack.callback(child.wait)
            stack.callback(child.kill)
        daemon = stack.enter_context(simcastd(directory=directory))
        check(wait_until(lambda: streams(daemon).get("side", {}).get("live")), "no stream")
        url = f"http://127.0.0.1:{daemon.port}/video.h264?camera=side"
        done = subprocess.run(["ffmpeg", "-hide_banner", "-f", "h264", "-i", url, "-frames:v", "30",
                               "-f", "null", "-"], capture_output=True, text=True, timeout=30,
                              check=False)
        equal(done.returncode, 0, done.stderr[-500:])
        check("frame=   30" in done.stderr, f"not 30 frames: {done.stderr[-500:]}")
        check("320x240" in done.stderr and "error" not in done.stderr.lower(), done.stderr[-500:])
        status, _, body = daemon.get("/api/v1/streams")
        check(status == 200 and '"codec":"h264"' in body.decode(), "listed")


@case
def a_stop_lets_the_frame_in_flight_arrive_whole():
    picture = bytes(range(256)) * 12_000
    with simcastd() as daemon, ring(daemon, "front", bytes_max=4 << 20) as front, \
            daemon.connect(**V2, receive_buffer=65536) as slow, daemon.connect() as quick, \
            daemon.connect() as stuck:
        serves(daemon, "front")
        front.play(make=lambda number: {"payload": picture}, fps=10)
        for client in (slow, quick, stuck):
            client.receive(Video)

        def in_flight():
            clients = json.loads(daemon.get("/api/v1/clients")[2])["clients"]
            return sum(not one["in_step"] for one in clients) >= 2
        check(wait_until(in_flight), "nobody's socket is full")
        daemon.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        reader = threading.Thread(target=quick.close_status)
        reader.start()
        videos, status = read_to_the_end(slow)
        reader.join()
        equal(status, 1001, "the close frame after the whole frame")
        check(videos and all(video.payload == picture for video in videos), "a frame was torn")
        equal(daemon.wait(3), 0, "exit code")
        check(time.monotonic() - started < 2, "it waited for who does not read")


def read_to_the_end(client):
    """Frames (each checked by its CRC) until the server closes, and its close status."""
    videos = []
    try:
        while True:
            videos.append(client.receive(Video, 3))
    except Exception as closed:
        return videos, getattr(closed, "status", closed)


run_cases(__doc__)
