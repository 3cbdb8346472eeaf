# SPDX-License-Identifier: MIT
"""The notes: what an expert would tell about a call, and that he is silent elsewhere.

Each is made on a real kernel, and its figures are held against what the kernel itself says;
beside it stand the neighbouring cases in which it would be wrong.
"""

import os
import re
import signal
import socket
import time

from harness import contract, kernel, strace
from harness.case import Case, environment, needs_bound, needs_ipv6, needs_root, paths, shimmed, \
    timeout, wait_until

REUSE = "%s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, %d)"
LINGER = "%s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, %d))"
NOBODY = 65534


def program_of(pid):
    """A process as a note names it."""
    with open("/proc/%d/comm" % pid) as file:
        return "%s (pid %d)" % (file.read().strip(), pid)


def address(sock):
    return ("%s:%d" if sock.family == socket.AF_INET else "[%s]:%d") % sock.getsockname()[:2]


def until(cookie, *states):
    wait_until(lambda: kernel.state_of(cookie) in states, " or ".join(states))


class Notes(Case):
    """A puppet makes calls; what their events note."""

    def note(self, event, code):
        """The text of the one note of that code."""
        texts = [note["text"] for note in event.get("notes", ()) if note["code"] == code]
        self.assertEqual(len(texts), 1, "%s in %r" % (code, event))
        return texts[0]

    def refused(self, p, log, port, host="127.0.0.1", family=socket.AF_INET, before="",
                error="EADDRINUSE", owner=True):
        """The event of a bind that fails.

        The owner of a port is looked for within 20 ms and 2,000 descriptors. On a busy machine,
        or beside a test that has as many, that may be too little: then it is tried again.
        """
        def attempt():
            p("s = socket.socket(%d); %s" % (family, before))
            self.assertEqual(p.eval("error_of(s.bind, (%r, %d))" % (host, port)), error)
            event = self.last(log, "bind")
            if any(contract.is_brief(note) for note in event.get("notes", ())):
                return None  # one was explained less than a second ago
            sought = [note for note in event.get("notes", ()) if "incomplete" in note]
            return event if not owner or all("pid" in note for note in sought) else None
        return wait_until(attempt, "the owner of the port")

    def bound(self, p, log, port, host="127.0.0.1", family=socket.AF_INET, before=""):
        """The event of a bind that works; the socket is closed again."""
        p("s = socket.socket(%d); %s" % (family, before))
        p("s.bind((%r, %d))" % (host, port))
        event = self.last(log, "bind")
        p("s.close()")
        return event

    def ours(self, port, host="127.0.0.1", family=socket.AF_INET, options=(), listens=False):
        """A socket of the test itself, which is no program under the shim."""
        sock = socket.socket(family)
        self.addCleanup(sock.close)
        for level, option, value in options:
            sock.setsockopt(level, option, value)
        sock.bind((host, port))
        if listens:
            sock.listen()
        return sock

    def connection(self, port, reuse=0, count=1):
        """Connections of the test's own to that port, whose listener is gone again."""
        listener = self.ours(port, listens=True,
                             options=[(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)])
        pairs = []
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", port))
            server, _ = listener.accept()
            self.addCleanup(client.close)
            self.addCleanup(server.close)
            pairs.append((client, server))
        listener.close()
        return pairs

    def time_wait(self, port, reuse=0, count=1):
        """Connections in TIME_WAIT on that port: what sock_diag says of them."""
        cookies = []
        for client, server in self.connection(port, reuse, count):
            cookies.append(kernel.cookie_of(server))
            server.close()
            client.close()
            until(cookies[-1], "TIME_WAIT")
        return [kernel.by_cookie(cookie) for cookie in cookies]

    def namespace(self, **settings):
        """A network namespace of this test, with these numbers under net.ipv4."""
        kernel.namespace(**settings)


class Listeners(Notes):
    """What the note in-use-listener says."""

    LIVE = "; SO_REUSEADDR never takes it from a live one"

    def listener_text(self, where, pid, had_option=True, dual=""):
        return ("a listener on %s of %s has the port%s%s"
                % (where, program_of(pid), dual, self.LIVE * had_option))

    def told(self, event):
        """The note: its keys, without those that depend on how busy the machine is; its text."""
        note, = (note for note in event["notes"] if note["code"] == "in-use-listener")
        keys = {key: value for key, value in note.items()
                if key not in ("code", "text", "local", "incomplete")}
        return keys, note["text"].replace("at least ", "")


class Listener(Listeners):
    """in-use-listener: somebody listens there."""

    DUAL = "; [::] without IPV6_V6ONLY %s IPv4 too"

    def test_of_our_own_process(self):
        log, port = self.log(), self.port()
        p = self.puppet(log)
        p("l = socket.socket(); l.bind(('127.0.0.1', %d)); l.listen()" % port)
        event = self.refused(p, log, port)
        self.match(event, local="127.0.0.1:%d" % port, error="EADDRINUSE")
        keys, text = self.told(event)
        self.assertEqual(keys, {"pid": p.pid, "prog": event["prog"],
                                "own_fd": p.eval("l.fileno()")})
        self.assertEqual(text, "a listener on 127.0.0.1:%d of this process itself, %s, as "
                         "descriptor %d, has the port%s"
                         % (port, program_of(p.pid), keys["own_fd"], self.LIVE))
        self.absent([event], "in-use-bound", "in-use-dying", "not-local", "waited")

    def test_of_another_process(self):
        log, port = self.log(), self.port()
        self.ours(port, listens=True)
        p = self.puppet(log)
        event = self.refused(p, log, port)
        self.assertEqual(self.note(event, "in-use-listener"),
                         self.listener_text("127.0.0.1:%d" % port, os.getpid()))

    def test_without_the_option(self):
        """SO_REUSEADDR is spoken of only where the program's socket had it."""
        log, port = self.log(), self.port()
        self.ours(port, listens=True)
        p = self.puppet(log, REUSE="off")
        event = self.refused(p, log, port)
        self.assertEqual(self.note(event, "in-use-listener"),
                         self.listener_text("127.0.0.1:%d" % port, os.getpid(), False))

    def test_wildcard_and_specific(self):
        log, port = self.log(), self.port()
        wide = self.ours(port, "0.0.0.0", listens=True)
        p = self.puppet(log)
        for host in ("127.0.0.1", "127.0.0.2", "0.0.0.0"):
            event = self.refused(p, log, port, host)
            self.assertEqual(self.note(event, "in-use-listener"),
                             self.listener_text("0.0.0.0:%d" % port, os.getpid()))
        wide.close()
        self.ours(port, "127.0.0.1", listens=True)
        event = self.refused(p, log, port, "0.0.0.0")
        self.assertEqual(self.note(event, "in-use-listener"),
                         self.listener_text("127.0.0.1:%d" % port, os.getpid()))
        self.assertEqual(self.notes(self.bound(p, log, port, "127.0.0.2")), ["reuse-enabled"])

    @needs_ipv6
    def test_dual_stack(self):
        """A listener on :: has the IPv4 port as well, unless it is for IPv6 alone."""
        v6only = [(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)]
        dual = [(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)]
        log, port = self.log(), self.port()
        p = self.puppet(log)
        both = self.ours(port, "::", socket.AF_INET6, dual, listens=True)
        for host in ("127.0.0.1", "0.0.0.0"):
            keys, text = self.told(self.refused(p, log, port, host))
            self.assertTrue(keys["dual_stack"])
            self.assertEqual(text, self.listener_text("[::]:%d" % port, os.getpid(),
                                                      dual=self.DUAL % "takes"))
        both.close()
        self.ours(port, "::", socket.AF_INET6, v6only, listens=True)
        self.assertEqual(self.notes(self.bound(p, log, port)), ["reuse-enabled"])
        keys, text = self.told(self.refused(p, log, port, "::1", socket.AF_INET6))
        self.assertNotIn("dual_stack", keys)
        self.assertEqual(text, self.listener_text("[::]:%d" % port, os.getpid()))

    @needs_ipv6
    def test_ipv6_asks_for_a_port_of_ipv4(self):
        log, port = self.log(), self.port()
        self.ours(port, listens=True)
        p = self.puppet(log)
        set_only = "s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, %d)"
        keys, text = self.told(self.refused(p, log, port, "::", socket.AF_INET6, set_only % 0))
        self.assertTrue(keys["dual_stack"])
        self.assertEqual(text, self.listener_text("127.0.0.1:%d" % port, os.getpid(),
                                                  dual=self.DUAL % "asks for"))
        event = self.refused(p, log, port, "::ffff:127.0.0.1", socket.AF_INET6, set_only % 0)
        self.note(event, "in-use-listener")
        event = self.bound(p, log, port, "::", socket.AF_INET6, set_only % 1)
        self.assertEqual(self.notes(event), ["reuse-enabled"])
        event = self.bound(p, log, port, "::1", socket.AF_INET6)
        self.assertEqual(self.notes(event), ["reuse-enabled"])

    def test_at_listen(self):
        """Both may bind with the option; who listens second is refused."""
        log, port = self.log(), self.port()
        p = self.puppet(log)
        p("s = socket.socket(); s.bind(('0.0.0.0', %d))" % port)
        self.ours(port, listens=True, options=[(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)])
        self.assertEqual(p.eval("error_of(s.listen)"), "EADDRINUSE")
        event = self.last(log, "listen")
        self.match(event, error="EADDRINUSE", state="CLOSED", local="0.0.0.0:%d" % port)
        self.assertEqual(self.note(event, "in-use-listener"),
                         self.listener_text("127.0.0.1:%d" % port, os.getpid()))
        self.absent(log.read(), "in-use-bound")

    def test_a_group(self):
        """A group of SO_REUSEPORT listeners takes in whoever has the option."""
        log, port = self.log(), self.port()
        share = [(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)]
        for _ in range(2):
            self.ours(port, listens=True, options=share)
        p = self.puppet(log)
        event = self.refused(p, log, port)
        self.assertEqual(self.note(event, "in-use-listener"),
                         self.listener_text("127.0.0.1:%d" % port, os.getpid()))
        join = "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)"
        self.assertEqual(self.notes(self.bound(p, log, port, before=join)),
                         ["reuse-enabled", "shared-port"])

    @needs_bound
    def test_a_group_that_may_be_ours(self):
        """A listener of our own group, and another in the way: who it was is not guessed."""
        log, port = self.log(), self.port()
        self.ours(port, listens=True, options=[(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)])
        self.ours(port, "127.0.0.2")
        p = self.puppet(log)
        event = self.refused(p, log, port, "0.0.0.0",
                             before="s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)")
        self.absent([event], "in-use-listener", "in-use-bound", "in-use-dying")

    @needs_root
    def test_a_group_of_another_user(self):
        log, port = self.log(), self.port()
        listener = self.ours(port, listens=True,
                             options=[(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)])
        p = self.puppet(log)
        p("os.setuid(%d)" % NOBODY)
        event = self.refused(p, log, port,
                             before="s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)")
        self.assertEqual(
            self.note(event, "in-use-listener"),
            "a listener on 127.0.0.1:%d (socket inode %d, uid 0), in no process that can be seen)"
            .replace(")", "", 1) % (port, os.fstat(listener.fileno()).st_ino)
            + " has the port; SO_REUSEADDR never takes it from a live one")

    def test_nobody_looks_for_ever(self):
        """After 2,000 descriptors the owner is not looked for any more, and that is said."""
        log, port = self.log(), self.port()
        listener = self.ours(port, listens=True)
        p = self.puppet(log)
        p("import resource\n"
          "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
          "resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))\n"
          "null = os.open('/dev/null', os.O_RDONLY)\n"
          "for _ in range(2100): os.dup(null)")
        event = self.refused(p, log, port, owner=False)
        self.assertEqual(
            self.note(event, "in-use-listener"),
            "a listener on 127.0.0.1:%d (socket inode %d, uid %d; the owner was not looked "
            "up: tcpshim why %d does) has the port%s"
            % (port, os.fstat(listener.fileno()).st_ino, os.geteuid(), port, self.LIVE))

    def test_before_all_others(self):
        """A listener beside dying and live connections: it is the reason."""
        log, port = self.log(), self.port()
        p = self.puppet(log)
        p("l = socket.create_server(('127.0.0.1', %d))\n"
          "c = socket.create_connection(('127.0.0.1', %d)); a, _ = l.accept()\n"
          "d = socket.create_connection(('127.0.0.1', %d)); b, _ = l.accept()\n"
          "b.close(); d.close()" % (port, port, port))
        event = self.refused(p, log, port)
        self.assertEqual(self.told(event)[0]["pid"], p.pid)
        self.absent([event], "in-use-bound", "in-use-dying")


class Sharers(Listeners):
    """in-use-listener: who has it, as which descriptor, and how they came to it."""

    CURE = "; it is free when all of them have closed it"
    KEPT = "for it lacks SOCK_CLOEXEC"

    def hold(self, sock, name="sleep"):
        """A program of that name that has inherited the socket, and nothing else to do with it."""
        program = self.path(name)
        os.symlink(paths.find("sleep"), program)
        return self.start([program, "1000"], pass_fds=[sock.fileno()])

    def execute_anew(self, p):
        def words():
            with open("/proc/%d/cmdline" % p.pid) as file:
                return file.read().count("\0")
        before = words()
        p.begin("os.execv(sys.executable, [sys.executable] + sys.orig_argv[1:] + ['again'])")
        wait_until(lambda: words() > before, "the exec")

    def test_a_descriptor_from_before_exec(self):
        """A server that executes itself anew, and makes a new listener."""
        log, port = self.log(), self.port()
        p = self.puppet(log, silent=False)
        p("l = socket.create_server(('127.0.0.1', %d)); l.set_inheritable(True)" % port)
        fd = p.eval("l.fileno()")
        self.execute_anew(p)
        event = self.refused(p, log, port)
        keys, text = self.told(event)
        self.assertEqual(keys, {"pid": p.pid, "prog": event["prog"], "own_fd": fd,
                                "inherited": True})
        self.assertEqual(text, "a listener on 127.0.0.1:%d of this process itself, %s, as "
                         "descriptor %d, which it was started with, has the port%s; it was "
                         "inherited, %s" % (port, program_of(p.pid), fd, self.LIVE, self.KEPT))
        # Close-on-exec is the cure.
        p("l = socket.socket(fileno=%d); l.set_inheritable(False)" % fd)
        self.execute_anew(p)
        self.assertEqual(self.notes(self.bound(p, log, port)), ["reuse-enabled"])

    def test_a_number_that_was_used_again(self):
        """It was open at the start, as something else."""
        log, port = self.log(), self.port()
        p = self.puppet(log)
        p("os.close(1); l = socket.socket(); l.set_inheritable(True)\n"
          "l.bind(('127.0.0.1', %d)); l.listen()" % port)
        self.assertEqual(p.eval("l.fileno()"), 1)
        keys, text = self.told(self.refused(p, log, port))
        self.assertEqual(keys["own_fd"], 1)
        self.assertNotIn("inherited", keys)
        self.assertNotIn("started", text)

    def handed_over(self, log, port, pid):
        """A service to which a listener is handed over as descriptor 3; LISTEN_PID says to whom."""
        manager = self.ours(port, listens=True)
        env = shimmed(LOG=log.path, FORMAT="json")
        env.update(LISTEN_FDS="1", LISTEN_PID="0")
        script = ("import os, socket, sys\n"
                  "if os.environ['LISTEN_PID'] == '0':\n"
                  "    os.dup2(%d, 3); os.environ['LISTEN_PID'] = %s\n"
                  "    os.execv(sys.executable, [sys.executable] + sys.orig_argv[1:])\n"
                  "try: socket.socket().bind(('127.0.0.1', %d))\n"
                  "except OSError as error: print(error.errno)\n"
                  % (manager.fileno(), pid, port))
        status, out, _ = self.run_program([paths.PYTHON, "-I", "-S", "-B", "-c", script], env,
                                          pass_fds=[manager.fileno()])
        self.assertEqual((status, out), (0, b"98\n"))
        return self.told(self.last(log, "bind"))

    def test_handed_over(self):
        """Socket activation (sd_listen_fds(3)), and a service that does not know of it."""
        keys, text = self.handed_over(self.log(), self.port(), "str(os.getpid())")
        self.assertEqual((keys["own_fd"], keys["listen_fds"], keys["inherited"]), (3, True, True))
        self.assertTrue(text.endswith("; LISTEN_FDS hands it over: take descriptor 3 instead of "
                                      "a new socket"), text)

    def test_handed_over_to_another(self):
        keys, text = self.handed_over(self.log(), self.port(), "'1'")
        self.assertEqual((keys["own_fd"], keys.get("listen_fds")), (3, None))
        self.assertNotIn("LISTEN_FDS", text)

    def test_workers(self):
        """A server that forks, and is killed: each of its workers must go."""
        log, port = self.log(), self.port()
        server = self.puppet(plain=True)
        server("l = socket.create_server(('127.0.0.1', %d))\n"
               "import signal; workers = []\n"
               "for _ in range(3):\n"
               "    pid = os.fork()\n"
               "    if not pid:\n"
               "        while True: signal.pause()\n"
               "    workers.append(pid)" % port)
        workers = server.eval("workers")
        for pid in workers:
            self.addCleanup(kill, pid)
        p = self.puppet(log)
        keys, text = self.told(self.refused(p, log, port))
        self.assertEqual((keys["pid"], keys.get("others"), keys.get("shared_by_fork")),
                         (server.pid, 3, True))
        self.assertEqual(text, "a listener on 127.0.0.1:%d of %s and 3 others, shared by fork, "
                         "has the port%s%s" % (port, program_of(server.pid), self.LIVE, self.CURE))

        p = self.puppet(log)
        name = program_of(workers[0])
        stop(server, workers)
        keys, text = self.told(self.refused(p, log, port))
        self.assertIn(keys["pid"], workers)
        self.assertEqual((keys["others"], keys["shared_by_fork"]), (2, True))
        self.assertNotIn("inherited", keys)
        for pid in workers[:2]:
            kill(pid)
        wait_until(lambda: not any(os.path.exists("/proc/%d/fd/0" % pid) for pid in workers[:2]),
                   "their end")
        p = self.puppet(log)
        keys, text = self.told(self.refused(p, log, port))
        self.assertEqual(keys, {"pid": workers[2], "prog": name.rpartition(" (")[0]})
        self.assertNotIn("inherited", text)

    def test_a_program_that_inherited_it(self):
        """Its server lives: the program is the other one."""
        log, port = self.log(), self.port()
        listener = self.ours(port, listens=True)
        self.hold(listener, "helper")
        p = self.puppet(log)
        keys, text = self.told(self.refused(p, log, port))
        self.assertEqual((keys["pid"], keys["others"], keys["inherited"]), (os.getpid(), 1, True))
        self.assertEqual(text, "a listener on 127.0.0.1:%d of %s and 1 other has the port%s; a "
                         "program that was executed inherited it, %s%s"
                         % (port, program_of(os.getpid()), self.LIVE, self.KEPT, self.CURE))

    def test_a_program_alone(self):
        """Its server is gone: who made the listener nobody knows, and nobody says."""
        log, port = self.log(), self.port()
        listener = self.ours(port, listens=True)
        helper = self.hold(listener, "helper")
        listener.close()
        p = self.puppet(log)
        keys, text = self.told(self.refused(p, log, port))
        self.assertEqual(keys, {"pid": helper.pid, "prog": "helper"})
        self.assertEqual(text, "a listener on 127.0.0.1:%d of helper (pid %d) has the port%s; "
                         "where helper has not made it, it has inherited it, %s"
                         % (port, helper.pid, self.LIVE, self.KEPT))

    def test_another_run_of_the_same_program(self):
        """It lacks SOCK_CLOEXEC as so many do: nothing to say of it."""
        log, port = self.log(), self.port()
        other = self.puppet(plain=True)
        other("l = socket.create_server(('127.0.0.1', %d)); l.set_inheritable(True)" % port)
        p = self.puppet(log)
        self.assertEqual(self.told(self.refused(p, log, port))[1],
                         self.listener_text("127.0.0.1:%d" % port, other.pid))


class Briefly(Notes):
    """Of binds that fail one upon the other, one a second is explained in full.

    Time is the kernel's, so a machine that stands still may have a second between any two:
    then it is tried again.
    """

    def two(self, p, log, first, second):
        """What two binds note, one upon the other, the first in full: the second's note."""
        def attempt():
            log.read()
            before = len(log.events)
            p("for port in %d, %d:\n"
              "    s = socket.socket(); error_of(s.bind, ('127.0.0.1', port)); s.close()"
              % (first, second))
            notes = [note for event in log.read()[before:] if event["call"] == "bind"
                     for note in event["notes"] if note["code"] != "reuse-enabled"]
            self.assertEqual(len(notes), 2)
            full, brief = map(contract.is_brief, notes)
            return notes[1] if brief and not full else None
        return wait_until(attempt, "two binds within a second, the first a second after others")

    def test_a_listener(self):
        log, port = self.log(), self.port()
        listener = self.ours(port, listens=True)
        p = self.puppet(log)
        note = self.two(p, log, port, port)
        inode = os.fstat(listener.fileno()).st_ino
        self.assertEqual(note, {
            "code": "in-use-listener", "local": "127.0.0.1:%d" % port, "inode": inode,
            "uid": os.geteuid(), "incomplete": True,
            "text": "a listener on 127.0.0.1:%d (socket inode %d, uid %d) has the port; "
                    "SO_REUSEADDR never takes it from a live one; tcpshim why %d tells more"
                    % (port, inode, os.geteuid(), port)})
        self.note(self.refused(p, log, port), "in-use-listener")

    def test_another_port(self):
        """Nothing is known of it but what the kernel says at once."""
        log, port, dying = self.log(), self.port(), self.port()
        self.ours(port, listens=True)
        self.time_wait(dying)
        p = self.puppet(log)
        note = self.two(p, log, port, dying)
        self.assertEqual(note, {
            "code": "in-use-bound", "incomplete": True,
            "text": "no listener has port %d, so a socket that is bound or a connection has; "
                    "tcpshim why %d tells more" % (dying, dying)})
        self.assertEqual(self.two(p, log, dying, port)["local"], "127.0.0.1:%d" % port)

    def test_dying_ones(self):
        log, port = self.log(), self.port()
        self.time_wait(port)
        p = self.puppet(log)
        self.assertEqual(self.two(p, log, port, port), {
            "code": "in-use-dying", "port": port, "had_option": True,
            "text": "no listener has port %d; a moment ago dying connections had; "
                    "tcpshim why %d tells more" % (port, port)})

    def test_what_it_costs(self):
        """Few system calls, and none that opens a file or makes a socket."""
        if strace.available():
            self.skipTest(strace.available())
        log, port, trace = self.log(), self.port(), self.path("trace")
        self.ours(port, listens=True)
        script = ("import socket\n"
                  "sockets = [socket.socket() for _ in range(20)]\n"
                  "for s in sockets:\n"
                  "    try: s.bind(('127.0.0.1', %d))\n"
                  "    except OSError: pass\n" % port)
        env = shimmed(LOG=log.path, FORMAT="json", REUSE="off")
        command = strace.command(trace, env, [paths.PYTHON, "-I", "-S", "-B", "-c", script],
                                 traced=())
        command.remove("-yy")  # what the descriptors are it would look up again and again
        status, _, err = self.run_program(command)
        self.assertEqual((status, err), (0, b""))
        events = [event for event in log.read() if event["call"] == "bind"]
        with open(trace) as file:
            lines = [line for line in file.read().splitlines()
                     if "clock_gettime(" not in line]  # a system call where there is no vDSO
        ends = [at for at, line in enumerate(lines) if " bind(" in line]
        self.assertEqual((len(events), len(ends)), (20, 20))
        brief = [lines[ends[i]:ends[i + 1]] for i in range(19)
                 if all(map(contract.is_brief, events[i]["notes"]))]
        self.assertTrue(brief)
        for calls in brief:
            self.assertLessEqual(len(calls), 30, calls)
            for line in calls:
                self.assertNotRegex(line, r" (open|openat|socket|readlink\w*|getdents\w*)\(")


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def stop(server, workers):
    """Kill the server; its workers are nobody's children then."""
    server.kill()
    for pid in workers:
        wait_until(lambda pid=pid: parent_of(pid) != server.pid, "an orphan")


def parent_of(pid):
    with open("/proc/%d/stat" % pid) as file:
        return int(file.read().rpartition(")")[2].split()[1])


class Bound(Notes):
    """in-use-bound: a socket that does not listen, or a live connection."""

    @needs_bound
    def test_a_bound_socket(self):
        log, port = self.log(), self.port()
        self.ours(port)
        p = self.puppet(log)
        event = self.refused(p, log, port)
        self.assertEqual(self.note(event, "in-use-bound"),
                         "a socket bound to 127.0.0.1:%d that does not listen of %s has the port"
                         % (port, program_of(os.getpid())))
        self.absent([event], "in-use-listener", "in-use-dying")

    @needs_bound
    def test_a_bound_socket_of_our_own(self):
        log, port = self.log(), self.port()
        p = self.puppet(log, REUSE="off")
        p("t = socket.socket(); t.bind(('0.0.0.0', %d))" % port)
        event = self.refused(p, log, port)
        self.assertEqual(self.note(event, "in-use-bound"),
                         "a socket bound to 0.0.0.0:%d that does not listen of this process "
                         "itself, %s has the port" % (port, program_of(p.pid)))

    @needs_bound
    @needs_ipv6
    def test_a_bound_socket_of_ipv6(self):
        log, port = self.log(), self.port()
        dual = self.ours(port, "::", socket.AF_INET6, [(socket.IPPROTO_IPV6,
                                                        socket.IPV6_V6ONLY, 0)])
        p = self.puppet(log)
        event = self.refused(p, log, port)
        self.assertEqual(self.note(event, "in-use-bound"),
                         "a socket bound to [::]:%d that does not listen of %s has the port"
                         % (port, program_of(os.getpid())))
        dual.close()
        self.ours(port, "::", socket.AF_INET6, [(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)])
        self.assertEqual(self.notes(self.bound(p, log, port)), ["reuse-enabled"])

    def test_a_live_connection(self):
        log, port = self.log(), self.port()
        (client, _), = self.connection(port)
        p = self.puppet(log)
        for host in ("127.0.0.1", "0.0.0.0"):
            event = self.refused(p, log, port, host)
            self.assertEqual(self.note(event, "in-use-bound"),
                             "a live connection 127.0.0.1:%d - %s of %s has the port"
                             % (port, address(client), program_of(os.getpid())))
        self.assertEqual(self.notes(self.bound(p, log, port, "127.0.0.2")), ["reuse-enabled"])

    def test_one_of_several(self):
        log, port = self.log(), self.port()
        pairs = self.connection(port, count=4)
        pairs[3][1].close()
        pairs[3][0].close()
        p = self.puppet(log)
        text = self.note(self.refused(p, log, port), "in-use-bound")
        found = re.match(r"a live connection 127\.0\.0\.1:%d - (\S+) of (.*) has the port, "
                         r"one of 3, or 1 dying connection$" % port, text)
        self.assertTrue(found, text)
        self.assertIn(found.group(1), [address(client) for client, _ in pairs[:3]])
        self.assertEqual(found.group(2), program_of(os.getpid()))

    def test_an_end_that_somebody_still_holds(self):
        """FIN_WAIT_2 and CLOSE_WAIT behind an open descriptor are not dying."""
        for half, state in ((1, "FIN_WAIT_2"), (0, "CLOSE_WAIT")):
            log, port = self.log(self.fresh("log").rpartition("/")[2]), self.port()
            (pair, ) = self.connection(port)
            pair[half].shutdown(socket.SHUT_WR)
            until(kernel.cookie_of(pair[1]), state)
            p = self.puppet(log)
            event = self.refused(p, log, port)
            self.assertTrue(self.note(event, "in-use-bound").startswith("a live connection "))
            self.absent([event], "in-use-dying")

    def test_made_with_the_option(self):
        """Then a bind with the option works, and there is nothing to explain."""
        log, port = self.log(), self.port()
        self.connection(port, reuse=1)
        p = self.puppet(log)
        self.assertEqual(self.notes(self.bound(p, log, port)), ["reuse-enabled"])

    @needs_bound
    @needs_root
    def test_whose_owner_may_not_be_seen(self):
        log, port = self.log(), self.port()
        sock = self.ours(port)
        p = self.puppet(log)
        p("os.setuid(%d)" % NOBODY)
        self.assertEqual(
            self.note(self.refused(p, log, port), "in-use-bound"),
            "a socket bound to 127.0.0.1:%d that does not listen (socket inode %d, uid %d, in no "
            "process that can be seen) has the port"
            % (port, os.fstat(sock.fileno()).st_ino, os.geteuid()))


class Dying(Notes):
    """in-use-dying: only connections that nobody has open any more."""

    def seconds(self, text):
        return float(re.search(r" for (\d+\.\d) s ", text).group(1))

    def test_made_without_the_option(self):
        """The poisoned first run: the option would have had to be there already."""
        log, port = self.log(), self.port()
        entry, = self.time_wait(port)
        p = self.puppet(log)
        text = self.note(self.refused(p, log, port), "in-use-dying")
        left = kernel.by_cookie(entry.cookie).expires
        said = self.seconds(text)
        self.assertEqual(text, "1 TIME_WAIT connection holds port %d for %.1f s more "
                         "(peer 127.0.0.1:%d), made without SO_REUSEADDR, as a run without the "
                         "shim leaves it" % (port, said, entry.peer[1]))
        self.assertGreaterEqual(said * 1000, left - 100)
        self.assertLessEqual(said * 1000, entry.expires)

    def test_ours_is_without_the_option(self):
        log, port = self.log(), self.port()
        entry, = self.time_wait(port, reuse=1)
        p = self.puppet(log, REUSE="off")
        event = self.refused(p, log, port)
        text = self.note(event, "in-use-dying")
        self.assertEqual(text, "1 TIME_WAIT connection holds port %d for %.1f s more "
                         "(peer 127.0.0.1:%d); with SO_REUSEADDR the bind would probably work"
                         % (port, self.seconds(text), entry.peer[1]))
        self.absent([event], "in-use-bound", "in-use-listener", "waited")
        event = self.bound(p, log, port, before=REUSE % ("s", 1))
        self.assertEqual(self.notes(event), [])

    def test_gentle_has_tried_it(self):
        """No word of what the option would do, where it has just been tried in vain."""
        log, port = self.log(), self.port()
        self.time_wait(port)
        p = self.puppet(log, REUSE="gentle")
        text = self.note(self.refused(p, log, port), "in-use-dying")
        self.assertNotIn("would probably work", text)
        self.assertIn("made without SO_REUSEADDR", text)

    def test_several(self):
        log, port = self.log(), self.port()
        entries = self.time_wait(port, count=3)
        p = self.puppet(log)
        text = self.note(self.refused(p, log, port), "in-use-dying")
        last = max(entries, key=lambda entry: kernel.by_cookie(entry.cookie).expires)
        self.assertRegex(text, r"^3 dying connections hold port %d for \d+\.\d s more at most "
                         r"\(the last with peer 127\.0\.0\.1:(%s)\), made without "
                         % (port, "|".join(str(entry.peer[1]) for entry in entries)))
        left = kernel.by_cookie(last.cookie).expires
        self.assertGreaterEqual(self.seconds(text) * 1000, left - 100)

    def test_fin_wait_2(self):
        log, port = self.log(), self.port()
        (client, server), = self.connection(port)
        cookie = kernel.cookie_of(server)
        server.shutdown(socket.SHUT_WR)
        until(cookie, "FIN_WAIT_2")
        server.close()
        p = self.puppet(log)
        text = self.note(self.refused(p, log, port), "in-use-dying")
        left = kernel.by_cookie(cookie).expires
        self.assertTrue(text.startswith("1 FIN_WAIT_2 connection holds port %d for " % port), text)
        self.assertIn("(peer %s)" % address(client), text)
        self.assertGreaterEqual(self.seconds(text) * 1000, left - 100)

    def test_that_tell_no_time(self):
        """FIN_WAIT_1 behind a closed window: it ends when the peer has answered."""
        log, port = self.log(), self.port()
        (client, server), = self.connection(port)
        cookie = kernel.cookie_of(server)
        fill(server)
        server.close()
        until(cookie, "FIN_WAIT_1")
        p = self.puppet(log)
        text = self.note(self.refused(p, log, port), "in-use-dying")
        self.assertEqual(text, "1 FIN_WAIT_1 connection holds port %d, 1 of them until the peer "
                         "has answered (peer %s), made without SO_REUSEADDR, as a run without "
                         "the shim leaves it" % (port, address(client)))

    def test_made_with_the_option(self):
        log, port = self.log(), self.port()
        self.time_wait(port, reuse=1)
        p = self.puppet(log)
        self.assertEqual(self.notes(self.bound(p, log, port)), ["reuse-enabled"])

    def test_elsewhere(self):
        """Dying connections of another address are in nobody's way."""
        log, port = self.log(), self.port()
        self.time_wait(port)
        p = self.puppet(log)
        self.assertEqual(self.notes(self.bound(p, log, port, "127.0.0.2")), ["reuse-enabled"])
        self.ours(port, "127.0.0.2", listens=True)
        event = self.refused(p, log, port, "127.0.0.2")
        self.note(event, "in-use-listener")
        self.absent([event], "in-use-dying")


class Outgoing(Notes):
    """A port of the range that the kernel chooses from: who connected to somewhere had it."""

    MOVE = "move the service below it or reserve it: sysctl net.ipv4.ip_local_reserved_ports=%d"

    def setUp(self):
        super().setUp()
        if os.geteuid() == 0:  # alone: the kernel gives one port to several that connect
            self.namespace()
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            self.range = [int(word) for word in file.read().split()]

    def dialled(self, server_port, reuse=1):
        """A connection to a server that is gone: the client's end, and the server's."""
        server = self.ours(server_port, listens=True,
                           options=[(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)])
        client = socket.socket()
        self.addCleanup(client.close)
        if os.geteuid() != 0:  # else others may have the port as well
            client.bind(("127.0.0.1", 0))
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        self.addCleanup(accepted.close)
        server.close()
        return client, accepted

    def hang_up(self, first, second):
        """Return the port of the one that closes first, and has TIME_WAIT then."""
        cookie, port = kernel.cookie_of(first), first.getsockname()[1]
        first.close()
        second.close()
        until(cookie, "TIME_WAIT")
        return port

    def told(self, event, code="in-use-dying"):
        note, = (note for note in event["notes"] if note["code"] == code)
        return (note.get("cause"), [note[key] for key in ("first_port", "last_port")
                                    if key in note], note["text"])

    def test_that_is_over(self):
        """No run without the shim left it, and the option would not help."""
        log, server = self.log(), self.port()
        port = self.hang_up(*self.dialled(server))
        taken = ("(peer 127.0.0.1:%d): an outgoing connection to 127.0.0.1:%d took port %d from "
                 "the range %d-%d; " % (server, server, port, *self.range) + self.MOVE % port)
        for reuse in "auto", "off":
            with self.subTest(reuse):
                p = self.puppet(log, REUSE=reuse)
                cause, ports, text = self.told(self.refused(p, log, port))
                self.assertEqual((cause, ports), ("outgoing", self.range))
                self.assertTrue(text.endswith(taken), text)
                self.assertNotIn("without", text)
        self.refused(p, log, port, before=REUSE % ("s", 1))

    def test_both_ends_in_the_range(self):
        """The server's end or the client's: nobody can tell."""
        log = self.log()
        client, accepted = self.dialled(0, reuse=0)
        port = self.hang_up(accepted, client)
        p = self.puppet(log, REUSE="auto")
        cause, ports, text = self.told(self.refused(p, log, port))
        self.assertEqual((cause, ports), ("either", self.range))
        taken = ("an outgoing connection took port %d from the range %d-%d (then %s)"
                 % (port, *self.range, self.MOVE % port))
        self.assertTrue(text.endswith("), made without SO_REUSEADDR: a run without the shim left "
                                      "it, or " + taken), text)
        p = self.puppet(log, REUSE="off")
        cause, ports, text = self.told(self.refused(p, log, port))
        self.assertEqual((cause, ports), ("either", self.range))
        self.assertTrue(text.endswith("; with SO_REUSEADDR the bind would probably work, unless "
                                      + taken), text)

    def test_of_a_server_below_the_range(self):
        log, port = self.log(), self.port()
        self.time_wait(port)
        p = self.puppet(log)
        self.assertEqual(self.told(self.refused(p, log, port))[:2], ("no-shim", []))
        p = self.puppet(log, REUSE="off")
        self.assertEqual(self.told(self.refused(p, log, port))[:2], (None, []))

    def test_that_lives(self):
        log, server = self.log(), self.port()
        client, _ = self.dialled(server)
        port = client.getsockname()[1]
        p = self.puppet(log)
        _, _, text = self.told(self.refused(p, log, port), "in-use-bound")
        self.assertTrue(text.startswith("a live connection 127.0.0.1:%d - 127.0.0.1:%d of %s has "
                                        "the port" % (port, server, program_of(os.getpid()))), text)
        self.assertTrue(text.endswith("; as an outgoing connection it took port %d from the range "
                                      "%d-%d; %s" % (port, *self.range, self.MOVE % port)), text)

    @needs_root
    def test_the_cure(self):
        """Once it is reserved as the note says, no connection takes it."""
        self.namespace(ip_local_port_range="40000 40003")
        self.range = [40000, 40003]
        log, server = self.log(), self.port()
        port = self.hang_up(*self.dialled(server))
        p = self.puppet(log)
        _, _, text = self.told(self.refused(p, log, port))
        name, value = re.search(r"sysctl net\.ipv4\.(\w+)=(\d+)$", text).groups()
        with open("/proc/sys/net/ipv4/" + name, "w") as file:
            file.write(value)
        others = {self.dialled(server)[0].getsockname()[1] for _ in range(3)}
        self.assertEqual(others, {40000, 40001, 40002, 40003} - {port})
        with self.assertRaisesRegex(OSError, "Cannot assign"):
            self.dialled(server)


def fill(sock):
    """Send until the window is closed."""
    sock.setblocking(False)
    try:
        while True:
            sock.send(b"x" * 65536)
    except BlockingIOError:
        pass


class Refusals(Notes):
    """not-local, privileged-port, ports-exhausted: binds that fail for another reason."""

    EXHAUSTED = ("no free local port: of 40000 to 40003 (net.ipv4.ip_local_port_range) "
                 "4 are taken")
    NO_PORT = ("; where a connect follows, IP_BIND_ADDRESS_NO_PORT set before the bind lets "
               "connections to different peers share a port")

    def test_not_local(self):
        log, port = self.log(), self.port()
        p = self.puppet(log)
        event = self.refused(p, log, port, "192.0.2.1", error="EADDRNOTAVAIL")
        self.assertEqual(self.note(event, "not-local"),
                         "no interface here has the address of 192.0.2.1:%d" % port)
        self.absent([self.bound(p, log, port, "127.0.0.3"), self.bound(p, log, 0)], "not-local")

    @needs_ipv6
    def test_not_local_ipv6(self):
        log, port = self.log(), self.port()
        p = self.puppet(log)
        event = self.refused(p, log, port, "2001:db8::1", socket.AF_INET6, error="EADDRNOTAVAIL")
        self.assertEqual(self.note(event, "not-local"),
                         "no interface here has the address of [2001:db8::1]:%d, "
                         "or it is not ready yet" % port)
        self.absent([self.bound(p, log, port, "::1", socket.AF_INET6)], "not-local")

    @needs_root
    def test_privileged_port(self):
        self.namespace(ip_unprivileged_port_start=2000)
        log = self.log()
        p = self.puppet(log)
        self.absent([self.bound(p, log, 1999)], "privileged-port")
        p("os.setuid(%d)" % NOBODY)
        event = self.refused(p, log, 1999, error="EACCES")
        self.assertEqual(self.note(event, "privileged-port"),
                         "port 1999 is below 2000 (net.ipv4.ip_unprivileged_port_start) and the "
                         "process lacks CAP_NET_BIND_SERVICE")
        self.absent([self.bound(p, log, 2000)], "privileged-port")

    @needs_bound
    @needs_root
    def test_ports_exhausted_at_bind(self):
        self.namespace(ip_local_port_range="40000 40003")
        log = self.log()
        p = self.puppet(log)
        p("taken = [socket.socket() for _ in range(4)]\n"
          "for t in taken: t.bind(('127.0.0.1', 0))")
        self.absent(log.read(), "ports-exhausted")
        event = self.refused(p, log, 0)
        self.assertEqual(self.note(event, "ports-exhausted"),
                         self.EXHAUSTED + self.NO_PORT)
        self.absent([event], "in-use-bound", "in-use-listener")

        # And one upon the other.
        def again():
            p.eval("[error_of(socket.socket().bind, ('127.0.0.1', 0)) for _ in range(2)]")
            notes = [event["notes"][0] for event in log.read() if "error" in event][-2:]
            return [contract.is_brief(note) for note in notes] == [False, True] and notes[1]
        self.assertEqual(wait_until(again, "two within a second"), {
            "code": "ports-exhausted", "first_port": 40000, "last_port": 40003,
            "text": "no free local port of 40000 to 40003 (net.ipv4.ip_local_port_range), as was "
                    "counted less than a second ago"})
        # A port that was asked for is another matter.
        p("taken[0].close()")
        event = self.refused(p, log, p.eval("taken[1].getsockname()[1]"), before=REUSE % ("s", 0))
        self.absent([event], "ports-exhausted")
        self.note(event, "in-use-bound")
        self.absent([self.bound(p, log, 0)], "ports-exhausted")

    @needs_root
    def test_ports_exhausted_at_connect(self):
        self.namespace(ip_local_port_range="40000 40003")
        log = self.log()
        p = self.puppet(log)
        p("l = socket.create_server(('127.0.0.1', 30000))\n"
          "taken = [socket.create_connection(('127.0.0.1', 30000)) for _ in range(4)]\n"
          "c = socket.socket()")
        self.absent(log.read(), "ports-exhausted")
        self.assertEqual(p.eval("error_of(c.connect, ('127.0.0.1', 30000))"), "EADDRNOTAVAIL")
        self.assertEqual(self.note(self.last(log, "connect"), "ports-exhausted"),
                         self.EXHAUSTED + "; another port or address of the peer, or a wider "
                         "range, has more")
        # That is so.
        p("m = socket.create_server(('127.0.0.1', 30001))\n"
          "others = [socket.create_connection(('127.0.0.1', 30001)) for _ in range(4)]")

    @needs_root
    @needs_ipv6
    def test_no_address_is_no_exhausted_range(self):
        """EADDRNOTAVAIL too: there is nothing that the connection could come from."""
        self.namespace(ip_local_port_range="40000 40003")
        with open("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "w") as file:
            file.write("1")
        log = self.log()
        p = self.puppet(log)
        p("l = socket.create_server(('127.0.0.1', 30000))\n"
          "taken = [socket.create_connection(('127.0.0.1', 30000)) for _ in range(4)]\n"
          "def dial(family, host): return error_of(socket.socket(family).connect, (host, 30000))\n"
          "both = (socket.AF_INET6, '::1'), (socket.AF_INET, '127.0.0.1')")
        # Whichever comes first.
        for order in "both", "both[::-1]":
            self.assertEqual(p.eval("[dial(*each) for each in %s]" % order), ["EADDRNOTAVAIL"] * 2)
            events = [event for event in log.new() if event["call"] == "connect"][-2:]
            for event in events:
                if event["peer"].startswith("["):
                    self.absent([event], "ports-exhausted")
            if order == "both":
                self.note(events[1], "ports-exhausted")

    @needs_root
    @needs_ipv6
    def test_ports_exhausted_for_one_peer(self):
        """What was counted for one says nothing of another that there is no address for."""
        self.namespace(ip_local_port_range="40000 40003")
        log = self.log()
        p = self.puppet(log)
        p("l = socket.create_server(('::1', 30000), family=socket.AF_INET6)\n"
          "taken = [socket.create_connection(('::1', 30000)) for _ in range(4)]\n"
          "def dial(port): return error_of(socket.socket(socket.AF_INET6).connect, ('::1', port))")

        self.assertEqual(p.eval("dial(30000)"), "EADDRNOTAVAIL")
        p("open('/proc/sys/net/ipv6/conf/lo/disable_ipv6', 'w').write('1')")
        self.assertEqual(p.eval("dial(30001)"), "EADDRNOTAVAIL")
        first, other = [event for event in log.read() if "error" in event]
        self.note(first, "ports-exhausted")
        self.absent([other], "ports-exhausted")

    def exhausted(self, log, call):
        """The figures of the note, without the range; and the text."""
        note, = [note for note in self.last(log, call)["notes"]
                 if note["code"] == "ports-exhausted"]
        return {key: note[key] for key in ("taken", "time_wait", "peer") if key in note}, \
            note["text"]

    def hang_up(self, port, count):
        """So many connections from here to there, and the one who closes first is here."""
        with socket.create_server(("127.0.0.1", port)) as server:
            for _ in range(count):
                client = socket.create_connection(("127.0.0.1", port))
                accepted, _ = server.accept()
                cookie = kernel.cookie_of(client)
                client.close()
                accepted.close()
                until(cookie, "TIME_WAIT")

    @needs_root
    def test_ports_exhausted_by_time_wait(self):
        """A client that makes a new connection for each request, to one server."""
        self.namespace(ip_local_port_range="40000 40003", tcp_tw_reuse=0)
        self.hang_up(30000, 4)
        log = self.log()
        p = self.puppet(log)
        p("l = socket.create_server(('127.0.0.1', 30000)); c = socket.socket()")
        self.assertEqual(p.eval("error_of(c.connect, ('127.0.0.1', 30000))"), "EADDRNOTAVAIL")
        figures, text = self.exhausted(log, "connect")
        self.assertEqual(figures, {"taken": 4, "time_wait": 4, "peer": "127.0.0.1:30000"})
        kept = "; a connection that is kept and used again leaves no TIME_WAIT"
        waits = ", 4 by TIME_WAIT of connections to 127.0.0.1:30000"
        self.assertEqual(text, self.EXHAUSTED + waits + kept)
        event = self.refused(p, log, 0)
        self.assertEqual(self.note(event, "ports-exhausted"),
                         self.EXHAUSTED + waits + self.NO_PORT + kept)

    @needs_bound
    @needs_root
    def test_ports_exhausted_by_several(self):
        """No one peer has most of them, or few are in TIME_WAIT: no more is said than that."""
        self.namespace(ip_local_port_range="40000 40007", tcp_tw_reuse=0)
        for port, count in (30000, 3), (30001, 2), (30002, 1):
            self.hang_up(port, count)
        log = self.log()
        p = self.puppet(log)
        # A connection to elsewhere may have a port that is taken: a bind may not.
        p("taken = []\n"
          "while not error_of(lambda: taken.append(socket.socket()) or "
          "taken[-1].bind(('127.0.0.1', 0))): pass")
        figures, text = self.exhausted(log, "bind")
        waiting = {(entry.local[1], entry.peer[1]) for entry in kernel.diag()
                   if entry.state == "TIME_WAIT" and entry.local[1] >= 40000}
        ports = {port for port, _ in waiting}
        if 3 * 2 > len(ports):  # the kernel may have given one port to connections to several
            self.assertEqual(figures, {"taken": 8, "time_wait": 3, "peer": "127.0.0.1:30000"})
        else:
            self.assertEqual(figures, {"taken": 8, "time_wait": len(ports)})
            self.assertNotIn("connections to 127", text)

    @needs_bound
    @needs_root
    def test_ports_exhausted_at_listen(self):
        """listen binds what was not bound."""
        self.namespace(ip_local_port_range="40000 40003")
        log = self.log()
        p = self.puppet(log)
        p("taken = [socket.socket() for _ in range(4)]\n"
          "for t in taken: t.bind(('127.0.0.1', 0))")
        self.assertEqual(p.eval("error_of(socket.socket().listen)"), "EADDRINUSE")
        self.assertEqual(self.exhausted(log, "listen"), ({"taken": 4}, self.EXHAUSTED))

    @needs_root
    def test_no_port_before_the_connect(self):
        """The cure of a client that binds to its address first."""
        self.namespace(ip_local_port_range="40000 40003")
        log = self.log()
        p = self.puppet(log)
        p("servers = [socket.create_server(('127.0.0.1', port)) for port in (30000, 30001)]\n"
          "clients = []\n"
          "def dial(port, no_port):\n"
          "    c = socket.socket(); clients.append(c)\n"
          "    c.setsockopt(socket.IPPROTO_IP, 24, no_port)\n"
          "    c.bind(('127.0.0.1', 0)); c.connect(('127.0.0.1', port))")
        p("for port in (30000, 30001):\n"
          "    for _ in range(4): dial(port, 1)")
        self.assertEqual(p.eval("error_of(dial, 30000, 0)"), "EADDRINUSE")
        self.assertIn(self.NO_PORT, self.exhausted(log, "bind")[1])

    @needs_root
    def test_a_fixed_port_is_not_an_exhausted_range(self):
        """A client that binds its port is refused at connect by the connection that is there."""
        self.namespace(ip_local_port_range="40000 40003")
        log = self.log()
        p = self.puppet(log)
        p("l = socket.create_server(('127.0.0.1', 30000))\n"
          "taken = [socket.create_connection(('127.0.0.1', 30000)) for _ in range(3)]\n"
          "def client():\n"
          "    s = socket.socket(); s.bind(('127.0.0.1', 20000)); return s\n"
          "a = client(); a.connect(('127.0.0.1', 30000))\n"
          "b = client()")
        self.assertEqual(p.eval("error_of(b.connect, ('127.0.0.1', 30000))"), "EADDRNOTAVAIL")
        self.absent(log.read(), "ports-exhausted", "not-local")

    def test_a_range_of_ones_own(self):
        """IP_LOCAL_PORT_RANGE narrows what one socket may take: the system's is not full."""
        log, port = self.log(), self.port()
        self.ours(port)
        p = self.puppet(log)
        p("s = socket.socket()")
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            low = int(file.read().split()[0])
        both = low << 16 | low
        if p.eval("error_of(s.setsockopt, 0, 51, struct.pack('=I', %d))" % both):
            self.skipTest("no IP_LOCAL_PORT_RANGE")
        holder = socket.socket()
        self.addCleanup(holder.close)
        try:
            holder.bind(("127.0.0.1", low))
        except OSError:
            pass  # somebody has it: as good
        self.assertEqual(p.eval("error_of(s.bind, ('127.0.0.1', 0))"), "EADDRINUSE")
        self.absent(log.read(), "ports-exhausted")


class Connects(Notes):
    """refused, address-taken, self-connect: a connect to this machine itself.

    What comes back from elsewhere is told in test_wire.
    """

    ASLEEP = "RST or ICMP came back from %s: a socket is bound there, on this machine, and does " \
             "not listen"
    REFUSED = "RST or ICMP came back from %s: nobody listens there, or a firewall rejects it"

    def connect(self, p, log, where, before="", family=socket.AF_INET):
        """The event of a connect; `c` is the socket, `error` what Python says of it."""
        p("c = socket.socket(%d); %s" % (family, before))
        p("error = error_of(c.connect, %r)" % (where,))
        return self.last(log, "connect")

    def test_refused(self):
        log, port = self.log(), self.port()
        p = self.puppet(log)
        event = self.connect(p, log, ("127.0.0.1", port))
        self.match(event, error="ECONNREFUSED", via=["SYN_SENT"])
        self.assertEqual(self.note(event, "refused"), self.REFUSED % ("127.0.0.1:%d" % port))

    def test_refused_without_waiting(self):
        """On loopback it is over when connect returns; the RST can still be seen later."""
        for host in "127.0.0.1", "0.0.0.0":
            log, port = self.log(self.fresh("log").rpartition("/")[2]), self.port()
            p = self.puppet(log)
            event = self.connect(p, log, (host, port), "c.setblocking(0)")
            self.match(event, error="EINPROGRESS", via=["SYN_SENT"], state="CLOSED", notes=None)
            p("error_of(c.connect, (%r, %d))" % (host, port))
            again = self.last(log, "connect")
            self.match(again, error="ECONNREFUSED", via=None, was="CLOSED")
            note, = again["notes"]
            self.assertEqual((note["code"], note["by"], note["peer"]),
                             ("refused", "rst", "%s:%d" % (host, port)))
            self.assertNotIn("earlier", note)

    @needs_bound
    def test_bound_and_not_listening(self):
        """The server is there and has not called listen: as far as it is on this machine."""
        hosts = ["127.0.0.1", "0.0.0.0"] + ["::"] * kernel.has_ipv6()
        for host in hosts:
            log, port = self.log(self.fresh("log").rpartition("/")[2]), self.port()
            p = self.puppet(log)
            self.ours(port, host, socket.AF_INET6 if ":" in host else socket.AF_INET)
            event = self.connect(p, log, ("127.0.0.1", port))
            self.assertEqual(self.note(event, "refused"), self.ASLEEP % ("127.0.0.1:%d" % port))
            # Who tries one port after the other does not have the kernel look each time.
            port = self.port()
            self.ours(port, host, socket.AF_INET6 if ":" in host else socket.AF_INET)
            event = self.connect(p, log, ("127.0.0.1", port))
            self.assertEqual(self.note(event, "refused"), self.REFUSED % ("127.0.0.1:%d" % port))

    @needs_ipv6
    def test_bound_elsewhere(self):
        """For IPv6 alone, to another address, to another port."""
        for host, family, options, beside in (
                ("::", socket.AF_INET6, [(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)], 0),
                ("127.0.0.2", socket.AF_INET, [], 0), ("127.0.0.1", socket.AF_INET, [], 1)):
            log, port = self.log(self.fresh("log").rpartition("/")[2]), self.port()
            p = self.puppet(log)
            self.ours(self.port() if beside else port, host, family, options)
            event = self.connect(p, log, ("127.0.0.1", port))
            self.assertEqual(self.note(event, "refused"), self.REFUSED % ("127.0.0.1:%d" % port))

    def test_nothing_is_asked_for_a_connect_that_works(self):
        log, port = self.log(), self.port()
        self.ours(port, listens=True)
        p = self.puppet(log)
        event = self.connect(p, log, ("127.0.0.1", port))
        self.match(event, error=None, notes=None)

    # address-taken

    TAKEN = "that very connection exists already: %s - %s, in %s%s%s; unbound, the kernel would " \
            "choose one that is free"
    PASSED = "; bind had let the port pass for SO_REUSEADDR"

    def taken(self, p, log, host, server, bound, before=""):
        """Connect to the server from a port that has a connection to it."""
        event = self.connect(p, log, server, "%s\nc.bind((%r, %d))" % (before, host, bound))
        self.assertEqual(p.eval("error"), "EADDRNOTAVAIL")
        self.absent([event], "ports-exhausted", "not-local")
        return event

    def owned(self, attempt):
        """The event of that whose note has an owner: looked for within 20 ms, once a second."""
        def found():
            event = attempt()
            return event if "pid" in event["notes"][0] else None
        return wait_until(found, "the owner")

    def test_address_taken(self):
        """The same port to the same server, twice: the rescue of bind moves the error here."""
        for host in ("127.0.0.1", "0.0.0.0"):
            log, port, bound = self.log(self.fresh("log").rpartition("/")[2]), self.port(), \
                self.port()
            server = self.ours(port, listens=True)
            there, here = "127.0.0.1:%d" % port, "127.0.0.1:%d" % bound
            p = self.puppet(log)
            p("a = socket.socket(); a.bind((%r, %d)); a.connect(%r)"
              % (host, bound, server.getsockname()))
            event = self.owned(
                lambda: self.taken(p, log, host, server.getsockname(), bound))
            self.match(event, state="CLOSED", peer=there)
            note, = event["notes"]
            program = program_of(p.pid)
            self.assertEqual(note, {
                "code": "address-taken", "local": here, "peer": there, "state": "ESTABLISHED",
                "pid": p.pid, "prog": program.split(" (")[0],
                "text": self.TAKEN % (here, there, "ESTABLISHED", ", of " + program,
                                      self.PASSED)})

    @needs_root
    def test_address_taken_by_what_dies(self):
        """The connection of a client that has closed: by its state, and nobody's any more."""
        self.namespace(tcp_timestamps=0)  # with them the kernel would take it over
        log, port, bound = self.log(), self.port(), self.port()
        server = self.ours(port, listens=True)
        p = self.puppet(log)
        p("a = socket.socket(); a.bind(('127.0.0.1', %d)); a.connect(%r); k = cookie(a); a.close()"
          % (bound, server.getsockname()))
        until(p.eval("k"), "FIN_WAIT_2")
        event = self.taken(p, log, "127.0.0.1", server.getsockname(), bound)
        self.assertEqual(self.note(event, "address-taken"), self.TAKEN % (
            "127.0.0.1:%d" % bound, "127.0.0.1:%d" % port, "FIN_WAIT_2",
            ", which no process has open any more", self.PASSED))

    @needs_ipv6
    def test_address_taken_across_the_families(self):
        """An IPv4 connection, met by an IPv6 socket that connects to the mapped address."""
        log, port, bound = self.log(), self.port(), self.port()
        server = self.ours(port, listens=True)
        p = self.puppet(log)
        p("a = socket.socket(); a.bind(('127.0.0.1', %d)); a.connect(%r)"
          % (bound, server.getsockname()))

        def attempt():
            p("c = socket.socket(socket.AF_INET6); c.bind(('::ffff:127.0.0.1', %d))" % bound)
            p("error = error_of(c.connect, ('::ffff:127.0.0.1', %d))" % port)
            self.assertEqual(p.eval("error"), "EADDRNOTAVAIL")
            return self.last(log, "connect")
        note, = self.owned(attempt)["notes"]
        self.assertEqual((note["code"], note["local"], note["pid"]),
                         ("address-taken", "127.0.0.1:%d" % bound, p.pid))

    def test_address_taken_by_another_process(self):
        """Its owner is told, and not that of another connection from the same port."""
        log, port, other, bound = self.log(), self.port(), self.port(), self.port()
        servers = [self.ours(number, listens=True) for number in (port, other)]
        option = [(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)]
        p, holder = self.puppet(log), self.puppet(plain=True)
        first = self.ours(bound, options=option)
        first.connect(servers[1].getsockname())
        holder("a = socket.socket(); %s; a.bind(('127.0.0.1', %d)); a.connect(%r)"
               % (REUSE % ("a", 1), bound, servers[0].getsockname()))

        def found(host):
            event = self.taken(p, log, host, servers[0].getsockname(), bound)
            return ", of %s;" % program_of(holder.pid) in self.note(event, "address-taken")
        for host in ("127.0.0.1", "0.0.0.0"):
            wait_until(lambda: found(host), "the owner")  # within 20 ms, on a busy machine

    def test_address_taken_a_moment_later(self):
        """Who has it is looked for once a second; that it is there, is told of each."""
        log, bound = self.log(), self.port()
        servers = [self.ours(self.port(), listens=True).getsockname() for _ in range(2)]
        p = self.puppet(log)
        p("def client(where):\n"
          "    s = socket.socket(); s.bind(('127.0.0.1', %d)); s.connect(where); return s\n"
          "have = [client(where) for where in %r]" % (bound, servers))
        began = time.monotonic()
        self.assertEqual(p.eval("[error_of(client, where) for where in %r]" % (servers,)),
                         ["EADDRNOTAVAIL"] * 2)
        took = time.monotonic() - began
        inodes = [p.eval("os.fstat(have[%d].fileno()).st_ino" % n) for n in range(2)]
        events = [event for event in log.read() if event["call"] == "connect"][-2:]
        for event, where, inode in zip(events, servers, inodes):
            note, = event["notes"]
            self.assertEqual((note["code"], note["local"], note["peer"], note["state"]),
                             ("address-taken", "127.0.0.1:%d" % bound, "%s:%d" % where,
                              "ESTABLISHED"))
            self.assertEqual(note.get("inode", inode), inode)
        if took < 1:
            self.assertIn("inode", events[1]["notes"][0])

    # self-connect

    ITSELF = "connected to itself: nobody listened on port 40000, and the kernel chose that very " \
             "port as the local one"
    RESERVE = "reserve it: sysctl net.ipv4.ip_local_reserved_ports=40000"

    def one_port(self, p, log, family=socket.AF_INET, before=""):
        """A client that meets itself, in a range of one port: its connect's event."""
        host = "127.0.0.1" if family == socket.AF_INET else "::1"
        event = self.connect(p, log, (host, 40000), before, family)
        self.assertEqual(p.eval("c.getsockname() == c.getpeername()"), True)
        return event

    @needs_root
    def test_self_connect(self):
        self.namespace(ip_local_port_range="40000 40000")
        families = [socket.AF_INET] + [socket.AF_INET6] * kernel.has_ipv6()
        for family in families:
            for before in ("", "c.setblocking(0)"):
                log = self.log(self.fresh("log").rpartition("/")[2])
                p = self.puppet(log)
                event = self.one_port(p, log, family, before)
                self.match(event, state="ESTABLISHED", via=["SYN_SENT", "SYN_RCVD"])
                self.assertEqual(event["notes"], [{
                    "code": "self-connect", "port": 40000,
                    "text": self.ITSELF + "; the server may find it in use: keep it below the "
                            "range of such ports, or " + self.RESERVE}])
                p(LINGER % ("c", 0) + "; c.close()")

    @needs_root
    def test_after_attempts_of_the_same_socket(self):
        """Its name keeps the port of the last one, which is not one that it is bound to."""
        self.namespace(ip_local_port_range="40000 40003")
        log = self.log()
        p = self.puppet(log)
        attempts = ("c, before = socket.socket(), []\n"
                    "while not before or c.connect_ex(('127.0.0.1', 40000)):\n"
                    "    before.append(c.getsockname()[1])")
        p(attempts)
        while p.eval("len(before)") == 1:  # the first one met itself
            p(LINGER % ("c", 0) + "; c.close()")
            p(attempts)
        self.assertNotIn(p.eval("before[-1]"), (0, 40000))
        self.assertIn(self.ITSELF, self.note(self.last(log, "connect"), "self-connect"))

    @needs_root
    def test_the_servers_bind(self):
        """Fails for it, with the same words; so does the tool's verdict."""
        self.namespace(ip_local_port_range="40000 40000")
        log = self.log()
        p = self.puppet(log)
        self.one_port(p, log)
        event = self.refused(p, log, 40000)
        note, = (note for note in event["notes"] if note["code"] == "in-use-bound")
        self.assertIs(note["self_connected"], True)
        self.assertIn("; it is " + self.ITSELF + "; ", note["text"])
        self.assertIn(self.RESERVE, note["text"])
        _, out, _ = self.run_program([paths.tool(), "why", "40000"])
        self.assertIn(self.ITSELF, out.decode())

    def test_bound_to_the_port_it_connects_to(self):
        """Nothing is said of who listens, nor of a choice of the kernel's."""
        log, port = self.log(), self.port()
        p = self.puppet(log)
        event = self.connect(p, log, ("127.0.0.1", port), "c.bind(('127.0.0.1', %d))" % port)
        self.assertEqual(self.note(event, "self-connect"),
                         "connected to itself: the socket was bound to port %d, which it was to "
                         "reach" % port)

    def test_no_self_connect(self):
        """To a server on the same address, and from the same port number to another address."""
        log, port = self.log(), self.port()
        self.ours(port, listens=True)
        p = self.puppet(log)
        self.absent([self.connect(p, log, ("127.0.0.1", port)),
                     self.connect(p, log, ("127.0.0.1", port),
                                  "c.bind(('127.0.0.2', %d))" % port)], "self-connect")


class Reuse(Notes):
    """The notes on what the shim did, or left alone."""

    def test_texts(self):
        for settings, before, listens, text in (
                ({}, "", False, "SO_REUSEADDR enabled first (TCPSHIM_REUSE=auto)"),
                ({"REUSEPORT": 1}, "", False,
                 "SO_REUSEADDR and SO_REUSEPORT enabled first (TCPSHIM_REUSE=auto)"),
                ({"REUSE": "force"}, REUSE % ("s", 0), False,
                 "SO_REUSEADDR enabled first (TCPSHIM_REUSE=force)"),
                ({"REUSE": "gentle"}, "", True,
                 "SO_REUSEADDR enabled before listen, so that the next run can bind "
                 "(TCPSHIM_REUSE=gentle)")):
            log, port = self.log(self.fresh("log").rpartition("/")[2]), self.port()
            p = self.puppet(log, **settings)
            p("s = socket.socket(); %s\ns.bind(('127.0.0.1', %d)); s.listen()" % (before, port))
            bind, listen = self.last(log, "bind"), self.last(log, "listen")
            self.assertEqual(self.note(listen if listens else bind, "reuse-enabled"), text)
            self.assertEqual(self.notes(bind if listens else listen), [])

    def test_gentle_tried_again(self):
        log, port = self.log(), self.port()
        self.time_wait(port, reuse=1)
        p = self.puppet(log, REUSE="gentle")
        event = self.bound(p, log, port)
        self.assertEqual(self.note(event, "reuse-enabled"),
                         "SO_REUSEADDR enabled after a first EADDRINUSE (TCPSHIM_REUSE=gentle)")
        self.absent([event], "in-use-dying")

    def test_respected(self):
        log, port = self.log(), self.port()
        p = self.puppet(log)
        event = self.bound(p, log, port, before=REUSE % ("s", 0))
        self.assertEqual(self.note(event, "reuse-respected"),
                         "SO_REUSEADDR left off, because the program itself set it to 0 "
                         "(TCPSHIM_REUSE=auto)")
        for before in ("", REUSE % ("s", 1)):
            self.absent([self.bound(p, log, port, before=before)], "reuse-respected")

    def test_too_late(self):
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket(); s.bind(('127.0.0.1', 0)); " + REUSE % ("s", 1))
        event = self.last(log, "setsockopt")
        self.assertEqual(self.note(event, "reuse-too-late"),
                         "this socket is bound already: SO_REUSEADDR comes too late for this bind")
        p("s.listen(); " + REUSE % ("s", 1))
        self.note(self.last(log, "setsockopt"), "reuse-too-late")

    def test_not_too_late(self):
        log, port = self.log(), self.port()
        p = self.puppet(log)
        p("s = socket.socket(); %s; s.bind(('127.0.0.1', %d)); s.listen()"
          % (REUSE % ("s", 1), port))
        p(REUSE % ("s", 0))
        p("s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)")
        p("s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)")
        self.assertEqual(p.eval("call('setsockopt', s.fileno(), 1, 2, None, 4)"), [-1, "EFAULT"])
        p("c = socket.create_connection(s.getsockname()); a, _ = s.accept()")
        p(REUSE % ("a", 1) + "; " + REUSE % ("c", 1))
        self.absent(log.read(), "reuse-too-late")


class Resets(Notes):
    """reset: close sent RST instead of FIN."""

    def unread(self, count):
        """Close `c` with that many bytes not read: its event, and the peer's state."""
        log = self.log(self.fresh("log").rpartition("/")[2])
        p = self.pair(log)
        cookies = p.eval("[cookie(a), cookie(c)]")
        p("import select; a.send(b'x' * %d); select.select([c], [], [], 40)" % (count + 3))
        self.assertEqual(p.eval("len(c.recv(3, socket.MSG_WAITALL))"), 3)
        p("c.close()")
        return self.last(log, "close"), cookies

    def test_unread_bytes(self):
        for count, words in ((1, "1 byte was"), (7, "7 bytes were")):
            event, (peer, mine) = self.unread(count)
            self.match(event, state="CLOSED")
            self.assertEqual(self.note(event, "reset"),
                             words + " not read, so the kernel sent RST instead of FIN")
            self.assertEqual([kernel.state_of(peer), kernel.state_of(mine)], ["CLOSED"] * 2)

    def test_all_read(self):
        event, (peer, _) = self.unread(0)
        self.assertEqual(self.notes(event), [])
        until(peer, "CLOSE_WAIT")

    def test_linger_zero(self):
        log = self.log()
        p = self.pair(log)
        peer = p.eval("cookie(a)")
        p(LINGER % ("c", 0) + "; c.close()")
        self.assertEqual(self.note(self.last(log, "close"), "reset"),
                         "SO_LINGER with 0 seconds made the kernel send RST instead of FIN")
        until(peer, "CLOSED")

    def test_linger_with_time(self):
        log = self.log()
        p = self.pair(log)
        p(LINGER % ("c", 5) + "; c.close(); " + LINGER % ("l", 0) + "; l.close()")
        self.absent(log.read(), "reset")

    def test_in_close_wait(self):
        """The peer's FIN is no unread byte; bytes before it are."""
        for read, noted in ((b"", True), (b"xyz", False)):
            log = self.log(self.fresh("log").rpartition("/")[2])
            p = self.pair(log)
            cookie = p.eval("cookie(c)")
            p("a.send(b'xyz'); a.close()")
            until(cookie, "CLOSE_WAIT")
            if read:
                self.assertEqual(p.eval("c.recv(100, socket.MSG_WAITALL).decode()"), "xyz")
            p("c.close()")
            event = self.last(log, "close")
            self.assertEqual("reset" in self.notes(event), noted, event)
            if noted:
                self.assertIn("3 bytes were not read", self.note(event, "reset"))

    def test_in_fin_wait_2(self):
        log = self.log()
        p = self.pair(log)
        p("c.shutdown(socket.SHUT_WR)")
        until(p.eval("cookie(c)"), "FIN_WAIT_2")
        p("import select; a.send(b'late'); select.select([c], [], [], 40); c.close()")
        self.assertIn("4 bytes were not read", self.note(self.last(log, "close"), "reset"))

    def test_linger2(self):
        log = self.log()
        p = self.pair(log)
        p("c.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, -1); c.shutdown(socket.SHUT_WR)")
        until(p.eval("cookie(c)"), "FIN_WAIT_2")
        p("c.close()")
        self.match(self.last(log, "close"), state="CLOSED")
        self.assertIn("TCP_LINGER2", self.note(self.last(log, "close"), "reset"))

    def test_queue(self):
        """queue-reset: connections that nobody had accepted go with their listener."""
        for end, call in (("l.close()", "close"), ("l.shutdown(socket.SHUT_RD)", "shutdown")):
            log = self.log(self.fresh("log").rpartition("/")[2])
            p = self.puppet(log)
            p("l = socket.create_server(('127.0.0.1', 0))\n"
              "c = [socket.create_connection(l.getsockname()) for _ in range(3)]\n" + end)
            self.assertIn("up to 3 connections", self.note(self.last(log, call), "queue-reset"))
            self.assertEqual(p.eval("[tcp_info_state(s) for s in c]"), [7] * 3)

    @needs_root
    def test_queue_that_goes_to_another_listener(self):
        """With tcp_migrate_req connections are not reset: one of the same address takes them."""
        for migrates in 0, 1:
            self.namespace(tcp_migrate_req=migrates)
            for end, call in (("a.close()", "close"), ("a.shutdown(socket.SHUT_RD)", "shutdown")):
                log = self.log(self.fresh("log").rpartition("/")[2])
                p = self.puppet(log)
                p("def listener(host, port):\n"
                  "    s = socket.socket()\n"
                  "    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n"
                  "    s.bind((host, port)); s.listen(); s.setblocking(0)\n"
                  "    return s\n"
                  "a = listener('127.0.0.1', 0); port = a.getsockname()[1]\n"
                  "c = [socket.create_connection(('127.0.0.1', port)) for _ in range(3)]\n"
                  "b = listener('127.0.0.1', port); " + end)
                event = self.last(log, call)
                self.assertEqual(self.notes(event), [] if migrates else ["queue-reset"])
                # That is so.
                self.assertEqual(p.eval("[tcp_info_state(s) for s in c]"), [1 if migrates else 7] * 3)
                # The last one has nobody whom it could leave them to; nor another address.
                p("d = listener('127.0.0.2', port)\n"
                  "c = [socket.create_connection(('127.0.0.1', port)) for _ in range(3)]\n"
                  + end.replace("a.", "b."))
                self.note(self.last(log, call), "queue-reset")
                self.assertEqual(p.eval("[tcp_info_state(s) for s in c]"), [7] * 3)

    def test_that_another_holder_prevents(self):
        """Unread bytes and linger 0 matter when the last descriptor goes."""
        log = self.log()
        p = self.pair(log)
        p("import select; a.send(b'x'); select.select([c], [], [], 40)\n"
          + LINGER % ("c", 0) + "; d = c.dup(); c.close()")
        event = self.last(log, "close")
        self.note(event, "still-open")
        self.absent([event], "reset")

    def test_what_never_connected(self):
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket(); " + LINGER % ("s", 0) + "; s.close()")
        self.absent(log.read(), "reset")


class PeerReset(Notes):
    """peer-reset: the connection was over before the call, and nobody here ended it."""

    TEXT = "the connection was over before this call: reset by the peer"

    def reset(self, log):
        """A pair whose `a` has sent RST to `c`."""
        p = self.pair(log)
        cookie = p.eval("cookie(c)")
        p(LINGER % ("a", 0) + "; a.close()")
        until(cookie, "CLOSED")
        log.new()
        return p

    def test_at_the_next_call(self):
        log = self.log()
        p = self.reset(log)
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)")
        event, = log.new()
        self.match(event, was="ESTABLISHED", state="CLOSED")
        self.assertEqual(self.note(event, "peer-reset"), self.TEXT)
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0); c.close()")
        self.absent(log.new(), "peer-reset", "reset")

    def test_at_close(self):
        log = self.log()
        p = self.reset(log)
        p("c.close()")
        event, = log.new()
        self.match(event, call="close", was="ESTABLISHED", state="CLOSED")
        self.assertEqual(self.note(event, "peer-reset"), self.TEXT)

    def half_closed(self, log):
        """A pair of which `c` is in FIN_WAIT_2, and was seen there."""
        p = self.pair(log)
        p("c.shutdown(socket.SHUT_WR)")
        until(p.eval("cookie(c)"), "FIN_WAIT_2")
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)")
        self.match(self.last(log, "setsockopt"), state="FIN_WAIT_2")
        return p

    def test_after_our_fin(self):
        log = self.log()
        p = self.half_closed(log)
        p(LINGER % ("a", 0) + "; a.close()")
        until(p.eval("cookie(c)"), "CLOSED")
        p("c.close()")
        self.match(self.last(log, "close"), was="FIN_WAIT_2", state="CLOSED")
        self.assertEqual(self.note(self.last(log, "close"), "peer-reset"), self.TEXT)

    def test_before_accept(self):
        log = self.log()
        p = self.puppet(log)
        p("l = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection("
          "l.getsockname())\n" + LINGER % ("c", 0) + "; c.close(); a, _ = l.accept()")
        self.assertEqual(self.note(self.last(log, "accept4"), "peer-reset"), self.TEXT)

    def test_after_the_program_has_read_of_it(self):
        log = self.log()
        p = self.reset(log)
        self.assertEqual(p.eval("error_of(c.recv, 1)"), "ECONNRESET")
        p("c.close()")
        self.assertEqual(self.note(log.new()[-1], "peer-reset"), self.TEXT)

    def test_at_either_end_after_some_talk(self):
        """Bytes both ways, the reset read of or not: the end that was left is told of it."""
        for mine, other in (("c", "a"), ("a", "c")):
            for read in (False, True):
                log = self.log(self.fresh("log").rpartition("/")[2])
                p = self.pair(log)
                cookie = p.eval("cookie(%s)" % mine)
                p("c.sendall(b'ping'); a.recv(4); a.sendall(b'pong'); c.recv(4)\n"
                  + LINGER % (other, 0) + "; %s.close()" % other)
                until(cookie, "CLOSED")
                if read:
                    self.assertEqual(p.eval("error_of(%s.recv, 1)" % mine), "ECONNRESET")
                p(mine + ".close()")
                self.assertEqual(self.note(self.last(log, "close"), "peer-reset"), self.TEXT)

    def test_in_close_wait(self):
        """The peer has sent its FIN, and then a reset: it does not take our bytes any more."""
        log = self.log()
        p = self.pair(log)
        cookie = p.eval("cookie(c)")
        p("a.close()")
        until(cookie, "CLOSE_WAIT")
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1); c.send(b'x')")
        until(cookie, "CLOSED")
        p("c.close()")
        self.match(self.last(log, "close"), was="CLOSE_WAIT", state="CLOSED")
        self.assertEqual(self.note(self.last(log, "close"), "peer-reset"), self.TEXT)

    def test_nothing_eats_the_error(self):
        """The program's own recv gets ECONNRESET, whatever was logged before it."""
        for calls in ("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)",
                      "d = c.dup(); d.close()", "os.dup2(c.fileno(), 60); os.close(60)",
                      "error_of(c.shutdown, socket.SHUT_WR)", "error_of(c.listen)",
                      "error_of(c.bind, ('127.0.0.1', 0))", "error_of(c.accept)", ""):
            log = self.log(self.fresh("log").rpartition("/")[2])
            p = self.reset(log)
            p(calls)
            self.assertEqual(p.eval("error_of(c.recv, 1)"), "ECONNRESET", calls)
            p.close()

    def test_the_error_is_the_programs(self):
        log = self.log()
        p = self.reset(log)
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)\n"
          "e = c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)")
        self.assertEqual(p.eval("errno.errorcode[e]"), "ECONNRESET")
        self.match(self.last(log, "getsockopt"), args={
            "level": "SOL_SOCKET", "option": "SO_ERROR", "value": "ECONNRESET"})

    @needs_root
    def test_a_timeout(self):
        """Retransmissions, and then silence: that the peer sent RST is not certain."""
        ip = paths.find("ip")
        if not ip:
            self.skipTest("no ip")
        self.namespace()
        log = self.log()
        p = self.pair(log)
        p("c.setsockopt(socket.IPPROTO_TCP, 18, 300)")  # TCP_USER_TIMEOUT
        cookie = p.eval("cookie(c)")
        status, _, err = self.run_program([ip, "link", "set", "lo", "mtu", "68"])
        self.assertEqual(status, 0, err)
        status, _, err = self.run_program([ip, "route", "add", "blackhole", "127.0.0.1", "table",
                                           "local", "metric", "0"])
        status, _, err = self.run_program([ip, "link", "set", "lo", "down"])
        self.assertEqual(status, 0, err)
        p("c.send(b'x')")
        until(cookie, "CLOSED")
        p("c.close()")
        self.assertEqual(self.note(self.last(log, "close"), "peer-reset"),
                         "the connection was over before this call, "
                         "by a timeout or a reset by the peer")

    def test_not_after_time_wait(self):
        log = self.log()
        p = self.pair(log)
        cookie = p.eval("cookie(c)")
        p("c.shutdown(socket.SHUT_WR); a.close()")
        until(cookie, "TIME_WAIT")
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1); c.close()")
        self.absent(log.read(), "peer-reset")

    def test_not_after_last_ack(self):
        """The peer closed, then this end: all in order."""
        log = self.log()
        p = self.pair(log)
        cookie = p.eval("cookie(c)")
        p("a.close()")
        until(cookie, "CLOSE_WAIT")
        p("c.shutdown(socket.SHUT_WR)")
        until(cookie, "CLOSED")
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1); c.close()")
        self.absent(log.read(), "peer-reset")

    def ended_elsewhere(self, end):
        """The peer closes, then this end in its way; when all is over `c` makes a call."""
        log = self.log()
        p = self.pair(log)
        cookie = p.eval("cookie(c)")
        p("d = c.dup(); a.close()")
        until(cookie, "CLOSE_WAIT")
        p(end)
        until(cookie, "CLOSED")
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1); c.close()")
        self.absent(log.read(), "peer-reset")

    def test_not_after_an_end_through_another_number(self):
        self.ended_elsewhere("d.shutdown(socket.SHUT_WR)")

    def test_not_after_an_end_in_a_child(self):
        self.ended_elsewhere("pid = os.fork()\n"
                             "if pid == 0:\n    c.shutdown(socket.SHUT_WR); os._exit(0)\n"
                             "os.waitpid(pid, 0)")

    def test_not_after_a_disconnect(self):
        """connect(AF_UNSPEC) sends RST: it was the program itself."""
        for number in ("c", "d"):
            log = self.log(self.fresh("log").rpartition("/")[2])
            p = self.pair(log)
            p("d = c.dup()")
            p("assert C.connect(%s.fileno(), bytes(16), 16) == 0" % number)
            p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1); d.close(); c.close()")
            self.absent(log.read(), "peer-reset")

    def test_not_where_the_ends_are_not_observed(self):
        """Who does not see shutdown cannot say who ended it."""
        log = self.log()
        p = self.pair(log, CALLS="setsockopt,connect,close,accept4")
        cookie = p.eval("cookie(c)")
        p("a.close()")
        until(cookie, "CLOSE_WAIT")
        p("c.shutdown(socket.SHUT_WR)")
        until(cookie, "CLOSED")
        p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1); c.close()")
        self.absent(log.read(), "peer-reset")

    def test_not_after_a_connect_that_failed(self):
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket(); s.bind(('127.0.0.1', 0)); c = socket.socket()")
        self.assertEqual(p.eval("error_of(c.connect, s.getsockname())"), "ECONNREFUSED")
        p("c.close()")
        self.absent(log.read(), "peer-reset")


class StillOpen(Notes):
    """still-open: by what a socket lives on after a close, and whether a FIN went before."""

    NOTHING_SENT = ", so this close sent nothing"

    def keeper(self, event):
        """The one such note, with what it says of the owner in its text."""
        self.note(event, "still-open")
        note, = [note for note in event["notes"] if note["code"] == "still-open"]
        return note

    ALONE = ("unshare", "--pid", "--fork", "--mount-proc")

    def program(self, p, pid="os.getpid()"):
        """A process as a note of that puppet's names it."""
        return p.eval("'%%s (pid %%d)' %% (open('/proc/%%d/comm' %% %s).read().strip(), %s)"
                      % (pid, pid))

    def looked_for(self, close):
        """A puppet with a pair that closes `c`, or `l`; the note.

        Who has it is looked for within 20 ms and 2,000 descriptors, and once in a second: where
        that was too little, another process is asked. Among few processes, if that can be had.
        """
        wrapper = self.ALONE if os.geteuid() == 0 and kernel.root_is_mounted() else ()

        def attempt():
            log = self.log(os.path.basename(self.fresh("log")))
            p = self.pair(log, wrapper=wrapper)
            result = close(p)
            note = self.keeper(self.last(log, "close"))
            return None if "tells where" in note["text"] else (p, note, result)
        return wait_until(attempt, "the owner of the socket")

    def test_a_copy(self):
        for copy in ("d = c.dup()", "d = socket.socket(fileno=C.dup2(c.fileno(), 40))",
                     "import fcntl; d = socket.socket(fileno=fcntl.fcntl(c, 0, 50))",
                     "os.dup2(c.fileno(), 0); d = socket.socket(fileno=0)"):
            log = self.log(os.path.basename(self.fresh("log")))
            p = self.puppet(log)
            p("l = socket.create_server(('127.0.0.1', 0))\n"
              "c = socket.create_connection(l.getsockname()); a, _ = l.accept(); keep = os.dup(0)")
            if "os.dup2" in copy:
                # Descriptor 0 is what leads the puppet: it has it back before it answers.
                p(copy + "; number = d.fileno(); c.close(); d.detach(); os.dup2(keep, 0)")
            else:
                p(copy + "; number = d.fileno(); c.close()")
            note = self.keeper(self.last(log, "close"))
            number = p.eval("number")
            self.assertEqual(note["text"], "open still as descriptor %d of this process, %s%s"
                             % (number, program_of(p.pid), self.NOTHING_SENT))
            self.assertEqual((note["own_fd"], note["pid"]), (number, p.pid))
            if "os.dup2" not in copy:
                p("d.close()")
                self.assertEqual(self.notes(self.last(log, "close")), [])

    def test_copies(self):
        """As long as there is one, it is named; of numbers that are something else by now none."""
        log = self.log()
        p = self.pair(log)
        p("copies = [c] + [c.dup() for _ in range(4)]; numbers = [s.fileno() for s in copies]")
        numbers = p.eval("numbers")
        p("a.shutdown(socket.SHUT_WR)")
        until(p.eval("cookie(c)"), "CLOSE_WAIT")  # what is noted of each changes
        log.new()
        for closed in range(4):
            p("copies.pop(0).close(); other = os.open('/dev/null', 0)")
            note = self.keeper(self.last(log, "close"))
            self.assertIn(note["own_fd"], numbers[closed + 1:])
        p("copies.pop(0).close()")
        self.absent([self.last(log, "close")], "still-open")

    def test_a_copy_that_nobody_saw(self):
        """Made past the shim, by way of a unix socket."""
        def close(p):
            p("x, y = socket.socketpair(); socket.send_fds(x, [b'.'], [c.fileno()])\n"
              "_, got, _, _ = socket.recv_fds(y, 1, 1); c.close()")
            return p.eval("got[0]")
        p, note, number = self.looked_for(close)
        self.assertEqual(note["text"], "open still as descriptor %d of this process, %s%s"
                         % (number, self.program(p), self.NOTHING_SENT))
        self.assertEqual(note["own_fd"], number)

    FORK = ("r, w = os.pipe(); pid = os.fork()\n"
            "if pid == 0:\n    os.close(w); os.read(r, 1); os._exit(0)\n"
            "os.close(r); %s.close()")

    def test_a_child(self):
        def close(p):
            p(self.FORK % "c")
            return p.eval("pid")
        p, note, child = self.looked_for(close)
        self.assertEqual(note["text"], "open still in %s%s"
                         % (self.program(p, "pid"), self.NOTHING_SENT))
        self.assertEqual(note["pid"], child)
        p("os.close(w); os.waitpid(pid, 0); a.close()")

    def test_the_parent(self):
        """What a server's child closes first: the listener."""
        def close(p):
            p("pid = os.fork()\nif pid == 0:\n    l.close(); os._exit(0)\nos.waitpid(pid, 0)")
        p, note, _ = self.looked_for(close)
        self.assertEqual(note["text"], "open still in %s, so it goes on listening"
                         % self.program(p))

    @needs_root
    def test_nobody(self):
        """Sent over a unix socket and not yet received. Among few processes: all are looked at."""
        def close(p):
            p("x, y = socket.socketpair(); socket.send_fds(x, [b'.'], [c.fileno()])\n"
              "inode = os.fstat(c.fileno()).st_ino; c.close()")
            return p.eval("[inode, os.getuid()]")
        p, note, (inode, uid) = self.looked_for(close)
        self.assertEqual(note["text"], "open still in no process that can be seen (socket inode "
                         "%d, uid %d)%s" % (inode, uid, self.NOTHING_SENT))
        p("_, got, _, _ = socket.recv_fds(y, 1, 1); os.close(got[0])")

    WAIT = ("import threading\n"
            "t = threading.Thread(target=error_of, args=(%s,), daemon=True); t.start()")

    def blocked(self, p, call, number):
        """A thread of the puppet's waits in the call: by the kernel's account."""
        p(self.WAIT % call)
        p("where = '/proc/self/task/%d/syscall' % t.native_id")
        if not p.eval("os.access(where, os.R_OK)"):
            self.skipTest("the kernel does not tell in which call a thread is")
        wait_until(lambda: p.eval("open(where).read().split()[1:2]") == [hex(number)], "the call")

    def test_a_call_of_another_thread(self):
        """It keeps the socket open until it returns, which the close does not make it do."""
        for sock, call, then in (("c", "c.recv, 1", self.NOTHING_SENT),
                                 ("l", "l.accept", ", so it goes on listening")):
            def close(p):
                self.blocked(p, call, p.eval("%s.fileno()" % sock))
                p("%s.close()" % sock)
                return p.eval("t.native_id")
            p, note, thread = self.looked_for(close)
            self.assertEqual(note["text"], "open still by a call of thread %d of this process, "
                             "%s, that is blocked on it (shutdown(fd, SHUT_RDWR) before close "
                             "ends that)%s" % (thread, self.program(p), then))
            self.assertEqual((note["tid"], note["pid"]), (thread, p.eval("os.getpid()")))

    def test_the_cure(self):
        """What the note says helps."""
        log = self.log()
        p = self.pair(log)
        cookie = p.eval("cookie(c)")
        self.blocked(p, "c.recv, 1", p.eval("c.fileno()"))
        p("c.shutdown(socket.SHUT_RDWR); t.join(); c.close()")
        self.absent([self.last(log, "close")], "still-open")
        self.assertNotEqual(kernel.state_of(cookie), "ESTABLISHED")

    @needs_root
    def test_a_call_on_another_socket(self):
        """A thread that waits in a call on another number has nothing to do with it."""
        def close(p):
            self.blocked(p, "a.recv, 1", p.eval("a.fileno()"))
            p("x, y = socket.socketpair(); socket.send_fds(x, [b'.'], [c.fileno()]); c.close()")
        _, note, _ = self.looked_for(close)
        self.assertNotIn("pid", note)

    def test_a_listener(self):
        log = self.log()
        p = self.pair(log)
        p("d = l.dup(); l.close()")
        self.assertEqual(self.keeper(self.last(log, "close"))["text"],
                         "open still as descriptor %d of this process, %s, so it goes on listening"
                         % (p.eval("d.fileno()"), program_of(p.pid)))
        p("d.close()")
        self.assertEqual(self.notes(self.last(log, "close")), [])

    def test_a_fin_that_waits(self):
        """Behind bytes that the peer has no room for: it has not been sent."""
        log = self.log()
        p = self.pair(log)
        p("c.setblocking(0)\nwhile error_of(c.send, bytes(65536)) is None: pass\n"
          "c.shutdown(socket.SHUT_WR); d = c.dup(); c.close()")
        event = self.last(log, "close")
        self.match(event, state="FIN_WAIT_1")
        note = self.keeper(event)
        self.assertNotIn("fin_sent", note)
        self.assertTrue(note["text"].endswith(self.NOTHING_SENT), note)

    def test_bound_only(self):
        """No connection and no listener: what a copy holds is the port."""
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket(); s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]\n"
          "d = s.dup(); s.close(); n = socket.socket()\n"
          "n.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)")
        event = self.last(log, "close")
        self.assertEqual(self.keeper(event)["text"],
                         "open still as descriptor %d of this process, %s, so it keeps its port"
                         % (p.eval("d.fileno()"), program_of(p.pid)))
        self.assertEqual(p.eval("error_of(n.bind, ('127.0.0.1', port))"), "EADDRINUSE")
        p("d.close()")
        self.assertEqual(self.notes(self.last(log, "close")), [])
        self.assertEqual(p.eval("error_of(n.bind, ('127.0.0.1', port))"), None)

    def test_what_holds_nothing(self):
        """Neither bound nor connected; or copied, and the copy closed behind our back."""
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket(); d = s.dup(); s.close(); d.close()\n"
          "s = socket.socket(); s.bind(('127.0.0.1', 0)); d = s.dup()\n"
          "C.fdopen.restype = ctypes.c_void_p; file = ctypes.c_void_p(C.fdopen(d.detach(), b'r'))\n"
          "assert C.freopen(b'/dev/null', b'r', file); s.close()")
        self.absent(log.read(), "still-open")

    def test_each_of_a_range(self):
        log = self.log()
        p = self.pair(log)
        p("copies = [s.dup() for s in (l, c, a)]\n"
          "numbers = sorted(s.detach() for s in (l, c, a))\n"
          "assert C.close_range(numbers[0], numbers[-1], 0) == 0")
        ends = ("on listening", "sent nothing", "sent nothing")
        events = [event for event in log.read() if event["call"] == "close_range"]
        self.assertEqual(len(events), 3)
        for event, number, end in zip(events, p.eval("[s.fileno() for s in copies]"), ends):
            note = self.keeper(event)
            self.assertEqual(note["own_fd"], number)
            self.assertTrue(note["text"].endswith(end), note)

    def test_a_server_that_forks(self):
        """Who closes for each connection what its children have does not search for each."""
        if strace.available():
            self.skipTest(strace.available())
        log, trace, count = self.log(), self.path("trace"), 100
        env = shimmed(LOG=log.path, FORMAT="json")
        p = self.puppet(env=environment(),
                        wrapper=strace.command(trace, env, [], traced=("openat",)))
        p("l = socket.create_server(('127.0.0.1', 0), backlog=%d); pairs = []" % count)
        for _ in range(count):
            p("pairs.append((socket.create_connection(l.getsockname()), l.accept()[0]))")
        began = time.monotonic()
        p("r, w = os.pipe(); pid = os.fork()\n"
          "if pid == 0:\n    os.close(w); l.close(); os.read(r, 1); os._exit(0)\n"
          "os.close(r)\nfor _, a in pairs: a.close()")
        took = time.monotonic() - began
        p("os.close(w); os.waitpid(pid, 0)")
        closes = [event for event in log.read() if event["call"] == "close"
                  and self.notes(event) == ["still-open"]]
        self.assertEqual(len(closes), count + 1)
        for event in closes:
            note = self.keeper(event)
            self.assertIn("pid" if "tells where" not in note["text"] else "inode", note)
        cheap = [event for event in closes if "tells where" in self.keeper(event)["text"]]
        self.assertTrue(all("; tcpshim why %s tells where)" % event["local"].rpartition(":")[2]
                            in self.keeper(event)["text"] for event in cheap))
        with open(trace) as file:
            walks = sum('"/proc/%d/fd"' % pid in line for line in file
                        for pid in {event["pid"] for event in closes})
        self.assertGreaterEqual(walks, 1)
        self.assertLessEqual(walks, 2 * (2 + took))  # the child's own once more


class Lives(Notes):
    """half-closed, no-wire-effect, close-wait."""

    def test_half_closed(self):
        log = self.log()
        p = self.pair(log)
        p("c.shutdown(socket.SHUT_WR)")
        self.assertEqual(self.note(self.last(log, "shutdown"), "half-closed"),
                         "half-closed: a FIN follows what was sent, and this end can still "
                         "receive")
        p("a.send(b'x')")
        self.assertEqual(p.eval("len(c.recv(1))"), 1)
        p("c.shutdown(socket.SHUT_WR)")
        self.absent(log.new()[1:], "half-closed")

    def test_not_half_closed(self):
        """Both halves at once; the second half; a listener; what is not connected."""
        log = self.log()
        p = self.pair(log)
        cookie = p.eval("cookie(a)")
        p("c.shutdown(socket.SHUT_RDWR)")
        until(cookie, "CLOSE_WAIT")
        p("a.shutdown(socket.SHUT_WR); l.shutdown(socket.SHUT_RD); s = socket.socket()\n"
          "error_of(s.shutdown, socket.SHUT_WR)")
        second = [event for event in log.read() if event["call"] == "shutdown"][1]
        self.match(second, was="ESTABLISHED", via=lambda via: via and via[0] == "CLOSE_WAIT")
        self.absent(log.read(), "half-closed", "no-wire-effect")

    def test_no_wire_effect(self):
        log = self.log()
        p = self.pair(log)
        cookie = p.eval("cookie(a)")
        p("c.shutdown(socket.SHUT_RD)")
        event = self.last(log, "shutdown")
        self.assertEqual(self.note(event, "no-wire-effect"),
                         "SHUT_RD sends nothing to the peer and changes no state")
        self.absent([event], "half-closed")
        self.assertEqual(kernel.state_of(cookie), "ESTABLISHED")
        p("c.shutdown(socket.SHUT_WR)")
        self.absent([self.last(log, "shutdown")], "no-wire-effect")

    def test_close_wait(self):
        """For how long at least, by the time since the peer's last segment."""
        log = self.log()
        p = self.pair(log)
        p("e = socket.create_connection(l.getsockname()); f, _ = l.accept()\n"
          "g = e.dup()\n"
          "def silent(s): return struct.unpack_from('=I', s.getsockopt(6, 11, 60), 56)[0]")
        began = time.monotonic()
        p("a.close(); f.close()")
        until(p.eval("cookie(c)"), "CLOSE_WAIT")
        until(p.eval("cookie(e)"), "CLOSE_WAIT")
        wait_until(lambda: p.eval("silent(c)") > 1150, "a second of silence")
        least = p.eval("silent(c)")
        log.new()
        p("c.close(); e.close(); g.close()")
        most = time.monotonic() - began
        events = [event for event in log.new() if event["call"] == "close"]
        text = self.note(events[0], "close-wait")
        said = float(re.match(r"the peer had closed at least (\d+\.\d) s before; until now the "
                              r"program kept the connection in CLOSE_WAIT$", text).group(1))
        self.assertGreaterEqual(said, least / 1000 - 0.1)
        self.assertLessEqual(said, most)
        self.absent([events[1]], "close-wait")  # open still
        self.note(events[1], "still-open")
        self.note(events[2], "close-wait")

    @timeout(60)
    def test_no_close_wait_when_closed_at_once(self):
        """The peer was silent for long, and closed a moment ago."""
        log = self.log()
        p = self.pair(log)
        p("def silent(s): return struct.unpack_from('=I', s.getsockopt(6, 11, 60), 56)[0]")
        for _ in range(10):
            p("d = socket.create_connection(l.getsockname()); b, _ = l.accept(); b.send(b'x')")
            wait_until(lambda: p.eval("silent(d)") > 1150, "a second of silence")
            log.new()
            began = time.monotonic()
            p("b.close()")
            until(p.eval("cookie(d)"), "CLOSE_WAIT")
            p("d.recv(1); d.close()")
            if time.monotonic() - began < 1:  # else the machine had other things to do
                break
        else:
            self.fail("no moment passed in which this machine does it within a second")
        closes = [event for event in log.new() if event["call"] == "close"]
        self.absent([closes[1]], "close-wait", "reset")

    def test_an_ordinary_life(self):
        """A server and its client, both ends read to the end: nothing to say but one thing."""
        log, port = self.log(), self.port()
        p = self.puppet(log)
        p("l = socket.socket(); l.bind(('127.0.0.1', %d)); l.listen()\n"
          "for first in (True, False):\n"
          "    c = socket.create_connection(l.getsockname()); a, _ = l.accept()\n"
          "    c.sendall(b'ping'); a.recv(4, socket.MSG_WAITALL)\n"
          "    a.sendall(b'pong'); c.recv(4, socket.MSG_WAITALL)\n"
          "    one, other = (a, c) if first else (c, a)\n"
          "    one.close(); assert other.recv(1) == b''; other.close()\n"
          "l.close()" % port)
        noted = [(event["call"], self.notes(event)) for event in log.read() if "notes" in event]
        self.assertEqual(noted, [("bind", ["reuse-enabled"])])


class DoubleClose(Notes):
    """double-close: EBADF on a number that was a TCP socket of this process."""

    TEXT = r"^not open: as a TCP socket it was closed (\d+\.\d{6}) s ago by (\w+) in thread (\d+)$"

    def again(self, p, log, fd="n"):
        """Close the number once more, in vain: the event, or None where there is none."""
        log.new()
        self.assertEqual(p.eval("error_of(os.close, %s)" % fd), "EBADF")
        events = log.new()
        self.assertLessEqual(len(events), 1)
        return events[0] if events else None

    def figures(self, event):
        """(seconds ago, call, thread)."""
        found = re.match(self.TEXT, self.note(event, "double-close"))
        self.assertTrue(found, event)
        return float(found.group(1)), found.group(2), int(found.group(3))

    def test_figures(self):
        log = self.log()
        p = self.puppet(log)
        p("import time; n = socket.socket().detach(); before = time.monotonic(); os.close(n)\n"
          "between = time.monotonic()\n"
          "while time.monotonic() < between + 0.02: pass\n"
          "again = time.monotonic()")
        event = self.again(p, log)
        self.match(event, call="close", ret=-1, error="EBADF", sock=None, state=None, was=None)
        ago, call, tid = self.figures(event)
        self.assertEqual((call, tid), ("close", p.pid))
        self.assertGreaterEqual(ago, p.eval("again - between") - 1e-6)
        self.assertLessEqual(ago, p.eval("time.monotonic() - before"))

    def test_each_way_to_close(self):
        log = self.log()
        p = self.puppet(log)
        p("C.fdopen.restype = ctypes.c_void_p; C.fclose.argtypes = [ctypes.c_void_p]")
        for way, call in (("C.close(n)", "close"), ("C.close_range(n, n, 0)", "close_range"),
                          ("C.fclose(C.fdopen(n, b'r'))", "fclose"),
                          ("C.syscall(3, n)", "close")):
            if call == "close" and "syscall" in way and os.uname().machine != "x86_64":
                continue
            p("n = socket.socket().detach(); assert %s == 0" % way)
            self.assertEqual(self.figures(self.again(p, log))[1], call)

    def test_never_a_socket(self):
        log = self.log()
        p = self.puppet(log)
        p("socket.socket().close(); n = os.open('/dev/null', 0); m = os.dup2(n, 500); os.close(m)")
        self.assertIsNone(self.again(p, log, "m"))
        self.assertIsNone(self.again(p, log, "501"))
        self.assertIsNone(self.again(p, log, "99999"))

    def test_reused_by_something_else(self):
        """What was closed last was no socket: the old close is not to blame."""
        for way in ("os.close(n)", "C.close_range(n, n, 0)", "C.fclose(C.fdopen(n, b'r'))"):
            log = self.log(self.fresh("log").rpartition("/")[2])
            p = self.puppet(log)
            p("C.fdopen.restype = ctypes.c_void_p; C.fclose.argtypes = [ctypes.c_void_p]")
            p("n = socket.socket().detach(); os.close(n); r, w = os.pipe()\nassert r == n\n" + way)
            self.assertIsNone(self.again(p, log), way)

    def test_reused_by_another_socket(self):
        """It is the latest close that is told."""
        log = self.log()
        p = self.puppet(log)
        p("import time; n = socket.socket().detach(); os.close(n); m = socket.socket().detach()\n"
          "assert m == n; began = time.monotonic(); os.close(m)")
        ago = self.figures(self.again(p, log))[0]
        self.assertLess(ago, p.eval("time.monotonic() - began"))

    def test_closed_before_the_fork(self):
        """The child has closed nothing; the parent has."""
        log = self.log()
        p = self.puppet(log)
        # Python's fork opens and closes a file itself since 3.12: at the lowest number.
        p("low = os.dup(0)\n"
          "n = socket.socket().detach(); k = socket.socket().detach(); os.close(n); os.close(low)\n"
          "pid = os.fork()\n"
          "if pid == 0:\n"
          "    C.close(n); C.close(k); C.close(k); os._exit(0)\n"
          "os.waitpid(pid, 0)")
        mine = [event for event in log.read() if event["pid"] != p.pid]
        k = p.eval("k")
        self.assertEqual([(event["fd"], event["ret"]) for event in mine], [(k, 0), (k, -1)])
        self.assertEqual(self.figures(mine[1])[2], mine[1]["pid"])
        self.figures(self.again(p, log))

    def test_threads(self):
        """Who closed it last is named: not who had the number before."""
        log = self.log()
        p = self.puppet(log)
        p("import threading\n"
          "def in_thread(f):\n"
          "    got = []\n"
          "    t = threading.Thread(target=lambda: got.append((f(), threading.get_native_id())))\n"
          "    t.start(); t.join(); return got[0]\n"
          "n = socket.socket().detach(); os.close(n)\n"
          "other, tid = in_thread(lambda: socket.socket().detach())\n"
          "assert other == n")
        # The first owner closes it again, and with that the innocent thread's socket …
        p("os.close(n)")
        self.match(self.last(log, "close"), ret=0)
        # … whose own close then fails: it was this thread.
        p("failed, tid = in_thread(lambda: error_of(os.close, n))")
        self.assertEqual(p.eval("failed"), "EBADF")
        event = log.read()[-1]
        self.match(event, tid=p.eval("tid"))
        self.assertEqual(self.figures(event)[1:], ("close", p.pid))

    def test_what_was_hit_is_no_socket(self):
        """The second close of a socket closes another thread's file: its owner's EBADF tells."""
        for way, call in (("os.close(n)", "close"), ("C.close_range(n, n, 0)", "close_range"),
                          ("os.dup2(0, n); os.close(n)", "close")):
            log = self.log(self.fresh("log").rpartition("/")[2])
            p = self.puppet(log)
            p("import threading, time\n"
              "n = socket.socket().detach(); os.close(n)\n"
              "opened, hit = threading.Event(), threading.Event()\n"
              "def owner():\n"
              "    global tid, failed, m, ago\n"
              "    tid = threading.get_native_id(); m = os.open('/dev/null', 0); opened.set()\n"
              "    hit.wait(); failed = error_of(os.close, m); ago = time.monotonic() - before\n"
              "t = threading.Thread(target=owner); t.start(); opened.wait()\n"
              "assert m == n")
            log.new()
            p("before = time.monotonic(); %s; hit.set(); t.join()" % way)
            self.assertEqual(p.eval("failed"), "EBADF")
            event, = log.new()
            self.match(event, call="close", tid=p.eval("tid"), error="EBADF")
            note, = event["notes"]
            self.assertEqual((note["code"], note["by_call"], note["by_tid"]),
                             ("double-close", call, p.pid))
            self.assertLessEqual(note["ago_ms"], p.eval("ago") * 1000)
            self.assertIn("once a TCP socket, then something else", note["text"])

    def test_a_thread_that_closed_what_it_had_got(self):
        log = self.log()
        p = self.puppet(log)
        p("import threading\n"
          "n = socket.socket().detach(); os.close(n)\n"
          "def mine():\n"
          "    global tid, m\n"
          "    tid = threading.get_native_id(); m = socket.socket().detach(); os.close(m)\n"
          "t = threading.Thread(target=mine); t.start(); t.join()\n"
          "assert m == n")
        self.assertEqual(self.figures(self.again(p, log))[1:], ("close", p.eval("tid")))

    def test_a_close_that_failed_closed_nothing(self):
        """EBADF after EBADF tells of the one close that worked."""
        log = self.log()
        p = self.puppet(log)
        p("import threading; n = socket.socket().detach(); os.close(n)")
        first = self.figures(self.again(p, log))[0]
        p("t = threading.Thread(target=lambda: error_of(os.close, n)); t.start(); t.join()")
        event = log.read()[-1]
        self.assertNotEqual(event["tid"], p.pid)
        again, _, tid = self.figures(event)
        self.assertEqual(tid, p.pid)
        self.assertGreaterEqual(again, first)
