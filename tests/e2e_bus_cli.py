#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""simcast bus on a real nats-server and on the local bus: show, sub, pub, replay, setup.

  tests/e2e_bus_cli.py BUILDDIR [WORD]...
"""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

import daemon_cases
from daemon_cases import armed, case, check, equal, run_cases, simcastd, streaming
from daemon_kit import free_port, wait_until
from nats import Nats, NatsServer
from program_kit import clean_environment
from ws import Video

PORT = free_port()
URL = f"nats://127.0.0.1:{PORT}"
MOTION = {"action": "set_cmd_vel", "data": {"linear_x": 0.2, "linear_y": 0.0, "angular_z": 0.0}}
STREAMS = {"TRAIN": ("train.>", 7), "EPISODES": ("episodes.>", 30), "DATASETS": ("datasets.>", 90),
           "COMMANDS": ("COMMANDS_LIVE", 7), "COMMANDS_LIVE": ("command.>", 1),
           "TELEMETRY": ("TELEMETRY_LIVE", 7), "TELEMETRY_LIVE": ("telemetry.>", 1)}


def start(url, *words, **options):
    return subprocess.Popen([daemon_cases.build / "cli" / "simcast", "bus", *map(str, words),
                             "--bus", url], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, env=clean_environment(), **options)


def finish(process, seconds=20):
    out, said = process.communicate(timeout=seconds)
    return process.returncode, out, said


def bus(url, *words, **options):
    """(exit code, stdout, stderr)"""
    return finish(start(url, *words, **options))


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="simcast-e2e-") as name:
        yield pathlib.Path(name)


def line(t, subject, payload="{}"):
    return json.dumps({"t": t, "time": "2026-01-31T12:00:00Z", "subject": subject,
                       "payload": payload})


def recording(path, *lines):
    header = json.dumps({"recording": "simcast bus", "version": 1}, separators=(",", ":"))
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


# show, sub, pub


def talk(url):
    """A subscriber of either kind hears what pub says."""
    listener = start(url, "sub", "telemetry.test.*", "--count", "2")
    shower = start(url, "show", "telemetry.test.>", "--seconds", "3", "--json")
    said = wait_until(lambda: bus(url, "pub", "telemetry.test.a", '{"n": 1}') and
                      listener.poll() is not None, 10)
    check(said, "sub --count 2 did not end")
    equal(bus(url, "pub", "telemetry.test.bytes", "-", stdin=subprocess.DEVNULL)[0], 0, "pub -")
    code, out, _ = finish(listener)
    equal(code, 0, "sub")
    check(all(row.endswith(' telemetry.test.a {"n": 1}') for row in out.splitlines()), out)
    code, out, said = finish(shower)
    equal((code, said), (0, ""), "show")
    rows = {row["subject"]: row for row in json.loads(out)["subjects"]}
    equal(rows["telemetry.test.a"]["last"], '{"n": 1}', "last value")
    check(rows["telemetry.test.a"]["count"] >= 1 and rows["telemetry.test.a"]["rate_hz"] > 0, out)


@case
def show_sub_and_pub_talk_over_nats():
    with NatsServer(PORT):
        talk(URL)


@case
def show_sub_and_pub_talk_over_the_local_bus():
    with simcastd() as daemon:
        talk(f"ipc://{daemon.directory}")


@case
def simcast_bus_alone_shows():
    with simcastd() as daemon:
        environment = clean_environment(SIMCAST_BUS_URL=f"ipc://{daemon.directory}")
        shown = subprocess.run([daemon_cases.build / "cli" / "simcast", "bus"], env=environment, timeout=30,
                               stdin=subprocess.DEVNULL, capture_output=True, text=True)
        equal(shown.returncode, 0, shown.stderr)
        check(shown.stdout.startswith("SUBJECT"), shown.stdout)


@case
def a_bus_that_nobody_serves_is_said():
    with folder() as directory:
        for url, word in ((f"ipc://{directory}", "start simcastd"), (URL, "NATS server")):
            code, _, said = bus(url, "sub", "--timeout", "1")
            equal(code, 1, said)
            check(word in said and "--bus" in said, said)


@case
def wrong_words_are_78_and_explained():
    with NatsServer(PORT):
        for words in (("pub", "a b", "x"), ("pub", "telemetry.>", "x"), ("pub", "only.subject"),
                      ("sub", "--count", "0"), ("show", "--seconds", "x"), ("replay",), ("nonsense",),
                      ("sub", "a..b"), ("replay", "/nonexistent"), ("setup", "--record", "--forget")):
            code, _, said = bus(URL, *words)
            equal((code, bool(said)), (78, True), words)
    code, _, said = bus("http://x", "sub")
    equal((code, "nats://" in said), (78, True), said)


# record and replay


def hears(*subjects):
    return Nats(PORT, *subjects)


@case
def what_was_recorded_is_replayed_byte_by_byte():
    payloads = [b'{"n": 1}', b"\x00\xff\r\n", "gr\u00fc\u00df".encode(), b""]
    with folder() as directory, NatsServer(PORT), Nats(PORT) as source:
        path = directory / "r.jsonl"
        recorder = start(URL, "sub", "telemetry.>", "--record", path, "--seconds", "3")
        ends = time.monotonic() + 2.5
        while time.monotonic() < ends:  # from some moment on it hears them all
            for number, payload in enumerate(payloads):
                source.publish(f"telemetry.{number}", payload)
            time.sleep(0.2)
        code, _, said = finish(recorder)
        equal((code, "messages are in" in said), (0, True), said)
        with hears("telemetry.>") as ear:
            code, out, said = bus(URL, "replay", path, "--speed", "100")
            equal(code, 0, said)
            heard = dict(ear.receive() for _ in range(int(out.split()[0])))
        equal([heard[f"telemetry.{n}"] for n in range(len(payloads))], payloads, "payloads")


@case
def the_timing_of_a_recording_is_kept():
    with folder() as directory, NatsServer(PORT), hears("telemetry.>") as ear:
        path = recording(directory / "r", line(0, "telemetry.a"), line(0.3, "telemetry.b"),
                         line(1.0, "telemetry.c"))
        for speed, expected in ((1, (0.3, 1.0)), (4, (0.075, 0.25))):
            replayer = start(URL, "replay", path, "--speed", speed)
            times = []
            for _ in range(3):
                ear.receive()
                times.append(time.monotonic())
            equal(finish(replayer)[0], 0, "replay")
            for got, wanted in zip((times[1] - times[0], times[2] - times[0]), expected):
                check(abs(got - wanted) < 0.1, f"at speed {speed}: {got:.3f} s, not {wanted} s")


@case
def what_moves_or_opens_a_gate_is_replayed_only_when_asked_for():
    with folder() as directory, NatsServer(PORT), hears("command.>", "telemetry.>") as ear:
        path = recording(directory / "r", line(0, "telemetry.x"), line(0, "command.genesis.reset"),
                         line(0, "command.genesis.set_cmd_vel"), line(0, "command.other.fly"),
                         line(0, "telemetry.safety.video_gate", '{"gated":false}'),
                         line(0, "command.genesis.set_alpha"), line(0, "command.genesis.estop"))
        for options, expected in (
                ([], {"telemetry.x"}),
                (["--commands"], {"telemetry.x", "command.genesis.reset", "command.genesis.estop",
                                  "telemetry.safety.video_gate"}),
                (["--motion", "--only", "command.>"],
                 {"command.genesis.reset", "command.genesis.set_cmd_vel", "command.other.fly",
                  "command.genesis.set_alpha", "command.genesis.estop"})):
            code, out, _ = bus(URL, "replay", path, *options)
            equal(code, 0, options)
            equal(out.split()[:5], [str(len(expected)), "published,", str(7 - len(expected)), "left",
                                    "out,"], options)
            equal({subject for subject, _ in ear.receive_all(0.1)}, expected, options)


@case
def a_damaged_recording_is_told_by_its_line():
    with folder() as directory, NatsServer(PORT):
        path = recording(directory / "r", line(0, "telemetry.x"), "not json")
        code, _, said = bus(URL, "replay", path)
        equal((code, "line 3" in said), (78, True), said)
        other = directory / "other"
        other.write_text("something else\n")
        code, _, said = bus(URL, "replay", other)
        equal((code, "no recording" in said), (78, True), said)


@case
def a_full_disk_ends_the_recording_and_is_said():
    with NatsServer(PORT), hears() as source:
        recorder = start(URL, "sub", "--record", "/dev/full")
        code, _, said = finish(recorder)
        equal((code, "/dev/full" in said and "No space" in said), (1, True), said)
        source.flush()


# JetStream


def stream_of(nats, name):
    nats.publish_request(f"$JS.API.STREAM.INFO.{name}", "answer.here")
    return json.loads(nats.receive("answer.here")[1])


@contextlib.contextmanager
def jetstream(directory, *arguments):
    with NatsServer(PORT, "-js", "-sd", directory / "js", *arguments):
        yield


@case
def setup_makes_the_streams_once_and_again():
    with folder() as directory, jetstream(directory):
        small = ["--megabytes-max", "200"]
        code, out, said = bus(URL, "setup", "--jetstream", "--record", *small)
        equal((code, out.count("created")), (0, 7), said)
        code, out, _ = bus(URL, "setup", "--jetstream", "--record", *small)
        equal((code, out.count("as it should be")), (0, 7), out)
        code, out, _ = bus(URL, "setup", "--record", "--megabytes-max", "100")
        equal((code, out.count("changed")), (0, 2), out)
        with Nats(PORT, "answer.here") as nats:
            for name, (takes, days) in STREAMS.items():
                config = stream_of(nats, name)["config"]
                source = config.get("subjects") or [one["name"] for one in config["sources"]]
                equal((source, config["max_age"], config["discard"]),
                      ([takes], days * 86400 * 10 ** 9, "old"), name)
                equal(config["storage"], "memory" if "LIVE" in name else "file", name)
        code, out, _ = bus(URL, "setup", "--forget")
        equal((code, out.count("deleted")), (0, 4), out)
        code, out, _ = bus(URL, "setup")
        equal((code, out.count("makes it")), (0, 4), out)


@case
def setup_says_what_stands_in_its_way():
    with NatsServer(PORT):
        code, _, said = bus(URL, "setup", "--jetstream")
        equal((code, "-js" in said), (1, True), said)
    with folder() as directory:
        config = directory / "server.conf"
        config.write_text("jetstream { max_file_store: 1000000000 }\n")
        with NatsServer(PORT, "-sd", directory / "js", config=config):
            code, _, said = bus(URL, "setup", "--jetstream")
            equal((code, "--megabytes-max" in said), (1, True), said)
        code, _, said = bus(f"ipc://{directory}", "setup")
        equal((code, "NATS" in said), (78, True), said)


@case
def what_the_server_recorded_is_replayed():
    with folder() as directory, jetstream(directory), hears() as source:
        equal(bus(URL, "setup", "--record")[0], 0, "setup")
        for number in range(3):
            source.publish("telemetry.n", {"n": number})
        source.publish("command.genesis.set_cmd_vel", MOTION)
        source.flush()
        with hears("telemetry.>", "command.>") as ear:
            code, out, said = bus(URL, "replay", "jetstream:TELEMETRY")
            equal((code, out.split()[0]), (0, "3"), said)
            equal([json.loads(ear.receive()[1])["n"] for _ in range(3)], [0, 1, 2], "payloads")
            equal(bus(URL, "replay", "jetstream:COMMANDS")[1].split()[0], "0", "no motion")
            equal(bus(URL, "replay", "jetstream:COMMANDS", "--motion")[1].split()[0], "1", "motion")
            equal(ear.receive()[0], "command.genesis.set_cmd_vel", "the command")


def command_latencies_ms(daemon, count=200):
    """From a client's send to a listener on NATS."""
    latencies = []
    with daemon.connect() as client, Nats(PORT, "command.genesis.set_cmd_vel") as ear:
        for end in (client.socket, ear.socket):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.receive(Video)
        armed(daemon)
        for number in range(1, count + 1):
            began = time.monotonic()
            client.send_json({**MOTION, "cmd_seq": number})
            ear.receive(where=lambda p, n=number: json.loads(p).get("cmd_seq") == n)
            latencies.append((time.monotonic() - began) * 1000)
            time.sleep(0.004)  # a rate that an operator's page has
    return statistics.median(latencies), sorted(latencies)[int(count * 0.99) - 1]


def small_disk(directory):
    """A command line before nats-server's that gives it a file system of 4 MB; None: not here."""
    (directory / "disk").mkdir()
    inner = f"mount -t tmpfs -o size=4m none {directory}/disk && exec \"$0\" \"$@\""
    prefix = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]),
              "sh", "-c", inner]
    works = shutil.which("unshare") and subprocess.run(
        prefix + ["true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    return prefix if works else None


@case
def a_store_that_is_full_delays_no_command():
    with folder() as directory:
        prefix = small_disk(directory)
        if not prefix:
            print("skip a store that is full delays no command: no mount namespaces here")
            return
        with NatsServer(PORT), streaming("--bus", URL, "--commands-per-s", 10000) as (daemon, _):
            check(daemon.wait_health(lambda h: h["bus"] == "connected"), daemon.log)
            without = command_latencies_ms(daemon)
        config = directory / "server.conf"
        config.write_text(f'jetstream {{ store_dir: "{directory}/disk", max_file_store: 1G }}\n')
        with NatsServer(PORT, config=config, prefix=prefix), \
                streaming("--bus", URL, "--commands-per-s", 10000) as (daemon, _), Nats(PORT, "answer.here") as nats:
            equal(bus(URL, "setup", "--record", "--megabytes-max", "50")[0], 0, "setup")
            check(daemon.wait_health(lambda h: h["bus"] == "connected"), daemon.log)
            recording_it = command_latencies_ms(daemon)
            kept = stream_of(nats, "COMMANDS")["state"]["messages"]
            check(kept >= 200, f"only {kept} commands were recorded")
            for _ in range(200):
                nats.publish("telemetry.fill", bytes(100000))
                nats.publish("command.genesis.camera", bytes(20000))
            nats.flush()
            full = command_latencies_ms(daemon)
            live = stream_of(nats, "TELEMETRY_LIVE")["state"]["bytes"]
            check(live > 8_000_000, f"{live} bytes were to be kept on 4 MB: the disk did not fill")
        print("command latency in ms, p50 and p99: "
              f"without JetStream {without[0]:.2f} {without[1]:.2f}, "
              f"recording {recording_it[0]:.2f} {recording_it[1]:.2f}, "
              f"disk full {full[0]:.2f} {full[1]:.2f}")
        for what, (p50, p99) in (("recording", recording_it), ("disk full", full)):
            check(p50 < 2 * without[0] + 1, f"{what}: p50 {p50:.2f} ms")
            check(p99 < 3 * without[1] + 20, f"{what}: p99 {p99:.2f} ms")


run_cases(__doc__)
