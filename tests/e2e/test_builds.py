# SPDX-License-Identifier: MIT
"""Recorders of other builds of libreuse: read by their description, and left as they are.

In OtherBuilds the other one is a writer here: of include/reuse/ring.h it knows what that file says,
and of events what it likes. Its layout is that of no build that there was: 32-bit numbers where
this one has 64, another order of members, calls, notes and states, and some of each that nobody
knows. In TwoBuilds it is made by the compiler, of a copy of the sources that says other things.
"""

import json
import os
import re
import struct

from harness import contract, paths
from harness.case import Case, shimmed, timeout
from harness.trees import Trees

MASK = (1 << 64) - 1
TIMES, DATA, SIZE, CHUNK = 4096, 12288, 65536, 4096
MAKE = "import socket; socket.socket().close()"

# path: where, and as what
MEMBERS = {
    "pid": (0, "i"), "call": (4, "B"), "has_fd": (5, "?"), "has_ret": (6, "?"),
    "has_sock": (7, "?"), "time_ns": (8, "Q"), "seq": (16, "Q"), "notes": (24, "I"),
    "args.fcntl.newfd": (28, "i"), "args.fcntl.command": (32, "i"), "has_args": (36, "?"),
    "ret": (40, "i"), "error": (44, "i"), "fd": (48, "i"), "tid": (52, "i"), "prog": (56, "16s"),
    "sock.state": (72, "B"), "sock.was": (73, "B"), "sock.n_via": (74, "B"),
    "sock.via": (75, "4s"), "sock.cookie": (80, "Q"), "figures.lost": (88, "I"),
    "figures.novelty": (92, "I"), "dur_ns": (96, "Q"),
    "figures.closed_by": (104, "i"), "figures.closed_call": (108, "B"),
}
CALLS = ("novel", "fcntl", "bind", "close")
NOTES = ("novel-note", "lost-events", "half-closed", "double-close")
STATES = ("LISTEN", "NOVEL", "ESTABLISHED", "CLOSED")
EVENT = 112


def checksum(words, value=14695981039346656037):
    """Of bytes, as the words that they are."""
    for word, in struct.iter_unpack("Q", words):
        value = (value ^ word) * 1099511628211 & MASK
        value ^= value >> 32
    return value


def description(members=None):
    rows = b"".join(struct.pack("<HB", at, struct.calcsize("<" + form)) + path.encode() + b"\0"
                    for path, (at, form) in (MEMBERS if members is None else members).items())
    names = b"".join(b"".join(name.encode() + b"\0" for name in names) + b"\0"
                     for names in (CALLS, NOTES, STATES))
    return (rows + bytes(4) + names).ljust(TIMES - 56, b"\0")


def head(described, version=2):
    fields = struct.pack("16sIIQQQ", b"libreuse ring\n", version, (SIZE - DATA) // CHUNK,
                         checksum(described), SIZE, CHUNK)
    return fields + struct.pack("Q", checksum(fields)) + described


def record(**values):
    event = bytearray(EVENT)
    for name, value in values.items():
        at, form = MEMBERS[name.replace("__", ".")]
        struct.pack_into("<" + form, event, at, value)
    body = bytes(event) + bytes(-(16 + EVENT) % 16)
    first = struct.pack("IHH", 0x72636e65, 16 + len(body), EVENT)
    return first + struct.pack("Q", checksum(first + body)) + body


def ring(described, *records, version=2):
    return (head(described, version) + struct.pack("Q", 2).ljust(DATA - TIMES, b"\0")
            + b"".join(records)).ljust(SIZE, b"\0")


def event(seq, call, **values):
    """One that worked, on descriptor 3."""
    usual = {"seq": seq, "time_ns": 1700000000 * 10 ** 9 + seq * 1000, "pid": 42, "tid": 43,
             "prog": b"elder", "call": CALLS.index(call), "has_fd": True, "fd": 3, "has_ret": True,
             "has_sock": True, "sock__cookie": 17, "sock__state": 4, "dur_ns": 5}
    return record(**dict(usual, **values))


# What writes a recorder as this build does, of 32 bits too.
NARROW = ("tests/data/narrow_ring.c", "shim/log/record.c", "shim/facts/callsite.c",
          "shim/facts/description.c", "shim/facts/event_shape.c", "shim/facts/frames.c",
          "shim/facts/ring_file.c")


class OtherBuilds(Case):
    """A program of this build, or tcpshim, at another one's recorder."""

    def write(self, content, name="elder.ring"):
        with open(self.path(name), "wb") as file:
            file.write(content)
        return self.path(name)

    def dump(self, path):
        status, out, err = self.run_program([paths.tool(), "dump", "--json", path])
        return status, [contract.parse(line) for line in out.splitlines(True)], err.decode()

    def test_is_read_by_name(self):
        path = self.write(ring(
            description(),
            event(1, "fcntl", has_args=True, args__fcntl__newfd=-2, args__fcntl__command=0, ret=-1,
                  error=22, sock__was=3),
            event(2, "novel"),
            event(3, "bind", notes=0b011, figures__lost=7, figures__novelty=9),
            event(4, "close", sock__was=4, sock__n_via=2, sock__via=bytes((1, 3))),
            event(5, "close", sock__was=2, sock__n_via=2, sock__via=bytes((1, 2))),
            *(event(seq, "close", ret=-1, error=9, notes=0b1010, figures__lost=1, has_sock=False,
                    sock__cookie=0, sock__state=0, figures__closed_by=44,
                    figures__closed_call=CALLS.index(by))
              for seq, by in ((6, "close"), (7, "novel")))))
        status, events, err = self.dump(path)
        self.assertEqual((status, [one["seq"] for one in events]), (0, [1, 3, 4, 5, 6]))
        self.assertEqual(err, "tcpshim dump: %s: 2 events left out: of a call that this build "
                         "does not know\n" % path)
        expected = {"v": 1, "pid": 42, "tid": 43, "prog": "elder", "fd": 3, "sock": 17,
                    "state": "CLOSED", "dur_ns": 5}
        for one in events[:4]:
            self.assertEqual({key: one[key] for key in expected}, expected)
        first, third, fourth, fifth, sixth = events
        self.assertEqual(first["time"], "2023-11-14T22:13:20.000001Z")
        self.assertEqual((first["call"], first["ret"], first["error"], first["was"]),
                         ("fcntl", -1, "EINVAL", "ESTABLISHED"))
        self.assertEqual(first["args"], {"command": "F_DUPFD", "newfd": -2})
        self.assertEqual([(note["code"], note["events"]) for note in third["notes"]],
                         [("lost-events", 7)])
        self.assertEqual((fourth["was"], fourth["via"]), ("CLOSED", ["LISTEN", "ESTABLISHED"]))
        for key in ("was", "via"):    # of a state that has no name here
            self.assertNotIn(key, fifth)
        self.assertEqual(sorted(self.notes(sixth)), ["double-close", "lost-events"])
        self.assertEqual(sixth["notes"][0]["by_call"], "close")

    def test_is_not_read_wrongly(self):
        described = description()
        less = {path: what for path, what in MEMBERS.items() if path != "time_ns"}
        for content in (ring(description(less), event(1, "bind")),
                        ring(described.replace(b"time_ns", b"time_nt"), event(1, "bind")),
                        ring(b"\xff" * len(described), event(1, "bind")),
                        ring(bytes(len(described)), event(1, "bind")),
                        ring(described, event(1, "bind")).replace(b"novel-note", b"novel-nota"),
                        ring(described, event(1, "bind"), version=3)):
            status, events, err = self.dump(self.write(content))
            self.assertEqual((status, events), (2, []))
            self.assertIn("a flight recorder of another version of libreuse", err)
        status, events, err = self.dump(self.write(ring(described, version=1)))
        self.assertEqual((status, events), (2, []))
        self.assertIn("does not describe itself", err)

    def test_stays_and_is_recorded_beside(self):
        elder = ring(description(), event(1, "bind"), event(2, "close"))
        path = self.write(elder)
        command = [paths.PYTHON, "-c", MAKE]
        env = shimmed(LOG="ring:%s:64K" % path)
        status, _, err = self.run_program(command, env)
        self.assertEqual(status, 0)
        told = re.fullmatch(r"libreuse: TCPSHIM_LOG=ring:(\S+): recording into this file, because "
                            r"the one without (\.[0-9a-f]{8}) is another build's, and left as it "
                            r"is\n", err.decode())
        self.assertTrue(told, err)
        self.assertEqual(told.group(1), path + told.group(2))
        status, _, err = self.run_program(command, env)
        self.assertEqual((status, err), (0, b""))    # told once
        with open(path, "rb") as file:
            self.assertEqual(file.read(), elder)

        status, events, err = self.dump(path)
        self.assertEqual((status, [one["call"] for one in events]), (0, ["bind", "close"]))
        self.assertEqual(err, "tcpshim dump: %s: another build recorded into %s\n"
                         % (path, told.group(1)))
        status, events, err = self.dump(told.group(1))
        self.assertEqual((status, [one["call"] for one in events], err),
                         (0, ["socket", "close"] * 2, ""))
        for name in os.listdir(os.path.dirname(path)):
            if name.startswith("elder"):
                os.unlink(os.path.join(os.path.dirname(path), name))

    def test_one_of_before_the_description(self):
        elder = head(description(), version=1)[:56].ljust(SIZE, b"\0")
        path = self.write(elder)
        status, _, err = self.run_program([paths.PYTHON, "-c", MAKE], shimmed(LOG="ring:" + path))
        self.assertEqual(status, 0)
        self.assertIn(b"another build's", err)
        with open(path, "rb") as file:
            self.assertEqual(file.read(), elder)

    def test_the_head_of_this_build(self):
        """It tells of each event what the events have."""
        log = self.ring("own", "64K")
        self.puppet(log)(MAKE)
        with open(log.path, "rb") as file:
            content = file.read(TIMES)
        self.assertEqual(struct.unpack_from("Q", content, 24)[0], checksum(content[56:]))
        at, members = 56, {}
        while content[at + 3]:
            place, size = struct.unpack_from("<HB", content, at)
            path = content[at + 3:content.index(b"\0", at + 3)]
            members[path.decode()] = (place, size)
            at += 4 + len(path)
        self.assertEqual([members[path][1] for path in ("time_ns", "notes", "call")], [8, 8, 1])
        lists = content[at + 4:].split(b"\0\0")
        self.assertEqual(lists[2].decode().split("\0"), list(contract.STATES))
        self.assertLessEqual(set(contract.CALLS), set(lists[0].decode().split("\0")))
        self.assertEqual(sorted(lists[1].decode().split("\0")), sorted(contract.NOTES))

    @timeout(120)
    def test_one_of_32_bits_is_read_as_this_one(self):
        """Of the same sources: the same description, and the same events."""
        lines, fronts = [], []
        for word in ("-m32", "-m64"):
            writer, path = self.path("writer" + word), self.path("ring" + word)
            sources = [os.path.join(paths.ROOT, name) for name in NARROW]
            status, _, err = self.run_program(
                ["gcc", word, "-std=gnu11", "-D_GNU_SOURCE", "-Wno-psabi",
                 *("-I" + os.path.join(paths.ROOT, name) for name in ("include", "shim")),
                 "-o", writer, *sources]) if paths.find("gcc") else (1, b"", b"no gcc")
            if status and word == "-m32":
                self.skipTest("gcc makes nothing of 32 bits here: " + err.decode()[-200:])
            self.assertEqual((status, err), (0, b""))
            status, size, err = self.run_program([writer, path])
            self.assertEqual((status, err), (0, b""))
            status, events, err = self.dump(path)
            self.assertEqual((status, err), (0, ""))
            lines.append((events, int(size)))
            with open(path, "rb") as file:
                fronts.append(file.read(4096))
        self.assertEqual(*fronts)
        (narrow, narrow_size), (wide, wide_size) = lines
        self.assertEqual(narrow_size, wide_size)
        self.assertEqual(narrow, wide)
        self.assertEqual([one["call"] for one in narrow], ["fcntl", "dup2", "close"])
        self.assertEqual(narrow[0]["args"], {"command": "F_DUPFD", "newfd": -2})
        self.assertEqual(narrow[1]["closed"], {"fd": 7, "sock": 18, "state": "TIME_WAIT"})
        self.assertEqual([note.get("events") for note in narrow[2]["notes"]], [None, 1 << 34])


# What the other build's sources say: (file, what stands there once, what in its place).
HOOK = """/* getpeername.c - a hook that this build alone has. */
#include "hooks/hook.h"
#include "log/log.h"
#include "observe/event.h"
#include "observe/observe.h"

HOOK int getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct event ev;
	int rc, err;

	event_begin(&ev, CALL_getpeername, fd);
	rc = libc.getpeername(fd, addr, len);
	err = hook_error(rc);
	event_end(&ev, rc, err);
	if (observe_call(&ev, fd))
		event_emit(&ev);
	return hook_result(rc, err);
}
"""
KERNEL = """static int kernel_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return (int)libc.syscall(SYS_getpeername, fd, addr, len);
}

"""
BACKLOG = "NOTE(BACKLOG_CUT, \"backlog-cut\", FIGURES)\n"
HALF_CLOSED = "NOTE(HALF_CLOSED, \"half-closed\", PLAIN)\n"
NO_WIRE_EFFECT = "NOTE(NO_WIRE_EFFECT, \"no-wire-effect\", PLAIN)\n"
EDITS = (
    # A call more, before all others, and two that have changed places.
    ("include/reuse/calls.def", "CALL(socket, ",
     "CALL(getpeername, NOTHING, NOTHING)\nCALL(socket, "),
    ("include/reuse/calls.def", "CALL(bind, NOTHING, HOLDERS)\nCALL(listen, BACKLOG, HOLDERS)\n",
     "CALL(listen, BACKLOG, HOLDERS)\nCALL(bind, NOTHING, HOLDERS)\n"),
    ("shim/libreuse.map", "socket;", "socket; getpeername;"),
    ("shim/hooks/libc.c", "/* A call without", KERNEL + "/* A call without"),
    # A note more with a figure, and two that have changed places.
    ("include/reuse/notes.def", BACKLOG,
     "NOTE(NOVEL, \"novel-note\", FIGURES)\nSHOWS(NOVEL, novelty, NUMBER, figures.novelty)\n"
     + BACKLOG),
    ("include/reuse/notes.def", HALF_CLOSED + NO_WIRE_EFFECT, NO_WIRE_EFFECT + HALF_CLOSED),
    ("include/reuse/figures.def", "FIGURE(wide_t, lost, NUMBER)",
     "FIGURE(uint64_t, novelty, NUMBER)\nFIGURE(wide_t, lost, NUMBER)"),
    ("shim/log/note_text.c", "	case NOTE_BACKLOG_CUT:",
     "	case NOTE_NOVEL:\n		out_str(out, \"a novelty\");\n		return;\n	case NOTE_BACKLOG_CUT:"),
    ("shim/hooks/listen.c", "	policy_note(&ev, policy);",
     "	policy_note(&ev, policy);\n	ev.notes |= NOTE_BIT(NOTE_NOVEL);\n	ev.figures.novelty = 9;"),
    # A member more, one elsewhere, and one of another size.
    ("include/reuse/event.h", "	wide_t began_ns;", "	uint32_t novel;\n	wide_t began_ns;"),
    ("include/reuse/event.h", "	wide_t seq;\n", ""),
    ("include/reuse/event.h", "	union event_args args;", "	wide_t seq;\n	union event_args args;"),
    ("include/reuse/event.h", "	int backlog; /* listen */", "	long backlog;"),
    ("cli/events/event_json.c", "take_i32(json, args, \"backlog\", &ret->args.backlog)",
     "take_unsigned(json, args, \"backlog\", &ret->args.backlog, sizeof(long))"),
    ("include/reuse/members.def", "MEMBER(EVENT, time_ns,",
     "MEMBER(EVENT, novel, NUMBER)\nMEMBER(EVENT, time_ns,"),
)

STORY = """
import ctypes, os, socket
l = socket.socket()
l.bind(("127.0.0.1", 0))
l.listen(2000000000)
c = socket.create_connection(l.getsockname())
a, _ = l.accept()
c.getpeername()
c.shutdown(socket.SHUT_WR)
c.shutdown(socket.SHUT_RD)
os.dup2(c.fileno(), 77)
c.close()
a.close()
os.close(77)
l.close()
"""
CALLED = ("socket", "bind", "listen", "socket", "connect", "accept4", "getpeername",
          "shutdown", "shutdown", "dup2", "close", "close", "close", "close")
MANY = 300
RUSH = "import socket\nfor _ in range(%d): socket.socket().close()" % MANY


class Build:
    """A library and its tool."""

    def __init__(self, library, tool):
        self.library, self.tool = library, tool


class TwoBuilds(Trees, Case):
    """This build, and one with other calls, notes, members and orders of them."""

    def setUp(self):
        super().setUp()
        self.one = Build(paths.preload(), paths.tool())
        folder = self.tree("other")
        with open(os.path.join(folder, "shim/hooks/getpeername.c"), "w") as file:
            file.write(HOOK)
        for name, old, new in EDITS:
            self.edit(os.path.join(folder, name), old, new)
        self.make(folder, "CFLAGS=-O0 -w")  # a member is wider than what is made of it
        self.other = Build(os.path.join(folder, "libreuse.so"), os.path.join(folder, "tcpshim"))

    def edit(self, path, old, new):
        with open(path) as file:
            text = file.read()
        self.assertEqual(text.count(old), 1, "%r in %s" % (old, path))
        with open(path, "w") as file:
            file.write(text.replace(old, new))

    def recording(self, build, path):
        return dict(shimmed(LOG="ring:%s:1M" % path), LD_PRELOAD=build.library)

    def recorded(self, build, name):
        """What it has recorded of the story."""
        path = self.path(name)
        status, _, err = self.run_program([paths.PYTHON, "-c", STORY], self.recording(build, path))
        self.assertEqual((status, err), (0, b""))
        return path

    def dump(self, build, path):
        status, out, err = self.run_program([build.tool, "dump", "--json", path])
        self.assertEqual(status, 0, err)
        return [json.loads(line) for line in out.splitlines()], err.decode()

    def check_story(self, events, called):
        """By what is known without any reader: the program, and the kernel."""
        self.assertEqual([one["call"] for one in events], called)
        by_call = {}
        for one in events:
            by_call.setdefault(one["call"], []).append(one)
        bound, listening = by_call["bind"][0], by_call["listen"][0]
        with open("/proc/sys/net/core/somaxconn") as file:
            most = int(file.read())
        self.assertEqual(listening["args"], {"backlog": 2000000000})
        cut = [note for note in listening["notes"] if note["code"] == "backlog-cut"]
        self.assertEqual([(note["asked"], note["somaxconn"]) for note in cut],
                         [(2000000000, most)])
        self.assertEqual((listening["state"], listening["was"]), ("LISTEN", "CLOSED"))
        self.assertEqual(by_call["connect"][0]["peer"], bound["local"])
        self.assertEqual([self.notes(one) for one in by_call["shutdown"]],
                         [["half-closed"], ["no-wire-effect"]])
        self.assertEqual(by_call["dup2"][0]["args"], {"newfd": 77})
        for one in events:
            self.assertEqual(one["prog"], os.path.basename(paths.PYTHON)[:15])
        return listening

    @timeout(300)
    def test_each_reads_the_other_by_name(self):
        path = self.recorded(self.one, "one.ring")
        events, err = self.dump(self.one, path)
        self.check_story(events, [call for call in CALLED if call != "getpeername"])
        self.assertEqual((self.dump(self.other, path), err), ((events, ""), ""))

        path = self.recorded(self.other, "other.ring")
        events, err = self.dump(self.other, path)
        listening = self.check_story(events, list(CALLED))
        self.assertEqual(self.notes(listening), ["novel-note", "backlog-cut"])
        self.assertEqual((listening["notes"][0]["novelty"], err), (9, ""))
        # What this build has no name for is left out, and nothing else.
        known = [one for one in events if one["call"] != "getpeername"]
        del listening["notes"][0]
        self.assertEqual(self.dump(self.one, path),
                         (known, "tcpshim dump: %s: 1 event left out: of a call that this build "
                          "does not know\n" % path))

    @timeout(300)
    def test_both_on_one_path_lose_nothing(self):
        """Which of them makes the file there, and which the one beside, the start decides."""
        for attempt in range(4):
            path = self.path("both%d.ring" % attempt)
            pair = [(build, self.puppet(env=self.recording(build, path), silent=False))
                    for build in (self.one, self.other)]
            for _, puppet in pair:
                puppet.begin(RUSH)
            for _, puppet in pair:
                puppet.result()
                self.assertEqual(puppet.close(), 0)
            beside = [name for name in os.listdir(self.folder)
                      if name.startswith(os.path.basename(path) + ".")]
            said = sorted(puppet.error() for _, puppet in pair)
            self.assertEqual((len(beside), said[0]), (1, b""))
            self.assertRegex(said[1].decode(), r"^libreuse: TCPSHIM_LOG=ring:%s: [^\n]*\n$"
                             % re.escape(self.path(beside[0])))
            seen = {}
            for build, _ in pair:
                for name in (path, self.path(beside[0])):
                    events, err = self.dump(build, name)
                    self.assertEqual(err, "" if name != path else
                                     "tcpshim dump: %s: another build recorded into %s\n"
                                     % (path, self.path(beside[0])))
                    self.assertEqual([one["seq"] for one in events], list(range(1, 2 * MANY + 1)))
                    self.assertEqual([one["call"] for one in events], ["socket", "close"] * MANY)
                    seen.setdefault(name, []).append(events)
            for events in seen.values():
                self.assertEqual(events[0], events[1])
            self.assertEqual({events[0][0]["pid"] for events in seen.values()},
                             {puppet.pid for _, puppet in pair})
