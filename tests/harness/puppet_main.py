# SPDX-License-Identifier: MIT
"""The puppet: a Python that does what the test tells it, one statement at a time.

It runs under the shim, so everything it calls goes through libc's names. It is told over
descriptor 0, a socket pair; 1 and 2 are left alone and 3 is the lowest free descriptor.
"""

import ctypes
import errno
import json
import os
import select
import socket
import struct
import sys
import traceback

C = ctypes.CDLL(None, use_errno=True)
NAMES = {"os": os, "socket": socket, "ctypes": ctypes, "struct": struct, "errno": errno,
         "select": select, "sys": sys, "C": C}


def call(name, *args):
    """A function of libc by its name: what it returned, and errno's name where that is -1."""
    ctypes.set_errno(0)
    ret = getattr(C, name)(*args)
    return [ret, errno.errorcode[ctypes.get_errno()] if ret == -1 else None]


def cookie(sock):
    """SO_COOKIE of a socket, or of a descriptor."""
    if isinstance(sock, int):
        value, size = ctypes.c_uint64(), ctypes.c_uint32(8)
        C.getsockopt(sock, socket.SOL_SOCKET, 57, ctypes.byref(value), ctypes.byref(size))
        return value.value
    return struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, 57, 8))[0]


def tcp_info_state(sock):
    """The kernel's number of a socket's state."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def fds():
    """The open descriptors, less the one that lists them."""
    names = os.listdir("/proc/self/fd")
    return sorted(int(name) for name in names if os.path.lexists("/proc/self/fd/" + name))


def error_of(function, *args):
    """errno's name that a Python call fails with, or None."""
    try:
        function(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    return None


NAMES.update(call=call, cookie=cookie, tcp_info_state=tcp_info_state, fds=fds, error_of=error_of)


def obey(order):
    try:
        if "eval" in order:
            return {"value": eval(order["eval"], NAMES)}
        exec(order["exec"], NAMES)
        return {"value": None}
    except BaseException:
        return {"error": traceback.format_exc()}


def main():
    with open(0, "rb", buffering=0, closefd=False) as orders:
        rest = b""
        while True:
            data = orders.read(65536)
            if not data:
                return
            rest += data
            while b"\n" in rest:
                line, _, rest = rest.partition(b"\n")
                reply = json.dumps(obey(json.loads(line)), default=repr)
                os.write(0, reply.encode() + b"\n")


main()
