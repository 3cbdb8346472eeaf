# SPDX-License-Identifier: MIT
"""Real programs: the events agree with strace, call by call.

Each program runs under the shim and under strace at once. strace's account (what the kernel
was asked, and answered) says which events there must be: function, descriptor, result and
thread, none missed and none invented.
"""

import http.client
import os
import signal
import socket
import subprocess

from harness import paths
from harness.case import environment, shimmed, timeout, wait_until
from harness.oracle import OracleCase

NGINX = """
daemon off;
%(user)s
worker_processes 2;
pid %(folder)s/nginx.pid;
error_log %(folder)s/error.log notice;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    server {
        listen 127.0.0.1:%(port)d;
        location / { return 200 "hello\\n"; }
        location /proxied { proxy_pass http://127.0.0.1:%(port)d/; }
        location /refused { proxy_pass http://127.0.0.1:1/; }
    }
}
"""


def ask(port, path="/", close=False):
    """One request to a server."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
    try:
        connection.request("GET", path, headers={"Connection": "close"} if close else {})
        return connection.getresponse().read()
    finally:
        connection.close()


def echo(port, data=b"hello"):
    """One connection to an echo server."""
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        got = b""
        while True:
            more = sock.recv(4096)
            if not more:
                return got
            got += more


class Nginx(OracleCase):
    """Two workers, keep-alive and short connections, a proxy, a reload."""

    def setUp(self):
        super().setUp()
        self.nginx = paths.find("nginx", "build/programs/nginx/usr/sbin/nginx")
        if not self.nginx:
            self.skipTest("no nginx")

    def configure(self, port):
        os.chmod(self.folder, 0o755)
        user = "user nobody nogroup;" if os.geteuid() == 0 else ""
        with open(self.path("nginx.conf"), "w") as file:
            file.write(NGINX % {"folder": self.folder, "port": port, "user": user})
        return [self.nginx, "-p", self.folder, "-c", self.path("nginx.conf"), "-e",
                self.path("error.log")]

    def answers(self, port):
        def asked():
            try:
                return ask(port) == b"hello\n"
            except OSError:
                return False
        wait_until(asked, "nginx")

    def workers_started(self):
        try:
            with open(self.path("error.log")) as file:
                return file.read().count("start worker process ")
        except FileNotFoundError:
            return 0

    def test_two_workers_a_proxy_and_a_reload(self):
        log, port = self.log(), self.port()
        process = self.trace(self.configure(port), log)
        self.answers(port)
        for turn in range(30):
            self.assertEqual(ask(port, close=turn % 2 == 0), b"hello\n")
        self.assertEqual(ask(port, "/proxied"), b"hello\n")
        self.assertIn(b"502", ask(port, "/refused"))
        before = self.workers_started()
        os.kill(self.traced_pid(), signal.SIGHUP)
        wait_until(lambda: self.workers_started() == before + 2, "the new workers")
        for turn in range(10):
            self.assertEqual(ask(port), b"hello\n")
        self.assertEqual(self.stop(process, signal.SIGQUIT), 0)
        trace = self.agree(log, 130)
        workers = {call.pid for call in trace.calls if call.name == "accept4" and call.ret >= 0}
        self.assertTrue(workers, "no worker accepted")
        self.assertNotIn(self.traced_pid(), workers)


class Redis(OracleCase):
    """redis-server under redis-benchmark."""

    @timeout(90)
    def test_under_its_benchmark(self):
        server, benchmark = paths.find("redis-server"), paths.find("redis-benchmark")
        check = paths.find("redis-check-rdb")
        if not server and check:
            # One program with many names: it is the server when called so.
            server = self.path("redis-server")
            os.symlink(os.path.realpath(check), server)
        if not server or not benchmark:
            self.skipTest("no redis-server" if not server else "no redis-benchmark")
        log, port = self.log(), self.port()
        process = self.trace([server, "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                              "--appendonly", "no", "--dir", self.folder], log)
        log.wait(lambda event: event["call"] == "listen" and event["ret"] == 0, "listen")
        done = subprocess.run(
            [benchmark, "-h", "127.0.0.1", "-p", str(port), "-c", "20", "-n", "2000", "-t",
             "ping,set,get", "-q"], env=environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=40, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.stop(process), 0)
        self.agree(log, 150)


class Python(OracleCase):
    """Programs of the standard library."""

    def python(self, source, *args):
        return [paths.PYTHON, "-I", "-S", "-B", "-c", source] + list(args)

    def test_socketserver(self):
        log = self.log()
        process, port = self.serve(self.python("""
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.read())
with socketserver.TCPServer(("127.0.0.1", 0), Echo) as server:
    print(server.server_address[1], flush=True)
    for _ in range(12):
        server.handle_request()
"""), log)
        for _ in range(12):
            self.assertEqual(echo(port), b"hello")
        self.assertEqual(process.wait(), 0)
        self.agree(log, 12 * 3)

    def test_a_server_that_forks_for_each_client(self):
        log = self.log()
        process, port = self.serve(self.python("""
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.read())
with socketserver.ForkingTCPServer(("127.0.0.1", 0), Echo) as server:
    print(server.server_address[1], flush=True)
    for _ in range(8):
        server.handle_request()
"""), log)
        for _ in range(8):
            self.assertEqual(echo(port), b"hello")
        self.assertEqual(process.wait(), 0)
        trace = self.agree(log, 8 * 4)
        self.assertEqual(len({call.pid for call in trace.calls}), 9)

    def test_http_server_with_threads(self):
        log = self.log()
        process, port = self.serve(self.python("""
import http.server, threading
class Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
        if self.path == "/stop":
            threading.Thread(target=server.shutdown).start()
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
server.daemon_threads = False
print(server.server_address[1], flush=True)
server.serve_forever()
server.server_close()
"""), log)
        for turn in range(15):
            self.assertEqual(ask(port, close=turn % 3 == 0), b"hello")
        held = [http.client.HTTPConnection("127.0.0.1", port, timeout=40) for _ in range(5)]
        for _ in range(2):
            for connection in held:
                connection.request("GET", "/")
                self.assertEqual(connection.getresponse().read(), b"hello")
        for connection in held:
            connection.close()
        ask(port, "/stop")
        self.assertEqual(process.wait(), 0)
        trace = self.agree(log, 60)
        self.assertGreater(len({call.tid for call in trace.calls}), 10)

    def test_asyncio(self):
        log = self.log()
        process = self.trace(self.python("""
import asyncio
async def echo(reader, writer):
    writer.write(await reader.read())
    await writer.drain()
    writer.close()
async def client(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello")
    writer.write_eof()
    assert await reader.read() == b"hello"
    writer.close()
    await writer.wait_closed()
async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await asyncio.gather(*[client(port) for _ in range(20)])
    try:
        await asyncio.open_connection("127.0.0.1", 1)
    except ConnectionRefusedError:
        pass
    server.close()
    await server.wait_closed()
asyncio.run(main())
"""), log)
        self.assertEqual(process.wait(), 0, process.error())
        self.agree(log, 100)

    def test_subprocess(self):
        """Its children are made by vfork: nothing until they exec, then their own events."""
        log = self.log()
        process = self.trace(self.python("""
import os, socket, subprocess, sys
one = socket.create_server(("127.0.0.1", 0))
two = socket.create_connection(one.getsockname())
two.set_inheritable(True)
child = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.close()"
run = [sys.executable, "-I", "-S", "-c", child]
subprocess.run(["true"], check=True)
subprocess.run(run, check=True)
subprocess.run(run, check=True, close_fds=False)
subprocess.run(run, check=True, pass_fds=[one.fileno()])
subprocess.run(run, check=True, preexec_fn=lambda: one.close())
subprocess.run(run, check=True, stdin=two)
subprocess.run("true; true", shell=True, check=True)
os.posix_spawn(sys.executable, run, os.environ, file_actions=[(os.POSIX_SPAWN_CLOSE, 3)])
os.wait()
os.system("true")
one.shutdown(socket.SHUT_RDWR)
two.close()
"""), log)
        self.assertEqual(process.wait(), 0, process.error())
        trace = self.agree(log, 25)
        self.assertGreater(len(trace.execs), 6)

    def test_copies_and_ranges(self):
        log = self.log()
        process = self.trace(self.python("""
import ctypes, os, socket, threading
C = ctypes.CDLL(None)
l = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(l.getsockname())
a, _ = l.accept()
C.dup(c.fileno()); C.dup2(c.fileno(), 50); C.dup3(a.fileno(), 50, os.O_CLOEXEC)
C.dup2(0, 50); C.dup2(c.fileno(), c.fileno()); C.dup(999); C.dup2(999, c.fileno())
C.dup3(c.fileno(), c.fileno(), 0)
c.dup(); os.dup(a.fileno()); os.dup2(a.fileno(), 60); os.dup2(l.fileno(), 61, inheritable=False)
socket.fromfd(c.fileno(), socket.AF_INET, socket.SOCK_STREAM).close()
with c.makefile("rwb") as file:
    file.write(b"x")
C.fdopen.restype = ctypes.c_void_p
C.fclose(ctypes.c_void_p(C.fdopen(60, b"r")))
c.setblocking(False)
c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
c.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
C.setsockopt(c.fileno(), 1, 2, None, 4); C.bind(c.fileno(), None, 16); C.listen(999, 1)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0))
x, y = socket.socketpair(); x.close(); y.close()
for number in range(70, 80):
    os.dup2(a.fileno(), number)
threads = [threading.Thread(target=C.close, args=(n,)) for n in range(70, 74)]
for t in threads: t.start()
for t in threads: t.join()
C.close_range(74, 75, 0)
C.close_range(76, 77, 4)
C.close_range(9, 3, 0)
C.syscall(3, 78)
os.closerange(79, 90)
m = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 6)
C.closefrom(m.fileno())
C.closefrom(3)
os._exit(0)
"""), log)
        self.assertEqual(process.wait(), 0, process.error())
        self.agree(log, 45)

    def test_interrupted_accept(self):
        """EINTR ends a call and makes an event; a restarted call is still one call.

        A signal may come between the end of a call and its event: the handler's events are
        before it then. So the order is left out of it.
        """
        log = self.log()
        process = self.trace([self.program("interrupted")], log)
        self.assertEqual(process.wait(), 0, process.error())
        trace = self.agree(log, 12, ordered=False)
        self.assertIn("EINTR", [call.error for call in trace.calls])


class Perl(OracleCase):
    """Perl's own calls, and what it closes with its own stdio."""

    def setUp(self):
        super().setUp()
        self.perl = paths.find("perl")
        if not self.perl:
            self.skipTest("no perl")

    def test_a_server_that_forks(self):
        log = self.log()
        process, port = self.serve([self.perl, "-e", """
use IO::Socket::INET;
$| = 1;
my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Proto => "tcp", Listen => 5)
    or die "listen: $!";
print $l->sockport, "\\n";
for (1 .. 8) {
    my $c = $l->accept or die "accept: $!";
    my $pid = fork;
    if (!$pid) {
        close $l;
        local $/;
        print $c scalar <$c>;
        close $c;
        exit 0;
    }
    close $c;
    waitpid $pid, 0;
}
close $l;
"""], log)
        for _ in range(8):
            self.assertEqual(echo(port), b"hello")
        self.assertEqual(process.wait(), 0, process.error())
        self.agree(log, 8 * 4)

    def test_copies_shutdown_and_children(self):
        log = self.log()
        process = self.trace([self.perl, "-e", """
use Socket; use IO::Socket::INET; use POSIX ();
my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 5, ReuseAddr => 1) or die;
my $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $l->sockport) or die;
my $t = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $l->sockport,
                              Timeout => 5) or die;
my $none = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => 1, Timeout => 5);
die if $none;
my $a = $l->accept or die;
open(my $copy, "<&", $a) or die;
open(my $same, "<&=", fileno($a)) or die;
setsockopt($c, SOL_SOCKET, SO_KEEPALIVE, 1) or die;
getsockopt($c, SOL_SOCKET, SO_ERROR);
shutdown($c, 1);
system("true");
system($^X, "-e", "1");
POSIX::dup2(fileno($c), 40);
POSIX::dup2(1, 40);
POSIX::close(POSIX::dup(fileno($l)));
POSIX::close(99);
close $copy; close $a; close $c; close $l;
"""], log)
        self.assertEqual(process.wait(), 0, process.error())
        self.agree(log, 20)


class Php(OracleCase):
    """PHP loads its extensions with RTLD_DEEPBIND: their calls are found in libc first."""

    def php(self, source, *args):
        php = paths.find("php")
        if not php or b"sockets" not in subprocess.run(
                [php, "-m"], env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, check=False).stdout:
            self.skipTest("no php with its sockets extension")
        return [php, "-r", source] + list(args)

    def test_its_sockets(self):
        """Made, bound, listening and closed: four calls, and ours in between."""
        for settings in ({}, {"STACK": 3}):
            log = self.log(os.path.basename(self.fresh("log")))
            process = self.trace(self.php("""
$s = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
socket_bind($s, "127.0.0.1", (int)$argv[1]);
socket_listen($s);
socket_close($s);
""", str(self.port())), log, env=shimmed(LOG=log.path, FORMAT="json", **settings))
            self.assertEqual(process.wait(), 0, process.error())
            self.agree(log, 5)
            self.expect(log.read(), ("socket", {}), ("setsockopt", {"by": "shim"}),
                        ("bind", {"ret": 0}), ("listen", {"state": "LISTEN"}),
                        ("close", {"state": "CLOSED"}))

    def test_a_server(self):
        log = self.log()
        process, port = self.serve(self.php("""
$l = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
socket_bind($l, "127.0.0.1", 0);
socket_listen($l);
socket_getsockname($l, $host, $port);
echo "$port\n";
for ($i = 0; $i < 8; $i++) {
    $c = socket_accept($l);
    while (($data = socket_read($c, 4096)) !== "") socket_write($c, $data);
    socket_shutdown($c);
    socket_close($c);
}
socket_close($l);
"""), log)
        for _ in range(8):
            self.assertEqual(echo(port), b"hello")
        self.assertEqual(process.wait(), 0, process.error())
        self.agree(log, 4 + 3 * 8)


class Others(OracleCase):
    """The demo server, and what else is installed."""

    def test_the_demo_server(self):
        server = paths.demo("server")
        if not os.access(server, os.X_OK):
            self.skipTest("the demo server is not built")
        log = self.log()
        process, port = self.serve([server, "0"], log)
        held = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(5)]
        for _ in range(10):
            self.assertEqual(echo(port), b"hello")
        for sock in held:
            sock.close()
        log.wait(lambda _: sum(1 for event in log.events if event["call"] == "close") >= 15,
                 "15 closes")
        self.stop(process)
        self.agree(log, 3 + 2 * 15)

    def test_node(self):
        """Node.js closes with syscall(SYS_close)."""
        node = paths.find("node")
        if not node:
            self.skipTest("no node")
        log = self.log()
        process, port = self.serve([node, "-e", """
const net = require("net");
let left = 8;
const server = net.createServer({ allowHalfOpen: true }, (c) => {
    c.on("data", (d) => c.write(d));
    c.on("end", () => c.end());
    c.on("close", () => { if (--left === 0) server.close(); });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""], log)
        for _ in range(8):
            self.assertEqual(echo(port), b"hello")
        self.assertEqual(process.wait(), 0, process.error())
        self.agree(log, 3 + 2 * 8)

    def test_socat(self):
        socat = paths.find("socat")
        if not socat:
            self.skipTest("no socat")
        log, port = self.log(), self.port()
        process = self.trace([socat, "TCP-LISTEN:%d,bind=127.0.0.1,fork" % port,
                              "EXEC:cat"], log)
        log.wait(lambda event: event["call"] == "listen", "listen")
        for _ in range(3):
            self.assertEqual(echo(port), b"hello")
        wait_until(lambda: len([event for event in log.read() if event["call"] == "shutdown"])
                   >= 3, "socat's children")
        self.stop(process)
        self.agree(log, 15)
