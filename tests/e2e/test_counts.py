# SPDX-License-Identifier: MIT
"""How many system calls the shim adds to a turn of a program's work, by strace's count, and how
many instructions, by callgrind's.

Upper bounds: a change that asks the kernel more than these has to say so here. What each of them
is asked for: docs/ARCHITECTURE.md, "The life of one bind" and the two after it.
"""

import os
import re
from collections import Counter

from harness import paths, strace
from harness.case import Case, environment, shimmed
from harness.tool import ToolCase

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
        """TCP_INFO, SO_COOKIE; and of each line statx, getrlimit, write."""
        self.logged("setsockopt", 5)

    def test_life(self):
        """5 events: socket 5, the bind and its setsockopt 12, listen 5, close 14."""
        self.logged("life", 36)

    def test_connection(self):
        """Accept 8, close 11."""
        self.logged("accepted", 19)

    def test_copy_of_a_pipe(self):
        """TCP_INFO refuses, each time."""
        self.logged("copied", 2)

    def test_quiet(self):
        """The rescue at a bind: its address, TCP_INFO, SO_REUSEADDR, and the option."""
        for work, most in (("life", 4), ("setsockopt", 0), ("accepted", 0), ("copied", 0)):
            self.a_turn_adds(work, most)


class Start(ToolCase):
    """What a process that does nothing pays, above a library that holds nothing."""

    def calls(self, preload, **settings):
        trace = self.fresh("trace")
        command = strace.command(trace, dict(shimmed(**settings), LD_PRELOAD=preload),
                                 [paths.find("true")], traced=())
        command.remove("-yy")
        status, _, err = self.run_program(command)
        self.assertEqual((status, err), (0, b""))
        with open(trace, errors="replace") as file:
            return Counter(re.findall(r"(?m)^\d+ +(\w+)\(", file.read()))

    def test_system_calls(self):
        """JSON: 6 for the process, 7 for the file (a new one: 6), 4 for each of two sockets."""
        if strace.available():
            self.skipTest(strace.available())
        if re.search("address|thread|undefined", os.path.basename(paths.OUT)):
            self.skipTest("a build with sanitizers")
        empty = self.calls(self.compiled("", "-shared", "-fPIC"))
        json = dict(LOG=self.path("json"), FORMAT="json")
        for most, settings in ((3, {}), (21, json), (21, json)):
            calls = self.calls(paths.preload(), **settings)
            calls.subtract(empty)
            self.assertLessEqual(sum(calls.values()), most, calls)


class Instructions(Case):
    """The same in instructions. The bounds are a quarter above what gcc 12 makes of it, for other
    compilers and C libraries. (callgrind counts no clock_gettime, and a longer program's name.)"""

    timeout = 120
    FEW, MANY = 20, 120

    def setUp(self):
        super().setUp()
        if not paths.find("valgrind"):
            self.skipTest("no valgrind")
        if re.search("address|thread|undefined", os.path.basename(paths.OUT)):
            self.skipTest("a build with sanitizers")
        if self.run_program(["valgrind", "-q", "--tool=none", "--log-file=/dev/null",
                             self.program("turns"), "copied", "1"], shimmed())[0] == 1:
            self.skipTest("a valgrind that can't read what this compiler tells debuggers")

    def total(self, env, work, turns, beside):
        counts = self.fresh("callgrind")
        status, _, err = self.run_program(
            ["valgrind", "-q", "--tool=callgrind", "--log-file=/dev/null",
             "--callgrind-out-file=" + counts,
             self.program("turns"), work, str(turns), str(beside)], env)
        if status == 77:
            self.skipTest("no system call instruction known for this machine")
        self.assertEqual((status, err), (0, b""))
        with open(counts) as file:
            return int(re.search(r"(?m)^totals: (\d+)", file.read()).group(1))

    def a_turn(self, env, work, beside=0):
        few, many = (self.total(env, work, turns, beside) for turns in (self.FEW, self.MANY))
        return (many - few) / (self.MANY - self.FEW)

    def logged(self, work, text, json, recorder):
        native = self.a_turn(environment(), work)
        for name, most, settings in (
                ("text", text, dict(LOG=self.path("text"))),
                ("json", json, dict(LOG=self.path("json"), FORMAT="json")),
                ("recorder", recorder, dict(LOG="ring:" + self.path("ring")))):
            with self.subTest(name):
                self.assertLess(self.a_turn(shimmed(**settings), work) - native, most)

    def test_setsockopt(self):
        self.logged("setsockopt", 3500, 3200, 2500)

    def test_life(self):
        self.logged("life", 18600, 17500, 13800)

    def test_connection(self):
        self.logged("accepted", 9700, 8900, 7000)

    def test_quiet(self):
        for work, most in (("life", 385), ("copied", 28)):
            with self.subTest(work):
                self.assertLess(self.a_turn(shimmed(), work)
                                - self.a_turn(environment(), work), most)

    def test_beside_many_sockets(self):
        """No more than beside few."""
        for settings in (dict(LOG=self.path("json"), FORMAT="json"),
                         dict(LOG="ring:" + self.path("ring")), {}):
            with self.subTest(settings):
                few, many = (self.a_turn(shimmed(**settings), "life", beside)
                             for beside in (1, 800))
                self.assertLess(many, few * 1.03)
