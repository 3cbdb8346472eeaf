# SPDX-License-Identifier: MIT
"""tcpshim report: real runs, held against a count of the same lines made here, and the kernel."""

import collections
import json
import os
import random
import re
import signal

from harness import kernel, paths
from harness.case import environment, timeout, wait_until
from harness.reports import ReportCase, counted

class Figures(ReportCase):
    """What is counted."""

    def test_each_finding(self):
        path = self.live(REPORT=1, STACK=3)
        events = self.lines(path)
        report, text = self.report(path)
        calls, found, ways = counted(events)
        self.assertEqual(self.figures(report), (calls, found, ways))
        self.assertEqual(report["events"], len(events))
        self.assertEqual(report["all_calls"], sum(calls.values()))
        self.assertEqual(
            {key: found[key] for key in ("failed_binds", "double_close", "reset", "refused",
                                         "close_wait", "left_open", "storms")},
            {"failed_binds": 2, "double_close": 1, "reset": 3, "refused": 3, "close_wait": 2,
             "left_open": 5, "storms": 499})
        wrong = report["wrong"]
        self.assertEqual(sorted(row["count"] for row in wrong["refused"]["rows"]), [1, 2])
        self.assertIn({"address": "127.0.0.1:1", "count": 2},
                      [{key: row[key] for key in ("address", "count")}
                       for row in wrong["refused"]["rows"]])
        bind, = wrong["failed_binds"]["rows"]
        said = next(note["text"] for event in events if event.get("error") == "EADDRINUSE"
                    for note in event["notes"] if note["code"] == "in-use-listener")
        self.assertEqual((bind["error"], bind["text"]), ("EADDRINUSE", said))
        self.assertIn(" ".join(said.split()), " ".join(text.split()))
        double, = wrong["double_close"]["rows"]
        self.assertIn("0x", double["place"])
        self.assertIn("0x", double["closed_at"])
        for row in wrong["left_open"]["rows"] + wrong["close_wait"]["rows"]:
            self.assertIn("0x", row["place"])
        self.assertEqual([row["by_prog"] for row in wrong["peer_reset"]["rows"]],
                         [wrong["peer_reset"]["rows"][0]["prog"]])
        self.assertEqual([row["accepted"] for row in report["listeners"]], [14])
        self.assertEqual(report["connections"]["joined"], report["connections"]["ends"])
        order = [text.index(name) for name in (
            "failed binds", "left open", "not closed after", "closed twice", "resets sent",
            "connects refused", "calls and errors", "ends of connections")]
        self.assertEqual(order, sorted(order))

    def test_a_recorder_tells_the_same(self):
        ring = self.ring()
        self.live(LOG=ring.where, REPORT=1, STACK=3)
        path = self.write("log.json", ring.read())
        self.assertEqual(self.report(ring.path), self.report(path))
        self.assertEqual(self.figures(self.report(ring.path)[0]), counted(self.lines(path)))
        with open(path, "rb") as file:
            status, out, err = self.run_program([paths.tool(), "report", "--json", "-"],
                                                stdin=file)
        self.assertEqual((status, err), (0, b""))
        self.assertEqual(self.figures(json.loads(out)), counted(self.lines(path)))

    def test_nothing_wrong(self):
        path = self.live(program="import socket; socket.create_server(('127.0.0.1', 0)).close()")
        report, text = self.report(path)
        self.assertEqual(text.split("\n")[1], "Nothing wrong was found.")
        self.assertFalse(any(kind["count"] for kind in report["wrong"].values()))

    def test_what_is_open_the_kernel_has(self):
        log = self.log()
        p = self.pair(log)
        p("d = [socket.create_connection(l.getsockname()) for _ in range(4)]\n"
          "b = [l.accept()[0] for _ in range(4)]\n"
          "[s.shutdown(socket.SHUT_WR) for s in d[:2]]; s = socket.socket()")
        for cookie in p.eval("[cookie(s) for s in d[:2]]"):
            wait_until(lambda: kernel.state_of(cookie) == "FIN_WAIT_2", "the FIN's ACK")
        p("[s.setsockopt(6, 1, 1) for s in d + b + [a, c, l]]")
        kept = {event["sock"] for event in log.read() if "sock" in event}
        states = collections.Counter(kernel.state_of(cookie) for cookie in kept)
        report, _ = self.report(log.path)
        self.assertEqual(report["open"], dict(states))
        self.assertEqual(report["wrong"]["close_wait"]["count"], states["CLOSE_WAIT"])
        self.assertEqual({row["end"] for row in report["wrong"]["close_wait"]["rows"]}, {"open"})

    def test_times_are_bounds(self):
        path = self.write("t.json", [
            self.event(0, "connect", fd=3, ret=0, sock=9, local="127.0.0.1:5", peer="127.0.0.1:6",
                       was="CLOSED", via=["SYN_SENT"], state="ESTABLISHED", dur_ns=1000),
            self.event(2000, "shutdown", fd=3, ret=-1, error="EINVAL", args={"how": "SHUT_RD"},
                       sock=9, was="ESTABLISHED", state="ESTABLISHED", dur_ns=1000),
            self.event(9000, "close", fd=3, ret=0, sock=9, was="ESTABLISHED",
                       via=["CLOSE_WAIT", "LAST_ACK"], state="CLOSED", dur_ns=1000)])
        report, _ = self.report(path)
        self.assertEqual(report["states"], [
            {"state": "ESTABLISHED", "count": 1, "at_least_ns": 2000000, "at_most_ns": 9000000,
             "longest_at_least_ns": 2000000}])
        self.assertEqual(report["connections"]["paths"][0]["seen"], [1, 0, 1, 0, 0, 1])


class Whose(ReportCase):
    """Which two are the ends of one connection."""

    def test_two_hosts(self):
        """The same lines in two folders: each connection twice, its ends never joined across."""
        path = self.live("one/log.json")
        events = self.lines(path)
        other = self.write("two/log.json", events)
        one, two = self.report(path)[0], self.report(path, other)[0]
        self.assertGreater(one["connections"]["joined"], 20)
        self.assertEqual(two["connections"]["joined"], 2 * one["connections"]["joined"])
        self.assertEqual(two["connections"]["ambiguous"], 0)
        accepted = {event["sock"] for event in events if event["call"].startswith("accept")
                    and "error" not in event}
        ends = [self.write("%s/log.json" % name,
                           [event for event in events if (event.get("sock") in accepted) == side])
                for name, side in (("servers", True), ("clients", False))]
        self.assertEqual(self.report(*ends)[0]["connections"]["joined"], 0)
        named = ["--host=here=" + ends[0], "--host=here=" + ends[1]]
        self.assertEqual(self.report(*named)[0]["connections"]["joined"],
                         one["connections"]["joined"])

    def test_one_tuple_a_thousand_times(self):
        port = self.port()
        path = self.live(program="""
import select, socket, struct
l = socket.create_server(("127.0.0.1", 0))
for _ in range(1000):
    c = socket.socket()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.bind(("127.0.0.1", %d)); c.connect(l.getsockname()); a, _ = l.accept()
    c.close(); select.select([a], [], []); a.close()
""" % port)
        report, _ = self.report(path)
        self.assertEqual(report["connections"]["ends"], 2000)
        self.assertEqual(report["connections"]["joined"], 2000)
        row, = report["wrong"]["peer_reset"]["rows"]
        self.assertEqual((row["count"], row["by_prog"]), (1000, row["prog"]))

    def test_two_namespaces(self):
        """One host, one tuple, twice: nobody knows which two belong together."""
        def end(number, call, sock, ends):
            return self.event(number, call, fd=3, ret=4, sock=sock, state="ESTABLISHED",
                              local="127.0.0.1:%d" % ends[0], peer="127.0.0.1:%d" % ends[1])
        lines = [end(1, "connect", 1, (5, 6)), end(2, "accept", 2, (6, 5)),
                 end(3, "connect", 3, (5, 6)), end(4, "accept", 4, (6, 5))]
        joined = self.report(self.write("one.json", lines[:2]))[0]["connections"]
        self.assertEqual((joined["joined"], joined["ambiguous"]), (2, 0))
        joined = self.report(self.write("two.json", lines))[0]["connections"]
        self.assertEqual((joined["joined"], joined["ambiguous"]), (0, 4))

    def test_two_namespaces_that_are_told(self):
        """127.0.0.1 of the one is not that of the other; other addresses may be met from both."""
        def ends(host, netns):
            client, server = host + ":5", host + ":6"
            return [self.event(1, "connect", fd=3, ret=0, sock=netns * 2, netns=netns,
                               local=client, peer=server, state="ESTABLISHED"),
                    self.event(2, "accept", fd=3, ret=4, sock=netns * 2 + 1, netns=netns,
                               local=server, peer=client, state="ESTABLISHED")]
        for host, joined in (("127.0.0.1", 4), ("192.0.2.1", 0)):
            lines = ends(host, 7) + ends(host, 8)
            told = self.report(self.write("%s.json" % host, lines))[0]["connections"]
            self.assertEqual((told["joined"], told["ambiguous"]), (joined, 4 - joined))
        # From a client in a container to a server in another one.
        across = [ends("192.0.2.1", 7)[0], ends("192.0.2.1", 8)[1]]
        told = self.report(self.write("across.json", across))[0]["connections"]
        self.assertEqual((told["joined"], told["ambiguous"]), (2, 0))


class Files(ReportCase):
    """Files of all kinds."""

    def test_many(self):
        """A log cut into more files than are open at a time, in any order."""
        path = self.live(REPORT=1)
        events = self.lines(path)
        parts = [self.write("parts/%d.json" % number, [event])
                 for number, event in enumerate(events)]
        self.assertGreater(len(parts), 70)
        report = self.report(*parts)
        self.assertEqual(self.report(*random.Random(1).sample(parts, len(parts))), report)
        self.assertEqual(self.figures(report[0]), counted(events))
        self.assertEqual(report[0]["connections"], self.report(path)[0]["connections"])

    def test_lines_out_of_order(self):
        """As far as a window reaches; what comes later is counted, and is where it is."""
        events = [dict(event, time="2026-11-24T17:02:11.%06dZ" % number)
                  for number, event in enumerate(self.lines(self.live(REPORT=1)))]
        same = self.report(self.write("log.json", events))
        random.Random(1).shuffle(events)
        told, text = self.report(self.write("log.json", events))
        self.assertEqual((told, text), same)
        self.assertEqual(told["left_out"]["late_lines"], 0)
        lines = [self.event(n) for n in range(5000)]
        for place, late in ((4000, 0), (4999, 1)):
            moved = lines[1:place + 1] + lines[:1] + lines[place + 1:]
            told, text = self.report(self.write("moved.json", moved))
            self.assertEqual((told["events"], told["left_out"]["late_lines"]), (5000, late))
            self.assertEqual(late, text.count("1 lines more than a second"))
        lines = [self.event(n * 100000 % 1000000, time="2026-11-24T17:02:%02d.%d00000Z" %
                            (n // 10, n % 10)) for n in range(40)]
        for place, late in ((8, 0), (14, 1)):
            moved = lines[1:place + 1] + lines[:1] + lines[place + 1:]
            told = self.report(self.write("moved.json", moved))[0]
            self.assertEqual(told["left_out"]["late_lines"], late, place)

    @timeout(60)
    def test_ten_thousand_files(self):
        """Rotated ones, of which few can be open at a time: as one that holds all."""
        lines, at = [], 0
        for number in range(1, 5001):
            port = number % 50000 + 1
            for sock, call, local, peer in ((2 * number, "connect", port, 1),
                                            (2 * number + 1, "accept", 1, port)):
                lines.append(self.event(at % 1000000, call, fd=3, ret=4, sock=sock,
                                        time="2026-11-24T17:%02d:%02d.000000Z" %
                                        (at // 60 % 60, at % 60), local="127.0.0.1:%d" % local,
                                        peer="127.0.0.1:%d" % peer, state="ESTABLISHED"))
            at += number % 3 == 0
        names = [self.write("all/%05d.json" % number, [line])
                 for number, line in enumerate(lines)]
        self.assertEqual(len(names), 10000)
        status, out, err = self.run_program(
            ["sh", "-c", 'cd "$1" && ulimit -n 128 && exec "$0" report --json *',
             paths.tool(), os.path.dirname(names[0])])
        self.assertEqual((status, err), (0, b""))
        told, one = json.loads(out), self.report(self.write("one.json", lines))[0]
        self.assertEqual(told["connections"], one["connections"])
        self.assertEqual(told["connections"]["joined"], 10000)

    def test_what_is_no_event(self):
        path = self.live()
        with open(path, "rb") as file:
            lines = file.readlines()
        strange = [b"server: listening\n", lines[0].replace(b'"v":1', b'"v":2'), b"\0\xff\n"]
        mixed = self.write("mixed.json", lines[:9] + strange + lines[9:] + [lines[0][:-30]])
        said = ("tcpshim report: %s: 1 event left out: of a call or version that this build does "
                "not know\ntcpshim report: %s: 3 lines left out: no event of libreuse\n"
                % (mixed, mixed)).encode()
        self.assertEqual(self.figures(self.report(mixed, said=said)[0]), counted(self.lines(path)))

    def test_a_file_that_is_written(self):
        log = self.log()
        p = self.puppet(log)
        p.begin("for _ in range(3000): socket.socket().close()")
        log.wait(lambda event: event["call"] == "close")
        before = len(log.read())
        report, _ = self.report_while_written(log.path)
        self.assertGreaterEqual(report["events"], before)
        p.result()
        self.assertEqual(self.report(log.path)[0]["events"], len(log.read()))

    def test_what_comes_later_keeps_nobody(self):
        """Read is what was there when the file was opened, and less than a buffer behind it."""
        lines = [self.event(n % 1000000) for n in range(100000)]
        path = self.write("much.json", lines)
        tool = self.start([paths.tool(), "report", "--json", path])
        folder = "/proc/%d/fd" % tool.pid

        def opened():
            try:
                return any(os.readlink(os.path.join(folder, name)) == path
                           for name in os.listdir(folder))
            except OSError:
                return tool.poll() is not None
        wait_until(opened, "the file to be opened")
        tool.send_signal(signal.SIGSTOP)
        with open(path, "ab") as file:
            file.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines[:20000]))
        tool.send_signal(signal.SIGCONT)
        report = json.loads(tool.communicate(timeout=60)[0])
        self.assertLess(report["events"], 102000)
        self.assertGreaterEqual(report["events"], 100000)

    def report_while_written(self, path):
        """The last line may be half there."""
        status, out, err = self.run_program([paths.tool(), "report", "--json", path])
        self.assertEqual(status, 0)
        self.assertRegex(err, rb"^(|tcpshim report: .*: 1 line left out: no event of libreuse\n)$")
        return json.loads(out), err

    def test_one_that_can_not_be_read(self):
        path = self.live()
        other = self.write("other", [b"no log\n"])
        for name, why in ((self.path("nothing"), "No such file or directory"),
                          (other, "neither a flight recorder nor a log in JSON")):
            said = ("tcpshim report: %s: %s\n" % (name, why)).encode()
            report, _ = self.report(path, name, status=1, said=said)
            self.assertEqual(self.figures(report), counted(self.lines(path)))
            self.assertEqual(self.run_program([paths.tool(), "report", name]), (1, b"", said))

    def test_progress_on_a_terminal(self):
        """Where it takes longer than a second; and then it is gone."""
        path = self.write("much.json", [self.event(n) for n in range(5000)])
        feeder = """
import sys, time
with open(sys.argv[1], "rb") as file: lines = file.read()
end = time.monotonic() + 1.5
while time.monotonic() < end: sys.stdout.buffer.write(lines)
"""
        text = self.run_on_terminal(
            ["sh", "-c", '"$0" -c "$1" "$2" | "$3" report -', paths.PYTHON, feeder, path,
             paths.tool()], environment())
        self.assertRegex(text, rb"^\rtcpshim report: \d+ events, \d+ of \d+ MB .*\r +\r$")
        self.assertEqual(self.run_on_terminal([paths.tool(), "report", path], environment()), b"")


class Hostile(ReportCase):
    """What somebody else has written."""

    def test_names_stay_text(self):
        for name in ("\x1b[2J\x07", "a\nFAKE 1", "<b>&\"'", "\u202e\u0085x", "%s%n"):
            path = self.write("hostile.json", [
                self.event(1, "bind", prog=name, fd=3, ret=-1, error="EADDRINUSE", sock=1,
                           local="0.0.0.0:80", state="CLOSED",
                           stack=[{"module": name, "offset": "0x1"}])])
            report, text = self.report(path)
            row, = report["wrong"]["failed_binds"]["rows"]
            self.assertEqual(row["prog"], name)
            self.assertNotIn("\nFAKE", text)
            self.assertRegex(text, r"\n          1  .*: bind 0\.0\.0\.0:80 EADDRINUSE\n")

    def test_counts_that_no_machine_has_counted(self):
        """Their sums stop at the end of the numbers, instead of beginning anew."""
        most = 2 ** 64 - 1
        path = self.write("most.json", [
            self.event(n, "listen", fd=3, ret=-1, error="EADDRINUSE", local="0.0.0.0:80",
                       repeated={"times": most, "over_ms": 18446744073708})
            for n in range(3)])
        report, text = self.report(path)
        self.assertEqual(report["all_calls"], most)
        self.assertEqual(report["wrong"]["failed_binds"]["rows"][0]["count"], most)
        self.assertEqual(report["wrong"]["storms"]["count"], most)
        self.assertIn("failed binds: 18,446,744,073,709,551,615", text)

    def test_a_host_with_a_long_name(self):
        """The text says how it begins and ends, and what stands behind it; --json has it whole."""
        name = "h" * 700 + "\x01" * 100 + "end"
        path = self.write("one.json", [
            self.event(1, "bind", fd=3, ret=-1, error="EADDRINUSE", local="0.0.0.0:80")])
        report, text = self.report("--host=%s=%s" % (name, path), path)
        self.assertIn(name, [row["host"] for row in report["wrong"]["failed_binds"]["rows"]])
        self.assertRegex(" ".join(text.split()),
                         r"server@h{18}\.\.\.\?{15}end: bind 0\.0\.0\.0:80 EADDRINUSE")

    def test_tables_are_bounded(self):
        """More programs, listeners and findings than there is room for: counted, and told."""
        lines = []
        for number in range(5000):
            name = "p%d" % number
            lines.append(self.event(number, "bind", prog=name, fd=3, ret=-1, error="EACCES",
                                    local="0.0.0.0:80"))
            lines.append(self.event(number, "listen", prog=name, fd=3, ret=0, sock=number + 1,
                                    args={"backlog": 5}, local="0.0.0.0:80", state="LISTEN"))
        report, text = self.report(self.write("many.json", lines))
        self.assertEqual(report["wrong"]["failed_binds"]["count"], 5000)
        self.assertEqual(len(report["wrong"]["failed_binds"]["rows"]), 4096)
        self.assertEqual(report["left_out"]["findings"], 904)
        self.assertEqual(report["left_out"]["listeners"], 5000 - len(report["listeners"]))
        self.assertEqual(report["open"], {"LISTEN": 5000})
        self.assertIn("for want of room: 904 findings", text)
        self.assertIn("1,024 programs or more", text)


class Narrowed(ReportCase):
    """--since, --program, --port, --state; and wrong usage."""

    def test_each(self):
        path = self.live()
        events = self.lines(path)
        port = next(event["local"] for event in events if event["call"] == "listen").split(":")[1]
        middle = events[len(events) // 2]["time"]
        since = middle[:19] + "Z"

        def names(event, port):
            return any(event.get(key, "").endswith(":" + port) for key in ("local", "peer"))

        def passes(event, state):
            return state in (event.get("was"), event.get("state"), *event.get("via", ()))
        for words, wanted in (
                (["--since=" + since], lambda event: event["time"] >= since[:-1]),
                (["--since=1d"], lambda event: True),
                (["--program=" + events[0]["prog"]], lambda event: True),
                (["--program=nosuch"], lambda event: False),
                (["--port=" + port], lambda event: names(event, port)),
                (["--state=CLOSE_WAIT"], lambda event: passes(event, "CLOSE_WAIT")),
                (["--state=LISTEN", "--port", port],
                 lambda event: passes(event, "LISTEN") and names(event, port))):
            report, _ = self.report(*words, path)
            passed = [event for event in events if wanted(event)]
            self.assertEqual(report["events"], len(passed), words)
            self.assertEqual(self.figures(report)[0], counted(passed)[0], words)
        whole = counted(events)[2]
        narrowed = self.figures(self.report("--state=CLOSE_WAIT", path)[0])[2]
        self.assertEqual(narrowed, {way: count for way, count in whole.items()
                                    if "CLOSE_WAIT" in way})

    def test_wrong_usage(self):
        for words in ([], ["--since=yesterday", "f"], ["--port=0", "f"], ["--port=x", "f"],
                      ["--state=OPEN", "f"], ["--program=", "f"], ["--host=a", "f"],
                      ["--html=", "f"], ["--trace"], ["--html=-", "--trace=-", "f"],
                      ["--json", "--diagram=-", "f"], ["--html", "f"],
                      ["--host==f"], ["--nosuch", "f"], ["--json=1", "f"], ["--since"]):
            status, out, err = self.run_program([paths.tool(), "report", *words])
            self.assertEqual((status, out, err.count(b"\n")), (2, b"", 1), words)
            self.assertIn(b"(see tcpshim report --help)", err)
        for word in ("--help", "-h", "--version", "-V"):
            status, out, err = self.run_program([paths.tool(), "report", word])
            self.assertEqual((status, err), (0, b""))
            self.assertLessEqual(max(map(len, re.split(rb"\n", out))), 80)
