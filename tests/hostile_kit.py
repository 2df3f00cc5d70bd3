# SPDX-License-Identifier: Apache-2.0
"""What the hostile cases share: odd requests, how they are answered, and what simcastd counts."""
import socket

from daemon_cases import check
from daemon_kit import wait_until
from ws import Refused


def status_of(daemon, **options):
    """101, or what the handshake is refused with."""
    try:
        daemon.connect(**options).drop()
        return 101
    except Refused as refused:
        return refused.status


def asking(daemon, stack, text):
    connection = stack.enter_context(socket.create_connection(daemon.address, timeout=6))
    connection.sendall(text.encode())
    return connection


def with_header(line):
    return f"GET /healthz HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n"


def counter(daemon, name, **options):
    """A counter of /metrics, without its prefix."""
    page = daemon.get("/metrics", **options)[2].decode()
    return next(int(line.split()[1]) for line in page.splitlines()
                if line.startswith(f"simcast_{name}_total "))


def counted(daemon, name, at_least=1, seconds=5):
    check(wait_until(lambda: counter(daemon, name) >= at_least, seconds),
          f"{name} was not counted")
