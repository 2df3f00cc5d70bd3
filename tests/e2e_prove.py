#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The proofs of tests/prove in small: tests/e2e_prove.py BUILDDIR"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CASES = {
    "the gate agrees with its model and every mutant is killed": ["gate", "--events", "100000000"],
    "no motion passes and no stop is lost in episodes": ["episodes", "--count", "42", "--jobs", "2"],
    "no motion survives a restart of the NATS server": ["nats-restart", "--count", "10"],
}


SLOW_GATE = ["episodes", "--count", "5", "--gate-hold-ms", "1000"]


def prove(arguments):
    """(exit code, result)"""
    done = subprocess.run([ROOT / "tests" / "prove" / "prove", *arguments, "--json", "--build",
                           sys.argv[1]], stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, json.loads(done.stdout or "{}")


def report(good, name, result):
    """What could not be tried on this machine is not `ok`: it stands in lines of its own."""
    for kind, why in result.get("skipped", {}).items():
        print(f"skip {kind}: {why}", flush=True)
    print(f"{'ok' if good else 'not ok'} {name}: {json.dumps(result)}", flush=True)
    return good


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    good = True
    for name, arguments in CASES.items():
        code, result = prove(arguments)
        good &= report(code == 0, name, result)
    code, result = prove(SLOW_GATE)
    good &= report(code == 1 and result.get("motion_passed", 0) > 0,
                   "a gate that closes too late is caught", result)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
