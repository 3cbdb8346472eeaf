# SPDX-License-Identifier: MIT
"""tcpshim report --html and --diagram: the page against a count of the same lines, and looked at."""

import base64
import collections
import html.parser
import json
import os
import re
import subprocess
import xml.etree.ElementTree

from harness import browser, paths
from harness.case import shimmed, timeout
from harness.reports import ReportCase

SVG = "{http://www.w3.org/2000/svg}"
TAGS = {"html", "meta", "title", "style", "h1", "h2", "h3", "p", "nav", "a", "table", "tr", "td",
        "th", "br", "small", "em", "img", "div", "section", "b", "i", "u"}
HOSTILE = ("<script>alert(1)", "</title><b>&lt;", "\"onload=x'", "a\nb\x1b[2J\x07", "\ufffd\u202e<i>")


class Page(html.parser.HTMLParser):
    """What is in a page: its tags, text and pictures."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.images, self.alts = set(), [], [], []
        self.ladders, self.text, self._in = [], "", None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.add(tag)
        self._in = tag
        self.links += [attrs[key] for key in ("href", "src") if key in attrs]
        if tag == "img":
            self.alts.append(attrs["alt"])
            self.images.append(base64.b64decode(
                attrs["src"].removeprefix("data:image/svg+xml;base64,")).decode())
        if tag == "table" and attrs.get("class") == "l":
            self.ladders.append([])
        if tag == "tr" and self.ladders:
            self.ladders[-1].append([])
        if tag in ("td", "th") and self.ladders:
            self.ladders[-1][-1].append("")

    def handle_endtag(self, tag):
        self._in = None

    def handle_data(self, data):
        if self._in != "style":
            self.text += data
        if self._in in ("td", "th", "b", "i", "u", "small", "br") and self.ladders:
            self.ladders[-1][-1][-1] += " " + data


def gone(events):
    """How many sockets went each way, from the events by another way."""
    last, ways = {}, collections.Counter()
    for event in events:
        if "sock" not in event or "state" not in event:
            continue
        before = last.get(event["sock"])
        if before is None:
            accepted = event["call"].startswith("accept")
            before = "LISTEN" if accepted and event.get("via") else event.get("was")
        for state in event.get("via", []) + [event["state"]]:
            if before and state != before:
                ways[before, state] += 1
            before = state
        last[event["sock"]] = before
    return ways


class PageCase(ReportCase):
    """What the tests of pages share."""

    def page(self, *words, said=b""):
        """The page, and the picture beside it."""
        out, svg = self.fresh("page"), self.fresh("picture")
        status, text, err = self.run_program(
            [paths.tool(), "report", "--html", out, "--diagram=" + svg, *words])
        self.assertEqual((status, text, err), (0, b"", said))
        with open(out, encoding="utf-8") as file:
            content = file.read()
        self.assertLess(len(content.encode()), 2000000)
        page = Page(content)
        self.assertLessEqual(page.tags, TAGS)
        for link in page.links:
            self.assertRegex(link, r"^(#\w+|data:image/svg\+xml;base64,[\w+/=]+)$")
        for image in page.images:
            for element in xml.etree.ElementTree.fromstring(image).iter():
                self.assertIn(element.tag.removeprefix(SVG),
                              ("svg", "style", "defs", "marker", "path", "rect", "text"))
        with open(svg, encoding="utf-8") as file:
            self.assertEqual(file.read(), page.images[0])
        page.path = out
        return page

    def connection(self, number, at, *calls):
        """Events of one connection: (call, state, keys)."""
        return [self.event(at + n, call, pid=number, sock=number, fd=3, state=state,
                           local="127.0.0.1:%d" % (number % 60000 + 1), peer="127.0.0.1:1",
                           **dict({"ret": 0}, **keys))
                for n, (call, state, keys) in enumerate(calls)]


class Shown(PageCase):
    """What a page holds."""

    def test_the_ways(self):
        """Through the states, and the calls that took them; as the lines say it."""
        path = self.live(REPORT=1)
        events = self.lines(path)
        page = self.page(path)
        ways = gone(events)
        told = re.findall(r"(\d+) (\w+) -> (\w+)([^;.]*)", page.alts[0])
        self.assertEqual({(a, b): int(n) for n, a, b, _ in told}, dict(ways))
        by = {(a, b): rest for _, a, b, rest in told}
        self.assertEqual(by["CLOSED", "LISTEN"], ", by listen 1")
        self.assertEqual(by["CLOSED", "SYN_SENT"],
                         ", by connect %d" % ways["CLOSED", "SYN_SENT"])
        self.assertEqual(by["LISTEN", "SYN_RCVD"], "")
        drawn = {element.text for element in
                 xml.etree.ElementTree.fromstring(page.images[0]).iter(SVG + "text")}
        self.assertIn("%d cut off" % ways["ESTABLISHED", "CLOSED"], drawn)
        self.assertLessEqual({"CLOSED", "TIME_WAIT", "LAST_ACK", "FIN_WAIT_2"}, drawn)
        thick = len(re.findall("stroke-width:[2-9]\"", page.images[0]))
        self.assertEqual(thick, len(ways) - 1)  # that to CLOSED by a reset has no line

    def test_what_the_text_says(self):
        """Each line of the text is on the page, and more."""
        path = self.live(REPORT=1, STACK=3)
        _, text = self.report(path)
        page = self.page(path)
        words = "".join(page.text.split())
        rows = re.findall(r"\n {5,10}([\d,]+  .*?)(?=\n {5,10}[\d,]|\n\n|\n  of)", text, re.S)
        self.assertGreater(len(rows), 30)
        for row in rows:
            self.assertIn("".join(row.split("  the longest took")[0].split()), words)

    def test_a_ladder(self):
        """Both ends of each connection, by time."""
        path = self.live(REPORT=1)
        events = self.lines(path)
        page = self.page(path)
        reset = next(event for event in events
                     if "reset" in [note["code"] for note in event.get("notes", ())])
        ends = {reset["local"], reset["peer"]}
        steps = [event for event in events if {event.get("local"), event.get("peer")} == ends or
                 event.get("sock") in {other.get("sock") for other in events if
                                       {other.get("local"), other.get("peer")} == ends}]
        self.assertIn("reset: %s to %s" % (reset["peer"], reset["local"]), page.text)
        table = page.ladders[re.findall(r"\d+\. [a-z ]+: (.*)\n", page.text).index(
            "%s to %s" % (reset["peer"], reset["local"]))]
        self.assertEqual(len(table) - 1, len(steps))
        for row, event in zip(table[1:], steps):
            side = 2 if event.get("sock") == reset["sock"] else 1
            cell = row[side]
            self.assertIn(event["call"], cell)
            self.assertEqual(row[3 - side].strip() if len(row) > 2 else "", "")
            for state in [event["state"]] + ["(%s)" % state for state in event.get("via", ())]:
                self.assertIn(state, cell)
            for note in event.get("notes", ()):
                self.assertIn(note["code"], cell)

    def test_the_order_of_ladders(self):
        """What has failed, then what was reset, then what was left, then the slowest."""
        reset = {"notes": [{"code": "reset", "text": "a reset", "cause": "unread", "unread": 1}]}
        up = ("connect", "ESTABLISHED", {})
        lines = (self.connection(1, 100, up, ("close", "FIN_WAIT_1", {})) +
                 self.connection(2, 200, up, ("close", "FIN_WAIT_1", {})) +
                 [self.event(900, "getsockopt", pid=2, sock=2, fd=3, ret=0, state="TIME_WAIT")] +
                 self.connection(3, 300, up, ("exit", "ESTABLISHED", {})) +
                 self.connection(4, 400, up, ("close", "CLOSED", reset)) +
                 self.connection(5, 500, ("connect", "CLOSED", {"ret": -1, "error": "ETIMEDOUT"})))
        lines.sort(key=lambda line: line["time"])
        page = self.page(self.write("order.json", lines))
        told = re.findall(r"\d+\. ([a-z ]+): 127\.0\.0\.1:(\d+) ", page.text)
        self.assertEqual(told, [("failed", "6"), ("reset", "5"), ("left open", "4"),
                                ("nothing wrong", "3"), ("nothing wrong", "2")])

    def test_what_is_only_a_bound(self):
        """A state is full as long as it is proved, pale as long as it may be, dashed by a timer."""
        lines = [
            self.event(0, "connect", fd=3, ret=0, sock=9, local="127.0.0.1:5", peer="127.0.0.1:6",
                       was="CLOSED", via=["SYN_SENT"], state="ESTABLISHED", dur_ns=0),
            self.event(400000, "setsockopt", fd=3, ret=0, sock=9, state="ESTABLISHED", dur_ns=0,
                       args={"level": "SOL_SOCKET", "option": "SO_KEEPALIVE", "value": 1}),
            self.event(800000, "close", fd=3, ret=0, sock=9, was="ESTABLISHED",
                       via=["CLOSE_WAIT", "LAST_ACK"], state="TIME_WAIT", timer_ms=60000, dur_ns=0)]
        page = self.page(self.write("bounds.json", lines))
        picture = xml.etree.ElementTree.fromstring(page.images[1])
        bars = {(element.get("class"), element.get("height")): element
                for element in picture.iter(SVG + "rect")}
        full, pale = bars["s5", "11"], bars["s5 p", "11"]
        self.assertAlmostEqual(float(full.get("width")), 235, delta=1)
        self.assertAlmostEqual(float(pale.get("width")), 235, delta=1)
        self.assertAlmostEqual(float(pale.get("x")), 176 + 235, delta=1)
        self.assertEqual({("s3", "4"), ("s8", "4"), ("s10", "4")} & set(bars),
                         {("s3", "4"), ("s8", "4"), ("s10", "4")})
        self.assertEqual(len([element for element in picture.iter(SVG + "path")
                              if element.get("class") == "z"]), 1)
        self.assertIn("60 s", [element.text for element in picture.iter(SVG + "text")])


class Bounded(PageCase):
    """Whatever there is, and whoever has written it."""

    def test_names_stay_text(self):
        for name in HOSTILE:
            lines = [self.event(1, "bind", prog=name[:15], fd=3, ret=-1, error="EADDRINUSE",
                                sock=1, local="0.0.0.0:80", state="CLOSED",
                                stack=[{"module": name, "offset": "0x1"}],
                                notes=[{"code": "in-use-bound", "text": name, "bound": 1}])]
            path = self.write("hostile.json", lines)
            page = self.page("--host=%s=%s" % (name.replace("=", ""), path), path)
            shown = re.sub(r"[\x00-\x1f\x7f\u202e\ufffd]", "?", name[:15])
            self.assertIn(shown, page.text)
            for image in page.images:
                self.assertNotIn("alert", image)

    def test_bytes_that_are_no_text(self):
        ring = self.ring()
        program = os.path.join(os.fsencode(self.folder), b"\xff<b>\xfe")
        os.symlink(paths.PYTHON, program)
        status, _, err = self.run_program(
            [program, "-c", "import socket; socket.create_server(('127.0.0.1', 0)).close()"],
            shimmed(LOG=ring.where))
        self.assertEqual((status, err), (0, b""))
        self.assertIn("?<b>?", self.page(ring.path).text)

    @timeout(60)
    def test_more_than_there_is_room_for(self):
        """Steps, connections, processes, findings: what is left out is counted."""
        lines, count, at = [], 700, 0
        for number in range(1, count + 1):
            prog = "p%06d<<<<<<<<" % number
            calls = [("connect", "ESTABLISHED", {"prog": prog})]
            calls += [("getsockopt", "ESTABLISHED", {"prog": prog})] * 100
            calls.append(("exit", "ESTABLISHED", {"prog": prog, "stack": [
                {"module": "<" * 60, "symbol": "&" * 150, "offset": "0x%x" % number}]}))
            lines += self.connection(number, at, *calls)
            at += len(calls)
        path = self.write("much.json", lines)
        page = self.page(path)
        self.assertTrue(0 < len(page.ladders) <= 200)
        self.assertIn("and %d more connections" % (count - len(page.ladders)), page.text)
        drawn = len(page.images) - 1
        self.assertTrue(0 < drawn <= 24)
        self.assertIn("and %d more processes" % (count - drawn), page.text)
        for table in page.ladders:
            self.assertEqual(len(table), 1 + 80)
        self.assertEqual(page.text.count("22 events between these are left out"),
                         len(page.ladders))
        self.assertIn("and %d more such lines" % (count - 50), page.text)

    def test_a_diagram_of_what_nobody_has_counted(self):
        """Counts in little room."""
        lines = []
        for number in range(1, 12346):
            lines.append(self.event(number % 1000000, "connect", sock=number, fd=3, ret=0,
                                    was="SYN_SENT", state="ESTABLISHED"))
        page = self.page(self.write("many.json", lines))
        self.assertIn(">12k</text>", page.images[0])
        self.assertIn("12,345 SYN_SENT -> ESTABLISHED", page.alts[0])

    def test_nothing_is_lost_by_a_slip(self):
        """Who forgets the page's name names a log: it stays; a page is written over."""
        path = self.live(program="import socket; socket.socket()")
        with open(path, "rb") as file:
            before = file.read()
        for option in ("--html", "--diagram"):
            status, out, err = self.run_program([paths.tool(), "report", option, path, path])
            self.assertEqual((status, out), (1, b""))
            self.assertEqual(err.decode(), "tcpshim report: %s: is there, and nothing of the kind: "
                             "it is not written over\n" % path)
            with open(path, "rb") as file:
                self.assertEqual(file.read(), before)
        out = self.path("page.html")
        for _ in range(2):
            self.assertEqual(self.run_program([paths.tool(), "report", "--html", out, path]),
                             (0, b"", b""))
        with open(out, encoding="utf-8") as file:
            self.assertEqual(file.read().count("<!doctype html>"), 1)
        status, text, err = self.run_program([paths.tool(), "report", "--html=-", path])
        with open(out, "rb") as file:
            self.assertEqual((status, text, err), (0, file.read(), b""))
        status, text, err = self.run_program(
            [paths.tool(), "report", "--json", "--html", out, path])
        self.assertEqual((status, json.loads(text)["events"], err), (0, before.count(b"\n"), b""))

    def test_two_in_one_file(self):
        path, out = self.live(program="import socket; socket.socket()"), self.path("both")
        os.symlink("both", self.path("link"))
        for words in (("--html=" + out, "--diagram=" + out),
                      ("--html=" + out, "--trace=" + self.path("link")),
                      ("--diagram=" + self.path("link"), "--trace=" + out)):
            status, text, err = self.run_program([paths.tool(), "report", *words, path])
            self.assertEqual((status, text, err.count(b"\n")), (1, b"", 1), err)
            self.assertIn(b"is wanted for two at once", err)
            self.assertEqual(os.stat(out).st_size, 0)
        self.assertEqual(self.run_program([paths.tool(), "report", "--html=/dev/null",
                                           "--diagram=/dev/null", path]), (0, b"", b""))

    def test_a_page_that_can_not_be_written(self):
        path = self.live(program="import socket; socket.socket()")
        for out, why in (("/dev/full", "No space left on device"),
                         (self.path("no/such"), "No such file or directory"),
                         (self.folder, "Is a directory")):
            self.assertEqual(self.run_program([paths.tool(), "report", "--html", out, path]),
                             (1, b"", ("tcpshim report: %s: %s\n" % (out, why)).encode()))


class LookedAt(PageCase):
    """By programs that show it."""

    @timeout(90)
    def test_in_a_browser(self):
        """Light and dark, wide and narrow: it asks for nothing, complains of nothing, and fits."""
        why = browser.available()
        wrapper = browser.no_way_out()
        if why or not wrapper:
            self.skipTest(why or "no network of its own")
        path = self.page(self.live(REPORT=1)).path
        at = os.path.join(self.folder, "page.html")
        os.rename(path, at)
        chromium = browser.Browser(wrapper)
        self.addCleanup(chromium.close)
        for width in (390, 1400):
            for dark in (False, True):
                chromium.show(at, width, dark)
                self.assertEqual([url for url in chromium.requests
                                  if not url.startswith(("data:", "file://" + at))], [])
                self.assertEqual(chromium.complaints, [])
                self.assertLessEqual(chromium.value("document.documentElement.scrollWidth"), width)
                self.assertEqual(
                    chromium.value("[...document.images].filter(i => !i.naturalWidth).length"), 0)
                colors = browser.colors(chromium.picture(most=120))
                ground = max(colors, key=colors.get)
                self.assertEqual(ground, (24, 26, 27) if dark else (255, 255, 255))
        chromium.show(at, 800, True, "print")
        colors = browser.colors(chromium.picture(most=120))
        self.assertEqual(max(colors, key=colors.get), (255, 255, 255))
        self.complains(chromium, at)

    def complains(self, chromium, path):
        """That the browser would have told, had there been anything."""
        with open(path, "a", encoding="utf-8") as file:
            file.write("<img src=http://127.0.0.1:1/x><script>console.log(1)</script>")
        chromium.show(path, 390)
        self.assertIn("Content Security Policy", " ".join(chromium.complaints))

    def test_as_text(self):
        if not paths.find("w3m"):
            self.skipTest("no w3m")
        path = self.page(self.live(REPORT=1)).path
        os.rename(path, path + ".html")
        text = subprocess.run(["w3m", "-dump", "-cols", "80", path + ".html"], check=True,
                              stdout=subprocess.PIPE).stdout.decode()
        self.assertLessEqual(max(map(len, text.split("\n"))), 80)
        self.assertRegex(text, r"connect\(\d+\) = -1 ECONNREFUSED\n")
        self.assertRegex(text, r"\n\+\S+ us +\(SYN_RCVD\) ->")
        self.assertIn("14 SYN_SENT -> ESTABLISHED", text)
