# SPDX-License-Identifier: MIT
"""The other end of the wire: a peer that sends and expects exact TCP segments.

A network namespace of the test's own has one device beside loopback, a TUN, whose far end is
the test. So each state of a connection can be held for as long as it takes to look at it, and
what no kernel would send can be sent. Segments are made and read by scapy.
"""

import fcntl
import logging
import os
import select
import socket
import struct
import sys
import time

from harness import kernel
from harness.events import PATIENCE, Timeout

logging.getLogger("scapy").setLevel(logging.ERROR)
# Debian's scapy is plain Python, and as good for another Python than Debian's.
sys.path.append("/usr/lib/python3/dist-packages")
try:
    from scapy.layers.inet import ICMP, IP, TCP
    from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
    from scapy.packet import Raw
except ImportError:
    IP = None
finally:
    sys.path.remove("/usr/lib/python3/dist-packages")

TUN = "/dev/net/tun"
TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454ca, 0x0001, 0x0002, 0x1000
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8914, 0x8916, 0x891c
IFF_UP = 1
V4, V6 = socket.AF_INET, socket.AF_INET6
OURS = {V4: "192.0.2.1", V6: "2001:db8::1"}
THEIRS = {V4: "192.0.2.2", V6: "2001:db8::2"}
# A second network, in which nobody answers for any address.
DEAD = {V4: ("198.51.100.1", "198.51.100.2"), V6: ("2001:db8:2::1", "2001:db8:2::2")}
# ICMP destination unreachable: the codes of a network, a host and a port.
CODES = {V4: {"net": 0, "host": 1, "protocol": 2, "port": 3},
         V6: {"net": 0, "prohibited": 1, "host": 3, "port": 4}}
WINDOW = 65000


def missing():
    """Why there can be no wire here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if IP is None:
        return "no scapy (package python3-scapy)"
    if not os.access(TUN, os.R_OK | os.W_OK):
        return "no " + TUN
    return None


def _device(name, kind):
    """A network device whose other end is the descriptor that is returned."""
    fd = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), kind | IFF_NO_PI))
    if kernel.has_ipv6():
        with open("/proc/sys/net/ipv6/conf/%s/accept_dad" % name, "w") as file:
            file.write("0")
    with socket.socket(V4, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), IFF_UP))
    return fd


def _address(name, family, address):
    """Give the device an address, and with it a route to the network beyond."""
    packed = socket.inet_pton(family, address)
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        if family == V6:
            fcntl.ioctl(sock, SIOCSIFADDR,
                        struct.pack("16sIi", packed, 64, socket.if_nametoindex(name)))
            return
        for order, value in ((SIOCSIFADDR, packed), (SIOCSIFNETMASK, b"\xff\xff\xff\0")):
            fcntl.ioctl(sock, order, struct.pack("16sHH4s16x", name.encode(), V4, 0, value))


class Wire:
    """This process moves to a new namespace, and holds the far end of its only way out."""

    def __init__(self, **settings):
        kernel.namespace(**settings)
        self.fd = _device("wire0", IFF_TUN)
        self.families = [V4, V6] if kernel.has_ipv6() else [V4]
        for family in self.families:
            _address("wire0", family, OURS[family])
        self.nobody = None
        self.peers = []

    def close(self):
        os.close(self.fd)
        if self.nobody is not None:
            os.close(self.nobody)

    def dead(self, family):
        """Where the next hop is a neighbour that does not answer: an address."""
        if self.nobody is None:
            self.nobody = _device("dead0", IFF_TAP)
        ours, theirs = DEAD[family]
        kind = "ipv4" if family == V4 else "ipv6"
        for name, value in (("retrans_time_ms", 50), ("ucast_solicit", 1), ("mcast_solicit", 1)):
            with open("/proc/sys/net/%s/neigh/dead0/%s" % (kind, name), "w") as file:
                file.write(str(value))
        _address("dead0", family, ours)
        return (theirs, 9)

    def peer(self, family, theirs=None):
        """A new end of a connection; theirs: the port of the program that it will speak to."""
        peer = Peer(self, family, 7000 + len(self.peers), theirs)
        self.peers.append(peer)
        return peer

    def write(self, packet):
        os.write(self.fd, bytes(packet))

    def read(self, end):
        """Hand the next packet to the peer that it is for; the time is up at `end`."""
        ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
        if not ready:
            return False
        data = os.read(self.fd, 65536)
        packet = IP(data) if data[0] >> 4 == 4 else IPv6(data)
        if TCP in packet:
            for peer in self.peers:
                if (packet.dst, packet[TCP].dport) == (peer.host, peer.port):
                    peer.arrived.append(packet)
        return True


class Peer:
    """One end of one connection. What it has to say next and what it has heard is counted."""

    def __init__(self, wire, family, port, theirs):
        self.wire = wire
        self.family = family
        self.host, self.port = THEIRS[family], port
        self.theirs = theirs     # the program's port, known from its first segment
        self.seq = 1000          # of what is sent next
        self.ack = 0             # of what is expected next
        self.begun = None        # of the program's SYN
        self.window = WINDOW
        self.arrived = []
        self.last = None         # the packet that was expected last

    @property
    def address(self):
        """As the program says it to connect."""
        return (self.host, self.port)

    @property
    def name(self):
        """As events say it."""
        return ("%s:%d" if self.family == V4 else "[%s]:%d") % self.address

    def _ip(self):
        return (IP if self.family == V4 else IPv6)(src=self.host, dst=OURS[self.family])

    def send(self, flags, data=b"", options=(), **fields):
        """A segment in its turn; fields: what is not in its turn (seq, ack, window)."""
        numbers = dict(seq=self.seq, ack=self.ack if "A" in flags else 0, window=self.window)
        numbers.update(fields)
        segment = TCP(sport=self.port, dport=self.theirs, flags=flags, options=list(options),
                      **numbers)
        self.wire.write(self._ip() / segment / Raw(data))
        if "seq" not in fields:
            self.seq += len(data) + ("S" in flags) + ("F" in flags)

    def expect(self, flags, data=b"", back=0, apart=False):
        """The next segment has these flags (PSH aside) and these bytes, and is in its turn.

        A probe of the kernel's (keepalive, zero window) has the number one `back`. A FIN may be
        `apart`, in a segment of its own behind the bytes. What was heard before and comes again,
        and an acknowledgement where something else is expected, are passed over.
        """
        end = time.monotonic() + PATIENCE
        while True:
            while not self.arrived:
                if not self.wire.read(end):
                    raise Timeout("waited for %s %r" % (flags, data))
            packet = self.arrived.pop(0)
            segment = packet[TCP]
            got = _letters(segment)
            body = bytes(segment.payload)[:_length(packet)]
            takes = len(body) + ("S" in got) + ("F" in got)
            old = segment.ack != self.seq or segment.seq != self.ack - back
            if got == "A" and not takes and (flags != "A" or old):
                continue
            if takes and "S" not in got and _before(segment.seq + takes, self.ack + 1):
                continue
            if "S" in got and self.begun == segment.seq and flags != got:
                continue
            if apart and (got, body) == ("A", data) and segment.seq == self.ack:
                self.ack += len(body)
                data = b""
                continue
            if (got, body) != (flags, data):
                raise AssertionError("expected %s %r, got %s" % (flags, data, packet.summary()))
            if "S" in got:
                self.theirs = segment.sport
                self.begun = self.ack = segment.seq
            elif "R" not in got and segment.seq != self.ack - back:
                raise AssertionError("expected number %d: %s"
                                     % (self.ack - back, packet.summary()))
            if "R" not in got:
                self.ack = (segment.seq + takes + back) & 0xffffffff
            self.last = packet
            return segment

    def silent(self, seconds):
        """Nothing comes for a while: for the few things that show in no other way."""
        end = time.monotonic() + seconds
        while self.wire.read(end):
            pass
        assert not self.arrived, [packet.summary() for packet in self.arrived]

    def answer(self):
        """The program connects, and may."""
        self.expect("S")
        self.send("SA")
        self.expect("A")

    def call(self, data=b""):
        """Connect to the program's port."""
        self.send("S")
        self.expect("SA")
        self.send("A", data)

    def unreachable(self, what):
        """A router answers to the last segment that came: net, host or port unreachable."""
        code, about = CODES[self.family][what], bytes(self.last)
        answer = ICMP(type=3, code=code) if self.family == V4 else ICMPv6DestUnreach(code=code)
        self.wire.write(self._ip() / answer / Raw(about[:576]))


def _letters(segment):
    return "".join(letter for letter in str(segment.flags) if letter in "SFRA")


def _length(packet):
    """Of what the segment carries, without what a link would have padded it with."""
    if packet.version == 4:
        return packet.len - 4 * packet.ihl - 4 * packet[TCP].dataofs
    return packet.plen - 4 * packet[TCP].dataofs


def _before(a, b):
    return (a - b) & 0x80000000 != 0
