# SPDX-License-Identifier: MIT
"""A call in a process of its own, of which nothing outlives it.

Between the caller and the call stands a keeper. It adopts whatever the call leaves behind
(PR_SET_CHILD_SUBREAPER) and ends it by pid: when the call has returned, when it takes too long,
and when the caller dies.
"""

import ctypes
import json
import os
import select
import signal
import time
import traceback

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LIBC = ctypes.CDLL(None, use_errno=True)


class Hung(Exception):
    """The call was not over in time: says where its processes were."""


class Died(Exception):
    """The call's process has ended without an answer."""


def keep(call, seconds):
    """What call() returns, in a child (JSON can say it); raises Hung or Died."""
    verdict, verdict_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(verdict)
        _keeper(call, verdict_end, seconds)
    os.close(verdict_end)
    with open(verdict, "rb") as file:
        said = file.read()
    os.waitpid(pid, 0)
    kind, what = json.loads(said) if said else ("died", "the test's process died")
    if kind == "hung":
        raise Hung(what)
    if kind == "died":
        raise Died(what)
    return what


def _keeper(call, verdict, seconds):
    """In the keeper: never returns."""
    try:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        signal.signal(signal.SIGTERM, lambda *_: (_end_all(), os._exit(1)))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.setsid()
        inner, inner_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(inner)
            os.close(verdict)
            _child(call, inner_end)
        os.close(inner_end)
        said = _read_line(inner, time.monotonic() + seconds)
        if said is None:
            said = _line("hung", "no end after %g s\n%s" % (seconds, _where(child)))
        _end_all()
        _write_all(verdict, said)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _child(call, verdict):
    """In the child: never returns. What was ignored for us, by nohup say, is not for its programs."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    try:
        said = _line("returned", call())
    except BaseException:
        said = _line("died", traceback.format_exc())
    _write_all(verdict, said)
    os._exit(0)


def _line(kind, what):
    return json.dumps((kind, what)).encode() + b"\n"


def _write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def _read_line(fd, end):
    """A line from a pipe, or what there was until its end; None where the time is up first.

    What the child has forked may hold the pipe open for longer.
    """
    said = b""
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        if not ready:
            return None
        data = os.read(fd, 65536)
        if not data:
            return b""
        said += data
    return said


def _where(pid):
    """What a hung call and its children are doing."""
    lines = []
    for child in [pid] + _descendants(pid):
        try:
            with open("/proc/%d/cmdline" % child, "rb") as file:
                command = file.read().replace(b"\0", b" ").decode("utf-8", "replace")[:120]
            with open("/proc/%d/wchan" % child) as file:
                lines.append("  %d %s in %s\n" % (child, command, file.read()))
        except OSError:
            pass
    return "".join(lines)


def _parents():
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as file:
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError):
                pass
    return parents


def _descendants(pid):
    parents = _parents()
    found, row = [], [pid]
    while row:
        row = [child for child, parent in parents.items() if parent in row]
        found += row
    return found


def _end_all():
    """End every descendant of this process, by pid."""
    while True:
        for pid in _descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
