# SPDX-License-Identifier: MIT
"""Processes and threads: whose events they are, and what a child goes on from."""

import os
import signal

from harness import contract, paths
from harness.case import Case, shimmed, timeout, wait_until
from harness.oracle import OracleCase

CHILD = ("import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.close()")


class Fork(Case):
    """fork, vfork and exec."""

    def test_a_child_counts_from_1_and_goes_on_from_its_parents_states(self):
        log = self.log()
        p = self.pair(log)
        p("pid = os.fork()\n"
          "if pid == 0:\n"
          "    c.shutdown(socket.SHUT_WR); l.close(); os._exit(0)\n"
          "os.waitpid(pid, 0)")
        child = p.eval("pid")
        events = [event for event in log.read() if event["pid"] == child]
        self.expect(
            events,
            ("shutdown", dict(seq=1, tid=child, was="ESTABLISHED",
                              state=lambda state: state.startswith("FIN_WAIT"))),
            ("close", dict(seq=2, was="LISTEN", state="LISTEN")))

    def test_the_parent_learns_what_the_child_did(self):
        """The states are asked of the kernel, whoever changed them."""
        log = self.log()
        p = self.pair(log)
        p("pid = os.fork()\n"
          "if pid == 0: c.shutdown(socket.SHUT_WR); os._exit(0)\n"
          "os.waitpid(pid, 0)")
        log.new()
        p("c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)")
        self.expect(log.new(), ("setsockopt", dict(
            was="ESTABLISHED", state=lambda state: state.startswith("FIN_WAIT"))))

    def test_an_exec_begins_anew(self):
        log = self.log()
        p = self.pair(log)
        p("l.set_inheritable(True)\n"
          "pid = os.fork()\n"
          "if pid == 0:\n"
          "    os.close(os.dup(a.fileno()))\n"
          "    os.execv(sys.executable, [sys.executable, '-I', '-S', '-c',\n"
          "             'import os, sys; os.close(int(sys.argv[1]))', str(l.fileno())])\n"
          "os.waitpid(pid, 0)")
        child = p.eval("pid")
        events = [event for event in log.read() if event["pid"] == child]
        self.expect(events, ("fcntl", dict(seq=1)), ("close", dict(seq=2)),
                    ("close", dict(seq=1, was=None, state="LISTEN")))

    def test_a_vfork_child_makes_no_events(self):
        """Python's subprocess; the parent's states and its explicit options stay."""
        log = self.log()
        p = self.pair(log)
        p("import subprocess; subprocess.run(['true'], check=True)")
        self.assertEqual(log.new(), [])
        p("subprocess.run([sys.executable, '-I', '-S', '-c', %r], check=True)" % CHILD)
        events = log.new()
        self.assertEqual([event["call"] for event in events], ["socket", "bind", "close"])
        self.assertNotIn(p.pid, {event["pid"] for event in events})
        p("c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)")
        self.expect(log.new(), ("setsockopt", dict(was="ESTABLISHED", state="ESTABLISHED",
                                                   pid=p.pid)))

    def test_a_call_that_ends_in_two_processes(self):
        """A handler forks within a close: each tells of its end as its own."""
        log = self.log()
        status, out, err = self.run_program([self.program("forks_in_close")],
                                            shimmed(LOG=log.path, FORMAT="json"))
        self.assertEqual((status, err), (0, b""))
        parent, child = map(int, out.split())
        closes = {event["pid"]: event for event in log.read() if event["call"] == "close"}
        self.assertEqual(set(closes), {parent, child})
        self.match(closes[child], seq=1, tid=child, was="ESTABLISHED", sock=closes[parent]["sock"])

    def test_what_a_vfork_child_does_is_not_its_parents(self):
        log = self.log()
        status, out, err = self.run_program(
            [self.program("vfork_child"), str(self.port())],
            shimmed(LOG=log.path, FORMAT="json"))
        self.assertEqual((status, out, err), (0, b"0 0\n", b""))
        self.expect(
            log.read(), ("socket", dict(seq=1)), ("setsockopt", dict(by=None)),
            ("bind", dict(was="CLOSED", notes=lambda notes: notes[0]["code"]
                          == "reuse-respected")),
            ("listen", dict(was="CLOSED", state="LISTEN")),
            ("close", dict(was="LISTEN", state="CLOSED")))

    def test_a_vfork_child_without_a_log(self):
        """The parent's no is kept."""
        status, out, err = self.run_program([self.program("vfork_child"), str(self.port())],
                                            shimmed())
        self.assertEqual((status, out.split()[0], err), (0, b"0", b""))

    def test_whoever_runs_in_a_process_s_memory_is_not_taken_for_it(self):
        """Each way to make such a child; handlers that run before all else; what it forks."""
        closed = ("close", dict(was="CLOSED", state="CLOSED"))
        for how in ("vfork", "__vfork", "clone", "__clone", "beside", "syscall-vfork",
                    "syscall-clone", "syscall-clone3", "forks", "nested", "libc", "handler",
                    "jumps"):
            with self.subTest(how=how):
                log = self.log(how + ".json")
                status, out, err = self.run_program([self.program("lends_memory"), how],
                                                    shimmed(LOG=log.path, FORMAT="json"))
                self.assertEqual((status, err), (0, b""))
                parent = int(out)
                events = log.read()
                self.expect([event for event in events if event["pid"] == parent],
                            ("socket", {}), *[("setsockopt", dict(was="CLOSED"))] * 20, closed)
                others = [event for event in events if event["pid"] != parent]
                self.expect(others, *[("close", dict(seq=1, was="CLOSED"))]
                            * (20 if how == "forks" else 0))

    def test_what_fork_makes_asks_for_itself(self):
        """Parent and child ask the kernel at the same time; no answer goes astray."""
        log = self.log()
        p = self.puppet(log)
        p("l = socket.create_server(('127.0.0.1', 0))\n"
          "def work():\n"
          "    for _ in range(100):\n"
          "        s = socket.socket(); os.close(os.dup(s.fileno())); s.close()\n"
          "pids = []\n"
          "for _ in range(4):\n"
          "    pid = os.fork()\n"
          "    if pid == 0: work(); os._exit(0)\n"
          "    pids.append(pid)\n"
          "work()\n"
          "for pid in pids: assert os.waitpid(pid, 0)[1] == 0")
        events = log.read()
        closes = [event for event in events if event["call"] == "close"]
        self.assertEqual(len(closes), 5 * 200)
        self.assertEqual({event.get("state") for event in closes}, {"CLOSED"})

    def test_many_generations(self):
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
          "def generation(n):\n"
          "    os.close(os.dup(s.fileno()))\n"
          "    if n:\n"
          "        pid = os.fork()\n"
          "        if pid == 0: generation(n - 1); os._exit(0)\n"
          "        os.waitpid(pid, 0)\n"
          "generation(10)")
        closes = [event for event in log.read() if event["call"] == "close"]
        self.assertEqual([event["state"] for event in closes], ["LISTEN"] * 11)
        self.assertEqual(len({event["pid"] for event in closes}), 11)

    def test_a_daemon(self):
        """Forks twice, closes everything, opens /dev/null: the log goes on."""
        log = self.log()
        p = self.puppet(log)
        p("if os.fork() == 0:\n"
          "    os.setsid()\n"
          "    if os.fork() == 0:\n"
          "        os.chdir('/')\n"
          "        os.closerange(0, 65536)\n"
          "        os.open('/dev/null', os.O_RDWR); os.dup(0); os.dup(0)\n"
          "        s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); s.close()\n"
          "    os._exit(0)")
        log.wait(lambda event: event["call"] == "close", "the daemon's close")
        events = log.read()
        self.assertEqual([event["call"] for event in events],
                         ["socket", "bind", "listen", "close"])
        self.assertEqual(events[0]["ret"], 3)


class Children(OracleCase):
    """Children of all kinds, by strace's account."""

    def test_agree_with_strace(self):
        log = self.log()
        process = self.trace([self.program("walk_fork")], log)
        self.assertEqual(process.wait(), 0, process.error())
        self.agree(log, 20)
        parent = self.traced_pid()
        listens = [event for event in log.read() if event["call"] == "listen"
                   and event["pid"] == parent and event["sock"] == log.events[0]["sock"]]
        self.assertGreaterEqual(len(listens), 5)
        self.assertEqual({(event.get("was"), event["state"]) for event in listens[1:]},
                         {("LISTEN", "LISTEN")})


class Threads(OracleCase):
    """Threads: each event is its thread's."""

    SOURCE = """
import os, socket, threading
l = socket.create_server(("127.0.0.1", 0), backlog=128)
def client(n):
    for _ in range(25):
        c = socket.create_connection(l.getsockname())
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        d = os.dup(c.fileno())
        c.close()
        os.close(d)
def server():
    for _ in range(50):
        a, _ = l.accept()
        a.shutdown(socket.SHUT_WR)
        a.close()
threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
threads += [threading.Thread(target=server) for _ in range(2)]
for t in threads: t.start()
for t in threads: t.join()
l.close()
"""

    def test_agree_with_strace(self):
        log = self.log()
        process = self.trace([paths.PYTHON, "-I", "-S", "-c", self.SOURCE], log)
        self.assertEqual(process.wait(), 0, process.error())
        self.agree(log, 4 * 25 * 6 + 100 * 3, exact=False)

    def test_states_under_load(self):
        """No state is another socket's, without strace to slow them."""
        log = self.log()
        status, _, err = self.run_program([paths.PYTHON, "-I", "-S", "-c", self.SOURCE],
                                          shimmed(LOG=log.path, FORMAT="json"))
        self.assertEqual((status, err), (0, b""))
        events = log.read()
        for event in events:
            if event["call"] == "connect":   # the server may have closed its end by then
                self.assertIn(event["state"], ("ESTABLISHED", "CLOSE_WAIT"))
        for event in events:
            if event["call"] == "close" and event.get("was") == "ESTABLISHED":
                self.assertNotEqual(event.get("state"), "LISTEN", event)
            self.assertIn("state", event)

    def test_one_descriptor_by_two_threads(self):
        """Closing and making the same numbers: nobody's socket is lost."""
        log = self.log()
        status, _, err = self.run_program([paths.PYTHON, "-I", "-S", "-c", """
import socket, threading
def churn():
    for _ in range(200):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        s.close()
threads = [threading.Thread(target=churn) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
"""], shimmed(LOG=log.path, FORMAT="json"))
        self.assertEqual((status, err), (0, b""))
        made = {}
        for event in log.read():
            if event["call"] == "socket":
                made[event["sock"]] = []
        for event in log.events:
            made[event["sock"]].append(event["call"])
        self.assertEqual(set(map(tuple, made.values())), {("socket", "bind", "close")})


class Jumps(Case):
    """What leaves a call by another way than its return makes no event."""

    def test_cancelled_and_jumped_out_of(self):
        log = self.log()
        status, out, err = self.run_program([self.program("walk_signals")],
                                            shimmed(LOG=log.path, FORMAT="json"))
        self.assertEqual((status, err), (0, b""))
        self.assertEqual(out.count(b"jumped out of accept"), 3)
        accepts = [event for event in log.read() if event["call"] in ("accept", "accept4")]
        self.assertEqual([event.get("error") for event in accepts], ["EINTR", "EINTR", None])
        connects = [event for event in log.events if event["call"] == "connect"]
        self.assertIn("EINTR", [event.get("error") for event in connects])


class Sandbox(Case):
    """A program that installs a seccomp filter: one last event, then the shim steps aside."""

    def test_one_last_event(self):
        log = self.log()
        status, out, err = self.run_program([self.program("walk_sandbox")],
                                            shimmed(LOG=log.path, FORMAT="json"))
        self.assertEqual((status, err), (0, b""))
        self.assertEqual(out.count(b"status 0\n"), 2)
        events = log.read()
        pids = []
        for event in events:
            if event["pid"] not in pids:
                pids.append(event["pid"])
        self.assertEqual(len(pids), 3)
        for pid in pids[1:]:
            mine = [event for event in events if event["pid"] == pid]
            self.assertEqual([contract.has_note(event, "sandboxed") for event in mine],
                             [False] * (len(mine) - 1) + [True], mine)
            self.assertEqual(mine[0]["call"], "socket")

    def test_a_filter_that_was_there_before_is_no_reason(self):
        log = self.log()
        p = self.puppet(log, wrapper=[self.program("without_netlink")])
        p("socket.socket().close()")
        # The program that installs the filter is under the shim as well, and tells of it.
        self.assertEqual([event["call"] for event in log.read()
                          if event["prog"] != "without_netlink"], ["socket", "close"])


class Ends(Case):
    """Programs that end in other ways."""

    def test_killed_while_it_waits(self):
        log = self.log()
        p = self.puppet(log)
        p("l = socket.create_server(('127.0.0.1', 0))")
        before = len(log.read())
        p.begin("l.accept()")

        def waits():
            with open("/proc/%d/wchan" % p.pid) as file:
                return "accept" in file.read()
        try:
            wait_until(waits, "accept", 2)
        except AssertionError:
            pass   # a kernel that does not tell: then it is killed a little later
        p.process.send_signal(signal.SIGKILL)
        p.process.wait()
        self.assertEqual(len(log.read()), before)

    @timeout(20)
    def test_exit_codes_and_signals_pass(self):
        for script, status in (("import os; os._exit(7)", 7), ("raise SystemExit(3)", 3),
                               ("import os; os.kill(os.getpid(), 15)", -15),
                               ("import os; os.abort()", -6)):
            for settings in ({}, {"LOG": os.devnull}, {"LOG": self.path("log")}):
                got, out, _ = self.run_program(
                    [paths.PYTHON, "-I", "-S", "-c", "import socket; s = socket.socket()\n"
                     + script], shimmed(**settings))
                self.assertEqual((got, out), (status, b""))
