# SPDX-License-Identifier: MIT
"""tcpshim dump of a log in JSON: a file, a pipe, and whatever else stands in it."""

import os
import select
import signal

from harness import contract, paths
from harness.case import Case, read_line, shimmed, wait_until

MAKE = "socket.socket().close()"
LIFE = ("l = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(l.getsockname())\n"
        "a, _ = l.accept(); c.setsockopt(6, 1, 1); d = os.dup(a.fileno()); os.close(d)\n"
        "def fails(call, *what):\n"
        "    try: call(*what)\n"
        "    except OSError: pass\n"
        "fails(os.close, d)\n"
        "s = socket.socket(); fails(s.bind, l.getsockname()); s.getsockopt(1, 4)\n"
        "t = socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)\n"
        "[fails(t.accept) for _ in range(99)]; fails(t.connect, ('::1', 1))\n"
        "t.setsockopt(1, socket.SO_LINGER, struct.pack('ii', 1, 0)); os.dup2(t.fileno(), s.fileno())\n"
        "c.send(b'x'); c.shutdown(socket.SHUT_WR); a.close(); c.close(); k = socket.socket()")
STRANGE = (b"server: listening", b"{\"level\":\"info\",\"v\":1}", b"[1,2]", b"\0\0\0", b"\xff\xfe{",
           b"{\"v\":1,\"v\":1}", b"{" * 3000, b"\x1b[2J")


def has_read(follower, path):
    """All of the file; and it sleeps."""
    folder = "/proc/%d/" % follower.pid
    for fd in os.listdir(folder + "fd"):
        if os.readlink(folder + "fd/" + fd) == path:
            with open(folder + "fdinfo/" + fd) as file:
                at = int(file.readline().split()[1])
            with open(folder + "stat") as file:
                return (at == os.path.getsize(path) and
                        file.read().rsplit(")", 1)[1].split()[0] == "S")
    return False


class LogCase(Case):
    """What the tests of logs share."""

    def dump(self, *words, **how):
        """tcpshim dump: status, standard output, standard error."""
        return self.run_program([paths.tool(), "dump", *words], **how)

    def write(self, content, name="log.json"):
        with open(self.path(name), "wb") as file:
            file.write(content)
        return self.path(name)

    def events(self):
        """The bytes of a log with many kinds of events."""
        ring = self.ring(self.fresh("ring"))
        status, _, err = self.run_program(
            [paths.PYTHON, "-c", "import os, socket, struct\n" + LIFE],
            shimmed(LOG=ring.where, STACK=3, REPORT=1))
        self.assertEqual((status, err), (0, b""))
        status, out, err = self.dump("--json", ring.path)
        self.assertEqual((status, err), (0, b""))
        self.assertGreater(len(set(event["call"] for event in ring.read())), 10)
        return ring, out


class Whole(LogCase):
    """What was logged is shown."""

    def test_the_same_bytes_and_the_same_text(self):
        ring, as_json = self.events()
        path = self.write(as_json)
        self.assertEqual(self.dump("--json", path), (0, as_json, b""))
        for words in ((), ("--color=always",)):
            self.assertEqual(self.dump(*words, path), self.dump(*words, ring.path))

    def test_the_librarys_own_log(self):
        log = self.log()
        self.puppet(log, STACK=2, REPORT=1)(LIFE)
        for puppet in self._silent:
            puppet.close()
        with open(log.path, "rb") as file:
            logged = file.read()
        self.assertGreater(logged.count(b"\n"), 20)
        self.assertEqual(self.dump("--json", log.path), (0, logged, b""))
        status, text, err = self.dump(log.path)
        self.assertEqual((status, err), (0, b""))
        for event in log.read():
            for note in event.get("notes", ()):
                self.assertIn(note["text"].encode(), text)

    def test_standard_input_and_pipes(self):
        ring, as_json = self.events()
        path = self.write(as_json)
        for source in (path, ring.path):
            with open(source, "rb") as file:
                self.assertEqual(self.dump("--json", "-", stdin=file), (0, as_json, b""))
        for words in (["-"], ["/dev/stdin"]):
            cat = self.start(["cat", path])
            self.assertEqual(self.dump("--json", *words, stdin=cat.stdout), (0, as_json, b""))
        with open(path, "rb") as file:
            first = file.readline()
            os.lseek(file.fileno(), len(first), os.SEEK_SET)
            self.assertEqual(self.dump("--json", "-", stdin=file), (0, as_json[len(first):], b""))

    def test_the_last_newline_is_missing(self):
        _, as_json = self.events()
        self.assertEqual(self.dump("--json", self.write(as_json[:-1])), (0, as_json, b""))


class Strange(LogCase):
    """What is no event is left out, and counted."""

    def test_other_lines(self):
        _, as_json = self.events()
        lines = as_json.splitlines(True)
        mixed = b"".join(line + STRANGE[i % len(STRANGE)] + b"\n" for i, line in enumerate(lines))
        path = self.write(mixed)
        said = "tcpshim dump: %s: %d lines left out: no event of libreuse\n" % (path, len(lines))
        self.assertEqual(self.dump("--json", path), (0, as_json, said.encode()))

    def test_a_long_line_and_a_torn_one(self):
        _, as_json = self.events()
        last = as_json.splitlines(True)[-1]
        for size in (65530, 65536, 65537, 131071, 131072, 131073, 3000000):
            path = self.write(b"x" * size + b"\n" + as_json + b"{" * size + b"\n" + last[:-9])
            self.assertEqual(self.dump("--json", path), (
                0, as_json, b"tcpshim dump: %s: 3 lines left out: no event of libreuse\n"
                % path.encode()))

    def test_another_version_and_another_call(self):
        _, as_json = self.events()
        lines = as_json.splitlines(True)
        path = self.write(lines[0] + lines[1].replace(b'"v":1', b'"v":2') +
                          lines[2].replace(b'"call":"', b'"call":"re'))
        self.assertEqual(self.dump("--json", path), (
            0, lines[0], b"tcpshim dump: %s: 2 events left out: of a call or version that this "
            b"build does not know\n" % path.encode()))

    def test_what_is_no_log(self):
        for content in (b"Dear", b"Dear Sir,\n", b"{}\n", b"{\n", b"\0" * 5000, b"\n"):
            path = self.write(content)
            for words in ([path], ["--follow", path]):
                if content == b"\0" * 5000 and "--follow" in words:
                    continue
                self.assertEqual(self.dump(*words), (
                    2, b"", b"tcpshim dump: %s: neither a flight recorder nor a log in JSON\n"
                    % path.encode()))
        self.assertEqual(self.dump("-"), (
            2, b"", b"tcpshim dump: standard input: empty: nothing has been recorded yet\n"))
        with open(self.write(b"Dear"), "rb") as file:
            self.assertEqual(self.dump("-", stdin=file), (
                2, b"", b"tcpshim dump: standard input: neither a flight recorder nor a log in "
                b"JSON\n"))

    def test_nothing_of_a_log_moves_the_cursor(self):
        _, as_json = self.events()
        hostile = as_json.replace(b'"text":"', b'"text":"\\u001b[2J\\r').replace(
            b'"prog":"', b'"prog":"\\u001b[1m')
        status, out, err = self.dump(self.write(hostile))
        self.assertEqual((status, err), (0, b""))
        self.assertNotIn(b"\x1b", out)
        self.assertNotIn(b"\r", out)


class Live(LogCase):
    """While it is written to."""

    def test_a_pipe(self):
        """Each event as it comes, not when the pipe is full."""
        ours, theirs = os.pipe()
        self.addCleanup(os.close, theirs)
        shown = self.start([paths.tool(), "dump", "--json", "-"], stdin=ours)
        os.close(ours)
        _, as_json = self.events()
        for line in as_json.splitlines(True):
            os.write(theirs, line[:50])
            os.write(theirs, line[50:])
            self.assertEqual(read_line(shown).encode(), line)

    def test_follow(self):
        log = self.log()
        p = self.puppet(log)
        p(MAKE)
        follower = self.start([paths.tool(), "dump", "-f", "--json", log.path])
        seen = [contract.parse(read_line(follower).encode()) for _ in range(2)]
        for _ in range(3, 60, 2):
            p(MAKE)
            seen += [contract.parse(read_line(follower).encode()) for _ in range(2)]
        self.assertEqual([event["seq"] for event in seen], list(range(1, len(seen) + 1)))
        self.assertEqual(select.select([follower.stdout], [], [], 0)[0], [])
        follower.terminate()
        self.assertEqual(follower.wait(10), -signal.SIGTERM)

    def test_follow_a_line_that_comes_in_pieces_and_a_log_that_begins_anew(self):
        _, as_json = self.events()
        first, second, third = as_json.splitlines(True)[:3]
        path = self.write(first + second[:20])
        follower = self.start([paths.tool(), "dump", "-f", "--json", path])
        self.assertEqual(read_line(follower).encode(), first)
        with open(path, "ab", buffering=0) as file:
            file.write(second[20:])
            self.assertEqual(read_line(follower).encode(), second)
            os.truncate(path, 0)
            file.write(third)
            self.assertEqual(read_line(follower).encode(), third)

    def test_follow_a_log_that_begins_anew_in_a_line_that_is_too_long(self):
        _, as_json = self.events()
        first, second = as_json.splitlines(True)[:2]
        path = self.write(first + b"x" * 300000)
        follower = self.start([paths.tool(), "dump", "-f", "--json", path])
        self.assertEqual(read_line(follower).encode(), first)
        wait_until(lambda: has_read(follower, path), "it waits")
        with open(path, "ab", buffering=0) as file:
            os.truncate(path, 0)
            file.write(second)
            self.assertEqual(read_line(follower).encode(), second)

    def test_follow_a_log_that_is_empty_yet(self):
        _, as_json = self.events()
        path = self.write(b"")
        follower = self.start([paths.tool(), "dump", "-f", "--json", path])
        wait_until(lambda: follower.error(), "it waits")
        self.assertEqual(follower.error().decode(),
                         "tcpshim dump: %s: nothing has been recorded yet; waiting\n" % path)
        with open(path, "ab", buffering=0) as file:
            file.write(as_json)
        for line in as_json.splitlines(True):
            self.assertEqual(read_line(follower).encode(), line)
