# SPDX-License-Identifier: MIT
"""How the library is loaded: by whom, beside what, and how early it is called."""

import os
import resource
import subprocess

from harness import paths
from harness.case import Case, environment, needs_ipv6, shimmed

EARLY = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Runs before the constructors of the libraries that were named before this one. */
__attribute__((constructor)) static void early(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(addr), four = 4;
	FILE *file;

	if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 5) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) ||
	    connect(c, (struct sockaddr *)&addr, sizeof(addr)) ||
	    getsockopt(c, SOL_SOCKET, SO_ERROR, &one, &four) || close(accept(fd, NULL, NULL)) ||
	    shutdown(c, SHUT_WR) || dup2(c, 50) != 50 || dup3(c, 51, O_CLOEXEC) != 51 ||
	    fcntl(c, F_DUPFD, 52) != 52 || close(dup(c)) || syscall(SYS_close, 51) || close(-1) != -1)
		_exit(77);
	file = fopen("/dev/null", "r");
	if (!file || fclose(file))
		_exit(78);
	close(50);
	close(52);
	close(c);
	close(fd);
}
"""
# Another library that wraps the same calls, as proxies and tracers do.
WRAPPER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static int binds, closes;

int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");

	binds++;
	return next(fd, addr, len);
}

int close(int fd)
{
	int (*next)(int) = dlsym(RTLD_NEXT, "close");

	closes++;
	return next(fd);
}

__attribute__((destructor)) static void tell(void)
{
	printf("%d %d\n", binds, closes > 0);
}
"""
# As socket_wrapper does: unix sockets instead of TCP ones over IPv4.
OTHER_SOCKETS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/socket.h>

int socket(int domain, int type, int protocol)
{
	int (*next)(int, int, int) = dlsym(RTLD_NEXT, "socket");

	return next(domain == AF_INET ? AF_UNIX : domain, type, domain == AF_INET ? 0 : protocol);
}
"""
SCRIPT = ("import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); s.close()")
CALLS = ["socket", "bind", "listen", "close"]


class Loading(Case):
    """Beside other libraries, and by other loaders."""

    def compiled(self, source):
        compiler = paths.find("cc")
        if not compiler:
            self.skipTest("no compiler")
        library = self.fresh("library") + ".so"
        done = subprocess.run([compiler, "-shared", "-fPIC", "-o", library, "-x", "c", "-", "-ldl"],
                              input=source.encode(), stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return library

    def python(self, env):
        return self.run_program([paths.PYTHON, "-I", "-S", "-c", SCRIPT], env)

    def test_called_before_its_constructor(self):
        """Raw calls until it is ready; nothing of that is in the log, or all of it is."""
        early = self.compiled(EARLY)
        for settings in ({}, {"LOG": None, "FORMAT": "json"}):
            for order in ("%s:%s", "%s %s"):
                log = self.log(os.path.basename(self.fresh("log")))
                env = shimmed(**dict(settings, **({"LOG": log.path} if settings else {})))
                env["LD_PRELOAD"] = order % (env["LD_PRELOAD"], early)
                self.assertEqual(self.python(env), (0, b"", b""))
                if settings:
                    self.assertEqual([event["call"] for event in log.read()][-4:], CALLS)

    def test_beside_another_that_wraps_the_same_calls(self):
        """RTLD_NEXT goes on to it, and from it to us."""
        wrapper = self.compiled(WRAPPER)
        for front in (True, False):
            log = self.log(os.path.basename(self.fresh("log")))
            env = shimmed(LOG=log.path, FORMAT="json")
            pair = [env["LD_PRELOAD"], wrapper]
            env["LD_PRELOAD"] = ":".join(pair if front else pair[::-1])
            self.assertEqual(self.python(env), (0, b"1 1\n", b""))
            self.assertEqual([event["call"] for event in log.read()], CALLS)

    @needs_ipv6
    def test_beside_one_that_makes_other_sockets(self):
        """What it hands out for a TCP socket is none to the kernel: no events."""
        other = self.compiled(OTHER_SOCKETS)
        for front in (True, False):
            log = self.log(os.path.basename(self.fresh("log")))
            env = shimmed(LOG=log.path, FORMAT="json")
            pair = [env["LD_PRELOAD"], other]
            env["LD_PRELOAD"] = ":".join(pair if front else pair[::-1])
            script = ("import socket; s = socket.socket(); s.setsockopt(1, 9, 1); s.close()\n"
                      "socket.socket(socket.AF_INET6).close()\n")
            done = self.run_program([paths.PYTHON, "-I", "-S", "-c", script], env)
            self.assertEqual(done, (0, b"", b""))
            # The one for IPv6 is a real one, which the kernel knows.
            self.assertEqual([(event["call"], event["state"]) for event in log.read()],
                             [("socket", "CLOSED"), ("close", "CLOSED")])

    def test_twice_in_the_list(self):
        log = self.log()
        env = shimmed(LOG=log.path, FORMAT="json")
        env["LD_PRELOAD"] += ":" + env["LD_PRELOAD"]
        self.assertEqual(self.python(env), (0, b"", b""))
        self.assertEqual([event["call"] for event in log.read()], CALLS)

    def test_under_ldd_and_the_loader(self):
        ldd = paths.find("ldd")
        if not ldd:
            self.skipTest("no ldd")
        status, out, err = self.run_program([ldd, paths.PYTHON], shimmed(LOG="stderr"))
        self.assertEqual((status, err), (0, b""))
        self.assertIn(b"libreuse.so", out)
        loader = [word for word in out.decode().split() if "/ld-linux" in word]
        if not loader:
            self.skipTest("the loader has another name")
        log = self.log()
        status, _, err = self.run_program(
            [loader[0], paths.PYTHON, "-I", "-S", "-c", SCRIPT],
            shimmed(LOG=log.path, FORMAT="json"))
        self.assertEqual((status, err), (0, b""))
        self.assertEqual([event["call"] for event in log.read()], CALLS)

    def test_what_it_needs(self):
        """libc, libdl where that is apart, and nothing else."""
        readelf = paths.find("readelf")
        if not readelf or "address" in paths.OUT or "undefined" in paths.OUT:
            self.skipTest("no readelf" if not readelf else "a build with sanitizers")
        _, out, _ = self.run_program([readelf, "-d", paths.library()])
        needed = [line.split("[")[1].split("]")[0] for line in out.decode().split("\n")
                  if "(NEEDED)" in line]
        self.assertIn("libc.so.6", needed)
        self.assertEqual(set(needed) - {"libc.so.6", "libdl.so.2", "ld-linux-x86-64.so.2",
                                        "ld-linux-aarch64.so.1"}, set())

    def test_with_another_allocator(self):
        """dlsym may allocate, and the allocator may make calls."""
        for name in ("libjemalloc.so.2", "libtcmalloc_minimal.so.4"):
            for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"):
                library = os.path.join(folder, name)
                if os.path.exists(library):
                    break
            else:
                continue
            for front in (True, False):
                log = self.log(os.path.basename(self.fresh("log")))
                env = shimmed(LOG=log.path, FORMAT="json")
                pair = [env["LD_PRELOAD"], library]
                env["LD_PRELOAD"] = ":".join(pair if front else pair[::-1])
                self.assertEqual(self.python(env), (0, b"", b""))
                self.assertEqual([event["call"] for event in log.read()], CALLS)
            return
        self.skipTest("no jemalloc or tcmalloc installed")


class Limits(Case):
    """Where there is little room for descriptors."""

    def lowest(self, limit, env):
        """What a program gets that may open few descriptors: how many, and the first."""
        script = ("import socket\nopen_ones = []\n"
                  "try:\n    while True: open_ones.append(socket.socket())\n"
                  "except OSError: pass\n"
                  "print(len(open_ones), open_ones[0].fileno())")

        def lower():
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        status, out, err = self.run_program([paths.PYTHON, "-I", "-S", "-c", script], env,
                                            preexec_fn=lower)
        self.assertEqual((status, err), (0, b""))
        return [int(word) for word in out.split()]

    def test_few_descriptors(self):
        for limit in (12, 20, 64):
            plain = self.lowest(limit, environment())
            self.assertEqual(plain, self.lowest(limit, shimmed()), limit)
            logged = self.lowest(limit, shimmed(LOG=self.path("log%d" % limit)))
            self.assertEqual(plain[1], logged[1], limit)
            self.assertGreaterEqual(logged[0], plain[0] - 8, limit)
