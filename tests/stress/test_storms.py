# SPDX-License-Identifier: MIT
"""Storms: threads, signals, forks, vforks and cancellations at once, on every kind of log.

tests/stress/storm.c blows, counts its calls itself and says so at its end. It must come to that
end, and the log must tell of exactly these calls, numbered without a gap, each in a state that
TCP can be in.

TCPSHIM_STORM_SECONDS is how long each storm blows (5), TCPSHIM_STORM_CALLS how many calls a
second it makes (10,000).
"""

import fcntl
import glob
import json
import os
import re
import socket
import subprocess
import threading

from harness import contract, paths
from harness.case import Case, environment, shimmed, timeout

SECONDS = float(os.environ.get("TCPSHIM_STORM_SECONDS", "5"))
CALLS = int(os.environ.get("TCPSHIM_STORM_CALLS", "10000"))
F_SETPIPE_SZ = 1031
LIMIT = 60 + 5 * SECONDS

# The arrows of RFC 9293, figure 5. A reset (or its sender) makes CLOSED of any state.
ARROWS = {
    "CLOSED": ("LISTEN", "SYN_SENT"),
    "LISTEN": ("SYN_RCVD", "SYN_SENT"),
    "SYN_SENT": ("SYN_RCVD", "ESTABLISHED"),
    "SYN_RCVD": ("ESTABLISHED", "FIN_WAIT_1", "LISTEN"),
    "ESTABLISHED": ("FIN_WAIT_1", "CLOSE_WAIT"),
    "FIN_WAIT_1": ("FIN_WAIT_2", "CLOSING", "TIME_WAIT"),
    "FIN_WAIT_2": ("TIME_WAIT",),
    "CLOSE_WAIT": ("LAST_ACK",),
    "CLOSING": ("TIME_WAIT",),
    "LAST_ACK": (),
    "TIME_WAIT": (),
}


def _ways():
    """Which state can become which, in any number of steps that do not pass through CLOSED."""
    ways = {}
    for start, row in ARROWS.items():
        seen, row = set(), list(row)
        while row:
            state = row.pop()
            if state not in seen:
                seen.add(state)
                row += ARROWS[state]
        ways[start] = seen | {start, "CLOSED"}
    return ways


WAYS = _ways()


def impossible(event):
    """A step that TCP does not know, as text, or None."""
    states = [event["was"]] if "was" in event else []
    states += event.get("via", ())
    states += [event["state"]] if "state" in event else []
    for before, after in zip(states, states[1:]):
        if after not in WAYS[before]:
            return "%s -> %s" % (before, after)
    return None


class Storm(Case):
    """A storm a kind of log."""

    def setUp(self):
        super().setUp()
        self.storm = os.path.join(paths.OUT, "tests", "stress", "storm")
        if not os.access(self.storm, os.X_OK):
            self.skipTest("storm is not built")

    def command(self, alone=False):
        return [self.storm, str(SECONDS), str(CALLS)] + (["alone"] if alone else [])

    def reporting(self, env):
        """A sanitizer's reports go into files: the storm's own descriptors are in the storm."""
        env = dict(env)
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS"):
            env[name] = "%s:log_path=%s" % (env.get(name, ""), self.path("sanitizer"))
        return env

    def reports(self):
        """What sanitizers have said."""
        text = ""
        for name in glob.glob(self.path("sanitizer.*")):
            with open(name, errors="replace") as file:
                text += file.read()
        return text

    def counts(self, process, out):
        """What the storm counted: {call: number}."""
        reports = self.reports()
        if reports:
            self.fail(reports)
        self.assertEqual((process.returncode, process.error()), (0, b""), out)
        return {name: int(number) for name, number in re.findall(r"(?m)^(\w+) (\d+)$", out)}

    def blow(self, env, alone=False, over=lambda: None):
        """A whole storm; over is called when it has calmed down."""
        process = self.start(self.command(alone), self.reporting(env), stdin=subprocess.PIPE,
                             text=True)
        watchdog = threading.Timer(LIMIT, process.kill)
        watchdog.start()
        try:
            said = process.stdout.readline()
            over()
            if said == "over\n":
                process.stdin.write("\n")
                process.stdin.close()
            said += process.stdout.read()
            process.wait(10)
        finally:
            watchdog.cancel()
        counts = self.counts(process, said)
        self.assertGreater(sum(counts.values()), SECONDS * CALLS / 4, "a calm")
        return counts

    @timeout(LIMIT + 60)
    def test_without_a_log(self):
        """Also the proof that the storm itself is sound: it blows without the shim first."""
        self.blow(environment())
        self.blow(shimmed())

    @timeout(LIMIT * 4)
    def test_to_a_file_of_json(self):
        path = self.path("events.json")
        self.check_all(path, self.blow(shimmed(LOG=path, FORMAT="json")))

    @timeout(LIMIT * 4)
    def test_to_a_flight_recorder(self):
        """One that is large enough for all: nothing may be missing."""
        ring, path = self.path("ring"), self.path("events.json")
        size = max(256 << 20, int(SECONDS * CALLS) * 700)  # 350 bytes a call, twice
        counts = self.blow(shimmed(LOG="ring:%s:%d" % (ring, size)))
        with open(path, "wb") as file:
            subprocess.run([paths.tool(), "dump", "--json", ring], stdout=file, check=True)
        self.check_all(path, counts)

    @timeout(LIMIT * 4)
    def test_starts_beside_writers(self):
        """Who starts looks at how the log ends: a line that is just being written is not torn."""
        path = self.path("events.json")
        starts = min(1000, int(200 * SECONDS))
        process = self.start([os.path.join(paths.OUT, "tests", "stress", "starts"), str(starts)],
                             shimmed(LOG=path, FORMAT="json", CALLS="socket"))
        self.assertEqual((process.wait(), process.error()), (0, b""))
        with open(path, "rb") as file:
            lines = file.readlines()
        self.assertGreater(len(lines), starts)
        # The last lines are those of writers that were killed.
        self.assertEqual([line for line in lines if line == b"\n"], [])

    def check_all(self, path, counts):
        """Every call of the storm is told, in states that may be."""
        events = self.read(path)
        self.check_numbers(events)
        self.check_states(events)
        told = {}
        for event in events:
            if "by" not in event:
                told[event["call"]] = told.get(event["call"], 0) + contract.calls(event)
        self.assertEqual(told, counts, "the log and the storm count differently")

    def read(self, path):
        """The events of a log; the contract is held against one in 50 of them."""
        events = []
        with open(path, "rb") as file:
            for number, line in enumerate(file):
                check = contract.parse if number % 50 == 0 else json.loads
                self.assertTrue(line.endswith(b"}\n"), line)
                events.append(check(line))
        return events

    def check_numbers(self, events):
        """Each process (image) counts from 1 without a gap, and lost nothing."""
        self.assertEqual(sum(contract.lost(event) for event in events), 0, "lost events")
        contract.check_seq(events)

    def check_states(self, events):
        """Possible steps; and each event goes on where the last of its descriptor ended.

        Not those of a socket that threads share: nobody knows the order of its events.
        """
        users, last = {}, {}
        for event in events:
            users.setdefault((event["pid"], event.get("sock")), set()).add(event["tid"])
        for event in events:
            step = impossible(event)
            self.assertIsNone(step, event)
            if len(users[event["pid"], event.get("sock")]) > 1:
                continue
            if event["call"] == "socket" or event["call"].startswith("accept"):
                fd = event["ret"]
            else:
                fd = event["fd"]
            key = event["pid"], fd, event.get("sock")
            if "was" in event and last.get(key):
                self.assertEqual(event["was"], last[key], event)
            if event["call"] not in ("close", "fclose", "close_range"):
                last[key] = event.get("state")

    @timeout(LIMIT + 60)
    def test_to_a_pipe_with_a_slow_reader(self):
        """What the pipe has no room for is lost, and told to the last one."""
        text = self.through_pipe(FORMAT="text")
        lines = [line for line in text.split(b"\n") if line and not line.startswith(b" ")]
        for line in lines:
            self.assertRegex(line, rb"^\d\d:\d\d:\d\d\.\d{6} storm\[\d+(/\d+)?\] \w+\(")
        lost = [int(number) for number in re.findall(
            rb"note: (\d+) events? before this one could not be written", text)]
        more = [int(number) - 1 for number in re.findall(rb", (\d+) times in \d", text)]
        self.assert_told(len(lines) + sum(more), sum(lost))

    @timeout(LIMIT + 60)
    def test_to_a_pipe_with_a_slow_reader_of_json(self):
        text = self.through_pipe(FORMAT="json")
        events = [json.loads(line) for line in text.splitlines()]
        contract.check_seq(events)
        self.check_losses(events)

    def check_losses(self, events):
        lost = sum(contract.lost(event) for event in events)
        self.assert_told(sum(contract.calls(event) for event in events), lost)
        self.assertEqual(max(event["seq"] for event in events), len(events) + lost)
        for event in events:
            self.assertIsNone(impossible(event), event)

    def assert_told(self, written, lost):
        self.assertEqual(written + lost, self.made, "%d written, %d told lost" % (written, lost))
        self.assertGreater(lost, 0, "the reader was not slow")

    def through_pipe(self, **settings):
        """All that comes through a pipe that is read slowly until the storm is over."""
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        fcntl.fcntl(reader, F_SETPIPE_SZ, 8192)
        drain = Drain(lambda: os.read(reader, 4096))
        self.made = sum(self.blow(shimmed(LOG=fifo, REUSE="off", **settings), alone=True,
                                  over=drain.hurry).values())
        return b"".join(drain.finish())

    @timeout(LIMIT + 60)
    def test_to_a_unix_socket(self):
        """A datagram an event; what its queue has no room for is lost and told."""
        path = self.path("socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader:
            reader.bind(path)
            reader.setblocking(False)
            drain = Drain(lambda: reader.recv(65536))
            self.made = sum(self.blow(shimmed(LOG="unix:" + path, FORMAT="json", REUSE="off"),
                                      alone=True, over=drain.hurry).values())
            events = [contract.parse(datagram) for datagram in drain.finish()]
        contract.check_seq(events)
        self.check_losses(events)


class Drain:
    """Reads slowly (a piece every 5 milliseconds) until it is told to hurry, in a thread."""

    def __init__(self, read):
        self._read = read
        self._got = []
        self._hurry = threading.Event()
        self._empty = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            ended = self._end.is_set()
            try:
                data = self._read()
            except BlockingIOError:
                data = b""
            if data:
                self._got.append(data)
            elif ended:
                return
            if not data and self._hurry.is_set():
                self._empty.set()
            if not data or not self._hurry.is_set():
                self._end.wait(0.001 if self._hurry.is_set() else 0.005)

    def hurry(self):
        """Come back when there is nothing left to read."""
        self._hurry.set()
        self._empty.wait(10)

    def finish(self):
        """The pieces."""
        self._end.set()
        self._thread.join(10)
        return self._got
