#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# image-root.sh BUILD ROOT: lay out the root of the container image in ROOT, which is made: the two programs of BUILD, the
# libraries that they are linked to, CA certificates and time zones. There is no shell in it, and no package manager.
set -eu
build=$1
root=$2
certificates=/etc/ssl/certs/ca-certificates.crt
zones=/usr/share/zoneinfo

fail() {
	echo "image-root.sh: $1" >&2
	exit 1
}

put() { # FILE: where it is on this machine; what a link refers to
	mkdir -p "$root$(dirname "$1")"
	cp -L --preserve=mode "$1" "$root$1"
}

[ ! -e "$root" ] || fail "$root is there already"
[ -r $certificates ] || fail "$certificates is missing: install ca-certificates"
[ -d $zones ] || fail "$zones is missing: install tzdata"

# Where the DaemonSet mounts; the root itself is read-only then.
mkdir -p "$root/usr/bin" "$root/usr/share" "$root/run/kmesh-rl" "$root/host/cgroup"
for program in kmesh-rl-agent kmesh-rl; do
	strip --strip-debug -o "$root/usr/bin/$program" "$build/$program"
	linked=$(ldd "$build/$program")
	case $linked in *'not found'*) fail "$program: $linked" ;; esac
	for library in $(printf '%s\n' "$linked" | sed -n 's/.*[[:space:]]\(\/[^ ]*\) (0x[0-9a-f]*)$/\1/p'); do
		put "$library"
	done
done
put $certificates
cp -R $zones "$root$zones"
# The same once more, without and with leap seconds.
rm -rf "$root$zones/posix" "$root$zones/right"
