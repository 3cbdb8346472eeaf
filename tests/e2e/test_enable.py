# SPDX-License-Identifier: MIT
"""tcpshim enable and disable, in a folder that stands for another system.

That systemd does with it what is meant, tests/check-packages tries on a system that runs.
"""

import os
import shutil
import subprocess

from harness import paths
from harness.tool import ToolCase

UNIT = """[Unit]
Description=a service
DefaultDependencies=no
[Service]
ExecStart=/bin/true
"""


class Enable(ToolCase):

    def setUp(self):
        super().setUp()
        self.root = self.path("root")
        for folder in ("bin", "usr/lib/systemd/system", "etc/systemd/system",
                       os.path.dirname(paths.library())[1:]):
            os.makedirs(os.path.join(self.root, folder), exist_ok=True)
        shutil.copy(paths.library(), self.root + paths.library())
        shutil.copy("/bin/true", self.root + "/bin/true")

    def unit(self, *lines, name="one.service"):
        with open(os.path.join(self.root, "usr/lib/systemd/system", name), "w") as file:
            file.write(UNIT + "".join(line + "\n" for line in lines))

    def drop_in(self, name="one.service"):
        return "%s/etc/systemd/system/%s.d/50-tcpshim.conf" % (self.root, name)

    def enable(self, *words, name="one.service", told=()):
        """What the drop-in says then; told are the lines on standard error."""
        status, out, err = self.tcpshim("enable", "--root", self.root, name, *words)
        self.assertEqual((status, out.decode()), (0, "made %s\n" % self.drop_in(name)), err)
        # That the library of a test lies in /tmp or /root is no matter here.
        err = [line for line in err.decode().splitlines() if "many services see no" not in line]
        self.assertEqual(len(err), len(told), err)
        for line, word in zip(err, told):
            self.assertIn(word, line)
        with open(self.drop_in(name)) as file:
            lines = file.read().splitlines()
        self.assertEqual(lines[1], "[Service]")
        self.verify(name)
        return lines[2:]

    def verify(self, name):
        """systemd finds nothing to say of the unit."""
        if not paths.find("systemd-analyze"):
            return
        done = subprocess.run(["systemd-analyze", "--root=" + self.root, "verify", name],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if b"unrecognized option" not in done.stdout and b"--root is only" not in done.stdout:
            self.assertEqual(done.stdout, b"")

    def preload(self, behind=""):
        return 'Environment="LD_PRELOAD=%s%s"' % (os.path.realpath(paths.library()), behind)

    def test_and_disable(self):
        self.unit()
        self.assertEqual(self.enable(), [self.preload()])
        self.assertEqual(self.enable("--wait=65", "--json"),
                         [self.preload(), 'Environment="TCPSHIM_FORMAT=json"',
                          'Environment="TCPSHIM_WAIT=65"'])
        self.assertEqual(os.stat(self.drop_in()).st_mode & 0o777, 0o644)
        self.assertEqual(os.listdir(os.path.dirname(self.drop_in())), ["50-tcpshim.conf"])
        status, out, err = self.tcpshim("disable", "one", "--root=" + self.root)
        self.assertEqual((status, out.decode(), err),
                         (0, "removed %s\n" % self.drop_in(), b""))
        self.assertEqual(os.listdir(self.root + "/etc/systemd/system"), [])
        status, out, err = self.tcpshim("disable", "one", "--root=" + self.root)
        self.assertEqual((status, out, err.count(b"\n")), (1, b"", 1))
        self.assertIn(b"one.service is not enabled", err)

    def test_of_a_template(self):
        self.unit(name="many@.service")
        for name in ("many@first.service", "many@.service"):
            self.assertEqual(self.enable(name=name)[0], self.preload())

    def test_what_systemd_would_take_for_something_else(self):
        self.unit()
        self.assertEqual(self.enable("--only", 'a "b', "--log", "/srv/%n.%p"),
                         [self.preload(), 'Environment="TCPSHIM_LOG=/srv/%%n.%%p"',
                          'Environment="TCPSHIM_ONLY=a \\"b"'])

    def test_other_preloads_stay(self):
        self.unit('Environment="A=b" \\', '   "LD_PRELOAD=/lib/x.so /lib/y.so" C=d')
        self.assertEqual(self.enable()[0], self.preload(":/lib/x.so /lib/y.so"))
        self.unit('Environment="A=b"', "Environment=LD_PRELOAD=/lib/x.so C=d")
        self.assertEqual(self.enable()[0], self.preload(":/lib/x.so"))

    def test_other_preloads_as_systemd_reads_them(self):
        """Words, of which quotes may be a part; the last one counts, unless all is forgotten."""
        for line, behind in (('"A=b LD_PRELOAD=/inner.so"', ""), ('"MY_LD_PRELOAD=/x.so"', ""),
                             ("MY_LD_PRELOAD=/x.so", ""), ("'A=b \"LD_PRELOAD=/x.so\"'", ""),
                             ("'LD_PRELOAD=/x \"y.so'", ':/x \\"y.so'),
                             ('LD_PRELOAD="/x.so:/y.so"', ":/x.so:/y.so"),
                             (r'"A=\" LD_PRELOAD=/x.so" "LD_PRELOAD=/y\x20\"z.so" C=d',
                              r':/y\x20\"z.so'),
                             ("LD_PRELOAD=/x.so LD_PRELOAD=/%i/y.so", ":/%i/y.so"),
                             ("LD_PRELOAD=/x.so\nEnvironment=A=b", ":/x.so"),
                             ("LD_PRELOAD=/x.so\nEnvironment=", ""),
                             ("LD_PRELOAD=/x.so\nEnvironment=LD_PRELOAD=", "")):
            self.unit("Environment=" + line)
            self.assertEqual(self.enable(), [self.preload(behind)], line)

    def test_what_takes_it_away(self):
        self.unit("UnsetEnvironment=A LD_PRELOAD")
        self.enable(told=["UnsetEnvironment="])
        for line in ("A=b LD_PRELOADS", "LD_PRELOAD\nUnsetEnvironment="):
            self.unit("UnsetEnvironment=" + line)
            self.enable()

    def test_the_folder_of_the_log(self):
        """One of its own is made for it; one that is there keeps its owner; no more is opened."""
        self.unit()
        log = "--log=ring:/var/log/one/ring"
        self.assertEqual(self.enable(log)[2:], ["LogsDirectory=one"])
        os.makedirs(self.root + "/var/log/one")    # as systemd does
        os.makedirs(self.root + "/var/log/other")
        self.assertEqual(self.enable(log)[2:], ["LogsDirectory=one"])
        self.assertEqual(self.enable("--log=/var/log/other/log")[2:], [])
        self.assertEqual(self.enable("--log=/srv/log/log")[2:], [])
        self.enable("--log=/var/log/log", told=["/var/log/NAME/FILE"])
        for line in ("ProtectSystem=strict", "DynamicUser=yes"):
            self.unit(line)
            self.assertEqual(self.enable("--log=/var/log/other/log")[2:],
                             ['ReadWritePaths="-/var/log/other"'])
        self.unit("ProtectSystem=strict", "ProtectSystem=no")
        self.assertEqual(self.enable("--log=/var/log/other/log")[2:], [])
        self.assertEqual(self.enable("--log=stderr"),
                         [self.preload(), 'Environment="TCPSHIM_LOG=stderr"'])

    def test_a_folder_that_systemd_reads_otherwise(self):
        self.unit()
        for path in ("/var/log/../../etc/x/f", "/var/log/x/..", "/..", "/", "ring:/var/log/x/../y/r"):
            self.usage("enable", "--root=" + self.root, "one", "--log=" + path, names=["no .."])
        self.assertEqual(os.listdir(self.root + "/etc/systemd/system"), [])
        for path in ("/var/log//one/.//x/f", "//var/log/one/x/f", "/var/./log/one/x/..f"):
            self.assertEqual(self.enable("--log=" + path)[2:], ["LogsDirectory=one/x"])
        self.unit("ProtectSystem=strict")
        for folder, there in (("/var/log/a:b", "/var/log/a:b"), ('/var/log/a"b', '/var/log/a\\"b'),
                              ("/var/log/a'b", "/var/log/a'b"), ("/var/log/a\\b", "/var/log/a\\\\b"),
                              ("/devel/x", "/devel/x")):
            self.assertEqual(self.enable("--log=%s/f" % folder)[2:],
                             ['ReadWritePaths="-%s"' % there])
        self.assertEqual(self.enable("--log=/dev/f", "--format=json")[3:], [])

    def test_what_it_tells(self):
        self.unit("RestrictAddressFamilies=AF_INET AF_UNIX")
        self.enable("--log=stderr", told=["AF_NETLINK"])
        self.enable()
        self.unit("RestrictAddressFamilies=AF_INET AF_NETLINK")
        self.enable("--log=stderr")

    def test_a_link_out_of_the_system(self):
        """Nothing is written, removed or read through one; one that stays within is followed."""
        outside = self.path("outside")
        etc, units = self.root + "/etc/systemd", self.root + "/usr/lib/systemd/system"
        ours = "# Made by tcpshim enable; tcpshim disable takes it away.\n"
        for link, target in ((etc, outside), (etc, "../../outside"), (etc + "/system", outside),
                             (etc + "/system/one.service.d", outside),
                             (etc + "/system/one.service.d/50-tcpshim.conf", outside + "/file"),
                             (etc + "/system/one.service", outside + "/file"),
                             (units + "/one.service", outside + "/file"),
                             (units + "/one.service.d/a.conf", outside + "/file")):
            with self.subTest(link=link[len(self.root):], target=target):
                for folder in (self.root + "/etc", outside, units):
                    shutil.rmtree(folder, ignore_errors=True)
                for folder in (etc + "/system", units):
                    os.makedirs(folder)
                self.unit()
                for path in (outside + "/file", outside + "/50-tcpshim.conf",
                             outside + "/system/one.service.d/50-tcpshim.conf",
                             outside + "/one.service.d/50-tcpshim.conf"):
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    with open(path, "w") as file:
                        file.write(ours + UNIT)
                if os.path.isdir(link):
                    shutil.rmtree(link)
                elif os.path.exists(link):
                    os.unlink(link)
                os.makedirs(os.path.dirname(link), exist_ok=True)
                os.symlink(target, link)
                before = self.everything(outside)
                for subcommand in ("enable", "disable"):
                    status, out, err = self.tcpshim(subcommand, "--root", self.root, "one")
                    self.assertEqual((status, out, err.count(b"\n")), (1, b"", 1), err)
                    self.assertIn(b" leads out of ", err)
                    self.assertEqual(self.everything(outside), before)
                self.assertTrue(os.path.islink(link))
        shutil.rmtree(etc)
        os.unlink(link)
        self.unit()
        os.makedirs(self.root + "/data/system")
        os.symlink("../data", etc)
        self.enable()

    def everything(self, folder):
        """What is below it, with the times of the last change."""
        return sorted((path, name, os.lstat(os.path.join(path, name)).st_mtime_ns)
                      for path, folders, files in os.walk(folder) for name in folders + files)

    def test_what_another_has_made_stays(self):
        self.unit()
        os.makedirs(os.path.dirname(self.drop_in()))
        other = os.path.join(self.root, "other")
        for text in ("[Service]\n# Made by tcpshim enable;\n", "", None):
            if text is None:
                os.rename(self.drop_in(), other)
                os.symlink("/dev/null", self.drop_in())
            else:
                with open(self.drop_in(), "w") as file:
                    file.write(text)
            before = self.everything(self.root)
            for subcommand in ("enable", "disable"):
                status, out, err = self.tcpshim(subcommand, "--root", self.root, "one")
                self.assertEqual((status, out, err.count(b"\n")), (1, b"", 1), err)
                self.assertIn(b"none of tcpshim's", err)
                self.assertEqual(self.everything(self.root), before)

    def test_of_a_masked_one(self):
        self.unit()
        mask = self.root + "/etc/systemd/system/one.service"
        for make in (lambda: os.symlink("/dev/null", mask), lambda: open(mask, "w").close()):
            make()
            status, out, err = self.tcpshim("enable", "--root", self.root, "one")
            self.assertEqual((status, out.decode()), (0, "made %s\n" % self.drop_in()), err)
            self.assertIn(b"one.service is masked", err)
            os.unlink(mask)
        self.enable()
        os.symlink("/dev/null", self.root + "/etc/systemd/system/two.service")
        status, out, err = self.tcpshim("enable", "--root", self.root, "two")
        self.assertEqual((status, out, err.count(b"\n")), (1, b"", 1), err)
        self.assertIn(b"two.service is masked", err)

    def test_refused(self):
        self.unit()
        for words, said in (((), "no UNIT"), (("one", "two"), "one UNIT"), (("one", "--user=x"), "--user"),
                            (("one", "--wait=300"), "--wait=300"), (("one", "--log=./x"), "--log")):
            self.usage("enable", "--root=" + self.root, *words, names=[said])
        for name in ("two", "../one", "one.socket", "one.service/x", "a" * 300):
            for subcommand in ("enable", "disable"):
                status, out, err = self.tcpshim(subcommand, "--root", self.root, name)
                self.assertEqual((status, out, err.count(b"\n")), (1, b"", 1), (name, err))
        self.usage("disable", names=["one UNIT"])
        self.assertEqual(os.listdir(self.root + "/etc/systemd/system"), [])

    def test_no_library_there(self):
        self.unit()
        os.unlink(self.root + paths.library())
        status, out, err = self.tcpshim("enable", "--root", self.root, "one")
        self.assertEqual((status, out, err.count(b"\n")), (1, b"", 1), err)
        self.assertIn(b"installed there", err)
        self.assertFalse(os.path.exists(self.drop_in()))
