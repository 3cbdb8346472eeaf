# SPDX-License-Identifier: MIT
"""The kernel's own view, asked without the shim: sock_diag, namespaces, free ports."""

import ctypes
import errno
import fcntl
import os
import random
import re
import socket
import struct
import unittest
from collections import namedtuple

from harness import contract

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
CLONE_NEWNS = 0x00020000
SO_COOKIE = 57
SO_NETNS_COOKIE = 71
IPPROTO_MPTCP = 262

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
INET_DIAG_REQ_PROTOCOL = 3
BOUND_INACTIVE = 13
# The numbers of <linux/tcp_states.h>, by the names of RFC 9293.
STATE = {1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RCVD", 4: "FIN_WAIT_1", 5: "FIN_WAIT_2",
         6: "TIME_WAIT", 7: "CLOSED", 8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN",
         11: "CLOSING", 12: "SYN_RCVD"}
assert set(STATE.values()) == set(contract.STATES)

Found = namedtuple("Found", "family state timer expires local peer device cookie uid inode")


def version():
    """The running kernel's: (6, 12)."""
    return tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups()))


def diag(protocol=socket.IPPROTO_TCP, families=(socket.AF_INET, socket.AF_INET6)):
    """Every socket of a protocol in this network namespace.

    A dump that met one which ended just then (it has no port any more) is no moment's truth: it
    is taken again.
    """
    for _ in range(10):
        found = _every(protocol, families)
        if all(entry.local[1] for entry in found):
            break
    return found


def _every(protocol, families):
    found = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(40)
        for sequence, family in enumerate(families, 1):
            found += _dump(netlink, family, protocol, sequence)
    return found


def _dump(netlink, family, protocol, sequence):
    states = (1 << (BOUND_INACTIVE + 1)) - 2
    body = struct.pack("=BBBxI48s", family, protocol & 0xff, 0, states, b"")
    if protocol > 255:
        body += struct.pack("=HHI", 8, INET_DIAG_REQ_PROTOCOL, protocol)
    head = struct.pack("=IHHII", 16 + len(body), SOCK_DIAG_BY_FAMILY,
                       NLM_F_REQUEST | NLM_F_DUMP, sequence, 0)
    netlink.send(head + body)
    found = []
    while True:
        data = netlink.recv(1 << 18)
        while data:
            length, kind, _, seq, _ = struct.unpack_from("=IHHII", data)
            assert seq == sequence, "an answer to another question"
            if kind == 3:
                return found
            if kind == 2:
                code = struct.unpack_from("=i", data, 16)[0]
                raise OSError(-code, os.strerror(-code))
            found.append(_entry(data[16:length]))
            data = data[(length + 3) & ~3:]


def _entry(data):
    family, state, timer, _ = struct.unpack_from("=BBBB", data)
    sport, dport = struct.unpack_from(">HH", data, 4)
    size = 4 if family == socket.AF_INET else 16
    src, dst = (socket.inet_ntop(family, data[at:at + size]) for at in (8, 24))
    device, low, high = struct.unpack_from("=III", data, 40)
    expires, _, _, uid, inode = struct.unpack_from("=IIIII", data, 52)
    return Found(family, STATE.get(state, state), timer, expires, (src, sport), (dst, dport),
                 device, high << 32 | low, uid, inode)


def by_cookie(cookie, protocol=socket.IPPROTO_TCP):
    """The socket with this SO_COOKIE, or None."""
    return next((entry for entry in diag(protocol) if entry.cookie == cookie), None)


def state_of(cookie, protocol=socket.IPPROTO_TCP):
    """The state of the socket with this SO_COOKIE; CLOSED where the kernel has none."""
    entry = by_cookie(cookie, protocol)
    return entry.state if entry else "CLOSED"


def cookie_of(sock):
    """SO_COOKIE of a socket of this process."""
    return struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]


def leave_dying(port, reuse=0):
    """Leave a connection that holds the port, soon in TIME_WAIT: its SO_COOKIE."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = listener.accept()
            cookie = cookie_of(accepted)
            accepted.close()
    return cookie


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (what, os.strerror(number)))
    return result


def unshare(flags):
    """Leave for a namespace of one's own; this process and its children only."""
    check(LIBC.unshare(flags), "unshare")


def loopback_up():
    """A new network namespace has its loopback down."""
    siocgifflags, siocsifflags, iff_up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, siocgifflags, request))[1]
        fcntl.ioctl(sock, siocsifflags, struct.pack("16sh14x", b"lo", flags | iff_up))


def namespace(**settings):
    """Leave for a network namespace of one's own, with these numbers under net.ipv4."""
    unshare(CLONE_NEWNET)
    loopback_up()
    for name, value in settings.items():
        with open("/proc/sys/net/ipv4/" + name, "w") as file:
            file.write(str(value))


def root_is_mounted():
    """Is / a mount point? In a chroot that is none, mounts can't be made private."""
    with open("/proc/self/mountinfo") as file:
        return any(line.split()[4] == "/" for line in file)


def mount(where, kind, options=""):
    """A disk in memory (tmpfs, ramfs), in a mount namespace of this process."""
    own_mounts()
    check(LIBC.mount(b"none", os.fsencode(where), kind.encode(), 0, options.encode()),
          "mount " + kind)


def read_only(where):
    """A folder to which nobody can write, in a mount namespace of this process."""
    own_mounts()
    ms_rdonly, ms_remount, ms_bind = 1, 32, 4096
    where = os.fsencode(where)
    check(LIBC.mount(where, where, None, ms_bind, None), "mount --bind")
    check(LIBC.mount(b"none", where, None, ms_bind | ms_remount | ms_rdonly, None), "mount -o ro")


def own_mounts():
    unshare(CLONE_NEWNS)
    ms_rec, ms_private = 0x4000, 1 << 18
    try:
        check(LIBC.mount(b"none", b"/", None, ms_rec | ms_private, None), "mount /")
    except OSError as error:
        # In a chroot that is no mount of its own the new disk could be seen outside.
        if error.errno != errno.EINVAL:
            raise
        raise unittest.SkipTest("the root folder is no mount point") from None


def fill(folder):
    """Leave no room on the disk of that folder: the file that takes it."""
    ballast = os.path.join(folder, "ballast")
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    return ballast


def unmount(where):
    """Take a mount away, though files on it are open."""
    mnt_detach = 2
    check(LIBC.umount2(os.fsencode(where), mnt_detach), "umount")


class Port:
    """A port that no other test takes and the kernel does not pick for others.

    It lies below the range of the kernel's own choice. The claim is an abstract unix
    address, which like the port belongs to one network namespace and to one holder.
    """

    def __init__(self):
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            low = int(file.read().split()[0])
        numbers = list(range(10000, max(low, 11000)))
        random.shuffle(numbers)
        for number in numbers[:200]:
            self.claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                self.claim.bind("\0libreuse-test-port-%d" % number)
                _free(number)
            except OSError as error:
                self.claim.close()
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            self.number = number
            return
        raise OSError(errno.EADDRINUSE, "no free port found")


def _free(number):
    with socket.socket() as sock:
        sock.bind(("0.0.0.0", number))
    if has_ipv6():
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::", number))


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def lists_bound():
    """Does it list sockets that are bound and nothing else? From Linux 6.8 on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return by_cookie(cookie_of(sock)) is not None


def has_mptcp():
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP):
            return True
    except OSError:
        return False
