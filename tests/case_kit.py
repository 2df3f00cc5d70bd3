# SPDX-License-Identifier: Apache-2.0
"""Cases of an end-to-end script: functions that fail by raising, told of one line each."""
import pathlib
import sys
import traceback


class Skip(Exception):
    """This case cannot run here; says why."""


def title_of(function):
    return function.__name__.removeprefix("case_").replace("_", " ")


def cases_in(names):
    """Those functions of a script's globals() whose names begin with case_."""
    return [value for name, value in names.items() if name.startswith("case_")]


def run_case(name, function, *arguments):
    """Runs it and prints its line, "ok NAME", "skip NAME: why" or "not ok NAME: why"; returns
    whether it did not fail."""
    try:
        function(*arguments)
    except Skip as why:
        print(f"skip {name}: {why}", flush=True)
    except Exception as error:  # a case may fail in any way; the others still run
        if not isinstance(error, AssertionError):
            traceback.print_exc(file=sys.stdout)
        print(f"not ok {name}: {type(error).__name__}: {error}", flush=True)
        return False
    else:
        print(f"ok {name}", flush=True)
    return True


def command_line():
    """SCRIPT [BUILDDIR] [PART]: the build directory, and a part of the names of cases to run."""
    words = sys.argv[1:] + ["build", ""][len(sys.argv[1:3]):]
    return pathlib.Path(words[0]).resolve(), words[1]


def run_part(functions, part, *arguments):
    """Runs those whose names hold `part`; returns the script's exit code."""
    chosen = [one for one in functions if part.replace("_", " ") in title_of(one)]
    return 0 if all([run_case(title_of(one), one, *arguments) for one in chosen]) else 1
