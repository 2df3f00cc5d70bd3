#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""simcast doctor: what it finds, and its exit code.

  tests/e2e_doctor.py BUILDDIR [WORD]...
"""
import json
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile

import daemon_cases
from daemon_cases import Stack, case, check, equal, run_cases, simcastd
from daemon_kit import free_port, wait_until
from nats import NatsServer
from nkeys import certificate
from program_kit import clean_environment
from ws import Video


def doctor(*arguments, prefix=(), **options):
    """(exit code, {check: verdict}, what it printed)"""
    run = subprocess.run([*prefix, daemon_cases.build / "cli" / "simcast", "doctor",
                          *map(str, arguments)], capture_output=True, text=True, timeout=20,
                         check=False, env=clean_environment(), **options)
    found = {line.split()[1]: line.split()[0] for line in run.stdout.splitlines()[1:]
             if len(line.split()) > 2}
    return run.returncode, found, run.stdout


@case
def an_empty_machine_is_critical():
    with tempfile.TemporaryDirectory() as directory:
        code, found, text = doctor("--ipc-dir", directory, "--port", free_port())
        equal((code, found["simcastd"], found["frames"], found["packets"], found["directory"]),
              (2, "CRITICAL", "WARNING", "WARNING", "ok"), text)
        check("start simcastd" in text and "start simcast-encoder" in text, text)
        equal(text.splitlines()[0], "SIMCAST CRITICAL: frames, packets, bus, simcastd", "Nagios")
        code, found, text = doctor("--ipc-dir", f"{directory}/none", "--port", free_port())
        equal((code, found["directory"]), (2, "CRITICAL"), text)


@case
def a_running_stack_is_found():
    with Stack() as stack, stack.daemon.connect() as client:
        client.receive(Video)
        code, found, text = doctor("--ipc-dir", stack.directory, "--port", stack.daemon.port)
        equal([found[name] for name in ("directory", "frames", "packets", "simcastd", "gate", "bus",
                                        "page")], ["ok"] * 7, text)
        check(code <= 1, text)
        stack.kill("encoder")
        code, found, text = doctor("--ipc-dir", stack.directory, "--port", stack.daemon.port)
        equal((code >= 1, found["packets"]), (True, "WARNING"), text)


@case
def why_the_bus_is_away_is_told():
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        url = f"nats://127.0.0.1:{port}"
        common = ("--ipc-dir", directory, "--port", free_port(), "--bus", url)
        _, found, text = doctor(*common)
        equal((found["bus"], "No server" in text), ("CRITICAL", True), text)
        with NatsServer(port):
            equal(doctor(*common)[1]["bus"], "ok", "with a server")
        config = pathlib.Path(directory) / "server.conf"
        config.write_text("authorization { token: right }\n")
        login = pathlib.Path(directory) / "login"
        login.write_text("wrong\n")
        with NatsServer(port, config=config):
            _, found, text = doctor(*common, "--bus-login", login)
            equal((found["bus"], str(login) in text), ("CRITICAL", True), text)
            login.write_text("right\n")
            equal(doctor(*common, "--bus-login", login)[1]["bus"], "ok", "with the right login")


@case
def a_port_that_somebody_else_has_is_told():
    port = free_port()
    with tempfile.TemporaryDirectory() as directory, NatsServer(port):
        _, found, text = doctor("--ipc-dir", directory, "--port", port)
        equal((found["simcastd"], found["port"], "is taken" in text),
              ("CRITICAL", "CRITICAL", True), text)


@case
def plain_http_for_others_is_warned_of():
    port = free_port()
    with simcastd("--listen", f"0.0.0.0:{port}", "--insecure") as daemon:
        _, found, text = doctor("--ipc-dir", daemon.directory, "--port", port)
        equal((found["simcastd"], found["page"], "--tls-cert" in text), ("ok", "WARNING", True),
              text)


@case
def a_server_with_tls_is_asked_as_well_and_its_certificate_looked_at():
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for days, verdict in ((0.04, "WARNING"), (30.5, "ok")):
            certificate(folder, "server", hosts=["localhost"], days=days)
            with simcastd("--listen", f"127.0.0.1:{port}", "--tls-cert", folder / "server.pem",
                          "--tls-key", folder / "server.key", wait=False) as daemon:
                check(wait_until(lambda: "serving" in daemon.log), daemon.log)
                _, found, text = doctor("--ipc-dir", daemon.directory, "--port", port)
            equal([found[one] for one in ("simcastd", "page", "certificate")],
                  ["ok", "ok", verdict], text)


@case
def limits_that_are_too_low_are_told():
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    with tempfile.TemporaryDirectory() as directory:
        _, found, text = doctor("--ipc-dir", directory, "--port", free_port(), preexec_fn=few)
        equal((found["descriptors"], "LimitNOFILE" in text), ("WARNING", True), text)
        prefix = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh",
                  "-c", f'mount -t tmpfs -o size=1m none {directory} && exec "$0" "$@"']
        if not shutil.which("unshare") or subprocess.run(
                prefix + ["true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            print("skip a directory on a small tmpfs: no mount namespaces here")
            return
        _, found, text = doctor("--ipc-dir", directory, "--port", free_port(), prefix=prefix)
        equal((found["directory"], "enlarge" in text), ("WARNING", True), text)


@case
def json_says_the_same():
    with tempfile.TemporaryDirectory() as directory:
        arguments = ("--ipc-dir", directory, "--port", free_port())
        code, found, _ = doctor(*arguments)
        told = json.loads(doctor(*arguments, "--json")[2])
        equal((code, told["worst"]), (2, "CRITICAL"), told)
        equal({one["check"]: one["verdict"] for one in told["findings"]}, found, "findings")
        check(all(one["text"] for one in told["findings"]), told)


@case
def wrong_options_are_3():
    for arguments in (("--port", "0"), ("--port", "x"), ("--nonsense",), ("word",)):
        equal(doctor(*arguments)[0], 3, f"{arguments}")
    equal(doctor("--help")[0], 0, "--help")


run_cases(__doc__)
