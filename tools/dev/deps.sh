#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deps.sh GROUP...: install the packages of the groups that are missing. A thing is looked for by the
# file or command that is needed, which is fast, and named by its package only when it is missing.
set -eu

missing=

want_command() { # COMMAND PACKAGE
	command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}

want_file() { # PACKAGE FILE...
	package=$1
	shift
	for file; do
		# shellcheck disable=SC2086 # patterns
		set -- $file
		[ -e "$1" ] && return
	done
	missing="$missing $package"
}

# Ubuntu has bpftool in the kernel's tools.
bpftool_package=bpftool
grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null && bpftool_package="linux-tools-common linux-tools-generic"

for group; do
	case $group in
	build)
		want_command cc gcc
		want_command clang clang
		want_command bpftool "$bpftool_package"
		want_command pkg-config pkg-config
		want_file libc6-dev /usr/include/stdio.h
		want_file linux-libc-dev /usr/include/linux/bpf.h
		want_file libbpf-dev /usr/include/bpf/libbpf.h
		want_file libuv1-dev /usr/include/uv.h
		want_file libyaml-dev /usr/include/yaml.h
		want_file libjansson-dev /usr/include/jansson.h
		;;
	test)
		want_file libcmocka-dev /usr/include/cmocka.h
		want_command python3 python3
		want_command ip iproute2
		want_command curl curl
		want_command nginx nginx-light
		want_command qemu-system-x86_64 qemu-system-x86
		want_command cpio cpio
		want_command depmod kmod
		want_command busybox busybox-static
		want_file libclang-rt-dev '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a' \
			'/usr/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a'
		;;
	bench)
		want_command wrk wrk
		;;
	esac
done

[ -n "$missing" ] || exit 0
install="apt-get install -y --no-install-recommends$missing"
if [ "${DEPS:-yes}" = no ]; then
	echo "missing packages:$missing" >&2
	echo "install them with: $install" >&2
	exit 1
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || { echo "missing packages:$missing; as root: $install" >&2; exit 1; }
	sudo=sudo
fi
echo "installing:$missing"
# A daemon that comes with a package (nginx) must not be started: policy-rc.d is asked before.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
	$sudo chmod +x $policy
	trap '$sudo rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086 # a list
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
