# SPDX-License-Identifier: MIT
"""Which socket an event is about, where a number alone would tell of another one.

A call that waits keeps its socket, while its number may be closed and given to another: of
that one its event says nothing.
"""

import platform
import socket
import sys

from harness import kernel, paths
from harness.case import Case, needs_root, shimmed, wait_until
from harness.contract import VIEW_KEYS

# As /proc/PID/task/TID/syscall has them.
NUMBERS = {"x86_64": {"accept": 43, "accept4": 288, "connect": 42, "dup2": 33},
           "aarch64": {"accept": 202, "accept4": 242, "connect": 203, "dup2": 24}}

WAITS = """
import signal, threading
signal.signal(signal.SIGUSR1, lambda *_: None)
got = []
def begin(name, *args):
    global t
    t = threading.Thread(target=lambda: got.append(call(name, *args)))
    t.start()
"""


class Waiting(Case):
    """Calls of a thread that waits, while another one takes their number."""

    def begin(self, p, name, *args):
        """Begin a call in a thread of its own, and wait until it waits."""
        p("begin(%r, %s)" % (name, ", ".join(args)))
        fd, thread = p.eval(args[0]), p.eval("t.native_id")
        number = NUMBERS[platform.machine()][name]

        def waits():
            with open("/proc/%d/task/%d/syscall" % (p.pid, thread)) as file:
                words = file.read().split()
            return words[0] == str(number) and int(words[1], 16) == fd
        wait_until(waits, "the call that waits")

    def interrupt(self, p):
        """End it: what it returned."""
        p("signal.pthread_kill(t.ident, signal.SIGUSR1); t.join()")
        return p.eval("got.pop()")

    def says_nothing(self, event, **keys):
        self.match(event, **dict(dict.fromkeys(VIEW_KEYS), **keys))

    def listening(self, log):
        p = self.puppet(log)
        p(WAITS + "l = socket.create_server(('127.0.0.1', 0)); n = l.fileno()\n"
          "other = socket.create_server(('127.0.0.1', 0))\n"
          "c = socket.create_connection(other.getsockname())")
        return p

    def accepting(self, name, *more):
        log = self.log()
        p = self.listening(log)
        self.begin(p, name, "n", "None", "None", *more)
        p("C.close(n); C.dup2(c.fileno(), n)")
        log.new()
        self.assertEqual(self.interrupt(p), [-1, "EINTR"])
        event, = log.new()
        self.says_nothing(event, call=name, fd=p.eval("n"), ret=-1, error="EINTR")
        self.assertGreater(event["dur_ns"], 0)
        # And nothing is remembered of it.
        p("C.shutdown(n, socket.SHUT_WR)")
        event, = log.new()
        self.match(event, was="ESTABLISHED", sock=p.eval("cookie(c)"),
                   peer="127.0.0.1:%d" % p.eval("other.getsockname()[1]"))

    def test_accept(self):
        self.accepting("accept")

    def test_accept4(self):
        self.accepting("accept4", "0")

    def test_accept_ended_by_another_thread(self):
        """The usual way to stop a thread that accepts. It may wake up before the close."""
        log = self.log()
        p = self.listening(log)
        self.begin(p, "accept", "n", "None", "None")
        l, c = p.eval("[cookie(l), cookie(c)]")
        log.new()
        p("C.shutdown(n, socket.SHUT_RDWR); C.close(n); C.dup2(c.fileno(), n); t.join()")
        self.assertEqual(p.eval("got"), [[-1, "EINVAL"]])
        event, = [event for event in log.new() if event["call"] == "accept"]
        self.assertNotEqual(event.get("sock"), c)
        self.assertIn(event.get("sock"), (l, None))
        self.assertIn(event.get("state"), ("CLOSED", None))

    def test_a_number_that_nobody_has(self):
        """One call is one event, whatever has become of its number."""
        log = self.log()
        for then in ("pass", "os.dup2(0, n)"):
            p = self.listening(log)
            self.begin(p, "accept", "n", "None", "None")
            p("C.close(n); " + then)
            log.new()
            self.assertEqual(self.interrupt(p), [-1, "EINTR"])
            event, = log.new()
            self.says_nothing(event, call="accept", ret=-1, error="EINTR")

    def test_the_same_socket_still(self):
        log = self.log()
        p = self.listening(log)
        self.begin(p, "accept", "n", "None", "None")
        log.new()
        self.assertEqual(self.interrupt(p), [-1, "EINTR"])
        self.expect(log.new(), ("accept", dict(error="EINTR", sock=p.eval("cookie(l)"),
                                               was="LISTEN", state="LISTEN")))

    def test_what_is_no_tcp_socket(self):
        """No event, though its number is a TCP socket's when the call returns."""
        log = self.log()
        p = self.listening(log)
        p("u = socket.socket(socket.AF_UNIX); u.bind('\\0libreuse-test-%d' % os.getpid())\n"
          "u.listen(); n = u.fileno()")
        self.begin(p, "accept", "n", "None", "None")
        p("C.close(n); C.dup2(c.fileno(), n)")
        log.new()
        self.assertEqual(self.interrupt(p), [-1, "EINTR"])
        self.assertEqual(log.new(), [])

    def test_connect(self):
        """To a full queue, which answers no SYN."""
        log = self.log()
        p = self.listening(log)
        p("full = socket.socket(); full.bind(('127.0.0.1', 0)); full.listen(0)\n"
          "first = socket.create_connection(full.getsockname())\n"
          "s = socket.socket(); n = s.fileno()\n"
          "addr = struct.pack('=H', 2) + struct.pack('>H4s8x', full.getsockname()[1], "
          "socket.inet_aton('127.0.0.1'))")
        self.begin(p, "connect", "n", "addr", "16")
        p("C.close(n); C.dup2(c.fileno(), n)")
        log.new()
        self.assertEqual(self.interrupt(p), [-1, "EINTR"])
        event, = log.new()
        self.says_nothing(event, call="connect", ret=-1, error="EINTR")

    def test_dup2_onto_what_lingers(self):
        """It closes its target first, and waits there; its source may be another's then."""
        log = self.log()
        p = self.listening(log)
        p("a, _ = other.accept()\n"
          "a.setblocking(False)\n"
          "try:\n    while True: a.send(b'x' * 65536)\nexcept BlockingIOError: pass\n"
          "a.setblocking(True)\n"
          "a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 100))\n"
          "target = a.detach()")
        self.begin(p, "dup2", "n", "target")
        p("C.close(n); C.dup2(c.fileno(), n)")
        log.new()
        self.interrupt(p)
        event, = log.new()
        self.says_nothing(event, call="dup2", ret=p.eval("target"))
        self.assertEqual(event["closed"]["fd"], p.eval("target"))
        # What is there now is the listener, not what its number has become.
        p("C.listen(target, 1)")
        self.expect(log.new(), ("listen", dict(ret=0, state="LISTEN", was=None)))


class Numbers(Case):
    """One socket under two numbers: dissolved and connected elsewhere through the one, and what
    the other one's events say then."""

    ELSEWHERE = ("unspec = ctypes.create_string_buffer(16)\n"
                 "def elsewhere(fd):\n"
                 "    C.connect(fd, unspec, 16)\n"
                 "    got = call('connect', fd, struct.pack('=H', 2) + struct.pack("
                 "'>H4s8x', other.getsockname()[1], socket.inet_aton('127.0.0.1')), 16)\n"
                 "    assert got[0] == 0, got\n")

    def connected(self, log, **settings):
        """Two listeners, and a connection to the first; `n` is its client's number."""
        p = self.pair(log, **settings)
        p(self.ELSEWHERE + "other = socket.create_server(('127.0.0.1', 0))\n"
          "k = cookie(c); n = c.detach()")
        log.new()
        return p

    def is_told(self, p, event, **keys):
        """The event shows the socket as the kernel has it."""
        entry = kernel.by_cookie(p.eval("k"))
        self.assertEqual(entry.peer[1], p.eval("other.getsockname()[1]"))
        self.match(event, sock=p.eval("k"), local="%s:%d" % entry.local,
                   peer="%s:%d" % entry.peer, **keys)

    def closed_through(self, p, log, number):
        log.new()
        p("C.close(%s)" % number)
        event = log.new()[-1]
        self.is_told(p, event, state=lambda state: state in ("FIN_WAIT_1", "FIN_WAIT_2"))

    def test_a_copy(self):
        log = self.log()
        p = self.connected(log)
        p("d = os.dup(n); elsewhere(d); os.close(d)")
        self.closed_through(p, log, "n")

    def test_the_copy(self):
        log = self.log()
        p = self.connected(log)
        p("d = C.dup2(n, 90); elsewhere(n); C.close(n)")
        self.closed_through(p, log, "d")

    def test_a_copy_from_before_the_connection(self):
        log = self.log()
        p = self.puppet(log)
        p(self.ELSEWHERE + "l, other = (socket.create_server(('127.0.0.1', 0)) for _ in 'lo')\n"
          "c = socket.socket(); k = cookie(c); n = c.detach(); d = os.dup(n)\n"
          "C.connect(n, struct.pack('=H', 2) + struct.pack("
          "'>H4s8x', l.getsockname()[1], socket.inet_aton('127.0.0.1')), 16)\n"
          "elsewhere(d); os.close(d)")
        self.closed_through(p, log, "n")

    def test_other_calls_than_close(self):
        log = self.log()
        p = self.connected(log)
        p("d = os.dup(n); elsewhere(d)")
        log.new()
        p("C.setsockopt(n, 6, 1, struct.pack('i', 1), 4); C.shutdown(n, 0)")
        for event in log.new():
            self.is_told(p, event, state="ESTABLISHED")

    def test_the_number_of_a_child(self):
        """It does not close, nor does it leave a copy."""
        log = self.log()
        p = self.connected(log)
        p("pid = os.fork()\n"
          "if pid == 0:\n    elsewhere(n); os._exit(0)\n"
          "os.waitpid(pid, 0)")
        self.closed_through(p, log, "n")

    def test_the_number_of_the_parent(self):
        log = self.log()
        p = self.connected(log)
        p("r, w = os.pipe(); pid = os.fork()\n"
          "if pid == 0:\n    os.read(r, 1); os._exit(C.close(n))\n"
          "elsewhere(n); os.close(n)")
        log.new()
        p("os.write(w, b'x'); os.waitpid(pid, 0)")
        event, = log.new()
        self.is_told(p, event, state=lambda state: state in ("FIN_WAIT_1", "FIN_WAIT_2"))

    def test_a_grandchild_of_one_that_did_nothing(self):
        log = self.log()
        p = self.connected(log)
        p("pid = os.fork()\n"
          "if pid == 0:\n"
          "    if os.fork() == 0:\n        elsewhere(n); os._exit(0)\n"
          "    os.wait(); os._exit(0)\n"
          "os.waitpid(pid, 0)")
        self.closed_through(p, log, "n")

    def test_where_dup_is_not_logged(self):
        log = self.log()
        p = self.connected(log, CALLS="socket,connect,accept,accept4,close")
        p("d = os.dup(n); elsewhere(d); os.close(d)")
        self.closed_through(p, log, "n")

    def test_where_connect_is_not_logged(self):
        log = self.log()
        p = self.connected(log, CALLS="dup,dup2,dup3,fcntl,setsockopt,close")
        p("C.setsockopt(n, 6, 1, struct.pack('i', 1), 4); elsewhere(n)")
        self.closed_through(p, log, "n")

    def test_an_accepted_connection(self):
        """Its copy connects, and is then one that this end has opened."""
        log = self.log()
        p = self.connected(log)
        p("k = cookie(a); m = a.detach(); d = os.dup(m); elsewhere(d); os.close(d)")
        self.closed_through(p, log, "m")


SO_NETNS_COOKIE = 71


class Namespaces(Case):
    """The first event of a socket says where it is, as the kernel does."""

    def setUp(self):
        super().setUp()
        try:
            with socket.socket() as sock:
                self.here = sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
        except OSError:
            self.skipTest("no SO_NETNS_COOKIE")

    def number(self, cookie):
        return int.from_bytes(cookie, sys.byteorder)

    def told(self, log):
        """By whether it is a first event: which namespaces."""
        told = {True: set(), False: set()}
        for event in log.read():
            told["was" not in event].add(event.get("netns"))
        return told

    def test_first_events_alone(self):
        log = self.log()
        p = self.pair(log)
        p("c.setsockopt(6, 1, 1); d = os.dup(a.fileno()); c.close(); a.close(); l.close()")
        self.assertEqual(self.told(log), {True: {self.number(self.here)}, False: {None}})

    def test_a_socket_that_was_inherited(self):
        """Its first event here is whatever is done with it."""
        log = self.log()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            fd = listener.fileno()
            status, _, err = self.run_program(
                [paths.PYTHON, "-I", "-S", "-c", "import os; os.close(%d)" % fd],
                shimmed(LOG=log.path, FORMAT="json"), pass_fds=[fd])
            self.assertEqual((status, err), (0, b""))
        event, = log.read()
        self.match(event, call="close", was=None, netns=self.number(self.here))

    @needs_root
    def test_another_namespace(self):
        """And a socket that was made in the one before."""
        log = self.log()
        p = self.puppet(log)
        p("before = socket.socket(); before.close()")
        kernel.unshare(kernel.CLONE_NEWNET)
        kernel.loopback_up()
        with socket.socket() as sock:
            there = sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
        self.assertNotEqual(there, self.here)
        other_log = self.log("other.json")
        with socket.create_server(("127.0.0.1", 0)):
            q = self.pair(other_log)
            q("c.close()")
        self.assertEqual(self.told(other_log)[True], {self.number(there)})
        self.assertEqual(self.told(log)[True], {self.number(self.here)})
