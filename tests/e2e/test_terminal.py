# SPDX-License-Identifier: MIT
"""Text on a terminal: looked at through one, at the width that it has."""

import re

from harness import paths
from harness.case import Case, shimmed

SCRIPT = """
import socket
def run(address):
    with socket.socket() as listener:
        listener.bind(address); listener.listen(64)
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with socket.socket() as other:
                other.bind(listener.getsockname())
        except OSError:
            pass
        client.close(); server.close()
run(("127.0.0.1", 0))
"""
CALLS = ("socket bind listen socket connect accept4 setsockopt socket setsockopt bind close close "
         "close close").split()
NOTE_INDENT = {80: 13, 200: 29}


class Terminal(Case):
    """A script whose log is a terminal of so many columns."""

    def lines(self, width, **env):
        text = self.run_on_terminal([paths.PYTHON, "-I", "-S", "-c", SCRIPT],
                                    dict(shimmed(LOG="stderr"), **env), width)
        return text.decode().replace("\r\n", "\n").splitlines()

    def held(self, width, column):
        """Each line fits, each call is there once, in order; return what says its states."""
        lines = self.lines(width, TERM="dumb")
        self.assertEqual([line for line in lines if len(line) > width], [])
        events = [line for line in lines if re.match(r"\d\d:\d\d:\d\d\.", line)]
        self.assertEqual([re.search(r"\] (\w+)\(", line).group(1) for line in events], CALLS)
        self.assertIn("SO_REUSEADDR never takes it from a live one",
                      " ".join(" ".join(lines).split()))
        states = []
        for line in lines:
            if line in events:
                states.append(line)
            elif line[:column].isspace():
                states[-1] = line  # a call that took long says so, and has no room for more
            else:
                self.assertRegex(line, r"^ {%d}(note: | {6})\S" % NOTE_INDENT[width])
        return states

    def test_eighty_columns(self):
        for line in self.held(80, 60):
            self.assertRegex(line[:69], r"(\s|-> )$")
            self.assertRegex(line[69:], r"^[A-Z][A-Z_0-9]+$")

    def test_two_hundred_columns(self):
        for line in self.held(200, 114):
            self.assertRegex(line[:114], r"\s$")
            self.assertRegex(line[114:], r"^\(?[A-Z][A-Z_0-9]+\)?( -> [A-Z][A-Z_0-9]+)*"
                                         r"( \(\S+ s\))?$")

    def test_no_colours_where_there_are_none(self):
        self.assertIn("\x1b[", "".join(self.lines(80, TERM="xterm")))
        self.assertNotIn("\x1b", "".join(self.lines(80, TERM="dumb")))
        self.assertNotIn("\x1b", "".join(self.lines(80, TERM="")))

    def test_what_is_no_terminal_is_whole(self):
        _, _, error = self.run_program([paths.PYTHON, "-I", "-S", "-c", SCRIPT],
                                       shimmed(LOG="stderr"))
        self.assertIn(b"setsockopt(5, SOL_SOCKET, SO_REUSEADDR, 1) = 0 (by libreuse)",
                      re.sub(rb"setsockopt\(\d+, SOL", b"setsockopt(5, SOL", error))
