# SPDX-License-Identifier: Apache-2.0
"""The proving ground: a real nats-server, the pattern simulator, the encoder and simcastd, an
operator who drives through a WebSocket at a high rate, and a robot that listens on NATS. simcastd
reaches NATS through a wire (wire.py) that can delay and be cut.

All times are CLOCK_MONOTONIC nanoseconds of this machine, so what the robot receives can be
compared with when it was sent.
"""
import collections
import dataclasses
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from daemon_kit import Daemon, free_port, wait_until
from nats import Nats, NatsServer
from wire import Wire
from ws import Closed, Refused, WebSocket

MS = 1_000_000
HOLD_MS = 100
ESTOP_MS = 400
# What a busy machine may need from the operator's sending to simcastd's judging.
SLACK_MS = 50
RATE_HZ = 500
MOTION_SUBJECT = "command.genesis.set_cmd_vel"
STOP_SUBJECT = "command.genesis.estop"
GATE_SUBJECT = "telemetry.safety.video_gate"
ACK_SUBJECT = "telemetry.command.ack"
REMEMBERED = 20000  # motions whose time of sending is known
LIBFAKETIME = pathlib.Path("/usr/lib") / f"{platform.machine()}-linux-gnu/faketime/libfaketimeMT.so.1"


class Operator(threading.Thread):
    """Drives without a pause, reconnects for ever. Every command carries when it was sent."""

    def __init__(self, address, rate_hz):
        super().__init__(daemon=True)
        self.address = address
        self.period = 1 / rate_hz
        self.pressed = collections.deque()
        self.sent_ns = {}  # cmd_seq of what was pressed -> when it was sent
        self.motion_ns = {}  # likewise for motion, of the newest REMEMBERED
        self.cmd_seq = 0
        self.motion_sent = 0
        self.connected = False
        self.stopping = threading.Event()

    def press(self, action):
        """Returns the command's number, once it is sent."""
        pressed = {"action": action, "done": threading.Event()}
        self.pressed.append(pressed)
        if not pressed["done"].wait(20):
            raise AssertionError(f"the operator found no simcastd to send {action} to")
        return pressed["cmd_seq"]

    def _send(self, socket, action, **data):
        self.cmd_seq += 1
        now_ns = time.monotonic_ns()
        socket.send_command(action, self.cmd_seq, sent_ns=now_ns, **data)
        return now_ns

    def _drive(self, socket):
        due = time.monotonic()
        while not self.stopping.is_set():
            while self.pressed:
                pressed = self.pressed[0]
                now_ns = self._send(socket, pressed["action"])
                self.sent_ns[self.cmd_seq] = now_ns
                pressed["cmd_seq"] = self.cmd_seq
                self.pressed.popleft()
                pressed["done"].set()
            if time.monotonic() >= due:
                now_ns = self._send(socket, "set_cmd_vel", linear_x=0.5, linear_y=0.0,
                                    angular_z=0.1)
                self.motion_ns[self.cmd_seq] = now_ns
                self.motion_ns.pop(self.cmd_seq - REMEMBERED, None)
                self.motion_sent += 1
                due = max(due + self.period, time.monotonic() - 5 * self.period)
            try:
                socket.receive_message(max(due - time.monotonic(), 0.0002))
            except TimeoutError:
                pass

    def run(self):
        while not self.stopping.is_set():
            try:
                with WebSocket(self.address()) as socket:
                    self.connected = True
                    self._drive(socket)
            except (OSError, Closed, Refused):  # a timeout is an OSError
                self.connected = False
                time.sleep(0.005)


@dataclasses.dataclass
class Motion:
    sent_ns: int
    received_ns: int
    server: int  # which run of the NATS server delivered it


class Robot(threading.Thread):
    """Hears all commands, what the gate says of itself and what the simulator answers; never asks
    anything."""

    def __init__(self, port, operator):
        super().__init__(daemon=True)
        self.port = port
        self.operator = operator
        self.closings = 0      # words that the gate is closed
        self.moved = 0         # motions that the simulator accepted
        self.moved_age_ns = 0  # the oldest of them, since it was sent
        self.motions = []
        self.motion_count = 0
        self.stops_ns = {}     # cmd_seq -> when it came
        self.own_stops_ns = [] # the gate's: its own, and those it repeats when the bus is back
        self.after_closing = []  # motion behind the gate's word that it is closed, same connection
        self.gated = None
        self.closed_by = None
        self.connected = False
        self.server = 0
        self.stopping = threading.Event()

    def was_stopped(self, cmd_seq, pressed_ns):
        return cmd_seq in self.stops_ns or any(s > pressed_ns for s in self.own_stops_ns)

    def _hear_ack(self, payload):
        sent_ns = self.operator.motion_ns.get(payload["cmd_seq"])
        if payload["status"] == "ok" and sent_ns is not None:
            self.moved += 1
            self.moved_age_ns = max(self.moved_age_ns, time.monotonic_ns() - sent_ns)

    def _hear(self, subject, payload):
        if subject == ACK_SUBJECT:
            self._hear_ack(payload)
        elif subject == GATE_SUBJECT:
            self.gated = payload["gated"]
            self.closings += self.gated
            self.closed_by = payload, time.monotonic_ns()
        elif subject == STOP_SUBJECT:
            if "_safety" in payload:
                self.own_stops_ns.append(time.monotonic_ns())
            else:
                self.stops_ns.setdefault(payload["cmd_seq"], time.monotonic_ns())
        elif subject == MOTION_SUBJECT:
            if "_safety" in payload:
                self.gated = True
                self.closings += 1
                self.closed_by = "hold", time.monotonic_ns()
                return
            self.motion_count += 1
            motion = Motion(payload["data"]["sent_ns"], time.monotonic_ns(), self.server)
            self.motions.append(motion)
            if self.gated:
                self.after_closing.append((self.closed_by, motion))

    def run(self):
        while not self.stopping.is_set():
            try:
                with Nats(self.port, "command.genesis.>", GATE_SUBJECT, ACK_SUBJECT) as nats:
                    self.gated = None
                    self.connected = True
                    while not self.stopping.is_set():
                        try:
                            subject, payload = nats.receive(seconds=0.5)
                        except TimeoutError:
                            continue
                        self._hear(subject, json.loads(payload))
            except OSError:
                self.connected = False
                time.sleep(0.002)


class Field:
    """Everything, started and driving. Processes: "sim", "encoder", "simcastd", "nats"."""

    def __init__(self, build, rate_hz=RATE_HZ, hold_ms=HOLD_MS):
        self.build = pathlib.Path(build)
        self.environment = {"SIMCAST_GATE_HOLD_MS": str(hold_ms),
                            "SIMCAST_GATE_ESTOP_MS": str(max(ESTOP_MS, 2 * hold_ms)),
                            "SIMCAST_GATE_CODEC_GRACE_MS": "100"}
        self.directory = tempfile.mkdtemp(prefix="simcast-prove-")
        self.nats_port = free_port()
        self.wire = Wire(self.nats_port)
        self.server = NatsServer(self.nats_port, "-a", self.wire.server_host)
        self.bus = f"nats://127.0.0.1:{self.nats_port}"
        self.clock = pathlib.Path(self.directory) / "wall_clock"  # of a simcastd under faketime
        self.processes = {}
        self.daemon = None
        self.operator = Operator(lambda: self.daemon.address, rate_hz)
        self.robot = Robot(self.nats_port, self.operator)

    def set_wall_clock(self, offset_s):
        """Of a simcastd that was started with wall_clock=True."""
        whole = self.clock.with_suffix(".new")
        whole.write_text(f"{offset_s:+d}\n", encoding="ascii")
        whole.replace(self.clock)

    def start(self, name, wall_clock=False):
        if name == "nats":
            self.robot.server += 1
            self.server.start()
        elif name == "simcastd":
            fake = {"LD_PRELOAD": str(LIBFAKETIME), "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            self.daemon = Daemon(self.build / "daemon" / "simcastd", "--bus",
                                 f"nats://{self.wire.address}", "--commands-per-s", 1000,
                                 directory=self.directory,
                                 environment={**self.environment, **(fake if wall_clock else {})})
        else:
            command = [self.build / name / f"simcast-{name}", "--ipc-dir", self.directory]
            if name == "sim":
                command += ["--pattern", "--size", "320x240", "--fps", "60", "--bus", self.bus]
            self.processes[name] = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                                    stderr=subprocess.DEVNULL)

    def process(self, name):
        if name == "nats":
            return self.server.process
        return self.daemon.process if name == "simcastd" else self.processes[name]

    def signal(self, name, number):
        os.kill(self.process(name).pid, number)

    def kill(self, name):
        self.process(name).kill()
        self.process(name).wait()

    def last_frame_ns(self):
        """When simcastd got its newest frame, at the latest."""
        age_ms = self.daemon.health()["last_frame_age_ms"]
        return time.monotonic_ns() - int(age_ms) * MS

    def recover(self):
        """Until motion comes and the simulator obeys it; presses estop_clear where it is needed."""
        deadline = time.monotonic() + 20
        came, moved = self.robot.motion_count, self.robot.moved
        while self.robot.moved == moved:
            if time.monotonic() > deadline:
                raise AssertionError("the robot never moved again: " + json.dumps(
                    self.daemon.health()) + f", operator connected {self.operator.connected}, "
                    f"robot connected {self.robot.connected}")
            latched = self.robot.motion_count > came  # it hears, but does not obey
            if latched or self.daemon.health()["gate"] == "ESTOP":
                self.operator.press("estop_clear")
            came = self.robot.motion_count
            wait_until(lambda: self.robot.moved > moved, 0.1)

    def __enter__(self):
        try:
            for name in ("sim", "encoder", "simcastd"):
                self.start(name)
            self.robot.start()
            self.operator.start()
            self.recover()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for thread in (self.operator, self.robot):
            thread.stopping.set()
            if thread.is_alive():
                thread.join(5)
        for process in (*self.processes.values(), self.server.process):
            if process.poll() is None:
                process.kill()  # ends a stopped process, too
                process.wait()
        if self.daemon:
            self.daemon.__exit__()
        self.wire.close()
        shutil.rmtree(self.directory, ignore_errors=True)
