# SPDX-License-Identifier: MIT
"""cpython_results.py OUT NAME…: run tests of CPython's own suite, by module or by id, and write to
OUT, as JSON, what each came to. Nothing that needs a network beyond this machine is run.
"""

import json
import sys
import unittest

from test import support

# VSOCK waits for a host that answers.
LEFT_OUT = ("VSOCK",)


class Results(unittest.TestResult):
    """The outcome of each test, by its id."""

    def __init__(self):
        super().__init__()
        self.outcomes = {}

    def startTest(self, test):
        super().startTest(test)
        self.outcomes[test.id()] = "ok"

    def worse(self, test, outcome):
        self.outcomes[test.id()] = outcome

    def addError(self, test, err):
        super().addError(test, err)
        self.worse(test, "error: " + self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.worse(test, "failed: " + self.failures[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.worse(test, "failed: %s" % (err[1],))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.worse(test, "skipped")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.worse(test, "unexpected success")


def each(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from each(test)
        elif not any(word in test.id() for word in LEFT_OUT):
            yield test


def main():
    # The servers of test_socketserver are this machine's, whatever it asks for.
    alone = all(name.startswith("test.test_socketserver") for name in sys.argv[2:])
    support.use_resources = ["network"] if alone else []
    results = Results()
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[2:])
    unittest.TestSuite(each(suite)).run(results)
    with open(sys.argv[1], "w") as file:
        json.dump(results.outcomes, file)


if __name__ == "__main__":
    main()
