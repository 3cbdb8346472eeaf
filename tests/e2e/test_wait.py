# SPDX-License-Identifier: MIT
"""TCPSHIM_WAIT: a bind that only dying connections refuse waits until they are gone."""

import ctypes
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios

from harness import kernel, paths
from harness.case import SUPERVISED, Case, needs_bound, needs_root, read_line, shimmed, wait_until
from harness.contract import VIEW_KEYS

SOCK_DESTROY = 21
SI_USER, SI_QUEUE, SI_TIMER = 0, -1, -2
PTRACE_ATTACH, PTRACE_DETACH, WALL = 16, 17, 0x40000000


def destroy(entry):
    """End a connection by sock_diag, as `ss -K` does."""
    family, size = entry.family, 4 if entry.family == socket.AF_INET else 16
    ends = b"".join(socket.inet_pton(family, end[0])[:size].ljust(16, b"\0")
                    for end in (entry.local, entry.peer))
    body = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 0, 0xffffffff)
    body += struct.pack(">HH", entry.local[1], entry.peer[1]) + ends
    body += struct.pack("=III", 0, entry.cookie & 0xffffffff, entry.cookie >> 32)
    head = struct.pack("=IHHII", 16 + len(body), SOCK_DESTROY, 5, 1, 0)  # REQUEST | ACK
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as netlink:
        netlink.settimeout(40)
        netlink.send(head + body)
        code = -struct.unpack_from("=i", netlink.recv(4096), 16)[0]
    return code


class Waiting(Case):
    """A port that a dying connection holds, and a program that binds to it."""

    WAITED = r"^waited (\d+\.\d) s until dying connections were gone \(TCPSHIM_WAIT\)$"
    GAVE_UP = (r"^gave up after waiting (\d+\.\d) s for dying connections"
               r"(, interrupted by a signal)? \(TCPSHIM_WAIT\)$")

    def connections(self, port, reuse=0, count=1):
        """Both ends of connections whose listener, at that port, is gone."""
        pairs = []
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
            listener.bind(("127.0.0.1", port))
            listener.listen()
            for _ in range(count):
                client = socket.create_connection(("127.0.0.1", port))
                pairs.append((client, listener.accept()[0]))
        for pair in pairs:
            self.addCleanup(pair[0].close)
            self.addCleanup(pair[1].close)
        return pairs

    def last_ack(self, port, reuse=0, count=1):
        """Orphans in LAST_ACK behind a closed window: the ends that can end them at once."""
        pairs = self.connections(port, reuse, count)
        for client, server in pairs:
            server.setblocking(False)
            try:
                while True:
                    server.send(b"x" * 65536)
            except BlockingIOError:
                pass
            cookie = kernel.cookie_of(server)
            client.shutdown(socket.SHUT_WR)
            wait_until(lambda: kernel.state_of(cookie) == "CLOSE_WAIT", "the FIN")
            server.close()
            self.assertEqual(kernel.state_of(cookie), "LAST_ACK")
        return [client for client, _ in pairs]

    def orphan(self, port, state="TIME_WAIT", reuse=0):
        """A connection that nobody has open, in TIME_WAIT or FIN_WAIT_2."""
        (client, server), = self.connections(port, reuse)
        cookie = kernel.cookie_of(server)
        server.close()
        if state == "TIME_WAIT":
            client.close()
        wait_until(lambda: kernel.state_of(cookie) == state, state)
        return kernel.by_cookie(cookie)

    def asleep(self, pid, thread=None):
        """Wait until that thread naps, waiting for a signal; one that is followed is held."""
        held = 0

        def naps():
            nonlocal held
            if SUPERVISED:
                with open("/proc/%d/task/%d/status" % (pid, thread or pid)) as file:
                    held = held + 1 if "\nState:\tt" in file.read() else 0
                return held == 10
            with open("/proc/%d/task/%d/wchan" % (pid, thread or pid)) as file:
                where = file.read()
            return "sigtimedwait" in where
        wait_until(naps, "the nap")

    def naps(self, pid):
        """How often that process has fallen asleep so far."""
        with open("/proc/%d/status" % pid) as file:
            return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", file.read(), re.M).group(1))

    def begin(self, p, port, host="127.0.0.1"):
        """Begin a bind, by libc's name: `r` is to be what it returned, and errno."""
        p("s = socket.socket()\n"
          "addr = struct.pack('=H', 2) + struct.pack('>H4s8x', %d, socket.inet_aton(%r))"
          % (port, host))
        p.begin("ctypes.set_errno(4242); rc = C.bind(s.fileno(), addr, 16)\n"
                "r = [rc, ctypes.get_errno()]")

    def end(self, p):
        """Its result."""
        p.result()
        return p.eval("[r[0], errno.errorcode.get(r[1], r[1])]")

    def last_bind(self, log):
        binds = [event for event in log.read() if event["call"] == "bind"]
        self.assertEqual(len(binds), 1, "one call is one event")
        return binds[0]

    def figure(self, event, pattern):
        """The seconds of the note `waited`, which are those of the call."""
        texts = [note["text"] for note in event["notes"] if note["code"] == "waited"]
        self.assertEqual(len(texts), 1, event)
        found = re.match(pattern, texts[0])
        self.assertTrue(found, texts)
        seconds = float(found.group(1))
        self.assertLessEqual(seconds, event["dur_ns"] / 1e9)
        self.assertGreater(seconds, event["dur_ns"] / 1e9 - 0.5)
        return seconds


class Success(Waiting):
    """The port becomes free while bind waits."""

    def test_until_the_last_is_gone(self):
        log, port = self.log(), self.port()
        client, = self.last_ack(port)
        p = self.puppet(log, WAIT=60)
        self.begin(p, port)
        self.asleep(p.pid)
        client.close()  # what was not read resets the connection
        self.assertEqual(self.end(p), [0, 4242])
        event = self.last_bind(log)
        self.match(event, ret=0, error=None, local="127.0.0.1:%d" % port, state="CLOSED")
        self.assertEqual(self.notes(event), ["reuse-enabled", "waited"])
        self.figure(event, self.WAITED)
        p("s.listen()")

    def test_told_when_it_begins(self):
        """While it waits the log has the reason: how many connections, and for how long at most."""
        log, port = self.log(), self.port()
        orphan = self.orphan(port, reuse=1)
        p = self.puppet(log, WAIT=60, REUSE="off")
        self.begin(p, port)
        self.asleep(p.pid)
        event = log.read()[-1]
        self.match(event, call="wait", by="shim", state="CLOSED",
                   local="127.0.0.1:%d" % port, was=None, ret=None, dur_ns=None)
        note, = event["notes"]
        self.assertEqual((note["code"], note["dying"]), ("waiting", 1))
        left = kernel.by_cookie(orphan.cookie).expires
        self.assertLessEqual(left, note["max_ms"])
        self.assertLess(note["max_ms"], left + 10000)
        self.assertRegex(note["text"], r"^waiting until 1 dying connection on port %d is gone, for "
                         r"\d+(\.\d)? s at most \(TCPSHIM_WAIT\)$" % port)
        os.kill(p.pid, signal.SIGKILL)

    def told_our_limit(self, log, port):
        p = self.puppet(log, WAIT=30, REUSE="off")
        self.begin(p, port)
        self.asleep(p.pid)
        note, = log.read()[-1]["notes"]
        self.assertEqual((note["code"], note["max_ms"]), ("waiting", 30000))
        self.assertIn(", for 30.0 s at most (", note["text"])
        os.kill(p.pid, signal.SIGKILL)

    def test_told_when_the_limit_ends_it(self):
        """What stays longer, or nobody knows how long, is waited for as long as was asked."""
        log, port = self.log(), self.port()
        self.assertGreater(self.orphan(port).expires, 30000)
        self.told_our_limit(log, port)
        log, port = self.log("without-end"), self.port()
        self.last_ack(port)
        self.told_our_limit(log, port)

    def test_told_to_a_terminal_that_stands_still(self):
        """Ctrl-S keeps the line back; a signal is delivered all the same."""
        port = self.port()
        self.orphan(port)
        main, side = pty.openpty()
        self.addCleanup(os.close, main)
        termios.tcflow(side, termios.TCOOFF)
        script = "import socket; socket.socket().bind(('127.0.0.1', %d))" % port
        process = self.start([paths.PYTHON, "-I", "-S", "-c", script],
                             shimmed(LOG="stderr", CALLS="bind", WAIT=100, REUSE="off"),
                             stderr=side)
        os.close(side)

        def stands_still():
            with open("/proc/%d/wchan" % process.pid) as file:
                return file.read() == "wait_woken"
        wait_until(stands_still, "the write")
        with open("/proc/%d/status" % process.pid) as file:
            blocked = int(re.search(r"(?m)^SigBlk:\s*(\w+)$", file.read()).group(1), 16)
        self.assertEqual(blocked & 1 << signal.SIGTERM - 1, 0)
        os.kill(process.pid, signal.SIGTERM)
        self.assertEqual(process.wait(10), -signal.SIGTERM)

    def test_with_the_log_off(self):
        """And no descriptor is left behind."""
        port = self.port()
        client, = self.last_ack(port)
        p = self.puppet(WAIT=60)
        before = p.eval("fds()")
        self.begin(p, port)
        self.asleep(p.pid)
        client.close()
        self.assertEqual(self.end(p), [0, 4242])
        self.assertEqual(p.eval("fds()"), sorted(before + [p.eval("s.fileno()")]))
        self.assertEqual(p.eval("s.getsockname()[1]"), port)

    def test_of_several(self):
        """One that goes is not enough."""
        log, port = self.log(), self.port()
        clients = self.last_ack(port, count=2)
        p = self.puppet(log, WAIT=60)
        self.begin(p, port)
        self.asleep(p.pid)
        clients[0].close()
        wait_until(lambda: len([entry for entry in kernel.diag() if entry.local[1] == port]) == 1,
                   "the first one's end")
        naps = self.naps(p.pid)
        wait_until(lambda: self.naps(p.pid) > naps + 1, "another try")
        clients[1].close()
        self.assertEqual(self.end(p), [0, 4242])
        self.figure(self.last_bind(log), self.WAITED)

    def test_stopped_and_continued(self):
        """No handler ran, so the wait goes on."""
        log, port = self.log(), self.port()
        client, = self.last_ack(port)
        p = self.puppet(log, WAIT=60)
        self.begin(p, port)
        self.asleep(p.pid)
        os.kill(p.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, p.pid, os.WSTOPPED)
        os.kill(p.pid, signal.SIGCONT)
        self.asleep(p.pid)
        client.close()
        self.assertEqual(self.end(p), [0, 4242])
        self.figure(self.last_bind(log), self.WAITED)

    def test_gentle(self):
        log, port = self.log(), self.port()
        client, = self.last_ack(port)
        p = self.puppet(log, WAIT=60, REUSE="gentle")
        self.begin(p, port)
        self.asleep(p.pid)
        client.close()
        self.assertEqual(self.end(p), [0, 4242])
        event = self.last_bind(log)
        self.assertEqual(self.notes(event), ["waited"])
        self.assertEqual(p.eval("s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)"), 0)

    def test_without_reuse(self):
        """TCPSHIM_REUSE=off waits for connections that were made with the option, too."""
        log, port = self.log(), self.port()
        client, = self.last_ack(port, reuse=1)
        p = self.puppet(log, WAIT=60, REUSE="off")
        self.begin(p, port)
        self.asleep(p.pid)
        client.close()
        self.assertEqual(self.end(p), [0, 4242])
        self.assertEqual(self.notes(self.last_bind(log)), ["waited"])

    @needs_root
    def test_the_time_that_the_kernel_tells(self):
        """FIN_WAIT_2 for a second, in a namespace where it is no longer; for more where the machine is
        too slow to bind in that time."""
        kernel.unshare(kernel.CLONE_NEWNET)
        kernel.loopback_up()
        for allowed in ("1", "5", "25"):
            with open("/proc/sys/net/ipv4/tcp_fin_timeout", "w") as file:
                file.write(allowed)
            log, port = self.log(self.fresh("log").rpartition("/")[2]), self.port()
            p = self.puppet(log, WAIT=60)
            left = self.orphan(port, "FIN_WAIT_2").expires
            self.begin(p, port)
            self.assertEqual(self.end(p), [0, 4242])
            event = self.last_bind(log)
            if "waited" in self.notes(event):
                break
        seconds = self.figure(event, self.WAITED)
        self.assertGreaterEqual(seconds, 0.1)
        self.assertLessEqual(seconds * 1000, left + 1100)

    @needs_root
    def test_time_wait_that_goes_early(self):
        log, port = self.log(), self.port()
        entry = self.orphan(port)
        p = self.puppet(log, WAIT=60)
        self.begin(p, port)
        self.asleep(p.pid)
        code = destroy(entry)
        if code:
            self.skipTest("no SOCK_DESTROY: %s" % os.strerror(code))
        self.assertEqual(self.end(p), [0, 4242])
        self.figure(self.last_bind(log), self.WAITED)


class Failure(Waiting):
    """Waiting would not help, or did not."""

    def test_gives_up(self):
        log, port = self.log(), self.port()
        self.orphan(port)
        p = self.puppet(log, WAIT=1)
        before = p.eval("fds()")
        self.begin(p, port)
        self.asleep(p.pid)
        self.assertEqual(self.end(p), [-1, "EADDRINUSE"])
        event = self.last_bind(log)
        self.match(event, error="EADDRINUSE", state="CLOSED")
        self.assertEqual(sorted(self.notes(event)), ["in-use-dying", "reuse-enabled", "waited"])
        seconds = self.figure(event, self.GAVE_UP)
        self.assertGreaterEqual(seconds, 1.0)
        self.assertGreaterEqual(event["dur_ns"], 1000000000)
        self.assertNotIn("interrupted", str(event["notes"]))
        self.assertEqual(len(p.eval("fds()")), len(before) + 1)

    def refused_at_once(self, p, log, port, host="127.0.0.1"):
        """With 100 seconds to wait, this comes back in a few or not at all."""
        self.begin(p, port, host)
        self.assertEqual(self.end(p), [-1, "EADDRINUSE"])
        event = self.last_bind(log)
        self.assertNotIn("waited", self.notes(event))
        return event

    def test_never_against_a_listener(self):
        """Nor where dying connections are beside it."""
        log, port = self.log(), self.port()
        listener = socket.create_server(("127.0.0.1", port))
        self.addCleanup(listener.close)
        client = socket.create_connection(("127.0.0.1", port))
        listener.accept()[0].close()
        client.close()
        p = self.puppet(log, WAIT=100)
        event = self.refused_at_once(p, log, port)
        self.assertIn("in-use-listener", self.notes(event))

    @needs_bound
    def test_never_against_a_bound_socket(self):
        log, port = self.log(), self.port()
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
            p = self.puppet(log, WAIT=100)
            event = self.refused_at_once(p, log, port)
        self.assertIn("in-use-bound", self.notes(event))

    def test_never_against_a_live_connection(self):
        log, port = self.log(), self.port()
        self.connections(port)
        p = self.puppet(log, WAIT=100)
        event = self.refused_at_once(p, log, port)
        self.assertIn("in-use-bound", self.notes(event))

    def test_a_listener_that_comes(self):
        """While it waits for a dying connection, somebody listens beside that."""
        log, port = self.log(), self.port()
        client, = self.last_ack(port)
        p = self.puppet(log, WAIT=100)
        self.begin(p, port, "0.0.0.0")
        self.asleep(p.pid)
        with socket.create_server(("127.0.0.2", port)):
            self.assertEqual(self.end(p), [-1, "EADDRINUSE"])
        event = self.last_bind(log)
        self.assertIn("in-use-listener", self.notes(event))
        self.figure(event, self.GAVE_UP)
        client.close()

    def test_other_errors_are_not_waited_for(self):
        log, port = self.log(), self.port()
        p = self.puppet(log, WAIT=100)
        self.begin(p, port, "192.0.2.1")
        self.assertEqual(self.end(p), [-1, "EADDRNOTAVAIL"])
        self.assertNotIn("waited", self.notes(self.last_bind(log)))

    def test_without_the_setting(self):
        log, port = self.log(), self.port()
        self.orphan(port)
        p = self.puppet(log)
        self.refused_at_once(p, log, port)

    @needs_root
    def test_not_for_a_free_port(self):
        """bind to port 0 in a range that is full."""
        kernel.unshare(kernel.CLONE_NEWNET)
        kernel.loopback_up()
        with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
            file.write("40000 40001")
        log = self.log()
        self.orphan(40000)  # from 40001
        self.assertEqual(sorted(entry.local[1] for entry in kernel.diag()), [40000])
        holder = socket.socket()
        self.addCleanup(holder.close)
        holder.bind(("127.0.0.1", 40001))
        p = self.puppet(log, WAIT=100)
        self.refused_at_once(p, log, 0)


class Signals(Waiting):
    """A signal ends the wait; its handler has run by then."""

    def interrupted(self, restart):
        log, port = self.log(), self.port()
        self.orphan(port)
        p = self.puppet(log, WAIT=100)
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(told.close)
        told.bind(self.path("told"))
        told.settimeout(40)
        # What set_wakeup_fd names is written to by the handler itself, within the call.
        p("import signal\n"
          "u = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); u.connect(%r)\n"
          "u.setblocking(False); signal.set_wakeup_fd(u.fileno())\n"
          "signal.signal(signal.SIGUSR1, lambda *_: None)\n"
          "signal.siginterrupt(signal.SIGUSR1, %r)" % (self.path("told"), not restart))
        self.begin(p, port)
        self.asleep(p.pid)
        os.kill(p.pid, signal.SIGUSR1)
        self.assertEqual(told.recv(10), bytes([signal.SIGUSR1]))
        self.assertEqual(self.end(p), [-1, "EADDRINUSE"])
        event = self.last_bind(log)
        self.figure(event, self.GAVE_UP)
        self.assertIn("interrupted by a signal", str(event["notes"]))
        self.assertIn("in-use-dying", self.notes(event))

    def test_a_signal(self):
        self.interrupted(False)

    def test_a_signal_with_sa_restart(self):
        self.interrupted(True)

    def test_a_deadly_signal(self):
        log, port = self.log(), self.port()
        self.orphan(port)
        p = self.puppet(log, WAIT=100)
        self.begin(p, port)
        self.asleep(p.pid)
        os.kill(p.pid, signal.SIGTERM)
        self.assertEqual(p.process.wait(), -signal.SIGTERM)

    def test_what_the_handler_is_told(self):
        """The signal comes as it was sent: by whom, how, and what came with it."""
        port = self.port()
        client, = self.last_ack(port)
        process = self.start([self.program("signalled_wait"), str(port)], shimmed(WAIT=100))

        def told(send):
            self.asleep(process.pid)
            send()
            return read_line(process)

        def queue(number, value):
            kernel.LIBC.sigqueue(process.pid, number, ctypes.c_void_p(value))
        me, real_time = os.getpid(), signal.SIGRTMIN + 1
        line = "EADDRINUSE after 1: signal %d code %d from %d value %d\n"
        self.assertEqual(told(lambda: queue(signal.SIGUSR1, 42)),
                         line % (signal.SIGUSR1, SI_QUEUE, me, 42))
        self.assertEqual(told(lambda: queue(real_time, 43)), line % (real_time, SI_QUEUE, me, 43))
        self.assertEqual(told(lambda: os.kill(process.pid, signal.SIGCHLD)),
                         line % (signal.SIGCHLD, SI_USER, me, 0))
        # One that the program blocks stays pending, and the wait goes on.
        self.asleep(process.pid)
        os.kill(process.pid, signal.SIGUSR2)
        client.close()
        self.assertEqual(read_line(process), "bound, SIGUSR2 is pending\n")

    def test_a_timer_goes_on(self):
        port = self.port()
        client, = self.last_ack(port)
        process = self.start([self.program("signalled_wait"), str(port), "timer"],
                             shimmed(WAIT=100))
        # It may have come before the wait as well.
        line = "^EADDRINUSE after [1-9][0-9]*: signal %d code %d from 0 value 77\n$"
        for _ in range(3):
            self.assertRegex(read_line(process), line % (signal.SIGRTMIN + 2, SI_TIMER))
        client.close()
        self.assertEqual(read_line(process), "bound\n")

    def undisturbed(self, disturb, prepare=""):
        """A bind in a thread of its own outlasts that: no handler of the program's has run."""
        log, port = self.log(), self.port()
        client, = self.last_ack(port)
        p = self.puppet(log, WAIT=100)
        p("import signal, threading\n" + prepare)
        self.begin_in_thread(p, port)
        thread = p.eval("t.native_id")
        self.asleep(p.pid, thread)
        disturb(p, thread)
        self.asleep(p.pid, thread)
        self.assertEqual(p.eval("t.is_alive()"), True)
        client.close()
        p("t.join()")
        self.assertEqual(p.eval("r"), [0, 4242])
        self.assertEqual(self.notes(self.last_bind(log)), ["reuse-enabled", "waited"])

    def begin_in_thread(self, p, port):
        p("s = socket.socket(); r = []\n"
          "addr = struct.pack('=H', 2) + struct.pack('>H4s8x', %d, socket.inet_aton('127.0.0.1'))\n"
          "def binds():\n"
          "    ctypes.set_errno(4242)\n"
          "    r.append(C.bind(s.fileno(), addr, 16)); r.append(ctypes.get_errno())\n"
          "t = threading.Thread(target=binds); t.start()" % port)

    def test_a_number_that_is_another_sockets_meanwhile(self):
        """The wait is over: the other socket is not bound, nor told of."""
        log, port = self.log(), self.port()
        client, = self.last_ack(port)
        p = self.puppet(log, WAIT=100)
        p("import threading")
        self.begin_in_thread(p, port)
        self.asleep(p.pid, p.eval("t.native_id"))
        p("other = socket.socket(); C.dup2(other.fileno(), s.fileno())")
        client.close()
        p("t.join()")
        self.assertEqual(p.eval("[r[0], errno.errorcode[r[1]]]"), [-1, "EADDRINUSE"])
        self.assertEqual(p.eval("other.getsockname()[1]"), 0)
        event = self.last_bind(log)
        self.match(event, error="EADDRINUSE", **dict.fromkeys(VIEW_KEYS))
        self.assertEqual(self.notes(event), ["reuse-enabled", "waited"])

    def test_setuid_of_another_thread(self):
        """libc sends each thread a signal of its own, and waits until all have handled it."""
        self.undisturbed(lambda p, _: self.assertEqual(p.eval("C.setuid(os.getuid())"), 0))

    def test_setuid_in_a_program_with_handlers(self):
        self.undisturbed(lambda p, _: self.assertEqual(p.eval("C.setgid(os.getgid())"), 0),
                         "signal.signal(signal.SIGUSR1, lambda *_: None)")

    def test_ignored_signals(self):
        def disturb(p, _):
            for number in (signal.SIGUSR1, signal.SIGWINCH, signal.SIGCONT):
                os.kill(p.pid, number)
        self.undisturbed(disturb, "signal.signal(signal.SIGUSR1, signal.SIG_IGN)")

    def test_traced(self):
        """A debugger attaches, and goes again."""
        def disturb(_, thread):
            if kernel.LIBC.ptrace(PTRACE_ATTACH, thread, None, None) != 0:
                self.skipTest("no ptrace here")
            os.waitpid(thread, WALL)
            self.assertEqual(kernel.LIBC.ptrace(PTRACE_DETACH, thread, None, None), 0)
        self.undisturbed(disturb)

    def test_no_cancellation_point(self):
        """A thread that is cancelled while its bind waits comes back from it first."""
        log, port = self.log(), self.port()
        client, = self.last_ack(port)
        process = self.start([self.program("cancelled_wait"), str(port)],
                             shimmed(WAIT=60, LOG=log.path, FORMAT="json"),
                             stdin=subprocess.PIPE)
        self.addCleanup(process.stdin.close)
        thread = wait_until(lambda: [int(tid) for tid in os.listdir("/proc/%d/task" % process.pid)
                                     if int(tid) != process.pid], "the thread")[0]
        self.asleep(process.pid, thread)
        process.stdin.write(b"\n")
        process.stdin.flush()
        self.assertEqual(read_line(process), "cancelled\n")
        client.close()
        self.assertEqual(read_line(process), "bound\n")
        self.match(self.last_bind(log), ret=0, tid=thread)
