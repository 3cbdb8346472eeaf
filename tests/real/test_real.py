# SPDX-License-Identifier: MIT
"""Real programs, each driven by a real client: what they answer, and how they end, is as without
the shim.

Each runs without the shim, under it, with a log of JSON, and with stacks in it. The log must keep
its contract, number every event and show states that TCP can be in.

TCPSHIM_REAL_SECONDS is how long each of these runs lasts (3; make check-long: 30). A program that
is not installed is looked for in build/programs, where tests/fetch-programs puts it.
"""

import http.client
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from harness import paths
from harness.case import Case, environment, shimmed, timeout, wait_until

SECONDS = float(os.environ.get("TCPSHIM_REAL_SECONDS", "3"))
LIMIT = 120 + 10 * SECONDS   # four runs, and to read two logs takes longer than to write them
ROOT = os.geteuid() == 0
LIBRARIES = os.path.join(paths.ROOT, "build", "programs", "lib", "usr", "lib",
                         os.uname().machine + "-linux-gnu")


def unpacked(package, path):
    """A program of a package that was only unpacked."""
    return os.path.join("build", "programs", package, path)


def with_libraries(env):
    """The environment in which unpacked programs find the libraries that came with them."""
    return dict(env, LD_LIBRARY_PATH=LIBRARIES) if os.path.isdir(LIBRARIES) else env


def lacks(program):
    """The libraries that a program does not find here, as text."""
    told = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          env=with_libraries(environment()), check=False).stdout.decode()
    return ", ".join(line.split()[0] for line in told.split("\n") if "not found" in line)


def get(port, path="/", **headers):
    """One request; (status, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def exchange(port, request, until):
    """One connection: a request, and the answer up to these bytes."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(request)
        answer = b""
        while not answer.endswith(until):
            more = sock.recv(65536)
            if not more:
                break
            answer += more
        return answer


class Real(Case):
    """Runs a program in its four ways."""

    def find(self, name, *extra):
        path = paths.find(name, *extra)
        if not path:
            self.skipTest("no %s" % name)
        lacking = lacks(path) if path.startswith(paths.ROOT) else None
        if lacking:
            self.skipTest("%s was only unpacked, and lacks %s" % (name, lacking))
        return path

    def drive(self, start, client, stop=signal.SIGTERM, least=10, prog=None):
        """start(env, port) gives the process, client(port) one round's answer."""
        os.chmod(self.folder, 0o777)
        plain = self.one_way(environment(), start, client, stop)
        # A file that another user has made would be refused: then each program has its own.
        each = "%n." if prog else ""
        log, stacks = self.path(each + "events.json"), self.path(each + "stacks.json")
        ways = {"without a log": shimmed(), "JSON": shimmed(LOG=log, FORMAT="json"),
                "stacks": shimmed(LOG=stacks, FORMAT="json", STACK=8)}
        for way, env in ways.items():
            self.assertEqual(self.one_way(env, start, client, stop), plain, way)
        for path in (log, stacks):
            self.check(path.replace("%n", prog or ""), least)

    def check(self, path, least):
        log = self.log(os.path.basename(path))
        log.cut = 3  # each client's, and who accepts
        events = log.read()
        self.assertGreater(len(events), least, path)
        said = {note["code"] for event in events for note in event.get("notes", ())}
        self.assertNotIn("lost-events", said)

    def one_way(self, env, start, client, stop):
        """All the different answers of that time, and the exit status."""
        port = self.port()
        process = start(with_libraries(env), port)
        self.ready(process, port)
        answers = set()
        errors = []
        end = time.monotonic() + SECONDS

        def rounds():
            try:
                while time.monotonic() < end:
                    answers.add(client(port))
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=rounds) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise AssertionError("%s: %r" % (errors, process.error())) from errors[0]
        self.assertIsNone(process.poll(), "it has ended: %r" % process.error())
        process.send_signal(stop)
        status = process.wait(30)
        return sorted(answers), status

    def ready(self, process, port):
        def connects():
            self.assertIsNone(process.poll(), "it has ended: %r" % process.error())
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
            except OSError:
                return False
            return True
        wait_until(connects, lambda: "the server: %r" % process.error(), 30)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        os.chmod(self.path(name), 0o644)
        return self.path(name)

    def other_user(self):
        """The head of a command that makes it another user's than root's."""
        if not ROOT:
            return []
        self.find("setpriv")
        nobody = pwd.getpwnam("nobody")
        return ["setpriv", "--reuid=%d" % nobody.pw_uid, "--regid=%d" % nobody.pw_gid,
                "--clear-groups"]


def client_run(command, **how):
    """A client program's output."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, env=environment(), **how)
    if done.returncode:
        raise AssertionError("%s: %d %r" % (command, done.returncode, done.stderr))
    return done.stdout


class Sshd(Real):
    """A log-in through its seccomp sandbox.

    (Its log can't tell of the sandbox: before it, sshd sets RLIMIT_FSIZE to 0.)
    """

    @timeout(LIMIT)
    def test_a_login(self):
        sshd = self.find("sshd", unpacked("openssh-server", "usr/sbin/sshd"))
        sshd = os.path.abspath(sshd)
        ssh, keygen = self.find("ssh"), self.find("ssh-keygen")
        for name in ("host", "user"):
            client_run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", self.path(name)])
        shutil.copy(self.path("user.pub"), self.path("authorized"))
        user = pwd.getpwuid(os.geteuid()).pw_name
        head = self.as_root_needs_it() if ROOT else []

        def start(env, port):
            config = self.write("sshd_config", "\n".join((
                "ListenAddress 127.0.0.1", "Port %d" % port, "HostKey " + self.path("host"),
                "AuthorizedKeysFile " + self.path("authorized"), "StrictModes no", "UsePAM no",
                "PidFile none", "PermitRootLogin yes", "PasswordAuthentication no", "")))
            return self.start(head + [sshd, "-D", "-e", "-f", config], env)

        def client(port):
            return client_run([
                ssh, "-F", "none", "-p", str(port), "-i", self.path("user"), "-o",
                "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o",
                "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o",
                "IdentityAgent=none", user + "@127.0.0.1", "echo logged in; tr a-z A-Z </dev/null"])

        self.drive(start, client)

    def as_root_needs_it(self):
        """As root it wants a user of its own and a folder: in a mount namespace, for us alone."""
        self.find("unshare")
        with open("/etc/passwd") as file:
            users = file.read()
        if "\nsshd:" not in users:
            users += "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
        script = ("mount --bind \"$0\" /etc/passwd && mount -t tmpfs none /run && "
                  "mkdir -m 755 /run/sshd && exec \"$@\"")
        head = ["unshare", "-m", "sh", "-c", script, self.write("passwd", users)]
        done = subprocess.run(head + ["true"], check=False, stderr=subprocess.PIPE)
        if done.returncode:
            self.skipTest("no mount namespace for sshd's user: %r" % done.stderr)
        return head


class Memcached(Real):

    @timeout(LIMIT)
    def test_with_threads(self):
        memcached = self.find("memcached", unpacked("memcached", "usr/bin/memcached"))

        def start(env, port):
            user = ["-u", "nobody"] if ROOT else []
            return self.start([memcached, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "4"]
                              + user, env)

        def client(port):
            key = b"key%d" % threading.get_ident()
            return exchange(port, b"set %s 0 0 5\r\nhello\r\nget %s\r\n" % (key, key),
                            b"END\r\n").replace(key, b"KEY")

        self.drive(start, client)


class Postgres(Real):
    """A process a connection."""

    @timeout(LIMIT)
    def test_a_process_a_connection(self):
        places = ["/usr/lib/postgresql/%d/bin" % version for version in range(25, 10, -1)]

        def tool(name):
            return self.find(name, *[os.path.join(place, name) for place in places])

        initdb, server, psql = tool("initdb"), tool("postgres"), tool("psql")
        user = self.other_user()
        os.chmod(self.folder, 0o777)   # for initdb
        data = self.path("data")
        client_run(user + [initdb, "-D", data, "-A", "trust", "-U", "test", "--no-sync",
                           "--locale=C", "-E", "UTF8"], cwd=self.folder)

        def start(env, port):
            return self.start(user + [
                server, "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"],
                env, cwd=self.folder)

        def client(port):
            return client_run([psql, "-X", "-h", "127.0.0.1", "-p", str(port), "-U", "test",
                               "-d", "postgres", "-Atc", "select sum(n) from generate_series(1, "
                               "1000) n"], cwd=self.folder)

        self.drive(start, client, signal.SIGINT, prog="postgres")


HAPROXY = """
global
    nbthread 2
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend front
    bind 127.0.0.1:%(port)d
    http-request return status 200 content-type text/plain string hello if { path /direct }
    default_backend back
backend back
    http-request set-path /direct
    server self 127.0.0.1:%(port)d
"""


class Haproxy(Real):

    @timeout(LIMIT)
    def test_two_threads_and_a_backend(self):
        haproxy = self.find("haproxy", unpacked("haproxy", "usr/sbin/haproxy"))

        def start(env, port):
            config = self.write("haproxy.cfg", HAPROXY % {"port": port})
            return self.start([haproxy, "-db", "-f", config], env)

        def client(port):
            return get(port, "/direct"), get(port, "/proxied")

        self.drive(start, client, signal.SIGUSR1)


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
    }
}
"""


class Nginx(Real):

    @timeout(LIMIT)
    def test_workers_and_reloads(self):
        nginx = self.find("nginx", unpacked("nginx", "usr/sbin/nginx"))
        turns = []

        def start(env, port):
            self.process = self.start([nginx, "-p", self.folder, "-e", self.path("error.log"),
                                       "-c", self.write("nginx.conf", NGINX % {
                                           "folder": self.folder, "port": port,
                                           "user": "user nobody nogroup;" if ROOT else ""})], env)
            return self.process

        def client(port):
            turns.append(port)
            if len(turns) % 500 == 0:
                self.process.send_signal(signal.SIGHUP)
            return get(port), get(port, "/proxied", Connection="close")

        self.drive(start, client, signal.SIGQUIT)


APACHE = """
ServerRoot %(folder)s
ServerName localhost
Listen 127.0.0.1:%(port)d
LoadModule mpm_event_module %(modules)s/mod_mpm_event.so
LoadModule authz_core_module %(modules)s/mod_authz_core.so
PidFile %(folder)s/apache.pid
ErrorLog %(folder)s/error.log
DefaultRuntimeDir %(folder)s
Mutex posixsem
StartServers 2
ThreadsPerChild 8
MaxRequestWorkers 32
%(user)s
DocumentRoot %(folder)s/www
<Directory %(folder)s/www>
    Require all granted
</Directory>
"""


class Apache(Real):

    @timeout(LIMIT)
    def test_event_mpm(self):
        apache = os.path.abspath(self.find("apache2", unpacked("apache2-bin", "usr/sbin/apache2")))
        modules = os.path.join(apache[:-len("sbin/apache2")], "lib/apache2/modules")
        if not os.path.isdir(modules):
            self.skipTest("no modules of apache2")
        os.mkdir(self.path("www"))
        self.write("www/index.html", "hello\n")

        def start(env, port):
            config = self.write("apache.conf", APACHE % {
                "folder": self.folder, "port": port, "modules": modules,
                "user": "User nobody\nGroup nogroup" if ROOT else ""})
            return self.start([apache, "-DFOREGROUND", "-f", config], env)

        def client(port):
            return get(port, "/index.html"), get(port, "/none", Connection="close")[0]

        self.drive(start, client)


class Redis(Real):

    @timeout(LIMIT)
    def test_server(self):
        server = paths.find("redis-server", "build/programs/redis-server")
        if not server:
            # One program with many names: it is the server when called so.
            server = self.path("redis-server")
            os.symlink(os.path.realpath(self.find("redis-check-rdb")), server)

        def start(env, port):
            return self.start([server, "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                               "--dir", self.folder], env)

        def client(port):
            return exchange(port, b"SET k v\r\nGET k\r\nPING\r\n", b"+PONG\r\n")

        self.drive(start, client)


NODE = """
const http = require('http');
http.createServer((request, response) => {
    if (request.url === '/again')
        http.get({host: '127.0.0.1', port: process.argv[2], agent: false},
                 (answer) => answer.pipe(response));
    else
        response.end('hello');
}).listen(+process.argv[2], '127.0.0.1');
"""


class Node(Real):

    @timeout(LIMIT)
    def test_http(self):
        node = self.find("node", "/usr/bin/nodejs")
        source = self.write("server.js", NODE)

        def start(env, port):
            return self.start([node, source, str(port)], env)

        def client(port):
            return get(port), get(port, "/again", Connection="close")

        self.drive(start, client)


ASYNCIO = """
import asyncio, socketserver, sys, threading
async def answer(reader, writer):
    line = await reader.readline()
    writer.write(line.upper())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline().lower())
async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
socketserver.ThreadingTCPServer.daemon_threads = True
threads = socketserver.ThreadingTCPServer(("127.0.0.2", int(sys.argv[1])), Echo)
threading.Thread(target=threads.serve_forever, daemon=True).start()
asyncio.run(main())
"""


class Python(Real):

    @timeout(LIMIT)
    def test_asyncio_and_threads(self):
        def start(env, port):
            return self.start([sys.executable, "-I", "-S", "-c", ASYNCIO, str(port)], env)

        def client(port):
            with socket.create_connection(("127.0.0.2", port), 20) as sock:
                sock.sendall(b"Hello\n")
                lower = sock.makefile().readline()
            return exchange(port, b"Hello\n", b"\n"), lower

        self.drive(start, client)


PERL = """
use strict; use Socket;
socket(my $l, PF_INET, SOCK_STREAM, 0) or die; setsockopt($l, SOL_SOCKET, SO_REUSEADDR, 1);
bind($l, sockaddr_in($ARGV[0], INADDR_LOOPBACK)) or die "bind: $!"; listen($l, 64) or die;
my @children; my $parent = $$;
$SIG{TERM} = sub { kill 'KILL', @children if $$ == $parent; exit 3 };
for (1 .. 4) {
    my $pid = fork; if ($pid) { push @children, $pid; next }
    while (accept(my $c, $l)) {
        my $line = <$c>; syswrite $c, "perl: $line" if defined $line; shutdown($c, 1); close $c;
    }
    exit 0;
}
1 while wait != -1;
"""


class Perl(Real):

    @timeout(LIMIT)
    def test_pre_fork(self):
        perl = self.find("perl")

        def start(env, port):
            return self.start([perl, "-e", PERL, str(port)], env)

        self.drive(start, lambda port: exchange(port, b"hello\n", b"\n"))


JAVA = """
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;
public class Server {
    public static void main(String[] args) throws Exception {
        HttpServer server = HttpServer.create(
            new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 64);
        server.createContext("/", exchange -> {
            byte[] body = "hello".getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.start();
    }
}
"""


class Java(Real):

    @timeout(LIMIT)
    def test_http_server(self):
        java, javac = self.find("java"), self.find("javac")
        client_run([javac, "-d", self.folder, self.write("Server.java", JAVA)])

        def start(env, port):
            return self.start([java, "-XX:TieredStopAtLevel=1", "-cp", self.folder, "Server",
                               str(port)], env)

        self.drive(start, lambda port: (get(port), get(port, Connection="close")))


class Openssl(Real):

    @timeout(LIMIT)
    def test_s_server(self):
        openssl = self.find("openssl")
        client_run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test",
                    "-keyout", self.path("key"), "-out", self.path("cert")])

        def start(env, port):
            return self.start([openssl, "s_server", "-accept", "127.0.0.1:%d" % port, "-cert",
                               self.path("cert"), "-key", self.path("key"), "-www", "-quiet"], env)

        def client(port):
            done = subprocess.run(
                [openssl, "s_client", "-connect", "127.0.0.1:%d" % port, "-quiet", "-CAfile",
                 self.path("cert")], input=b"GET / HTTP/1.0\r\n\r\n", stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, timeout=60, env=environment(), check=False)
            return done.returncode, re.search(rb"HTTP/1.0 \d+ \w+", done.stdout).group()

        self.drive(start, client)


class Clients(Real):
    """Programs that connect: here the client is under the shim."""

    def served(self):
        """A plain web server of files, and its port."""
        port = self.port()
        os.mkdir(self.path("www"))
        process = self.start([sys.executable, "-m", "http.server", "--bind", "127.0.0.1",
                              "--directory", self.path("www"), str(port)])
        self.ready(process, port)
        return port

    def ways(self, run, least=3):
        """run(env) gives what must not differ."""
        log, stacks = self.path("events.json"), self.path("stacks.json")
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            plain = run(environment())
            for env in (shimmed(), shimmed(LOG=log, FORMAT="json"),
                        shimmed(LOG=stacks, FORMAT="json", STACK=8)):
                self.assertEqual(run(env), plain)
        self.check(log, least)
        self.check(stacks, least)

    @timeout(LIMIT)
    def test_curl(self):
        curl, port = self.find("curl"), self.served()
        self.write("www/file", "hello\n" * 1000)
        urls = ["http://127.0.0.1:%d/%s" % (port, name) for name in ("file", "none", "file")]
        self.ways(lambda env: self.run_program(
            [curl, "-s", "-w", "%{http_code}\n"] + urls + ["http://127.0.0.1:1/"], env))

    @timeout(LIMIT)
    def test_git_over_http(self):
        git, port = self.find("git"), self.served()
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
        work, bare = self.path("tree"), self.path("www/repository.git")
        client_run([git] + identity + ["init", "-q", work])
        client_run([git] + identity + ["-C", work, "commit", "-q", "--allow-empty", "-m", "first"])
        client_run([git, "clone", "-q", "--bare", work, bare])
        client_run([git, "-C", bare, "update-server-info"])

        def run(env):
            copy = self.fresh("copy")
            status = self.run_program(
                [git, "clone", "-q", "http://127.0.0.1:%d/repository.git" % port, copy], env)
            log = client_run([git, "-C", copy, "log", "--format=%H %s"])
            shutil.rmtree(copy)
            return status, log

        self.ways(run)
