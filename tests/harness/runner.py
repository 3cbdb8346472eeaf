"""Runs the tests of one folder: each in a process of its own, two at a time.

A test's process group of descendants never outlives it: a keeper, which adopts whatever
its test leaves behind (PR_SET_CHILD_SUBREAPER), ends them by pid.
"""

import ctypes
import fnmatch
import importlib.util
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
import unittest

from harness import paths

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LIBC = ctypes.CDLL(None, use_errno=True)
FILES = 20000
BUSY = 4  # times as long a test may take on a machine that has other things to do


def find(part, pattern):
    """The tests of tests/PART whose name holds the pattern (or matches it, with * or ?)."""
    folder = os.path.join(paths.ROOT, "tests", part)
    tests = []
    for name in sorted(os.listdir(folder)):
        if not fnmatch.fnmatch(name, "test_*.py"):
            continue
        spec = importlib.util.spec_from_file_location(name[:-3], os.path.join(folder, name))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name[:-3]] = module
        spec.loader.exec_module(module)
        for suite in unittest.defaultTestLoader.loadTestsFromModule(module):
            tests += [test for test in suite if _wanted(test, pattern)]
    return tests


def name_of(test):
    return "%s.%s.%s" % (type(test).__module__, type(test).__name__, test._testMethodName)


def _wanted(test, pattern):
    name = name_of(test)
    if not pattern:
        return True
    return fnmatch.fnmatch(name, pattern) if set(pattern) & set("*?") else pattern in name


class Run:
    """One test, from its start to its verdict."""

    def __init__(self, test):
        self.test = test
        self.name = name_of(test)
        method = getattr(test, test._testMethodName)
        self.limit = BUSY * getattr(method, "timeout", getattr(test, "timeout", 30))
        self.output = tempfile.TemporaryFile()
        self.began = time.monotonic()
        self.verdict, write_end = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.verdict)
            _keep(test, write_end, self.output.fileno(), self.limit)
        os.close(write_end)

    def finish(self):
        """The keeper has ended: (kind, detail)."""
        with open(self.verdict, "rb") as file:
            said = file.read()
        os.waitpid(self.pid, 0)
        self.output.seek(0)
        printed = self.output.read().decode("utf-8", "replace")
        kind, detail = json.loads(said) if said else ("FAILED", "the test's process died\n")
        self.output.close()
        return kind, detail + (printed if kind == "FAILED" else "")


def _keep(test, verdict, output, limit):
    """The keeper: runs the test in a child, and ends what is left of it."""
    try:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        signal.signal(signal.SIGTERM, lambda *_: (_end_all(), os._exit(1)))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        inner_read, inner_write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(inner_read)
            os.close(verdict)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.write(inner_write, json.dumps(_perform(test)).encode() + b"\n")
            os._exit(0)
        os.close(inner_write)
        said = _read_until(inner_read, time.monotonic() + limit)
        if said is None:
            said = json.dumps(("FAILED", "no end after %g s\n%s" % (limit, _where(child)))).encode()
        _end_all()
        os.write(verdict, said)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _read_until(fd, end):
    """A line from a pipe, or what there was until its end; None where the time is up first."""
    said = b""
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        if not ready:
            return None
        data = os.read(fd, 65536)
        if not data:
            return said
        said += data
    return said


def _where(pid):
    """What a hung test and its children are doing."""
    lines = []
    for child in [pid] + _descendants(pid):
        try:
            with open("/proc/%d/cmdline" % child, "rb") as file:
                command = file.read().replace(b"\0", b" ").decode("utf-8", "replace")[:120]
            with open("/proc/%d/wchan" % child) as file:
                lines.append("  %d %s in %s\n" % (child, command, file.read()))
        except OSError:
            pass
    return "".join(lines)


def _parents():
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as file:
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError):
                pass
    return parents


def _descendants(pid):
    parents = _parents()
    found, row = [], [pid]
    while row:
        row = [child for child, parent in parents.items() if parent in row]
        found += row
    return found


def _end_all():
    """End every descendant of this process, by pid."""
    while True:
        mine = _descendants(os.getpid())
        for pid in mine:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


class _Result(unittest.TestResult):
    """Keeps what unittest says of the one test."""

    def verdict(self):
        wrong = self.failures + self.errors
        if wrong:
            return "FAILED", "".join(detail for _, detail in wrong)
        if self.skipped:
            return "skipped", self.skipped[0][1]
        return "ok", ""


def _perform(test):
    result = _Result()
    try:
        test.run(result)
    except BaseException:
        return "FAILED", traceback.format_exc()
    return result.verdict()


def _limit_files():
    """The same limits of open files on every machine, where it has that many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def run(part, pattern, jobs):
    """Run them all; the exit status."""
    if part != "stress":  # whose sockets are as many as can be had
        _limit_files()
    counts = {"ok": 0, "FAILED": 0, "skipped": 0}
    waiting = find(part, pattern)
    waiting.sort(key=lambda test: -getattr(getattr(test, test._testMethodName), "timeout", 30))
    running = []
    began = time.monotonic()
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(Run(waiting.pop(0)))
        ready, _, _ = select.select([one.verdict for one in running], [], [])
        for one in [one for one in running if one.verdict in ready]:
            running.remove(one)
            kind, detail = one.finish()
            counts[kind] += 1
            _report(kind, one.name, time.monotonic() - one.began, detail)
    print("%s: %.1f s" % (part, time.monotonic() - began))
    print("%d passed, %d failed, %d skipped"
          % (counts["ok"], counts["FAILED"], counts["skipped"]), flush=True)
    return 1 if counts["FAILED"] or not sum(counts.values()) else 0


def _report(kind, name, seconds, detail):
    if kind == "skipped":
        print("%-7s %s: %s" % (kind, name, detail), flush=True)
        return
    print("%-7s %s (%.2f s)" % (kind, name, seconds), flush=True)
    for line in detail.rstrip("\n").split("\n") if detail else ():
        print("        " + line, flush=True)
