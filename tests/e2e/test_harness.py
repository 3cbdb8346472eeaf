# SPDX-License-Identifier: MIT
"""What the tests themselves stand on: a test that hangs, dies or leaves something behind."""

import os
import subprocess
import sys

from harness import paths
from harness.case import Case, environment, timeout
from harness.events import wait_until

TESTS = os.path.join(paths.ROOT, "tests")
HEAD = """
import ctypes, os, signal, socket, subprocess, time, unittest
"""


class Harness(Case):
    """pytest on a test of our own, in a folder of its own."""

    def pytest(self, text, *options):
        """The exit status of pytest on that test, and what it printed."""
        name = self.path("test_it.py")
        with open(name, "w") as file:
            file.write(HEAD + text)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "conftest",
             "-c", os.path.join(TESTS, "pytest.ini"), *options, name],
            cwd=self.folder, env=dict(environment(), PYTHONPATH=TESTS),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout.decode()

    def gone(self, pid):
        wait_until(lambda: not os.path.exists("/proc/%d" % pid), "the end of %d" % pid)

    def test_counts(self):
        status, said = self.pytest("""
def test_good(): pass
def test_bad(): print("printed"); assert 1 == 2
class Some(unittest.TestCase):
    def test_good(self): pass
    def test_skipped(self): self.skipTest("the reason")
""")
        self.assertEqual(status, 1)
        self.assertEqual(said.splitlines()[-1], "2 passed, 1 failed, 1 skipped")
        self.assertIn("the reason", said)
        self.assertIn("printed", said)

    def test_none_is_a_failure(self):
        self.assertNotEqual(self.pytest("")[0], 0)

    def test_nothing_outlives_a_test(self):
        """Neither a child, nor what has made itself a session of its own and lost its parent."""
        status, said = self.pytest("""
def test_leaves():
    if os.fork() == 0:
        os.setsid()
        for _ in range(3):
            if os.fork():
                os._exit(0)
        open("pid", "w").write(str(os.getpid()))
        while True:
            signal.pause()
    while not os.path.exists("pid") or not open("pid").read():
        time.sleep(0.01)
""")
        self.assertEqual((status, said.splitlines()[-1]), (0, "1 passed, 0 failed, 0 skipped"))
        with open(self.path("pid")) as file:
            self.gone(int(file.read()))

    @timeout(60)
    def test_a_hung_test_says_where(self):
        status, said = self.pytest("""
def test_hangs():
    print("printed before")
    left, right = socket.socketpair()
    left.recv(1)
test_hangs.timeout = 0.25
""")
        self.assertEqual((status, said.splitlines()[-1]), (1, "0 passed, 1 failed, 0 skipped"))
        self.assertIn("left.recv(1)", said)
        self.assertIn("Timeout", said)
        self.assertIn("printed before", said)

    @timeout(60)
    def test_a_test_that_keeps_all_signals_back_is_ended(self):
        """The timeout's own signal can't end it; the keeper can, and says what it was doing."""
        status, said = self.pytest("""
import conftest
conftest.KEEPER, conftest.BUSY, conftest.USUAL = 0, 1, 2
def test_hangs():
    print("printed before", flush=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    subprocess.run(["sleep", "1000"])
""")
        self.assertEqual((status, said.splitlines()[-1]), (1, "0 passed, 1 failed, 0 skipped"))
        self.assertIn("no end after", said)
        self.assertIn("sleep 1000", said)
        self.assertIn("printed before", said)

    def test_a_test_that_dies_is_one_failure(self):
        status, said = self.pytest("""
def test_dies():
    print("printed before", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
def test_good(): pass
""")
        self.assertEqual((status, said.splitlines()[-1]), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertIn("the test's process died", said)
        self.assertIn("printed before", said)

    @timeout(60)
    def test_under_xdist(self):
        status, said = self.pytest("""
import pytest
@pytest.mark.parametrize("n", range(10))
def test_some(n): assert n != 7
""", "-n", "2")
        self.assertEqual((status, said.splitlines()[-1]), (1, "9 passed, 1 failed, 0 skipped"))
