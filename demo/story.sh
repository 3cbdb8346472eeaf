#!/bin/sh
# SPDX-License-Identifier: MIT
# The whole story of libreuse.so in about 15 seconds: what goes wrong without it, what it changes,
# what it shows, and what even it cannot change. `make demo` runs this.
#
#	OUT		the folder with the built demo programs
#	DEMO_PAUSE	seconds left to the reader after each step (0: none)
#
# Everything happens on loopback, on ports that the kernel chose. Nothing here waits for time to
# pass but for the reader's sake: a step waits for the line that says that the last one is done.
# Ends with status 0 if every part showed what it should.

set -u
LC_ALL=C
export LC_ALL
# shellcheck disable=SC2046 # names hold no spaces
unset LD_PRELOAD $(env | sed -n 's/^\(TCPSHIM_[A-Z]*\)=.*/\1/p')

cd "$(dirname "$0")/.." || exit 1
client_program=${OUT:-build/cc}/demo/client
pause=${DEMO_PAUSE:-0.6}
crashes=5

for file in ./libreuse.so ./server "$client_program"; do
	[ -e "$file" ] || {
		echo "story: $file is missing: run 'make demo'" >&2
		exit 1
	}
done

tmp=$(mktemp -d "${TMPDIR:-/tmp}/demo.XXXXXX") || exit 1
server=
client=
bad=0

# End what we started and have not ended yet, by its number.
stop_programs() {
	for pid in $server $client; do
		kill -9 "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	server=
	client=
}

# Leave nothing behind: no process, no file.
clean_up() {
	trap - EXIT
	stop_programs
	rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

# --- Words -----------------------------------------------------------------------------------

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
	bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi

breathe() {
	[ "$pause" = 0 ] || sleep "$pause"
}

heading() {
	printf '\n%s%s%s\n' "$bold" "$1" "$plain"
	printf '%s\n\n' "$1" | sed 's/./-/g'
}

say() {
	printf '%s\n' "$@"
}

# What was done, and beside it what came of it.
show() {
	printf '    %-41s %s\n' "$1" "$2"
}

# What a part was to show, and whether it did.
verdict() {
	if "$1"; then
		printf '\n    => %s\n' "$2"
	else
		printf '\n    => NOT SHOWN: %s\n' "$2"
		sed 's/^/       server: /' "$tmp/server"
		sed 's/^/       /' "$tmp/client"
		bad=$((bad + 1))
	fi
	stop_programs
	breathe
}

# --- The programs ----------------------------------------------------------------------------

# Wait until a line of FILE matches, 10 seconds at most.
await() {
	left=200
	until grep -Eq "$2" "$1"; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		sleep 0.05
	done
}

# start_server PORT [NAME=value...]: true once it listens, false if it gave up.
start_server() {
	port=$1
	shift
	: >"$tmp/server"
	env "$@" ./server "$port" >>"$tmp/server" 2>&1 &
	server=$!
	# One that has told its error ends by itself.
	if ! await "$tmp/server" 'listening on port|error'; then
		kill -9 "$server"
	elif ! grep -q error "$tmp/server"; then
		return 0
	fi
	wait "$server" 2>/dev/null
	server_status=$?
	server=
	return 1
}

server_said() {
	grep -E 'listening on port|error' "$tmp/server" || echo '(nothing)'
}

# The crash: only the server that we started, by its number.
crash_server() {
	kill -9 "$server"
	wait "$server" 2>/dev/null
	server=
}

# start_client "STEP..." [NAME=value...], against the port of the last server.
start_client() {
	steps=$1
	shift
	: >"$tmp/client"
	# shellcheck disable=SC2086 # the steps are words
	env "$@" "$client_program" "$port" $steps >>"$tmp/client" 2>&1 &
	client=$!
	await "$tmp/client" 'connected from port|cannot connect' || return 1
	client_port=$(sed -n 's/.*connected from port //p' "$tmp/client")
	[ -n "$client_port" ]
}

# True if the client took all of its steps. Its own alarm keeps this short.
end_client() {
	wait "$client"
	client_status=$?
	client=
	return "$client_status"
}

# The client's pauses are numbered by how often it said that it waits.
await_pause() {
	left=200
	until [ "$(grep -c 'waiting for SIGUSR1' "$tmp/client")" -ge "$1" ]; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		sleep 0.05
	done
}

# A port that is free: the kernel chooses it for a server that nobody connects to.
free_port() {
	start_server 0 || return 1
	port=$(sed -n 's/listening on port //p' "$tmp/server")
	crash_server
}

# --- What the kernel has ---------------------------------------------------------------------

# One line a socket that has PORT at either end: state, local address, peer, time left.
kernel_table() {
	if command -v ss >/dev/null 2>&1; then
		ss -tan -o "( sport = :$1 or dport = :$1 )" | awk '
			$1 == "State" { next }
			{
				state = $1 == "ESTAB" ? "ESTABLISHED" : $1
				gsub("-", "_", state)
				left = "-"
				if (match($0, /timewait,[^,]*/))
					left = substr($0, RSTART + 9, RLENGTH - 9)
				sub(/sec$/, "s", left)
				print state, $4, $5, left
			}'
	else
		awk -v port="$1" -v ticks="$(getconf CLK_TCK)" '
			function dec(hex,    i, n) {
				for (i = 1; i <= length(hex); i++)
					n = n * 16 + index("123456789ABCDEF", toupper(substr(hex, i, 1)))
				return n + 0
			}
			function addr(hex) {
				return dec(substr(hex, 7, 2)) "." dec(substr(hex, 5, 2)) "." \
					dec(substr(hex, 3, 2)) "." dec(substr(hex, 1, 2)) ":" \
					dec(substr(hex, 10))
			}
			BEGIN {
				split("ESTABLISHED SYN_SENT SYN_RCVD FIN_WAIT_1 FIN_WAIT_2 " \
					"TIME_WAIT CLOSED CLOSE_WAIT LAST_ACK LISTEN CLOSING", names)
			}
			FNR > 1 && (dec(substr($2, 10)) == port || dec(substr($3, 10)) == port) {
				split($6, timer, ":")
				left = timer[1] == "03" ? int(dec(timer[2]) / ticks) "s" : "-"
				print names[dec($4)], addr($2), addr($3), left
			}' /proc/net/tcp
	fi
}

kernel_source() {
	if command -v ss >/dev/null 2>&1; then echo 'ss -tan -o'; else echo /proc/net/tcp; fi
}

# The dying connections that hold our port, as the kernel lists them: kept in a file, and shown.
show_leftovers() {
	kernel_table "$port" | awk -v ours=":$port\$" '
		$1 ~ /^(TIME_WAIT|FIN_WAIT_[12]|LAST_ACK|CLOSING)$/ && $2 ~ ours
		' >"$tmp/leftovers"
	awk '{ printf "    %-11s  %s -> %s   %s left\n", $1, $2, $3, $4 }' "$tmp/leftovers"
}

# The state of our client's connection at both of its ends.
both_ends() {
	kernel_table "$client_port" | awk -v client=":$client_port\$" -v server=":$port\$" '
		BEGIN { client_end = server_end = "gone" }
		$2 ~ client && $3 ~ server { client_end = $1 }
		$2 ~ server && $3 ~ client { server_end = $1 }
		END { print client_end, server_end }'
}

# Wait until both ends are in the states told (an ACK takes 40 ms); show them in any case.
await_ends() {
	left=60
	until [ "$(both_ends)" = "$1" ]; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || break
		sleep 0.05
	done
	ends=$(both_ends)
	printf '    the kernel now:  client end %-12s server end %s\n' "${ends% *}" "${ends#* }"
	[ "$ends" = "$1" ]
}

# --- The log ---------------------------------------------------------------------------------

log_mark=0
mark_log() {
	log_mark=$(wc -l <"$tmp/log")
}

# The log's lines since the mark.
log_part() {
	tail -n "+$((log_mark + 1))" "$tmp/log"
}

logged() {
	log_part | grep -Eq "$1"
}

await_log() {
	left=100
	until logged "$1"; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		sleep 0.05
	done
}

# The log's lines since the mark that match: without times, numbers of processes and addresses.
show_log() {
	log_part | awk -v wanted="$1" '
		BEGIN {
			s = "(CLOSED|LISTEN|SYN_SENT|SYN_RCVD|ESTABLISHED|FIN_WAIT_1|FIN_WAIT_2|" \
				"CLOSE_WAIT|CLOSING|LAST_ACK|TIME_WAIT)"
			widest = 36
			s = "\\(?" s "\\)?"
			states = " +" s "( -> " s ")*( \\([0-9.]+ s\\))?$"
		}
		/^[0-9]/ {
			shown = $0 ~ wanted
			if (!shown)
				next
			who = $2
			sub(/\[.*/, "", who)
			sub(/^[^ ]* [^ ]* /, "")
			state = ""
			if (match($0, states)) {
				state = substr($0, RSTART)
				$0 = substr($0, 1, RSTART - 1)
			}
			sub(/^ +/, "", state)
			sub(/ <.*/, "")
			sub(/ +$/, "")
			call[++n] = sprintf("    %-8s%s", who, $0)
			after[n] = state
			if (length(call[n]) > widest)
				widest = length(call[n])
			next
		}
		shown {
			sub(/^ +/, "")
			note($0)
		}
		# Wrapped at words, below its beginning.
		function note(text,    words, count, i, line, indent) {
			count = split(text, words, " ")
			indent = sprintf("%14s", "")
			line = indent words[1]
			for (i = 2; i <= count; i++) {
				if (length(line) + 1 + length(words[i]) > 80) {
					call[++n] = line
					line = indent "     "
				}
				line = line " " words[i]
			}
			call[++n] = line
		}
		# The states in a column, or as far left of it as they need; else below.
		function told(call, state,    room) {
			room = 80 - length(state)
			if (length(call) + 2 > room)
				return sprintf("%s\n%" room "s%s", call, "", state)
			return sprintf("%-" (widest + 2 < room ? widest + 2 : room) "s%s", call, state)
		}
		END {
			for (i = 1; i <= n; i++)
				print after[i] ? told(call[i], after[i]) : call[i]
		}'
}

# --- (a) -------------------------------------------------------------------------------------

part_a() {
	heading '(a) Without the shim: crash, restart, refused'
	say 'A plain echo server, a client that is connected, and a crash.' ''

	free_port && start_server "$port" || return 1
	show "$ ./server $port" "$(server_said)"
	start_client 'say end' || return 1
	await "$tmp/client" 'the answer came back' || return 1
	show '  a client says hello, gets its echo, and stays' "from port $client_port"
	breathe
	crash_server
	show '$ kill -9 SERVER' 'the crash'
	end_client || return 1
	breathe

	for try in 1 2 3; do
		start_server "$port" && return 1
		show "$ ./server $port" "$(server_said)"
		grep -q '^bind error: Address already in use$' "$tmp/server" || return 1
		[ "$server_status" -eq 1 ] || return 1
		[ "$try" -eq 3 ] || breathe
	done

	say '' 'No server runs any more. Who holds the port? The kernel does, for a connection' \
		"that died with the server ($(kernel_source) tells):" ''
	show_leftovers
	grep -q '^TIME_WAIT .*[0-9]s$' "$tmp/leftovers" || return 1
	say '' 'Until that time is up, each bind() to the port is refused, unless both the old' \
		'server and the new one set SO_REUSEADDR. This one never does: that is its' \
		'mistake.'
}

# --- (b) -------------------------------------------------------------------------------------

one_crash() {
	start_server "$port" LD_PRELOAD=./libreuse.so TCPSHIM_LOG="$tmp/log" || return 1
	start_client 'say end' || return 1
	await "$tmp/client" 'the answer came back' || return 1
	crash_server
	end_client
}

part_b() {
	heading "(b) With the shim: $crashes crashes in a row, none lost"
	say 'The same server, the same crash; only LD_PRELOAD is new.' ''

	free_port || return 1
	: >"$tmp/log"
	lost=0
	try=0
	while [ "$try" -lt "$crashes" ]; do
		try=$((try + 1))
		if one_crash; then
			result='listens; hello came back; kill -9'
		else
			result="LOST: $(server_said)"
			lost=$((lost + 1))
		fi
		show "$ LD_PRELOAD=./libreuse.so ./server $port" "$result"
	done
	start_server "$port" LD_PRELOAD=./libreuse.so || return 1
	show "$ LD_PRELOAD=./libreuse.so ./server $port" "$(server_said)"
	crash_server
	breathe

	say '' 'Dead connections hold the port just as before:' ''
	show_leftovers
	say '' 'but what the shim did first (TCPSHIM_LOG shows it) lets bind() pass them by:' ''
	log_mark=0
	show_log ' (setsockopt|bind|listen)[(]' | head -n 4
	[ "$lost" -eq 0 ] && [ "$(wc -l <"$tmp/leftovers")" -eq "$crashes" ] &&
		logged 'setsockopt\(.*SO_REUSEADDR'
}

# --- (c) -------------------------------------------------------------------------------------

# Begin a scene: a client that has said hello and waits; its handshake is in the log.
scene() {
	say '' "$1" ''
	start_client "say pause $2" LD_PRELOAD=./libreuse.so TCPSHIM_LOG="$tmp/log" &&
		await_pause 1
}

# Let the client go on.
go_on() {
	kill -USR1 "$client"
}

scene_handshake() {
	mark_log
	scene 'First the handshake, as both ends log it:' 'shut-rd end pause close' || return 1
	await_log 'server\[.* accept' || return 1
	show_log ' (connect|accept4?)[(]'
	logged 'client\[.* connect\(.* ESTABLISHED$' &&
		logged 'server\[.* accept4?\(.*\(SYN_RCVD\) -> ESTABLISHED$'
}

scene_shut_rd() {
	say '' '1. shutdown(SHUT_RD): "I read no more." The client tells nobody but itself.' ''
	mark_log
	go_on
	await_pause 2 || return 1
	show_log ' shutdown[(]'
	await_ends 'ESTABLISHED ESTABLISHED' || return 1
	logged 'client\[.* shutdown\(3, SHUT_RD\) = 0 .* ESTABLISHED$' || return 1
	go_on
	end_client && await_log 'server\[.* close\('
}

scene_shut_wr() {
	scene '2. shutdown(SHUT_WR): "I send no more." This IS the half-close. (The server is
   held still for a moment with kill -STOP, to see the middle of it.)' \
		'ask shut-wr pause answer end close' || return 1
	mark_log
	kill -STOP "$server"
	go_on
	await_pause 2 || return 1
	show_log ' shutdown[(]'
	await_ends 'FIN_WAIT_2 CLOSE_WAIT' || return 1
	logged 'client\[.* shutdown\(3, SHUT_WR\) = 0 .*ESTABLISHED -> FIN_WAIT_1( -> FIN_WAIT_2)?$' ||
		return 1
	breathe
	mark_log
	kill -CONT "$server"
	go_on
	end_client && await_log 'server\[.* close\(' || return 1
	say '' '   The server goes on, and the client, half closed, still gets its answer:' ''
	sed -n '/answer/s/^/    /p' "$tmp/client" | tail -n 1
	show_log ' close[(]'
	logged 'client\[.* close\(3\) = 0 .*TIME_WAIT'
}

scene_close() {
	scene '3. close(): many tutorials say that it half-closes too. The same question again:' \
		'ask close' || return 1
	mark_log
	kill -STOP "$server"
	go_on
	end_client && await_log 'client\[.* close\(' || return 1
	show_log ' close[(]'
	await_ends 'FIN_WAIT_2 CLOSE_WAIT' || return 1
	logged 'client\[.* close\(3\) = 0 .*ESTABLISHED -> FIN_WAIT_1' || return 1
	breathe
	mark_log
	kill -CONT "$server"
	await_log 'server\[.* close\(' || return 1
	say '' '   On the wire it looks the same: a FIN. But nobody reads any more at the' \
		"   client's end, so the server's answer is met with a RST, and both ends are" \
		'   gone at once:' ''
	show_log ' close[(]'
	await_ends 'gone gone'
}

scene_dup() {
	scene '4. close() of one of two descriptors (dup, fork): not even a FIN.' \
		'dup close say pause close' || return 1
	mark_log
	go_on
	await_pause 2 || return 1
	show_log ' (dup|close)[(]'
	await_ends 'ESTABLISHED ESTABLISHED' || return 1
	logged 'client\[.* close\(3\) = 0 .* ESTABLISHED$' || return 1
	sed -n '/answer/s/^/    /p' "$tmp/client" | tail -n 1
	breathe
	mark_log
	go_on
	end_client && await_log 'server\[.* close\(' || return 1
	say '' '   Only the last close() is the end of the connection:' ''
	show_log ' close[(]'
	logged 'client\[.* close\(4\) = 0 .*ESTABLISHED -> FIN_WAIT_1'
}

part_c() {
	heading '(c) What shutdown and close do, as both ends log it'
	say 'Server and client both run with TCPSHIM_LOG. At the right: the states that each' \
		'call led to, asked of the kernel, after a close too. (The real lines also say' \
		'when, which process, and which addresses.)'

	free_port || return 1
	: >"$tmp/log"
	start_server "$port" LD_PRELOAD=./libreuse.so TCPSHIM_LOG="$tmp/log" || return 1
	for name in handshake shut_rd shut_wr close dup; do
		"scene_$name" || return 1
		breathe
	done
	crash_server
}

# --- (d) -------------------------------------------------------------------------------------

part_d() {
	heading '(d) What the shim cannot do: a first run without it'
	say 'The crash comes first this time, and the shim after it.' ''

	free_port && start_server "$port" || return 1
	show "$ ./server $port" "$(server_said)"
	start_client 'say end' || return 1
	await "$tmp/client" 'the answer came back' || return 1
	crash_server
	show '$ kill -9 SERVER' 'the crash, a client connected'
	end_client || return 1
	breathe

	: >"$tmp/log"
	log_mark=0
	start_server "$port" LD_PRELOAD=./libreuse.so TCPSHIM_LOG="$tmp/log" && return 1
	show "$ LD_PRELOAD=./libreuse.so ./server $port" "$(server_said)"
	grep -q '^bind error: Address already in use$' "$tmp/server" || return 1
	say ''
	show_log ' (setsockopt|bind)[(]'
	logged 'setsockopt\(.*SO_REUSEADDR.* = 0' && logged 'bind\(.* = -1 EADDRINUSE' || return 1
	breathe

	say '' 'The shim did its work, and the bind is refused all the same. What is left of the' \
		'first run remembers that it was made WITHOUT the option, and the kernel wants' \
		'it on both sides:' ''
	show_leftovers
	[ -s "$tmp/leftovers" ] || return 1
	say '' 'So begin with the shim: a first run that it was not in must be waited out, once.'
}

# --- (e) -------------------------------------------------------------------------------------

part_e() {
	heading '(e) The flight recorder: left on, and looked at after the crash'
	say 'Instead of a log that grows: a file of fixed size that keeps the newest events.' ''

	free_port || return 1
	start_server "$port" LD_PRELOAD=./libreuse.so TCPSHIM_LOG="ring:$tmp/ring:1M" || return 1
	say "    $ LD_PRELOAD=./libreuse.so TCPSHIM_LOG=ring:FILE:1M ./server $port"
	start_client 'say end' || return 1
	await "$tmp/client" 'the answer came back' || return 1
	crash_server
	show '$ kill -9 SERVER' 'the crash, a client connected'
	end_client || return 1
	breathe

	./tcpshim dump "$tmp/ring" >"$tmp/log" || return 1
	log_mark=0
	show '$ ./tcpshim dump FILE' 'what there was, to the last call:'
	say ''
	show_log ' (socket|setsockopt|bind|listen|accept)[(]'
	logged 'bind\(.* = 0' && logged 'accept\(.*ESTABLISHED$'
}

# --- All of it -------------------------------------------------------------------------------

: >"$tmp/server"
: >"$tmp/client"
verdict part_a 'without the shim, the port is lost for a minute'
verdict part_b "with it, $crashes of $crashes restarts worked"
verdict part_c 'SHUT_RD changes nothing, SHUT_WR half-closes, close() ends both halves'
verdict part_d 'the first run must be under the shim too'
verdict part_e 'what the server did before it died can be read afterwards'

say ''
if [ "$bad" -gt 0 ]; then
	say "$bad of 5 parts did not show what they should."
	exit 1
fi
say 'All 5 parts showed what they should. The README says how to go on; and' \
	"./tcpshim demo shows TCP's states one by one, with time to look."
