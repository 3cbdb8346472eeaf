# SPDX-License-Identifier: MIT
"""A program under the supervisor is the same program: its number, signals, stops, children, end.

Each is done once without and once with it, and must come out alike.
"""

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections import Counter

from harness import paths, strace
from harness.case import environment, listening_port, read_line, shimmed, timeout, wait_until
from harness.events import PATIENCE
from harness.tool import ToolCase


def static(name):
    """A program of tests/programs or demo that no library can be loaded into, as built."""
    return os.path.join(paths.OUT, "tests", "static", name)


def status_of(pid):
    """The lines of /proc/PID/status, by their names; empty where it has ended."""
    try:
        with open("/proc/%d/status" % pid) as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        return {}


def tracer_of(pid):
    return int(status_of(pid).get("TracerPid", "0"))


def state_of(pid):
    return status_of(pid).get("State", "X")[0]


def is_in_accept(pid):
    """By where in the kernel it sleeps."""
    try:
        with open("/proc/%d/wchan" % pid) as file:
            return "accept" in file.read()
    except OSError:
        return False


def is_pending(pid):
    status = status_of(pid)
    return int(status["SigPnd"], 16) or int(status["ShdPnd"], 16)


class SupervisedCase(ToolCase):
    """A test of static programs under the supervisor."""

    def setUp(self):
        super().setUp()
        self.supervised = static("supervised")
        if not os.access(self.supervised, os.X_OK):
            self.skipTest("no static programs: is there a static libc?")
        status, _, err = self.followed(self.supervised, "exit")
        if b"nor can it be followed" in err:
            self.skipTest(err.decode().strip())
        self.assertEqual(status, 0, err)

    def command(self, *words, log="/dev/null", options=()):
        return [self.tool, "run", "--supervise", "--log=%s" % log, *options, "--", *words]

    def followed(self, *words, **how):
        return self.run_program(self.command(*words), **how)

    def without_its_line(self, err):
        """Standard error, less the one line that says that it is followed."""
        line, _, rest = err.partition(b"\n")
        self.assertRegex(line.decode(), "^tcpshim run: .* runs under a supervisor")
        return rest

    def alike(self, *words):
        """The same status and output with the supervisor and without; the output."""
        plain = self.run_program([self.supervised, *words])
        status, out, err = self.followed(self.supervised, *words)
        self.assertEqual((status, out, self.without_its_line(err)), plain)
        return out.decode()

    def start_followed(self, *words, **how):
        """A program that says its port when it is there; and its supervisor's number."""
        process = self.start(self.command(self.supervised, *words), **how)
        port = listening_port(process)
        supervisor = tracer_of(process.pid)
        self.assertGreater(supervisor, 0)
        return process, port, supervisor


class Costs(SupervisedCase):
    """What the supervisor itself asks the kernel for a turn of six calls, by strace's count."""

    TURNS = 500

    def test_system_calls(self):
        """Each call stops twice (wait4, what it is, on); nine descriptors, 33 questions;
        and of each line getrlimit, write."""
        if strace.available():
            self.skipTest(strace.available())
        trace = self.path("trace")
        process = self.start(self.command("sh", "-c", 'read go; exec "$0" turns "$1"',
                                          self.supervised, str(self.TURNS),
                                          log=self.path("json"), options=["--json"]),
                             stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        wait_until(lambda: tracer_of(process.pid), "the supervisor")
        supervisor = tracer_of(process.pid)
        counter = self.start(["strace", "-o", trace, "-p", str(supervisor)])
        wait_until(lambda: tracer_of(supervisor) == counter.pid, "strace")
        process.stdin.write(b"\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), b"done\n")
        os.kill(process.pid, signal.SIGKILL)
        counter.wait()
        with open(trace, errors="replace") as file:
            calls = Counter(re.findall(r"(?m)^(\w+)\(", file.read()))
        # Some are for the shell, the start and the end.
        for name, most in (("ptrace", 24), ("wait4", 12), ("pidfd_getfd", 9), ("close", 9),
                           ("statx", 0), ("write", 6)):
            self.assertLess(calls[name] / self.TURNS, most + 0.5, calls)
        self.assertLess(sum(calls.values()) / self.TURNS, 99.5, calls)


class Ends(SupervisedCase):
    def test_exit_status(self):
        for status in (0, 1, 77, 255):
            self.alike("exit", str(status))

    def test_death_by_each_signal(self):
        for number in sorted(set(range(1, 32)) | {34, 40, 64}):
            if number in (signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN,
                          signal.SIGTTOU, 32, 33):
                continue
            with self.subTest(signal=number):
                self.alike("die", str(number))

    def test_the_supervisor_goes_with_the_program(self):
        process, _, supervisor = self.start_followed("rest")
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), -signal.SIGTERM)
        wait_until(lambda: state_of(supervisor) in "XZ", "the supervisor's end")

    def test_the_program_goes_with_the_supervisor(self):
        process, _, supervisor = self.start_followed("rest")
        os.kill(supervisor, signal.SIGKILL)
        self.assertEqual(process.wait(PATIENCE), -signal.SIGKILL)

    def test_a_killed_program_leaves_its_port(self):
        """Though a child, and so the supervisor, lives on."""
        for _ in range(20):
            process = self.start(self.command(self.supervised, "outlived"))
            child, port = int(read_line(process)), listening_port(process)
            try:
                wait_until(lambda: state_of(child) == "S", "the child's rest")
                process.kill()
                process.wait(PATIENCE)
                with socket.socket() as again:
                    again.bind(("127.0.0.1", port))
                    again.listen()
                self.assertGreater(tracer_of(child), 0)
            finally:
                os.kill(child, signal.SIGKILL)

    def test_nothing_of_the_program_is_held(self):
        """Its pipes end with it, though a child of it lives on that has closed them."""
        process = self.start(self.command("/bin/sh", "-c", "exec sleep 60 >&- 2>&- <&- & echo $!"))
        child = int(read_line(process))
        self.addCleanup(os.kill, child, signal.SIGKILL)
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        self.assertTrue(ready)
        self.assertEqual(process.stdout.read(), b"")
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertGreater(tracer_of(child), 0)


class Signals(SupervisedCase):
    @timeout(60)
    def test_a_storm_changes_no_answer(self):
        self.assertEqual(self.alike("storm"), "0 wrong, signals: yes\n")

    def interrupted(self, how, is_followed):
        """What a program says whose accept is interrupted by a signal, and goes on or not."""
        command = [self.supervised, how]
        process = self.start(self.command(*command) if is_followed else command)
        port = listening_port(process)
        wait_until(lambda: is_in_accept(process.pid), "accept")
        process.send_signal(signal.SIGUSR1)
        if how != "interrupt":
            wait_until(lambda: is_in_accept(process.pid) and not is_pending(process.pid),
                       "accept again")
            with socket.create_connection(("127.0.0.1", port), PATIENCE):
                return read_line(process)
        return read_line(process)

    def test_interrupted_accept(self):
        for how, line in (("restart", "accepted after 1\n"), ("interrupt", "EINTR after 1\n"),
                          ("nested", "accepted after 1\n")):
            with self.subTest(how=how):
                self.assertEqual(self.interrupted(how, False), line)
                self.assertEqual(self.interrupted(how, True), line)

    def test_a_stop_by_the_manager(self):
        """As systemd does: TERM to all at once, the supervisor among them."""
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            process, _, supervisor = self.start_followed("rest")
            os.kill(supervisor, number)
            os.kill(supervisor, signal.SIGTSTP)
            self.assertIn(state_of(process.pid), "SR")
            process.send_signal(number)
            self.assertEqual(process.wait(PATIENCE), -number)

    def test_stopped_and_continued(self):
        for number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN):
            # Of a group whose parent is of another one: else SIGTSTP stops nobody.
            process, _, _ = self.start_followed("rest", process_group=0)
            process.send_signal(number)
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            self.assertTrue(os.WIFSTOPPED(status))
            self.assertEqual(os.WSTOPSIG(status), number)
            process.send_signal(signal.SIGTERM)   # not before it is continued
            for _ in range(50):
                self.assertIn(state_of(process.pid), "tT")
            process.send_signal(signal.SIGCONT)
            self.assertEqual(process.wait(PATIENCE), -signal.SIGTERM)

    def test_a_shell_with_job_control(self):
        """Ctrl-Z, fg, Ctrl-C on a terminal."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"],
                      dict(environment(), PS1="READY\n", TERM="dumb"))
        self.addCleanup(os.close, terminal)
        said = b""

        def until(pattern):
            nonlocal said
            end = time.monotonic() + PATIENCE
            while not re.search(pattern, said):
                ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
                self.assertTrue(ready, said)
                said += os.read(terminal, 65536)
            found = re.search(pattern, said)
            said = said[found.end():]
            return found

        until(rb"READY\r\n")
        words = " ".join(self.command(self.supervised, "rest"))
        os.write(terminal, words.encode() + b"\n")
        until(rb"\n(\d+)\r\n")
        program = os.tcgetpgrp(terminal)
        os.write(terminal, b"\x1a")
        until(rb"Stopped")
        until(rb"READY\r\n")
        os.write(terminal, b"fg\n")
        until(rb"rest\r\n")  # the shell names it, and then gives it the terminal
        wait_until(lambda: os.tcgetpgrp(terminal) == program, "the foreground")
        os.write(terminal, b"\x03")
        until(rb"READY\r\n")
        os.write(terminal, b"echo ended $?\n")
        self.assertEqual(until(rb"\nended (\d+)\r\n").group(1), b"130")
        os.write(terminal, b"exit\n")
        os.waitpid(pid, 0)


class Families(SupervisedCase):
    def test_children_of_each_kind(self):
        self.assertIn("another: -1", self.alike("children"))

    def test_threads(self):
        self.assertEqual(self.alike("threads", "100"), "100 threads, 0 wrong\n")

    @timeout(60)
    def test_those_that_have_gone_take_no_room(self):
        kilobytes = []
        for count in (100, 1000):
            process = self.start(self.command(self.supervised, "many", str(count)))
            self.assertEqual(read_line(process), "%d\n" % count)
            kilobytes.append(int(status_of(tracer_of(process.pid))["VmData"].split()[0]))
        self.assertLess(kilobytes[1] - kilobytes[0], 200, kilobytes)

    def test_each_has_its_turn(self):
        """Whoever else calls all the time: the kernel tells of the newest thread first."""
        status, out, err = self.followed(self.supervised, "in-turn", "12")
        self.assertEqual(status, 0, err)
        self.assertLess(int(out), 20 * 12 * 10)

    def test_executed_by_a_thread(self):
        for _ in range(10):
            self.alike("thread-executes")

    def test_hidden_from_others(self):
        """PR_SET_DUMPABLE 0."""
        self.alike("hidden")

    def test_a_listener_of_its_own(self):
        """A seccomp filter of its own with a listener."""
        self.assertEqual(self.alike("listener"), "a listener: yes, a socket: yes\n")

    def test_a_process_id_is_the_programs(self):
        process, _, supervisor = self.start_followed("rest")
        with open("/proc/%d/cmdline" % process.pid, "rb") as file:
            self.assertEqual(file.read().split(b"\0")[0], self.supervised.encode())
        with open("/proc/%d/exe" % supervisor, "rb") as file:
            self.assertEqual(os.fstat(file.fileno()).st_ino, os.stat(self.tool).st_ino)

    def test_nobody_can_trace_it_twice(self):
        """By an inner tcpshim run, which says so."""
        status, out, err = self.followed(self.tool, "run", "--log=/dev/null", self.supervised,
                                         "exit", "3")
        self.assertEqual((status, out), (3, b""))
        self.assertRegex(self.without_its_line(err).decode(), "outer tcpshim run .* follows it")


# What differs from one run to the next; and how libc calls what Debian's own build calls otherwise.
VARIES = ("time", "pid", "tid", "dur_ns", "sock", "timer_ms", "netns", "age_ms")


def by_port(ports, text):
    """The text with each port of ours as the how-manieth it was."""
    return re.sub(r"(?<=:)(\d{4,5})\b", lambda found: "P%d" % ports.setdefault(
        found.group(1), len(ports)), text)


def told(events):
    """The events as they are the same in each run."""
    ports, kept = {}, []
    for event in events:
        event = {key: value for key, value in event.items() if key not in VARIES}
        for note in event.get("notes", ()):
            if note["code"].startswith("in-use"):
                note["text"] = ""  # says whether the search for others had the time to end
            for key in ("ago_ms", "by_tid", "pid", "over_ms", "incomplete"):
                note.pop(key, None)
            note["text"] = re.sub(r"\b(pid|thread) \d+|\d+\.\d+ s", r"\1", note["text"])
        kept.append(by_port(ports, json.dumps(event, sort_keys=True)))
    return kept


class Events(SupervisedCase):
    """The same events as by the library in the same program, linked dynamically."""

    def by_library(self, name, *words, **settings):
        log = self.log(self.fresh("library"))
        self.run_program([self.program(name), *words],
                         shimmed(LOG=log.path, FORMAT="json", **settings))
        return log.new()

    def from_outside(self, name, *words, options=()):
        log = self.log(self.fresh("supervisor"))
        status, _, err = self.run_program(
            self.command(static(name), *words, log=log.path, options=["--json", *options]))
        self.assertEqual((status, self.without_its_line(err)), (0, b""))
        return log.new()

    def test_ends_and_failures(self):
        for reuse in ("auto", "force", "gentle", "off"):
            with self.subTest(reuse=reuse):
                self.assertEqual(
                    told(self.from_outside("scenario", options=["--reuse=" + reuse])),
                    told(self.by_library("scenario", REUSE=reuse)))

    def test_calls_that_are_asked_for(self):
        calls = "bind,close"
        got = self.from_outside("scenario", options=["--calls=" + calls])
        self.assertEqual({event["call"] for event in got}, {"bind", "close"})
        self.assertEqual(told(got), told(self.by_library("scenario", CALLS=calls)))

    def test_what_is_left_open(self):
        got = self.from_outside("supervised", "leave", options=["--report"])
        self.assertEqual(told(got), told(self.by_library("supervised", "leave", REPORT=1)))
        self.assertEqual(got[-1]["totals"], {"LISTEN": 1, "CLOSED": 1})

    def test_the_end_is_told_once(self):
        """By whichever of the threads that end the process."""
        for _ in range(5):
            log = self.log(self.fresh("log"))
            status, _, err = self.run_program(self.command(
                self.supervised, "ended-by", "20", log=log.path, options=["--json", "--report"]))
            self.assertEqual((status, self.without_its_line(err)), (0, b""))
            self.assertEqual(len([event for event in log.new() if "totals" in event]), 1)

    def test_the_log_is_whole_when_the_program_has_ended(self):
        """Also where the supervisor is slow to look at what it has been told."""
        if not paths.find("strace"):
            self.skipTest("needs strace")
        log = self.log()
        process = self.start(self.command(self.supervised, "failures", log=log.path,
                                          options=["--json"]), stdin=subprocess.PIPE)
        listening_port(process)
        supervisor = tracer_of(process.pid)
        self.start(["strace", "-qq", "-o", self.path("strace"), "-p", str(supervisor),
                    "-e", "inject=wait4:delay_exit=300000"])
        wait_until(lambda: tracer_of(supervisor), "strace")
        process.stdin.write(b"\n")
        process.stdin.flush()
        self.assertEqual(process.wait(PATIENCE), 0)
        told = [event.get("repeated", {}).get("times", 1) for event in log.read()
                if event["call"] == "bind" and event.get("error")]
        self.assertEqual(sum(told), 50, told)

    def test_a_log_that_can_not_be_opened(self):
        """Of one of those that are followed: told as the library tells it, on its stderr."""
        os.mkdir(self.path("supervised.d"))
        status, out, err = self.run_program(self.command(
            "sh", "-c", "exec 2>&1; %s exit 4" % self.supervised, log=self.path("%n.d")))
        self.assertEqual((status, self.without_its_line(err)), (4, b""))
        self.assertRegex(out.decode(), r"\Alibreuse: TCPSHIM_LOG=.*/supervised\.d can't be opened "
                         r"\(a folder\); nothing is logged\n\Z")

    def test_nothing_is_written_to_what_is_no_stderr_any_more(self):
        """Descriptor 2 is a file of the program's own when it makes its first call."""
        os.mkdir(self.path(os.path.basename(os.path.realpath(paths.PYTHON))[:15] + ".d"))
        script = ("import os, socket\n"
                  "r, w = os.pipe(); os.dup2(w, 2); os.set_blocking(r, False)\n"
                  "socket.socket().close()\n"
                  "try: print(os.read(r, 999))\n"
                  "except BlockingIOError: print('nothing')\n")
        status, out, err = self.run_program(self.command(
            "sh", "-c", 'exec "$@"', "sh", paths.PYTHON, "-I", "-S", "-c", script,
            log=self.path("%n.d"), options=["--calls=socket"]))
        self.assertEqual((status, out), (0, b"nothing\n"))
        self.assertRegex(self.without_its_line(err).decode(), r"^libreuse: .*can't be opened")

    def test_one_event_a_call(self):
        """However a signal interrupts it, and whatever the handler does."""
        for how, wanted in (("restart", [("accept", None)]), ("interrupt", [("accept", "EINTR")]),
                            ("nested", [("socket", None), ("close", None), ("accept", None)])):
            with self.subTest(how=how):
                log = self.log(self.fresh("log"))
                process = self.start(self.command(self.supervised, how, log=log.path,
                                                  options=["--json"]))
                port = listening_port(process)
                wait_until(lambda: is_in_accept(process.pid), "accept")
                process.send_signal(signal.SIGUSR1)
                if how != "interrupt":
                    wait_until(lambda: is_in_accept(process.pid) and not is_pending(process.pid),
                               "accept again")
                    socket.create_connection(("127.0.0.1", port), PATIENCE).close()
                self.assertEqual(process.wait(PATIENCE), 0)
                got = [(event["call"], event.get("error")) for event in log.new()]
                # Before it a socket, bind, listen, and what the shim sets; behind it close.
                begin = [call for call, _ in got].index("listen") + 1
                self.assertEqual(got[begin:begin + len(wanted)], wanted, got)
                self.assertLessEqual(len(got), begin + len(wanted) + 1)

    def test_who_makes_a_call(self):
        """Threads have their own numbers, children and what is executed begin anew."""
        log = self.log()
        process = self.start(self.command(self.supervised, "children", log=log.path,
                                          options=["--json"]))
        self.assertEqual(process.wait(PATIENCE), 0)
        events = log.new()
        numbers = {}
        for event in events:
            numbers.setdefault(event["pid"], []).append(event["seq"])
        self.assertEqual(set(numbers[process.pid]), set(range(1, len(numbers[process.pid]) + 1)))
        self.assertGreaterEqual(len(numbers), 5, "fork, vfork and exec, two by clone, killed")
        self.assertTrue(all(all_of[0] == 1 for all_of in numbers.values()), numbers)

        log = self.log(self.fresh("threads"))
        process = self.start(self.command(self.supervised, "threads", "20", log=log.path,
                                          options=["--json"]))
        self.assertEqual(process.wait(PATIENCE), 0)
        events = log.new()
        self.assertEqual(len({event["tid"] for event in events}), 20)
        self.assertEqual(len([event for event in events if event["call"] == "close"]), 20)
        self.assertEqual({event["pid"] for event in events}, {process.pid})

    def test_a_log_for_each_program(self):
        self.run_program(self.command(self.supervised, "children", options=["--json"],
                                      log=self.path("%n.%p.json")))
        logs = [name for name in os.listdir(self.folder) if name.endswith(".json")]
        self.assertEqual(len(logs), 2, "of the program, and of the one that it executes")
        for name in logs:
            log = self.log(name)
            pids = {event["pid"] for event in log.read()}
            self.assertIn(int(name.split(".")[1]), pids)

    def test_what_a_supervised_tree_starts_is_told_once(self):
        """static → dynamic → static."""
        log = self.log()
        self.run_program([self.tool, "run", "--json", "--log=" + log.path, self.supervised,
                          "execute", paths.PYTHON, "-c",
                          "import os, socket, sys; socket.socket().close(); "
                          "os.execv(sys.argv[1], sys.argv[1:])", self.supervised, "exit"],
                         shimmed())
        calls = [(event["prog"][:6], event["call"]) for event in log.read()]
        self.assertEqual(calls, [(name, call) for name in ("python", "superv")
                                 for call in ("socket", "close")])


class Rescue(SupervisedCase):
    """kill -9 with a client connected, and the same command again."""

    def test_without_a_log(self):
        port = self.port()
        command = [static("server"), str(port)]
        for _ in range(5):
            server = self.start([self.tool, "run", "--supervise", *command])
            self.assertEqual(listening_port(server), port)
            self.crash(server, port)
        status, _, err = self.run_program([self.tool, "run", "--no-supervise", *command])
        self.assertNotEqual(status, 0)
        self.assertIn(b"in use", err)

    def test_each_mode(self):
        for mode in ("auto", "force", "gentle"):
            with self.subTest(mode=mode):
                port = self.port()
                for _ in range(2):
                    server = self.start(self.command(static("server"), str(port),
                                                     options=["--reuse=" + mode]))
                    self.assertEqual(listening_port(server), port)
                    self.crash(server, port)

    def test_after_a_wait(self):
        """A connection that an unshimmed run has left."""
        port = self.port()
        with socket.socket() as l:
            l.bind(("127.0.0.1", port))
            l.listen()
            c = socket.create_connection(("127.0.0.1", port))
            a, _ = l.accept()
        with c:
            a.close()
            server = self.start(self.command(static("server"), str(port), options=["--wait=60"]))
            wait_until(lambda: state_of(server.pid) == "t", "the wait")
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.assertEqual(listening_port(server), port)


    @timeout(60)
    def test_others_go_on_beside_a_wait(self):
        """As often as else, by the seconds in which this machine did not do other things."""
        with socket.socket() as l:
            l.bind(("127.0.0.1", 0))
            l.listen()
            port = l.getsockname()[1]
            c = socket.create_connection(("127.0.0.1", port))
            a, _ = l.accept()
        with c:
            a.close()   # in FIN_WAIT_2 until c goes
            for _ in range(10):
                status, out, err = self.run_program(
                    self.command(self.supervised, "beside-held", str(port),
                                 options=["--wait=1", "--reuse=off"]))
                self.assertEqual(status, 0, err)
                alone, beside = map(int, out.split())
                if beside > alone / 5:
                    return
        self.fail("%d calls beside a bind that waits, %d without it" % (beside, alone))


# A filter that refuses the system call with that number, and then the command.
REFUSES = r"""
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int n, char **v)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, atoi(v[1]), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {4, code};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, 2, &filter);
	return execv(v[2], v + 2) + n;
}
"""


class When(SupervisedCase):
    """Which programs are followed, and what is said where that can't be."""

    def test_refused(self):
        """In a container: the program runs without, and one line says why."""
        refuses = self.compiled(REFUSES)
        numbers = {"pidfd_getfd": 438, "ptrace": {"x86_64": 101, "aarch64": 117},
                   "process_vm_readv": {"x86_64": 310, "aarch64": 270}}
        for name, number in numbers.items():
            if isinstance(number, dict):
                number = number[os.uname().machine]
            with self.subTest(name=name):
                status, out, err = self.run_program(
                    [refuses, str(number), *self.command(self.supervised, "exit", "6")])
                self.assertEqual((status, out, err.count(b"\n")), (6, b"", 1), err)
                self.assertIn(b"nor can it be followed from outside: %s is refused"
                              % name.encode(), err)

    @timeout(60)
    def test_killed_for_trying(self):
        """A sandbox that kills who makes a call (systemd's SystemCallFilter=): that must not be the
        program, nor may it wait for an answer that does not come."""
        kills = self.compiled(REFUSES.replace("SECCOMP_RET_ERRNO | EPERM",
                                              "SECCOMP_RET_KILL_PROCESS"))
        numbers = {"x86_64": {"pidfd_getfd": 438, "ptrace": 101, "process_vm_readv": 310,
                              "kcmp": 312, "seccomp": 317},
                   "aarch64": {"pidfd_getfd": 438, "ptrace": 117, "process_vm_readv": 270,
                               "kcmp": 272, "seccomp": 277}}
        for name, number in numbers[os.uname().machine].items():
            with self.subTest(name=name):
                status, out, err = self.run_program(
                    ["/bin/sh", "-c", 'ulimit -c 0; exec "$@"', "sh", kills, str(number),
                     *self.command(self.supervised, "children")])
                self.assertEqual((status, err.count(b"\n")), (0, 1), err)
                self.assertEqual(out, self.run_program([self.supervised, "children"])[1])
                self.assertIn(b"nor can it be followed from outside: its supervisor is killed "
                              b"when it tries (", err)

    def for_all(self, program):
        """A copy of it where any user can execute it: the tree may be in a home of root's."""
        folder = self.path("for-all")
        os.makedirs(folder, exist_ok=True)
        for place in os.path.dirname(folder), folder:
            os.chmod(place, 0o755)
        return shutil.copy(program, folder)

    def test_without_privilege_and_without_a_log(self):
        user = "nobody" if os.geteuid() == 0 else None
        run, supervised = [self.for_all(self.tool), "run"], self.for_all(self.supervised)
        self.for_all(paths.library())
        status, _, err = self.run_program([*run, supervised, "exit", "3"], user=user)
        self.assertEqual((status, err.count(b"\n")), (3, 1))
        self.assertIn(b"--supervise follows it from outside", err)
        for words in (["--supervise"], ["--log=/dev/null"]):
            status, _, err = self.run_program([*run, *words, supervised, "exit", "3"], user=user)
            self.assertEqual(status, 3)
            self.assertEqual(self.without_its_line(err), b"")
            self.assertIn(b"setuid programs gain nothing in it", err)

    def test_with_privilege(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        status, _, err = self.tcpshim("run", self.supervised, "exit", "3")
        self.assertEqual((status, self.without_its_line(err)), (3, b""))
        self.assertNotIn(b"setuid", err)

    def test_not_asked_for(self):
        for words in (["--no-supervise", "--log=/dev/null"], ["--supervise", "--reuse=off"]):
            status, _, err = self.tcpshim("run", *words, self.supervised, "exit", "3")
            self.assertEqual((status, err.count(b"\n")), (3, 1))
            self.assertIn(b"so it runs without", err)

    def test_dynamic_programs_are_not_followed(self):
        process = self.start([self.tool, "run", "--log=/dev/null", self.program("supervised"),
                              "rest"])
        listening_port(process)
        self.assertEqual(tracer_of(process.pid), 0)
        self.assertEqual(status_of(process.pid).get("Seccomp", "0"), "0")
        self.assertEqual(process.error(), b"")

    def test_position_independent(self):
        with open(os.path.join(paths.ROOT, "tests/programs/supervised.c")) as file:
            program = self.compiled("#define _GNU_SOURCE\n" + file.read(), "-static-pie")
        log = self.log()
        self.run_program([self.tool, "run", "--json", "--log=" + log.path, program, "exit"])
        self.assertEqual([event["call"] for event in log.read()], ["socket", "close"])

    def test_the_first_process_of_a_container(self):
        if os.geteuid() != 0 or not paths.find("unshare"):
            self.skipTest("needs root and unshare")
        log = self.log()
        status, out, err = self.run_program(
            ["unshare", "--pid", "--fork", "--mount-proc",
             *self.command(self.supervised, "children", log=log.path, options=["--json"])])
        self.assertEqual((status, self.without_its_line(err)), (0, b""))
        self.assertEqual(out, self.run_program([self.supervised, "children"])[1])
        self.assertEqual(log.read()[0]["pid"], 1)

    def test_without_a_proc_of_its_own(self):
        """Where numbers in /proc are those of others, nothing is told rather than of others."""
        if os.geteuid() != 0 or not paths.find("unshare"):
            self.skipTest("needs root and unshare")
        log = self.log()
        status, _, err = self.run_program(
            ["unshare", "--pid", "--fork", *self.command(self.supervised, "exit", "6",
                                                         log=log.path)])
        self.assertEqual((status, err.count(b"\n")), (6, 1), err)
        self.assertIn(b"/proc is not the one of its PID namespace", err)
        self.assertFalse(os.path.exists(log.path))

    @timeout(60)
    def test_the_supervisor_killed_at_any_time(self):
        """Nobody is left, whatever they were doing."""
        for turn in range(24):
            what = (["storm"], ["threads", "50"], ["children"], ["thread-executes"])[turn % 4]
            process = self.start(self.command(self.supervised, *what), start_new_session=True)
            supervisor = wait_until(lambda: tracer_of(process.pid) or process.poll() is not None,
                                    "the supervisor")
            time.sleep(0.002 * turn)   # no moment to be awaited: any is good
            if supervisor is not True and tracer_of(process.pid):
                os.kill(supervisor, signal.SIGKILL)
            process.wait(PATIENCE)
            wait_until(lambda: not [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
                                    if self.session_of(pid) == process.pid], "their end")

    @staticmethod
    def session_of(pid):
        try:
            with open("/proc/%d/stat" % pid) as file:
                fields = file.read().rpartition(")")[2].split()
            return None if fields[0] in "ZX" else int(fields[3])
        except OSError:
            return None
