# SPDX-License-Identifier: MIT
"""Services that may not make every system call: the shim makes none that they lack.

The customary filter of a systemd unit is SystemCallFilter=@system-service and
~@privileged @resources; what is outside it kills the process. The sets stand in tests/data as
systemd 252 has them.
"""

import ctypes
import functools
import glob
import os
import re
import resource
import signal
import subprocess

from harness import paths, strace
from harness.case import Case, environment, shimmed, timeout

DATA = os.path.join(paths.ROOT, "tests", "data", "systemd-252.syscalls")
SHIM = os.path.join(paths.ROOT, "shim")
# By its name, or by one that stands for another one where a long has 32 bits.
OURS = re.compile(r"(?:\bSYS[346]?\(|^#define SYS_[A-Z]+ )SYS_([a-z]\w*)|\bSYS[346]\(SYS_[A-Z]+\b",
                  re.M)
# The hooks know the program's calls by number, and pass them on through libc; proc.c knows in which
# of them a thread waits.
THE_PROGRAMS = re.compile(r"\blibc\.syscall\(SYS_\w+|\bcase SYS_\w+:|= \{SYS_\w+,|\b(?:call|number\)?) == SYS_\w+")
ASKED_FOR = re.compile(r"^#ifdef SYS_\w+", re.M)


@functools.lru_cache(maxsize=None)
def recorded():
    """{set: names} of the data file."""
    sets = {}
    with open(DATA) as file:
        for line in file:
            if line.startswith("@"):
                names = sets.setdefault(line.strip(), set())
            elif not line.startswith("#"):
                names.add(line.strip())
    return sets


def installed(name):
    """A set of the systemd that is here, the sets in it written out."""
    out = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name],
                         stdout=subprocess.PIPE, check=True).stdout.decode()
    names = set()
    for line in out.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            names |= installed(word)
        elif word and not word.startswith("#"):
            names.add(word)
    return names


def customary(of):
    """What is left of @system-service."""
    return of["@system-service"] - of["@privileged"] - of["@resources"]


def of_the_source():
    """The system calls that the shim makes of its own, by name."""
    calls = set()
    for path in glob.glob(os.path.join(SHIM, "*", "*.[ch]")):
        with open(path) as file:
            text = file.read()
        calls.update(filter(None, OURS.findall(text)))
        rest = OURS.sub("", text)
        rest = ASKED_FOR.sub("", rest)
        if "/hooks/" in path or path.endswith("/observe/proc.c"):
            rest = THE_PROGRAMS.sub("", rest)
        # No name is used in a way that would escape this list.
        assert not re.search(r"\b(SYS_[a-z]|__NR_)", rest), path
    return calls


class ServiceCase(Case):
    """Where a service would be."""

    def limit(self):
        """The limits of descriptors that systemd gives a service."""
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        if before[1] <= 1024:
            self.skipTest("the hard limit of descriptors is no more than 1024")
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, min(before[1], 20000)))


class Listed(ServiceCase):
    """Which system calls there are."""

    def test_in_the_source(self):
        calls = of_the_source()
        self.assertGreater(len(calls), 30)
        self.assertEqual(calls - customary(recorded()), set())

    def test_by_the_systemd_that_is_here(self):
        if not paths.find("systemd-analyze"):
            self.skipTest("no systemd-analyze")
        sets = {name: installed(name) for name in recorded()}
        self.assertEqual(of_the_source() - customary(sets), set())
        version = subprocess.run(["systemd-analyze", "--version"], stdout=subprocess.PIPE,
                                 check=True).stdout.split()[1]
        if version == b"252":
            self.assertEqual(sets, recorded())

    @timeout(120)
    def test_seen_by_strace(self):
        """What libc, and libraries that are loaded, make for us counts too."""
        if strace.available():
            self.skipTest(strace.available())
        self.limit()
        reader = self.datagrams()
        self._logs.remove(reader)
        settings = {
            "quiet": {},
            "text": {"LOG": self.path("text"), "REUSEPORT": 1},
            "json": {"LOG": self.path("json"), "FORMAT": "json", "REPORT": 1, "REUSE": "gentle"},
            "stacks": {"LOG": self.path("stacks"), "FORMAT": "json", "STACK": 8, "REPORT": 1},
            "recorder": {"LOG": "ring:%s:1M" % self.path("ring"), "WAIT": 1},
            "unix": {"LOG": "unix:" + reader.path, "FORMAT": "json"},
            "stderr": {"LOG": "stderr", "REPORT": 1},
        }
        for program, names in (("bind", settings), ("fork", ("recorder", "stacks"))):
            own = self.traced(program, environment())
            for name in names:
                more = self.traced(program, shimmed(**settings[name])) - own
                self.assertEqual(more - customary(recorded()), set(), (program, name))

    def traced(self, program, env):
        """The names of the system calls of a walk."""
        counts = self.path("counts")
        preload = env.pop("LD_PRELOAD", None)
        self.run_program(["strace", "-f", "-c", "-o", counts]
                         + (["-E", "LD_PRELOAD=" + preload] if preload else [])
                         + [self.program("walk_" + program)], env)
        with open(counts) as file:
            names = re.findall(r"^ *[0-9.]+ +[0-9.]+ .* (\w+)$", file.read(), re.M)
        self.assertIn("execve", names)
        return set(names) - {"total"}


class Confined(ServiceCase):
    """A server under that filter: it starts, serves and is logged."""

    def numbers(self):
        """The calls of the filter that this machine has."""
        compiler = paths.find("cc") or paths.find("gcc") or paths.find("clang")
        if not compiler:
            self.skipTest("no compiler to tell the numbers of system calls")
        out = subprocess.run([compiler, "-E", "-dM", "-include", "sys/syscall.h", "-x", "c",
                              "/dev/null"], stdout=subprocess.PIPE, check=True).stdout.decode()
        known = dict(re.findall(r"^#define __NR_(\w+) (\d+)$", out, re.M))
        return ",".join(known[name] for name in sorted(customary(recorded())) if name in known)

    def confined(self, log=None, plain=False, silent=True, **settings):
        """A puppet under the filter, with the limits that systemd gives a service."""
        self.limit()
        if log is not None:
            settings.setdefault("LOG", getattr(log, "where", log.path))
            settings["FORMAT"] = "json"
        # The filter is not the program's own: the shim is loaded when it is there.
        wrapper = [self.program("confined"), self.numbers(), paths.find("env")]
        if not plain:
            wrapper.append("LD_PRELOAD=" + paths.preload())
        return self.puppet(env=environment(**settings), wrapper=wrapper, silent=silent)

    def serves(self, p):
        p("l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen()\n"
          "c = socket.create_connection(l.getsockname()); a, _ = l.accept()\n"
          "c.sendall(b'hello'); assert a.recv(5) == b'hello'\n"
          "pid = os.fork()\n"
          "if pid == 0: a.close(); os._exit(0)\n"
          "assert os.waitpid(pid, 0)[1] == 0\n"
          "s = socket.socket()\n"
          "try: s.bind(l.getsockname())\n"
          "except OSError: pass\n"
          "s.close(); c.close(); a.close(); l.close()")
        self.assertEqual(p.close(), 0)

    def is_logged(self, events, pid):
        calls = [event["call"] for event in events if event["pid"] == pid and "by" not in event]
        self.assertEqual(calls, ["socket", "bind", "listen", "socket", "connect", "accept4",
                                 "socket", "bind", "close", "close", "close", "close"])
        self.assertEqual([event["state"] for event in events if event["call"] == "accept4"],
                         ["ESTABLISHED"])
        refused, = [event for event in events if event.get("error") == "EADDRINUSE"]
        self.assertIn("in-use-listener", self.notes(refused))
        self.assertEqual([event["call"] for event in events if event["pid"] != pid], ["close"])

    def test_the_filter_kills(self):
        """Without the shim a program starts, and is killed by a call of @resources."""
        p = self.confined(plain=True)
        self.serves(p)
        p = self.confined(plain=True, silent=False)
        p.begin("C.syscall(160, 7, 0) if os.uname().machine == 'x86_64' "
                "else C.syscall(164, 7, 0)")
        self.assertEqual(p.process.wait(), -signal.SIGSYS)

    def test_quiet(self):
        self.serves(self.confined())

    def test_with_a_log(self):
        log = self.log()
        p = self.confined(log, REPORT=1, WAIT=0)
        self.serves(p)
        self.is_logged([event for event in log.read() if event["call"] != "exit"], p.pid)

    def test_with_a_recorder(self):
        log = self.ring(size="1M")
        p = self.confined(log)
        self.serves(p)
        self.is_logged(log.read(), p.pid)

    def test_with_stacks(self):
        """What libunwind does for us counts too."""
        try:
            ctypes.CDLL("libunwind-x86_64.so.8")
        except OSError:
            self.skipTest("no libunwind-x86_64.so.8")
        log = self.log()
        p = self.confined(log, STACK=8, REPORT=1)
        self.serves(p)
        events = [event for event in log.read() if event["call"] != "exit"]
        self.is_logged(events, p.pid)
        self.assertEqual([event for event in events if len(event["stack"]) < 5], [])
