#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bpftool.sh ARGUMENT...: the first bpftool that works. Ubuntu's own refuses to run on a kernel whose
# tools package is not installed (a container, a kernel of another vendor); any version's will do here.
set -u
for candidate in bpftool /usr/sbin/bpftool /usr/lib/linux-tools/*/bpftool; do
	"$candidate" version >/dev/null 2>&1 && exec "$candidate" "$@"
done
echo "bpftool is not installed" >&2
exit 127
