# SPDX-License-Identifier: MIT
"""Modules that are loaded with RTLD_DEEPBIND, which look for their names in libc first.

They are compiled here, in all the ways that decide where the addresses of other libraries'
functions stand, and loaded by a puppet; or by a library whose own folders matter.
"""

import os
import re
import shutil
import subprocess

from harness import paths, strace
from harness.case import Case, environment, shimmed

LAZY, NOW, DEEP = os.RTLD_LAZY, os.RTLD_NOW, os.RTLD_DEEPBIND
# A server, and the ways to load another module. With -DTABLE the calls go through pointers.
MODULE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef TABLE
static int (*TABLE volatile binds)(int, const struct sockaddr *, socklen_t) = bind;
static int (*TABLE volatile closes)(int) = close;
#else
#define binds bind
#define closes close
#endif

int serve(int port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return binds(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 5) ? -1 : fd;
}

int drop(int fd)
{
	return closes(fd);
}

int reuses(int fd)
{
	int on = -1;
	socklen_t len = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, &len) ? -1 : on;
}

void *load(const char *path)
{
	void *volatile handle = dlopen(path, RTLD_LAZY | RTLD_DEEPBIND);

	return handle;
}
"""
NEEDS = "int serve(int), reuses(int), drop(int);\n" \
    "int far_serve(int port) { return serve(port); }\n" \
    "int far_reuses(int fd) { return reuses(fd); }\n" \
    "int far_drop(int fd) { return drop(fd); }\n"
# Takes long to bind, in a table that is read-only.
LONG = "int (*const many[4096])(int) = {[0 ... 4095] = close};\n"
# Has a close of its own, as a library that wraps it would.
OWN_CLOSE = "int close(int fd) { return fd + 1000; }\n"
CLOSES = "int close(int);\nint drop(int fd) { return close(fd); }\n"
# Loads in places where the caller matters, or whose memory it is.
CALLER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

void *load(const char *path, int flags)
{
	void *volatile handle = dlopen(path, flags);

	return handle;
}

void *load_apart(const char *path, int flags)
{
	return dlmopen(LM_ID_NEWLM, path, flags);
}

void *load_in_a_vfork_child(const char *path, int flags)
{
	static void *volatile handle;

	if (vfork() == 0) {
		handle = dlopen(path, flags);
		_exit(0);
	}
	return handle;
}

/* Threads load a module at once, call it, and let it go together: each time it is loaded anew. */
static pthread_barrier_t together;
static const char *file;
static int times, wrong;

static void *loads(void *arg)
{
	for (int i = 0; i < times; i++) {
		void *handle = dlopen(file, RTLD_LAZY | RTLD_DEEPBIND);
		int (*serve)(int) = handle ? (int (*)(int))dlsym(handle, "serve") : NULL;
		int (*drop)(int) = handle ? (int (*)(int))dlsym(handle, "drop") : NULL;

		if (!drop || drop(serve(0)))
			__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
		pthread_barrier_wait(&together);
		if (!handle || dlclose(handle))
			__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
		pthread_barrier_wait(&together);
	}
	return arg;
}

int storm(const char *path, int n_threads, int n_times)
{
	pthread_t threads[32];

	file = path;
	times = n_times;
	pthread_barrier_init(&together, NULL, (unsigned int)n_threads);
	for (long i = 0; i < n_threads; i++)
		if (pthread_create(&threads[i], NULL, loads, NULL))
			abort();
	for (int i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	return wrong;
}
"""
# Constructor and destructor tell of themselves in the environment.
NESTED = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

static __thread int local __attribute__((tls_model("initial-exec"))) = 42;

__attribute__((constructor)) static void begin(void)
{
	if (getenv("INNER"))
		setenv("LOADED", dlopen(getenv("INNER"), RTLD_NOW | RTLD_DEEPBIND) ? "yes" : "no", 1);
}

__attribute__((destructor)) static void end(void)
{
	setenv("ENDED", "yes", 1);
}

int static_tls(void)
{
	return local++;
}
"""
# Loads a file between marks that strace can see; behind a filter if there is a third argument.
LOADER = r"""
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sock_filter all = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
	struct sock_fprog filter = {1, &all};
	void *handle;

	if (argc > 3 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
			 prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)))
		return 2;
	syscall(SYS_getpriority, 77, 77);
	handle = dlopen(argv[1], atoi(argv[2]));
	syscall(SYS_getpriority, 77, 77);
	return !handle;
}
"""
# A vfork child closes a number.
VFORKS = r"""
#define _GNU_SOURCE
#include <sys/wait.h>
#include <unistd.h>

int has_child(int fd)
{
	int status = -1;
	pid_t child = vfork();

	if (child == 0) {
		close(fd);
		_exit(0);
	}
	waitpid(child, &status, 0);
	return status;
}
"""
FULL = "-Wl,-z,relro,-z,now"
LINKED = {"full RELRO": [FULL], "lazy": ["-Wl,-z,relro,-z,lazy"],
          "no RELRO": ["-Wl,-z,norelro,-z,lazy"], "no PLT": ["-fno-plt", FULL],
          "pointers": ["-DTABLE=", FULL], "constant pointers": ["-DTABLE=const", FULL],
          "with a DT_HASH": ["-Wl,--hash-style=sysv", FULL]}
SERVED = (("socket", {}), ("setsockopt", {"by": "shim"}), ("bind", {"ret": 0}), ("listen", {}),
          ("close", {"state": "CLOSED"}))


class Modules(Case):
    """What is seen of them, and that nothing else changes."""

    timeout = 120   # compilers on a busy machine

    def setUp(self):
        super().setUp()
        self._compiled = {}
        self._three = None

    def compiled(self, source, *flags, name=None):
        """A library (or a program, under a name without .so); only once from the same source."""
        compiler = paths.find("cc")
        if not compiler:
            self.skipTest("no compiler")
        library = self._compiled.get((source, flags, name))
        if library:
            return library if name else self.copied(library)
        library = self.path(name) if name else self.fresh("module") + ".so"
        self._compiled[source, flags, name] = library
        os.makedirs(os.path.dirname(library), exist_ok=True)
        kind = ["-shared", "-fPIC"] if library.endswith(".so") else []
        done = subprocess.run([compiler, "-O1", "-o", library, "-x", "c", "-"] + kind
                              + ["-x", "none"] + list(flags) + ["-ldl", "-lpthread"],
                              input=source.encode(), stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return library

    def copied(self, library):
        """The same module in another file: ld.so takes it for another one."""
        return shutil.copy(library, self.fresh("copy") + ".so")

    def caller(self, p):
        """The library that loads in the puppet's place."""
        p("caller = ctypes.CDLL(%r)" % self.compiled(CALLER))
        p("for f in (caller.load, caller.load_apart, caller.load_in_a_vfork_child, C.dlopen):\n"
          "    f.restype = ctypes.c_void_p\n"
          "C.dlerror.restype = ctypes.c_char_p\n"
          "def module(handle): return ctypes.CDLL('', handle=handle)")
        return p

    def served(self, p, log, module="m", before=""):
        """A server of the module's: rescued, and each of its calls is an event."""
        p("fd = %s.%sserve(%d)" % (module, before, self.port()))
        self.assertEqual(p.eval("%s.%sreuses(fd)" % (module, before)), 1)
        self.assertEqual(p.eval("%s.%sdrop(fd)" % (module, before)), 0)
        self.expect(log.new(), *SERVED)

    def unseen(self, p, log, module="m"):
        """The same past us."""
        p("fd = %s.serve(%d)" % (module, self.port()))
        self.assertEqual(p.eval("%s.reuses(fd)" % module), 0)
        p("%s.drop(fd)" % module)
        self.expect(log.new())

    def test_a_constructor_that_runs_before_ours(self):
        """It makes a process in this memory by number: from then on it is asked who calls."""
        if strace.available():
            self.skipTest(strace.available())
        early = self.compiled("#include <sys/syscall.h>\n#include <unistd.h>\n"
                              "__attribute__((constructor)) static void early(void)\n"
                              "{ syscall(SYS_clone3, 0, 0); }\n")
        program = [paths.PYTHON, "-I", "-S", "-c",
                   "import socket; s = socket.socket()\n"
                   "for _ in range(20): s.setsockopt(6, 1, 1)"]
        asked = []
        for libraries in ([], [early]):
            env = shimmed(LOG=self.fresh("log"))
            env["LD_PRELOAD"] = ":".join([env["LD_PRELOAD"]] + libraries)
            trace = self.fresh("trace")
            self.assertEqual(self.run_program(
                strace.command(trace, env, program, traced=["getpid"], fast=False),
                environment())[0], 0)
            with open(trace) as file:
                asked.append(file.read().count("getpid("))
        self.assertLess(asked[0], 10)
        self.assertGreaterEqual(asked[1], 20)

    def test_the_control(self):
        """Without the shim the option is not set, whatever else."""
        p = self.puppet(plain=True)
        p("m = ctypes.CDLL(%r, %d)" % (self.compiled(MODULE), NOW | DEEP))
        p("fd = m.serve(%d)" % self.port())
        self.assertEqual(p.eval("m.reuses(fd)"), 0)

    def test_each_kind_of_slot(self):
        log = self.log()
        p = self.puppet(log)
        for way, flags in LINKED.items():
            library = self.compiled(MODULE, *flags)
            for mode in (LAZY, NOW):
                with self.subTest(way=way, mode=mode):
                    p("m = ctypes.CDLL(%r, %d)" % (self.copied(library), mode | DEEP))
                    self.served(p, log)

    def test_with_stacks_and_quiet(self):
        library = self.compiled(MODULE)
        p = self.puppet()
        p("m = ctypes.CDLL(%r, %d)" % (library, NOW | DEEP))
        p("fd = m.serve(%d)" % self.port())
        self.assertEqual(p.eval("m.reuses(fd)"), 1)
        log = self.log()
        p = self.puppet(log, STACK=4, silent=False)
        p("m = ctypes.CDLL(%r, %d)" % (library, NOW | DEEP))
        p("fd = m.serve(%d)" % self.port())
        self.assertEqual([event["call"] for event in log.new()],
                         ["socket", "setsockopt", "bind", "listen"])

    def test_what_it_needs_and_what_it_loads(self):
        """Its DT_NEEDED by name and by soname, and through another; and a module of a module."""
        log = self.log()
        p = self.puppet(log)
        where = "-Wl,--no-as-needed,-rpath," + self.folder
        for name, soname in (("by_name.so", None), ("by_soname.so", "by_soname.so.7")):
            far = self.compiled(MODULE, *(["-Wl,-soname," + soname] if soname else []), name=name)
            if soname:
                os.symlink(far, self.path(soname))
            between = self.compiled("int between;\n", where, "-L" + self.folder, "-l:" + name,
                                    name="between_" + name)
            through = self.compiled("int through;\n", where, "-L" + self.folder,
                                    "-l:" + os.path.basename(between))
            for module in (self.compiled(NEEDS, where, far), through):
                p("m = ctypes.CDLL(%r, %d)" % (module, LAZY | DEEP))
                self.served(p, log, before="far_" if module != through else "")
                p("C.dlclose(ctypes.c_void_p(m._handle))")

    def test_a_module_that_loads_another(self):
        log = self.log()
        p = self.puppet(log)
        for mode in (LAZY, NOW):
            p("m = ctypes.CDLL(%r, %d); m.load.restype = ctypes.c_void_p\n"
              "n = ctypes.CDLL('', handle=m.load(%r))"
              % (self.compiled(MODULE), mode | DEEP, self.compiled(MODULE).encode()))
            self.served(p, log, "n")

    def test_in_an_older_one_another_library_comes_first(self):
        """Lazily bound, without the flag, in a program that has a listen of its own."""
        first = self.compiled("int listen(int fd, int n) { return 4711; }\n")
        module = self.compiled(MODULE, *LINKED["lazy"])
        for env in (environment(), shimmed(), shimmed(LOG=self.path("log"))):
            env["LD_PRELOAD"] = first + (":" + env["LD_PRELOAD"] if "LD_PRELOAD" in env else "")
            p = self.puppet(env=env)
            p("m = ctypes.CDLL(%r, %d); n = ctypes.CDLL(%r, %d)"
              % (module, LAZY, module, LAZY | DEEP))
            self.assertEqual(p.eval("m.serve(%d)" % self.port()), -1)

    def test_loaded_again(self):
        """First without the flag, or by a name without a slash; twice; and after its end."""
        log = self.log()
        p = self.caller(self.puppet(log))
        for first in (LAZY, NOW | DEEP):
            library = self.compiled(MODULE)
            p("h = caller.load(%r, %d); g = caller.load(%r, %d); m = module(h)"
              % (library.encode(), first, library.encode(), LAZY | DEEP))
            self.assertTrue(p.eval("g == h"))
            self.served(p, log)
            p("C.dlclose(ctypes.c_void_p(h))")
            self.served(p, log)
            p("C.dlclose(ctypes.c_void_p(h))")
            self.assertIsNone(p.eval("caller.load(%r, %d)"
                                     % (library.encode(), LAZY | os.RTLD_NOLOAD | DEEP)))
            p("m = module(caller.load(%r, %d))" % (library.encode(), NOW | DEEP))
            self.served(p, log)

    def test_a_name_without_a_slash_is_libcs_alone(self):
        """And the same module by its path, later, is bound as far as it is not any more."""
        log = self.log()
        library = self.compiled(MODULE, FULL, name="libplug.so")
        env = shimmed(LOG=log.path, FORMAT="json")
        env["LD_LIBRARY_PATH"] = self.folder
        p = self.puppet(env=env)
        p("m = ctypes.CDLL('libplug.so', %d)" % (NOW | DEEP))
        self.unseen(p, log)
        p("m = ctypes.CDLL(%r, %d)" % (library, NOW | DEEP))
        self.served(p, log)

    def test_functions_of_its_own(self):
        """A module that has a close itself, or in a library of its own, keeps it."""
        own = self.compiled(OWN_CLOSE + CLOSES)
        library = self.compiled(OWN_CLOSE, name="libown.so")
        needs = self.compiled(CLOSES, "-Wl,--no-as-needed,-rpath," + self.folder, library)
        log = self.log()
        for p in (self.puppet(plain=True), self.puppet(log)):
            for path in (own, needs):
                for mode in (LAZY, NOW):
                    p("m = ctypes.CDLL(%r, %d)" % (self.copied(path), mode | DEEP))
                    self.assertEqual(p.eval("m.drop(5)"), 1005)

    def both(self, statements, expression):
        """What it gives without the shim, and that it gives the same under it."""
        if not self._three:
            self._three = [self.caller(p) for p in (
                self.puppet(plain=True), self.puppet(),
                self.puppet(LOG=self.path("log.json"), FORMAT="json"))]
        answers = []
        for p in self._three:
            p(statements)
            answers.append(p.eval(expression))
        self.assertEqual(answers, [answers[0]] * 3)
        return answers[0]

    def test_where_the_callers_library_looks(self):
        """By its RUNPATH, and in its $ORIGIN; found, and by whom it was asked."""
        self.compiled(MODULE, name="far/libplug.so")
        self.compiled(MODULE, name="far/sub/libplug.so")
        for flag in ("-Wl,--enable-new-dtags", "-Wl,--disable-new-dtags"):
            library = self.compiled(CALLER, flag, "-Wl,-rpath," + self.path("far"),
                                    name="far/caller%d.so" % len(flag))
            for name in (b"libplug.so", b"$ORIGIN/libplug.so", b"$ORIGIN/sub/libplug.so"):
                for mode in (LAZY, NOW | DEEP):
                    self.assertTrue(self.both(
                        "c = ctypes.CDLL(%r); c.load.restype = ctypes.c_void_p\n"
                        "h = c.load(%r, %d)" % (library, name, mode), "h is not None"),
                        (flag, name, mode))
                    # Else it would be found by its name.
                    self.both("gone = C.dlclose(ctypes.c_void_p(h))", "gone")

    def test_what_the_modules_libraries_are_found_by(self):
        """The caller's RPATH is not the module's: neither without us."""
        self.compiled("int far;\n", name="far/libfar.so")
        library = self.compiled(CALLER, "-Wl,--disable-new-dtags,-rpath," + self.path("far"))
        needs = self.compiled("int near;\n", "-Wl,--no-as-needed", "-L" + self.path("far"),
                              "-lfar")
        self.assertIn("libfar.so", self.both(
            "c = ctypes.CDLL(%r); c.load(%r, %d)" % (library, needs.encode(), NOW | DEEP),
            "C.dlerror().decode()"))

    def test_errors(self):
        """dlerror and errno, of what failed and of what did not."""
        library = self.compiled(MODULE)
        alone = self.compiled("int alone;\n", "-nostdlib", "-Wl,--as-needed")
        unresolved = self.compiled("int nowhere(void);\nint f(void) { return nowhere(); }\n")
        for path in (b"/nowhere/x.so", b"nowhere.so", __file__.encode(), unresolved.encode()):
            said = self.both("h = caller.load(%r, %d)" % (path, NOW | DEEP),
                             "[h, (C.dlerror() or b'').decode(), C.dlerror()]")
            self.assertIsNone(said[0])
            self.assertTrue(said[1])
        for path in (library, alone):
            self.assertEqual(
                self.both("C.dlerror(); C.dlopen(b'/nowhere/x.so', 2)\n"
                          "h = caller.load(%r, %d)" % (path.encode(), LAZY | DEEP),
                          "[h is not None, C.dlerror()]"), [True, None])
        self.both("h = caller.load(None, %d)" % (LAZY | DEEP),
                  "[h == C.dlopen(None, 1), C.dlerror()]")
        self.both("load = ctypes.CDLL(None, use_errno=True).dlopen\n"
                  "load.restype = ctypes.c_void_p\n"
                  "ctypes.set_errno(77)\n"
                  "h = load(%r, %d); e = ctypes.get_errno()" % (library.encode(), NOW | DEEP),
                  "[h is not None, e]")

    def test_constructors_destructors_and_static_tls(self):
        """What its constructor loads is loaded as without us; it goes past us, as LIMITS says."""
        inner, outer = self.compiled(MODULE), self.compiled(NESTED)
        say = "C.getenv.restype = ctypes.c_char_p\n" \
            "say = lambda name: (C.getenv(name) or b'').decode()\n" \
            "os.putenv('INNER', %r)\n" % inner
        self.assertEqual(self.both(
            say + "h = caller.load(%r, %d); tls = [module(h).static_tls() for _ in (1, 2)]\n"
            "C.dlclose(ctypes.c_void_p(h))" % (outer.encode(), NOW | DEEP),
            "[tls, say(b'LOADED'), say(b'ENDED')]"), [[42, 43], "yes", "yes"])
        log = self.log()
        p = self.caller(self.puppet(log))
        p(say + "h = caller.load(%r, %d)" % (outer.encode(), NOW | DEEP))
        p("m = ctypes.CDLL(%r, %d)" % (inner, NOW | os.RTLD_NOLOAD))
        self.unseen(p, log)

    def test_in_a_vfork_child(self):
        """The module is in the parent's memory, and the parent calls it."""
        log = self.log()
        p = self.caller(self.puppet(log))
        p("m = module(caller.load_in_a_vfork_child(%r, %d))"
          % (self.compiled(MODULE).encode(), LAZY | DEEP))
        self.served(p, log)

    def test_its_own_vfork_child(self):
        """What that closes its parent has still."""
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket()")
        for way, flags in LINKED.items():
            with self.subTest(way=way):
                p("m = ctypes.CDLL(%r, %d)" % (self.compiled(VFORKS, *flags), LAZY | DEEP))
                log.new()
                self.assertEqual(p.eval("m.has_child(s.fileno())"), 0)
                self.expect(log.new())
                p("s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)")
                self.expect(log.new(), ("setsockopt", dict(was="CLOSED")))

    def test_another_namespace_is_left_alone(self):
        """dlmopen: a libc of its own, and none of the calls are ours."""
        log = self.log()
        p = self.caller(self.puppet(log))
        p("m = module(caller.load_apart(%r, %d))" % (self.compiled(MODULE).encode(), NOW | DEEP))
        self.unseen(p, log)

    def test_before_boot(self):
        """A constructor that runs before ours loads one; later ones are seen."""
        early = self.compiled(NESTED)
        inner = self.compiled(MODULE)
        log = self.log()
        env = shimmed(LOG=log.path, FORMAT="json")
        env["LD_PRELOAD"] += ":" + early
        env["INNER"] = inner
        p = self.puppet(env=env)
        p("m = ctypes.CDLL(%r, %d)" % (inner, NOW | os.RTLD_NOLOAD))
        self.unseen(p, log)
        p("m = ctypes.CDLL(%r, %d)" % (self.copied(inner), NOW | DEEP))
        self.served(p, log)

    def test_many_threads(self):
        """They load, bind and unload one module at once: nobody makes its table read-only early."""
        log = self.log()
        p = self.caller(self.puppet(log))
        n_threads, times = 8, 40
        self.assertEqual(p.eval("caller.storm(%r, %d, %d)" % (
            self.compiled(MODULE + LONG, FULL).encode(), n_threads, times)), 0)
        calls = [event["call"] for event in log.new()]
        self.assertEqual({call: calls.count(call) for call in set(calls)},
                         {call: n_threads * times for call in ("socket", "bind", "listen",
                                                                "close")})

    def calls(self, env, *args):
        """The system calls between the marks of the loader."""
        if strace.available():
            self.skipTest(strace.available())
        loader = self.path("loader")
        if not os.path.exists(loader):
            self.compiled(LOADER, name="loader")
        output = self.fresh("trace")
        status, _, err = self.run_program(
            strace.command(output, env, [loader] + [str(arg) for arg in args], traced=()), env)
        self.assertEqual(status, 0, err)
        with open(output, errors="replace") as file:
            told = re.findall(r"^\d+ +(\w+)\((.*)$", file.read(), re.MULTILINE)
        marks = [i for i, (name, _) in enumerate(told) if name == "getpriority"]
        return [(name, re.sub(r"0x[0-9a-f]+", "ADDR", args))
                for name, args in told[marks[0] + 1:marks[1]]]

    def test_system_calls(self):
        """None more without the flag; with it those that open and close a read-only table."""
        full, none = self.compiled(MODULE, FULL), self.compiled(MODULE, "-Wl,-z,norelro,-z,lazy")
        for path, mode, most in ((full, NOW, 0), (full, LAZY | DEEP, 2), (none, LAZY | DEEP, 0)):
            plain = self.calls(environment(), path, mode)
            for settings in ({}, {"LOG": self.path("log"), "FORMAT": "json"}):
                shim = self.calls(shimmed(**settings), path, mode)
                self.assertEqual([name for name, _ in shim[len(plain):]], ["mprotect"] * most)
                self.assertEqual([name for name, _ in plain],
                                 [name for name, _ in shim[:len(plain)]])

    def test_behind_a_filter(self):
        """In a sandbox it is libc's call alone."""
        path = self.compiled(MODULE, FULL)
        plain = self.calls(environment(), path, NOW | DEEP, "sandbox")
        shim = self.calls(shimmed(LOG=self.path("log"), FORMAT="json"), path, NOW | DEEP,
                          "sandbox")
        self.assertEqual([name for name, _ in plain], [name for name, _ in shim])
