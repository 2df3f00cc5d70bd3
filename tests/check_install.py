#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs a build into an empty directory: check_install.py SOURCE_ROOT BUILD_DIR CC [ARGS...].

Looks whether everything is where a packager and a user would look for it, and builds and runs a
small program against the installed C library with nothing but pkg-config's answer.
Prints "ok NAME" or "not ok NAME: why" per expectation; exits 1 if one fails.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

PROGRAMS = ["simcast", "simcastd", "simcast-encoder", "simcast-sim", "simcast-hal"]

# systemd's exposure level of a unit in tenths, 0 (best) to 100.
EXPOSURE_MAX = {"simcastd.service": 12, "simcast-encoder.service": 14, "simcast-hal.service": 15}

CONSUMER = r"""
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <shm/ring.h>

int main(int argc, char **argv)
{
    struct ring_producer *producer;
    struct ring_consumer *consumer;
    struct ring_producer_config config = {.dir = argv[1], .stream = "test", .payload_bytes_max = 64};
    struct ring_consumer_config consumer_config = {.dir = argv[1], .stream = "test"};
    struct ring_frame frame = {.payload_bytes = 5, .flags = RING_FRAME_KEYFRAME};
    struct ring_loan loan;
    struct ring_view view;

    if (argc != 2 || ring_producer_open(&config, &producer) < 0 ||
        ring_consumer_open(&consumer_config, &consumer) < 0)
        return 2;
    while (ring_acquire(consumer, RING_LATEST, &view) == -EPIPE)
        ring_consumer_wait(consumer, 1000);
    if (ring_loan(producer, &loan) < 0)
        return 3;
    memcpy(loan.payload, "hello", 5);
    ring_publish(producer, &loan, &frame);
    if (ring_acquire(consumer, RING_LATEST, &view) < 0)
        return 4;
    printf("%.5s\n", (const char *)view.payload);
    ring_release(consumer, &view);
    ring_consumer_close(consumer);
    ring_producer_close(producer);
    return 0;
}
"""


ROBOT = r"""
#include <stdio.h>
#include <string.h>
#include <safety/authority.h>

int main(void)
{
    struct authority authority;
    struct authority_news news;
    struct command command;
    struct authority_message drive = {.subject = "command.genesis.set_cmd_vel",
                                      .payload = "{\"linear_x\":0.5}",
                                      .payload_bytes = 16};

    authority_init(&authority, NULL, 0);
    if (authority_take(&authority, &drive, 0, &command, &news) < 0 || !news.accepted)
        return 2;
    authority_tick(&authority, 1000000000);
    printf("%s %s %.2f\n", gate_mode_name(authority.gate.mode),
           gate_reason_name(authority.gate.reason), authority.velocity[0]);
    return 0;
}
"""


class Results:
    """Prints each case and remembers whether one failed."""

    def __init__(self):
        self.failed = False

    def expect(self, name, holds, why):
        self.failed = self.failed or not holds
        print(f"ok {name}" if holds else f"not ok {name}: {why}", flush=True)


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)


def option(build, name):
    options = json.loads(run(["meson", "introspect", "--buildoptions", build]).stdout)
    return next(entry["value"] for entry in options if entry["name"] == name)


def check_places(results, destination, prefix):
    """Every kind of file is where the file system hierarchy wants it."""
    base = destination / prefix.lstrip("/")
    for program in PROGRAMS:
        path = base / "bin" / program
        results.expect(f"bin/{program}", os.access(path, os.X_OK), f"{path} is not a program")
    for pattern in ["share/simcast/web/index.html", "share/man/man1/simcast.1",
                    "share/man/man1/simcast-demo.1",
                    "share/bash-completion/completions/simcast",
                    "lib/systemd/system/simcastd.service", "lib/systemd/system/simcastd.socket",
                    "lib/systemd/system/simcast-encoder.service",
                    "lib/systemd/system/simcast-hal.service", "include/simcast/hal/policy.h",
                    "lib/systemd/system/simcast.target", "lib/sysusers.d/simcast.conf",
                    "lib/tmpfiles.d/simcast.conf", "include/simcast/shm/ring.h",
                    "include/simcast/proto/settings.h", "include/simcast/safety/authority.h"]:
        results.expect(pattern, (base / pattern).is_file(), "it is not installed")
    sysconf = destination / "etc" if prefix == "/usr" else base / "etc"
    for name in ["simcast/simcastd.yaml", "default/simcast"]:
        results.expect(f"etc/{name}", (sysconf / name).is_file(), "it is not installed")
    units = [path for path in (base / "lib/systemd/system").glob("*") if path.is_file()]
    raw = [path.name for path in units
           if re.search("@[a-z]+@", path.read_text(encoding="utf-8"))]
    results.expect("units name their programs", units and not raw, f"placeholders in {raw}")


def check_units(results, destination, prefix, scratch):
    """systemd understands the units, once they name the programs where they lie now."""
    if not shutil.which("systemd-analyze"):
        print("skip systemd-analyze verify: it is not installed")
        return
    base = destination / prefix.lstrip("/")
    folder = scratch / "units"
    folder.mkdir()
    for unit in (base / "lib/systemd/system").iterdir():
        text = unit.read_text(encoding="utf-8").replace(f"={prefix}/bin", f"={base}/bin")
        (folder / unit.name).write_text(text, encoding="utf-8")
    done = run(["systemd-analyze", "verify", "--man=no", "simcast.target", "simcastd.service",
                "simcastd.socket", "simcast-encoder.service", "simcast-hal.service"],
               env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"})
    results.expect("systemd-analyze verify", (done.returncode, done.stdout) == (0, ""),
                   done.stdout)
    for unit, exposure_max in EXPOSURE_MAX.items():
        done = run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                    f"--threshold={exposure_max}", str(folder / unit)])
        results.expect(f"exposure of {unit}", done.returncode == 0, done.stdout.splitlines()[-1])


def documented_programs():
    """The C programs of docs/ring.md by the name in their first line."""
    text = (pathlib.Path(sys.argv[1]) / "docs" / "ring.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```c\n(/\* (\w+)\.c: .*?)```", text, re.DOTALL)
    return {name: source for source, name in blocks}


def build_program(results, scratch, compiler, flags, name, text):
    source, program = scratch / f"{name}.c", scratch / name
    source.write_text(text, encoding="utf-8")
    built = run(compiler + ["-std=c11", "-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-Werror",
                            str(source), "-o", str(program)] + flags)
    results.expect(f"{name}.c compiles", built.returncode == 0, built.stdout)
    return program


def check_library(results, destination, scratch, compiler):
    """Programs that know nothing but `pkg-config simcast` build, run and see their frames."""
    descriptions = list(destination.rglob("simcast.pc"))
    results.expect("simcast.pc", len(descriptions) == 1, f"found {descriptions}")
    if len(descriptions) != 1:
        return
    environment = {**os.environ, "PKG_CONFIG_PATH": str(descriptions[0].parent),
                   "PKG_CONFIG_SYSROOT_DIR": str(destination)}
    flags = run(["pkg-config", "--cflags", "--libs", "simcast"], env=environment)
    results.expect("pkg-config --cflags --libs simcast", flags.returncode == 0, flags.stdout)
    programs = {name: build_program(results, scratch, compiler, flags.stdout.split(), name, text)
                for name, text in {"consumer": CONSUMER, **documented_programs()}.items()}
    if not all(program.exists() for program in programs.values()):
        return
    environment = {**os.environ,
                   "LD_LIBRARY_PATH": str(next(destination.rglob("libsimcast.so.*")).parent)}
    ran = run([str(programs["consumer"]), str(scratch)], env=environment, timeout=30)
    results.expect("a consumer runs", (ran.returncode, ran.stdout) == (0, "hello\n"),
                   f"exit code {ran.returncode}, said {ran.stdout!r}")
    with subprocess.Popen([programs["camera"], scratch], env=environment) as camera:
        ran = run([str(programs["watch"]), str(scratch)], env=environment, timeout=30)
        camera.kill()
    seen = re.findall(r"^frame (\d+) is 640x480, its first byte (\d+)$", ran.stdout, re.MULTILINE)
    results.expect("the documented camera is watched",
                   len(seen) == 10 and all(int(frame) % 256 == int(byte) for frame, byte in seen),
                   f"exit code {ran.returncode}, said {ran.stdout!r}")


def check_safety(results, destination, scratch, compiler):
    """A robot that knows nothing but `pkg-config simcast-safety` builds and comes to rest."""
    (description,) = destination.rglob("simcast-safety.pc")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(description.parent),
                   "PKG_CONFIG_SYSROOT_DIR": str(destination)}
    flags = run(["pkg-config", "--cflags", "--libs", "simcast-safety"], env=environment)
    results.expect("pkg-config simcast-safety", flags.returncode == 0, flags.stdout)
    program = build_program(results, scratch, compiler, flags.stdout.split(), "robot", ROBOT)
    if not program.exists():
        return
    library = next(destination.rglob("libsimcast-safety.so.*")).parent
    ran = run([str(program)], env={**os.environ, "LD_LIBRARY_PATH": str(library)}, timeout=30)
    results.expect("a robot without commands holds",
                   (ran.returncode, ran.stdout) == (0, "HOLD cmd_timeout 0.25\n"),
                   f"exit code {ran.returncode}, said {ran.stdout!r}")


def main():
    build, compiler = sys.argv[2], sys.argv[3:]
    results = Results()
    with tempfile.TemporaryDirectory(prefix="simcast-install-") as name:
        scratch = pathlib.Path(name)
        destination = scratch / "root"
        done = run(["meson", "install", "-C", build, "--quiet", "--no-rebuild",
                    "--destdir", str(destination)])
        results.expect("meson install", done.returncode == 0, done.stdout)
        if done.returncode == 0:
            check_places(results, destination, option(build, "prefix"))
            check_units(results, destination, option(build, "prefix"), scratch)
            check_library(results, destination, scratch, compiler)
            check_safety(results, destination, scratch, compiler)
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
