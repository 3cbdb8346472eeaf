# SPDX-License-Identifier: MIT
"""Where things lie: the tree, the build to test, the programs it is tested with."""

import os
import shutil
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.join(ROOT, os.environ.get("OUT") or "build/cc")
PYTHON = os.path.realpath(sys.executable)
HARNESS = os.path.join(ROOT, "tests", "harness")


def library():
    """The shim of the build to test."""
    return os.path.join(OUT, "libreuse.so")


def tool():
    """tcpshim of the build to test; it takes the library beside it."""
    return os.path.join(OUT, "tcpshim")


def program(name):
    """A program of tests/programs, as built."""
    return os.path.join(OUT, "tests", "programs", name)


def demo(name):
    """A program of demo/, as built."""
    return os.path.join(OUT, "demo", name)


def find(name, *extra):
    """A program that is installed, or one of the files given, or None."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path:
        return path
    for candidate in extra:
        candidate = os.path.join(ROOT, candidate)
        if os.access(candidate, os.X_OK):
            return candidate
    return None


def machine(path):
    """The word size and the machine that a program or library is made for, as its head says."""
    with open(path, "rb") as file:
        head = file.read(20)
    return head[4], head[18]


def has_stacks():
    """Is the library of a machine on which stacks can be told?"""
    return machine(library()) == (2, 62)    # 64 bits; x86-64


def is_of_other_programs():
    """Is the library made for others than those of the system, /bin/sh for one?"""
    return machine(library()) != machine(PYTHON)


def preload():
    """LD_PRELOAD for a program under the shim (a sanitizer's run-time must come first)."""
    first = []
    for sanitizer, runtime in (("address", "libasan.so"), ("undefined", "libubsan.so"),
                               ("thread", "libtsan.so")):
        if sanitizer in os.path.basename(OUT):
            first.append(runtime_path(runtime))
    return ":".join([path for path in first if path] + [library()])


def runtime_path(name):
    compiler = os.path.basename(OUT).split("-")[0]
    with os.popen("%s -print-file-name=%s" % (compiler, name)) as out:
        path = out.read().strip()
    return path if os.path.isabs(path) else None
