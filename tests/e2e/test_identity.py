"""Which socket an event is about, where a number alone would tell of another one.

A call that waits keeps its socket, while its number may be closed and given to another: of
that one its event says nothing.
"""

import platform

from harness.case import Case, wait_until
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
