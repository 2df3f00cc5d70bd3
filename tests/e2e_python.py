#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Python package, built as a wheel and tested with Debian's Python: e2e_python.py BUILD.

Builds into BUILD/python: wheel/ holds the wheel, site/ the same unpacked, which is what the tests
of python/tests import. Prints "ok NAME", "not ok NAME: why" or "skip NAME: why" for each of them.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"  # a python3 found in PATH may be another one, without numpy
MINIMUM = (3, 11)


def why_not():
    """What is missing, or ""."""
    if not pathlib.Path(PYTHON).exists():
        return f"there is no {PYTHON}"
    probe = f"import sys, setuptools, wheel, numpy; sys.exit(sys.version_info < {MINIMUM})"
    done = subprocess.run([PYTHON, "-c", probe], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    return done.stderr.strip().splitlines()[-1] if done.stderr else f"{PYTHON} is too old"


def build_wheel(place):
    """Returns the folder with the unpacked wheel; raises CalledProcessError."""
    wheels, site = place / "wheel", place / "site"
    for folder in (wheels, site):
        shutil.rmtree(folder, ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [PYTHON, "setup.py", "--quiet", "egg_info", "--egg-base", place,
         "build", "--build-base", place / "objects",
         "bdist_wheel", "--dist-dir", wheels, "--bdist-dir", place / "unpacked"],
        cwd=ROOT / "python", env={**os.environ, "CFLAGS": "-Werror"}, check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    (wheel,) = wheels.glob("simcast-*-cp311-abi3-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
    missing = why_not()
    if missing:
        print(f"skip python: {missing}")
        return 0
    try:
        site = build_wheel(build / "python")
    except subprocess.CalledProcessError as error:
        print(error.stdout, file=sys.stderr)
        print("not ok the wheel is built: its output is above")
        return 1
    print("ok the wheel is built", flush=True)
    environment = {**os.environ, "PYTHONPATH": str(site), "SIMCAST_BUILD": str(build),
                   "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([PYTHON, ROOT / "python" / "tests"], env=environment,
                          check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
