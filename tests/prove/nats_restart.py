# SPDX-License-Identifier: Apache-2.0
"""./run prove nats-restart: the NATS server dies and comes back under full load.

Motion that was sent before the new server was started must never arrive: neither from a queue of
simcastd's, nor from a library's. At times the server hangs before it dies, so that bytes pile up
in the kernel as well.
"""
import random
import signal
import sys
import time

from field import Field

RATE_HZ = 1000


def restart(field, dice):
    """Returns how much stale motion came afterwards."""
    if dice.random() < 0.5:
        field.signal("nats", signal.SIGSTOP)
        time.sleep(dice.uniform(0, 0.1))
    field.kill("nats")
    time.sleep(dice.uniform(0, 0.3))
    sent_before = time.monotonic_ns()
    field.start("nats")
    field.recover()
    time.sleep(dice.uniform(0.02, 0.2))
    motions, field.robot.motions = field.robot.motions, []
    return sum(m.server == field.robot.server and m.sent_ns < sent_before for m in motions)


def prove(build, count, seed):
    print(f"seed {seed}", file=sys.stderr)
    dice = random.Random(seed)
    with Field(build, RATE_HZ) as field:
        stale = sum(restart(field, dice) for _ in range(count))
        result = {"restarts": count, "stale_motion": stale, "seed": seed,
                  "motion_sent": field.operator.motion_sent,
                  "motion_delivered": field.robot.motion_count}
    return stale == 0, result
