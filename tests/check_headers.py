#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles each header of ours alone: check_headers.py SOURCE_ROOT CC [CC_ARGS...].

A header must bring along everything that it uses and bear being included twice. Headers with
an `extern "C"` block belong to the C library and must also be C++ (when there is a g++).
Prints one line per header, "ok NAME" or "not ok NAME: why"; exits 1 if one fails.
"""
import pathlib
import shutil
import subprocess
import sys

FOLDERS = ["base", "proto", "shm", "safety", "motion", "bus", "encoder", "daemon", "hal", "sim", "cli",
           "tests"]
C_FLAGS = ["-xc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
CXX_FLAGS = ["-xc++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]


def compile_alone(command, root, header):
    """Returns "" or the compiler's first complaint."""
    source = f'#include "{header}"\n#include "{header}"\n'
    done = subprocess.run(command + [f"-I{root}", "-"], input=source, text=True,
                          capture_output=True, check=False)
    if done.returncode == 0:
        return ""
    complaints = [line for line in done.stderr.splitlines() if "error" in line]
    return complaints[0] if complaints else "the compiler failed"


def main():
    root = pathlib.Path(sys.argv[1])
    compiler = sys.argv[2:] or ["cc"]
    cxx = shutil.which("g++")
    failed = 0
    for header in sorted(path for folder in FOLDERS for path in (root / folder).glob("*.h")):
        name = header.relative_to(root)
        trials = [(str(name), compiler + C_FLAGS)]
        if cxx and 'extern "C"' in header.read_text(encoding="utf-8"):
            trials.append((f"{name} as C++", [cxx] + CXX_FLAGS))
        for title, command in trials:
            why = compile_alone(command, root, name)
            failed += bool(why)
            print(f"not ok {title}: {why}" if why else f"ok {title}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
