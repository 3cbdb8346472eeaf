# SPDX-License-Identifier: MIT
"""What bash, zsh and fish complete of tcpshim: typed into each, or asked of it."""

import os
import pty
import re
import shutil

from harness import paths
from harness.case import environment, timeout
from harness.tool import ToolCase

DIST = os.path.join(paths.ROOT, "dist")


def rows(name, expression):
    with open(os.path.join(paths.ROOT, name)) as file:
        return re.findall(expression, file.read(), re.M)


SUBCOMMANDS = rows("cli/subcommands.def", r"^SUBCOMMAND\((\w+),")
SETTINGS = rows("include/reuse/settings.def", r'^SETTING\("\w+", (\w+), "([^"]*)"')
OPTIONS = [name for name, _ in SETTINGS]
# Of run and check, beside those of the settings.
OTHERS = ["json", "help", "version", "user", "supervise", "no-supervise", "fail-on", "grace", "suppressions", "junit", "annotate"]


def only(word, words):
    """As much of it as tells it from all others, without its last letter at least; or None."""
    for length in range(1, len(word)):
        if not [other for other in words if other != word and other.startswith(word[:length])]:
            return word[:length]
    return None


def lines():
    """What is typed, and the words that must then be there."""
    for name in SUBCOMMANDS:
        yield "tcpshim " + only(name, SUBCOMMANDS), ["tcpshim", name]
        yield "tcpshim help " + only(name, SUBCOMMANDS), ["tcpshim", "help", name]
        yield "tcpshim %s --vers" % name, ["tcpshim", name, "--version"]
    for name, accepted in SETTINGS:
        begun = only(name, OPTIONS + OTHERS)
        if begun:
            for subcommand in ("run", "check"):
                yield "tcpshim %s --%s" % (subcommand, begun), ["tcpshim", subcommand, "--" + name]
        words = re.split(", | or ", accepted)
        if all(re.fullmatch("[a-z]+", word) for word in words):
            for word in words:
                yield ("tcpshim run --%s=%s" % (name, only(word, words)),
                       ["tcpshim", "run", "--%s=%s" % (name, word)])
    yield "tcpshim run --log=rin", ["tcpshim", "run", "--log=ring:"]
    yield "tcpshim run --log=ring:./dis", ["tcpshim", "run", "--log=ring:./disk-of-the-test"]
    yield "tcpshim dump --fol", ["tcpshim", "dump", "--follow"]
    yield "tcpshim dump dis", ["tcpshim", "dump", "disk-of-the-test"]
    yield "tcpshim run --log x --json only-of-", ["tcpshim", "run", "--log", "x", "--json",
                                                  "only-of-the-test"]
    yield "tcpshim run -- only-of-", ["tcpshim", "run", "--", "only-of-the-test"]
    yield "tcpshim run only-of-the-test dis", ["tcpshim", "run", "only-of-the-test",
                                               "disk-of-the-test"]
    # The program's own: none of tcpshim's.
    yield "tcpshim run only-of-the-test --jso", ["tcpshim", "run", "only-of-the-test", "--jso"]


class Completion(ToolCase):

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("bin"))
        shutil.copy(self.tool, self.path("bin/tcpshim"))
        shutil.copy("/bin/true", self.path("bin/only-of-the-test"))
        with open(self.path("disk-of-the-test"), "w"):
            pass
        self.env = environment()
        self.env.update(HOME=self.folder, TERM="dumb", LC_ALL="C.UTF-8", HISTFILE="",
                        PATH=self.path("bin") + ":" + self.env["PATH"])

    def test_the_help_shows_each_option(self):
        """What getopt takes is told where the shells ask for it."""
        for name in SUBCOMMANDS:
            taken = rows("cli/%s.c" % name, r'^\t*\{"([a-z-]+)", \w+_argument,')
            if name == "run":
                taken += OPTIONS + ["json"]
            status, out, _ = self.tcpshim(name, "--help")
            shown = re.findall("^  (-.*?)(?:  .*)?$", out.decode(), re.M)
            shown = {re.sub(r"\[?=.*", "", word) for line in shown for word in line.split(", ")}
            self.assertEqual((status, {"--" + word for word in taken} - shown), (0, set()), name)
            self.assertIn("--version", shown)

    def shell(self, name):
        if not paths.find(name):
            self.skipTest("no " + name)
        return paths.find(name)

    def typed(self, command, first):
        """Each line, a tab behind it, typed into the shell: the words that are there then."""
        main, side = pty.openpty()
        process = self.start(command, self.env, stdin=side, stdout=side, stderr=side,
                             cwd=self.folder, start_new_session=True)
        os.close(side)
        out = self.path("words")
        typing = first + "show() { printf '%s\\0' \"$@\"; echo; } >>" + out + "\n"
        typing += "".join("%s\t\x01show \n" % line for line, _ in lines()) + "exit\n"
        typing = typing.encode()
        said = b""
        while True:
            typing = typing[os.write(main, typing[:200]):] if typing else b""
            try:
                said += os.read(main, 65536)
            except OSError:  # nobody has the other end any more
                break
        os.close(main)
        process.wait()
        with open(out) as file:
            found = [line.split("\0")[:-1] for line in file]
        self.assertEqual(len(found), len(list(lines())), said.decode(errors="replace")[-3000:])
        return found

    def expect(self, found):
        for (line, wanted), words in zip(lines(), found):
            words = [word[:-1] if word.endswith("=") else word for word in words]
            self.assertEqual(words, wanted, line)

    @timeout(90)
    def test_bash(self):
        self.expect(self.typed([self.shell("bash"), "--norc", "--noprofile", "-i"],
                               "source %s/tcpshim.bash\n" % DIST))

    @timeout(90)
    def test_zsh(self):
        # A tab that is typed early is a tab all the same.
        self.expect(self.typed(
            [self.shell("zsh"), "-f", "-i"],
            "fpath=(%s $fpath); autoload -U compinit; compinit -u -D; bindkey -e\n"
            "zstyle ':completion:*' insert-tab false\n" % DIST))

    @timeout(90)
    def test_fish(self):
        """It is asked: all that it offers, of which one begins as was typed."""
        script = "source %s/tcpshim.fish\n" % DIST
        for line, _ in lines():
            script += "complete -C '%s' | string replace -r '\\t.*' ''; echo ..\n" % line
        status, out, err = self.run_program([self.shell("fish"), "-c", script], self.env,
                                            cwd=self.folder)
        self.assertEqual((status, err), (0, b""))
        answers = out.decode().split("..\n")[:-1]
        self.assertEqual(len(answers), len(list(lines())))
        for (line, wanted), offered in zip(lines(), answers):
            offered = [word.rstrip("=") for word in offered.split()]
            self.assertEqual(offered, [] if line.endswith(wanted[-1]) else wanted[-1:], line)
