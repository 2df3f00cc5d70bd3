# SPDX-License-Identifier: Apache-2.0
"""The way from simcastd to the NATS server: a proxy that can delay, in a network namespace of its
own, where that is possible, that can be cut off.

Without root or without ip(8) the proxy runs beside us, and `why_whole` says why it cannot be cut.
"""
import os
import pathlib
import shutil
import subprocess
import sys

from daemon_kit import free_port

PROXY = pathlib.Path(__file__).resolve().parent / "delay_proxy.py"
IP = shutil.which("ip") or "/usr/sbin/ip"


def ip(*words):
    return subprocess.run([IP, *words], capture_output=True, text=True, check=False)


class Wire:
    """`address` is where simcastd finds the server that listens on `nats_port`."""

    def __init__(self, nats_port):
        self.name = f"simcast-{os.getpid()}"
        self.near = f"sc{os.getpid() % 1000000}a"
        self.far = f"sc{os.getpid() % 1000000}b"
        self.number = os.getpid() % 250 + 1
        self.made = False
        self.why_whole = self._make()
        if self.why_whole:
            self._remove()
        prefix = [] if self.why_whole else [IP, "netns", "exec", self.name]
        here = "127.0.0.1" if self.why_whole else f"10.214.{self.number}.2"
        there = "127.0.0.1" if self.why_whole else f"10.215.{self.number}.1"
        port = free_port()
        self.address = f"{here}:{port}"
        self.proxy = subprocess.Popen(
            [*prefix, sys.executable, PROXY, here, str(port), there, str(nats_port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.proxy.stdout.readline() != "ready\n":
            self.close()
            raise RuntimeError(f"the delay proxy did not start on {self.address}")

    @property
    def server_host(self):
        """Where the NATS server has to listen."""
        return "127.0.0.1" if self.why_whole else "0.0.0.0"

    def _make(self):
        """Returns why there is no namespace, or ""."""
        if os.geteuid() != 0 or not os.access(IP, os.X_OK):
            return "a network namespace needs root and ip(8), Debian package iproute2"
        self.made = True
        inside = ["-n", self.name]
        for words in (["netns", "add", self.name],
                      ["link", "add", self.near, "type", "veth", "peer", "name", "near",
                       "netns", self.name],
                      ["link", "add", self.far, "type", "veth", "peer", "name", "far",
                       "netns", self.name],
                      ["address", "add", f"10.214.{self.number}.1/30", "dev", self.near],
                      ["address", "add", f"10.215.{self.number}.1/30", "dev", self.far],
                      [*inside, "address", "add", f"10.214.{self.number}.2/30", "dev", "near"],
                      [*inside, "address", "add", f"10.215.{self.number}.2/30", "dev", "far"],
                      ["link", "set", self.near, "up"], ["link", "set", self.far, "up"],
                      [*inside, "link", "set", "near", "up"],
                      [*inside, "link", "set", "far", "up"]):
            done = ip(*words)
            if done.returncode != 0:
                return f"ip {' '.join(words)}: {done.stderr.strip()}"
        return ""

    def _remove(self):
        if self.made:
            ip("netns", "del", self.name)
            ip("link", "del", self.near)
            ip("link", "del", self.far)
        self.made = False

    def delay(self, seconds):
        self.proxy.stdin.write(f"{seconds}\n")
        self.proxy.stdin.flush()

    def cut(self):
        """Nothing gets through from now on, in either direction, and nobody is told."""
        ip("-n", self.name, "link", "set", "near", "down")

    def mend(self):
        ip("-n", self.name, "link", "set", "near", "up")

    def close(self):
        self.proxy.kill()
        self.proxy.wait()
        self._remove()
