"""The kernel refuses what the shim asks of it: what the program, its log and its reader get."""

import os
import socket

from harness import paths, strace
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

    def injected(self, env, *faults, program=("true",)):
        """Run a program; each fault is a `name:error=NAME:when=WHEN` of strace's inject."""
        names = sorted({fault.partition(":")[0] for fault in faults})
        command = strace.command("/dev/null", env, program, traced=names, fast=False)
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
                             "no page that a fork wipes can be had (ENOMEM); nothing is done")

    def test_of_a_link(self):
        for target in ("nowhere", "no/where"):
            link = self.fresh("link")
            os.symlink(target, link)
            for kind in ("", "ring:"):
                self.assertEqual(
                    self.said(shimmed(LOG=kind + link), "madvise:error=EIO:when=65535"),
                    "TCPSHIM_LOG=%s%s can't be opened (a symbolic link, which could lead "
                    "anywhere); nothing is logged" % (kind, link))


class WithoutProc(Case):
    """Who has a socket can't be seen: that is no word on who has it."""

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
