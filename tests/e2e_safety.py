#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Epochs, ages, limits and the deadman end to end: simcastd, a real nats-server, simcast-sim.

  tests/e2e_safety.py BUILDDIR [WORD]...
"""
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import daemon_cases
from daemon_cases import NATS_PORT, armed, case, check, equal, on_nats, run_cases
from daemon_kit import wait_until
from nats import Nats, NatsServer
from ws import Telemetry, Video

DRIVE = "command.genesis.set_cmd_vel"
ACK = "telemetry.command.ack"
CLOCK = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text("ascii")[:8]
MS = 1_000_000


class Stamper(Nats):
    """Publishes as simcastd does, with a stamp, and hears stamps of others."""

    def __init__(self, port, *subjects):
        super().__init__(port, *subjects, headers=True)

    def publish_stamped(self, subject, payload, epoch, age_ms=0, clock=CLOCK):
        sent_ns = time.monotonic_ns() - age_ms * MS
        head = f"NATS/1.0\r\nSimcast-Stamp: {epoch} {sent_ns} {clock}\r\n\r\n".encode()
        body = json.dumps(payload).encode()
        self._send(f"HPUB {subject} {len(head)} {len(head) + len(body)}", head + body + b"\r\n")

    def receive_stamp(self, subject, seconds=5):
        """(epoch, sent_ns, clock) of the next message of the subject."""
        deadline = time.monotonic() + seconds
        mark = f"HMSG {subject} ".encode()
        while mark not in self.buffer or b"\r\n\r\n" not in self.buffer.partition(mark)[2]:
            self._fill(deadline)
        head = self.buffer.partition(mark)[2].partition(b"\r\n\r\n")[0].decode()
        epoch, sent_ns, clock = head.partition("Simcast-Stamp:")[2].split()
        return int(epoch), int(sent_ns), clock


def motion(cmd_seq, **more):
    return {"action": "set_cmd_vel", "cmd_seq": cmd_seq, "data": {"linear_x": 0.4}, **more}


def refusal(client, cmd_seq):
    return client.telemetry(ACK, where=lambda m: m.json["cmd_seq"] == cmd_seq).json["detail"]


@case
def who_tells_an_epoch_is_refused_when_it_is_over():
    with on_nats(DRIVE) as (daemon, _, nats, _server), \
            daemon.connect(subprotocols=["simcast.v2"]) as client:
        epoch = client.telemetry("telemetry.safety.epoch").json["epoch"]
        client.receive(Video)
        armed(daemon)
        client.send_json(motion(1, epoch=epoch))
        equal(json.loads(nats.receive(DRIVE)[1]), motion(1, epoch=epoch), "as it came")
        client.send_command("estop", 2)
        later = client.telemetry("telemetry.safety.epoch").json["epoch"]
        check(later > epoch, f"a stop ends the epoch: {epoch}, {later}")
        client.send_json({"action": "estop_clear", "cmd_seq": 3, "epoch": epoch})
        equal(refusal(client, 3), "stale_epoch", "a clear from before the stop")
        client.send_json({"action": "estop_clear", "cmd_seq": 4, "epoch": later})
        armed(daemon)
        client.send_json(motion(5, epoch=epoch))
        equal(refusal(client, 5), "stale_epoch", "motion from before the stop")
        client.send_json(motion(6, epoch=later))
        equal(json.loads(nats.receive(DRIVE)[1])["cmd_seq"], 6, "what passes")


@case
def a_reconnected_bus_begins_another_epoch():
    with on_nats() as (daemon, _, _nats, server), \
            daemon.connect(subprotocols=["simcast.v2"]) as client:
        epoch = client.telemetry("telemetry.safety.epoch").json["epoch"]
        client.receive(Video)
        server.stop()
        check(daemon.wait_health(lambda h: h["gate_reason"] == "no_bus"), "the gate closes")
        client.send_json(motion(1))
        equal(refusal(client, 1), "no_bus", "motion while the bus is away")
        server.start()
        later = client.telemetry("telemetry.safety.epoch", seconds=15).json["epoch"]
        equal(later, epoch + 1, "the epoch")
        armed(daemon)


@case
def what_passes_carries_epoch_and_time_beside_its_payload():
    with on_nats() as (daemon, _, _nats, _server), Stamper(NATS_PORT, DRIVE) as nats, \
            daemon.connect() as client:
        client.receive(Video)
        armed(daemon)
        before = time.monotonic_ns()
        client.send_json(motion(1))
        epoch, sent_ns, clock = nats.receive_stamp(DRIVE)
        check(epoch > 1_600_000_000_000_000, f"counted from the wall clock's microseconds: {epoch}")
        check(before <= sent_ns <= time.monotonic_ns(), "when it was sent")
        equal(clock, CLOCK, "by which clock")


@case
def a_velocity_over_the_limit_is_cut_and_its_sender_told():
    with on_nats(DRIVE, environment={"SIMCAST_GATE_SPEED_MAX": "0.3,0,1"}) as (
            daemon, _, nats, _server), daemon.connect() as client:
        client.receive(Video)
        armed(daemon)
        client.send_json({"action": "set_cmd_vel", "cmd_seq": 1,
                          "data": {"linear_x": -2, "linear_y": 0.5, "gait_enabled": True}})
        equal(json.loads(nats.receive(DRIVE)[1]),
              {"action": "set_cmd_vel", "cmd_seq": 1,
               "data": {"linear_x": -0.3, "linear_y": 0.5, "gait_enabled": True,
                        "angular_z": 0.0}}, "cut")
        equal(client.telemetry("telemetry.command.limited").json["linear_x"], -0.3, "told")
        slow = {"action": "set_cmd_vel", "cmd_seq": 2, "data": {"linear_x": 0.3}}
        client.send_json(slow)
        equal(json.loads(nats.receive(DRIVE)[1]), slow, "what is slow enough stays as it came")


@case
def with_a_deadman_nothing_moves_unless_it_is_held():
    with on_nats(DRIVE, environment={"SIMCAST_GATE_DEADMAN_MS": "300"}) as (
            daemon, _, nats, _server), daemon.connect() as client:
        client.receive(Video)
        check(daemon.wait_health(lambda h: h["gate_reason"] == "deadman"), "the gate waits")
        client.send_json(motion(1))
        equal(refusal(client, 1), "deadman", "motion without one")
        client.send_json(motion(2, deadman=True))
        equal(json.loads(nats.receive(DRIVE)[1])["cmd_seq"], 2, "motion with one")
        hold = json.loads(nats.receive(DRIVE)[1])
        equal(hold["_safety"], "hold", "what follows when nobody says so again")


@case
def a_command_older_than_its_ttl_is_refused():
    with on_nats(DRIVE) as (daemon, _, nats, _server), daemon.connect() as client:
        client.receive(Video)
        armed(daemon)
        now = time.monotonic_ns()
        client.send_json(motion(1, ttl_ms=100, sent_ns=now - 5000 * MS))
        equal(refusal(client, 1), "expired", "an old one")
        client.send_json(motion(2, ttl_ms=5000, sent_ns=now))
        equal(json.loads(nats.receive(DRIVE)[1])["cmd_seq"], 2, "a young one")


@contextlib.contextmanager
def robot(*arguments):
    """simcast-sim on a NATS server, without simcastd: (a connection that hears its telemetry)"""
    server = NatsServer(NATS_PORT)
    with tempfile.TemporaryDirectory(prefix="simcast-e2e-") as directory:
        process = subprocess.Popen(
            [daemon_cases.build / "sim" / "simcast-sim", "--pattern", "--ipc-dir", directory, "--bus",
             f"nats://127.0.0.1:{NATS_PORT}", *arguments], stderr=subprocess.DEVNULL)
        try:
            with Stamper(NATS_PORT, "telemetry.>") as nats:
                nats.receive("telemetry.safety.state", seconds=10)
                yield nats
        finally:
            process.kill()
            process.wait()
            server.stop()


def answer(nats, cmd_seq):
    """"ok", or why the robot refused."""
    ack = json.loads(nats.receive(ACK, where=lambda p: json.loads(p)["cmd_seq"] == cmd_seq)[1])
    return ack.get("detail", ack["status"])


@case
def the_robot_refuses_what_is_old_whoever_passed_it_on():
    with robot() as nats:
        nats.publish_stamped(DRIVE, motion(1), 100)
        equal(answer(nats, 1), "ok", "motion of now")
        nats.publish_stamped(DRIVE, motion(2), 99)
        equal(answer(nats, 2), "stale_epoch", "motion of an older epoch")
        nats.publish_stamped(DRIVE, motion(3), 100, age_ms=400)
        equal(answer(nats, 3), "expired", "motion that hung somewhere")
        nats.publish_stamped(DRIVE, motion(4), 100, age_ms=400, clock="another0")
        equal(answer(nats, 4), "ok", "motion by a clock that is not ours")
        nats.publish(DRIVE, motion(5))
        equal(answer(nats, 5), "ok", "motion of a program that knows no epochs")


@case
def at_the_robot_a_clear_does_not_undo_a_stop_that_overtook_it():
    with robot() as nats:
        nats.publish_stamped(DRIVE, motion(1), 100)
        equal(answer(nats, 1), "ok", "motion")
        nats.publish_stamped("command.genesis.estop", {"cmd_seq": 2}, 101)
        equal(answer(nats, 2), "ok", "the stop")
        nats.publish_stamped("command.genesis.estop_clear", {"cmd_seq": 3}, 100)
        equal(answer(nats, 3), "stale_epoch", "the clear from before it")
        nats.publish_stamped(DRIVE, motion(4), 101)
        equal(answer(nats, 4), "operator", "motion while it stands")
        nats.publish_stamped("command.genesis.estop_clear", {"cmd_seq": 5}, 101)
        equal(answer(nats, 5), "ok", "a clear that knows of it")
        nats.publish(DRIVE, b"not JSON")
        ack = json.loads(nats.receive(ACK)[1])
        equal((ack["action"], ack["cmd_seq"], ack["status"]), ("set_cmd_vel", None, "error"),
              "what is malformed is answered too")
        state = json.loads(nats.receive("telemetry.safety.state",
                                        where=lambda p: json.loads(p)["refused"] == 3)[1])
        equal(state["epoch"], 101, "the robot's epoch")


@case
def the_robot_keeps_its_own_limits():
    """0.2 m/s of the 0.4 that are asked for, after 2 s at 0.1 m/s per second."""
    with robot("--speed-max", "0.2,0,0", "--accel-max", "0.1,0,0") as nats:
        samples = []  # (seconds since the first motion, m/s)
        began = time.monotonic()
        for cmd_seq in range(1, 1000):
            nats.publish(DRIVE, motion(cmd_seq))
            for subject, payload in nats.receive_all(0.02):
                if subject == "telemetry.velocity.command":
                    samples.append((time.monotonic() - began, json.loads(payload)["linear_x"]))
            if time.monotonic() - began > 3.5:
                break
        speeds = [speed for _, speed in samples]
        early = [speed for seconds, speed in samples if 0.3 < seconds < 1.2]
        check(early and 0 < max(early) < 0.15, f"it takes its time: {samples}")
        check(speeds == sorted(speeds), f"and never slows down on the way: {samples}")
        check(0.199 < speeds[-1] <= 0.2, f"up to its limit, and no further: {samples}")


@case
def the_time_to_the_robots_answer_is_a_metric():
    with on_nats() as (daemon, _, nats, _server), daemon.connect() as client:
        client.receive(Video)
        armed(daemon)
        client.send_json(motion(1))
        time.sleep(0.01)  # so long the robot takes
        nats.publish(ACK, {"action": "set_cmd_vel", "cmd_seq": 1, "status": "ok"})

        def page():
            return dict(line.rsplit(" ", 1) for line in daemon.get("/metrics")[2].decode()
                        .splitlines() if not line.startswith("#"))
        check(wait_until(lambda: page()["simcast_command_ack_seconds_count"] == "1"), "counted")
        check(0.01 <= float(page()["simcast_command_ack_seconds_sum"]) < 1, "its time")


@case
def what_clients_are_shown_is_not_what_simcastd_lives_by():
    environment = {"SDR_TELEMETRY_SUBJECTS": "telemetry.training.>,telemetry.hal.>"}
    with on_nats(DRIVE, environment=environment) as (daemon, _, nats, _server), \
            daemon.connect(subprotocols=["simcast.v2"]) as client:
        epoch = client.telemetry("telemetry.safety.epoch").json["epoch"]
        client.receive(Video)
        armed(daemon)
        client.send_json(motion(1))
        nats.receive(DRIVE)
        # hal.loop is one that is shown and lived by: it must not come twice.
        for subject, payload in ((ACK, {"action": "set_cmd_vel", "cmd_seq": 1, "status": "ok"}),
                                 ("telemetry.safety.state", {"epoch": epoch + 1000}),
                                 ("telemetry.hal.loop", {}), ("telemetry.hal.odd", {}),
                                 ("telemetry.training.metrics", {"step": 1})):
            nats.publish(subject, payload)
        check(wait_until(lambda: b"simcast_command_ack_seconds_count 1"
                         in daemon.get("/metrics")[2]), "the acknowledgement is measured")
        heard = [(m.subject, m.json) for m in client.receive_all(0.5) if isinstance(m, Telemetry)
                 and m.subject not in ("telemetry.frame.stats", "telemetry.safety.video_gate")]
        equal(sorted(subject for subject, _ in heard),
              ["telemetry.hal.loop", "telemetry.hal.odd", "telemetry.safety.epoch",
               "telemetry.training.metrics"], "what the client hears")
        check(("telemetry.safety.epoch", {"epoch": epoch + 1001}) in heard,
              f"simcastd goes on from the robot's epoch: {heard}")


if __name__ == "__main__":
    sys.exit(run_cases(__doc__))
