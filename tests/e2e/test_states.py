# SPDX-License-Identifier: MIT
"""The resulting state: what the kernel says of a socket when the call has returned.

Two programs under the shim, or one that holds both ends; the test asks the kernel itself
over sock_diag, and the states that the shim reports must agree.
"""

import socket
import time

from harness import kernel
from harness.case import Case, needs_ipv6, wait_until

SHUT_WR = "socket.SHUT_WR"


def one_of(*states):
    return lambda state: state in states


class Life(Case):
    """One connection, from socket() to the end, seen from both sides."""

    def test_handshake(self):
        log = self.log()
        p = self.puppet(log)
        p("l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen(5)")
        p("c = socket.socket(); c.connect(l.getsockname())")
        p("a, peer = l.accept()")
        here = "127.0.0.1:%d" % p.eval("l.getsockname()[1]")
        there = "127.0.0.1:%d" % p.eval("peer[1]")
        cookies = p.eval("[cookie(s) for s in (l, c, a)]")
        l, c, a = p.eval("[s.fileno() for s in (l, c, a)]")
        self.expect(
            log.new(),
            ("socket", dict(fd=None, ret=l, sock=cookies[0], state="CLOSED", was=None, via=None,
                            local=None, peer=None, error=None)),
            ("bind", dict(fd=l, ret=0, sock=cookies[0], local=here, was="CLOSED",
                          state="CLOSED", via=None, peer=None)),
            ("listen", dict(fd=l, ret=0, args={"backlog": 5}, local=here, was="CLOSED",
                            state="LISTEN", via=None, peer=None)),
            ("socket", dict(ret=c, sock=cookies[1], state="CLOSED", was=None)),
            ("connect", dict(fd=c, ret=0, local=there, peer=here, was="CLOSED",
                             via=["SYN_SENT"], state="ESTABLISHED")),
            ("accept4", dict(fd=l, ret=a, sock=cookies[2], local=here, peer=there, was=None,
                             via=["SYN_RCVD"], state="ESTABLISHED")))

    def test_arguments_of_socket(self):
        log = self.log()
        p = self.puppet(log)
        p("import socket as S")
        p("s = S.socket(S.AF_INET, S.SOCK_STREAM | S.SOCK_NONBLOCK, S.IPPROTO_TCP)")
        p("call('socket', S.AF_INET, S.SOCK_STREAM, 0)")
        self.expect(
            log.new(),
            ("socket", dict(args={"domain": "AF_INET", "protocol": "IPPROTO_TCP",
                                  "type": "SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC"})),
            ("socket", dict(args={"domain": "AF_INET", "protocol": "IPPROTO_IP",
                                  "type": "SOCK_STREAM"})))

    def four_way(self, first, second):
        """`first` closes, then `second`: what both say, of the same connection."""
        log = self.log()
        p = self.pair(log)
        p("first, second = %s, %s" % (first, second))
        cookies = p.eval("[cookie(first), cookie(second)]")
        p("first.close()")
        self.expect(log.new(), ("close", dict(
            was="ESTABLISHED", state=one_of("FIN_WAIT_1", "FIN_WAIT_2"), sock=cookies[0],
            via=lambda via: via in (None, ["FIN_WAIT_1"]))))
        wait_until(lambda: kernel.state_of(cookies[1]) == "CLOSE_WAIT", "the FIN")
        p("second.close()")
        event, = log.new()
        self.match(event, call="close", was="ESTABLISHED", sock=cookies[1],
                   state=one_of("LAST_ACK", "CLOSED"))
        expected = ["CLOSE_WAIT"] if event["state"] == "LAST_ACK" else ["CLOSE_WAIT", "LAST_ACK"]
        self.assertEqual(event.get("via"), expected)
        self.assertEqual(kernel.state_of(cookies[0]), "TIME_WAIT")

    def test_four_way_close_by_the_client(self):
        self.four_way("c", "a")

    def test_four_way_close_by_the_server(self):
        self.four_way("a", "c")

    def test_half_close(self):
        log = self.log()
        p = self.pair(log)
        a = p.eval("cookie(a)")
        p("c.shutdown(%s)" % SHUT_WR)
        event, = log.new()
        self.match(event, call="shutdown", args={"how": "SHUT_WR"}, was="ESTABLISHED",
                   state=one_of("FIN_WAIT_1", "FIN_WAIT_2"))
        self.assertEqual(event.get("via"),
                         ["FIN_WAIT_1"] if event["state"] == "FIN_WAIT_2" else None)
        wait_until(lambda: kernel.state_of(a) == "CLOSE_WAIT", "the FIN")
        p("a.send(b'still open'); got = c.recv(100)")
        self.assertEqual(p.eval("got.decode()"), "still open")
        p("a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)")
        self.expect(log.new(), ("setsockopt", dict(was="ESTABLISHED", state="CLOSE_WAIT")))
        p("a.close()")
        event, = log.new()
        self.match(event, call="close", was="CLOSE_WAIT", state=one_of("LAST_ACK", "CLOSED"))
        self.assertEqual(event.get("via"),
                         ["LAST_ACK"] if event["state"] == "CLOSED" else None)

    def test_shutdown_of_reading_changes_nothing(self):
        log = self.log()
        p = self.pair(log)
        p("c.shutdown(socket.SHUT_RD)")
        self.expect(log.new(), ("shutdown", dict(args={"how": "SHUT_RD"}, was="ESTABLISHED",
                                                 state="ESTABLISHED", via=None)))

    def test_shutdown_of_a_listener(self):
        log = self.log()
        p = self.pair(log)
        p("l.shutdown(socket.SHUT_RD)")
        self.expect(log.new(), ("shutdown", dict(was="LISTEN", state="CLOSED")))

    def test_close_of_a_listener(self):
        log = self.log()
        p = self.pair(log)
        p("l.close()")
        self.expect(log.new(), ("close", dict(was="LISTEN", state="CLOSED", timer_ms=None)))

    def test_close_of_what_never_connected(self):
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket(); s.close()")
        p("s = socket.socket(); s.bind(('127.0.0.1', 0)); s.close()")
        closes = [event for event in log.new() if event["call"] == "close"]
        for event in closes:
            self.match(event, was="CLOSED", state="CLOSED", via=None)
        self.assertEqual(len(closes), 2)


class Ends(Case):
    """The states in which a connection outlives its descriptor, and those in which not."""

    def time_wait(self, family):
        """Our end closes its half first and for good after the peer: (event, cookie)."""
        log = self.log()
        p = self.pair(log, family)
        cookie = p.eval("cookie(c)")
        p("c.shutdown(%s); a.close()" % SHUT_WR)
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        log.new()
        p("c.close()")
        event, = log.new()
        return event, cookie

    def is_time_wait(self, event, cookie):
        entry = kernel.by_cookie(cookie)
        self.assertEqual(entry.state, "TIME_WAIT")
        self.match(event, call="close", sock=cookie, state="TIME_WAIT", was=one_of(
            "FIN_WAIT_1", "FIN_WAIT_2"))
        self.assertGreaterEqual(event["timer_ms"], entry.expires)
        self.assertLess(event["timer_ms"], entry.expires + 5000)

    def test_time_wait(self):
        event, cookie = self.time_wait(socket.AF_INET)
        self.is_time_wait(event, cookie)

    @needs_ipv6
    def test_time_wait_ipv6(self):
        event, cookie = self.time_wait(socket.AF_INET6)
        self.is_time_wait(event, cookie)

    def test_time_wait_as_ss_shows_it(self):
        """The same connection by another program: ss -e prints the cookie in hex."""
        import shutil
        if not shutil.which("ss"):
            self.skipTest("no ss")
        event, cookie = self.time_wait(socket.AF_INET)
        _, out, _ = self.run_program(["ss", "-tanoe"])
        line = [line for line in out.decode().split("\n") if "sk:%x" % cookie in line.split()]
        self.assertEqual(len(line), 1, out)
        self.assertTrue(line[0].startswith("TIME-WAIT"), line)
        self.assertIn(event["local"], line[0])
        self.assertIn(event["peer"], line[0])

    def test_time_wait_behind_an_open_descriptor(self):
        """TCP_INFO says CLOSE; the kernel keeps the connection all the same."""
        log = self.log()
        p = self.pair(log)
        cookie = p.eval("cookie(c)")
        p("c.shutdown(%s); a.close()" % SHUT_WR)
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        self.assertEqual(p.eval("tcp_info_state(c)"), 7)
        log.new()
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)")
        p("d = c.dup()")
        events = log.new()
        for event in events:
            self.match(event, state="TIME_WAIT", sock=cookie)
        self.assertEqual([event["call"] for event in events], ["setsockopt", "fcntl"])
        p("d.close(); c.close()")
        self.expect(log.new(), ("close", dict(state="TIME_WAIT", was="TIME_WAIT")),
                    ("close", dict(state="TIME_WAIT", was="TIME_WAIT",
                                   timer_ms=lambda ms: 0 < ms <= 60000)))

    def test_reset_is_not_time_wait(self):
        """After a reset TCP_INFO says CLOSE as well, and here it is true."""
        log = self.log()
        p = self.pair(log)
        cookie = p.eval("cookie(c)")
        p("a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); a.close()")
        wait_until(lambda: kernel.state_of(cookie) == "CLOSED", "the reset")
        log.new()
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)")
        self.expect(log.new(), ("setsockopt", dict(was="ESTABLISHED", state="CLOSED", via=None)))
        self.assertEqual(p.eval("error_of(c.recv, 1)"), "ECONNRESET")

    def test_fin_wait_2(self):
        log = self.log()
        p = self.pair(log)
        cookie = p.eval("cookie(c)")
        p("c.shutdown(%s)" % SHUT_WR)
        wait_until(lambda: kernel.state_of(cookie) == "FIN_WAIT_2", "the ACK")
        log.new()
        p("c.close()")
        event, = log.new()
        self.match(event, call="close", state="FIN_WAIT_2", sock=cookie,
                   timer_ms=lambda ms: 0 < ms <= 60000)
        entry = kernel.by_cookie(cookie)
        self.assertEqual(entry.state, "FIN_WAIT_2")
        self.assertLess(abs(event["timer_ms"] - entry.expires), 5000)

    def test_linger_zero_resets(self):
        log = self.log()
        p = self.pair(log)
        cookie = p.eval("cookie(c)")
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))")
        p("c.close()")
        self.expect(log.new(),
                    ("setsockopt", dict(args={"level": "SOL_SOCKET", "option": "SO_LINGER",
                                              "value": "0100000000000000"})),
                    ("close", dict(was="ESTABLISHED", via=None, state="CLOSED", timer_ms=None)))
        self.assertEqual(kernel.state_of(cookie), "CLOSED")

    def test_unread_bytes_reset(self):
        log = self.log()
        p = self.pair(log)
        p("a.send(b'x'); import select; select.select([c], [], [], 40); c.close()")
        self.expect(log.new(), ("close", dict(was="ESTABLISHED", via=None, state="CLOSED")))

    def test_close_of_a_copy(self):
        log = self.log()
        p = self.pair(log)
        p("d = os.dup(c.fileno()); os.close(d)")
        self.expect(log.new(),
                    ("fcntl", dict(was="ESTABLISHED", state="ESTABLISHED")),
                    ("close", dict(was="ESTABLISHED", state="ESTABLISHED", via=None,
                                   timer_ms=None)))
        p("d = os.dup(l.fileno()); os.close(d)")
        self.expect(log.new(), ("fcntl", dict(state="LISTEN")),
                    ("close", dict(was="LISTEN", state="LISTEN")))

    def test_close_where_a_child_holds_it(self):
        log = self.log()
        p = self.pair(log)
        p("r, w = os.pipe(); pid = os.fork()\n"
          "if pid == 0:\n    os.read(r, 1); os._exit(0)\n")
        log.new()
        p("c.close()")
        self.expect(log.new(), ("close", dict(was="ESTABLISHED", state="ESTABLISHED")))
        p("os.write(w, b'x'); os.waitpid(pid, 0)")

    def test_last_ack_takes_its_time(self):
        """The peer is stopped from answering: LAST_ACK is what the kernel has after close.

        A closed window keeps the FIN in the queue until the peer reads.
        """
        log = self.log()
        p = self.pair(log)
        p("a.setblocking(False)\n"
          "try:\n    while True: a.send(b'x' * 65536)\nexcept BlockingIOError: pass")
        cookie = p.eval("cookie(a)")
        p("c.shutdown(%s)" % SHUT_WR)
        wait_until(lambda: kernel.state_of(cookie) == "CLOSE_WAIT", "the FIN")
        log.new()
        p("a.close()")
        self.expect(log.new(), ("close", dict(was="ESTABLISHED", via=["CLOSE_WAIT"],
                                              state="LAST_ACK")))
        self.assertEqual(kernel.state_of(cookie), "LAST_ACK")


class Connect(Case):
    """Every end that connect can have."""

    def test_refused(self):
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket(); s.bind(('127.0.0.1', 0)); there = s.getsockname()")
        p("c = socket.socket()")
        log.new()
        self.assertEqual(p.eval("error_of(c.connect, there)"), "ECONNREFUSED")
        self.expect(log.new(), ("connect", dict(
            ret=-1, error="ECONNREFUSED", was="CLOSED", via=["SYN_SENT"], state="CLOSED",
            peer="127.0.0.1:%d" % p.eval("there[1]"))))

    def test_never_sent(self):
        """What the kernel refused at once did not go through SYN_SENT."""
        log = self.log()
        p = self.puppet(log)
        p("c = socket.socket()")
        log.new()
        self.assertIn(p.eval("error_of(c.connect, ('255.255.255.255', 9))"),
                      ("ENETUNREACH", "EACCES"))
        self.expect(log.new(), ("connect", dict(ret=-1, was="CLOSED", via=None, state="CLOSED",
                                                peer="255.255.255.255:9")))
        self.assertEqual(p.eval("call('connect', c.fileno(), None, 16)"), [-1, "EFAULT"])
        self.expect(log.new(), ("connect", dict(error="EFAULT", via=None, peer=None,
                                                state="CLOSED")))

    def test_without_waiting(self):
        log = self.log()
        p = self.puppet(log)
        p("l = socket.create_server(('127.0.0.1', 0)); c = socket.socket(); c.setblocking(0)")
        log.new()
        self.assertEqual(p.eval("error_of(c.connect, l.getsockname())"), "EINPROGRESS")
        event, = log.new()
        self.match(event, call="connect", ret=-1, error="EINPROGRESS",
                   state=one_of("SYN_SENT", "ESTABLISHED"))
        self.assertEqual(event.get("via"),
                         ["SYN_SENT"] if event["state"] == "ESTABLISHED" else None)
        p("import select; select.select([], [c], [], 40)")
        self.assertEqual(p.eval("c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)"), 0)
        self.expect(log.new(), ("getsockopt", dict(
            ret=0, state="ESTABLISHED",
            args={"level": "SOL_SOCKET", "option": "SO_ERROR", "value": 0})))

    def test_refused_without_waiting(self):
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket(); s.bind(('127.0.0.1', 0)); there = s.getsockname()")
        p("c = socket.socket(); c.setblocking(0)")
        log.new()
        self.assertEqual(p.eval("error_of(c.connect, there)"), "EINPROGRESS")
        p("import select; select.select([], [c], [], 40)")
        self.assertEqual(p.eval("c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)"), 111)
        events = log.new()
        self.assertEqual([event["call"] for event in events], ["connect", "getsockopt"])
        self.match(events[1], state="CLOSED", args={
            "level": "SOL_SOCKET", "option": "SO_ERROR", "value": "ECONNREFUSED"})

    def test_syn_sent(self):
        """A full queue answers no SYN."""
        log = self.log()
        p = self.puppet(log)
        p("l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen(0)")
        p("first = socket.create_connection(l.getsockname())")
        p("c = socket.socket(); c.setblocking(0)")
        log.new()
        self.assertEqual(p.eval("error_of(c.connect, l.getsockname())"), "EINPROGRESS")
        self.expect(log.new(), ("connect", dict(was="CLOSED", via=None, state="SYN_SENT",
                                                error="EINPROGRESS")))
        self.assertEqual(p.eval("error_of(c.connect, l.getsockname())"), "EALREADY")
        self.expect(log.new(), ("connect", dict(was="SYN_SENT", via=None, state="SYN_SENT",
                                                error="EALREADY")))
        p("c.close()")
        self.expect(log.new(), ("close", dict(was="SYN_SENT", state="CLOSED")))

    def to_itself(self, family, host):
        """A socket connected to its own port: each state is passed by both ends at once."""
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket(%d); s.bind((%r, 0)); s.connect(s.getsockname())" % (family, host))
        cookie = p.eval("cookie(s)")
        self.match(log.new()[-1], call="connect", was="CLOSED", via=["SYN_SENT", "SYN_RCVD"],
                   state="ESTABLISHED")
        p("s.shutdown(socket.SHUT_WR)")
        event, = log.new()
        states = ["FIN_WAIT_1", "CLOSING", "TIME_WAIT"]
        self.match(event, call="shutdown", was="ESTABLISHED", state=one_of(*states))
        passed = states[:states.index(event["state"])]
        self.assertEqual(event.get("via", []), passed)
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        p("s.close()")
        left = [state for state in states[states.index(event["state"]) + 1:-1]]
        event, = log.new()
        self.match(event, call="close", state="TIME_WAIT")
        self.assertEqual(event.get("via", []), left)

    def test_to_itself(self):
        self.to_itself(socket.AF_INET, "127.0.0.1")

    @needs_ipv6
    def test_to_itself_over_ipv6(self):
        self.to_itself(socket.AF_INET6, "::1")

    def test_to_itself_and_closed(self):
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket(); s.bind(('127.0.0.1', 0)); s.connect(s.getsockname())")
        cookie = p.eval("cookie(s)")
        log.new()
        p("s.close()")
        event, = log.new()
        states = ["FIN_WAIT_1", "CLOSING", "TIME_WAIT"]
        self.match(event, call="close", was="ESTABLISHED", state=one_of(*states))
        self.assertEqual(event.get("via", []), states[:states.index(event["state"])])
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")

    def test_dissolved(self):
        """connect(AF_UNSPEC) ends a connection with a reset; then it can connect again."""
        log = self.log()
        p = self.pair(log)
        p("unspec = ctypes.create_string_buffer(16)")
        self.assertEqual(p.eval("call('connect', c.fileno(), unspec, 16)"), [0, None])
        self.expect(log.new(), ("connect", dict(was="ESTABLISHED", via=None, state="CLOSED")))
        p("c.connect(l.getsockname())")
        self.expect(log.new(), ("connect", dict(was="CLOSED", via=["SYN_SENT"],
                                                state="ESTABLISHED")))

    def test_connected_already(self):
        log = self.log()
        p = self.pair(log)
        self.assertEqual(p.eval("error_of(c.connect, l.getsockname())"), "EISCONN")
        self.expect(log.new(), ("connect", dict(error="EISCONN", was="ESTABLISHED",
                                                state="ESTABLISHED")))


class Failures(Case):
    """A failed call on a TCP socket: its state as the kernel has it now."""

    def test_bind(self):
        log = self.log()
        p = self.pair(log)
        p("s = socket.socket(); there = l.getsockname()")
        log.new()
        self.assertEqual(p.eval("error_of(s.bind, there)"), "EADDRINUSE")
        events = [event for event in log.new() if "by" not in event]
        self.expect(events, ("bind", dict(
            ret=-1, error="EADDRINUSE", state="CLOSED",
            local="127.0.0.1:%d" % p.eval("there[1]"))))
        self.assertEqual(p.eval("call('bind', c.fileno(), None, 16)"), [-1, "EFAULT"])
        self.expect(log.new(), ("bind", dict(error="EFAULT", local=None, state="ESTABLISHED")))

    def test_accept(self):
        log = self.log()
        p = self.pair(log)
        p("l.setblocking(0)")
        self.assertEqual(p.eval("call('accept', l.fileno(), None, None)"), [-1, "EAGAIN"])
        self.expect(log.new(), ("accept", dict(ret=-1, error="EAGAIN", state="LISTEN",
                                               was="LISTEN", sock=p.eval("cookie(l)"))))
        self.assertEqual(p.eval("call('accept4', c.fileno(), None, None, 0)"), [-1, "EINVAL"])
        self.expect(log.new(), ("accept4", dict(error="EINVAL", state="ESTABLISHED")))

    def test_socket(self):
        log = self.log()
        p = self.puppet(log)
        p("import resource; low = os.dup(0); os.close(low)\n"
          "resource.setrlimit(resource.RLIMIT_NOFILE, (low, 4096))")
        self.assertEqual(p.eval("call('socket', 2, 1, 0)"), [-1, "EMFILE"])
        self.assertEqual(p.eval("call('socket', 2, 2, 0)"), [-1, "EMFILE"])
        self.expect(log.new(), ("socket", dict(ret=-1, error="EMFILE", sock=None, state=None)))

    def test_what_is_no_tcp_socket(self):
        log = self.log()
        p = self.puppet(log)
        p("u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1', 0))")
        p("x, y = socket.socketpair(); r, w = os.pipe()")
        p("for fd in (u.fileno(), x.fileno(), r, 888, -1):\n"
          "    call('bind', fd, None, 16); call('listen', fd, 1); call('shutdown', fd, 0)\n"
          "    call('connect', fd, None, 16); call('accept', fd, None, None)\n"
          "    call('setsockopt', fd, 1, 2, None, 4); call('dup', fd); call('dup2', fd, 90)\n"
          "    call('fcntl', fd, 0, 3); call('close', fd)")
        self.assertEqual(log.new(), [])


class Families(Case):
    """IPv6, both at once, and MPTCP's plain cousins."""

    @needs_ipv6
    def test_ipv6(self):
        log = self.log()
        p = self.puppet(log)
        p("l = socket.socket(socket.AF_INET6); l.bind(('::1', 0)); l.listen()")
        p("c = socket.socket(socket.AF_INET6); c.connect(l.getsockname()); a, peer = l.accept()")
        here = "[::1]:%d" % p.eval("l.getsockname()[1]")
        there = "[::1]:%d" % p.eval("peer[1]")
        self.expect(
            log.new(),
            ("socket", dict(state="CLOSED", args={
                "domain": "AF_INET6", "type": "SOCK_STREAM|SOCK_CLOEXEC",
                "protocol": "IPPROTO_IP"})),
            ("bind", dict(local=here)), ("listen", dict(local=here, state="LISTEN")),
            ("socket", {}),
            ("connect", dict(local=there, peer=here, state="ESTABLISHED")),
            ("accept4", dict(local=here, peer=there, state="ESTABLISHED", via=["SYN_RCVD"])))

    @needs_ipv6
    def test_both_at_once(self):
        """An IPv6 listener with IPv4 clients; its connections are found after close too."""
        log = self.log()
        p = self.puppet(log)
        p("l = socket.socket(socket.AF_INET6)\n"
          "l.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)\n"
          "l.bind(('::', 0)); l.listen(); port = l.getsockname()[1]\n"
          "c = socket.create_connection(('127.0.0.1', port)); a, peer = l.accept()")
        port, peer = p.eval("[port, peer[1]]")
        accepted = log.new()[-1]
        self.match(accepted, call="accept4", state="ESTABLISHED", via=["SYN_RCVD"],
                   local="[::ffff:127.0.0.1]:%d" % port, peer="[::ffff:127.0.0.1]:%d" % peer)
        p("d = os.dup(a.fileno()); os.close(d)")
        self.match(log.new()[-1], call="close", state="ESTABLISHED")
        cookie = p.eval("cookie(a)")
        p("a.shutdown(socket.SHUT_WR); c.close()")
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        p("a.close()")
        self.match(log.new()[-1], call="close", state="TIME_WAIT", sock=cookie,
                   timer_ms=lambda ms: 0 < ms <= 60000)
        p("l.close()")
        self.match(log.new()[-1], call="close", state="CLOSED", was="LISTEN")

    @needs_ipv6
    def test_ipv6_socket_that_connects_to_ipv4(self):
        log = self.log()
        p = self.puppet(log)
        p("l = socket.create_server(('127.0.0.1', 0)); c = socket.socket(socket.AF_INET6)\n"
          "c.connect(('::ffff:127.0.0.1', l.getsockname()[1])); a, _ = l.accept()")
        cookie = p.eval("cookie(c)")
        p("c.shutdown(socket.SHUT_WR); a.close()")
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        p("c.close()")
        self.match(log.new()[-1], call="close", state="TIME_WAIT", sock=cookie)


class Times(Case):
    """time and dur_ns: of the return, and of the real call."""

    def test_a_call_that_waits(self):
        log = self.log()
        p = self.puppet(log)
        p("l = socket.create_server(('127.0.0.1', 0))")
        port = p.eval("l.getsockname()[1]")
        before = time.time()
        began = time.monotonic()
        p.begin("a, _ = l.accept()")
        wait_until(lambda: time.monotonic() - began > 0.15, "a while")
        with socket.create_connection(("127.0.0.1", port)):
            p.result()
        took = time.monotonic() - began
        event = log.read()[-1]
        self.match(event, call="accept4", dur_ns=lambda ns: 0.05e9 < ns <= took * 1e9)
        stamp = _seconds(event["time"])
        self.assertLessEqual(before + 0.1, stamp)
        self.assertLessEqual(stamp, time.time() + 0.001)


def _seconds(stamp):
    import datetime
    parsed = datetime.datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ")
    return parsed.replace(tzinfo=datetime.timezone.utc).timestamp()
