# SPDX-License-Identifier: MIT
"""memcheck and helgrind find nothing in the shim: the demo server, a program that makes every call,
and for helgrind a storm of 16 threads and a signal handler.
"""

import os
import re
import signal
import socket
import subprocess

from harness import paths
from harness.case import Case, environment, listening_port, shimmed, timeout


class Checked(Case):
    """What each of valgrind's tools does. Any error counts, also one outside the shim's code."""

    tool = None
    exceptions = None

    def setUp(self):
        super().setUp()
        self.valgrind = paths.find("valgrind")
        if not self.valgrind:
            self.skipTest("no valgrind")

    def checked(self, command, how=None, **settings):
        """The command under valgrind and the shim; stdout is a pipe."""
        env = shimmed(**settings)
        report = self.path("valgrind.%p")
        quiet = "--suppressions=" + os.path.join(paths.ROOT, "tests", "real",
                                                   self.exceptions)
        return self.start([self.valgrind, "-q", "--tool=" + self.tool, "--error-exitcode=99",
                           "--trace-children=no", quiet, "--log-file=" + report] + command, env,
                          **(how or {}))

    def assert_clean(self, status):
        said = ""
        for name in os.listdir(self.folder):
            if name.startswith("valgrind."):
                with open(self.path(name), errors="replace") as file:
                    said += file.read()
        said = re.sub(r"(?m)^--\d+-- .*\n", "", said)   # what valgrind itself does not know
        said = re.sub(r"(?m)^==\d+== ?", "", said)
        self.assertNotIn("libreuse.so", said)
        self.assertEqual((status, said.strip()), (0, ""))

    def serve(self, **settings):
        server = self.checked([paths.demo("server"), "0"], **settings)
        port = listening_port(server)
        for turn in range(20):
            with socket.create_connection(("127.0.0.1", port), 10) as sock:
                sock.sendall(b"hello\n")
                if turn % 2:
                    sock.shutdown(socket.SHUT_WR)
                self.assertEqual(sock.recv(100), b"hello\n")
        server.send_signal(signal.SIGTERM)
        return server.wait(20)

    def status_without(self):
        """How the server ends without valgrind and the shim."""
        server = self.start([paths.demo("server"), "0"], environment())
        listening_port(server)
        server.send_signal(signal.SIGTERM)
        return server.wait(20)

    def ways(self):
        """Without a log, and with each kind that takes another way through the shim."""
        return ({}, {"LOG": self.path("text")}, {"LOG": self.path("json"), "FORMAT": "json"},
                {"LOG": self.path("stacks"), "FORMAT": "json", "STACK": 16})

    def check_demo_server(self):
        usual = self.status_without()
        for settings in self.ways():
            self.assertEqual(self.serve(**settings), usual, settings)
        self.assert_clean(0)

    def check_every_call(self):
        for settings in self.ways():
            process = self.checked([self.program("every_call"), str(self.port())],
                                   **settings)
            process.communicate(timeout=60)
            self.assert_clean(process.returncode)


class Memcheck(Checked):

    tool, exceptions = "memcheck", "valgrind.supp"

    @timeout(120)
    def test_demo_server(self):
        self.check_demo_server()

    @timeout(120)
    def test_every_call(self):
        self.check_every_call()


class Helgrind(Checked):

    tool, exceptions = "helgrind", "helgrind.supp"

    @timeout(120)
    def test_demo_server(self):
        self.check_demo_server()

    @timeout(120)
    def test_every_call(self):
        self.check_every_call()

    @timeout(300)
    def test_storm(self):
        """Without call stacks: helgrind loses its own way where a walk changes to its own stack."""
        storm = os.path.join(paths.OUT, "tests", "stress", "storm")
        for settings in self.ways():
            if "STACK" in settings:
                continue
            process = self.checked([storm, "2", "200", "alone"], {"stdin": subprocess.PIPE},
                                   **settings)
            out, _ = process.communicate(b"\n", timeout=120)
            self.assertRegex(out, rb"(?m)^close \d{2}", "it did not blow")
            self.assert_clean(process.returncode)
