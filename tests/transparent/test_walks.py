# SPDX-License-Identifier: MIT
"""Each walk through the edge cases of a call: the shim changes nothing of what it prints.

The same program runs without the shim, under it, and under each of its settings: standard
output, standard error and the exit status are the same.
"""

import difflib
import os
import socket

from harness import paths
from harness.case import Case, environment, shimmed, timeout

WALKS = ("socket", "bind", "listen", "connect", "accept", "sockopt", "close", "dup", "syscall",
         "signals", "threads", "fork", "names", "std", "sandbox", "descriptors")


def _fill(path):
    """Fill the queue of a datagram socket that nobody reads."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        try:
            for _ in range(10000):
                sender.sendto(b"x", path)
        except BlockingIOError:
            pass


class Walk(Case):
    """One test a program; each runs it under all settings."""

    def settings(self, program):
        """Names and environments; what is compared of each: both outputs or the first."""
        reader = self.datagrams()
        full = self.datagrams("full.socket")
        self._logs.remove(full)
        _fill(full.path)
        log = self.log()
        json = {"LOG": log.path, "FORMAT": "json"}
        yield "quiet", {}
        yield "text", {"LOG": self.path("events.txt")}
        yield "json", json
        yield "text to stderr", {"LOG": "stderr"}
        yield "unix", {"LOG": "unix:" + reader.path, "FORMAT": "json"}
        yield "unix, full", {"LOG": "unix:" + full.path, "FORMAT": "json"}
        yield "disk full", {"LOG": "/dev/full", "FORMAT": "json"}
        for reuse in ("force", "gentle", "off"):
            yield reuse, {"REUSE": reuse, "LOG": self.path(reuse), "FORMAT": "json"}
            yield reuse + ", quiet", {"REUSE": reuse}
        yield "reuseport", {"REUSEPORT": 1, "LOG": self.path("reuseport"), "FORMAT": "json"}
        yield "other ports", {"PORTS": 1, "LOG": self.path("ports"), "FORMAT": "json"}
        yield "one call", {"CALLS": "bind", "LOG": self.path("bind"), "FORMAT": "json"}
        yield "skipped", {"SKIP": os.path.basename(program)[:15], "LOG": self.path("skip")}
        yield "a line of colour", {"LOG": self.path("color"), "COLOR": "always"}
        stacks = {"STACK": 8} if paths.has_stacks() else {}
        yield "recorder", dict(stacks, LOG="ring:%s:1M" % self.path("ring"))
        yield "stacks", dict(stacks, **{"LOG": self.path("stacks"), "FORMAT": "json"})

    def walk(self, name):
        program = self.program("walk_" + name)
        if "address" in paths.OUT and name in ("accept", "threads"):
            self.skipTest("AddressSanitizer reads through bad pointers, and needs big stacks")
        plain = self.run_program([program], environment())
        again = self.run_program([program], environment())
        self.assertEqual(plain, again, "the program differs from itself")
        self.assertEqual(plain[0], 0, plain)
        wrong = {}
        for setting, values in self.settings(program):
            status, out, err = self.run_program([program], shimmed(**values))
            if values.get("LOG") == "stderr":
                err = plain[2] if err else b"nothing was logged"
            difference = self.compare(plain, (status, out, err))
            if difference:
                wrong.setdefault(difference, []).append(setting)
        self.assertFalse(wrong, "\n".join("with %s:\n%s" % ("; ".join(settings), difference)
                                          for difference, settings in wrong.items()))
        self.assertTrue(os.path.getsize(self.path("events.json")), "nothing was logged")

    def compare(self, plain, shim):
        """What the shim changed, as text."""
        said = []
        if plain[0] != shim[0]:
            said.append("status %d, without the shim %d" % (shim[0], plain[0]))
        for which, one, other in (("output", plain[1], shim[1]), ("error", plain[2], shim[2])):
            lines = list(difflib.unified_diff(one.decode(errors="replace").split("\n"),
                                              other.decode(errors="replace").split("\n"),
                                              lineterm="", n=1))
            if lines:
                said.append("standard %s (- without the shim, + with it):" % which)
                said += lines[2:32]
        return "\n".join(said)


def _add(name):
    @timeout(60)
    def test(self):
        self.walk(name)
    test.__name__ = "test_" + name
    test.__doc__ = "The program walk_%s." % name
    setattr(Walk, test.__name__, test)


for _name in WALKS:
    _add(_name)


class All(Case):
    """No walk is forgotten."""

    def test_each_program_is_walked(self):
        folder = os.path.join(paths.ROOT, "tests", "programs")
        written = {name[5:-2] for name in os.listdir(folder)
                   if name.startswith("walk_") and name.endswith(".c")}
        self.assertEqual(written, set(WALKS))
