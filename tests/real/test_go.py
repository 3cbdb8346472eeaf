# SPDX-License-Identifier: MIT
"""Go programs, static ones and such with cgo, under the supervisor: each connection's calls, against
the client's own list of its ports and the kernel's account of the calls."""

import collections
import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from harness import kernel, paths
from harness.case import environment, listening_port, timeout
from harness.events import PATIENCE
from harness.tool import ToolCase

# With a garbage collection all the time: the runtime sends SIGURG to its own threads.
HTTP = """package main
import ("fmt"; "net"; "net/http"; "runtime"; "time")
func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil { panic(err) }
	fmt.Println("listening on port", l.Addr().(*net.TCPAddr).Port)
	go func() { for { runtime.GC(); time.Sleep(time.Millisecond) } }()
	http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello")
	}))
}
"""
# Its own sockets, as libraries with an event loop of their own have them: no SO_REUSEADDR.
RAW = """package main
import ("fmt"; "os"; "strconv"; "syscall")
func main() {
	port, _ := strconv.Atoi(os.Args[1])
	l, _ := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	at := &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
	if err := syscall.Bind(l, at); err != nil { fmt.Println(err); os.Exit(1) }
	syscall.Listen(l, 50)
	fmt.Println("listening on port", port)
	for {
		c, _, err := syscall.Accept(l)
		if err != nil { continue }
		data := make([]byte, 100)
		n, _ := syscall.Read(c, data)
		syscall.Write(c, data[:n])
		go func() { syscall.Read(c, data); syscall.Close(c) }()
	}
}
"""
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CALLS = ("accept4", "bind", "close")
NAMES = {"FIN_WAIT1": "FIN_WAIT_1", "SYN_RECV": "SYN_RCVD", "CLOSE": "CLOSED"}


class Trace:
    """The kernel's account of that program's calls, and of the states of its port's sockets."""

    def __init__(self, case, comm):
        where = case.path("tracefs")
        os.mkdir(where)
        try:
            kernel.mount(where, "tracefs")
            self.at = os.path.join(where, "instances", "libreuse-go-%d" % os.getpid())
            os.mkdir(self.at)
        except OSError as error:
            case.skipTest("no tracefs: %s" % error)
        case.addCleanup(kernel.unmount, where)
        case.addCleanup(os.rmdir, self.at)
        self.write("buffer_size_kb", "16384")
        for name in ["syscalls/sys_%s_%s" % (side, call) for side in ("enter", "exit")
                     for call in CALLS]:
            case.addCleanup(self.write, "events/%s/enable" % name, "0")
            self.write("events/%s/filter" % name, 'comm == "%s"' % comm)
            self.write("events/%s/enable" % name, "1")
        case.addCleanup(self.write, "events/sock/inet_sock_set_state/enable", "0")
        self.write("events/sock/inet_sock_set_state/enable", "1")

    def write(self, name, value):
        with open(os.path.join(self.at, name), "w") as file:
            file.write(value)

    def read(self, port):
        """By thread the calls and what they returned, with a close's number; and the ways of the
        sockets with that port."""
        calls, ways, closes = collections.defaultdict(list), collections.Counter(), {}
        with open(os.path.join(self.at, "trace")) as file:
            for line in file:
                found = re.match(r".{16}-(\d+)\s.*?: sys_(\w+)(?:\((?:fd: )?(\w+)| -> (\w+))", line)
                if found and found.group(4):
                    tid, call = int(found.group(1)), found.group(2)
                    ret = int(found.group(4), 16)
                    ret -= 1 << 64 if ret >> 63 else 0
                    calls[tid].append((call, closes.get(tid) if call == "close" else ret))
                elif found and found.group(2) == "close":
                    closes[int(found.group(1))] = int(found.group(3), 16)
                found = re.search(r" sport=%d .*oldstate=TCP_(\w+) newstate=TCP_(\w+)" % port, line)
                if found:
                    ways[tuple(NAMES.get(name, name) for name in found.groups())] += 1
        return calls, ways


class GoCase(ToolCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.built = tempfile.mkdtemp(prefix="libreuse-go-")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.built, ignore_errors=True)
        super().tearDownClass()

    def built_of(self, name, source, cgo):
        """The program; a name of its own, by which the kernel's account knows it."""
        go = paths.find("go", "/usr/lib/go/bin/go")
        if not go:
            self.skipTest("no go (package golang-go)")
        program = os.path.join(self.built, name)
        with open(program + ".go", "w") as file:
            # What imports C is linked dynamically.
            file.write(source.replace("import (", 'import "C"\nimport (', 1) if cgo else source)
        env = dict(environment(), CGO_ENABLED=str(int(cgo)), GO111MODULE="off", HOME=self.built,
                   GOCACHE=os.path.join(self.built, "cache"), GOFLAGS="")
        done = subprocess.run([go, "build", "-o", program, program + ".go"], env=env,
                              stderr=subprocess.PIPE, check=False)
        if done.returncode:
            self.skipTest("go build: %s" % done.stderr.decode())
        return program


class Served(GoCase):
    """2,000 requests of eight clients at once, each over a connection of its own."""

    def requests(self, port, count=250, clients=8):
        """The clients' ports."""
        ports, lock = [], threading.Lock()

        def client():
            for _ in range(count):
                with socket.create_connection(("127.0.0.1", port), PATIENCE) as c:
                    mine, answer = c.getsockname()[1], b""
                    c.sendall(REQUEST)
                    while data := c.recv(4096):
                        answer += data
                assert answer.endswith(b"hello\n"), answer
                with lock:
                    ports.append(mine)
        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return ports

    def served(self, name, cgo):
        program, log = self.built_of(name, HTTP, cgo), self.log()
        trace = Trace(self, name) if os.geteuid() == 0 else None
        process = self.start([self.tool, "run", "--supervise", "--json", "--log=" + log.path,
                              program])
        port = listening_port(process)
        ports = self.requests(port)
        self.assertEqual(len(ports), 2000)
        closes = []
        end = time.monotonic() + PATIENCE
        while len(closes) < 2000 and time.monotonic() < end:
            time.sleep(0.05)
            events = log.read()
            closes = [event for event in events if event["call"] == "close" and "peer" in event]
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE), -signal.SIGTERM)
        events = log.read()
        self.ledger(events, ports)
        if trace:
            self.account(events, *trace.read(port))

    def ledger(self, events, ports):
        """Each connection of the clients' once in accept and once in close."""
        def peers(call):
            return collections.Counter(
                int(event["peer"].rpartition(":")[2]) for event in events
                if event["call"] == call and "peer" in event and "error" not in event)
        self.assertEqual(peers("accept4"), collections.Counter(ports))
        self.assertEqual(peers("close"), collections.Counter(ports))
        self.assertFalse([event for event in events if "state" not in event and
                          "repeated" not in event])

    def account(self, events, calls, ways):
        """Call by call of each thread, and state by state."""
        told = collections.defaultdict(list)
        for event in sorted(events, key=lambda event: event["seq"]):
            if event["call"] in ("accept4", "bind"):
                ret = event["ret"] if "error" not in event else -getattr(errno, event["error"])
                told[event["tid"]].append((event["call"], ret))
                told[event["tid"]] += [(event["call"], ret)] * (
                    event.get("repeated", {"times": 1})["times"] - 1)
        known = {tid: [call for call in made if call[0] != "close"]
                 for tid, made in calls.items()}
        for tid in set(told) | set(known):
            # Equal failures of a thread are told together, when a second has passed.
            self.assertEqual(collections.Counter(told[tid]),
                             collections.Counter(known.get(tid, [])), tid)
        self.assertEqual(
            [call for tid in told for call in told[tid] if call[1] >= 0],
            [call for tid in told for call in known[tid] if call[1] >= 0])
        for tid in told:
            closed = iter([number for call, number in calls[tid] if call == "close"])
            for event in events:
                if event["tid"] == tid and event["call"] == "close":
                    self.assertIn(event["fd"], closed, "in this order")
        self.assertEqual(ways["SYN_RCVD", "ESTABLISHED"], 2000)
        self.assertEqual(sum(call == "accept4" and ret >= 0 for made in known.values()
                             for call, ret in made), 2000)
        went = collections.Counter()
        for event in events:
            way = [event.get("was"), *event.get("via", ()), event.get("state")]
            went.update(zip(way, way[1:]))
        for way in (("SYN_RCVD", "ESTABLISHED"), ("CLOSED", "LISTEN")):
            self.assertEqual(went[way], ways[way], (way, went, ways))
        for way in (("ESTABLISHED", "FIN_WAIT_1"), ("ESTABLISHED", "CLOSE_WAIT")):
            self.assertEqual(went[way], ways[way], (way, went, ways))

    @timeout(120)
    def test_static(self):
        self.served("go-static", False)

    @timeout(120)
    def test_with_cgo(self):
        self.served("go-cgo", True)


class Rescue(GoCase):
    @timeout(120)
    def test_own_sockets(self):
        """kill -9 with a client connected, and again."""
        for name, cgo in (("raw-static", False), ("raw-cgo", True)):
            with self.subTest(name=name):
                program, port = self.built_of(name, RAW, cgo), self.port()
                for turn in range(3):
                    process = self.start([self.tool, "run", "--supervise", program, str(port)])
                    self.assertEqual(listening_port(process), port, turn)
                    self.crash(process, port)
                status, out, _ = self.run_program(
                    [self.tool, "run", "--no-supervise", program, str(port)])
                self.assertEqual(status, 1)
                self.assertIn(b"in use", out)

    @timeout(120)
    def test_it_is_told_that_it_is_followed(self):
        program = self.built_of("told", RAW, True)
        err = self.run_program([self.tool, "run", "--supervise", program, "-1"])[2]
        self.assertIn(b"is made by Go, which makes its system calls itself: it runs under a "
                      b"supervisor", err)
        self.assertEqual(json.loads(self.tcpshim("check", "--json", program)[1])["cause"], "go")
