# SPDX-License-Identifier: MIT
"""What the documents say is so: links, names, and the commands with what they say."""

import glob
import os
import re
import shutil
import subprocess

from harness import paths
from harness.case import environment, timeout
from harness.tool import ToolCase

DOCUMENTS = sorted(glob.glob(os.path.join(paths.ROOT, "*.md"))
                   + glob.glob(os.path.join(paths.ROOT, "docs", "*.md"))
                   + glob.glob(os.path.join(paths.ROOT, "docs", "*", "*.md")))


def content(path):
    with open(os.path.join(paths.ROOT, path)) as file:
        return file.read()


def anchor(heading):
    """As GitHub makes one of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def blocks(text, language):
    return re.findall(r"^```%s\n(.*?)^```$" % language, text, re.M | re.S)


class Documents(ToolCase):

    def test_links(self):
        for document in DOCUMENTS:
            text = re.sub(r"^```.*?^```$", "", content(document), flags=re.M | re.S)
            for target in re.findall(r"\]\(([^)\s]+)\)", text.replace("\n", " ")):
                if re.match("https?:", target):
                    continue
                path, _, part = target.partition("#")
                path = os.path.join(os.path.dirname(document), path) if path else document
                self.assertTrue(os.path.exists(path), "%s: %s" % (document, target))
                if part:
                    headings = re.findall("^#+ (.*)$", content(path), re.M)
                    self.assertIn(part, [anchor(one) for one in headings], document)

    def test_names(self):
        """Each variable, subcommand, option and goal of make that a document shows is there."""
        settings = re.findall(r'^SETTING\("(\w+)"', content("include/reuse/settings.def"), re.M)
        subcommands = re.findall(r"^SUBCOMMAND\((\w+),", content("cli/subcommands.def"), re.M)
        goals = re.search(r"^\.PHONY: (all .*)$", content("Makefile"), re.M).group(1).split()
        goals += ["libreuse.so", "tcpshim", "server"]
        options = {"-" + name for name in re.findall(r"(?:Fl|,) (-[a-z][a-z-]*)",
                                                     content("docs/tcpshim.1"))}
        for document in DOCUMENTS:
            text = content(document)
            for name in re.findall(r"\bTCPSHIM_[A-Z]+\b", text):
                # One of the tests', the example of the page, a test runner's, fields of the journal.
                if name not in ("TCPSHIM_LIMITS", "TCPSHIM_BRIEF", "TCPSHIM_MARKS",
                                "TCPSHIM_ERROR", "TCPSHIM_NOTE"):
                    self.assertIn(name, settings, document)
            for shown in re.findall(r"^(?:\$ )?(?:sudo )?(?:\./)?tcpshim ([a-z]+.*)$",
                                    "\n".join(blocks(text, "sh") + blocks(text, "console")), re.M):
                words = shown.split()
                self.assertIn(words[0], subcommands, document)
                for word in words[1:]:
                    if word.startswith("--") and word != "--":
                        self.assertIn(word.split("=")[0], options, document)
                    elif not word.startswith("-"):
                        break
            for goal in re.findall(r"(?:^|`)(?:make|\./bootstrap) ([a-z][a-z.-]*[a-z])", text, re.M):
                self.assertIn(goal, goals, document)

    def test_the_workflow_calls_the_two_commands(self):
        said = re.findall(r"^      - run: (.*)$", content(".github/workflows/check.yml"), re.M)
        two = blocks(content("README.md").split("## Two commands")[1], "sh")[0]
        self.assertEqual(said, [line.split("#")[0].strip() for line in two.splitlines()])


def pattern(lines):
    """What was said must match, but for numbers and the blanks between columns."""
    parts = []
    for line in lines:
        if line == "...":
            parts.append(r"(?:.*\n)*?")
            continue
        line = re.sub(r"\s+", " ", line)
        line = re.escape(re.sub(r"[0-9][0-9.:]*", "0", line)).replace("0", r"[0-9][0-9.:]*")
        parts.append(line.replace(r"\ ", r"\s+") + r"\n")
    return "".join(parts)


class Recipes(ToolCase):
    """Each section typed into a shell."""

    def type(self, title):
        text = content("docs/RECIPES.md")
        port = str(self.port())
        for name, origin in (("tcpshim", self.tool), ("libreuse.so", paths.library()),
                             ("server", paths.demo("server"))):
            shutil.copy(origin, self.path(name))
        for program in blocks(text, "python"):
            with open(self.path(re.match("# (.*)", program).group(1)), "w") as file:
                file.write(program.replace("9990", port))
        section = re.search(r"^## %s.*?(?=^## |\Z)" % re.escape(title), text, re.M | re.S).group()
        shown = []    # the command, and what it says
        for line in "\n".join(blocks(section, "console")).splitlines():
            if line.startswith("$ "):
                shown.append((line[2:].replace("9990", port), []))
            else:
                shown[-1][1].append(line)
        self.assertTrue(shown)
        script = "exec 2>&1\n" + "".join("echo '=='\n%s\n" % command for command, _ in shown)
        env = environment()
        env["PYTHONDONTWRITEBYTECODE"] = "1"
        process = self.start(["sh", "-c", script + "echo ==\nkill $! 2>/dev/null\n"], env,
                             cwd=self.folder, stderr=subprocess.STDOUT)
        said = process.communicate()[0].decode().split("==\n")[1:-1]
        self.assertEqual(len(said), len(shown), said)
        for (command, lines), text in zip(shown, said):
            # What a shell says of those that it has ended.
            text = "".join(line for line in text.splitlines(True)
                           if not re.match(r"(sh: .*)?(Killed|Terminated)", line))
            self.assertTrue(re.fullmatch(pattern(lines), text), "%s\n%s" % (command, text))

    @timeout(60)
    def test_close_wait(self):
        self.type("Connections pile up in CLOSE_WAIT")

    @timeout(60)
    def test_closed_twice(self):
        self.type("A descriptor is closed twice")

    @timeout(60)
    def test_reset(self):
        self.type('"Connection reset by peer": by whom, and why?')

    @timeout(60)
    def test_restart(self):
        self.type("Why does the restart fail?")
