# SPDX-License-Identifier: MIT
"""One run of a work in a mode: what one turn costs, in ns by the wall and of CPU."""

import os
import signal
import subprocess

from modes import FOLDER, WORK, Failed

LIMIT = 120     # seconds of one run
ERRORS = os.path.join(FOLDER, "errors")

# The works of the tables, and how many clients a server has.
WORKS = ("seq", "par", "life", "setsockopt", "close", "start", "echo")
THREADS = {"seq": 1, "par": 4}
MOST_CONNECTIONS = 12000    # of one run: its client has 28,000 ports


def numbers(text):
    """{name: number} of the line that a work prints."""
    return {name: int(value) for name, _, value in
            (part.partition("=") for part in text.split())}


running = []


def _end(process):
    """With what it has started: a tracer's end would let the traced one go on."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    process.stdout.close()


def end_all():
    """Where the run is broken off, nothing of it stays."""
    for process in running:
        _end(process)


def _output(process):
    try:
        said = process.communicate(timeout=LIMIT)[0]
    except subprocess.TimeoutExpired:
        raise Failed("no end after %d s" % LIMIT) from None
    if process.returncode:
        with open(ERRORS, errors="replace") as file:
            raise Failed("status %d: %s" % (process.returncode, file.read(1000).strip()))
    return said


def _start(command, env, errors="wb"):
    """What it complains of goes into a file: valgrind fills a pipe that nobody empties."""
    with open(ERRORS, errors) as file:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=file, universal_newlines=True,
                                   cwd=FOLDER, start_new_session=True)
    running.append(process)
    return process


def _alone(mode, work, count, more=()):
    return numbers(_output(_start(mode.command(work, count, *more), mode.environment())))


def _processes(mode, count):
    """The parent is no part of it: only what it starts has the mode's environment."""
    env = ["%s=%s" % item for item in mode.env.items()]
    return numbers(_output(_start(mode.command("start", count, *env), dict(os.environ))))


def _served(mode, threads, count):
    """The wall's time is that of the native client, the rest the server's."""
    server = _start(mode.command("serve", count, threads), mode.environment())
    port = server.stdout.readline().strip()
    client = _start([WORK, "visit", port or "0", str(count), str(threads)], dict(os.environ),
                    "ab")
    wall = numbers(_output(client))["wall"]
    return dict(numbers(_output(server)), wall=wall)


def run(mode, work, count, more=()):
    """{wall, cpu, user, system, faults: a turn, memory: KB}."""
    mode.begin()
    try:
        if work in THREADS:
            count -= count % THREADS[work]
            said = _served(mode, THREADS[work], count)
        elif work == "start":
            said = _processes(mode, count)
        else:
            said = _alone(mode, work, count, more)
    finally:
        end_all()
        running.clear()
    return {name: value if name == "memory" else value / count for name, value in said.items()}


def has_part(mode, work):
    """Is there such a run? The bare form of a start is that with an empty library."""
    if mode.name == "empty":
        return work == "start"
    return not (work == "start" and mode.name.startswith("bare"))


def turns(mode, work, milliseconds, more=()):
    """How many turns take about that long; for a quick run simply a few."""
    count, least = 20, 5e6
    if milliseconds < 10:
        return count
    while True:
        ns = run(mode, work, count, more)["wall"]
        if ns * count >= least or count >= 200000:
            break
        count *= 10
    count = int(milliseconds * 1e6 / max(ns, 1))
    if work in THREADS:
        count = min(count, MOST_CONNECTIONS)
    return max(count, 20)
