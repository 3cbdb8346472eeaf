# SPDX-License-Identifier: MIT
"""A setuid program that has the library: what its caller set in the environment is not heeded.

ld.so itself drops LD_PRELOAD there, so the program is linked against the library, as one whose
administrator lists it in /etc/ld.so.preload would have it.
"""

import os
import pwd
import shutil
import subprocess

from harness import paths
from harness.case import Case, environment, needs_root

SOURCE = """
#include <netinet/in.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = PORT};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 0;
	socklen_t len = sizeof(on);
	bind(fd, (struct sockaddr *)&any, sizeof(any));
	getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, &len);
	printf("secure %d, option %d\\n", getauxval(AT_SECURE) != 0, on);
	return close(fd);
}
"""


class Secure(Case):

    @needs_root
    def test_a_setuid_program_ignores_its_callers_settings(self):
        compiler = paths.find("cc")
        if not compiler:
            self.skipTest("no compiler")
        if "-" in os.path.basename(paths.OUT).replace("check-", ""):
            self.skipTest("a sanitizer must be loaded first")
        nobody = pwd.getpwnam("nobody")
        os.chmod(self.folder, 0o777)
        shutil.copy(paths.library(), self.path("libreuse.so"))
        os.chmod(self.path("libreuse.so"), 0o755)
        program = self.path("program")
        done = subprocess.run(
            [compiler, "-x", "c", "-D_GNU_SOURCE", "-DPORT=htons(%d)" % self.port(), "-", "-o",
             program, "-Wl,--no-as-needed", "-L" + self.folder, "-l:libreuse.so",
             "-Wl,-rpath," + self.folder], input=SOURCE.encode(), stderr=subprocess.PIPE,
            check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        env = environment(LOG=self.path("events"), REUSE="off", FORMAT="nonsense")
        usual = self.run_program([program], env)
        self.assertEqual(usual[:2], (0, b"secure 0, option 0\n"))
        self.assertIn(b"TCPSHIM_FORMAT", usual[2])
        self.assertTrue(os.path.getsize(self.path("events")), "nothing was logged")
        os.unlink(self.path("events"))

        os.chown(program, nobody.pw_uid, nobody.pw_gid)
        os.chmod(program, 0o4755)
        status, out, err = self.run_program([program], env)
        if out.startswith(b"secure 0"):
            self.skipTest("setuid programs are not heeded in %s" % self.folder)
        self.assertEqual((status, out, err), (0, b"secure 1, option 1\n", b""))
        self.assertFalse(os.path.exists(self.path("events")), "it was logged")
