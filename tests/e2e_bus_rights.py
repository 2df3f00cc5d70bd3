#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""containers/nats.conf: with it the whole path works, and what it forbids does not.

  tests/e2e_bus_rights.py BUILDDIR [WORD]...
"""
import contextlib
import pathlib
import subprocess
import tempfile
import time

import daemon_cases
from daemon_cases import armed, case, check, equal, run_cases, simcastd
from daemon_kit import free_port, wait_until
from nats import Nats, NatsServer
from ws import Video

PORT = free_port()
URL = f"nats://127.0.0.1:{PORT}"
CONFIG = pathlib.Path(__file__).resolve().parent.parent / "containers" / "nats.conf"
USERS = {"simcastd": "SIMCAST", "simulator": "SIMULATOR", "hal": "HAL", "dashboard": "DASHBOARD",
         "keeper": "KEEPER"}
MOTION = {"action": "set_cmd_vel", "cmd_seq": 7, "data": {"linear_x": 0.2, "linear_y": 0.0,
                                                          "angular_z": 0.0}}


def password(user):
    return f"pw-{user}"


def server(*arguments):
    return NatsServer(PORT, *arguments, config=CONFIG, environment={
        f"{name}_NATS_PASSWORD": password(user) for user, name in USERS.items()})


def as_user(user, *subjects):
    return Nats(PORT, *subjects, **{"user": user, "pass": password(user)})


def login(folder, user):
    path = pathlib.Path(folder) / f"{user}.login"
    path.write_text(f"{user}:{password(user)}\n")
    return ["--bus", URL, "--bus-login", str(path)]


@contextlib.contextmanager
def program(folder, name, user, *arguments):
    """One of our programs under its account, and where it logs."""
    log = pathlib.Path(folder) / f"{name}.log"
    with open(log, "w", encoding="utf-8") as file:
        child = subprocess.Popen(
            [daemon_cases.build / name.removeprefix("simcast-") / name, "--ipc-dir", folder,
             *arguments, *(login(folder, user) if user else [])], stderr=file)
    try:
        yield log
    finally:
        child.kill()
        child.wait()


@contextlib.contextmanager
def whole_path():
    """nats-server with our file, and every program under its own account."""
    with tempfile.TemporaryDirectory(prefix="simcast-e2e-") as folder, server(), \
            program(folder, "simcast-sim", "simulator", "--pattern", "--size", "320x240",
                    "--fps", "60") as sim_log, \
            program(folder, "simcast-encoder", None), \
            simcastd(*login(folder, "simcastd"), directory=folder) as daemon:
        check(daemon.wait_health(lambda h: h["bus"] == "connected"), daemon.log)
        yield daemon, sim_log


def forbidden(user, subject, payload):
    """The server tells who tries, and nobody hears it."""
    with as_user("dashboard", subject) as ear, as_user(user) as speaker:
        speaker.publish(subject, payload)
        try:
            speaker.flush()
            said = "nothing"
        except ConnectionError as error:
            said = str(error)
        check("Permissions Violation" in said, f"{user} may publish {subject}: {said}")
        equal(ear.receive_all(0.1), [], f"what {user} said on {subject}")


@case
def the_whole_path_works_under_these_rights():
    with whole_path() as (daemon, sim_log), daemon.connect() as client, \
            as_user("dashboard", "telemetry.>", "command.>") as dashboard:
        client.receive(Video)
        armed(daemon)
        client.send_json(MOTION)
        dashboard.receive("command.genesis.set_cmd_vel", 5)
        client.send_command("reset", 8)
        check(b"ok" in dashboard.receive("telemetry.command.ack", 5,
                                         where=lambda p: b"reset" in p)[1], "the simulator's ack")
        client.send_command("estop", 9)
        dashboard.receive("command.genesis.estop", 5)
        dashboard.receive("telemetry.safety.state", 5, where=lambda p: b"ESTOP" in p)
        client.telemetry("telemetry.safety.state", where=lambda m: m.json["mode"] == "ESTOP")
        client.send_command("estop_clear", 10)
        dashboard.receive("telemetry.safety.state", 5, where=lambda p: b"ESTOP" not in p)
        for log in (daemon.log, sim_log.read_text()):
            check("does not let" not in log, f"a right is missing: {log}")


@case
def nobody_else_may_command():
    with server():
        for user in ("simulator", "hal", "dashboard", "keeper"):
            forbidden(user, "command.genesis.set_cmd_vel", MOTION)
            forbidden(user, "command.genesis.estop_clear", {"cmd_seq": 1})
            forbidden(user, "telemetry.safety.video_gate", {"gated": False})
        forbidden("dashboard", "telemetry.x", b"1")
        forbidden("hal", "telemetry.safety.state", b"{}")


@case
def the_keeper_sets_jetstream_up_and_nobody_else_does():
    def setup(user):
        run = subprocess.run([daemon_cases.build / "cli" / "simcast", "bus", "setup", "--jetstream",
                              "--record", "--megabytes-max", "100", *login(folder, user)],
                             capture_output=True, text=True, timeout=20, check=False)
        return run.returncode, run.stdout + run.stderr

    with tempfile.TemporaryDirectory(prefix="simcast-e2e-") as folder, \
            server("-js", "-sd", f"{folder}/js"):
        for user in ("dashboard", "simulator", "hal", "simcastd"):
            code, said = setup(user)
            equal(code, 1, f"{user}: {said}")
        code, said = setup("keeper")
        equal((code, said.count("created")), (0, 7), said)


@case
def a_program_that_may_not_says_what_and_where_to_change_it():
    with tempfile.TemporaryDirectory(prefix="simcast-e2e-") as folder, server(), \
            program(folder, "simcast-sim", "dashboard", "--pattern") as log:
        check(wait_until(lambda: "does not let" in log.read_text(), 10), log.read_text())
        text = log.read_text()
        check("Permissions Violation for Publish" in text and "account's permissions" in text, text)
        time.sleep(1.5)  # in which it goes on trying
        lines = [line for line in log.read_text().splitlines() if "does not let" in line]
        equal(len(lines), len(set(lines)), "each cause is told once")


run_cases(__doc__)
