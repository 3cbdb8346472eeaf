# SPDX-License-Identifier: MIT
"""The shim's own descriptors: few, where nobody looks, and none of the program's limits touched."""

import os
import re
import resource

from harness import paths, strace
from harness.case import Case, shimmed

# In a program: the numbers of the shim's descriptors. A netlink socket of its own it has none.
OWN = ("def is_netlink(fd):\n"
       "    value, size = ctypes.c_int(), ctypes.c_uint32(4)\n"
       "    C.getsockopt(fd, socket.SOL_SOCKET, socket.SO_DOMAIN, ctypes.byref(value),\n"
       "                 ctypes.byref(size))\n"
       "    return value.value == socket.AF_NETLINK\n"
       "def own():\n"
       "    numbers = [fd for fd in fds() if os.path.lexists('/proc/self/fd/%d' % fd)]\n"
       "    return {'log': [fd for fd in numbers\n"
       "                    if os.path.realpath('/proc/self/fd/%d' % fd) == LOG],\n"
       "            'netlink': [fd for fd in numbers if is_netlink(fd)]}\n")


class Place(Case):
    """Where they lie."""

    def own(self, p, log):
        p("LOG = %r\n" % os.path.realpath(log.path) + OWN)
        return p.eval("own()")

    def under(self, soft):
        """A puppet that was started under that limit, and what it has of ours."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard < 8192:
            self.skipTest("the hard limit of open files is %d" % hard)
        log = self.log("events%d.json" % soft)
        p = self.puppet(log, wrapper=("sh", "-c", 'ulimit -Sn %d; exec "$@"' % soft, "sh"))
        own = self.own(p, log)
        self.assertEqual([len(own["log"]), len(own["netlink"])], [1, 2], own)
        self.assertEqual(p.eval("__import__('resource').getrlimit(7)"), [soft, hard])
        return p, own["log"] + own["netlink"]

    def test_above_the_limit_and_above_what_it_may_have_been(self):
        for soft in (40, 256, 1024, 4096):
            _, own = self.under(soft)
            self.assertGreaterEqual(min(own), max(soft, 1024))
            self.assertLess(max(own), max(soft, 1024) + 16)

    def test_not_so_high_that_forks_pay_for_it(self):
        _, own = self.under(8192)
        self.assertTrue(all(4080 <= fd < 4096 for fd in own), own)

    def test_a_forked_childs_are_as_high_as_its_limit_allows(self):
        """Its sockets take the place of its parent's, once it has asked a question."""
        p, own = self.under(1024)
        p("l = socket.create_server(('127.0.0.1', 0)); r, w = os.pipe()\n"
          "pid = os.fork()\n"
          "if pid == 0:\n"
          "    before = own(); l.close(); os.write(w, repr((before, own())).encode())\n"
          "    os._exit(0)\n"
          "os.waitpid(pid, 0)\n"
          "before, after = eval(os.read(r, 1000))")
        before, after = p.eval("[before, after]")
        self.assertEqual(before["log"] + before["netlink"], own)
        self.assertEqual(after["log"], before["log"])
        self.assertEqual(len(after["netlink"]), 2, after)
        self.assertTrue(all(1008 <= fd < 1024 for fd in after["netlink"]), after)
        self.assertEqual(self.own_in(p), own, "the parent's have changed")

    @staticmethod
    def own_in(p):
        own = p.eval("own()")
        return own["log"] + own["netlink"]

    def test_a_copy_onto_them_fails_beyond_the_limit_and_takes_nothing(self):
        """The kernel refuses such a number; ours stays where it is, and the log goes on."""
        p, own = self.under(1024)
        self.assertEqual(p.eval("[call('dup2', 0, n) for n in %r]" % own), [[-1, "EBADF"]] * 3)
        self.assertEqual(p.eval("[call('dup3', 0, n, 0) for n in %r]" % own),
                         [[-1, "EBADF"]] * 3)
        self.assertEqual(self.own_in(p), own)
        log = self._logs[-1]
        p("socket.socket().close()")
        self.assertEqual([event["call"] for event in log.read()][-2:], ["socket", "close"])


class Limits(Case):
    """After load no limit of the program's is written, not even for a moment."""

    SCRIPT = (
        "import os, resource, socket, threading\n"
        "l = socket.create_server(('127.0.0.1', 0))\n"
        "def life():\n"
        "    c = socket.create_connection(l.getsockname()); a, _ = l.accept()\n"
        "    c.close(); a.close()\n"
        "os.getpriority(0, 0)\n"
        "life()\n"
        "try: socket.socket().bind(l.getsockname())\n"
        "except OSError: pass\n"
        "for fd in range(3, 1100):\n"
        "    try:\n"
        "        if fd != l.fileno(): os.dup2(0, fd); os.close(fd)\n"
        "    except OSError: pass\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    life(); threading.Thread(target=life).start()\n"
        "    grandchild = os.fork()\n"
        "    if grandchild: os.waitpid(grandchild, 0)\n"
        "    else: life()\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0); life()\n")

    def trace(self, soft, room):
        """What the program's processes do with limits, and with the log's name, after its mark."""
        if strace.available():
            self.skipTest(strace.available())
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        log = self.log("events%d%s.json" % (soft, room))
        output = self.fresh("trace")
        command = strace.command(
            output, shimmed(LOG=log.path, FORMAT="json"),
            [paths.PYTHON, "-I", "-S", "-W", "ignore", "-c", self.SCRIPT],
            ("getpriority", "setrlimit", "prlimit64", "open", "openat", "connect", "fork",
             "vfork", "clone", "clone3"))
        status, _, err = self.run_program(
            command, preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_NOFILE, (soft, hard if room else soft)))
        self.assertEqual((status, err), (0, b""))
        with open(output, errors="replace") as file:
            before, mark, after = file.read().partition("getpriority(")
        self.assertTrue(mark)
        self.assertGreaterEqual(len({event["pid"] for event in log.read()}), 3)
        return before, after, log.path

    def test_no_limit_is_written_and_no_log_opened_again(self):
        for soft in (200, 1024):
            for room in (True, False):
                before, after, path = self.trace(soft, room)
                self.assertIn(path, before)
                self.assertNotIn(path, after)
                self.assertEqual(re.findall(r".*setrlimit\(.*", after), [])
                self.assertEqual([line for line in re.findall(r".*prlimit64\(.*", after)
                                  if not re.search(r"NULL, [{N0]", line)], [])
