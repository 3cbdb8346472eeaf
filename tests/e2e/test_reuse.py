# SPDX-License-Identifier: MIT
"""When the shim enables SO_REUSEADDR, and when it leaves the socket alone."""

import os
import socket

from harness import kernel
from harness.case import Case, needs_ipv6, needs_root, wait_until

SET = "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, %d)"
GET = "s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)"
GET_PORT = "s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)"


class Reuse(Case):
    """A puppet binds; what its socket has then is read back."""

    def by_shim(self, events):
        """The shim's own calls: (option, value) each."""
        return [(event["args"]["option"], event["args"].get("value")) for event in events
                if event.get("by") == "shim"]

    def bound(self, p, port, host="127.0.0.1"):
        """Bind `s`; its SO_REUSEADDR afterwards."""
        p("s.bind((%r, %d))" % (host, port))
        return p.eval(GET)

    def hold(self, port):
        """Leave a connection in TIME_WAIT that holds the port, made with the option."""
        cookie = kernel.leave_dying(port, reuse=1)
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")


class Auto(Reuse):
    """The default: unless the program itself set the option."""

    def test_enabled(self):
        log, port = self.log(), self.port()
        p = self.puppet(log)
        p("s = socket.socket()")
        fd = p.eval("s.fileno()")
        self.assertEqual(self.bound(p, port), 1)
        self.expect(
            log.new(), ("socket", {}),
            ("setsockopt", dict(by="shim", fd=fd, ret=0, state="CLOSED", args={
                "level": "SOL_SOCKET", "option": "SO_REUSEADDR", "value": 1})),
            ("bind", dict(by=None, ret=0, local="127.0.0.1:%d" % port)))
        self.assertEqual(self.notes(log.read()[-1]), ["reuse-enabled"])
        p("s.listen()")
        self.expect(log.new(), ("listen", dict(state="LISTEN", notes=None)))

    def test_the_program_said_no(self):
        log, port = self.log(), self.port()
        p = self.puppet(log)
        p("s = socket.socket(); " + SET % 0)
        self.assertEqual(self.bound(p, port), 0)
        events = log.new()
        self.assertEqual(self.by_shim(events), [])
        self.assertEqual(self.notes(events[-1]), ["reuse-respected"])

    def test_the_program_said_yes(self):
        log, port = self.log(), self.port()
        p = self.puppet(log)
        p("s = socket.socket(); " + SET % 1)
        self.assertEqual(self.bound(p, port), 1)
        events = log.new()
        self.assertEqual(self.by_shim(events), [])
        self.assertEqual(self.notes(events[-1]), [])

    def test_yes_and_then_no(self):
        port = self.port()
        p = self.puppet()
        p("s = socket.socket(); " + SET % 1 + "; " + SET % 0)
        self.assertEqual(self.bound(p, port), 0)

    def test_another_option_is_no_answer(self):
        port = self.port()
        p = self.puppet()
        p("s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)")
        p("s.setsockopt(socket.IPPROTO_TCP, 2, 1400)")
        self.assertEqual(self.bound(p, port), 1)

    def test_a_no_that_failed_is_none(self):
        port = self.port()
        p = self.puppet()
        p("s = socket.socket()")
        self.assertEqual(p.eval("call('setsockopt', s.fileno(), 1, 2, None, 4)"), [-1, "EFAULT"])
        self.assertEqual(p.eval("call('setsockopt', s.fileno(), 1, 2, b'', 1)"), [-1, "EINVAL"])
        self.assertEqual(self.bound(p, port), 1)

    def test_no_through_syscall(self):
        port = self.port()
        p = self.puppet()
        p("import platform; zero = ctypes.c_int(0); s = socket.socket()\n"
          "number = {'x86_64': 54, 'aarch64': 208}[platform.machine()]\n"
          "assert C.syscall(number, s.fileno(), 1, 2, ctypes.byref(zero), 4) == 0")
        self.assertEqual(self.bound(p, port), 0)

    def test_no_holds_for_copies(self):
        """It belongs to the socket, not to the number."""
        for copy in ("os.dup(s.fileno())", "call('dup', s.fileno())[0]",
                     "call('dup2', s.fileno(), 50)[0]", "call('dup3', s.fileno(), 50, 0)[0]",
                     "call('fcntl', s.fileno(), 0, 50)[0]"):
            port = self.port()
            p = self.puppet()
            p("s = socket.socket(); " + SET % 0)
            p("s = socket.socket(fileno=%s)" % copy)
            self.assertEqual(self.bound(p, port), 0, copy)

    def test_no_said_to_a_copy(self):
        """Said through one number and bound through the other."""
        port = self.port()
        p = self.puppet()
        p("s = socket.socket(); d = s.dup(); "
          "d.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0); d.close()")
        self.assertEqual(self.bound(p, port), 0)

    def test_no_holds_in_a_child(self):
        port = self.port()
        p = self.puppet()
        p("s = socket.socket(); " + SET % 0)
        p("pid = os.fork()\n"
          "if pid == 0:\n"
          "    s.bind(('127.0.0.1', %d)); os._exit(%s)\n" % (port, GET))
        self.assertEqual(p.eval("os.waitpid(pid, 0)[1]"), 0)

    def test_no_is_kept_while_children_are_made(self):
        """A vfork child closes its copies in its parent's memory (Python's subprocess)."""
        for how in ("subprocess.run(['true'], check=True)",
                    "subprocess.run(['true'], close_fds=False, check=True)",
                    "subprocess.run(['true'], stdin=s, check=True)",
                    "os.system('true')",
                    "os.waitpid(os.posix_spawn('/bin/true', ['true'], {}, "
                    "file_actions=[(os.POSIX_SPAWN_CLOSE, s.fileno())]), 0)"):
            for settings in ({}, {"LOG": self.fresh("log")}):
                port = self.port()
                p = self.puppet(**settings)
                p("import subprocess; s = socket.socket(); " + SET % 0)
                p(how)
                self.assertEqual(self.bound(p, port), 0, how)
                p.close()

    def test_no_dies_with_the_socket(self):
        """The next socket of the same number is another one."""
        for close in ("s.close()", "os.close(s.detach())", "os.dup2(0, s.detach())",
                      "C.close_range(s.fileno(), s.detach(), 0)",
                      "C.fdopen.restype = ctypes.c_void_p; "
                      "C.fclose(ctypes.c_void_p(C.fdopen(s.detach(), b'r')))"):
            port = self.port()
            p = self.puppet()
            p("s = socket.socket(); n = s.fileno(); " + SET % 0)
            p(close)
            p("s = socket.socket()\n"
              "if s.fileno() != n: os.dup2(s.detach(), n); s = socket.socket(fileno=n)")
            self.assertEqual(self.bound(p, port), 1, close)

    @needs_ipv6
    def test_ipv6(self):
        port = self.port()
        p = self.puppet()
        p("s = socket.socket(socket.AF_INET6)")
        self.assertEqual(self.bound(p, port, "::1"), 1)

    def test_port_0_is_left_alone(self):
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket()")
        self.assertEqual(self.bound(p, 0), 0)
        events = log.new()
        self.assertEqual(self.by_shim(events), [])
        self.assertEqual(self.notes(events[-1]), [])

    def test_udp_and_unix_are_left_alone(self):
        port = self.port()
        for reuse in ("auto", "force", "gentle"):
            p = self.puppet(REUSE=reuse, REUSEPORT=1)
            p("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)")
            self.assertEqual(self.bound(p, port), 0)
            self.assertEqual(p.eval(GET_PORT), 0)
            p("s = socket.socket(socket.AF_UNIX); s.bind(%r)" % self.fresh("unix"))
            self.assertEqual(p.eval(GET), 0)
            p.close()

    def test_a_bind_that_fails_for_another_reason(self):
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket()")
        self.assertEqual(p.eval("error_of(s.bind, ('192.0.2.1', 0))"), "EADDRNOTAVAIL")
        self.assertEqual(p.eval("call('bind', s.fileno(), None, 16)"), [-1, "EFAULT"])
        self.assertEqual(p.eval("call('bind', s.fileno(), b'', 200)"), [-1, "EINVAL"])
        self.assertEqual(p.eval("call('bind', s.fileno(), b'\\2\\0', 2)"), [-1, "EINVAL"])
        self.assertEqual(self.by_shim(log.read()), [])
        self.assertEqual(p.eval(GET), 0)

    def test_time_wait_is_bound_over(self):
        port = self.port()
        self.hold(port)
        p = self.puppet()
        p("s = socket.socket()")
        self.assertEqual(self.bound(p, port), 1)


class Overlap(Reuse):
    """A bind that a socket of this very process refuses is left as the program made it."""

    ADDRESSES = (("0.0.0.0", 0), ("127.0.0.1", 0), ("127.0.0.2", 0), ("::", 0), ("::", 1),
                 ("::1", 0), ("::ffff:127.0.0.1", 0), ("::ffff:0.0.0.0", 0))
    BIND = ("def bound(host, v6only, port):\n"
            "    s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)\n"
            "    if v6only: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)\n"
            "    return s, error_of(s.bind, (host, port))")

    def reused(self, p):
        """The option of `s`, after its bind."""
        p("s = socket.socket(); e = error_of(s.bind, ('127.0.0.1', port))")
        return p.eval(GET)

    @needs_ipv6
    def test_as_the_kernel_sees_it(self):
        """The second bind fails where it fails without the shim, and only there."""
        plain, shim = self.puppet(plain=True), self.puppet()
        pairs = [(a, b) for a in self.ADDRESSES for b in self.ADDRESSES]
        failed = 0
        # 6.1 lets an address be beside a mapped wildcard; later ones refuse that, as earlier ones.
        mapped, forgets_mapped = ("::ffff:0.0.0.0", 0), kernel.version() < (6, 6)
        for p in (plain, shim):
            p(self.BIND)
        for first, second in pairs:
            port, says = self.port(), []
            for p in (plain, shim):
                p("s, a = bound(*%r, %d); t, b = bound(*%r, %d)" % (first, port, second, port))
                says.append(p.eval("[a, b]"))
                option = p.eval("t.getsockopt(1, 2)")
                p("s.close(); t.close()")
            self.assertEqual(says[1], says[0], (first, second))
            if not (forgets_mapped and mapped in (first, second) and not says[0][1]):
                self.assertEqual(option, 0 if says[0][1] else 1, (first, second))
            failed += says[0][1] == "EADDRINUSE"
        self.assertGreater(failed, 10)
        self.assertLess(failed, len(pairs) - 10)

    @needs_ipv6
    def test_a_server_that_tolerates_it(self):
        """Both families, the second if it can be had; listening when all are bound."""
        log, port = self.log(), self.port()
        p = self.puppet(log)
        p(self.BIND)
        p("s, a = bound('::', 0, %d); t, b = bound('0.0.0.0', 0, %d)" % (port, port))
        self.assertEqual(p.eval("[a, b]"), [None, "EADDRINUSE"])
        p("s.listen(); c = socket.create_connection(('127.0.0.1', %d))" % port)
        self.assertEqual(self.by_shim(log.read()), [("SO_REUSEADDR", 1)])

    @needs_ipv6
    def test_each_of_many(self):
        """Whichever of those that are bound is in the way, and whatever number it has."""
        plain, shim = self.puppet(plain=True), self.puppet()
        for names in (("127.0.0.1", "127.0.0.2", "127.0.0.1"), ("127.0.0.1", "::1", "0.0.0.0"),
                      ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.1"),
                      ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.2")):
            port, says = self.port(), []
            for p in (plain, shim):
                p(self.BIND)
                p("all = [bound(name, 0, %d) for name in %r]" % (port, names))
                says.append(p.eval("[error for _, error in all]"))
                p("for s, error in all: error or s.listen()\nfor s, _ in all: s.close()")
            self.assertEqual(says[0], [None] * (len(names) - 1) + ["EADDRINUSE"])
            self.assertEqual(says[1], says[0], names)

    def test_a_number_that_is_used_again(self):
        """The closed one's number was bound to the port before, and another has it now."""
        port = self.port()
        p = self.puppet()
        p(self.BIND)
        p("s, a = bound('127.0.0.1', 0, %d); t, b = bound('127.0.0.2', 0, %d)" % (port, port))
        p("n = s.fileno(); s.close(); u, c = bound('127.0.0.2', 0, %d)" % port)
        self.assertEqual(p.eval("[a, b, c, u.fileno() == n]"), [None, None, "EADDRINUSE", True])
        p("t.listen()")

    @needs_ipv6
    def test_the_rescue_of_both_families(self):
        """They do not overlap with V6ONLY."""
        port = self.port()
        self.hold(port)
        p = self.puppet()
        p(self.BIND)
        p("s, a = bound('::', 1, %d); t, b = bound('0.0.0.0', 0, %d)" % (port, port))
        self.assertEqual(p.eval("[a, b]"), [None, None])
        p("s.listen(); t.listen()")

    def test_the_third(self):
        """Two that do not overlap each other, and one that does."""
        for order in ((1, 2), (2, 1)):
            port = self.port()
            p = self.puppet()
            p(self.BIND)
            for i in order:
                p("s%d, a = bound('127.0.0.%d', 0, %d)" % (i, i, port))
                self.assertIsNone(p.eval("a"))
            p("t, b = bound('0.0.0.0', 0, %d)" % port)
            self.assertEqual(p.eval("b"), "EADDRINUSE")

    def test_what_is_over(self):
        """A listener that was closed and opened again, or bound once more before it listens."""
        port = self.port()
        for before in ("t.listen(); t.close()", "t.close()", "t.listen(); u = t.dup(); t.close()",
                       "os.dup2(0, t.fileno())",
                       "os.dup2(socket.socket().detach(), t.fileno())"):
            p = self.puppet()
            p("port = %d; low = os.dup(0); t = socket.socket()\n"
              "t.bind(('127.0.0.1', port))" % port)
            p(before)
            p("os.close(low)")
            self.assertEqual(self.reused(p), 1, before)
            p.kill()

    def test_what_listens(self):
        """It has passed the place where the harm would come; the kernel refuses anyway."""
        p = self.puppet()
        p("port = %d; t = socket.socket(); t.bind(('127.0.0.1', port)); t.listen()" % self.port())
        self.assertEqual(self.reused(p), 1)
        self.assertEqual(p.eval("e"), "EADDRINUSE")

    def test_what_is_connected(self):
        """A client with a port of its own."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            p = self.puppet()
            p("port = %d; t = socket.socket(); t.bind(('127.0.0.1', port)); t.connect(%r)"
              % (self.port(), server.getsockname()))
            self.assertEqual(self.reused(p), 1)
            self.assertIsNone(p.eval("e"))

    def test_the_number_of_an_accepted_one_that_was_reset(self):
        """getsockname tells the listener's port, which the connection has no more."""
        p = self.puppet()
        p("port = %d; l = socket.socket(); l.bind(('127.0.0.1', port))\n"
          "l.listen(); n = l.fileno(); high = l.dup(); l.close(); os.dup2(0, n)\n"
          "c = socket.create_connection(('127.0.0.1', port))\n"
          "a, _ = high.accept(); os.dup2(a.detach(), n); a = socket.socket(fileno=n)\n"
          "high.close(); c.setsockopt(1, 13, struct.pack('ii', 1, 0)); c.close()" % self.port())
        wait_until(lambda: p.eval("tcp_info_state(a)") == 7, "CLOSE")
        self.assertEqual(p.eval("a.getsockname()[1]"), p.eval("port"))
        self.assertEqual(self.reused(p), 1)

    def test_what_shares(self):
        """Two that set SO_REUSEPORT themselves: no bind fails for that."""
        p = self.puppet()
        p("port = %d; both = [socket.socket() for _ in range(2)]\n"
          "for s in both: s.setsockopt(1, 15, 1); s.bind(('127.0.0.1', port))" % self.port())
        self.assertEqual(p.eval("[s.getsockopt(1, 2) for s in both]"), [1, 1])

    @needs_root
    def test_another_namespace(self):
        p = self.puppet()
        p("port = %d; t = socket.socket(); t.bind(('0.0.0.0', port))\n"
          "assert C.unshare(0x40000000) == 0" % self.port())
        p("s = socket.socket(); s.bind(('0.0.0.0', port))")
        self.assertEqual(p.eval(GET), 1)

    def test_in_a_child(self):
        """A forked child has the socket too."""
        p = self.puppet()
        p("port = %d; t = socket.socket(); t.bind(('127.0.0.1', port)); pid = os.fork()\n"
          "if pid == 0:\n"
          "    s = socket.socket(); error_of(s.bind, ('127.0.0.1', port)); os._exit(7 + %s)\n"
          % (self.port(), GET))
        self.assertEqual(os.waitstatus_to_exitcode(p.eval("os.waitpid(pid, 0)[1]")), 7)

    @needs_root
    def test_many_ports_and_numbers(self):
        """What is remembered has a fixed size; the newest displaces what is older."""
        p = self.puppet()
        p("assert C.unshare(0x40000000) == 0; socks = []\n"
          "for port in range(20000, 20600):\n"
          "    t = socket.socket(); t.bind(('0.0.0.0', port)); socks.append(t)\n"
          "s = socket.socket(); e = error_of(s.bind, ('0.0.0.0', port))")
        self.assertEqual([p.eval("e"), p.eval(GET)], ["EADDRINUSE", 0])


class Force(Reuse):
    """Also where the program said no."""

    def test_over_a_socket_of_ones_own(self):
        p = self.puppet(REUSE="force")
        p("t = socket.socket(); t.bind(('127.0.0.1', 0)); port = t.getsockname()[1]; t.close()\n"
          "t = socket.socket(); t.bind(('127.0.0.1', port)); s = socket.socket()")
        self.assertEqual(p.eval("error_of(s.bind, ('127.0.0.1', port))"), None)

    def test_over_a_no(self):
        log, port = self.log(), self.port()
        p = self.puppet(log, REUSE="force")
        p("s = socket.socket(); " + SET % 0)
        self.assertEqual(self.bound(p, port), 1)
        events = log.read()
        self.assertEqual(self.by_shim(events), [("SO_REUSEADDR", 1)])
        self.assertEqual(self.notes(events[-1]), ["reuse-enabled"])

    def test_port_0_is_left_alone(self):
        p = self.puppet(REUSE="force")
        p("s = socket.socket()")
        self.assertEqual(self.bound(p, 0), 0)


class Off(Reuse):
    """Never."""

    def test_never(self):
        log, port = self.log(), self.port()
        p = self.puppet(log, REUSE="off")
        p("s = socket.socket()")
        self.assertEqual(self.bound(p, port), 0)
        p("s.listen()")
        self.assertEqual(p.eval(GET), 0)
        self.assertEqual(self.by_shim(log.read()), [])
        self.assertEqual([self.notes(event) for event in log.read()], [[], [], []])


class Gentle(Reuse):
    """First as the program asked; only on EADDRINUSE with the option."""

    def test_a_free_port(self):
        """bind is as it was; the option comes with listen, for the next run's sake."""
        log, port = self.log(), self.port()
        p = self.puppet(log, REUSE="gentle")
        p("s = socket.socket()")
        self.assertEqual(self.bound(p, port), 0)
        self.assertEqual(self.by_shim(log.new()), [])
        p("s.listen()")
        self.assertEqual(p.eval(GET), 1)
        self.expect(log.new(), ("setsockopt", dict(by="shim", state="CLOSED")),
                    ("listen", dict(state="LISTEN")))
        self.assertEqual(self.notes(log.read()[-1]), ["reuse-enabled"])

    def test_a_port_held_by_time_wait(self):
        log, port = self.log(), self.port()
        self.hold(port)
        p = self.puppet(log, REUSE="gentle")
        p("s = socket.socket(); ctypes.set_errno(4242)\n"
          "addr = struct.pack('=H', 2) + struct.pack('>H4s8x', %d, b'\\x7f\\0\\0\\1')" % port)
        self.assertEqual(p.eval("[C.bind(s.fileno(), addr, 16), ctypes.get_errno()]"), [0, 4242])
        self.assertEqual(p.eval(GET), 1)
        events = log.read()
        binds = [event for event in events if event["call"] == "bind"]
        self.assertEqual([event["ret"] for event in binds], [0])
        self.assertEqual(self.notes(binds[0]), ["reuse-enabled"])
        self.assertEqual(self.by_shim(events), [("SO_REUSEADDR", 1)])

    def test_a_port_that_somebody_listens_on(self):
        """Both tries fail: the option is taken back, and the first errno returned."""
        log = self.log()
        with socket.create_server(("127.0.0.1", 0)) as server:
            p = self.puppet(log, REUSE="gentle")
            p("s = socket.socket()")
            self.assertEqual(p.eval("error_of(s.bind, ('127.0.0.1', %d))"
                                    % server.getsockname()[1]), "EADDRINUSE")
            self.assertEqual(p.eval(GET), 0)
        events = log.read()
        self.assertEqual(self.by_shim(events), [("SO_REUSEADDR", 1), ("SO_REUSEADDR", 0)])
        binds = [event for event in events if event["call"] == "bind"]
        self.assertEqual([event.get("error") for event in binds], ["EADDRINUSE"])
        self.assertNotIn("reuse-enabled", self.notes(binds[0]))

    def test_the_program_said_no(self):
        log, port = self.log(), self.port()
        self.hold(port)
        p = self.puppet(log, REUSE="gentle")
        p("s = socket.socket(); " + SET % 0)
        self.assertEqual(p.eval("error_of(s.bind, ('127.0.0.1', %d))" % port), "EADDRINUSE")
        self.assertEqual(self.by_shim(log.read()), [])

    def test_two_bound_sockets(self):
        """No bind that failed for good reason succeeds without listeners' leave."""
        port = self.port()
        p = self.puppet(REUSE="gentle")
        p("t = socket.socket(); t.bind(('127.0.0.1', %d)); s = socket.socket()" % port)
        self.assertEqual(p.eval("error_of(s.bind, ('127.0.0.1', %d))" % port), "EADDRINUSE")
        self.assertEqual(p.eval(GET), 0)

    def client(self, p, port, server):
        """A client with that local port; the server's end is kept open for it to close first."""
        p("s = socket.socket(); s.bind(('127.0.0.1', %d))" % port)
        self.assertEqual(p.eval(GET), 0)
        p("s.connect(('127.0.0.1', %d))" % server.getsockname()[1])
        return server.accept()[0]

    def test_a_client_with_a_port(self):
        """The option comes with connect; the next run is rescued over what this one left."""
        port, log = self.port(), self.log()
        with socket.create_server(("127.0.0.1", 0)) as server:
            first = self.puppet(log, REUSE="gentle")
            theirs = self.client(first, port, server)
            self.assertEqual(first.eval(GET), 1)
            events = log.new()
            self.expect(events, ("socket", {}), ("bind", dict(notes=None)),
                        ("setsockopt", dict(by="shim", state="CLOSED")),
                        ("connect", dict(state="ESTABLISHED")))
            self.assertEqual(self.notes(events[-1]), ["reuse-enabled"])
            self.assertIn("before connect, so that the next run can bind", str(events[-1]))
            first.kill()
            theirs.close()
            wait_until(lambda: "TIME_WAIT" in [entry.state for entry in kernel.diag()
                                               if entry.local[1] == port], "TIME_WAIT")
            second = self.puppet(REUSE="gentle")
            second("s = socket.socket(); s.bind(('127.0.0.1', %d))" % port)
            self.assertEqual(second.eval(GET), 1)

    def test_a_client_with_the_log_off(self):
        port = self.port()
        with socket.create_server(("127.0.0.1", 0)) as server:
            p = self.puppet(REUSE="gentle")
            with self.client(p, port, server):
                self.assertEqual(p.eval(GET), 1)

    def test_clients_that_are_left_alone(self):
        """Without a port of their own, or with one that is not to be touched."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            for bind, other in (("pass", 0), ("s.bind(('127.0.0.1', 0))", 0),
                                ("s.bind(('127.0.0.1', port))", 1),
                                (SET % 0 + "; s.bind(('127.0.0.1', port))", 0)):
                port = self.port()
                p = self.puppet(REUSE="gentle", PORTS=port + other)
                p("port = %d; s = socket.socket(); %s" % (port, bind))
                p("s.connect(('127.0.0.1', %d))" % server.getsockname()[1])
                self.assertEqual(p.eval(GET), 0, bind)
                p.kill()

    def test_listen_without_bind(self):
        """listen binds to a port that the kernel picks: left alone like port 0."""
        p = self.puppet(REUSE="gentle")
        p("s = socket.socket(); s.listen()")
        self.assertEqual(p.eval(GET), 0)
        p("s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()")
        self.assertEqual(p.eval(GET), 0)

    def test_ports(self):
        port = self.port()
        p = self.puppet(REUSE="gentle", PORTS=port + 1)
        p("s = socket.socket(); s.bind(('127.0.0.1', %d)); s.listen()" % port)
        self.assertEqual(p.eval(GET), 0)


class Ports(Reuse):
    """TCPSHIM_PORTS names the ports that are touched; logging is not affected."""

    def test_lists_and_ranges(self):
        port = self.port()
        for ports, value in (("%d" % port, 1), ("1,2,%d" % port, 1), ("%d" % (port + 1), 0),
                             ("%d-%d" % (port - 1, port + 1), 1), ("%d-%d" % (port, port), 1),
                             ("%d-%d" % (port + 1, port + 9), 0), ("1-65535", 1)):
            log = self.log(self.fresh("log").rpartition("/")[2])
            p = self.puppet(log, PORTS=ports)
            p("s = socket.socket()")
            self.assertEqual(self.bound(p, port), value, ports)
            p("s.close()")
            p.close()
            calls = [event["call"] for event in log.read()]
            self.assertEqual(calls, ["socket"] + ["setsockopt"] * value + ["bind", "close"])


class ReusePort(Reuse):
    """TCPSHIM_REUSEPORT=1: SO_REUSEPORT as well, by the same rule."""

    def test_both_options(self):
        log, port = self.log(), self.port()
        p = self.puppet(log, REUSEPORT=1)
        p("s = socket.socket()")
        self.assertEqual(self.bound(p, port), 1)
        self.assertEqual(p.eval(GET_PORT), 1)
        self.assertEqual(sorted(self.by_shim(log.read())),
                         [("SO_REUSEADDR", 1), ("SO_REUSEPORT", 1)])

    def test_two_live_servers_share(self):
        port = self.port()
        p = self.puppet(REUSEPORT=1)
        p("t = socket.socket(); t.bind(('127.0.0.1', %d)); t.listen()" % port)
        p("s = socket.socket(); s.bind(('127.0.0.1', %d)); s.listen()" % port)

    def test_without_it(self):
        port = self.port()
        p = self.puppet()
        p("s = socket.socket()")
        self.bound(p, port)
        self.assertEqual(p.eval(GET_PORT), 0)

    def test_the_program_said_no(self):
        port = self.port()
        p = self.puppet(REUSEPORT=1)
        p("s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)")
        self.assertEqual(self.bound(p, port), 1)
        self.assertEqual(p.eval(GET_PORT), 0)

    def test_port_0(self):
        p = self.puppet(REUSEPORT=1)
        p("s = socket.socket()")
        self.bound(p, 0)
        self.assertEqual(p.eval(GET_PORT), 0)
