# SPDX-License-Identifier: MIT
"""The library for another machine, cross-built and run by qemu-user, where both are here.

An emulator is a kernel that refuses much: sock_diag, SO_COOKIE, most of TCP_INFO, and pwritev2. So a
state may be missing, but no event, and no state is untrue.
"""

import fcntl
import json
import os
import subprocess

from harness import paths
from harness.case import Case, environment, read_line

BUILD = "build/aarch64"
ROOT = "/usr/aarch64-linux-gnu"

# The calls of tests/programs/scenario.c that the program itself makes.
CALLS = ("socket bind listen socket connect accept shutdown close close socket connect accept "
         "setsockopt close close socket bind close connect close socket listen close").split()
# What may be said of the sockets; where it is not known nothing is.
STATES = {"listen": {"LISTEN"}, "connect": {"ESTABLISHED", "CLOSED"}, "accept": {"ESTABLISHED"},
          "shutdown": {"FIN_WAIT_1", "FIN_WAIT_2"}, "close": {None}}


class Emulated(Case):

    timeout = 240

    def setUp(self):
        super().setUp()
        self.qemu = paths.find("qemu-aarch64") or paths.find("qemu-aarch64-static")
        compiler = subprocess.run([os.path.join(paths.ROOT, "tests", "harness", "aarch64-cc")],
                                  stdout=subprocess.PIPE, check=True).stdout.decode().strip()
        if not self.qemu or not compiler:
            self.skipTest("no compiler for aarch64 or no qemu-aarch64 (packages qemu-user, "
                          "libc6-dev-arm64-cross, libgcc-…-dev-arm64-cross)")
        with open(os.path.join(paths.ROOT, BUILD + ".lock"), "w") as one_at_a_time:
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            made = subprocess.run(
                ["make", "-j2", "CC=" + compiler, "VARIANT=aarch64", "SAN=", "WERROR=1"] +
                [BUILD + "/" + name for name in ("libreuse.so", "tests/programs/scenario",
                                                 "demo/server")],
                cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=dict(environment(), MAKEFLAGS=""), check=False)
        self.assertEqual(made.returncode, 0, made.stdout.decode()[-2000:])

    def command(self, *words, **settings):
        """The program under qemu, and under the library."""
        options = ["-E", "LD_PRELOAD=" + os.path.join(paths.ROOT, BUILD, "libreuse.so")]
        for name, value in settings.items():
            options += ["-E", "TCPSHIM_%s=%s" % (name, value)]
        return [self.qemu, "-L", ROOT, *options, os.path.join(paths.ROOT, BUILD, words[0]),
                *words[1:]]

    def is_scenario(self, lines):
        """The contract wants a `sock`, which there is none of without SO_COOKIE."""
        events = [json.loads(line) for line in lines.splitlines()]
        made = [event for event in events if "by" not in event]
        self.assertEqual([event["call"] for event in made], CALLS)
        for event in made:
            if event["call"] in STATES:
                self.assertIn(event.get("state"), STATES[event["call"]] | {None}, event)

    def test_a_log_to_a_pipe(self):
        status, _, err = self.run_program(
            self.command("tests/programs/scenario", LOG="stderr", FORMAT="json"))
        self.assertEqual(status, 0)
        self.is_scenario(err)

    def test_a_recorder(self):
        """Of the same layout: the tool of this machine reads it."""
        path = self.path("ring")
        status, _, err = self.run_program(
            self.command("tests/programs/scenario", LOG="ring:" + path))
        self.assertEqual((status, err), (0, b""))
        status, out, err = self.run_program([paths.tool(), "dump", "--json", path])
        self.assertEqual((status, err), (0, b""))
        self.is_scenario(out)

    def test_the_rescue(self):
        port = self.port()
        for _ in range(3):
            process = self.start(self.command("demo/server", str(port)))
            self.assertIn("listening", read_line(process))
            self.crash(process, port)
            self.assertEqual(process.error(), b"")
