# SPDX-License-Identifier: MIT
"""The scripts of docs/fleet, with lines that are no events; tests/check-fleet has all the rest."""

import http.server
import json
import os
import subprocess
import threading
import urllib.parse

from harness import paths
from harness.case import Case

FLEET = os.path.join(paths.ROOT, "docs", "fleet")
COLUMNS = {"host": "String", "time": "String", "pid": "UInt32", "fd": "Nullable(Int32)", "sock": "UInt64"}
TIME = '"time":"2026-01-02T03:04:05.678901Z"'
ROWS = ['{%s,"host":"a\\"b","pid":1,"fd":-1,"sock":18446744073709551615}' % TIME,
        '{%s,"pid":4294967295,"of_another_version":{"a":[]}}' % TIME]
NONE = ['{"pid":1}', '{"time":""}', '{"time":"2026-13-02T03:04:05.678901Z"}', '{"time":7}', "[]", "1",
        '{%s,"pid":-1}' % TIME, '{%s,"pid":4294967296}' % TIME, '{%s,"pid":"1"}' % TIME,
        '{%s,"pid":true}' % TIME, '{%s,"pid":1.5}' % TIME, '{%s,"fd":2147483648}' % TIME,
        '{%s,"host":1}' % TIME, '{%s,"host":"\\ud800"}' % TIME, '{%s,"pid":1,\\"host\\":2}' % TIME,
        '{%s,"host":%s' % (TIME, "[" * 20000)]


class ClickHouse(http.server.BaseHTTPRequestHandler):
    """Tells the columns, and takes what is inserted, or refuses it."""

    inserted, refuses = [], False

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        query, = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["query"]
        answer = b""
        if query.startswith("DESCRIBE"):
            answer = json.dumps({"data": [{"name": name, "type": kind}
                                          for name, kind in COLUMNS.items()]}).encode()
        elif not self.refuses:
            self.inserted.append(body.decode())
        self.send_response(500 if self.refuses and not answer else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format, *args):
        pass


class ToClickHouse(Case):
    """As omprog speaks to it."""

    def setUp(self):
        super().setUp()
        self.taker = type("Taker", (ClickHouse,), {"inserted": []})
        server = http.server.HTTPServer(("127.0.0.1", 0), self.taker)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for end in (server.server_close, thread.join, server.shutdown):
            self.addCleanup(end)
        self.url = "http://127.0.0.1:%d/" % server.server_port

    def batch(self, lines):
        """The answers to a transaction of these, and what was put aside."""
        given = ["BEGIN TRANSACTION", *lines, "COMMIT TRANSACTION"]
        done = subprocess.run([os.path.join(FLEET, "to-clickhouse"), self.url, self.path("refused")],
                              input="".join(line + "\n" for line in given), stdout=subprocess.PIPE,
                              encoding="utf-8", check=True, env=dict(os.environ, no_proxy="*"))
        first, *answers = done.stdout.splitlines()
        self.assertEqual(first, "OK")
        try:
            with open(self.path("refused"), encoding="utf-8") as file:
                return answers, file.read().splitlines()
        except FileNotFoundError:
            return answers, []

    def test_lines_that_are_no_rows(self):
        mixed = [*NONE[:5], ROWS[0], *NONE[5:], ROWS[1]]
        answers, refused = self.batch(mixed)
        self.assertEqual(answers, ["OK"] + ["DEFER_COMMIT"] * len(mixed) + ["OK"])
        self.assertEqual(self.taker.inserted, ["".join(row + "\n" for row in ROWS)])
        self.assertEqual(refused, NONE)

    def test_none_of_them_is(self):
        answers, refused = self.batch(NONE)
        self.assertEqual((answers[-1], self.taker.inserted, refused), ("OK", [], NONE))

    def test_a_batch_that_comes_again(self):
        """Nothing of it is put aside before."""
        self.taker.refuses = True
        answers, refused = self.batch([ROWS[0], NONE[0]])
        self.assertTrue(answers[-1].startswith("ClickHouse: "), answers)
        self.assertEqual(refused, [])


class Sizing(Case):
    """What it makes of a log."""

    def size(self, *words):
        return subprocess.run([os.path.join(FLEET, "sizing"), *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, encoding="utf-8", check=False)

    def test_lines_that_are_no_events(self):
        with open(self.path("log"), "w", encoding="utf-8") as file:
            file.write('{"call":"bind"}\n[]\n{"call":1}\n{"a":2}\n{"call":"close"}\n{"call":"cl')
        done = self.size(self.path("log"))
        self.assertEqual((done.returncode, done.stderr), (0, "sizing: 4 lines were no events\n"))
        self.assertIn("as in 2 events\n", done.stdout)

    def test_what_is_not_there(self):
        with open(self.path("log"), "w", encoding="utf-8") as file:
            file.write('{"call":"bind"}\n')
        for words, named in (((self.path("none"),), "none"),
                             (("--library", self.path("none.so"), self.path("log")), "none.so")):
            done = self.size(*words)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertIn(self.path(named), done.stderr)
