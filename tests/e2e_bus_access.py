#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Logins and TLS of the bus against a real nats-server, as a person would use them.

  tests/e2e_bus_access.py BUILDDIR [WORD]...
"""
import json
import pathlib
import subprocess
import tempfile
import time
import urllib.request

import daemon_cases
from daemon_cases import case, check, equal, run_cases, simcastd
from daemon_kit import free_port, wait_until
from nats import Nats, NatsServer
from nkeys import Nkey, certificate, credentials
from program_kit import clean_environment

PORT = free_port()
URL = f"nats://127.0.0.1:{PORT}"
SECRET = "s3cret-of-the-test"


def pub(url, *arguments, environment=None, timeout=10):
    """simcast bus pub: (exit code, what it said)."""
    run = subprocess.run(
        [daemon_cases.build / "cli" / "simcast", "bus", "pub", "telemetry.test", "{}", "--timeout",
         str(timeout), *(["--bus", url] if url else []), *map(str, arguments)],
        env=clean_environment(**(environment or {})), capture_output=True, text=True,
        timeout=20, check=False)
    check(SECRET not in run.stderr, f"the secret is in the log: {run.stderr}")
    return run.returncode, run.stderr


def works(url, *arguments, **options):
    code, said = pub(url, *arguments, **options)
    equal((code, said), (0, ""), "a login that should work")


def refused(url, *arguments, words, **options):
    """It ends with 1 after its patience, and says these words."""
    code, said = pub(url, *arguments, timeout=1, **options)
    equal(code, 1, f"exit code; it said {said!r}")
    for word in words:
        check(str(word) in said, f"{word!r} is not in: {said}")


class Folder:
    """A directory for configuration and secrets."""

    def __enter__(self):
        self.held = tempfile.TemporaryDirectory(prefix="simcast-e2e-")
        return pathlib.Path(self.held.name)

    def __exit__(self, *_):
        self.held.cleanup()


def file_with(path, text):
    path.write_text(text)
    return path


# logins


@case
def a_token_lets_in():
    with Folder() as folder:
        config = file_with(folder / "server.conf", f'authorization {{ token: "{SECRET}" }}\n')
        right = file_with(folder / "right", f"# for the bus\n{SECRET}\n")
        wrong = file_with(folder / "wrong", f"{SECRET}-not\n")
        with NatsServer(PORT, config=config):
            works(URL, "--bus-login", right)
            works(URL, environment={"SIMCAST_BUS_LOGIN": str(right)})
            refused(URL, "--bus-login", wrong, words=["refuses the login", wrong, "correct"])
            refused(URL, words=["wants a login", "--bus-login"])


@case
def a_user_with_a_password_is_let_in():
    with Folder() as folder:
        config = file_with(folder / "server.conf",
                           f'authorization {{ users = [ {{ user: robot, password: "{SECRET}:x" }},'
                           f'{{ user: other, password: "{SECRET}" }} ] }}\n')
        right = file_with(folder / "right", f"robot:{SECRET}:x")
        wrong = file_with(folder / "wrong", f"robot:{SECRET}")
        with NatsServer(PORT, config=config):
            works(URL, "--bus-login", right)
            works(None, environment={
                "SIMCAST_BUS_URL": f"nats://other:{SECRET}@127.0.0.1:{PORT}"})
            refused(URL, "--bus-login", wrong, words=["refuses the login", wrong])
            refused(None, environment={
                "SIMCAST_BUS_URL": f"nats://robot:{SECRET}@127.0.0.1:{PORT}"},
                words=["refuses the login in the URL"])


@case
def an_nkey_is_let_in_by_its_seed_alone():
    key, other = Nkey("user"), Nkey("user")
    with Folder() as folder:
        config = file_with(folder / "server.conf",
                           f"authorization {{ users = [ {{ nkey: {key.public} }} ] }}\n")
        right = file_with(folder / "right.nk", key.seed + "\n")
        wrong = file_with(folder / "wrong.nk", other.seed + "\n")
        # One letter in the middle: the last one's lowest bits mean nothing.
        letter = "B" if key.seed[30] == "A" else "A"
        damaged = file_with(folder / "damaged.nk", key.seed[:30] + letter + key.seed[31:])
        with NatsServer(PORT, config=config):
            works(URL, "--bus-login", right)
            refused(URL, "--bus-login", wrong, words=["refuses the login", wrong])
            refused(URL, "--bus-login", damaged, words=[damaged, "seed is damaged"])


@case
def a_creds_file_is_let_in():
    with Folder() as folder:
        credentials(folder)
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        credentials(elsewhere)
        with NatsServer(PORT, config=folder / "operator.conf"):
            works(URL, "--bus-login", folder / "user.creds")
            refused(URL, "--bus-login", elsewhere / "user.creds",
                    words=["refuses the login", elsewhere / "user.creds"])


@case
def what_is_no_login_is_said_at_once():
    with Folder() as folder, NatsServer(PORT):
        empty = file_with(folder / "empty", "\n# nothing\n")
        refused(URL, "--bus-login", empty, words=[empty, "neither"])
        code, said = pub(URL, "--bus-login", folder / "missing")
        equal(code, 78, said)
        check("missing" in said and "--bus-login" in said, said)
        code, said = pub(f"nats://robot:{SECRET}@127.0.0.1:{PORT}")
        equal(code, 78, said)
        check("argument list" in said and "--bus-login" in said, said)


@case
def a_refused_login_is_tried_again_but_seldom_and_a_new_file_helps():
    monitor = free_port()
    with Folder() as folder:
        config = file_with(folder / "server.conf", f'authorization {{ token: "{SECRET}" }}\n')
        login = file_with(folder / "login", "wrong")
        with NatsServer(PORT, "-m", monitor, config=config), \
                simcastd("--bus", URL, environment={"SIMCAST_BUS_LOGIN": str(login)}) as daemon:
            check(wait_until(lambda: "refuses the login" in daemon.log), daemon.log)
            time.sleep(3)  # the time in which it must not spin
            varz = f"http://127.0.0.1:{monitor}/varz"
            tries = json.load(urllib.request.urlopen(varz, timeout=5))["total_connections"]
            check(tries <= 8, f"{tries} attempts of two lanes in 3 s")
            equal(daemon.log.count("refuses the login"), 1, "lines")
            login.write_text(SECRET)
            check(daemon.wait_health(lambda h: h["bus"] == "connected", 15), daemon.log)
            check(SECRET not in daemon.log, "the secret is in the log")


@case
def systemd_credentials_are_found():
    with Folder() as folder:
        config = file_with(folder / "server.conf", f'authorization {{ token: "{SECRET}" }}\n')
        file_with(folder / "simcast.bus-login", SECRET)
        with NatsServer(PORT, config=config), simcastd(
                "--bus", URL, environment={"CREDENTIALS_DIRECTORY": str(folder)}) as daemon:
            check(daemon.wait_health(lambda h: h["bus"] == "connected"), daemon.log)
            arguments = pathlib.Path(f"/proc/{daemon.process.pid}/cmdline").read_text()
            check(SECRET not in arguments, "the secret is in the argument list")


# TLS


TLS = 'tls {{ cert_file: "{0}/server.pem", key_file: "{0}/server.key", ca_file: "{0}/ca.pem"{1} }}\n'


def tls_url(host="localhost"):
    return f"tls://{host}:{PORT}"


@case
def tls_trusts_who_the_ca_vouches_for_under_the_name_that_was_asked():
    with Folder() as folder:
        authority = certificate(folder, "ca")
        certificate(folder, "server", issuer=authority, hosts=["localhost"])
        certificate(folder, "stranger")
        with NatsServer(PORT, config=file_with(folder / "server.conf", TLS.format(folder, ""))):
            works(tls_url(), "--bus-ca", folder / "ca.pem")
            works(f"nats://localhost:{PORT}", "--bus-ca", folder / "ca.pem")
            refused(tls_url(), "--bus-ca", folder / "stranger.pem", words=["no TLS", "--bus-ca"])
            refused(tls_url(), words=["no TLS", "--bus-ca"])
            refused(tls_url("127.0.0.1"), "--bus-ca", folder / "ca.pem",
                    words=["no TLS", "the name in the URL"])
            refused(URL, words=["no TLS", "--bus-ca"])
            no_pem = file_with(folder / "no.pem", "nothing")
            refused(tls_url(), "--bus-ca", no_pem, words=[no_pem, "CA certificates"])


@case
def tls_by_address_works_with_a_certificate_for_the_address():
    with Folder() as folder:
        authority = certificate(folder, "ca")
        certificate(folder, "server", issuer=authority, hosts=["127.0.0.1"])
        with NatsServer(PORT, config=file_with(folder / "server.conf", TLS.format(folder, ""))):
            works(tls_url("127.0.0.1"), "--bus-ca", folder / "ca.pem")


@case
def a_server_may_want_our_certificate():
    with Folder() as folder:
        authority = certificate(folder, "ca")
        certificate(folder, "server", issuer=authority, hosts=["localhost"])
        certificate(folder, "robot", issuer=authority)
        ca = ["--bus-ca", folder / "ca.pem"]
        ours = ["--bus-cert", folder / "robot.pem", "--bus-key", folder / "robot.key"]
        config = file_with(folder / "server.conf", TLS.format(folder, ", verify: true"))
        with NatsServer(PORT, config=config):
            works(tls_url(), *ca, *ours)
            refused(tls_url(), *ca, words=["--bus-cert"])
            refused(tls_url(), *ca, "--bus-cert", folder / "robot.pem", "--bus-key",
                    folder / "server.key", words=[folder / "robot.pem", folder / "server.key"])
            code, said = pub(tls_url(), *ca, *ours[:2])
            equal((code, "belong together" in said), (78, True), said)


@case
def a_server_without_tls_is_not_talked_to_in_the_clear():
    with Folder() as folder, NatsServer(PORT):
        certificate(folder, "ca")
        refused(tls_url(), "--bus-ca", folder / "ca.pem", words=["no TLS"])


# several servers


@case
def the_first_server_that_works_is_taken_and_the_next_when_it_dies():
    second_port = free_port()
    url = f"nats://127.0.0.1:{PORT},nats://127.0.0.1:{second_port}"
    with NatsServer(second_port) as second, NatsServer(PORT) as first, \
            simcastd("--bus", url) as daemon, \
            Nats(second_port, "telemetry.>", "command.genesis.>") as at_second:
        check(daemon.wait_health(lambda h: h["bus"] == "connected"), daemon.log)
        with Nats(PORT) as at_first, daemon.connect() as client:
            at_first.publish("telemetry.x", b"1")
            equal(client.telemetry("telemetry.x").payload, b"1", "by the first server")
            first.stop()
            check(wait_until(lambda: daemon.log.count(": connected") >= 4), daemon.log)
            at_second.publish("telemetry.x", b"2")
            equal(client.telemetry("telemetry.x").payload, b"2", "by the second server")
            second.stop()
            check(daemon.wait_health(lambda h: h["bus"] == "connecting"), daemon.log)
            first.start()
            check(daemon.wait_health(lambda h: h["bus"] == "connected", 15), daemon.log)


run_cases(__doc__)
