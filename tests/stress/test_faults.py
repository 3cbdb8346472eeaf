# SPDX-License-Identifier: MIT
"""Each system call that the shim makes fails, one at a time.

strace refuses it, at each place in the library from which the program of faults.c comes to it. The
program's answers stay the same; an event is as without the fault, or has less in it; and one that
is missing has a number, and is told of as lost.

TCPSHIM_FAULTS is how many places are tried with each log (10), spread over all; 0: each of them.
"""

import json
import os
import re
import socket
from collections import Counter, namedtuple

from harness import kernel, paths, strace
from harness.case import Case, environment, needs_root, shimmed, timeout

PLACES = int(os.environ.get("TCPSHIM_FAULTS", "10"))
# Passing errors, and some that last; what is not here fails with EIO.
ERRORS = {
    "getsockopt": ("ENOBUFS", "EPERM"), "setsockopt": ("EPERM", "ENOMEM"),
    "getsockname": ("ENOBUFS",), "getpeername": ("ENOBUFS", "ENOTCONN"),
    "socket": ("EMFILE", "EAFNOSUPPORT"), "sendto": ("EAGAIN", "ENOBUFS", "ECONNREFUSED"),
    "recvfrom": ("EAGAIN", "ENOBUFS", "EINTR"), "write": ("ENOSPC", "EIO", "EINTR", "EAGAIN"),
    "pwrite64": ("ENOSPC", "EIO", "EINTR"), "pwritev": ("ENOSPC", "EIO"),
    "pread64": ("EIO", "EINTR"), "openat": ("EMFILE", "EACCES", "ENOENT"),
    "statx": ("ENOSYS", "EIO", "ESTALE"), "fcntl": ("EMFILE", "EAGAIN", "EINTR"),
    "mmap": ("ENOMEM",), "munmap": ("EINVAL",), "madvise": ("EINVAL", "ENOMEM"),
    "close": (),  # strace would keep it from closing, which no error does
    "getdents64": ("EIO", "EINTR"), "readlink": ("EACCES",),
    "readlinkat": ("EACCES",), "read": ("EIO", "EINTR"), "prlimit64": ("EPERM",),
    "getrlimit": ("EPERM",), "setrlimit": ("EPERM",), "rt_sigprocmask": ("EINVAL",),
    "ppoll": ("EINTR", "EINVAL"), "gettid": ("ENOSYS",), "getpid": ("ENOSYS",),
    "fallocate": ("ENOSPC", "EOPNOTSUPP", "EINTR"), "prctl": ("EPERM",), "sigaltstack": ("EPERM",),
    "capget": ("EPERM",), "geteuid": ("ENOSYS",), "connect": ("ECONNREFUSED",),
}
# What differs from run to run.
APART = ("time", "pid", "tid", "seq", "sock", "netns", "dur_ns", "timer_ms", "v", "prog")

LINE = re.compile(r"^\[([0-9a-f]+)\] (\w+)\((.*)$")

# name: the system call's; nth: of that name in the process; at: where in the library.
Place = namedtuple("Place", "name nth at")


class Reader:
    """Takes datagrams: in the end, for the queue is long enough."""

    def __init__(self, path):
        with open("/proc/sys/net/unix/max_dgram_qlen", "w") as file:
            file.write("512")
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._sock.bind(path)
        self._sock.setblocking(False)

    def end(self):
        """All that came."""
        lines = []
        while True:
            try:
                lines.append(self._sock.recv(8192))
            except BlockingIOError:
                self._sock.close()
                return lines


class Trace:
    """What the library itself asked, by where the instruction was."""

    def __init__(self, path):
        self.places, self._parts, self._fd = [], [], None
        count = Counter()
        with open(path, errors="replace") as file:
            for line in file:
                found = LINE.match(line)
                if not found:
                    continue
                ip, name, rest = int(found.group(1), 16), found.group(2), found.group(3)
                count[name] += 1
                self._map(name, rest)
                if any(start <= ip < end for start, end in self._parts):
                    self.places.append(Place(name, count[name], ip - self._parts[0][0]))

    def _map(self, name, rest):
        """Where the dynamic linker puts the library."""
        value = rest.rpartition("= ")[2].split(" ")[0].strip()
        if name == "openat" and os.path.basename(paths.library()) in rest:
            self._fd = value
        elif name == "close" and self._fd and rest.startswith(self._fd + ")"):
            self._fd = None
        elif name == "mmap" and self._fd and ", %s, " % self._fd in rest:
            start = int(value, 16)
            self._parts.append((start, start + int(rest.split(", ")[1])))


def part_of(event, port):
    """An event as it is in each run; ports that the kernel chose have no number."""
    def same(value):
        if isinstance(value, dict):
            return {key: same(of) for key, of in value.items() if key not in APART}
        if isinstance(value, list):
            return [same(of) for of in value if of != "FIN_WAIT_1"]
        if value == "FIN_WAIT_2":
            return "FIN_WAIT_1"  # has the acknowledgement come?
        if isinstance(value, str):
            return re.sub(r":(\d+)$",
                          lambda found: found.group() if int(found.group(1)) == port else ":*",
                          value)
        return value
    kept = same(event)
    kept["via"] = kept.get("via", [])
    kept["notes"] = {note["code"] for note in event.get("notes", ())} - {"lost-events"}
    kept["notes"].discard("reuse-enabled")  # what the first bind could not do, the second does
    return kept


def lost(event):
    """How many events it says are lost."""
    return sum(note["events"] for note in event.get("notes", ()) if note["code"] == "lost-events")


def is_other(one, event):
    """Is it another call of the story?"""
    return any(one.get(key) != event.get(key) for key in ("call", "fd", "ret", "error"))


def is_part(got, whole, event):
    """Is it the same, or with something left out?"""
    if isinstance(got, set):
        return got <= whole
    if isinstance(got, dict) and isinstance(whole, dict):
        return all(is_part(value, whole.get(key), whole) for key, value in got.items())
    if isinstance(got, list):
        # A state that is left out may show that it was one on the way.
        rest = iter((whole or []) + [event.get("state")])
        return all(state in rest for state in got)
    return got == whole


@timeout(60 + (len(ERRORS) * 3 * 20 if not PLACES else PLACES * 20))
class Faults(Case):

    def setUp(self):
        super().setUp()
        if strace.available():
            self.skipTest(strace.available())
        self.story = os.path.join(paths.OUT, "tests", "stress", "faults")
        if not os.access(self.story, os.X_OK):
            self.skipTest("faults is not built")
        if "-" in os.path.basename(paths.OUT).replace("check-", ""):
            self.skipTest("a sanitizer asks the kernel as well")
        if os.geteuid() == 0:
            kernel.unshare(kernel.CLONE_NEWNET)
            kernel.loopback_up()
        self.port_number = self.port()
        self.trace = self.path("trace")

    def run_story(self, kind, fault=None):
        """Its answers, what it said on standard error, and the events."""
        path = self.fresh("log")
        reader = Reader(path) if kind == "unix:" else None
        size = ":64K" if kind == "ring:" else ""
        env = shimmed(LOG=kind + path + size, FORMAT="json")
        command = ["strace", "-i", "-q", "-o", self.trace]
        command += ["-e", "inject=" + fault] if fault else []
        for key in sorted(env):
            if os.environ.get(key) != env[key]:
                command += ["-E", "%s=%s" % (key, env[key])]
        status, out, err = self.run_program(command + [self.story, str(self.port_number)],
                                            environment())
        self.assertEqual(status, 0, err)
        return out.decode(), err.decode(), [json.loads(line) for line in self.lines(path, reader)]

    def lines(self, path, reader):
        if reader:
            return reader.end()
        if not os.path.exists(path):
            return []
        with open(path, "rb") as file:
            data = file.read()
        if data.startswith(b"{") or not data:
            return data.splitlines()
        _, out, _ = self.run_program([paths.tool(), "dump", "--format", "json", path])
        return out.splitlines()

    def know(self, kind):
        """What each event can be without a fault, and the places."""
        runs = [self.run_story(kind) for _ in range(4)]
        answers = runs[0][0]
        allowed = []
        for out, err, events in runs:
            self.assertEqual((out, err), (answers, ""))
            self.assertEqual([event["seq"] for event in events], list(range(1, len(events) + 1)))
            allowed.append([part_of(event, self.port_number) for event in events])
        self.assertEqual(len({len(run) for run in allowed}), 1)
        return answers, list(zip(*allowed)), Trace(self.trace).places

    def hold_against(self, event, allowed, lost_some):
        """What an event says is true: what it would say without the fault, or less."""
        got = part_of(event, self.port_number)
        for key in got:
            if key == "was" and lost_some:
                continue  # what the last event ended with that there was
            self.assertTrue(any(is_part(got[key], one.get(key), one) for one in allowed),
                            "%s of %s is none of %s" % (key, event,
                                                        [one.get(key) for one in allowed]))

    def check(self, kind, fault, answers, allowed):
        """An event has its place in the story by its number, but for those of the shim itself."""
        out, err, events = self.run_story(kind, fault)
        self.assertEqual(out, answers)
        if err:
            self.assertRegex(err, r"\Alibreuse: .*\n\Z")
        if "nothing is" in err:
            self.assertEqual(events, [])
            return
        story = [versions for versions in allowed if "by" not in versions[0]]
        at, seq, missing, gap = 0, 0, 0, 0
        for event in events:
            gap += event["seq"] - seq - 1
            missing += event["seq"] - seq - 1
            seq = event["seq"]
            if "by" in event:
                continue
            # As many may be missing as numbers are, which the shim's own have, too.
            while gap and at < len(story) and is_other(story[at][0], event):
                at, gap = at + 1, gap - 1
            self.assertLess(at, len(story), event)
            self.assertFalse(is_other(story[at][0], event), (story[at][0], event))
            self.hold_against(event, story[at], missing)
            at += 1
        self.assertEqual(at, len(story), "the log has come to an end: %s" % err)
        self.assertEqual(sum(lost(event) for event in events), missing)

    def few_of_each(self, places):
        """Where the program comes to a place again and again: the first, second, middle time."""
        times = {}
        for place in places:
            times.setdefault((place.name, place.at), []).append(place)
        return sorted({at[i] for at in times.values() for i in {0, min(1, len(at) - 1),
                                                                 len(at) // 2}})

    def with_each(self, kind):
        answers, allowed, places = self.know(kind)
        places = self.few_of_each(places)
        wrong = []
        for place in places[::max(1, len(places) // PLACES) if PLACES else 1]:
            errors = ERRORS.get(place.name, ("EIO",))
            for error in errors[:1] if PLACES else errors:
                fault = "%s:error=%s:when=%d" % (place.name, error, place.nth)
                try:
                    self.check(kind, fault, answers, allowed)
                except AssertionError as failure:
                    wrong.append("%s at 0x%x: %s" % (fault, place.at, failure))
        self.assertEqual(wrong, [], "\n\n".join(wrong))

    def test_a_file(self):
        self.with_each("")

    def test_the_recorder(self):
        self.with_each("ring:")

    @needs_root
    def test_a_socket(self):
        self.with_each("unix:")
