#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Completes a manual page with a program's own list of options: make_page.py TEMPLATE PROGRAM.

A line "@OPTIONS WORD...@" of the template becomes what `PROGRAM WORD... --help` says of its
options, so that no page can be behind its program. Writes the page to stdout.
"""
import os
import re
import subprocess
import sys

FLAG = re.compile(r"^  (?P<flags>--[a-z0-9-]+(?:\[=\w+\])?(?: \S+)?(?:, --[a-z-]+)*)"
                  r"(?:\s{2,}(?P<text>\S.*))?$")
MORE = re.compile(r"^ {6,}(?P<text>\S.*)$")


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def options_of(command):
    """[(flags, [line, ...])] from the help text."""
    plain = {name: value for name, value in os.environ.items()
             if not name.startswith(("SIMCAST_", "SDR_"))}
    text = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True,
                          env=plain).stdout
    options = []
    for line in text.splitlines():
        flag, more = FLAG.match(line), MORE.match(line)
        if flag:
            options.append((flag["flags"], [flag["text"]] if flag["text"] else []))
        elif more and options:
            options[-1][1].append(more["text"])
    if not options:
        sys.exit(f"make_page.py: {' '.join(command)} --help names no options")
    return options


def tag(flags):
    """"--size WxH": the flag in bold, its value in italics."""
    name, _, value = flags.partition(" ")
    if value and not name.endswith(","):
        return f'.BI "{escape(name)} " "{escape(value)}"'
    return f'.B "{escape(flags)}"'


def section(command):
    """Options that stand together, of which only the last is explained, share its text."""
    lines = []
    shared = False
    for flags, texts in options_of(command):
        lines += [".TQ" if shared else ".TP", tag(flags)]
        if flags == "--help, --version":
            texts = ["says what it can do; which version it is"]
        lines += [escape(text) for text in texts]
        shared = not texts
    return "\n".join(lines)


def main():
    template, program = sys.argv[1:]
    with open(template, encoding="utf-8") as file:
        for line in file.read().splitlines():
            wanted = re.fullmatch(r"@OPTIONS((?: [a-z]+)*)@", line)
            print(section([program, *wanted[1].split()]) if wanted else line)


main()
