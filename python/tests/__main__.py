# SPDX-License-Identifier: Apache-2.0
"""Runs all tests here; prints "ok NAME", "not ok NAME: why" or "skip NAME: why" for each.

    PYTHONPATH=<where the built package is> /usr/bin/python3 python/tests [NAME...]

Names are unittest's, as test_loan.LoanTest. SIMCAST_TEST_SEED repeats a run's random choices.
SIMCAST_BUILD names the build directory with the encoder, for the test that needs one.
"""
import faulthandler
import pathlib
import sys
import unittest

import kit


SECONDS_MAX = 240


class Lines(unittest.TestResult):
    """Prints one line per case; tracebacks go to stderr."""

    @staticmethod
    def _name(test):
        module, _, rest = test.id().partition(".")
        return f"{module.removeprefix('test_')}: {rest.split('.')[-1].removeprefix('test_')}"

    def _fail(self, test, error):
        text = self._exc_info_to_string(error, test)
        print(text, file=sys.stderr)
        why = text.strip().splitlines()[-1]
        print(f"not ok {self._name(test)}: {why} (seed {kit.SEED})", flush=True)

    def addSuccess(self, test):
        print(f"ok {self._name(test)}", flush=True)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"skip {self._name(test)}: {reason}", flush=True)

    def addFailure(self, test, err):
        self._fail(test, err)
        super().addFailure(test, err)

    def addError(self, test, err):
        self._fail(test, err)
        super().addError(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._fail(subtest, err)
        super().addSubTest(test, subtest, err)


def main():
    loader = unittest.TestLoader()
    if len(sys.argv) > 1:
        suite = loader.loadTestsFromNames(sys.argv[1:])
    else:
        suite = loader.discover(str(pathlib.Path(__file__).parent))
    print(f"seed {kit.SEED}", flush=True)
    faulthandler.enable()
    faulthandler.dump_traceback_later(SECONDS_MAX, exit=True)
    result = Lines()
    suite.run(result)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
