# SPDX-License-Identifier: MIT
"""Tests that run a program under the shim and strace, and hold the one against the other."""

import os
import signal

from harness import strace
from harness.case import Case, listening_port, shimmed, wait_until


class OracleCase(Case):
    """Programs under strace."""

    timeout = 60

    def setUp(self):
        super().setUp()
        if strace.available():
            self.skipTest(strace.available())
        self.trace_path = self.path("trace")

    def trace(self, command, log, env=None, **how):
        """Start a program under the shim and strace."""
        env = env or shimmed(LOG=getattr(log, "where", log.path), FORMAT="json")
        return self.start(strace.command(self.trace_path, env, command), **how)

    def serve(self, command, log, **how):
        """Start a server that says which port it listens on: (process, port)."""
        process = self.trace(command, log, **how)
        return process, listening_port(process)

    def traced_pid(self):
        """The pid of the program under strace."""
        def first():
            with open(self.trace_path, errors="replace") as file:
                return file.readline().split(" ")[0]
        return int(wait_until(first, "strace's first line"))

    def stop(self, process, how=signal.SIGTERM):
        """Send the program a signal and wait for strace's end."""
        os.kill(self.traced_pid(), how)
        return process.wait()

    def agree(self, log, least, exact=True, ordered=True):
        """The log and strace tell of the same calls, and of at least so many.

        exact: the oracle's table of descriptors never had to be corrected; ordered: each
        thread's calls are in the same order.
        """
        trace = strace.Trace(self.trace_path)
        if exact:
            self.assertEqual(trace.doubts, [], "the oracle doubts itself")
        difference = strace.differences(trace, log.read(), ordered)
        if difference:
            self.fail("the log and strace differ\n" + difference)
        counted = [call for call in trace.calls if not call.optional]
        self.assertGreaterEqual(len(counted), least, "too few calls to prove anything")
        return trace
