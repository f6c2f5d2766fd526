#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh BUILD: a server, the agent with a limit of 10/minute on it, 15 requests. Needs root. Everything
# is in a directory of its own, a BPF file system too, and gone at the end, however that comes.
set -eu
build=$1
here=$(dirname "$0")
tries=200 # of 50 ms

if [ "$(id -u)" -ne 0 ]; then
	echo "the demo loads BPF programs: run it as root" >&2
	exit 1
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/kmesh-rl-demo.XXXXXX")
bpffs=$dir/bpf/kmesh-rl
agent=
server=

stop() { # PID
	kill "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

cleanup() {
	trap '' INT TERM HUP
	[ -z "$agent" ] || stop "$agent"
	[ ! -d "$bpffs" ] || "$build/kmesh-rl-agent" --detach --bpffs "$bpffs" || true
	[ -z "$server" ] || stop "$server"
	umount "$dir/bpf" 2>/dev/null || true
	rm -rf --one-file-system "$dir"
}
trap cleanup EXIT
# A signal that is not trapped ends the shell without its EXIT trap. With this one ignored, a reader that
# went away makes the next write fail, which set -e ends in order.
trap '' PIPE
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
	echo "demo: $1" >&2
	[ ! -s "$dir/agent.log" ] || cat "$dir/agent.log" >&2
	exit 1
}

# Calls "$@" until it succeeds, or the process PID is gone, or it was tried often enough.
wait_for() { # PID WHAT COMMAND...
	pid=$1 what=$2 try=0
	shift 2
	until "$@"; do
		try=$((try + 1))
		kill -0 "$pid" 2>/dev/null || fail "$what: the process is gone"
		[ $try -lt $tries ] || fail "$what: waited in vain"
		sleep 0.05
	done
}

tool() {
	"$build/kmesh-rl" --bpffs "$bpffs" --control-socket "$dir/agent.sock" "$@"
}

enforced() {
	tool get ratelimit-stats hello -n demo >/dev/null 2>&1
}

mkdir "$dir/bpf" "$dir/config"
mount -t bpf bpf "$dir/bpf"

/usr/bin/python3 "$here/demo_server.py" >"$dir/port" &
server=$!
wait_for $server "starting the server" test -s "$dir/port"
port=$(cat "$dir/port")

cat >"$dir/config/hello.yaml" <<EOF
apiVersion: kmesh.net/v1alpha1
kind: RateLimit
metadata: {name: hello, namespace: demo}
spec:
  endpoints: [{ip: 127.0.0.1, port: $port}]
  rules:
    - {name: everyone, limit: 10/minute}
EOF
cat "$dir/config/hello.yaml"

"$build/kmesh-rl-agent" --source "dir:$dir/config" --bpffs "$bpffs" --control-socket "$dir/agent.sock" \
	--metrics off --log-level warn >"$dir/agent.log" 2>&1 &
agent=$!
wait_for $agent "starting the agent" enforced

printf '\n15 requests to http://127.0.0.1:%s/\n' "$port"
number=1 passed=0 limited=0 partial=
head='^(Content-(Type|Length)|Retry-After|X-RateLimit-(Limit|Remaining|Reset)):'
while [ $number -le 15 ]; do
	status=$(curl --silent --show-error --noproxy '*' --max-time 10 --include --output "$dir/answer" \
		--write-out '%{http_code}' "http://127.0.0.1:$port/") || fail "request $number got no answer"
	printf '%3d  %s\n' $number "$status"
	case $status in
	200) passed=$((passed + 1)) ;;
	429)
		limited=$((limited + 1))
		mv "$dir/answer" "$dir/limited"
		[ "$(grep -cE "$head" "$dir/limited")" -eq 6 ] || partial="$partial $number"
		;;
	esac
	number=$((number + 1))
done
[ $passed/$limited = 10/5 ] || fail "$passed times 200 and $limited times 429, not 10 and 5"
kill -0 $agent 2>/dev/null || fail "the agent is gone"
[ -z "$partial" ] || fail "a 429 without its whole head (X-RateLimit-Limit), request$partial"

printf '\nThe last 429, as the kernel sent it\n'
cat "$dir/limited"
printf '\n\n$ kmesh-rl get ratelimit-stats -A\n'
tool get ratelimit-stats -A >"$dir/stats"
cat "$dir/stats"
grep -q '^hello .* 15  *5$' "$dir/stats" || fail "the statistics do not say 15 and 5"
