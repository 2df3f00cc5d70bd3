# SPDX-License-Identifier: Apache-2.0
"""./run prove gate: long random walks, and mutants of the gate that the tests must kill.

A mutant is safety/gate.c, limits.c or authority.c with one small mistake. It is built with the very objects of
their tests and of the random walks, and counts as killed when one of them fails. A mutant that lives
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
TESTS = {"safety/gate.c": ["test_gate", "test_gate_epochs"], "safety/limits.c": ["test_limits"],
         "safety/authority.c": ["test_authority"]}
# What they are linked with; from an archive only what is needed, so a mutant takes its own's place.
SUPPORT = ["tests/prove/gate_model.c", "tests/prove/gate_walk.c", "base/clock.c", "proto/command.c",
           "proto/settings.c", "proto/video.c", "safety/authority_report.c", *TESTS]
LIBRARIES = ["-ljansson", "-lz", "-lcheck", "-lsubunit", "-lm", "-lrt", "-lpthread"]
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


def mutate(source, text, old, new):
    if text.count(old) != 1:
        sys.exit(f"prove: a mutant's original text stands {text.count(old)} times in "
                 f"{source}, not once; adapt tests/prove/gate_mutants.py:\n{old}")
    return text.replace(old, new)


def lives(folder, name, source, text, seed):
    """Whether all tests pass with this text in place of the source."""
    mutant = folder / f"{name}.c"
    mutant.write_text(text, encoding="utf-8")
    compile_c(mutant, folder / f"{name}.o")
    environment = {**os.environ, "CK_FORK": "no", "SIMCAST_SEED": str(seed),
                   "SIMCAST_TEST_EVENTS": str(MUTANT_EVENTS)}
    for test in TESTS[source]:
        program = folder / f"{name}-{test}"
        subprocess.run(["gcc", folder / f"{name}.o", folder / f"{test}.o", folder / "support.a",
                        *LIBRARIES, "-o", program], check=True)
        try:
            done = subprocess.run([program], env=environment, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            return False
        if done.returncode != 0:
            return False
    return True


def compile_tests(folder):
    for test in sum(TESTS.values(), []):
        compile_c(ROOT / "tests" / f"{test}.c", folder / f"{test}.o")
    objects = [folder / (pathlib.Path(source).stem + ".o") for source in SUPPORT]
    for source, target in zip(SUPPORT, objects):
        compile_c(ROOT / source, target)
    subprocess.run(["ar", "rcs", folder / "support.a", *objects], check=True)


def surviving_mutants(seed):
    with tempfile.TemporaryDirectory(prefix="simcast-mutants-") as name:
        folder = pathlib.Path(name)
        compile_tests(folder)
        jobs = []
        for source, mutants in MUTANTS.items():
            text = (ROOT / source).read_text(encoding="utf-8")
            if not lives(folder, "original", source, text, seed):
                sys.exit(f"prove: the tests fail with {source} as it is; run {TESTS[source][0]} first")
            jobs += [(folder, mutant, source, mutate(source, text, old, new), seed)
                     for mutant, (old, new) in mutants.items()]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            alive = pool.map(lambda job: lives(*job), jobs)
            return len(jobs), [job[1] for job, lived in zip(jobs, alive) if lived]


def prove(build, events, seed):
    print(f"seed {seed}", file=sys.stderr)
    total = walk(build, events, seed)
    mutants, survivors = surviving_mutants(seed)
    for name in survivors:
        print(f"prove: no test noticed the mutant {name}", file=sys.stderr)
    result = {"events": total.pop("events"), "violations": total.pop("violations"),
              "mutants": mutants, "mutants_killed": mutants - len(survivors),
              "seed": seed, **total}
    proved = result["events"] == events and result["violations"] == 0 and not survivors
    return proved, result
