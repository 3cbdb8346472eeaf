# SPDX-License-Identifier: MIT
"""Asking the kernel after close: where ENOENT does not mean that the connection is gone.

sock_diag answers ENOENT for a socket that is there when it is asked wrongly, in the wrong
place, or cannot be asked. Then a state may be left out; it may never be CLOSED.
"""

import os
import re
import socket
import subprocess
from collections import Counter

from harness import balancer, kernel, paths, strace
from harness.case import Case, Puppet, needs_ipv6, needs_mptcp, needs_root, shimmed, \
    wait_until

MPTCP = kernel.IPPROTO_MPTCP


def absent_or(state):
    return lambda got: got in (None, state)


class Asked(Case):
    """What each of these cases is tried with."""

    def to_time_wait(self, p, ours="c", peer="a"):
        """End a connection of the puppet's so that `ours` is in TIME_WAIT when it is closed."""
        cookie = p.eval("cookie(%s)" % ours)
        p("%s.shutdown(socket.SHUT_WR); %s.close()" % (ours, peer))
        return cookie

    def is_time_wait(self, cookie):
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")


class Device(Asked):
    """(1) The socket is bound to a device: the question must name it."""

    def test_bound_to_loopback(self):
        log = self.log()
        p = self.puppet(log)
        p("l = socket.socket()")
        if p.eval("error_of(l.setsockopt, socket.SOL_SOCKET, 25, b'lo')"):
            self.skipTest("may not bind to a device")
        p("l.bind(('127.0.0.1', 0)); l.listen()\n"
          "c = socket.create_connection(l.getsockname()); a, _ = l.accept()")
        for sock, state in (("a", "ESTABLISHED"), ("l", "LISTEN"), ("c", "ESTABLISHED")):
            p("d = os.dup(%s.fileno()); os.close(d)" % sock)
            self.match(log.read()[-1], call="close", state=state)
        cookie = self.to_time_wait(p, "a", "c")
        self.is_time_wait(cookie)
        self.assertEqual(kernel.by_cookie(cookie).device, 1)
        p("a.close()")
        self.match(log.read()[-1], call="close", sock=cookie, state="TIME_WAIT",
                   timer_ms=lambda ms: 0 < ms <= 60000)
        p("l.close()")
        self.match(log.read()[-1], call="close", was="LISTEN", state="CLOSED")

    def test_bound_by_index(self):
        log = self.log()
        p = self.puppet(log)
        p("l = socket.socket()")
        if p.eval("error_of(l.setsockopt, socket.SOL_SOCKET, 62, 1)"):
            self.skipTest("may not bind to a device by its index")
        p("l.bind(('127.0.0.1', 0)); l.listen()\n"
          "c = socket.create_connection(l.getsockname()); a, _ = l.accept()")
        p("d = os.dup(a.fileno()); os.close(d)")
        self.match(log.read()[-1], call="close", state="ESTABLISHED")

    def test_one_that_knows_no_reset(self):
        """A reset connection of a device is gone, and said to be."""
        log = self.log()
        p = self.puppet(log)
        p("l = socket.socket()")
        if p.eval("error_of(l.setsockopt, socket.SOL_SOCKET, 25, b'lo')"):
            self.skipTest("may not bind to a device")
        p("l.bind(('127.0.0.1', 0)); l.listen()\n"
          "c = socket.create_connection(l.getsockname()); a, _ = l.accept()\n"
          "a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\n"
          "a.close()")
        self.match(log.read()[-1], call="close", was="ESTABLISHED", state="CLOSED")

    @needs_root
    @needs_ipv6
    def test_link_local_addresses(self):
        if not paths.find("ip"):
            self.skipTest("no ip")
        kernel.unshare(kernel.CLONE_NEWNET)
        kernel.loopback_up()
        for words in ("link add v0 type veth peer name v1", "addr add fe80::1/64 dev v0 nodad",
                      "link set v0 up", "link set v1 up"):
            status, _, err = self.run_program(["ip"] + words.split())
            if status:
                self.skipTest("ip %s: %r" % (words, err))
        log = self.log()
        p = self.puppet(log)
        p("index = socket.if_nametoindex('v0')\n"
          "l = socket.socket(socket.AF_INET6); l.bind(('fe80::1', 0, 0, index)); l.listen()\n"
          "c = socket.socket(socket.AF_INET6)\n"
          "c.connect(('fe80::1', l.getsockname()[1], 0, index)); a, _ = l.accept()")
        for sock, state in (("a", "ESTABLISHED"), ("c", "ESTABLISHED"), ("l", "LISTEN")):
            p("d = os.dup(%s.fileno()); os.close(d)" % sock)
            self.match(log.read()[-1], call="close", state=state)
        cookie = self.to_time_wait(p)
        self.is_time_wait(cookie)
        p("c.close()")
        self.match(log.read()[-1], call="close", sock=cookie, state="TIME_WAIT")


class Group(Asked):
    """(2) Listeners of one SO_REUSEPORT group: an exact question finds one of them."""

    def test_each_of_six(self):
        log = self.log()
        p = self.puppet(log)
        p("group = []; port = 0\n"
          "for _ in range(6):\n"
          "    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n"
          "    s.bind(('127.0.0.1', port)); port = s.getsockname()[1]; s.listen(); "
          "group.append(s)")
        log.new()
        p("for s in group: os.close(os.dup(s.fileno()))")
        closes = [event for event in log.new() if event["call"] == "close"]
        self.assertEqual([event.get("state") for event in closes], ["LISTEN"] * 6)
        p("for s in group: s.close()")
        closes = log.new()
        self.assertEqual([event.get("state") for event in closes], ["CLOSED"] * 6)

    def test_without_a_group_two_listeners_on_one_port(self):
        """Different addresses, one port: each is its own."""
        log = self.log()
        p = self.puppet(log)
        p("a = socket.socket(); a.bind(('127.0.0.1', 0)); a.listen()\n"
          "b = socket.socket(); b.bind(('127.0.0.2', a.getsockname()[1])); b.listen()")
        log.new()
        p("a.close()")
        self.match(log.new()[-1], state="CLOSED")
        p("os.close(os.dup(b.fileno()))")
        self.match(log.new()[-1], state="LISTEN")

    def test_a_connection_whose_port_is_listened_on(self):
        """Without the cookie the kernel would answer with the listener."""
        log = self.log()
        p = self.pair(log)
        p("a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\n"
          "a.close()")
        self.match(log.new()[-1], call="close", was="ESTABLISHED", state="CLOSED")


class Mptcp(Asked):
    """(3) Protocol MPTCP has a handler and cookies of its own."""

    @needs_mptcp
    def test_life(self):
        log = self.log()
        p = self.puppet(log)
        p("l = socket.socket(2, 1, %d); l.bind(('127.0.0.1', 0)); l.listen()\n"
          "c = socket.socket(2, 1, %d); c.connect(l.getsockname()); a, _ = l.accept()"
          % (MPTCP, MPTCP))
        cookies = p.eval("[cookie(s) for s in (l, c, a)]")
        states = [event.get("state") for event in log.read() if "by" not in event]
        self.assertEqual(states, ["CLOSED", "CLOSED", "LISTEN", "CLOSED", "ESTABLISHED",
                                  "ESTABLISHED"])
        self.assertEqual([event["sock"] for event in log.read()],
                         [cookies[0]] * 3 + [cookies[1]] * 2 + [cookies[2]])
        self.match(log.read()[0], args={"domain": "AF_INET", "protocol": "IPPROTO_MPTCP",
                                        "type": "SOCK_STREAM|SOCK_CLOEXEC"})

    @needs_mptcp
    def test_close_of_a_copy(self):
        log = self.log()
        p = self.pair(log, protocol=MPTCP)
        for sock, state in (("a", "ESTABLISHED"), ("c", "ESTABLISHED"), ("l", "LISTEN")):
            p("os.close(os.dup(%s.fileno()))" % sock)
            self.match(log.new()[-1], call="close", state=state)
            self.assertEqual(self.notes(log.read()[-1]), ["still-open"])

    @needs_mptcp
    def test_close(self):
        """The peer's program still has its end open: this one can't be gone."""
        log = self.log()
        p = self.pair(log, protocol=MPTCP)
        cookie = p.eval("cookie(c)")
        p("c.close()")
        event = log.new()[-1]
        self.match(event, call="close", was="ESTABLISHED",
                   state=lambda state: state in ("FIN_WAIT_1", "FIN_WAIT_2"))
        self.assertEqual(self.notes(event), [])
        wait_until(lambda: kernel.state_of(cookie, MPTCP) == "FIN_WAIT_2", "FIN_WAIT_2")
        p("l.close()")
        self.match(log.new()[-1], call="close", was="LISTEN", state="CLOSED", notes=None)

    @needs_mptcp
    def test_close_of_the_second(self):
        """MPTCP has done with it at once; nothing was left unread, and nothing is reset."""
        log = self.log()
        p = self.pair(log, protocol=MPTCP)
        cookie = p.eval("cookie(c)")
        p("c.close()")
        wait_until(lambda: kernel.state_of(cookie, MPTCP) == "FIN_WAIT_2", "FIN_WAIT_2")
        p("a.close()")
        self.match(log.new()[-1], call="close", notes=None,
                   state=lambda state: state in ("LAST_ACK", "CLOSED"))

    @needs_mptcp
    def test_time_wait(self):
        """MPTCP says CLOSED when both have ended; the first subflow holds the port."""
        log = self.log()
        p = self.pair(log, protocol=MPTCP)
        p("c.shutdown(socket.SHUT_WR); a.recv(1)")
        ends = p.eval("[c.getsockname(), c.getpeername()]")
        p("a.shutdown(socket.SHUT_WR)")
        wait_until(lambda: ends in [[list(entry.local), list(entry.peer)]
                                    for entry in kernel.diag() if entry.state == "TIME_WAIT"],
                   "TIME_WAIT")
        wait_until(lambda: p.eval("tcp_info_state(c)") == 7, "CLOSE")
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1); c.close()")
        for event in log.new()[-2:]:
            self.match(event, state="TIME_WAIT", timer_ms=lambda ms: 0 < ms <= 60000)

    @needs_mptcp
    def test_reset(self):
        """By either end, and of what nobody has accepted."""
        log = self.log()
        p = self.pair(log, protocol=MPTCP)
        p("a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\n"
          "a.close()")
        self.match(log.new()[-1], call="close", state="CLOSED")
        self.assertEqual(self.notes(log.read()[-1]), ["reset"])
        self.assertEqual(p.eval("error_of(c.recv, 1)"), "ECONNRESET")
        p("c.close(); d = socket.socket(2, 1, %d); d.connect(l.getsockname()); l.close()" % MPTCP)
        closes = [event for event in log.new() if event["call"] == "close"]
        self.match(closes[0], state="CLOSED", notes=None)
        self.assertEqual(self.notes(closes[1]), ["queue-reset"])
        self.assertEqual(p.eval("error_of(d.recv, 1)"), "ECONNRESET")

    @needs_mptcp
    def test_a_peer_without_it(self):
        """One of the two speaks plain TCP: what both are then, and how TCP ends it."""
        for ours, theirs in ((MPTCP, 0), (0, MPTCP)):
            log = self.log(self.fresh("log").rpartition("/")[2])
            p = self.puppet(log)
            p("l = socket.socket(2, 1, %d); l.bind(('127.0.0.1', 0)); l.listen()\n"
              "c = socket.socket(2, 1, %d); c.connect(l.getsockname()); a, _ = l.accept()\n"
              "c.close()" % (theirs, ours))
            self.match(log.new()[-1], call="close", notes=None,
                       state=lambda state: state in ("FIN_WAIT_1", "FIN_WAIT_2"))
            p("a.recv(1); a.close()")
            self.match(log.new()[-1], call="close", notes=None,
                       state=lambda state: state in ("LAST_ACK", "CLOSED"))

    @needs_mptcp
    def test_reuse(self):
        """The shim helps these too."""
        log, port = self.log(), self.port()
        p = self.puppet(log)
        p("l = socket.socket(2, 1, %d); l.bind(('127.0.0.1', %d))" % (MPTCP, port))
        self.assertEqual(p.eval("l.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)"), 1)
        self.assertIn("reuse-enabled", self.notes(log.read()[-1]))


class Namespace(Asked):
    """(4) A netlink socket sees the network namespace in which it was made."""

    LEAVE = "assert C.unshare(0x40000000) == 0"
    UP = ("import fcntl; u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
          "fcntl.ioctl(u, 0x8914, struct.pack('16sh14x', b'lo', 1)); u.close()")
    PAIR = ("l = socket.create_server(('127.0.0.1', 0))\n"
            "c = socket.create_connection(l.getsockname()); a, _ = l.accept()")

    def the_states_are_true(self, p, log, sure):
        """Of a connection in a namespace where the shim may not be able to ask."""
        may_be = (lambda state: state) if sure else absent_or
        for sock, state in (("a", "ESTABLISHED"), ("l", "LISTEN")):
            p("os.close(os.dup(%s.fileno()))" % sock)
            self.match(log.read()[-1], call="close", state=may_be(state))
        p("c.shutdown(socket.SHUT_WR); a.close()\n"
          "while tcp_info_state(c) != 7: pass")
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)")
        self.match(log.read()[-1], call="setsockopt", state=may_be("TIME_WAIT"))
        p("c.close()")
        self.match(log.read()[-1], call="close", state=may_be("TIME_WAIT"))
        p("l.close()")
        self.match(log.read()[-1], call="close", state=may_be("CLOSED"))

    @needs_root
    def test_sockets_made_after_leaving(self):
        log = self.log()
        p = self.puppet(log)
        p(self.LEAVE + "\n" + self.UP + "\n" + self.PAIR)
        self.the_states_are_true(p, log, sure=False)

    @needs_root
    def test_sockets_made_before_leaving(self):
        log = self.log()
        p = self.puppet(log)
        p(self.PAIR + "\n" + self.LEAVE)
        self.the_states_are_true(p, log, sure=False)

    @needs_root
    def test_more_than_are_numbered(self):
        """A note has a number for each of the first seven, of which the kernel's here is one."""
        log = self.log()
        p = self.puppet(log)
        pair = self.PAIR.replace("0)", "%d)" % self.port())
        p(pair + "; a.close(); c.close(); l.close()")
        for _ in range(8):
            p(self.LEAVE + "\n" + self.UP + "\n" + pair)
            p("os.close(os.dup(a.fileno()))")
            self.match(log.read()[-1], call="close", state=absent_or("ESTABLISHED"))

    @needs_root
    def test_a_child_that_left(self):
        """The child's own netlink socket is of the new place, its sockets are of the old."""
        log = self.log()
        p = self.puppet(log)
        p(self.PAIR)
        p("pid = os.fork()\n"
          "if pid == 0:\n"
          "    %s\n"
          "    os.close(os.dup(a.fileno())); os.close(os.dup(l.fileno()))\n"
          "    a.close(); os._exit(0)\n"
          "os.waitpid(pid, 0)" % self.LEAVE)
        events = [event for event in log.read() if event["pid"] != p.pid]
        closes = [event for event in events if event["call"] == "close"]
        self.assertEqual(len(closes), 3)
        for event, state in zip(closes, ("ESTABLISHED", "LISTEN", "ESTABLISHED")):
            self.match(event, state=absent_or(state))

    @needs_root
    def test_a_program_of_another_namespace_from_the_start(self):
        kernel.unshare(kernel.CLONE_NEWNET)
        kernel.loopback_up()
        log = self.log()
        p = self.puppet(log)
        p(self.PAIR)
        self.the_states_are_true(p, log, sure=True)

    @needs_root
    def test_an_inherited_socket_of_another_namespace(self):
        """Made outside, passed in: SO_NETNS_COOKIE tells that the question is no use."""
        listener = socket.create_server(("127.0.0.1", 0))
        os.dup2(listener.fileno(), 200, inheritable=True)
        listener.close()
        kernel.unshare(kernel.CLONE_NEWNET)
        log = self.log()
        ours, theirs = socket.socketpair()
        env = shimmed(LOG=log.path, FORMAT="json")
        process = self.start([paths.PYTHON, "-I", "-S", "-B",
                              os.path.join(paths.HARNESS, "puppet_main.py")], env,
                             stdin=theirs, pass_fds=[200])
        theirs.close()
        p = Puppet(process, ours, lambda: b"")
        p("os.close(os.dup(200))")
        self.match(log.read()[-1], call="close", state=absent_or("LISTEN"))
        p("os.close(200)")
        os.close(200)
        self.match(log.read()[-1], call="close", state=lambda state: state in (None, "LISTEN"))
        ours.close()


class Unasked(Asked):
    """(5) There is nobody to ask: what TCP_INFO tells is still told."""

    def deprived(self, log):
        p = self.puppet(log, wrapper=[self.program("without_netlink")])
        self.assertEqual(p.eval("error_of(socket.socket, 16, 3, 4)"), "EAFNOSUPPORT")
        p("l = socket.create_server(('127.0.0.1', 0))\n"
          "c = socket.create_connection(l.getsockname()); a, _ = l.accept()")
        return p

    def test_after_close(self):
        log = self.log()
        p = self.deprived(log)
        states = [event.get("state") for event in log.new() if "by" not in event]
        self.assertEqual(states[-3:], ["CLOSED", "ESTABLISHED", "ESTABLISHED"])
        p("os.close(os.dup(a.fileno())); a.close(); c.close(); l.close()")
        events = [event for event in log.new() if event["call"] == "close"]
        self.assertEqual([event.get("state") for event in events], [None] * 4)
        self.assertEqual([event["was"] for event in events],
                         ["ESTABLISHED", "ESTABLISHED", "ESTABLISHED", "LISTEN"])

    def test_behind_an_open_descriptor(self):
        """TCP_INFO says CLOSE: a reset or TIME_WAIT, nobody can tell which."""
        log = self.log()
        p = self.deprived(log)
        cookie = self.to_time_wait(p)
        self.is_time_wait(cookie)
        log.new()
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)")
        self.expect(log.new(), ("setsockopt", dict(state=None)))

    def test_what_was_never_a_connection(self):
        log = self.log()
        p = self.deprived(log)
        log.new()
        p("s = socket.socket(); s.bind(('127.0.0.1', 0))")
        self.expect(log.new(), ("socket", dict(state="CLOSED")), ("bind", dict(state="CLOSED")))


class Elsewhere(Asked):
    """(6) getsockname or getpeername is not what the kernel's tables have, or fails."""

    SERVICE = ("127.0.0.50", 80)

    def balanced(self, log, hooks=(balancer.CONNECT, balancer.GETPEERNAME)):
        """A client `c` of the service, and the server's end `a` of the connection."""
        port = self.port()
        try:
            service = balancer.Balancer(self.SERVICE, ("127.0.0.1", port), hooks)
        except (OSError, KeyError) as error:
            self.skipTest("no program of the kernel's can be loaded: %s" % error)
        self.addCleanup(service.close)
        p = self.puppet(log)
        service.take(p.pid)
        p("service = %r; l = socket.create_server(('127.0.0.1', %d))\n"
          "c = socket.socket(); c.connect(service); a, _ = l.accept()" % (self.SERVICE, port))
        return p

    def is_not_told(self, event, cookie, **keys):
        """It is there, and nobody can find it."""
        self.assertNotEqual(kernel.state_of(cookie), "CLOSED")
        self.match(event, sock=cookie, state=None, **keys)

    @needs_root
    def test_a_client_of_the_service(self):
        log = self.log()
        p = self.balanced(log)
        cookie = p.eval("cookie(c)")
        self.match(log.new()[-2], call="connect", state="ESTABLISHED", peer="127.0.0.50:80")
        p("c.close()")
        self.is_not_told(log.new()[-1], cookie, call="close", peer="127.0.0.50:80")

    @needs_root
    def test_after_another_that_was_found(self):
        """What one question has found tells nothing of another address."""
        log = self.log()
        p = self.balanced(log)
        p("d = socket.create_server(('127.0.0.1', 0)); e = socket.create_connection("
          "d.getsockname()); f, _ = d.accept(); e.close(); f.close()")
        closes = [event for event in log.new() if event["call"] == "close"]
        self.assertEqual(len([event for event in closes if "state" in event]), 2, closes)
        cookie = p.eval("cookie(c)")
        p("c.close()")
        self.is_not_told(log.new()[-1], cookie)

    @needs_root
    def test_time_wait_behind_an_open_descriptor(self):
        log = self.log()
        p = self.balanced(log)
        cookie = self.to_time_wait(p)
        self.is_time_wait(cookie)
        log.new()
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1); c.close()")
        for event in log.new():
            self.is_not_told(event, cookie)

    @needs_root
    def test_an_accepted_connection(self):
        """Its local address is shown as the service's."""
        log = self.log()
        p = self.balanced(log, (balancer.CONNECT, balancer.GETSOCKNAME))
        cookie = p.eval("cookie(a)")
        p("a.close()")
        self.is_not_told(log.new()[-1], cookie, local="127.0.0.50:80")

    @needs_root
    def test_a_copy_that_is_still_open(self):
        log = self.log()
        p = self.balanced(log)
        cookie = p.eval("cookie(c)")
        p("os.close(os.dup(c.fileno()))")
        self.is_not_told(log.new()[-1], cookie, call="close")

    @needs_root
    def test_a_reset_is_told_by_the_socket_itself(self):
        log = self.log()
        p = self.balanced(log)
        cookie = p.eval("cookie(c)")
        p("a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); a.close()")
        wait_until(lambda: kernel.state_of(cookie) == "CLOSED", "the reset")
        log.new()
        p("c.close()")
        event, = log.new()
        self.match(event, call="close", state="CLOSED")
        self.assertEqual(self.notes(event), ["peer-reset"])

    def failing(self, log, call, when):
        """A server whose questions of that kind fail, and a client of it."""
        if strace.available():
            self.skipTest(strace.available())
        port = self.port()
        p = self.puppet(log, wrapper=[
            "strace", "-qq", "-o", self.path("trace"), "-e", "trace=" + call,
            "-e", "inject=%s:error=ENOBUFS%s" % (call, when)])
        p("l = socket.socket(); l.bind(('127.0.0.1', %d)); l.listen()" % port)
        self.client = socket.create_connection(("127.0.0.1", port))
        self.addCleanup(self.client.close)
        p("n = C.accept(l.fileno(), None, None)")
        return p

    def test_questions_that_fail(self):
        log = self.log()
        for call in ("getsockname", "getpeername"):
            p = self.failing(log, call, "")
            cookie = p.eval("cookie(n)")
            p("C.close(n)")
            self.is_not_told(log.new()[-1], cookie, call="close")

    def test_a_question_that_failed_once(self):
        """After the bind's own it is the accept's: it is asked again."""
        log = self.log()
        p = self.failing(log, "getsockname", ":when=2")
        self.match(log.new()[-1], call="accept", local=None, state="ESTABLISHED")
        p("C.close(n)")
        self.match(log.new()[-1], call="close", local="%s:%d" % self.client.getpeername(),
                   state=lambda state: state in ("FIN_WAIT_1", "FIN_WAIT_2"))


# accept: of a listener of MPTCP that takes the place of the one it is called for, the second time.
EXCHANGED = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define NEXT(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))
int close(int fd);

static void replace(int fd)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int on = 1;

	getsockname(fd, (struct sockaddr *)&addr, &len);
	NEXT(close)(fd);
	NEXT(socket)(AF_INET, SOCK_STREAM, 262);
	NEXT(setsockopt)(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	NEXT(bind)(fd, (struct sockaddr *)&addr, len);
	NEXT(listen)(fd, 4);
	NEXT(connect)(NEXT(socket)(AF_INET, SOCK_STREAM, 262), (struct sockaddr *)&addr, len);
}

int accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	static int calls;

	if (++calls == 2)
		replace(fd);
	return NEXT(accept)(fd, addr, len);
}
"""


class Inherited(Case):
    """What a connection has of its listener is asked of that once, where it is that."""

    def closed(self, how, beside=""):
        """The event of the close in replaced_listener."""
        log = self.log(how)
        env = shimmed(LOG=log.path, FORMAT="json")
        env["LD_PRELOAD"] += beside
        status, out, err = self.run_program([self.program("replaced_listener"), how], env)
        if status == 77:
            self.skipTest("no filter may be had here")
        self.assertEqual((status, err), (0, b""))
        event = log.read()[-1]
        self.match(event, call="close", sock=int(out), was="ESTABLISHED")
        return event

    @needs_mptcp
    def test_another_listener_in_its_place(self):
        """One of MPTCP: where it is asked for as TCP's, the kernel does not find it."""
        for how in ("raw", "seen", "not"):
            self.assertIn(self.closed(how).get("state"), ("FIN_WAIT_1", "FIN_WAIT_2"), how)

    @needs_mptcp
    def test_by_another_library(self):
        compiler = paths.find("cc")
        if not compiler:
            self.skipTest("no compiler")
        library = self.path("exchanged.so")
        done = subprocess.run([compiler, "-w", "-shared", "-fPIC", "-o", library, "-x", "c", "-",
                               "-ldl"], input=EXCHANGED.encode(), stderr=subprocess.PIPE,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(self.closed("left", ":" + library).get("state"),
                      ("FIN_WAIT_1", "FIN_WAIT_2"))

    @needs_mptcp
    def test_a_peer_that_speaks_tcp(self):
        """Its connection is TCP's, though the listener is not."""
        log = self.log()
        p = self.puppet(log)
        p("l = socket.socket(2, 1, %d); l.bind(('127.0.0.1', 0)); l.listen()" % MPTCP)
        for _ in range(2):
            p("c = socket.create_connection(l.getsockname()); a, _ = l.accept()\n"
              "c.send(b'unread'); select.select([a], [], []); a.close()")
            self.match(log.read()[-1], call="close", was="ESTABLISHED", state="CLOSED")
            self.assertEqual(self.notes(log.read()[-1]), ["reset"])


class Costs(Case):
    """What is asked for the truth's sake alone, in system calls."""

    PROGRAM = """
import os, socket
step = lambda: os.getpriority(os.PRIO_PROCESS, 0)
l = socket.create_server(("127.0.0.1", 0))
clients = [socket.create_connection(l.getsockname()) for _ in range(4)]
step()
first = l.accept()[0]
step()
second, copied, forked = (l.accept()[0] for _ in range(3))
step()
first.close()
step()
second.close()
step()
os.close(os.dup(copied.fileno()))
step()
copied.close()
step()
if os.fork() == 0:
    l.close()
    os._exit(0)
os.wait()
step()
forked.close()
step()
more = [socket.create_connection(l.getsockname()) for _ in range(2)]
step()
more[0].close()
step()
more[1].close()
step()
"""

    def steps(self):
        """The system calls of each step, counted; those of a process apart from its child's."""
        if strace.available():
            self.skipTest(strace.available())
        output = self.fresh("trace")
        command = strace.command(output, shimmed(LOG=self.path("log")),
                                 [paths.PYTHON, "-IS", "-c", self.PROGRAM], traced=())
        status, _, err = self.run_program(command)
        self.assertEqual(status, 0, err)
        steps, pid = [Counter()], None
        with open(output, errors="replace") as file:
            for line in file:
                found = re.match(r"^(\d+) +(\w+)\((?:\d+<[^ ]*>, SOL_SOCKET, (\w+))?", line)
                pid = pid or found.group(1)
                if not found or found.group(1) != pid:
                    continue
                if found.group(2) == "getpriority":
                    steps.append(Counter())
                steps[-1][found.group(3) or found.group(2)] += 1
        return steps[1:]

    def test_counted(self):
        steps = self.steps()
        accept, _, first, second, _, copied, _, forked, _, client, other, _ = steps
        # Which listener it was, and which connection it is. (A look at the queue asks, too.)
        self.assertEqual(accept["SO_COOKIE"] - accept["SO_MEMINFO"], 2, accept)

        def asked(step):
            return step["getsockname"], step["getpeername"], step["sendto"]
        # One question before the close, until one has found its like.
        self.assertEqual(asked(first), (0, 0, 2), first)
        self.assertEqual(asked(second), (0, 0, 1), second)
        self.assertEqual(asked(client), (0, 0, 2), client)
        self.assertEqual(asked(other), (0, 0, 1), other)
        # And both addresses where they may have changed.
        self.assertEqual(asked(copied), (1, 1, 1), copied)
        self.assertEqual(asked(forked), (1, 1, 1), forked)


class Behind(Case):
    """What the program changed behind our back: the next event tells the truth."""

    def test_numbers_used_again(self):
        log = self.log()
        status, out, err = self.run_program([self.program("behind")],
                                            self.env(log))
        if status == 77:
            self.skipTest("no system call instruction known for this machine")
        self.assertEqual((status, err), (0, b""))
        first, second = (int(line) for line in out.split())
        events = [event for event in log.read() if "by" not in event]
        old = events[0]["sock"]
        self.expect(
            events,
            ("socket", dict(sock=old)), ("setsockopt", dict(sock=old)),
            ("bind", dict(sock=old)), ("listen", dict(sock=old, state="LISTEN")),
            ("shutdown", dict(sock=first, was=None, state="CLOSED", error="ENOTCONN")),
            ("listen", dict(sock=second, was=None, state="LISTEN",
                            via=lambda via: via in (None, ["CLOSED"]))),
            ("close", dict(sock=second, was="LISTEN", state="CLOSED")))

    def test_numbers_used_again_for_a_bind(self):
        """What was known of the number says nothing of the socket that has been bound."""
        log = self.log()
        status, out, err = self.run_program([self.program("behind_bind"), str(self.port())],
                                            self.env(log))
        if status == 77:
            self.skipTest("no system call instruction known for this machine")
        self.assertEqual((status, err), (0, b""))
        first, second = (int(line) for line in out.split())
        self.expect(
            [event for event in log.read() if event["call"] != "socket"],
            ("bind", dict(sock=first, was=None, state="CLOSED")),
            ("setsockopt", dict(by="shim", sock=second, was=None, state="CLOSED")),
            ("bind", dict(sock=second, was="CLOSED", state="CLOSED")))

    def env(self, log):
        return shimmed(LOG=log.path, FORMAT="json")
