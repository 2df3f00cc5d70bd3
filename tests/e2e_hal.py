#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""simcast-hal from the outside: e2e_hal.py BUILD_DIR [PART OF A CASE'S NAME].

Uses TCP ports 43420 to 43429.
"""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

from daemon_kit import Daemon, wait_until
from nats import NatsServer

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEMO_PORT = 43420
NATS_PORT = 43421
STOP_SECONDS_MAX = 0.2  # a period and a gate's tick are 60 ms; the rest is for a busy machine


class Skip(Exception):
    """This case cannot run here."""


class Programs:
    """The programs of one build, in a directory of their own; all end with it."""

    def __init__(self, build):
        self.build = build
        self.scratch = tempfile.TemporaryDirectory(prefix="simcast-e2e-")
        self.directory = pathlib.Path(self.scratch.name)
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.scratch.cleanup()

    def start(self, name, *options, **keywords):
        folder = name.removeprefix("simcast-")
        process = subprocess.Popen(
            [self.build / folder / name, "--ipc-dir", self.directory, *map(str, options)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            **keywords)
        self.running.append(process)
        return process

    def run(self, name, *options, seconds=30):
        """(exit code, stdout, stderr)"""
        process = self.start(name, *options)
        out, err = process.communicate(timeout=seconds)
        return process.returncode, out, err


class Dump:
    """What `simcast-hal dump` prints, read on a thread; `newest` by kind."""

    def __init__(self, programs):
        self.process = programs.start("simcast-hal", "dump")
        self.newest = {}
        self.counts = {"state": 0, "action": 0}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with contextlib.suppress(ValueError):  # closed under us at the end
            for line in self.process.stdout:
                entry = json.loads(line)
                self.newest[entry["kind"]] = entry
                self.counts[entry["kind"]] += 1

    def await_actions(self, count):
        wanted = self.counts["action"] + count
        assert wait_until(lambda: self.counts["action"] >= wanted, 20), self.counts

    def mode(self, kind="action"):
        return self.newest.get(kind, {}).get("mode")


def stop(process):
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    return process.returncode


# ---- cases -----------------------------------------------------------------------------------

def the_game_loop_finds_nothing_wrong(build):
    with Programs(build) as programs:
        code, out, err = programs.run(
            "simcast-hal", "--game-loop", "--seconds", 5, "--camera-1", "left", "--camera-2",
            "right", "--depth", "depth", "--policy", "trot")
        assert code == 0, err
        result = json.loads(out)
        assert result["bad"] == 0 and result["estops"] >= 2, result
        assert result["actions"] > 0.8 * result["states"] > 300, result
        assert result["frames"] > 3 * 80, result
        assert os.listdir(programs.directory) == []


def wrong_options_and_policies_are_refused_in_one_sentence(build):
    wrong = [["--rate", "0"], ["--rate", "1001"], ["--rate", "x"], ["--fifo", "100"], ["--waltz"],
             ["--policy", "waltz"], ["--policy", "./waltz.so"], ["--policy", "mlp:/no/such"],
             ["--policy", "mlp"], ["--policy", "external"], ["walk"],
             ["--joint-map", "0,1,2"], ["--observations", "tcp://127.0.0.1:1"],
             ["--log-level", "loud"], ["--bus", "carrier:pigeon"]]
    with Programs(build) as programs:
        for options in wrong:
            code, out, err = programs.run("simcast-hal", *options, seconds=10)
            assert code == 78, (options, code, err)
            assert out == "" and err.count("\n") in (1, 2), (options, err)
        code, out, _ = programs.run("simcast-hal", "--help")
        assert code == 0 and "--policy" in out


def it_waits_for_a_robot_and_survives_its_restart(build):
    with Programs(build) as programs:
        hal = programs.start("simcast-hal", "--rate", 200)
        dump = Dump(programs)
        for _ in range(2):
            sim = programs.start("simcast-sim", "--pattern", "--fps", 10)
            dump.await_actions(100)
            assert stop(sim) == 0
        assert hal.poll() is None
        assert stop(hal) == 0
        assert stop(dump.process) == 0
        assert os.listdir(programs.directory) == []


def an_operators_stop_arrives_without_a_bus(build):
    if not pathlib.Path(NatsServer.PROGRAM).exists():
        raise Skip("nats-server is not installed (apt install nats-server)")
    nats = NatsServer(NATS_PORT)
    try:
        with Programs(build) as programs:
            bus = ["--bus", f"nats://127.0.0.1:{NATS_PORT}"]
            programs.start("simcast-sim", "--pattern", "--fps", 30, *bus)
            programs.start("simcast-encoder", "--codec", "jpeg")
            programs.start("simcast-hal", *bus)
            dump = Dump(programs)
            with Daemon(build / "daemon" / "simcastd", *bus, "--video-source", "ring",
                        directory=programs.directory) as daemon:
                with daemon.connect() as client:
                    drive_until(client, lambda: dump.mode() == "ARMED", dump)
                    nats.stop()
                    client.send_command("estop", 10_000)
                    begin = time.monotonic()
                    assert wait_until(lambda: dump.mode() == "ESTOP", 5), dump.newest
                    took = time.monotonic() - begin
                    # The bus is gone, so the robot's own layer cannot have been told of an ESTOP.
                    assert dump.mode("state") != "ESTOP", dump.newest
                    assert took < STOP_SECONDS_MAX, f"{took:.3f} s"
    finally:
        nats.stop()


def drive_until(client, condition, dump):
    """Commands a velocity ten times a second, and reads what comes so that nothing is full."""
    deadline = time.monotonic() + 20
    sequence = 0
    while not condition():
        assert time.monotonic() < deadline, dump.newest
        sequence += 1
        client.send_command("set_cmd_vel", sequence, linear_x=0.2, linear_y=0.0, angular_z=0.0)
        client.receive_all(0.1)


def an_exported_network_runs(build):
    with Programs(build) as programs:
        weights = {"model_state_dict": {
            "actor.0.weight": [[0.01] * 48] * 16, "actor.0.bias": [0.1] * 16,
            "actor.2.weight": [[0.02] * 16] * 12, "actor.2.bias": [0.0] * 12,
            "critic.0.weight": [[1.0]]}}
        checkpoint = programs.directory / "model.json"
        checkpoint.write_text(json.dumps(weights))
        network = programs.directory / "net.mlp"
        exporter = [sys.executable, ROOT / "hal" / "export_mlp.py"]
        subprocess.run([*exporter, checkpoint, network], check=True)
        code, out, err = programs.run("simcast-hal", "--game-loop", "--seconds", 2, "--policy",
                                      f"mlp:{network}")
        assert code == 0 and json.loads(out)["bad"] == 0, err
        weights["model_state_dict"]["actor.2.bias"] = [0.0] * 11
        checkpoint.write_text(json.dumps(weights))
        refused = subprocess.run([*exporter, checkpoint, network], check=False,
                                 capture_output=True, text=True)
        assert refused.returncode == 1 and "do not fit" in refused.stderr, refused


def the_demo_walks_by_its_policy(build):
    with Programs(build) as programs:
        process = subprocess.run(
            [build / "cli" / "simcast", "demo", "--policy", "trot", "--seconds", "12", "--json",
             "--port", str(DEMO_PORT)], capture_output=True, text=True, timeout=60,
            env={**os.environ, "XDG_RUNTIME_DIR": programs.scratch.name}, check=False)
        assert process.returncode == 0, process.stderr
        result = json.loads(process.stdout)
        assert result["falls"] == 0 and result["distance_m"] > 1, result
        assert result["actions"] > 300, result


CASES = [the_game_loop_finds_nothing_wrong, wrong_options_and_policies_are_refused_in_one_sentence,
         it_waits_for_a_robot_and_survives_its_restart, an_operators_stop_arrives_without_a_bus,
         an_exported_network_runs, the_demo_walks_by_its_policy]


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
    part = sys.argv[2] if len(sys.argv) > 2 else ""
    failed = 0
    for case in CASES:
        name = case.__name__
        if part not in name:
            continue
        try:
            case(build)
            print(f"ok {name}", flush=True)
        except Skip as why:
            print(f"skip {name}: {why}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {name}: {type(error).__name__}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
