# SPDX-License-Identifier: MIT
"""Copies of the sources, in which make is called as somebody else would call it."""

import os
import shutil

from harness import paths
from harness.case import environment

SOURCES = ("Makefile", "cli", "demo", "dist", "docs", "include", "shim")


class Trees:
    """A case that builds trees of its own."""

    def setUp(self):
        super().setUp()
        if not paths.find("make"):
            self.skipTest("no make")
        self.env = environment()
        for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "CC", "SAN", "VARIANT"):
            self.env.pop(name, None)

    def make(self, folder, *words):
        """As long as it takes on this machine."""
        process = self.start(["make", "-s", "-j2", *words], self.env, cwd=folder)
        out, _ = process.communicate()
        self.assertEqual((process.returncode, process.error()), (0, b""), words)
        return out.decode()

    def tree(self, *names):
        """A copy of the sources in a folder of that name."""
        folder = self.path(os.path.join(*names))
        os.makedirs(folder)
        for name in SOURCES:
            copy = shutil.copytree if os.path.isdir(os.path.join(paths.ROOT, name)) else shutil.copy
            copy(os.path.join(paths.ROOT, name), os.path.join(folder, name))
        return folder
