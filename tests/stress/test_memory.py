# SPDX-License-Identifier: MIT
"""The shim's memory: the same after a million connections as after a thousand, and bounded by
the highest descriptor, with each limit on descriptors.

TCPSHIM_CONNECTIONS is how many connections go through the server (20,000).
"""

import os
import re
import resource

from harness import paths
from harness.case import Case, environment, listening_port, shimmed, timeout

CONNECTIONS = int(os.environ.get("TCPSHIM_CONNECTIONS", "20000"))
LIMIT = 60 + CONNECTIONS / 500

# What the library itself takes: pages of its code and of its tables.
MOST_DATA_KB, MOST_RSS_KB = 512, 1024
# "a few tens of bytes each"
MOST_BYTES_EACH = 128


def memory(pid):
    """VmRSS and VmData, in kB."""
    with open("/proc/%d/status" % pid) as file:
        text = file.read()
    return tuple(int(re.search(r"(?m)^%s:\s+(\d+) kB$" % key, text).group(1))
                 for key in ("VmRSS", "VmData"))


def sanitized():
    return "-" in os.path.basename(paths.OUT).replace("check-", "")


def why_not(wanted, hard):
    """Who lacks CAP_SYS_RESOURCE can't raise its hard limit, be it root."""
    return ("RLIMIT_NOFILE can't be %s: the hard limit is %d, and to raise it takes "
            "CAP_SYS_RESOURCE (unit/test_fdtable has what the table takes then)" % (wanted, hard))


class Memory(Case):
    """churn.c is the server and its client."""

    def setUp(self):
        super().setUp()
        self.churn = os.path.join(paths.OUT, "tests", "stress", "churn")
        if not os.access(self.churn, os.X_OK):
            self.skipTest("churn is not built")
        if sanitized():
            self.skipTest("a sanitizer has memory of its own")

    def serve(self, env):
        """Memory of the server after 1,000 connections, and after all of them."""
        server = self.start([self.churn, "serve"], env)
        port = listening_port(server)
        found = []
        for count in (1000, CONNECTIONS):
            client = self.start([self.churn, "call", str(port), str(count)])
            self.assertEqual(client.wait(LIMIT), 0, client.error())
            found.append(memory(server.pid))
        self.assertIsNone(server.poll(), server.error())
        return found

    def compare(self, **settings):
        plain = self.serve(environment())[1]
        early, late = self.serve(shimmed(**settings))
        said = "without %s, early %s, late %s" % (plain, early, late)
        self.assertLessEqual(late[0] - early[0], 64, "VmRSS grows: " + said)
        self.assertEqual(late[1], early[1], "VmData grows: " + said)
        self.assertLessEqual(late[0] - plain[0], MOST_RSS_KB, "VmRSS: " + said)
        self.assertLessEqual(late[1] - plain[1], MOST_DATA_KB, "VmData: " + said)

    @timeout(LIMIT * 3)
    def test_of_a_server_without_a_log(self):
        self.compare()

    @timeout(LIMIT * 3)
    def test_of_a_server_with_a_log(self):
        self.compare(LOG="/dev/null", FORMAT="json")

    @timeout(LIMIT * 3)
    def test_of_a_server_that_may_open_a_million_files(self):
        self.allow(1048576)
        self.compare(LOG="/dev/null", FORMAT="json")

    def allow(self, files):
        """As by `ulimit -n`, for this test's process and its children."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(hard, files)))
        except (ValueError, PermissionError):
            self.skipTest(why_not(files, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def figures(self, env, *args):
        """What churn says: {moment: kB}."""
        status, out, err = self.run_program([self.churn] + [str(arg) for arg in args], env)
        if status == 77:
            self.skipTest(why_not("as high as needed", resource.getrlimit(
                resource.RLIMIT_NOFILE)[1]))
        self.assertEqual((status, err), (0, b""))
        return {word: int(kb) for word, kb in (line.split() for line in out.decode().split("\n")
                                               if line)}

    def test_of_many_descriptors_is_a_few_tens_of_bytes_each(self):
        held = 15000
        plain = self.figures(environment(), "hold", held)
        shim = self.figures(shimmed(LOG="/dev/null"), "hold", held)
        self.assertEqual(plain["held"], plain["before"])
        grown = (shim["held"] - shim["before"]) * 1024
        self.assertLess(grown, held * MOST_BYTES_EACH, shim)
        self.assertGreater(grown, held * 16, "nothing was remembered: %s" % shim)
        self.assertEqual(shim["after"], shim["held"])

    def test_of_one_high_descriptor_is_not_that_of_all_below(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        high = min(1000000, hard - 1) if hard > 0 else 1000000
        shim = self.figures(shimmed(LOG="/dev/null"), "high", high)
        self.assertLess(shim["held"] - shim["before"], 256, shim)
        quiet = self.figures(shimmed(), "high", high)
        self.assertEqual(quiet["held"], quiet["before"])
