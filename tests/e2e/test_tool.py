# SPDX-License-Identifier: MIT
"""tcpshim and its subcommand run: what the program gets, what the user is told."""

import os
import pwd
import re
import shutil
import signal
import socket

from harness import paths
from harness.case import environment, needs_root, read_line
from harness.tool import ToolCase

STATIC = "int main(void) { return 5; }"
DESCRIPTORS = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"
OPTIONS = {
    "log": ("TCPSHIM_LOG", "stderr"), "format": ("TCPSHIM_FORMAT", "json"),
    "reuse": ("TCPSHIM_REUSE", "gentle"), "reuseport": ("TCPSHIM_REUSEPORT", "1"),
    "ports": ("TCPSHIM_PORTS", "9999,8000-8100"), "wait": ("TCPSHIM_WAIT", "65"),
    "calls": ("TCPSHIM_CALLS", "bind,listen"), "only": ("TCPSHIM_ONLY", "nginx,a b"),
    "skip": ("TCPSHIM_SKIP", "sh"), "stack": ("TCPSHIM_STACK", "0"),
    "report": ("TCPSHIM_REPORT", "0"), "color": ("TCPSHIM_COLOR", "never"),
}
# What makes a gate of run: test_gate.py.
GATE = {"fail-on", "grace", "suppressions", "junit", "annotate"}

with open(os.path.join(paths.ROOT, "cli", "subcommands.def")) as rows:
    SUBCOMMANDS = re.findall(r"^SUBCOMMAND\((\w+),", rows.read(), re.M)


class Frame(ToolCase):
    """Help, version, and what is no subcommand."""

    def test_help(self):
        for words in [["--help"], ["-h"], ["help"], ["run", "--json", "--help", "nosuch"]] + [
                [*words] for name in SUBCOMMANDS
                for words in ((name, "--help"), (name, "-h"), ("help", name))]:
            status, out, err = self.tcpshim(*words)
            self.assertEqual((status, err), (0, b""))
            self.assertTrue(out.startswith(b"Usage: tcpshim "), out)
            for line in out.decode().split("\n"):
                self.assertLessEqual(len(line), 80)
        self.assertIn(b"\n  run ", self.tcpshim("--help")[1])

    def test_help_tells_every_option(self):
        out = self.tcpshim("run", "--help")[1].decode()
        told = re.findall(r"^  (?:-\w, )?--([a-z-]+)", out, re.M)
        self.assertEqual(set(told), set(OPTIONS) | GATE | {"json", "help", "version", "supervise",
                                                                  "no-supervise"})
        for variable, _ in OPTIONS.values():
            self.assertIn("(%s)" % variable, out)

    def test_version(self):
        for words in [[*name, word] for name in [(), *zip(SUBCOMMANDS)]
                      for word in ("--version", "-V")]:
            status, out, err = self.tcpshim(*words)
            self.assertEqual((status, err), (0, b""))
            self.assertRegex(out, rb"^tcpshim \d+\.\d+\.\d+\n$")

    def test_wrong_usage(self):
        self.usage(names=["subcommand"])
        self.usage("nosuch", names=["nosuch"])
        self.usage("", names=["subcommand"])
        self.usage("--nosuch", names=["--nosuch"])
        self.usage("no\nsuch\x1b[1m", names=["no?such"])
        self.usage("help", "nosuch", names=["nosuch is no subcommand"])
        self.usage("help", "--nosuch", names=["--nosuch is no option"])

    def test_a_slip_names_what_was_probably_meant(self):
        for slip, meant in (("rnu", "run"), ("Report", "report"), ("desable", "disable"),
                            ("repo", "report"), ("hlep", "help")):
            for words in ([slip], ["help", slip]):
                self.usage(*words, names=["%s is no subcommand: %s was probably meant"
                                          % (slip, meant)])
        for word in ("nosuch", "r", "--rnu"):
            self.assertNotIn(b"meant", self.tcpshim(word)[2])

    def test_a_program_in_the_place_of_a_subcommand(self):
        for word in ("true", "./tcpshim", self.tool):
            status, out, err = self.tcpshim(word, cwd=os.path.dirname(self.tool))
            self.assertEqual((status, out, err.decode()), (
                2, b"", "tcpshim: %s is no subcommand; to run the program: tcpshim run %s "
                        "(see tcpshim --help)\n" % (word, word)))
        self.assertNotIn(b"tcpshim run", self.tcpshim("./nosuch")[2])

    def test_help_that_can_not_be_written(self):
        with open("/dev/full", "wb") as full:
            process = self.start([self.tool, "--help"], stdout=full)
            self.assertEqual(process.wait(), 2)
        self.assertIn(b"No space left", process.error())


class Options(ToolCase):
    """What the options make of the environment."""

    def test_nothing_but_the_library(self):
        self.assertEqual(self.seen(), {"LD_PRELOAD": paths.library()})

    def test_each_option_sets_its_variable(self):
        for option, (variable, value) in OPTIONS.items():
            ways = [["--%s=%s" % (option, value)]]
            if option not in ("report", "reuseport"):
                ways.append(["--" + option, value])
            for way in ways:
                self.assertEqual(self.seen(*way), {"LD_PRELOAD": paths.library(), variable: value})

    def test_short_ways(self):
        self.assertEqual(self.seen("--json")["TCPSHIM_FORMAT"], "json")
        self.assertEqual(self.seen("--reuseport")["TCPSHIM_REUSEPORT"], "1")
        self.assertEqual(self.seen("--report", "--log=" + self.path("a"))["TCPSHIM_REPORT"], "1")
        self.assertEqual(self.seen("--json", "--format=text")["TCPSHIM_FORMAT"], "text")
        self.assertEqual(self.seen("--format", "text", "--json")["TCPSHIM_FORMAT"], "json")

    def test_all_at_once(self):
        words = ["--%s=%s" % (option, value) for option, (_, value) in OPTIONS.items()]
        expected = dict(OPTIONS.values(), LD_PRELOAD=paths.library())
        self.assertEqual(self.seen(*words, "--"), expected)

    def test_they_override_what_is_there(self):
        env = environment(WAIT=5, REUSE="off", PORTS=1)
        self.assertEqual(self.seen("--wait=7", "--reuse=force", env=env),
                         {"LD_PRELOAD": paths.library(), "TCPSHIM_WAIT": "7",
                          "TCPSHIM_REUSE": "force"})

    def test_the_last_one_counts(self):
        self.assertEqual(self.seen("--wait=7", "--wait", "8")["TCPSHIM_WAIT"], "8")

    def test_options_of_the_command_are_its_own(self):
        for words in (["echo", "--log", "--help", "--"], ["--", "echo", "--log", "--help", "--"]):
            self.assertEqual(self.tcpshim("run", *words), (0, b"--log --help --\n", b""))

    def test_values_are_checked_before_the_program_runs(self):
        mark = self.path("mark")
        for option, wrong, accepted in (
                ("log", "unix:", "stderr"), ("format", "xml", "text or json"),
                ("reuse", "maybe", "gentle"), ("reuseport", "yes", "0 or 1"),
                ("ports", "0-70000", "ranges"), ("wait", "121", "0 to 120"),
                ("calls", "bind,nosuch", "names of calls"), ("only", "a,,b", "names of programs"),
                ("skip", "", "names of programs"), ("stack", "33", "0 to 32"),
                ("report", "2", "0 or 1"), ("color", "red", "never")):
            self.usage("run", "--%s=%s" % (option, wrong), "touch", mark,
                       names=["--%s=%s" % (option, wrong), accepted])
            # A good one after it does not make up for it.
            self.usage("run", "--%s=%s" % (option, wrong),
                       "--%s=%s" % (option, OPTIONS[option][1]), "touch", mark)
        self.assertFalse(os.path.exists(mark))

    def test_wrong_usage(self):
        self.usage("run", names=["no command"])
        self.usage("run", "--json", "--", names=["no command"])
        self.usage("run", "", names=["no command"])
        self.usage("run", "--nosuch=1", "true", names=["--nosuch is no option"])
        self.usage("run", "-x", "true", names=["-x is no option"])
        self.usage("run", "--wait", names=["--wait needs a value"])
        self.usage("run", "--json=1", "true", names=["--json takes no value"])
        self.usage("run", "--re=off", "true", names=["--re is no option"])
        self.usage("run", "--reuse=a\nb" + "x" * 5000, "true", names=["a?bx", "gentle"])


class Preload(ToolCase):
    """Finding the library, and LD_PRELOAD."""

    def preload(self, before):
        env = environment()
        env["LD_PRELOAD"] = before
        status, out, _ = self.tcpshim("run", "env", "-0", env=env)
        self.assertEqual(status, 0)
        return re.search(r"(?:^|\0)LD_PRELOAD=([^\0]*)", os.fsdecode(out)).group(1)

    def test_it_stands_before_what_is_there(self):
        ours = paths.library()
        for others in ("libm.so.6", "libm.so.6:libdl.so.2", "libm.so.6 libdl.so.2 ",
                       ":".join(["libm.so.6"] * 500)):
            self.assertEqual(self.preload(others), ours + ":" + others)
        self.assertEqual(self.preload(""), ours)

    def test_it_is_not_added_twice(self):
        ours = paths.library()
        link = self.path("link.so")
        os.symlink(ours, link)
        for already in (ours, "libm.so.6:" + ours, ours + " libm.so.6", "libm.so.6:" + link, link,
                        os.path.dirname(ours) + "/../" + os.path.relpath(
                            ours, os.path.dirname(os.path.dirname(ours)))):
            self.assertEqual(self.preload(already), already)
        self.assertEqual(self.tcpshim("run", self.tool, "run", "printenv", "LD_PRELOAD"),
                         (0, ours.encode() + b"\n", b""))

    def test_another_library_of_that_name_is_another(self):
        other = self.path("libreuse.so")
        shutil.copy(paths.library(), other)
        self.assertEqual(self.preload(other), paths.library() + ":" + other)

    def test_started_in_any_way(self):
        """By a relative path, through a link, from PATH: the library beside the tool itself."""
        expected = {"LD_PRELOAD": paths.library()}
        folder = os.path.dirname(self.tool)
        link = self.path("elsewhere")
        os.symlink(self.tool, link)
        self.assertEqual(self.seen(tool="./tcpshim", cwd=folder), expected)
        self.assertEqual(self.seen(tool=os.path.relpath(self.tool, self.folder),
                                   cwd=self.folder), expected)
        self.assertEqual(self.seen(tool=link), expected)
        env = environment()
        env["PATH"] = folder + ":" + env["PATH"]
        status, out, err = self.run_program(
            [shutil.which("env"), "tcpshim", "run", "printenv", "LD_PRELOAD"], env, cwd="/")
        self.assertEqual((status, out, err), (0, paths.library().encode() + b"\n", b""))

    def placed(self, folder, library):
        """The tool in that folder of the test's, the library at that place."""
        tool = os.path.join(self.folder, folder, "tcpshim")
        os.makedirs(os.path.dirname(tool), exist_ok=True)
        shutil.copy(self.tool, tool)
        if library:
            library = os.path.join(self.folder, library)
            os.makedirs(os.path.dirname(library), exist_ok=True)
            shutil.copy(paths.library(), library)
        return tool, library

    def test_installed(self):
        machine = os.uname().machine
        for number, lib in enumerate(("bin", "lib", "lib/%s-linux-gnu" % machine, "lib64")):
            tool, library = self.placed("%d/bin" % number, "%d/%s/libreuse.so" % (number, lib))
            self.assertEqual(self.seen(tool=tool), {"LD_PRELOAD": os.path.realpath(library)})

    def test_no_library(self):
        tool, _ = self.placed("alone/bin", None)
        status, out, err = self.run_program([tool, "run", "true"])
        self.assertEqual((status, out, err.count(b"\n")), (125, b"", 1), err)
        self.assertIn(b"libreuse.so is not found", err)
        self.assertIn(os.fsencode(os.path.dirname(tool)), err)
        self.assertIn(b"../lib/", err)

    def test_a_path_that_ld_preload_can_not_hold(self):
        for name in ("a b", "a:b", "$LIB"):
            tool, _ = self.placed(name, name + "/libreuse.so")
            status, out, err = self.run_program([tool, "run", "true"])
            self.assertEqual((status, out, err.count(b"\n")), (125, b"", 1), err)
            self.assertIn(b"LD_PRELOAD", err)
            self.assertIn(name.encode(), err)


class Becoming(ToolCase):
    """The program takes the tool's place."""

    def test_the_process_is_the_programs(self):
        process = self.start([self.tool, "run", "sh", "-c", "echo $$ $PPID; exec sleep 60"])
        self.assertEqual(read_line(process).split(), [str(process.pid), str(os.getpid())])
        process.terminate()
        self.assertEqual(process.wait(), -signal.SIGTERM)

    def test_the_status_is_the_programs(self):
        for status in (0, 1, 2, 3, 125, 255):
            self.assertEqual(self.tcpshim("run", "sh", "-c", "exit %d" % status),
                             (status, b"", b""))
        for number in (signal.SIGKILL, signal.SIGABRT):
            self.assertEqual(self.tcpshim("run", "sh", "-c", "kill -%d $$" % number)[0], -number)

    def test_not_found(self):
        for name in ("nosuch-command", "./nosuch", "/nosuch/x"):
            status, out, err = self.tcpshim("run", name)
            self.assertEqual((status, out, err.count(b"\n")), (127, b"", 1), err)
            self.assertIn(name.encode(), err)

    def test_not_executable(self):
        plain = self.path("plain")
        with open(plain, "w"):
            pass
        for name in (plain, self.folder):
            status, out, err = self.tcpshim("run", name)
            self.assertEqual((status, out, err.count(b"\n")), (126, b"", 1), err)
            self.assertIn(name.encode(), err)

    def test_descriptors(self):
        """As the program would have them without the tool, and with the log off no more."""
        command = [paths.PYTHON, "-I", "-S", "-c", DESCRIPTORS]
        plain = self.run_program(command)
        self.assertEqual(self.run_program([self.tool, "run"] + command), plain)

    def test_standard_streams_that_are_closed(self):
        script = "exec <&- >&- 2>&-; exec %s run %s" % (self.tool, "sh -c 'exit 4'")
        self.assertEqual(self.run_program(["sh", "-c", script])[0], 4)

    def test_signals_are_as_they_were(self):
        script = "trap '' TERM; exec %s run grep SigIgn /proc/self/status" % self.tool
        plain = script.replace(self.tool + " run ", "")
        self.assertEqual(self.run_program(["sh", "-c", script]),
                         self.run_program(["sh", "-c", plain]))

    def test_arguments(self):
        words = ["a b", "", "*", "$HOME", "--", "\n", "x" * 10000]
        _, out, _ = self.tcpshim("run", "--", paths.PYTHON, "-I", "-S", "-c",
                                 "import sys; print(sys.argv[1:])", *words)
        self.assertEqual(out.decode(), "%r\n" % words)

    def test_path_is_searched_as_execvp_does(self):
        """A folder and a file without permission of that name are passed over."""
        for folder in ("1", "2", "3"):
            os.mkdir(self.path(folder))
        os.mkdir(self.path("1/it"))
        with open(self.path("2/it"), "w"):
            pass
        static = self.compiled(STATIC, "-static")
        os.rename(static, self.path("3/it"))
        env = environment()
        env["PATH"] = ":".join(self.path(folder) for folder in "123")
        status, _, err = self.tcpshim("run", "it", env=env)
        self.assertEqual(status, 5)
        self.assertIn(self.path("3/it").encode(), err)
        env["PATH"] = ":/nosuch"
        self.assertIn(b"./it is static", self.tcpshim("run", "it", env=env,
                                                      cwd=self.path("3"))[2])


class Unreached(ToolCase):
    """Programs that LD_PRELOAD does not reach: a line says so, and they run all the same."""

    def warned(self, program, words, status=5, env=None):
        got, out, err = self.tcpshim("run", program, env=env)
        self.assertEqual((got, out, err.count(b"\n")), (status, b"", 1), err)
        self.assertIn(words.encode(), err)

    def script(self, interpreter):
        path = self.fresh("script")
        with open(path, "w") as file:
            file.write("#! %s\nexit 5\n" % interpreter)
        os.chmod(path, 0o755)
        return path

    def test_static(self):
        for flags in (["-static"], ["-static-pie"]):
            program = self.compiled(STATIC, *flags)
            self.warned(program, program + " is statically linked")

    def test_a_script_of_a_static_interpreter(self):
        program = self.compiled(STATIC, "-static")
        script = self.script(program)
        self.warned(script, program + " is statically linked")
        self.warned(self.script(script), program + " is statically linked")

    def test_scripts_in_a_circle(self):
        path = self.path("circle")
        os.rename(self.script(path), path)
        status, _, err = self.tcpshim("run", path)
        self.assertEqual((status, err.count(b"\n")), (126, 1), err)

    def test_those_that_are_reached(self):
        for program in (self.compiled(STATIC), self.script("/bin/sh"),
                        self.script("/usr/bin/env sh")):
            self.assertEqual(self.tcpshim("run", program), (5, b"", b""))
        without_interpreter = self.path("text")
        with open(without_interpreter, "w") as file:
            file.write("exit 5\n")
        os.chmod(without_interpreter, 0o755)
        self.assertEqual(self.tcpshim("run", without_interpreter), (5, b"", b""))

    def test_the_dynamic_linker_as_a_program(self):
        found = re.search(rb"/\S*/ld-linux\S*", self.run_program(["ldd", self.tool])[1])
        if not found:
            self.skipTest("the dynamic linker has another name")
        self.assertEqual(self.tcpshim("run", found.group().decode(), self.compiled(STATIC)),
                         (5, b"", b""))

    def test_another_machine(self):
        """Nor is a shell given what the kernel refuses, as execvp alone would do."""
        program = self.compiled(STATIC)
        riscv, i386, x32 = {18: 0xf3}, {18: 3, 4: 1}, {4: 1}
        for changes in (riscv, i386, x32):
            other = self.fresh("other")
            with open(program, "rb") as file:
                content = bytearray(file.read())
            for offset, value in changes.items():
                content[offset] = value
            with open(other, "wb") as file:
                file.write(content)
            os.chmod(other, 0o755)
            for command in (other, self.script(other)):
                status, out, err = self.tcpshim("run", command, cwd=self.folder)
                self.assertIn(other.encode() + b" is made for another machine", err)
                if changes != x32:  # The kernel may not look at the word size.
                    self.assertEqual((status, out, err.count(b"\n")), (126, b"", 2), err)
                    self.assertIn(b"Exec format error", err)

    def test_headers_that_are_cut_or_lie(self):
        """The first bytes of a program, and tables of segments that are nowhere or endless.

        Each is the interpreter of a script: the kernel refuses it, so execvp lets a shell run it.
        """
        with open(self.compiled(STATIC), "rb") as file:
            content = file.read(400)
        far = content[:32] + b"\xff" * 8 + content[40:]
        endless = content[:56] + b"\xff\xff" + content[58:]
        for lie in [content[:size] for size in (0, 1, 4, 16, 63, 64, 100)] + [far, endless]:
            path = self.fresh("cut")
            with open(path, "wb") as file:
                file.write(lie)
            os.chmod(path, 0o755)
            status, out, err = self.tcpshim("run", self.script(path))
            self.assertEqual((status, out), (5, b""), (lie, err))

    @needs_root
    def test_setuid(self):
        program = self.compiled(STATIC)
        os.chmod(self.folder, 0o755)
        nobody = pwd.getpwnam("nobody")
        os.chown(program, nobody.pw_uid, nobody.pw_gid)
        os.chmod(program, 0o4755)
        if os.statvfs(self.folder).f_flag & os.ST_NOSUID:
            self.skipTest("setuid programs are not heeded in %s" % self.folder)
        self.warned(program, "gains privileges")
        os.chmod(program, 0o2755)
        self.warned(program, "gains privileges")
        os.chown(program, os.getuid(), os.getgid())
        os.chmod(program, 0o6755)
        self.assertEqual(self.tcpshim("run", program), (5, b"", b""))


class Rescue(ToolCase):
    """The main job, through the tool."""

    def crash(self, *options):
        """Start the demo server, connect, kill it, and again: both runs must serve."""
        port = str(self.port())
        log = self.path("log.json")
        for _ in range(2):
            server = self.start([self.tool, "run", *options, "--json", "--log", log,
                                 paths.demo("server"), port])
            self.assertIn("listening", read_line(server))
            client = socket.create_connection(("127.0.0.1", int(port)), 10)
            self.addCleanup(client.close)
            client.sendall(b"x")
            self.assertEqual(client.recv(1), b"x")
            server.send_signal(signal.SIGKILL)
            server.wait()
            client.settimeout(40)
            client.recv(1)
            client.close()
        return log

    def test_a_crashed_server_starts_again_at_once(self):
        self.crash()
        events = self.log("log.json").read()
        binds = [event for event in events if event["call"] == "bind"]
        self.assertEqual([bind["ret"] for bind in binds], [0, 0])

    def test_only_with_reuse(self):
        """What the tool is told, it does."""
        with self.assertRaises(AssertionError):
            self.crash("--reuse=off")
        self.assertEqual([event["error"] for event in self.log("log.json").read()
                          if event["call"] == "bind" and event["ret"]], ["EADDRINUSE"])
