#!/bin/sh
# SPDX-License-Identifier: MIT
# The picture docs/states.svg on standard output: RFC 9293's diagram, with the ways that the
# connections of one run took. Five clients that close, then three crashes, each with a client
# connected and a restart at once, then a half-close. `make tutorial` runs this.
#
#	picture.sh [TCPSHIM]	the tool to run; ./tcpshim unless told
#	OUT			the folder with the built demo programs
#
# Ends with status 0 if every restart worked.

set -u
tool=${1:-./tcpshim}
out=${OUT:-build/cc}/demo
tmp=$(mktemp -d "${TMPDIR:-/tmp}/picture.XXXXXX") || exit 1
server=
trap 'kill -9 $server 2>/dev/null; rm -rf "$tmp"' EXIT

# Becomes the program: in a subshell, which then is its process.
under() {
	exec "$tool" run --log="ring:$tmp/ring" "$@"
}

# Wait until a line of FILE matches, 10 seconds at most.
await() {
	left=200
	until grep -qs "$2" "$1"; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || exit 1
		sleep 0.05
	done
}

# On the port that the last one had; the first on one that the kernel chooses for a server that
# nobody connects to.
start() {
	: >"$tmp/server"
	under "$out/server" "$1" >"$tmp/server" 2>&1 &
	server=$!
	await "$tmp/server" 'listening on port'
}

"$out/server" 0 >"$tmp/free" 2>&1 &
server=$!
await "$tmp/free" 'listening on port'
kill "$server"
wait "$server" 2>/dev/null
port=$(sed -n 's/.*listening on port //p' "$tmp/free")

start "$port"
for _ in 1 2 3 4 5; do
	(under "$out/client" "$port" say close >"$tmp/client") || exit 1
done
for _ in 1 2 3; do
	: >"$tmp/client"
	under "$out/client" "$port" say end >"$tmp/client" &
	client=$!
	await "$tmp/client" 'answer came back'
	kill -9 "$server"
	wait "$server" "$client" 2>/dev/null
	start "$port"
done
(under "$out/client" "$port" say shut-wr end >"$tmp/client") || exit 1
"$tool" report --diagram=- "$tmp/ring"
