# SPDX-License-Identifier: MIT
"""The flight recorder: TCPSHIM_LOG=ring:PATH, and tcpshim dump that reads it."""

import fcntl
import os
import resource
import select
import signal
import stat
import struct
import subprocess
import time

from harness import contract, kernel, paths, strace
from harness.case import Case, needs_root, read_line, shimmed, wait_until
from harness.oracle import OracleCase

MAKE = "socket.socket().close()"
LIFE = ("l = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(l.getsockname())\n"
        "a, _ = l.accept(); c.setsockopt(6, 1, 1); d = os.dup(a.fileno()); os.close(d)\n"
        "c.shutdown(socket.SHUT_WR); c.close(); a.close(); l.close()")
SMALLEST = 65536
USUAL = 16 << 20


def is_waiting(follower):
    """For somebody to write to the ring: it watches the file, and sleeps."""
    folder = "/proc/%d/" % follower.pid
    with open(folder + "stat") as file:
        sleeps = file.read().rsplit(")", 1)[1].split()[0] == "S"
    return sleeps and "anon_inode:inotify" in [os.readlink(folder + "fd/" + fd)
                                               for fd in os.listdir(folder + "fd")]


def bytes_read(process):
    """By its system calls, until now."""
    with open("/proc/%d/io" % process.pid) as file:
        return int(dict(line.split(": ") for line in file)["rchar"])


class Chunk:
    """A chunk of a ring, under the test's hands (include/reuse/ring.h)."""

    TIMES, DATA, LEFT = 4096, 12288, 1

    def __init__(self, file, number):
        self.size = struct.unpack("Q", os.pread(file, 8, 40))[0]
        self.start = self.DATA + number * self.size
        self._file = file
        self._time_at = self.TIMES + 8 * number
        self._records = []
        data = os.pread(file, self.size, self.start)
        for at in range(0, self.size, 16):
            magic, size = struct.unpack_from("IH", data, at)
            if magic == 0x72636e65:
                self._records.append((self.start + at, data[at:at + size]))

    @classmethod
    def all_in(cls, file):
        """Those that were written to."""
        times = struct.unpack("1024Q", os.pread(file, 8192, cls.TIMES))
        return [cls(file, number) for number, time in enumerate(times) if time]

    @property
    def time(self):
        return struct.unpack("Q", os.pread(self._file, 8, self._time_at))[0]

    def be_older(self, ns):
        """As if it had been written to before."""
        os.pwrite(self._file, struct.pack("Q", time.time_ns() - ns & ~1 | self.time & 1),
                  self._time_at)

    def take_out(self):
        """Its last record is not there any more; a function that puts it in again."""
        at, record = self._records.pop()
        os.pwrite(self._file, bytes(len(record)), at)
        return lambda: os.pwrite(self._file, record, at)

    def spoil(self):
        """Its last record has a right sum, and an event in which true or false is 7."""
        at, record = self._records.pop()
        record = bytearray(record)
        record[16 + 57] = 7  # by_shim of include/reuse/event.h
        words = struct.unpack("%dQ" % (len(record) // 8), record)
        total = 14695981039346656037
        for word in words[:1] + words[2:]:
            total = (total ^ word) * 1099511628211 % (1 << 64)
            total ^= total >> 32
        record[8:16] = struct.pack("Q", total)
        os.pwrite(self._file, record, at)


class RecorderCase(Case):
    """What the tests of the recorder share."""

    def dump(self, *words):
        """tcpshim dump: status, standard output, standard error."""
        return self.run_program([paths.tool(), "dump", *words])

    def calls(self, log):
        return [event["call"] for event in log.read()]

    def refused(self, log, why, **how):
        """A program whose recorder can't be had runs all the same; one line says why."""
        status, out, err = self.run_program(
            [paths.PYTHON, "-c", "import socket; %s; print('fine')" % MAKE],
            shimmed(LOG=log.where), **how)
        self.assertEqual((status, out), (0, b"fine\n"))
        self.assertEqual(err.decode(), "libreuse: TCPSHIM_LOG=ring:%s can't be opened (%s); "
                         "nothing is logged\n" % (log.path, why))


class File(RecorderCase):
    """The file itself."""

    def test_of_fixed_size_with_all_its_blocks(self):
        for size, number in ((None, USUAL), ("64K", SMALLEST), ("1M", 1 << 20),
                             ("100001", 98304)):
            log = self.ring("ring-%s" % size, size, lapped=True)
            p = self.puppet(log)
            p("pass")
            for _ in range(3):
                seen = os.stat(log.path)
                self.assertEqual(seen.st_size, number)
                self.assertGreaterEqual(seen.st_blocks * 512, number)
                self.assertEqual(stat.S_IMODE(seen.st_mode), 0o600)
                p("for _ in range(500): " + MAKE)

    def test_goes_on_in_what_is_there(self):
        """The next run adds to it, whatever size it asks for."""
        for size in ("1M", "2M", None):
            log = self.ring(size=size)
            self.puppet(log)(MAKE)
            self.assertEqual(os.stat(log.path).st_size, 1 << 20)
        self.assertEqual(self.calls(log), ["socket", "close"] * 3)

    def test_a_front_that_a_truncation_has_torn_is_mended(self):
        """A writer let the truncated file grow again, and was killed before it wrote the front."""
        self.puppet(self.ring("good", "1M"))(MAKE)
        with open(self.path("good"), "rb") as file:
            good = file.read()
        for kept in (16, 30, 56, 100, 4095):
            for size in "1M", "2M":
                log = self.ring("torn-%d-%s" % (kept, size), size)
                with open(log.path, "wb") as file:
                    file.write(good[:kept] + bytes(len(good) - kept))
                status, out, err = self.dump(log.path)
                self.assertEqual((status, out), (0 if kept >= 56 else 2, b""), err)
                self.puppet(log)(MAKE)
                self.assertEqual(self.calls(log), ["socket", "close"])
                self.assertEqual(os.stat(log.path).st_size, 1 << 20)
                with open(log.path, "rb") as file:
                    self.assertEqual(file.read(4096), good[:4096])

    def test_a_front_of_zeros_is_mended_while_somebody_records(self):
        """The same, and truncated once more before the writer was killed."""
        log = self.ring("torn", "1M")
        holder = self.puppet(log)
        holder(MAKE)
        for size in 5000, 57475, 1 << 20:
            os.truncate(log.path, 0)
            os.truncate(log.path, size)
            self.puppet(log)(MAKE)
            self.assertEqual(self.calls(log), ["socket", "close"])
            self.assertEqual(os.stat(log.path).st_size, 1 << 20)

    def test_a_foreign_file_is_refused_and_left_alone(self):
        why = "not a flight recorder of this version, and left as it is"
        log = self.ring("foreign")
        self.puppet(self.ring("good", "64K"))(MAKE)
        with open(self.path("good"), "rb") as file:
            good = file.read()
        for content in (b"my own\n", bytes(100000), good[:40], b"L" + good[1:],
                        bytes(len(good)), b"l" + bytes(len(good) - 1),
                        bytes(len(good) - 4096) + b"data" * 1024):
            with open(log.path, "wb") as file:
                file.write(content)
            self.refused(log, why)
            with open(log.path, "rb") as file:
                self.assertEqual(file.read(), content)
            status, out, err = self.dump(log.path)
            self.assertEqual((status, out), (2, b""))
            self.assertRegex(err, rb"^tcpshim dump: .*: neither a flight recorder nor a "
                             rb"log in JSON\n$")
        os.unlink(log.path)
        os.mkfifo(log.path)
        self.refused(log, "no plain file")
        os.unlink(log.path)

    def test_a_head_that_claims_more_than_there_is(self):
        """A recorder is never made larger than was asked for, whatever is there before."""
        log = self.ring("claims", "1M")
        self.puppet(self.ring("good", "4M"))(MAKE)
        with open(self.path("good"), "rb") as file:
            head = file.read(64)
        for size in (64, 4 << 20):  # without its size, and without its blocks
            with open(log.path, "wb") as file:
                file.write(head)
                file.truncate(size)
            before = os.stat(log.path)
            self.refused(log, "its head claims more than the file has, "
                              "and more than was asked for")
            after = os.stat(log.path)
            self.assertEqual((after.st_size, after.st_blocks), (size, before.st_blocks))
        os.unlink(log.path)

    def test_a_head_that_claims_what_is_asked_for(self):
        """Somebody has truncated it: it is mended. And a larger one that is whole is taken."""
        log = self.ring("again", "1M")
        self.puppet(log)(MAKE)
        log.read()
        os.truncate(log.path, 64)
        self.puppet(log)(MAKE)
        self.assertEqual(os.stat(log.path).st_size, 1 << 20)
        p = self.puppet(LOG="ring:%s:64K" % log.path)
        p(MAKE)
        self.assertEqual(os.stat(log.path).st_size, 1 << 20)

    def test_a_place_where_none_can_be(self):
        self.refused(self.ring("no/such/folder"), "ENOENT")
        os.mkdir(self.path("folder"))
        self.refused(self.ring("folder", lapped=True), "a folder")
        os.rmdir(self.path("folder"))

    def test_no_room_below_the_limit_of_file_size(self):
        """One line, no SIGXFSZ, and no file."""
        log = self.ring()
        self.refused(log, "EFBIG", preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (USUAL - 1, resource.RLIM_INFINITY)))
        self.assertFalse(os.path.exists(log.path))

    @needs_root
    def test_no_room_on_the_disk(self):
        disk = self.disk(1 << 20)
        log = self.ring("disk/ring", "2M")
        self.refused(log, "ENOSPC")
        self.assertEqual(os.listdir(disk), [])

    @needs_root
    def test_a_file_system_that_gives_no_blocks_when_asked(self):
        """ramfs knows no fallocate: the file is written from end to end."""
        disk = self.path("disk")
        os.mkdir(disk)
        kernel.mount(disk, "ramfs")
        self.addCleanup(kernel.unmount, disk)
        log = self.ring("disk/ring", "1M")
        self.puppet(log)(MAKE)
        self.assertEqual(self.calls(log), ["socket", "close"])
        self.assertEqual(os.path.getsize(log.path), 1 << 20)

    def test_an_empty_file_becomes_one(self):
        log = self.ring(size="64K")
        with open(log.path, "wb"):
            pass
        self.assertEqual(self.dump(log.path)[0], 2)
        self.puppet(log)(MAKE)
        self.assertEqual(self.calls(log), ["socket", "close"])

    def test_placeholders_and_relative_paths(self):
        """%p and %n; and a relative path leads there from every folder, in children too."""
        os.mkdir(self.path("sub"))
        status, _, err = self.run_program(
            [paths.PYTHON, "-c", "import os, socket, subprocess, sys; os.chdir('sub'); %s; "
             "subprocess.run([sys.executable, '-c', 'import socket; %s'])" % (MAKE, MAKE)],
            shimmed(LOG="ring:./of-%n.ring:64K"), cwd=self.folder)
        self.assertEqual((status, err), (0, b""))
        name = "of-%s.ring" % os.path.basename(paths.PYTHON)[:15]
        self.assertEqual(sorted(os.listdir(self.folder)), sorted([name, "sub"] + [
            file for file in os.listdir(self.folder) if file.startswith("stderr")]))
        log = self.ring(name)
        self.assertEqual(self.calls(log), ["socket", "close"] * 2)
        self.assertEqual(len({event["pid"] for event in log.events}), 2)


class Events(RecorderCase, OracleCase):
    """What it keeps."""

    def test_agrees_with_strace(self):
        log = self.ring()
        script = ("import os, socket\nfor _ in range(40):\n"
                  + "".join("    %s\n" % line for line in LIFE.split("\n"))
                  + "for _ in range(3):\n    if os.fork() == 0: break\n"
                  + "for _ in range(10): " + MAKE + "\n"
                  + "try:\n    while True: os.wait()\nexcept OSError: pass\n")
        process = self.trace([paths.PYTHON, "-I", "-S", "-c", script], log)
        self.assertEqual(process.wait(), 0, process.error())
        self.agree(log, 40 * 10)

    def test_the_same_lines_as_a_log(self):
        """Two runs of one program: but for what differs between runs, the lines are the same."""
        lines = []
        port = self.port()
        life = LIFE.replace("0))", "%d))" % port)
        for log in (self.log(), self.ring()):
            p = self.puppet(log, STACK=4)
            p("s = socket.socket(); s.setsockopt(1, 13, struct.pack('ii', 0, 7))\n"
              "error_of(s.setsockopt, 1, 2, b'abcdefghijkl'); fd = s.fileno(); s.close()\n"
              "call('close', fd); l = socket.socket(); l.bind(('127.0.0.1', %d)); l.listen(5)\n"
              "m = socket.socket(); error_of(m.bind, ('127.0.0.1', %d)); m.close(); l.close()\n"
              "t = socket.socket(); call('dup2', socket.socket().detach(), t.fileno())"
              % (port, port))
            p(life)
            p.close()
            lines.append([self.alike(event) for event in log.read()])
        self.assertEqual(lines[0], lines[1])
        codes = {note["code"] for event in lines[1] for note in event.get("notes", ())}
        self.assertLessEqual({"double-close", "reuse-enabled", "in-use-listener"}, codes)

    def alike(self, event):
        """Without what no two runs share."""
        cookies = ("time", "pid", "tid", "sock", "dur_ns", "timer_ms")
        event = {key: value for key, value in event.items() if key not in cookies}
        if "closed" in event:
            event["closed"] = {key: value for key, value in event["closed"].items()
                               if key not in cookies}
        if any(event.get(key, "").startswith("FIN_WAIT") for key in ("was", "state")):
            for key in ("was", "via", "state"):
                event.pop(key, None)  # the peer's ACK comes within 40 ms, or at once
        for word in ("local", "peer"):
            if not event.get(word, ":0").startswith("0.0.0.0"):
                event[word] = event.get(word, "").rsplit(":", 1)[0]
        for note in event.get("notes", ()):
            if note["code"] == "in-use-listener":
                # Who it is, is looked for within 20 ms: on a busy machine in vain.
                for key in set(note) - {"code", "local"}:
                    del note[key]
            for key in list(note):
                if key == "code" or note[key] is True:
                    continue
                note[key] = "".join(c for c in str(note[key]) if not c.isdigit())
        return event

    def test_the_newest_are_kept(self):
        log = self.ring(size="64K", lapped=True)
        p = self.puppet(log)
        p("for _ in range(3000): " + MAKE)
        seqs = [event["seq"] for event in log.read()]
        self.assertEqual(seqs[-1], 6000)
        newest = [seq for seq in seqs if seq > 6000 - 228]  # 12 chunks of 19 records
        self.assertEqual(newest, list(range(6000 - 227, 6001)))
        self.assertLessEqual(len(seqs), SMALLEST // 208)

    def test_processes_share_it(self):
        """Forked, executed, and of a run before: each event of each, with its own pid."""
        log = self.ring(size="1M")
        p = self.puppet(log)
        p("pids = []\nfor _ in range(5):\n    pid = os.fork()\n    if not pid:\n"
          "        for _ in range(20): " + MAKE + "\n        os._exit(0)\n    pids.append(pid)\n"
          "for pid in pids: os.waitpid(pid, 0)\n"
          "import subprocess\n"
          "for _ in range(3): subprocess.run([sys.executable, '-I', '-S', '-c', "
          "'import socket\\nfor _ in range(20): %s'])" % MAKE)
        p("for _ in range(20): " + MAKE)
        by_pid = {}
        for event in log.read():
            by_pid.setdefault(event["pid"], []).append(event["seq"])
        self.assertEqual(len(by_pid), 9)
        for seqs in by_pid.values():
            self.assertEqual(seqs, list(range(1, 41)))

    def test_the_last_event_of_a_killed_program(self):
        for how in ("os.kill(os.getpid(), 9)", "os.abort()", "os._exit(3)"):
            log = self.ring(self.fresh("ring"))
            p = self.puppet(log)
            p("import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))")
            p.begin("s = socket.socket(); s.listen(77); " + how)
            p.process.wait()
            last = log.read()[-1]
            self.match(last, call="listen", args={"backlog": 77}, pid=p.pid)

    def test_report_at_exit(self):
        log = self.ring()
        p = self.puppet(log, REPORT=1)
        p("l = socket.create_server(('127.0.0.1', 0)).detach()")
        p.close()
        self.match(log.read()[-1], call="exit", totals={"LISTEN": 1})


class Harm(RecorderCase):
    """Whatever happens to the file, the program gets no signal and no error."""

    def lives(self, p):
        self.assertEqual(p.eval("1 + 1"), 2)

    def test_truncated_while_it_is_written_to(self):
        log = self.ring(size="64K", lapped=True)
        p = self.puppet(log)
        for size in (0, 1, 4095, 4096, 12288, 20000, 0, 65535):
            p("for _ in range(30): " + MAKE)
            os.truncate(log.path, size)
            p("for _ in range(30): " + MAKE)
            self.lives(p)
            self.assertEqual(os.stat(log.path).st_size, SMALLEST)
            self.assertEqual(log.read()[-1]["seq"], p.eval("0") or log.events[-1]["seq"])
            self.assertGreaterEqual(len(log.events), 19)

    def test_truncated_all_the_time(self):
        """Threads write, and another process truncates as fast as it can."""
        log = self.ring(size="64K", lapped=True)
        p = self.puppet(log)
        p("import threading\nstop = False\ncount = [0] * 4\n"
          "def work(n):\n    while not stop:\n        %s\n        count[n] += 1\n"
          "threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]\n"
          "for t in threads: t.start()" % MAKE)
        cuts = 0
        while cuts < 2000 or p.eval("min(count)") < 500:
            os.truncate(log.path, (0, 5000, 30000)[cuts % 3])
            cuts += 1
        p("stop = True\nfor t in threads: t.join()")
        p("for _ in range(100): " + MAKE)
        self.assertGreaterEqual(len(log.read()), 199)

    @needs_root
    def test_truncated_on_a_disk_that_is_full(self):
        disk = self.disk(512 << 10)
        log = self.ring("disk/ring", "256K", lapped=True)
        p = self.puppet(log)
        p("for _ in range(30): " + MAKE)
        os.truncate(log.path, 0)
        ballast = kernel.fill(disk)
        p("for _ in range(300): " + MAKE)
        self.lives(p)
        os.unlink(ballast)
        p("for _ in range(30): " + MAKE)
        events = log.read()
        told = sum(contract.lost(event) for event in events)
        self.assertGreater(told, 400)
        self.assertEqual(events[-1]["seq"], 720)
        self.assertGreaterEqual(os.stat(log.path).st_blocks * 512, 256 << 10)

    def test_a_limit_of_file_size_that_comes_later(self):
        log = self.ring(lapped=True)
        p = self.puppet(log)
        p("import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)")
        p(MAKE)
        p("resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))")
        p("for _ in range(100): " + MAKE)
        self.lives(p)
        p("resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, "
          "resource.RLIM_INFINITY))")
        p(MAKE)
        self.assertEqual([contract.lost(event) for event in log.read()], [0, 0, 200, 0])

    def test_killed_while_it_mends_the_file(self):
        """Before any system call by which a truncated ring becomes one again."""
        if strace.available():
            self.skipTest(strace.available())
        log = self.ring(size="64K", lapped=True)
        self.puppet(log)(MAKE)
        calls = ["fallocate:1"] + ["%s:%d" % (name, n) for name in ("pwritev", "pwrite64")
                                   for n in (1, 2)]
        for name, when in (call.split(":") for call in calls):
            traced = strace.command(self.path("trace"), shimmed(LOG=log.where),
                                    [paths.PYTHON, "-c", "import os, socket; "
                                     "os.truncate(%r, 0); %s" % (log.path, MAKE)],
                                    ("fallocate", "pwrite64", "pwritev"), fast=False)
            traced[1:1] = ["-e", "inject=%s:signal=SIGKILL:when=%s" % (name, when)]
            status, _, err = self.run_program(traced)
            self.assertEqual((status, err), (-signal.SIGKILL, b""), (name, when))
            p = self.puppet(log)
            p(MAKE)
            pid = p.eval("os.getpid()")
            self.assertEqual([event["seq"] for event in log.read() if event["pid"] == pid], [1, 2])

    def test_deleted(self):
        """The lines go on into the deleted file; the next program makes a new one."""
        log = self.ring(size="64K")
        p = self.puppet(log)
        p(MAKE)
        os.unlink(log.path)
        p("for _ in range(100): " + MAKE)
        self.lives(p)
        self.puppet(log)(MAKE)
        self.assertEqual(self.calls(log), ["socket", "close"])

    def test_its_descriptor_is_invisible(self):
        """High, close-on-exec, EBADF for the program; and moved away from a dup2 onto it."""
        log = self.ring(size="1M")
        p = self.puppet(log)
        ours = p.eval("[fd for fd in fds() if os.path.realpath('/proc/self/fd/%%d' %% fd) == %r]"
                      % os.path.realpath(log.path))
        self.assertEqual(len(ours), 1)
        self.assertGreaterEqual(ours[0], 1000)
        self.assertEqual(p.eval("call('close', %d)" % ours[0]), [-1, "EBADF"])
        p(MAKE)
        p("os.dup2(0, %d)" % ours[0])
        p("for _ in range(50): " + MAKE)
        p("if os.fork() == 0:\n    %s\n    os._exit(0)\nos.wait()" % MAKE)
        self.assertEqual(len(log.read()), 104)

    def test_replaced_behind_our_back(self):
        """Not a byte into the file that has our number now."""
        log = self.ring(size="64K")
        p = self.puppet(log)
        p(MAKE)
        p("ours = [fd for fd in fds() if os.path.realpath('/proc/self/fd/%%d' %% fd) == %r][0]\n"
          "file = os.open(%r, os.O_RDWR | os.O_CREAT, 0o600)\n"
          % (os.path.realpath(log.path), self.path("mine")))
        # By a system call of the program's own: an instruction, not libc.
        p("import mmap\n"
          "code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
          "code.write(bytes.fromhex('b821000000' '0f05' 'c3'))\n"  # mov eax, SYS_dup2; syscall; ret
          "dup2 = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int)("
          "ctypes.addressof(ctypes.c_char.from_buffer(code)))\n"
          "assert dup2(file, ours) == ours")
        p("for _ in range(50): " + MAKE)
        self.assertEqual(os.stat(self.path("mine")).st_size, 0)
        self.assertEqual(len(log.read()), 2)


class Dump(RecorderCase):
    """tcpshim dump."""

    def test_text_and_json(self):
        log = self.ring(size="64K")
        self.puppet(log)(MAKE)
        status, out, err = self.dump(log.path)
        self.assertEqual((status, err), (0, b""))
        self.assertRegex(out.decode(), r"^\d\d:\d\d:\d\d\.\d{6} \S+ socket\(AF_INET, .*\n"
                                       r"\d\d:\d\d:\d\d\.\d{6} \S+ close\(\d+\) = 0 +CLOSED\n$")
        self.assertEqual(self.dump("--color=always", log.path)[1].count(b"\033[1m"), 2)
        as_json = self.dump("--json", log.path)[1]
        self.assertEqual(as_json, self.dump("--format=json", log.path)[1])
        self.assertEqual(len([contract.parse(line) for line in as_json.splitlines(True)]), 2)

    def test_what_no_event_can_hold_is_counted(self):
        log = self.ring(size="64K", lapped=True)
        self.puppet(log)(MAKE)
        with open(log.path, "r+b") as file:
            for chunk in Chunk.all_in(file.fileno()):
                chunk.spoil()
        status, out, err = self.dump("--json", log.path)
        self.assertEqual((status, out.count(b"\n"), err.count(b"\n")), (0, 1, 1), err)
        self.assertIn("1 event left out: whole, and yet not what libreuse writes", err.decode())

    def test_usage(self):
        for words, why in (((), "one FILE"), (("a", "b"), "one FILE"), (("--x", "a"), "--x"),
                           (("--format=xml", "a"), "xml"), (("--format",), "--format")):
            status, out, err = self.dump(*words)
            self.assertEqual((status, out, err.count(b"\n")), (2, b"", 1), words)
            self.assertIn(why, err.decode())
        self.assertEqual(self.dump("--help")[0], 0)
        status, out, err = self.dump(self.path("nothing"))
        self.assertEqual((status, out), (2, b""))
        self.assertIn(b"No such file or directory", err)

    def test_follow(self):
        """What is there, and then each event as it comes."""
        log = self.ring(size="64K", lapped=True)
        p = self.puppet(log)
        p(MAKE)
        follower = self.start([paths.tool(), "dump", "--follow", "--json", log.path])
        seen = [contract.parse(read_line(follower).encode()) for _ in range(2)]
        for _ in range(3, 60, 2):
            p(MAKE)
            seen += [contract.parse(read_line(follower).encode()) for _ in range(2)]
        self.assertEqual([event["seq"] for event in seen], list(range(1, len(seen) + 1)))
        os.truncate(log.path, 0)
        p("for _ in range(40): " + MAKE)
        wait_until(lambda: contract.parse(read_line(follower).encode())["seq"] == len(seen) + 80,
                   "the last event")
        self.assertEqual(select.select([follower.stdout], [], [], 0)[0], [])
        follower.terminate()
        self.assertEqual(follower.wait(), -signal.SIGTERM)

    def test_follow_into_a_ring_of_another_size(self):
        """Truncated while nobody wrote to it, and made anew by the next program."""
        log = self.ring(size="64K", lapped=True)
        self.puppet(log)(MAKE)
        follower = self.start([paths.tool(), "dump", "--follow", "--json", log.path])
        first = contract.parse(read_line(follower).encode())["pid"]
        for puppet in self._silent:
            puppet.close()
        os.truncate(log.path, 0)
        p = self.puppet(self.ring(size="1M", lapped=True))
        p("for _ in range(400): " + MAKE)
        seen = set()
        while len(seen) < 800:
            event = contract.parse(read_line(follower).encode())
            if event["pid"] != first:
                seen.add(event["seq"])

    def test_follow_a_file_before_it_is_a_ring(self):
        """Just truncated, or just made: with no head yet, or one that is still zeros."""
        for size in 0, 30, 16384:
            log = self.ring("ring-%d" % size, "64K", lapped=True)
            p = self.puppet(log)
            p(MAKE)
            os.truncate(log.path, 0)
            os.truncate(log.path, size)
            follower = self.start([paths.tool(), "dump", "--follow", "--json", log.path])
            wait_until(lambda: is_waiting(follower), "it has looked")
            p(MAKE)
            seqs = [contract.parse(read_line(follower).encode())["seq"] for _ in range(2)]
            self.assertEqual(seqs, [3, 4])
            follower.terminate()
            self.assertEqual(follower.wait(), -signal.SIGTERM)

    def test_follow_what_is_no_ring(self):
        """It ends at once; what could still become a ring is waited for, and that is told."""
        with open(self.path("letter"), "w") as file:
            file.write("Dear")
        with open(self.path("begun"), "w") as file:
            file.write("libreuse r")
        for path in (self.path("letter"), "/dev/null", "/dev/zero", self.folder):
            for words in ([path], ["--follow", path]):
                status, out, err = self.dump(*words)
                self.assertEqual((status, out, err.decode()), (
                    2, b"", "tcpshim dump: %s: neither a flight recorder nor a log in JSON\n"
                    % path))
        follower = self.start([paths.tool(), "dump", "-f", self.path("begun")])
        wait_until(lambda: is_waiting(follower), "it has looked")
        self.assertEqual(follower.error().decode(),
                         "tcpshim dump: %s: nothing has been recorded yet; waiting\n"
                         % self.path("begun"))

    def test_a_value_of_an_option(self):
        for option, value in (("--format", "x"), ("--color", "pink"), ("--format", "JSON")):
            status, out, err = self.dump("%s=%s" % (option, value), "ring")
            self.assertEqual((status, out, err.count(b"\n")), (2, b"", 1))
            self.assertIn(("%s=%s is not understood" % (option, value)).encode(), err)

    def follow(self, log):
        return self.start([paths.tool(), "dump", "--follow", "--json", log.path])

    def seqs(self, follower, count):
        """The next lines: the numbers of their events."""
        return [contract.parse(read_line(follower).encode())["seq"] for _ in range(count)]

    def open(self, log):
        file = os.open(log.path, os.O_RDWR)
        self.addCleanup(os.close, file)
        return file

    def test_what_was_never_written_is_not_read(self):
        log = self.ring()
        p = self.puppet(log)
        p(MAKE)
        if os.lseek(self.open(log), USUAL // 2, os.SEEK_HOLE) != USUAL // 2:
            self.skipTest("a file system that does not tell")
        follower = self.follow(log)
        self.seqs(follower, 2)
        self.assertLess(bytes_read(follower), 1 << 20)

    def test_follow_reads_only_what_may_be_new(self):
        """Not the whole file for each event."""
        log = self.ring(size="1M", lapped=True)
        p = self.puppet(log)
        p("for _ in range(3000): " + MAKE)
        follower = self.follow(log)
        while self.seqs(follower, 1) != [6000]:
            pass
        before = bytes_read(follower)
        for seq in range(6001, 6081, 2):
            p(MAKE)
            self.assertEqual(self.seqs(follower, 2), [seq, seq + 1])
        self.assertLess(bytes_read(follower) - before, 20 << 20)

    def test_follow_finds_what_comes_late(self):
        """In a chunk that its process has left; a thread of it was slow."""
        log = self.ring(size="64K")
        p = self.puppet(log)
        p("for _ in range(15): " + MAKE)
        left = [chunk for chunk in Chunk.all_in(self.open(log)) if chunk.time & Chunk.LEFT]
        put_in = left[0].take_out()
        left[0].be_older(300000000)
        follower = self.follow(log)
        seqs = self.seqs(follower, 29)
        put_in()
        self.assertEqual(seqs + self.seqs(follower, 1),
                         list(range(1, 19)) + list(range(20, 31)) + [19])

    def test_follow_finds_what_is_written_without_a_time(self):
        """By whoever has the chunk; and once more when it is let go."""
        log = self.ring(size="64K")
        p = self.puppet(log)
        p("for _ in range(2): " + MAKE)
        p.close()
        file = self.open(log)
        chunk, = Chunk.all_in(file)
        put_in = [chunk.take_out() for _ in range(3)]
        chunk.be_older(3600 * 10**9)
        fcntl.lockf(file, fcntl.LOCK_EX, chunk.size, chunk.start)
        follower = self.follow(log)
        self.assertEqual(self.seqs(follower, 1), [1])
        put_in.pop()()
        self.assertEqual(self.seqs(follower, 1), [2])
        wait_until(lambda: is_waiting(follower), "it has looked")
        for put in reversed(put_in):
            put()
        fcntl.lockf(file, fcntl.LOCK_UN, chunk.size, chunk.start)
        self.assertEqual(self.seqs(follower, 2), [3, 4])

    def test_a_full_disk_is_told_once(self):
        log = self.ring()
        self.puppet(log)(MAKE)
        with open("/dev/full", "wb") as full:
            status, _, err = self.run_program([paths.tool(), "dump", log.path], stdout=full)
        self.assertEqual((status, err),
                         (2, b"tcpshim: standard output: No space left on device\n"))

    def test_a_reader_that_goes(self):
        log = self.ring()
        self.puppet(log)("for _ in range(2000): " + MAKE)
        with subprocess.Popen([paths.tool(), "dump", log.path], stdout=subprocess.PIPE) as dump:
            dump.stdout.readline()
            dump.stdout.close()
            self.assertEqual(dump.wait(), -signal.SIGPIPE)
