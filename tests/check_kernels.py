#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that the GPU's kernels are those of their source: check_kernels.py SOURCE_ROOT.

encoder/cuda_kernels.ptx lies beside encoder/cuda_kernels.cu so that a build needs no compiler for
GPUs. Where there is a clang that can make it, it is made again and compared; where there are
NVIDIA's ptxas and nvcc, the one must assemble it and the other compile its source.
Prints one line per check, "ok NAME" or "not ok NAME: why"; exits 1 if one fails, 77 if none could
be made.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HEADER = ("// SPDX-License-Identifier: Apache-2.0\n"
          "// Made of encoder/cuda_kernels.cu, which says how.\n")
CLANG = ["-x", "cuda", "--cuda-device-only", "--cuda-gpu-arch=sm_50", "-nocudainc", "-nocudalib",
         "-Wno-unknown-cuda-version", "-O2", "-S", "-I.", "-o", "-", "encoder/cuda_kernels.cu"]
CUDA_BIN = "/usr/local/cuda/bin"
SKIPPED = 77


def find(name):
    return shutil.which(name) or shutil.which(name, path=CUDA_BIN)


def run(root, command):
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def without_comments(ptx):
    """Versions of clang differ in comments and in the labels of basic blocks."""
    lines = (re.sub(r"\s*//.*", "", line).rstrip() for line in ptx.splitlines())
    return [line for line in lines if line]


def made_again(root, clang):
    made = run(root, [clang] + CLANG)
    if made.returncode != 0:
        return made.stderr.strip() or "clang failed"
    here = (root / "encoder" / "cuda_kernels.ptx").read_text(encoding="utf-8")
    if not here.startswith(HEADER):
        return "it does not begin as this script makes it"
    if without_comments(here) != without_comments(made.stdout):
        return f"it is not what {clang} makes of its source: make it again with --write"
    return ""


def write(root, clang):
    made = run(root, [clang] + CLANG)
    made.check_returncode()
    body = "\n".join(line for line in made.stdout.splitlines() if not line.startswith("//"))
    (root / "encoder" / "cuda_kernels.ptx").write_text(HEADER + body + "\n", encoding="utf-8")


def compiled(root, command):
    with tempfile.TemporaryDirectory() as folder:
        done = run(root, command + ["-o", f"{folder}/out"])
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()


def version_of(clang):
    """The major version of clang; other ones write other instructions."""
    found = re.search(r"version (\d+)", run(".", [clang, "--version"]).stdout)
    return int(found.group(1)) if found else 0


def main():
    root = pathlib.Path(sys.argv[1])
    clang, ptxas, nvcc = find("clang"), find("ptxas"), find("nvcc")
    if "--write" in sys.argv[2:]:
        write(root, clang)
    checks = []
    if clang and version_of(clang) == 14:
        checks.append(("made of its source", made_again(root, clang)))
    if ptxas:
        checks.append(("assembled", compiled(root, [ptxas, "-arch=sm_75",
                                                    "encoder/cuda_kernels.ptx"])))
    if nvcc:
        checks.append(("compiled by nvcc", compiled(root, [nvcc, "-ptx", "-I.",
                                                           "encoder/cuda_kernels.cu"])))
    for name, complaint in checks:
        print(f"not ok {name}: {complaint}" if complaint else f"ok {name}")
    if not checks:
        print("skipped: neither clang 14 nor NVIDIA's ptxas and nvcc are here")
        return SKIPPED
    return 1 if any(complaint for _, complaint in checks) else 0


if __name__ == "__main__":
    sys.exit(main())
