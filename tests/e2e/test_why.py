# SPDX-License-Identifier: MIT
"""tcpshim why: who has a port. What it says of a bind is held against binds that the test makes."""

import errno
import fcntl
import json
import os
import pty
import pwd
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from harness import kernel, paths, strace
from harness.case import Case, needs_bound, needs_ipv6, needs_mptcp, needs_root, read_line, wait_until

ADDRESSES = ("0.0.0.0", "127.0.0.1", "127.0.0.2", "[::]", "[::1]")
VERDICT = re.compile(r"^bind (\S+?)(?: or (\S+?))?: (.*); with SO_REUSEADDR: (.*)$", re.M)


def family_of(host):
    return socket.AF_INET6 if host.startswith("[") else socket.AF_INET


def bound(host, port, reuse, v6only=None):
    """A socket that is bound there."""
    sock = socket.socket(family_of(host))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    if v6only is not None:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    try:
        sock.bind((host.strip("[]"), port))
    except OSError:
        sock.close()
        raise
    return sock


def kernels_answer(host, port, reuse):
    try:
        bound(host, port, reuse).close()
        return "yes"
    except OSError as error:
        return "no, " + errno.errorcode[error.errno]


def silence(sock):
    """Seconds since the last segment, by the connection itself."""
    return struct.unpack_from("=I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 60),
                              56)[0] / 1000


class WhyCase(Case):

    def setUp(self):
        super().setUp()
        if os.geteuid() == 0:  # alone: no other test's sockets between two answers
            kernel.unshare(kernel.CLONE_NEWNET)
            kernel.loopback_up()
        self.addresses = [host for host in ADDRESSES
                          if family_of(host) == socket.AF_INET or kernel.has_ipv6()]

    def why(self, *words, prefix=()):
        """Exit status and standard output."""
        status, out, err = self.run_program([*prefix, paths.tool(), "why", *map(str, words)])
        self.assertEqual(err, b"")
        return status, out.decode()

    def verdicts(self, *words):
        """{address and port: (a bind without, with the option)}; the status follows from them."""
        status, out = self.why(*words)
        said = {where: (without, with_it) for first, second, without, with_it
                in VERDICT.findall(out) for where in (first, second) if where}
        worst = max((with_it != "yes" for _, with_it in said.values()), default=None)
        self.assertEqual(status, worst, out)
        return said

    def agree(self, port, untold=False):
        """The tool and the kernel, about each address. What was said.

        Whether a connection is of IPv6 alone can be untold: then a bind of IPv4 without the option
        may work, though the tool says no.
        """
        answers = {}
        for host in self.addresses:
            where = "%s:%d" % (host, port)
            expected = tuple(kernels_answer(host, port, reuse) for reuse in (0, 1))
            said = self.verdicts(where)
            if untold and host == "0.0.0.0" and expected == ("yes", "yes"):
                self.assertEqual(said, {where: ("no, EADDRINUSE", "yes")})
                expected = said[where]
            self.assertEqual(said, {where: expected})
            answers[where] = expected
        wildcards = {where: answer for where, answer in answers.items()
                     if where.startswith(("0.0.0.0", "[::]"))}
        self.assertEqual(self.verdicts(port), wildcards)
        return answers

    def connection(self, listener):
        """Both ends."""
        ours = socket.create_connection(listener.getsockname()[:2])
        self.addCleanup(ours.close)
        theirs, _ = listener.accept()
        self.addCleanup(theirs.close)
        return ours, theirs

    def listener(self, reuse, host="127.0.0.1", port=0, v6only=None):
        sock = bound(host, port, reuse, v6only)
        self.addCleanup(sock.close)
        sock.listen()
        return sock, sock.getsockname()[1]


class Answers(WhyCase):
    """Would a bind work?"""

    BOTH = "0.0.0.0:%d or [::]:%d"

    def wheres(self, port):
        """The addresses of each answer, as they are written."""
        return re.findall(r"^bind (.*?): (?:yes|no)", self.why(port)[1], re.M)

    def states(self, port):
        """The states of what has the port at its own end."""
        return {found.state for found in kernel.diag() if found.local[1] == port}

    def test_nobody(self):
        port = self.port()
        self.assertEqual(set(self.agree(port).values()), {("yes", "yes")})

    @needs_bound
    def test_bound(self):
        for reuse in 0, 1:
            with self.subTest(reuse), bound("127.0.0.1", 0, reuse) as sock:
                answers = self.agree(sock.getsockname()[1])
                self.assertIn(("no, EADDRINUSE", "yes" if reuse else "no, EADDRINUSE"),
                              answers.values())

    def test_listener(self):
        for reuse in 0, 1:
            for host in "127.0.0.1", "0.0.0.0":
                with self.subTest(reuse=reuse, host=host):
                    _, port = self.listener(reuse, host)
                    self.assertIn(("no, EADDRINUSE", "no, EADDRINUSE"), self.agree(port).values())

    @needs_ipv6
    def test_listener_of_ipv6(self):
        for host, v6only in ("[::]", 0), ("[::]", 1), ("[::1]", 0):
            with self.subTest(host=host, v6only=v6only):
                self.agree(self.listener(1, host, v6only=v6only)[1])

    def test_live_connections(self):
        for reuse in 0, 1:
            with self.subTest(reuse):
                listener, port = self.listener(reuse)
                _, theirs = self.connection(listener)
                listener.close()
                self.agree(port)
                theirs.close()

    def test_ends_of_connections(self):
        """FIN_WAIT_2 without a process, then TIME_WAIT."""
        for reuse in 0, 1:
            with self.subTest(reuse):
                listener, port = self.listener(reuse)
                ours, theirs = self.connection(listener)
                cookie = kernel.cookie_of(theirs)
                listener.close()
                theirs.close()
                wait_until(lambda: kernel.state_of(cookie) == "FIN_WAIT_2", "FIN_WAIT_2")
                self.agree(port)
                ours.close()
                wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
                answer = ("no, EADDRINUSE", "yes" if reuse else "no, EADDRINUSE")
                self.assertEqual(self.agree(port)["127.0.0.1:%d" % port], answer)

    @needs_ipv6
    def test_both_wildcards_at_once(self):
        """Where the same is to be said of them: of nobody, and of what is in TIME_WAIT alone."""
        port = self.port()
        self.assertEqual(self.wheres(port), [self.BOTH % (port, port)])
        for reuse in 0, 1:
            with self.subTest(reuse):
                port = self.port()
                kernel.leave_dying(port, reuse)
                wait_until(lambda: self.states(port) == {"TIME_WAIT"}, "TIME_WAIT")
                self.assertEqual(self.wheres(port), [self.BOTH % (port, port)])

    @needs_ipv6
    def test_each_wildcard_for_itself(self):
        """A listener of IPv6 alone is in the way of the one."""
        _, port = self.listener(1, "[::]", v6only=1)
        self.assertEqual(self.wheres(port), ["0.0.0.0:%d" % port, "[::]:%d" % port])

    def test_an_address_that_is_not_ours(self):
        port = self.port()
        where = "192.0.2.1:%d" % port  # RFC 5737: nobody's
        self.assertEqual(self.verdicts(where), {where: ("no, EADDRNOTAVAIL",) * 2})
        self.assertIn("no interface here has the address", self.why(where)[1])

    @needs_root
    def test_no_free_port_left(self):
        """For the kernel to choose from: that says nothing of a port that is named."""
        with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
            file.write("40000 40001")
        taken = []
        for host in "127.0.0.1", "[::1]":
            if host in self.addresses:
                taken += [bound(host, port, 0) for port in (40000, 40001)]
        self.assertEqual(set(self.agree(20000).values()), {("yes", "yes")})
        for sock in taken:
            sock.close()

    @needs_root
    def test_a_privileged_port(self):
        status, out = self.why(80, prefix=("setpriv", "--bounding-set", "-net_bind_service"))
        self.assertEqual(status, 1)
        self.assertEqual(set(VERDICT.findall(out)[0][2:]), {"no, EACCES"})
        self.assertIn("port 80 is below 1024", out)
        self.assertEqual(self.why(80)[0], 0)

    def test_nothing_is_left_behind(self):
        """What is tried is gone when the tool is."""
        listener, port = self.listener(1)
        _, theirs = self.connection(listener)
        listener.close()
        before = kernel.diag()
        self.verdicts(port)
        left = [found for found in kernel.diag() if port in (found.local[1], found.peer[1])]
        self.assertEqual(sorted(map(str, left)), sorted(
            str(found) for found in before if port in (found.local[1], found.peer[1])))


class Table(WhyCase):
    """The kernel's rule of conflicts, row by row: who has the port, in which state, with which
    option, on which address, against each address that is asked for."""

    HOLDERS = (("0.0.0.0", None), ("127.0.0.1", None), ("127.0.0.2", None), ("[::]", 0),
               ("[::]", 1), ("[::1]", None), ("[::ffff:127.0.0.1]", 0))

    def setUp(self):
        super().setUp()
        self.socks = []
        self.addCleanup(self.close_all)

    def ends(self, listener, host):
        """A connection to it: the client's end, its own."""
        if host == "127.0.0.2" or ":" not in host:
            peer = host if host.startswith("127") else "127.0.0.1"
        else:
            peer = "127.0.0.1" if "ffff" in host else "::1"
        ours = socket.create_connection((peer, listener.getsockname()[1]))
        theirs, _ = listener.accept()
        self.socks += [ours, theirs]
        return ours, theirs

    def hold(self, state, host, v6only, reuse):
        """Make one that has a port, in that state: the port."""
        sock = bound(host, 0, reuse, v6only)
        self.socks.append(sock)
        port = sock.getsockname()[1]
        if state == "CLOSED":
            return port
        sock.listen()
        if state == "LISTEN":
            return port
        ours, theirs = self.ends(sock, host)
        cookie = kernel.cookie_of(theirs)
        sock.close()
        if state == "CLOSE_WAIT":
            ours.close()
        elif state != "ESTABLISHED":
            theirs.close()
        if state == "TIME_WAIT":
            wait_until(lambda: kernel.state_of(cookie) == "FIN_WAIT_2", "FIN_WAIT_2")
            ours.close()
        wait_until(lambda: kernel.state_of(cookie) == state, state)
        return port

    def check(self, state):
        seen = set()
        for host, v6only in self.HOLDERS:
            if family_of(host) == socket.AF_INET6 and not kernel.has_ipv6():
                continue
            for reuse in 0, 1:
                with self.subTest(host=host, v6only=v6only, reuse=reuse):
                    port = self.hold(state, host, v6only, reuse)
                    untold = (host == "[::1]" or v6only) and state not in ("CLOSED", "LISTEN")
                    seen |= set(self.agree(port, untold).values())
                    self.close_all()
        self.assertIn(("yes", "yes"), seen)
        self.assertIn(("no, EADDRINUSE", "no, EADDRINUSE"), seen)
        self.assertEqual(("no, EADDRINUSE", "yes") in seen, state != "LISTEN")

    def close_all(self):
        """The sockets of one row are gone before the next."""
        while self.socks:
            self.socks.pop().close()

    @needs_ipv6
    def test_connections_beside_a_listener_of_ipv6_alone(self):
        """They have that from it."""
        for host, v6only in ("[::]", 1), ("[::1]", None), ("[::]", 0):
            for reuse in 0, 1:
                with self.subTest(host=host, v6only=v6only, reuse=reuse):
                    sock = bound(host, 0, reuse, v6only)
                    self.socks.append(sock)
                    sock.listen()
                    self.ends(sock, "[::1]")
                    self.agree(sock.getsockname()[1])
                    self.close_all()

    @needs_bound
    def test_bound(self):
        self.check("CLOSED")

    def test_listening(self):
        self.check("LISTEN")

    def test_established(self):
        self.check("ESTABLISHED")

    def test_close_wait(self):
        self.check("CLOSE_WAIT")

    def test_fin_wait_2(self):
        self.check("FIN_WAIT_2")

    def test_time_wait(self):
        self.check("TIME_WAIT")


class Causes(WhyCase):
    """What people meet: the cause that leads to the cure is named, and the verdict is the kernel's."""

    def told(self, port, *said):
        self.agree(port)
        text = self.why(port)[1]
        for one in said:
            self.assertRegex(text, one)
        return text

    def test_a_server_that_executes_itself(self):
        """Its new image has the listener of the old one, and binds anew."""
        code = ("import os, socket, sys\n"
                "if len(sys.argv) > 1: print(sys.argv[1], flush=True); sys.stdin.read()\n"
                "l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen()\n"
                "l.set_inheritable(True)\n"
                "os.execv(sys.executable, [sys.executable, '-c', %r, str(l.getsockname()[1])])\n")
        process = self.start([paths.PYTHON, "-c", code % "import sys; print(sys.argv[1], "
                              "flush=True); sys.stdin.read()"], stdin=subprocess.PIPE)
        port = int(read_line(process))
        self.told(port, r"of python\S* \(pid %d\) has the port; .*where python\S* has not made it, it "
                        r"has inherited it, for it lacks SOCK_CLOEXEC" % process.pid)

    def test_a_helper_that_keeps_the_listener(self):
        """The server is gone, killed; a program that it had started is no server at all."""
        code = ("import os, signal, socket, subprocess\n"
                "l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen()\n"
                "l.set_inheritable(True)\n"
                "h = subprocess.Popen(['/bin/sleep', '1000'], close_fds=False, "
                "stdout=subprocess.DEVNULL)\n"
                "print(l.getsockname()[1], h.pid, flush=True)\n"
                "os.kill(os.getpid(), signal.SIGKILL)\n")
        done = subprocess.run([paths.PYTHON, "-c", code], stdout=subprocess.PIPE, check=False)
        port, helper = map(int, done.stdout.split())
        self.addCleanup(os.kill, helper, signal.SIGKILL)
        self.told(port, r"of sleep \(pid %d\) has the port; .*where sleep has not made it, it has "
                        "inherited it" % helper, r"\nsleep\[%d\]: user \S+, started " % helper,
                  "\n    /bin/sleep 1000\n")

    def test_two_that_share_it(self):
        """By SO_REUSEPORT: both are told, with the option."""
        first = socket.socket()
        second = socket.socket()
        for sock in first, second:
            self.addCleanup(sock.close)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(first.getsockname() if sock is second else ("127.0.0.1", 0))
            sock.listen()
        port = first.getsockname()[1]
        other = self.start(["/bin/sleep", "1000"], pass_fds=[second.fileno()])
        second.close()
        self.told(port, r"LISTEN +127.0.0.1:%d +no SO_REUSEADDR\+REUSEPORT +sleep\[%d\]"
                  % (port, other.pid), r"no SO_REUSEADDR\+REUSEPORT +python3?\[%d\]" % os.getpid(),
                  "all that listen there have SO_REUSEPORT: another socket of uid %d that has it "
                  "joins them\n" % os.geteuid())
        with socket.socket() as third:
            third.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            third.bind(("127.0.0.1", port))
            third.listen()
        self.listener(0, "127.0.0.2", port=port)
        self.assertNotIn("joins them", self.why(port)[1])

    @needs_bound
    def test_bound_and_nothing_else(self):
        """A copy of it keeps the port."""
        sock = bound("127.0.0.1", 0, 0)
        port = sock.getsockname()[1]
        copy = sock.dup()
        sock.close()
        self.told(port, r"\(bound\) +127.0.0.1:%d +no SO_REUSEADDR +python3?\[%d\]"
                  % (port, os.getpid()), "has the port")
        copy.close()

    def test_a_connection_to_itself(self):
        """Nobody listens there; the later bind of the server fails for it."""
        sock = bound("127.0.0.1", 0, 0)
        self.addCleanup(sock.close)
        sock.connect(sock.getsockname())
        self.told(sock.getsockname()[1], "connected to itself", "sysctl net.ipv4.ip_local_reserved")

    def test_a_client_with_a_port_of_its_own(self):
        listener, server = self.listener(1)
        port = self.port()
        client = bound("127.0.0.1", port, 0)
        self.addCleanup(client.close)
        client.connect(("127.0.0.1", server))
        accepted, _ = listener.accept()
        self.addCleanup(accepted.close)
        text = self.told(port, r"ESTABLISHED +127.0.0.1:%d +127.0.0.1:%d +python3?\[%d\]"
                         % (port, server, os.getpid()))
        self.assertNotIn("outgoing", text)

    def test_outgoing_ones_among_others(self):
        """A live one of a client, from the kernel's range: with the cure."""
        _, server = self.listener(1, port=self.port())
        client = socket.create_connection(("127.0.0.1", server))
        self.addCleanup(client.close)
        port = client.getsockname()[1]
        self.told(port, r"ESTABLISHED +127.0.0.1:%d +to 127.0.0.1:%d" % (port, server),
                  "sysctl net.ipv4.ip_local_reserved_ports=%d" % port)


class Holders(WhyCase):
    """Who is on the port?"""

    def rows(self, port):
        """Each as a list of words, but for the options of what is bound."""
        return [re.sub(r"\b(no )?SO_REUSEADDR(\+REUSEPORT)?", "-", line).split()
                for line in self.why(port)[1].split("\n\n")[1].splitlines()]

    def hold(self, sock, **how):
        """A process that has it open."""
        return self.start(["/bin/sleep", "1000"], pass_fds=[sock.fileno()], **how)

    def test_states_and_processes(self):
        listener, port = self.listener(1)
        ours, theirs = self.connection(listener)
        self.addCleanup(listener.dup().close)  # a second number is no second owner
        me = "%s[%d]" % (open("/proc/self/comm").read().strip().replace(" ", "_"), os.getpid())
        here, there = "127.0.0.1:%d" % port, "127.0.0.1:%d" % ours.getsockname()[1]
        self.assertEqual(self.rows(port), [["LISTEN", here, "-", me],
                                           ["ESTABLISHED", here, there, me]])
        theirs.close()
        wait_until(lambda: self.rows(port)[1][0] == "FIN_WAIT_2", "FIN_WAIT_2")
        row = self.rows(port)[1]
        self.assertEqual((row[1:4], row[5:]), ([here, there, "for"], ["s", "more"]))
        self.assertLessEqual(int(row[4]), 60)

    @needs_bound
    def test_bound_only(self):
        with bound("127.0.0.1", 0, 1) as sock:
            rows = self.rows(sock.getsockname()[1])
        self.assertEqual([row[0] for row in rows], ["(bound)"])

    def test_time_left(self):
        listener, port = self.listener(1)
        ours, theirs = self.connection(listener)
        cookie = kernel.cookie_of(theirs)
        theirs.close()
        ours.close()
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        before = kernel.by_cookie(cookie).expires
        told = int(re.search(r"TIME_WAIT .* for (\d+) s more", self.why(port)[1]).group(1))
        after = kernel.by_cookie(cookie).expires
        self.assertLessEqual(-(-after // 1000), told)
        self.assertLessEqual(told, -(-before // 1000))

    def test_several_processes(self):
        listener, port = self.listener(1)
        names = {"sleep[%d]" % self.hold(listener).pid for _ in range(3)}
        listener.close()
        self.assertEqual({word.strip(",") for word in self.rows(port)[0][3:]}, names)

    def test_more_processes_than_are_named(self):
        listener, port = self.listener(1)
        for _ in range(6):
            self.hold(listener)
        listener.close()
        row = self.rows(port)[0][3:]
        self.assertEqual((len(row), row[4:]), (7, ["and", "2", "more"]))

    def test_how_they_came_to_it(self):
        """What helps is told, too: of a program that inherited it, and of whom else has it."""
        listener, port = self.listener(1)
        self.hold(listener)
        text = self.why(port)[1]
        self.assertIn(" (pid %d) and 1 other has the port; " % os.getpid(), text)
        self.assertIn("; a program that was executed inherited it, for it lacks SOCK_CLOEXEC; it "
                      "is free when all of them have closed it\n", text)
        listener.close()
        self.assertIn("; where sleep has not made it, it has inherited it, for it lacks "
                      "SOCK_CLOEXEC\n", self.why(port)[1])

    def test_a_fork(self):
        listener, port = self.listener(1)
        pids = []
        for _ in range(2):
            pids.append(os.fork())
            if not pids[-1]:
                while True:
                    signal.pause()
            self.addCleanup(os.waitpid, pids[-1], 0)
            self.addCleanup(os.kill, pids[-1], signal.SIGKILL)
        self.assertIn(" (pid %d) and 2 others, shared by fork, has the port; " % os.getpid(),
                      self.why(port)[1])
        listener.close()
        self.assertIn(" and 1 other, shared by fork, has the port; ", self.why(port)[1])

    @needs_ipv6
    def test_dual_stack(self):
        _, port = self.listener(1, "[::]", v6only=0)
        text = self.why("0.0.0.0:%d" % port)[1]
        self.assertIn("has the port; [::] without IPV6_V6ONLY takes IPv4 too; ", text)
        self.assertNotIn("V6ONLY", self.why("[::1]:%d" % port)[1])

    @needs_root
    def test_a_process_that_can_not_be_seen(self):
        """Another user's: root without its privileges is nobody special."""
        listener, port = self.listener(1)
        self.hold(listener, user=65534)
        listener.close()
        _, out = self.why(port, prefix=("setpriv", "--bounding-set",
                                        "-sys_ptrace,-dac_override,-dac_read_search"))
        self.assertIn("a process of another user, uid 0", out)

    def test_many(self):
        """Those that are alike are one line."""
        listener, port = self.listener(1)
        listener.listen(64)
        ends = [self.connection(listener) for _ in range(50)]
        rows = self.rows(port)
        self.assertEqual([row[:4] for row in rows[1:]],
                         [["ESTABLISHED", "127.0.0.1:%d" % port, "50", "connections"]])
        for ours, theirs in ends:
            ours.close()
            theirs.close()

    def test_it_is_one_screen(self):
        """24 lines of 80 columns on a terminal of that size, whatever is on the port."""
        listener, port = self.listener(1, host="127.0.0.1")
        listener.listen(64)
        for _ in range(12):
            ours, theirs = self.connection(listener)
            self.hold(theirs)
            self.hold(ours)
        left = [self.connection(listener) for _ in range(6)]
        for ours, theirs in left:
            self.hold(theirs)
            ours.close()
        wait_until(lambda: min(silence(theirs) for _, theirs in left) > 1.1, "a second")
        for number in range(2, 30):
            self.listener(1, host="127.0.0.%d" % number, port=port)
        main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = self.start([paths.tool(), "why", "127.0.0.1:%d" % port], stdout=side)
        os.close(side)
        text = b""
        try:
            while True:
                text += os.read(main, 65536)
        except OSError:  # nobody has the other end any more
            os.close(main)
        process.wait()
        lines = text.decode().replace("\r\n", "\n").splitlines()
        self.assertLess(len(lines), 24, text)
        self.assertLessEqual(max(map(len, lines)), 80, text)
        self.assertEqual(lines[0][:5], "bind ")
        for said in ("LISTEN", "more (--json lists", "whose peer", "started by",
                     "more (--json tells"):
            self.assertTrue([line for line in lines if said in line], (said, text))

    def test_an_outgoing_connection(self):
        """It is no run without the shim that is to be waited for."""
        _, server = self.listener(1, port=self.port())
        client = socket.create_connection(("127.0.0.1", server))
        self.addCleanup(client.close)
        port, cookie = client.getsockname()[1], kernel.cookie_of(client)
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            low, high = file.read().split()
        taken = ("took port %d from the range %s-%s; move the service below it or reserve it: "
                 "sysctl net.ipv4.ip_local_reserved_ports=%d\n" % (port, low, high, port))
        self.assertIn("; as an outgoing connection it " + taken, self.why(port)[1])
        client.shutdown(socket.SHUT_WR)
        client.close()
        wait_until(lambda: kernel.state_of(cookie) == "FIN_WAIT_2", "FIN_WAIT_2")
        out = self.why(port)[1]
        self.assertIn(": an outgoing connection to 127.0.0.1:%d %s" % (server, taken), out)
        self.assertNotIn("without the shim", out)
        self.assertNotIn("leaves none", out)
        self.assertIn("waits until they are gone\n", out)

    def test_a_run_without_the_shim(self):
        listener, port = self.listener(0, port=self.port())
        ours, theirs = self.connection(listener)
        listener.close()
        theirs.close()
        ours.close()
        out = self.why(port)[1]
        self.assertIn("made without SO_REUSEADDR, as a run without the shim leaves it\n", out)
        self.assertIn("leaves none that are in the way\n", out)

    def unclosed(self, port):
        """What is said of connections that nobody closes: (who, how many, for how many seconds)."""
        told = re.findall(r"^(.*) has (\d+) connections? whose peers? closed(?:, the first)? "
                          r"at least (\d+) s ago: it does not close (?:it|them)$",
                          self.why(port)[1], re.M)
        return [(who, int(count), int(age)) for who, count, age in told]

    def test_connections_that_are_not_closed(self):
        """CLOSE_WAIT for a second or more: whose, how many, and for how long at least."""
        listener, port = self.listener(1)
        ends = [self.connection(listener) for _ in range(4)]
        me = "%s (%d)" % (open("/proc/self/comm").read().strip(), os.getpid())
        for ours, _ in ends[1:]:
            ours.close()
        wait_until(lambda: min(silence(theirs) for _, theirs in ends[1:]) > 1.1, "a second")
        least = max(silence(theirs) for _, theirs in ends[1:])
        (who, count, age), = self.unclosed(port)
        most = max(silence(theirs) for _, theirs in ends[1:])
        self.assertEqual((who, count), (me, 3))
        self.assertTrue(int(least) <= age <= most, (least, age, most))
        ends[0][1].send(b"x")
        holder = self.hold(ends[1][1])
        out = self.why(port)[1]
        self.assertIn("\n%s has 2 connections whose" % me, out)
        self.assertRegex(out, r"\n\S+ \((%d|%d)\) and 1 other have 1 connection whose peer closed "
                              r"at least \d+ s ago: they do not close it\n"
                         % (os.getpid(), holder.pid))
        holder.kill()
        holder.wait()
        for _, theirs in ends:
            theirs.close()
        self.assertNotIn("whose peer", self.why(port)[1])

    def test_connections_that_nobody_has_accepted(self):
        listener, port = self.listener(1)
        ours = socket.create_connection(listener.getsockname())
        cookie = next(entry.cookie for entry in kernel.diag()
                      if entry.peer == ours.getsockname() and entry.local[1] == port)
        ours.close()
        wait_until(lambda: kernel.state_of(cookie) == "CLOSE_WAIT", "CLOSE_WAIT")
        said = re.compile(r"^nobody has accepted 1 connection whose peer closed at least \d+ s ago$",
                          re.M)
        wait_until(lambda: said.search(self.why(port)[1]), "a second")

    def test_connections_that_are_still_written_to(self):
        """The peer has closed one half, and gets its answer all the while."""
        listener, port = self.listener(1)
        ours, theirs = self.connection(listener)
        ours.shutdown(socket.SHUT_WR)
        wait_until(lambda: silence(theirs) > 1.1, "a second")
        for _ in range(20):
            theirs.send(b"x")
            ours.recv(1)
            out = self.why(port)[1]
            if silence(theirs) < 1:
                self.assertNotIn("whose peer", out)
                return
        self.fail("no moment in which this machine does it within a second")

    def test_advice(self):
        """What it says to do works."""
        listener, port = self.listener(1)
        ours, theirs = self.connection(listener)
        listener.close()
        theirs.close()
        ours.close()
        self.assertIn("tcpshim run", self.why(port)[1])
        bind = "import socket; socket.socket().bind(('127.0.0.1', %d))" % port
        self.assertEqual(self.run_program([paths.PYTHON, "-c", bind])[0], 1)
        self.assertEqual(self.run_program([paths.tool(), "run", paths.PYTHON, "-c", bind])[0], 0)


SERVE = """
import os, socket, sys
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(sys.argv[1]))
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


def contents(pid, name):
    with open("/proc/%d/%s" % (pid, name), "rb") as file:
        return file.read()


class Processes(WhyCase):
    """Who are those that have it? What is said is held against /proc, ps and the sockets."""

    def serve(self, *words, command=(paths.PYTHON,), reuse=1, **how):
        """A process with a listener: it and its port."""
        process = self.start([*command, "-c", SERVE, str(reuse), *words],
                             stdin=subprocess.PIPE, **how)
        return process, int(read_line(process))

    def found(self, port, *words):
        """What it says as JSON."""
        return json.loads(self.why("--json", port, *words)[1])

    def the_one(self, port, pid):
        return next(one for one in self.found(port)["processes"] if one["pid"] == pid)

    def named(self, name):
        """Python under another name, as /proc/PID/comm has it."""
        path = self.path(name)
        os.symlink(sys.executable, path)
        return path

    def test_what_it_is(self):
        folder = self.path("a folder")
        os.mkdir(folder)
        process, port = self.serve("two words", cwd=folder)
        one = self.the_one(port, process.pid)
        self.assertEqual(one["prog"], contents(process.pid, "comm").decode().rstrip("\n"))
        self.assertEqual(one["uid"], os.stat("/proc/%d" % process.pid).st_uid)
        self.assertEqual(one.get("user"), pwd.getpwuid(one["uid"]).pw_name)
        self.assertEqual(one["command"], contents(process.pid, "cmdline").rstrip(b"\0")
                         .replace(b"\0", b" ").decode())
        self.assertEqual(one["folder"], os.path.realpath(folder))

        def age():
            return int(subprocess.check_output(["ps", "-o", "etimes=", "-p", str(process.pid)]))

        wait_until(lambda: age() > 2, "two seconds")
        least = age()
        told = self.the_one(port, process.pid)["age_s"]
        self.assertTrue(least - 1 <= told <= age() + 1, (least, told, age()))
        text = self.why(port)[1]
        self.assertIn(", in %s" % os.path.realpath(folder), text)
        self.assertIn("[%d]: user %s, started " % (process.pid, one["user"]), text)
        self.assertIn("two words\n", text)

    def test_its_parents(self):
        """Up to the shell that leads the session, or to the first process."""
        process, port = self.serve()
        chain = self.the_one(port, process.pid)["started_by"]
        pid = process.pid
        for parent in chain:
            pid = int(contents(pid, "stat").rpartition(b")")[2].split()[1])
            self.assertEqual(parent["pid"], pid)
            self.assertEqual(parent["prog"], contents(pid, "comm").decode().rstrip("\n"))
        self.assertTrue(chain[-1].get("shell") or len(chain) == 32 or
                        contents(pid, "stat").rpartition(b")")[2].split()[1] == b"0", chain)
        self.assertIn("    started by %s[%d]" % (chain[0]["prog"], os.getpid()),
                      self.why(port)[1])

    def test_the_shell_that_leads_a_session_ends_them(self):
        command = ["sh", "-c", '"$@"; :', "sh", paths.PYTHON]
        process, port = self.serve(command=command, start_new_session=True)
        chain = self.found(port)["processes"][0]["started_by"]
        self.assertEqual(chain, [{"pid": process.pid, "prog": "sh", "shell": True}])
        script = ["sh", "-c", '"$@"; :', "sh", *command]
        process, port = self.serve(command=script, start_new_session=True)
        chain = self.found(port)["processes"][0]["started_by"]
        self.assertEqual([one["prog"] for one in chain], ["sh", "sh"])
        self.assertNotIn("shell", chain[0])
        self.assertEqual(chain[1], {"pid": process.pid, "prog": "sh", "shell": True})

    def test_the_option_of_the_listener(self):
        """As the socket itself tells it, by a copy of its descriptor."""
        for reuse in 0, 1:
            with self.subTest(reuse):
                _, port = self.serve(reuse=reuse)
                one, = self.found(port)["sockets"]
                self.assertEqual((one["reuseaddr"], one["reuseport"]), (bool(reuse), False))
                self.assertIn(" SO_REUSEADDR  " if reuse else " no SO_REUSEADDR  ",
                              self.why(port)[1])

    def test_docker_proxy(self):
        """Who kills that one cuts the container off; and dockerd stands above it."""
        proxy, daemon = self.named("docker-proxy"), self.named("dockerd")
        words = ["-proto", "tcp", "-host-ip", "127.0.0.1", "-host-port", "1",
                 "-container-ip", "172.17.0.2", "-container-port", "8080"]
        start = "import subprocess, sys; subprocess.run(sys.argv[1:])"
        _, port = self.serve(*words, command=[daemon, "-c", start, proxy])
        one, = self.found(port)["processes"]
        self.assertEqual((one["prog"], one["container_ip"], one["container_port"]),
                         ("docker-proxy", "172.17.0.2", "8080"))
        self.assertEqual(one["started_by"][0]["prog"], "dockerd")
        self.assertIn("    docker-proxy has it for port 8080 of the container at 172.17.0.2: stop "
                      "that container, not docker-proxy (docker ps --filter publish=%d)\n" % port,
                      self.why(port)[1])

    def test_socket_activated(self):
        """LISTEN_FDS, where it is meant for that very process."""
        hand = ("import os, sys; os.environ.update(LISTEN_FDS='1', LISTEN_PID=%s); "
                "os.dup2(int(sys.argv[1]), 3); os.execv('/bin/sleep', ['sleep', '1000'])")
        for pid, meant in ("str(os.getpid())", True), ("'1'", False):
            with self.subTest(pid):
                listener, port = self.listener(1)
                process = self.start([paths.PYTHON, "-c", hand % pid, str(listener.fileno())],
                                     pass_fds=[listener.fileno()])
                wait_until(lambda: contents(process.pid, "comm") == b"sleep\n", "exec")
                listener.close()
                one = self.the_one(port, process.pid)
                self.assertEqual((one.get("socket_activated", False), one.get("listen_fds")),
                                 (meant, 1 if meant else None))
                said = "    sleep was started with it (LISTEN_FDS): who has started it may hold"
                self.assertEqual(said in self.why(port)[1], meant)

    @needs_root
    def test_units_and_containers(self):
        """Of cgroups of both kinds, as far as this machine has them."""
        number = "%064x" % os.getpid()
        tried = 0
        for mount, kinds in (("/sys/fs/cgroup/unified", "cgroup2"), ("/sys/fs/cgroup", "cgroup2"),
                             ("/sys/fs/cgroup/systemd", "cgroup")):
            if [mount, kinds] not in [line.split()[1:3] for line in open("/proc/mounts")]:
                continue
            for name, key, value in (("why-%d.service" % os.getpid(), "unit", None),
                                     ("docker-%s.scope" % number, "container", number)):
                folder = os.path.join(mount, name)
                try:
                    os.mkdir(folder)
                except OSError:
                    continue
                process, port = self.serve()
                try:
                    with open(os.path.join(folder, "cgroup.procs"), "w") as file:
                        file.write(str(process.pid))
                    tried += 1
                    one, text = self.the_one(port, process.pid), self.why(port)[1]
                finally:
                    process.kill()
                    process.wait()
                    os.rmdir(folder)
                self.assertEqual(one[key], value or name)
                self.assertEqual(one["cgroup"], "/" + name)
                self.assertEqual(one.get("runtime"), "docker" if value else None)
                self.assertIn(", unit %s\n" % name if key == "unit" else
                              ", container %s (docker)\n" % number[:12], text)
        if not tried:
            self.skipTest("no cgroups can be made here")

    def test_names_that_would_paint(self):
        """What others have written is text: no escape sequences reach a terminal."""
        process, port = self.serve("\x1b[31m\nred\x07", command=[self.named("a\x1bb")])
        text = self.why(port)[1]
        self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f\x7f]")
        self.assertIn("?[31m?red?\n", text)
        self.assertEqual(self.the_one(port, process.pid)["prog"], "a\x1bb")


class Json(WhyCase):
    """Each key, held against the kernel's own word."""

    TOP = {"v", "port", "binds", "sockets", "processes", "processes_seen", "first_port",
           "last_port"}
    SOCKET = {"state", "count", "local", "sock", "uid"}

    def found(self, *words):
        status, out = self.why("--json", *words)
        self.assertEqual(out.count("\n"), 1)
        found = json.loads(out)
        self.assertEqual(status, max(not bind["works_with_reuseaddr"] for bind in found["binds"]))
        return found

    def test_more_processes_than_are_listed(self):
        """All that have it open are counted; what is told of each is told of 1,024."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            read, write = os.pipe()
            self.addCleanup(os.close, read)
            children = []
            for _ in range(1100):
                pid = os.fork()
                if pid == 0:
                    os.close(write)
                    os.read(read, 1)
                    os._exit(0)
                children.append(pid)
            found = self.found(listener.getsockname()[1])
            os.close(write)
            for pid in children:
                os.waitpid(pid, 0)
        self.assertEqual(set(found), self.TOP | {"processes_unlisted"})
        self.assertEqual((len(found["processes"]), found["processes_unlisted"]), (1024, 77))
        self.assertLessEqual({row["pid"] for row in found["processes"]},
                             {os.getpid(), *children})

    def test_nobody(self):
        port = self.port()
        found = self.found(port)
        self.assertEqual(set(found), self.TOP)
        self.assertEqual((found["v"], found["port"], found["sockets"], found["processes"]),
                         (1, port, [], []))
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            self.assertEqual([found["first_port"], found["last_port"]],
                             list(map(int, file.read().split())))
        self.assertEqual(found["binds"], [
            {"local": "%s:%d" % (host, port), "works": True, "works_with_reuseaddr": True,
             "notes": []} for host in ("0.0.0.0", "[::]") if host in self.addresses])

    def test_a_verdict(self):
        listener, port = self.listener(1)
        for host in self.addresses:
            bind, = self.found("%s:%d" % (host, port))["binds"]
            answers = [kernels_answer(host, port, reuse) for reuse in (0, 1)]
            said = [("yes" if bind["works" + key] else "no, " + bind["error" + key])
                    for key in ("", "_with_reuseaddr")]
            self.assertEqual(said, answers)
            self.assertEqual(bind["local"], "%s:%d" % (host, port))
            if answers[1] == "yes":
                self.assertEqual(bind["notes"], [])
                continue
            note, = bind["notes"]
            self.assertEqual((note["code"], note["pid"], note["local"]),
                             ("in-use-listener", os.getpid(), "127.0.0.1:%d" % port))
            self.assertIn(note["text"], self.why("%s:%d" % (host, port))[1])
        listener.close()

    def sockets(self, port):
        return {one["state"]: one for one in self.found(port)["sockets"]}

    def test_sockets(self):
        listener, port = self.listener(1)
        self.addCleanup(listener.dup().close)
        ends = [self.connection(listener) for _ in range(3)]
        cookies = {kernel.cookie_of(theirs) for _, theirs in ends}
        found = self.sockets(port)
        self.assertEqual(set(found), {"LISTEN", "ESTABLISHED"})
        listens, connected = found["LISTEN"], found["ESTABLISHED"]
        owned = {"inode", "owners", "owners_count", "reuseaddr", "reuseport"}
        self.assertEqual(set(listens), self.SOCKET | owned)
        self.assertEqual(set(connected), self.SOCKET | owned | {"peer"})
        self.assertEqual(
            listens, dict(state="LISTEN", count=1, local="127.0.0.1:%d" % port,
                          sock=kernel.cookie_of(listener), inode=os.fstat(listener.fileno()).st_ino,
                          uid=os.geteuid(), owners_count=1, reuseaddr=True, reuseport=False,
                          owners=[{"pid": os.getpid(), "fd": listener.fileno()}]))
        self.assertEqual(connected["count"], 3)
        self.assertIn(connected["sock"], cookies)
        self.assertIn(connected["peer"], {"127.0.0.1:%d" % ours.getsockname()[1]
                                          for ours, _ in ends})

    def test_dying(self):
        listener, port = self.listener(1)
        ends = [self.connection(listener) for _ in range(2)]
        for ours, theirs in ends:
            cookie = kernel.cookie_of(theirs)
            theirs.close()
            ours.close()
            wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        most = kernel.by_cookie(cookie).expires
        one = self.sockets(port)["TIME_WAIT"]
        self.assertEqual(set(one), self.SOCKET | {"peer", "max_ms"})
        self.assertEqual((one["count"], one["uid"]), (2, 0))
        self.assertTrue(kernel.by_cookie(cookie).expires <= one["max_ms"] <= most)

    def test_without_an_end(self):
        """FIN_WAIT_1: the peer does not read, and does not answer."""
        listener, port = self.listener(1)
        ours, theirs = self.connection(listener)
        theirs.setblocking(False)
        try:
            while True:
                theirs.send(b"x" * 65536)
        except BlockingIOError:
            theirs.close()
        one = self.sockets(port)["FIN_WAIT_1"]
        self.assertEqual((one["without_end"], "max_ms" in one), (1, False))

    def test_outgoing(self):
        _, server = self.listener(1, port=self.port())
        client = socket.create_connection(("127.0.0.1", server))
        self.addCleanup(client.close)
        one = self.sockets(client.getsockname()[1])["ESTABLISHED"]
        self.assertIs(one["outgoing"], True)
        self.assertNotIn("outgoing", self.sockets(server).get("ESTABLISHED", {}))

    def test_accepted(self):
        """From a client outside the range, by a server inside: by the ports alone it looks outgoing."""
        listener, port = self.listener(1)
        client = bound("127.0.0.1", self.port(), 0)
        self.addCleanup(client.close)
        client.connect(("127.0.0.1", port))
        accepted, _ = listener.accept()
        self.addCleanup(accepted.close)
        self.assertNotIn("outgoing", self.sockets(port)["ESTABLISHED"])

    def test_unclosed(self):
        listener, port = self.listener(1)
        ours, theirs = self.connection(listener)
        ours.close()
        wait_until(lambda: silence(theirs) > 1.1, "a second")
        least = silence(theirs)
        one = self.sockets(port)["CLOSE_WAIT"]
        self.assertTrue(least <= one["unclosed_at_least_ms"] / 1000 <= silence(theirs))

    @needs_root
    def test_how_much_is_seen(self):
        listener, port = self.listener(1)
        self.assertEqual(self.found(port)["processes_seen"], "all")
        _, out = self.why("--json", port, prefix=(
            "setpriv", "--bounding-set", "-sys_ptrace,-dac_override,-dac_read_search"))
        other = self.start(["/bin/sleep", "1000"], user=65534)
        _, out = self.why("--json", port, prefix=(
            "setpriv", "--bounding-set", "-sys_ptrace,-dac_override,-dac_read_search"))
        self.assertEqual(json.loads(out)["processes_seen"], "some", other.pid)
        bare = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh")
        found = json.loads(self.why("--json", port, prefix=bare)[1])
        self.assertEqual((found["processes_seen"], found["processes"]), ("none", []))
        self.assertEqual([one["owners"] for one in found["sockets"]], [[]])
        self.assertIn("no /proc to find it in, uid 0\n", self.why(port, prefix=bare)[1])

    @needs_root
    def test_a_device(self):
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        one = self.sockets(sock.getsockname()[1])["LISTEN"]
        self.assertEqual(one["ifindex"], socket.if_nametoindex("lo"))

    def test_the_manual_has_each_key(self):
        with open(os.path.join(paths.ROOT, "cli", "why", "why_json.c")) as file:
            keys = set(re.findall(r'(?:KEY\("|\{\\")(\w+)', file.read()))
        with open(os.path.join(paths.ROOT, "docs", "tcpshim.1")) as file:
            manual = file.read()
        self.assertGreater(len(keys), 30)
        self.assertEqual({key for key in keys if not re.search(r"\b%s\b" % key, manual)}, set())


class List(WhyCase):
    """Without a port: who listens on this machine, held against sock_diag."""

    def lines(self):
        status, out = self.why()
        self.assertEqual(status, 0)
        return out.splitlines()

    def about(self, port):
        return [line.split() for line in self.lines() if ":%d " % port in line]

    def test_each_listener(self):
        """And where it comes from."""
        for host in self.addresses:
            self.listener(1, host)
        found = {"%s:%d" % (("[%s]" if ":" in entry.local[0] else "%s") % entry.local[0],
                            entry.local[1]) for entry in kernel.diag() if entry.state == "LISTEN"}
        self.assertGreaterEqual(len(found), len(self.addresses))
        if os.geteuid() == 0:  # alone
            self.assertEqual({line.split()[0] for line in self.lines()}, found)
        me = "python3[%d]" % os.getpid()
        listener, port = self.listener(1)
        row, = self.about(port)
        self.assertEqual(row[:2], ["127.0.0.1:%d" % port, me])
        self.assertEqual(row[-2:], ["user", pwd.getpwuid(os.geteuid()).pw_name])
        sleep = self.start(["/bin/sleep", "1000"], pass_fds=[listener.fileno()])
        self.assertIn("sleep[%d]" % sleep.pid, " ".join(self.about(port)[0]))

    def test_ports_that_nobody_has(self):
        """Held by what goes; but not where somebody listens."""
        port = self.port()
        cookie = kernel.leave_dying(port, 1)
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        row, = self.about(port)
        self.assertEqual(row[:5], ["127.0.0.1:%d" % port, "nobody:", "1", "TIME_WAIT", "for"])
        self.listener(1, port=port)
        row, = self.about(port)
        self.assertRegex(row[1], r"^python3\[")

    @needs_root
    def test_ports_that_the_kernel_chose_are_counted(self):
        """A client may have thousands of them."""
        _, server = self.listener(1, port=self.port())
        clients = [socket.create_connection(("127.0.0.1", server)) for _ in range(3)]
        cookies = [kernel.cookie_of(client) for client in clients]
        for client in clients:
            client.close()
        wait_until(lambda: {kernel.state_of(cookie) for cookie in cookies} == {"FIN_WAIT_2"},
                   "FIN_WAIT_2")
        self.assertEqual(len(self.lines()), 2)
        self.assertRegex(self.lines()[1], "^and 3 ports of those that the kernel chooses from, "
                                          r"\d+-\d+, by connections that nobody has any more$")

    def test_json(self):
        listener, port = self.listener(1)
        status, out = self.why("--json")
        found = json.loads(out)
        self.assertEqual((status, "port" in found, "binds" in found), (0, False, False))
        one, = [one for one in found["sockets"] if one["local"] == "127.0.0.1:%d" % port]
        self.assertEqual(one["sock"], kernel.cookie_of(listener))
        self.assertIn(os.getpid(), [process["pid"] for process in found["processes"]])


class Wait(WhyCase):
    """--wait: until a bind would work."""

    def is_told(self, process):
        """Does the kernel tell it when sockets end? Then it waits, and has asked once."""
        with open("/proc/%d/net/netlink" % process.pid) as file:
            rows = [line.split() for line in file]
        return any(row[1] == "4" and int(row[3], 16) == 5 and row[2] == str(process.pid)
                   for row in rows[1:])

    def begin(self, *words, **how):
        process = self.start([paths.tool(), "why", *map(str, words)], **how)
        wait_until(lambda: self.is_told(process), "a wait")
        return process

    def test_a_listener_that_ends(self):
        listener, port = self.listener(1)
        process = self.begin("--wait=600", port)
        self.assertIsNone(process.poll())
        listener.close()
        self.assertEqual(process.wait(20), 0)
        self.assertEqual(kernels_answer("0.0.0.0", port, 1), "yes")
        self.assertIn(b": yes; with SO_REUSEADDR: yes\n", process.stdout.read())

    @needs_bound
    def test_a_bound_socket_that_ends(self):
        sock = bound("127.0.0.1", 0, 0)
        port = sock.getsockname()[1]
        process = self.begin("--wait=600", port)
        sock.close()
        self.assertEqual(process.wait(20), 0)

    @needs_root
    def test_dying_connections_that_end(self):
        """Of FIN_WAIT_2 the kernel keeps the time, here a second, and tells nobody of its end."""
        kernel.namespace(tcp_fin_timeout=1)
        listener, port = self.listener(0, port=self.port())
        ours, theirs = self.connection(listener)
        cookie = kernel.cookie_of(theirs)
        listener.close()
        theirs.close()
        wait_until(lambda: kernel.state_of(cookie) == "FIN_WAIT_2", "FIN_WAIT_2")
        status, out = self.why("--wait=60", port)
        self.assertEqual((status, kernels_answer("127.0.0.1", port, 1)), (0, "yes"), out)

    def test_time_is_up(self):
        _, port = self.listener(1)
        for seconds in 0, 1:
            begun = time.monotonic()
            status, out = self.why("--wait=%d" % seconds, port)
            self.assertEqual(status, 1)
            self.assertGreaterEqual(time.monotonic() - begun, seconds)
            self.assertIn("has the port", out)

    def test_others_that_end(self):
        """Sockets of other ports wake nobody for long; what is asked is counted."""
        _, port = self.listener(1)
        if not paths.find("strace"):
            self.skipTest("no strace")
        trace = self.path("trace")
        process = self.start(["strace", "-o", trace, "-e", "trace=sendto", paths.tool(), "why",
                              "--wait=2", "127.0.0.1:%d" % port])
        other, _ = self.listener(1)
        while True:
            try:
                process.wait(0.02)  # fewer of them than the kernel keeps for the tool
                break
            except subprocess.TimeoutExpired:
                ours, theirs = self.connection(other)
                theirs.close()
                ours.close()
        with open(trace) as file:
            asked = file.read().count("sendto(")
        self.assertEqual(process.returncode, 1)
        # Beside other tests' sockets more may end than the kernel keeps.
        self.assertIn(asked, range(1, 12 if os.geteuid() == 0 else 45))

    @needs_root
    def test_a_storm_on_the_port_itself(self):
        """It asks no more often than makes sense."""
        if not paths.find("strace"):
            self.skipTest("no strace")
        listener, port = self.listener(1)
        trace = self.path("trace")
        process = self.start(["strace", "-o", trace, "-e", "trace=sendto", paths.tool(), "why",
                              "--wait=2", "127.0.0.1:%d" % port])
        while process.poll() is None:
            for ours, theirs in [self.connection(listener) for _ in range(20)]:
                ours.close()
                theirs.close()
        with open(trace) as file:
            self.assertIn(file.read().count("sendto("), range(2, 90))

    def test_what_can_not_change(self):
        """No bind works on an address that is not ours, however long one waits."""
        status, out = self.why("--wait=600", "192.0.2.1:%d" % self.port())
        self.assertEqual((status, "EADDRNOTAVAIL" in out), (1, True))

    def test_nothing_to_wait_for(self):
        self.assertEqual(self.why("--wait", self.port())[0], 0)

    def test_progress(self):
        """On a terminal one line, which is gone in the end; elsewhere none (see why())."""
        _, port = self.listener(1)
        main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = self.start([paths.tool(), "why", "--wait=1", "127.0.0.1:%d" % port],
                             stderr=side)
        os.close(side)
        text = b""
        try:
            while True:
                text += os.read(main, 65536)
        except OSError:
            os.close(main)
        self.assertEqual(process.wait(), 1)
        lines = text.decode().split("\r")
        self.assertEqual(lines[1].rstrip(),
                         "waiting 0 of 1 s for 127.0.0.1:%d: somebody listens there" % port)
        self.assertLess(max(map(len, lines)), 80)
        self.assertEqual((lines[-2].strip(), lines[-1]), ("", ""))
        self.assertNotIn("\n", text.decode())

    def test_json(self):
        _, port = self.listener(1)
        status, out = self.why("--json", "--wait=0", port)
        self.assertEqual((status, json.loads(out)["port"]), (1, port))


class KillDying(WhyCase):
    """--kill-dying ends what is nobody's, and harms nobody."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("needs root")

    def kill(self, port):
        """What became of whom: {(state, fate): how many}; then the status."""
        status, out = self.why("--json", "--kill-dying", port)
        found = json.loads(out)
        self.assertNotIn("kill_error", found)
        return {(one["state"], one["fate"]): one["count"] for one in found["killed"]}, status

    def test_the_first_run_was_without_the_shim(self):
        """It blocks the next one, with the option too; after that it starts at once."""
        port = self.port()
        cookie = kernel.leave_dying(port, 0)
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        self.assertEqual(kernels_answer("127.0.0.1", port, 1), "no, EADDRINUSE")
        status, out = self.why("--kill-dying", port)
        self.assertEqual(status, 0)
        self.assertTrue(out.startswith("ended: 1 TIME_WAIT\nbind "), out)
        self.assertEqual(kernel.state_of(cookie), "CLOSED")
        self.assertEqual(kernels_answer("127.0.0.1", port, 0), "yes")

    def test_every_end(self):
        """FIN_WAIT_2 and TIME_WAIT, of both families."""
        for host in self.addresses:
            if host in ("0.0.0.0", "[::]"):
                continue
            with self.subTest(host):
                listener, port = self.listener(0, host)
                ours, theirs = self.connection(listener)
                waits, gone = self.connection(listener)
                cookies = kernel.cookie_of(theirs), kernel.cookie_of(gone)
                listener.close()
                theirs.close()
                gone.close()
                waits.close()
                wait_until(lambda: kernel.state_of(cookies[0]) == "FIN_WAIT_2", "FIN_WAIT_2")
                wait_until(lambda: kernel.state_of(cookies[1]) == "TIME_WAIT", "TIME_WAIT")
                self.assertEqual(self.kill(port), (
                    {("FIN_WAIT_2", "ended"): 1, ("TIME_WAIT", "ended"): 1}, 0))
                self.assertEqual(kernels_answer(host, port, 0), "yes")
                ours.close()

    def leave(self, listener, client):
        """A TIME_WAIT of a listener that is gone: its cookie."""
        theirs, _ = listener.accept()
        cookie = kernel.cookie_of(theirs)
        listener.close()
        theirs.close()
        client.close()
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        return cookie

    @needs_ipv6
    def test_an_ipv4_connection_of_an_ipv6_listener(self):
        listener, port = self.listener(0, "[::]", v6only=0)
        cookie = self.leave(listener, socket.create_connection(("127.0.0.1", port)))
        self.assertEqual(self.kill(port), ({("TIME_WAIT", "ended"): 1}, 0))
        self.assertEqual(kernel.state_of(cookie), "CLOSED")

    def test_a_device(self):
        """The connection is bound to it, as its listener was."""
        listener = bound("127.0.0.1", 0, 0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        listener.listen()
        port = listener.getsockname()[1]
        self.leave(listener, socket.create_connection(("127.0.0.1", port)))
        self.assertEqual(self.kill(port), ({("TIME_WAIT", "ended"): 1}, 0))

    def test_a_half_closed_connection_of_a_program(self):
        """It has sent all and waits for its answer."""
        listener, port = self.listener(0)
        ours, theirs = self.connection(listener)
        listener.close()
        theirs.shutdown(socket.SHUT_WR)
        cookie = kernel.cookie_of(theirs)
        wait_until(lambda: kernel.state_of(cookie) == "FIN_WAIT_2", "FIN_WAIT_2")
        self.assertEqual(self.kill(port), ({("FIN_WAIT_2", "open"): 1}, 1))
        self.assertIn("not ended: 1 FIN_WAIT_2, which a program has open and may still read from\n",
                      self.why("--kill-dying", port)[1])
        ours.send(b"the answer")
        self.assertEqual(theirs.recv(99), b"the answer")

    def test_a_download_that_goes_on(self):
        """The program is gone, its bytes are still being sent."""
        listener, port = self.listener(0)
        ours, theirs = self.connection(listener)
        listener.close()
        theirs.setblocking(False)
        sent = 0
        try:
            while True:
                sent += theirs.send(b"x" * 65536)
        except BlockingIOError:
            theirs.close()
        self.assertEqual(self.kill(port), ({("FIN_WAIT_1", "unsent"): 1}, 1))
        self.assertIn("not ended: 1 FIN_WAIT_1 with data that the peer has not acknowledged yet\n",
                      self.why("--kill-dying", port)[1])
        got = 0
        while data := ours.recv(1 << 20):
            got += len(data)
        self.assertEqual(got, sent)

    def test_who_lives(self):
        """A listener, a connection, one that nobody has accepted."""
        listener, port = self.listener(1)
        ours, theirs = self.connection(listener)
        waits = socket.create_connection(("127.0.0.1", port))
        fates, status = self.kill(port)
        self.assertEqual((fates, status), ({("LISTEN", "alive"): 1, ("ESTABLISHED", "alive"): 2}, 1))
        accepted, _ = listener.accept()
        for one, other in (ours, theirs), (waits, accepted):
            one.send(b"x")
            self.assertEqual(other.recv(1), b"x")
        accepted.close()
        waits.close()

    def test_only_what_is_in_the_way(self):
        """Of the address that was named."""
        port = self.port()
        cookie = kernel.leave_dying(port, 0)
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        self.assertEqual(self.kill("127.0.0.2:%d" % port), ({}, 0))
        self.assertIn("nothing to end\n", self.why("--kill-dying", "127.0.0.2:%d" % port)[1])
        self.assertEqual(kernel.state_of(cookie), "TIME_WAIT")

    def test_the_client_has_the_port(self):
        """Its own end is not touched; the peer of ours is nobody's."""
        _, server = self.listener(1, port=self.port())
        client = socket.create_connection(("127.0.0.1", server))
        self.addCleanup(client.close)
        self.assertEqual(self.kill(client.getsockname()[1])[0], {("ESTABLISHED", "alive"): 1})

    @needs_mptcp
    def test_multipath(self):
        """A half-closed connection of MPTCP is a program's as well, and its subflow with it."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, kernel.IPPROTO_MPTCP)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.addCleanup(listener.close)
        port = listener.getsockname()[1]
        ours = socket.socket(socket.AF_INET, socket.SOCK_STREAM, kernel.IPPROTO_MPTCP)
        ours.connect(("127.0.0.1", port))
        self.addCleanup(ours.close)
        theirs, _ = listener.accept()
        self.addCleanup(theirs.close)
        theirs.shutdown(socket.SHUT_WR)
        self.assertEqual(ours.recv(1), b"")
        fates, _ = self.kill(port)
        self.assertNotIn("ended", [fate for _, fate in fates])
        ours.send(b"x")
        self.assertEqual(theirs.recv(1), b"x")

    def test_without_the_right(self):
        port = self.port()
        cookie = kernel.leave_dying(port, 0)
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        status, out = self.why("--kill-dying", port,
                               prefix=("setpriv", "--bounding-set", "-net_admin"))
        self.assertEqual(status, 1)
        self.assertIn("not ended: 1 TIME_WAIT: only root may (CAP_NET_ADMIN)\n", out)
        found = json.loads(self.why("--json", "--kill-dying", port, prefix=(
            "setpriv", "--bounding-set", "-net_admin"))[1])
        self.assertEqual((found["killed"], found["kill_error"]),
                         ([{"state": "TIME_WAIT", "count": 1, "fate": "failed"}], "EPERM"))
        self.assertEqual(kernel.state_of(cookie), "TIME_WAIT")


class Cost(WhyCase):
    """What tests/bench/why measures, counted: a socket more is a link more to read, and no more."""

    @needs_root
    def test_of_many_sockets(self):
        if not paths.find("strace"):
            self.skipTest("no strace")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2000), hard))
        # A process namespace of its own: no other test's processes come and go.
        unshared = ["unshare", "--pid", "--fork", "--mount-proc"]
        listener, port = self.listener(1)
        listener.listen(1024)
        few, many = 5, 400
        found, first = [], []
        for count in few, many:
            ends = [self.connection(listener) for _ in range(count)]
            fds = [theirs.fileno() for _, theirs in ends]
            counts = self.fresh("counts")
            script = "sleep 1000 & strace -o %s %s why 127.0.0.1:%d; kill $!" % (
                counts, paths.tool(), port)
            status, _, err = self.run_program([*unshared, "sh", "-c", script], pass_fds=fds)
            if b"unshare" in err:
                self.skipTest(err.decode())
            calls = {}
            with open(counts) as file:
                for line in file:
                    name = line.partition("(")[0]
                    if name == "write" and name not in calls:
                        first.append(calls.get("recvfrom", 0))
                    calls[name] = calls.get(name, 0) + 1
            found.append(calls)
            for ours, theirs in ends:
                theirs.close()
                ours.close()
        for name in "openat", "sendto", "getdents64", "socket", "pidfd_getfd":
            self.assertLessEqual(abs(found[1][name] - found[0][name]), 4, (name, found))
        # Who listens is asked first: that decides the first line.
        self.assertGreater(found[1]["recvfrom"], found[0]["recvfrom"])
        self.assertEqual(first[0], first[1])
        # sh, sleep, strace and the tool have each of them open.
        more = found[1]["readlinkat"] - found[0]["readlinkat"]
        self.assertLessEqual(abs(more - 4 * (many - few)), 40)


class Meanwhile(WhyCase):
    """The first line is said as soon as it is known, and once more where it is no longer so."""

    def lines(self, change):
        """Of why's answer: those that begin with bind, with that change after the first."""
        if strace.available():
            self.skipTest(strace.available())
        listener, port = self.listener(1)
        trace = Path(self.path("trace"))
        trace.touch()
        process = self.start(["strace", "-o", str(trace), "-e", "trace=write", "-e",
                              "inject=write:signal=STOP:when=1", paths.tool(), "why",
                              "127.0.0.1:%d" % port], stdout=subprocess.PIPE)

        wait_until(lambda: "stopped by SIGSTOP" in trace.read_text(), "the first line")
        change(listener)
        with open("/proc/%d/task/%d/children" % (process.pid, process.pid)) as file:
            os.kill(int(file.read()), signal.SIGCONT)
        out = process.communicate()[0].decode()
        return [line for line in out.replace(str(port), "P").split("\n") if line[:4] == "bind"]

    def test_nothing(self):
        self.assertEqual(self.lines(lambda listener: None), [
            "bind 127.0.0.1:P: no, EADDRINUSE; with SO_REUSEADDR: no, EADDRINUSE"])

    def test_the_listener_goes(self):
        self.assertEqual(self.lines(lambda listener: listener.close()), [
            "bind 127.0.0.1:P: no, EADDRINUSE; with SO_REUSEADDR: no, EADDRINUSE",
            "bind 127.0.0.1:P: yes; with SO_REUSEADDR: yes"])


class Sysctls(WhyCase):
    """What docs/SYSCTLS.md says: none of them ends a TIME_WAIT, or lets a bind pass it."""

    @needs_root
    def test_they_do_not_help(self):
        kernel.namespace(tcp_fin_timeout=1, tcp_tw_reuse=1)
        port = self.port()
        cookie = kernel.leave_dying(port, 0)
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        self.assertEqual(set(self.agree(port).values()),
                         {("no, EADDRINUSE", "no, EADDRINUSE"), ("yes", "yes")})
        self.assertGreater(kernel.by_cookie(cookie).expires, 40000)

    @needs_root
    def test_the_range_of_ports_does(self):
        """A port that is reserved is not chosen for an outgoing connection."""
        kernel.namespace(ip_local_port_range="40000 40003", ip_local_reserved_ports="40000-40002")
        _, server = self.listener(1, port=self.port())
        with socket.create_connection(("127.0.0.1", server)) as client:
            self.assertEqual(client.getsockname()[1], 40003)
            with self.assertRaises(OSError), socket.create_connection(("127.0.0.1", server)):
                pass


class Usage(WhyCase):

    def test_wrong(self):
        for words in (("1", "2"), ("0",), ("65536",), ("x",), ("",), ("-1",), ("80x",),
                      ("1.2.3:80",), ("::1:80",), ("[::1]",), ("[::1]:",), ("[::1:80",),
                      ("nosuch.invalid:80",), ("localhost:nosuch",), ("[fe80::1%nosuch]:80",),
                      ("[fe80::1%999999]:80",), ("127.0.0.1",), ("--x", "80"), ("+80",),
                      ("--wait",), ("--wait=", "80"), ("--wait=x", "80"), ("--wait=-1", "80"),
                      ("--wait=86401", "80"), ("--kill-dying",), ("--json=1", "80"), (" 80",)):
            status, out, err = self.run_program([paths.tool(), "why", *words])
            self.assertEqual((status, out, err.count(b"\n")), (2, b"", 1), words)
            self.assertTrue(err.startswith(b"tcpshim why: "), err)
            if words[0].startswith("--wait="):
                self.assertIn(b" %s is not understood" % words[0].encode(), err)

    def test_ways_to_say_it(self):
        port = self.port()
        both = self.verdicts(port)
        self.assertEqual(self.verdicts(":%d" % port), both)
        self.assertEqual(self.verdicts("*:%d" % port), both)
        self.assertEqual(self.why("--help")[0], 0)

    def test_what_was_meant(self):
        for words, said in (("::1:80", "an IPv6 address stands in brackets, [::1]:80"),
                            ("::1:http", "an IPv6 address stands in brackets, [::1]:http"),
                            ("127.0.0.1", "a port is missing behind the address"),
                            ("80x", "80x is no port and no service"),
                            ("[fe80::1%nosuch]:80", "there is no interface nosuch")):
            _, _, err = self.run_program([paths.tool(), "why", words])
            self.assertEqual(err.decode(), "tcpshim why: %s: %s (see tcpshim why --help)\n"
                             % (words, said))

    def test_names(self):
        """Of services and hosts: each address of a name is answered for."""
        port = self.port()
        hosts = {info[4][0] for info in socket.getaddrinfo("localhost", port,
                                                           type=socket.SOCK_STREAM)}
        self.assertEqual(self.verdicts("localhost:%d" % port),
                         {("[%s]:%d" if ":" in host else "%s:%d") % (host, port): ("yes", "yes")
                          for host in hosts})
        try:
            number = socket.getservbyname("http", "tcp")
        except OSError:
            self.skipTest("no /etc/services")
        self.assertEqual(self.verdicts("http"), self.verdicts(number))
        self.assertEqual(self.verdicts("127.0.0.1:http"), self.verdicts("127.0.0.1:%d" % number))

    @needs_ipv6
    def test_an_address_with_its_interface(self):
        port = self.port()
        for scope in "lo", "1":
            self.assertEqual(self.verdicts("[fe80::1%%%s]:%d" % (scope, port)),
                             {"[fe80::1%%1]:%d" % port: ("no, EADDRNOTAVAIL",) * 2})
