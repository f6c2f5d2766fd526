#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh RESULTS MAKE...: run every suite, go on when one fails, and end with one line of counts.
set -u
results=$1
shift
rm -rf "$results"
mkdir -p "$results"

# Everything is built before the first suite: an error in it is no test result.
jobs=-j$(nproc)
case ${MAKEFLAGS:-} in *jobserver*) jobs= ;; esac
"$@" --no-print-directory $jobs tests || exit

for suite in lint unit crds prog e2e test-kernels; do
	echo "== $suite"
	"$@" --no-print-directory "$suite"
	status=$?
	# A suite that broke down before it wrote a failure is one.
	if [ $status -ne 0 ] && ! grep -qs '^fail' "$results/$suite"; then
		printf 'fail\t%s\t(all)\tended with status %s\n' "$suite" $status >>"$results/$suite"
	elif [ ! -s "$results/$suite" ]; then
		printf 'fail\t%s\t(all)\tran nothing\n' "$suite" >>"$results/$suite"
	fi
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
