# SPDX-License-Identifier: MIT
"""tcpshim report --trace: decoded by protoc, its slices held against the events."""

import collections
import datetime
import os
import re
import subprocess

from harness import paths
from harness.reports import ReportCase

PROTO = os.path.join(paths.ROOT, "tests", "data")


def ns_of(event):
    """An event's time, in nanoseconds."""
    at = datetime.datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    since = at - datetime.datetime(1970, 1, 1)
    return ((since.days * 86400 + since.seconds) * 1000000 + since.microseconds) * 1000


def parse(lines):
    """protoc's text as dicts of lists."""
    message = collections.defaultdict(list)
    for line in lines:
        line = line.strip()
        if line == "}":
            return message
        if line.endswith("{"):
            message[line[:-1].strip()].append(parse(lines))
        else:
            key, _, value = line.partition(": ")
            message[key].append(value.strip('"'))
    return message


class TraceCase(ReportCase):
    """What the tests of traces share."""

    def setUp(self):
        super().setUp()
        if not paths.find("protoc"):
            self.skipTest("no protoc")

    def trace(self, *words):
        """The packets; each holds known fields alone."""
        out = self.fresh("trace")
        self.assertEqual(self.run_program([paths.tool(), "report", "--trace", out, *words]),
                         (0, b"", b""))
        with open(out, "rb") as file:
            text = subprocess.run(["protoc", "--proto_path=" + PROTO, "trace.proto",
                                   "--decode=perfetto.protos.Trace"], stdin=file, check=True,
                                  stdout=subprocess.PIPE).stdout.decode()
        self.assertNotRegex(text, r"(?m)^ *\d+[:{ ]")
        return parse(iter(text.split("\n")))["packet"]

    def tracks(self, packets):
        """Each with its name, parent and events in order of time; described before they come."""
        tracks = {}
        self.assertEqual(packets[0]["sequence_flags"], ["1"])
        for packet in packets:
            self.assertEqual(packet["trusted_packet_sequence_id"], ["1"])
            for track in packet["track_descriptor"]:
                uuid, = track["uuid"]
                self.assertNotIn(uuid, tracks)
                for parent in track["parent_uuid"]:
                    self.assertIn(parent, tracks)
                tracks[uuid] = {"name": track["name"][0], "parent": track["parent_uuid"],
                                "events": []}
            for event in packet["track_event"]:
                tracks[event["track_uuid"][0]]["events"].append(
                    (int(packet["timestamp"][0]), event))
        for track in tracks.values():
            track["events"].sort(key=lambda event: event[0])
        return tracks

    def slices(self, track):
        """(category, name, from, to): they begin and end in turn, one after the other."""
        found, opened = [], None
        for at, event in track["events"]:
            kind, = event["type"]
            if kind == "TYPE_SLICE_BEGIN":
                self.assertIsNone(opened)
                opened = event["categories"][0], event["name"][0], at
            elif kind == "TYPE_SLICE_END":
                found.append(opened + (at,))
                opened = None
        self.assertIsNone(opened)
        return found


def socket_of(track):
    return int(track["name"].rpartition("#")[2])


def stays(events):
    """(state, from, to): as long as they prove it, by another way."""
    found = []
    for event in events:
        state, at = event["state"], ns_of(event)
        if found and found[-1][0] == state and not event.get("via"):
            found[-1][2] = at
            continue
        if found:
            began = at - event.get("dur_ns", 0)
            way = found[-1][0], (event.get("via") or [state])[0]
            if way in (("ESTABLISHED", "FIN_WAIT_1"), ("CLOSE_WAIT", "LAST_ACK")) or \
                    way[0] == "LISTEN":
                found[-1][2] = max(began, found[-1][2])
        found.append([state, at, at])
    return [tuple(stay) for stay in found]


class Traces(TraceCase):

    def test_slices_and_calls(self):
        """Of each socket, as its lines say them; and who is whose other end."""
        path = self.live(REPORT=1)
        events = self.lines(path)
        tracks = self.tracks(self.trace(path))
        by_sock = collections.defaultdict(list)
        for event in events:
            if "sock" in event:
                by_sock[event["sock"]].append(event)
        process, = [uuid for uuid, track in tracks.items() if not track["parent"]]
        self.assertEqual(tracks[process]["name"],
                         "%s [%d]" % (events[0]["prog"], events[0]["pid"]))
        self.assertEqual(len(tracks[process]["events"]),
                         sum("sock" not in event for event in events))
        socks = {socket_of(track): track for track in tracks.values() if track["parent"]}
        self.assertEqual(set(socks), set(by_sock))
        flows = collections.defaultdict(list)
        for sock, track in socks.items():
            self.assertEqual(track["parent"], [process])
            self.assertEqual([piece[1:] for piece in self.slices(track) if piece[0] == "state"],
                             stays(by_sock[sock]))
            calls = [(at, event["name"][0]) for at, event in track["events"]
                     if event["categories"] == ["call"]]
            self.assertEqual(calls, [
                (ns_of(event), " ".join(filter(None, (event["call"], event.get("error")))))
                for event in by_sock[sock]])
            passed = [event["name"][0] for _, event in track["events"]
                      if event["categories"] == ["passed"]]
            self.assertEqual(passed, ["(%s)" % state for event in by_sock[sock]
                                      for state in event.get("via", ())])
            for _, event in track["events"]:
                for flow in event["flow_ids"]:
                    flows[flow].append(sock)
        ends = collections.defaultdict(set)
        for event in events:
            if event.get("state") == "ESTABLISHED":
                ends[frozenset((event["local"], event["peer"]))].add(event["sock"])
        self.assertEqual(sorted(sorted(pair) for pair in flows.values()),
                         sorted(sorted(pair) for pair in ends.values()))

    def test_what_is_only_a_bound(self):
        path = self.write("t.json", [
            self.event(0, "socket", ret=3, sock=9, state="CLOSED"),
            self.event(1000, "connect", fd=3, ret=0, sock=9, local="127.0.0.1:5",
                       peer="127.0.0.1:6", was="CLOSED", via=["SYN_SENT"], state="ESTABLISHED"),
            self.event(2000, "shutdown", fd=3, ret=-1, error="EINVAL", sock=9,
                       was="ESTABLISHED", state="ESTABLISHED"),
            self.event(9000, "close", fd=3, ret=0, sock=9, was="ESTABLISHED",
                       via=["CLOSE_WAIT", "LAST_ACK"], state="TIME_WAIT", timer_ms=60000)])
        tracks = self.tracks(self.trace(path))
        track, = [track for track in tracks.values() if track["parent"]]
        self.assertEqual(track["name"], "127.0.0.1:5 with 127.0.0.1:6 #9")
        zero = ns_of({"time": "2026-11-24T17:02:11.000000Z"})
        ms = 1000000
        self.assertEqual(
            [(kind, name, (begin - zero) / ms, (end - zero) / ms)
             for kind, name, begin, end in self.slices(track)],
            [("state", "CLOSED", 0, 0), ("bound", "CLOSED, at most", 0, 1),
             ("state", "ESTABLISHED", 1, 2), ("bound", "ESTABLISHED, at most", 2, 9),
             ("state", "TIME_WAIT", 9, 9),
             ("timer", "TIME_WAIT, by its timer", 9, 60009)])

    def test_narrowed(self):
        """Of the sockets that are wanted, what was before as well."""
        path = self.live()
        events = self.lines(path)
        port = next(event["local"] for event in events if event["call"] == "bind").split(":")[1]
        tracks = self.tracks(self.trace("--port=" + port, "--state=CLOSE_WAIT", path))
        wanted = {event["sock"] for event in events
                  if "sock" in event and ":%s" % port in event.get("local", "") +
                  event.get("peer", "") and "CLOSE_WAIT" in
                  [event.get("was"), event.get("state")] + event.get("via", [])}
        self.assertTrue(wanted)
        self.assertEqual({socket_of(track) for track in tracks.values() if track["parent"]},
                         wanted)
        for track in tracks.values():
            if track["parent"]:
                calls = [event["name"][0] for _, event in track["events"]
                         if event["categories"] == ["call"]]
                self.assertEqual(calls, [event["call"] for event in events
                                         if event.get("sock") == socket_of(track)])

    def test_names_stay_text(self):
        """And what has no name yet is kept, until there is no room for it."""
        for name in ("\x1b[2J", "\ufffd\"\\n", "}"):
            lines = [self.event(n, "getsockopt", prog=name, fd=3, ret=0, sock=1, state="CLOSED")
                     for n in range(100)]
            tracks = self.tracks(self.trace(self.write("hostile.json", lines)))
            track, = [track for track in tracks.values() if track["parent"]]
            self.assertEqual(len([event for _, event in track["events"]
                                  if event["categories"] == ["call"]]), 100)
            parent = tracks[track["parent"][0]]["name"]
            self.assertRegex(parent, r"^[^\x00-\x1f]+ \[1\]$")

    def test_with_a_page(self):
        """Both at once say the same as each alone."""
        path = self.live(REPORT=1)
        alone = {}
        for option in ("html", "trace", "diagram"):
            alone[option] = self.path("alone." + option)
            self.run_program([paths.tool(), "report", "--%s=%s" % (option, alone[option]), path])
        words = ["--%s=%s" % (option, self.path("both." + option)) for option in alone]
        self.assertEqual(self.run_program([paths.tool(), "report", *words, path]), (0, b"", b""))
        for option, name in alone.items():
            with open(name, "rb") as one, open(self.path("both." + option), "rb") as other:
                self.assertEqual(one.read(), other.read())


class Kept(ReportCase):
    """What is in the file that is named."""

    def test_a_log_is_not_written_over(self):
        path = self.live()
        with open(path, "rb") as file:
            before = file.read()
        status, _, err = self.run_program([paths.tool(), "report", "--trace", path, path])
        self.assertEqual(status, 1)
        self.assertTrue(re.match(rb"tcpshim report: .*: is there, and nothing of the kind", err))
        with open(path, "rb") as file:
            self.assertEqual(file.read(), before)

    def test_a_text_is_not_written_over(self):
        """Not one that begins with the same byte, either; a trace is."""
        log, path = self.live(), self.path("todo.md")
        for text in (b"\nTODO list\n", b"\n", b"\n\x04"):
            with open(path, "wb") as file:
                file.write(text)
            status, _, err = self.run_program([paths.tool(), "report", "--trace", path, log])
            self.assertEqual((status, err.count(b"\n")), (1, 1), err)
            with open(path, "rb") as file:
                self.assertEqual(file.read(), text)
        os.unlink(path)
        first = self.path("first")
        for words in ((first,), (path,), (path,)):
            self.assertEqual(self.run_program([paths.tool(), "report", "--trace", *words, log]),
                             (0, b"", b""))
        with open(first, "rb") as one, open(path, "rb") as other:
            self.assertEqual(one.read(), other.read())

    def test_stays_where_nothing_is_read(self):
        log, path, bad = self.live(), self.path("trace"), self.path("bad")
        self.run_program([paths.tool(), "report", "--trace", path, log])
        with open(path, "rb") as file:
            before = file.read()
        self.assertTrue(before)
        with open(bad, "w") as file:
            file.write("no log\n")
        for words in ((bad,), (self.path("none"),)):
            status, _, _ = self.run_program([paths.tool(), "report", "--trace", path, *words])
            self.assertEqual(status, 1)
            with open(path, "rb") as file:
                self.assertEqual(file.read(), before)
