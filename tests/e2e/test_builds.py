"""Recorders of other builds of libreuse: read by their description, and left as they are.

The other build is a writer here: of include/reuse/ring.h it knows what that file says, and of
events what it likes. Its layout is that of no build that there was: 32-bit numbers where this one
has 64, another order of members, calls, notes and states, and some of each that nobody knows.
"""

import os
import re
import struct

from harness import contract, paths
from harness.case import Case, shimmed

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
}
CALLS = ("fcntl", "novel", "bind", "close")
NOTES = ("novel-note", "lost-events", "half-closed")
STATES = ("LISTEN", "NOVEL", "ESTABLISHED", "CLOSED")
EVENT = 104


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
    return record(seq=seq, time_ns=1700000000 * 10 ** 9 + seq * 1000, pid=42, tid=43,
                  prog=b"elder", call=CALLS.index(call), has_fd=True, fd=3, has_ret=True,
                  has_sock=True, sock__cookie=17, sock__state=4, dur_ns=5, **values)


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
            event(5, "close", sock__was=2, sock__n_via=2, sock__via=bytes((1, 2)))))
        status, events, err = self.dump(path)
        self.assertEqual((status, [one["seq"] for one in events]), (0, [1, 3, 4, 5]))
        self.assertEqual(err, "tcpshim dump: %s: 1 event left out: of a call that this build "
                         "does not know\n" % path)
        expected = {"v": 1, "pid": 42, "tid": 43, "prog": "elder", "fd": 3, "sock": 17,
                    "state": "CLOSED", "dur_ns": 5}
        for one in events:
            self.assertEqual({key: one[key] for key in expected}, expected)
        first, third, fourth, fifth = events
        self.assertEqual(first["time"], "2023-11-14T22:13:20.000001Z")
        self.assertEqual((first["call"], first["ret"], first["error"], first["was"]),
                         ("fcntl", -1, "EINVAL", "ESTABLISHED"))
        self.assertEqual(first["args"], {"command": "F_DUPFD", "newfd": -2})
        self.assertEqual([(note["code"], note["events"]) for note in third["notes"]],
                         [("lost-events", 7)])
        self.assertEqual((fourth["was"], fourth["via"]), ("CLOSED", ["LISTEN", "ESTABLISHED"]))
        for key in ("was", "via"):    # of a state that has no name here
            self.assertNotIn(key, fifth)

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
