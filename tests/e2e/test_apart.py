# SPDX-License-Identifier: MIT
"""What the shim opens for a question: no jump, no fork and no other thread meets it, and where it
can't be had so, the question is not asked.
"""

import os
import re
import socket
import time

from harness import paths, strace
from harness.case import Case, environment, needs_root, shimmed, timeout

# A descriptor of ours at a low number was copied by half of the forks, and each jump left one.
JUMPS, FORKS = 200, 60


class LeftBehind(Case):
    """A program that leaves a call by a jump, or forks while another thread is in one."""

    def output(self, program, *args, **settings):
        status, out, err = self.run_program(
            [self.program(program)] + [str(arg) for arg in args], shimmed(**settings))
        self.assertEqual((status, err), (0, b""))
        return out.decode().strip()

    def jumps(self, **settings):
        """So many descriptors and pages of memory are left: none."""
        self.assertEqual(self.output("jumps_out", JUMPS, **settings), "0 0")

    def test_jumps(self):
        self.jumps(LOG=self.path("text"))

    def test_jumps_out_of_a_long_line(self):
        self.jumps(LOG=self.path("json"), FORMAT="json")

    def test_jumps_with_a_recorder(self):
        self.jumps(LOG="ring:%s:1M" % self.path("ring"))

    def test_jumps_without_a_log(self):
        self.jumps(WAIT=1)

    def forks(self, during, times=FORKS, **settings):
        self.assertEqual(self.output("forks_beside", during, times, **settings), "0")

    def test_forks_while_a_bind_is_explained(self):
        self.forks("bind", LOG=self.path("text"))

    def test_forks_while_a_range_is_closed(self):
        self.forks("range", LOG=self.path("text"))

    def test_forks_while_more_connections_are_closed_than_sockets_are_kept(self):
        self.forks("close", 300, LOG=self.path("text"))

    def test_forks_while_a_bind_is_to_wait(self):
        self.forks("bind", WAIT=1)


class Traced(Case):
    """A program under strace, by what it opens."""

    # A helper's first act. In the order of the calls, each line as it begins.
    APART = re.compile(r"^(\d+) +close_range\(0, 4294967295, CLOSE_RANGE_UNSHARE\b")

    def traced(self, program, **settings):
        """Where it stands what the program has opened."""
        if strace.available():
            self.skipTest(strace.available())
        trace = self.fresh("trace")
        status, _, err = self.run_program(strace.command(
            trace, shimmed(**settings), program,
            traced=("close_range", "openat", "socket")), environment())
        self.assertEqual(status, 0, err)
        return trace


class Seen(Traced):
    """By strace: after load, what opens something is a helper with descriptors of its own."""

    OPENS = re.compile(r'^(\d+) +(?:openat\(AT_FDCWD(?:<[^>]*>)?, "/proc/|socket\(AF_NETLINK, )')

    def opened(self, program, *args, **settings):
        """How often a helper has opened something; and who else has."""
        trace = self.traced([self.program(program)] + list(args), **settings)
        helpers, by_helpers, by_others = set(), 0, []
        with open(trace, errors="replace") as file:
            for line in file:
                apart, opens = self.APART.match(line), self.OPENS.match(line)
                if apart:
                    helpers.add(apart.group(1))
                elif opens and opens.group(1) in helpers:
                    by_helpers += 1
                elif opens:
                    by_others.append(opens.group(1))
        return by_helpers, by_others

    def only_helpers(self, during, kept, **settings):
        """Besides, each process keeps so many sockets that it has made for itself."""
        by_helpers, by_others = self.opened("forks_beside", during, "0", **settings)
        self.assertGreater(by_helpers, 0)
        for tid in set(by_others):
            self.assertLessEqual(by_others.count(tid), kept)

    @timeout(90)
    def test_a_bind_is_explained(self):
        self.only_helpers("bind", 2, LOG=self.path("text"))

    @timeout(90)
    def test_a_range_is_closed(self):
        self.only_helpers("range", 2, LOG=self.path("text"))

    @timeout(90)
    def test_without_a_log(self):
        self.only_helpers("bind", 0, WAIT=1)


class Storms(Traced):
    """What a program does again and again is explained by a helper once a second, each kind."""

    BEGIN = """
import os, socket, struct, sys
REUSE, TIMES = (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1), 40
def again(call):
    for _ in range(TIMES):
        try:
            call()
            sys.exit("it should fail")
        except OSError:
            pass
"""

    def helpers(self, program):
        """How many helpers there were while the program ran, and how long that took."""
        began = time.monotonic()
        trace = self.traced([paths.PYTHON, "-I", "-S", "-c", self.BEGIN + program],
                            LOG=self.path("text"))
        with open(trace, errors="replace") as file:
            count = len([line for line in file if self.APART.match(line)])
        return count, time.monotonic() - began

    def few(self, program):
        count, seconds = self.helpers(program)
        self.assertGreater(count, 0)
        self.assertLessEqual(count, 1 + seconds)

    @timeout(90)
    def test_a_connection_that_exists(self):
        """At an address of its own: elsewhere others' connections may share the port."""
        self.few("""
l = socket.create_server(('127.92.0.1', 0))
a = socket.create_connection(l.getsockname(), source_address=('127.92.0.1', 0))
def dial():
    s = socket.socket()
    s.setsockopt(*REUSE)
    s.bind(a.getsockname())
    s.connect(l.getsockname())
a.setsockopt(*REUSE)
again(dial)
""")

    @timeout(90)
    def test_no_port_is_free(self):
        """In a range of one's own, so that the system's is not found full."""
        self.few("""
with open('/proc/sys/net/ipv4/ip_local_port_range') as file:
    low = int(file.read().split()[0])
def take():
    s = socket.socket()
    s.setsockopt(0, 51, struct.pack('=I', low << 16 | low))
    s.bind(('127.0.0.1', 0))
    return s
try:
    kept = take()
except OSError:
    pass
again(take)
""")

    @needs_root
    @timeout(90)
    def test_a_port_that_is_not_for_everybody(self):
        self.few("""
os.setuid(65534)
again(lambda: socket.socket().bind(('127.0.0.1', 1)))
""")


class Elsewhere(Case):
    """A helper sees what its caller sees."""

    @needs_root
    def test_another_network_namespace_than_the_first(self):
        log = self.log()
        p = self.puppet(log)
        p("assert C.unshare(0x40000000) == 0\n"   # CLONE_NEWNET
          "l = socket.socket(); l.bind(('0.0.0.0', 0)); l.listen()\n"
          "s = socket.socket()\n"
          "try: s.bind(l.getsockname())\n"
          "except OSError: pass")
        event = log.new()[-1]
        self.assertEqual((event["call"], event["error"]), ("bind", "EADDRINUSE"))
        note, = [note for note in event["notes"] if note["code"] == "in-use-listener"]
        self.assertEqual(note["pid"], p.pid)


class Refused(Case):
    """No helper is to be had. (The kernel's reasons are those of a thread that can't be made.)"""

    def without(self, log=None, silent=True, **settings):
        return self.puppet(log, wrapper=[self.program("without_helper")], silent=silent,
                           **settings)

    def refused(self, log, p):
        """The note that explains a bind that fails."""
        p("t = socket.socket()\n"
          "try: t.bind(l.getsockname())\n"
          "except OSError as error: assert error.errno == errno.EADDRINUSE\n"
          "else: raise AssertionError('bound')\n"
          "t.close()")
        event = [event for event in log.new()
                 if event["call"] == "bind" and event.get("error")][-1]
        note, = [note for note in event["notes"] if note["code"].startswith("in-use-")]
        return note

    def test_a_listener_is_found_and_not_who_it_is(self):
        log = self.log()
        p = self.without(log)
        p("l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen()")
        note = self.refused(log, p)
        self.assertEqual(note["code"], "in-use-listener")
        self.assertEqual(note["local"], "127.0.0.1:%d" % p.eval("l.getsockname()[1]"))
        self.assertNotIn("pid", note)
        self.assertIn("not looked up", note["text"])

    def test_states_after_a_close(self):
        """Over the sockets that are kept."""
        log = self.log()
        p = self.pair(log, wrapper=[self.program("without_helper")])
        p("c.close()")
        self.expect(log.new(), ("close", dict(state=lambda state: state.startswith("FIN_WAIT"))))
        p("l.close()")
        self.expect(log.new(), ("close", dict(state="CLOSED")))

    def test_what_the_shim_has_seen_is_told_of_a_range(self):
        log = self.log()
        p = self.pair(log, wrapper=[self.program("without_helper")])
        p("os.closerange(min(map(socket.socket.fileno, (l, c, a))), 100)")
        self.assertEqual(sorted(event["fd"] for event in log.new()),
                         sorted(p.eval("[l.fileno(), c.fileno(), a.fileno()]")))

    def test_what_the_shim_has_seen_is_reported(self):
        log = self.log()
        p = self.pair(log, wrapper=[self.program("without_helper")], REPORT=1)
        p("for sock in (l, c, a): sock.detach()")
        self.assertEqual(p.close(), 0)
        self.assertEqual(len([event for event in log.read()
                              if event["call"] == "exit" and "fd" in event]), 3)

    def dying(self):
        """A port that a connection in TIME_WAIT holds for a minute."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            client = socket.create_connection(listener.getsockname())
            server = listener.accept()[0]
            port = listener.getsockname()[1]
        server.shutdown(socket.SHUT_WR)
        client.close()
        server.close()
        return port

    def bind_to(self, port):
        return ("s = socket.socket()\n"
                "try: s.bind(('127.0.0.1', %d))\n"
                "except OSError as error: assert error.errno == errno.EADDRINUSE" % port)

    def test_a_wait_needs_a_log(self):
        log = self.log()
        p = self.without(log, WAIT=1)
        p(self.bind_to(self.dying()))
        event, = [event for event in log.new() if event["call"] == "bind"]
        self.assertIn("waited", self.notes(event))
        p = self.without(WAIT=120)
        p(self.bind_to(self.dying()))   # and does not wait

    def test_no_more_processes(self):
        """RLIMIT_NPROC, for a user who is not root."""
        log = self.log()
        os.chmod(self.folder, 0o777)
        p = self.puppet(log)
        p("import resource\n"
          "l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen()\n"
          "if os.geteuid() == 0: os.setresuid(65534, 65534, 65534)\n"
          "resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))")
        log.new()
        note = self.refused(log, p)
        self.assertEqual(note["code"], "in-use-listener")
        self.assertNotIn("pid", note)
