# SPDX-License-Identifier: MIT
"""What goes wrong with the log after load: the program never waits, gets no signal and no
error from it; what could not be written is counted, and told by lost-events."""

import fcntl
import os
import re
import signal
import socket

from harness import contract, kernel, paths, strace
from harness.case import Case, Puppet, environment, needs_root, shimmed, wait_until
from harness.events import DatagramLog, RingLog

MAKE = "socket.socket().close()"


def drained(reader):
    """What is in a pipe."""
    data = b""
    while True:
        try:
            more = os.read(reader, 65536)
        except BlockingIOError:
            return data
        if not more:
            return data
        data += more


class Lost(Case):
    """Events that cannot be written."""

    def told(self, events):
        """How many losses the events tell of."""
        return sum(contract.lost(event) for event in events)

    def events_of(self, data):
        return [contract.parse(line + b"\n") for line in data.split(b"\n")[:-1]]


class Disk(Lost):
    """A file on a disk that is full."""

    @needs_root
    def test_a_disk_that_has_room_again(self):
        disk = self.disk(256 << 10)
        log = self.log("disk/events.json", torn=1)
        p = self.puppet(log)
        p(MAKE)
        self.assertEqual(len(log.read()), 2)
        ballast = kernel.fill(disk)
        p("for _ in range(100): " + MAKE)
        lost = 202 - len(log.read())
        self.assertGreater(lost, 100)
        self.assertEqual(self.told(log.events), 0)
        os.unlink(ballast)
        p(MAKE)
        events = log.read()
        self.assertEqual(contract.lost(events[202 - lost]), lost)
        self.assertEqual(events[202 - lost]["seq"], 203)
        self.assertEqual(self.told(events), lost)

    def test_a_device_that_is_always_full(self):
        p = self.puppet(LOG="/dev/full", FORMAT="json")
        p("for _ in range(200): " + MAKE)
        p("l = socket.create_server(('127.0.0.1', 0)); "
          "c = socket.create_connection(l.getsockname())")

    @needs_root
    def test_a_line_cut_by_another_process(self):
        """It is ended before the first line of the next one, which is whole."""
        disk = self.disk(256 << 10)
        log = self.log("disk/events.json", torn=1)
        p = self.puppet(log)
        ballast = kernel.fill(disk)
        p("for _ in range(100): " + MAKE)
        with open(log.path, "rb") as file:
            self.assertNotEqual(file.read()[-1:], b"\n", "nothing was cut")
        os.unlink(ballast)
        before = len(log.read())
        self.puppet(log)(MAKE)
        self.assertEqual([event["seq"] for event in log.read()[before:]], [1, 2])

    def test_a_file_that_ends_in_the_middle_of_a_line(self):
        with open(self.path("events.json"), "w") as file:
            file.write("half a line")
        os.chmod(self.path("events.json"), 0o600)
        for _ in range(2):
            self.puppet(LOG=self.path("events.json"), FORMAT="json")(MAKE)
        with open(self.path("events.json"), "rb") as file:
            lines = file.read().split(b"\n")
        self.assertEqual((lines[0], lines[-1], len(lines)), (b"half a line", b"", 6))
        for line in lines[1:-1]:
            contract.parse(line + b"\n")

    def test_a_limit_in_the_middle_of_a_line(self):
        """A line that it would cut is not begun; each event that is lost is told."""
        log = self.log()
        p = self.puppet(log)
        p("import resource\n"
          "def limit(size): resource.setrlimit(resource.RLIMIT_FSIZE, "
          "(size, resource.RLIM_INFINITY))")
        p(MAKE)
        written = len(log.read())
        size = os.path.getsize(log.path)
        for more in (1, 40, 100):
            p("limit(%d); %s; limit(resource.RLIM_INFINITY)" % (size + more, MAKE))
            self.assertEqual(os.path.getsize(log.path), size)
        p(MAKE)
        events = log.read()
        self.assertEqual((len(events), self.told(events)), (written + 2, 6))

    def test_no_signal_at_the_limit_of_file_size(self):
        log = self.log()
        p = self.puppet(log)
        p("import resource, signal\n"
          "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))\n"
          "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)")
        p("for _ in range(100): " + MAKE)
        lost = 200 - len(log.read())
        self.assertGreater(lost, 100)
        p("resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, "
          "resource.RLIM_INFINITY))")
        p(MAKE)
        events = log.read()
        self.assertEqual(self.told(events), lost)

    def test_the_limit_is_the_programs_own_elsewhere(self):
        """The program's own writes still get their signal."""
        log = self.log()
        p = self.puppet(log)
        p("import resource, signal\n"
          "got = []\n"
          "signal.signal(signal.SIGXFSZ, lambda *_: got.append(1))\n"
          "f = os.open(%r, os.O_WRONLY | os.O_CREAT)\n"
          "resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))\n"
          "%s\n"
          "os.write(f, b'x' * 100)" % (self.path("own"), MAKE))
        self.assertEqual(p.eval("got"), [])
        self.assertEqual(p.eval("error_of(os.write, f, b'x')"), "EFBIG")
        self.assertEqual(p.eval("got"), [1])
        p("resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, "
          "resource.RLIM_INFINITY))")

    def test_a_log_that_was_removed(self):
        """Its file goes on without a name; nothing else happens."""
        log = self.log()
        p = self.puppet(log)
        p(MAKE)
        log.read()
        os.unlink(log.path)
        p("for _ in range(10): " + MAKE)


class Reader(Lost):
    """A pipe or a socket whose reader is slow, or dead."""

    def test_a_fifo_that_is_full(self):
        os.mkfifo(self.path("fifo"))
        reader = os.open(self.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
        p = self.puppet(LOG=self.path("fifo"), FORMAT="json")
        p("for _ in range(1000): " + MAKE)
        events = self.events_of(drained(reader))
        lost = 2000 - len(events)
        self.assertGreater(lost, 100)
        self.assertEqual([event["seq"] for event in events], list(range(1, len(events) + 1)))
        p(MAKE)
        later = self.events_of(drained(reader))
        self.assertEqual([contract.lost(event) for event in later], [lost, 0])
        contract.check_seq(events + later)
        os.close(reader)

    def test_a_fifo_whose_reader_is_dead(self):
        """No SIGPIPE, no EPIPE; a new reader gets what comes then."""
        os.mkfifo(self.path("fifo"))
        reader = os.open(self.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
        p = self.puppet(LOG=self.path("fifo"), FORMAT="json")
        p("import signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL)")
        p(MAKE)
        self.assertEqual(len(self.events_of(drained(reader))), 2)
        os.close(reader)
        p("for _ in range(20): " + MAKE)
        reader = os.open(self.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
        p(MAKE)
        events = self.events_of(drained(reader))
        self.assertEqual([contract.lost(event) for event in events], [40, 0])
        os.close(reader)

    def test_a_pipe_as_stderr_whose_reader_is_dead(self):
        reader, writer = os.pipe()
        process, p = self.puppet_with_stderr(writer)
        os.close(writer)
        p("import signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL)")
        os.close(reader)
        p("for _ in range(20): " + MAKE)
        self.assertIsNone(process.poll())

    def test_a_pipe_as_stderr_that_nobody_reads(self):
        """It is blocking, and full: the event is lost, the program does not wait."""
        reader, writer = os.pipe()
        _, p = self.puppet_with_stderr(writer)
        os.close(writer)
        p("for _ in range(1000): " + MAKE)
        os.set_blocking(reader, False)
        events = self.events_of(drained(reader))
        p(MAKE)
        later = self.events_of(drained(reader))
        self.assertEqual(contract.lost(later[0]), 2000 - len(events))
        os.close(reader)

    def test_the_pipe_stays_as_it_was(self):
        """Non-blocking is a property that the program and its parent share."""
        reader, writer = os.pipe()
        _, p = self.puppet_with_stderr(writer)
        p(MAKE)
        self.assertTrue(os.get_blocking(writer))
        self.assertTrue(p.eval("os.get_blocking(2)"))
        os.close(writer)
        os.close(reader)

    def puppet_with_stderr(self, stderr):
        ours, theirs = socket.socketpair()
        process = self.start([paths.PYTHON, "-I", "-S", "-B",
                              os.path.join(paths.HARNESS, "puppet_main.py")],
                             shimmed(LOG="stderr", FORMAT="json"), stdin=theirs, stderr=stderr)
        theirs.close()
        self.addCleanup(ours.close)
        return process, Puppet(process, ours, lambda: b"")

    def test_a_datagram_reader_that_is_slow(self):
        reader = self.datagrams()
        p = self.puppet(LOG="unix:" + reader.path, FORMAT="json")
        p("for _ in range(2000): " + MAKE)
        lost = 4000 - len(reader.read())
        self.assertGreater(lost, 0)
        p(MAKE)
        events = reader.read()
        self.assertEqual(self.told(events), lost)
        self.assertEqual(contract.lost(events[-2]), lost)

    def test_a_datagram_reader_that_died_and_came_back(self):
        reader = self.datagrams()
        p = self.puppet(LOG="unix:" + reader.path, FORMAT="json")
        p(MAKE)
        self.assertEqual(len(reader.read()), 2)
        reader.close()
        self._logs.remove(reader)
        p("for _ in range(20): " + MAKE)
        again = DatagramLog(reader.path)
        p(MAKE)
        events = again.read()
        if not events:
            self.skipTest("a reader of the same name is not found again: not promised")
        self.assertEqual([contract.lost(event) for event in events], [40, 0])

    def test_killed_right_after_a_call(self):
        """Every event is in the kernel's hands when its call returns."""
        log = self.log()
        p = self.puppet(log)
        p.begin("s = socket.socket(); s.bind(('127.0.0.1', 0)); s.close(); os.kill(os.getpid(), 9)")
        p.process.wait()
        self.assertEqual([event["call"] for event in log.read()], ["socket", "bind", "close"])

    def test_signals_and_errors_of_the_program_stay(self):
        """errno and pending signals after a call whose event was lost."""
        reader, writer = os.pipe()
        _, p = self.puppet_with_stderr(writer)
        os.close(reader)
        os.close(writer)
        p("import signal\n"
          "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPIPE])\n"
          "%s" % MAKE)
        self.assertEqual(p.eval("[int(n) for n in signal.sigpending()]"), [])
        self.assertEqual(p.eval("call('bind', 999, None, 16)"), [-1, "EBADF"])
        # One that was pending before is pending still.
        p("os.kill(os.getpid(), signal.SIGPIPE)\n" + MAKE)
        self.assertEqual(p.eval("[int(n) for n in signal.sigpending()]"), [13])
        self.assertEqual(p.eval("[int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, [])]"),
                         [13])


class AtTheEnd(Lost):
    """No event comes any more that could tell of a loss: one at the process's end does."""

    LIMIT = ("import resource\n"
             "def limit(size): resource.setrlimit(resource.RLIMIT_FSIZE, "
             "(size, resource.RLIM_INFINITY))\n")
    ANY = "resource.RLIM_INFINITY"

    def the_last(self, events, lost):
        """The last event is that of the end, and of nothing but the loss."""
        last = events[-1]
        self.match(last, call="exit", ret=0, fd=None, sock=None, totals=None)
        self.assertEqual((contract.lost(last), self.told(events)), (lost, lost))
        contract.check_seq(events)

    @needs_root
    def test_a_disk_that_has_room_again(self):
        disk = self.disk(256 << 10)
        log = self.log("disk/events.json", torn=1)
        p = self.puppet(log)
        ballast = kernel.fill(disk)
        p("for _ in range(100): " + MAKE)
        lost = 200 - len(log.read())
        self.assertGreater(lost, 100)
        os.unlink(ballast)
        self.assertEqual(p.close(), 0)
        self.the_last(log.read(), lost)

    def test_a_limit_that_is_lifted(self):
        """Once: in the log, in the recorder, and as text."""
        for log in (self.log(), self.ring()):
            p = self.puppet(log)
            p(self.LIMIT + "limit(0); %s; %s; limit(%s)" % (MAKE, MAKE, self.ANY))
            before = log.read()
            self.assertEqual(before, [])
            self.assertEqual(p.close(), 0)
            self.the_last(log.read(), 4)
        p = self.puppet(LOG=self.path("text"))
        p(self.LIMIT + "limit(0); %s; limit(%s)" % (MAKE, self.ANY))
        self.assertEqual(p.close(), 0)
        with open(self.path("text"), encoding="utf-8") as file:
            first, second = file.read().splitlines()
        self.assertRegex(first, r"^\d\d:\d\d:\d\d\.\d{6} \S+\[%d\] exit$" % p.pid)
        self.assertEqual(second.strip(), "note: 2 events before this one could not be written")

    def test_what_a_report_tells_is_told_once(self):
        log = self.log()
        p = self.puppet(log, REPORT=1)
        p(self.LIMIT + "limit(0); %s; limit(%s)" % (MAKE, self.ANY))
        self.assertEqual(p.close(), 0)
        event, = log.read()
        self.assertEqual((contract.lost(event), event["totals"]), (2, {}))

    def test_nothing_was_lost(self):
        """Or it was told already: then there is no such event."""
        log = self.log()
        p = self.puppet(log)
        p(self.LIMIT + "limit(0); %s; limit(%s); %s" % (MAKE, self.ANY, MAKE))
        self.assertEqual(p.close(), 0)
        self.assertEqual([event["call"] for event in log.read()], ["socket", "close"])

    def test_each_process_its_own(self):
        """A forked child has lost nothing."""
        log = self.log()
        p = self.puppet(log)
        p(self.LIMIT + "limit(0); %s; limit(%s)" % (MAKE, self.ANY))
        p("pid = os.fork()\n"
          "if not pid: call('exit', 0)\n"
          "os.waitpid(pid, 0)")
        self.assertEqual(p.close(), 0)
        event, = log.read()
        self.assertEqual((event["pid"], contract.lost(event)), (p.pid, 2))

    def traced(self, where, *inject):
        """A puppet whose waits and writes are seen: it, and what strace has written so far."""
        if strace.available():
            self.skipTest(strace.available())
        trace = self.fresh("trace")
        env = shimmed(LOG=where, FORMAT="json")
        options = [option for name in ("LD_PRELOAD", "TCPSHIM_LOG", "TCPSHIM_FORMAT")
                   for option in ("-E", "%s=%s" % (name, env[name]))]
        calls = "trace=ppoll,poll,pselect6,select,nanosleep,clock_nanosleep,pwritev2,sendto,write"
        p = self.puppet(env=environment(),
                        wrapper=["strace", "-o", trace, "-e", calls, *inject, *options])
        p("pass")
        return p, lambda: lines_of(trace)

    def full_fifo(self):
        """Its path, and how it is emptied."""
        path = self.fresh("fifo")
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        fill(os.open(path, os.O_WRONLY | os.O_NONBLOCK), os.write)
        return path, lambda: drained(reader).lstrip(b".")

    def full_socket(self):
        path = self.fresh("socket")
        reader = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        reader.bind(path)
        self.addCleanup(reader.close)
        writer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        writer.connect(path)
        fill(writer.detach(), lambda fd, what: socket.socket(fileno=os.dup(fd)).send(what))
        return "unix:" + path, lambda: received(reader).lstrip(b".")

    def test_what_a_lost_event_stood_for(self):
        """Calls that failed alike, in a thread that has ended: each of them is lost."""
        where, emptied = self.full_fifo()
        p = self.puppet(LOG=where, FORMAT="json")
        p("import threading\n"
          "def storm():\n"
          "    s = socket.socket()\n"
          "    for _ in range(10): error_of(s.accept)\n"
          "    s.detach()\n"
          "t = threading.Thread(target=storm)\n"
          "t.start()\n"
          "t.join()")
        # Python's join comes back before libc has ended the thread.
        wait_until(lambda: len(os.listdir("/proc/%d/task" % p.pid)) == 1, "the thread's end")
        emptied()
        self.assertEqual(p.close(), 0)
        event, = self.events_of(emptied())
        self.assertEqual((contract.lost(event), event["seq"]), (11, 12))

    def test_what_a_displaced_event_stood_for(self):
        """More kinds of failure than a thread keeps: a kind that gives way is told, or lost."""
        where, emptied = self.full_fifo()
        p = self.puppet(LOG=where, FORMAT="json", CALLS="accept4,socket")
        p("made = [socket.socket() for _ in range(9)]\n"
          "for s in made:\n"
          "    for _ in range(10): error_of(s.accept)")
        self.assertEqual(emptied(), b"")
        p("made.append(socket.socket())\n"
          "for s in made:\n"
          "    error_of(s.accept)")
        events = self.events_of(emptied())
        contract.check_seq(events, ordered=False)
        told = sum(contract.calls(event) + contract.lost(event) for event in events)
        self.assertEqual(told, 9 + 9 * 10 + 1 + 10)

    def test_a_reader_that_makes_room_meanwhile(self):
        """The process stands still where it begins to wait, however long that takes here."""
        for full in (self.full_fifo, self.full_socket):
            where, emptied = full()
            p, trace = self.traced(where)
            p(MAKE)
            self.assertEqual(p.close(), 0)
            polls = [line for line in trace() if line.startswith("ppoll")]
            number = polls.index(waits(polls)[0]) + 1

            p, trace = self.traced(where, "-e", "inject=ppoll:signal=STOP:when=%d" % number)
            pid = p.eval("os.getpid()")
            p(MAKE)
            p.end()
            wait_until(lambda: "--- stopped by SIGSTOP ---" in trace(), "the wait")
            self.assertEqual(emptied(), b"")
            os.kill(pid, signal.SIGCONT)
            self.assertEqual(p.process.wait(), 0)
            event, = self.events_of(emptied())
            self.match(event, call="exit", seq=3, pid=pid)
            self.assertEqual(contract.lost(event), 2)

    def test_a_reader_that_makes_no_room(self):
        """It is waited for once, for 50 ms."""
        for full in (self.full_fifo, self.full_socket):
            where, emptied = full()
            p, trace = self.traced(where)
            p(MAKE)
            self.assertEqual(p.close(), 0)
            wait, = waits(trace())
            self.assertRegex(wait, r"^ppoll\(\[\{fd=\d+, events=POLLOUT\}\], 1, \{tv_sec=0, "
                                   r"tv_nsec=50000000\}, NULL, 0\) = 0 \(Timeout\)$")
            self.assertEqual(emptied(), b"")

    def test_a_recorder_whose_head_somebody_keeps(self):
        """It is truncated meanwhile: its events are lost, and told, and it is waited for once."""
        path = self.path("events.ring")
        p, trace = self.traced("ring:%s:64K" % path)
        p(MAKE)
        with open(path, "r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX, 1)
            os.truncate(path, 0)
            before = len(trace())
            p(MAKE)
            self.assertLessEqual(len([line for line in trace()[before:]
                                      if line.startswith("ppoll")]), 20)
        p(MAKE)
        self.assertEqual(p.close(), 0)
        events = RingLog(path, lapped=True).read()
        self.assertEqual(sum(map(contract.lost, events)), 2)
        self.assertEqual([event["seq"] for event in events], [5, 6])

    def test_what_is_not_waited_for(self):
        """A reader that is gone, and a file: it is tried once, as for each event."""
        os.mkfifo(self.path("fifo"))
        reader = os.open(self.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
        for where, error in ((self.path("fifo"), "EPIPE"), ("/dev/full", "ENOSPC")):
            p, trace = self.traced(where)
            if error == "EPIPE":
                os.close(reader)
            p(MAKE)
            self.assertEqual(p.close(), 0)
            for wait in waits(trace()):    # to see that nobody reads
                self.assertIn("POLLERR", wait)
            self.assertEqual(sum(error in line and "write" in line for line in trace()), 3)

    def test_room_that_is_never_enough(self):
        """The kernel says that there is room, and refuses the line: the tries are counted."""
        os.mkfifo(self.path("fifo"))
        reader = os.open(self.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        p, trace = self.traced(self.path("fifo"), "-e", "inject=write,pwritev2:error=EAGAIN",
                               "-P", self.path("fifo"))
        p(MAKE)
        self.assertEqual(p.close(), 0)
        self.assertIn(len(waits(trace())), range(1, 8))


def lines_of(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().split("\n")


def waits(lines):
    """Of what strace tells, the calls that may take their time."""
    return [line for line in lines if re.match("p?poll|p?select|(clock_)?nanosleep", line)
            and "tv_sec=0, tv_nsec=0}, NULL" not in line]


def fill(fd, write):
    """Up to the last byte, so that nothing fits."""
    for what in (b"." * 4096, b"."):
        try:
            while True:
                write(fd, what)
        except BlockingIOError:
            pass
    os.close(fd)


def received(reader):
    """What is in a datagram socket."""
    data = b""
    while True:
        try:
            data += reader.recv(65536)
        except BlockingIOError:
            return data


class Lines(Lost):
    """No line over 4096 bytes, whatever the input."""

    def test_long_option_values(self):
        log = self.log()
        p = self.pair(log)
        p("for size in (0, 1, 3, 4, 5, 8, 63, 64, 65, 100, 1000, 70000):\n"
          "    call('setsockopt', c.fileno(), 0, 4, b'\\1' * size, size)\n"
          "    call('setsockopt', c.fileno(), 6, 13, b'z' * size, size)\n"
          "    call('setsockopt', c.fileno(), 1, 26, b'\\xff' * size, size)\n")
        events = log.new()
        self.assertEqual(len(events), 36)
        for event in events:
            value = event["args"].get("value")
            if isinstance(value, str):
                self.assertLessEqual(len(value), 128)
        sizes = [len(event["args"].get("value", "")) // 2 for event in events
                 if event["args"]["option"] == "TCP_CONGESTION"
                 and isinstance(event["args"].get("value", ""), str)]
        self.assertEqual(max(sizes), 64)

    def test_values(self):
        """The int of a 4-byte option, else its bytes in hex; unreadable: left out."""
        log = self.log()
        p = self.pair(log)
        for arguments, args in (
                ("1, 9, struct.pack('i', 1), 4", {"level": "SOL_SOCKET", "option": "SO_KEEPALIVE",
                                                  "value": 1}),
                ("6, 1, struct.pack('i', -5), 4", {"level": "IPPROTO_TCP",
                                                   "option": "TCP_NODELAY", "value": -5}),
                ("6, 13, b'reno', 4", {"level": "IPPROTO_TCP", "option": "TCP_CONGESTION",
                                       "value": int.from_bytes(b"reno", "little")}),
                ("6, 13, b'cubic', 5", {"level": "IPPROTO_TCP", "option": "TCP_CONGESTION",
                                        "value": b"cubic".hex()}),
                ("1, 9, None, 4", {"level": "SOL_SOCKET", "option": "SO_KEEPALIVE"}),
                ("6, 1, ctypes.c_void_p(16), 4", {"level": "IPPROTO_TCP",
                                                  "option": "TCP_NODELAY"}),
                ("1, 9999, struct.pack('i', 1), 4", {"level": "SOL_SOCKET", "option": 9999,
                                                     "value": 1}),
                ("9999, 1, struct.pack('i', 1), 4", {"level": 9999, "option": 1, "value": 1}),
                ("0, 2, struct.pack('i', 64), 4", {"level": "IPPROTO_IP", "option": "IP_TTL",
                                                   "value": 64}),
                ("41, 26, struct.pack('i', 1), 4", {"level": "IPPROTO_IPV6",
                                                    "option": "IPV6_V6ONLY", "value": 1})):
            p("call('setsockopt', c.fileno(), %s)" % arguments)
            event, = log.new()
            got = event["args"]
            if "value" not in got and "value" in args and event["ret"] == -1:
                self.fail("no value: %r" % event)
            self.assertEqual(got, args, arguments)

    def test_other_arguments(self):
        log = self.log()
        p = self.pair(log)
        p("l.listen(-1); call('listen', l.fileno(), 2**31 - 1)\n"
          "call('shutdown', c.fileno(), 9); call('shutdown', c.fileno(), 2)")
        self.assertEqual([event["args"] for event in log.new()],
                         [{"backlog": 0}, {"backlog": 2**31 - 1}, {"how": 9},
                          {"how": "SHUT_RDWR"}])
        p("call('socket', 2, 1 | 0x800, 6); call('socket', 10, 1, 0); call('socket', 2, 1, 999)")
        self.assertEqual([event["args"] for event in log.new()], [
            {"domain": "AF_INET", "type": "SOCK_STREAM|SOCK_NONBLOCK", "protocol": "IPPROTO_TCP"},
            {"domain": "AF_INET6", "type": "SOCK_STREAM", "protocol": "IPPROTO_IP"}])

    def test_errno_twins(self):
        log = self.log()
        p = self.pair(log)
        p("l.setblocking(0); call('accept', l.fileno(), None, None)")
        self.assertEqual(log.new()[-1]["error"], "EAGAIN")

    def test_long_lines(self):
        """The longest there are: IPv6 addresses on both sides, and closed beside them."""
        if not kernel.has_ipv6():
            self.skipTest("no IPv6 on loopback")
        log = self.log()
        p = self.pair(log, socket.AF_INET6)
        p("os.dup2(a.fileno(), c.fileno())")
        self.assertIn("closed", log.new()[-1])
