# SPDX-License-Identifier: MIT
"""Times are the kernel's, and nothing that the shim asks for itself is another library's answer."""

import datetime
import glob
import os
import re
import subprocess
import time

from harness import kernel, paths, strace
from harness.case import Case, environment, shimmed, timeout, wait_until

# A clock that stands still, or with PACE runs that much faster, for all who ask by name.
FAKE_CLOCK = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	static struct timespec first[2];
	const char *pace = getenv("PACE");
	struct timespec *from = &first[clock == CLOCK_MONOTONIC];
	long rc = syscall(SYS_clock_gettime, clock, ret);

	if (!from->tv_sec)
		*from = *ret;
	ret->tv_sec = from->tv_sec + (pace ? atoi(pace) * (ret->tv_sec - from->tv_sec) : 0);
	ret->tv_nsec = pace ? ret->tv_nsec : from->tv_nsec;
	return (int)rc;
}
int gettimeofday(struct timeval *ret, void *zone)
{
	ret->tv_sec = ret->tv_usec = 0;
	return 0;
}
time_t time(time_t *ret)
{
	return ret ? *ret = 0 : 0;
}
"""
# Ends a process whose shim calls one of these by its name.
TRAPS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <time.h>
#include <sys/time.h>

#define TRAP(type, name, parameters, arguments)                                              \
	type name parameters                                                                 \
	{                                                                                    \
		Dl_info who;                                                                 \
		type (*next) parameters = (type (*) parameters)dlsym(RTLD_NEXT, #name);      \
											     \
		if (dladdr(__builtin_return_address(0), &who) && who.dli_fname &&            \
		    strstr(who.dli_fname, "libreuse"))                                       \
			abort();                                                             \
		return next arguments;                                                       \
	}
TRAP(int, clock_gettime, (clockid_t a, struct timespec *b), (a, b))
TRAP(int, gettimeofday, (struct timeval *a, void *b), (a, b))
TRAP(time_t, time, (time_t *a), (a))
TRAP(int, fileno, (FILE *a), (a))
TRAP(pthread_t, pthread_self, (void), ())
TRAP(int, pthread_getcpuclockid, (pthread_t a, clockid_t *b), (a, b))
"""
# A kernel that maps no vDSO, as far as the shim can see.
NO_VDSO = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/auxv.h>

unsigned long getauxval(unsigned long type)
{
	unsigned long (*next)(unsigned long) = dlsym(RTLD_NEXT, "getauxval");

	return type == AT_SYSINFO_EHDR ? 0 : next(type);
}
"""


def seconds(event):
    """An event's time, in seconds since 1970."""
    return datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()


class Beside(Case):
    """What the tests with another library beside the shim have."""

    def compiled(self, source):
        compiler = paths.find("cc")
        if not compiler:
            self.skipTest("no compiler")
        library = self.fresh("library") + ".so"
        done = subprocess.run([compiler, "-w", "-shared", "-fPIC", "-o", library, "-x", "c", "-",
                               "-ldl"], input=source.encode(), stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return library

    def beside(self, library, first, **settings):
        """The environment of a program under the shim and that library."""
        env = shimmed(**settings)
        pair = [library, env["LD_PRELOAD"]]
        env["LD_PRELOAD"] = ":".join(pair if first else pair[::-1])
        return env

    def true_times(self, events, before, after):
        """Between two looks at the kernel's clocks: each time, and all that was told to last."""
        self.assertTrue(events)
        times = [seconds(event) for event in events]
        self.assertGreaterEqual(min(times), before[0] - 1e-6)  # told in whole microseconds
        self.assertLessEqual(max(times), after[0])
        total = sum(event["dur_ns"] for event in events if event["call"] != "wait")
        self.assertGreater(total, 0)
        self.assertLess(total, (after[1] - before[1]) * 1e9)

    @staticmethod
    def now():
        return time.time(), time.monotonic()


class Intercepted(Beside):
    """What other libraries put in libc's place is not asked."""

    def waits(self, library, first, **fake):
        """A bind that a dying connection refuses takes the second that it is told to."""
        log, port = self.log(os.path.basename(self.fresh("log"))), self.port()
        cookie = kernel.leave_dying(port)
        wait_until(lambda: kernel.state_of(cookie) == "TIME_WAIT", "TIME_WAIT")
        env = dict(self.beside(library, first, WAIT=1, LOG=log.path, FORMAT="json"), **fake)
        before = self.now()
        p = self.puppet(env=env)
        p("s = socket.socket()")
        began = time.monotonic()
        self.assertEqual(p.eval("error_of(s.bind, ('127.0.0.1', %d))" % port), "EADDRINUSE")
        took = time.monotonic() - began
        p("s.close()")
        p.close()
        after = self.now()
        self.true_times(log.read(), before, after)
        bind, = [event for event in log.read() if event["call"] == "bind"]
        self.assertGreaterEqual(bind["dur_ns"], 1e9)
        self.assertLessEqual(bind["dur_ns"], took * 1e9)
        text, = [note["text"] for note in bind["notes"] if note["code"] == "waited"]
        told = float(re.search(r"waiting (\d+\.\d) s", text).group(1))
        self.assertGreaterEqual(told, 1.0)
        self.assertLessEqual(told, took + 0.05)  # told in tenths

    @timeout(60)
    def test_a_clock_that_stands(self):
        library = self.compiled(FAKE_CLOCK)
        self.waits(library, True)
        self.waits(library, False)

    @timeout(60)
    def test_a_clock_that_runs_ahead(self):
        library = self.compiled(FAKE_CLOCK)
        self.waits(library, True, PACE="100")
        self.waits(library, False, PACE="100")

    def faketime(self):
        found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        if not found:
            self.skipTest("no libfaketime")
        return found[0]

    @timeout(60)
    def test_libfaketime_standing(self):
        for first in (True, False):
            self.waits(self.faketime(), first, FAKETIME="2001-02-03 04:05:06")

    @timeout(60)
    def test_libfaketime_at_a_hundredfold_pace(self):
        for first in (True, False):
            self.waits(self.faketime(), first, FAKETIME="+0 x100")

    def test_nothing_is_asked_for_by_a_name_that_others_have(self):
        """Also by a forked child's first event, an fclose, and a report at the exit."""
        library = self.compiled(TRAPS)
        for first in (True, False):
            for where in ("log", "ring"):
                path = self.fresh(where)
                env = self.beside(library, first, LOG=("ring:" if where == "ring" else "") + path,
                                  FORMAT="json", STACK=4, REPORT=1, REUSE="gentle", WAIT=1)
                p = self.puppet(env=env)
                p("l = socket.socket(); l.bind(('127.0.0.1', %d)); l.listen()" % self.port())
                p("c = socket.create_connection(l.getsockname()); a, _ = l.accept()")
                p("C.fdopen.restype = ctypes.c_void_p\n"
                  "C.fclose(ctypes.c_void_p(C.fdopen(a.detach(), b'r')))")
                p("pid = os.fork()\n"
                  "if pid == 0:\n"
                  "    c.close(); l.close(); os._exit(0)\n")
                self.assertEqual(p.eval("os.waitpid(pid, 0)[1]"), 0)
                self.assertEqual(p.close(), 0)

    def test_an_fclose_is_seen_whatever_fileno_says(self):
        library = self.compiled("#include <stdio.h>\nint fileno(FILE *f) { return 0; }\n")
        for first in (True, False):
            log = self.log(os.path.basename(self.fresh("log")))
            p = self.puppet(env=self.beside(library, first, LOG=log.path, FORMAT="json"))
            p("s = socket.socket(); C.fdopen.restype = ctypes.c_void_p\n"
              "C.fclose(ctypes.c_void_p(C.fdopen(s.detach(), b'r')))")
            p.close()
            self.assertEqual([event["call"] for event in log.read()], ["socket", "fclose"])


class SystemCalls(Beside):
    """A look at the clock is none, where the kernel maps its function; else it is one."""

    def looks(self, env, traced=("clock_gettime", "gettimeofday", "time")):
        if strace.available():
            self.skipTest(strace.available())
        output = self.fresh("trace")
        before = self.now()
        command = strace.command(output, env, [self.program("every_call"), str(self.port())],
                                 traced=traced)
        status, _, err = self.run_program(command, env)
        self.assertEqual(status, 0, err)
        with open(output, errors="replace") as file:
            return file.read().count("clock_gettime("), before, self.now()

    def test_with_the_vdso(self):
        log = self.log()
        plain, _, _ = self.looks(environment())
        if plain:
            self.skipTest("this machine's clocks are read by system call")
        looks, before, after = self.looks(shimmed(LOG=log.path, FORMAT="json"))
        self.assertEqual(looks, 0)
        self.true_times(log.read(), before, after)

    def test_without_one(self):
        library = self.compiled(NO_VDSO)
        log = self.log()
        looks, before, after = self.looks(self.beside(library, True, LOG=log.path, FORMAT="json"))
        self.assertGreater(looks, len(log.read()))
        self.true_times(log.read(), before, after)

    def test_under_valgrind(self):
        """Which hides the vDSO, and answers its system calls itself."""
        if not paths.find("valgrind"):
            self.skipTest("no valgrind")
        if "-" in os.path.basename(paths.OUT).replace("check-", ""):
            self.skipTest("not of a build with sanitizers")
        log = self.log()
        env = shimmed(LOG=log.path, FORMAT="json", CALLS="socket,bind,listen,connect,close")
        before = self.now()
        status, _, err = self.run_program(
            ["valgrind", "-q", "--tool=none", self.program("every_call"), str(self.port())], env)
        self.assertEqual(status, 0, err)
        self.true_times(log.read(), before, self.now())
