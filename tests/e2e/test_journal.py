# SPDX-License-Identifier: MIT
"""TCPSHIM_LOG=journal: entries of systemd's journal, by its native protocol.

A datagram socket stands in for systemd-journald and takes the entries apart as its protocol says;
and where the real one is installed, it is asked what it has understood.
"""

import os
import shutil
import socket
import struct
import subprocess

from harness import kernel, paths
from harness.case import Case, needs_root, shimmed

SOCKET = "/run/systemd/journal/socket"
JOURNALD = "/lib/systemd/systemd-journald"
MAKE = "s = socket.socket(); s.close()"


def parse(entry):
    """The fields of a datagram, {name: [value]}, by systemd's JOURNAL_NATIVE_PROTOCOL."""
    fields, at = {}, 0
    while at < len(entry):
        end = entry.index(b"\n", at)
        name, equals, value = entry[at:end].partition(b"=")
        at = end + 1
        if not equals:
            length, = struct.unpack_from("<Q", entry, at)
            value = entry[at + 8:at + 8 + length]
            at += 8 + length + 1
            assert len(value) == length and entry[at - 1:at] == b"\n", entry
        assert name.isupper() and name[0] != b"_" and len(name) <= 64, name
        fields.setdefault(name.decode(), []).append(value.decode())
    return fields


class Journal(Case):
    """A socket in the place of the journal's."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("needs root")
        kernel.mount("/run", "tmpfs")
        self.addCleanup(kernel.unmount, "/run")
        os.makedirs(os.path.dirname(SOCKET))
        self.reader = self.listen()

    def listen(self):
        reader = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(reader.close)
        reader.bind(SOCKET)
        reader.setblocking(False)
        return reader

    def entries(self, reader=None):
        """What has come since the last time."""
        found = []
        while True:
            try:
                found.append(parse((reader or self.reader).recv(1 << 16)))
            except BlockingIOError:
                return found

    def test_fields_and_text(self):
        p = self.puppet(LOG="journal", FORMAT="json")
        p("l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen(5)")
        port = p.eval("l.getsockname()[1]")
        cookie = p.eval("struct.unpack('Q', l.getsockopt(1, 57, 8))[0]")
        made, bound, listening = self.entries()
        for fields in made, bound, listening:
            self.assertEqual(fields["SYSLOG_IDENTIFIER"], [p.eval("open('/proc/self/comm').read()[:-1]")])
            self.assertEqual((fields["TCPSHIM_PID"], fields["PRIORITY"]),
                             ([str(p.process.pid)], ["6"]))
            self.assertEqual(fields["TCPSHIM_FD" if "TCPSHIM_FD" in fields else "TCPSHIM_RET"],
                             [str(p.eval("l.fileno()"))])
        self.assertEqual(listening["TCPSHIM_CALL"], ["listen"])
        self.assertEqual(listening["TCPSHIM_LOCAL"], ["127.0.0.1:%d" % port])
        self.assertEqual(listening["TCPSHIM_SOCK"], [str(cookie)])
        self.assertEqual((listening["TCPSHIM_WAS"], listening["TCPSHIM_STATE"]),
                         (["CLOSED"], ["LISTEN"]))
        self.assertRegex(listening["MESSAGE"][0], r"^\S+ \S+ listen\(\d+, 5\) = 0 .*LISTEN$")

        p("t = socket.socket()\ntry: t.bind(('127.0.0.1', %d))\nexcept OSError: pass" % port)
        refused = self.entries()[-1]
        self.assertEqual((refused["TCPSHIM_ERROR"], refused["PRIORITY"]), (["EADDRINUSE"], ["4"]))
        self.assertEqual(refused["TCPSHIM_NOTE"], ["reuse-enabled", "in-use-listener"])
        lines = refused["MESSAGE"][0].split("\n")
        self.assertEqual(len(lines), 3)
        self.assertIn("a listener on 127.0.0.1:%d" % port, lines[2])

    def test_what_cant_be_sent_is_lost_and_told(self):
        p = self.puppet(LOG="journal")
        p(MAKE)
        self.assertEqual(len(self.entries()), 2)
        self.reader.close()
        os.unlink(SOCKET)
        p("for _ in range(20): " + MAKE)
        again = self.listen()
        p(MAKE)
        first = self.entries(again)[0]
        self.assertIn("lost-events", first["TCPSHIM_NOTE"])
        self.assertIn("40 events before this one", first["MESSAGE"][0])
        self.assertEqual(first["TCPSHIM_SEQ"], ["43"])

    def test_a_reader_that_is_slow(self):
        p = self.puppet(LOG="journal")
        p("for _ in range(2000): " + MAKE)
        got = len(self.entries())
        self.assertLess(got, 4000)
        p(MAKE)
        self.assertIn("%d events before" % (4000 - got), self.entries()[0]["MESSAGE"][0])

    def test_a_long_entry(self):
        """With frames: more than a line may have is in it, and all of its fields."""
        p = self.puppet(LOG="journal", STACK="32")
        p(MAKE)
        for fields in self.entries():
            self.assertIn("\n", fields["MESSAGE"][0])
            self.assertIn("TCPSHIM_DUR_NS", fields)

    def test_nobody_is_there(self):
        self.reader.close()
        for left in "a socket that nobody reads", "ENOENT":
            out, err = self.run_program([paths.PYTHON, "-I", "-S", "-c", "pass"],
                                        shimmed(LOG="journal"))[1:]
            self.assertEqual((out, err.decode()),
                             (b"", "libreuse: TCPSHIM_LOG=journal can't be opened (%s); "
                                   "nothing is logged\n" % left))
            said = self.run_program([paths.tool(), "check", "--log=journal", "true"])[1].decode()
            self.assertIn("journal can't be opened", " ".join(said.split()))
            self.assertIn("Is systemd-journald running here?", " ".join(said.split()))
            if os.path.exists(SOCKET):
                os.unlink(SOCKET)


# In namespaces of its own, and with the kernel's own records left alone.
SCRIPT = """
mount -t tmpfs run /run && mkdir -p /run/log/journal /run/systemd/journald.conf.d || exit 77
printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nAudit=\\nForwardToWall=no\\n' \\
    >/run/systemd/journald.conf.d/test.conf
ip link set lo up
{journald} 2>/run/said & journald=$!
tries=100
while [ ! -S {socket} ] && [ $tries -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
[ -S {socket} ] || exit 77
LD_PRELOAD={library} TCPSHIM_LOG=journal {python} -I -S -c '{program}' || exit 1
journalctl --sync
journalctl --no-pager -o cat TCPSHIM_ERROR=EADDRINUSE TCPSHIM_NOTE=in-use-listener
journalctl --no-pager -o cat -p warning -t "$(cat /run/comm)" --output-fields=TCPSHIM_CALL
kill $journald
"""
PROGRAM = """
import socket
open("/run/comm", "w").write(open("/proc/self/comm").read())
l = socket.socket(); l.bind(("127.0.0.1", 9)); l.listen()
t = socket.socket()
try: t.bind(("127.0.0.1", 9))
except OSError: pass
"""


class Systemd(Case):
    """systemd-journald itself."""

    @needs_root
    def test_finds_an_entry_by_its_fields(self):
        if not os.access(JOURNALD, os.X_OK) or not shutil.which("journalctl"):
            self.skipTest("no systemd-journald")
        if not os.path.exists("/etc/machine-id"):
            self.skipTest("no machine-id")
        script = SCRIPT.format(journald=JOURNALD, socket=SOCKET, library=paths.library(),
                               python=paths.PYTHON, program=PROGRAM)
        done = subprocess.run(["unshare", "--mount", "--pid", "--net", "--fork", "--mount-proc",
                               "--kill-child", "sh", "-c", script], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
        if done.returncode == 77:
            self.skipTest("systemd-journald does not run here")
        lines = done.stdout.decode().split("\n")
        self.assertRegex(lines[0], r"^\S+ \S+ bind\(\d+, 127\.0\.0\.1:9\) = -1 EADDRINUSE ",
                         done.stderr)
        self.assertIn("a listener on 127.0.0.1:9 of this process itself", lines[2])
        self.assertEqual(lines[3:], ["bind", ""], done.stdout)
