# SPDX-License-Identifier: MIT
"""TCPSHIM_STACK: where in the program an event happened, and that asking changes nothing.

The frames are held against addr2line. What libunwind must not do to the program (its pipe,
other people's bytes, numbers, errno, malloc) is looked at by the programs themselves.
"""

import ctypes
import json
import os
import re
import resource
import shutil
import subprocess
import sys

from harness import paths, strace
from harness.case import Case, environment, shimmed, timeout

PLACES = ("plain", "thread", "altstack", "fault", "coroutine", "deep", "fork", "vfork")

LONG_NAMES = """
#include <sys/socket.h>
#include <unistd.h>
#include <stdexcept>
namespace a_namespace_with_quite_a_long_name {
template <int N> __attribute__((noinline)) int a_function_with_quite_a_long_name(int x) {
    int r = a_function_with_quite_a_long_name<N - 1>(x) + 1;
    __asm__ volatile("" : "+r"(r));
    return r;
}
template <> __attribute__((noinline)) int a_function_with_quite_a_long_name<0>(int x) {
    if (close(socket(AF_INET, SOCK_STREAM, 0)) == 0 && x)
        throw std::runtime_error("thrown");
    return 0;
}
}
int main() {
    using a_namespace_with_quite_a_long_name::a_function_with_quite_a_long_name;
    int caught = 0;
    if (a_function_with_quite_a_long_name<40>(0) != 40)
        return 1;
    for (int i = 0; i < 100; i++)
        try {
            a_function_with_quite_a_long_name<40>(1);
        } catch (const std::exception &) {
            caught++;
        }
    return caught == 100 ? 0 : 1;
}
"""

LIBRARY = """
#include <unistd.h>
int %(name)s(int fd) { int rc = close(fd); __asm__ volatile("" : "+r"(rc)); return rc; }
"""

# Two libraries that take turns at the same addresses.
TURNS = """
import ctypes, socket, _ctypes
for i in range(20):
    for name in ("first", "other"):
        library = ctypes.CDLL(%(folder)r + "/" + name + ".so")
        fd = socket.socket().detach()
        assert getattr(library, name + "_close")(fd) == 0
        _ctypes.dlclose(library._handle)
"""

PERL = """
use IO::Socket::INET;
my $l = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1", LocalPort => 0) or die;
my $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $l->sockport) or die;
my $s = $l->accept or die;
print $c "hello\\n";
$c->flush;
my $line = <$s>;
close $s; close $c; close $l;
print $line;
"""


def limit_files(number):
    """To be run in the child before the program."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
    return limit


class StackCase(Case):
    """Programs under the shim with stacks on."""

    def setUp(self):
        super().setUp()
        try:
            ctypes.CDLL("libunwind-x86_64.so.8")
        except OSError:
            self.skipTest("no libunwind-x86_64.so.8")

    def stacks(self, command, log, frames=8, **how):
        """Run it to its end: (status, standard output, standard error)."""
        return self.run_program(
            command, shimmed(LOG=log.path, FORMAT="json", STACK=frames), **how)

    def compiler(self, name):
        path = paths.find(name)
        if not path:
            self.skipTest("no " + name)
        return path

    def compile(self, compiler, name, text, *flags):
        source = self.path("source.cc" if compiler.endswith("++") else "source.c")
        with open(source, "w") as file:
            file.write(text)
        subprocess.run([compiler, "-O2", "-g", "-o", self.path(name), source] + list(flags),
                       check=True)
        return self.path(name)


class Places(StackCase):
    """The frames name the right function and line, from wherever the call comes."""

    def test_addr2line_takes_them(self):
        addr2line = self.compiler("addr2line")
        program = self.program("stack_places")
        for place in PLACES:
            log = self.log(place + ".json")
            status, out, error = self.stacks([program, place], log)
            if b"swapcontext" not in error:  # a sanitizer's opinion of coroutines
                self.assertEqual(error, b"", place)
            self.assertEqual(status, 0, place)
            close = [event for event in log.read() if event["call"] == "close"]
            self.assertEqual(len(close), 1, place)
            nearest = close[0]["stack"][0]
            self.assertEqual(nearest["module"], "stack_places", place)
            found = subprocess.run([addr2line, "-f", "-e", program, nearest["offset"]],
                                   stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
            self.assertEqual(found[0], "place_of_interest", place)
            self.assertRegex(found[1], r"stack_places\.c:%d\b" % int(out), place)

    def test_the_callers_of_callers(self):
        addr2line = self.compiler("addr2line")
        program = self.program("stack_places")
        log = self.log()
        self.stacks([program, "fault"], log, 32)
        stack = log.read()[-1]["stack"]
        ours = [frame["offset"] for frame in stack if frame["module"] == "stack_places"]
        found = subprocess.run([addr2line, "-f", "-e", program] + ours, stdout=subprocess.PIPE,
                               check=True).stdout.decode().split("\n")[::2]
        names = ["place_of_interest", "after_fault", "faulting_function", "main"]
        self.assertEqual([name for name in found if name in names], names)

    def test_as_many_as_were_asked_for(self):
        program = self.program("stack_places")
        for frames in (0, 1, 5, 32):
            log = self.log("%d.json" % frames)
            self.assertEqual(self.stacks([program, "deep"], log, frames)[0], 0)
            events = log.read()
            self.assertEqual([event["call"] for event in events], ["socket", "close"])
            for event in events:
                self.assertEqual(len(event.get("stack", ())), frames)

    def test_nothing_of_ours_is_shown(self):
        log = self.log()
        self.stacks([self.program("stack_numbers"), "2", self.path("report")], log, 32)
        events = log.read()
        self.assertGreater(len(events), 50)
        for event in events:
            self.assertNotIn("libreuse.so", [frame["module"] for frame in event["stack"]])
            self.assertEqual(event["stack"][0]["module"], "stack_numbers")

    def test_text_has_a_line_a_frame(self):
        env = shimmed(LOG=self.path("events"), STACK=3)
        self.run_program([self.program("stack_places"), "plain"], env)
        with open(self.path("events")) as file:
            lines = file.read().split("\n")
        self.assertIn("close(", lines[4])
        for line in lines[5:8]:
            self.assertRegex(line, r"^ {29}at (\S+\+0x[0-9a-f]+ \(\S+ 0x[0-9a-f]+\)"
                                   r"|\S+ 0x[0-9a-f]+)$")

    def test_a_stripped_program(self):
        strip = self.compiler("strip")
        program = self.path("stack_places")
        shutil.copy(self.program("stack_places"), program)
        subprocess.run([strip, program], check=True)
        log = self.log()
        self.assertEqual(self.stacks([program, "deep"], log)[0], 0)
        self.assertEqual(len(log.read()[-1]["stack"]), 8)

    def test_libraries_that_take_turns_at_an_address(self):
        compiler = self.compiler("cc")
        for name in ("first", "other"):
            self.compile(compiler, name + ".so", LIBRARY % {"name": name + "_close"},
                         "-shared", "-fPIC")
        log = self.log()
        status, _, error = self.stacks(
            [paths.PYTHON, "-I", "-S", "-c", TURNS % {"folder": self.folder}], log)
        self.assertEqual((status, error), (0, b""))
        closes = [event["stack"][0] for event in log.read() if event["call"] == "close"]
        self.assertEqual([(frame["module"], frame["symbol"]) for frame in closes],
                         [("first.so", "first_close"), ("other.so", "other_close")] * 20)


class Unchanged(StackCase):
    """The program is what it is without."""

    @timeout(120)
    def test_every_byte_and_number_is_the_programs(self):
        program = self.program("stack_numbers")
        reports = {}
        for name, number in (("many", 8192), ("few", 1024)):
            plain = self.path("plain")
            status, _, _ = self.run_program([program, "60", plain],
                                            preexec_fn=limit_files(number))
            self.assertEqual(status, 0)
            with open(plain) as file:
                reports[None] = file.read()
            self.assertNotIn("not so", reports[None])
            for frames in (1, 12, 32):
                log = self.log("%s%d.json" % (name, frames))
                report = self.path("report")
                status, _, _ = self.stacks([program, "60", report], log, frames,
                                           preexec_fn=limit_files(number))
                self.assertEqual(status, 0)
                with open(report) as file:
                    self.assertEqual(file.read(), reports[None])
                events = log.read()
                self.assertTrue(events and all(event["stack"] for event in events))

    def test_libunwind_gets_no_descriptor(self):
        if strace.available():
            self.skipTest(strace.available())
        log = self.log()
        trace = self.path("trace")
        env = shimmed(LOG=log.path, FORMAT="json", STACK=8)
        status, _, _ = self.run_program(strace.command(
            trace, env, [self.program("stack_numbers"), "3", self.path("report")],
            ("pipe", "pipe2", "memfd_create", "eventfd2", "mincore", "msync",
             "setrlimit", "execve")))
        self.assertEqual(status, 0)
        with open(trace) as file:
            calls = [line for line in file if "(" in line]
        self.assertEqual(len(calls), 1, calls)
        self.assertIn("execve(", calls[0])

    def test_exceptions_and_lines_too_long(self):
        program = self.compile(self.compiler("g++"), "long_names", LONG_NAMES, "-rdynamic")
        log = self.log()
        self.assertEqual(self.run_program([program], environment())[0], 0)
        status, _, error = self.stacks([program], log, 32)
        self.assertEqual((status, error), (0, b""))
        events = log.read()
        self.assertEqual(len(events), 202)
        with open(log.path, "rb") as file:
            longest = max(len(line) for line in file)
        self.assertLessEqual(longest, 4096)
        self.assertGreater(longest, 3600)
        for event in events:
            self.assertGreater(len(event["stack"]), 15)
            self.assertTrue(all("a_function_with" in frame["symbol"] for frame in event["stack"]))
        env = shimmed(LOG=self.path("events"), STACK=32)
        self.assertEqual(self.run_program([program], env)[0], 0)
        with open(self.path("events")) as file:
            for event in re.split(r"\n(?=\d)", file.read()):
                self.assertLessEqual(len(event) + 1, 4096)

    @timeout(120)
    def test_threads_signals_forks_and_dlopen_at_once(self):
        # Who jumps out of the shim in the midst of an event loses it: no log that counts.
        path = self.path("storm.json")
        status, _, error = self.run_program([self.program("stack_storm"), "2"],
                                            shimmed(LOG=path, FORMAT="json", STACK=16))
        self.assertEqual((status, error), (0, b""))
        with open(path) as file:
            events = [json.loads(line) for line in file]
        self.assertGreater(len(events), 1000)
        self.assertEqual([event for event in events if not event.get("stack")], [])

    def test_python(self):
        log = self.log()
        status, _, error = self.stacks(
            [paths.PYTHON, "-c", "import subprocess, socket\n"
             "s = socket.create_server(('127.0.0.1', 0))\n"
             "c = socket.create_connection(s.getsockname())\n"
             "a, _ = s.accept()\n"
             "subprocess.run(['true'], check=True)\n"
             "c.close(); a.close(); s.close()\n"], log, 32)
        self.assertEqual((status, error), (0, b""))
        python = [event for event in log.read() if event["prog"].startswith("python")]
        self.assertGreater(len(python), 8)
        for event in python:
            self.assertGreater(len(event["stack"]), 5)

    def test_perl(self):
        perl = self.compiler("perl")
        log = self.log()
        status, out, error = self.stacks([perl, "-e", PERL], log, 32)
        self.assertEqual((status, out, error), (0, b"hello\n", b""))
        for event in log.read():
            self.assertGreater(len(event["stack"]), 3)


class Start(StackCase):
    """What a process pays for stacks when it starts, in system calls: they can be counted."""

    # A library like any other that loads libunwind, and does no more.
    LOADS = """
        #include <dlfcn.h>
        __attribute__((constructor)) static void load(void) {
            dlopen("libunwind-x86_64.so.8", RTLD_NOW | RTLD_LOCAL);
        }
    """

    def calls(self, env, preload):
        """How many a process makes that does nothing."""
        counts = self.path("counts")
        env.pop("LD_PRELOAD", None)
        status, _, error = self.run_program(
            ["strace", "-f", "-c", "-o", counts, "-E", "LD_PRELOAD=" + preload,
             self.program("stack_places"), "nothing"], env)
        self.assertEqual(error, b"")
        with open(counts) as file:
            return int(re.search(r"^100\.00 +\S+ +\d+ +(\d+) .*total$", file.read(), re.M)
                       .group(1))

    def test_system_calls(self):
        if strace.available():
            self.skipTest(strace.available())
        if "address" in paths.OUT or "thread" in paths.OUT or "undefined" in paths.OUT:
            self.skipTest("a sanitizer makes system calls of its own")
        settings = dict(LOG=self.path("events"), FORMAT="json")
        without = self.calls(shimmed(**settings), paths.preload())
        stacks = self.calls(shimmed(STACK=8, **settings), paths.preload())
        loads = self.compile(self.compiler("cc"), "loads.so", self.LOADS, "-shared", "-fPIC")
        loaded = self.calls(shimmed(**settings), loads + ":" + paths.preload())
        self.assertGreater(loaded, without)
        self.assertLessEqual(stacks - without, 150)
        self.assertLessEqual(stacks - loaded, 60)


class Library(StackCase):
    """Without a libunwind that is known: one line, no stacks, and all else works."""

    def without(self, text):
        log = self.log()
        env = shimmed(LOG=log.path, FORMAT="json", STACK=8)
        env["LD_LIBRARY_PATH"] = self.folder
        status, _, error = self.run_program([self.program("stack_places"), "plain"], env)
        self.assertEqual(status, 0)
        self.assertRegex(error.decode(), r"^libreuse: TCPSHIM_STACK: [^\n]*%s[^\n]*\n$" % text)
        events = log.read()
        self.assertEqual([event["call"] for event in events], ["socket", "close"])
        self.assertFalse([event for event in events if "stack" in event])

    def fake(self, text, *flags):
        self.compile(self.compiler("cc"), "libunwind-x86_64.so.8", text, "-shared", "-fPIC", "-w",
                     *flags)

    def test_none(self):
        with open(self.path("libunwind-x86_64.so.8"), "w"):
            pass
        self.without("can't be loaded")

    def test_an_old_one(self):
        self.fake("int _Ux86_64_create_addr_space(void) { return 0; }")
        self.without("too old")

    # It passes all on to the real one, which has had its first use before: under a limit of
    # no descriptors, so that what it would make for itself is not there.
    FUNCTIONS = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <fcntl.h>
        #include <stdlib.h>
        #include <sys/mman.h>
        #include <sys/resource.h>
        #include <unistd.h>
        static void *library;
        static long raw(long n, long a) {
            long rc;
            __asm__ volatile("syscall" : "=a"(rc) : "a"(n), "D"(a) : "rcx", "r11", "memory");
            return rc;
        }
        static long no(void) { return -1; }
        __attribute__((constructor)) static void load(void) {
            static long (*const accessors[24])(void) = {no, no, no, no, no, no, no, no};
            static long cursor[1024];
            struct rlimit old, none;
            library = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);
            getrlimit(RLIMIT_NOFILE, &old);
            none = (struct rlimit){0, old.rlim_max};
            setrlimit(RLIMIT_NOFILE, &none);
            void *(*space)() = (void *(*)())dlsym(library, "_Ux86_64_create_addr_space");
            int (*first)() = (int (*)())dlsym(library, "_Ux86_64_init_remote");
            first(cursor, space(accessors, 0), NULL);
            setrlimit(RLIMIT_NOFILE, &old);
        }
        #define PASS(name) long _Ux86_64_##name(void *a, void *b, void *c, void *d, void *e, void *f) \
            { BEFORE; long (*go)() = (long (*)())dlsym(library, "_Ux86_64_" #name); \
              long rc = go(a, b, c, d, e, f); AFTER; return rc; }
        PASS(create_addr_space) PASS(init_remote) PASS(get_reg) PASS(reg_states_iterate)
        PASS(apply_reg_state) PASS(dwarf_search_unwind_table)
    """

    def passing_on(self, before, after="", *flags):
        """One that does something of its own in each call."""
        self.fake("#define BEFORE %s\n#define AFTER %s\n" % (before, after)
                  + self.FUNCTIONS.replace("REAL", '"%s"' % self.real_library()), *flags)

    def test_one_that_makes_a_pipe(self):
        self.passing_on("static int ends[2] = {-1, -1}; if (ends[0] < 0) raw(22, (long)ends)")
        self.without("wants descriptors")

    def test_one_that_makes_a_pipe_for_each_walk(self):
        self.passing_on("int ends[2] = {-1, -1}; raw(22, (long)ends)",
                        "raw(3, ends[0]); raw(3, ends[1])")
        self.without("wants descriptors")

    def test_what_it_asks_of_libc_is_refused(self):
        """No pipe, no byte, no question about memory: whatever its code says."""
        for name, flags in (("lazily", ()), ("now", ("-Wl,-z,now", "-Wl,-z,relro")),
                            ("by address", ("-fno-plt",))):
            self.passing_on("int before = errno, ends[2]; unsigned char there[8]; if (pipe(ends) == 0 || "
                            "pipe2(ends, 0) == 0 || open(\"/dev/null\", 0) >= 0 || "
                            "write(2, \"x\", 1) >= 0 || close(0) == 0 || "
                            "mincore((void *)((long)there & -4096), 1, there) == 0) abort(); "
                            "errno = before", "", *flags)
            log = self.log(name + ".json")
            env = shimmed(LOG=log.path, FORMAT="json", STACK=8)
            env["LD_LIBRARY_PATH"] = self.folder
            status, _, error = self.run_program([self.program("stack_places"), "plain"], env)
            self.assertEqual((status, error), (0, b""), name)
            self.assertEqual([frame["module"] for event in log.read()
                              for frame in event["stack"][:1]], ["stack_places"] * 2, name)

    def test_one_that_walks_otherwise(self):
        self.fake("#include <stdlib.h>\n"
                  "#define PASS(name, value) void *_Ux86_64_##name(void) { return (void *)value; }\n"
                  "PASS(create_addr_space, 64L) PASS(init_remote, 0L) PASS(get_reg, 0L)\n"
                  "PASS(reg_states_iterate, 0L) PASS(apply_reg_state, 0L)\n"
                  "PASS(dwarf_search_unwind_table, 0L)\n")
        self.without("works in another way")

    def real_library(self):
        """The path of the real one."""
        with open("/proc/self/maps") as file:
            for line in file:
                if "libunwind-x86_64" in line:
                    return line.split()[-1]
        self.skipTest("libunwind is not where it was")
        return None

    def test_a_wrong_number(self):
        env = shimmed(STACK=33)
        _, _, error = self.run_program([self.program("stack_places"), "plain"], env)
        self.assertRegex(error.decode(), r"^libreuse: TCPSHIM_STACK=33 is not understood[^\n]*\n$")

    def test_not_loaded_unless_asked_for(self):
        script = "print(any('unwind' in line for line in open('/proc/self/maps')))"
        for frames, loaded in ((0, b"False\n"), (1, b"True\n")):
            env = shimmed(LOG=self.path("events"), STACK=frames)
            _, out, _ = self.run_program([sys.executable, "-c", script], env)
            self.assertEqual(out, loaded)
        if os.path.exists(paths.library()):
            dynamic = subprocess.run(["readelf", "-d", paths.library()], stdout=subprocess.PIPE,
                                     check=False).stdout
            self.assertNotIn(b"unwind", dynamic)
