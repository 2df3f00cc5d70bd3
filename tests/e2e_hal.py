#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""simcast-hal from the outside: e2e_hal.py BUILD_DIR [PART OF A CASE'S NAME]."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time

from case_kit import Skip, command_line, run_part
from daemon_kit import Daemon, free_port, wait_until
from nats import NatsServer
from program_kit import Yard

PYTHON = "/usr/bin/python3"  # a python3 found in PATH may be another one, without zmq
try:
    import zmq
except ImportError:
    if sys.executable != PYTHON and os.path.exists(PYTHON):
        os.execv(PYTHON, [PYTHON, *sys.argv])
    zmq = None

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEMO_PORT = free_port()
NATS_PORT = free_port()
OBSERVATIONS = f"tcp://127.0.0.1:{free_port()}"
COMMANDS = f"tcp://127.0.0.1:{free_port()}"
WIDTH, HEIGHT = 128, 96
THEIR_JOINTS = 18
CAP_IPC_LOCK, CAP_SYS_NICE = 14, 23  # capabilities(7)
STOP_SECONDS_MAX = 0.2  # a period and a gate's tick are 60 ms; the rest is for a busy machine


class Programs(Yard):
    """The programs of one build."""

    def __init__(self, build):
        super().__init__()
        self.build = build

    def start(self, name, *options, prefix=()):
        """`prefix`: words before its command line, such as prlimit."""
        folder = name.removeprefix("simcast-")
        return self.launch(
            [*prefix, self.build / folder / name, "--ipc-dir", self.directory, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

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
             ["--policy", "mlp"], ["--policy", "x" * 1024], ["--policy", "external"], ["walk"],
             ["--joint-map", "0,1,2"], ["--observations", "tcp://127.0.0.1:1"],
             ["--log-level", "loud"], ["--bus", "carrier:pigeon"]]
    with Programs(build) as programs:
        for options in wrong:
            code, out, err = programs.run("simcast-hal", *options, seconds=10)
            assert code == 78, (options, code, err)
            assert out == "" and err.count("\n") in (1, 2), (options, err)
        code, out, _ = programs.run("simcast-hal", "--help")
        assert code == 0 and "--policy" in out


def the_simulator_refuses_wrong_options_in_one_sentence(build):
    five = [word for name in "abcde" for word in ("--camera", f"{name}=head")]
    wrong = [["--camera", "x"], ["--camera", "x=up"], ["--camera", f"{'x' * 40}=head"], five,
             ["--envs", "0"], ["--envs", "65"], ["--size", "640x16"], ["--size", "640"],
             ["--size", "1282x720", "--max-size", "1280x720"], ["--fps", "0"], ["walk"]]
    with Programs(build) as programs:
        for options in wrong:
            code, out, err = programs.run("simcast-sim", "--pattern", *options, seconds=10)
            assert code == 78, (options, code, err)
            assert out == "" and err.count("\n") == 1, (options, err)
        code, out, err = programs.run("simcast-sim", "--pattern", "--camera", "front=head",
                                      seconds=10)
        assert code != 0 and "another" in err, (code, err)  # that is the main camera's name


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


@contextlib.contextmanager
def a_driven_robot(build):
    """(nats, client, hal, dump) while a client drives the robot by way of NATS."""
    if not pathlib.Path(NatsServer.PROGRAM).exists():
        raise Skip("nats-server is not installed (apt install nats-server)")
    bus = ["--bus", f"nats://127.0.0.1:{NATS_PORT}"]
    with NatsServer(NATS_PORT) as nats, Programs(build) as programs:
        programs.start("simcast-sim", "--pattern", "--fps", 30, *bus)
        programs.start("simcast-encoder", "--codec", "jpeg")
        hal = programs.start("simcast-hal", *bus)
        dump = Dump(programs)
        with Daemon(build / "daemon" / "simcastd", *bus, "--video-source", "ring",
                    directory=programs.directory) as daemon, daemon.connect() as client:
            drive_until(client, lambda: dump.mode() == "ARMED", dump)
            yield nats, client, hal, dump


def await_mode(dump, mode):
    begin = time.monotonic()
    assert wait_until(lambda: dump.mode() == mode, 5), dump.newest
    took = time.monotonic() - begin
    assert took < STOP_SECONDS_MAX, f"{took:.3f} s"


def an_operators_stop_arrives_without_a_bus(build):
    with a_driven_robot(build) as (nats, client, _, dump):
        nats.stop()
        client.send_command("estop", 10_000)
        await_mode(dump, "ESTOP")
        # The bus is gone, so the robot's own layer cannot have been told of an ESTOP.
        assert dump.mode("state") != "ESTOP", dump.newest


def who_holds_when_the_viewer_leaves(build):
    """What simcast-hal says of the HOLD that follows, while the bus hangs."""
    with a_driven_robot(build) as (nats, client, hal, dump):
        # The robot's own layer holds 200 ms after the last command, so that must be a fresh one.
        client.send_command("set_cmd_vel", 1000, linear_x=0.2, linear_y=0.0, angular_z=0.0)
        client.telemetry("telemetry.command.ack", where=lambda ack: ack.json["cmd_seq"] == 1000)
        # It hangs: else that layer would see its end, and hold as soon as the gate.
        nats.process.send_signal(signal.SIGSTOP)
        client.drop()  # nobody watches any more
        await_mode(dump, "HOLD")
        hal.send_signal(signal.SIGTERM)
        _, err = hal.communicate(timeout=10)
        return err[err.rindex("ARMED by "):].splitlines()[1]


def a_hold_arrives_without_a_bus(build):
    # The two layers race, 50 ms against 200; on a busy machine the slower one may win now and then.
    said = []
    while not any("HOLD by simcastd's gate" in line for line in said):
        assert len(said) < 4, said
        said.append(who_holds_when_the_viewer_leaves(build))


class ControlProgram:
    """A program that speaks the eight parts and the two parts, as those that exist already do."""

    def __init__(self):
        self.context = zmq.Context()
        self.subscriber = self.context.socket(zmq.SUB)
        self.subscriber.setsockopt(zmq.RCVHWM, 1)
        self.subscriber.setsockopt(zmq.SUBSCRIBE, b"observation")
        self.subscriber.setsockopt(zmq.RCVTIMEO, 10_000)
        self.pusher = self.context.socket(zmq.PUSH)
        self.pusher.setsockopt(zmq.SNDHWM, 5)
        self.pusher.setsockopt(zmq.LINGER, 0)
        self.subscriber.connect(OBSERVATIONS)
        self.pusher.connect(COMMANDS)

        self.seen = self.observe()  # it sees, though at HOLD it may not act
        self.running = True
        self.thread = threading.Thread(target=self._control, daemon=True)

    def start(self, joints):
        """Answers each observation with these joints, from now on."""
        self.joints = joints
        self.thread.start()

    def _control(self):
        while self.running:
            self.seen = self.observe()
            self.command(self.seen[0]["timestamp_ns"], self.joints)

    def close(self):
        self.running = False
        self.thread.join(20)
        self.subscriber.close()
        self.pusher.close()
        self.context.term()

    def observe(self):
        """(metadata, joints, the four pictures)"""
        topic, version, metadata, joints, *pictures = self.subscriber.recv_multipart()
        assert topic == b"observation" and version == b"1.0", (topic, version)
        assert len(pictures) == 4, len(pictures)
        return json.loads(metadata), struct.unpack(f"<{THEIR_JOINTS}f", joints), pictures

    def command(self, observation_ns, joints):
        metadata = {"joint_positions": {"shape": [THEIR_JOINTS], "dtype": "float32"},
                    "timestamp_ns": time.monotonic_ns(),
                    "observation_timestamp_ns": observation_ns}
        self.pusher.send_multipart([json.dumps(metadata).encode(),
                                    struct.pack(f"<{THEIR_JOINTS}f", *joints)])


def pixel(picture, x, y):
    return tuple(picture[3 * (y * WIDTH + x):3 * (y * WIDTH + x) + 3])


def check_pictures(metadata, pictures):
    """The test pattern, as three cameras and a confidence show it."""
    first, second, depth, confidence = pictures
    assert metadata["camera_width"] == WIDTH and metadata["camera_height"] == HEIGHT, metadata
    assert metadata["depth_map"] == {"shape": [HEIGHT, WIDTH], "dtype": "float32"}, metadata
    for picture in (first, second):
        assert len(picture) == 3 * WIDTH * HEIGHT, len(picture)
        assert pixel(picture, 4, 36) == (255, 0, 0), pixel(picture, 4, 36)
        assert pixel(picture, WIDTH - 4, 36) == (255, 0, 255), pixel(picture, WIDTH - 4, 36)
    metres = struct.unpack(f"<{WIDTH * HEIGHT}f", depth)
    assert metres[0] == 1.0 and abs(metres[-1] - 3.0) < 1e-4, (metres[0], metres[-1])
    sure = struct.unpack(f"<{WIDTH * HEIGHT}f", confidence)
    assert sure[0] == 1.0 and sure[-1] == 0.5, (sure[0], sure[-1])


def log_until(process, text, seconds=10):
    """What it logs, up to a line with this text. It must go on logging."""
    deadline = time.monotonic() + seconds
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            break
        assert time.monotonic() < deadline, "".join(lines)
    return "".join(lines)


def wrong_commands_are_logged_once_of_each_kind_and_all_counted(build):
    if zmq is None:
        raise Skip("python3-zmq is not installed (apt install python3-zmq)")
    with Programs(build) as programs, zmq.Context() as context:
        hal = programs.start("simcast-hal", "--policy", "external", "--observations", OBSERVATIONS,
                             "--commands", COMMANDS, "--log-level", "debug")
        with context.socket(zmq.PUSH) as pusher:
            pusher.setsockopt(zmq.LINGER, 0)
            pusher.connect(COMMANDS)
            for count in (1, 2):  # statistics are logged each second
                pusher.send_multipart([b"{}"])
                log = log_until(hal, f'"refused":{count},')
                said = log.count("refused because of the number of parts")
                assert said == (1 if count == 1 else 0), log
            pusher.send_multipart([b"{", b""])
            log = log_until(hal, '"refused":3,')
            assert log.count("refused because of the metadata's JSON") == 1, log


def a_control_program_sees_the_cameras_and_moves_the_joints(build):
    if zmq is None:
        raise Skip("python3-zmq is not installed (apt install python3-zmq)")
    with Programs(build) as programs:
        programs.start("simcast-sim", "--pattern", "--size", f"{WIDTH}x{HEIGHT}", "--fps", 30,
                       "--camera", "second=head", "--camera", "depth=depth", "--camera",
                       "sure=confidence")
        programs.start("simcast-encoder", "--codec", "jpeg")
        programs.start("simcast-hal", "--policy", "external", "--observations", OBSERVATIONS,
                       "--commands", COMMANDS, "--camera-1", "front", "--camera-2", "second",
                       "--depth", "depth", "--confidence", "sure",
                       "--joint-map", "17,1,2,3,4,5,6,7,8,9,10,11")
        dump = Dump(programs)
        wanted = [0.001 * (joint + 1) for joint in range(THEIR_JOINTS)]
        control = ControlProgram()

        def obeyed():
            ours = dump.newest.get("action", {}).get("joint_position", [9] * 12)
            return abs(ours[0] - wanted[17]) < 1e-3 and abs(ours[11] - wanted[11]) < 1e-3
        control.start(wanted)
        try:
            assert wait_until(lambda: all(map(any, control.seen[2])), 10), "a black picture"
            check_pictures(control.seen[0], control.seen[2])
            with Daemon(build / "daemon" / "simcastd", "--video-source", "ring",
                        directory=programs.directory) as daemon, daemon.connect() as client:
                drive_until(client, obeyed, dump)
        finally:
            control.close()


def drive_until(client, condition, dump):
    """Commands a velocity ten times a second, and reads what comes so that nothing is full."""
    deadline = time.monotonic() + 20
    sequence = 0
    while not condition():
        assert time.monotonic() < deadline, dump.newest
        sequence += 1
        client.send_command("set_cmd_vel", sequence, linear_x=0.2, linear_y=0.0, angular_z=0.0)
        client.receive_all(0.1)


def simcast_hal_dump_prints_states_and_actions(build):
    with Programs(build) as programs:
        programs.start("simcast-sim", "--pattern", "--fps", 10)
        programs.start("simcast-hal")
        done = subprocess.run([build / "cli" / "simcast", "hal", "dump", "--seconds", "3",
                               "--ipc-dir", programs.directory], capture_output=True, text=True,
                              timeout=20, check=False)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        states = [line for line in lines if line["kind"] == "state"]
        actions = [line for line in lines if line["kind"] == "action"]
        assert len(states) > 100 and len(actions) > 100, (len(states), len(actions))
        for line in states + actions:
            assert len(line["joint_position"]) == 12 and line["mode"] in ("ARMED", "HOLD"), line
        answered = {line["step"] for line in states}
        assert any(line["step"] in answered for line in actions)
        assert all(after["seq"] > before["seq"] for before, after in zip(actions, actions[1:]))


def powerless():
    """Words before a command line: neither limit nor capability allows it to be punctual."""
    words = ["prlimit", "--rtprio=0:0", "--memlock=0:0"]
    status = pathlib.Path("/proc/self/status").read_text()
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    if effective & (1 << CAP_IPC_LOCK | 1 << CAP_SYS_NICE):
        words += ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    missing = [word for word in ("prlimit", "setpriv") if word in words and not shutil.which(word)]
    if missing:
        raise Skip(f"{missing[0]} is not installed (apt install util-linux)")
    return words


def what_the_kernel_refuses_is_said_and_survived(build):
    with Programs(build) as programs:
        programs.start("simcast-sim", "--pattern", "--fps", 10)
        hal = programs.start("simcast-hal", "--fifo", 50, "--lock-memory", "--cpu", 1023,
                             "--inference-cpu", 1023, prefix=powerless())
        dump = Dump(programs)
        dump.await_actions(50)
        assert stop(dump.process) == 0
        hal.send_signal(signal.SIGTERM)
        _, err = hal.communicate(timeout=10)
        assert hal.returncode == 0, err
        assert err.count("cannot be pinned to CPU 1023") == 2, err
        for loop in ("hal: SCHED_FIFO 50", "inference: SCHED_FIFO 49"):
            assert f"{loop} is refused (Operation not permitted)" in err, err
        assert err.count("give CAP_SYS_NICE or raise RLIMIT_RTPRIO") == 2, err
        assert err.count("memory cannot be locked (Operation not permitted)") == 1, err
        assert err.count("give CAP_IPC_LOCK or raise RLIMIT_MEMLOCK") == 1, err


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
         the_simulator_refuses_wrong_options_in_one_sentence,
         it_waits_for_a_robot_and_survives_its_restart, an_operators_stop_arrives_without_a_bus,
         a_hold_arrives_without_a_bus, wrong_commands_are_logged_once_of_each_kind_and_all_counted,
         a_control_program_sees_the_cameras_and_moves_the_joints,
         simcast_hal_dump_prints_states_and_actions, what_the_kernel_refuses_is_said_and_survived,
         an_exported_network_runs, the_demo_walks_by_its_policy]


def main():
    build, part = command_line()
    return run_part(CASES, part, build)


if __name__ == "__main__":
    sys.exit(main())
