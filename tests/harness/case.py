# SPDX-License-Identifier: MIT
"""A test: its own folder, the programs it starts, the log they write."""

import contextlib
import fcntl
import functools
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import time
import unittest

from harness import contract, kernel, paths
from harness.events import DatagramLog, Log, PATIENCE, RingLog, Timeout, brief, wait_until
from harness.followed import OTHERWISE

with open(os.path.join(paths.ROOT, "include", "reuse", "settings.def")) as _rows:
    SETTINGS = re.findall(r'^SETTING\("TCPSHIM_(\w+)"', _rows.read(), re.M)


def timeout(seconds):
    """The seconds that a test may take where nothing else runs, if it is not the usual."""
    def mark(function):
        function.timeout = seconds
        return function
    return mark


def needs_root(function):
    """Skip the test where it may not make namespaces or mounts."""
    @functools.wraps(function)
    def run(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        return function(self)
    return run


def needs_ipv6(function):
    @functools.wraps(function)
    def run(self):
        if not kernel.has_ipv6():
            self.skipTest("no IPv6 on loopback")
        return function(self)
    return run


def needs_bound(function):
    """Skip the test where the kernel keeps to itself what is bound and nothing else."""
    @functools.wraps(function)
    def run(self):
        if not kernel.lists_bound():
            self.skipTest("the kernel lists no sockets that are only bound (before Linux 6.8)")
        return function(self)
    return run


def needs_mptcp(function):
    @functools.wraps(function)
    def run(self):
        if not kernel.has_mptcp():
            self.skipTest("the kernel has no MPTCP")
        return function(self)
    return run


# Are programs that would be under the shim followed by tcpshim's supervisor instead?
SUPERVISED = bool(os.environ.get("TESTS_SUPERVISED"))
FOLLOWED = re.compile(rb"\Atcpshim run: .* runs under a supervisor .*\r?\n")
OTHERS = ("LD_PRELOAD", "NO_COLOR", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "O")


def environment(**settings):
    """An environment without anything of the shim's but these settings, nor of the make that runs
    the tests."""
    env = {key: value for key, value in os.environ.items()
           if not key.startswith("TCPSHIM_") and key not in OTHERS}
    env.setdefault("ASAN_OPTIONS", "detect_leaks=0")
    for key, value in settings.items():
        assert key in SETTINGS, key
        env["TCPSHIM_" + key] = str(value)
    return env


def shimmed(**settings):
    """The environment of a program under the shim."""
    env = environment(**settings)
    env["LD_PRELOAD"] = paths.preload()
    if paths.is_of_other_programs():
        # Its children may be the system's: each dynamic linker finds its own by the bare name.
        env["LD_PRELOAD"] = os.path.basename(paths.library())
        env["LD_LIBRARY_PATH"] = "%s:%s" % (paths.OUT, paths.ROOT)
    return env


def followed(command, env):
    """The command and environment, such that it is followed where it would be under the shim."""
    if not SUPERVISED or env.get("LD_PRELOAD") != paths.preload():
        return command, env
    env = {key: value for key, value in env.items() if key != "LD_PRELOAD"}
    return [paths.tool(), "run", "--supervise", "--", *command], env


def said(text):
    """What a program said, without the line that says that it is followed."""
    return FOLLOWED.sub(b"", text) if SUPERVISED else text


class Case(unittest.TestCase):
    """What each test has."""

    maxDiff = None
    timeout = 30

    def setUp(self):
        why = SUPERVISED and OTHERWISE.get(self.id().split("test_", 1)[1])
        if why:
            self.skipTest(why)
        self.folder = tempfile.mkdtemp(prefix="libreuse-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self._logs = []
        self._count = 0
        self._silent = []
        if not os.access(paths.library(), os.R_OK):
            self.skipTest("%s is not built" % os.path.relpath(paths.library(), paths.ROOT))

    @contextlib.contextmanager
    def subTest(self, msg=None, **params):
        """As unittest's, but the first that fails ends the test; it says which it was."""
        try:
            yield
        except unittest.SkipTest:
            raise
        except Exception:
            print("in", msg or "", params or "")
            raise

    def crash(self, process, port):
        """A client of the demo server connects, is served, and then that dies of kill -9."""
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"hello")
            self.assertEqual(client.recv(100), b"hello")
            process.kill()
            process.wait()
            self.assertEqual(client.recv(100), b"")

    def path(self, name):
        """A file in the folder of this test."""
        return os.path.join(self.folder, name)

    def fresh(self, stem):
        """A file name not used before in this test."""
        self._count += 1
        return self.path("%s%d" % (stem, self._count))

    def port(self):
        """A port of this test's own."""
        claim = kernel.Port()
        self.addCleanup(claim.claim.close)
        return claim.number

    def disk(self, size):
        """A small disk of this test's own: its folder. For tests that need root."""
        folder = self.path("disk")
        os.mkdir(folder)
        kernel.mount(folder, "tmpfs", "size=%d" % size)
        self.addCleanup(kernel.unmount, folder)
        return folder

    def log(self, name="events.json", torn=0):
        """The reader of a log file; it is held against the contract when the test ends."""
        log = Log(self.path(name), torn)
        self._logs.append(log)
        return log

    def ring(self, name="events.ring", size=None, lapped=False):
        """The reader of a flight recorder."""
        log = RingLog(self.path(name), size, lapped)
        self._logs.append(log)
        return log

    def datagrams(self, name="events.socket"):
        """A unix socket that takes events."""
        log = DatagramLog(self.path(name))
        self._logs.append(log)
        return log

    def program(self, name):
        """A program of tests/programs."""
        path = paths.program(name)
        if not os.access(path, os.X_OK):
            self.skipTest("%s is not built" % os.path.relpath(path, paths.ROOT))
        return path

    def start(self, command, env=None, **how):
        """Start a program; it is ended when the test ends.

        Its standard error goes to a file unless told otherwise: process.error() reads it.
        """
        kept = self.fresh("stderr")
        command, env = followed(command, env or environment())
        how.setdefault("stdin", subprocess.DEVNULL)
        how.setdefault("stdout", subprocess.PIPE)
        if "stderr" not in how:
            with open(kept, "wb") as file:
                process = subprocess.Popen(command, env=env, stderr=file, **how)
        else:
            process = subprocess.Popen(command, env=env, **how)
        process.error = lambda: said(_content(kept))
        self.addCleanup(_end, process)
        return process

    def run_program(self, command, env=None, **how):
        """Run a program to its end: its status, standard output and standard error."""
        process = self.start(command, env, stderr=subprocess.PIPE, **how)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise Timeout("%s did not end" % (command,)) from None
        return process.returncode, out, said(err)

    def run_on_terminal(self, command, env, width=None):
        """Run a program to its good end: what it wrote to its standard error, a terminal."""
        main, side = pty.openpty()
        if width is not None:
            fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        process = self.start(command, env, stderr=side)
        os.close(side)
        text = b""
        while True:
            try:
                text += os.read(main, 65536)
            except OSError:  # nobody has the other end any more
                break
        os.close(main)
        self.assertEqual(process.wait(), 0)
        return said(text)

    def puppet(self, log=None, env=None, plain=False, silent=True, executable=paths.PYTHON,
               wrapper=(), **settings):
        """A Python to be led by the hand; under the shim unless it is to be plain.

        A silent one must have written nothing to its standard output and error.
        """
        if log is not None:
            settings.setdefault("LOG", getattr(log, "where", log.path))
            settings.setdefault("FORMAT", "json")
        if env is None:
            env = environment() if plain else shimmed(**settings)
        ours, theirs = socket.socketpair()
        out = self.fresh("stdout")
        with open(out, "wb") as file:
            process = self.start(
                list(wrapper) + [executable, "-I", "-S", "-B",
                                 os.path.join(paths.HARNESS, "puppet_main.py")],
                env, stdin=theirs, stdout=file)
        theirs.close()
        puppet = Puppet(process, ours, lambda: _content(out))
        self.addCleanup(ours.close)
        if silent:
            self._silent.append(puppet)
        return puppet

    def pair(self, log, family=socket.AF_INET, protocol=0, **settings):
        """A puppet with a listener `l` and a connection: `a` accepted, `c` connected."""
        puppet = self.puppet(log, **settings)
        host = "127.0.0.1" if family == socket.AF_INET else "::1"
        puppet("l = socket.socket(%d, socket.SOCK_STREAM, %d)" % (family, protocol))
        puppet("l.bind((%r, 0)); l.listen()" % host)
        puppet("c = socket.socket(%d, socket.SOCK_STREAM, %d)" % (family, protocol))
        puppet("c.connect(l.getsockname())")
        puppet("a, _ = l.accept()")
        log.new()
        return puppet

    def tearDown(self):
        for puppet in self._silent:
            self.assertEqual((puppet.output(), puppet.error()), (b"", b""), "a silent program")
        for log in self._logs:
            log.finish()

    def expect(self, events, *wanted):
        """The events are these and no others; each is (call, {key: value, …}).

        A value None means that the key is absent; a function is asked for its opinion.
        """
        got = [brief(event) for event in events]
        self.assertEqual([event["call"] for event in events], [call for call, _ in wanted],
                         "the calls of %s" % got)
        for event, (_, keys) in zip(events, wanted):
            self.match(event, **keys)

    def match(self, event, **keys):
        """The event has these keys with these values."""
        for key, value in keys.items():
            got = event.get(key)
            good = value(got) if callable(value) else got == value
            self.assertTrue(good, "%s of %s is %r, expected %s\n%r"
                            % (key, brief(event), got,
                               "else" if callable(value) else repr(value), event))

    def notes(self, event):
        """The codes of an event's notes."""
        return [note["code"] for note in event.get("notes", ())]

    def absent(self, events, *codes):
        """None of the events has a note of these codes."""
        for event in events:
            for code in codes:
                self.assertNotIn(code, self.notes(event), event)

    def last(self, log, call):
        """The last event of a call that the program made."""
        return [event for event in log.read() if event["call"] == call and "by" not in event][-1]


class Puppet:
    """The test's end of a puppet."""

    def __init__(self, process, channel, output):
        self.process = process
        self.pid = process.pid
        self.output = output
        self.error = process.error
        self._channel = channel
        self._rest = b""

    def __call__(self, statements):
        """Carry out these statements."""
        self.begin(statements)
        return self.result()

    def eval(self, expression):
        """The value of an expression."""
        self._send({"eval": expression})
        return self.result()

    def begin(self, statements):
        """Carry them out, and do not wait for the end."""
        self._send({"exec": statements})

    def _send(self, order):
        self._channel.sendall(json.dumps(order).encode() + b"\n")

    def result(self, patience=PATIENCE):
        """Wait for the end of what was begun."""
        end = time.monotonic() + patience
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._channel], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise Timeout("the puppet does not answer")
            data = self._channel.recv(65536)
            if not data:
                self.process.wait(PATIENCE)
                raise AssertionError("the puppet died: status %s, it said %r"
                                     % (self.process.returncode, self.error()))
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        reply = json.loads(line)
        if "error" in reply:
            raise AssertionError("in the puppet: %s" % reply["error"])
        return reply["value"]

    def end(self):
        """Let it come to its end after what was begun."""
        self._channel.shutdown(socket.SHUT_WR)

    def close(self):
        """Let it come to its end; its exit status."""
        self._channel.close()
        return self.process.wait(PATIENCE)

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait(PATIENCE)


def _content(path):
    with open(path, "rb") as file:
        return file.read()


def _end(process):
    if process.poll() is None and "TESTS_END_SIGNAL" in os.environ:
        # make coverage: what the process has counted is saved first.
        process.send_signal(int(os.environ["TESTS_END_SIGNAL"]))
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            pass
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    if process.stdout:
        process.stdout.close()


def read_line(process, timeout=PATIENCE):
    """The next line of a program's standard output (a pipe)."""
    line = b""
    end = time.monotonic() + timeout
    fd = process.stdout.fileno()
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        if not ready:
            raise Timeout("no line on standard output, so far %r; on standard error %r"
                          % (line, process.error()))
        byte = os.read(fd, 1)
        if not byte:
            raise AssertionError("standard output ended after %r; on standard error %r"
                                 % (line, process.error()))
        line += byte
    return line.decode()


def listening_port(process):
    """The port in a line such as `listening on port 9999`."""
    line = read_line(process)
    found = re.search(r"(\d+)\s*$", line)
    assert found, "no port in %r" % line
    return int(found.group(1))


__all__ = ["Case", "Puppet", "contract", "environment", "kernel", "listening_port",
           "needs_bound", "needs_ipv6", "needs_mptcp", "needs_root", "paths", "read_line",
           "shimmed", "timeout", "wait_until"]
