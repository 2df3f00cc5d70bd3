#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""simcast doctor: what it finds, and its exit code.

  tests/e2e_doctor.py BUILDDIR [WORD]...
"""
import subprocess
import tempfile

import daemon_cases
from daemon_cases import Stack, case, check, equal, run_cases
from daemon_kit import free_port


def doctor(*arguments):
    run = subprocess.run([daemon_cases.build / "cli" / "simcast", "doctor", *map(str, arguments)],
                         capture_output=True, text=True, timeout=20, check=False)
    found = {line.split()[1]: line.split()[0] for line in run.stdout.splitlines()
             if len(line.split()) > 2}
    return run.returncode, found, run.stdout


@case
def an_empty_machine_is_critical():
    with tempfile.TemporaryDirectory() as directory:
        code, found, text = doctor("--ipc-dir", directory, "--port", free_port())
        equal((code, found["simcastd"], found["frames"], found["packets"], found["directory"]),
              (2, "CRITICAL", "WARNING", "WARNING", "ok"), text)
        check("start simcastd" in text and "start simcast-encoder" in text, text)
        code, found, text = doctor("--ipc-dir", f"{directory}/none", "--port", free_port())
        equal((code, found["directory"]), (2, "CRITICAL"), text)


@case
def a_running_stack_is_found():
    with Stack() as stack, stack.daemon.connect() as client:
        client.receive()
        code, found, text = doctor("--ipc-dir", stack.directory, "--port", stack.daemon.port)
        equal([found[name] for name in ("directory", "frames", "packets", "simcastd", "gate")],
              ["ok"] * 5, text)
        check(code <= 1, text)
        stack.kill("encoder")
        code, found, text = doctor("--ipc-dir", stack.directory, "--port", stack.daemon.port)
        equal((code >= 1, found["packets"]), (True, "WARNING"), text)


@case
def wrong_options_are_3():
    for arguments in (("--port", "0"), ("--port", "x"), ("--nonsense",), ("word",)):
        equal(doctor(*arguments)[0], 3, f"{arguments}")
    equal(doctor("--help")[0], 0, "--help")


run_cases(__doc__)
