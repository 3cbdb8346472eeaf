# SPDX-License-Identifier: MIT
"""What the tests of tcpshim report share: a program with each finding, and a count of its events."""

import collections
import json
import os

from harness import paths
from harness.case import Case, shimmed

SYNCHRONIZED = {"ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK",
                "TIME_WAIT"}
ATTEMPTS = {"refused": "ECONNREFUSED", "timed-out": "ETIMEDOUT"}
# Each finding that loopback can make.
LIFE = """
import os, select, socket, struct, time
def fails(call, *what):
    try: call(*what)
    except OSError: pass
    else: raise AssertionError("it worked")
def closed(s): select.select([s], [], [])
l = socket.create_server(("127.0.0.1", 0)); at = l.getsockname()
def pair():
    c = socket.create_connection(at)
    return c, l.accept()[0]
for _ in range(7):
    c, a = pair(); c.close(); closed(a); a.close()
for _ in range(3):
    c, a = pair(); c.send(b"x"); closed(a); a.close(); closed(c); c.close()
for _ in range(2):
    s = socket.socket(); fails(s.bind, at); s.close()
for port in (1, 1, 2):
    s = socket.socket(); fails(s.connect, ("127.0.0.1", port)); s.close()
c, a = pair(); number = a.fileno(); a.detach(); os.close(number); fails(os.close, number)
closed(c); since = time.monotonic()
while time.monotonic() - since < 1.1: select.select([], [], [], 0.1)
c.close()
s = socket.socket()
for _ in range(500): fails(s.accept)
s.close()
l.setblocking(False)
for _ in range(30): fails(l.accept)
kept = [s.detach() for p in [pair(), pair()] for s in p] + [socket.socket().detach()]
c, a = pair(); c.close(); closed(a); kept.append(a.detach()); l.detach()
"""
LIFE = LIFE.replace("c = socket.create_connection(at)\n    return c, l.accept()[0]",
                    "c = socket.create_connection(at); closed(l)\n    return c, l.accept()[0]")


def counted(events):
    """The same figures from the events, by another way."""
    calls, found, socks = collections.Counter(), collections.Counter(), {}
    for event in events:
        times = event.get("repeated", {}).get("times", 1)
        notes = {note["code"]: note for note in event.get("notes", ())}
        call, error = event["call"], event.get("error")
        if call not in ("exit", "wait", "seccomp"):
            calls[call, event.get("by"), error] += times
        found["failed_binds"] += times * (call in ("bind", "listen") and bool(error))
        found["double_close"] += "double-close" in notes
        found["reset"] += "reset" in notes
        found["peer_reset"] += "peer-reset" in notes
        for code, name in ATTEMPTS.items():
            found[code.replace("-", "_")] += times * (
                code in notes or (call == "connect" and error == name))
        if times >= 10 and error not in ("EAGAIN", "EINPROGRESS", "EALREADY", "EINTR"):
            found["storms"] += times
        if "sock" in event:
            path = socks.setdefault(event["sock"], [])
            steps = [event.get("was")] * (not path and "was" in event) + event.get("via", [])
            for state in steps + [event["state"]] * ("state" in event):
                if not path or path[-1] != state:
                    path.append(state)
        left = call == "exit" and event.get("state")
        found["left_open"] += left not in (False, None, "LISTEN", "CLOSE_WAIT")
        found["close_wait"] += "close-wait" in notes or left == "CLOSE_WAIT"
    ways = collections.Counter("->".join(path) for path in socks.values()
                               if SYNCHRONIZED & set(path))
    return calls, +found, ways


class ReportCase(Case):
    """What the tests of reports share."""

    def report(self, *words, status=0, said=b""):
        """The figures; and the text, whose form is looked at."""
        got, out, err = self.run_program([paths.tool(), "report", *words])
        self.assertEqual((got, err), (status, said))
        text = out.decode()
        for line in text.split("\n"):
            if " " in line.strip():
                self.assertLessEqual(len(line), 80, line)
        self.assertNotRegex(text, r"[\x00-\x09\x0b-\x1f\x7f]")
        got, out, err = self.run_program([paths.tool(), "report", "--json", *words])
        self.assertEqual((got, err), (status, said))
        return json.loads(out), text

    def live(self, name="log.json", program=LIFE, **settings):
        """The log of a program that has run."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        settings.setdefault("LOG", self.path(name))
        status, _, err = self.run_program(
            [paths.PYTHON, "-c", program], shimmed(FORMAT="json", **settings))
        self.assertEqual((status, err), (0, b""))
        return self.path(name)

    def lines(self, path):
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def write(self, name, lines):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(b"".join(line if isinstance(line, bytes) else
                                json.dumps(line).encode() + b"\n" for line in lines))
        return self.path(name)

    def figures(self, report):
        """As counted() has them."""
        calls = collections.Counter()
        for row in report["calls"]:
            calls[row["call"], row.get("by"), row.get("error")] += row["count"]
        found = collections.Counter({key: value["count"] for key, value in report["wrong"].items()
                                     if key != "queue_reset"})
        ways = collections.Counter()
        for row in report["connections"]["paths"]:
            ways["->".join(row["states"])] += row["count"]
        return calls, +found, ways

    def event(self, number=1, call="socket", **keys):
        event = {"v": 1, "time": "2026-11-24T17:02:11.%06dZ" % number, "pid": 1, "tid": 1,
                 "prog": "server", "seq": number, "call": call}
        event.update(keys)
        return event
