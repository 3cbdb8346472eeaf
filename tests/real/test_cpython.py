# SPDX-License-Identifier: MIT
"""CPython's own tests of processes and of the network come to the same with a log as without.

They look at what descriptors a process has, in several ways, under limits of their own; so each
module is run under three limits of open files (TCPSHIM_LIMITS names others: "1024 4096 20000";
test_subprocess, which looks hardest, always runs under all three). They are Debian's package libpython3.N-testsuite,
or what tests/fetch-programs has unpacked of it.
"""

import json
import os
import resource
import subprocess

from harness import paths
from harness.case import Case, environment, shimmed, timeout

PYTHON = "/usr/bin/python3"
RUNNER = os.path.join(paths.ROOT, "tests", "real", "cpython_results.py")
ALL_LIMITS = (1024, 4096, 20000)
LIMITS = tuple(map(int, os.environ.get("TCPSHIM_LIMITS", "").split())) or ALL_LIMITS
MODULES = ("subprocess", "socket", "asyncio", "socketserver", "httplib", "httpservers", "ftplib",
           "smtplib", "poplib", "imaplib", "telnetlib", "xmlrpc", "urllib2_localnet", "select",
           "selectors", "poll", "epoll", "asyncore", "asynchat", "wsgiref", "os", "posix")


def ask(program):
    """What a line of that Python prints; None where it fails."""
    done = subprocess.run([PYTHON, "-c", program], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, cwd="/", env=environment(), check=False)
    return done.stdout.decode().strip() if done.returncode == 0 else None


class Cpython(Case):
    """A test a module."""

    def setUp(self):
        super().setUp()
        if not os.access(PYTHON, os.X_OK):
            self.skipTest("no %s" % PYTHON)
        self.package = os.path.join(self.folder, "test")
        self.logs = self.path("logs")
        os.mkdir(self.logs)
        os.chmod(self.folder, 0o755)
        os.chmod(self.logs, 0o1777)   # some tests become another user
        library = ask("import test.support as s; print(s.TEST_HOME_DIR)")
        version = ask("import sys; print('%d.%d' % sys.version_info[:2])")
        if not library:
            self.skipTest("%s has no test.support" % PYTHON)
        unpacked = os.path.join(paths.ROOT, "build", "programs",
                                "libpython%s-testsuite" % version, "usr", "lib",
                                "python" + version, "test")
        os.mkdir(self.package)
        for folder in (library, unpacked):
            for name in os.listdir(folder) if os.path.isdir(folder) else ():
                if not os.path.lexists(os.path.join(self.package, name)):
                    os.symlink(os.path.join(folder, name), os.path.join(self.package, name))

    def outcomes(self, names, limit, **settings):
        """What each test came to under that limit, under the shim where there are settings."""
        out = self.fresh("results")
        work = self.fresh("work")
        os.mkdir(work)
        env = shimmed(**settings) if settings else environment()
        env["PYTHONPATH"] = self.folder
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        process = self.start(
            [PYTHON, RUNNER, out] + list(names), env, cwd=work, stdout=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard)))
        process.wait()
        self.assertTrue(os.path.exists(out), process.error())
        with open(out) as file:
            return json.load(file)

    def compare(self, names, limit, plain=None, **settings):
        """The tests that come to something else with a log than without (plain), and to what."""
        plain = plain or self.outcomes(names, limit)
        logged = self.outcomes(names, limit, **settings)
        return {name: (plain.get(name), logged.get(name)) for name in set(plain) | set(logged)
                if self.kind(plain.get(name)) != self.kind(logged.get(name))}

    @staticmethod
    def kind(outcome):
        return (outcome or "missing").split(":")[0]

    def same(self, module):
        if not os.path.exists(os.path.join(self.package, "test_%s.py" % module)) \
                and not os.path.isdir(os.path.join(self.package, "test_" + module)):
            self.skipTest("no test_%s of this CPython (libpython3.N-testsuite)" % module)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        log = {"LOG": os.path.join(self.logs, "%p.json"), "FORMAT": "json"}
        for limit in ALL_LIMITS if module == "subprocess" else LIMITS:
            if limit > hard:
                self.skipTest("the hard limit of open files is %d" % hard)
            plain = self.outcomes(["test.test_" + module], limit)
            for settings in (log, dict(log, STACK=8)) if limit == LIMITS[0] else (log,):
                wrong = self.compare(["test.test_" + module], limit, plain, **settings)
                # A test that depends on time or on a busy machine differs from itself as well.
                for name in wrong:
                    if self.compare([name], limit, **settings) and \
                            self.compare([name], limit, **settings):
                        self.fail("%s, limit %d: without a log %s; with it %s"
                                  % (name, limit, *wrong[name]))
        self.assertTrue(os.listdir(self.logs), "nothing was logged")


def _add(module):
    @timeout(3600)
    def test(self):
        self.same(module)
    test.__name__ = "test_" + module
    setattr(Cpython, test.__name__, test)


for _module in MODULES:
    _add(_module)
