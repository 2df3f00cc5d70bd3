# SPDX-License-Identifier: Apache-2.0
"""The package itself: stub and extension agree, everything is documented, recipes are runnable."""
import ast
import inspect
import pathlib
import types
import unittest

import numpy

import kit
import simcast
from simcast import _ring

RECIPES = sorted((kit.PYTHON_ROOT / "recipes").glob("*.py"))


class Done(Exception):
    """Ends a recipe's endless loop."""


class PackageTest(unittest.TestCase):
    def test_stub_and_extension_agree(self):
        tree = ast.parse((kit.PACKAGE / "simcast" / "_ring.pyi").read_text("utf-8"))
        special = {"__new__", "__buffer__"}
        names = set()
        for node in tree.body:
            if isinstance(node, ast.AnnAssign):
                names.add(node.target.id)
                self.assertIsInstance(getattr(_ring, node.target.id), (int, str, dict))
            if isinstance(node, ast.ClassDef):
                names.add(node.name)
                stub = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
                real = {name for name in vars(getattr(_ring, node.name))
                        if not name.startswith("__")}
                self.assertEqual(stub - special, real, node.name)
        self.assertEqual(names, {name for name in vars(_ring) if not name.startswith("__")})

    def test_types_travel_with_the_package(self):
        self.assertTrue((kit.PACKAGE / "simcast" / "py.typed").exists())

    def test_the_extension_keeps_to_the_stable_abi(self):
        self.assertTrue(_ring.__file__.endswith("_ring.abi3.so"), _ring.__file__)

    def test_everything_public_is_documented(self):
        for name in simcast.__all__:
            thing = getattr(simcast, name)
            if not inspect.isclass(thing) and not inspect.isfunction(thing):
                continue
            self.assertTrue(inspect.getdoc(thing), name)
            for member, value in vars(thing).items() if inspect.isclass(thing) else ():
                if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                    self.assertTrue(inspect.getdoc(value), f"{name}.{member}")

    def test_numpy_is_not_needed(self):
        code = ("import sys\nsys.modules['numpy'] = None\nimport simcast\n"
                "camera = simcast.Camera('front', 8, 6)\nsub = simcast.subscribe('front')\n"
                "camera.publish(bytes(range(144)))\nframe = sub.receive(5)\n"
                "print(type(frame.pixels).__name__, frame.pixels[5, 7, 2])\n"
                "with camera.loan() as loan:\n    loan.pixels[0, 0, 0] = 9\n"
                "print(sub.receive(5).pixels[0, 0, 0])\n")
        test = kit.RingTest()
        test.setUp()
        try:
            output, errors = test.child(code).communicate(timeout=20)
        finally:
            test.doCleanups()
        self.assertEqual(output, "memoryview 143\n9\n", errors)


class RecipeTest(kit.RingTest):
    """The recipes as they are, with a stand-in for each simulator: what they ask of simcast works.

    The stand-ins follow the simulators' documentation; that the simulators follow it is not shown
    here.
    """

    FRAMES = 3

    def run_recipe(self, name, modules, arguments=()):
        """Runs the recipe until its stand-in says Done; returns frames' (shape, sim_time)."""
        path = kit.PYTHON_ROOT / "recipes" / name
        watcher = self.subscribe()
        seen = []
        modules = {**modules, "simcast": simcast}

        def import_(module, *_):
            whole = modules[module]
            return whole if "." not in module or _[2] else modules[module.split(".")[0]]

        def see():
            frame = watcher.receive(0.05)
            if frame:
                seen.append((frame.pixels.shape, frame.sim_time, int(frame.pixels.flat[0])))
            if len(seen) >= self.FRAMES:
                raise Done

        self.see = see
        builtins = {**vars(__import__("builtins")), "__import__": import_}
        fake_sys = types.SimpleNamespace(argv=[name, *arguments])
        modules["sys"] = fake_sys
        scope = {"__builtins__": builtins, "__name__": "__main__"}
        with self.assertRaises(Done):
            exec(compile(path.read_text("utf-8"), name, "exec"), scope)
        scope["cam"].close()
        self.assertTrue(all(time > 0 for _, time, _ in seen))
        return seen

    def test_recipes_are_short(self):
        self.assertEqual(len(RECIPES), 3)
        for path in RECIPES:
            lines = path.read_text("utf-8").splitlines()
            self.assertLessEqual(len(lines), 25, path.name)

    def test_genesis(self):
        test = self

        class Scene:
            dt, t = 0.01, 0

            def __init__(self, show_viewer):
                pass

            def add_entity(self, morph):
                pass

            def add_camera(self, res, pos, lookat):
                picture = numpy.full((res[1], res[0], 3), 7, numpy.uint8)
                return types.SimpleNamespace(render=lambda: (picture, None, None, None))

            def build(self):
                pass

            def step(self):
                self.t += 1
                test.see()

        genesis = types.SimpleNamespace(
            init=lambda: None, Scene=Scene,
            morphs=types.SimpleNamespace(Plane=lambda: 1, MJCF=lambda file: 1))
        seen = self.run_recipe("genesis_camera.py", {"genesis": genesis})
        self.assertEqual(seen[0][0::2], ((720, 1280, 3), 7))

    def test_mujoco(self):
        test = self

        class Renderer:
            def __init__(self, model, height, width):
                self.shape = height, width, 3

            def update_scene(self, data):
                pass

            def render(self, *, out):
                if out.shape != self.shape or not out.flags.c_contiguous:
                    raise ValueError("as the real one does")
                out[:] = 8
                return out

        data = types.SimpleNamespace(time=0.0)

        def step(_, moving, nstep):
            moving.time += 0.002 * nstep
            test.see()

        mujoco = types.SimpleNamespace(
            MjModel=types.SimpleNamespace(from_xml_path=lambda path: path),
            MjData=lambda model: data, Renderer=Renderer, mj_step=step)
        seen = self.run_recipe("mujoco_renderer.py", {"mujoco": mujoco}, ["model.xml"])
        self.assertEqual(seen[0][0::2], ((480, 640, 3), 8))

    def test_isaac_lab(self):
        test = self
        rgba = numpy.full((16, 100, 100, 4), 9, numpy.uint8)
        camera = types.SimpleNamespace(data=types.SimpleNamespace(output={"rgb": rgba[..., :3]}))

        class Env:
            unwrapped = property(lambda self: self)
            scene = types.SimpleNamespace(sensors={"tiled_camera": camera})
            sim = types.SimpleNamespace(current_time=0.0)
            action_space = types.SimpleNamespace(sample=lambda: numpy.zeros((16, 1)))

            def reset(self):
                pass

            def step(self, action):
                self.sim.current_time += 0.02
                test.see()

        app = types.SimpleNamespace(is_running=lambda: True)
        tasks = types.SimpleNamespace()
        modules = {
            "isaaclab.app": types.SimpleNamespace(
                AppLauncher=lambda **options: types.SimpleNamespace(app=app)),
            "gymnasium": types.SimpleNamespace(make=lambda task, cfg: Env()),
            "isaaclab_tasks": tasks,
            "isaaclab_tasks.utils": types.SimpleNamespace(
                parse_env_cfg=lambda task, num_envs: None),
        }
        seen = self.run_recipe("isaac_lab_camera.py", modules)
        self.assertEqual(seen[0][0::2], ((16, 100, 100, 3), 9))


if __name__ == "__main__":
    unittest.main()
