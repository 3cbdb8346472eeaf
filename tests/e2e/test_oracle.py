# SPDX-License-Identifier: MIT
"""The test of the test: what the oracle and the contract's check must find, and must not."""

import json

from harness import contract, paths, strace
from harness.case import Case, environment
from harness.oracle import OracleCase

GOOD = {"v": 1, "time": "2024-05-06T07:08:09.123456Z", "pid": 42, "tid": 42, "prog": "server",
        "seq": 1, "call": "listen", "fd": 3, "ret": 0, "args": {"backlog": 5}, "sock": 17,
        "local": "127.0.0.1:9999", "was": "CLOSED", "state": "LISTEN", "dur_ns": 1200}


def line(event):
    return json.dumps(event, ensure_ascii=False).encode() + b"\n"


class Contract(Case):
    """Lines that break the contract are found."""

    def test_a_good_line(self):
        self.assertEqual(contract.parse(line(GOOD)), GOOD)

    def breaks(self, **changes):
        event = dict(GOOD, **changes)
        event = {key: value for key, value in event.items() if value is not None}
        with self.assertRaises(contract.Breach, msg=str(changes)):
            contract.parse(line({key: event[key] for key in
                                 sorted(event, key=lambda one: contract.KEYS.index(one)
                                        if one in contract.KEYS else 99)}))

    def test_bad_values(self):
        for changes in ({"v": 2}, {"time": "2024-05-06 07:08:09"}, {"pid": "42"}, {"seq": 0},
                        {"seq": True}, {"call": "open"}, {"ret": -1}, {"error": "EINVAL"},
                        {"state": "CLOSE"}, {"state": "SYN_RECV"}, {"was": "FIN_WAIT1"},
                        {"via": []}, {"via": ["OPEN"]}, {"local": "localhost:1"},
                        {"peer": "::1:9"}, {"peer": "1.2.3.4:70000"}, {"args": {}},
                        {"args": {"backlog": "5"}}, {"timer_ms": 5}, {"by": "shim"},
                        {"sock": None}, {"dur_ns": None}, {"fd": None}, {"extra": 1},
                        {"closed": {"fd": 3, "sock": 4}}, {"notes": []},
                        {"notes": [{"code": "nonsense", "text": "x"}]},
                        {"notes": [{"text": "x", "code": "reset"}]}, {"sock": 1.5},
                        {"prog": "a_name_that_is_long"}):
            self.breaks(**changes)

    def test_keys_of_notes(self):
        port = {"code": "in-use-dying", "text": "1.2.3.4:5, port 80", "port": 80, "dying": 1,
                "state": "TIME_WAIT", "peer": "1.2.3.4:5"}
        listener = {"code": "in-use-listener", "text": "[::]:1 of x (pid 7)", "local": "[::]:1"}
        unread = {"code": "reset", "text": "3 bytes", "cause": "unread", "unread": 3}
        lost = {"code": "lost-events", "text": "1 event", "events": 1}
        wait = {"code": "waited", "text": "waited 1.5 s", "waited_ms": 1599}
        nobody = dict(listener, text="[::]:1 (inode 0, uid 0)", inode=0, uid=0, incomplete=True)
        for note in ({"code": "half-closed", "text": "x"}, lost, unread, port, wait, nobody,
                     dict(listener, pid=7, prog="x")):
            contract.parse(line(dict(GOOD, notes=[note])))
        for note in ({"code": "half-closed", "text": "x", "port": 1},
                     {"code": "lost-events", "text": "1 event"}, dict(lost, events="1"),
                     dict(lost, events=2), {key: unread[key] for key in reversed(unread)},
                     dict(unread, cause="anger"), dict(wait, waited_ms=1600),
                     {key: unread[key] for key in unread if key != "unread"},
                     {key: port[key] for key in port if key != "state"},
                     dict(port, had_option=False), dict(port, max_ms=0), dict(listener, pid=7),
                     dict(listener, pid=7, uid=1), dict(listener, prog="x", pid=7),
                     dict(listener, local="here:1", pid=7, prog="x")):
            self.breaks(notes=[note])

    def test_bad_lines(self):
        good = line(GOOD)
        for bad in (good[:-1], good + b"\n", b"{}\n", b"\n", good.replace(b'"v":', b'"v": 1, "v":'),
                    good.replace(b"server", b"s\xff"), good.replace(b"server", b"a\x01"),
                    good.replace(b"1200", b"NaN"), b"[1]\n",
                    good.replace(b"server", b"x" * 4096)):
            with self.assertRaises(contract.Breach, msg=str(bad)):
                contract.parse(bad)
        swapped = {key: GOOD[key] for key in ("v", "pid", "time")}
        swapped.update(GOOD)
        with self.assertRaises(contract.Breach):
            contract.parse(line(swapped))

    def seqs(self, *numbers):
        return [dict(GOOD, seq=number) for number in numbers]

    def test_sequences(self):
        for good in ((1, 2, 3), (1, 2, 1, 2, 3), (1,), ()):
            contract.check_seq(self.seqs(*good))
        for bad in ((1, 3), (2, 3), (1, 2, 2), (2, 1), (1, 2, 3, 1, 3)):
            with self.assertRaises(contract.Breach, msg=str(bad)):
                contract.check_seq(self.seqs(*bad))
        lost = [{"code": "lost-events", "text": "2 events were lost before this one", "events": 2}]
        contract.check_seq(self.seqs(1) + [dict(GOOD, seq=4, notes=lost)])
        with self.assertRaises(contract.Breach):
            contract.check_seq(self.seqs(1) + [dict(GOOD, seq=5, notes=lost)])


class Oracle(OracleCase):
    """strace's account of a plain program is what the program did."""

    SOURCE = """
import ctypes, os, socket, subprocess, threading
C = ctypes.CDLL(None)
l = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(l.getsockname())
a, _ = l.accept()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
os.dup2(u.fileno(), 40)
C.dup2(a.fileno(), 40)
C.close(99)
subprocess.run(["true"], check=True)
t = threading.Thread(target=C.close, args=(40,)); t.start(); t.join()
if os.fork() == 0:
    C.close(l.fileno())
    os._exit(0)
os.wait()
C.close_range(l.fileno(), a.fileno(), 0)
os._exit(0)
"""

    def traced(self):
        command = strace.command(self.trace_path, environment(),
                                 [paths.PYTHON, "-I", "-S", "-c", self.SOURCE])
        status, _, err = self.run_program(command)
        self.assertEqual(status, 0, err)
        return strace.Trace(self.trace_path)

    def test_its_calls(self):
        trace = self.traced()
        self.assertEqual(trace.doubts, [])
        main = trace.calls[0].pid
        rows = [(call.name, call.fd, call.ret) for call in trace.calls
                if call.pid == main and not call.optional]
        self.assertEqual(
            [row for row in rows if row[0] not in ("getsockopt", "setsockopt")],
            [("socket", None, 3), ("bind", 3, 0), ("listen", 3, 0), ("socket", None, 4),
             ("connect", 4, 0), ("accept4", 3, 5), ("dup2", 5, 40), ("close", 40, 0),
             ("close", 3, 0), ("close", 4, 0), ("close", 5, 0)])
        self.assertEqual([(call.name, call.fd, call.ret) for call in trace.calls
                          if call.pid != main and not call.optional], [("close", 3, 0)])
        self.assertEqual({call.tid == call.pid for call in trace.calls
                          if call.fd == 40 and call.name == "close"}, {False})

    def test_differences_are_found(self):
        trace = self.traced()
        events = []
        for call in trace.calls:
            if not call.optional:
                event = {"pid": call.pid, "tid": call.tid, "call": call.name, "ret": call.ret}
                if call.fd is not None:
                    event["fd"] = call.fd
                if call.error:
                    event["error"] = call.error
                events.append(event)
        self.assertEqual(strace.differences(trace, events), "")
        for number in range(len(events)):
            missed = events[:number] + events[number + 1:]
            self.assertTrue(strace.differences(trace, missed), "one missed: %d" % number)
            invented = events[:number] + [events[number]] + events[number:]
            self.assertTrue(strace.differences(trace, invented), "one invented: %d" % number)
            for key, value in (("ret", 77), ("tid", 1), ("fd", 98), ("error", "EBADF"),
                               ("call", "listen")):
                changed = list(events)
                changed[number] = dict(events[number], **{key: value})
                if changed[number] != events[number]:
                    self.assertTrue(strace.differences(trace, changed), (number, key))
