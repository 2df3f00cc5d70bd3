#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tracepoints that docs/perf.md lists are those that the programs have."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = ["sim/simcast-sim", "encoder/simcast-encoder", "daemon/simcastd", "hal/simcast-hal"]


def tracepoints(program):
    """The names of a program's tracepoints."""
    notes = subprocess.run(["readelf", "-n", program], check=True, capture_output=True,
                           text=True).stdout
    return set(re.findall(r"Provider: simcast\n +Name: (\w+)", notes))


def documented():
    """The names in the table."""
    table = (ROOT / "docs/perf.md").read_text().split("## Tracepoints")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build")
    found = set().union(*(tracepoints(build / program) for program in PROGRAMS))
    if not found and not any(pathlib.Path("/usr/include").rglob("sys/sdt.h")):
        print("skip the tracepoints are there: built without sys/sdt.h")
        return 0
    listed = documented()
    problems = [f"{name} is not in docs/perf.md" for name in sorted(found - listed)]
    problems += [f"{name} is in no program" for name in sorted(listed - found)]
    if problems:
        print(f"not ok the tracepoints are those of docs/perf.md: {'; '.join(problems)}")
        return 1
    print(f"ok the {len(found)} tracepoints are those of docs/perf.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
