# SPDX-License-Identifier: MIT
"""tcpshim run of a static program in a container, under Docker's own profile."""

import os
import re
import shutil
import subprocess

from harness import paths
from harness.case import environment, needs_root, timeout, wait_until
from harness.tool import ToolCase


class Container(ToolCase):
    """A daemon of the test's own, without networks; an image of the tool, its libraries, a program."""

    def daemon(self):
        daemon, self.docker = paths.find("dockerd"), paths.find("docker")
        if not daemon or not self.docker:
            self.skipTest("no dockerd (package docker.io)")
        sock = "unix://" + self.path("sock")
        process = self.start([daemon, "--data-root", self.path("data"), "--exec-root",
                              self.path("exec"), "--pidfile", self.path("pid"), "-H", sock,
                              "--bridge=none", "--iptables=false", "--storage-driver", "vfs"])
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        self.docker = [self.docker, "-H", sock]
        wait_until(lambda: process.poll() is not None or os.path.exists(self.path("sock")),
                   "the daemon")
        if process.poll() is not None:
            self.skipTest("dockerd: %s" % process.error().decode()[-300:])

    def image(self):
        root = self.path("root")
        libraries = subprocess.run(["ldd", self.tool], stdout=subprocess.PIPE, check=True)
        files = {self.tool: "app/tcpshim", paths.library(): "app/libreuse.so",
                 os.path.join(paths.OUT, "tests/static/supervised"): "app/supervised"}
        for path in re.findall(r"(/\S+)", libraries.stdout.decode()):
            files[path] = path.lstrip("/")
        for path, name in files.items():
            if not os.access(path, os.R_OK):
                self.skipTest("%s is not there" % path)
            os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
            shutil.copy(path, os.path.join(root, name))
        with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run([*self.docker, "import", "-", "image"], stdin=tar.stdout, check=True,
                           stdout=subprocess.DEVNULL)

    def in_container(self, *options):
        done = subprocess.run(
            [*self.docker, "run", "--rm", "--network", "none", *options, "image", "/app/tcpshim",
             "run", "--log=stderr", "/app/supervised", "exit", "3"], env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout), (3, b""), done.stderr)
        return done.stderr.decode()

    @needs_root
    @timeout(120)
    def test_default_profile(self):
        self.daemon()
        self.image()
        for options in ((), ("--user", "1000")):
            said = self.in_container(*options)
            self.assertIn("nor can it be followed from outside: pidfd_getfd is refused", said)
            self.assertEqual(said.count("\n"), 1, said)
        said = self.in_container("--cap-add", "SYS_PTRACE")
        self.assertIn("runs under a supervisor", said)
        self.assertIn("supervised[1] socket(", said)
        self.assertIn("supervised[1] close(3) = 0", said)
