"""tcpshim why: who has a port. What it says of a bind is held against binds that the test makes."""

import errno
import os
import re
import signal
import socket
import struct

from harness import kernel, paths
from harness.case import Case, needs_bound, needs_ipv6, needs_root, wait_until

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

    def agree(self, port):
        """The tool and the kernel, about each address. What was said."""
        answers = {}
        for host in self.addresses:
            where = "%s:%d" % (host, port)
            expected = tuple(kernels_answer(host, port, reuse) for reuse in (0, 1))
            self.assertEqual(self.verdicts(where), {where: expected})
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


class Holders(WhyCase):
    """Who is on the port?"""

    def rows(self, port):
        """Each as a list of words."""
        return [line.split() for line in self.why(port)[1].split("\n\n")[0].splitlines()]

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
        listener, port = self.listener(1)
        listener.listen(64)
        ends = [self.connection(listener) for _ in range(50)]
        out = self.why(port)[1]
        self.assertEqual(out.count("ESTABLISHED"), 39)
        self.assertIn("\nand 11 more\n", out)
        for ours, theirs in ends:
            ours.close()
            theirs.close()

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

    def silence(self, sock):
        """Seconds since the last segment, by the connection itself."""
        return struct.unpack_from("=I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 60),
                                  56)[0] / 1000

    def test_connections_that_are_not_closed(self):
        """CLOSE_WAIT for a second or more: whose, how many, and for how long at least."""
        listener, port = self.listener(1)
        ends = [self.connection(listener) for _ in range(4)]
        me = "%s (%d)" % (open("/proc/self/comm").read().strip(), os.getpid())
        for ours, _ in ends[1:]:
            ours.close()
        wait_until(lambda: min(self.silence(theirs) for _, theirs in ends[1:]) > 1.1, "a second")
        least = max(self.silence(theirs) for _, theirs in ends[1:])
        (who, count, age), = self.unclosed(port)
        most = max(self.silence(theirs) for _, theirs in ends[1:])
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
        wait_until(lambda: self.silence(theirs) > 1.1, "a second")
        for _ in range(20):
            theirs.send(b"x")
            ours.recv(1)
            out = self.why(port)[1]
            if self.silence(theirs) < 1:
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


class Usage(WhyCase):

    def test_wrong(self):
        for words in ((), ("1", "2"), ("0",), ("65536",), ("x",), ("",), ("-1",), ("80x",),
                      ("1.2.3:80",), ("::1:80",), ("[::1]",), ("[::1]:",), ("[::1:80",),
                      ("nosuch.invalid:80",), ("localhost:nosuch",), ("[fe80::1%nosuch]:80",),
                      ("[fe80::1%999999]:80",), ("127.0.0.1",), ("--x", "80"), ("+80",), (" 80",)):
            status, out, err = self.run_program([paths.tool(), "why", *words])
            self.assertEqual((status, out, err.count(b"\n")), (2, b"", 1), words)
            self.assertTrue(err.startswith(b"tcpshim why: "), err)

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
