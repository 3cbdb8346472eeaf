# SPDX-License-Identifier: MIT
"""How the cost of an event grows with open sockets, threads, and processes on one log."""

import resource
import statistics

import works
from modes import Failed

MODES = ("native", "bare-json", "bare-recorder", "quiet", "json", "recorder")
SOCKETS = (1, 100, 1000, 10000, 100000, 1000000)
THREADS = (1, 2, 4, 8, 16, 32, 64)
PROCESSES = (1, 2, 5, 10, 20, 50, 100)
SPARE = 64      # numbers for other descriptors than those
MANY = 100000   # that many sockets take seconds to make: one round must do
SOCKET_KB = 8   # more than the kernel takes for one


def reachable():
    """How many sockets a process may have here, at most a million."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SOCKETS[-1] + SPARE
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, wanted))
            hard = wanted
        except (ValueError, OSError):
            pass
    most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    return min(most - SPARE, memory_kb() // SOCKET_KB)


def memory_kb():
    """What could be had without swapping."""
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1])
    return 0


def steps(quick):
    """[(work, [N…])]."""
    most = reachable()
    sockets = [n for n in SOCKETS if n <= most]
    if sockets[-1] < most < SOCKETS[-1]:
        sockets.append(most)
    found = [("open", sockets), ("churn", sockets), ("threads", THREADS),
             ("processes", PROCESSES)]
    return [(work, list(ns[:2]) if quick else list(ns)) for work, ns in found]


def measure(modes, rounds, milliseconds, quick, say):
    """{work: {N: {mode: [median ns by the wall, of CPU, KB]}}}."""
    modes = [mode for mode in modes if mode.name in MODES]
    taken = {}
    for work, ns in steps(quick):
        say("growth: %s, up to %d" % (work, ns[-1]))
        taken[work] = {}
        for n in ns:
            taken[work][n] = _of(modes, work, n, rounds, milliseconds, say)
    return taken


def _of(modes, work, n, rounds, milliseconds, say):
    runs = {}
    counts = {}
    for turn in range(1 if n >= MANY else rounds):
        start = turn % len(modes)
        for mode in modes[start:] + modes[:start]:
            try:
                if mode.name not in counts:
                    # The number of turns is found with few; each has some to do.
                    ns = works.turns(mode, work, milliseconds, (1,))
                    counts[mode.name] = max(ns - ns % n, 20 * n if work != "open" and
                                            work != "churn" else 20)
                said = works.run(mode, work, counts[mode.name], (n,))
            except Failed as reason:
                say("no figures of %s %d in the mode %s: %s" % (work, n, mode.name, reason))
                continue
            runs.setdefault(mode.name, []).append(said)
    return {name: [statistics.median(said[what] for said in of)
                   for what in ("wall", "cpu", "memory")] for name, of in runs.items()}
