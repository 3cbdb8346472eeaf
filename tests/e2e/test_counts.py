"""How many system calls the shim adds to a turn of a program's work, by strace's count.

Upper bounds: a change that asks the kernel more than these has to say so here. What each of them
is asked for: docs/ARCHITECTURE.md, "The life of one bind" and the two after it.
"""

import re
from collections import Counter

from harness import strace
from harness.case import Case, environment, shimmed

TURNS = 40
# The listener is looked at once in 100 ms: TCP_INFO, SO_COOKIE, SO_MEMINFO.
LOOK = 3


class Counts(Case):
    """Each work without the shim and with it; a turn's system calls are the difference."""

    def counted(self, work, env):
        """The system calls of the turns by name (options by theirs), and how many ms they took."""
        if strace.available():
            self.skipTest(strace.available())
        trace = self.fresh("trace")
        command = strace.command(trace, env, [self.program("turns"), work, str(TURNS)], traced=())
        command.remove("-yy")  # which takes strace longer than all the rest
        status, out, err = self.run_program(command)
        if status == 77:
            self.skipTest("no system call instruction known for this machine")
        self.assertEqual((status, err), (0, b""))
        with open(trace, errors="replace") as file:
            between = file.read().split("getpriority(")[1]
        return Counter(option or call for call, option in re.findall(
            r"(?m)^\d+ +(\w+)\((?:\d+, SOL_\w+, (\w+))?", between)), int(out)

    def added(self, work, **settings):
        """The same, less those of the program itself."""
        calls, ms = self.counted(work, shimmed(**settings))
        calls.subtract(self.counted(work, environment())[0])
        return calls, ms

    def a_turn_adds(self, work, most, **settings):
        calls, ms = self.added(work, **settings)
        added = sum(calls.values())
        if work == "accepted":
            self.assertLessEqual(calls["SO_MEMINFO"], 1 + ms / 100)
            added -= LOOK * calls["SO_MEMINFO"]
        # The recorder takes a new piece of its file now and then.
        self.assertLess(added / TURNS, most + 1, calls)

    def logged(self, work, most):
        self.a_turn_adds(work, most, LOG=self.path(work + ".json"), FORMAT="json")
        self.a_turn_adds(work, most, LOG="ring:" + self.path(work + ".ring"))

    def test_setsockopt(self):
        """TCP_INFO, getpid, SO_COOKIE; and of each line statx, getrlimit, write."""
        self.logged("setsockopt", 6)

    def test_life(self):
        """5 events: socket 6, the bind and its setsockopt 13, listen 6, close 15."""
        self.logged("life", 40)

    def test_connection(self):
        """Accept 9, close 12."""
        self.logged("accepted", 21)

    def test_copy_of_a_pipe(self):
        """TCP_INFO refuses, each time."""
        self.logged("copied", 2)

    def test_quiet(self):
        """The rescue at a bind: its address, TCP_INFO, SO_REUSEADDR, and the option."""
        for work, most in (("life", 4), ("setsockopt", 0), ("accepted", 0), ("copied", 0)):
            self.a_turn_adds(work, most)
