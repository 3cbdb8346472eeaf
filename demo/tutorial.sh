#!/bin/sh
# SPDX-License-Identifier: MIT
# The page docs/tcp-states.md on standard output: an introduction, and what `tcpshim demo` shows on
# this machine's kernel now. `make tutorial` runs this.
#
#	tutorial.sh [TCPSHIM]		the tool to run; ./tcpshim unless told
#
# Ends with status 0 if every step showed what it should.

set -u
LC_ALL=C
export LC_ALL

cat <<'PAGE'
# TCP's states, and the calls that lead to them

Every block below is a real run: `tcpshim demo all` on Linux, on 127.0.0.1, on ports that the kernel
chose. Run it on your own kernel:

```sh
tcpshim demo                # the steps
tcpshim demo half-close     # one of them
tcpshim demo -s half-close  # wait for ENTER after each sentence: time for ss
```

(This page is what `make tutorial` writes, and a test sees that it is true today.)

## How to read it

```
  client  shutdown(4, SHUT_WR) = 0                    ESTABLISHED -> FIN_WAIT_1
```

A call, who made it, what it returned, and at the right the states that its socket went through, up
to the one in which it was when the call had returned. It is the line that `TCPSHIM_LOG` writes of
any program, without the time, the program and the addresses. `send`, `recv`, `kill` and
`getsockopt(TCP_INFO)` are not logged; they are told by the step itself.

```
  now                  State      Recv-Q Send-Q Local           Peer
  client  FIN_WAIT_2   FIN-WAIT-2 0      0      127.0.0.1:57254 127.0.0.1:43161
  server  CLOSE_WAIT   CLOSE-WAIT 1      0      127.0.0.1:43161 127.0.0.1:57254
```

What the kernel has a moment later, at both ends: the state by its name in RFC 9293, and the line
that `ss -tan` prints, which has names of its own. `tcpshim` asks the kernel itself, over sock_diag,
as `ss` does; `ss` need not be installed. Where `ss` would tell it by other options (`-e`, `-o`), a
line below says that no process has the socket open, and for how long the kernel keeps it.

## The diagram

```
                              CLOSED
               listen() |              | connect(): SYN
                        v              v
                     LISTEN         SYN_SENT
     SYN comes: SYN+ACK |              | SYN+ACK comes: ACK
                        v              |
                    SYN_RCVD           |
              ACK comes |              |
                        v              v
                          ESTABLISHED
           close(): FIN |              | FIN comes: ACK
                        v              v
                   FIN_WAIT_1      CLOSE_WAIT
          ACK comes |     | FIN comes: | close(): FIN
                    |     | ACK        |
                    v     v            v
           FIN_WAIT_2   CLOSING     LAST_ACK
         FIN comes: |     | ACK        | ACK
                ACK |     | comes      | comes
                    v     v            v
                   TIME_WAIT        CLOSED
                        | 60 s
                        v
                     CLOSED
```

Each of the eleven is to be seen below, by the kernel's own word (CLOSED: it has no such socket any
more). The left way is that of the end that closes first. `shutdown(SHUT_WR)` goes the same ways as
`close()`. A RST leads from anywhere to CLOSED.

## What is often told, and is not so

| told | shown in |
|---|---|
| `accept()` makes the connection | [handshake](#handshake-how-a-connection-begins-and-who-makes-it) |
| `close()` half-closes a connection | [half-close](#half-close-shutdownshut_wr-closes-one-half-close-does-not) |
| `close()` sends a FIN | [reset](#reset-close-that-sends-rst-bytes-that-nobody-has-read) |
| CLOSE_WAIT goes away, or is the network's fault | [close-wait](#close-wait-the-peer-has-closed-this-program-has-not-kill--9) |
| after `kill -9` nobody sends a FIN | [close-wait](#close-wait-the-peer-has-closed-this-program-has-not-kill--9) |
| TIME_WAIT ends with the process, or begins with `close()` | [time-wait](#time-wait-a-minute-whatever-close-and-the-usual-sysctls-do) |
| `net.ipv4.tcp_fin_timeout` shortens TIME_WAIT | [time-wait](#time-wait-a-minute-whatever-close-and-the-usual-sysctls-do) |
| "Address already in use": find the process that holds the port | [reuse](#reuse-bind-address-already-in-use-and-so_reuseaddr) |
| `SO_REUSEADDR` on the new server is enough | [reuse](#reuse-bind-address-already-in-use-and-so_reuseaddr) |
| CLOSING is there in books alone | [simultaneous-close](#simultaneous-close-both-ends-close-before-either-knows-closing) |
| where nobody listens, nobody is connected | [self-connect](#self-connect-a-client-that-reaches-itself) |
PAGE

exec "${1:-./tcpshim}" demo --markdown all
