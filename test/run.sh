#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh RESULTS MAKE...: run every suite, go on when one fails, and end with one line of counts.
set -u
results=$1
shift
rm -rf "$results"
mkdir -p "$results"
suite=

# make hands a SIGTERM on to what it started; a SIGINT does not reach what runs in the background.
ending() {
	trap '' INT TERM HUP
	if [ -n "$suite" ]; then
		kill -TERM "$suite" 2>/dev/null
		wait "$suite"
	fi
	exit "$1"
}
trap 'ending 130' INT
trap 'ending 143' TERM
trap 'ending 129' HUP

ended() { # NAME STATUS: a suite that broke down before it wrote a failure is one
	if [ "$2" -ne 0 ] && ! grep -qs '^fail' "$results/$1"; then
		printf 'fail\t%s\t(all)\tended with status %s\n' "$1" "$2" >>"$results/$1"
	elif [ ! -s "$results/$1" ]; then
		printf 'fail\t%s\t(all)\tran nothing\n' "$1" >>"$results/$1"
	fi
}

# Everything is built before the first suite: an error in it is no test result.
jobs=-j$(nproc)
case ${MAKEFLAGS:-} in *jobserver*) jobs= ;; esac
"$@" --no-print-directory $jobs tests || exit

for name in lint docs-check unit model crds deploy-check prog e2e test-kernels; do
	echo "== $name"
	"$@" --no-print-directory $name <&0 &
	suite=$!
	wait $suite
	ended $name $?
	suite=
done
echo "== summary"
awk -F'\t' '
	{ n[$1]++ }
	$1 == "fail" { print "FAIL " $2 "/" $3 ": " $4 }
	$1 == "skip" { print "skip " $2 "/" $3 ": " $4 }
	END {
		printf "%d passed, %d failed, %d skipped\n", n["pass"], n["fail"], n["skip"]
		exit !(n["pass"] > 0 && n["fail"] == 0)
	}' "$results"/*
