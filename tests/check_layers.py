#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks who includes whom: check_layers.py SOURCE_ROOT.

A folder may include its own headers and those of the folders in MAY_INCLUDE. A library that is
in HOMES may be included by the files named there and by no others, so each has one home and its
types stay out of our headers. And each tests/test_*.c has its row in tests/meson.build.
Prints one line per folder, "ok NAME" or "not ok NAME: why"; exits 1 if one fails.
"""
import pathlib
import re
import sys

MAY_INCLUDE = {
    "base": [],
    "proto": ["base"],
    "shm": ["base", "proto"],
    "safety": ["base", "proto"],
    "motion": ["base", "proto"],
    "bus": ["base"],
    "encoder": ["base", "proto", "shm"],
    "daemon": ["base", "proto", "shm", "safety", "bus"],
    "hal": ["base", "proto", "shm", "safety", "motion", "bus"],
    "sim": ["base", "proto", "shm", "safety", "motion", "bus"],
    "cli": ["base", "proto", "shm", "bus"],
    "bench": ["base", "proto", "shm", "safety", "encoder", "hal", "sim"],
    "python": ["base", "proto", "shm", "safety"],
}

HOMES = {
    r"ev\.h": ["daemon/loop.c"],
    r"libwebsockets\.h": ["daemon/ws.c", "daemon/ws_request.c", "cli/ws_client.c"],
    r"yaml\.h": ["daemon/config_file.c"],
    r"systemd/.*": ["daemon/listen.c", "daemon/service.c", "encoder/main.c", "hal/main.c"],
    r"zlib\.h": ["proto/video.c"],
    r"nats/.*": ["bus/bus_nats.c", "bus/nats_access.c", "bus/nats_access.h", "bus/jetstream.c"],
    r"openssl/evp\.h": ["bus/nkey.c"],
    r"openssl/ssl\.h": ["cli/health_tls.c", "daemon/certificate.c", "daemon/inbound.c"],
    r"zmq\.h": ["bus/bus_local.c", "hal/endpoint.c", "hal/loop_link.c"],
    r"libav.*": ["encoder/lavc.c", "encoder/nvenc.c", "encoder/x264.c"],
    r"jpeglib\.h": ["encoder/jpeg.c", "cli/still_jpeg.c"],
    r"libyuv.*": ["encoder/convert.c"],
    r"mujoco/.*": ["sim/robot.c", "sim/renderer.c"],
    r"(EGL|GL)/.*": ["sim/glcontext.c"],
}

# Measures libraries against each other, so it includes them where it needs them.
HOMELESS = ["bench"]

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def complaints_about_file(root, path):
    name = str(path.relative_to(root))
    folder = name.split("/", maxsplit=1)[0]
    for bracket, target in INCLUDE.findall(path.read_text(encoding="utf-8")):
        if bracket == '"':
            first = target.split("/", maxsplit=1)[0]
            # A name without a folder is a file that the build makes, beside the sources.
            if "/" in target and first not in MAY_INCLUDE[folder] + [folder]:
                yield f"{name} includes {target}"
            if "/" not in target and (path.parent / target).exists():
                yield f"{name} includes {target} without its folder"
            continue
        for library, homes in HOMES.items():
            if re.fullmatch(library, target) and name not in homes and folder not in HOMELESS:
                yield f"{name} includes <{target}>, whose home is {' and '.join(homes)}"


def complaints_about_folder(root, folder):
    for path in sorted((root / folder).glob("*.[ch]")):
        yield from complaints_about_file(root, path)


def complaints_about_rows(root):
    table = (root / "tests" / "meson.build").read_text(encoding="utf-8")
    for path in sorted((root / "tests").glob("test_*.c")):
        name = path.stem.removeprefix("test_")
        if f"['{name}'," not in table:
            yield f"tests/{path.name} has no row in tests/meson.build, so nobody runs it"


def main():
    root = pathlib.Path(sys.argv[1])
    failed = 0
    checks = [(folder, complaints_about_folder(root, folder)) for folder in MAY_INCLUDE]
    checks.append(("rows of unit tests", complaints_about_rows(root)))
    for name, complaints in checks:
        why = "; ".join(complaints)
        failed += bool(why)
        print(f"not ok {name}: {why}" if why else f"ok {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
