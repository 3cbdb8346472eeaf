# SPDX-License-Identifier: MIT
"""A storm of one failure: told by a few events that say how many calls there were, and what was
before it is still there. How many there were is known to the program that made them
(tests/programs/refused.c), which prints it."""

import collections
import os
import re
import signal
import struct
import subprocess
import time

from harness import contract, paths
from harness.case import SUPERVISED, Case, read_line, shimmed, timeout, wait_until
from harness.events import RingLog

MANY = 100000
FAILS = {"accept": [("accept", "EMFILE")],
         "again": [("accept", "EAGAIN")],
         "handled": [("accept", "EAGAIN")],
         "both": [("accept", "EAGAIN"), ("setsockopt", "ENOPROTOOPT")],
         "closed": [("close", "EBADF")]}
BEFORE = ["socket", "bind", "listen"] + 3 * ["socket", "connect", "accept"]
# The handler may run on when the thread has counted.
IN_ANOTHER_THREAD = "thread", "handled"
KILLED = -signal.SIGKILL
# As in include/reuse/ring.h.
DATA_AT, RECORD_MAGIC = 12288, struct.pack("I", 0x72636e65)
# A line a call would be far beyond.
FEW = 1000
CROWD = 100  # threads


def failures(events, what):
    """How many calls failed so, by the events: a number each kind."""
    count = collections.Counter()
    for event in events:
        count[event["call"], event.get("error")] += contract.calls(event)
    return [count[kind] for kind in FAILS[what]]


class RepeatsCase(Case):

    few = FEW

    def storm(self, what, times, end, **settings):
        """Let it blow; how often it has failed, by its own count."""
        env = shimmed(**settings)
        begun = time.monotonic()
        status, out, err = self.run_program([self.program("refused"), what, str(times), end], env)
        # Each thread tells of its storm twice a second: more, where they are followed and take turns.
        self.few = FEW + (SUPERVISED and end == "crowd") * 2 * CROWD * (time.monotonic() - begun)
        self.assertEqual((status, err), (KILLED if end in ("kill", "thread") else 0, b""))
        return sum(map(int, out.split()))

    def check(self, events, what, made):
        told = failures(events, what)
        self.assertEqual(sum(told), made)
        if len(told) == 2:
            self.assertEqual(told, [made // 2, made // 2])
        self.assertLess(len(events), self.few)


class Lines(RepeatsCase):
    """In a log of lines, in the order in which they were written."""

    def test_what_was_before_and_how_many(self):
        log = self.log()
        made = self.storm("accept", MANY, "close", LOG=log.path, FORMAT="json")
        self.assertEqual(made, MANY)
        events = log.read()
        self.check(events, "accept", made)
        self.assertEqual([event["call"] for event in events][:len(BEFORE)], BEFORE)
        first, *more = [event for event in events if event.get("error") == "EMFILE"]
        # Once a second one is told as it is, with what may be new to say about it.
        repeated = ["repeated" in event for event in [first] + more]
        self.assertEqual(repeated, [False, True] * (len(repeated) // 2))
        for event in more:
            for key in ("fd", "sock", "local", "state"):
                self.assertEqual(event[key], first[key])
        self.assertEqual(events[-1]["call"], "close")

    def test_each_end_that_the_process_has_a_part_in(self):
        for end in ("close", "return", "exit", "thread", "crowd"):
            for what in FAILS:
                if end == "crowd" and what != "again" or (end, what) == IN_ANOTHER_THREAD:
                    continue
                with self.subTest(what=what, end=end):
                    log = self.log(self.fresh("log"))
                    log.ordered = what != "handled"
                    made = self.storm(what, 2000, end, LOG=log.path, FORMAT="json")
                    self.check(log.read(), what, made)

    def test_exit_while_the_thread_waits(self):
        log = self.log()
        process = self.start([self.program("refused"), "again", "2000", "thread-exit"],
                             shimmed(LOG=log.path, FORMAT="json"), stdin=subprocess.PIPE)
        self.assertEqual(read_line(process), "2000\n")
        self.assertEqual(failures(log.read(), "again"), [1])
        process.stdin.close()
        self.assertEqual(process.wait(), 0)
        self.check(log.read(), "again", 2000)

    def test_a_child_does_not_tell_what_its_parent_did(self):
        log = self.log()
        made = self.storm("again", 2000, "fork", LOG=log.path, FORMAT="json")
        events = log.read()
        self.check(events, "again", made)
        self.assertEqual(len({event["pid"] for event in events}), 2)
        self.assertEqual(len({event["pid"] for event in events if "repeated" in event}), 1)

    def test_where_the_process_has_no_part_in_its_end(self):
        """At most what was counted in the last second is lost, and no number (seq)."""
        for end in ("_exit", "exec", "kill"):
            log = self.log(self.fresh("log"))
            made = self.storm("accept", 2000, end, LOG=log.path, FORMAT="json")
            events = log.read()
            self.assertEqual([event["call"] for event in events][:len(BEFORE)], BEFORE)
            self.assertIn(failures(events, "accept")[0], range(1, made + 1))

    def test_text(self):
        path = self.path("text")
        self.storm("accept", MANY, "close", LOG=path)
        with open(path) as file:
            lines = [line for line in file if " = -1 EMFILE" in line]
        self.assertLess(len(lines), FEW)
        self.assertNotIn("times", lines[0])
        told = [re.search(r" = -1 EMFILE, (\d+) times in \d+(\.\d s| ms) <", line)
                for line in lines[1:] if "times" in line]
        self.assertEqual(sum(int(match.group(1)) for match in told) + len(lines) - len(told),
                         MANY)

    def test_datagrams(self):
        log = self.datagrams()
        # The queue has room for ten.
        self.storm("accept", 2000, "close", LOG="unix:" + log.path, FORMAT="json",
                   CALLS="accept")
        self.check(log.read(), "accept", 2000)

    def test_a_pipe(self):
        os.mkfifo(self.path("fifo"))
        reader = os.open(self.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.storm("accept", 20000, "close", LOG=self.path("fifo"), FORMAT="json")
        events = [contract.parse(line) for line in os.read(reader, 65536).splitlines(True)]
        self.check(events, "accept", 20000)

    def test_a_device_that_is_full(self):
        """Nothing can be told, and the program goes on."""
        self.storm("accept", 20000, "close", LOG="/dev/full", FORMAT="json")

    def test_each_connection_has_its_connect(self):
        """Tries to connect new sockets fail alike; each is told before its socket is closed."""
        log = self.log()
        self.storm("connect", 200, "return", LOG=log.path, FORMAT="json")
        calls = [(event["call"], event.get("fd", event["ret"])) for event in log.read()]
        number = calls[-1][1]
        self.assertEqual(calls[-600:], 200 * [("socket", number), ("connect", number),
                                              ("close", number)])


class Order(Case):
    """What is told when, with a program that is led by the hand."""

    def setUp(self):
        super().setUp()
        self.events_log = self.log()
        self.p = self.pair(self.events_log)
        self.p("l.setblocking(False)\n"
               "def again(s=l):\n"
               "    return error_of(s.accept)")

    def again(self):
        self.assertEqual(self.p.eval("again()"), "EAGAIN")

    def brief(self):
        return [(event["call"], event.get("error"), contract.calls(event), "repeated" in event)
                for event in self.events_log.new()]

    def test_before_the_next_event_of_the_socket(self):
        first = ("accept4", "EAGAIN", 1, False)
        self.again()
        self.again()
        self.again()
        self.assertEqual(self.brief(), [first])
        self.p("d = socket.create_connection(l.getsockname())")
        self.brief()
        self.p("e, _ = l.accept()")
        self.assertEqual(self.brief(), [("accept4", "EAGAIN", 2, True),
                                        ("accept4", None, 1, False)])
        self.p("d.close(); e.close()")
        self.brief()
        self.again()
        self.p("l.close()")
        self.assertEqual([call[0] for call in self.brief()][-1], "close")

    def test_events_of_other_sockets_come_first(self):
        self.again()
        self.again()
        self.p("a.close()")
        self.assertEqual([call[0] for call in self.brief()], ["accept4", "close"])

    def test_a_listener_of_another_number(self):
        self.p("m = l.dup()")
        self.again()
        self.assertEqual(self.p.eval("again(m)"), "EAGAIN")
        plain = [("accept4", "EAGAIN", 1, False)] * 2
        self.assertEqual([call for call in self.brief() if call[0] == "accept4"], plain)

    def test_connects_that_go_on_are_each_told(self):
        """EINPROGRESS is no attempt that has failed."""
        self.p("def go():\n"
               "    s = socket.socket(); s.setblocking(False)\n"
               "    return s, error_of(s.connect, l.getsockname())")
        self.p("several = [go() for _ in range(5)]")
        self.assertEqual(self.p.eval("[error for _, error in several]"), 5 * ["EINPROGRESS"])
        told = [call for call in self.brief() if call[0] == "connect"]
        self.assertEqual(told, 5 * [("connect", "EINPROGRESS", 1, False)])

    def test_sockets_that_cannot_be_made(self):
        self.p("import resource\n"
               "f = os.open('/dev/null', os.O_RDONLY)\n"
               "limits = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
               "resource.setrlimit(resource.RLIMIT_NOFILE, (f + 1, limits[1]))\n"
               "errors = sorted({error_of(socket.socket) for _ in range(50)})\n"
               "resource.setrlimit(resource.RLIMIT_NOFILE, limits)")
        self.assertEqual(self.p.eval("errors"), ["EMFILE"])
        self.assertEqual(self.brief(), [("socket", "EMFILE", 1, False)])


class Recorder(RepeatsCase):
    """In the flight recorder, where nothing is lost with the process."""

    def ring_of(self, what, times, end, size):
        log = RingLog(self.path(self.fresh("ring")), size)
        log.ordered = what != "handled"
        self._logs.append(log)
        made = self.storm(what, times, end, LOG=log.where)
        self.check(log.read(), what, made)
        return log

    def test_what_was_before_and_how_many(self):
        for size in ("64K", None):
            log = self.ring_of("accept", MANY, "kill", size)
            self.assertEqual([event["call"] for event in log.events][:len(BEFORE)], BEFORE)

    def test_whatever_the_end(self):
        for end in ("close", "exit", "_exit", "exec", "kill", "thread", "fork"):
            for what in FAILS:
                if (end, what) == IN_ANOTHER_THREAD:
                    continue
                with self.subTest(what=what, end=end):
                    self.ring_of(what, 2000, end, "64K")
        # Chunks of 64 KB: of 16 none holds the places of all threads, where they take turns.
        self.ring_of("again", 1000, "crowd", "64M" if SUPERVISED else None)

    def listening(self, log):
        p = self.puppet(log)
        p("l = socket.create_server(('127.0.0.1', 0)); l.setblocking(False)\n"
          "def again(times):\n"
          "    for _ in range(times):\n"
          "        error_of(l.accept)")
        return p

    def test_what_follows_a_record_that_was_written_anew(self):
        """It is the youngest, and not the last: who goes on in that chunk leaves the others."""
        log = self.ring("ring")  # with room for all of them in a chunk
        p = self.listening(log)
        p("again(3)\n"
          "for _ in range(20):\n"
          "    socket.socket().close()\n"
          "again(1)")
        p.process.kill()
        p.process.wait()
        self.puppet(log)("socket.socket().close()")
        events = log.read()
        self.assertEqual(failures(events, "again") + failures(events, "accept"), [0, 0])
        made = collections.Counter()
        for event in events:
            made[event["call"]] += contract.calls(event)
        self.assertEqual((made["accept4"], made["socket"], made["close"]), (4, 22, 21))

    def test_what_could_not_be_recorded(self):
        """The count that the recorder has is what it was; the others are told as lost."""
        log = self.ring("ring", "64K")
        p = self.listening(log)
        p("import resource, signal\n"
          "FSIZE, (soft, hard) = resource.RLIMIT_FSIZE, resource.getrlimit(resource.RLIMIT_FSIZE)\n"
          "again(3)\n"
          "resource.setrlimit(FSIZE, (4096, hard)); again(5)\n"
          "resource.setrlimit(FSIZE, (soft, hard)); l.close()")
        events = log.read()
        told = sum(contract.calls(event) for event in events if event["call"] == "accept4")
        lost = [note["events"] for event in events for note in event.get("notes", ())
                if note["code"] == "lost-events"]
        self.assertEqual((told, lost), (3, [5]))
        seqs = [event["seq"] for event in events]
        self.assertEqual(seqs[-1] - 5, len(seqs))

    def test_a_record_that_was_not_written_to_its_end(self):
        """The other of the two that are written by turns tells all calls but the last."""
        log = self.ring_of("again", 2000, "kill", "64K")
        if contract.calls(log.events[-1]) < 2:
            self.skipTest("the last second held one call")
        with open(log.path, "r+b") as file:
            data = file.read()
            places = [at for at in range(DATA_AT, len(data), 16)
                      if data[at:at + 4] == RECORD_MAGIC]
            told = []
            for at in places[-2:]:
                os.pwrite(file.fileno(), b"torn", at + 100)
                told += failures(log.read(), "again")
                os.pwrite(file.fileno(), data[at + 100:at + 104], at + 100)
        self.assertEqual(sorted(told), [1999, 2000])

    def running(self, end="wait"):
        log = self.ring("ring", "64K")
        process = self.start([self.program("refused"), "accept", str(MANY), end],
                             shimmed(LOG=log.where))
        return log, process

    @timeout(60)
    def test_read_while_it_blows(self):
        """Each dump has all that was before, and at least what the one before it told."""
        log, _ = self.running()
        last = dumps = 0
        while last < MANY:
            made = os.path.exists(log.path) and os.path.getsize(log.path)
            events = log.read() if made else []
            now = failures(events, "accept")[0]
            self.assertGreaterEqual(now, last)
            if now:
                self.assertEqual([event["call"] for event in events][:len(BEFORE)], BEFORE)
            last = now
            dumps += 1
        self.assertEqual(last, MANY)
        self.assertGreater(dumps, 3)

    @timeout(60)
    def test_followed(self):
        """Each event once, when nothing is added to it any more."""
        log, process = self.running()
        wait_until(lambda: os.path.exists(log.path) and os.path.getsize(log.path) == 65536,
                   "a ring")
        told = self.path("followed")
        with open(told, "wb") as file:
            self.start([paths.tool(), "dump", "--follow", "--json", log.path], stdout=file)

        def events():
            with open(told, "rb") as file:
                return [contract.parse(line) for line in file.read().splitlines(True)
                        if line.endswith(b"\n")]
        wait_until(lambda: failures(events(), "accept")[0] >= MANY, "all")
        self.assertEqual(failures(events(), "accept"), [MANY])
        seqs = [event["seq"] for event in events()]
        self.assertEqual(len(seqs), len(set(seqs)))
        process.kill()
        process.wait()
        self.assertEqual(events(), sorted(log.read(), key=lambda event: seqs.index(event["seq"])))
