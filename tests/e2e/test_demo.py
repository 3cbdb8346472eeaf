# SPDX-License-Identifier: MIT
"""tcpshim demo: each step's claims, held against the kernel while the step waits for ENTER."""

import errno
import os
import re
import select
import socket
import subprocess
import time

from harness import contract, kernel, paths, strace
from harness.case import environment, needs_bound, needs_root, timeout, wait_until
from harness.events import PATIENCE, Timeout
from harness.tool import ToolCase

with open(os.path.join(paths.ROOT, "cli", "demo", "steps.def")) as _rows:
    STEPS = re.findall(r'^STEP\(\w+, "([a-z-]+)",', _rows.read(), re.M)

PROMPT = "[ENTER]\n"
HEAD = re.compile(r"^  now  +State +Recv-Q +Send-Q +Local +Peer$", re.M)
ROW = re.compile(r"^  (client|server)  ([A-Z_0-9]+) +(?:([A-Z0-9-]+) +(\d+) +(\d+) +"
                 r"127\.0\.0\.1:(\d+) +(?:127\.0\.0\.1:(\d+)|0\.0\.0\.0:\*)|\(the kernel has .*)$")
SS = {"ESTABLISHED": "ESTAB", "SYN_SENT": "SYN-SENT", "LISTEN": "LISTEN", "CLOSING": "CLOSING",
      "FIN_WAIT_1": "FIN-WAIT-1", "FIN_WAIT_2": "FIN-WAIT-2", "TIME_WAIT": "TIME-WAIT",
      "CLOSE_WAIT": "CLOSE-WAIT", "SYN_RCVD": "SYN-RECV", "LAST_ACK": "LAST-ACK"}

# What is shown last before each ENTER, where sockets are.
CLAIMS = {
    "handshake": ["server LISTEN",
                  "client ESTABLISHED, server ESTABLISHED, server LISTEN",
                  "client ESTABLISHED, server ESTABLISHED",
                  "client ESTABLISHED, server SYN_RCVD",
                  "client ESTABLISHED, server ESTABLISHED",
                  "client SYN_SENT, server LISTEN"],
    "close": ["client ESTABLISHED, server ESTABLISHED",
              "client FIN_WAIT_2, server CLOSE_WAIT",
              "client TIME_WAIT, server CLOSED",
              "client FIN_WAIT_2, server LAST_ACK",
              "client TIME_WAIT, server CLOSED"],
    "half-close": ["client ESTABLISHED, server ESTABLISHED",
                   "client FIN_WAIT_2, server CLOSE_WAIT",
                   "client FIN_WAIT_2, server CLOSE_WAIT",
                   "client ESTABLISHED, server ESTABLISHED",
                   "client FIN_WAIT_2, server CLOSE_WAIT",
                   "client CLOSED, server CLOSED"],
    "reset": ["client ESTABLISHED, server ESTABLISHED",
              "client CLOSED, server CLOSED",
              "client CLOSED, server CLOSED"],
    "close-wait": ["",
                   "client FIN_WAIT_2, server CLOSE_WAIT",
                   "client TIME_WAIT, server CLOSED"],
    "time-wait": ["client TIME_WAIT, server CLOSED",
                  "client TIME_WAIT",
                  ""],
    "reuse": ["client CLOSE_WAIT, server FIN_WAIT_2",
              "client CLOSED, server TIME_WAIT",
              "",
              "",
              "client CLOSED, server TIME_WAIT",
              "server LISTEN, server TIME_WAIT",
              ""],
    "simultaneous-close": ["client ESTABLISHED, server ESTABLISHED",
                           "client FIN_WAIT_1, server FIN_WAIT_1",
                           "client CLOSING, server FIN_WAIT_2",
                           "client TIME_WAIT, server TIME_WAIT"],
    "self-connect": ["client ESTABLISHED",
                     "",
                     "client TIME_WAIT"],
}


def _children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(child) for child in file.read().split()]


class Play:
    """A step that is played by hand."""

    def __init__(self, process):
        self.process = process
        self.text = ""

    def next(self):
        """What is written up to the next wait for ENTER, or to the end: None behind it."""
        text, end = "", time.monotonic() + PATIENCE
        fd = self.process.stdout.fileno()
        while not text.endswith(PROMPT):
            if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
                raise Timeout("no ENTER is asked for after %r" % text)
            data = os.read(fd, 1)
            if not data:
                break
            text += data.decode()
        self.text += text
        return text if text.endswith(PROMPT) else None

    def enter(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def pids(self):
        """Those who play: the process of the step, and its children."""
        step, = _children(self.process.pid)
        return [step, *_children(step)]


def rows(table):
    """(who, state, ss's columns or None) of each row, as it stands there."""
    found = []
    for row in filter(None, map(ROW.match, table.split("\n"))):
        who, state, name, receive, send, local, peer = row.groups()
        found.append((who, state, (name, int(receive), int(send), int(local), int(peer or 0))
                      if name else None))
    return found


def tables(text):
    return HEAD.split(text)[1:]


def sockets():
    """{(local port, peer's): the socket} on 127.0.0.1, by sock_diag."""
    return {(found.local[1], found.peer[1]): found for found in kernel.diag()
            if found.local[0] == "127.0.0.1"}


def ss_lines():
    """The same by ss itself: {(local, peer's): (state, Recv-Q, Send-Q)}."""
    done = subprocess.run(["ss", "-tanH"], stdout=subprocess.PIPE, check=True)
    found = {}
    for line in done.stdout.decode().splitlines():
        state, receive, send, local, peer = line.split()[:5]
        if local.startswith("127.0.0.1:"):
            ports = [part.rpartition(":")[2] for part in (local, peer)]
            found[tuple(int(port) if port != "*" else 0 for port in ports)] = \
                (state, int(receive), int(send))
    return found


class DemoCase(ToolCase):

    def setUp(self):
        super().setUp()
        if os.geteuid() == 0:  # alone: no other test's sockets on its ports
            kernel.namespace()

    def play(self, step):
        play = Play(self.start([self.tool, "demo", "-s", step], stdin=subprocess.PIPE))
        self.addCleanup(play.process.stdin.close)
        return play

    def owners(self, play, inode):
        """The descriptors of that socket, of those who play."""
        found = []
        for pid in play.pids():
            folder = "/proc/%d/fd" % pid
            found += [fd for fd in os.listdir(folder)
                      if os.readlink(os.path.join(folder, fd)) == "socket:[%d]" % inode]
        return found


class Steps(DemoCase):
    """Step by step: at each ENTER the kernel is asked by the test itself, and by ss."""

    timeout = 60

    def held(self, play, text, known):
        """Each row of the last table is what the kernel says; what was told of the processes."""
        for table in tables(text):
            known.update({who: columns[3:] for who, _, columns in rows(table) if columns})
        shown = rows(tables(text)[-1]) if tables(text) else []
        have, by_ss = sockets(), ss_lines() if paths.find("ss") else {}
        for who, state, columns in shown:
            if columns is None:
                self.assertEqual(state, "CLOSED")
                self.assertNotIn(known[who], have, text)
                continue
            name, receive, send, local, peer = columns
            found = have[local, peer]
            self.assertEqual(found.state, state, text)
            self.assertEqual(name, SS[state])
            if by_ss and state not in ("ESTABLISHED", "FIN_WAIT_1", "LAST_ACK"):  # may be acknowledged late
                self.assertEqual(by_ss[local, peer], (name, receive, send), text)
            self.processes(play, text, found)
        return ", ".join("%s %s" % row[:2] for row in shown)

    def processes(self, play, text, found):
        peer = "127.0.0.1:%d" % found.peer[1] if found.peer[1] else "0.0.0.0:*"
        line = re.search(r":%d +%s\n(.*)" % (found.local[1], re.escape(peer)),
                         tables(text)[-1]).group(1)
        nobody = "no process has it open" in line or "nobody has accepted it" in line
        if found.state != "TIME_WAIT":
            self.assertEqual(found.inode == 0, nobody, text)
            self.assertEqual(bool(self.owners(play, found.inode)) if found.inode else False,
                             not nobody, text)
        self.assertEqual("the kernel keeps it for" in line, found.timer == 3, text)

    def test_every_step(self):
        """And every state."""
        self.assertEqual(sorted(CLAIMS), sorted(STEPS))
        shown = re.findall("[A-Z_0-9]{6,}", str(list(CLAIMS.values())))
        self.assertEqual(set(shown), set(contract.STATES))

    def claims(self, step):
        play, known, claimed = self.play(step), {}, []
        for text in iter(play.next, None):
            claimed.append(self.held(play, text, known))
            getattr(self, "at_" + step.replace("-", "_"), lambda *_: None)(
                play, text, known, len(claimed))
            play.enter()
        self.assertEqual(claimed, CLAIMS[step])
        self.assertEqual(play.process.wait(PATIENCE), 0)
        self.assertEqual(play.process.error(), b"")
        for line in play.text.split("\n"):
            self.assertLessEqual(len(line), 80, line)

    def at_time_wait(self, play, text, known, number):
        """The descriptor is open at the first ENTER, and then it is not."""
        fd = "/proc/%d/fd/4" % play.pids()[0]
        self.assertEqual(os.path.lexists(fd), number == 1)
        if number == 3 and "not measured" not in text:
            self.assertEqual(re.findall(r"^  (\S.*?)  +60 +(\w+)$", text, re.M), [
                ("(the defaults)", "EADDRINUSE"), ("tcp_fin_timeout = 5", "EADDRINUSE"),
                ("tcp_tw_reuse = 1", "EADDRINUSE"), ("SO_REUSEADDR on both sockets", "works")])

    def at_close_wait(self, play, text, known, number):
        """The server is a process of its own, until it is killed."""
        self.assertEqual(len(play.pids()), 1 if number == 3 else 2)

    def binds(self, port):
        """What binds of the test's own come to: (without the option, with it)."""
        answers = []
        for reuse in (0, 1):
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
                try:
                    sock.bind(("127.0.0.1", port))
                    answers.append("0")
                except OSError as error:
                    answers.append("-1 " + errno.errorcode[error.errno])
        return tuple(answers)

    def at_reuse(self, play, text, known, number):
        """What was said of each bind, another program's bind says as well."""
        port = known["server"][0]
        said = re.findall(r"bind\(\d, 127.0.0.1:%d\) = (0|-1 \w+)" % port, text)
        without, with_it = self.binds(port)
        if number in (2, 3, 4):
            self.assertEqual((without, with_it), ("-1 EADDRINUSE",) * 2)
        if number in (3, 4, 7):
            self.assertEqual(said, ["-1 EADDRINUSE"])
        if number == 5:
            self.assertEqual((without, with_it), ("-1 EADDRINUSE", "0"))
        if number == 6:
            self.assertEqual((said, without, with_it),
                             (["0"], "-1 EADDRINUSE", "-1 EADDRINUSE"))

    def at_self_connect(self, play, text, known, number):
        if number == 1:
            self.assertEqual(*known["client"])
        self.assertEqual(self.binds(known["client"][0])[0], "-1 EADDRINUSE")

    def at_half_close(self, play, text, known, number):
        self.assertEqual('recv(4, "hello") = 5' in text, number in (1, 3))
        self.assertEqual("= -1 EPIPE" in text, number == 6)

    def at_reset(self, play, text, known, number):
        self.assertEqual("recv(4) = -1 ECONNRESET" in text, number == 2)

    def test_that_nothing_waits_behind_the_end(self):
        """Who ends the input has seen enough."""
        status, out, err = self.tcpshim("demo", "-s", "close", "reset")
        self.assertEqual((status, err, out.count(b"[ENTER]")), (0, b"", 1))

    def test_that_what_is_typed_early_is_not_lost(self):
        with open(self.path("typed"), "wb") as file:
            file.write(b"\n" * 8)
        with open(self.path("typed"), "rb") as file:
            status, out, err = self.tcpshim("demo", "-s", "reset", "close", stdin=file)
        self.assertEqual((status, err, out.count(b"[ENTER]")), (0, b"", 8))


for _step in STEPS:
    def _test(self, step=_step):
        self.claims(step)
    setattr(Steps, "test_" + _step.replace("-", "_"), _test)


class Taken(DemoCase):
    """Where other connections have ports of those that the kernel chooses."""

    @needs_root
    @timeout(60)
    def test_a_self_connect_is_told_in_full(self):
        """Ports are tried until one is free, in vain at first; and binds that are refused are told
        of in full once a second."""
        kernel.namespace(ip_local_port_range="40000 40023")
        with socket.create_server(("127.0.0.1", 50000)) as listener:
            for _ in range(10):   # of 12 that are even, which the kernel prefers
                client = socket.create_connection(listener.getsockname())
                server, _ = listener.accept()
                cookie = kernel.cookie_of(client)
                client.close()
                server.close()
                wait_until(lambda known=cookie: kernel.state_of(known) == "TIME_WAIT", "its end")
        status, out, err = self.run_program([self.tool, "demo", "self-connect"])
        self.assertEqual((status, err), (0, b""))
        self.assertRegex(out.decode(), r"= -1 EADDRINUSE +CLOSED\n +note: a live connection ")


class Calls(DemoCase):
    """The calls that are shown are those that strace sees, with the same results."""

    timeout = 60
    SHOWN = re.compile(r"^  (?:client|server)  (\w+)\(.*\) = (-?\d+)(?: ([A-Z]+))?", re.M)
    TRACED = re.compile(r"(\w+)\(.* = (-?\d+)\S*(?: ([A-Z]+))?")
    AS_TRACED = {"send": "sendto", "recv": "recvfrom"}

    def traced(self, path):
        """Each call on a TCP socket: (name, result, error)."""
        with open(path) as file:
            lines = [strace.LINE.match(line).groups() for line in file]
        found = [self.TRACED.match(text) for _, text in strace.whole(lines) if "<TCP:" in text]
        return [call.groups("") for call in found if call]

    def test_as_strace_sees_them(self):
        if strace.available():
            self.skipTest(strace.available())
        steps = [step for step in STEPS if step != "self-connect"]  # thousands of connects
        trace = self.path("trace")
        status, out, err = self.run_program(
            ["strace", "-f", "-yy", "-qq", "-e", "trace=network,close", "-o", trace, self.tool,
             "demo", *steps])
        self.assertEqual((status, err), (0, b""))
        seen = iter(self.traced(trace))
        shown = self.SHOWN.findall(out.decode())
        self.assertGreater(len(shown), 50)
        for name, *result in shown:
            call = (self.AS_TRACED.get(name, name), *result)
            self.assertIn(call, seen, "not there, or not in this order")


class Frame(DemoCase):
    """Words, options, and who reads it."""

    def test_without_a_step(self):
        status, out, err = self.tcpshim("demo")
        self.assertEqual((status, err), (0, b""))
        self.assertEqual(re.findall(r"^  ([a-z-]+) ", out.decode(), re.M), [*STEPS, "all"])

    def test_no_step(self):
        for word, meant in (("halfclose", "half-close"), ("TIME_WAIT", "time-wait"),
                            ("simul", "simultaneous-close"), ("close-wiat", "close-wait"),
                            ("rst", None), ("x", None), ("", None), ("x" * 300, None)):
            status, out, err = self.tcpshim("demo", "close", word)
            self.assertEqual((status, out, err.count(b"\n")), (2, b"", 1))
            self.assertIn(b"%s is no step" % word[:200].encode(), err)
            self.assertEqual(re.findall(rb": (\S+) was probably meant", err),
                             [meant.encode()] if meant else [])

    def test_wrong_usage(self):
        self.usage("demo", "--nosuch", names=["--nosuch is no option"])
        self.usage("demo", "--events=7,8", "close", names=["--events=7,8"])
        self.usage("demo", "--events=", "close", names=["--events="])

    def test_settings_of_the_user_do_not_matter(self):
        env = environment(LOG=self.path("log"), REUSE="force", CALLS="close", ONLY="nosuch")
        env["LD_PRELOAD"] = paths.library()
        status, out, err = self.tcpshim("demo", "reuse", env=env)
        self.assertEqual((status, err), (0, b""))
        self.assertNotIn(b"by libreuse", out)

    def test_several_steps(self):
        status, out, err = self.tcpshim("demo", "reset", "close")
        self.assertEqual((status, err), (0, b""))
        self.assertRegex(out.decode(), r"(?s)^reset: .*\n\n\nclose: ")

    def test_colours(self):
        """On a terminal alone, and not where none are wanted."""
        command = ["sh", "-c", 'exec "$0" demo close >&2', self.tool]
        for term, no_color, colored in (("xterm", None, True), ("dumb", None, False),
                                        ("xterm", "1", False)):
            env = dict(environment(), TERM=term)
            if no_color:
                env["NO_COLOR"] = no_color
            text = self.run_on_terminal(command, env, 80).decode().replace("\r\n", "\n")
            self.assertEqual("\x1b[" in text, colored)
            for line in re.sub(r"\x1b\[\d*m", "", text).split("\n"):
                self.assertLessEqual(len(line), 80)
        self.assertNotIn(b"\x1b", self.tcpshim("demo", "close", env=dict(environment(),
                                                                         TERM="xterm"))[1])

    def test_no_library(self):
        tool = self.path("tcpshim")
        with open(self.tool, "rb") as source, open(tool, "wb") as copy:
            copy.write(source.read())
        os.chmod(tool, 0o755)
        status, out, err = self.run_program([tool, "demo", "close"])
        self.assertEqual((status, out, err.count(b"\n")), (1, b"", 1), err)
        self.assertIn(b"libreuse.so is not found", err)


STATE = r"\(?(?:%s)\)?" % "|".join(contract.STATES)
WAY = re.compile(r"(?:%s -> )+%s(?: \(T s\))?" % (STATE, STATE))


def without_ports(block):
    """Ports by their order in it; the next one may have one of them again."""
    ports = list(dict.fromkeys(re.findall(r"(?:127\.0\.0\.1:|port )(\d+)", block)))
    for number, port in enumerate(ports):
        block = re.sub(r"\b%s\b" % port, "P%d" % number, block)
    return block


def plain(page):
    """What is the same in each run: ports by their order, no pids, times, lengths of queues.

    Where words are wrapped depends on all that: so does the number of spaces.
    """
    page = "```".join(map(without_ports, page.split("```")))
    for what, instead in ((r"\(pid \d+\)", "(pid N)"), (r"\d+(\.\d+)? s\b", "T s"),
                          (r"\brange \d+-\d+", "range R"), (r"\b\d{4,6}\b", "N"), (r"\s+", " "),
                          # Acknowledged, or not yet.
                          (r"(ESTAB \w+) \w+ (?=127)", r"\1 N ")):
        page = re.sub(what, instead, page)
    # How often it was refused.
    return re.sub(r"(client connect\(3, \S+\) = -1 ECONNREFUSED).*(?=client connect\(3, \S+\) = 0)",
                  r"\1 ", page)


class Page(DemoCase):
    """docs/tcp-states.md."""

    timeout = 60

    def setUp(self):
        super().setUp()
        with open(os.path.join(paths.ROOT, "docs", "tcp-states.md")) as file:
            self.page = file.read()

    def written(self):
        status, out, err = self.run_program(
            ["sh", os.path.join(paths.ROOT, "demo", "tutorial.sh"), self.tool])
        self.assertEqual((status, err), (0, b""))
        return out.decode()

    @needs_bound
    def test_that_it_is_true_today(self):
        """It is what is written now, but for what notes of failed binds say on older kernels. A call may return a state earlier or later on the same way."""
        here, now = self.page, self.written()
        if "(not measured" in now:
            here, now = (re.sub(r"(?m)^  \(each .* bind to its port\n(  .*\n)+", "", page)
                         for page in (here, now))
        here, now = plain(here), plain(now)
        for was, is_now in zip(here.split("```"), now.split("```")):
            self.assertEqual(WAY.sub("WAY", is_now), WAY.sub("WAY", was))
        self.assertEqual(here.count("```"), now.count("```"))
        for was, is_now in zip(WAY.findall(here), WAY.findall(now)):
            was, is_now = (way.replace(" (T s)", "").split(" -> ") for way in (was, is_now))
            if was[-1] != is_now[-1]:
                self.assertEqual(was[:len(is_now)], is_now[:len(was)])

    def test_its_links(self):
        """As GitHub names what they lead to."""
        names = [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")
                 for head in re.findall(r"^## (.*)$", self.page, re.M)]
        links = re.findall(r"\]\(#(.*?)\) \|$", self.page, re.M)
        self.assertGreater(len(links), 8)
        self.assertEqual([link for link in links if link not in names], [])

    def test_its_blocks(self):
        """At 80 columns no line of a run is longer."""
        blocks = self.page.split("```")[1::2]
        self.assertGreater(len(blocks), 30)
        for line in "\n".join(blocks).split("\n"):
            self.assertLessEqual(len(line), 80, line)

    def test_that_make_writes_it(self):
        if not paths.find("make"):
            self.skipTest("no make")
        _, out, _ = self.run_program(["make", "-s", "-n", "V=1", "tutorial"], cwd=paths.ROOT)
        self.assertIn(b"sh demo/tutorial.sh ", out)
        self.assertIn(b" docs\n", out)


class Story(DemoCase):
    """make demo: it judges itself, by the log, ss and what the programs say."""

    timeout = 120

    def test_story(self):
        for name in ("libreuse.so", "tcpshim", "server"):
            if not os.path.exists(os.path.join(paths.ROOT, name)):
                self.skipTest("%s is not made" % name)
        env = dict(environment(), OUT=os.path.relpath(paths.OUT, paths.ROOT), DEMO_PAUSE="0")
        status, out, err = self.run_program(["sh", os.path.join(paths.ROOT, "demo", "story.sh")],
                                            env)
        self.assertEqual((status, err), (0, b""), out.decode())
        self.assertEqual(out.count(b"=>"), 5)
        for line in out.decode().split("\n"):
            self.assertLessEqual(len(line), 80, line)
