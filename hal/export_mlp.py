#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns a trained actor network into a file for `simcast-hal --policy mlp:FILE`.

    export_mlp.py CHECKPOINT OUTPUT [OPTION]...

CHECKPOINT is what rsl_rl saves (a PyTorch file whose "model_state_dict" has actor.0.weight,
actor.0.bias, actor.2.weight, ...; needs the package torch), or JSON with the same names and
nested lists. hal/mlp.h describes OUTPUT and the observation.
"""
import argparse
import json
import math
import re
import struct
import sys

MAGIC = b"SIMCMLP1"
ACTIVATIONS = {"elu": 0, "relu": 1}
JOINTS = 12
INPUTS = (45, 48)
SCALES = "2.0,0.25,2.0,0.25,1.0,0.05"  # those of legged_gym
OUR_ORDER = ",".join(map(str, range(JOINTS)))
STAND = "0.1,0.8,-1.5,-0.1,0.8,-1.5,0.1,1.0,-1.5,-0.1,1.0,-1.5"


class Unfit(Exception):
    """The checkpoint holds no network that simcast-hal can run."""


def load(path):
    """{name: nested lists}"""
    if path.endswith(".json"):
        with open(path, encoding="utf-8") as file:
            state = json.load(file)
    else:
        import torch  # pylint: disable=import-outside-toplevel,import-error
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("model_state_dict", state)
        state = {name: tensor.tolist() for name, tensor in state.items()
                 if name.startswith("actor.")}
    return state.get("model_state_dict", state)


def layers_of(state):
    """[(weight, bias)] of the actor, in order."""
    numbers = sorted(int(match[1]) for name in state
                     if (match := re.fullmatch(r"actor\.(\d+)\.weight", name)))
    if not 1 <= len(numbers) <= 8:
        raise Unfit(f"it has {len(numbers)} layers named actor.N.weight; 1 to 8 are needed")
    layers = [(state[f"actor.{number}.weight"], state[f"actor.{number}.bias"])
              for number in numbers]
    width = len(layers[0][0][0])
    if width not in INPUTS:
        raise Unfit(f"it takes {width} inputs; 45 or 48 are needed")
    for weight, bias in layers:
        if len(bias) != len(weight) or any(len(row) != width for row in weight):
            raise Unfit("its layers do not fit each other")
        if not all(map(math.isfinite, [*bias, *(value for row in weight for value in row)])):
            raise Unfit("one of its weights is not finite")
        width = len(bias)
    if width != JOINTS:
        raise Unfit(f"it has {width} outputs; {JOINTS} are needed")
    return layers


def floats(values):
    return struct.pack(f"<{len(values)}f", *values)


def words(*values):
    return struct.pack(f"<{len(values)}I", *values)


def encode(layers, options):
    inputs = len(layers[0][0][0])
    parts = [MAGIC, words(len(layers), ACTIVATIONS[options.activation], inputs, JOINTS),
             floats([options.action_scale, options.stiffness, options.damping]),
             floats(options.scales), floats(options.default_joints), words(*options.order)]
    for weight, bias in layers:
        parts.append(words(len(weight[0]), len(bias)))
        parts.extend(floats(row) for row in weight)
        parts.append(floats(bias))
    return b"".join(parts)


def numbers_of(count, convert):
    def parse(text):
        values = [convert(value) for value in text.split(",")]
        if len(values) != count:
            raise argparse.ArgumentTypeError(f"{count} numbers with commas are needed")
        return values
    return parse


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("output")
    parser.add_argument("--activation", choices=ACTIVATIONS, default="elu")
    parser.add_argument("--action-scale", type=float, default=0.25)
    parser.add_argument("--stiffness", type=float, default=20.0, help="Nm/rad; 0: the HAL's own")
    parser.add_argument("--damping", type=float, default=0.5, help="Nms/rad")
    parser.add_argument("--scales", type=numbers_of(6, float), default=SCALES,
                        help="linear velocity, angular velocity, commanded linear velocity, "
                        "commanded turn, joint position, joint velocity")
    parser.add_argument("--default-joints", type=numbers_of(JOINTS, float), default=STAND,
                        help="radians, in simcast's order: FL, FR, RL, RR; hip, thigh, calf")
    parser.add_argument("--order", type=numbers_of(JOINTS, int), default=OUR_ORDER,
                        help="which of simcast's joints the network's joint 0, 1, ... is")
    options = parser.parse_args()
    if sorted(options.order) != list(range(JOINTS)):
        parser.error("--order must name each of 0 to 11 once")
    return options


def main():
    options = parse_options()
    try:
        network = encode(layers_of(load(options.checkpoint)), options)
    except (Unfit, OSError, ValueError, KeyError, ImportError) as why:
        print(f"export_mlp.py: {options.checkpoint} cannot be exported: {why}", file=sys.stderr)
        return 1
    with open(options.output, "wb") as file:
        file.write(network)
    return 0


if __name__ == "__main__":
    sys.exit(main())
