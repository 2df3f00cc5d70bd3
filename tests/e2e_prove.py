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
}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    failed = 0
    for name, arguments in CASES.items():
        done = subprocess.run([ROOT / "tests" / "prove" / "prove", *arguments, "--json", "--build",
                               sys.argv[1]], stdout=subprocess.PIPE, text=True, check=False)
        failed += done.returncode != 0
        print(f"{'not ok' if done.returncode else 'ok'} {name}: {done.stdout.strip()}", flush=True)
        if done.returncode == 0:
            json.loads(done.stdout)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
