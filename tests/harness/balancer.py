# SPDX-License-Identifier: MIT
"""What load balancers do with a program of the kernel's (BPF): another address for a service.

A cgroup of its own, in which a connect to the service's address goes to a server of another one,
and getsockname and getpeername show the service's in the server's place. The kernel's tables have
the server's. Needs root, and a kernel that loads such programs.
"""

import ctypes
import os
import platform
import socket
import struct

from harness import kernel

SYS_BPF = {"x86_64": 321, "aarch64": 280}
PROG_LOAD, PROG_ATTACH = 5, 8
CGROUP_SOCK_ADDR = 18
CONNECT, GETPEERNAME, GETSOCKNAME = 10, 29, 31   # of IPv4
# struct bpf_sock_addr
USER_IP4, USER_PORT = 4, 24


def _instruction(code, to=0, source=0, offset=0, value=0):
    return struct.pack("=BBhi", code, source << 4 | to, offset, value)


def _exchange(old, new):
    """Where the address is the old one (host, port): the new one."""
    ip_of = [struct.unpack("=i", socket.inet_aton(host))[0] for host, _ in (old, new)]
    port_of = [socket.htons(port) for _, port in (old, new)]
    load, store, set_to, if_other, end = 0x61, 0x63, 0xb7, 0x55, 0x95
    return b"".join((
        _instruction(load, 2, 1, USER_IP4), _instruction(if_other, 2, 0, 6, ip_of[0]),
        _instruction(load, 2, 1, USER_PORT), _instruction(if_other, 2, 0, 4, port_of[0]),
        _instruction(set_to, 3, value=ip_of[1]), _instruction(store, 1, 3, USER_IP4),
        _instruction(set_to, 3, value=port_of[1]), _instruction(store, 1, 3, USER_PORT),
        _instruction(set_to, 0, value=1), _instruction(end)))


def _bpf(command, attributes):
    room = ctypes.create_string_buffer(attributes.ljust(128, b"\0"))
    return kernel.check(kernel.LIBC.syscall(SYS_BPF[platform.machine()], command, room, 128),
                        "bpf")


def _mounted():
    """Where cgroups of the second version are."""
    with open("/proc/mounts") as file:
        for line in file:
            _, where, kind = line.split()[:3]
            if kind == "cgroup2":
                return where
    raise OSError("no cgroup2")


class Balancer:
    """The service stands for the server, for the processes that are put under it."""

    def __init__(self, service, server, hooks=(CONNECT, GETPEERNAME)):
        self.folder = os.path.join(_mounted(), "libreuse-test-%d" % os.getpid())
        os.mkdir(self.folder)
        try:
            for hook in hooks:
                self._attach(hook, *((service, server) if hook == CONNECT else (server, service)))
        except OSError:
            self.close()
            raise

    def _attach(self, hook, old, new):
        code = ctypes.create_string_buffer(_exchange(old, new))
        license_of = ctypes.create_string_buffer(b"GPL")
        program = _bpf(PROG_LOAD, struct.pack(
            "=IIQQIIQII16sII", CGROUP_SOCK_ADDR, (len(code) - 1) // 8, ctypes.addressof(code),
            ctypes.addressof(license_of), 0, 0, 0, 0, 0, b"", 0, hook))
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            _bpf(PROG_ATTACH, struct.pack("=IIII", folder, program, hook, 0))
        finally:
            os.close(folder)
            os.close(program)

    def take(self, pid):
        with open(os.path.join(self.folder, "cgroup.procs"), "w") as file:
            file.write(str(pid))

    def close(self):
        """When its processes have ended; what is attached goes with the folder."""
        os.rmdir(self.folder)
