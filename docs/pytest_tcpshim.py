"""A pytest plugin that tells tcpshim which test runs, so that its findings bear the test's name.

    tcpshim run --fail-on -- python -m pytest -p pytest_tcpshim

with this file where Python finds it (PYTHONPATH). Without tcpshim run --fail-on it does nothing.
Each test is a line TIME PID NAME in the file that TCPSHIM_MARKS names, and its end is one without
a name: whatever runs tests can do the same.
"""

import gc
import os
import time

import pytest

MARKS = os.environ.get("TCPSHIM_MARKS")


def mark(name):
    """From now on, in this process."""
    line = "%d %d %s\n" % (time.time_ns(), os.getpid(), " ".join(name.split()))
    # One write at the end of the file: other processes' lines do not get in between.
    marks = os.open(MARKS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(marks, line.encode("utf-8", "replace"))
    finally:
        os.close(marks)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Before and after each test, with its fixtures."""
    if not MARKS:
        yield
        return
    mark(item.nodeid)
    yield
    gc.collect()  # what is still open because of a cycle belongs to this test
    mark("")
