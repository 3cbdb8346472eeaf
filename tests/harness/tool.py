# SPDX-License-Identifier: MIT
"""What the tests of tcpshim share."""

import os
import subprocess

from harness import paths
from harness.case import Case, environment


class ToolCase(Case):
    """A test of the tool of the build to test."""

    def setUp(self):
        super().setUp()
        self.tool = paths.tool()
        if not os.access(self.tool, os.X_OK):
            self.skipTest("tcpshim is not built")
        if "-" in os.path.basename(paths.OUT).replace("check-", ""):
            self.skipTest("a sanitizer must be loaded before the library")

    def tcpshim(self, *words, env=None, **how):
        return self.run_program([self.tool, *words], env, **how)

    def seen(self, *words, env=None, tool=None, **how):
        """The environment that a program sees under `tcpshim run`, without what is usual."""
        usual = env or environment()
        status, out, err = self.run_program([tool or self.tool, "run", *words, "env", "-0"],
                                            usual, **how)
        self.assertEqual((status, err), (0, b""), words)
        got = dict(entry.split("=", 1) for entry in os.fsdecode(out).split("\0") if entry)
        gone = set(usual) - set(got)
        self.assertFalse(gone, "not there any more")
        return {key: value for key, value in got.items()
                if usual.get(key) != value and key not in ("PWD", "OLDPWD", "_")}

    def usage(self, *words, names=()):
        """The tool refuses, in one line that holds these names."""
        status, out, err = self.tcpshim(*words)
        self.assertEqual((status, out, err.count(b"\n")), (2, b"", 1), err)
        self.assertTrue(err.startswith(b"tcpshim"), err)
        for name in names:
            self.assertIn(name.encode(), err)

    def compiled(self, source, *flags):
        compiler = paths.find("cc")
        if not compiler:
            self.skipTest("no compiler")
        program = self.fresh("program")
        done = subprocess.run([compiler, "-x", "c", "-", "-o", program, *flags],
                              input=source.encode(), stderr=subprocess.PIPE, check=False)
        if done.returncode:
            self.skipTest("cc %s does not link" % " ".join(flags))
        return program
