#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# man.sh PROGRAM: the man page of PROGRAM, kmesh-rl or kmesh-rl-agent, on standard output, made of what it says with --help:
# the one source of both. Only what no help text says is here.
set -eu
program=$1
name=${program##*/}
version=$("$program" --version)

# Text as troff takes it: no line that begins as a request does, and every hyphen one that can be copied.
escaped='
function text(s) {
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	if (s ~ /^[.'\'']/) s = "\\&" s
	return s
}'

head_of() { # SECTION TITLE
	printf '.\\" Made by tools/dev/man.sh from the help text.\n'
	printf '.TH %s %s "" "%s" "%s"\n' "$(echo "$name" | tr a-z- A-Z- | sed 's/-/\\-/g')" "$1" \
		"$(echo "$version" | sed 's/-/\\-/g')" "kmesh\\-rl"
	printf '.SH NAME\n%s \\- %s\n' "$(echo "$name" | sed 's/-/\\-/g')" "$2"
}

# "  -o, --output FORMAT   what it does" and the lines that go on with it, as a tagged list; other lines as text.
options() {
	awk "$escaped"'
	match($0, /^  ( *-|-)[^ ].*/) {
		line = substr($0, 3)
		sub(/^ +/, "", line)
		cut = match(line, /  +/)
		tag = cut ? substr(line, 1, RSTART - 1) : line
		rest = cut ? substr(line, RSTART + RLENGTH) : ""
		if (!cut && match(line, /^(-., )?--[a-z-]+( [^ a-z][^ ]*)? /)) {
			tag = substr(line, 1, RLENGTH - 1)
			rest = substr(line, RLENGTH + 1)
		}
		print ".TP\n.B " text(tag) "\n" text(rest)
	}'
}

usage() { # the lines of "Usage:", each on its own
	awk "$escaped"'
	/^Usage: / { inside = 1; sub(/^Usage: /, "") }
	/^$/ { inside = 0 }
	inside { sub(/^ +/, ""); print (count++ ? ".br\n" : "") text($0) }'
}

paragraphs() { # what comes after the usage, up to the first list
	awk "$escaped"'
	/^$/ { seen++; next }
	seen == 1 && !/^ / && !/^Usage/ { print text($0) }
	seen > 1 { exit }'
}

commands() {
	"$program" help | awk '/^  [a-z]/ { print $1 }'
}

command_section() { # COMMAND
	help=$("$program" help "$1")
	printf '.SS %s\n' "$(echo "$1" | sed 's/-/\\-/g')"
	printf '%s\n' "$help" | usage
	printf '.PP\n'
	printf '%s\n' "$help" | paragraphs
	printf '%s\n' "$help" | awk '/^Flags:/ { inside = 1; next } /^$/ { inside = 0 } inside' | options
}

tool_page() {
	head_of 1 'look after the rate limits that kmesh\-rl\-agent keeps in the kernel'
	printf '.SH SYNOPSIS\n.B kmesh\\-rl\n.I COMMAND\n.RI [ FLAG ]...\n.SH DESCRIPTION\n'
	"$program" help | paragraphs
	printf '%s\n' 'Results go to standard output, messages to standard error. Flags may stand before or after the name' \
		'of a command.' '.SH COMMANDS'
	for command in $(commands); do
		command_section "$command"
	done
	printf '.SH FLAGS OF EVERY COMMAND\n'
	"$program" help | awk '/^Flags of every command:/ { inside = 1; next } /^$/ { inside = 0 } inside' | options
	printf '.SH FLAGS WITHOUT A COMMAND\n'
	"$program" help | awk '/^Flags without a command:/ { inside = 1; next } /^$/ { inside = 0 } inside' | options
	printf '%s\n' '.SH ENVIRONMENT' '.TP' '.B NO_COLOR' 'Set to anything, there are no colours. Without it they are on' \
		'terminals alone.'
}

agent_page() {
	head_of 8 'keep rate limits in the kernel as RateLimits say'
	printf '.SH SYNOPSIS\n'
	"$program" --help | usage
	printf '.SH DESCRIPTION\n'
	"$program" --help | paragraphs
	printf '.SH OPTIONS\n'
	"$program" --help | options
}

tail_of() { # SEE-ALSO
	printf '%s\n' '.SH FILES' '.TP' '.I /sys/fs/bpf/kmesh\-rl' 'Maps, programs and links, pinned.' '.TP' \
		'.I /run/kmesh\-rl/agent.sock' 'The control socket of the agent.' '.SH EXIT STATUS' \
		'0 good, 1 failed, 2 usage.' '.SH SEE ALSO' "$1"
}

case $name in
kmesh-rl)
	tool_page
	tail_of '.BR kmesh\-rl\-agent (8)'
	;;
kmesh-rl-agent)
	agent_page
	tail_of '.BR kmesh\-rl (1)'
	;;
*)
	echo "man.sh: no man page of $name" >&2
	exit 2
	;;
esac
