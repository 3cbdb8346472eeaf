# SPDX-License-Identifier: MIT
"""The kernel refuses what the shim asks of it: what the program, its log and its reader get."""

import json
import os
import resource
import socket
import subprocess

from harness import kernel, paths, strace
from harness.case import Case, environment, needs_root, shimmed

# /proc is taken away, in a namespace of mounts of its own.
WITHOUT_PROC = ("assert C.unshare(0x20000) == 0\n"
                "assert C.mount(b'none', b'/', None, 0x44000, None) == 0\n"
                "while C.umount2(b'/proc', 2) == 0: pass")


class Injected(Case):
    """With strace, which lets a system call fail."""

    def setUp(self):
        super().setUp()
        if strace.available():
            self.skipTest(strace.available())

    def injected(self, env, *faults, program=("true",), trace="/dev/null"):
        """Run a program; each fault is a `name:error=NAME:when=WHEN` of strace's inject."""
        names = sorted({fault.partition(":")[0] for fault in faults})
        command = strace.command(trace, env, program, traced=names, fast=False)
        for fault in faults:
            command[1:1] = ["-e", "inject=" + fault]
        return self.run_program(command, environment())

    def said(self, env, *faults):
        """The one line that a fault makes, without the beginning; the program goes on."""
        status, out, err = self.injected(env, *faults)
        self.assertEqual((status, out), (0, b""))
        lines = err.decode().splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith("libreuse: "), lines)
        return lines[0][len("libreuse: "):]


class Ways(Injected):
    """A way to write that is refused, for whatever reason: each event comes by another one."""

    PROGRAM = [paths.PYTHON, "-I", "-S", "-c", "import socket; socket.socket().close()"]

    def is_whole(self, text):
        self.assertEqual([json.loads(line)["call"] for line in text.splitlines()],
                         ["socket", "close"])

    def test_to_a_pipe(self):
        for error in ("ENOSYS", "EINVAL", "EPERM", "EACCES", "EOPNOTSUPP", "EIO"):
            with self.subTest(error):
                env = shimmed(LOG="stderr", FORMAT="json")
                status, _, err = self.injected(env, "pwritev2:error=" + error,
                                               program=self.PROGRAM)
                self.assertEqual(status, 0)
                self.is_whole(err)

    def test_to_a_socket(self):
        """Without sendto there is no sock_diag either: the close has no state."""
        for error in ("ENOSYS", "EPERM"):
            with self.subTest(error):
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
                command = strace.command("/dev/null", shimmed(LOG="stdout", FORMAT="json"),
                                         self.PROGRAM, traced=["sendto"], fast=False)
                command[1:1] = ["-e", "inject=sendto:error=" + error]
                process = self.start(command, environment(), stdout=theirs)
                theirs.close()
                self.assertEqual(process.wait(), 0)
                ours.setblocking(False)
                self.is_whole(b"".join(ours.recv(65536) for _ in range(2)))
                ours.close()


class Names(Injected):
    """Each failure at load is told by its own name."""

    def test_of_the_log(self):
        for kind in ("", "ring:"):
            for fault, name in (("statx:error=ENOSYS", "ENOSYS"), ("statx:error=EIO", "EIO"),
                                ("fcntl:error=EPERM", "EPERM"), ("fcntl:error=EMFILE", "EMFILE")):
                where = kind + self.fresh("log")
                self.assertEqual(self.said(shimmed(LOG=where), fault),
                                 "TCPSHIM_LOG=%s can't be opened (%s); nothing is logged"
                                 % (where, name))

    def test_of_standard_error(self):
        for fault, why in (("fcntl:error=EBADF", "a descriptor that is not open"),
                           ("fcntl:error=EPERM", "EPERM"), ("statx:error=ENOSYS", "ENOSYS")):
            self.assertEqual(self.said(shimmed(LOG="stderr"), fault),
                             "TCPSHIM_LOG=stderr can't be opened (%s); nothing is logged" % why)

    def test_of_what_a_recorder_writes_with(self):
        """One that is there, so that nothing else is written at load."""
        where = "ring:" + self.fresh("ring")
        self.assertEqual(self.run_program(["true"], shimmed(LOG=where)), (0, b"", b""))
        self.assertEqual(self.said(shimmed(LOG=where), "pwrite64:error=EPERM"),
                         "TCPSHIM_LOG=%s can't be opened (EPERM); nothing is logged" % where)

    def test_of_all_ways_to_write_to_a_pipe(self):
        self.assertEqual(self.said(shimmed(LOG="stderr"), "pwritev2:error=EPERM",
                                   "ppoll:error=EPERM"),
                         "TCPSHIM_LOG=stderr can't be opened (EPERM); nothing is logged")

    def test_what_is_refused_leaves_no_descriptor(self):
        """Nor what stands for the program's own standard error, whose reader waits for its end."""
        sees = ("import os; print([os.readlink('/proc/self/fd/' + fd) for fd in"
                " os.listdir('/proc/self/fd') if int(fd) > 3])")
        where = self.path("datagrams")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader:
            reader.bind(where)
            for log, fault in (("stderr", "pwritev2"), ("unix:" + where, "sendto")):
                status, out, err = self.injected(
                    shimmed(LOG=log), fault + ":error=EPERM", "ppoll:error=EPERM",
                    program=[paths.PYTHON, "-c", sees])
                self.assertIn(b"nothing is logged", err)
                self.assertEqual((status, out), (0, b"[]\n"))

    def test_a_complaint_raises_no_signal(self):
        """Standard error is a file that has its largest size already."""
        with open(self.path("err"), "wb") as file:
            file.write(b"x" * 1000)
        with open(self.path("err"), "ab") as file:
            done = subprocess.run(
                ["true"], env=shimmed(LOG="/nonexistent/x/y"), stderr=file, check=False,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
        self.assertEqual(done.returncode, 0)

    def test_of_a_recorder_that_is_there(self):
        """It can't be read: that says nothing of what it holds."""
        path = self.path("events.ring")
        env = shimmed(LOG="ring:" + path)
        self.assertEqual(self.injected(env, "statx:error=EIO:when=65535")[0], 0)
        # The dynamic linker reads by pread64 too, before.
        said = [self.injected(env, "pread64:error=EIO:when=%d" % nth)[2] for nth in range(1, 12)]
        told = [line for line in said if line.startswith(b"libreuse: ")]
        self.assertEqual(told, [b"libreuse: TCPSHIM_LOG=ring:%s can't be opened (EIO); nothing "
                                b"is logged\n" % path.encode()])

    def test_of_memory(self):
        """A kernel that knows no MADV_WIPEONFORK says EINVAL, and only that."""
        for settings in ({}, {"LOG": self.path("log")}):
            env = shimmed(**settings)
            self.assertEqual(self.said(env, "madvise:error=EINVAL"),
                             "this kernel can't tell a forked process apart (MADV_WIPEONFORK); "
                             "nothing is done")
            self.assertEqual(self.said(env, "madvise:error=ENOMEM"),
                             "a forked process can't be told apart (ENOMEM); nothing is done")

    def test_of_a_link(self):
        for target in ("nowhere", "no/where"):
            link = self.fresh("link")
            os.symlink(target, link)
            for kind in ("", "ring:"):
                self.assertEqual(
                    self.said(shimmed(LOG=kind + link), "madvise:error=EIO:when=65535"),
                    "TCPSHIM_LOG=%s%s can't be opened (a symbolic link, which could lead "
                    "anywhere); nothing is logged" % (kind, link))


class Passing(Injected):
    """An error that passes is not the end of the log; what it costs is told."""

    SCRIPT = ("import os, socket\n"
              "for _ in range(4): socket.socket().close()\n")

    def events(self, log, *faults):
        """The events of four sockets, made and closed."""
        env = shimmed(LOG=log.where if hasattr(log, "where") else log.path, FORMAT="json")
        python = [paths.PYTHON, "-I", "-S", "-c", self.SCRIPT]
        self.assertEqual(self.injected(env, *faults, program=python), (0, b"", b""))
        return log.read()

    def told(self, events):
        return sum(note["events"] for event in events for note in event.get("notes", ())
                   if note["code"] == "lost-events")

    def test_of_the_look_at_the_log(self):
        """Two at load for each descriptor of ours; then one a line and one a question."""
        for name in ("EIO", "ESTALE"):
            for make in (self.log, self.ring):
                log = make(self.fresh("log").rpartition("/")[2])
                numbers = [event["seq"] for event in
                           self.events(log, "statx:error=%s:when=10" % name)]
                self.assertEqual(len(numbers), 7, numbers)
                self.assertEqual(numbers[-1], 8)
                self.assertEqual(self.told(log.read()), 1)

    def numbers(self, option, script):
        """Which getsockopt of a script's run, by number, ask for that option."""
        trace = self.fresh("trace")
        self.injected(shimmed(LOG=self.fresh("log"), FORMAT="json"),
                      "getsockopt:error=EIO:when=65535", trace=trace,
                      program=[paths.PYTHON, "-I", "-S", "-c", script])
        with open(trace) as file:
            lines = [line for line in file if "getsockopt(" in line]
        return [i for i, line in enumerate(lines, 1) if option in line]

    def question(self):
        """The one which asks what the first socket is that is closed: behind that of socket()."""
        made = self.numbers("SO_COOKIE", self.SCRIPT)[0]
        return min(nth for nth in self.numbers("TCP_INFO", self.SCRIPT) if nth > made)

    def test_of_what_it_is(self):
        """TCP_INFO is asked for once more."""
        events = self.events(self.log(), "getsockopt:error=ENOBUFS:when=%d" % self.question())
        self.assertEqual([event["seq"] for event in events], list(range(1, 9)))

    def test_of_whose_memory_it_is(self):
        """getpid is asked for once more: at load, and in a forked child, where all is asked anew."""
        self.SCRIPT = self.SCRIPT.replace("\n", "\npid = os.fork()\n"
                                          "if pid: os._exit(os.waitpid(pid, 0)[1])\n", 1)
        events = self.events(self.log(), "getpid:error=ENOSYS:when=1+2")
        self.assertEqual([event["seq"] for event in events], list(range(1, 9)))

    def test_of_what_it_is_twice(self):
        """Once more is not enough: a socket that is known to be one is missed, and counted."""
        log, nth = self.log(), self.question()
        events = self.events(log, "getsockopt:error=ENOBUFS:when=%d..%d" % (nth, nth + 1))
        self.assertEqual([event["seq"] for event in events], [1, 3, 4, 5, 6, 7, 8])
        self.assertEqual((events[1]["call"], self.told(events)), ("socket", 1))

    def test_of_who_it_is(self):
        """Without SO_COOKIE nobody is found who has the other number: that does not end it."""
        script = ("import os, socket\n"
                  "l = socket.create_server(('127.0.0.1', 0))\n"
                  "c = socket.create_connection(l.getsockname()); d = os.dup(c.fileno())\n"
                  "c.close(); os._exit(0)\n")
        for nth in self.numbers("SO_COOKIE", script):
            path = self.fresh("log")
            done = self.injected(shimmed(LOG=path, FORMAT="json"),
                                 "getsockopt:error=ENOBUFS:when=%d" % nth,
                                 program=[paths.PYTHON, "-I", "-S", "-c", script])
            self.assertEqual(done, (0, b"", b""))
            with open(path) as file:
                events = [json.loads(line) for line in file]
            for event in events:
                if event["call"] == "close" and "peer" in event:
                    self.assertIn(event.get("state"), (None, "ESTABLISHED"), (nth, event))

    def test_of_what_is_none(self):
        """Of what was never seen to be a TCP socket nothing is missed."""
        self.SCRIPT = "import os\nfor _ in range(9): os.close(os.dup(0))\n" + self.SCRIPT
        log = self.log()
        events = self.events(log, "getsockopt:error=EPERM:when=1..4")
        self.assertEqual([event["seq"] for event in events], list(range(1, 9)))


class WithoutProc(Case):
    """Who has a socket can't be seen: that is no word on who has it."""

    def setUp(self):
        super().setUp()
        if not kernel.root_is_mounted():
            self.skipTest("the root folder is no mount point")

    @needs_root
    def test_a_listener_of_our_own(self):
        log = self.log()
        p = self.puppet(log)
        p(WITHOUT_PROC)
        p("l = socket.create_server(('127.0.0.1', 0)); s = socket.socket()")
        self.assertEqual(p.eval("error_of(s.bind, l.getsockname())"), "EADDRINUSE")
        event = log.read()[-1]
        self.assertEqual(self.notes(event), ["reuse-enabled", "in-use-listener"])
        self.assertIn("the owner was not looked up", event["notes"][1]["text"])

    @needs_root
    def test_the_tool(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            script = "import ctypes, os; C = ctypes.CDLL(None)\n%s\nos.execv(%r, %r)" % (
                WITHOUT_PROC, paths.tool(), [paths.tool(), "why", str(port)])
            _, out, err = self.run_program([paths.PYTHON, "-I", "-S", "-c", script])
        self.assertEqual(err, b"")
        self.assertIn(b"no /proc to find it in, uid 0\n", out)
