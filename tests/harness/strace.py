# SPDX-License-Identifier: MIT
"""strace as the oracle: what calls a program made on TCP sockets, by the kernel's account.

`strace -f -yy` writes one file in the order of the calls, every descriptor decorated with
what it is (`<TCP:[…]>`). From it follow the calls that must be events, one each: those are
held against the log, thread by thread. What -yy does not show (an MPTCP socket, what a
close_range closed) comes from a table of descriptors kept along the way.
"""

import difflib
import functools
import os
import re
import subprocess
from collections import namedtuple

from harness import contract, paths

TRACED = ("socket", "bind", "listen", "connect", "accept", "accept4", "setsockopt", "getsockopt",
          "shutdown", "close", "dup", "dup2", "dup3", "fcntl", "close_range", "ioctl", "clone",
          "clone3", "fork", "vfork", "execve", "execveat", "rt_sigreturn")
# Calls whose first argument is the socket they are about.
PLAIN = ("bind", "listen", "connect", "accept", "accept4", "setsockopt", "shutdown", "close",
         "dup")
# So many netlink sockets a process of the shim's keeps. Others are made by its helpers alone.
KEPT = 2
# The events of these names are calls to these by strace's account.
SEEN_AS = {"fclose": "close", "closefrom": "close", "close_range": "close"}

# name: as strace has it, but "close" for each socket of a close_range.
Call = namedtuple("Call", "pid tid name fd ret error optional line")

LINE = re.compile(r"^(\d+) +(.*)$")
DECORATION = r"(?:<((?:->|<[^<>]*>|[^<>])*)>(?:\(deleted\))?)?"
FD = r"(-?\d+)" + DECORATION
RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
WHOLE = re.compile(r"^(\w+)\((.*)\) += (\?|-?\d+|0x[0-9a-f]+)" + DECORATION
                   + r"(?: (\w+))?(?: \(.*\))?$", re.DOTALL)
FIRST = re.compile(FD + r"(?:, (.*))?$", re.DOTALL)
SECOND = re.compile(FD + r"(?:, (.*))?$", re.DOTALL)
TCP = re.compile(r"^TCP(?:v6)?:\[")
INODE = re.compile(r"^socket:\[(\d+)\]$")
SOCKET = re.compile(r"^(\w+), ([\w|]+), (\w+)")


@functools.lru_cache(maxsize=None)
def available():
    """Why strace cannot be used here; "" where it can."""
    if not paths.find("strace"):
        return "no strace"
    try:
        done = subprocess.run(["strace", "-f", "-yy", "-e", "trace=close", "true"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, timeout=80, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else "strace may not trace here: %r" % done.stderr[:200]


@functools.lru_cache(maxsize=None)
def _seccomp():
    """strace stops a program at the calls asked for alone, where it knows how."""
    done = subprocess.run(["strace", "-f", "--seccomp-bpf", "-e", "trace=close", "true"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, check=False)
    return done.returncode == 0 and b"seccomp" not in done.stderr


def command(output, env, program, traced=TRACED, fast=True):
    """A program under strace; only it has the environment, not strace itself."""
    changed = []
    for key, value in sorted(env.items()):
        if os.environ.get(key) != value:
            changed += ["-E", "%s=%s" % (key, value)]
    for key in os.environ:
        if key not in env:
            changed += ["-E", key]
    head = ["strace", "-f", "-yy", "-q", "-o", output]
    if fast and traced and _seccomp():
        head.append("--seccomp-bpf")
    if traced:
        head += ["-e", "trace=" + ",".join(traced)]
    return head + ["-e", "signal=none" if not traced else "signal=all"] + changed + list(program)


class _Table:
    """The TCP descriptors of a process: number to close-on-exec."""

    def __init__(self, fds=()):
        self.fds = dict(fds)


class _Process:
    """A process image, as one pid shows it."""

    def __init__(self, pid, table, shared=False):
        self.pid = pid
        self.table = table
        self.asking = 0        # netlink sockets of the shim's that it has made
        self.shared = shared   # a vfork child that has not called exec: not to be counted


class Trace:
    """The calls on TCP sockets that strace saw, in `calls`.

    `doubts` are the places where the table of descriptors and strace's decorations did not
    agree: none, unless descriptors came in a way that is not traced.
    """

    def __init__(self, path):
        with open(path, errors="surrogateescape") as file:
            self._lines = [LINE.match(line.rstrip("\n")).groups() for line in file]
        self.calls = []
        self.doubts = []
        self.execs = []
        self._mptcp = set()
        self._open = {}       # tid: the text of an unfinished call
        self._closing = {}    # tid: the number that its unfinished close has freed
        self._waiting = {}    # tid: interrupted calls whose end is not known yet
        self._processes = {}  # tid: its process
        self._births = _births(self._lines)
        for tid, text in self._lines:
            self._line(int(tid), text)

    def _line(self, tid, text):
        if tid not in self._processes:
            self._processes[tid] = self._born(tid)
        if text.startswith(("---", "+++")):
            return
        resumed = RESUMED.match(text)
        if resumed:
            text = self._open.pop(tid, resumed.group(1) + "(") + resumed.group(2)
        elif text.endswith("<unfinished ...>"):
            self._open[tid] = text[:-len(" <unfinished ...>")]
            if text.startswith("close("):
                self._closes(tid, text[len("close("):])
            return
        whole = WHOLE.match(text)
        if not whole:
            return
        name, args, ret, decoration, error = whole.groups()
        if ret == "?":
            if error and error.startswith("ERESTART"):
                self._waiting.setdefault(tid, []).append((name, args, text))
            return
        self._ended(tid, name, args, int(ret, 0), decoration, error, text)

    def _closes(self, tid, args):
        """A close that another thread's call overtakes: its number is free already."""
        fd = int(re.match(r"-?\d+", args).group())
        if self._processes[tid].table.fds.pop(fd, None) is not None:
            self._closing[tid] = fd

    def _born(self, tid):
        """The process of a thread that is seen for the first time."""
        if tid not in self._births:
            return _Process(tid, _Table())
        parent, flags = self._births[tid]
        maker = self._processes[parent]
        if "CLONE_THREAD" in flags:
            # libc gives each of its threads memory of its own. Without, it is a helper of the
            # shim's, with descriptors of its own.
            return maker if "CLONE_SETTLS" in flags else _Process(tid, _Table(), shared=True)
        table = maker.table if "CLONE_FILES" in flags else _Table(maker.table.fds)
        return _Process(tid, table, shared="CLONE_VM" in flags or maker.shared)

    def _ended(self, tid, name, args, ret, decoration, error, text):
        waiting = self._waiting.get(tid)
        if name == "rt_sigreturn":
            # The interrupted call ends with EINTR, or begins again (and is seen again).
            if waiting:
                call, call_args, call_text = waiting.pop()
                if error == "EINTR":
                    self._call(tid, call, call_args, -1, None, "EINTR", call_text)
            return
        if waiting and waiting[-1][0] == name and waiting[-1][1].split(",")[0] \
                == args.split(",")[0]:
            waiting.pop()   # begun again without a handler
        self._call(tid, name, args, ret, decoration, error, text)

    def _call(self, tid, name, args, ret, decoration, error, text):
        process = self._processes[tid]
        if name in ("clone", "clone3", "fork", "vfork"):
            if ret > 0 and ret not in self._processes:
                self._processes[ret] = self._born(ret)
        elif name in ("execve", "execveat"):
            if ret == 0:
                kept = {fd: 0 for fd, cloexec in process.table.fds.items() if not cloexec}
                self._processes[tid] = _Process(process.pid, _Table(kept))
                self.execs.append(process.pid)
        else:
            handler = getattr(self, "_" + name, self._plain)
            handler(tid, process, name, args, ret, decoration, error, text)

    def _note(self, tid, process, name, fd, ret, error, text, optional=False):
        if not process.shared:
            self.calls.append(Call(process.pid, tid, name, fd, ret, error, optional, text))

    def _is_tcp(self, process, fd, decoration):
        """Is this argument a TCP socket? The decoration knows; the table is compared."""
        inode = INODE.match(decoration or "")
        if inode:
            return inode.group(1) in self._mptcp
        # The shim's own, in a forked child before it is put high. Its number may still stand
        # here for a socket whose close, by another thread, is printed later.
        if (decoration or "").startswith("NETLINK:[SOCK_DIAG"):
            return False
        tcp = bool(TCP.match(decoration or ""))
        if tcp != (fd in process.table.fds):
            self.doubts.append("%d is %sin the table, decorated %r"
                               % (fd, "" if not tcp else "not ", decoration))
            if tcp:
                process.table.fds[fd] = 0
            else:
                process.table.fds.pop(fd, None)
        return tcp

    def _made(self, process, fd, decoration, cloexec):
        """A new TCP descriptor."""
        inode = INODE.match(decoration or "")
        if inode:
            self._mptcp.add(inode.group(1))
        process.table.fds[fd] = int(cloexec)

    def _socket(self, tid, process, name, args, ret, decoration, error, text):
        found = SOCKET.match(args)
        if not found:
            return
        domain, kind, protocol = found.groups()
        if protocol == "NETLINK_SOCK_DIAG" and not process.shared:
            process.asking += 1
            if process.asking > KEPT:
                self.doubts.append("a netlink socket is made where another thread may meet it")
        if domain in ("AF_INET", "AF_INET6") and "SOCK_STREAM" in kind.split("|") \
                and protocol in ("IPPROTO_IP", "IPPROTO_TCP", "IPPROTO_MPTCP"):
            if ret >= 0:
                self._made(process, ret, decoration, "SOCK_CLOEXEC" in kind)
            self._note(tid, process, name, None, ret, error, text)

    def _plain(self, tid, process, name, args, ret, decoration, error, text):
        if name not in PLAIN:
            return
        first = FIRST.match(args)
        if not first:
            return
        fd, what, rest = int(first.group(1)), first.group(2), first.group(3)
        if name == "close" and self._closing.pop(tid, None) == fd:
            self._note(tid, process, name, fd, ret, error, text)
            return
        tcp = self._is_tcp(process, fd, what)
        if not tcp:
            if name == "close" and error == "EBADF":
                self._note(tid, process, name, fd, ret, error, text, optional=True)
            return
        if name == "close" and ret == 0:
            process.table.fds.pop(fd, None)
        elif name in ("accept", "accept4", "dup") and ret >= 0:
            self._made(process, ret, decoration,
                       name == "accept4" and "SOCK_CLOEXEC" in (rest or ""))
        self._note(tid, process, name, fd, ret, error, text)

    def _getsockopt(self, tid, process, name, args, ret, decoration, error, text):
        first = FIRST.match(args)
        if first and self._is_tcp(process, int(first.group(1)), first.group(2)) \
                and (first.group(3) or "").startswith("SOL_SOCKET, SO_ERROR"):
            self._note(tid, process, name, int(first.group(1)), ret, error, text)

    def _fcntl(self, tid, process, name, args, ret, decoration, error, text):
        first = FIRST.match(args)
        if not first:
            return
        fd, rest = int(first.group(1)), first.group(3) or ""
        if not self._is_tcp(process, fd, first.group(2)):
            return
        if rest.startswith("F_SETFD") and ret == 0:
            process.table.fds[fd] = int("FD_CLOEXEC" in rest)
        elif rest.startswith("F_DUPFD"):
            if ret >= 0:
                self._made(process, ret, None, rest.startswith("F_DUPFD_CLOEXEC"))
            self._note(tid, process, name, fd, ret, error, text)

    def _ioctl(self, tid, process, name, args, ret, decoration, error, text):
        first = FIRST.match(args)
        if first and ret == 0 and (first.group(3) or "").startswith(("FIOCLEX", "FIONCLEX")) \
                and int(first.group(1)) in process.table.fds:
            process.table.fds[int(first.group(1))] = int(first.group(3).startswith("FIOCLEX"))

    def _dup2(self, tid, process, name, args, ret, decoration, error, text):
        first = FIRST.match(args)
        second = SECOND.match(first.group(3) or "") if first else None
        if not second:
            return
        old, new = int(first.group(1)), int(second.group(1))
        copied = self._is_tcp(process, old, first.group(2))
        closed = self._is_tcp(process, new, second.group(2)) and ret >= 0
        if ret >= 0 and old != new:
            process.table.fds.pop(new, None)
            if copied:
                self._made(process, new, None, "O_CLOEXEC" in (second.group(3) or ""))
        if copied or closed:
            self._note(tid, process, name, old, ret, error, text)

    _dup3 = _dup2

    def _close_range(self, tid, process, name, args, ret, decoration, error, text):
        low, high, flags = args.split(", ", 2)
        if ret != 0:
            return
        if "CLOSE_RANGE_UNSHARE" in flags:
            process.table = _Table(process.table.fds)
        here = [fd for fd in sorted(process.table.fds)
                if int(low, 0) <= fd <= int(high, 0) & 0xffffffff]
        for fd in here:
            if "CLOSE_RANGE_CLOEXEC" in flags:
                process.table.fds[fd] = 1
            else:
                del process.table.fds[fd]
                self._note(tid, process, "close", fd, 0, None, text)


def whole(lines):
    """The calls of (tid, text) in the order of their ends, each in one piece."""
    begun = {}
    for tid, text in lines:
        resumed = RESUMED.match(text)
        if resumed:
            text = begun.pop(tid, resumed.group(1) + "(") + resumed.group(2)
        elif text.endswith("<unfinished ...>"):
            begun[tid] = text[:-len(" <unfinished ...>")]
            continue
        yield tid, text


def _births(lines):
    """Which thread made which, and how: {child: (parent, flags)}."""
    births = {}
    for tid, text in whole(lines):
        call = WHOLE.match(text)
        if call and call.group(1) in ("clone", "clone3", "fork", "vfork"):
            child = call.group(3)
            if child != "?" and int(child, 0) > 0:
                flags = re.findall(r"CLONE_\w+", call.group(2))
                if call.group(1) == "vfork":
                    flags = ["CLONE_VM", "CLONE_VFORK"]
                births[int(child)] = (int(tid), set(flags))
    return births


def expected_by_thread(calls):
    threads = {}
    for call in calls:
        row = (call.name, call.fd, call.ret, call.error)
        threads.setdefault((call.pid, call.tid), []).append((row, call.optional, call.line))
    return threads


def logged_by_thread(events):
    threads = {}
    for event in events:
        row = (SEEN_AS.get(event["call"], event["call"]), event.get("fd"), event["ret"],
               event.get("error"))
        threads.setdefault((event["pid"], event["tid"]), []).append((row, event))
    return threads


def differences(trace, events, ordered=True):
    """Where the log and strace do not agree, as text; "" where they do.

    The order within a thread is that of the lines of the log. (A close_range may name its
    sockets in any order: they are brought into the order of their numbers.)
    """
    wanted = expected_by_thread(trace.calls)
    logged = logged_by_thread(events)
    said = []
    for thread in sorted(set(wanted) | set(logged)):
        told = logged.get(thread, ())
        calls = _without_optional(wanted.get(thread, ()), told)
        # What is told by number comes later than it was made: each kind is only counted.
        counted = {_kind(row) for row, event in told if "repeated" in event}
        rows = _in_order([(row, event["call"] in ("close_range", "closefrom"))
                          for row, event in told if _kind(row) not in counted])
        expected = _in_order([(row, line.startswith("close_range"))
                              for row, line in calls if _kind(row) not in counted])
        rows += [(*kind, sum(contract.calls(event) for row, event in told if _kind(row) == kind))
                 for kind in sorted(counted)]
        expected += [(*kind, sum(1 for row, _ in calls if _kind(row) == kind))
                     for kind in sorted(counted)]
        if not ordered:
            rows, expected = sorted(rows, key=str), sorted(expected, key=str)
        if rows != expected:
            said.append("pid %d, thread %d (- strace, + log):" % thread)
            said += [line for line in difflib.unified_diff(
                [_show(row) for row in expected], [_show(row) for row in rows],
                lineterm="", n=2)][2:]
    return "\n".join(said)


def _kind(row):
    """The call and its error, of which many may be told by one event."""
    return row[0], None, row[3]


def _in_order(marked):
    """The rows; those of range closes that follow one another by their numbers."""
    rows, run = [], []
    for row, of_range in marked:
        if not of_range:
            rows += sorted(run, key=lambda one: one[1])
            run = []
        (run if of_range else rows).append(row)
    return rows + sorted(run, key=lambda one: one[1])


def _without_optional(wanted, logged):
    """A close that failed with EBADF is an event only where it bears the note double-close."""
    told = sum(1 for row, event in logged if row[0] == "close" and row[3] == "EBADF"
               and any(note["code"] == "double-close" for note in event.get("notes", ())))
    rows = []
    for row, optional, line in wanted:
        if optional and not told:
            continue
        rows.append((row, line))
    return rows


def _show(row):
    name, fd, ret, error = row
    return "%s(%s) = %s" % (name, "" if fd is None else fd, error or ret)
