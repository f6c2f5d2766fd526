#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh MAKE RESULTS: run every suite, go on when one fails, and end with one line of counts.
set -u
make=$1 results=$2
rm -rf "$results"
mkdir -p "$results"
# One build for all suites first: an error in it is no test result.
$make all || exit 1

broken=0
for suite in lint unit prog e2e test-kernels; do
	echo "== $suite"
	$make --no-print-directory "$suite"
	status=$?
	# A suite that broke down without writing a failure is one.
	if [ $status -ne 0 ] && ! cat "$results/$suite"* 2>/dev/null | grep -q '^fail'; then
		printf 'fail\t%s\t%s\tended with status %s\n' "$suite" "$suite" $status >>"$results/$suite-broken"
		broken=1
	fi
done

cat "$results"/* | awk -F'\t' '
	{ n[$1]++ }
	$1 == "fail" { print "FAIL " $2 "/" $3 ": " $4 }
	$1 == "skip" { print "skip " $2 "/" $3 ": " $4 }
	END {
		printf "%d passed, %d failed, %d skipped\n", n["pass"], n["fail"], n["skip"]
		exit !(n["pass"] > 0 && n["fail"] == 0)
	}' || exit 1
exit $broken
