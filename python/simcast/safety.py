# SPDX-License-Identifier: Apache-2.0
"""The last word on what a robot does: safety layer 3, the same code that simcast-sim runs."""
from __future__ import annotations

import json
import math
import time
from typing import Any, Callable, Mapping, NamedTuple

from . import _safety

SUBJECTS: tuple[str, ...] = ("command.genesis.>", "telemetry.safety.video_gate")
STAMP_HEADER = "Simcast-Stamp"
STATE_PERIOD_NS = 500_000_000
VELOCITY_PERIOD_NS = 200_000_000
ACK_SUBJECT = "telemetry.command.ack"

Axes = tuple[float, float, float]


class Velocity(NamedTuple):
    """What the robot may do now."""

    forward: float
    left: float
    turn: float


class Command(NamedTuple):
    """An accepted command, to be carried out by the simulator (all but set_cmd_vel and the stops,
    which `Safety` has applied)."""

    action: str
    data: dict[str, Any]


def _clock() -> str:
    """Names this machine's monotonic clock, as simcast's own bus does."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read(8)
    except OSError:
        return ""


def _nanoseconds(name: str, seconds: float) -> int:
    if not 0 <= seconds < 86400 or not math.isfinite(seconds):
        raise ValueError(f"{name} must be 0 to 86400 seconds and is {seconds!r}")
    return round(seconds * 1e9)


class Safety:
    """Decides what the robot does of what it is told.

    Feed every message of `Safety.SUBJECTS` to `receive`, call `step` once per control step, and
    obey the velocity that it returns; while `powered` is False, keep the policy off. Without a
    velocity command for `hold` seconds the robot comes to rest, without one for `estop` seconds it
    stops until an operator clears it.

    `publish(subject, payload)` sends telemetry and acknowledgements; it must not block. Limits are
    for forward (m/s), left (m/s) and turn (rad/s), 0 for none: faster commands are cut to
    `speed_max`; `accel_max` and `jerk_max` shape the way to a velocity, never the way to a stop.
    With a `deadman` of some seconds motion passes only while commands say so often that it is
    held. One object belongs to one thread.
    """

    SUBJECTS = SUBJECTS

    def __init__(self, publish: Callable[[str, bytes], Any] | None = None, *,
                 speed_max: Axes = (0.0, 0.0, 0.0), accel_max: Axes = (0.0, 0.0, 0.0),
                 jerk_max: Axes = (0.0, 0.0, 0.0), hold: float = 0.2, estop: float = 2.0,
                 deadman: float = 0.0, clock: Callable[[], int] = time.monotonic_ns) -> None:
        if not 0 < hold < estop:
            raise ValueError(f"hold must be above 0 and below estop; they are {hold} and {estop}")
        self._publish = publish
        self._clock = clock
        self._clock_name = _clock() if clock is time.monotonic_ns else ""
        self._authority = _safety.Authority(
            tuple(map(float, speed_max)), tuple(map(float, accel_max)),
            tuple(map(float, jerk_max)), _nanoseconds("hold", hold), _nanoseconds("estop", estop),
            _nanoseconds("deadman", deadman), clock())
        self._state_id = time.time_ns() // 1_000_000
        self._state_due = self._velocity_due = clock()

    @property
    def mode(self) -> str:
        """ "ARMED", "HOLD" or "ESTOP"."""
        return self._authority.mode

    @property
    def reason(self) -> str:
        """Why it is not armed, as "no_video" or "cmd_timeout"; else "none"."""
        return self._authority.reason

    @property
    def powered(self) -> bool:
        """Whether the policy may run."""
        return self._authority.mode != "ESTOP"

    @property
    def velocity(self) -> Velocity:
        """What the robot may do now."""
        return Velocity(*self._authority.velocity)

    @property
    def accepted(self) -> int:
        """Commands accepted so far."""
        return self._authority.accepted

    @property
    def refused(self) -> int:
        """Commands refused so far; each was answered with a reason."""
        return self._authority.refused

    def _send(self, report: tuple[str, bytes]) -> None:
        if self._publish is not None:
            self._publish(*report)

    def _tell(self, changed: bool, timed_out: bool) -> None:
        if changed:
            self._state_due = self._clock()
            self._send_state()
        if timed_out:
            self._send(self._authority.timeout())

    def _send_state(self) -> None:
        self._state_id += 1
        self._state_due += STATE_PERIOD_NS
        self._send(self._authority.state(self._state_id, self._clock()))

    def _stamp(self, headers: Mapping[str, str] | None) -> tuple[int, int]:
        """(epoch, sent_ns), 0 for what is not known."""
        words = (headers or {}).get(STAMP_HEADER, "").split(" ")
        if len(words) != 3 or not (words[0].isdecimal() and words[1].isdecimal()):
            return 0, 0
        epoch, sent_ns = int(words[0]), int(words[1])
        if epoch >= 2**64 or sent_ns >= 2**63:
            return 0, 0
        return epoch, sent_ns if words[2] == self._clock_name != "" else 0

    def receive(self, subject: str, payload: bytes,
                headers: Mapping[str, str] | None = None) -> Command | None:
        """Judges a message from the bus and answers it.

        Returns the command if the simulator has to carry it out, else None. `headers` are those
        of a NATS message: with them, commands of an ended epoch and commands that were under way
        for too long are recognised.
        """
        result = self._authority.take(subject, bytes(payload), *self._stamp(headers),
                                      self._clock())
        if result is None:
            return None
        action, _detail, changed, timed_out, ack = result
        self._tell(changed, timed_out)
        if ack:
            self._send((ACK_SUBJECT, ack))
        if action is None:
            return None
        try:
            message = json.loads(payload)
        except ValueError:  # a stop is one however it is written
            message = {}
        message = message if isinstance(message, dict) else {}
        data = message.get("data")
        return Command(action, data if isinstance(data, dict) else message)

    def bus(self, connected: bool) -> None:
        """Tells that the connection to the bus was lost, or is back: a robot that cannot be told
        to stop comes to rest at once."""
        self._tell(*self._authority.bus(connected, self._clock()))

    def step(self) -> Velocity:
        """Lets time pass; returns what the robot may do now. Call it once per control step."""
        now = self._clock()
        self._tell(*self._authority.tick(now))
        if now >= self._state_due:
            self._state_due = now
            self._send_state()
        if now >= self._velocity_due:
            self._velocity_due = now + VELOCITY_PERIOD_NS
            self._send(self._authority.velocity_report())
        return self.velocity

    def still(self) -> None:
        """Forgets the velocity, as when the robot is put back to its start."""
        self._authority.still()
