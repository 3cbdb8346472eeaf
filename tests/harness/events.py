# SPDX-License-Identifier: MIT
"""Reading the shim's log while programs write it."""

import mmap
import os
import socket
import subprocess
import time

from harness import contract, paths

PATIENCE = 40.0  # seconds: a busy machine is slow, and who waits for less tests the machine


class Timeout(AssertionError):
    """What was waited for did not come."""


def wait_until(condition, what, timeout=PATIENCE):
    """Ask until the condition gives something true; return that."""
    end = time.monotonic() + timeout
    pause = 0.0005
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Timeout("waited %g s for %s" % (timeout, what() if callable(what) else what))
        time.sleep(pause)
        pause = min(pause * 2, 0.02)


class Log:
    """A file of JSON lines. Each line is held against the contract as it is read.

    `torn` lines may be cut short: a write that the disk had no room to finish.
    """

    ordered = True  # no handler of a signal makes events between a call and its event
    cut = 0  # so many threads may be in a call when their process ends

    def __init__(self, path, torn=0):
        self.path = path
        self.torn = torn
        self.events = []
        self._rest = b""
        self._offset = 0
        self._taken = 0

    def read(self):
        """All events so far."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return self.events
        self._offset += len(data)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if self.torn and not line.endswith(b"}"):
                self.torn -= 1
            else:
                self.events.append(contract.parse(line + b"\n"))
        return self.events

    def new(self):
        """The events since the last time."""
        events = self.read()[self._taken:]
        self._taken += len(events)
        return events

    def wait(self, matches, what="an event", timeout=PATIENCE):
        """The first event for which matches(event) holds."""
        def found():
            return next((event for event in self.read() if matches(event)), None)
        return wait_until(found, lambda: "%s among %d events, last %s"
                          % (what, len(self.events), self.events[-3:]), timeout)

    def finish(self):
        """At the end: the log ends with a whole line, and no number is missing.

        But where a signal ended the writer in a write: the kernel leaves off at a page's end.
        """
        self.read()
        if self._rest and not self.torn and self._offset % mmap.PAGESIZE:
            raise contract.Breach("the log ends in the middle of a line: %r" % self._rest)
        contract.check_seq(self.events, ordered=self.ordered, cut=self.cut)


class RingLog(Log):
    """A flight recorder, read through tcpshim dump; `size` as in the setting, or None.

    A `lapped` one has overwritten events, so that there are gaps.
    """

    def __init__(self, path, size=None, lapped=False):
        super().__init__(path)
        self.where = "ring:%s%s" % (path, ":" + size if size else "")
        self._lapped = lapped

    def read(self):
        """All events that it keeps, in order of time."""
        said = subprocess.run([paths.tool(), "dump", "--json", self.path], check=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.events = [contract.parse(line) for line in said.stdout.splitlines(True)]
        times = [event["time"] for event in self.events]
        if times != sorted(times):
            raise contract.Breach("the dump is not in order of time")
        return self.events

    def finish(self):
        if os.path.exists(self.path):
            self.read()
        if not self._lapped:
            contract.check_seq(self.events, by_time=True, ordered=self.ordered)


class DatagramLog:
    """The reader of a TCPSHIM_LOG=unix:PATH."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)
        self.events = []

    def read(self):
        """All events so far."""
        while True:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                return self.events
            if not data.endswith(b"\n"):
                data += b"\n"
            self.events.append(contract.parse(data))

    def finish(self):
        self.read()
        contract.check_seq(self.events)

    def close(self):
        """Be a reader that died."""
        self.socket.close()
        os.unlink(self.path)


def brief(event):
    """An event in a line, for messages."""
    result = event.get("error") or event.get("ret")
    words = ["%s(%s)=%s" % (event["call"], event.get("fd", ""), result)]
    words += [event[key] for key in ("was", "state") if key in event]
    return " ".join(words)
