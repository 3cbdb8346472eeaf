# SPDX-License-Identifier: MIT
"""make install and uninstall, and what packagers and builders of packages expect of a Makefile."""

import glob
import os
import re
import subprocess

from harness import kernel, paths
from harness.case import environment, needs_root, timeout
from harness.tool import ToolCase
from harness.trees import Trees

with open(os.path.join(paths.ROOT, "include", "reuse", "version.h")) as _version:
    NAME = "libreuse-" + re.search(r'REUSE_VERSION "(.*)"', _version.read()).group(1)


def multiarch():
    """The folder of this machine's libraries, below lib; none where there is no such thing."""
    asked = subprocess.run(["cc", "-print-multiarch"], stdout=subprocess.PIPE, check=True)
    return asked.stdout.decode().strip()


class Install(ToolCase):
    """make install, and make uninstall."""

    def setUp(self):
        super().setUp()
        for name in ("make", "cc"):
            if not paths.find(name):
                self.skipTest("no " + name)

    def make(self, *words, before=()):
        env = environment()
        for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"):
            env.pop(name, None)
        status, out, err = self.run_program(
            [*before, "make", "-s", "--no-print-directory", *words,
             "VARIANT=" + os.path.basename(paths.OUT)], env, cwd=paths.ROOT)
        self.assertEqual((status, err), (0, b""), words)
        return out.decode()

    def installed(self):
        found = {}
        for folder, _, names in os.walk(self.path("below")):
            for name in names:
                path = os.path.join(folder, name)
                found[os.path.relpath(path, self.path("below"))] = os.stat(path).st_mode & 0o777
        return found

    def expect(self, words, prefix, library):
        """What is there after it, what the tool then finds, and that all goes again."""
        words = ("DESTDIR=" + self.path("below"), *words)
        self.make("install", *words)
        self.assertEqual(self.installed(), {
            prefix + "/bin/tcpshim": 0o755, library: 0o644,
            prefix + "/share/man/man1/tcpshim.1": 0o644,
            prefix + "/share/man/man5/tcpshim-events.5": 0o644,
            prefix + "/share/man/man8/libreuse.so.8": 0o644,
            prefix + "/share/bash-completion/completions/tcpshim": 0o644,
            prefix + "/share/zsh/site-functions/_tcpshim": 0o644,
            prefix + "/share/fish/vendor_completions.d/tcpshim.fish": 0o644})
        self.assertEqual(self.seen(tool=self.path("below/%s/bin/tcpshim" % prefix)),
                         {"LD_PRELOAD": os.path.realpath(self.path("below/" + library))})
        self.make("install", *words)    # over what is there
        self.make("uninstall", *words)
        self.assertEqual(self.installed(), {})

    def test_install_and_uninstall(self):
        usual = os.path.join("lib", multiarch(), "libreuse.so")
        if not multiarch():
            self.skipTest("the compiler knows no folder of this machine's own")
        self.expect((), "usr/local", "usr/local/" + usual)
        self.expect(("prefix=/usr",), "usr", "usr/" + usual)

    def test_into_other_folders(self):
        """Only said: it would make another tool, which looks for the library there."""
        for words in (("PREFIX=/opt/reuse", "LIBDIR=/opt/reuse/of", "MANDIR=/man", "BINDIR=/b"),
                      ("prefix=/opt/reuse", "libdir=/opt/reuse/of", "mandir=/man", "bindir=/b")):
            said = self.make("-n", "install", "DESTDIR=/d", *words)
            for place in ("/d/opt/reuse/of/libreuse.so", "/d/man/man1/tcpshim.1", "/d/b/tcpshim"):
                self.assertIn("'%s'" % place, said)

    @needs_root
    def test_by_its_bare_name(self):
        """The dynamic linker finds it, in a system whose /usr/local and /etc are the test's own."""
        folder = os.path.join("/usr/local/lib", multiarch())
        listed = ""
        for name in glob.glob("/etc/ld.so.conf.d/*.conf"):
            with open(name) as file:
                listed += file.read()
        if folder not in listed.split("\n"):
            self.skipTest("the dynamic linker does not look into " + folder)
        os.mkdir(self.path("local"))
        script = self.path("script")
        with open(script, "w") as file:
            file.write("""set -e
cp -a /etc "$1/etc"
mount --bind "$1/local" /usr/local
mount --bind "$1/etc" /etc
shift
"$@" install >/dev/null
LD_PRELOAD=libreuse.so grep -m1 -o '/.*libreuse.so$' /proc/self/maps
tcpshim run true
"$@" uninstall >/dev/null
find /usr/local -type f
! ldconfig -p | grep libreuse
""")
        said = self.make(before=("unshare", "-m", "sh", script, self.folder))
        self.assertEqual(said, folder + "/libreuse.so\n")

    def test_flags_of_the_tool(self):
        """All its functions are bound when it starts, and their table is then read-only."""
        said = subprocess.run(["readelf", "-dlW", self.tool], stdout=subprocess.PIPE, check=True)
        for word in (b"BIND_NOW", b"GNU_RELRO"):
            self.assertIn(word, said.stdout)

    def test_dist(self):
        """The committed files, the same bytes each time."""
        git = ["git", "-C", paths.ROOT]
        listed = subprocess.run([*git, "ls-tree", "-r", "--name-only", "HEAD"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False
                                ) if paths.find("git") else None
        if not listed or listed.returncode:
            self.skipTest("no git, or not its folder")
        content = []
        for into in (self.path("one"), self.path("another")):
            os.mkdir(into)
            self.make("dist", "O=" + into)
            self.assertEqual(os.listdir(into), [NAME + ".tar.gz"])
            with open(os.path.join(into, NAME + ".tar.gz"), "rb") as file:
                content.append(file.read())
        self.assertTrue(content[0] == content[1])
        held = subprocess.run(["tar", "tzf", "-"], input=content[0], stdout=subprocess.PIPE,
                              check=True).stdout.decode().split("\n")
        self.assertEqual(sorted(name for name in held if name and not name.endswith("/")),
                         sorted(NAME + "/" + name for name in listed.stdout.decode().split()))


MADE = ("libreuse.so", "tcpshim", "server")


class Make(Trees, ToolCase):
    """What packagers and builders of packages expect of a Makefile."""

    def files(self, folder):
        return sorted(os.path.join(where, name) for where, _, names in os.walk(folder)
                      for name in names)

    def content(self, *names):
        with open(os.path.join(*names), "rb") as file:
            return file.read()

    def protect(self, tree):
        """Nobody can write there, root neither."""
        if os.geteuid() == 0:
            kernel.read_only(tree)
            self.addCleanup(kernel.unmount, tree)
        else:
            for folder, _, _ in os.walk(tree):
                os.chmod(folder, 0o555)
                self.addCleanup(os.chmod, folder, 0o755)

    @timeout(600)
    def test_the_same_from_any_folder_and_into_any(self):
        """With all that debuggers want to know. And it is installed from there."""
        one, another = self.tree("one"), self.tree("and", "another")
        before = self.files(another)
        for compiler in filter(paths.find, ("gcc", "clang")):
            into = self.path("into-" + compiler)
            words = ("CC=" + compiler, "CFLAGS=-O0 -g", "prefix=" + into + "/prefix",
                     "libdir=" + self.path("lib"))
            os.mkdir(into)
            self.make(one, *words)
            self.make(into, "-f", os.path.join(another, "Makefile"), *words)
            for name in MADE:
                content = self.content(one, name)
                self.assertIn(b".debug_info", content)
                self.assertTrue(content == self.content(into, name),
                                "%s of %s differs" % (name, compiler))
                if name != "tcpshim":    # which knows where to look for the library
                    self.assertNotIn(self.folder.encode(), content)
            self.make(into, "-f", os.path.join(another, "Makefile"), "install", *words)
            self.assertEqual(self.seen(tool=into + "/prefix/bin/tcpshim"),
                             {"LD_PRELOAD": self.path("lib/libreuse.so")})
        self.assertEqual(self.files(another), before)

    def test_names_of_folders_are_meant_from_where_it_is_called(self):
        """Those of what is made, and of what is installed below; the tree itself is read-only."""
        tree, here = self.tree("one"), self.path("here")
        before = self.files(tree)
        os.mkdir(here)
        self.protect(tree)
        words = ("-f", os.path.join(tree, "Makefile"), "O=made", "DESTDIR=below", "PREFIX=/usr",
                 "CFLAGS=-O0")
        self.make(here, *words)
        self.make(here, "install", *words)
        self.assertRaises(OSError, open, os.path.join(tree, "new"), "w")
        self.assertEqual([name for name in MADE if name not in os.listdir(here + "/made")], [])
        self.assertEqual(os.listdir(here + "/below/usr/bin"), ["tcpshim"])
        self.assertEqual((sorted(os.listdir(here)), self.files(tree)), (["below", "made"], before))

    def test_flags(self):
        """Of who makes it: each compiler's line has them, behind ours where they could differ."""
        said = self.make(self.tree("one"), "-n", "V=1", "CC=compile", "CPPFLAGS=-DFIRST",
                         "CFLAGS=-DSECOND", "LDFLAGS=-Wl,-third")
        lines = [line.split() for line in said.replace("\\\n", " ").split("\n")
                 if line.startswith("compile ")]
        self.assertGreater(len(lines), 50)
        for line in lines:
            if "-shared" not in line:
                self.assertLess(line.index("-DFIRST"), line.index("-DSECOND"))
            self.assertIn("-DSECOND", line)
            if "-c" not in line:
                self.assertIn("-Wl,-third", line)

    @timeout(600)
    def test_flags_of_distributions(self):
        """No warning; and what checks on their behalf, and aborts, stays out of the library."""
        if not paths.find("gcc"):
            self.skipTest("no gcc")
        one = self.tree("one")
        for flags in (("CPPFLAGS=-D_FORTIFY_SOURCE=2", "CFLAGS=-O1 -fstack-protector-strong"),
                      ("CFLAGS=-O1 -flto=auto -Wp,-D_FORTIFY_SOURCE=2 -fcf-protection",)):
            self.make(one, "clean")
            self.make(one, "CC=gcc", "libreuse.so", *flags)
            content = self.content(one, "libreuse.so")
            for name in (b"_chk\0", b"__stack_chk_fail\0"):
                self.assertNotIn(name, content, flags)
