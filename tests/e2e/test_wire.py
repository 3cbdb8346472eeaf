# SPDX-License-Identifier: MIT
"""Every edge of RFC 9293's figure 5, and what happens beside it, segment by segment.

The program's peer is the test itself (harness/wire.py): it alone decides when the next segment
comes, so each state stands still until it has been looked at. What an event says is held
against sock_diag, asked by the test, and against the segments that went over the wire.
"""

import functools
import os
import shutil
import subprocess

from harness import kernel, wire
from harness.case import Case, read_line, wait_until

V4, V6 = wire.V4, wire.V6
LINGER = "%s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, %d))"
LOOK = "%s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)"
TCP_LINGER2, TCP_USER_TIMEOUT, TCP_FASTOPEN, TCP_FASTOPEN_CONNECT = 8, 18, 23, 30
MSG_FASTOPEN = 0x20000000
NOWHERE = {V4: ("203.0.113.1", 9), V6: ("2001:db8:3::1", 9)}


def of_both_families(scenario):
    """Play the scenario over IPv4, then over IPv6."""
    @functools.wraps(scenario)
    def run(self):
        for family in (V4, V6):
            with self.subTest(family=family.name):
                if family not in self.wire.families:
                    self.skipTest("no IPv6: over IPv4 it holds")
                scenario(self, family)
    return run


class Wired(Case):
    """A puppet and, at the far end of its wire, the test."""

    SETTINGS = {}
    timeout = 60

    def setUp(self):
        super().setUp()
        if wire.missing():
            self.skipTest(wire.missing())
        self.wire = wire.Wire(**self.SETTINGS)
        self.addCleanup(self.wire.close)
        self.events = self.log()
        self.p = self.puppet(self.events)

    # What the program does.

    def connecting(self, family, before="", blocks=True):
        """`c` begins to connect: the peer has its SYN, and has not answered."""
        peer = self.wire.peer(family)
        self.p("l = c = None; c = socket.socket(%d); %s" % (family, before))
        self.cookie = self.p.eval("cookie(c)")
        self.events.new()
        if blocks:
            self.p.begin("error = error_of(c.connect, %r)" % (peer.address,))
        else:
            self.p("c.setblocking(0); error = error_of(c.connect, %r)" % (peer.address,))
        peer.expect("S")
        return peer

    def active(self, family, before=""):
        """`c` has connected to the peer."""
        peer = self.connecting(family, before)
        peer.send("SA")
        peer.expect("A")
        self.p.result()
        self.assertIsNone(self.p.eval("error"))
        self.events.new()
        return peer

    def closing(self, family):
        """Both have sent a FIN before either has heard the other's."""
        peer = self.active(family)
        self.shut("ESTABLISHED", "FIN_WAIT_1")
        before = peer.ack
        peer.expect("FA")
        peer.send("FA", ack=before)
        peer.expect("A")
        self.look("FIN_WAIT_1", "CLOSING")
        return peer

    def listening(self, family, before=""):
        """`l` listens, and does not wait in accept; a peer that knows its port."""
        self.p("l = c = None; l = socket.socket(%d); %s\n"
               "l.bind((%r, 0)); l.listen(); l.setblocking(0)"
               % (family, before, wire.OURS[family]))
        self.events.new()
        return self.wire.peer(family, self.p.eval("l.getsockname()[1]"))

    def passive(self, family, before=""):
        """`c` has been accepted from `l`."""
        peer = self.listening(family, before)
        peer.call()
        self.accept()
        return peer

    def accept(self):
        """`c` is accepted: its event."""
        wait_until(lambda: self.p.eval("bool(select.select([l], [], [], 0)[0])"), "a connection")
        self.p("c, _ = l.accept(); c.setblocking(1)")
        self.cookie = self.p.eval("cookie(c)")
        return self.event("accept4")

    # What is seen of it.

    def event(self, call, **keys):
        """The only event since the last time; its state is the kernel's."""
        events = self.events.new()
        self.expect(events, (call, keys))
        if events[0].get("sock") == self.cookie:
            self.assertEqual(events[0].get("state"), kernel.state_of(self.cookie), events[0])
        return events[0]

    def reaches(self, state):
        """The kernel has the connection in that state now."""
        wait_until(lambda: kernel.state_of(self.cookie) == state,
                   lambda: "%s, and it is %s" % (state, kernel.state_of(self.cookie)))

    def look(self, was, state, via=None, **keys):
        """A call that changes nothing shows the state that the connection has come to."""
        self.reaches(state)
        self.p(LOOK % "c")
        return self.event("setsockopt", was=was, via=via, state=state, **keys)

    def shut(self, was, state, via=None, how="SHUT_WR"):
        self.p("c.shutdown(socket.%s)" % how)
        return self.event("shutdown", was=was, via=via, state=state)

    def close(self, was, state, via=None, notes=(), **keys):
        """The program closes `c`."""
        self.p("c.close()")
        event = self.event("close", was=was, via=via, state=state, **keys)
        self.assertEqual(self.notes(event), list(notes), event)
        return event

    def says(self, note, **keys):
        """What the keys of a note are; None for one that is not there."""
        self.assertEqual({key: note.get(key) for key in keys}, keys)

    def connected(self, **keys):
        """What the connect that was begun has come to."""
        self.p.result()
        return self.event("connect", **keys)


class Opening(Wired):
    """From CLOSED to ESTABLISHED."""

    @of_both_families
    def test_active(self, family):
        peer = self.connecting(family)
        self.reaches("SYN_SENT")
        peer.send("SA")
        peer.expect("A")
        self.connected(was="CLOSED", via=["SYN_SENT"], state="ESTABLISHED", ret=0,
                       peer=peer.name)

    @of_both_families
    def test_active_without_waiting(self, family):
        peer = self.connecting(family, blocks=False)
        self.event("connect", was="CLOSED", via=None, state="SYN_SENT", error="EINPROGRESS",
                   peer=peer.name)
        peer.send("SA")
        peer.expect("A")
        self.look("SYN_SENT", "ESTABLISHED", peer=peer.name)

    @of_both_families
    def test_passive(self, family):
        peer = self.listening(family)
        peer.send("S")
        peer.expect("SA")
        self.p("error = error_of(l.accept)")
        self.assertEqual(self.p.eval("error"), "EAGAIN")
        self.expect(self.events.new(), ("accept4", dict(was="LISTEN", state="LISTEN",
                                                        error="EAGAIN")))
        states = [entry.state for entry in kernel.diag(families=[family])
                  if entry.peer == peer.address]
        self.assertEqual(states, ["SYN_RCVD"])
        peer.send("A")
        self.match(self.accept(), was=None, via=["SYN_RCVD"], state="ESTABLISHED", peer=peer.name)

    @of_both_families
    def test_simultaneous(self, family):
        """Both send a SYN before either has heard the other's."""
        peer = self.connecting(family, blocks=False)
        self.event("connect", state="SYN_SENT")
        peer.send("S")
        peer.expect("SA")
        self.look("SYN_SENT", "SYN_RCVD")
        peer.send("A")
        self.look("SYN_RCVD", "ESTABLISHED")

    @of_both_families
    def test_simultaneous_unseen(self, family):
        """What lay between is not necessary: the usual way is another one."""
        peer = self.connecting(family)
        peer.send("S")
        peer.expect("SA")
        peer.send("A")
        self.connected(was="CLOSED", via=["SYN_SENT"], state="ESTABLISHED")

    @of_both_families
    def test_close_in_syn_sent(self, family):
        self.connecting(family, blocks=False)
        self.event("connect", state="SYN_SENT")
        self.close("SYN_SENT", "CLOSED")

    @of_both_families
    def test_close_in_syn_rcvd(self, family):
        """The FIN of figure 5's way from SYN_RCVD to FIN_WAIT_1."""
        peer = self.connecting(family, blocks=False)
        self.event("connect", state="SYN_SENT")
        peer.send("S")
        peer.expect("SA")
        self.look("SYN_SENT", "SYN_RCVD")
        self.close("SYN_RCVD", "FIN_WAIT_1")
        peer.send("A")
        peer.expect("FA")

    @of_both_families
    def test_close_of_a_listener(self, family):
        self.listening(family)
        self.p("l.close()")
        self.expect(self.events.new(), ("close", dict(was="LISTEN", state="CLOSED", via=None)))

    @of_both_families
    def test_a_listener_that_connects(self, family):
        """Figure 5 has a way from LISTEN to SYN_SENT; the kernel does not go it."""
        peer = self.listening(family)
        self.p("error = error_of(l.connect, %r)" % (peer.address,))
        self.assertEqual(self.p.eval("error"), "EISCONN")
        self.expect(self.events.new(), ("connect", dict(was="LISTEN", state="LISTEN", via=None)))


class Closing(Wired):
    """From ESTABLISHED to CLOSED."""

    @of_both_families
    def test_first_and_in_order(self, family):
        peer = self.active(family)
        self.shut("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        peer.send("A")
        self.look("FIN_WAIT_1", "FIN_WAIT_2")
        peer.send("FA")
        peer.expect("A")
        self.look("FIN_WAIT_2", "TIME_WAIT", timer_ms=lambda ms: 0 < ms <= 60000)
        self.close("TIME_WAIT", "TIME_WAIT", timer_ms=lambda ms: 0 < ms <= 60000)

    @of_both_families
    def test_first_and_seen_at_the_end_alone(self, family):
        peer = self.active(family)
        self.shut("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        peer.send("A")
        peer.send("FA")
        peer.expect("A")
        self.reaches("TIME_WAIT")
        self.close("FIN_WAIT_1", "TIME_WAIT")

    @of_both_families
    def test_to_time_wait_at_once(self, family):
        """The peer's FIN acknowledges ours: note 2 of figure 5."""
        peer = self.active(family)
        self.shut("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        peer.send("FA")
        peer.expect("A")
        self.look("FIN_WAIT_1", "TIME_WAIT")

    @of_both_families
    def test_simultaneous(self, family):
        peer = self.closing(family)
        peer.send("A")
        self.look("CLOSING", "TIME_WAIT")

    @of_both_families
    def test_orphans(self, family):
        """close() itself sends the FIN; what comes later is the kernel's alone."""
        peer = self.active(family)
        self.close("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        peer.send("A")
        self.reaches("FIN_WAIT_2")
        peer.send("FA")
        peer.expect("A")
        self.reaches("TIME_WAIT")

    @of_both_families
    def test_second(self, family):
        peer = self.passive(family)
        peer.send("FA")
        self.look("ESTABLISHED", "CLOSE_WAIT")
        self.close("CLOSE_WAIT", "LAST_ACK")
        peer.expect("FA")
        peer.send("A")
        self.reaches("CLOSED")

    @of_both_families
    def test_second_by_shutdown(self, family):
        peer = self.passive(family)
        peer.send("FA")
        self.reaches("CLOSE_WAIT")
        self.shut("ESTABLISHED", "LAST_ACK", via=["CLOSE_WAIT"])
        peer.expect("FA")
        peer.send("A")
        self.look("LAST_ACK", "CLOSED")
        self.close("CLOSED", "CLOSED")

    @of_both_families
    def test_the_peer_ends_before_accept(self, family):
        peer = self.listening(family)
        peer.call()
        peer.send("FA")
        peer.expect("A")
        self.match(self.accept(), was=None, via=["SYN_RCVD", "ESTABLISHED"], state="CLOSE_WAIT",
                   peer=peer.name)


class Resets(Wired):
    """Each state met by a RST."""

    def reset(self, peer, was, notes=()):
        """The peer resets what is in state `was`."""
        peer.send("R")
        self.reaches("CLOSED")
        self.p(LOOK % "c")
        event = self.event("setsockopt", was=was, state="CLOSED", via=None)
        self.assertEqual(self.notes(event), list(notes), event)
        self.close("CLOSED", "CLOSED")

    def finished(self, family):
        """A connection in FIN_WAIT_2, whose end nobody sees before the next call."""
        peer = self.active(family, "c.setsockopt(socket.SOL_SOCKET, 60, 1)")  # SO_ZEROCOPY
        self.p("c.send(b'x', 0x4000000)")  # MSG_ZEROCOPY
        peer.expect("A", b"x")
        self.shut("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        peer.send("A")
        self.look("FIN_WAIT_1", "FIN_WAIT_2")
        return peer

    @of_both_families
    def test_time_wait_unseen(self, family):
        """What a RST ended is TIME_WAIT alone; that buffers are given back is no error."""
        peer = self.finished(family)
        peer.send("FA")
        peer.expect("A")
        self.reaches("TIME_WAIT")
        peer.send("R")
        self.reaches("CLOSED")
        self.p("poll = select.poll(); poll.register(c, 0)")
        self.assertTrue(self.p.eval("poll.poll(0)[0][1] & select.POLLERR"))
        self.p(LOOK % "c")
        # Nor is TIME_WAIT excluded, as no such question has found such a socket before.
        event, = self.events.new()
        self.match(event, call="setsockopt", was="FIN_WAIT_2", state=None)
        self.assertEqual(self.notes(event), [])

    @of_both_families
    def test_syn_sent(self, family):
        peer = self.connecting(family)
        peer.send("RA")
        self.connected(was="CLOSED", via=["SYN_SENT"], state="CLOSED", error="ECONNREFUSED")

    @of_both_families
    def test_syn_sent_without_waiting(self, family):
        peer = self.connecting(family, blocks=False)
        self.event("connect", state="SYN_SENT")
        peer.send("RA")
        self.look("SYN_SENT", "CLOSED")
        self.assertEqual(self.p.eval("c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)"), 111)
        self.event("getsockopt", was="CLOSED", state="CLOSED")

    @of_both_families
    def test_syn_rcvd_of_a_listener(self, family):
        """The listener forgets it: note 1 of figure 5."""
        peer = self.listening(family)
        peer.send("S")
        peer.expect("SA")
        peer.send("R")
        wait_until(lambda: all(entry.peer != peer.address for entry in kernel.diag()), "the reset")
        self.assertEqual(self.p.eval("error_of(l.accept)"), "EAGAIN")
        self.expect(self.events.new(), ("accept4", dict(was="LISTEN", state="LISTEN")))

    @of_both_families
    def test_syn_rcvd_of_two_at_once(self, family):
        peer = self.connecting(family, blocks=False)
        self.event("connect", state="SYN_SENT")
        peer.send("S")
        peer.expect("SA")
        self.look("SYN_SENT", "SYN_RCVD")
        self.reset(peer, "SYN_RCVD")

    @of_both_families
    def test_established(self, family):
        self.reset(self.active(family), "ESTABLISHED", ["peer-reset"])

    @of_both_families
    def test_established_of_an_accepted(self, family):
        self.reset(self.passive(family), "ESTABLISHED", ["peer-reset"])

    @of_both_families
    def test_before_accept(self, family):
        """The handshake was complete, so it had been established."""
        peer = self.listening(family)
        peer.call()
        peer.send("R")
        wait_until(lambda: all(entry.peer != peer.address for entry in kernel.diag()), "the reset")
        event = self.accept()
        self.match(event, was=None, via=["SYN_RCVD", "ESTABLISHED"], state="CLOSED")
        self.assertEqual(self.notes(event), ["peer-reset"], event)
        self.close("CLOSED", "CLOSED")

    @of_both_families
    def test_fin_wait_1(self, family):
        peer = self.active(family)
        self.shut("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        self.reset(peer, "FIN_WAIT_1", ["peer-reset"])

    @of_both_families
    def test_fin_wait_2(self, family):
        peer = self.active(family)
        self.shut("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        peer.send("A")
        self.look("FIN_WAIT_1", "FIN_WAIT_2")
        self.reset(peer, "FIN_WAIT_2", ["peer-reset"])

    @of_both_families
    def test_close_wait(self, family):
        peer = self.passive(family)
        peer.send("FA")
        peer.expect("A")
        self.look("ESTABLISHED", "CLOSE_WAIT")
        self.reset(peer, "CLOSE_WAIT", ["peer-reset"])

    @of_both_families
    def test_closing(self, family):
        peer = self.closing(family)
        self.reset(peer, "CLOSING", ["peer-reset"])

    @of_both_families
    def test_last_ack(self, family):
        peer = self.passive(family)
        peer.send("FA")
        peer.expect("A")
        self.reaches("CLOSE_WAIT")
        self.shut("ESTABLISHED", "LAST_ACK", via=["CLOSE_WAIT"])
        peer.expect("FA")
        self.reset(peer, "LAST_ACK")

    @of_both_families
    def test_time_wait(self, family):
        """RFC 1337's hazard: the kernel lets a RST end TIME_WAIT unless tcp_rfc1337 is set."""
        peer = self.active(family)
        self.shut("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        peer.send("FA")
        peer.expect("A")
        self.look("FIN_WAIT_1", "TIME_WAIT")
        self.reset(peer, "TIME_WAIT")


class Data(Wired):
    """Bytes that come late, or not at all."""

    FILL = ("c.setblocking(0)\n"
            "try:\n    while True: c.send(b'x' * 65536)\nexcept BlockingIOError: pass")

    @of_both_families
    def test_after_our_fin(self, family):
        """A half-closed connection still receives; what nobody reads then makes close a reset."""
        peer = self.active(family)
        self.shut("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        peer.send("A", b"late")
        peer.expect("A")
        self.assertEqual(self.p.eval("c.recv(9).decode()"), "late")
        peer.send("A", b"later")
        peer.expect("A")
        self.look("FIN_WAIT_1", "FIN_WAIT_2")
        event = self.close("FIN_WAIT_2", "CLOSED", notes=["reset"])
        self.says(event["notes"][0], cause="unread", unread=5, after_fin=True,
                   text="5 bytes were not read, so the kernel sent RST, after its FIN")
        peer.expect("RA")

    @of_both_families
    def test_unread_after_both_fins(self, family):
        peer = self.passive(family)
        peer.send("FA", b"12345")
        peer.expect("A")
        self.look("ESTABLISHED", "CLOSE_WAIT")
        self.shut("CLOSE_WAIT", "LAST_ACK")
        peer.expect("FA")
        event = self.close("LAST_ACK", "CLOSED", notes=["reset"])
        self.says(event["notes"][0], cause="unread", unread=5, after_fin=True)
        peer.expect("RA")

    @of_both_families
    def test_unread_before_a_fin_that_waits(self, family):
        """FIN_WAIT_1 is no proof that the FIN has gone: the peer has no room."""
        peer = self.active(family)
        peer.send("A", b"12345", window=0)
        peer.expect("A")
        self.p("c.send(b'bytes')")
        self.shut("ESTABLISHED", "FIN_WAIT_1")
        event = self.close("FIN_WAIT_1", "CLOSED", notes=["reset"])
        self.says(event["notes"][0], cause="unread", unread=5, after_fin=None)
        self.assertIn("instead of FIN", event["notes"][0]["text"])

    @of_both_families
    def test_after_shutdown_of_reading(self, family):
        """It has no effect on the wire: what comes is acknowledged."""
        peer = self.active(family)
        self.p("c.shutdown(socket.SHUT_RD)")
        event = self.event("shutdown", was="ESTABLISHED", state="ESTABLISHED", via=None)
        self.assertEqual(self.notes(event), ["no-wire-effect"])
        peer.send("A", b"more")
        peer.expect("A")
        self.close("ESTABLISHED", "CLOSED", notes=["reset"])
        peer.expect("RA")

    @of_both_families
    def test_unread_at_close(self, family):
        peer = self.passive(family)
        peer.send("A", b"12345")
        peer.expect("A")
        event = self.close("ESTABLISHED", "CLOSED", notes=["reset"])
        self.assertTrue(event["notes"][0]["text"].startswith("5 bytes "), event)
        peer.expect("RA")

    @of_both_families
    def test_unread_at_close_after_the_peers_fin(self, family):
        peer = self.passive(family)
        peer.send("FA", b"12345")
        peer.expect("A")
        self.look("ESTABLISHED", "CLOSE_WAIT")
        self.close("CLOSE_WAIT", "CLOSED", notes=["reset"])
        peer.expect("RA")

    @of_both_families
    def test_after_close_in_fin_wait_1(self, family):
        """Nobody can read it any more: the kernel resets, after the close has been told."""
        peer = self.active(family)
        self.close("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        peer.send("A", b"late")
        peer.expect("R")
        self.reaches("CLOSED")

    @of_both_families
    def test_after_close_in_fin_wait_2(self, family):
        peer = self.active(family)
        self.close("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        peer.send("A")
        self.reaches("FIN_WAIT_2")
        peer.send("A", b"late")
        peer.expect("R")
        self.reaches("CLOSED")

    @of_both_families
    def test_zero_window(self, family):
        """The FIN waits behind bytes that the peer has no room for."""
        peer = self.active(family)
        peer.send("A", window=0)
        self.p("c.send(b'bytes')")
        self.close("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("A", back=1)
        peer.send("A")
        peer.expect("FA", b"bytes")
        peer.send("A")
        self.reaches("FIN_WAIT_2")

    @of_both_families
    def test_zero_window_second(self, family):
        peer = self.passive(family)
        peer.send("FA", window=0)
        peer.expect("A")
        self.look("ESTABLISHED", "CLOSE_WAIT")
        self.p("c.send(b'bytes')")
        self.close("CLOSE_WAIT", "LAST_ACK")
        peer.send("A")
        peer.expect("FA", b"bytes", apart=True)  # where the machine is slow
        peer.send("A")
        self.reaches("CLOSED")


class Linger(Wired):
    """SO_LINGER and TCP_LINGER2."""

    SETTINGS = {"tcp_fin_timeout": 7}

    @of_both_families
    def test_zero(self, family):
        peer = self.active(family, LINGER % ("c", 0))
        self.close("ESTABLISHED", "CLOSED", notes=["reset"])
        peer.expect("RA")

    @of_both_families
    def test_zero_after_both_fins(self, family):
        peer = self.passive(family)
        peer.send("FA")
        peer.expect("A")
        self.look("ESTABLISHED", "CLOSE_WAIT")
        self.shut("CLOSE_WAIT", "LAST_ACK")
        peer.expect("FA")
        self.p(LINGER % ("c", 0))
        self.events.new()
        self.close("LAST_ACK", "CLOSED")

    def lingering(self, family):
        peer = self.active(family, LINGER % ("c", 5))
        self.p.begin("c.close()")
        peer.expect("FA")
        self.reaches("FIN_WAIT_1")
        return peer

    def lingered(self, state):
        self.p.result()
        return self.event("close", was="ESTABLISHED", state=state, via=["FIN_WAIT_1"])

    @of_both_families
    def test_until_the_fin_is_acknowledged(self, family):
        peer = self.lingering(family)
        peer.send("A")
        event = self.lingered("FIN_WAIT_2")
        self.assertTrue(0 < event["timer_ms"] <= 7000, event)

    @of_both_families
    def test_until_the_peer_resets(self, family):
        peer = self.lingering(family)
        peer.send("R")
        self.p.result()
        self.event("close", was="ESTABLISHED", state="CLOSED", via=None)

    @of_both_families
    def test_until_late_data_resets(self, family):
        peer = self.lingering(family)
        peer.send("A", b"late")
        peer.expect("R")
        self.p.result()
        self.event("close", was="ESTABLISHED", state="CLOSED", via=None)

    def test_until_the_time_is_up(self):
        peer = self.active(V4, LINGER % ("c", 1))
        self.close("ESTABLISHED", "FIN_WAIT_1", dur_ns=lambda ns: ns >= 0.9e9)
        peer.expect("FA")

    @of_both_families
    def test_how_long_fin_wait_2_is_kept(self, family):
        """By tcp_fin_timeout, or by TCP_LINGER2 where that is less."""
        for seconds, before in ((7, ""), (3, "c.setsockopt(6, %d, 3)" % TCP_LINGER2)):
            peer = self.active(family, before)
            self.shut("ESTABLISHED", "FIN_WAIT_1")
            peer.expect("FA")
            peer.send("A")
            self.look("FIN_WAIT_1", "FIN_WAIT_2")
            self.close("FIN_WAIT_2", "FIN_WAIT_2",
                       timer_ms=lambda ms: 0 < ms <= seconds * 1000 + 20)

    @of_both_families
    def test_no_fin_wait_2_at_all(self, family):
        """TCP_LINGER2 below 0: a close in FIN_WAIT_2 is a reset."""
        peer = self.active(family, "c.setsockopt(6, %d, -1)" % TCP_LINGER2)
        self.shut("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        peer.send("A")
        self.look("FIN_WAIT_1", "FIN_WAIT_2")
        event = self.close("FIN_WAIT_2", "CLOSED", notes=["reset"])
        self.says(event["notes"][0], cause="linger2", after_fin=True,
                   text="TCP_LINGER2 below 0 made the kernel send RST "
                        "instead of waiting for the peer's FIN")
        peer.expect("RA")

    @of_both_families
    def test_no_fin_wait_2_after_the_close(self, family):
        peer = self.active(family, "c.setsockopt(6, %d, -1)" % TCP_LINGER2)
        self.close("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        peer.send("A")
        self.reaches("CLOSED")

    @of_both_families
    def test_no_fin_wait_2_where_the_peer_ends_first(self, family):
        peer = self.active(family, "c.setsockopt(6, %d, -1)" % TCP_LINGER2)
        peer.send("FA")
        peer.expect("A")
        self.look("ESTABLISHED", "CLOSE_WAIT")
        self.close("CLOSE_WAIT", "LAST_ACK")
        peer.expect("FA")


class Unreachable(Wired):
    """What a router or a far host says by ICMP."""

    ERRORS = {"net": "ENETUNREACH", "host": "EHOSTUNREACH", "port": "ECONNREFUSED"}

    @of_both_families
    def test_in_syn_sent(self, family):
        """A SYN had gone out, though the counts of the socket begin anew when connect fails."""
        for what, error in self.ERRORS.items():
            peer = self.connecting(family)
            peer.unreachable(what)
            self.connected(was="CLOSED", via=["SYN_SENT"], state="CLOSED", error=error,
                           peer=peer.name)

    @of_both_families
    def test_in_syn_sent_of_a_bound_socket(self, family):
        """Its port proves nothing, and the counts are gone: so nothing is said."""
        for what, via in (("host", None), ("port", ["SYN_SENT"])):
            peer = self.connecting(family, "c.bind((%r, 0))" % wire.OURS[family])
            peer.unreachable(what)
            self.connected(was="CLOSED", via=via, state="CLOSED", error=self.ERRORS[what])

    @of_both_families
    def test_in_syn_sent_without_waiting(self, family):
        for what, error in self.ERRORS.items():
            peer = self.connecting(family, blocks=False)
            self.event("connect", state="SYN_SENT")
            peer.unreachable(what)
            self.look("SYN_SENT", "CLOSED")
            self.assertEqual(self.p.eval("errno.errorcode[c.getsockopt(socket.SOL_SOCKET,"
                                         " socket.SO_ERROR)]"), error)
            self.event("getsockopt", was="CLOSED", state="CLOSED", via=None)
            self.close("CLOSED", "CLOSED")

    @of_both_families
    def test_refused_by_a_firewall(self, family):
        """Errors that are nobody's but ICMP's, or the machine's own before it has sent any."""
        what, error = ("protocol", "ENOPROTOOPT") if family == V4 else ("prohibited", "EACCES")
        peer = self.connecting(family)
        peer.unreachable(what)
        self.connected(was="CLOSED", via=["SYN_SENT"], state="CLOSED", error=error)

    @of_both_families
    def test_again(self, family):
        """The port of the attempt before proves nothing of this one."""
        peer = self.connecting(family)
        peer.unreachable("host")
        self.connected(via=["SYN_SENT"], state="CLOSED", error="EHOSTUNREACH")
        self.assertEqual(self.p.eval("error_of(c.connect, %r)" % (NOWHERE[family],)),
                         "ENETUNREACH")
        self.event("connect", was="CLOSED", via=None, state="CLOSED", error="ENETUNREACH")

    @of_both_families
    def test_a_neighbour_that_is_dead(self, family):
        """The SYN was handed to IP, and waited there for an address that nobody told."""
        there = self.wire.dead(family)
        self.p("l = c = None; c = socket.socket(%d)" % family)
        self.cookie = self.p.eval("cookie(c)")
        self.events.new()
        self.p.begin("error = error_of(c.connect, %r)" % (there,))
        self.connected(was="CLOSED", via=["SYN_SENT"], state="CLOSED", error="EHOSTUNREACH")

    @of_both_families
    def test_no_route(self, family):
        """Nothing was sent, and nothing is said to have been."""
        host, port = NOWHERE[family]
        for before in ("", "c.bind(('', 0))"):
            self.p("l = c = None; c = socket.socket(%d); %s" % (family, before))
            self.events.new()
            self.assertEqual(self.p.eval("error_of(c.connect, %r)" % ((host, port),)),
                             "ENETUNREACH")
            port += 1  # of the same peer it would only be counted
            self.expect(self.events.new(), ("connect", dict(
                was="CLOSED", via=None, state="CLOSED", error="ENETUNREACH")))

    @of_both_families
    def test_a_connection_goes_on(self, family):
        for what in self.ERRORS:
            peer = self.active(family)
            self.p("c.send(b'bytes')")
            peer.expect("A", b"bytes")
            peer.unreachable(what)
            self.look("ESTABLISHED", "ESTABLISHED")
            peer.send("A")
            peer.send("FA")
            peer.expect("A")
            self.look("ESTABLISHED", "CLOSE_WAIT")


class Timeouts(Wired):
    """A peer that says nothing any more."""

    USER = [(TCP_USER_TIMEOUT, 300)]

    @of_both_families
    def test_syn(self, family):
        peer = self.connecting(family, "c.setsockopt(6, %d, 300)" % TCP_USER_TIMEOUT)
        self.connected(was="CLOSED", via=["SYN_SENT"], state="CLOSED", error="ETIMEDOUT",
                       peer=peer.name)

    def alone(self, family, options):
        """A connection whose peer will not answer any more; with these options of TCP."""
        peer = self.active(family)
        self.p("for option, value in %r: c.setsockopt(6, option, value)" % (options,))
        self.events.new()
        return peer

    def ended(self, was):
        self.reaches("CLOSED")
        self.p(LOOK % "c")
        event = self.event("setsockopt", was=was, state="CLOSED", via=None)
        self.assertEqual(self.notes(event), ["peer-reset"])
        self.assertIn("timeout", event["notes"][0]["text"])
        self.assertGreater(event["notes"][0]["retransmits"], 0)

    @of_both_families
    def test_user_timeout(self, family):
        peer = self.alone(family, self.USER)
        self.p("c.send(b'bytes')")
        peer.expect("A", b"bytes")
        self.ended("ESTABLISHED")

    @of_both_families
    def test_user_timeout_of_a_fin(self, family):
        peer = self.alone(family, self.USER)
        self.shut("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        self.ended("FIN_WAIT_1")

    @of_both_families
    def test_keepalive(self, family):
        peer = self.alone(family, [(4, 1), (5, 1), (6, 1)])
        self.p("c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)")
        self.events.new()
        peer.expect("A", back=1)
        self.ended("ESTABLISHED")


class Attempts(Wired):
    """refused, unreachable, timed-out: what is told of a connect that failed.

    The test knows what came back, since it sent it; what the note says came back is held against
    that, however late the program asks.
    """

    CLOSED = "select.select([], [c], [])"
    SO_ERROR = "error = errno.errorcode[c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]"
    LISTENS_NOT = "nobody listens there, or a firewall rejects it"
    # Two SYNs: the kernel looks at the limit when the first has gone unanswered for a second.
    LIMIT = "c.setsockopt(6, %d, 1200)" % TCP_USER_TIMEOUT
    SILENT = "the host is down, a firewall drops them, or a listener's backlog is full"
    LOST = ", or this machine has lost its route there since the first SYN"
    NO_ROUTE = "this machine has no route there (see ip route)"
    TO_MANY = ", or it is a broadcast or multicast address"
    # What the test sends, what the program may then read, and what is told.
    ANSWERS = (
        ("rst", "ECONNREFUSED", "refused", {"by": "rst"}, "RST came back from %s: " + LISTENS_NOT),
        ("port", "ECONNREFUSED", "refused", {"by": "icmp"},
         "ICMP (port unreachable) and no RST came back from %s: a firewall rejects it"),
        ("host", "EHOSTUNREACH", "unreachable", {},
         "no way to %s: a router or firewall said so by ICMP, or the next host on the way does "
         "not answer" + LOST),
        ("net", "ENETUNREACH", "unreachable", {},
         "no way to %s: a router or firewall said so by ICMP" + LOST),
    )

    def told(self, event, code, peer, text, **keys):
        """The event has that note alone, with that text and no other keys."""
        self.assertEqual(self.notes(event), [code], event)
        note = dict(event["notes"][0])
        self.assertEqual(note.pop("text"), text % peer.name if "%s" in text else text)
        self.assertEqual(note, dict(code=code, peer=peer.name, **keys))

    def answer(self, peer, what):
        if what == "rst":
            peer.send("RA")
        else:
            peer.unreachable(what)

    def begun(self, family, before=""):
        """The program does not wait; its connect tells nothing yet."""
        peer = self.connecting(family, before, blocks=False)
        self.assertEqual(self.notes(self.event("connect", state="SYN_SENT")), [])
        return peer

    def attempts(self, family):
        """Each answer to an attempt that did not wait: (error, peer, what told takes)."""
        for what, error, code, keys, text in self.ANSWERS:
            peer = self.begun(family)
            self.answer(peer, what)
            self.reaches("CLOSED")
            yield error, peer, (code, peer, text), keys

    @of_both_families
    def test_read_by_so_error(self, family):
        for error, _, note, keys in self.attempts(family):
            self.p(self.SO_ERROR)
            self.assertEqual(self.p.eval("error"), error)
            self.told(self.event("getsockopt", was="SYN_SENT", state="CLOSED"), *note, **keys)
            self.close("CLOSED", "CLOSED")  # told once

    @of_both_families
    def test_read_by_a_second_connect(self, family):
        """The kernel forgets the counts when it tells the error."""
        for error, peer, note, keys in self.attempts(family):
            self.assertEqual(self.p.eval("error_of(c.connect, %r)" % (peer.address,)), error)
            self.told(self.event("connect", was="SYN_SENT", state="CLOSED", via=None), *note,
                      **keys)
            self.close("CLOSED", "CLOSED")

    @of_both_families
    def test_waited_for_by_a_second_connect(self, family):
        """It began before anything came back, and the counts are gone when it ends."""
        for what, _, code, _, text in self.ANSWERS:
            peer = self.begun(family)
            self.p("c.setblocking(1)")
            fd = self.p.eval("c.fileno()")
            self.p.begin("error_of(c.connect, %r)" % (peer.address,))
            wait_until(lambda: self.waits_with() == fd, "connect waits")
            self.answer(peer, what)
            if code == "refused":
                text = "RST or ICMP came back from %s: " + self.LISTENS_NOT
            self.told(self.connected(was="SYN_SENT", state="CLOSED", via=None), code, peer, text)
            self.close("CLOSED", "CLOSED")

    def waits_with(self):
        """The descriptor that is the argument of the call that the program waits in."""
        with open("/proc/%d/syscall" % self.p.pid) as file:
            words = file.read().split()
        return int(words[1], 16) if len(words) > 1 else None

    @of_both_families
    def test_read_after_a_connection(self, family):
        """A second connect that tells of the end of a connection tells of no attempt."""
        peer = self.begun(family, self.LIMIT)
        peer.send("SA")
        peer.expect("A")
        self.reaches("ESTABLISHED")
        self.p("c.send(b'bytes')")
        self.reaches("CLOSED")
        self.assertEqual(self.p.eval("error_of(c.connect, %r)" % (peer.address,)), "ETIMEDOUT")
        event, = self.events.new()
        self.assertNotIn("timed-out", self.notes(event), event)

    @of_both_families
    def test_seen_before_it_is_read(self, family):
        """Another call shows that it is over; what it was is told with the error."""
        for _, peer, note, keys in self.attempts(family):
            self.assertEqual(self.notes(self.look("SYN_SENT", "CLOSED")), [])
            self.p(self.SO_ERROR)
            self.told(self.event("getsockopt", was="CLOSED", state="CLOSED"), *note, **keys)
            self.close("CLOSED", "CLOSED")

    @of_both_families
    def test_never_read(self, family):
        """Without the error a RST is proven by what came in, ICMP by its absence."""
        unread = ("ICMP ended the attempt to reach %s, which is unreachable or rejected by a "
                  "firewall, or somebody on this machine did (ss -K); which, only the error tells, "
                  "and no call that is seen has read it")
        for _, peer, note, keys in self.attempts(family):
            if "rst" not in keys.values():
                note, keys = ("unreachable", peer, unread), {}
            self.p("c.close()")
            self.told(self.event("close", was="SYN_SENT", state="CLOSED"), *note, **keys)

    @of_both_families
    def test_read_where_it_is_not_seen(self, family):
        """send() takes the error: it is as if nobody had read it, and the error is the program's."""
        peer = self.begun(family)
        peer.send("RA")
        self.reaches("CLOSED")
        self.assertEqual(self.p.eval("error_of(c.send, b'x')"), "ECONNREFUSED")
        self.p("zero = c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR); c.close()")
        self.assertEqual(self.p.eval("zero"), 0)
        read, closed = self.events.new()
        self.assertEqual(self.notes(read), [])
        self.told(closed, "refused", peer, self.ANSWERS[0][4], by="rst")

    @of_both_families
    def test_the_error_stays_the_programs(self, family):
        """Whatever is asked, SO_ERROR is not read: the program finds it after it all."""
        for error, _, _, _ in self.attempts(family):
            self.p("d = c.dup(); c.close()")
            self.p(self.SO_ERROR.replace("c.", "d.", 1) + "; d.close()")
            self.assertEqual(self.p.eval("error"), error)
            self.events.new()

    @of_both_families
    def test_waited_for(self, family):
        """A connect that waited is disconnected when it fails: what came back is not known."""
        for what, error, code, _, text in self.ANSWERS:
            peer = self.connecting(family)
            self.answer(peer, what)
            event = self.connected(error=error, via=["SYN_SENT"], state="CLOSED")
            if code == "refused":
                text = "RST or ICMP came back from %s: " + self.LISTENS_NOT
            self.told(event, code, peer, text)
            self.close("CLOSED", "CLOSED")

    @of_both_families
    def test_waited_for_when_bound(self, family):
        """Whether a SYN went out is not known: both possibilities are named."""
        ways = (self.NO_ROUTE + self.TO_MANY + ", or a router or firewall said so by ICMP",
                self.NO_ROUTE + ", or a router or firewall said so by ICMP, or the next host on "
                "the way does not answer")
        for what, text in zip(("net", "host"), ways):
            peer = self.connecting(family, "c.bind((%r, 0))" % wire.OURS[family])
            peer.unreachable(what)
            self.told(self.connected(state="CLOSED"), "unreachable", peer, "no way to %s: " + text)

    @of_both_families
    def test_errors_of_icmp_alone(self, family):
        what, error = ("protocol", "ENOPROTOOPT") if family == V4 else ("prohibited", "EACCES")
        peer = self.connecting(family)
        peer.unreachable(what)
        self.told(self.connected(state="CLOSED", error=error), "unreachable", peer,
                  self.ANSWERS[3][4].replace(self.LOST, ""))

    @of_both_families
    def test_no_route(self, family):
        """Nothing was sent, which the port proves, or that the call never waits."""
        host, port = NOWHERE[family]
        for before in ("", "c.bind(('', 0)); c.setblocking(0)"):
            port += 1  # what fails alike within a second is only counted
            self.p("l = c = None; c = socket.socket(%d); %s" % (family, before))
            self.events.new()
            self.p("error = error_of(c.connect, %r)" % ((host, port),))
            self.assertEqual(self.p.eval("error"), "ENETUNREACH")
            event, = self.events.new()
            self.assertEqual(self.notes(event), ["unreachable"])
            self.assertEqual(event["notes"][0]["text"],
                             "no way to %s: %s%s, and nothing was sent"
                             % (event["peer"], self.NO_ROUTE, self.TO_MANY))

    @of_both_families
    def test_a_route_that_is_lost(self, family):
        """It is there for the first SYN, and not any more for the second."""
        if not shutil.which("ip"):
            self.skipTest("no ip")
        self.begun(family, self.LIMIT)
        kind = "-4" if family == V4 else "-6"
        status, _, err = self.run_program(["ip", kind, "route", "flush", "dev", "wire0"])
        self.assertEqual((status, err), (0, b""))
        self.p(self.CLOSED)
        self.p(self.SO_ERROR)
        event = self.event("getsockopt", state="CLOSED")
        self.assertIn(self.LOST, event["notes"][0]["text"])
        self.assertEqual(self.notes(event), ["unreachable"])

    @of_both_families
    def test_many_at_once(self, family):
        """What TCP can't connect to: the route to there is not what is missing."""
        host = "255.255.255.255" if family == V4 else "ff02::1"
        self.p("l = c = None; c = socket.socket(%d)" % family)
        self.events.new()
        self.p("error = error_of(c.connect, (%r, 9))" % host)
        self.assertEqual(self.p.eval("error"), "ENETUNREACH")
        event, = self.events.new()
        self.assertIn(self.TO_MANY, event["notes"][0]["text"])

    @of_both_families
    def test_a_neighbour_that_is_dead(self, family):
        there = self.wire.dead(family)
        self.p("l = c = None; c = socket.socket(%d)" % family)
        self.cookie = self.p.eval("cookie(c)")
        self.events.new()
        self.p.begin("error = error_of(c.connect, %r)" % (there,))
        event = self.connected(state="CLOSED", error="EHOSTUNREACH")
        self.assertEqual(event["notes"][0]["text"], self.ANSWERS[2][4] % event["peer"])

    def timed_out(self, event, peer, text, syns=2):
        note, = event["notes"]
        self.says(note, code="timed-out", peer=peer.name, syns=syns)
        self.assertEqual(note["text"], "%d SYNs to %s within %d.%d s, and %s: %s" % (
            syns, peer.name, note["over_ms"] // 1000, note["over_ms"] // 100 % 10, text,
            self.SILENT))
        return note

    def heard(self, peer, syns=2):
        """So many SYNs came over the wire, and nothing else."""
        while self.wire.read(0):
            pass
        numbers = [packet["TCP"].seq for packet in peer.arrived if "S" in str(packet["TCP"].flags)]
        self.assertEqual(numbers, [peer.begun] * (syns - 1))  # the first has been expected
        peer.arrived.clear()

    @of_both_families
    def test_timed_out(self, family):
        peer = self.connecting(family, self.LIMIT)
        event = self.connected(error="ETIMEDOUT", via=["SYN_SENT"], state="CLOSED")
        note = self.timed_out(event, peer, "no answer")
        self.assertEqual(note["over_ms"], event["dur_ns"] // 1000000)
        self.heard(peer)

    @of_both_families
    def test_timed_out_read_late(self, family):
        for second in (False, True):
            peer = self.begun(family, self.LIMIT)
            self.p(self.CLOSED)
            if second:
                self.p("error = error_of(c.connect, %r)" % (peer.address,))
            else:
                self.p(self.SO_ERROR)
            self.assertEqual(self.p.eval("error"), "ETIMEDOUT")
            event = self.event("connect" if second else "getsockopt", state="CLOSED")
            note = self.timed_out(event, peer, "nothing came back")
            self.assertGreaterEqual(note["over_ms"], 1000)
            self.heard(peer)
            self.close("CLOSED", "CLOSED")

    @of_both_families
    def test_timed_out_never_read(self, family):
        peer = self.begun(family, self.LIMIT)
        self.p(self.CLOSED + "; c.close()")
        self.timed_out(self.event("close", state="CLOSED"), peer,
                       "nothing came back, unless ICMP at the end")

    @of_both_families
    def test_timed_out_with_something_heard(self, family):
        """A RST that acknowledges nothing is none of the attempt's: it is passed over."""
        for closes in (False, True):
            peer = self.begun(family, self.LIMIT)
            peer.send("R")
            self.p(self.CLOSED)
            if closes:
                self.p("c.close()")
                self.told(self.event("close", state="CLOSED"), "refused", peer,
                          "RST came back from %s, or too late an answer: " + self.LISTENS_NOT)
            else:
                self.p(self.SO_ERROR)
                self.assertEqual(self.p.eval("error"), "ETIMEDOUT")
                self.timed_out(self.event("getsockopt", state="CLOSED"), peer,
                               "what came back was no answer")

    @of_both_families
    def test_nothing_of_a_connection(self, family):
        """That was made, and is reset or runs out of time: not the attempt has failed."""
        peer = self.begun(family)
        peer.send("SA")
        peer.expect("A")
        self.reaches("ESTABLISHED")
        peer.send("RA")
        self.reaches("CLOSED")
        self.p(self.SO_ERROR)
        self.assertEqual(self.p.eval("error"), "ECONNRESET")
        self.assertEqual(self.notes(self.event("getsockopt", state="CLOSED")), [])
        self.close("CLOSED", "CLOSED")
        self.active(family, "c.setsockopt(6, %d, 300)" % TCP_USER_TIMEOUT)
        self.p("c.send(b'bytes')")
        self.reaches("CLOSED")
        self.p(self.SO_ERROR)
        self.assertEqual(self.p.eval("error"), "ETIMEDOUT")
        self.assertEqual(self.notes(self.event("getsockopt", state="CLOSED")), ["peer-reset"])

    BEFORE = "the peer of the connect before, whose end this one tells"

    @of_both_families
    def test_of_the_peer_that_it_was_to(self, family):
        """A connect to another peer tells of the one before; nothing has been sent to its own."""
        for what, error, code, keys, text in self.ANSWERS:
            peer, other = self.begun(family), self.wire.peer(family)
            self.answer(peer, what)
            self.reaches("CLOSED")
            self.assertEqual(self.p.eval("error_of(c.connect, %r)" % (other.address,)), error)
            event = self.event("connect", state="CLOSED", peer=other.name)
            self.assertEqual(event["notes"], [dict(code=code, text=text % self.BEFORE,
                                                   earlier=True, **keys)])
            self.assertEqual(other.arrived, [])
            self.close("CLOSED", "CLOSED", peer=None)  # neither is its peer

    @of_both_families
    def test_of_the_first_peer_of_two(self, family):
        """A connect to another peer while it is under way changes nothing of it."""
        for what, _, code, keys, text in self.ANSWERS:
            peer, other = self.begun(family), self.wire.peer(family)
            self.assertEqual(self.p.eval("error_of(c.connect, %r)" % (other.address,)), "EALREADY")
            self.assertEqual(self.notes(self.event("connect", peer=other.name)), [])
            self.answer(peer, what)
            self.reaches("CLOSED")
            self.p(self.SO_ERROR)
            self.told(self.event("getsockopt", state="CLOSED"), code, peer, text, **keys)
            self.close("CLOSED", "CLOSED")

    @of_both_families
    def test_once_for_all_numbers(self, family):
        """What was told through one of them is not told at the close of another."""
        for _, peer, note, keys in self.attempts(family):
            self.p("d = c.dup(); e = d.dup()")
            self.p(self.SO_ERROR.replace("c.", "d.", 1))
            self.told(self.events.new()[-1], *note, **keys)
            self.p("d.close(); c.close(); e.close()")
            for event in self.events.new():
                self.absent([event], "refused", "unreachable", "timed-out")

    @of_both_families
    def test_ended_by_shutdown(self, family):
        """What comes after it is another attempt, be it seen or not."""
        for how in ("SHUT_RD", "SHUT_WR", "SHUT_RDWR"):
            peer, other = self.begun(family), self.wire.peer(family)
            self.shut("SYN_SENT", "CLOSED", how=how)
            self.p("c.setblocking(1)")
            self.p.begin("error = error_of(c.connect, %r)" % (other.address,))
            other.expect("S")
            other.send("RA")
            event = self.connected(error="ECONNREFUSED", via=["SYN_SENT"], state="CLOSED")
            self.told(event, "refused", other,
                      "RST or ICMP came back from %s: " + self.LISTENS_NOT)
            self.close("CLOSED", "CLOSED")
            self.assertEqual(peer.arrived, [])

    @of_both_families
    def test_ended_by_shutdown_and_begun_unseen(self, family):
        """Of that nothing is told: it has begun by no connect."""
        self.begun(family)
        self.shut("SYN_SENT", "CLOSED")
        other = self.wire.peer(family)
        self.p("error_of(c.sendto, b'x', %d, %r)" % (MSG_FASTOPEN, other.address))
        other.expect("S")
        other.send("RA")
        self.reaches("CLOSED")
        self.close("CLOSED", "CLOSED")

    @of_both_families
    def test_nothing_of_an_attempt_that_is_given_up(self, family):
        self.begun(family)
        self.close("SYN_SENT", "CLOSED")


class Router(Case):
    """A router so near that its ICMP is there before connect has let go of the socket.

    Then the kernel only remembers the error, and goes on trying; SO_ERROR tells it all the same.
    """

    BEYOND = ("203.0.113.1", 9)  # where the router has no way to
    ROUTER = ("read begin; ip addr add 192.0.2.2/24 dev there && ip link set there up &&"
              " echo 1 >/proc/sys/net/ipv4/ip_forward && echo ready; read end")
    HERE = ("ip link add here type veth peer name there netns %d && ip addr add 192.0.2.1/24 dev"
            " here && ip link set here up")

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("unshare"):
            self.skipTest("needs root, ip and unshare")
        kernel.namespace()
        router = self.start(["unshare", "-n", "sh", "-c", "echo begun; " + self.ROUTER],
                            stdin=subprocess.PIPE)
        self.addCleanup(router.stdin.close)
        self.assertEqual(read_line(router), "begun\n")
        self.must(self.HERE % router.pid)
        router.stdin.write(b"begin\n")
        router.stdin.flush()
        self.assertEqual(read_line(router), "ready\n", router.error())
        self.must("ip route add default via 192.0.2.2")

    def must(self, command):
        status, _, err = self.run_program(["sh", "-c", command])
        self.assertEqual((status, err), (0, b""))

    def test_the_kernel_goes_on(self):
        log = self.log()
        p = self.puppet(log)
        p("c = socket.socket(); c.setblocking(0); error_of(c.connect, %r)" % (self.BEYOND,))
        log.new()
        p("error = errno.errorcode[c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]")
        if p.eval("tcp_info_state(c)") != 2:
            self.skipTest("the SYN was sent again before anybody looked")
        event, = log.new()
        self.match(event, call="getsockopt", was="SYN_SENT", state="SYN_SENT")
        self.assertEqual(p.eval("error"), "ENETUNREACH")
        text = "no way to 203.0.113.1:9: a router or firewall said so by ICMP" + Attempts.LOST
        self.assertEqual(event["notes"], [{
            "code": "unreachable", "peer": "203.0.113.1:9",
            "text": text + "; the kernel goes on trying"}])
        # The next SYN is sent by no call, and its ICMP ends the attempt.
        wait_until(lambda: p.eval("tcp_info_state(c)") == 7, "the end")
        p("error = errno.errorcode[c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]; c.close()")
        event, closed = log.new()
        self.match(event, state="CLOSED")
        self.assertEqual([note["text"] for note in event["notes"]], [text])
        self.assertEqual(self.notes(closed), [])


class FastOpen(Wired):
    """TCP Fast Open (RFC 7413), without cookies."""

    SETTINGS = {"tcp_fastopen": 0x1 | 0x2 | 0x4 | 0x200}
    OPEN = "c.sendto(b'early', %d, %%r)" % MSG_FASTOPEN

    @of_both_families
    def test_message(self, family):
        """sendto() has connected: no event of its own, but the next one knows the way."""
        peer = self.wire.peer(family)
        self.p("l = c = None; c = socket.socket(%d)" % family)
        self.cookie = self.p.eval("cookie(c)")
        self.events.new()
        self.p.begin(self.OPEN % (peer.address,))
        peer.expect("S", b"early")
        peer.send("SA")
        peer.expect("A")
        self.p.result()
        self.look("CLOSED", "ESTABLISHED", via=["SYN_SENT"])
        self.close("ESTABLISHED", "FIN_WAIT_1")

    @of_both_families
    def test_message_seen_late(self, family):
        for closes, via in ((False, ["SYN_SENT", "ESTABLISHED"]),
                            (True, ["SYN_SENT", "ESTABLISHED", "CLOSE_WAIT"])):
            peer = self.wire.peer(family)
            self.p("l = c = None; c = socket.socket(%d)" % family)
            self.cookie = self.p.eval("cookie(c)")
            self.events.new()
            self.p.begin(self.OPEN % (peer.address,))
            peer.expect("S", b"early")
            peer.send("SA")
            peer.expect("A")
            self.p.result()
            peer.send("FA")
            peer.expect("A")
            if closes:
                self.close("CLOSED", "LAST_ACK", via=via)
            else:
                self.look("CLOSED", "CLOSE_WAIT", via=via)

    @of_both_families
    def test_message_without_waiting(self, family):
        peer = self.wire.peer(family)
        self.p("l = c = None; c = socket.socket(%d); c.setblocking(0)" % family)
        self.cookie = self.p.eval("cookie(c)")
        self.events.new()
        self.p("error_of(c.sendto, b'early', %d, %r)" % (MSG_FASTOPEN, peer.address))
        peer.expect("S", b"early")
        self.look("CLOSED", "SYN_SENT")
        peer.send("RA")
        self.look("SYN_SENT", "CLOSED")

    @of_both_families
    def test_message_refused_unseen(self, family):
        """The first call that is seen after it tells what the socket has been through, once."""
        for closes in (False, True):
            peer = self.wire.peer(family)
            self.p("l = c = None; c = socket.socket(%d); c.setblocking(0)" % family)
            self.cookie = self.p.eval("cookie(c)")
            self.events.new()
            self.p("error_of(c.sendto, b'early', %d, %r)" % (MSG_FASTOPEN, peer.address))
            peer.expect("S", b"early")
            peer.send("RA")
            wait_until(lambda: self.p.eval("tcp_info_state(c)") == 7, "the refusal")
            if not closes:
                self.assertEqual(self.p.eval("c.getsockopt(1, socket.SO_ERROR)"), 111)
                self.event("getsockopt", was="CLOSED", via=["SYN_SENT"], state="CLOSED")
                self.look("CLOSED", "CLOSED")
            self.close("CLOSED", "CLOSED", via=["SYN_SENT"] if closes else None)

    @of_both_families
    def test_connect_that_is_put_off(self, family):
        """TCP_FASTOPEN_CONNECT: SYN_SENT is what the kernel says before it has sent any."""
        peer = self.wire.peer(family)
        self.p("l = c = None; c = socket.socket(%d); c.setsockopt(6, %d, 1)"
               % (family, TCP_FASTOPEN_CONNECT))
        self.cookie = self.p.eval("cookie(c)")
        self.events.new()
        self.p("c.connect(%r)" % (peer.address,))
        self.event("connect", ret=0, was="CLOSED", via=None, state="SYN_SENT")
        self.p.begin("c.send(b'early')")
        peer.expect("S", b"early")
        peer.send("SA")
        peer.expect("A")
        self.p.result()
        self.look("SYN_SENT", "ESTABLISHED")

    def early(self, family):
        """A peer whose SYN has bytes, which a listener hands over before the handshake ends."""
        peer = self.listening(family, "l.setsockopt(6, %d, 5)" % TCP_FASTOPEN)
        peer.send("S", b"early")
        peer.expect("SA")
        return peer

    @of_both_families
    def test_server(self, family):
        peer = self.early(family)
        self.match(self.accept(), was=None, via=None, state="SYN_RCVD", peer=peer.name)
        self.assertEqual(self.p.eval("c.recv(9).decode()"), "early")
        peer.send("A")
        self.look("SYN_RCVD", "ESTABLISHED")

    @of_both_families
    def test_server_is_reset(self, family):
        peer = self.early(family)
        self.match(self.accept(), was=None, via=None, state="SYN_RCVD")
        peer.send("R")
        self.look("SYN_RCVD", "CLOSED")

    @of_both_families
    def test_server_is_reset_before_accept(self, family):
        """The handshake was never complete: there was no ESTABLISHED."""
        peer = self.early(family)
        peer.send("R")
        wait_until(lambda: all(entry.peer != peer.address for entry in kernel.diag()), "the reset")
        event = self.accept()
        self.match(event, was=None, via=["SYN_RCVD"], state="CLOSED")
        self.assertEqual(self.notes(event), ["peer-reset"], event)

    @of_both_families
    def test_server_closes_first(self, family):
        """SYN_RCVD to FIN_WAIT_1, of a connection that was accepted."""
        peer = self.early(family)
        self.match(self.accept(), state="SYN_RCVD")
        self.p("c.recv(9)")
        self.close("SYN_RCVD", "FIN_WAIT_1")
        peer.send("A")


class Copies(Wired):
    """A close that leaves another descriptor open sends nothing; has a FIN gone before?"""

    def copied(self, was, state, fin_sent=None, via=None):
        """`c` is closed, of which there is a copy; that is `c` then."""
        self.p("d = c.dup()")
        self.events.new()
        event = self.close(was, state, via, notes=["still-open"])
        note = event["notes"][0]
        self.says(note, own_fd=self.p.eval("d.fileno()"), pid=self.p.pid, fin_sent=fin_sent)
        self.assertEqual(note["text"].endswith(", so this close sent nothing; the FIN went "
                                               "before, by a shutdown"), bool(fin_sent), note)
        self.p("c = d")

    @of_both_families
    def test_first(self, family):
        peer = self.active(family)
        self.copied("ESTABLISHED", "ESTABLISHED")
        self.shut("ESTABLISHED", "FIN_WAIT_1")
        peer.expect("FA")
        self.copied("FIN_WAIT_1", "FIN_WAIT_1", True)
        peer.send("A")
        self.reaches("FIN_WAIT_2")
        self.copied("FIN_WAIT_2", "FIN_WAIT_2", True)
        peer.send("FA")
        peer.expect("A")
        self.reaches("TIME_WAIT")
        self.copied("TIME_WAIT", "TIME_WAIT", True)
        self.close("TIME_WAIT", "TIME_WAIT")

    @of_both_families
    def test_simultaneous(self, family):
        self.closing(family)
        self.copied("CLOSING", "CLOSING", True)

    @of_both_families
    def test_second(self, family):
        peer = self.passive(family)
        peer.send("FA")
        peer.expect("A")
        self.reaches("CLOSE_WAIT")
        self.copied("CLOSE_WAIT", "CLOSE_WAIT")
        self.shut("CLOSE_WAIT", "LAST_ACK")
        peer.expect("FA")
        self.copied("LAST_ACK", "LAST_ACK", True)

    @of_both_families
    def test_reset(self, family):
        """Nothing is left of the connection that a copy could hold."""
        peer = self.active(family)
        self.p("d = c.dup()")
        peer.send("RA")
        self.reaches("CLOSED")
        self.events.new()
        self.close("ESTABLISHED", "CLOSED", notes=["peer-reset"])


class Queue(Wired):
    """Connections that a listener has and nobody has accepted."""

    def queued(self, family):
        peer = self.listening(family)
        peer.call()
        wait_until(lambda: self.p.eval("bool(select.select([l], [], [], 0)[0])"), "a connection")
        return peer

    def reset(self, call, count):
        """The call has ended the listening, with so many in the queue; its note."""
        event, = self.events.new()
        self.match(event, call=call, was="LISTEN", state="CLOSED", via=None)
        self.assertEqual(self.notes(event), ["queue-reset"], event)
        self.assertEqual(event["notes"][0]["connections"], count)

    @of_both_families
    def test_close(self, family):
        peer = self.queued(family)
        self.p("l.close()")
        self.reset("close", 1)
        peer.expect("RA")

    @of_both_families
    def test_shutdown(self, family):
        for how in ("SHUT_RD", "SHUT_RDWR"):
            peer = self.queued(family)
            self.p("l.shutdown(socket.%s)" % how)
            self.reset("shutdown", 1)
            peer.expect("RA")
            self.p("l.close()")
            self.assertEqual(self.notes(self.events.new()[-1]), [])

    @of_both_families
    def test_several(self, family):
        """One is over already, one is half open: only what is in the queue is counted."""
        first = self.queued(family)
        second, third = (self.wire.peer(family, first.theirs) for _ in range(2))
        second.call()
        third.send("S")
        third.expect("SA")
        wait_until(lambda: len([entry for entry in kernel.diag(families=[family])
                                if entry.state == "ESTABLISHED"]) == 2, "both")
        second.send("R")
        wait_until(lambda: all(entry.peer != second.address for entry in kernel.diag()),
                   "the reset")
        self.p("l.close()")
        self.reset("close", 2)
        first.expect("RA")

    @of_both_families
    def test_not_with_a_copy(self, family):
        """Nothing happens to them before the last descriptor goes."""
        peer = self.queued(family)
        self.p("d = l.dup(); l.close()")
        self.assertEqual(self.notes(self.events.new()[-1]), ["still-open"])
        self.p("d.close()")
        self.reset("close", 1)
        peer.expect("RA")

    @of_both_families
    def test_shutdown_of_writing(self, family):
        """It does nothing to a listener."""
        self.queued(family)
        self.p("l.shutdown(socket.SHUT_WR)")
        event, = self.events.new()
        self.match(event, was="LISTEN", state="LISTEN")
        self.assertEqual(self.notes(event), [])
