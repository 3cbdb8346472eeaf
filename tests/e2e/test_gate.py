# SPDX-License-Identifier: MIT
"""tcpshim run --fail-on: what a gate finds in a tree of programs, and that nobody notices it.

Lines of the source are looked for in the source; signals and stops are told by the command itself
and by waitid.
"""

import collections
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import time
import xml.etree.ElementTree

from harness import kernel, paths, strace
from harness.case import PATIENCE, environment, needs_root, read_line, timeout, wait_until
from harness.tool import ToolCase

SOURCE = "tests/programs/gate_suite.c"
# How many events a double close is one of: tests/check-long has a million.
EVENTS = int(os.environ.get("TCPSHIM_GATE_EVENTS", "20000"))
# So that no finding is due to a busy machine.
SLOW = "close-wait:3600,double-close"

# argv: how long it is kept in CLOSE_WAIT, how long before that it waits in the queue, and is open.
LEAK = """
import os, socket, sys, time
keep, queued, idle = map(float, sys.argv[1:])
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
if queued:
    client.close()
    time.sleep(queued)
kept, _ = listener.accept()
time.sleep(idle)
client.close()
while kept.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) != b"\\x08": pass
begin = time.monotonic()
time.sleep(keep)
print(time.monotonic() - begin, flush=True)
os.kill(os.getpid(), 9)
"""


def has_libdw():
    try:
        return ctypes.CDLL("libdw.so.1") is not None
    except OSError:
        return False


def has_libunwind():
    try:
        return ctypes.CDLL("libunwind-x86_64.so.8") is not None
    except OSError:
        return False


def line_of(mark):
    """Where the test's program does that."""
    with open(os.path.join(paths.ROOT, SOURCE)) as source:
        for number, line in enumerate(source, 1):
            if line.rstrip().endswith("/* here: %s */" % mark):
                return "%s:%d" % (SOURCE, number)
    raise AssertionError(mark)


class GateCase(ToolCase):

    def setUp(self):
        super().setUp()
        self.suite = self.program("gate_suite")

    def gate(self, *words, fail_on=SLOW, options=(), env=None, **how):
        """Run a command behind a gate: its status, standard output, and what the gate says."""
        status, out, err = self.run_program(
            [self.tool, "run", "--fail-on=" + fail_on, *options, "--", *words],
            env or environment(), cwd=how.pop("cwd", paths.ROOT), **how)
        return status, out, err.decode()

    def needs_places(self):
        if not has_libunwind() or not has_libdw():
            self.skipTest("no libunwind, or no libdw: no lines of the source")

    def found(self, text):
        """The findings of its text: [(code, what, count)]."""
        rows = re.findall(r"^ *([\d,]+)  ([a-z-]+) +(.*)", self.flat(text), re.M)
        return [(code, what, int(count.replace(",", ""))) for count, code, what in rows]

    @staticmethod
    def flat(text):
        """As it is on a terminal that is wide enough."""
        return re.sub(r"\n( {24}| {4}(?! *[\d,]+  [a-z]))", " ", text)

    def nothing_found(self, text):
        self.assertRegex(text, r"(?m)^tcpshim run: nothing found \(")
        self.assertEqual(self.found(text), [])


class Findings(GateCase):

    @timeout(300)
    def test_a_double_close_among_many_events(self):
        """Once, with both places; and not one of the events is lost."""
        self.needs_places()
        half = EVENTS // 4
        status, out, err = self.gate(self.suite, "storm=%d" % half, "double",
                                     "storm=%d" % (EVENTS // 2 - half))
        self.assertEqual((status, out), (99, b""), err)
        (code, what, count), = self.found(err)
        self.assertEqual((code, count), ("double-close", 1))
        self.assertTrue(what.startswith("gate_suite at %s, closed before at %s not open: "
                                        % (line_of("second close"), line_of("first close"))), what)
        told = re.search(r"in ([\d,]+) events of 1 program$", self.flat(err), re.M)
        self.assertEqual(int(told.group(1).replace(",", "")), EVENTS // 2 * 2 + 3)

    def test_which_unit_of_a_program(self):
        """Of several sources; the program is over, and its file is below the folder."""
        self.needs_places()
        compiler = paths.find("cc")
        if not compiler:
            self.skipTest("no compiler")
        os.makedirs(self.path("src"))
        for name, source in (("a.c", "int twice(int);\n\n\n\n\n\n\nint main(void)\n{\n"
                                     "\treturn twice(1);\n}\n"),
                             ("b.c", "#include <sys/socket.h>\n#include <unistd.h>\n"
                                     "int twice(int n)\n{\n\tint fd = socket(2, n, 0);\n\n"
                                     "\tclose(fd);\n\tclose(fd);\n\treturn 0;\n}\n")):
            with open(self.path("src/" + name), "w") as file:
                file.write(source)
        status, _, err = self.run_program([compiler, "-g", "-O1", "-o", "src/two", "src/a.c",
                                           "src/b.c"], environment(), cwd=self.folder)
        self.assertEqual(status, 0, err)
        status, _, err = self.gate("sh", "-c", "src/two; exit 0", cwd=self.folder)
        (_, what, _), = self.found(err)
        self.assertTrue(what.startswith("two at src/b.c:8, closed before at src/b.c:7"), what)
        # Another one of that name, and it is not known which; one that is made later is none.
        os.link(self.path("src/two"), self.path("one"))
        os.mkdir(self.path("other"))
        os.link(self.path("src/two"), self.path("other/two"))
        status, _, err = self.gate("sh", "-c", "src/two; exit 0", cwd=self.folder)
        (_, what, _), = self.found(err)
        self.assertRegex(what, r"\Atwo at two\+0x[0-9a-f]+, closed before at two\+0x")

    def test_ends_that_nobody_saw(self):
        """Where left-open is asked for: of how many programs it tells nothing."""
        words = ["fork", "storm=1", "exec", "storm=1"]
        for last, expected in (("kill", "1"), ("status=0", None)):
            _, _, err = self.gate(self.suite, *words, last, fail_on="left-open")
            told = re.search(r"left-open tells nothing: (\d+)", self.flat(err))
            self.assertEqual(told and told.group(1), expected)

    def test_one_place_is_told_once(self):
        status, _, err = self.gate(self.suite, *["double"] * 7, "status=0")
        self.assertEqual(status, 99)
        self.assertEqual([(code, count) for code, _, count in self.found(err)],
                         [("double-close", 7)])

    def test_the_most_frequent_comes_first(self):
        _, _, err = self.gate(self.suite, "double", "bind", "bind", fail_on="all")
        self.assertEqual([(code, count) for code, _, count in self.found(err)],
                         [("bind-failed", 2), ("double-close", 1)])

    def test_each_code(self):
        self.needs_places()
        accepted, client = line_of("accept and leave"), line_of("client")
        for word, code, expected in (
                ("reset", "reset", ["gate_suite at %s 1 byte was not read" % line_of("reset")]),
                ("bind", "bind-failed", ["gate_suite: bind EADDRINUSE at " + line_of("bind")]),
                ("left", "left-open", ["gate_suite, in ESTABLISHED, made at " + accepted,
                                       "gate_suite, in ESTABLISHED, made at " + client])):
            status, _, err = self.gate(self.suite, word, fail_on=code)
            self.assertEqual(status, 99, err)
            found = sorted(self.found(err), key=lambda row: -int(row[1].split(":")[-1])
                           if word == "left" else 0)
            self.assertEqual([(row[0], row[2]) for row in found], [(code, 1)] * len(expected))
            for row, what in zip(found, expected):
                self.assertTrue(row[1].startswith(what), (row, what))
            # Not asked for, not told.
            status, _, err = self.gate(self.suite, word)
            self.assertEqual(status, 0)
            self.nothing_found(err)

    def test_close_wait_closed_late(self):
        """By the note of the close, and by the kernel's table: one finding."""
        self.needs_places()
        process = self.start([self.tool, "run", "--fail-on=close-wait:1", "--", self.suite,
                              "unclosed", "await"], environment(), stdin=-1, cwd=paths.ROOT)
        self.assertEqual(read_line(process), "waiting\n")
        time.sleep(1.6)
        process.stdin.close()
        self.assertEqual(process.wait(PATIENCE), 99)
        (code, what, count), = self.found(process.error().decode())
        self.assertEqual((code, count), ("close-wait", 1))
        self.assertRegex(what, r"\Agate_suite, made at %s the peer had closed at least \d"
                         % re.escape(line_of("accept")))

    def leak(self, least, *times):
        """One that ends by kill -9: status, how long it was, what the gate says."""
        status, out, err = self.gate("sh", "-c", '"$@"; exit 0', "sh", paths.PYTHON, "-c", LEAK,
                                     *map(str, times), fail_on="close-wait:%s" % least)
        return status, float(out), err

    def test_a_leak_that_ends_by_kill(self):
        """Nothing of it is in the events: the kernel was asked."""
        status, took, err = self.leak(0.5, 2, 0, 0)
        self.assertEqual(status, 99, err)
        (code, what, count), = self.found(err)
        self.assertEqual((code, count), ("close-wait", 1))
        least = float(re.search(r"the peer had closed at least ([\d.]+) s before", what).group(1))
        self.assertTrue(0.5 <= least <= took + 0.1, (least, took))

    def test_a_leak_too_short_to_be_claimed(self):
        """Between two looks, or seen and no fault; also of one that was open or waited before."""
        for least, *times in ((0.5, 0.05, 0, 0), (3, 0.6, 0, 0), (1.5, 0.6, 1.2, 0),
                              (1.5, 0.6, 0, 1.2)):
            status, took, err = self.leak(least, *times)
            if took > 0.9 * least:
                self.skipTest("this machine took longer")
            self.assertEqual(status, 0, err)
            self.nothing_found(err)
            self.assertIn("CLOSE_WAIT was looked for every 250 ms", err)

    def test_somebody_else_s_close_wait(self):
        """Of another tree: no finding."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            ours = socket.create_connection(server.getsockname())
            kept, _ = server.accept()
            ours.close()
            wait_until(lambda: kernel.state_of(kernel.cookie_of(kept)) == "CLOSE_WAIT", "the FIN")
            status, _, err = self.gate(self.suite, "storm=9", fail_on="close-wait:0")
            kept.close()
        self.assertEqual(status, 0)
        self.nothing_found(err)

    @needs_root
    def test_another_network_namespace(self):
        """What could not be looked for is told."""
        _, _, err = self.gate("unshare", "--net", "sh", "-c", 'ip link set lo up; "$@"', "sh",
                              self.suite, "unclosed", fail_on="close-wait:0")
        self.assertRegex(err, r"sockets in another network namespace: 3\b")

    def test_lost_events(self):
        """The recorder runs over while its reader stands still: told, and failed on if asked."""
        for fail_on, expected in (("double-close", 0), ("lost-events", 99)):
            process = self.start([self.tool, "run", "--fail-on=" + fail_on, "--", self.suite,
                                  "storm=10", "unclosed", "await", "storm=120000", "unclosed",
                                  "await", "storm=10"],
                                 environment(), stdin=-1)
            read_line(process)
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            os.write(process.stdin.fileno(), b"x")
            read_line(process)
            process.send_signal(signal.SIGCONT)
            process.stdin.close()
            self.assertEqual(process.wait(PATIENCE), expected)
            (code, _, count), = self.found(process.error().decode())
            self.assertEqual(code, "lost-events")
            self.assertGreater(count, 10000)

    def test_nothing_is_lost(self):
        """Of programs that exec, fork, fail again and again, of threads; and of those killed."""
        words = ["storm=100", "refused=500", "exec", "storm=5", "exec", "refused=9", "fork",
                 "storm=400", "exec", "threads=200", "exec", "storm=3", "kill"]
        status, _, err = self.gate(self.suite, *words, fail_on="lost-events")
        self.assertEqual(status, 0, err)
        self.nothing_found(err)


class Trees(GateCase):

    def test_a_daemon_that_goes_on(self):
        """It is named; what it had done wrong until then is found."""
        fifo, said = self.path("fifo"), self.path("said")
        os.mkfifo(fifo)
        script = ('"$0" double unclosed await <>"$1" >"$2" 2>&1 & '
                  'until [ -s "$2" ]; do :; done')
        begin = time.monotonic()
        status, _, err = self.gate("sh", "-c", script, self.suite, fifo, said,
                                   options=["--grace=0.3"])
        with open(fifo, "wb", buffering=0) as end:
            end.write(b"x")
        self.assertEqual(status, 99)
        self.assertEqual([row[::2] for row in self.found(err)], [("double-close", 1)])
        self.assertRegex(err, r"  still running, and judged as far as seen: gate_suite \(\d+\)\n")
        self.assertGreaterEqual(time.monotonic() - begin, 0.3)

    @staticmethod
    def open_of(process):
        names = []
        for number in os.listdir("/proc/%d/fd" % process.pid):
            with contextlib.suppress(FileNotFoundError):
                names.append(os.readlink("/proc/%d/fd/%s" % (process.pid, number)))
        return " ".join(names)

    def test_one_that_begins_late(self):
        """Its first event comes while another is waited for: it is named with that."""
        fifos = [self.path("fifo%d" % number) for number in range(2)]
        said = [self.path("said%d" % number) for number in range(2)]
        for fifo in fifos:
            os.mkfifo(fifo)
        script = ('"$0" storm=1 unclosed await <>"$1" >"$3" 2>&1 & '
                  '"$0" await unclosed await <>"$2" >"$4" 2>&1 & until [ -s "$3" ]; do :; done')
        process = self.start([self.tool, "run", "--fail-on=" + SLOW, "--grace=1000", "--", "sh",
                              "-c", script, self.suite, *fifos, *said], environment())

        def write(fifo):
            with open(fifo, "wb", buffering=0) as end:
                end.write(b"x")

        wait_until(lambda: os.path.exists(said[0]) and os.path.getsize(said[0]) and
                   Process.command_of(process) is None, "the command's end")
        # What it has looked at, it has open by now.
        wait_until(lambda: "pidfd" in self.open_of(process), "the wait")
        write(fifos[1])
        wait_until(lambda: os.path.getsize(said[1]), "the late one")
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 0)
        for fifo in fifos:
            write(fifo)
        self.assertRegex(self.flat(process.error().decode()),
                         r"  still running, .*: gate_suite \(\d+\), gate_suite \(\d+\)\n")

    def test_one_that_ends_in_time(self):
        """It does wrong after the command's end: it is waited for."""
        script = ('import os, socket, time\n'
                  's = socket.socket(); pid = os.getpid(); r, w = os.pipe()\n'
                  'if os.fork(): os.read(r, 1); os._exit(0)\n'
                  'socket.socket().close(); os.write(w, b"x")\n'
                  'while os.getppid() == pid: pass\n'
                  'time.sleep(0.5)\n'
                  'os.close(s.fileno())\n'
                  'try: os.close(s.fileno())\n'
                  'except OSError: pass\n'
                  's.detach()\n')
        status, _, err = self.gate(paths.PYTHON, "-c", script, options=["--grace=20"])
        self.assertEqual([row[::2] for row in self.found(err)], [("double-close", 1)], err)
        self.assertEqual(status, 99)
        self.assertNotIn("still running", err)

    def test_one_that_nobody_reaps(self):
        """It has ended, though its number is taken."""
        script = ('import os, socket\n'
                  'r, w = os.pipe()\n'
                  'if os.fork(): os.close(w); os.read(r, 1); os._exit(0)\n'
                  'if os.fork():\n'
                  '    os.close(w); os.execvp("sleep", ["sleep", "1000"])\n'
                  'os.close(r); socket.socket().close(); os._exit(0)\n')
        holder = self.start([self.tool, "run", "--fail-on", "--grace=1000", "--", paths.PYTHON,
                             "-c", script], environment(), start_new_session=True)
        self.addCleanup(os.killpg, holder.pid, signal.SIGKILL)
        self.assertEqual(holder.wait(PATIENCE), 0)
        self.assertNotIn(b"still running", holder.error())

    @timeout(60)
    def test_a_pre_fork_server_that_is_killed(self):
        """Three workers, each with one double close, end by kill -9 like their parent."""
        script = ('import os, signal, socket\n'
                  'l = socket.create_server(("127.0.0.1", 0)); workers = []\n'
                  'for _ in range(3):\n'
                  '    r, w = os.pipe()\n'
                  '    pid = os.fork()\n'
                  '    if not pid:\n'
                  '        a, _ = l.accept(); n = a.detach(); os.close(n)\n'
                  '        try: os.close(n)\n'
                  '        except OSError: pass\n'
                  '        os.write(w, b"x"); signal.pause()\n'
                  '    workers.append(pid)\n'
                  '    c = socket.create_connection(l.getsockname()); os.read(r, 1); c.close()\n'
                  'for pid in workers: os.kill(pid, 9)\n'
                  'for pid in workers: os.waitpid(pid, 0)\n'
                  'os.kill(os.getpid(), 9)\n')
        status, _, err = self.gate(paths.PYTHON, "-c", script,
                                   fail_on="close-wait,double-close,lost-events")
        self.assertEqual(status, 128 + 9)
        self.assertEqual([row[::2] for row in self.found(err)], [("double-close", 3)], err)
        self.assertIn(" of 4 programs", self.flat(err))

    @timeout(60)
    def test_nginx(self):
        """A server that does all of it right."""
        nginx = paths.find("nginx", "build/programs/nginx/usr/sbin/nginx")
        if not nginx:
            self.skipTest("no nginx (tests/fetch-programs)")
        port = self.port()
        with open(self.path("nginx.conf"), "w") as conf:
            conf.write("daemon off; worker_processes 2; pid {0}/pid; error_log {0}/error.log;\n"
                       "{1} events {{ worker_connections 64; }} http {{ access_log off;\n"
                       "client_body_temp_path {0}/a; proxy_temp_path {0}/b;\n"
                       "fastcgi_temp_path {0}/c; uwsgi_temp_path {0}/d; scgi_temp_path {0}/e;\n"
                       "server {{ listen 127.0.0.1:{2}; location / {{ return 200 hello; }} }} }}\n"
                       .format(self.folder, "user root;" if os.geteuid() == 0 else "", port))
        process = self.start([self.tool, "run", "--fail-on=all", "--", nginx, "-p", self.folder,
                              "-e", self.path("error.log"), "-c", self.path("nginx.conf")],
                             environment())

        def answers():
            try:
                with socket.create_connection(("127.0.0.1", port)) as client:
                    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    while client.recv(4096):
                        pass
                return True
            except ConnectionRefusedError:
                return False

        wait_until(answers, "nginx")
        for _ in range(50):
            self.assertTrue(answers())
        process.send_signal(signal.SIGQUIT)
        self.assertEqual(process.wait(PATIENCE), 0, process.error())
        self.nothing_found(process.error().decode())


class Status(GateCase):

    def test_the_command_s_own(self):
        for words, expected in ((["true"], 0), (["false"], 1), (["sh", "-c", "exit 99"], 99),
                                (["sh", "-c", "exit 200"], 200),
                                (["sh", "-c", "kill -9 $$"], 137),
                                (["sh", "-c", "kill -TERM $$"], 143),
                                (["/nonexistent"], 127), ([paths.ROOT], 126),
                                ([self.suite, "double", "status=3"], 3),
                                ([self.suite, "double", "kill"], 137),
                                ([self.suite, "double"], 99)):
            self.assertEqual(self.gate(*words)[0], expected, words)

    def test_a_command_that_is_none(self):
        """It is told as without a gate, and nothing is judged."""
        for word, expected in (("/nonexistent", 127), (paths.ROOT, 126)):
            _, _, plain = self.run_program([self.tool, "run", word], environment())
            status, _, err = self.gate(word)
            self.assertEqual((status, err.encode()), (expected, plain))
        self.usage("run", "--fail-on", "close-wait:3,reset", "true",
                   names=["close-wait:3,reset is no command", "--fail-on=close-wait:3,reset"])
        # What a command executes in vain is its own affair.
        self.nothing_found(self.gate("sh", "-c", "/nonexistent")[2])

    def test_our_own_failures(self):
        mark = self.path("mark")
        long = "/" + "x" * 150
        for env, options, name in (
                (dict(environment(), TMPDIR=long), [], long),
                (None, ["--suppressions=" + self.path("nosuch")], "nosuch")):
            status, out, err = self.gate("touch", mark, options=options, env=env)
            self.assertEqual((status, out, err.count("\n")), (125, b"", 1), err)
            self.assertIn(name, err)
        self.assertFalse(os.path.exists(mark))
        status, _, err = self.gate("true", options=["--junit=" + self.path("no/such")])
        self.assertEqual(status, 125)
        self.assertIn("no/such: No such file", err)

    def test_wrong_usage(self):
        for word in ("close-wait:x", "close-wait:1.", "close-wait:86401", "double-close:3", "",
                     "all,", "doubleclose", "close-wait:1.2345"):
            self.usage("run", "--fail-on=" + word, "true",
                       names=["--fail-on=" + word, "double-close"])
        for option in ("--grace=1", "--junit=x", "--annotate=github", "--suppressions=x"):
            self.usage("run", option, "true", names=[option.split("=")[0], "--fail-on"])
        for option, name in (("--grace=x", "seconds"), ("--annotate=gitlab", "github"),
                             ("--junit=", "path"), ("--suppressions=", "path"),
                             ("--log=stderr", "--log"), ("--calls=bind", "--calls")):
            self.usage("run", "--fail-on", option, "true", names=[name])
        self.usage("check", "--fail-on", "true", names=["--fail-on is no option"])

    def test_nothing_is_left_behind(self):
        folder = self.path("tmp")
        os.mkdir(folder)
        for words in (["true"], [self.suite, "double"], ["nosuch"], ["sh", "-c", "kill -9 $$"]):
            self.gate(*words, env=dict(environment(), TMPDIR=folder))
            self.assertEqual(os.listdir(folder), [])

    def test_what_the_user_had_set(self):
        """A log of one's own, fewer calls: a gate needs all of them."""
        status, _, err = self.gate(self.suite, "double",
                                   env=environment(LOG=self.path("log"), CALLS="bind"))
        self.assertEqual(status, 99, err)
        self.assertFalse(os.path.exists(self.path("log")))


class Process(GateCase):
    """What the command sees of its parent: nothing."""

    SEES = ("import os, resource, signal\n"
            "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
            "print([status[key].strip() for key in ('SigBlk', 'SigIgn', 'SigCgt', 'Threads')],\n"
            "      resource.getrlimit(resource.RLIMIT_NOFILE),\n"
            "      sorted((n, os.readlink('/proc/self/fd/%d' % n)) for n in range(3, 40)\n"
            "             if os.path.exists('/proc/self/fd/%d' % n)), os.getcwd())\n")

    def test_masks_limits_and_descriptors(self):
        """As without a gate: a jobserver's pipe, ignored and blocked signals, the limit."""
        def prepare():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])

        seen = []
        read, write = os.pipe()
        for gate in ([], ["--fail-on"]):
            status, out, _ = self.run_program(
                [self.tool, "run", *gate, "--", paths.PYTHON, "-c", self.SEES],
                environment(), preexec_fn=prepare, pass_fds=[read, write])
            self.assertEqual(status, 0)
            seen.append(re.sub(r"/proc/\d+/fd", "/proc/PID/fd", out.decode()))
        self.assertEqual(*seen)
        self.assertIn("pipe:", seen[0])

    def test_a_jobserver(self):
        """make's, which is passed on by descriptor."""
        make = paths.find("make")
        if not make:
            self.skipTest("no make")
        with open(self.path("Makefile"), "w") as file:
            file.write("all:\n\t+@%s run --fail-on -- $(MAKE) --no-print-directory parts\n"
                       "parts: a b\na b:\n\t@echo $@\n" % self.tool)
        status, out, err = self.run_program([make, "-j3", "-C", self.folder,
                                             "--no-print-directory"], environment())
        self.assertEqual((status, sorted(out.split())), (0, [b"a", b"b"]), err)
        self.assertNotIn(b"jobserver", err)

    COUNTS = ("import signal, sys, time\n"
              "got = []\n"
              "def take(n, frame): got.append(n)\n"
              "for n in (1, 2, 3, 10, 12, 15, 40): signal.signal(n, take)\n"
              "print('ready', flush=True)\n"
              "while 40 not in got: signal.pause()\n"
              "print(got, flush=True)\n")

    def test_signals_are_passed_on_once(self):
        process = self.start([self.tool, "run", "--fail-on", "--", paths.PYTHON, "-c",
                              self.COUNTS], environment())
        read_line(process)
        child = int(open("/proc/%d/task/%d/children" % (process.pid, process.pid)).read())
        for number in (1, 2, 3, 10, 12, 15):
            process.send_signal(number)
            # Two of a kind at once are one to the kernel.
            wait_until(lambda: self.waits(child), "the handler")
        process.send_signal(40)
        self.assertEqual(read_line(process), "[1, 2, 3, 10, 12, 15, 40]\n")
        self.assertEqual(process.wait(PATIENCE), 0)

    @staticmethod
    def waits(pid):
        """Does it sleep with nothing pending?"""
        with open("/proc/%d/status" % pid) as file:
            status = dict(line.split(":", 1) for line in file)
        return status["State"].split()[0] == "S" and not int(status["ShdPnd"], 16)

    def test_a_timer_from_before(self):
        """alarm(2), then exec: as people bound the time of a command."""
        process = self.start([paths.PYTHON, "-c", "import os, signal, sys; signal.alarm(1)\n"
                              "os.execv(sys.argv[1], sys.argv[1:])", self.tool, "run",
                              "--fail-on", "--", "sleep", "1000"], environment())
        self.assertEqual(process.wait(PATIENCE), 128 + signal.SIGALRM)

    def test_nobody_reads_what_it_says(self):
        process = self.start(["sh", "-c", '{ "$@"; echo $?; } 2>&- 3>&-', "sh", self.tool, "run",
                              "--fail-on", "--", self.suite, "double"], environment())
        self.assertEqual(read_line(process), "99\n")
        read, write = os.pipe()
        os.close(read)
        process = self.start([self.tool, "run", "--fail-on", "--", self.suite, "double"],
                             environment(), stderr=write)
        os.close(write)
        self.assertEqual(process.wait(PATIENCE), 99)

    def test_a_signal_that_ends_it(self):
        process = self.start([self.tool, "run", "--fail-on", "--", "sleep", "1000"],
                             environment())
        wait_until(lambda: self.command_of(process) == "sleep", "the command")
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 143)

    @staticmethod
    def command_of(process):
        try:
            child = open("/proc/%d/task/%d/children" % (process.pid, process.pid)).read().split()
            return open("/proc/%s/comm" % child[0]).read().strip()
        except (OSError, IndexError):
            return None

    def test_the_grace_can_be_cut_short(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        said = self.path("said")
        process = self.start(
            [self.tool, "run", "--fail-on", "--grace=1000", "--", "sh", "-c",
             '"$0" storm=1 unclosed await <>"$1" >"$2" 2>&1 & until [ -s "$2" ]; do :; done',
             self.suite, fifo, said], environment())
        wait_until(lambda: os.path.exists(said) and os.path.getsize(said) and
                   self.command_of(process) is None, "the command's end")
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertIn(b"still running", process.error())
        with open(fifo, "wb", buffering=0) as end:
            end.write(b"x")

    @needs_root
    def test_as_the_first_process(self):
        """It reaps what comes to it, passes on signals, and ends."""
        script = ('import os, signal, time\n'
                  'signal.signal(signal.SIGTERM, lambda *_: os._exit(7))\n'
                  'assert os.getppid() == 1\n'
                  'if not os.fork():\n'
                  '    pid = os.fork()\n'
                  '    if not pid: os._exit(0)\n'
                  '    os._exit(0)\n'
                  'os.wait()\n'
                  'def others():\n'
                  '    return [n for n in os.listdir("/proc") if n.isdigit()\n'
                  '            and int(n) not in (1, os.getpid())]\n'
                  'while others(): pass\n'
                  'print("reaped", flush=True)\n'
                  'signal.pause()\n')
        process = self.start(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child",
                              self.tool, "run", "--fail-on", "--", paths.PYTHON, "-c", script],
                             environment())
        self.assertEqual(read_line(process), "reaped\n")
        first = int(open("/proc/%d/task/%d/children" % (process.pid, process.pid)).read())
        os.kill(first, signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE), 7)


SHELL = r"""
import fcntl, json, os, signal, sys, termios
# A shell with job control, for one job in the foreground; it tells how the job fares.
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if not job:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    os.tcsetpgrp(0, os.getpgrp())
    if os.WIFSTOPPED(status):
        print(json.dumps(["stopped", os.WSTOPSIG(status)]), flush=True)
        word = os.read(3, 1)
        os.tcsetpgrp(0, job)
        # What the job then writes comes later, or waits for an answer.
        if word == b"g":
            os.killpg(job, signal.SIGCONT)
        print(json.dumps(["continued"]), flush=True)
        if word != b"g":
            os.kill(job, signal.SIGCONT)
    else:
        print(json.dumps(["ended", os.waitstatus_to_exitcode(status)]), flush=True)
        break
"""


class Terminal(GateCase):
    """Job control: a shell of the test's own, a terminal, and a command behind a gate."""

    def job(self, script):
        self.main, side = os.openpty()
        self.addCleanup(os.close, self.main)
        read, self.orders = os.pipe()
        self.addCleanup(os.close, self.orders)
        process = self.start([paths.PYTHON, "-c", SHELL.replace("read(3,", "read(%d," % read),
                              self.tool, "run", "--fail-on", "--", paths.PYTHON, "-c", script],
                             environment(), stdin=side, pass_fds=[read])
        os.close(read)
        os.close(side)
        return process

    def told(self, process, *expected):
        self.assertEqual(json.loads(read_line(process)), list(expected), process.error())

    def test_in_the_foreground(self):
        """It may read from the terminal."""
        process = self.job("import os; print(os.tcgetpgrp(0) == os.getpgrp(), flush=True)\n"
                           "print(input(), flush=True)")
        self.assertEqual(read_line(process), "True\n")
        os.write(self.main, b"hello\n")
        self.assertEqual(read_line(process), "hello\n")
        self.told(process, "ended", 0)

    def test_ctrl_c(self):
        """Once; and where nobody catches it, it ends the command."""
        process = self.job("import os, signal\n"
                           "r, w = os.pipe(); os.set_blocking(w, False); got = 0\n"
                           "signal.set_wakeup_fd(w); signal.signal(2, lambda *_: None)\n"
                           "print('ready', flush=True)\n"
                           "for turn in range(30):\n"
                           "    got += len(os.read(r, 9)); print(flush=True)\n"
                           "signal.sigtimedwait([10], 0.5); os.set_blocking(r, False)\n"
                           "try: got += len(os.read(r, 99))\n"
                           "except BlockingIOError: pass\n"
                           "signal.signal(2, signal.SIG_DFL); print(got, flush=True)\n"
                           "while True: signal.pause()")
        read_line(process)
        # Two at once are one to the kernel: so once more than one would be seen in some turn.
        for _ in range(30):
            os.write(self.main, b"\x03")
            self.assertEqual(read_line(process), "\n")
        self.assertEqual(read_line(process), "30\n")
        os.write(self.main, b"\x03")
        self.told(process, "ended", 130)

    def test_ctrl_z(self):
        """The shell sees its job stopped, as without a gate; and both go on."""
        process = self.job("import signal\n"
                           "print('ready', flush=True)\n"
                           "print(input(), flush=True)")
        read_line(process)
        for _ in range(2):
            os.write(self.main, b"\x1a")
            self.told(process, "stopped", signal.SIGTSTP)
            os.write(self.orders, b"g")
            self.told(process, "continued")
        os.write(self.main, b"on\n")
        self.assertEqual(read_line(process), "on\n")
        self.told(process, "ended", 0)

    def test_a_command_that_stops_itself(self):
        """And is continued by who knows its parent alone."""
        for number in (signal.SIGSTOP, signal.SIGTSTP):
            process = self.job("import os; os.kill(os.getpid(), %d); print('on', flush=True)"
                               % number)
            self.told(process, "stopped", number)
            os.write(self.orders, b"o")
            self.told(process, "continued")
            self.assertEqual(read_line(process), "on\n")
            self.told(process, "ended", 0)

    def test_a_stop_that_is_refused(self):
        """Who ignores it goes on, and so does its parent."""
        process = self.job("import signal; signal.signal(signal.SIGTSTP, signal.SIG_IGN)\n"
                           "print('ready', flush=True); print(input(), flush=True)")
        read_line(process)
        os.write(self.main, b"\x1ahello\n")
        self.assertEqual(read_line(process), "hello\n")
        self.told(process, "ended", 0)


    def test_a_hangup_of_the_leader(self):
        """As by ssh -t: the kernel tells the session's leader alone."""
        main, side = os.openpty()
        process = self.start(
            [paths.PYTHON, "-c", "import fcntl, os, sys, termios\n"
             "os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
             "os.execv(sys.argv[1], sys.argv[1:])", self.tool, "run", "--fail-on", "--",
             paths.PYTHON, "-c", "import signal\n"
             "signal.signal(signal.SIGHUP, lambda *_: exit(7))\n"
             "print('ready', flush=True); signal.pause()"], environment(), stdin=side)
        os.close(side)
        self.assertEqual(read_line(process), "ready\n")
        os.close(main)
        self.assertEqual(process.wait(PATIENCE), 7)

    def test_a_command_that_leaves_the_group(self):
        """As timeout(1) does: the terminal's keys reach it all the same."""
        process = self.job("import os, signal\n"
                           "os.setpgid(0, 0); signal.signal(2, signal.SIG_DFL)\n"
                           "print('ready', flush=True)\n"
                           "while True: signal.pause()")
        read_line(process)
        os.write(self.main, b"\x1a")
        self.told(process, "stopped", signal.SIGTSTP)
        os.write(self.orders, b"g")
        self.told(process, "continued")
        os.write(self.main, b"\x03")
        self.told(process, "ended", 130)


class Cost(GateCase):

    def calls(self, *options):
        """How many of each system call the command makes, by strace's account."""
        log = self.fresh("strace")
        status, _, err = self.run_program(
            ["strace", "-ff", "-o", log, self.tool, "run", *options, "--", self.suite,
             "storm=300"], environment())
        self.assertEqual(status, 0, err)
        for name in os.listdir(self.folder):
            if not name.startswith(os.path.basename(log) + "."):
                continue
            with open(self.path(name), errors="replace") as file:
                begun = re.split(r'^execve\(".*gate_suite", .* = 0$', file.read(), flags=re.M)
            if len(begun) == 2:
                return collections.Counter(re.findall(r"^(\w+)\(", begun[1], re.M))
        raise AssertionError("no gate_suite")

    def test_the_command_pays_nothing(self):
        """It makes the calls that it makes with a recorder of its own, and no others."""
        if strace.available():
            self.skipTest(strace.available())
        alone = self.calls("--log=ring:" + self.path("ring"), "--stack=1")
        gated = self.calls("--fail-on")
        # Each tenth of a second the time of a chunk is written; and a page of the stack more or
        # less is looked at before it is walked, as it happens to lie.
        self.assertLess(abs(alone.pop("pwrite64") - gated.pop("pwrite64")), 60)
        del alone["rt_sigprocmask"], gated["rt_sigprocmask"]
        self.assertGreater(alone["socket"], 300)
        # How a recorder that is there already is opened takes some calls less, or more.
        self.assertLess(sum(((alone - gated) + (gated - alone)).values()), 20,
                        (alone - gated, gated - alone))


class Told(GateCase):
    """Suppressions, and the ways in which findings are told."""

    def suppressed(self, text, *words):
        with open(self.path("list"), "w") as file:
            file.write(text)
        return self.gate(self.suite, *words, options=["--suppressions=" + self.path("list")],
                         fail_on="all")

    def test_suppressions(self):
        self.needs_places()
        status, _, err = self.suppressed(
            "# what we know of\n\ndouble-close gate_* %s  # since 2019\n"
            "reset * *\nbind-failed other *\n" % line_of("second close"), "double", "double",
            "bind")
        self.assertEqual(status, 99)
        self.assertEqual([row[::2] for row in self.found(err)], [("bind-failed", 1)])
        text = self.flat(err)
        self.assertIn("  suppressed 1 finding: line 3, double-close gate_* %s\n"
                      % line_of("second close"), text)
        self.assertIn("  never used: line 4, reset * *\n", text)
        self.assertIn("  never used: line 5, bind-failed other *\n", text)
        status, _, err = self.suppressed("* gate_suite tests/*:*\n", "double", "bind", "reset")
        self.assertEqual(status, 0)
        self.nothing_found(err)
        self.assertIn("suppressed 3 findings: line 1", err)

    def test_suppressions_by_module_and_symbol(self):
        for place in ("gate_suite", "gate_suite+0x*"):
            self.assertEqual(self.suppressed("double-close * %s" % place, "double")[0], 0)
        self.assertEqual(self.suppressed("double-close * gate_suit", "double")[0], 99)

    def test_wrong_suppressions(self):
        for text, line, name in (("reset a\n", 1, "CODE PROGRAM PLACE"),
                                 ("\nrest * *\n", 2, "rest is no code"),
                                 ("# x\nreset a b c\n", 2, "c: more than"),
                                 ("reset * *\n\x1b[1m * *", 2, "?[1m is no code")):
            status, out, err = self.suppressed(text, "double")
            self.assertEqual((status, out, err.count("\n")), (125, b"", 1), err)
            self.assertIn("line %d: %s" % (line, name), err)
        with open(self.path("list"), "wb") as file:
            file.write(b"reset * *\n\0")
        self.assertEqual(self.gate("true", options=["--suppressions=" + self.path("list")])[0],
                         125)

    def test_junit(self):
        self.needs_places()
        path = self.path("junit.xml")
        self.gate(self.suite, "double", "bind", options=["--junit=" + path],
                  fail_on="close-wait,double-close,bind-failed")
        suite = xml.etree.ElementTree.parse(path).getroot()
        self.assertEqual((suite.tag, suite.attrib),
                         ("testsuite", {"name": "tcpshim", "tests": "3", "failures": "2"}))
        cases = {case.get("name"): case.find("failure") for case in suite}
        self.assertEqual(list(cases), ["close-wait", "double-close", "bind-failed"])
        self.assertIsNone(cases["close-wait"])
        self.assertIn(line_of("second close"), cases["double-close"].text)
        self.assertIn("EADDRINUSE", cases["bind-failed"].text)

    def test_junit_in_place_of_another(self):
        """What is no XML stays, and nothing runs; its own is written anew, also in a new folder."""
        path, mark, folder = self.path("out"), self.path("mark"), self.path("folder")
        with open(path, "w") as file:
            file.write("precious\n")
        status, _, err = self.gate("touch", mark, options=["--junit=" + path])
        self.assertEqual((status, err.count("\n")), (125, 1), err)
        self.assertIn("tcpshim run: %s: is there" % path, err)
        status, _, err = self.gate("touch", mark, options=["--junit=" + self.path("no/such")])
        self.assertEqual((status, err.count("\n")), (125, 1), err)
        self.assertFalse(os.path.exists(mark))
        with open(path) as file:
            self.assertEqual(file.read(), "precious\n")
        with open(path, "w") as file:
            file.write("<?xml version='1.0'?>" + "x" * 9999)
        os.mkdir(folder)
        for name, words in ((path, ["true"]), (folder + "/out", ["sh", "-c", 'rm -r "$0"; '
                                                                 'mkdir "$0"', folder])):
            status, _, err = self.gate(*words, options=["--junit=" + name])
            self.assertEqual(status, 0, err)
            suite = xml.etree.ElementTree.parse(name).getroot()
            self.assertEqual(suite.attrib["failures"], "0")
        # Or the command has put its own there.
        status, _, err = self.gate("sh", "-c", 'echo precious >"$0"', path,
                                   options=["--junit=" + path])
        self.assertEqual(status, 125, err)
        with open(path) as file:
            self.assertEqual(file.read(), "precious\n")

    def test_annotations(self):
        self.needs_places()
        _, _, err = self.gate(self.suite, "double", options=["--annotate=github"])
        line, = re.findall(r"^::(.*)", err, re.M)
        file, number = line_of("second close").split(":")
        self.assertTrue(line.startswith("error file=%s,line=%s,title=double-close::1 time: "
                                        % (file, number)), line)
        # A program's name may hold anything.
        name = self.path("a%:,\x1b[1m")
        shutil.copy(self.suite, name)
        _, _, err = self.gate(name, "double", options=["--annotate=github"])
        line, = re.findall(r"^::(.*)", err, re.M)
        self.assertIn("a%25:,?[1m", line)
        self.assertNotIn("\x1b", err)

    def test_eighty_columns(self):
        _, _, err = self.gate(self.suite, "double", "bind", "reset", "left", fail_on="all",
                              options=["--grace=0.1"])
        for line in err.split("\n"):
            self.assertLessEqual(len(line), 80, line)


TESTS = """
import os, socket

def test_good():
    socket.socket().close()

def test_bad():
    number = socket.socket().detach()
    os.close(number)
    try:
        os.close(number)
    except OSError:
        pass

def test_after():
    socket.socket().close()
"""


class Marks(GateCase):
    """Which test it was: the file of TCPSHIM_MARKS, and the plugin in docs/."""

    def test_the_pytest_plugin(self):
        pytest = paths.find("pytest") or paths.find("pytest-3")
        if not pytest:
            self.skipTest("no pytest")
        with open(self.path("test_it.py"), "w") as file:
            file.write(TESTS)
        words = [pytest, "-q", "-p", "no:cacheprovider", "-p", "pytest_tcpshim",
                 self.path("test_it.py")]
        env = dict(environment(), PYTHONPATH=os.path.join(paths.ROOT, "docs"),
                   PYTHONDONTWRITEBYTECODE="1")
        path = self.path("junit.xml")
        status, out, err = self.gate(*words, env=env, cwd=self.folder,
                                     options=["--junit=" + path, "--annotate=github"])
        self.assertEqual(status, 99, (out, err))
        self.assertIn(b"3 passed", out)
        (code, what, count), = self.found(err)
        self.assertEqual((code, count), ("double-close", 1))
        self.assertIn(", in test_it.py::test_bad", what)
        self.assertRegex(err, r"(?m)^::error .*, in test_it\.py::test_bad: ")
        suite = xml.etree.ElementTree.parse(path).getroot()
        self.assertIn(", in test_it.py::test_bad", suite.find(".//failure").text)
        # Without a gate it does nothing.
        status, out, _ = self.run_program(words, env, cwd=self.folder)
        self.assertEqual(status, 0, out)

    SCRIPT = ('import os, socket, sys, time\n'
              'with open(os.environ["TCPSHIM_MARKS"], "a") as file:\n'
              '    for line in sys.argv[1:]:\n'
              '        file.write(line.replace("PID", str(os.getpid())).replace("NOW",\n'
              '                   str(time.time_ns())).encode().decode("unicode_escape"))\n'
              'n = socket.socket().detach(); os.close(n)\n'
              'try: os.close(n)\n'
              'except OSError: pass\n')

    def mark(self, *lines):
        """What is told of a double close whose process wrote that."""
        _, _, err = self.gate(paths.PYTHON, "-c", self.SCRIPT, *lines)
        self.assertNotIn("\x1b", err)
        (_, what, _), = self.found(err)
        told = re.search(r", in (.*) not open", what)
        return told and told.group(1)

    def test_marks(self):
        self.assertIsNone(self.mark())
        self.assertEqual(self.mark(r"NOW PID one\n"), "one")
        self.assertEqual(self.mark(r"NOW PID one\n", r"NOW PID two words\n"), "two words")
        self.assertIsNone(self.mark(r"NOW PID one\n", r"NOW PID \n"))
        self.assertIsNone(self.mark(r"NOW PID one\n", r"NOW PID\n"))
        # Another process's, where there is no other; and where there is.
        self.assertEqual(self.mark(r"NOW 1 one\n"), "one")
        self.assertEqual(self.mark(r"NOW PID mine\n", r"NOW 1 one\n"), "mine")
        # One to come; and lines that are none.
        self.assertIsNone(self.mark(r"99999999999999999999 PID x\n", r"9999999999999999999 PID y\n"))
        self.assertEqual(self.mark(r"\nx\nNOW\nNOW x y\nNOW PID \x1b[1mone"), "?[1mone")

    @timeout(60)
    def test_marks_that_are_no_file(self):
        """Nobody writes to the pipe: it is not waited for."""
        status, _, err = self.gate("sh", "-c", 'mkfifo "$TCPSHIM_MARKS" && exit 5')
        self.assertEqual(status, 5, err)
        self.nothing_found(err)

    def test_marks_that_are_no_xml(self):
        """Characters that XML has not, and one cut by the end of the room, wherever that is."""
        path = self.path("junit.xml")
        for mark, told in ((r"a\ufffeb\uffffc\ufffdd", "a?b?c\ufffdd"),
                           *((r"x" * i + r"\u20ac" * 9999, "\u20ac" * 99) for i in range(3))):
            status, _, _ = self.run_program(
                [self.tool, "run", "--fail-on=" + SLOW, "--junit=" + path, "--", paths.PYTHON,
                 "-c", self.SCRIPT, r"NOW PID " + mark + r"\n"], environment())
            self.assertEqual(status, 99)
            failure = xml.etree.ElementTree.parse(path).getroot().find(".//failure")
            self.assertIn(told, failure.text)
