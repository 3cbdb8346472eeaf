# SPDX-License-Identifier: MIT
"""Copies of descriptors, the many ways to close one, and the calls through syscall()."""

import os
import socket

from harness import kernel, paths
from harness.case import Case, Puppet, shimmed, wait_until

NUMBERS = "import platform; N = {'x86_64': {'close': 3, 'socket': 41, 'bind': 49, " \
    "'listen': 50, 'connect': 42, 'accept': 43, 'accept4': 288, 'setsockopt': 54, " \
    "'getsockopt': 55, 'shutdown': 48, 'dup': 32, 'dup2': 33, 'dup3': 292, 'fcntl': 72, " \
    "'close_range': 436}, 'aarch64': {'close': 57, 'socket': 198, 'bind': 200, 'listen': 201, " \
    "'connect': 203, 'accept': 202, 'accept4': 242, 'setsockopt': 208, 'getsockopt': 209, " \
    "'shutdown': 210, 'dup': 23, 'dup3': 24, 'fcntl': 25, 'close_range': 436}" \
    "}[platform.machine()]\n" \
    "def sys_call(name, *args): return call('syscall', N[name], *args)[0]\n"


class Copies(Case):
    """dup, dup2, dup3 and fcntl."""

    def test_dup(self):
        log = self.log()
        p = self.pair(log)
        c, cookie = p.eval("[c.fileno(), cookie(c)]")
        new = p.eval("call('dup', c.fileno())[0]")
        self.expect(log.new(), ("dup", dict(fd=c, ret=new, args=None, sock=cookie,
                                            was="ESTABLISHED", state="ESTABLISHED",
                                            closed=None)))

    def test_dup2_onto_nothing(self):
        log = self.log()
        p = self.pair(log)
        c, cookie = p.eval("[c.fileno(), cookie(c)]")
        p("C.dup2(c.fileno(), 50)")
        self.expect(log.new(), ("dup2", dict(fd=c, ret=50, args={"newfd": 50}, sock=cookie,
                                             state="ESTABLISHED", closed=None)))

    def test_dup2_onto_a_connection(self):
        log = self.log()
        p = self.pair(log)
        numbers = p.eval("[s.fileno() for s in (l, c, a)]")
        cookies = p.eval("[cookie(s) for s in (l, c, a)]")
        local, peer = ("127.0.0.1:%d" % port for port in p.eval(
            "[c.getsockname()[1], c.getpeername()[1]]"))
        for call, arguments in (("dup2", "l.fileno(), c.fileno()"),):
            p("C.%s(%s)" % (call, arguments))
            event, = log.new()
            self.match(event, call=call, fd=numbers[0], ret=numbers[1], sock=cookies[0],
                       state="LISTEN", was="LISTEN", args={"newfd": numbers[1]})
            closed = event["closed"]
            self.assertIn(closed.pop("state"), ("FIN_WAIT_1", "FIN_WAIT_2"))
            closed.pop("timer_ms", None)
            self.assertEqual(closed, {"fd": numbers[1], "sock": cookies[1], "local": local,
                                      "peer": peer, "was": "ESTABLISHED"})

    def test_dup2_of_a_file_onto_a_connection(self):
        """Only the target was one: closed alone."""
        log = self.log()
        p = self.pair(log)
        c, cookie = p.eval("[c.fileno(), cookie(c)]")
        for call in ("call('dup2', 0, %d)", "call('dup3', 0, %d, 0)"):
            p(call % c)
            if "dup2" in call:
                event, = log.new()
                self.match(event, fd=0, ret=c, sock=None, local=None, peer=None, was=None,
                           state=None, args={"newfd": c})
                self.assertEqual(event["closed"]["sock"], cookie)
            else:
                self.assertEqual(log.new(), [])

    def test_dup3_onto_a_copy(self):
        """The last of them closes it; before that it is still ESTABLISHED."""
        log = self.log()
        p = self.pair(log)
        p("C.dup2(c.fileno(), 50); r, w = os.pipe()")
        log.new()
        p("C.dup3(r, 50, os.O_CLOEXEC)")
        event, = log.new()
        self.match(event, call="dup3", ret=50, args={"newfd": 50})
        self.assertEqual((event["closed"]["state"], event["closed"]["was"]),
                         ("ESTABLISHED", "ESTABLISHED"))

    def test_dup2_onto_time_wait(self):
        log = self.log()
        p = self.pair(log)
        c, cookie = p.eval("[c.fileno(), cookie(c)]")
        p("c.shutdown(socket.SHUT_WR); a.close()")
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        log.new()
        p("C.dup2(l.fileno(), %d)" % c)
        closed = log.new()[-1]["closed"]
        self.assertEqual((closed["state"], closed["sock"]), ("TIME_WAIT", cookie))
        self.assertTrue(0 < closed["timer_ms"] <= 60000)

    def test_dup2_onto_itself(self):
        log = self.log()
        p = self.pair(log)
        c = p.eval("c.fileno()")
        p("C.dup2(%d, %d)" % (c, c))
        self.expect(log.new(), ("dup2", dict(fd=c, ret=c, state="ESTABLISHED", closed=None)))
        self.assertEqual(p.eval("call('dup3', %d, %d, 0)" % (c, c)), [-1, "EINVAL"])
        self.expect(log.new(), ("dup3", dict(error="EINVAL", state="ESTABLISHED", closed=None)))

    def test_failures(self):
        log = self.log()
        p = self.pair(log)
        c = p.eval("c.fileno()")
        self.assertEqual(p.eval("call('dup2', %d, -1)" % c), [-1, "EBADF"])
        self.expect(log.new(), ("dup2", dict(error="EBADF", args={"newfd": -1}, closed=None)))
        self.assertEqual(p.eval("call('dup2', 999, %d)" % c), [-1, "EBADF"])
        self.assertEqual(log.new(), [])
        self.assertEqual(p.eval("call('fcntl', %d, 0, -1)" % c), [-1, "EINVAL"])
        self.expect(log.new(), ("fcntl", dict(error="EINVAL", args={
            "command": "F_DUPFD", "newfd": -1})))
        self.assertEqual(p.eval("c.fileno() and cookie(c) > 0"), True)

    def test_fcntl(self):
        log = self.log()
        p = self.pair(log)
        c, cookie = p.eval("[c.fileno(), cookie(c)]")
        p("C.fcntl(c.fileno(), 0, 70); C.fcntl64(c.fileno(), 1030, 80)\n"
          "C.__fcntl(c.fileno(), 0, 90); C.fcntl(c.fileno(), 1); C.fcntl(c.fileno(), 3)\n"
          "C.fcntl(c.fileno(), 4, 2048); C.fcntl(0, 0, 95)")
        self.expect(
            log.new(),
            ("fcntl", dict(fd=c, ret=70, sock=cookie, args={"command": "F_DUPFD", "newfd": 70})),
            ("fcntl", dict(ret=80, args={"command": "F_DUPFD_CLOEXEC", "newfd": 80})),
            ("fcntl", dict(ret=90)))

    def test_a_copy_starts_with_its_sources_state(self):
        """was of the first event of a copy, whatever happened in between."""
        log = self.log()
        p = self.pair(log)
        p("C.dup2(c.fileno(), 50); c.shutdown(socket.SHUT_WR); C.setsockopt(50, 6, 1, "
          "struct.pack('i', 1), 4)")
        events = log.new()
        self.assertEqual([event["call"] for event in events], ["dup2", "shutdown", "setsockopt"])
        self.match(events[2], fd=50, was="ESTABLISHED",
                   state=lambda state: state in ("FIN_WAIT_1", "FIN_WAIT_2"))


class Closes(Case):
    """close by every name, one event a socket."""

    def test_names(self):
        log = self.log()
        p = self.pair(log)
        p("for n in range(50, 54): C.dup2(c.fileno(), n)")
        log.new()
        p("C.fdopen.restype = ctypes.c_void_p\n"
          "C.close(50); C.__close(51)\n"
          "C.fclose(ctypes.c_void_p(C.fdopen(52, b'r')))\n"
          "C._IO_fclose(ctypes.c_void_p(C.fdopen(53, b'r')))")
        self.expect(
            log.new(),
            *[(name, dict(fd=fd, ret=0, was="ESTABLISHED", state="ESTABLISHED"))
              for name, fd in (("close", 50), ("close", 51), ("fclose", 52), ("fclose", 53))])

    def test_fclose_of_the_last(self):
        log = self.log()
        p = self.pair(log)
        cookie = p.eval("cookie(c)")
        p("C.fdopen.restype = ctypes.c_void_p\n"
          "C.fclose(ctypes.c_void_p(C.fdopen(c.detach(), b'r')))")
        self.expect(log.new(), ("fclose", dict(
            sock=cookie, ret=0, was="ESTABLISHED",
            state=lambda state: state in ("FIN_WAIT_1", "FIN_WAIT_2"))))

    def test_fclose_of_something_else(self):
        log = self.log()
        p = self.puppet(log)
        p("C.fdopen.restype = ctypes.c_void_p\n"
          "C.fclose(ctypes.c_void_p(C.fdopen(os.open('/dev/null', 0), b'r')))\n"
          "C.fopen.restype = ctypes.c_void_p\n"
          "C.fclose(ctypes.c_void_p(C.fopen(b'/dev/null', b'r')))")
        self.assertEqual(log.new(), [])

    def ranges(self, call, *numbers):
        log = self.log()
        p = self.pair(log)
        cookies = p.eval("[cookie(s) for s in (l, c)]")
        p("C.dup2(l.fileno(), 300); C.dup2(c.fileno(), 301); C.dup2(0, 302); "
          "C.dup2(socket.socket(2, 2).detach(), 303); C.dup2(c.fileno(), 310); r, w = os.pipe()")
        log.new()
        p(call)
        events = log.new()
        self.assertEqual(sorted(event["fd"] for event in events), list(numbers))
        for event in events:
            self.match(event, ret=0, args=None,
                       sock=cookies[0] if event["fd"] == 300 else cookies[1],
                       state="LISTEN" if event["fd"] == 300 else "ESTABLISHED")
        return {event["call"] for event in events}

    def test_close_range(self):
        self.assertEqual(self.ranges("C.close_range(300, 305, 0)", 300, 301), {"close_range"})

    def test_close_range_of_one(self):
        self.assertEqual(self.ranges("C.close_range(301, 301, 0)", 301), {"close_range"})

    def test_close_range_unshared(self):
        self.assertEqual(self.ranges("C.close_range(300, 305, 2)", 300, 301), {"close_range"})

    def test_close_range_for_exec(self):
        self.assertEqual(self.ranges("C.close_range(300, 305, 4)"), set())

    def test_close_range_that_failed(self):
        self.assertEqual(self.ranges("C.close_range(305, 300, 0); C.close_range(300, 305, 99)"),
                         set())

    def test_after_a_close_range_that_failed(self):
        """What was not closed goes on from the state that it had."""
        log = self.log()
        p = self.pair(log)
        p("C.dup2(c.fileno(), 300); C.close_range(300, 305, 64); C.close(300)")
        close = [event for event in log.read() if event["call"] == "close"][-1]
        self.assertEqual((close["fd"], close.get("was")), (300, "ESTABLISHED"))

    def test_closefrom(self):
        self.assertEqual(self.ranges("C.closefrom(300)", 300, 301, 310), {"closefrom"})

    def test_a_range_without_proc(self):
        """Where /proc/self/fd cannot be opened: those that the shim has seen."""
        log = self.log()
        p = self.pair(log)
        p("C.dup2(l.fileno(), 300); C.dup2(c.fileno(), 301)\n"
          "import resource; low = os.dup(0); os.close(low)\n"
          "resource.setrlimit(resource.RLIMIT_NOFILE, (low, 4096))")
        log.new()
        p("C.close_range(300, 400, 0)")
        events = log.new()
        self.assertEqual(sorted(event["fd"] for event in events), [300, 301])

    def test_an_unseen_one_in_a_range(self):
        """A socket that the shim never saw is found in /proc/self/fd."""
        log = self.log()
        p = self.puppet(log)
        p("x, y = socket.socketpair()\n"
          "pid = os.fork()\n"
          "if pid == 0:\n"
          "    s = socket.socket(); socket.send_fds(x, [b'x'], [s.fileno()]); os._exit(0)\n"
          "_, got, _, _ = socket.recv_fds(y, 10, 1); os.waitpid(pid, 0)\n"
          "n = got[0]")
        log.read()
        before = len(log.events)
        n = p.eval("n")
        p("C.close_range(n, n, 0)")
        self.expect(log.read()[before:], ("close_range", dict(fd=n, was=None, state="CLOSED")))


class Syscall(Case):
    """Through libc's syscall() the calls bear their own names."""

    def test_each(self):
        log = self.log()
        p = self.puppet(log)
        p(NUMBERS)
        p("l = sys_call('socket', 2, 1, 0)\n"
          "addr = struct.pack('=HH4s8x', 2, 0, b'\\x7f\\0\\0\\1')\n"
          "sys_call('bind', l, addr, 16); sys_call('listen', l, 7)\n"
          "buf = ctypes.create_string_buffer(16); size = ctypes.c_int(16)\n"
          "C.getsockname(l, buf, ctypes.byref(size))\n"
          "c = sys_call('socket', 2, 1, 0); sys_call('connect', c, buf, 16)\n"
          "a = sys_call('accept4', l, None, None, 0)\n"
          "one = ctypes.c_int(1); sys_call('setsockopt', a, 6, 1, ctypes.byref(one), 4)\n"
          "four = ctypes.c_int(4); sys_call('getsockopt', a, 1, 4, ctypes.byref(one), "
          "ctypes.byref(four))\n"
          "sys_call('shutdown', a, 1); d = sys_call('dup', a); sys_call('dup3', a, 60, 0)\n"
          "sys_call('fcntl', a, 0, 70); sys_call('close_range', 60, 60, 0)\n"
          "sys_call('close', 70); sys_call('close', d)")
        l, c, a, d = p.eval("[l, c, a, d]")
        self.expect(
            log.read(), ("socket", dict(ret=l)), ("bind", dict(fd=l)),
            ("listen", dict(fd=l, args={"backlog": 7}, state="LISTEN")), ("socket", dict(ret=c)),
            ("connect", dict(fd=c, state="ESTABLISHED")),
            ("accept4", dict(fd=l, ret=a, state="ESTABLISHED", via=["SYN_RCVD"])),
            ("setsockopt", dict(fd=a)), ("getsockopt", dict(fd=a)),
            ("shutdown", dict(fd=a, args={"how": "SHUT_WR"})), ("dup", dict(fd=a, ret=d)),
            ("dup3", dict(ret=60)), ("fcntl", dict(ret=70)), ("close_range", dict(fd=60)),
            ("close", dict(fd=70)), ("close", dict(fd=d)))

    def test_reuse(self):
        port = self.port()
        p = self.puppet()
        p(NUMBERS + "s = socket.socket(); "
          "addr = struct.pack('=H', 2) + struct.pack('>H4s8x', %d, b'\\x7f\\0\\0\\1')\n"
          "got = sys_call('bind', s.fileno(), addr, 16)" % port)
        self.assertEqual(p.eval("got"), 0)
        self.assertEqual(p.eval("s.getsockopt(1, 2)"), 1)


class Received(Case):
    """Sockets that the shim never saw made."""

    def test_inherited(self):
        """As under inetd or systemd: its first event has no was, and reuse works."""
        log = self.log()
        sock = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(sock.getsockname())
        os.dup2(sock.fileno(), 150, inheritable=True)
        os.dup2(client.fileno(), 151, inheritable=True)
        p = self.inheriting(log, (150, 151))
        p("os.close(os.dup(150)); C.shutdown(151, 1)")
        events = log.read()
        self.expect(events,
                    ("fcntl", dict(was=None, state="LISTEN", via=None,
                                   sock=kernel.cookie_of(sock))),
                    ("close", dict(was="LISTEN", state="LISTEN")),
                    ("shutdown", dict(fd=151, was=None, sock=kernel.cookie_of(client),
                                      state=lambda state: state.startswith("FIN_WAIT"))))

    def inheriting(self, log, fds):
        ours, theirs = socket.socketpair()
        process = self.start([paths.PYTHON, "-I", "-S", "-B",
                              os.path.join(paths.HARNESS, "puppet_main.py")],
                             shimmed(LOG=log.path, FORMAT="json"), stdin=theirs, pass_fds=fds)
        theirs.close()
        self.addCleanup(ours.close)
        return Puppet(process, ours, lambda: b"")

    def test_sent_by_another_process(self):
        log, port = self.log(), self.port()
        p = self.puppet(log)
        p("x, y = socket.socketpair()\n"
          "pid = os.fork()\n"
          "if pid == 0:\n"
          "    s = socket.socket(); socket.send_fds(x, [b'x'], [s.fileno()]); os._exit(0)\n"
          "_, got, _, _ = socket.recv_fds(y, 10, 1); os.waitpid(pid, 0)\n"
          "s = socket.socket(fileno=got[0]); s.bind(('127.0.0.1', %d))" % port)
        events = [event for event in log.read() if event["pid"] == p.pid]
        self.assertEqual([event["call"] for event in events], ["setsockopt", "bind"])
        self.match(events[0], by="shim", was=None, state="CLOSED")
        self.assertEqual(p.eval("s.getsockopt(1, 2)"), 1)
