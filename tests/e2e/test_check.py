# SPDX-License-Identifier: MIT
"""tcpshim check: what it says of a command, held against what the command does under tcpshim run."""

import ctypes
import json
import os
import pwd
import re
import shutil
import subprocess

from harness import kernel, paths
from harness.case import environment, needs_root, timeout
from harness.tool import ToolCase

SOURCE = """
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return bind(fd, (struct sockaddr *)&any, sizeof(any)) || close(fd);
}
"""

# As Go does it: linked dynamically, but none of its calls is libc's; with the note of Go's linker.
LIKE_GO = """
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
__asm__(".pushsection .note.go.buildid,\\"a\\",@note\\n.long 4, 4, 4\\n.ascii \\"Go\\\\0\\\\0build\\"\\n"
        ".popsection");
static long call(long number, long a, long b, long c)
{
	long ret;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(number), "D"(a), "S"(b), "d"(c)
	                 : "rcx", "r11", "memory");
	return ret;
}
int main(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	long fd = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
	return call(SYS_bind, fd, (long)&any, sizeof(any)) != 0;
}
"""

GO = """package main
import "net"
func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil { panic(err) }
	listener.Close()
}
"""


class CheckCase(ToolCase):
    """What the tests of check share."""

    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o755)

    def check(self, *words, env=None, tool=None, **how):
        """What it says, as JSON; and as text it must say the same, on one screen."""
        command = [tool or self.tool, "check"]
        status, out, err = self.run_program(command + ["--json", *words], env, **how)
        self.assertEqual(err, b"")
        said = json.loads(out)
        self.assertEqual(status, 0 if said["reached"] == "yes" else 1, said)
        status, out, err = self.run_program(command + list(words), env, **how)
        self.assertEqual((status, err), (0 if said["reached"] == "yes" else 1, b""))
        lines = out.decode().split("\n")
        answer = {"yes": "yes: ", "part": "in part: ", "no": "no: "}[said["reached"]]
        self.assertTrue(lines[0].startswith(answer), lines[0])
        self.assertLessEqual(len(lines), 24, out.decode())
        for line in lines:
            self.assertTrue(len(line) <= 80 or " " not in line.strip(), line)
        for text in (said["text"], said.get("cure", "")):
            text = re.sub("[\0-\x1f\x7f]", "?", text)
            self.assertIn("".join(text.split()), "".join(out.decode().split()))
        return said

    def events(self, *words, env=None, tool=None, **how):
        """The calls that the library sees of the command: bind, mostly."""
        log = self.path("seen-%d" % len(os.listdir(self.folder)))
        with open(log, "wb"):
            pass
        if "user" in how:
            os.chown(log, pwd.getpwnam(how["user"]).pw_uid, -1)
        self.run_program([tool or self.tool, "run", "--no-supervise", "--json", "--log=" + log,
                          *words], env, **how)
        with open(log) as file:
            return [json.loads(line)["call"] for line in file]

    def agree(self, reached, cause, *words, env=None, **how):
        """It says so, and so it is."""
        said = self.check(*words, env=env, **how)
        self.assertEqual((said["reached"], said["cause"]), (reached, cause), said)
        self.assertEqual("bind" in self.events(*words, env=env, **how), reached == "yes", said)
        return said

    def script(self, *lines, mode=0o755):
        path = self.fresh("script")
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        os.chmod(path, mode)
        return path


class Programs(CheckCase):
    """What the file of the program tells."""

    def test_dynamic(self):
        program = self.compiled(SOURCE)
        said = self.agree("yes", "none", program)
        self.assertEqual([link["path"] for link in said["programs"]], [program])
        self.assertEqual((said["library"], said["prog"]),
                         (paths.library(), os.path.basename(program)[:15]))

    def test_static(self):
        for flag in ("-static", "-static-pie"):
            self.agree("no", "static", self.compiled(SOURCE, flag))

    def test_like_go(self):
        if os.uname().machine != "x86_64":
            self.skipTest("the program is written for x86-64")
        for flags in ((), ("-static",)):
            program = self.compiled(LIKE_GO, *flags)
            self.agree("no", "go", program)
        self.assertIn(b"made by Go", self.tcpshim("run", program)[2])
        with open(program, "r+b") as file:   # as sstrip leaves it, without a table of sections
            file.seek(40)
            file.write(bytes(8))
            file.seek(58)
            file.write(bytes(6))
        self.agree("no", "go", program)

    def test_go_without_its_note(self):
        """The build's name may be left out (-buildid=); its sections tell."""
        objcopy = paths.find("objcopy")
        if not objcopy:
            self.skipTest("no objcopy")
        program = self.compiled(SOURCE)
        subprocess.run([objcopy, "--add-section", ".go.buildinfo=" + self.script("x"), program],
                       check=True)
        self.assertEqual(self.check(program)["cause"], "go")

    @timeout(120)
    def test_go(self):
        if not paths.find("go"):
            self.skipTest("no go")
        source = self.path("listen.go")
        with open(source, "w") as file:
            file.write(GO)
        env = dict(environment(), GO111MODULE="off", GOCACHE=self.path("cache"))
        for number, flags in enumerate((["-ldflags="], ["-ldflags=-buildid="], ["-ldflags=-s -w"])):
            for cgo in "01":
                program = self.path("go%d%s" % (number, cgo))
                done = self.start(["go", "build", *flags, "-o", program, source],
                                  dict(env, CGO_ENABLED=cgo))
                done.communicate()
                self.assertEqual(done.returncode, 0, done.error())
                self.agree("no", "go", program)

    def test_another_word_size(self):
        program = self.compiled(SOURCE, "-m32")
        said = self.agree("no", "machine", program)
        self.assertEqual(said["programs"][0]["bits"], 32)

    def test_another_libc(self):
        compiler = paths.find("musl-gcc")
        if not compiler:
            self.skipTest("no musl-gcc")
        program = self.fresh("program")
        subprocess.run([compiler, "-x", "c", "-", "-o", program], input=SOURCE.encode(),
                       check=True)
        said = self.agree("yes", "none", program)
        self.assertIn("musl", said["programs"][0]["linker"])
        self.assertIn(b"call stacks", self.tcpshim("check", program)[1].replace(
            b"\n          ", b" "))

    def test_no_linker(self):
        program = self.compiled(SOURCE, "-Wl,--dynamic-linker=/nosuch/ld-linux.so")
        self.agree("no", "no-linker", program)

    def test_not_found(self):
        for name in ("nosuch-command", "./nosuch", self.folder, self.script("x", mode=0o644)):
            self.agree("no", "not-found", name)
        self.agree("no", "not-found", self.script("#!/nosuch/interpreter", "exit 0"))

    def test_the_dynamic_linker_as_a_program(self):
        found = re.search(rb"/\S*/ld-linux\S*", self.run_program(["ldd", self.tool])[1])
        if not found:
            self.skipTest("the dynamic linker has another name")
        self.agree("yes", "none", found.group().decode(), self.compiled(SOURCE))

    def test_headers_that_lie(self):
        """No end of the file, no table without an end: an answer, and no crash."""
        with open(self.compiled(SOURCE), "rb") as file:
            content = file.read()
        lies = [content[:size] for size in (0, 1, 16, 63, 64, 100, 400, 1000)]
        for at, value in ((32, b"\xff" * 8), (40, b"\xff" * 8), (56, b"\xff\xff"),
                          (58, b"\xff\xff"), (60, b"\xff\xff"), (62, b"\xff\xff"),
                          (64, b"\x04\0\0\0"), (72, b"\xff" * 8), (96, b"\xff" * 8)):
            lies.append(content[:at] + value + content[at + len(value):])
        for lie in lies:
            program = self.fresh("lie")
            with open(program, "wb") as file:
                file.write(lie)
            os.chmod(program, 0o755)
            self.check(program)

    @needs_root
    def test_privileges(self):
        """setuid, setgid, capabilities: by who starts it."""
        program = self.compiled(SOURCE)
        nobody = pwd.getpwnam("nobody")
        if os.statvfs(self.folder).f_flag & os.ST_NOSUID:
            self.skipTest("setuid programs are not heeded in %s" % self.folder)
        os.chown(program, nobody.pw_uid, nobody.pw_gid)
        for mode in (0o4755, 0o2755):
            os.chmod(program, mode)
            self.agree("no", "privileged", program)
        os.chmod(program, 0o755)
        self.agree("yes", "none", program)
        os.chown(program, 0, 0)
        os.chmod(program, 0o4755)
        self.agree("yes", "none", program)

    @needs_root
    def test_another_user(self):
        """root asks for nobody; and nobody runs it."""
        tool, setcap = self.path("tcpshim"), paths.find("setcap")
        shutil.copy(self.tool, tool)
        shutil.copy(paths.library(), self.path("libreuse.so"))
        os.chmod(self.path("libreuse.so"), 0o644)
        program = self.compiled(SOURCE)

        def agree(reached, cause):
            said = self.check("--user=nobody", program, tool=tool)
            self.assertEqual((said["reached"], said["cause"]), (reached, cause), said)
            self.assertEqual((said["user"], said["uid"]),
                             ("nobody", pwd.getpwnam("nobody").pw_uid))
            self.assertEqual("bind" in self.events(program, tool=tool, user="nobody"),
                             reached == "yes")

        agree("yes", "none")
        os.chmod(program, 0o4755)
        agree("no", "privileged")
        os.chmod(program, 0o4711)   # not to be read
        agree("no", "privileged")
        err = self.run_program([tool, "run", program], user="nobody")[2]
        self.assertIn(b"gains privileges", err)
        os.chmod(program, 0o755)
        if setcap and not subprocess.run([setcap, "cap_net_bind_service+ep", program],
                                         stderr=subprocess.DEVNULL, check=False).returncode:
            agree("no", "privileged")
            self.assertEqual(self.check(program)["reached"], "yes")   # root gains nothing
        program = self.compiled(SOURCE)
        os.chmod(self.path("libreuse.so"), 0o600)
        said = self.check("--user=nobody", program, tool=tool)
        self.assertEqual((said["reached"], said["cause"]), ("no", "library"))
        os.chmod(program, 0o700)
        self.assertEqual(self.check("--user=nobody", program, tool=tool)["cause"], "not-found")

    @needs_root
    def test_a_wrapper_with_privileges(self):
        """ld.so takes LD_PRELOAD from its environment, so its children don't have it either."""
        tool, wrapper = self.path("tcpshim"), self.path("nice")
        shutil.copy(self.tool, tool)
        shutil.copy(paths.library(), self.path("libreuse.so"))
        os.chmod(self.path("libreuse.so"), 0o644)
        shutil.copy(shutil.which("nice"), wrapper)
        program = self.compiled(SOURCE)
        for mode, reached in ((0o4755, "no"), (0o755, "yes")):
            os.chmod(wrapper, mode)
            said = self.check("--user=nobody", wrapper, program, tool=tool)
            self.assertEqual((said["reached"], said["cause"]),
                             (reached, "lost" if reached == "no" else "none"))
            self.assertEqual("bind" in self.events(wrapper, program, tool=tool, user="nobody"),
                             reached == "yes")

    def test_another_user_needs_root(self):
        self.usage("check", "--user=nosuch-user", "true", names=["no such user"])
        how = {"user": "nobody"} if os.geteuid() == 0 else {}
        tool = self.path("tcpshim")
        shutil.copy(self.tool, tool)
        shutil.copy(paths.library(), self.path("libreuse.so"))
        os.chmod(self.path("libreuse.so"), 0o644)
        status, out, err = self.run_program([tool, "check", "--user=root", "true"], **how)
        self.assertEqual((status, out), (2, b""))
        self.assertIn(b"--user=root: Operation not permitted", err)


class Ways(CheckCase):
    """Scripts, and programs that start others."""

    def test_wrappers(self):
        program = self.compiled(SOURCE)
        bare = os.path.basename(program)
        for words in (["nice"], ["nice", "-n", "1"], ["nice", "--adjustment=1"], ["nohup"],
                      ["timeout", "-k", "5", "30"], ["timeout", "--signal", "KILL", "30"],
                      ["env"], ["env", "A=B"], ["env", "--"], ["env", "-u", "HOME"],
                      ["env", "-C", "/"], ["stdbuf", "-oL"], ["setsid", "-w"],
                      ["nice", "timeout", "30", "env"], [self.tool, "run", "--wait=1"],
                      ["env", "-S", "-u HOME"],
                      ["env", "LD_PRELOAD=" + paths.library()]):
            self.agree("yes", "none", *words, program)
        self.agree("yes", "none", "env", "PATH=%s:/usr/bin" % self.folder, bare)
        self.agree("yes", "none", "env", "-C", self.folder, "./" + bare)
        self.agree("no", "not-found", "env", "-C", "/nosuch", program)

    def test_wrappers_that_lose_it(self):
        program = self.compiled(SOURCE)
        for words in (["env", "-i"], ["env", "-"], ["env", "--ignore-environment"],
                      ["env", "-u", "LD_PRELOAD"], ["env", "-uLD_PRELOAD"],
                      ["env", "--unset=LD_PRELOAD"], ["env", "LD_PRELOAD="],
                      ["env", "LD_PRELOAD=libm.so.6"], ["env", "-S", "-i A=B"],
                      ["env", "-iS", "A=B"], ["nice", "env", "-i", "nice"],
                      [self.tool, "run", "env", "-i"]):
            said = self.agree("no", "lost", *words, program)
            self.assertEqual(said["by"], "env")
        setpriv = paths.find("setpriv")
        if setpriv and os.geteuid() == 0:
            self.agree("yes", "none", setpriv, "--reuid", "0", program)
            self.agree("no", "lost", setpriv, "--reset-env", program)

    def test_the_tool_puts_it_in_again(self):
        """With settings of its own, where those of the outer one are lost."""
        words = ("env", "-i", self.tool, "run", "--log=" + self.path("log"), self.compiled(SOURCE))
        said = self.check(*words)
        self.assertEqual((said["reached"], said["log"]["where"]), ("yes", self.path("log")))
        self.tcpshim("run", *words)
        with open(self.path("log")) as file:
            self.assertIn(" bind(", file.read())

    @needs_root
    def test_a_library_for_every_program(self):
        """/etc/ld.so.preload: nothing takes it away; settings come by the environment alone."""
        kept = {}
        for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache"):
            with open("/etc/" + name, "rb") as file:
                kept[name] = file.read()
        program, static = self.compiled(SOURCE), self.compiled(SOURCE, "-static")
        kernel.mount("/etc", "tmpfs")
        self.addCleanup(kernel.unmount, "/etc")
        kept["ld.so.preload"] = b"# some\n\t" + os.fsencode(paths.library()) + b"\n"
        for name, content in kept.items():
            with open("/etc/" + name, "wb") as file:
                file.write(content)
        said = self.agree("yes", "none", "env", "-u", "LD_PRELOAD", program)
        self.assertTrue(said["everywhere"])
        self.agree("no", "static", static)

    def test_wrappers_whose_program_is_not_seen(self):
        said = self.check("xargs", "true")
        self.assertEqual((said["reached"], said["blind"]), ("yes", "xargs"))

    def test_wrapped_programs_that_are_not_reached(self):
        program = self.compiled(SOURCE, "-static")
        for words in (["nice"], ["env", "A=B"], ["timeout", "30"], ["sh", "-c", "exec " + program]):
            reached = "part" if words[0] == "sh" else "no"
            self.agree(reached, "static", *words, program)

    def test_a_static_wrapper_passes_it_on(self):
        """What it starts has the environment all the same."""
        static = self.compiled("#include <unistd.h>\nint main(int n, char **v)"
                               "{ execv(v[1], v + 1); return n; }", "-static")
        os.mkdir(self.path("bin"))
        wrapper = self.path("bin/nohup")
        os.rename(static, wrapper)
        self.agree("yes", "none", wrapper, self.compiled(SOURCE))

    def test_those_that_have_it_started_elsewhere(self):
        for name in ("systemd-run", "docker"):
            path = self.path(name)
            shutil.copy(self.compiled("int main(void) { return 0; }"), path)
            said = self.agree("no", "elsewhere", path, "--property", "A=B", "true")
            self.assertEqual(said["by"], name)
        said = self.check(self.path("systemd-run"), "-p", "A=B", self.tool, "run", "true")
        self.assertEqual(said["reached"], "yes")

    def test_scripts(self):
        """The interpreter is judged, through any number of them."""
        program, static = self.compiled(SOURCE), self.compiled(SOURCE, "-static")
        script = self.script("#! /bin/sh", program)
        self.agree("yes", "none", script)
        self.agree("yes", "none", self.script("#!/usr/bin/env sh", program))
        self.agree("yes", "none", self.script("#!/usr/bin/env -S sh -e", program))
        self.agree("no", "not-found", self.script("#!/usr/bin/env sh -e", program))
        self.agree("no", "static", self.script("#!" + static))
        self.agree("no", "static", self.script("#!" + self.script("#!" + static)))
        self.agree("no", "lost", self.script("#!/usr/bin/env -S -i sh", program))
        self.agree("yes", "none", self.script(program), "x")   # a shell runs it
        circle = self.path("circle")
        os.rename(self.script("#!" + circle), circle)
        self.agree("no", "endless", circle)

    def test_what_a_shell_becomes(self):
        program, static = self.compiled(SOURCE), self.compiled(SOURCE, "-static")
        self.agree("yes", "none", self.script("#!/bin/sh", "# exec " + static, "exec " + program))
        self.agree("part", "static", self.script("#!/bin/sh", "exec \"%s\" -x" % static))
        entry = self.script("#!/bin/sh", "set -e", 'exec "$@"')
        self.agree("yes", "none", entry, program)
        self.agree("part", "static", entry, static)
        # And by a second shell, whose arguments are words of the first one's line.
        os.symlink(entry, self.path("e"))
        short = dict(environment(), PATH=self.folder + ":" + os.environ["PATH"])
        for name, answer, cause in ((program, "yes", "none"), (static, "part", "static")):
            self.agree(answer, cause, self.script("#!/bin/sh", "exec e " + name), env=short)
        said = self.agree("yes", "none", self.script("#!/bin/sh", "A=" + program, "exec $A"))
        self.assertEqual(said["execs"], {"line": 3, "words": "exec $A"})
        self.agree("yes", "none", self.script("#!/bin/sh", "exec 3>&1", program))
        # The same name means another file behind a cd, or with another PATH.
        os.mkdir(self.path("there"))
        shutil.copy(program, self.path("there/it"))
        shutil.copy(static, self.path("it"))
        env = dict(environment(), PATH=self.folder + ":" + os.environ["PATH"])
        for line, name in (("cd there", "./it"), ("PATH=%s" % self.path("there"), "it")):
            self.agree("yes", "none", self.script("#!/bin/sh", line, "exec " + name), env=env,
                       cwd=self.folder)

    def test_shells_that_lose_it(self):
        program = self.compiled(SOURCE)
        for line in ("unset LD_PRELOAD", "true && unset A LD_PRELOAD; true", "LD_PRELOAD= %s; exit" % program,
                     "export LD_PRELOAD=x", "if true; then unset LD_PRELOAD; fi",
                     "exec env -i " + program, "env -u LD_PRELOAD %s; exit" % program,
                     "exec /usr/bin/env - %s" % program):
            said = self.agree("part", "script", self.script("#!/bin/sh", "#", line, program))
            self.assertEqual(said["loses"]["line"], 3)
            self.assertIn("line 3 of", said["text"])
        text = "unset LD_PRELOAD; " + program
        self.agree("part", "script", "sh", "-c", text)
        self.agree("part", "script", "sh", "-c", "-e", text)
        for line in ("echo 'usage:\n  it'\nunset LD_PRELOAD", "cat <<END\nit's\nEND\nunset LD_PRELOAD",
                     "true it\\'s; unset LD_PRELOAD", "# it's\nunset LD_PRELOAD",
                     'a="$(echo "x y")"; unset LD_PRELOAD'):
            self.agree("part", "script", self.script("#!/bin/sh", line, program))
        for line in ("echo 'so; unset LD_PRELOAD'", 'echo "it seems; exec env -i true"',
                     "echo \"usage:\n unset LD_PRELOAD\n\"", "cat <<-'END'\nunset LD_PRELOAD\n\tEND",
                     "echo a=b unset LD_PRELOAD", "echo then unset LD_PRELOAD",
                     "cat <<END >x.$$; rm x.$$\nunset LD_PRELOAD\nEND", "cat << END\nexec it\nEND"):
            self.agree("yes", "none", self.script("#!/bin/sh", line, program), cwd=self.folder)
        for line in ("echo unset LD_PRELOAD", "# unset LD_PRELOAD", "unset OTHER",
                     "export LD_PRELOAD=\"$LD_PRELOAD libm.so.6\""):
            self.agree("yes", "none", self.script("#!/bin/sh", line, program))


    def test_options_of_shells(self):
        """Some have a value of their own, in the next word."""
        program = self.compiled(SOURCE)
        good, bad = self.script("#!/bin/sh", program), self.script("unset LD_PRELOAD", program)
        text = "unset LD_PRELOAD; " + program
        for shell in (["bash", "-o", "pipefail"], ["bash", "-euo", "pipefail"], ["sh", "+o", "nounset"],
                      ["sh", "-o", "errexit", "-u"], ["bash", "-O", "extglob", "-o", "pipefail"],
                      ["bash", "--norc", "--rcfile", "/dev/null"], ["sh", "-"], ["bash", "--"]):
            self.agree("yes", "none", *shell, good)
            self.agree("part", "script", *shell, bad)
            if shell[-1].strip("-"):
                self.agree("yes", "none", *shell, "-c", program)
                self.agree("part", "script", *shell, "-c", text)
        self.agree("part", "script", "bash", "-ceuo", "pipefail", text)


class Inside(CheckCase):
    """Where it is loaded: settings, the log, the kernel."""

    def test_programs_that_the_settings_leave_alone(self):
        program = self.compiled(SOURCE)
        name = os.path.basename(program)
        self.agree("no", "settings", "--only=nosuch", program)
        self.agree("no", "settings", "--skip=" + name, program)
        self.agree("yes", "none", "--only=" + name, program)
        self.agree("yes", "none", "--only=" + name, "nice", program)
        self.agree("no", "settings", program, env=environment(SKIP=name))
        self.agree("no", "settings", "env", "TCPSHIM_SKIP=" + name, program)
        script = self.script("#!/bin/sh", ":")
        self.assertEqual(self.check("--only=" + os.path.basename(script), script)["cause"], "none")

    def test_settings_are_told(self):
        said = self.check("--wait=7", "true", env=environment(REUSE="nonsense"))
        self.assertEqual(said["settings"], {
            "TCPSHIM_WAIT": {"value": "7", "understood": True},
            "TCPSHIM_REUSE": {"value": "nonsense", "understood": False}})

    def test_long_values_are_told_whole(self):
        """As long as the kernel lets a variable be, and each byte of it written as six."""
        names = ("CALLS", "PORTS", "WAIT", "STACK", "COLOR")
        env = environment(**{name: "\1" * 100000 for name in names})
        said = json.loads(self.run_program([self.tool, "check", "--json", "true"], env)[1])
        self.assertEqual({key: len(value["value"]) for key, value in said["settings"].items()},
                         {"TCPSHIM_" + name: 100000 for name in names})

    def log(self, fault, where, **how):
        """That is wrong with it, and the library says the same; nothing is made but by it."""
        before = sorted(os.listdir(self.folder))
        said = self.check("--log=" + where, "true", **how)
        self.assertEqual(sorted(os.listdir(self.folder)), before)
        self.assertEqual(said["log"].get("fault"), fault, said)
        self.assertEqual((said["reached"], said["cause"]),
                         ("part", "log") if fault else ("yes", "none"))
        err = self.tcpshim("run", "--log=" + where, "true", **how)[2].decode()
        self.assertEqual("(%s); nothing is logged" % fault in err, fault is not None, err)
        return said["log"]

    def test_the_log(self):
        taken, folder = self.script("text", mode=0o600), self.path("folder")
        os.mkdir(folder)
        os.mkfifo(self.path("fifo"), 0o600)
        os.symlink(taken, self.path("link"))
        os.link(self.script("x", mode=0o600), self.path("second"))
        self.datagrams("socket")
        self.assertTrue(self.log(None, self.path("new"))["new"])
        self.assertFalse(self.log(None, taken)["new"])
        self.assertEqual(self.log(None, self.path("%n.log"))["where"], self.path("true.log"))
        self.log(None, "/dev/null")
        self.log(None, "stderr")
        self.log("ENOENT", "/nosuch/x")
        self.log("EISDIR", self.path("nosuch/"))
        self.log("a folder", folder)
        self.log("a symbolic link, which could lead anywhere", self.path("link"))
        self.log("a file that has other names as well", self.path("second"))
        self.log("a socket: unix:PATH was probably meant", self.path("socket"))
        self.log("a file that others may write to", self.script("x", mode=0o666))
        self.log("a descriptor that is not open", "/dev/fd/77")
        self.assertTrue(self.check("--log=" + self.path("fifo"), "true")["log"]["needs_reader"])
        self.log(None, "unix:" + self.path("socket"))
        self.log("ENOENT", "unix:" + self.path("nosuch"))
        self.log("no socket", "unix:" + taken)
        self.log(None, "ring:%s:1M" % self.path("ring"))
        self.log(None, "ring:" + self.path("ring"))
        self.log("not a flight recorder of this version, and left as it is",
                 "ring:" + taken)
        self.log("no plain file", "ring:/dev/null")

    @needs_root
    def test_a_log_that_its_user_can_not_write(self):
        tool = self.path("tcpshim")
        shutil.copy(self.tool, tool)
        shutil.copy(paths.library(), self.path("libreuse.so"))
        os.chmod(self.path("libreuse.so"), 0o644)
        taken = self.script("text", mode=0o644)
        for where, fault in ((self.path("new"), "EACCES"), (taken, None)):
            said = self.check("--user=nobody", "--log=" + where, "true", tool=tool)
            err = self.run_program([tool, "run", "--log=" + where, "true"], user="nobody",
                                   group="nogroup", extra_groups=[])[2].decode()
            found = re.search(r"can't be opened \((\w+)\)", err)
            self.assertEqual(said["log"]["fault"], found.group(1), err)
            self.assertEqual(said["log"]["fault"], fault or "EACCES")
        self.assertFalse(os.path.exists(self.path("new")))

    def test_the_kernel(self):
        said = self.check("true")["kernel"]
        self.assertEqual(said["release"], os.uname().release)
        self.assertEqual(said["lists_bound"], kernel.lists_bound())
        self.assertTrue(said["wipeonfork"] and said["sock_diag"])
        sys_close_range, nowhere = 436, ctypes.c_uint(-1)
        self.assertEqual(said["close_range"],
                         kernel.LIBC.syscall(sys_close_range, nowhere, nowhere, 0) == 0)

    def test_stacks(self):
        try:
            ctypes.CDLL("libunwind-x86_64.so.8")
            there = True
        except OSError:
            there = False
        self.assertEqual(self.check("true")["stacks"], there)

    def test_wrong_usage(self):
        self.usage("check", names=["no command"])
        self.usage("check", "--nosuch", "true", names=["--nosuch is no option"])
        self.usage("check", "--user", names=["--user needs a value"])
        self.usage("check", "--json=1", "true", names=["--json takes no value"])
        self.usage("check", "--wait=121", "true", names=["--wait=121", "0 to 120"])
        self.usage("run", "--user=root", "true", names=["--user is no option"])

    def test_names_that_move_a_cursor(self):
        """Nothing that was given does that to the text, or breaks the JSON."""
        name = "a\x1b[2J\nb\xff"
        said = self.check(name)
        self.assertEqual(said["command"], name)
        self.assertNotIn(b"\x1b", self.tcpshim("check", name)[1])
        self.assertNotIn(b"\x1b", self.tcpshim("check", self.script("#!" + name[:5]))[1])
