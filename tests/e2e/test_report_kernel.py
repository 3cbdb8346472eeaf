# SPDX-License-Identifier: MIT
"""tcpshim report against the kernel's own account of the same run: sock:inet_sock_set_state."""

import collections
import os
import re
import signal
import socket
import subprocess

from harness import kernel, paths
from harness.case import (environment, needs_root, read_line, shimmed, timeout,
                          wait_until)
from harness.reports import ReportCase

# The kernel's names (states.def has both).
NAMES = {"CLOSE": "CLOSED", "SYN_RECV": "SYN_RCVD", "FIN_WAIT1": "FIN_WAIT_1",
         "FIN_WAIT2": "FIN_WAIT_2"}
# Ways that are known by a socket's last call; the others are gone after it, or with the process.
BEGINNING = [("CLOSED", "LISTEN"), ("CLOSED", "SYN_SENT"), ("SYN_SENT", "ESTABLISHED"),
             ("LISTEN", "SYN_RCVD"), ("SYN_RCVD", "ESTABLISHED")]
END = [("ESTABLISHED", "FIN_WAIT_1"), ("ESTABLISHED", "CLOSE_WAIT"), ("CLOSE_WAIT", "LAST_ACK")]
CLIENT = """
import socket, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
for turn in range(count):
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(sys.argv[3].encode().decode("unicode_escape").encode())
        if turn % 2: s.shutdown(socket.SHUT_WR)
        while s.recv(4096): pass
"""
SERVER = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as l:
    for turn in range(int(sys.argv[2])):
        a, _ = l.accept()
        with a:
            if turn % 2:
                while a.recv(4096): pass
            else:
                a.recv(4096)
"""
NGINX = """
daemon off; worker_processes 2; pid nginx.pid; error_log error.log;
%(user)s
events { worker_connections 64; }
http {
    access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;
    uwsgi_temp_path u; scgi_temp_path s;
    server { listen 127.0.0.1:%(port)d; keepalive_requests 3;
             location / { return 200 "hello"; } }
}
"""


# A connection with these addresses, in a network namespace of its own, that ends when told to.
SAME = """
import socket, sys
host = sys.argv[1]
l = socket.create_server((host, 5000))
c = socket.create_connection((host, 5000), source_address=(host, 6000))
a, _ = l.accept(); print(flush=True); sys.stdin.read()
c.close(); a.close(); l.close()
"""


class Account:
    """What the kernel says of the sockets with that port, from now on."""

    def __init__(self, case, port):
        where = case.path("tracefs")
        os.mkdir(where)
        try:
            kernel.mount(where, "tracefs")
            self.at = os.path.join(where, "instances", "libreuse-%d" % os.getpid())
            os.mkdir(self.at)
        except OSError as error:
            case.skipTest("no tracefs: %s" % error)
        case.addCleanup(kernel.unmount, where)
        case.addCleanup(os.rmdir, self.at)
        case.addCleanup(self.write, "events/sock/inet_sock_set_state/enable", "0")
        self.write("buffer_size_kb", "8192")
        self.write("events/sock/inet_sock_set_state/filter",
                   "sport == %d || dport == %d" % (port, port))
        self.write("events/sock/inet_sock_set_state/enable", "1")

    def write(self, name, value):
        with open(os.path.join(self.at, name), "w") as file:
            file.write(value)

    def ways(self):
        """How many sockets went each way."""
        with open(os.path.join(self.at, "trace")) as file:
            found = re.findall(r"oldstate=TCP_(\w+) newstate=TCP_(\w+)", file.read())
        return collections.Counter(tuple(NAMES.get(name, name) for name in way) for way in found)


class Agrees(ReportCase):
    """Real programs, both ends under the shim, all their logs together."""

    def ways(self, *logs):
        out = self.fresh("picture")
        page = self.fresh("page")
        self.assertEqual(self.run_program(
            [paths.tool(), "report", "--html", page, "--diagram", out, *logs]), (0, b"", b""))
        with open(page, encoding="utf-8") as file:
            alt = re.search(r'<img alt="([^"]*)"', file.read()).group(1)
        return collections.Counter({(a, b): int(n.replace(",", "")) for n, a, b in re.findall(
            r"([\d,]+) (\w+) -&gt; (\w+)", alt)})

    def agree(self, account, ways, log, least):
        """Of each way; of those that were not closed by a call, all ends together."""
        told, known = self.ways(log), account.ways()
        for way in ways:
            self.assertEqual(told[way], known[way], (way, told, known))
            self.assertGreaterEqual(known[way], least if way[0] != "CLOSED" else 1, way)
        return told, known

    def env(self, log):
        return shimmed(LOG=log, FORMAT="json")

    @needs_root
    def test_server_and_client(self):
        """Closed by the one first and by the other, and half-closed."""
        port, log, count = self.port(), self.path("log.json"), 40
        account = Account(self, port)
        server = self.start([paths.PYTHON, "-c", SERVER, str(port), str(count)], self.env(log))
        wait_until(lambda: self.listens(port), "the server")
        status, _, err = self.run_program(
            [paths.PYTHON, "-c", CLIENT, str(port), str(count), "x"], self.env(log))
        self.assertEqual((status, err, server.wait(20)), (0, b"", 0))
        told, known = self.agree(account, BEGINNING + END[:1], log, count)
        self.assertEqual(known["LISTEN", "CLOSED"], told["LISTEN", "CLOSED"])
        self.assertEqual(told["ESTABLISHED", "CLOSE_WAIT"], known["ESTABLISHED", "CLOSE_WAIT"])
        self.assertEqual(told["CLOSE_WAIT", "LAST_ACK"], known["CLOSE_WAIT", "LAST_ACK"])

    def listens(self, port):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return True
        return False

    @needs_root
    @timeout(60)
    def test_demo(self):
        """The demo server and client: clients that close, crashes with one connected, restarts."""
        port, log = str(self.port()), self.path("log.json")
        account, env = Account(self, int(port)), self.env(log)
        client = [paths.demo("client"), port, "say"]
        for _ in range(3):
            server = self.start([paths.demo("server"), port], env)
            read_line(server)
            for _ in range(5):
                self.assertEqual(self.run_program(client + ["close"], env)[0], 0)
            waits = self.start(client + ["end"], env)
            wait_until(lambda: "came back" in read_line(waits), "the answer")
            server.kill()
            server.wait()
            self.assertEqual(waits.wait(20), 0)
        told, known = self.agree(account, BEGINNING, log, 18)
        for way in END:   # but for those that no call has ended: a kill, and a client's end
            self.assertEqual((told[way], known[way]), (15, 18), way)

    @needs_root
    @timeout(60)
    def test_redis(self):
        server, benchmark = paths.find("redis-server"), paths.find("redis-benchmark")
        if not server or not benchmark:
            self.skipTest("no redis")
        port, log = self.port(), self.path("log.json")
        account = Account(self, port)
        process = self.start([server, "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                              "--appendonly", "no", "--dir", self.folder], self.env(log))
        wait_until(lambda: self.listens(port), "redis")
        subprocess.run([benchmark, "-p", str(port), "-c", "20", "-n", "2000", "-t", "ping,set",
                        "-k", "0", "-q"], env=self.env(log), check=True, timeout=50,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        self.agree(account, BEGINNING, log, 2000)

    @needs_root
    @timeout(60)
    def test_nginx(self):
        nginx = paths.find("nginx", "build/programs/nginx/usr/sbin/nginx")
        if not nginx:
            self.skipTest("no nginx")
        port, log = self.port(), self.path("log.json")
        os.chmod(self.folder, 0o777)
        with open(self.path("nginx.conf"), "w") as file:
            file.write(NGINX % {"port": port, "user": "user nobody nogroup;"})
        account = Account(self, port)
        process = self.start([nginx, "-p", self.folder, "-c", self.path("nginx.conf"), "-e",
                              self.path("error.log")], self.env(log))
        wait_until(lambda: self.listens(port), "nginx")
        status, _, err = self.run_program(
            [paths.PYTHON, "-c", CLIENT, str(port), "60",
             r"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"], self.env(log))
        self.assertEqual((status, err), (0, b""))
        process.send_signal(signal.SIGQUIT)
        process.wait(20)
        self.agree(account, BEGINNING + END[:1], log, 60)


class Namespaces(ReportCase):
    """Two at the same time, with the same addresses in each."""

    def begin(self, host, log):
        process = self.start(
            ["unshare", "-n", "sh", "-c", "ip link set lo up && ip addr replace $1/32 dev lo && "
             'exec env "LD_PRELOAD=$2" "$0" -c "$3" "$1"', paths.PYTHON, host, paths.preload(),
             SAME], environment(LOG=log, FORMAT="json"), stdin=subprocess.PIPE)
        read_line(process)
        return process

    @needs_root
    def test_the_same_addresses_in_two(self):
        """On loopback each is told from the other; else nobody knows: none is joined wrongly."""
        if not paths.find("ip"):
            self.skipTest("no ip")
        for host, joined in (("127.0.0.1", 4), ("192.0.2.1", 0)):
            log = self.path(host)
            for process in [self.begin(host, log) for _ in range(2)]:
                process.communicate(b"", timeout=20)
            socks = {event["sock"] for event in self.lines(log)
                     if event["call"] in ("connect", "accept4")}
            self.assertEqual(len(socks), 4)
            told = self.report(log)[0]["connections"]
            self.assertEqual((told["ends"], told["joined"], told["ambiguous"]),
                             (4, joined, 4 - joined))
