"""memcheck finds nothing in the shim: the demo server, and a program that makes every call."""

import os
import re
import signal
import socket

from harness import paths
from harness.case import Case, environment, listening_port, shimmed, timeout


class Memcheck(Case):
    """Errors that have the shim's code in their stack are ours; others are counted, too."""

    def setUp(self):
        super().setUp()
        self.valgrind = paths.find("valgrind")
        if not self.valgrind:
            self.skipTest("no valgrind")

    def checked(self, command, **settings):
        """The command under valgrind and the shim; stdout is a pipe."""
        env = shimmed(**settings)
        report = self.path("valgrind.%p")
        quiet = "--suppressions=" + os.path.join(paths.ROOT, "tests", "real", "valgrind.supp")
        return self.start([self.valgrind, "-q", "--error-exitcode=99", "--trace-children=no",
                           quiet, "--log-file=" + report] + command, env)

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

    @timeout(120)
    def test_demo_server(self):
        usual = self.status_without()
        for settings in ({}, {"LOG": self.path("text")}, {"LOG": self.path("json"),
                                                          "FORMAT": "json"},
                         {"LOG": self.path("stacks"), "FORMAT": "json", "STACK": 16}):
            self.assertEqual(self.serve(**settings), usual, settings)
        self.assert_clean(0)

    @timeout(120)
    def test_every_call(self):
        for settings in ({}, {"LOG": self.path("text")}, {"LOG": self.path("json"),
                                                          "FORMAT": "json"},
                         {"LOG": self.path("stacks"), "FORMAT": "json", "STACK": 16}):
            process = self.checked([self.program("every_call"), str(self.port())],
                                   **settings)
            process.communicate(timeout=60)
            self.assert_clean(process.returncode)
