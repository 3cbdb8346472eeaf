# SPDX-License-Identifier: MIT
"""The flight recorder under processes that are killed while they write to it, and under readers.

tests/stress/recorder.c has 8 writers of 4 threads, kills each of them once a round, and tells
how far each thread had come. After each round a dump is read, in which nothing of these writers
can have been overwritten yet; and all the time others read.

TCPSHIM_KILLS is how many writers are killed (200).
"""

import os
import random
import re
import subprocess
import threading

from harness import contract, paths, strace
from harness.case import Case, environment, read_line, shimmed, timeout, wait_until

KILLS = int(os.environ.get("TCPSHIM_KILLS", "200"))
WRITERS, THREADS = 8, 4
ROUNDS = max(2, -(-KILLS // WRITERS))
LIMIT = 120 + 3 * ROUNDS

# As in include/reuse/ring.h, for this size of the file.
SIZE = 8 << 20
CHUNK = 8192
CHUNKS = (SIZE - 12288) // CHUNK
# Longest record of an event without frames.
RECORD = 512
# A writer lives two rounds at most. A thread's 104 numbered calls come with 27 others.
EVENTS = 2 * 1200 * (104 + 27) // 104


def chunks_taken():
    """While a writer lives. At most: all threads want the next chunk, and one gets it for all."""
    full = EVENTS // (CHUNK // RECORD - 1)
    return THREADS * (full + 3 * WRITERS)


class Book:
    """What dumps have told, line by line. Each line is held against the contract once."""

    def __init__(self):
        self._lock = threading.Lock()
        self._known = {}
        self._lines = {}

    def read(self, text):
        """The lines of one dump, as {(pid, tid): {seq: number or None}}."""
        lines = text.splitlines(True)
        if len(set(lines)) != len(lines):
            raise contract.Breach("a line twice")
        threads = {}
        with self._lock:
            for line in lines:
                thread, seq, number = self._known.get(hash(line)) or self._enter(line)
                threads.setdefault(thread, {})[seq] = number
        if sum(map(len, threads.values())) != len(lines):
            raise contract.Breach("a number of an event twice")
        return threads

    def _enter(self, line):
        event = contract.parse(line)
        if contract.lost(event):
            raise contract.Breach("events were lost: %r" % line)
        first = self._lines.setdefault((event["pid"], event["seq"]), line)
        if first != line:
            raise contract.Breach("two events of one number: %r and %r" % (first, line))
        number = None
        if event.get("args", {}).get("option") == "SO_KEEPALIVE":
            number = event["args"]["value"]
        entry = (event["pid"], event["tid"]), event["seq"], number
        self._known[hash(line)] = entry
        return entry


def numbers(events):
    """The numbers of a thread's calls, in the order in which it made them."""
    return [events[seq] for seq in sorted(events) if events[seq] is not None]


def dump(ring, wrapper=()):
    """Exit status, standard output and standard error."""
    done = subprocess.run([*wrapper, paths.tool(), "dump", "--json", ring], env=environment(),
                          stdin=subprocess.DEVNULL, capture_output=True)
    return done.returncode, done.stdout, done.stderr


class OneWriter(Case):
    """Dumps in the midst of a program's calls: it goes from chunk to chunk while one is read."""

    def setUp(self):
        super().setUp()
        self.ring = self.path("ring")
        p = self.puppet(LOG="ring:%s:1M" % self.ring)
        p("s = socket.socket()")
        p.begin("while True: s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)")
        self.addCleanup(p.kill)
        wait_until(lambda: b'"seq":1,' not in (dump(self.ring)[1] or b'"seq":1,'), "a full ring")

    def check_gaps(self, wrapper=()):
        status, out, err = dump(self.ring, wrapper)
        self.assertEqual((status, err), (0, b""))
        seqs = [int(seq) for seq in re.findall(rb'"seq":(\d+),', out)]
        self.assertTrue(seqs)
        gaps = [(one, next) for one, next in zip(seqs, seqs[1:]) if next != one + 1]
        self.assertEqual(gaps, [])

    def test_no_event_is_left_out_between_two(self):
        for _ in range(100):
            self.check_gaps()

    def test_nor_where_the_writer_overtakes(self):
        """Behind the first chunk, the oldest, the reader stands still."""
        if strace.available():
            self.skipTest(strace.available())
        for call in range(3, 7):
            self.check_gaps((paths.find("strace"), "-o", "/dev/null", "-e", "trace=pread64", "-e",
                             "inject=pread64:delay_exit=10000:when=%d" % call))


class Recorder(Case):

    def setUp(self):
        super().setUp()
        program = os.path.join(paths.OUT, "tests", "stress", "recorder")
        if not os.access(program, os.X_OK):
            self.skipTest("recorder is not built")
        self.ring = self.path("ring")
        self.book = Book()
        self.completed = {}  # {(pid, tid): number}: of those that were killed
        self.killed = 0
        self.process = self.start([program], shimmed(LOG="ring:%s:%d" % (self.ring, SIZE),
                                                     REUSE="off"),
                                  stdin=subprocess.PIPE)
        wait_until(lambda: os.path.exists(self.ring) and os.path.getsize(self.ring) == SIZE,
                   "a ring")

    def begin_round(self):
        self.assertIsNone(self.process.poll(), "the program that leads them ended")
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def end_round(self):
        """How far each thread had come: of those killed in this round, and of those alive."""
        killed, alive = {}, {}
        while True:
            what, *words = read_line(self.process, 60).split()
            if what == "round":
                return killed, alive
            pid, *rest = map(int, words)
            self.assertNotEqual(what, "died", "writer %d: status %s" % (pid, rest))
            group = {"killed": killed, "alive": alive}[what]
            self.killed += what == "killed"
            for tid, number in zip(rest[::2], rest[1::2]):
                group[pid, tid] = number

    def good_dump(self):
        status, out, err = dump(self.ring)
        self.assertEqual((status, err), (0, b""))
        return out

    def check_whole(self, threads, group):
        """All calls of these threads are told, and at most one more that had not returned."""
        for thread, number in group.items():
            told = numbers(threads.get(thread, {}))
            self.assertIn(len(told), (number, number + 1), "%d/%d: %s" % (*thread, told))
            self.assertEqual(told, list(range(1, len(told) + 1)), "%d/%d" % thread)

    def check_true(self, threads, alive):
        """Nothing is told that no writer did."""
        for thread, events in threads.items():
            if thread == (self.process.pid, self.process.pid):
                continue
            number = alive.get(thread, self.completed.get(thread))
            self.assertIsNotNone(number, "no writer: %d/%d" % thread)
            self.assertLessEqual(max(numbers(events), default=0), number + 1, "%d/%d" % thread)

    def follow(self):
        """A reader that follows; a function that gives what it has told."""
        told = self.path("followed")
        with open(told, "wb") as file:
            reader = self.start([paths.tool(), "dump", "--follow", "--json", self.ring],
                                stdout=file)

        def read():
            self.assertIsNone(reader.poll(), reader.error())
            with open(told, "rb") as file:
                text = file.read()
            return text[:text.rfind(b"\n") + 1]
        return read

    def alongside(self, action):
        """Do it again and again in a thread; a function that ends this and raises what it did."""
        ended = threading.Event()
        raised = []

        def run():
            try:
                while not ended.is_set():
                    action(ended)
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(ended.set)

        def end():
            ended.set()
            thread.join()
            if raised:
                raise raised[0]
        return end

    @timeout(LIMIT)
    def test_what_a_killed_writer_did_is_there(self):
        self.assertLess(chunks_taken(), CHUNKS, "the ring is too small for the test")
        followed = self.follow()
        end_reading = self.alongside(lambda _: self.book.read(self.good_dump()))
        self.begin_round()
        for left in reversed(range(ROUNDS)):
            killed, alive = self.end_round()
            text = self.good_dump()
            if left:
                self.begin_round()
            self.completed.update(killed)
            threads = self.book.read(text)
            self.check_whole(threads, killed)
            self.check_whole(threads, alive)
            self.check_true(threads, alive)
        end_reading()
        self.assertEqual(self.killed, ROUNDS * WRITERS)
        wait_until(lambda: self.has_followed(followed(), alive), "the reader that follows")
        threads = self.book.read(followed())
        self.check_whole(threads, self.completed)
        self.check_whole(threads, alive)

    def has_followed(self, text, alive):
        threads = self.book.read(text)
        return all(len(numbers(threads.get(thread, {}))) >= number
                   for thread, number in alive.items())

    def check_readers(self):
        """A dump of a ring that is being truncated: what is shown is true, or it says why not."""
        status, out, err = dump(self.ring)
        self.book.read(out)
        if status:
            self.assertRegex(err, rb"^tcpshim dump: \S+: (empty|neither a flight recorder)")

    @timeout(LIMIT)
    def test_truncated_at_any_moment(self):
        followed = self.follow()

        def truncate(ended):
            # Mostly in the midst of a record.
            os.truncate(self.ring, random.choice((0, 100, 5000, random.randrange(SIZE),
                                                  12288 + random.randrange(SIZE // 64))))
            ended.wait(random.random() / 500)

        end_truncating = self.alongside(truncate)
        end_reading = self.alongside(lambda _: self.check_readers())
        for _ in range(ROUNDS):
            self.begin_round()
            self.completed.update(self.end_round()[0])
        end_truncating()
        end_reading()
        # The writers of this round knew the old ring, those of the next one do not.
        for _ in range(2):
            self.begin_round()
            killed, alive = self.end_round()
            self.completed.update(killed)
        threads = self.book.read(self.good_dump())
        self.check_whole(threads, killed)
        self.check_whole(threads, alive)
        self.check_true(threads, alive)
        wait_until(lambda: self.has_followed(followed(), alive), "the reader that follows")
