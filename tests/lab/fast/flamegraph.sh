#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Flame graphs of a guest that is known, as a browser shows them: known-guest.py has the criteria.
# usage: flamegraph.sh SOURCE_ROOT
here=$(dirname "$(realpath "$0")")
. "$here/../lab.sh"

need_kvm
need_command chromium
need_command chromedriver
start_guest vmm callers 1
# The guest is called by its pid, which it keeps: the recordings are of one guest.
for n in 1 2; do
	"$VPMU" record "$guest" -g -F 2000 -d 1s -o "recording$n" 2> record.log || fail "vpmu record: $(cat record.log)"
	! grep -q "no guest call chains" record.log || skip "$(grep "no guest call chains" record.log)"
done
stop_guest
image=(--guest-image "$LAB/callers.elf")
"$VPMU" export -i recording1 "${image[@]}" -f flamegraph -o graph.html || fail "vpmu export"
"$VPMU" report -i recording1 "${image[@]}" --sort side,symbol -g --json > report.json || fail "vpmu report"
"$VPMU" diff --guest -i recording1 -i recording2 "${image[@]}" --flamegraph diff.html --json > diff.json || fail "vpmu diff"

start_guest vmm exits 1
"$VPMU" exits "$guest" -d 1s --by stack --guest-image "$LAB/exits.elf" --flamegraph exits.html --json > exits.json ||
	fail "vpmu exits"
stop_guest
"$1/tests/browser/known-guest.py" "$LAB/callers.truth" "$lab_dir"
