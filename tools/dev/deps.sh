#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deps.sh GROUP...: install the Debian or Ubuntu packages of the groups that are missing. A thing is
# looked for by the file or command that is needed, which is fast, and named by its package only when
# it is missing. DEPS=no: say what is missing, and fail.
set -eu
here=$(dirname "$0")
missing=

want_command() { # COMMAND PACKAGE
	command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}

want_file() { # PACKAGE PATTERN...: one of them
	package=$1
	shift
	for file in "$@"; do
		# shellcheck disable=SC2086 # a pattern
		set -- $file
		[ ! -e "$1" ] || return 0
	done
	missing="$missing $package"
}

has_candidate() { # PACKAGE
	LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'
}

# A package of its own in Debian, part of the kernel's tools in Ubuntu 24.04.
want_bpftool() {
	"$here/bpftool.sh" version >/dev/null 2>&1 && return
	if grep -q '^ID=ubuntu' /etc/os-release && ! has_candidate bpftool; then
		missing="$missing linux-tools-common linux-tools-generic"
	else
		missing="$missing bpftool"
	fi
}

want() { # GROUP
	case $1 in
	build)
		want_command cc gcc
		want_command clang clang
		want_command pkg-config pkg-config
		want_file libc6-dev /usr/include/stdio.h
		want_file linux-libc-dev /usr/include/linux/bpf.h
		want_file libbpf-dev /usr/include/bpf/libbpf.h
		want_file libelf-dev /usr/include/libelf.h
		want_file zlib1g-dev /usr/include/zlib.h
		want_file libuv1-dev /usr/include/uv.h
		want_file libyaml-dev /usr/include/yaml.h
		want_file libjansson-dev /usr/include/jansson.h
		want_file libcurl4-openssl-dev '/usr/include/*/curl/curl.h' /usr/include/curl/curl.h
		want_file libmicrohttpd-dev /usr/include/microhttpd.h
		want_file libhiredis-dev /usr/include/hiredis/hiredis.h
		want_file libmnl-dev /usr/include/libmnl/libmnl.h
		want_file tzdata /usr/share/zoneinfo/Europe/Berlin
		want_bpftool
		;;
	demo)
		want_file python3 /usr/bin/python3
		want_command curl curl
		;;
	test)
		want demo
		want_file libcmocka-dev /usr/include/cmocka.h
		want_command nginx nginx-light
		want_command node nodejs
		want_command ip iproute2
		want_command nft nftables
		want_command qemu-system-x86_64 qemu-system-x86
		want_command cpio cpio
		want_command depmod kmod
		want_command busybox busybox-static
		want_command npm npm
		want_file ca-certificates /etc/ssl/certs/ca-certificates.crt
		want_command nghttp nghttp2-client
		want_command nghttpd nghttp2-server
		want_command nghttpx nghttp2-proxy
		want_command openssl openssl
		want_file libfaketime '/usr/lib/*/faketime/libfaketime.so.1'
		want_command prometheus prometheus
		want_command redis-server redis-server
		want_file python3-prometheus-client /usr/lib/python3/dist-packages/prometheus_client/__init__.py
		want_command tmux tmux
		want_command zsh zsh
		want_command fish fish
		want_command man man-db
		want_command groff groff-base
		want_file python3-yaml /usr/lib/python3/dist-packages/yaml/__init__.py
		want_file python3-grpcio '/usr/lib/python3/dist-packages/grpc/__init__.py'
		;;
	fuzz)
		want_file libclang-rt-dev '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a'
		;;
	bench)
		want_file python3 /usr/bin/python3
		want_command nginx nginx-light
		want_command wrk wrk
		want_command nft nftables
		want_file libcmocka-dev /usr/include/cmocka.h
		want_file python3-uvicorn /usr/lib/python3/dist-packages/uvicorn/__init__.py
		want_file python3-starlette /usr/lib/python3/dist-packages/starlette/__init__.py
		want_file python3-uvloop /usr/lib/python3/dist-packages/uvloop/__init__.py
		want_file python3-httptools /usr/lib/python3/dist-packages/httptools/__init__.py
		;;
	*)
		echo "no group $1" >&2
		exit 2
		;;
	esac
}

for group in "$@"; do
	want "$group"
done
[ -n "$missing" ] || exit 0

sudo=
[ "$(id -u)" -eq 0 ] || sudo="sudo "
install="${sudo}apt-get install -y --no-install-recommends$missing"
if [ "${DEPS:-yes}" = no ] || ! command -v apt-get >/dev/null 2>&1 ||
	{ [ -n "$sudo" ] && ! command -v sudo >/dev/null 2>&1; }; then
	echo "missing packages:$missing" >&2
	echo "install them with: $install" >&2
	exit 1
fi
echo "installing:$missing"

# nginx, prometheus and redis-server come with a service that starts at once and on every boot. They are wanted as programs
# only: the first is refused by policy-rc.d, which package scripts ask, the second is undone afterwards.
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
wrote_policy=
cleanup() {
	[ -z "$wrote_policy" ] || ${sudo}rm -f $policy
	rm -f "$log"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
services=
for service in nginx prometheus redis-server; do
	case $missing in *" $service"*) services="$services $service" ;; esac
done
if [ -n "$services" ] && [ ! -e $policy ]; then
	wrote_policy=yes
	printf '#!/bin/sh\ncase $1 in nginx | prometheus | redis-server) exit 101 ;; esac\n' | ${sudo}tee $policy >/dev/null
	${sudo}chmod 755 $policy
fi

apt() {
	${sudo}env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" \
		</dev/null >"$log" 2>&1
}

# The package lists may be missing, or so old that they name files that are gone.
# shellcheck disable=SC2086 # a list
apt install -y --no-install-recommends $missing ||
	{ apt update && apt install -y --no-install-recommends $missing; } || {
	cat "$log" >&2
	echo "this failed: $install" >&2
	exit 1
}

for service in $services; do
	${sudo}systemctl disable $service >/dev/null 2>&1 || ${sudo}update-rc.d $service disable >/dev/null 2>&1 || true
done
