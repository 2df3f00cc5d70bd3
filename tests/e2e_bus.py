#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Commands, telemetry and the gate end to end: simcastd between a real nats-server and clients.

  tests/e2e_bus.py BUILDDIR [WORD]...
"""
import json
import os
import time

from daemon_cases import NATS_PORT, armed, case, check, equal, on_nats, run_cases
from daemon_kit import h264_like
from nats import Nats
from ws import Telemetry, Video

ACTIONS = ["set_cmd_vel", "set_alpha", "set_skill", "pause", "reset", "load_robot", "unload_robot",
           "set_mode", "load_policy", "list_policies", "estop", "estop_clear", "camera", "settings"]
DATA = {"set_alpha": {"alpha": 0.5}, "camera": {"position": [1, 2, 3], "lookat": [0, 0, 0]},
        "settings": {"codec": "jpeg", "jpeg_quality": 70, "stream_fps": 30,
                     "camera_res": "640x480", "h264_bitrate": 4, "h264_preset": "ultrafast"}}
MOTION = {"action": "set_cmd_vel", "cmd_seq": 5, "data": {"linear_x": 0.4, "linear_y": 0.0,
                                                          "angular_z": 0.1}}
FAST_GATE = {"SDR_VIDEO_GATE_HOLD_MS": "300", "SDR_VIDEO_GATE_ESTOP_MS": "900"}


# telemetry


@case
def telemetry_goes_to_all_clients_as_it_came():
    with on_nats() as (daemon, _, nats, _server), daemon.connect() as first, \
            daemon.connect() as second:
        check(daemon.wait_health(lambda h: h["clients"] == 2), "two clients")
        payloads = {"telemetry.training.metrics": b'{"step": 1,  "fps":30.0}',
                    "telemetry.safety.state": b'{"state_id":7,"mode":"ARMED"}',
                    "telemetry.odd": b"\x00\xff not json",
                    "telemetry.big": os.urandom(65536)}
        for subject, payload in payloads.items():
            nats.publish(subject, payload)
        for client in (first, second):
            for subject, payload in payloads.items():
                equal(client.telemetry(subject).payload, payload, subject)


@case
def telemetry_that_is_too_long_is_dropped_and_counted():
    with on_nats() as (daemon, _, nats, _server), daemon.connect() as client:
        nats.publish("telemetry.big", bytes(65537))
        nats.publish("telemetry.small", b"{}")
        equal(client.receive(Telemetry).subject, "telemetry.small", "what came")
        equal(daemon.health()["telemetry_too_long"], 1, "counted")


@case
def a_stalled_clients_telemetry_is_bounded():
    with on_nats(environment={"SDR_BROADCAST_CAPACITY": "8"},
                 make=lambda n: {"payload": os.urandom(100000)}) as (daemon, _, nats, _server), \
            daemon.connect(receive_buffer=4096) as stalled, daemon.connect() as good:
        good.receive(Video)
        check(daemon.wait_health(lambda h: h["client_lag_total"] > 0, 10), "never stalled")
        nats.publish("telemetry.state", {"n": -1})
        for number in range(100):
            nats.publish("telemetry.count", {"n": number})
        got = [good.telemetry("telemetry.count").json["n"] for _ in range(100)]
        equal(got, list(range(100)), "the good client's messages")
        for number in range(100):  # events, of which each counts
            nats.publish("telemetry.safety.cmd_timeout", {"n": number})
            if number == 92:
                nats.publish("telemetry.state", {"n": number})
        check(daemon.wait_health(lambda h: h["telemetry_dropped"] >= 50), "counted")
        left = [(m.subject, m.json["n"]) for m in stalled.receive_all(1)
                if isinstance(m, Telemetry) and "n" in m.json]
        equal(left[-8:], [("telemetry.state", 92), *(("telemetry.safety.cmd_timeout", n)
                                                     for n in range(93, 100))],
              "the newest are kept")


# commands


@case
def every_action_reaches_its_subject_as_it_came():
    with on_nats("command.genesis.>") as (daemon, _, nats, _server), daemon.connect() as client:
        client.receive(Video)
        armed(daemon)
        for number, action in enumerate(ACTIONS):
            message = json.dumps({"action": action, "cmd_seq": number, "ttl_ms": 500,
                                  "data": DATA.get(action, {})}).encode() + b"  "
            client.send(b"\x04" + message)
            subject = f"command.genesis.{action}"
            equal(nats.receive(subject)[1], message, action)
        equal(daemon.health()["commands_passed"], len(ACTIONS), "counted")


@case
def refused_commands_are_answered_and_counted():
    bad = [(b"not json", "unknown", None), (b"[]", "unknown", None), (b"{}", "unknown", None),
           (b'{"action":"fly","cmd_seq":9}', "unknown", 9),
           (b'{"action":"fly.>\\r\\nPUB x","cmd_seq":10}', "unknown", 10),
           (b'{"action":"set_alpha","cmd_seq":11,"data":{"alpha":7}}', "set_alpha", 11),
           (b'{"action":"set_cmd_vel","cmd_seq":12,"data":{"linear_x":"1"}}', "set_cmd_vel", 12),
           (b'{"action":"set_cmd_vel","cmd_seq":12,"data":{"linear_x":1e999}}', "unknown", None),
           (b'{"action":"settings","cmd_seq":13,"data":{"codec":"vp9"}}', "settings", 13),
           (b'{"action":"reset","cmd_seq":-1}', "reset", None)]
    with on_nats("command.genesis.>") as (daemon, _, nats, _server), daemon.connect() as client:
        for json_text, action, cmd_seq in bad:
            client.send(b"\x04" + json_text)
            ack = client.telemetry("telemetry.command.ack").json
            equal((ack["action"], ack["cmd_seq"], ack["status"]), (action, cmd_seq, "error"),
                  json_text)
            check(ack["detail"], "a reason")
        equal(daemon.health()["commands_refused"], len(bad), "counted")
        client.send_command("reset", 99)
        subjects = [nats.receive()[0]]
        while subjects[-1] != "command.genesis.reset":
            subjects.append(nats.receive()[0])
        equal(set(subjects), {"command.genesis.force_idr", "command.genesis.reset"}, "subjects")


@case
def connecting_asks_for_a_keyframe_once_per_half_second():
    with on_nats("command.genesis.force_idr", make=h264_like(10 ** 9)) as (
            daemon, _, nats, _server):
        with daemon.connect() as one, daemon.connect() as two:
            one.send(b"\x03")
            two.send(b"\x03")
            began = time.monotonic()
            equal(nats.receive()[1], b'{"cmd_seq":0}', "payload")
            nats.receive()
            apart = time.monotonic() - began
            check(0.4 < apart < 1, f"the second request came after {apart:.2f} s")


@case
def commands_while_the_bus_is_away_are_refused():
    with on_nats() as (daemon, _, _nats, server), daemon.connect() as client:
        client.receive(Video)
        server.stop()
        check(daemon.wait_health(lambda h: h["bus"] == "connecting"), "noticed")
        equal(daemon.get("/readyz")[0], 503, "/readyz")
        client.send_command("reset", 1)
        ack = client.telemetry("telemetry.command.ack").json
        equal((ack["status"], ack["detail"]), ("error", "the bus is away"), "ack")
        server.start()
        check(daemon.wait_health(lambda h: h["bus"] == "connected", 15), "back")
        with Nats(NATS_PORT, "command.genesis.>") as nats:
            client.send_command("pause", 2)
            equal(nats.receive()[0], "command.genesis.pause", "only the new command")


@case
def a_stop_while_the_bus_is_away_is_sent_when_it_is_back():
    with on_nats() as (daemon, _, _nats, server), daemon.connect() as client:
        client.receive(Video)
        server.stop()
        check(daemon.wait_health(lambda h: h["bus"] == "connecting"), "noticed")
        client.send_command("estop", 1)
        client.telemetry("telemetry.command.ack")
        equal(daemon.health()["gate"], "ESTOP", "gate")
        # Listen from the server's first moment: the stop comes as soon as simcastd is back.
        server.start()
        with Nats(NATS_PORT, "command.genesis.estop") as nats:
            stop = json.loads(nats.receive(seconds=15)[1])
            equal(stop["_safety"], "estop", "the stop")


# the gate


@case
def motion_passes_only_while_the_picture_is_fresh():
    with on_nats("command.genesis.>", "telemetry.safety.video_gate", environment=FAST_GATE) as (
            daemon, slot, nats, _server), daemon.connect() as client:
        client.receive(Video)
        armed(daemon)
        client.send_json(MOTION)
        equal(json.loads(nats.receive("command.genesis.set_cmd_vel")[1]), MOTION, "motion")

        slot.pause()
        paused = time.monotonic()
        hold = json.loads(nats.receive("command.genesis.set_cmd_vel")[1])
        check(0.2 < time.monotonic() - paused < 0.6, "hold after 300 ms")
        zero = {"linear_x": 0.0, "linear_y": 0.0, "angular_z": 0.0}
        equal(hold, {"action": "set_cmd_vel", **zero, "data": zero, "_safety": "hold"}, "hold")
        gate = json.loads(nats.receive("telemetry.safety.video_gate")[1])
        equal((gate["gated"], gate["mode"]), (True, "HOLD"), "video_gate on the bus")
        check(300 <= gate["stale_ms"] < 600, f"stale_ms {gate['stale_ms']}")
        equal(client.telemetry("telemetry.safety.video_gate").json["mode"], "HOLD", "to clients")

        for action in ("set_cmd_vel", "set_alpha", "set_skill"):
            client.send_command(action, 20, alpha=0.5)
            ack = client.telemetry("telemetry.command.ack").json
            equal((ack["action"], ack["status"], ack["detail"]), (action, "error", "no_video"),
                  "refusal")
        client.send_command("pause", 21)
        client.send_command("reset", 22)
        for action in ("pause", "reset"):
            equal(nats.receive()[0], f"command.genesis.{action}", "what always passes")

        # The stop has a connection of its own, so the two may come in either order.
        got = nats.receive_each("command.genesis.estop", "telemetry.safety.video_gate")
        stop = json.loads(got["command.genesis.estop"])
        check(0.8 < time.monotonic() - paused < 1.3, "stop after 900 ms")
        equal(stop, {"action": "estop", "reason": "video_timeout",
                     "data": {"reason": "video_timeout"}, "_safety": "estop"}, "estop")
        gate = json.loads(got["telemetry.safety.video_gate"])
        equal((gate["gated"], gate["mode"]), (True, "ESTOP"), "video_gate")

        slot.play()
        equal(json.loads(nats.receive("telemetry.safety.video_gate")[1]), {"gated": False}, "back")
        equal(client.telemetry("telemetry.safety.video_gate",
                               where=lambda m: not m.json["gated"]).json, {"gated": False}, "back")
        client.send_json(MOTION)
        equal(client.telemetry("telemetry.command.ack").json["status"], "error", "latched")
        client.send_command("estop_clear", 30)
        equal(nats.receive()[0], "command.genesis.estop_clear", "clear")
        client.send_json(MOTION)
        equal(json.loads(nats.receive("command.genesis.set_cmd_vel")[1]), MOTION, "motion again")


@case
def who_tells_what_is_displayed_drives_only_while_the_picture_moves():
    with on_nats("command.genesis.set_cmd_vel", environment=FAST_GATE) as (
            daemon, _slot, nats, _server), daemon.connect() as client, daemon.connect() as other:
        client.send_displayed(client.receive(Video).frame_seq)
        armed(daemon)
        client.send_json(MOTION)
        nats.receive()
        newest = client.receive_all(0.4)  # displays none of these
        client.send_json(MOTION)
        ack = client.telemetry("telemetry.command.ack").json
        equal((ack["status"], ack["detail"]), ("error", "picture_frozen"), "frozen")
        other.send_json(MOTION)  # sees, or does not say
        nats.receive()
        client.send_displayed([m for m in newest if isinstance(m, Video)][-1].frame_seq)
        client.send_json(MOTION)
        nats.receive()
        equal(daemon.health()["gate"], "ARMED", "the gate itself stayed open")


@case
def the_default_gate_holds_after_one_second_and_stops_after_five():
    with on_nats("command.genesis.>") as (daemon, slot, nats, _server), daemon.connect() as client:
        client.receive(Video)
        armed(daemon)
        slot.pause()
        paused = time.monotonic()
        nats.receive("command.genesis.set_cmd_vel", 3)
        check(0.9 < time.monotonic() - paused < 1.4, "hold")
        nats.receive("command.genesis.estop", 6)
        check(4.9 < time.monotonic() - paused < 5.5, "stop")


@case
def the_gate_watches_a_legacy_simulator_with_nobody_connected():
    with on_nats("command.genesis.>", environment=FAST_GATE) as (daemon, slot, nats, _server):
        armed(daemon)
        slot.pause()
        equal(json.loads(nats.receive("command.genesis.set_cmd_vel", 1)[1])["_safety"], "hold",
              "hold")
        equal(json.loads(nats.receive("command.genesis.estop", 2)[1])["_safety"], "estop", "stop")


@case
def a_pressed_stop_passes_and_latches():
    with on_nats("command.genesis.>") as (daemon, _, nats, _server), daemon.connect() as client:
        client.receive(Video)
        armed(daemon)
        client.send_command("estop", 1, reason="test")
        nats.receive("command.genesis.estop")
        client.send_json(MOTION)
        equal(client.telemetry("telemetry.command.ack").json["detail"], "operator", "refusal")
        messages = nats.receive_all(0.3)
        equal([m[0] for m in messages if m[0] != "command.genesis.force_idr"], [],
              "nothing more on the bus")
        client.send_command("estop_clear", 2)
        nats.receive("command.genesis.estop_clear")
        armed(daemon)


@case
def a_stop_by_somebody_else_closes_the_gate():
    with on_nats() as (daemon, _, nats, _server), daemon.connect() as client:
        client.receive(Video)
        armed(daemon)
        nats.publish("command.genesis.estop", b"")
        check(daemon.wait_health(lambda h: h["gate"] == "ESTOP"), "stopped")
        nats.publish("command.genesis.estop_clear", {"cmd_seq": 1})
        armed(daemon)


@case
def foreign_motion_is_countered_while_the_gate_is_closed():
    with on_nats("command.genesis.set_cmd_vel", environment=FAST_GATE) as (
            daemon, slot, nats, _server), daemon.connect() as client:
        client.receive(Video)
        armed(daemon)
        nats.publish("command.genesis.set_cmd_vel", MOTION)
        equal(nats.receive_all(0.2), [], "while open")
        slot.pause()
        nats.receive("command.genesis.set_cmd_vel")  # the gate's own hold
        ends = time.monotonic() + 0.5
        sent = 0
        while time.monotonic() < ends:
            nats.publish("command.genesis.set_cmd_vel", MOTION if sent % 2 else b"garbage")
            sent += 1
            time.sleep(0.01)
        holds = nats.receive_all(0.2)
        check(4 <= len(holds) <= 6, f"{len(holds)} zero commands against {sent} in 0.5 s")
        for _, payload in holds:
            equal(json.loads(payload)["_safety"], "hold", "zero command")


@case
def settings_and_acks_of_an_existing_client_work():
    with on_nats("command.genesis.settings") as (daemon, _, nats, _server), \
            daemon.connect() as client:
        client.send_command("settings", 1, **DATA["settings"])
        equal(json.loads(nats.receive()[1])["data"], DATA["settings"], "settings")
        nats.publish("telemetry.command.ack", {"action": "settings", "cmd_seq": 1, "status": "ok"})
        equal(client.telemetry("telemetry.command.ack").json["status"], "ok", "the sim's answer")


def metric(daemon, name):
    for row in daemon.get("/metrics")[2].decode().splitlines():
        if row.startswith(f"simcast_{name} "):
            return float(row.split()[1])
    raise AssertionError(f"no simcast_{name} on /metrics")


@case
def the_way_of_a_command_to_the_robot_and_back_is_measured():
    with on_nats("command.genesis.reset") as (daemon, _, nats, _server), daemon.connect() as client:
        client.send_command("reset", 7)
        nats.receive()
        time.sleep(0.05)  # what the robot needs
        nats.publish("telemetry.command.ack", {"action": "reset", "cmd_seq": 7, "status": "ok"})
        client.telemetry("telemetry.command.ack")
        equal(metric(daemon, "command_ack_seconds_count"), 1, "acknowledged")
        took = metric(daemon, "command_ack_seconds_sum")
        check(0.05 <= took < 0.5, f"{took} s")
        nats.publish("telemetry.command.ack", {"action": "reset", "cmd_seq": 99, "status": "ok"})
        client.telemetry("telemetry.command.ack")
        equal(metric(daemon, "command_ack_seconds_count"), 1, "nobody sent number 99")


@case
def what_the_bus_does_is_on_the_metrics_page():
    with on_nats("command.genesis.reset") as (daemon, _, nats, server), daemon.connect() as client:
        client.send_command("reset", 1)
        nats.receive()
        nats.publish("telemetry.x", b"{}")
        client.telemetry("telemetry.x")
        check(metric(daemon, "bus_published_total") >= 1, "published")
        check(metric(daemon, "bus_received_total") >= 1, "received")
        server.stop()
        check(daemon.wait_health(lambda h: h["bus"] == "connecting"), "noticed")
        server.start()
        check(daemon.wait_health(lambda h: h["bus"] == "connected", 15), "back")
        equal((metric(daemon, "bus_reconnects_total"), metric(daemon, "bus_stop_reconnects_total")),
              (1, 1), "reconnects")
        for name in ("dropped_in", "dropped_out", "slow_episodes", "refused"):
            metric(daemon, f"bus_{name}_total")


run_cases(__doc__)
