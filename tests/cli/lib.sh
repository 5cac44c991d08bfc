# SPDX-License-Identifier: LGPL-2.1-or-later
# For the stories beside it: each runs the built command as a user would and says what it expects to see.
#
#	story "an unknown command gets one line"
#	vpmu recrod
#	status 2
#	err "unknown command 'recrod'"
#
# The command's output is in $out, what it said in $err, its exit status in $got. The first surprise of a story is printed with
# both and counted; the script ends with `finish`.

VPMU=${VPMU:?set VPMU to the command under test}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset NO_COLOR
stories=0 failures=0 current= told=

skip() {
	echo "SKIP: $*"
	exit 77
}

story() {
	current=$1 told=
	stories=$((stories + 1))
}

surprise() {
	if [ -z "$told" ]; then
		failures=$((failures + 1))
		told=1
		printf 'not ok: %s\n' "$current"
	fi
	printf '  %s\n  command: vpmu %s\n  status: %s\n  out: %s\n  err: %s\n' "$1" "$ran" "$got" "${out:0:2000}" "${err:0:2000}"
}

vpmu() {
	ran="$*"
	"$VPMU" "$@" >"$work/.out" 2>"$work/.err" </dev/null
	got=$?
	out=$(tr -d '\0' <"$work/.out")
	err=$(tr -d '\0' <"$work/.err")
}

status() { [ "$got" = "$1" ] || surprise "expected status $1"; }
out() { [[ $out == *"$1"* ]] || surprise "expected in its output: $1"; }
err() { [[ $err == *"$1"* ]] || surprise "expected it to say: $1"; }
not_err() { [[ $err != *"$1"* ]] || surprise "expected it not to say: $1"; }
no_out() { [ -z "$out" ] || surprise "expected no output"; }
no_err() { [ -z "$err" ] || surprise "expected it to say nothing"; }
# A failure is one line, whatever was wrong.
one_line() { [ -n "$err" ] && [[ $err != *$'\n'* ]] || surprise "expected it to say one line"; }
# check DESCRIPTION COMMAND...: any other expectation.
check() {
	local what=$1
	shift
	"$@" || surprise "expected: $what"
}
json() { python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$work/.out" 2>/dev/null || surprise "expected valid JSON"; }

# Waits until a command succeeds, half a minute at most.
until_true() {
	local i
	for i in $(seq 600); do
		"$@" && return
		sleep 0.05
	done
	return 1
}

finish() {
	[ "$stories" -gt 0 ] || failures=1
	echo "$((stories - failures)) of $stories stories as told"
	[ "$failures" -eq 0 ]
	exit
}
