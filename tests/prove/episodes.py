# SPDX-License-Identifier: Apache-2.0
"""./run prove episodes: something happens while an operator drives at full rate, again and again.

Judged at the robot, in two ways that do not know of each other:
- by time: motion that was sent while the gate had to be closed (from HOLD_MS after the last frame
  reached simcastd until shortly before frames may flow again; from a stop until its clearing) must
  not arrive;
- by order: behind the gate's own word that it is closed, no motion comes before its word that it
  is open. This allows no slack at all.
A motion that was held up on its way counts as stale when the simulator still obeys it.
Every stop must arrive: itself, or, where something was broken as it was pressed, in the words in
which simcastd repeats it once the bus is back.
"""
import multiprocessing
import random
import signal
import sys
import time

from daemon_kit import wait_until
from field import ESTOP_MS, HOLD_MS, LIBFAKETIME, MS, SLACK_MS, Field

STALE_MS = 200 + 2 * SLACK_MS  # the simulator's limit, and what its answer may take to come
LATE_MS = 1000     # a busy machine may let simcastd read the last frame late, but not this late
STOP_SECONDS = 20  # a bus that went away has come back long before


class Episodes:
    def __init__(self, field, seed):
        self.field = field
        self.random = random.Random(seed)
        self.on_the_wire = False  # in this episode
        self.closed = []     # (from_ns, until_ns): motion sent then must not arrive
        self.pressed = []    # cmd_seq of this episode's stops
        self.stops = 0
        self.lost = 0
        self.quick_ms = []   # how long those took that were pressed while nothing was broken
        self.stale = 0
        self.clock_effects = 0
        self.skipped = {}

    def pause_ms(self, low, high):
        time.sleep(self.random.uniform(low, high) / 1000)

    def press_stop(self):
        """Returns when it was sent."""
        cmd_seq = self.field.operator.press("estop")
        self.pressed.append(cmd_seq)
        return self.field.operator.sent_ns[cmd_seq]

    def await_stops(self):
        """Counts the stops that do not come."""
        robot, sent_ns = self.field.robot, self.field.operator.sent_ns
        for cmd_seq in self.pressed:
            came = wait_until(lambda c=cmd_seq: robot.was_stopped(c, sent_ns[c]), STOP_SECONDS)
            self.lost += not came
            self.stops += 1
        self.pressed = []

    def closed_until_now(self, from_ns):
        """Frames may flow again; what was sent just now may be judged after the next one."""
        self.closed.append((from_ns, time.monotonic_ns() - SLACK_MS * MS))

    def without_frames(self, ended_ns):
        """Frames have ended; waits a while, at times beyond the ESTOP, at times with a stop."""
        self.pause_ms(HOLD_MS + 2 * SLACK_MS, ESTOP_MS + 2 * HOLD_MS)
        if self.random.random() < 0.3:
            self.press_stop()
            self.pause_ms(10, 50)
        last_frame_ns = self.field.last_frame_ns()
        if last_frame_ns > ended_ns + LATE_MS * MS:
            raise AssertionError("simcastd saw a frame long after the last one can have been sent")
        self.closed_until_now(last_frame_ns + HOLD_MS * MS)

    # What may happen.

    def stop(self):
        began = self.press_stop()
        cmd_seq = self.pressed[-1]
        came_ns = self.field.robot.stops_ns
        if wait_until(lambda: cmd_seq in came_ns, STOP_SECONDS):
            self.quick_ms.append((came_ns[cmd_seq] - began) / MS)
        self.pause_ms(20, 150)
        self.closed.append((began, time.monotonic_ns()))

    def freeze_encoder(self):
        self._freeze("encoder")

    def freeze_simulator(self):
        self._freeze("sim")

    def _freeze(self, name):
        self.field.signal(name, signal.SIGSTOP)
        self.without_frames(time.monotonic_ns())
        self.field.signal(name, signal.SIGCONT)

    def kill_encoder(self):
        self._kill("encoder")

    def kill_simulator(self):
        self._kill("sim")

    def _kill(self, name):
        self.field.kill(name)
        self.without_frames(time.monotonic_ns())
        self.field.start(name)

    def kill_simcastd(self):
        """A new one has seen no frame, so it is closed from its first moment."""
        self.field.signal("encoder", signal.SIGSTOP)
        self.field.kill("simcastd")
        began = time.monotonic_ns()
        self.field.start("simcastd")
        wait_until(lambda: self.field.operator.connected, 5)
        self.pause_ms(100, 250)
        self.closed_until_now(began)
        self.field.signal("encoder", signal.SIGCONT)

    def restart_nats(self):
        if self.random.random() < 0.5:  # a stop that is sent, but that nobody takes any more
            self.field.signal("nats", signal.SIGSTOP)
            self.press_stop()
            self.pause_ms(0, 50)
        self.field.kill("nats")
        self.pause_ms(0, 150)
        if self.random.random() < 0.5:
            self.press_stop()
        # Nothing that was sent up to now has a server to go through.
        sent_before = time.monotonic_ns()
        self.field.start("nats")
        server = self.field.robot.server
        self.await_stops()
        self.field.recover()
        self.stale += sum(m.server == server and m.sent_ns < sent_before
                          for m in self.field.robot.motions)

    def delay_bus(self):
        self._delay("nats")

    def delay_simcastd(self):
        self._delay("simcastd")

    def _delay(self, name):
        self.field.signal(name, signal.SIGSTOP)
        self.pause_ms(20, 300)
        stop = self.random.random() < 0.5
        if stop:
            began = self.press_stop()
        self.field.signal(name, signal.SIGCONT)
        if stop:
            self.await_stops()
            self.closed.append((began, time.monotonic_ns()))

    def delay_wire(self):
        """All that simcastd says and hears comes late, while the gate closes or a stop is pressed."""
        self.field.wire.delay(self.random.uniform(0.02, 0.4))
        self._trouble_on_the_wire()
        self.field.wire.delay(0)
        self.await_stops()

    def cut_wire(self):
        """simcastd is alone; what it sent meanwhile comes in one go, or never."""
        if self.field.wire.why_whole:
            self.skipped["cut_wire"] = self.field.wire.why_whole
            return
        self.field.wire.cut()
        self._trouble_on_the_wire()
        self.field.wire.mend()
        self.await_stops()

    def _trouble_on_the_wire(self):
        """Nothing that the simulator obeys afterwards may be old."""
        self.field.robot.moved_age_ns = 0
        if self.random.random() < 0.5:
            self.field.signal("encoder", signal.SIGSTOP)
            self.without_frames(time.monotonic_ns())
            self.field.signal("encoder", signal.SIGCONT)
        else:
            self.pause_ms(100, 1500)
            if self.random.random() < 0.5:
                began = self.press_stop()
                self.pause_ms(10, 200)
                self.closed.append((began, time.monotonic_ns()))
        self.on_the_wire = True

    def jump_clock(self):
        """The wall clock means nothing: it jumps to and fro, and the robot goes on. A simcastd that
        starts with a clock far back is obeyed all the same."""
        if not LIBFAKETIME.exists():
            self.skipped["jump_clock"] = "libfaketime is missing, Debian package faketime"
            return
        self.field.set_wall_clock(0)
        self._restart_simcastd(True)
        self.field.recover()
        closings, motions = self.field.robot.closings, self.field.robot.motion_count
        for offset_s in (86400, -86400 * 365, 3):
            self.field.set_wall_clock(offset_s)
            self.pause_ms(60, 120)
        self.clock_effects += self.field.robot.closings != closings
        self.clock_effects += self.field.robot.motion_count == motions
        self.field.set_wall_clock(-86400)
        self._restart_simcastd(True)
        self.field.recover()
        moved = self.field.robot.moved
        self.clock_effects += not wait_until(lambda: self.field.robot.moved > moved, 5)
        self._restart_simcastd(False)

    def _restart_simcastd(self, wall_clock):
        self.field.kill("simcastd")
        self.field.start("simcastd", wall_clock)

    KINDS = (stop, stop, stop, freeze_encoder, freeze_simulator, kill_encoder, kill_simulator,
             kill_simcastd, restart_nats, delay_bus, delay_simcastd, delay_wire, cut_wire,
             jump_clock)

    def judge(self):
        """What went wrong since the last call: (how much motion passed, in words)."""
        motions, self.field.robot.motions = self.field.robot.motions, []
        late_ms = [round((m.sent_ns - a) / MS, 1) for m in motions for a, b in self.closed
                   if a <= m.sent_ns < b]
        by_order, self.field.robot.after_closing = self.field.robot.after_closing, []
        words = (f"{len(late_ms)} by time, sent {late_ms[:3]} ms after the closing; "
                 f"{len(by_order)} by order {by_order[:3]}; {self.stale} stale")
        if self.on_the_wire:
            self.stale += self.field.robot.moved_age_ns > STALE_MS * MS
            words += f", the oldest {self.field.robot.moved_age_ns // MS} ms"
        self.on_the_wire = False
        passed = max(len(late_ms), len(by_order)) + self.stale
        self.closed, self.stale = [], 0
        return passed, words

    def play(self, number):
        """One episode; returns how much motion passed while closed."""
        kind = self.KINDS[number % len(self.KINDS)]
        lost = self.lost
        self.pause_ms(20, 100)
        kind(self)
        self.await_stops()
        self.field.recover()
        passed, words = self.judge()
        if passed or self.lost > lost:
            print(f"prove: episode {number} ({kind.__name__}): motion passed: {words}; "
                  f"{self.lost - lost} stops lost", file=sys.stderr)
        return passed


def percentile(values, share):
    return sorted(values)[min(int(share * len(values)), len(values) - 1)] if values else None


def run(build, count, seed, hold_ms, number):
    """One field's share; `number` makes its dice others than its neighbours'."""
    with Field(build, hold_ms=hold_ms) as field:
        episodes = Episodes(field, seed + number)
        passed = sum(episodes.play(number) for number in range(count))
        return {"episodes": count, "motion_passed": passed, "stops_lost": episodes.lost,
                "quick_ms": episodes.quick_ms, "clock_effects": episodes.clock_effects,
                "stops": episodes.stops, "motion_sent": field.operator.motion_sent,
                "motion_delivered": field.robot.motion_count, "skipped": episodes.skipped}


def prove(build, count, seed, hold_ms=HOLD_MS, jobs=1):
    print(f"seed {seed}", file=sys.stderr)
    began = time.monotonic()
    shares = [(build, count // jobs + (n < count % jobs), seed, hold_ms, n) for n in range(jobs)]
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        parts = pool.starmap(run, [share for share in shares if share[1]])
    total = {name: sum(part[name] for part in parts)
             for name in ("episodes", "motion_passed", "stops_lost")}
    quick = sorted(sum((part["quick_ms"] for part in parts), []))
    skipped = {kind: why for part in parts for kind, why in part["skipped"].items()}
    for kind, why in skipped.items():
        print(f"prove: {kind} was skipped: {why}", file=sys.stderr)
    result = {**total, "stop_p99_ms": round(percentile(quick, 0.99), 3) if quick else None,
              "seed": seed, "stops_timed": len(quick),
              **{name: sum(part[name] for part in parts)
                 for name in ("stops", "clock_effects", "motion_sent", "motion_delivered")},
              "skipped": skipped, "seconds": round(time.monotonic() - began)}
    if not quick:
        print("prove: no stop was timed, so it is not known how long one takes", file=sys.stderr)
    faults = total["motion_passed"] or total["stops_lost"] or result["clock_effects"]
    return bool(quick) and not faults, result
