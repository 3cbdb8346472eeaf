# SPDX-License-Identifier: MIT
"""Without a log: no output, no descriptor, and no system call but those of a bind."""

import os
import re

from harness import paths, strace
from harness.case import Case, environment, shimmed

LINE = re.compile(r"^\d+ +(\w+)\((.*)$")


class Quiet(Case):
    """By comparison with the same program without the shim."""

    def calls(self, name, args, env):
        """The system calls between the marks of a program, with their first argument."""
        if strace.available():
            self.skipTest(strace.available())
        output = self.fresh("trace")
        command = strace.command(output, env, [self.program(name)] + args, traced=())
        status, _, err = self.run_program(command, env)
        self.assertEqual(status, 0, err)
        calls, marks = [], 0
        with open(output, errors="replace") as file:
            for line in file:
                found = LINE.match(line)
                if not found:
                    continue
                if found.group(1) == "getpriority":
                    marks += 1
                elif marks == 1:
                    calls.append(found.groups())
        self.assertEqual(marks, 2)
        return calls

    def extras(self, **settings):
        """What the shim adds: for each bind the system calls before it, and after it."""
        plain = self.calls("every_call", [str(self.port())], environment())
        shim = self.calls("every_call", [str(self.port())], shimmed(**settings))
        added, rest = {}, list(plain)
        binds = 0
        for name, args in shim:
            if rest and self.same(rest[0], (name, args)):
                binds += name == "bind"
                rest.pop(0)
            else:
                added.setdefault(binds, []).append((name, args))
        self.assertEqual(rest, [], "calls of the program are missing")
        self.assertEqual(sum(name == "bind" for name, _ in plain), 5)
        return added

    def same(self, one, other):
        """The same call, of the same descriptor; ports and addresses differ from run to run."""
        fds = [re.match(r"-?\d*", args).group() for _, args in (one, other)]
        return one[0] == other[0] and fds[0] == fds[1] and self.kind(one) == self.kind(other)

    @staticmethod
    def kind(call):
        """Of calls that the shim makes as well: enough to tell them apart."""
        if call[0] in ("getsockopt", "setsockopt"):
            return re.findall(r"\b(?:SO|SOL|TCP)_\w+", call[1])
        return None

    def allowed(self, added, most):
        """At most these calls before the first bind, which is the one to a port."""
        for name, args in added:
            self.assertIn(name, most, "%s(%s" % (name, args))
        for name, count in most.items():
            self.assertLessEqual(sum(one == name for one, _ in added), count, added)

    PROOF = {"rt_sigprocmask": 1, "getsockopt": 2, "setsockopt": 1}
    KNOWING = {"rt_sigprocmask": 1, "getsockopt": 2}

    def check(self, first, **settings):
        added = self.extras(**settings)
        self.allowed(added.pop(0, []), first)
        for bind in sorted(added):
            # To port 0, of UDP, unix and no socket: only what it takes to know that.
            self.assertLess(bind, 5, added)
            self.allowed(added[bind], self.KNOWING)
        return added

    def test_system_calls(self):
        self.check(self.PROOF)

    def test_system_calls_with_reuseport(self):
        self.check(dict(self.PROOF, setsockopt=2), REUSEPORT=1)

    def test_the_option_is_set(self):
        added = self.extras()[0]
        self.assertIn("setsockopt", [name for name, _ in added])

    def test_system_calls_when_off(self):
        self.assertEqual(self.extras(REUSE="off"), {})

    def test_system_calls_where_it_does_not_act(self):
        self.assertEqual(self.extras(SKIP="every_call"), {})

    def test_system_calls_of_other_ports(self):
        self.check(self.KNOWING, PORTS="1")

    def test_no_output_and_no_descriptor(self):
        plain = self.puppet(plain=True)
        shim = self.puppet()
        plain("port = %d" % self.port())
        shim("port = %d" % self.port())
        for step in ("pass", "s = socket.socket(); s.bind(('127.0.0.1', port))",
                     "s.listen(); c = socket.create_connection(s.getsockname())",
                     "c.close(); s.close()"):
            plain(step)
            shim(step)
            self.assertEqual(plain.eval("fds()"), shim.eval("fds()"), step)

    def test_no_descriptor_in_a_child(self):
        plain, shim = self.puppet(plain=True), self.puppet()
        ask = "import subprocess; got = subprocess.run(['ls', '/proc/self/fd'], " \
            "capture_output=True, close_fds=False).stdout.decode()"
        for puppet in (plain, shim):
            puppet(ask)
        self.assertEqual(plain.eval("got"), shim.eval("got"))


class Reading(Case):
    """With a log: when the program's memory is read through a pointer that it gave.

    Never before the real call, unless bind must know whether the option is wanted; after it
    only where the kernel itself can no longer tell what stands there.
    """

    CALLS = ("bind", "listen", "connect", "accept4")
    PROGRAM = """
import os, socket, struct
step = lambda: os.getpriority(os.PRIO_PROCESS, 0)
def fails(call, *args):
    try:
        call(*args)
    except OSError:
        return
    raise SystemExit("%s works" % call)
l, c, d, twin = (socket.socket() for _ in range(4))
step()
l.bind(("127.0.0.1", 0))
l.listen()
step()
c.connect(l.getsockname())
step()
a, _ = l.accept()
step()
fails(twin.bind, l.getsockname())
step()
d.connect(l.getsockname())
d.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
d.close()
step()
l.accept()
step()
"""

    def read_at(self, **settings):
        """For each step of the program its calls and, as `read`, what was read."""
        if strace.available():
            self.skipTest(strace.available())
        output = self.fresh("trace")
        env = shimmed(LOG=self.log().path, FORMAT="json", **settings)
        command = strace.command(output, env, [paths.PYTHON, "-IS", "-c", self.PROGRAM],
                                 traced=self.CALLS + ("getpriority", "rt_sigprocmask"))
        status, _, err = self.run_program(command, env)
        self.assertEqual(status, 0, err)
        steps = [[]]
        with open(output, errors="replace") as file:
            for line in file:
                name, args = (LINE.match(line) or LINE.match("0 none(")).groups()
                if name == "getpriority":
                    steps.append([])
                elif name in self.CALLS:
                    steps[-1].append(name)
                elif name == "rt_sigprocmask" and re.match(r"0xffffffff\b|-1\b", args):
                    steps[-1].append("read")
        return steps[1:-1]

    def test_after_the_call_and_where_nothing_else_tells(self):
        bound, connected, accepted, refused, _, forgotten = self.read_at(REUSE="off")
        self.assertEqual(bound, ["bind", "listen"])
        self.assertEqual(accepted, ["accept4"])
        for step, call in ((connected, "connect"), (refused, "bind")):
            self.assertEqual((step[0], set(step[1:])), (call, {"read"}))
        # How much there is, and the address; either may lie in two pages.
        self.assertEqual((forgotten[0], set(forgotten[1:])), ("accept4", {"read"}))
        self.assertGreaterEqual(len(forgotten), 3)

    def test_before_a_bind_that_may_want_the_option(self):
        bound = self.read_at()[0]
        self.assertIn(bound, (["read", "bind", "listen"], ["read", "read", "bind", "listen"]))


class Logging(Case):
    """With a log: descriptors of ours are high, close-on-exec, and not inherited."""

    def ours(self, p):
        return [fd for fd in p.eval("fds()") if fd > 2]

    def test_high_and_close_on_exec(self):
        log = self.log()
        p = self.puppet(log)
        ours = self.ours(p)
        self.assertTrue(ours)
        self.assertGreater(min(ours), 200)
        for fd in ours:
            with open("/proc/%d/fdinfo/%d" % (p.pid, fd)) as file:
                flags = int(re.search(r"flags:\s+(\d+)", file.read()).group(1), 8)
            self.assertTrue(flags & os.O_CLOEXEC, fd)
        self.assertEqual(p.eval("socket.socket().detach()"), 3)

    def test_children_inherit_nothing(self):
        log = self.log()
        plain, shim = self.puppet(plain=True), self.puppet(log)
        for puppet in (plain, shim):
            puppet("import subprocess; env = dict(os.environ); env.pop('LD_PRELOAD', 0)\n"
                   "got = subprocess.run(['ls', '/proc/self/fd'], capture_output=True, "
                   "close_fds=False, env=env).stdout.decode()")
        self.assertEqual(plain.eval("got"), shim.eval("got"))

    def test_no_threads_signals_or_timers(self):
        log = self.log()
        plain, shim = self.puppet(plain=True), self.puppet(log)
        for puppet in (plain, shim):
            puppet("s = socket.create_server(('127.0.0.1', 0)); s.close()")
        wanted = ("Threads", "SigBlk", "SigIgn", "SigCgt", "SigPnd", "Seccomp")
        told = []
        for puppet in (plain, shim):
            with open("/proc/%d/status" % puppet.pid) as file:
                told.append([line for line in file if line.split(":")[0] in wanted])
            told[-1].append(puppet.eval("[__import__('signal').getitimer(i) for i in range(3)]"))
            timers = "/proc/%d/timers" % puppet.pid   # a kernel may be built without
            if os.path.exists(timers):
                with open(timers) as file:
                    told[-1].append(file.read())
        self.assertEqual(told[0], told[1])


class Ours(Case):
    """What the program does to descriptors that it should not know of."""

    def works(self, p, log):
        """Events still come, and nothing else is written anywhere."""
        log.read()
        before = len(log.events)
        p("socket.socket().close()")
        self.assertEqual([event["call"] for event in log.read()[before:]], ["socket", "close"])

    def high(self, p):
        return [fd for fd in p.eval("fds()") if fd > 200]

    def test_close_answers_ebadf(self):
        log = self.log()
        p = self.puppet(log)
        for fd in self.high(p):
            self.assertEqual(p.eval("call('close', %d)" % fd), [-1, "EBADF"])
            self.works(p, log)
        self.assertTrue(self.high(p))

    def test_ranges_go_around(self):
        log = self.log()
        p = self.puppet(log)
        self.assertTrue(self.high(p))
        p("os.closerange(3, 100000)")
        self.works(p, log)
        self.assertEqual(p.eval("call('close_range', 3, 2**32 - 1, 0)"), [0, None])
        self.works(p, log)
        p("C.closefrom(3)")
        self.works(p, log)
        p("for fd in range(3, 70000): C.close(fd)")
        self.works(p, log)

    def test_cloexec_ranges_change_nothing(self):
        log = self.log()
        p = self.puppet(log)
        self.assertEqual(p.eval("call('close_range', 3, 2**32 - 1, 4)"), [0, None])
        self.works(p, log)

    def test_dup2_onto_ours(self):
        """Ours moves away first; the program gets the number."""
        for call in ("call('dup2', w, %d)", "call('dup3', w, %d, 0)",
                     "[os.dup2(w, %d), None]"):
            log = self.log(self.fresh("log").rpartition("/")[2])
            p = self.puppet(log)
            p("r, w = os.pipe()")
            for fd in self.high(p):
                self.assertEqual(p.eval(call % fd), [fd, None])
                self.works(p, log)
                p("os.set_blocking(r, False)")
                self.assertEqual(p.eval("error_of(os.read, r, 1)"), "EAGAIN")
                self.assertEqual(p.eval("os.stat(%d).st_ino == os.stat(w).st_ino" % fd), True)
            p.close()

    def test_through_syscall(self):
        """libc's syscall() is no way around it."""
        log = self.log()
        p = self.puppet(log)
        p("import platform\n"
          "number = {'x86_64': 3, 'aarch64': 57}[platform.machine()]")
        for fd in self.high(p):
            self.assertEqual(p.eval("call('syscall', number, %d)" % fd), [-1, "EBADF"])
        self.works(p, log)

    def test_closed_behind_our_back(self):
        """Closed by instructions of the program's own, and the numbers used for its file."""
        log = self.log()
        status, out, err = self.run_program([self.program("steals"), self.path("file")],
                                            shimmed(LOG=log.path, FORMAT="json"))
        if status == 77:
            self.skipTest("no system call instruction known for this machine")
        self.assertEqual((status, err), (0, b""))
        self.assertGreater(int(out), 0, "no descriptor of the shim's was found")
        with open(self.path("file"), "rb") as file:
            self.assertEqual(file.read(), b"")
        self.assertEqual([event["call"] for event in log.read()][:2], ["socket", "close"])


class StandardError(Case):
    """TCPSHIM_LOG=stderr is what was stderr at load, or nothing."""

    def test_closed_and_used_again(self):
        """fd 2 becomes a connection: not one byte of ours may be sent on it."""
        for settings in ({"LOG": "stderr"}, {"LOG": "stderr", "FORMAT": "json"}, {}):
            p = self.puppet(silent=False, **settings)
            p("l = socket.create_server(('127.0.0.1', 0)); os.close(2)\n"
              "c = socket.create_connection(l.getsockname()); a, _ = l.accept()")
            self.assertEqual(p.eval("c.fileno()"), 2)
            p("socket.socket().close(); s = socket.socket(); s.bind(('127.0.0.1', 0))\n"
              "a.setblocking(False)")
            self.assertEqual(p.eval("error_of(a.recv, 1)"), "EAGAIN")
            said = p.error().count(b"\n")
            p("socket.socket().close()")
            p.close()
            if settings:
                self.assertGreater(p.error().count(b"\n"), said, "the log went on")
            else:
                self.assertEqual(p.error(), b"")

    def test_replaced_by_dup2(self):
        p = self.puppet(silent=False, LOG="stderr", FORMAT="json")
        p("f = os.open(%r, os.O_RDWR | os.O_CREAT); os.dup2(f, 2); os.close(f)"
          % self.path("replaced"))
        before = p.error()
        p("socket.socket().close()")
        self.assertEqual(p.error()[len(before):].count(b"\n"), 2)
        with open(self.path("replaced"), "rb") as file:
            self.assertEqual(file.read(), b"")

    def test_closed_before_the_start(self):
        """No stderr at all: a descriptor that the program opens as 2 gets nothing."""
        script = ("import os, socket\n"
                  "fd = os.open(%r, os.O_RDWR | os.O_CREAT)\n"
                  "socket.socket().close(); os._exit(fd)" % self.path("file"))
        for settings in ({"LOG": "stderr"}, {"LOG": self.path("no/such")}, {"REUSE": "wrong"}):
            status, out, _ = self.run_program(
                ["sh", "-c", 'exec "$@" 2>&-', "sh", paths.PYTHON, "-I", "-S", "-c", script],
                shimmed(**settings))
            with open(self.path("file"), "rb") as file:
                self.assertEqual((out, file.read()), (b"", b""), settings)
            self.assertIn(status, (2, 3))

    def test_a_bad_value_after_stderr_was_used_for_something_else(self):
        """Nothing is written to fd 2 after load, whatever goes wrong."""
        p = self.puppet(LOG="/dev/full", FORMAT="json")
        p("for _ in range(50): socket.socket().close()")
        self.assertEqual(p.error(), b"")
