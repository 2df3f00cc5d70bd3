#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Manual pages and completion against what the programs say of themselves.

  tests/e2e_manual.py BUILDDIR [WORD]...
"""
import pathlib
import re
import shutil
import subprocess

import daemon_cases
from daemon_cases import case, check, equal, run_cases
from program_kit import clean_environment

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Page: the commands that it documents.
PAGES = {
    "simcastd.8": [["daemon/simcastd"]],
    "simcast-encoder.8": [["encoder/simcast-encoder"]],
    "simcast-hal.8": [["hal/simcast-hal"]],
    "simcast-sim.1": [["sim/simcast-sim"]],
    "simcast-doctor.1": [["cli/simcast", "doctor"]],
    "simcast-top.1": [["cli/simcast", "top"]],
    "simcast-bus.1": [["cli/simcast", "bus", action]
                      for action in ("show", "sub", "pub", "replay", "setup")],
    "simcast-demo.1": [["cli/simcast", "demo"]],
    "simcast-ring.1": [["cli/simcast", "ring", action]
                       for action in ("list", "watch", "snapshot")],
    "simcast-source.1": [["cli/simcast", "source"]],
    "simcast.1": [["cli/simcast"]],
}
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
# Named in prose, as flags of others.
ELSEWHERE = {"--shm-size", "--memory", "--flag"}


def page_path(name):
    built = daemon_cases.build / "docs" / "man" / name
    return built if built.exists() else ROOT / "cli" / name


def page_text(name):
    """Without roff's markup: every flag as it is typed."""
    return re.sub(r"\\-", "-", page_path(name).read_text(encoding="utf-8"))


def help_text(command):
    run = subprocess.run([daemon_cases.build / command[0], *command[1:], "--help"],
                         capture_output=True, text=True, timeout=20, check=False,
                         env=clean_environment())
    equal(run.returncode, 0, f"{' '.join(command)} --help")
    return run.stdout


@case
def every_flag_is_in_its_page_and_no_page_has_others():
    for page, commands in PAGES.items():
        told = set().union(*(FLAG.findall(help_text(command)) for command in commands))
        written = set(FLAG.findall(page_text(page)))
        implied = {"--help", "--version"}
        equal(told - written - implied, set(), f"missing in {page}")
        equal(written - told - implied - ELSEWHERE, set(), f"in {page}, but not in --help")


@case
def what_programs_share_is_called_the_same_in_each():
    for command in sum(PAGES.values(), []):
        told = set(FLAG.findall(help_text(command)))
        if "--bus" in told:
            equal({"--bus-login", "--bus-ca", "--bus-cert", "--bus-key"} - told, set(), command)
        if "--log-level" in told and command[0] != "cli/simcast":
            check("--log-format" in told, command)


@case
def every_command_is_in_the_page_of_simcast_and_has_its_own():
    commands = re.findall(r"^  ([a-z]+)  +", help_text(["cli/simcast"]), re.MULTILINE)
    text = page_text("simcast.1")
    check(len(commands) >= 5, commands)
    for command in commands:
        check(f".B {command}\n" in text, f"simcast.1 does not tell of {command}")


@case
def groff_finds_no_fault_in_the_pages():
    if not shutil.which("groff"):
        print("skip groff finds no fault in the pages: groff is not installed")
        return
    for page in PAGES:
        run = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", page_path(page)],
                             capture_output=True, text=True, check=False)
        equal(run.stderr, "", page)


def completions(*words):
    """What bash would offer after these words."""
    script = (f'source "{ROOT}/cli/simcast.bash"; COMP_WORDS=("$@"); '
              'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); compopt() { :; }; _simcast; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    run = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True,
                         check=False)
    return set(run.stdout.split())


@case
def completion_knows_every_command_and_flag():
    commands = set(re.findall(r"^  ([a-z]+)  +", help_text(["cli/simcast"]), re.MULTILINE))
    equal(commands - completions("simcast", ""), set(), "commands")
    for page, documented in PAGES.items():
        for command in documented:
            if command[0] != "cli/simcast" or len(command) < 2:
                continue
            named = ["front"] if command[-1] in ("watch", "snapshot") else []
            told = set(re.findall(r"^  (--[a-z][a-z0-9-]*)", help_text(command), re.MULTILINE))
            equal(told - completions("simcast", *command[1:], *named, "--"), set(),
                  f"{' '.join(command)} ({page})")


run_cases(__doc__)
