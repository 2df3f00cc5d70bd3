# SPDX-License-Identifier: Apache-2.0
"""simcast.Safety: what a simulator's robot may do of what it is told. The clock is the tests' own."""
import ast
import json
import unittest

import kit
import simcast
from simcast import _safety

MS = 1_000_000
DRIVE = "command.genesis.set_cmd_vel"


class SafetyTest(unittest.TestCase):
    def setUp(self):
        self.now = 1000 * 1000 * MS
        self.sent = []

    def make(self, **settings):
        return simcast.Safety(lambda subject, payload: self.sent.append((subject, payload)),
                              clock=lambda: self.now, **settings)

    def drive(self, safety, seq, headers=None, forward=0.8, **more):
        command = {"action": "set_cmd_vel", "cmd_seq": seq, "data": {"linear_x": forward}, **more}
        return safety.receive(DRIVE, json.dumps(command).encode(), headers)

    def steps(self, safety, milliseconds):
        velocity = safety.velocity
        for _ in range(milliseconds // 20):
            self.now += 20 * MS
            velocity = safety.step()
        return velocity

    def told(self, subject):
        return [json.loads(payload) for name, payload in self.sent if name == subject]

    def test_a_command_moves_the_robot_and_is_acknowledged(self):
        safety = self.make()
        self.assertEqual((safety.mode, safety.reason), ("HOLD", "starting"))
        self.assertEqual(self.drive(safety, 1).action, "set_cmd_vel")
        self.assertEqual(safety.step(), (0.8, 0.0, 0.0))
        self.assertEqual(safety.step().forward, 0.8)
        self.assertEqual(self.told("telemetry.command.ack"),
                         [{"action": "set_cmd_vel", "cmd_seq": 1, "status": "ok"}])
        self.assertEqual(self.told("telemetry.safety.state")[0]["mode"], "ARMED")

    def test_silence_holds_then_stops_until_it_is_cleared(self):
        safety = self.make()
        self.drive(safety, 1)
        self.assertEqual(self.steps(safety, 200).forward, 0.8)
        self.assertEqual(self.steps(safety, 20).forward, 0.4)
        self.assertEqual(self.steps(safety, 140), (0, 0, 0))
        self.assertTrue(safety.powered)
        self.steps(safety, 1800)
        self.assertEqual((safety.mode, safety.reason, safety.powered),
                         ("ESTOP", "cmd_timeout", False))
        self.assertTrue(self.told("telemetry.safety.cmd_timeout"))
        self.assertIsNone(self.drive(safety, 2))
        self.assertEqual(self.told("telemetry.command.ack")[-1]["detail"], "cmd_timeout")
        self.assertEqual(safety.refused, 1)
        safety.receive("command.genesis.estop_clear", b"{}")
        self.assertIsNotNone(self.drive(safety, 3))

    def test_a_stop_is_one_however_it_is_written(self):
        safety = self.make()
        self.drive(safety, 1)
        self.assertEqual(safety.receive("command.genesis.estop", b"\xff not JSON"), ("estop", {}))
        self.assertEqual(safety.step(), (0, 0, 0))
        self.assertEqual(safety.reason, "operator")

    def test_the_transports_word_on_the_video_is_obeyed(self):
        safety = self.make()
        self.drive(safety, 1)
        safety.receive("telemetry.safety.video_gate", b'{"gated":true,"mode":"HOLD"}')
        self.assertIsNone(self.drive(safety, 2))
        self.assertEqual(safety.reason, "no_video")
        safety.receive("telemetry.safety.video_gate", b'{"gated":false}')
        self.assertIsNotNone(self.drive(safety, 3))

    def test_what_is_not_ours_is_none_and_what_is_malformed_is_answered(self):
        safety = self.make()
        self.assertIsNone(safety.receive("telemetry.other", b"{}"))
        self.assertIsNone(safety.receive("command.genesis.set_alpha", b'{"alpha":7}'))
        self.assertEqual(self.told("telemetry.command.ack"),
                         [{"action": "set_alpha", "cmd_seq": None, "status": "error",
                           "detail": "alpha must be a number from 0 to 1"}])
        command = safety.receive("command.genesis.reset", b'{"cmd_seq":7,"data":{"seed":3}}')
        self.assertEqual(command, ("reset", {"seed": 3}))

    def test_commands_of_an_ended_epoch_or_long_under_way_are_refused(self):
        safety = simcast.Safety(lambda *report: self.sent.append(report))
        clock = safety._clock_name
        self.assertTrue(clock)
        now = safety._clock()
        self.assertIsNotNone(self.drive(safety, 1, {"Simcast-Stamp": f"8 {now} {clock}"}))
        self.assertIsNone(self.drive(safety, 2, {"Simcast-Stamp": f"7 {now} {clock}"}))
        self.assertEqual(self.told("telemetry.command.ack")[-1]["detail"], "stale_epoch")
        late = f"8 {now - 300 * MS} {clock}"
        self.assertIsNone(self.drive(safety, 3, {"Simcast-Stamp": late}))
        self.assertEqual(self.told("telemetry.command.ack")[-1]["detail"], "expired")
        elsewhere = f"8 {now - 300 * MS} 00000000"  # another machine's clock tells nothing
        self.assertIsNotNone(self.drive(safety, 4, {"Simcast-Stamp": elsewhere}))
        for nonsense in ("", "8", "x y z", f"8 -1 {clock}", f"{2**64} 1 {clock}"):
            self.assertEqual(safety._stamp({"Simcast-Stamp": nonsense}), (0, 0), nonsense)

    def test_limits_and_deadman(self):
        safety = self.make(speed_max=(0.5, 0, 0), accel_max=(1, 0, 0), deadman=0.3)
        self.assertIsNone(self.drive(safety, 1))
        self.assertIsNotNone(self.drive(safety, 2, deadman=True))
        self.assertAlmostEqual(self.steps(safety, 100).forward, 0.1)
        for seq in range(3, 13):
            self.drive(safety, seq, deadman=True)
            self.steps(safety, 100)
        self.assertAlmostEqual(safety.velocity.forward, 0.5)
        self.assertIsNone(self.drive(safety, 20, deadman=False))
        self.assertEqual(self.steps(safety, 20).forward, 0.25)

    def test_a_lost_bus_holds(self):
        safety = self.make()
        self.drive(safety, 1)
        safety.bus(False)
        self.assertEqual((safety.mode, safety.reason), ("HOLD", "no_bus"))
        safety.bus(True)
        self.assertEqual(safety.mode, "ARMED")

    def test_state_is_told_twice_a_second_and_its_number_grows(self):
        safety = self.make()
        self.steps(safety, 2000)
        ids = [state["state_id"] for state in self.told("telemetry.safety.state")]
        self.assertIn(len(ids), (4, 5))
        self.assertEqual(ids, sorted(set(ids)))
        self.assertEqual(len(self.told("telemetry.velocity.command")), 10)

    def test_wrong_settings_are_named(self):
        for settings, word in (({"speed_max": (1, -1, 0)}, "speed_max"), ({"hold": 0}, "hold"),
                               ({"hold": 3}, "estop"), ({"deadman": -1}, "deadman"),
                               ({"deadman": float("nan")}, "deadman")):
            with self.assertRaisesRegex(ValueError, word):
                self.make(**settings)
        with self.assertRaises(TypeError):
            self.make(accel_max=(1, 2))

    def test_stub_and_extension_agree(self):
        tree = ast.parse((kit.PACKAGE / "simcast" / "_safety.pyi").read_text("utf-8"))
        (authority,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
        stub = {part.name for part in authority.body if isinstance(part, ast.FunctionDef)}
        real = {name for name in vars(_safety.Authority) if not name.startswith("__")}
        self.assertEqual(stub - {"__new__"}, real)
