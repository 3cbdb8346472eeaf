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

from harness import paths
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
        strace = self.compiler("strace")
        log = self.log()
        env = shimmed(LOG=log.path, FORMAT="json", STACK=8)
        preload = env.pop("LD_PRELOAD")
        trace = self.path("trace")
        status, _, _ = self.run_program(
            [strace, "-f", "-o", trace, "-e", "trace=pipe,pipe2,memfd_create,eventfd2,mincore,msync",
             "-E", "LD_PRELOAD=" + preload,
             self.program("stack_numbers"), "3", self.path("report")], env)
        self.assertEqual(status, 0)
        with open(trace) as file:
            made = [line for line in file if re.search(r"pipe|memfd|eventfd", line)
                    and "EMFILE" not in line]
        self.assertEqual(made, [])

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

    def fake(self, text):
        self.compile(self.compiler("cc"), "libunwind-x86_64.so.8", text, "-shared", "-fPIC")

    def test_none(self):
        with open(self.path("libunwind-x86_64.so.8"), "w"):
            pass
        self.without("can't be loaded")

    def test_an_old_one(self):
        self.fake("int _Ux86_64_create_addr_space(void) { return 0; }")
        self.without("too old")

    FUNCTIONS = """
        #include <dlfcn.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <unistd.h>
        static void *library;
        __attribute__((constructor)) static void load(void) {
            library = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);
        }
        #define PASS(name) long _Ux86_64_##name(void *a, void *b, void *c, void *d, void *e, void *f) \
            { BEFORE(name); long (*go)() = (long (*)())dlsym(library, "_Ux86_64_" #name); \
              return go(a, b, c, d, e, f); }
        PASS(create_addr_space) PASS(init_remote) PASS(get_reg) PASS(reg_states_iterate)
        PASS(apply_reg_state) PASS(dwarf_search_unwind_table)
    """

    def test_one_that_makes_a_pipe(self):
        real = self.real_library()
        self.fake("static int ends[2] = {-1, -1};\n"
                  "#define BEFORE(name) if (ends[0] < 0) pipe(ends)\n"
                  + self.FUNCTIONS.replace("REAL", '"%s"' % real))
        self.without("wants descriptors")

    def test_one_that_makes_a_pipe_for_each_walk(self):
        real = self.real_library()
        self.fake("static int ends[2] = {-1, -1};\n"
                  "#define BEFORE(name) pipe(ends)\n"
                  + self.FUNCTIONS.replace("REAL", '"%s"' % real)
                  .replace("return go(a, b, c, d, e, f);",
                           "long rc = go(a, b, c, d, e, f); close(ends[0]); close(ends[1]);"
                           "ends[0] = ends[1] = -1; return rc;"))
        self.without("wants descriptors")

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
