# SPDX-License-Identifier: Apache-2.0
"""./run prove gate: long random walks, and mutants of the gate that the tests must kill.

A mutant is safety/gate.c with one small mistake. It is built with the very objects of the gate's
test and of its random walks, and counts as killed when one of them fails. A mutant that lives
shows a promise that no test would notice to be broken.
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from gate_mutants import MUTANTS

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MUTANT_EVENTS = 200_000
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-w", f"-I{ROOT}"]


def walk(build, events, seed):
    """Walks on all processors; returns the sum of what each reports."""
    workers = os.cpu_count()
    shares = [events // workers + (n < events % workers) for n in range(workers)]
    children = [subprocess.Popen([build / "tests" / "prove" / "prove_gate", str(share),
                                  str(seed + (n << 32))], stdout=subprocess.PIPE, text=True)
                for n, share in enumerate(shares) if share]
    total = {}
    for child in children:
        answer, _ = child.communicate()
        for name, value in json.loads(answer).items():
            total[name] = total.get(name, 0) + value
    return total


def compile_c(source, target):
    subprocess.run(["gcc", *FLAGS, "-c", source, "-o", target], check=True)


def mutate(text, old, new):
    if text.count(old) != 1:
        sys.exit(f"prove: a mutant's original text stands {text.count(old)} times in "
                 f"safety/gate.c, not once; adapt tests/prove/gate_mutants.py:\n{old}")
    return text.replace(old, new)


def lives(folder, name, text, seed):
    """Whether all tests pass with this gate."""
    source = folder / f"{name}.c"
    program = folder / name
    source.write_text(text, encoding="utf-8")
    compile_c(source, folder / f"{name}.o")
    subprocess.run(["gcc", folder / f"{name}.o", *sorted((folder / "tests").glob("*.o")),
                    "-lcheck", "-lsubunit", "-lm", "-lrt", "-lpthread", "-o", program], check=True)
    environment = {**os.environ, "CK_FORK": "no", "SIMCAST_SEED": str(seed),
                   "SIMCAST_TEST_EVENTS": str(MUTANT_EVENTS)}
    try:
        done = subprocess.run([program], env=environment, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def surviving_mutants(seed):
    gate = (ROOT / "safety" / "gate.c").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="simcast-mutants-") as name:
        folder = pathlib.Path(name)
        (folder / "tests").mkdir()
        for source in ("tests/test_gate.c", "tests/prove/gate_model.c", "tests/prove/gate_walk.c",
                       "base/clock.c"):
            compile_c(ROOT / source, folder / "tests" / (pathlib.Path(source).stem + ".o"))
        if not lives(folder, "original", gate, seed):
            sys.exit("prove: the tests fail with the gate as it is; run tests/test_gate first")
        texts = {name: mutate(gate, old, new) for name, (old, new) in MUTANTS.items()}
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            alive = pool.map(lambda item: lives(folder, item[0], item[1], seed), texts.items())
            return [name for name, lived in zip(texts, alive) if lived]


def prove(build, events, seed):
    print(f"seed {seed}", file=sys.stderr)
    total = walk(build, events, seed)
    survivors = surviving_mutants(seed)
    for name in survivors:
        print(f"prove: no test noticed the mutant {name}", file=sys.stderr)
    result = {"events": total.pop("events"), "violations": total.pop("violations"),
              "mutants": len(MUTANTS), "mutants_killed": len(MUTANTS) - len(survivors),
              "seed": seed, **total}
    proved = result["events"] == events and result["violations"] == 0 and not survivors
    return proved, result
