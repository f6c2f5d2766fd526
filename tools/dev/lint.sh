#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lint.sh [RESULTS]: rules about the sources that no compiler checks. A line for each breach, as
# file:line: what; with RESULTS, the outcome of each rule in RESULTS/lint.
set -uo pipefail
shopt -s lastpipe
cd "$(dirname "$0")/../.." || exit
results=${1:-}
failed=0

mapfile -t files < <(git ls-files --cached --others --exclude-standard 2>/dev/null | while read -r file; do
	[ -f "$file" ] && [ ! -L "$file" ] && echo "$file"
done)
[ ${#files[@]} -gt 0 ] || mapfile -t files < <(find . -type f -not -path './.git/*' -not -path './build/*' -printf '%P\n')
mapfile -t text < <(grep -Il '' -- "${files[@]}")

matching() { # PATTERN: text files with such a path
	printf '%s\n' "${text[@]}" | grep -E "$1"
}

rule() { # NAME: standard input holds a line for each breach
	local breaches verdict=pass
	breaches=$(cat)
	if [ -n "$breaches" ]; then
		verdict=fail
		failed=1
		printf '%s\n' "$breaches"
	fi
	printf '%-5s lint/%s\n' "${verdict/pass/ok}" "$1"
	[ -z "$results" ] || printf '%s\tlint\t%s\t%s\n' $verdict "$1" "$(head -1 <<<"$breaches" | tr '\t' ' ')" \
		>>"$results/lint"
}

# The project's files that each C file includes, as "file:line: included", by their path from the top.
includes() {
	local sources
	mapfile -t sources < <(matching '\.[ch]$')
	awk -v known="$(printf '%s\n' "${text[@]}")" '
	function normal(path) {
		while (sub(/[^\/]+\/\.\.\//, "", path)) {}
		return path
	}
	BEGIN { n = split(known, list, "\n"); for (i = 1; i <= n; i++) is[list[i]] = 1 }
	match($0, /^[ \t]*#[ \t]*include[ \t]*[<"][^>"]+/) {
		name = substr($0, RSTART, RLENGTH)
		sub(/.*[<"]/, "", name)
		directory = FILENAME
		sub(/[^\/]*$/, "", directory)
		if (normal(directory name) in is) path = normal(directory name)
		else if (name in is) path = name
		else if (("include/" name) in is) path = "include/" name
		else path = "<" name ">"
		print FILENAME ":" FNR ": " path
	}' "${sources[@]}"
}

# Who may include whom; what is not the project's own is named in <>. First the file, then what it may
# include, then what it may not, all as patterns; the first line that fits a file counts.
layers='
^include/                       ^(include/|<linux/types\.h>)                                    -
^bpf/lib/                       ^(include/|bpf/lib/|bpf/maps\.h|<linux/|<bpf/bpf_)               -
^bpf/                           ^(include/|bpf/|<linux/|<bpf/bpf_)                              -
^agent/base/                    ^(agent/base/|<)                                                <(bpf|uv|yaml|jansson|kmesh_rl)
^agent/policy/check\.c          ^(agent/(base|policy)/|bpf/lib/(tiers|identity)\.h|include/|<)                 <(bpf/|uv\.h|sys/|fcntl\.h|unistd\.h|dirent\.h|kmesh_rl)
^agent/policy/                  ^(agent/(base|policy)/|bpf/lib/path\.h|include/|<)                            <(bpf/|uv\.h|sys/|fcntl\.h|unistd\.h|dirent\.h|kmesh_rl)
^agent/loop/                    ^(agent/loop/|<)                                                <(bpf/|yaml|jansson|kmesh_rl)
^agent/k8s/                     ^(agent/(base|loop|k8s)/|agent/policy/(yaml_node|yaml_stream|diag)\.h|<)  <(bpf/|kmesh_rl)
^agent/source/                  ^(agent/(base|loop|k8s|policy|source)/|include/|<)                  <(bpf/|curl|kmesh_rl)
^agent/redis/                   ^(agent/(base|loop|redis)/|include/|<)                           <(bpf/|yaml|jansson|kmesh_rl)
^agent/cluster/                 ^(agent/(base|loop|redis|cluster)/|agent/datapath/(datapath|lease)\.h|include/|<) <(bpf/|hiredis|kmesh_rl)
^agent/datapath/                .                                                               agent/(source|control)/
^agent/metrics/                 ^(agent/(base|loop|metrics)/|agent/policy/explain\.h|agent/cluster/seen\.h|agent/datapath/(stats|used|tally|spent)\.h|include/|<) <(bpf/)
^agent/control/                 ^(agent/(base|loop|policy|control)/|agent/cluster/seen\.h|agent/datapath/(stats|reports)\.h|include/|<) <(bpf/|kmesh_rl)
^agent/(main|options)\.         .                                                               -
^tools/                         ^(include/|agent/(base|policy|source|control)/|agent/datapath/(stats|live|buckets|used|values|inspect|reset|tally)\.h|tools/|<) <(bpf/|kmesh_rl)
^test/                          .                                                               -
'

layer_breaches() {
	includes | awk -v layers="$layers" '
	BEGIN {
		n = split(layers, line, "\n")
		for (i = 1; i <= n; i++)
			if (split(line[i], field, /[ \t]+/) == 3) {
				who[++rules] = field[1]; may[rules] = field[2]; not[rules] = field[3]
			}
	}
	{
		file = $1; sub(/:.*/, "", file)
		for (i = 1; i <= rules && file !~ who[i]; i++) {}
		if (i > rules) print $1 " a C file outside the layers"
		else if ($2 !~ may[i] || (not[i] != "-" && $2 ~ not[i])) print $1 " may not include " $2
	}'
}

# Calls of functions that read, write or ask for the time, of headers that policy may include.
io_breaches() {
	local sources
	mapfile -t sources < <(matching '^agent/policy/.*\.[ch]$')
	awk '
	BEGIN {
		n = split("printf fprintf vprintf vfprintf puts putchar perror fopen remove rename time clock " \
			  "clock_gettime gettimeofday getenv system", list, " ")
		for (i = 1; i <= n; i++) io[list[i]] = 1
	}
	{
		line = $0
		while (match(line, /[A-Za-z_>.][A-Za-z0-9_]*\(/)) {
			name = substr(line, RSTART, RLENGTH - 1)
			if (name in io || name ~ /^krl_log_/) print FILENAME ":" FNR ": policy does no I/O: " name "()"
			line = substr(line, RSTART + RLENGTH)
		}
	}' "${sources[@]}"
}

# A static test function that its file never names again runs nowhere.
unregistered() {
	local sources
	mapfile -t sources < <(matching '^test/(unit|prog)/test_.*\.c$')
	awk '
	FNR == 1 { flush() }
	match($0, /^static void [a-z0-9_]+\(void \*\*/) {
		name = $3; sub(/\(.*/, "", name); at[name] = FILENAME ":" FNR; next
	}
	{
		line = $0
		while (match(line, /[A-Za-z_][A-Za-z0-9_]*/)) {
			used[substr(line, RSTART, RLENGTH)] = 1
			line = substr(line, RSTART + RLENGTH)
		}
	}
	function flush(   name) {
		for (name in at) if (!(name in used)) print at[name] ": " name " is in no table"
		delete at; delete used
	}
	END { flush() }' "${sources[@]}"
}

# What the agent tells, and what the document says that it does.
metric_breaches() {
	local told=agent/metrics/families.h said=docs/metrics.md
	comm -3 <(sed -n 's/^\tX([A-Z_]*, [A-Z]*, "[a-z]*", "\([a-z_]*\)".*/\1/p' $told | sort) \
		<(sed -n 's/^| `\([a-z_]*\)` | \(counter\|gauge\|histogram\|info\) .*/\1/p' $said | sort) |
		awk -F'\t' -v told=$told -v said=$said '{ print $2 ? said ": " $2 " is not in " told : told ": " $1 " is not in " said }'
}

first_lines() { # files whose first line, or second after #!, names no licence
	local sources
	mapfile -t sources < <(matching '\.([ch]|py|sh|mk|mjs|ya?ml)$|(^|/)(Makefile|init|run)$')
	awk '
	FNR == 1 { script = /^#!/ }
	FNR == 1 + script {
		if (!/SPDX-License-Identifier: (Apache-2\.0|GPL-2\.0-only OR BSD-2-Clause)( \*\/)?$/)
			print FILENAME ":" FNR ": no SPDX-License-Identifier of this project"
		nextfile
	}' "${sources[@]}"
}

blanks_at_the_end() {
	local sources
	mapfile -t sources < <(matching '\.([ch]|py|sh|mk|mjs)$|^Makefile$')
	grep -nE '[[:blank:]]+$' -- "${sources[@]}" | cut -c1-120
}

[ -z "$results" ] || { mkdir -p "$results" && : >"$results/lint"; }

layer_breaches | rule layers
io_breaches | rule policy-does-no-io
first_lines | rule licences
# A resource has one definition.
wc -l -- "${text[@]}" | awk '$2 != "total" && $2 !~ /^crds\// && $1 > 500 { print $2 ": " $1 " lines, more than 500" }' | rule sizes
# The words are put together here, so that this file does not hold them.
grep -nwE "TO""DO|FIX""ME|X""XX|HA""CK" -- "${text[@]}" | cut -c1-120 | rule words
grep -nF -- "$PWD/" "${text[@]}" | cut -c1-120 | rule checkout-path
blanks_at_the_end | rule trailing-blanks
metric_breaches | rule metrics-in-docs
unregistered | rule tests-in-tables
exit $failed
