# SPDX-License-Identifier: MIT
"""Programs of another word size or another libc, to which LD_PRELOAD goes as well.

A 32-bit program can't have the library of 64 bits. It runs all the same, and is quiet where an empty
library of its own word size lies where its dynamic linker looks. musl's linker loads the
library, since it has every name that this asks for.
"""

import errno
import os
import shutil
import subprocess

from harness import paths
from harness.case import Case, environment

SAYS = b"it runs\n"

# For a compiler that has no 32-bit libc: system calls alone.
SMALL = r"""
static long call(long number, long a, long b, long c)
{
	long rc;

	__asm__ volatile("int $0x80" : "=a"(rc) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
	return rc;
}

void _start(void)
{
	call(4, 1, (long)"it runs\n", 8); /* write */
	for (;;)
		call(1, 7, 0, 0); /* exit */
}
"""
MUSL = r"""
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 0, fd = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), a;
	socklen_t len = sizeof(on);
	FILE *file;

	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 5) ||
	    getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, &len) ||
	    connect(c, (struct sockaddr *)&addr, sizeof(addr)) || (a = accept(fd, NULL, NULL)) < 0 ||
	    fcntl(a, F_DUPFD_CLOEXEC, 20) != 20)
		return 1;
	if (vfork() == 0) {
		close(a);
		_exit(0);
	}
	wait(NULL);
	if (fork() == 0) {
		close(a);
		_exit(0);
	}
	wait(NULL);
	file = fdopen(c, "r+");
	if (close(20) || shutdown(a, SHUT_WR) || close(a) || !file || fclose(file) || close(fd))
		return 1;
	errno = 0;
	if (close(fd) == -1)
		printf("%d %d\n", on, errno);
	return argc;
}
"""


def compiled(source, output, *options):
    """What the compiler says where it can't; None where it can."""
    done = subprocess.run([paths.find("gcc") or "cc", "-x", "c", "-", "-o", output] +
                          list(options), input=source.encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    return done.stdout.decode() if done.returncode else None


def in_programs(*parts):
    """A file that tests/fetch-programs unpacked."""
    return os.path.join(paths.ROOT, "build", "programs", *parts)


class Other(Case):

    def setUp(self):
        super().setUp()
        if "-" in os.path.basename(paths.OUT).replace("check-", ""):
            self.skipTest("a sanitizer must be loaded first")

    def under(self, preload, **variables):
        return dict(environment(), LD_PRELOAD=preload, **variables)


class WordSize(Other):

    def setUp(self):
        super().setUp()
        linkers = [path for path in ("/lib/ld-linux.so.2",
                                     in_programs("libc6-i386", "lib32", "ld-linux.so.2"))
                   if os.access(path, os.X_OK)]
        if not linkers:
            self.skipTest("no 32-bit dynamic linker (package libc6-i386)")
        self.small = self.path("small")
        fault = compiled(SMALL, self.small, "-m32", "-nostdlib", "-ffreestanding", "-fPIE", "-pie",
                         "-fno-stack-protector", "-Wl,--dynamic-linker=" + linkers[0])
        if fault:
            self.skipTest("no 32-bit programs by this compiler: " + fault)
        try:
            self.assertEqual(self.run_program([self.small]), (7, SAYS, b""))
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            self.skipTest("the kernel runs no 32-bit programs")

    def test_by_its_path_it_costs_one_line(self):
        status, out, err = self.run_program([self.small], self.under(paths.library()))
        self.assertEqual((status, out), (7, SAYS))
        self.assertEqual(err.count(b"\n"), 1, err)
        self.assertIn(b"wrong ELF class", err)

    def for_both(self):
        """The library and an empty one of 32 bits, as the manual says: the folders of both."""
        folders = self.what_lib_is(paths.PYTHON), self.what_lib_is(self.small)
        self.assertNotEqual(*folders)
        for folder in folders:
            os.makedirs(self.path(folder))
        shutil.copy(paths.library(), self.path(folders[0]))
        fault = compiled("", self.path(os.path.join(folders[1], "libreuse.so")), "-m32", "-shared",
                         "-nostdlib")
        self.assertIsNone(fault)
        return folders

    def what_lib_is(self, program):
        """$LIB of a program's dynamic linker, as it tells where it looks for a library."""
        env = self.under("none.so", LD_LIBRARY_PATH=self.path("$LIB"), LD_DEBUG="libs")
        _, _, err = self.run_program([program, "-c", ""], env)
        found = [line.split("=", 1)[1] for line in err.decode().split("\n")
                 if "trying file=" + self.folder in line]
        shortest = min((os.path.dirname(path) for path in found), key=len)
        return os.path.relpath(shortest, self.folder)

    def quiet_in_both(self, preload, **variables):
        """No word in either, nor in children of another folder; and the entry stays as it is."""
        log = self.log(os.path.basename(self.fresh("log")))
        env = self.under(preload, TCPSHIM_LOG=log.path, TCPSHIM_FORMAT="json", **variables)
        self.assertEqual(self.run_program([self.small], env, cwd=self.folder), (7, SAYS, b""))
        script = ("import os, socket, subprocess, sys\n"
                  "print(os.environ['LD_PRELOAD'], flush=True)\n"
                  "socket.socket().close()\n"
                  "if len(sys.argv) > 1:\n"
                  "    subprocess.run([sys.argv[1]])\n"
                  "    subprocess.run([sys.executable, '-I', '-S'], input=%r)\n")
        script %= ("import os, socket; print(os.environ['LD_PRELOAD'], flush=True); "
                   "socket.socket().close()").encode()
        self.assertEqual(
            self.run_program([paths.PYTHON, "-I", "-S", "-c", script, self.small], env,
                             cwd=self.folder),
            (0, (preload + "\n").encode() + SAYS + (preload + "\n").encode(), b""))
        self.assertEqual([event["call"] for event in log.read()], ["socket", "close"] * 2)

    def test_by_lib_in_the_path_it_is_quiet(self):
        self.for_both()
        self.quiet_in_both(os.path.join(self.folder, "$LIB", "libreuse.so"))
        self.quiet_in_both(os.path.join(".", "$LIB", "libreuse.so"))

    def test_by_its_bare_name_it_is_quiet(self):
        folders = [self.path(folder) for folder in self.for_both()]
        for order in (folders, folders[::-1]):
            self.quiet_in_both("libreuse.so", LD_LIBRARY_PATH=":".join(order))

    def test_without_the_empty_one_it_costs_one_line_by_any_name(self):
        """So it is that file which makes it quiet."""
        folders = self.for_both()
        os.unlink(self.path(os.path.join(folders[1], "libreuse.so")))
        for preload in (os.path.join(self.folder, "$LIB", "libreuse.so"), "libreuse.so"):
            env = self.under(preload, LD_LIBRARY_PATH=self.path(folders[0]))
            status, out, err = self.run_program([self.small], env)
            self.assertEqual((status, out, err.count(b"\n")), (7, SAYS, 1), err)


class Musl(Other):
    """Its linker takes any of glibc's names for itself, and asks for no versions."""

    def setUp(self):
        super().setUp()
        linker = in_programs("musl", "lib", "ld-musl-x86_64.so.1")
        library = in_programs("musl-dev", "usr", "lib", "x86_64-linux-musl")
        headers = in_programs("musl-dev", "usr", "include", "x86_64-linux-musl")
        if not os.path.exists(linker) or not os.path.exists(headers):
            self.skipTest("no musl (packages musl and musl-dev)")
        self.musl = self.path("musl")
        parts = [os.path.join(library, name) for name in ("crt1.o", "crti.o", "crtn.o")]
        source = self.path("musl.c")
        with open(source, "w") as file:
            file.write(MUSL)
        done = subprocess.run(
            [paths.find("gcc") or "cc", "-nostdinc", "-isystem", headers, "-nostdlib", "-no-pie",
             "-fno-stack-protector", "-o", self.musl, source] + parts +
            [linker, "-Wl,--dynamic-linker=" + linker], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout.decode())

    def answer(self, env):
        return self.run_program([self.musl, str(self.port())], env)

    def test_loaded_and_of_use(self):
        ended = b" %d\n" % errno.EBADF
        self.assertEqual(self.answer(environment()), (2, b"0" + ended, b""))
        self.assertEqual(self.answer(self.under(paths.library())), (2, b"1" + ended, b""))
        log = self.log()
        env = self.under(paths.library(), TCPSHIM_LOG=log.path, TCPSHIM_FORMAT="json")
        self.assertEqual(self.answer(env), (2, b"1" + ended, b""))
        events = log.read()
        parent = events[0]["pid"]
        self.assertEqual(
            [event["call"] for event in events if event["pid"] == parent],
            ["socket", "socket", "setsockopt", "bind", "listen", "connect", "accept", "fcntl",
             "close", "shutdown", "close", "fclose", "close", "close"])
        self.assertEqual([event["call"] for event in events if event["pid"] != parent], ["close"])

    def test_where_it_is_not_found_nothing_is_said(self):
        for preload in (self.path("$LIB/libreuse.so"), "libreuse.so"):
            self.assertEqual(self.answer(self.under(preload)),
                             (2, b"0 %d\n" % errno.EBADF, b""))
