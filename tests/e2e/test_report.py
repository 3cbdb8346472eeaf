# SPDX-License-Identifier: MIT
"""TCPSHIM_REPORT: what a process leaves open when it exits."""

import os
import re
import signal
import socket

from harness import kernel, strace
from harness.case import Case, environment, paths, shimmed, wait_until
from harness.events import Log

# Python's own end closes its socket objects: what is to be left open is held by its number.
KEEP = ("def keep(s): return s.detach()\n"
        "def pair(l):\n"
        "    c = socket.create_connection(l.getsockname()); a, _ = l.accept()\n"
        "    return c, a\n")


def micros(event):
    """The time of day of an event, in microseconds."""
    hours, minutes, seconds = event["time"][11:-1].split(":")
    return int((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1000000)


class Report(Case):
    """A puppet that ends, and what the log holds then."""

    def exits(self, log, pid=None):
        return [event for event in log.read() if event["call"] == "exit"
                and pid in (None, event["pid"])]

    def sockets_left(self, p):
        """A listener, two connections and one of which the peer has closed: {fd: (state, …)}."""
        p(KEEP + "l = socket.create_server(('127.0.0.1', 0)); c, a = pair(l); d, b = pair(l)\n"
                 "s = socket.socket()")
        p("b.close()")
        wait_until(lambda: kernel.state_of(p.eval("cookie(d)")) == "CLOSE_WAIT", "the FIN")
        left = {}
        for name, state in (("l", "LISTEN"), ("c", "ESTABLISHED"), ("a", "ESTABLISHED"),
                            ("d", "CLOSE_WAIT"), ("s", "CLOSED")):
            local, peer, cookie = p.eval(
                "[%s.getsockname(), error_of(%s.getpeername) or %s.getpeername(), cookie(%s)]"
                % (name, name, name, name))
            left[p.eval(name + ".fileno()")] = dict(
                state=state, sock=cookie, local="%s:%d" % tuple(local) if local[1] else None,
                peer=None if isinstance(peer, str) else "%s:%d" % tuple(peer))
            p("%s = keep(%s)" % (name, name))
        return left


class Json(Report):

    def test_a_socket_an_event(self):
        log = self.log()
        p = self.puppet(log, REPORT=1)
        left = self.sockets_left(p)
        before = len(log.read())
        self.assertEqual(p.close(), 0)
        events = log.read()[before:]
        self.assertEqual([event["call"] for event in events], ["exit"] * 6)
        total = events.pop()
        self.assertEqual({event["fd"] for event in events}, set(left))
        for event in events:
            self.match(event, ret=0, error=None, was=None, via=None, notes=None, pid=p.pid,
                       **left[event["fd"]])
        self.assertEqual(events[0]["state"], "CLOSE_WAIT")
        self.match(total, ret=0, fd=None, sock=None, unlisted=None, pid=p.pid, totals={
            "CLOSED": 1, "LISTEN": 1, "ESTABLISHED": 2, "CLOSE_WAIT": 1})

    def test_close_waits_come_first(self):
        """However high their numbers."""
        log = self.log()
        p = self.puppet(log, REPORT=1)
        p(KEEP + "l = socket.create_server(('127.0.0.1', 0))\n"
                 "pairs = [pair(l) for _ in range(6)]\n"
                 "waiting = [cookie(c) for c, _ in pairs[3:]]\n"
                 "for _, a in pairs[3:]: a.close()")
        for cookie in p.eval("waiting"):
            wait_until(lambda: kernel.state_of(cookie) == "CLOSE_WAIT", "the FIN")
        p("left = [keep(l)] + [keep(c) for c, _ in pairs] + [keep(a) for _, a in pairs[:3]]")
        p.close()
        events = self.exits(log)
        states = [event.get("state") for event in events[:-1]]
        self.assertEqual(states[:3], ["CLOSE_WAIT"] * 3)
        self.assertEqual(sorted(states[3:]), ["ESTABLISHED"] * 6 + ["LISTEN"])
        self.assertEqual(events[-1]["totals"], {"LISTEN": 1, "ESTABLISHED": 6, "CLOSE_WAIT": 3})

    def test_age(self):
        """At its event's time, since the socket was made: between its first event and the return.
        Also where the library's questions in between take long."""
        log = self.log()
        env = shimmed(LOG=log.path, FORMAT="json", REPORT=1)
        slow = () if strace.available() else strace.command(
            self.path("trace"), env, ["-e", "inject=getsockopt:delay_enter=5000"],
            traced=("getsockopt",))
        p = self.puppet(env=environment() if slow else env, wrapper=slow)
        p("import time\n"
          "old = socket.socket().detach(); old_by = time.time()\n"
          "while time.time() < old_by + 0.3: pass\n"
          "young = socket.socket().detach(); young_by = time.time()\n"
          "while time.time() < young_by + 0.1: pass")
        made = {event["ret"]: event for event in log.read() if event["call"] == "socket"}
        returned = {p.eval(name): p.eval(name + "_by") for name in ("old", "young")}
        p.close()
        left = self.exits(log)[:-1]
        self.assertEqual(sorted(event["fd"] for event in left), sorted(returned))
        for event in left:
            passed = (micros(event) - micros(made[event["fd"]])) / 1000 % 86400000
            self.assertLessEqual(event["age_ms"], passed + 1)
            since = (micros(event) / 1e6 - returned[event["fd"]]) % 86400
            self.assertGreaterEqual(event["age_ms"], since * 1000 - 2)

    def test_nothing_left(self):
        """A program that used sockets and closed them all."""
        log = self.log()
        p = self.puppet(log, REPORT=1)
        p("socket.socket().close()")
        p.close()
        total, = self.exits(log)
        self.match(total, totals={}, fd=None)

    def test_an_inherited_socket(self):
        """Its age is not known, and so not given."""
        log = self.log()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            status, out, err = self.run_program(
                [paths.PYTHON, "-I", "-S", "-c", "pass"],
                shimmed(LOG=log.path, FORMAT="json", REPORT=1), pass_fds=[listener.fileno()])
            self.assertEqual((status, out, err), (0, b"", b""))
            event, total = self.exits(log)
            self.match(event, fd=listener.fileno(), state="LISTEN", age_ms=None,
                       sock=kernel.cookie_of(listener),
                       local="127.0.0.1:%d" % listener.getsockname()[1])
        self.assertEqual(total["totals"], {"LISTEN": 1})

    def test_with_few_calls_logged(self):
        log = self.log()
        p = self.puppet(log, REPORT=1, CALLS="bind")
        p("s = socket.socket().detach()")
        p.close()
        event, total = log.read()
        self.match(event, call="exit", state="CLOSED")
        self.assertEqual(total["totals"], {"CLOSED": 1})

    def test_without_the_setting(self):
        for settings in ({}, {"REPORT": 0}):
            log = self.log(self.fresh("log").rpartition("/")[2])
            p = self.puppet(log, **settings)
            p("s = socket.socket().detach()")
            p.close()
            self.assertEqual([event["call"] for event in log.read()], ["socket"])

    def test_a_machine_that_has_other_things_to_do(self):
        """Some are listed however long it takes: here, to read which numbers are open."""
        if strace.available():
            self.skipTest(strace.available())
        log = self.log()
        wrapper = strace.command(self.path("trace"), shimmed(LOG=log.path, FORMAT="json", REPORT=1),
                                 [], traced=("getdents64",))
        wrapper[1:1] = ["-e", "inject=getdents64:delay_enter=100000"]
        p = self.puppet(env=environment(), wrapper=wrapper)
        p("for _ in range(150): assert C.socket(2, 1, 0) >= 0")
        p.close()
        total = self.exits(log).pop()
        self.match(total, totals={"CLOSED": 100}, unlisted=50)

    def test_ten_thousand(self):
        """Each is listed, or counted where the time was up."""
        count = 10000
        log = self.log()
        p = self.puppet(log, REPORT=1, CALLS="listen")
        p("import resource\n"
          "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
          "room = min(%d, hard - 100) if hard >= 0 else %d\n"
          "resource.setrlimit(resource.RLIMIT_NOFILE, (room + 100, hard))\n"
          "for _ in range(room): assert C.socket(2, 1, 0) >= 0" % (count, count))
        count = p.eval("room")
        p.close()
        events = self.exits(log)
        total = events.pop()
        self.assertEqual(len({event["fd"] for event in events}), len(events))
        self.assertEqual(total["totals"].get("CLOSED", 0), len(events))
        self.assertEqual(len(events) + total.get("unlisted", 0), count)


class Text(Report):

    def test_lines(self):
        path = self.path("log")
        p = self.puppet(LOG=path, REPORT=1)
        left = self.sockets_left(p)
        p.close()
        with open(path) as file:
            lines = [line for line in file.read().split("\n") if " exit" in line]
        self.sum_and_sockets(lines, left, p.pid)

    def sum_and_sockets(self, lines, left, pid):
        self.assertEqual(len(lines), 6, lines)
        where = r"^\d\d:\d\d:\d\d\.\d{6} \S+\[%d\] exit" % pid
        self.assertRegex(lines[-1], where + r": 5 sockets left open: 1 CLOSED, 1 LISTEN, "
                                            r"2 ESTABLISHED, 1 CLOSE_WAIT$")
        for line in lines[:-1]:
            found = re.match(where + r"\((\d+)\)(?: <(.+)>)? open for \d+\.\d s +(\S+)$", line)
            self.assertTrue(found, line)
            about = left.pop(int(found.group(1)))
            self.assertEqual(found.group(3), about["state"])
            for end in filter(None, (about["local"], about["peer"])):
                self.assertIn(end, found.group(2) or "")
        self.assertIn("CLOSE_WAIT", lines[0])

    def test_with_the_log_off(self):
        """Then it goes to standard error, as it was when the program started."""
        p = self.puppet(REPORT=1, silent=False)
        left = self.sockets_left(p)
        self.assertEqual(p.error(), b"", "before the exit")
        p("null = os.open('/dev/null', os.O_WRONLY); os.dup2(null, 2); os.close(null)")
        p.close()
        self.assertEqual(p.output(), b"")
        self.sum_and_sockets(p.error().decode().rstrip("\n").split("\n"), left, p.pid)

    def test_standard_error_that_is_closed(self):
        p = self.puppet(REPORT=1, silent=False)
        p("s = socket.socket().detach(); os.close(2); f = os.open(%r, os.O_CREAT | os.O_WRONLY)"
          % self.path("of-the-program"))
        self.assertEqual(p.eval("f"), 2)
        p.close()
        self.assertEqual(os.path.getsize(self.path("of-the-program")), 0)
        self.assertIn(b"1 socket left open: 1 CLOSED\n", p.error())

    def test_nothing_left_with_the_log_off(self):
        """A process that has no TCP socket open says nothing."""
        p = self.puppet(REPORT=1)
        p("socket.socket().close()")
        p.close()


class Ends(Report):
    """Which ends of a process make a report."""

    def end(self, how, status):
        """A puppet with a socket ends itself in that way: its exit events."""
        log = self.log(self.fresh("log").rpartition("/")[2])
        p = self.puppet(log, REPORT=1, silent=False)
        p("import signal; s = socket.socket().detach()")
        p.begin(how)
        self.assertEqual(p.process.wait(), status)
        return [event.get("totals") for event in self.exits(log)]

    def test_exit(self):
        self.assertEqual(self.end("C.exit(7)", 7), [None, {"CLOSED": 1}])

    def test_ends_that_are_no_exit(self):
        for how, status in (("os._exit(3)", 3), ("C._exit(4)", 4), ("C._Exit(5)", 5),
                            ("C.quick_exit(6)", 6), ("C.abort()", -signal.SIGABRT),
                            ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
                            ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL)):
            self.assertEqual(self.end(how, status), [], how)

    def test_exec(self):
        """The image that is left behind does not exit; the next one does."""
        log = self.log()
        p = self.puppet(log, REPORT=1)
        p("s = socket.socket(); s.set_inheritable(True); n = s.detach()")
        n = p.eval("n")
        p.begin("os.execv(%r, ['python', '-I', '-S', '-c', 'pass'])" % paths.PYTHON)
        self.assertEqual(p.process.wait(), 0)
        event, total = self.exits(log)
        self.match(event, fd=n, seq=1, state="CLOSED")
        self.match(total, seq=2, totals={"CLOSED": 1})

    def test_children(self):
        """A forked child that exits reports of its own; one that does not, does not."""
        log = self.log()
        p = self.puppet(log, REPORT=1)
        p("s = socket.socket().detach()\n"
          "def child(end):\n"
          "    pid = os.fork()\n"
          "    if pid == 0: end()\n"
          "    os.waitpid(pid, 0); return pid\n"
          "def exits(): C.close(0); C.socket(2, 1, 0); C.exit(0)")
        first = p.eval("child(exits)")
        second = p.eval("child(lambda: C._exit(0))")
        p.close()
        mine = self.exits(log, first)
        self.assertEqual([event.get("totals") for event in mine], [None, None, {"CLOSED": 2}])
        self.assertEqual(self.exits(log, second), [])
        self.assertEqual([event.get("totals") for event in self.exits(log, p.pid)],
                         [None, {"CLOSED": 1}])

    def test_no_tcp(self):
        """Nothing at all for a process that has nothing to do with TCP."""
        log = Log(self.path("log"))
        env = shimmed(LOG=log.path, FORMAT="json", REPORT=1)
        for code in ("pass", "import socket; socket.socket(2, 2).detach();"
                             "socket.socketpair()[0].detach(); open('/dev/null')"):
            status, out, err = self.run_program([paths.PYTHON, "-I", "-S", "-c", code], env)
            self.assertEqual((status, out, err), (0, b"", b""))
        self.assertEqual(log.read(), [])
        status, out, err = self.run_program(["true"], dict(environment(), **{
            "LD_PRELOAD": paths.preload(), "TCPSHIM_REPORT": "1"}))
        self.assertEqual((status, out, err), (0, b"", b""))
