# SPDX-License-Identifier: Apache-2.0
"""Our programs as child processes, in a directory of their own."""
import os
import pathlib
import subprocess
import tempfile


def clean_environment(**more):
    """Ours, without what would change the settings of our programs, and with more."""
    ours = {name: value for name, value in os.environ.items()
            if not name.startswith(("SIMCAST_", "SDR_", "CREDENTIALS_"))}
    return {**ours, **more}


class Yard:
    """A directory of rings, and the programs that meet there; all end with it."""

    def __init__(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="simcast-e2e-")
        self.directory = pathlib.Path(self.scratch.name)
        self.children = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        self.scratch.cleanup()

    def launch(self, command, **options):
        """Popen's options; returns the process."""
        child = subprocess.Popen([command[0], *map(str, command[1:])], **options)
        self.children.append(child)
        return child
