# SPDX-License-Identifier: MIT
"""The modes that a work is run in: without anything, under the shim, traced, and bare.

A mode is what is put around the work: an environment, a command before it, or a tracer of the
whole system. Each writes what it logs into one file, which is gone after the run.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness import paths  # noqa: E402

FOLDER = os.path.join(paths.ROOT, "build", "bench")
LOG = os.path.join(FOLDER, "log")
TRACED = os.path.join(FOLDER, "bpftrace")
WORK = os.path.join(paths.OUT, "bench", "work")

CALLS = ("socket,bind,listen,connect,accept,accept4,setsockopt,shutdown,close,"
         "dup,dup2,dup3,fcntl,close_range")
PROBE = ("tracepoint:sock:inet_sock_set_state /args->protocol == 6/ "
         "{ printf(\"%d %s %d %d %d %d\\n\", pid, comm, args->sport, args->dport, "
         "args->oldstate, args->newstate); }")


# Where no tracefs is mounted, bpftrace gets one in a namespace of its own.
TRACEFS = "/sys/kernel/debug/tracing/events"
MOUNTED = ["unshare", "--mount", "sh", "-c",
           "mount -t debugfs none /sys/kernel/debug && exec \"$@\"", "sh"]


class Failed(Exception):
    """A run that gave no figures; says why."""


class Mode:
    """Nothing around the work: the mode native, and what the others have in common."""

    attaches = False    # does attach() do anything?

    def __init__(self, name, **env):
        self.name = name
        self.env = env
        self.prefix = []

    def why_not(self):
        """None, or why this mode cannot run here: what the shim complains of, for one."""
        run = subprocess.run(self.command("setsockopt", 1), env=self.environment(),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        said = run.stderr.decode("utf-8", "replace").strip()
        return said.split("\n")[0] if run.returncode or said else None

    def command(self, *arguments):
        return self.prefix + [WORK] + [str(argument) for argument in arguments]

    def environment(self):
        """Of the work: this process's, without settings of the shim, and the mode's own."""
        env = {name: value for name, value in os.environ.items()
               if not name.startswith(("TCPSHIM_", "WORK_")) and name != "LD_PRELOAD"}
        env.update(self.env)
        return env

    def begin(self):
        """Before a run."""
        for name in os.listdir(FOLDER):
            if name.startswith("log"):
                os.unlink(os.path.join(FOLDER, name))

    def attach(self):
        """Before all runs of a round: what is slow to start."""

    def detach(self):
        """After them."""


class Strace(Mode):
    """strace -f --seccomp-bpf on the calls that the shim knows, into a file."""

    def __init__(self):
        super().__init__("strace")
        self.prefix = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", LOG, "-e", "trace=" + CALLS]

    def why_not(self):
        return super().why_not() if shutil.which("strace") else "no strace"


class Bpftrace(Mode):
    """The kernel's own tracepoint of changes of state, for the whole system."""

    attaches = True

    def __init__(self):
        super().__init__("bpftrace")
        self.tracer = None

    def why_not(self):
        if not shutil.which("bpftrace"):
            return "no bpftrace"
        try:
            self.attach()
            self.detach()
        except Failed as reason:
            return str(reason)
        return None

    def attach(self):
        with open(TRACED, "wb") as file:
            command = [] if os.path.isdir(TRACEFS) or os.geteuid() else MOUNTED
            self.tracer = subprocess.Popen(command + ["bpftrace", "-e", PROBE],
                                           stdin=subprocess.DEVNULL, stdout=file,
                                           stderr=subprocess.STDOUT)
        try:
            self.wait_until_attached()
        except BaseException:
            self.detach()
            raise

    def wait_until_attached(self):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with open(TRACED, errors="replace") as file:
                said = file.read(4096)
            if self.tracer.poll() is not None:
                wrong = (re.search(r"ERROR: (.*not found.*)", said) or
                         re.search(r"ERROR: (.*)", said))
                raise Failed(wrong.group(1) if wrong else "bpftrace ended at once")
            if "Attaching" in said:
                time.sleep(0.5)
                return
            time.sleep(0.05)
        raise Failed("bpftrace attached nothing in 20 s")

    def detach(self):
        if self.tracer.poll() is None:
            self.tracer.send_signal(signal.SIGINT)
            try:
                self.tracer.wait(20)
            except subprocess.TimeoutExpired:
                self.tracer.kill()
                self.tracer.wait()


def shim(name, log=None, **settings):
    env = {"LD_PRELOAD": paths.preload()}
    if log:
        env["TCPSHIM_LOG"] = log
    env.update({"TCPSHIM_" + key.upper(): value for key, value in settings.items()})
    return Mode(name, **env)


def all_modes():
    """In the order of the tables; native first, all ratios are to it."""
    return [
        Mode("native"),
        Mode("bare-json", WORK_BARE="json:" + LOG),
        Mode("bare-recorder", WORK_BARE="recorder:" + LOG),
        Mode("empty", LD_PRELOAD=os.path.join(paths.OUT, "bench", "empty.so")),
        shim("quiet"),
        shim("text", log=LOG),
        shim("json", log=LOG, format="json"),
        shim("stack", log=LOG, format="json", stack="8"),
        shim("recorder", log="ring:" + LOG),
        Strace(),
        Bpftrace(),
    ]


def usable(say):
    """Those that can run here; of the others it is said why not."""
    found, skipped = [], {}
    os.makedirs(FOLDER, exist_ok=True)
    for mode in all_modes():
        Mode.begin(mode)
        reason = mode.why_not()
        Mode.begin(mode)
        if reason:
            reason = reason.replace(paths.ROOT + "/", "")
            skipped[mode.name] = reason
            say("skipped the mode %s: %s" % (mode.name, reason))
        else:
            found.append(mode)
    return found, skipped
