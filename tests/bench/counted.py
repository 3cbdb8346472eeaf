# SPDX-License-Identifier: MIT
"""What can be counted, and so is the same on a noisy machine: system calls, instructions, bytes.

System calls are lines of strace, instructions of the program's own those of perf or, where the
machine lets nobody count, of callgrind. Both are differences of a long run and a short one, so
that what comes before the first turn is not in them.
"""

import collections
import os
import re
import shutil
import subprocess

import works
from modes import FOLDER, LOG, WORK, Failed

TRACE = os.path.join(FOLDER, "trace")
PROFILE = os.path.join(FOLDER, "profile")

SYSTEM_CALLS = ("seq", "life", "setsockopt", "close")
INSTRUCTIONS = ("seq", "life", "bind", "socket", "setsockopt", "close", "closes")
BYTES = ("seq", "life", "setsockopt")
PAGES = ("life", "setsockopt", "seq")


class _Under:
    """A mode with a tool around it; the tool's own process has none of the mode's settings."""

    def __init__(self, mode, tool, carry):
        self.mode, self.tool, self.carry = mode, tool, carry
        self.name, self.env = mode.name, mode.env
        self.begin = mode.begin

    def environment(self):
        if self.carry:
            return self.mode.environment()
        env = self.mode.environment()
        for name in self.env:
            env.pop(name, None)
        return env

    def command(self, *arguments):
        carried = [] if self.carry else ["env"] + ["%s=%s" % one for one in self.env.items()]
        return self.tool + carried + [WORK] + [str(argument) for argument in arguments]


def _name_of(line):
    """A system call's line of strace as a row of the table; None for a line of another kind."""
    match = re.match(r"(?:\d+ +)?(\w+)\((.*)", line)
    if not match:
        return None
    name, rest = match.groups()
    if name in ("getsockopt", "setsockopt"):
        option = re.match(r"\d+, \w+, (\w+|0x[0-9a-f]+ */\*.*?\*/)", rest)
        # What this strace has no name for, it prints as a number.
        known = {"0x47": "SO_NETNS_COOKIE", "71": "SO_NETNS_COOKIE", "0x3e": "SO_BINDTOIFINDEX",
                 "62": "SO_BINDTOIFINDEX"}
        if option:
            text = option.group(1).split()[0]
            return "%s %s" % (name, known.get(text, text))
    return name


def _calls_of(mode, work, count):
    tool = ["strace", "-f", "-qq", "-s", "0", "-e", "signal=none", "-o", TRACE]
    works.run(_Under(mode, tool, False), work, count)
    found = collections.Counter()
    with open(TRACE, errors="replace") as file:
        for line in file:
            found[_name_of(line)] += 1
    found.pop(None, None)
    return found


def system_calls(modes, quick, say):
    """{work: {mode: {call: how many a turn}}}; the program's own are in each mode."""
    few, many = 20, 120
    taken = {}
    if not shutil.which("strace"):
        say("skipped the system calls: no strace")
        return taken
    for work in ("setsockopt",) if quick else SYSTEM_CALLS:
        taken[work] = {}
        for mode in modes:
            if mode.prefix or mode.attaches:
                continue
            try:
                less, more = _calls_of(mode, work, few), _calls_of(mode, work, many)
            except Failed as reason:
                say("no system calls of %s in the mode %s: %s" % (work, mode.name, reason))
                continue
            a_turn = {call: (more[call] - less[call]) / (many - few) for call in more}
            taken[work][mode.name] = {call: n for call, n in a_turn.items() if n >= 0.05}
    return taken


class Perf:
    """The processor's own count."""

    name = "perf stat"
    few, many = 1000, 11000
    tool = ["perf", "stat", "-x", ",", "-e", "instructions:u", "-o", PROFILE]

    def total(self):
        with open(PROFILE) as file:
            for line in file:
                if "instructions" in line and line.split(",")[0].isdigit():
                    return int(line.split(",")[0])
        return None

    def works(self):
        if not shutil.which("perf"):
            return False
        run = subprocess.run(self.tool + ["true"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        return run.returncode == 0 and self.total() is not None


class Callgrind:
    """valgrind's count: each turn of a repeated string instruction is one, the vDSO's are none."""

    name = "callgrind"
    few, many = 200, 1200
    tool = ["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" + PROFILE]

    def total(self):
        with open(PROFILE) as file:
            for line in file:
                if line.startswith("totals:"):
                    return int(line.split()[1])
        return None

    def works(self):
        return bool(shutil.which("valgrind"))


def under(mode, counter):
    """The mode with a counter around its work; valgrind hands its environment on."""
    return _Under(mode, counter.tool, isinstance(counter, Callgrind))


def instructions(modes, quick, say):
    """(tool, {work: {mode: instructions a turn}}, {work: {mode: events a turn}})."""
    counters = [tool for tool in (Perf(), Callgrind()) if tool.works()]
    taken, events = {}, {}
    if not counters:
        say("skipped the instructions: neither perf that counts nor valgrind")
        return None, taken, events
    counter = counters[0]
    few, many = (20, 120) if quick else (counter.few, counter.many)
    for work in ("setsockopt",) if quick else INSTRUCTIONS:
        taken[work], events[work] = {}, {}
        for mode in modes:
            if mode.prefix or mode.attaches or mode.name.startswith("bare"):
                continue
            totals, lines = [], []
            try:
                for count in (few, many):
                    works.run(under(mode, counter), work, count)
                    totals.append(counter.total())
                    lines.append(_lines())
            except Failed as reason:
                say("no instructions of %s in the mode %s: %s" % (work, mode.name, reason))
                continue
            taken[work][mode.name] = (totals[1] - totals[0]) / (many - few)
            events[work][mode.name] = (lines[1] - lines[0]) / (many - few)
    return counter.name, taken, events


def _lines():
    """Lines of the log; notes of the text are on lines of their own, indented."""
    try:
        with open(LOG, "rb") as file:
            return sum(1 for line in file if line[:1] not in (b" ", b"\0"))
    except OSError:
        return 0


def sizes(modes, quick, say):
    """{mode: {call: mean bytes of its event}} of the formats that have lines."""
    taken = {}
    for mode in modes:
        if mode.name not in ("text", "json", "stack"):
            continue
        found = {}
        for work in ("setsockopt",) if quick else BYTES:
            try:
                works.run(mode, work, 200)
            except Failed as reason:
                say("no bytes of %s in the mode %s: %s" % (work, mode.name, reason))
                continue
            with open(LOG, "rb") as file:
                _add_sizes(file.read().splitlines(True), found)
        taken[mode.name] = {call: sum(all_of) / len(all_of) for call, all_of in found.items()}
    return taken


def _add_sizes(lines, found):
    latest = None
    for line in lines:
        if line.startswith(b" ") and latest:
            found[latest][-1] += len(line)     # a note of the event above
            continue
        match = re.search(rb'"call":"(\w+)"', line) or re.search(rb"\] (\w+)\(", line)
        if match:
            latest = match.group(1).decode()
            found.setdefault(latest, []).append(len(line))


def pages(modes, quick, say):
    """{work: {mode: [page faults a turn, KB]}}."""
    taken = {}
    for work in ("setsockopt",) if quick else PAGES:
        taken[work] = {}
        for mode in modes:
            if mode.prefix or mode.attaches:
                continue
            try:
                said = works.run(mode, work, 3000)
            except Failed as reason:
                say("no pages of %s in the mode %s: %s" % (work, mode.name, reason))
                continue
            taken[work][mode.name] = [said["faults"], said["memory"]]
    return taken


def measure(modes, quick, say):
    """All of them."""
    say("counted: system calls")
    calls = system_calls(modes, quick, say)
    say("counted: instructions")
    tool, taken, events = instructions(modes, quick, say)
    say("counted: bytes and pages")
    return {"calls": calls, "counter": tool, "instructions": taken, "events": events,
            "bytes": sizes(modes, quick, say), "pages": pages(modes, quick, say)}
