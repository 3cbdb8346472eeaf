# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# roots.sh - fresh Debian systems, for the scripts that try things in them: sourced with their words.
#
# The script runs itself once more in a mount and pid namespace: mounts and processes end with it.
# Then $place is a folder for the systems, $tree this tree, $logs where each part leaves its log, and
# $passed and $failed count.
set -u
me=${0##*/}
cd "$(dirname "$0")/.." || exit 1
tree=$PWD
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

say() {
	echo "$me: $*" >&2
}

# The outer one makes and removes the place; what it starts ends with it.
if [ -z "${ROOTS_PLACE:-}" ]; then
	if [ "$(id -u)" != 0 ]; then
		say 'needs root, for debootstrap and mounts'
		exit 1
	fi
	ROOTS_PLACE=$(mktemp -d "${TMPDIR:-/tmp}/$me.XXXXXX") || exit 1
	export ROOTS_PLACE
	trap 'rm -rf --one-file-system "$ROOTS_PLACE"' EXIT
	trap 'kill -9 $inner; wait $inner; exit 1' HUP INT TERM
	unshare --mount --pid --fork --kill-child --mount-proc "$tree/tests/$me" "$@" &
	inner=$!
	wait $inner
	exit
fi
place=$ROOTS_PLACE

for tool in debootstrap git; do
	if ! command -v $tool >/dev/null; then
		say "no $tool (./bootstrap $me installs it)"
		exit 1
	fi
done

# shellcheck disable=SC2016 # $(SITE) is apt's
mirror=${MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' \
	'Component: main' | grep -v security | head -n 1)}
if [ -z "$mirror" ]; then
	say 'apt has no mirror of Debian here: MIRROR=URL names one'
	exit 1
fi

logs=$tree/build/$me
rm -rf "$logs"
mkdir -p "$logs"
passed=0 failed=0

# shellcheck source=tests/harness/furnish.sh
. "$tree/tests/harness/furnish.sh"

# What is mounted goes first: nothing of this machine's must lie below what is removed.
discard() {
	discard_mounts "$1"
	rm -rf --one-file-system "$1"
}

discard_mounts() {
	awk -v root="$1" '$2 == root || index($2, root "/") == 1 { print $2 }' /proc/mounts | sort -r |
		while read -r mounted; do
			umount -l "$mounted"
		done
}

inside() {
	root=$1
	shift
	env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive chroot "$root" "$@" </dev/null
}

# What the machine's administrator would have done: the network, a user who may use sudo.
settle() {
	root=$1 who=$2
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	apt-config dump | grep -i '^Acquire::.*Proxy' >"$root/etc/apt/apt.conf.d/80proxy"
	[ "$who" = root ] && return
	inside "$root" apt-get -qq update &&
		inside "$root" apt-get -qq -y --no-install-recommends install sudo &&
		inside "$root" useradd -m -s /bin/bash -G sudo "$who" &&
		echo "$who ALL=(ALL) NOPASSWD: ALL" >"$root/etc/sudoers.d/$who"
}

# part NAME COMMAND…: one line, and its log.
part() {
	name=$1
	shift
	begun=$(date +%s)
	if "$@" >"$logs/$name.log" 2>&1 </dev/null; then
		verdict=ok
		passed=$((passed + 1))
	else
		verdict=FAILED
		failed=$((failed + 1))
	fi
	printf '%-24s %-7s %5s s  %s\n' "$name" $verdict $(($(date +%s) - begun)) \
		"$(tail -n 1 "$logs/$name.log")"
	[ $verdict = ok ]
}

# A system, or a copy of the one that is ready in $SYSTEMS.
make_system() {
	if [ -d "${SYSTEMS:-/none}/$1" ]; then
		cp -a "$SYSTEMS/$1" "$place/$1"
	else
		debootstrap --variant=minbase "$1" "$place/$1" "$mirror"
	fi
}
