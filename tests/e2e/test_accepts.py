# SPDX-License-Identifier: MIT
"""The notes of listeners and of descriptors that run out, held against what the kernel says."""

import os
import re
import socket

from harness import kernel, paths, strace
from harness.case import Case, needs_ipv6, needs_mptcp, needs_root, shimmed, wait_until

REUSEPORT = [(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)]

# What a puppet needs: the queue as TCP_INFO has it, descriptors until there is none, a client
# that does not wait.
TOOLS = """
import fcntl, resource, threading, time
def queue(l):
    return list(struct.unpack_from('=II', l.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32), 24))
def limit(to):
    resource.setrlimit(resource.RLIMIT_NOFILE, (to, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
def fill():
    filler = []
    while True:
        try:
            filler.append(os.dup(0))
        except OSError:
            return filler
def tcp():
    return sum(call('getsockopt', fd, socket.IPPROTO_TCP, socket.TCP_INFO, bytes(1),
                    struct.pack('I', 1))[0] == 0 for fd in fds())
def client(port):
    c = socket.socket()
    c.setblocking(False)
    c.connect_ex(('127.0.0.1', port))
    return c
"""


class Accepts(Case):
    """A puppet makes calls; what their events note."""

    def led(self, log, **settings):
        p = self.puppet(log, **settings)
        p(TOOLS)
        return p

    def note(self, event, code):
        """The one note of that code."""
        found = [note for note in event.get("notes", ()) if note["code"] == code]
        self.assertEqual(len(found), 1, "%s in %r" % (code, event))
        return found[0]

    def figures(self, event, code):
        """Its keys beside code and text."""
        return {key: value for key, value in self.note(event, code).items()
                if key not in ("code", "text")}

    @staticmethod
    def begin_accept(p):
        """A thread `t` that waits in an accept of the listener `s`; its error in `got`."""
        p("s = socket.create_server(('127.0.0.1', 0)); got = []\n"
          "t = threading.Thread(target=lambda: got.append(error_of(s.accept))); t.start()")

        def waits(tid):
            with open("/proc/%d/task/%s/wchan" % (p.pid, tid)) as file:
                return "csk_accept" in file.read()
        wait_until(lambda: any(waits(tid) for tid in os.listdir("/proc/%d/task" % p.pid)),
                   "the accept")

    def traced(self, script, inject=(), **settings):
        """A Python program under strace: the lines of its trace, and its standard output."""
        if strace.available():
            self.skipTest(strace.available())
        output = self.fresh("trace")
        command = strace.command(output, shimmed(FORMAT="json", **settings),
                                 [paths.PYTHON, "-IS", "-c", "import os, select, socket, struct, "
                                  "sys\nfrom ctypes import *\n" + script],
                                 ("getsockopt", "accept4", "socket", "openat"))
        command.remove("-yy")  # which takes strace longer than all the rest
        for one in inject:
            command[1:1] = ["-e", "inject=" + one]
        status, out, err = self.run_program(command)
        self.assertEqual((status, err), (0, b""))
        with open(output, errors="replace") as file:
            return file.read().splitlines(), out.decode()


class NoDescriptors(Accepts):
    """no-descriptors: EMFILE and ENFILE."""

    def test_accept(self):
        log = self.log()
        p = self.led(log)
        p("l = socket.create_server(('127.0.0.1', 0))\n"
          "c = [client(l.getsockname()[1]) for _ in range(3)]\n"
          "limit(40); filler = fill()")
        self.assertEqual(p.eval("error_of(l.accept)"), "EMFILE")
        event = self.last(log, "accept4")
        self.match(event, error="EMFILE", state="LISTEN")
        p("for fd in filler: os.close(fd)")
        self.assertEqual(p.eval("tcp()"), 4)
        self.assertEqual(self.figures(event, "no-descriptors"),
                         {"limit": 40, "tcp_at_least": 4, "queued": p.eval("queue(l)")[0]})
        self.assertIn("below the limit of 40 (RLIMIT_NOFILE",
                      self.note(event, "no-descriptors")["text"])

    def test_what_the_program_forgets_to_close(self):
        log = self.log()
        p = self.led(log)
        p("l = socket.create_server(('127.0.0.1', 0))")
        port, taken = p.eval("l.getsockname()[1]"), []
        for _ in range(5):
            peer = socket.create_connection(("127.0.0.1", port))
            taken.append(peer)
            p("a = globals().setdefault('a', []); a.append(l.accept()[0])")
        for peer in taken:
            peer.close()
        wait_until(lambda: p.eval("[tcp_info_state(s) for s in a]") == [8] * 5, "CLOSE_WAIT")
        p("limit(30); filler = fill()")
        self.assertEqual(p.eval("error_of(l.accept)"), "EMFILE")
        event = self.last(log, "accept4")
        self.assertEqual(self.figures(event, "no-descriptors"), {"limit": 30, "tcp_at_least": 6})
        self.assertIn("at least 6 are TCP sockets, most of them in CLOSE_WAIT",
                      self.note(event, "no-descriptors")["text"])

    def test_every_call_that_makes_one(self):
        log = self.log()
        p = self.led(log)
        p("s = socket.socket(); limit(30); filler = fill()")
        self.assertEqual(p.eval("error_of(socket.socket)"), "EMFILE")
        self.match(self.last(log, "socket"), error="EMFILE", sock=None, state=None)
        self.assertEqual(p.eval("call('dup', s.fileno())"), [-1, "EMFILE"])
        self.assertEqual(p.eval("error_of(fcntl.fcntl, s, fcntl.F_DUPFD, 11)"), "EMFILE")
        for call in ("socket", "dup", "fcntl"):
            self.assertEqual(self.figures(self.last(log, call), "no-descriptors"),
                             {"limit": 30, "tcp_at_least": 1}, call)
        self.assertIn("no descriptor is free from 11 up below the limit of 30",
                      self.note(self.last(log, "fcntl"), "no-descriptors")["text"])
        self.assertNotIn("most of them", self.note(self.last(log, "dup"), "no-descriptors")["text"])

    def test_what_was_closed_unseen_is_not_counted(self):
        log = self.log()
        p = self.led(log, CALLS="socket")
        p("s = [socket.socket() for _ in range(6)]\n"
          "for one in s[1:]: one.close()\n"
          "limit(30); filler = fill()")
        self.assertEqual(p.eval("error_of(socket.socket)"), "EMFILE")
        self.assertEqual(self.figures(self.last(log, "socket"), "no-descriptors"),
                         {"limit": 30, "tcp_at_least": 1})

    def test_a_child_counts_its_own(self):
        """What is remembered for a second is the process's, not its parent's."""
        log = self.log()
        p = self.led(log)
        p("s = [socket.socket() for _ in range(6)]; limit(30); filler = fill()")
        p("e = error_of(socket.socket)\n"
          "if not os.fork():\n"
          "    for one in s[2:]: one.close()\n"
          "    filler = fill(); e = error_of(socket.socket); os._exit(0)\n"
          "os.wait()")
        told = [self.figures(event, "no-descriptors")["tcp_at_least"] for event in log.read()
                if event.get("error") == "EMFILE"]
        self.assertEqual(told, [6, 2])

    def test_a_storm_is_cheap(self):
        """The sockets are counted once a second, not at each accept."""
        log = self.log()
        lines, _ = self.traced(TOOLS + """
l = socket.create_server(('127.0.0.1', 0)); l.setblocking(False)
s = [socket.socket() for _ in range(39)]
limit(60); filler = fill()
for _ in range(100):
    try:
        l.accept()
    except OSError:
        pass
""", LOG=log.path)
        refused = [i for i, line in enumerate(lines) if "EMFILE" in line and "accept4" in line]
        self.assertEqual(len(refused), 100)
        asked = [line for line in lines[refused[0]:] if "TCP_INFO" in line]
        self.assertLess(len(asked), 100 + 40 * 50)  # each time: 4,100
        told = [event for event in log.read() if "no-descriptors" in self.notes(event)]
        self.assertGreater(len(told), 0)
        opened = [line for line in lines[refused[0]:refused[-1]] if "openat" in line]
        self.assertEqual(opened, [])

    def test_of_the_whole_system(self):
        """ENFILE, as strace makes it: the limit of the system, where that can be read."""
        log = self.log()
        lines, _ = self.traced("""
l = socket.create_server(('127.0.0.1', 0))
for call in [l.accept] * 30 + [socket.socket]:
    try:
        call()
    except OSError:
        pass
""", ["accept4:error=ENFILE", "socket:error=ENFILE:when=5+"], LOG=log.path)
        with open("/proc/sys/fs/file-max") as file:
            most = int(file.read())
        known = {"limit": most} if most < 2 ** 32 - 1 else {}
        event = next(event for event in log.read() if event["call"] == "accept4")
        self.match(event, error="ENFILE", state="LISTEN")
        self.assertEqual(self.figures(event, "no-descriptors"), known)
        self.assertIn("the system has no room for another open file (fs.file-max",
                      self.note(event, "no-descriptors")["text"])
        self.assertLess(len([line for line in lines if "/fs/file-nr" in line]), 10)  # once a second

    def test_other_failures(self):
        log = self.log()
        p = self.led(log)
        p("l = socket.create_server(('127.0.0.1', 0)); l.setblocking(False)")
        self.assertEqual(p.eval("error_of(l.accept)"), "EAGAIN")
        self.assertEqual(p.eval("error_of(fcntl.fcntl, l, fcntl.F_DUPFD, 1 << 30)"), "EINVAL")
        self.absent(log.read(), "no-descriptors", "backlog-full", "not-listening")


class Backlog(Accepts):
    """backlog-full and backlog-cut."""

    @staticmethod
    def drops():
        """ListenDrops of this network namespace."""
        with open("/proc/net/netstat") as file:
            names, values = [line.split() for line in file if line.startswith("TcpExt:")]
        return int(values[names.index("ListenDrops")])

    def listener(self, backlog, clients):
        """A listener, and clients at it of which not all have room in its queue."""
        log = self.log()
        p = self.led(log)
        p("l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen(%d)\n"
          "c = [client(l.getsockname()[1]) for _ in range(%d)]" % (backlog, clients))
        return log, p

    @needs_root
    def test_was_full(self):
        kernel.namespace()
        log, p = self.listener(1, 6)
        self.assertEqual(p.eval("queue(l)"), [2, 1])
        before = self.drops()
        p("a = l.accept()")
        event = self.last(log, "accept4")
        figures = self.figures(event, "backlog-full")
        self.assertTrue(4 <= before <= figures["dropped"] <= self.drops(), figures)
        self.assertEqual((figures["queued"], figures["backlog"]), (1, 1))
        self.assertIn("probably because", self.note(event, "backlog-full")["text"])

    @needs_root
    def test_each_drop_is_told_once(self):
        """To the end of the listener: the numbers add up to the kernel's."""
        kernel.namespace()
        log, p = self.listener(0, 4)
        p("a = [l.accept()]")
        # The clients try again, and there is room for one of them.
        p("l.settimeout(40); a.append(l.accept()); l.close()")
        told = [self.note(event, "backlog-full").get("dropped", 0) for event in log.read()
                if "backlog-full" in self.notes(event)]
        self.assertGreaterEqual(told[0], 3)
        self.assertEqual(sum(told), self.drops())

    def test_is_full(self):
        """A call that fails asks anyway, so it is told at once."""
        log, p = self.listener(1, 6)
        p("limit(40); filler = fill()")
        for _ in range(2):
            self.assertEqual(p.eval("error_of(l.accept)"), "EMFILE")
            event = self.last(log, "accept4")
            note = self.note(event, "backlog-full")
            self.assertEqual([note["queued"], note["backlog"]], p.eval("queue(l)"))
            self.assertIn("the accept queue is full", note["text"])
            self.assertEqual(self.note(event, "no-descriptors")["queued"], 2)

    def test_full_at_its_end(self):
        log, p = self.listener(1, 4)
        p("l.close()")
        event = self.last(log, "close")
        note = self.note(event, "backlog-full")
        self.assertEqual([note["queued"], note["backlog"]], [2, 1])
        self.assertGreaterEqual(note["dropped"], 2)
        self.assertEqual(self.figures(event, "queue-reset"), {"connections": 2})

    def test_full_when_it_listens_again(self):
        log, p = self.listener(4, 4)
        self.absent(log.read(), "backlog-full")
        p("l.listen(2)")
        self.assertEqual(self.figures(self.last(log, "listen"), "backlog-full"),
                         {"queued": 4, "backlog": 2})

    def test_not_full(self):
        """A queue with one more than its backlog is full; this one has room for one."""
        log, p = self.listener(4, 4)
        p("a = [l.accept() for _ in range(4)]\n"
          "c += [client(l.getsockname()[1]) for _ in range(4)]; l.close()")
        self.absent(log.read(), "backlog-full")

    def test_of_another_listener_with_its_number(self):
        """What was dropped there is not told of this one."""
        log, p = self.listener(0, 4)
        p("n = l.fileno(); m = socket.create_server(('127.0.0.1', 0)); client(m.getsockname()[1])\n"
          "os.dup2(m.fileno(), n); a = l.accept()")
        self.absent([self.last(log, "accept4")], "backlog-full")

    def test_of_another_listener_while_accept_waits(self):
        """The number is another listener's when accept returns; that one is full."""
        log = self.log()
        p = self.led(log)
        self.begin_accept(p)
        p("m = socket.create_server(('127.0.0.1', 0), backlog=0); where = s.getsockname()\n"
          "c = [client(m.getsockname()[1]) for _ in range(3)]\n"
          "os.dup2(m.fileno(), s.fileno()); c += [client(where[1])]; t.join()")
        self.assertEqual((p.eval("got"), p.eval("queue(s)")), ([None], [1, 0]))
        self.absent([self.last(log, "accept4")], "backlog-full")

    def test_costs_nothing_in_between(self):
        """An accept that works asks how full the queue is at most once in 100 ms."""
        log = self.log()
        lines, out = self.traced("""
import time
l = socket.create_server(('127.0.0.1', 0), backlog=200)
c = [socket.create_connection(l.getsockname()) for _ in range(200)]
begin = time.monotonic()
a = [l.accept() for _ in range(200)]
print(time.monotonic() - begin)
sys.stdout.flush(); os._exit(0)
""", LOG=log.path)
        fd = int(re.search(r"accept4\((\d+)", "\n".join(lines)).group(1))
        first = next(i for i, line in enumerate(lines) if "accept4(" in line)
        asked = [line for line in lines[first:]
                 if re.search(r"getsockopt\(%d\D" % fd, line)]
        looks = float(out) / 0.1 + 1
        # Which listener it is, each accept asks before it waits.
        self.assertLessEqual(len(asked), 200 + 3 * looks, asked[:9])
        asked = [line for line in asked if "SO_COOKIE" not in line]
        self.assertLessEqual(len(asked), 2 * looks, asked[:9])
        self.assertGreater(len(asked), 0)

    @needs_root
    def test_cut(self):
        kernel.namespace()
        with open("/proc/sys/net/core/somaxconn", "w") as file:
            file.write("100")
        log = self.log()
        p = self.led(log)
        p("l = socket.create_server(('127.0.0.1', 0), backlog=500)")
        self.assertEqual(p.eval("queue(l)"), [0, 100])
        note = self.note(self.last(log, "listen"), "backlog-cut")
        self.assertEqual((note["asked"], note["somaxconn"]), (500, 100))
        self.assertEqual(note["text"], "the backlog of 500 is cut to 100 by net.core.somaxconn of "
                         "its network namespace: raise that by sysctl, and listen again")
        for backlog in (100, 0, -1):
            self.assertEqual(p.eval("call('listen', l.fileno(), %d)" % backlog), [0, None])
            self.absent([self.last(log, "listen")], "backlog-cut")
        with open("/proc/sys/net/core/somaxconn", "w") as file:
            file.write("500")
        p("l.listen(500)")
        self.assertEqual(p.eval("queue(l)"), [0, 500])
        self.absent([self.last(log, "listen")], "backlog-cut", "backlog-full")

    @needs_mptcp
    def test_cut_mptcp(self):
        log = self.log()
        with open("/proc/sys/net/core/somaxconn") as file:
            most = int(file.read())
        p = self.led(log)
        p("l = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)\n"
          "l.bind(('127.0.0.1', 0)); l.listen(%d)" % (most + 1))
        self.assertEqual(self.figures(self.last(log, "listen"), "backlog-cut"),
                         {"asked": most + 1, "somaxconn": most})

    def test_not_where_listen_failed(self):
        log = self.log()
        p = self.led(log)
        p("s = socket.create_server(('127.0.0.1', 0))\n"
          "c = socket.create_connection(s.getsockname())")
        self.assertEqual(p.eval("error_of(c.listen, 1 << 30)"), "EINVAL")
        self.absent([self.last(log, "listen")], "backlog-cut")


class NotListening(Accepts):
    """not-listening: accept on what is no listener."""

    NEVER = ("it does not listen: listen was not called on it, or it has been shut down since; "
             "listen comes before accept")
    SHUT = ("it was a listener and has been shut down: "
            "it listens no more until listen is called again")

    def refused(self, before, name="s"):
        log = self.log(self.fresh("log").rpartition("/")[2])
        p = self.led(log)
        p(before)
        self.assertEqual(p.eval("error_of(%s.accept)" % name), "EINVAL")
        event = self.last(log, "accept4")
        self.assertEqual(self.figures(event, "not-listening"), {})
        return self.note(event, "not-listening")["text"]

    def test_never(self):
        bound = "s = socket.socket(); s.bind(('127.0.0.1', 0))"
        self.assertEqual(self.refused(bound), self.NEVER)
        self.assertEqual(self.refused("s = socket.socket()"), self.NEVER)
        # As it is handed on to another process, which sees it for the first time.
        self.assertEqual(self.refused(
            bound + "\na, b = socket.socketpair(); socket.send_fds(a, [b'x'], [s.fileno()])\n"
            "t = socket.socket(fileno=socket.recv_fds(b, 1, 1)[1][0])", "t"), self.NEVER)

    def test_no_more(self):
        listener = "s = socket.create_server(('127.0.0.1', 0))\n"
        for before in (listener + "s.shutdown(socket.SHUT_RD)",
                       listener + "s.shutdown(socket.SHUT_RDWR); e = error_of(s.accept)"):
            self.assertEqual(self.refused(before), self.SHUT)

    def test_shut_down_while_accept_waits(self):
        log = self.log()
        p = self.led(log)
        self.begin_accept(p)
        p("s.shutdown(socket.SHUT_RD); t.join()")
        self.assertEqual(p.eval("got"), ["EINVAL"])
        self.assertEqual(self.note(self.last(log, "accept4"), "not-listening")["text"], self.SHUT)

    def test_a_connection(self):
        self.assertEqual(
            self.refused("l = socket.create_server(('127.0.0.1', 0))\n"
                         "s = socket.create_connection(l.getsockname())"),
            "it is a connection, not a listener")

    def test_another_reason(self):
        """A listener's EINVAL: for flags that there are not."""
        log = self.log()
        p = self.led(log)
        p("l = socket.create_server(('127.0.0.1', 0))")
        self.assertEqual(p.eval("call('accept4', l.fileno(), None, None, 1 << 20)"),
                         [-1, "EINVAL"])
        self.absent([self.last(log, "accept4")], "not-listening")

    def test_listens_again(self):
        log = self.log()
        p = self.led(log)
        p("s = socket.create_server(('127.0.0.1', 0)); s.shutdown(socket.SHUT_RD); s.listen()\n"
          "c = socket.create_connection(s.getsockname()); a = s.accept()")
        self.absent(log.read(), "not-listening")


class SharedPort(Accepts):
    """shared-port: SO_REUSEPORT lets a listener join others."""

    def ours(self, port, host="127.0.0.1", options=tuple(REUSEPORT), family=socket.AF_INET):
        """A listener of the test itself, which is no program under the shim."""
        sock = socket.socket(family)
        self.addCleanup(sock.close)
        for option in options:
            sock.setsockopt(*option)
        sock.bind((host, port))
        sock.listen()
        return sock

    def joins(self, port, host="127.0.0.1", option=True, protocol=0, **settings):
        """The events of a bind and a listen there."""
        return self.joins_until(lambda events: True, port, host, option, protocol, **settings)

    def joins_others(self, port, host="127.0.0.1", option=True, **settings):
        """The same. Listeners and owner are looked for within a bounded time: on a busy machine it
        is tried again."""
        def is_told(events):
            return (all("shared-port" in str(event) for event in events) and
                    "was not looked up" not in str(events))
        return self.joins_until(is_told, port, host, option, **settings)

    def joins_until(self, condition, port, host, option=True, protocol=0, **settings):
        log = self.log(self.fresh("log").rpartition("/")[2])
        p = self.led(log, **settings)

        def attempt():
            p("s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, %d)" % protocol)
            if option:
                p("s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)")
            p("s.bind((%r, %d)); s.listen()" % (host, port))
            events = self.last(log, "bind"), self.last(log, "listen")
            p("s.close()")
            return events if condition(events) else None
        return wait_until(attempt, "the notes")

    def alone(self, *events):
        self.absent(events, "shared-port")

    def owner(self):
        with open("/proc/self/comm") as file:
            return {"pid": os.getpid(), "prog": file.read().strip()}

    def test_a_group(self):
        for count, option, settings in ((1, True, {}), (3, True, {}),
                                        (1, False, {"REUSEPORT": 1}),
                                        (1, True, {"REUSE": "off", "CALLS": "bind,listen"})):
            port = self.port()
            for _ in range(count):
                self.ours(port)
            for event in self.joins_others(port, option=option, **settings):
                note = self.note(event, "shared-port")
                self.assertEqual(self.figures(event, "shared-port"),
                                 dict(self.owner(), sockets=count))
                self.assertTrue(note["text"].startswith(
                    "SO_REUSEPORT shares the port with 1 other listener of " if count == 1 else
                    "SO_REUSEPORT shares the port with 3 other listeners, one of "), note)

    def test_a_group_of_its_own(self):
        log, port = self.log(), self.port()
        p = self.led(log, REUSEPORT=1)

        def attempt():
            """Of the first socket, and of the second one when the machine leaves time for it."""
            p("for s in (a := socket.socket()), (b := socket.socket()):\n"
              "    s.bind(('127.0.0.1', %d)); s.listen()" % port)
            events = [event for event in log.new() if event["call"] in ("bind", "listen")]
            p("a.close(); b.close()")
            self.alone(*events[:2])
            return events[2:] if all("notes" in event for event in events[2:]) else None
        for event in wait_until(attempt, "the notes"):
            self.assertEqual(self.figures(event, "shared-port")["sockets"], 1)

    def test_it_is_not_asked_for_each_time(self):
        """A server with many such sockets, each of which would ask for all, starts as fast."""
        log, port = self.log(), self.port()
        self.ours(port)
        p = self.led(log, REUSEPORT=1)
        p("filler = [os.dup(0) for _ in range(900)]; many = []\n"
          "for _ in range(400):\n"
          "    s = socket.socket(); s.bind(('127.0.0.1', %d)); s.listen(); many.append(s)" % port)
        calls = [event for event in log.read() if event["call"] in ("bind", "listen")]
        told = {n: self.figures(event, "shared-port") for n, event in enumerate(calls)
                if self.notes(event)[-1:] == ["shared-port"]}
        self.assertEqual({n: note["sockets"] for n, note in told.items()},
                         {n: n // 2 + 1 for n in told})
        self.assertIn(0, told)
        self.assertLess(len(told), 800)
        self.assertLess(len([note for note in told.values() if "pid" in note]), 300)

    def test_a_wildcard_beside_an_address(self):
        port = self.port()
        self.ours(port)
        for event in self.joins_others(port, "0.0.0.0"):
            self.assertEqual(self.figures(event, "shared-port")["sockets"], 1)

    @needs_ipv6
    def test_not_of_another_family(self):
        port = self.port()
        self.ours(port, "::", REUSEPORT + [(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)],
                  socket.AF_INET6)
        self.alone(*self.joins(port, "0.0.0.0"))

    def test_not_alone(self):
        self.alone(*self.joins(self.port()))
        self.alone(*self.joins(self.port(), option=False))

    def test_not_at_another_address(self):
        port = self.port()
        self.ours(port, "127.0.0.2")
        self.alone(*self.joins(port))

    @needs_root
    def test_not_in_another_namespace(self):
        """The port is another one there."""
        log, port = self.log(), self.port()
        self.ours(port)
        p = self.led(log)
        p("assert C.unshare(0x40000000) == 0\n"
          "s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n"
          "s.bind(('0.0.0.0', %d)); s.listen()" % port)
        self.alone(*log.read())

    @needs_mptcp
    def test_mptcp_is_not_its_own_neighbour(self):
        self.alone(*self.joins(self.port(), protocol=kernel.IPPROTO_MPTCP))
