# SPDX-License-Identifier: MIT
"""The main job: a server that crashed with clients connected starts again at once."""

import os
import re

from harness import paths
from harness.case import Case, environment, listening_port, read_line, shimmed, timeout, \
    wait_until

PYTHON = """
import socketserver, sys
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(self.request.recv(100))
        self.request.recv(100)
server = socketserver.TCPServer(("127.0.0.1", int(sys.argv[1])), Echo)
print("listening on port", sys.argv[1], flush=True)
server.serve_forever()
"""
PERL = """
use IO::Socket::INET;
$| = 1;
my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[0],
    Proto => "tcp", Listen => 5) or die "bind: $!\\n";
print "listening on port $ARGV[0]\\n";
while (my $c = $l->accept) { sysread $c, my $text, 100; syswrite $c, $text; sysread $c, $text, 100 }
"""
# Its extensions are loaded with RTLD_DEEPBIND.
PHP = """
$l = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
if (!@socket_bind($l, "127.0.0.1", (int)$argv[1])) {
    fwrite(STDERR, socket_strerror(socket_last_error($l)));
    exit(1);
}
socket_listen($l, 5);
echo "listening on port $argv[1]\n";
while ($c = socket_accept($l)) {
    socket_write($c, socket_read($c, 100));
    socket_read($c, 100);
}
"""


class Restart(Case):
    """kill -9 with a client connected, and the same command again."""

    def command(self, port):
        server = paths.demo("server")
        if not os.access(server, os.X_OK):
            self.skipTest("the demo server is not built")
        return [server, str(port)]

    def refused(self, command, env=None):
        """The command fails, and says that the address is in use."""
        status, _, err = self.run_program(command, env)
        self.assertNotEqual(status, 0)
        self.assertIn(b"in use", err)

    def rescued(self, command, port, times, **settings):
        for turn in range(times):
            process = self.start(command, shimmed(**settings))
            try:
                self.assertIn("listening", read_line(process))
            except AssertionError as error:
                self.fail("run %d of %d: %s" % (turn + 1, times, error))
            self.crash(process, port)
            process.stdout.close()
            self.assertEqual(process.error(), b"")

    def unaided(self, command, port):
        """The control: without the shim the second run fails."""
        process = self.start(command)
        self.assertIn("listening", read_line(process))
        self.crash(process, port)
        self.refused(command)


class Demo(Restart):
    """The demo server."""

    @timeout(60)
    def test_two_hundred_crashes(self):
        port = self.port()
        self.rescued(self.command(port), port, 200)

    @timeout(60)
    def test_crashes_while_logged(self):
        """The same with a log; every bind succeeded, by the shim's own account too."""
        port, log = self.port(), self.log()
        self.rescued(self.command(port), port, 20, LOG=log.path, FORMAT="json")
        binds = [event for event in log.read() if event["call"] == "bind"]
        self.assertEqual([event["ret"] for event in binds], [0] * 20)
        for event in binds:
            self.assertIn("reuse-enabled", self.notes(event))

    def test_gentle(self):
        port = self.port()
        self.rescued(self.command(port), port, 10, REUSE="gentle")

    def test_without_the_shim(self):
        port = self.port()
        self.unaided(self.command(port), port)

    def test_off_is_as_without_the_shim(self):
        port = self.port()
        command = self.command(port)
        process = self.start(command, shimmed(REUSE="off"))
        read_line(process)
        self.crash(process, port)
        self.refused(command, shimmed(REUSE="off"))

    def test_the_first_run_must_be_under_the_shim_too(self):
        """What a run without the option left behind holds the port against a run with it."""
        port = self.port()
        command = self.command(port)
        process = self.start(command)
        read_line(process)
        self.crash(process, port)
        self.refused(command, shimmed())

    def test_a_live_server_keeps_its_port(self):
        port = self.port()
        command = self.command(port)
        process = self.start(command, shimmed())
        read_line(process)
        self.refused(command, shimmed())
        self.crash(process, port)

    def test_another_port_is_not_helped(self):
        port = self.port()
        command = self.command(port)
        elsewhere = shimmed(PORTS="%d,%d-%d" % (port - 1, port + 1, port + 5))
        process = self.start(command, elsewhere)
        read_line(process)
        self.crash(process, port)
        self.refused(command, elsewhere)

    def test_ports_that_name_it(self):
        port = self.port()
        self.rescued(self.command(port), port, 3, PORTS="1,%d-%d" % (port - 2, port + 2))
        self.rescued(self.command(port), port, 3, PORTS=str(port))

    def test_by_a_relative_path(self):
        """As in the README: LD_PRELOAD=./libreuse.so ./server."""
        port = self.port()
        server = self.command(port)
        env = environment()
        env["LD_PRELOAD"] = "./libreuse.so"
        folder = os.path.dirname(paths.library())
        for _ in range(3):
            process = self.start(server, env, cwd=folder)
            self.assertEqual(listening_port(process), port)
            self.crash(process, port)
            self.assertEqual(process.error(), b"")


class Real(Restart):
    """Programs that nobody here wrote."""

    def test_python_socketserver(self):
        port = self.port()
        self.rescued([paths.PYTHON, "-I", "-S", "-c", PYTHON, str(port)], port, 10)

    def test_python_socketserver_without_the_shim(self):
        port = self.port()
        self.unaided([paths.PYTHON, "-I", "-S", "-c", PYTHON, str(port)], port)

    def perl(self, port):
        perl = paths.find("perl")
        if not perl:
            self.skipTest("no perl")
        return [perl, "-e", PERL, str(port)]

    def test_perl_io_socket_inet(self):
        port = self.port()
        self.rescued(self.perl(port), port, 10)

    def test_perl_io_socket_inet_without_the_shim(self):
        port = self.port()
        self.unaided(self.perl(port), port)

    def php(self, port):
        php = paths.find("php")
        if not php or b"sockets" not in self.run_program([php, "-m"])[1]:
            self.skipTest("no php with its sockets extension")
        return [php, "-r", PHP, str(port)]

    def test_php_sockets(self):
        port = self.port()
        self.rescued(self.php(port), port, 10)

    def test_php_sockets_without_the_shim(self):
        port = self.port()
        self.unaided(self.php(port), port)

    def socat(self, port):
        socat = paths.find("socat")
        if not socat:
            self.skipTest("no socat")
        version = re.search(rb"version (\d+)\.(\d+)", self.run_program([socat, "-V"])[1])
        # Since 1.8 it sets the option itself, unless it is told to leave it alone.
        alone = ",reuseaddr=" if tuple(map(int, version.groups())) >= (1, 8) else ""
        return [socat, "-d", "-d", "TCP-LISTEN:%d,bind=127.0.0.1%s" % (port, alone), "PIPE"]

    def run_socat(self, port, env):
        with open(self.path("socat.err"), "wb") as err:
            process = self.start(self.socat(port), env, stderr=err)

        def said():
            with open(self.path("socat.err"), "rb") as file:
                return file.read()
        wait_until(lambda: b"listening on" in said() or process.poll() is not None, "socat")
        return process, said()

    def test_socat(self):
        port = self.port()
        for _ in range(5):
            process, said = self.run_socat(port, shimmed())
            self.assertIn(b"listening on", said)
            self.crash(process, port)

    def test_socat_without_the_shim(self):
        port = self.port()
        process, _ = self.run_socat(port, environment())
        self.crash(process, port)
        _, said = self.run_socat(port, environment())
        self.assertIn(b"in use", said)
