# SPDX-License-Identifier: MIT
"""Programs of 32 bits with the library of 32 bits, and programs of another libc, musl, with the
library that there is: alone and among others.

What they end in is written down here, and asked of the kernel where it can be seen; what a
call changes, tests/transparent tells of 32 bits as well (make transparent OUT=build/i386).
"""

import datetime
import json
import os
import shutil

from harness import contract, paths
from harness.case import Case, environment, listening_port, read_line, timeout

NARROW = os.path.join(paths.ROOT, "build", "i386")

# Each call of tests/programs/scenario.c with the state that its socket ends in.
LISTENER = [("socket", "CLOSED"), ("bind", "CLOSED"), ("listen", "LISTEN")]
CONNECTION = [("socket", "CLOSED"), ("connect", "ESTABLISHED"), ("accept", "ESTABLISHED")]
SCENARIO = (
    LISTENER +
    CONNECTION + [("shutdown", "FIN_WAIT_2"), ("close", "CLOSED"), ("close", "TIME_WAIT")] +
    CONNECTION + [("setsockopt", "ESTABLISHED"), ("close", "CLOSED"), ("close", "CLOSED")] +
    [("socket", "CLOSED"), ("bind", "CLOSED"), ("close", "CLOSED"), ("connect", "CLOSED"),
     ("close", "CLOSED"), ("close", "")] +
    [("socket", "CLOSED"), ("listen", "LISTEN"), ("close", "CLOSED")])


def now():
    return datetime.datetime.utcnow().isoformat(timespec="microseconds") + "Z"


def program_of(build, *parts):
    return os.path.join(build, *parts)


class Programs(Case):
    """A library, and programs that take it: scenario and server."""

    def setUp(self):
        super().setUp()
        if "-" in os.path.basename(paths.OUT).replace("check-", ""):
            self.skipTest("a sanitizer must be loaded first")
        self.find()

    def find(self):
        """Those of 32 bits."""
        self.library = program_of(NARROW, "libreuse.so")
        self.scenario = program_of(NARROW, "tests", "programs", "scenario")
        self.server = program_of(NARROW, "demo", "server")
        for path in (self.library, self.scenario, self.server):
            if not os.access(path, os.R_OK):
                self.skipTest("no 32-bit programs (gcc -m32, package gcc-multilib)")
        self.assertEqual(paths.machine(self.library), (1, 3))

    def made_for_musl(self, *source, static=False):
        """The program, as musl's compiler makes it."""
        compiler = paths.find("musl-gcc")
        if not compiler:
            self.skipTest("no musl-gcc (package musl-tools)")
        program = self.fresh("musl")
        status, _, err = self.run_program(
            [compiler, "-O2", *["-static"] * static, "-o", program, os.path.join(paths.ROOT, *source)])
        self.assertEqual((status, err), (0, b""))
        with open(program, "rb") as file:
            self.assertNotEqual(b"ld-musl" in file.read(4096), static)
        return program

    def under(self, **settings):
        return dict(environment(**settings), LD_PRELOAD=self.library)

    def under_both(self, **settings):
        """The bare name, found by each dynamic linker in the folder of its own programs."""
        for folder, library in (("wide", paths.library()), ("narrow", self.library)):
            if not os.path.isdir(self.path(folder)):
                os.mkdir(self.path(folder))
                shutil.copy(library, self.path(folder))
        return dict(environment(**settings), LD_PRELOAD="libreuse.so",
                    LD_LIBRARY_PATH="%s:%s" % (self.path("wide"), self.path("narrow")))

    def is_scenario(self, events, port):
        """These are its events, and the kernel has the one connection that it leaves."""
        made = [event for event in events if "by" not in event]
        self.assertEqual([(event["call"], event.get("state", "").replace("WAIT_1", "WAIT_2"))
                          for event in made], SCENARIO)  # the ACK may be on its way
        by_error = {event["error"]: event for event in made if "error" in event}
        self.assertEqual(set(by_error), {"EADDRINUSE", "ECONNREFUSED", "EBADF"})
        self.assertIn("in-use-listener", self.notes(by_error["EADDRINUSE"]))
        self.assertIn("double-close", self.notes(by_error["EBADF"]))
        left, = [event for event in made if event.get("state") == "TIME_WAIT"]
        self.assertEqual(left["local"], "127.0.0.1:%d" % port)
        self.assertGreater(left["timer_ms"], 50000)
        ports = [":%04X" % int(left[end].rpartition(":")[2]) for end in ("local", "peer")]
        with open("/proc/net/tcp") as table:
            rows = [row.split() for row in table]
        # While others come and go, one may be listed more than once.
        self.assertEqual({row[3] for row in rows[1:] if [row[1][8:], row[2][8:]] == ports}, {"06"},
                         "what the kernel has of %s" % left)


class Narrow(Programs):

    def test_the_states(self):
        log = self.log()
        status, out, err = self.run_program([self.scenario],
                                            self.under(LOG=log.path, FORMAT="json"))
        self.assertEqual((status, err), (0, b""))
        self.is_scenario(log.read(), int(out))

    def test_the_time_is_the_time(self):
        """Of 64 bits, from the kernel's own page: between two looks of ours."""
        log = self.log()
        before = now()
        self.run_program([self.scenario], self.under(LOG=log.path, FORMAT="json"))
        after = now()
        for event in log.read():
            self.assertTrue(before <= event["time"] <= after, (before, event["time"], after))

    def test_the_recorder(self):
        log = self.ring()
        status, out, err = self.run_program([self.scenario], self.under(LOG=log.where))
        self.assertEqual((status, err), (0, b""))
        self.is_scenario(log.read(), int(out))

    def test_a_log_beyond_4_gigabytes(self):
        """Its size and its end need more than 32 bits. (The file has a hole.)"""
        path, size = self.path("large.json"), 5 << 30
        with open(path, "wb") as file:
            file.truncate(size)
        status, out, err = self.run_program([self.scenario], self.under(LOG=path, FORMAT="json"))
        self.assertEqual((status, err), (0, b""))
        with open(path, "rb") as file:
            file.seek(size)
            lines = file.read().splitlines(True)
        self.assertEqual(lines[0], b"\n")  # what stands before was cut
        self.is_scenario([contract.parse(line) for line in lines[1:]], int(out))

    @timeout(60)
    def test_a_server_that_crashed_starts_again(self):
        def run(port, env):
            process = self.start([self.server, str(port)], env)
            self.assertIn("listening", read_line(process))
            self.crash(process, port)
            self.assertEqual(process.error(), b"")

        port = self.port()
        run(port, environment())
        status, _, err = self.run_program([self.server, str(port)])
        self.assertNotEqual(status, 0)
        self.assertIn(b"in use", err)
        for reuse in ("auto", "gentle"):
            port = self.port()
            for _ in range(5):
                run(port, self.under(REUSE=reuse))


class Musl(Narrow):
    """The same with its libc, whose dynamic linker takes glibc's names for its own."""

    def find(self):
        self.library = paths.library()
        self.scenario = self.made_for_musl("tests", "programs", "scenario.c")
        self.server = self.made_for_musl("demo", "server.c")


class StaticMusl(Programs):
    """Programs that no library can be loaded into, followed from outside."""

    def find(self):
        self.scenario = self.made_for_musl("tests", "programs", "scenario.c", static=True)
        self.server = self.made_for_musl("demo", "server.c", static=True)

    def followed(self, *words):
        return [paths.tool(), "run", "--supervise", "--json", *words]

    def test_the_states(self):
        log = self.log()
        status, out, err = self.run_program(self.followed("--log=" + log.path, self.scenario))
        if b"nor can it be followed" in err:
            self.skipTest(err.decode().strip())
        self.assertEqual((status, err.count(b"\n")), (0, 1), err)
        self.is_scenario(log.read(), int(out))

    @timeout(60)
    def test_the_crash_restart_loop(self):
        port = self.port()
        for _ in range(5):
            process = self.start(self.followed(self.server, str(port)))
            self.assertIn("listening", read_line(process))
            self.crash(process, port)


class Followed(Programs):
    """By a supervisor, which knows the calls of its own word size alone."""

    def test_who_is_not_is_named_once(self):
        log = self.log()
        status, out, err = self.run_program(
            [paths.tool(), "run", "--supervise", "--json", "--log=" + log.path, "sh", "-c",
             "%s; %s; %s exit" % (self.scenario, self.scenario, self.program("supervised"))])
        ports = out.split()
        lines = err.decode().splitlines()
        self.assertEqual((status, len(ports), len(lines)), (0, 2, 2), err)
        self.assertIn("runs under a supervisor", lines[0])
        self.assertRegex(lines[1], r"^tcpshim run: scenario \(process \d+\).* is of 32 bits: it, and "
                         "any other such program, runs without the shim$")
        self.assertEqual({event["prog"] for event in log.read()}, {"supervised"})


class Among(Programs):
    """A tree of programs of all kinds, under one LD_PRELOAD."""

    def test_one_recorder_is_written_by_both_at_once(self):
        log = self.ring()
        wide = program_of(paths.OUT, "tests", "programs", "scenario")
        both = [self.start([program], self.under_both(LOG=log.where))
                for program in (wide, self.scenario) * 4]
        ports = {}
        for process in both:
            out, _ = process.communicate()
            self.assertEqual((process.returncode, process.error()), (0, b""))
            ports[process.pid] = int(out)
        events = log.read()
        self.assertEqual({event["pid"] for event in events}, set(ports))
        for pid, port in ports.items():
            self.is_scenario([event for event in events if event["pid"] == pid], port)
        self.assertEqual([name for name in os.listdir(self.folder)
                          if name.startswith("events.ring")], ["events.ring"])

    def tree(self, *programs):
        """No line of a dynamic linker's, and each is logged."""
        log = self.log()
        server = self.start(
            ["sh", "-c", "".join("%s & wait $!; " % program for program in programs) +
             "exec %s 0" % self.server],
            self.under_both(LOG=log.path, FORMAT="json"))
        ports = [int(read_line(server)) for _ in programs]
        listening_port(server)
        events = log.read()
        pids = []
        for event in events:
            if event["pid"] not in pids:
                pids.append(event["pid"])
        self.assertEqual(pids[len(programs)], server.pid)
        for pid, port in zip(pids, ports):
            self.is_scenario([event for event in events if event["pid"] == pid], port)
        self.assertEqual(server.error(), b"")

    def test_a_tree_of_both_is_quiet(self):
        self.tree(program_of(paths.OUT, "tests", "programs", "scenario"), self.scenario)

    def test_with_musl_it_is_quiet_as_well(self):
        self.tree(program_of(paths.OUT, "tests", "programs", "scenario"), self.scenario,
                  self.made_for_musl("tests", "programs", "scenario.c"))


class Tool(Programs):
    """tcpshim takes the library that the program needs, where that is installed."""

    def setUp(self):
        super().setUp()
        for folder in ("bin", "lib", "lib32"):
            os.mkdir(self.path(folder))
        self.tool = shutil.copy(paths.tool(), self.path("bin"))
        shutil.copy(paths.library(), self.path("lib"))

    def check(self):
        status, out, _ = self.run_program([self.tool, "check", "--json", self.scenario])
        said = json.loads(out)
        return status, said["reached"], said["cause"], said["programs"][0]

    def test_the_one_of_32_bits(self):
        status, reached, cause, program = self.check()
        self.assertEqual((status, reached, cause, program["bits"]), (1, "no", "machine", 32))
        shutil.copy(self.library, self.path("lib32"))
        status, reached, cause, program = self.check()
        self.assertEqual((status, reached, cause, program["bits"]), (0, "yes", "none", 32))
        self.assertIn("ld-linux", program["linker"])
        log = self.log()
        status, out, err = self.run_program(
            [self.tool, "run", "--json", "--log=" + log.path, self.scenario])
        self.assertEqual((status, err), (0, b""))
        self.is_scenario(log.read(), int(out))

    def test_a_static_one(self):
        """Its headers are read as those of 64 bits are."""
        static = self.path("static")
        status, _, err = self.run_program(
            ["gcc", "-m32", "-static", "-o", static,
             os.path.join(paths.ROOT, "tests", "programs", "scenario.c")])
        if status:
            self.skipTest("no static programs of 32 bits: " + err.decode()[-200:])
        shutil.copy(self.library, self.path("lib32"))
        self.scenario = static
        self.assertEqual(self.check()[:3], (1, "no", "static"))
