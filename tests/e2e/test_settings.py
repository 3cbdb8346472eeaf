# SPDX-License-Identifier: MIT
"""The settings: each value, each wrong value, and the programs that they name."""

import os
import pty
import re
import select
import shutil
import socket
import subprocess

from harness import contract, paths
from harness.case import Case, environment, needs_root, shimmed

SCRIPT = ("import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); s.close()")
TEXT = re.compile(r"^\d\d:\d\d:\d\d\.\d{6} (\S+)\[(\d+)\] (\w+)\((.*)\) = (-?\d+)( E\w+)?"
                  r"( <[^>]+>)? +(\S.*)$")


class Settings(Case):
    """Run a small program under a setting."""

    def run_script(self, script=SCRIPT, env=None, **settings):
        env = env or shimmed(**settings)
        return self.run_program([paths.PYTHON, "-I", "-S", "-c", script], env)

    def content(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()


class Values(Settings):
    """What the values do."""

    def test_off_is_the_default(self):
        for settings in ({}, {"LOG": "off"}, {"LOG": "off", "FORMAT": "json"}):
            self.assertEqual(self.run_script(**settings), (0, b"", b""))

    def test_text_is_the_default(self):
        status, out, err = self.run_script(LOG="stderr")
        self.assertEqual((status, out), (0, b""))
        lines = err.decode().split("\n")
        self.assertEqual(lines.pop(), "")
        calls = []
        for line in lines:
            found = TEXT.match(line)
            self.assertTrue(found, line)
            calls.append((found.group(3), found.group(8)))
        self.assertEqual(calls, [("socket", "CLOSED"), ("bind", "CLOSED"),
                                 ("listen", "CLOSED -> LISTEN"), ("close", "LISTEN -> CLOSED")])

    def test_text_of_a_connection(self):
        _, _, err = self.run_script(
            "import socket\n"
            "l = socket.create_server(('127.0.0.1', 0)); c = socket.socket()\n"
            "c.connect(l.getsockname()); a, _ = l.accept()\n"
            "c.shutdown(socket.SHUT_WR); a.recv(1); a.close(); c.close()\n"
            "socket.socket().connect_ex(('127.0.0.1', 1))", LOG="stderr")
        text = err.decode()
        for wanted in (r"accept4\(\d+\) = \d+ <127\.0\.0\.1:\d+ 127\.0\.0\.1:\d+> +"
                       r"\(SYN_RCVD\) -> ESTABLISHED\n",
                       r"shutdown\(\d+, SHUT_WR\) = 0 .* ESTABLISHED -> FIN_WAIT_1",
                       r"CLOSE_WAIT -> LAST_ACK",
                       r"connect\(\d+, 127\.0\.0\.1:1\) = -1 ECONNREFUSED "):
            self.assertTrue(re.search(wanted, text), "%s in\n%s" % (wanted, text))

    def test_text_notes_are_indented(self):
        port = self.port()
        _, _, err = self.run_script(SCRIPT.replace("0))", "%d))" % port), LOG="stderr")
        notes = [line for line in err.decode().split("\n") if "note:" in line]
        self.assertEqual(len(notes), 1, err)
        self.assertTrue(notes[0].startswith("   "), notes)
        self.assertIn("SO_REUSEADDR", notes[0])

    def test_stdout(self):
        status, out, err = self.run_script("print('own', flush=True); " + SCRIPT, LOG="stdout")
        self.assertEqual((status, err), (0, b""))
        lines = out.decode().split("\n")
        self.assertEqual(lines[0], "own")
        self.assertTrue(all(TEXT.match(line) for line in lines[1:-1]), out)
        self.assertEqual(len(lines), 6)

    def test_json(self):
        status, _, err = self.run_script(LOG="stderr", FORMAT="json")
        self.assertEqual(status, 0)
        events = [contract.parse(line + b"\n") for line in err.split(b"\n")[:-1]]
        self.assertEqual([event["call"] for event in events],
                         ["socket", "bind", "listen", "close"])

    def test_calls(self):
        log = self.log()
        p = self.puppet(log, CALLS="bind,close")
        p("s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); s.close()")
        self.expect(log.read(), ("bind", dict(seq=1, was=None, state="CLOSED")),
                    ("close", dict(seq=2, was="CLOSED", state="CLOSED")))

    def test_calls_that_are_not_named_leave_no_state(self):
        log = self.log()
        p = self.puppet(log, CALLS="socket,shutdown")
        p("s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
          "s.shutdown(socket.SHUT_RD); s.close()")
        self.expect(log.read(), ("socket", dict(state="CLOSED")),
                    ("shutdown", dict(was="CLOSED", state="CLOSED")))

    def test_calls_do_not_touch_reuse(self):
        log, port = self.log(), self.port()
        p = self.puppet(log, CALLS="close")
        p("s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)\n"
          "s.bind(('127.0.0.1', %d))" % port)
        self.assertEqual(p.eval("s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)"), 0)
        p("s = socket.socket(); s.bind(('127.0.0.2', %d))" % port)
        self.assertEqual(p.eval("s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)"), 1)

    def test_color(self):
        for color, sort in (("always", True), ("never", False), ("auto", False)):
            _, _, err = self.run_script(LOG="stderr", COLOR=color)
            self.assertEqual(b"\x1b[" in err, sort, color)

    def on_a_terminal(self, **more):
        """Standard error of the script on a terminal."""
        env = dict(shimmed(LOG="stderr"), TERM="xterm")
        env.update(more)
        return self.run_on_terminal([paths.PYTHON, "-I", "-S", "-c", SCRIPT], env)

    def test_color_on_a_terminal(self):
        self.assertIn(b"\x1b[", self.on_a_terminal())
        self.assertNotIn(b"\x1b[", self.on_a_terminal(NO_COLOR="1"))
        self.assertNotIn(b"\x1b[", self.on_a_terminal(TCPSHIM_COLOR="never"))
        self.assertIn(b"\x1b[", self.on_a_terminal(TCPSHIM_COLOR="always", NO_COLOR="1"))

    def test_color_never_in_json(self):
        _, _, err = self.run_script(LOG="stderr", FORMAT="json", COLOR="always")
        self.assertNotIn(b"\x1b", err)


class Programs(Settings):
    """TCPSHIM_ONLY and TCPSHIM_SKIP."""

    def linked(self, name):
        path = self.path(name)
        os.symlink(shutil.which("true"), path)
        return path

    def acts(self, name="walk_listen", **settings):
        """Does the shim act in this program?"""
        log = self.path("acts.json")
        self.run_program([self.program(name)], shimmed(LOG=log, FORMAT="json", **settings))
        try:
            return os.path.getsize(log) > 0
        except FileNotFoundError:
            return False
        finally:
            if os.path.exists(log):
                os.unlink(log)

    def test_only(self):
        self.assertTrue(self.acts())
        self.assertTrue(self.acts(ONLY="walk_listen"))
        self.assertTrue(self.acts(ONLY="nginx,walk_listen,x"))
        self.assertFalse(self.acts(ONLY="nginx"))
        self.assertFalse(self.acts(ONLY="walk_liste"))
        self.assertFalse(self.acts(ONLY="walk_listen2"))

    def test_skip(self):
        self.assertFalse(self.acts(SKIP="walk_listen"))
        self.assertFalse(self.acts(SKIP="a,walk_listen"))
        self.assertTrue(self.acts(SKIP="nginx,walk_liste"))
        self.assertFalse(self.acts(ONLY="walk_listen", SKIP="walk_listen"))

    def test_long_names(self):
        """A name in /proc/PID/comm has at most 15 bytes; as many are compared."""
        name = "program_of_a_long_name"
        shutil.copy(self.program("walk_listen"), self.path(name))

        def acts(**settings):
            log = self.fresh("log")
            self.run_program([self.path(name)], shimmed(LOG=log, **settings))
            return os.path.exists(log) and os.path.getsize(log) > 0
        self.assertTrue(acts(ONLY=name))
        self.assertTrue(acts(ONLY=name[:15]))
        self.assertFalse(acts(SKIP=name))
        self.assertFalse(acts(ONLY=name[:14]))

    def test_where_it_does_not_act_it_does_not_reuse(self):
        port = self.port()
        for settings, value in (({"SKIP": "python3.11,python3,python"}, 0),
                                ({"ONLY": "nginx"}, 0), ({"SKIP": "nginx"}, 1)):
            if "SKIP" in settings and value == 0:
                settings["SKIP"] = os.path.basename(paths.PYTHON)[:15]
            p = self.puppet(**settings)
            p("s = socket.socket(); s.bind(('127.0.0.1', %d))" % port)
            self.assertEqual(p.eval("s.getsockopt(1, 2)"), value, settings)
            p.close()

    def test_names_in_the_log(self):
        """Whatever the program is called, the line is JSON in UTF-8."""
        for name in (b'with "quotes"', b"back\\slash", b"new\nline", b"tab\tand\x01",
                     b"not\xff\xfeutf8", "émigré".encode(), b"\xc3\xa9" * 7 + b"\xe2\x82\xac"):
            path = os.path.join(os.fsencode(self.folder), name)
            shutil.copy(self.program("walk_listen"), path)
            log = self.log(self.fresh("log").rpartition("/")[2])
            self.run_program([path], shimmed(LOG=log.path, FORMAT="json"))
            events = log.read()
            self.assertTrue(events)
            if name.isascii():
                self.assertEqual(events[0]["prog"], name.decode()[:15])

    def test_the_name_at_load(self):
        """prog is the name when the shim was loaded."""
        log = self.log()
        p = self.puppet(log)
        p("s = socket.socket(); C.prctl(15, b'renamed', 0, 0, 0); s.close()")
        names = {event["prog"] for event in log.read()}
        self.assertEqual(names, {os.path.basename(paths.PYTHON)[:15]})


class Wrong(Settings):
    """A value that cannot be understood: one line that says so, and the program runs."""

    def complaint(self, expected_default=None, **settings):
        """The one line on standard error."""
        status, out, err = self.run_script(**settings)
        self.assertEqual((status, out), (0, b""))
        lines = err.decode("utf-8", "replace").split("\n")
        self.assertEqual((len(lines), lines[-1]), (2, ""), err)
        return lines[0]

    def test_each(self):
        for variable, value, accepted in (
                ("FORMAT", "xml", "json"), ("REUSE", "maybe", "gentle"), ("REUSE", "", "gentle"),
                ("REUSEPORT", "2", "1"), ("REUSEPORT", "yes", "1"), ("PORTS", "http", "8000"),
                ("PORTS", "70000", "8000"), ("PORTS", "9-8", "8000"), ("PORTS", "1,,2", "8000"),
                ("PORTS", "-1", "8000"), ("CALLS", "bind,read", "bind"), ("CALLS", "Bind", "bind"),
                ("COLOR", "pink", "never"), ("FORMAT", "JSON", "json")):
            if value == "":
                continue
            line = self.complaint(**{variable: value})
            self.assertIn("TCPSHIM_" + variable, line)
            self.assertIn(value, line)
            self.assertIn(accepted, line)

    def test_the_default_is_used(self):
        log, port = self.log(), self.port()
        p = self.puppet(log, silent=False, REUSE="maybe", PORTS="x", REUSEPORT="x")
        p("s = socket.socket(); s.bind(('127.0.0.1', %d))" % port)
        self.assertEqual(p.eval("s.getsockopt(1, 2)"), 1)
        self.assertEqual(p.eval("s.getsockopt(1, 15)"), 0)
        self.assertEqual(p.error().count(b"\n"), 3)

    def test_strange_bytes_stay_on_one_line(self):
        for value in ("a\nb", "a\rb\x1b[31m", "x" * 5000, "\xff\xfe", "%s%n%d"):
            status, out, err = self.run_script(REUSE=value)
            self.assertEqual((status, out, err.count(b"\n")), (0, b"", 1), value[:20])
            self.assertNotIn(b"\x1b", err)
            self.assertNotIn(b"\r", err)
            self.assertLess(len(err), 4097)

    def test_logs_that_cannot_be_opened(self):
        os.mkdir(self.path("folder"))
        os.mkfifo(self.path("fifo"))
        with open(self.path("plain"), "w"):
            pass
        os.makedirs(self.path("systemd/journal.x"))
        socks = [socket.socket(socket.AF_UNIX, kind)
                 for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_DGRAM)]
        for sock, name in zip(socks, ("stream", "dead", "systemd/journal.x/socket")):
            sock.bind(self.path(name))
        socks[0].listen()
        socks[1].close()
        before = sorted(os.walk(self.folder))
        for value, why in ((self.path("no/such/folder/log"), "ENOENT"),
                           (self.path("folder"), "a folder"),
                           (self.path("fifo"), "a FIFO that nobody reads"),
                           (self.path("stream"), "a socket: unix:PATH was probably meant"),
                           ("/dev/fd/999", "a descriptor that is not open"),
                           ("unix:" + self.path("nobody"), "ENOENT"),
                           ("unix:" + "x" * 200, "ENAMETOOLONG"),
                           ("unix:" + self.path("stream"),
                            "a stream socket; events are sent as datagrams"),
                           ("unix:" + self.path("dead"), "a socket that nobody reads"),
                           ("unix:" + self.path("plain"), "no socket"),
                           ("unix:" + self.path("systemd/journal.x/socket"),
                            "systemd's own protocol is spoken there: TCPSHIM_LOG=journal")):
            self.assertEqual(self.complaint(LOG=value), "libreuse: TCPSHIM_LOG=%s can't be opened "
                                                        "(%s); nothing is logged" % (value, why))
        self.assertEqual(sorted(os.walk(self.folder)), before)
        for sock in socks:
            sock.close()

    def test_words_that_are_no_path(self):
        """No file of that name is made, and the line says what was probably meant."""
        for value, meant in [(word, "stderr was probably meant") for word in
                             ("1", "on", "true", "yes", "STDERR", "err", "2", "-")] + [
                                 ("events", "write ./events"), ("unix:", "a path is missing"),
                                 ("ring:%s:xyz" % self.path("ring"), "a size from 64K to 1024G"),
                                 ("ring:" + self.path("ring") + ":", "a size from 64K to 1024G")]:
            status, out, err = self.run_program([paths.PYTHON, "-I", "-S", "-c", SCRIPT],
                                                shimmed(LOG=value), cwd=self.folder)
            self.assertEqual((status, out, err.count(b"\n")), (0, b"", 1))
            self.assertIn("TCPSHIM_LOG=%s is not understood: " % value, err.decode())
            self.assertIn(meant, err.decode())
            self.assertEqual([name for name in os.listdir(self.folder)
                              if not name.startswith("stderr")], [])

    def test_a_long_path_leaves_room_for_the_reason(self):
        line = self.complaint(LOG="/" + "x" * 3000)
        self.assertIn("ENAMETOOLONG", line)

    def test_a_fifo_that_nobody_reads_is_not_waited_for(self):
        os.mkfifo(self.path("fifo"))
        self.assertIn("fifo", self.complaint(LOG=self.path("fifo")))

    def test_settings_that_nobody_knows_are_not_ours(self):
        env = shimmed()
        env["TCPSHIM_FOO"] = "bar"
        self.assertEqual(self.run_script(env=env), (0, b"", b""))

    def test_reuse_works_though_the_log_does_not(self):
        port = self.port()
        p = self.puppet(silent=False, LOG=self.path("no/such/log"))
        p("s = socket.socket(); s.bind(('127.0.0.1', %d))" % port)
        self.assertEqual(p.eval("s.getsockopt(1, 2)"), 1)


class Shared(Settings):
    """A folder in which others were first: what is there is judged before it is opened."""

    def made(self, name, mode=0o600, content=b"theirs\n"):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, mode)
        return path

    def refused(self, path, why, kinds=("", "ring:")):
        for kind in kinds:
            status, out, err = self.run_script(LOG=kind + path)
            self.assertEqual((status, out), (0, b""))
            self.assertEqual(err.decode(), "libreuse: TCPSHIM_LOG=%s%s can't be opened (%s); "
                                           "nothing is logged\n" % (kind, path, why))

    def taken(self, path, **settings):
        self.assertEqual(self.run_script(LOG=path, **settings), (0, b"", b""))

    def test_links(self):
        target, link = self.made("target"), self.path("link")
        why = "a symbolic link, which could lead anywhere"
        for to in (target, "nothing", "/dev/null"):
            os.symlink(to, link)
            self.refused(link, why)
            os.unlink(link)
        os.link(target, link)
        self.refused(link, "a file that has other names as well")
        self.refused(target, "a file that has other names as well")
        self.assertEqual(self.content("target"), b"theirs\n")
        self.assertFalse(os.path.exists(self.path("nothing")))

    def test_files_that_others_may_write_to(self):
        path = self.made("log", 0o666)
        self.refused(path, "a file that others may write to")
        os.chmod(path, 0o602)
        self.refused(path, "a file that others may write to")
        self.assertEqual(self.content("log"), b"theirs\n")
        os.chmod(path, 0o664)  # the group is the caller's own
        self.taken(path)
        self.assertEqual(self.content("log").count(b"\n"), 5)

    @needs_root
    def test_files_of_others(self):
        path = self.made("log", 0o660)
        os.chown(path, 0, 65534)
        self.refused(path, "a file that others may write to")
        os.chmod(path, 0o640)
        self.taken(path)
        os.chown(path, 65534, 0)
        self.refused(path, "another user's file", kinds=["", "ring:"])
        self.assertEqual(self.content("log").count(b"\n"), 5)

    def test_nothing_is_opened_before_it_was_judged(self):
        """The reader of a FIFO that is refused never sees it opened, and so never its end."""
        path = self.path("fifo")
        os.mkfifo(path)
        os.chmod(path, 0o622)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        hung_up = select.poll()
        hung_up.register(reader, select.POLLHUP)
        self.refused(path, "a file that others may write to", kinds=[""])
        self.assertEqual(hung_up.poll(0), [])
        os.close(reader)

    def test_devices_are_free(self):
        self.taken("/dev/null")
        self.refused("/dev/null", "no plain file", kinds=["ring:"])
        main, side = pty.openpty()
        self.taken(os.ttyname(side), COLOR="never")
        self.assertIn(b" socket(", os.read(main, 65536))
        os.close(main)
        os.close(side)

    def test_a_file_that_may_only_be_written(self):
        if os.geteuid() == 0:
            self.skipTest("root may read all")
        path = self.made("log", 0o200)
        self.taken(path)
        os.chmod(path, 0o600)
        self.assertEqual(self.content("log").count(b"\n"), 5)

    def test_descriptors(self):
        """A path that names a descriptor is that one: at its place in the file, closed to none."""
        for name in ("/dev/stderr", "/dev/fd/2", "/proc/self/fd/2", "/proc/thread-self/fd/2"):
            path = self.made("file", 0o666)
            file = os.open(path, os.O_WRONLY | os.O_TRUNC)
            process = self.start([paths.PYTHON, "-I", "-S", "-c",
                                  "import os; os.write(2, b'own\\n'); " + SCRIPT],
                                 shimmed(LOG=name), stderr=file)
            self.assertEqual(process.wait(), 0)
            os.close(file)
            lines = self.content("file").split(b"\n")
            self.assertEqual((lines[0], len(lines)), (b"own", 6), name)
            self.assertIn(b"socket(", lines[1])

    def test_a_descriptor_to_read_from(self):
        with open(self.made("file"), "rb") as file:
            status, out, err = self.run_program([paths.PYTHON, "-I", "-S", "-c", SCRIPT],
                                                shimmed(LOG="/dev/stdin"), stdin=file)
        self.assertEqual((status, out, err.decode()), (
            0, b"", "libreuse: TCPSHIM_LOG=/dev/stdin can't be opened (a descriptor that is not "
                    "open for writing); nothing is logged\n"))

    def test_process_substitution(self):
        bash = paths.find("bash")
        if not bash:
            self.skipTest("no bash")
        script = "LD_PRELOAD=%s TCPSHIM_LOG=>(cat) %s -I -S -c \"%s\" | cat" % (
            paths.preload(), paths.PYTHON, SCRIPT)
        status, out, err = self.run_program([bash, "-c", script])
        self.assertEqual((status, err, out.count(b"\n")), (0, b"", 4))

    def test_a_descriptor_of_another_process(self):
        """/proc/PID/fd/N, as in a container: that link is the kernel's, and is followed."""
        reader, writer = os.pipe()
        self.taken("/proc/%d/fd/%d" % (os.getpid(), writer))
        self.assertEqual(os.read(reader, 65536).count(b"\n"), 4)
        os.close(writer)
        os.close(reader)


class Inherited(Settings):
    """What is wrong is told by the first process alone, and not into $(command 2>&1)."""

    def told(self, script, env=None, cwd=None, **settings):
        """The lines on standard error of a shell under the shim and what it starts."""
        status, out, err = self.run_program(["/bin/sh", "-c", script], env or shimmed(**settings),
                                            cwd=cwd or self.folder)
        self.assertEqual(status, 0)
        return out, err.decode().split("\n")[:-1]

    CHILDREN = "x=$(/bin/true 2>&1; /bin/true 2>&1); echo \"$x\""

    def test_a_child_is_silent(self):
        for settings in ({"LOG": "/no/such"}, {"LOG": "no/./such"}, {"LOG": "ring:no/such:1M"},
                         {"LOG": "unix:./nobody"}, {"LOG": "on"}, {"REUSE": "maybe"}):
            out, lines = self.told(self.CHILDREN, **settings)
            self.assertEqual((out, len(lines)), (b"\n", 1), (settings, lines))

    def test_another_value_is_told(self):
        out, lines = self.told("x=$(TCPSHIM_LOG=/no/other /bin/true 2>&1; echo); echo \"$x\"",
                               LOG="/no/such")
        self.assertIn(b"/no/other", out)
        self.assertEqual(len(lines), 1)

    def test_a_parent_without_the_library_has_told_nothing(self):
        env = environment(LOG="/no/such")
        _, lines = self.told("LD_PRELOAD=%s; export LD_PRELOAD; /bin/true; /bin/true; :"
                             % paths.preload(), env=env)
        self.assertEqual(len(lines), 2)

    def test_a_parent_in_which_it_does_not_act_has_told_nothing(self):
        out, lines = self.told(self.CHILDREN, LOG="/no/such", SKIP="sh,dash,bash")
        self.assertEqual((out.count(b"/no/such"), lines), (2, []))
        out, lines = self.told(self.CHILDREN, REUSE="maybe", SKIP="sh,dash,bash")
        self.assertEqual((out, len(lines)), (b"\n", 1))

    def test_a_parent_whose_own_log_is_open_has_told_nothing(self):
        """Where each has another path, and where it is another one's since."""
        for log, script in (("%s/%%n.json", "mkdir true.json"),
                            ("ring:%s/%%n.ring:1M", "mkdir true.ring"),
                            ("%s/all.json", "rm all.json; mkdir all.json")):
            out, lines = self.told("%s; %s" % (script, self.CHILDREN), LOG=log % self.folder,
                                   SKIP="rm,mkdir")
            self.assertEqual((out.count(b"can't be opened (a folder)"), lines), (2, []), (log, out))

    @needs_root
    def test_a_parent_that_can_not_be_looked_at_has_told_nothing(self):
        setpriv = paths.find("setpriv")
        if not setpriv:
            self.skipTest("no setpriv")
        os.chmod(self.folder, 0o711)
        library = self.path("libreuse.so")
        shutil.copy(paths.library(), library)
        env = dict(shimmed(LOG="/no/such"), LD_PRELOAD=library)
        out, lines = self.told("x=$(%s --reuid=65534 --clear-groups /bin/true 2>&1); echo \"$x\""
                               % setpriv, env=env)
        self.assertEqual((out.count(b"/no/such"), len(lines)), (1, 1), out)

    def test_the_environment_is_looked_at_only_then(self):
        strace = paths.find("strace")
        if not strace:
            self.skipTest("no strace")
        for log, count in ((self.path("log"), 0), ("/no/such", 1)):
            trace = self.fresh("trace")
            env = shimmed(LOG=log)
            self.run_program([strace, "-o", trace, "-e", "trace=openat",
                              "-E", "LD_PRELOAD=" + env.pop("LD_PRELOAD"), "/bin/true"], env)
            with open(trace) as file:
                self.assertEqual(file.read().count("/environ"), count)


class Environment(Settings):
    """What the shim does to the environment, and what it does not."""

    def test_a_relative_entry_becomes_absolute(self):
        folder, name = os.path.split(paths.library())
        env = environment()
        env.update(LD_PRELOAD="./" + name, OTHER="./" + name, TCPSHIM_REUSE="auto")
        _, out, err = self.run_program(
            [paths.PYTHON, "-I", "-S", "-c",
             "import os; print(sorted(os.environ.items()))"], env, cwd=folder)
        got = dict(eval(out))
        wanted = dict(env, LD_PRELOAD=os.path.join(folder, name))
        for key in ("LC_CTYPE",):
            got.pop(key, None)
            wanted.pop(key, None)
        self.assertEqual(os.path.realpath(got["LD_PRELOAD"]), os.path.realpath(
            wanted["LD_PRELOAD"]))
        self.assertTrue(os.path.isabs(got["LD_PRELOAD"]))
        got.pop("LD_PRELOAD")
        wanted.pop("LD_PRELOAD")
        self.assertEqual((got, err), (wanted, b""))

    def test_other_entries_stay(self):
        folder, name = os.path.split(paths.library())
        other = self.path("other.so")
        compiler = paths.find("cc")
        if not compiler:
            self.skipTest("no compiler")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", other, "-x", "c", os.devnull],
                       check=True)
        relative = os.path.relpath(other, folder)
        for entries in ("%s:./%s", "%s ./%s", "%s:./%s:"):
            env = environment()
            env["LD_PRELOAD"] = entries % (relative, name)
            _, out, _ = self.run_program(
                [paths.PYTHON, "-I", "-S", "-c",
                 "import os; print(os.environ['LD_PRELOAD'])"], env, cwd=folder)
            self.assertTrue(out.decode().startswith(relative), out)
            rest = out.decode()[len(relative):].strip(": \n")
            self.assertTrue(os.path.isabs(rest) and rest.endswith("/" + name), out)

    def test_an_absolute_entry_is_left(self):
        env = shimmed()
        _, out, _ = self.run_program(
            [paths.PYTHON, "-I", "-S", "-c", "import os; print(os.environ['LD_PRELOAD'])"], env)
        self.assertEqual(out.decode().strip(), env["LD_PRELOAD"])

    def test_children_elsewhere(self):
        """chdir and exec: the child is under the shim, and its events go to the same log."""
        folder, name = os.path.split(paths.library())
        log = self.log()
        env = shimmed(FORMAT="json")
        env["LD_PRELOAD"] = "./" + name
        env["TCPSHIM_LOG"] = os.path.relpath(log.path, folder)
        script = ("import os, subprocess, sys\nos.chdir('/')\n"
                  "subprocess.run([sys.executable, '-I', '-S', '-c', %r], check=True)\n"
                  "os.execv(sys.executable, [sys.executable, '-I', '-S', '-c', %r])"
                  % (SCRIPT, SCRIPT))
        status, out, err = self.run_program([paths.PYTHON, "-I", "-S", "-c", script], env,
                                            cwd=folder)
        self.assertEqual((status, out, err), (0, b"", b""))
        self.assertEqual([event["call"] for event in log.read()],
                         ["socket", "bind", "listen", "close"] * 2)

    def test_a_log_path_is_of_the_start(self):
        """Relative to the folder the program started in, though it opens later."""
        log = self.log("here.json")
        env = shimmed(LOG="here.json", FORMAT="json")
        self.run_program([paths.PYTHON, "-I", "-S", "-c",
                          "import os; os.chdir('/'); " + SCRIPT], env, cwd=self.folder)
        self.assertEqual(len(log.read()), 4)

    def test_relative_unix_path(self):
        reader = self.datagrams("reader")
        env = shimmed(LOG="unix:reader", FORMAT="json")
        script = ("import os, subprocess, sys\nos.chdir('/')\n"
                  "subprocess.run([sys.executable, '-I', '-S', '-c', %r], check=True)" % SCRIPT)
        status, _, err = self.run_program([paths.PYTHON, "-I", "-S", "-c", script], env,
                                          cwd=self.folder)
        self.assertEqual((status, err), (0, b""))
        self.assertEqual(len(reader.read()), 4)

    def test_secure_programs_ignore_the_settings(self):
        """A set-uid program with a log path in its environment writes nothing there."""
        if os.geteuid() != 0:
            self.skipTest("needs root")
        setpriv = paths.find("setpriv")
        if not setpriv:
            self.skipTest("no setpriv")
        os.chmod(self.folder, 0o777)
        program = self.path("setuid")
        shutil.copy(self.program("walk_listen"), program)
        os.chmod(program, 0o4755)
        env = shimmed(LOG=self.path("log"), FORMAT="json")
        self.run_program([setpriv, "--reuid=65534", "--clear-groups", program], env)
        self.assertFalse(os.path.exists(self.path("log")) and os.path.getsize(self.path("log")))


class Hidden(Settings):
    """Files and descriptors of the log."""

    def test_a_new_log_is_private(self):
        os.umask(0)
        self.run_script(LOG=self.path("log"))
        self.assertEqual(os.stat(self.path("log")).st_mode & 0o777, 0o600)

    def test_appended(self):
        with open(self.path("log"), "w") as file:
            file.write("before\n")
        os.chmod(self.path("log"), 0o640)
        self.run_script(LOG=self.path("log"))
        self.run_script(LOG=self.path("log"))
        lines = self.content("log").split(b"\n")
        self.assertEqual((lines[0], len(lines)), (b"before", 10))
        self.assertEqual(os.stat(self.path("log")).st_mode & 0o777, 0o640)

    def test_names_with_pid_and_program(self):
        process = self.start([paths.PYTHON, "-I", "-S", "-c", SCRIPT],
                             shimmed(LOG=self.path("log.%n.%p.%%.%q"), FORMAT="json"))
        process.wait()
        name = os.path.basename(paths.PYTHON)[:15]
        names = [entry for entry in os.listdir(self.folder) if entry.startswith("log.")]
        self.assertEqual(len(names), 1, names)
        self.assertTrue(names[0].startswith("log.%s.%d.%%." % (name, process.pid)), names)

    def test_a_slash_in_the_programs_name(self):
        p = self.puppet(LOG=self.path("first"), FORMAT="json")
        p("C.prctl(15, b'a/b', 0, 0, 0)")
        p("pid = os.fork()\n"
          "if pid == 0:\n"
          "    os.environ['TCPSHIM_LOG'] = %r\n"
          "    os.execv(sys.executable, [sys.executable, '-I', '-S', '-c', %r])\n"
          "os.waitpid(pid, 0)" % (self.path("second.%n"), SCRIPT))
        self.assertTrue([name for name in os.listdir(self.folder) if name.startswith("second.")])

    def test_a_fork_goes_on_and_an_exec_opens_the_next(self):
        script = ("import os, socket, sys\nsocket.socket().close()\npid = os.fork()\n"
                  "if pid == 0:\n    socket.socket().close()\n"
                  "    os.execv(sys.executable, [sys.executable, '-I', '-S', '-c', %r])\n"
                  "os.waitpid(pid, 0); print(pid)" % SCRIPT)
        process = self.start([paths.PYTHON, "-I", "-S", "-c", script],
                             shimmed(LOG=self.path("log.%p"), FORMAT="json"))
        out, _ = process.communicate(timeout=40)
        child = int(out)
        first, second = self.log("log.%d" % process.pid), self.log("log.%d" % child)
        self.assertEqual([(event["pid"], event["call"], event["seq"]) for event in first.read()],
                         [(process.pid, "socket", 1), (process.pid, "close", 2),
                          (child, "socket", 1), (child, "close", 2)])
        self.assertEqual([event["call"] for event in second.read()],
                         ["socket", "bind", "listen", "close"])

    def test_a_fifo(self):
        os.mkfifo(self.path("fifo"))
        reader = os.open(self.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
        status, _, err = self.run_script(LOG=self.path("fifo"), FORMAT="json")
        self.assertEqual((status, err), (0, b""))
        self.assertEqual(os.read(reader, 65536).count(b"\n"), 4)
        os.close(reader)

    def test_datagrams(self):
        reader = self.datagrams()
        self.run_script(LOG="unix:" + reader.path, FORMAT="json")
        self.assertEqual([event["call"] for event in reader.read()],
                         ["socket", "bind", "listen", "close"])

    def test_datagrams_of_text(self):
        reader = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        reader.bind(self.path("text"))
        self.run_script(LOG="unix:" + self.path("text"))
        reader.setblocking(False)
        for _ in range(4):
            self.assertTrue(TEXT.match(reader.recv(65536).decode().rstrip("\n")))
        reader.close()
