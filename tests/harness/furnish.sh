# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# furnish.sh - what a system in a folder needs beside its files: sourced.

# Itself a mount, without which unshare(1) can't make a mount namespace there. A /dev of its own:
# that of this machine would lie below what is removed.
furnish() {
	mount --bind "$1" "$1" && mount --make-private "$1" || return 1
	mount -t proc proc "$1/proc" && mount -t sysfs -o ro sysfs "$1/sys" &&
		mount -t tmpfs -o mode=755 dev "$1/dev" || return 1
	while read -r node type major minor; do
		mknod -m 666 "$1/dev/$node" "$type" "$major" "$minor" || return 1
	done <<-NODES
		null c 1 3
		zero c 1 5
		full c 1 7
		random c 1 8
		urandom c 1 9
		tty c 5 0
	NODES
	mkdir "$1/dev/net" "$1/dev/pts" "$1/dev/shm"
	mknod -m 666 "$1/dev/net/tun" c 10 200
	mount -t devpts -o newinstance,ptmxmode=666,gid=5 devpts "$1/dev/pts" &&
		mount -t tmpfs shm "$1/dev/shm" || return 1
	ln -s pts/ptmx "$1/dev/ptmx"
	for link in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
		ln -s "/proc/self/${link#*:}" "$1/dev/${link%:*}"
	done
}
