#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What may go wrong while a real guest is recorded: each story must end in a file that is whole, and a true word about it.
# usage: robust.sh STORY
here=$(dirname "$(realpath "$0")")
. "$here/../lab.sh"

# The file is readable, has samples, and stock perf finds as many as we do.
check_recording() {
	local file=$1 ours
	"$VPMU" report -i "$file" --json > check.json || fail "vpmu report cannot read $file"
	ours=$(json check.json 'r["coverage"]["samples"]')
	[ "$ours" -gt "${2:-100}" ] || fail "$file has only $ours samples"
	[ "$ours" = "$(perf_samples "$file")" ] || fail "vpmu finds $ours samples in $file, perf $(perf_samples "$file")"
	echo "$file: $ours samples, perf agrees"
}

# json FILE EXPRESSION: a value of a JSON document, which is called r.
json() { python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$@"; }

# record_in_background OPTIONS…: a recorder that takes SIGINT even though the shell runs it in the background.
record_in_background() {
	env --default-signal=INT "$VPMU" record "$@" > record.out 2> record.log &
	recorder=$!
	lab_pids+=("$recorder")
}

# Waits for the recorder, half a minute at most; its exit status is in $status.
wait_for_recorder() {
	local waited=0
	while [ -e "/proc/$recorder" ] && ! grep -q '^State:.*zombie' "/proc/$recorder/status" 2>/dev/null; do
		[ $((waited += 1)) -lt 300 ] || fail "the recorder does not end: $(cat record.log)"
		sleep 0.1
	done
	wait "$recorder"
	status=$?
}

guest_dies() {
	start_guest vmm three-functions 1
	record_in_background "$guest" -d 60s -o recording
	wait_until_it_has perf_event "$recorder" record.log
	sleep 1
	stop_guest
	wait_for_recorder
	[ $status = 0 ] || fail "exit status $status: $(cat record.log)"
	cat record.log
	grep -qiE 'gone|ended|exited' record.log || fail "nothing is said about the guest's end"
	check_recording recording
}

interrupted() {
	start_guest vmm three-functions 1
	record_in_background "$guest" -o recording
	wait_until_it_has perf_event "$recorder" record.log
	sleep 1
	kill -INT "$recorder"
	wait_for_recorder
	[ $status = 0 ] || fail "exit status $status after SIGINT: $(cat record.log)"
	check_recording recording
}

# record_while_a_vcpu_comes OPTIONS…: it is recorded for two seconds.
record_while_a_vcpu_comes() {
	record_in_background "$@" -o recording
	wait_until_it_has perf_event "$recorder" record.log
	sleep 0.5
	plug_in_late_vcpus
	sleep 2
	kill -INT "$recorder"
	wait_for_recorder
	[ $status = 0 ] || fail "vpmu record: $(cat record.log)"
	stop_guest
}

late_vcpu() {
	start_guest vmm two-vcpus 2 --late
	record_while_a_vcpu_comes "$guest"
	check_recording recording
	"$VPMU" report -i recording --guest-image "$guest=$LAB/two-vcpus.elf" --sort vcpu,symbol --side guest --json \
		> report.json || fail "vpmu report"
	local late
	late=$(json report.json 'sum(x["samples"] for x in r["rows"] if x["vcpu"] == 1 and x["symbol"] in ("up", "down"))')
	echo "vCPU 1, which began during the recording, has $late samples"
	[ "$late" -gt 100 ] || fail "the late vCPU has only $late samples"
}

# Guest chains are an extra: a kernel that refuses them gets its samples without, and one line.
chains_refused() {
	need_command setpriv
	start_guest vmm recursion 1
	setpriv --bounding-set=-bpf,-sys_admin "$VPMU" record "$guest" -g -d 1s -o recording 2> record.log ||
		fail "vpmu record: $(cat record.log)"
	cat record.log
	[ "$(grep -c 'no guest call chains' record.log)" = 1 ] || fail "not one line says that there are no chains"
	check_recording recording
	[ "$(json check.json 'r["coverage"]["guest"]')" -gt 100 ] || fail "there are no guest samples"
	[ "$(json check.json 'r["coverage"]["guest_chains"]')" = 0 ] || fail "there are chains"
}

# All guests and the host, by CPU, and a vCPU that comes later: chains are there for whatever runs.
chains_everywhere() {
	start_guest vmm two-vcpus 2 --late
	record_while_a_vcpu_comes -a -g
	! grep 'no guest call chains' record.log || skip "BPF is refused here"
	"$VPMU" report -i recording --guest-image "$guest=$LAB/two-vcpus.elf" --sort guest,vcpu,symbol --side guest -g --json \
		> report.json || fail "vpmu report"
	for symbol in left up; do
		local chained
		chained=$(json report.json 'sum(c["samples"] for x in r["rows"] if x["symbol"] == "'$symbol'"
			for c in x["chains"] if [f["symbol"] for f in c["frames"]] == ["'$symbol'", "guest_main"])')
		echo "$symbol, called by guest_main: $chained samples"
		[ "$chained" -gt 50 ] || fail "too few chains of $symbol"
	done
}

full_disk() {
	start_guest vmm three-functions 1
	mkdir small
	mount -t tmpfs -o size=192k small small || skip "no right to mount a small tmpfs"
	lab_mount=$PWD/small
	"$VPMU" record "$guest" -F 20000 -d 10s -o small/recording 2> record.log && fail "a full disk is no error"
	cat record.log
	grep -qi 'no space left' record.log || fail "the full disk is not named"
	check_recording small/recording
}

existing_file() {
	start_guest vmm three-functions 1
	"$VPMU" record "$guest" -d 500ms -o recording || fail "vpmu record"
	cp recording first
	"$VPMU" record "$guest" -d 500ms -o recording || fail "vpmu record, again"
	cmp first recording.old || fail "the first recording is lost"
	check_recording recording
}

opens_in_perf() {
	start_guest vmm exits 1
	"$VPMU" record "$guest" -d 2s -o recording || fail "vpmu record"
	stop_guest
	check_recording recording 300
	"$VPMU" report -i recording --sort side --json > sides.json || fail "vpmu report"

	# perf script prints a line for each sample of the host's sides; guest samples need perf kvm.
	local ours
	for side in guest host; do
		local modes=1/2
		[ $side = host ] || modes=4/5
		ours=$(json sides.json "r['coverage']['$side']")
		local theirs
		theirs=$(perf report -D -i recording 2>/dev/null | grep -cE "PERF_RECORD_SAMPLE\(IP, 0x[0-9a-f]*[${modes/\//}]\)")
		[ "$ours" = "$theirs" ] || fail "$side: vpmu finds $ours samples, perf $theirs with cpumode $modes"
		echo "$side: $ours samples, cpumode $modes in perf"
	done
	perf script -i recording > script.out 2> script.log || fail "perf script: $(cat script.log)"
	[ -s script.out ] || fail "perf script prints nothing"
	echo "perf script: $(wc -l < script.out) lines"
	perf kvm --host --guest -i recording report --stdio -n > report.out 2> report.log || fail "perf kvm report: $(cat report.log)"
	grep -qF '[g]' report.out || grep -qF '[u]' report.out || fail "perf kvm report shows no guest sample"
	grep -m 5 '%' report.out
}

# A guest that is no Linux, one in its firmware and one with nothing in its memory: that is said, and profiling goes on.
not_linux() {
	local pid options waited
	start_guest vmm three-functions 1
	"$VPMU" record "$guest" -d 1s -o recording || fail "vpmu record"
	"$VPMU" report -i recording --limit 1 > report.out || fail "vpmu report"
	grep -m1 '^coverage' report.out
	grep -q '^coverage: .* no Linux kernel in 1 guest;' report.out || fail "the coverage line does not say why there are no names"
	check_recording recording
	need_command qemu-system-x86_64
	for options in '' -S; do
		qemu-system-x86_64 -name "guest=empty$$,debug-threads=on" -accel tcg -m 64 -nodefaults -display none -monitor none \
			-serial file:/dev/null $options < /dev/null > guest.log 2>&1 &
		pid=$!
		lab_pids+=("$pid")
		waited=0
		sleep 1
		until "$VPMU" list --local > list.out 2> list.err && grep -q "^empty$$ .* - " list.out &&
			grep "^empty$$: no Linux kernel was found in the guest's memory" list.err; do
			kill -0 "$pid" 2>/dev/null || fail "the guest ended: $(cat guest.log)"
			[ $((waited += 1)) -lt 100 ] || fail "vpmu list shows $(cat list.out), and says: $(cat list.err)"
			sleep 0.1
		done
		kill -KILL "$pid"
		wait "$pid" 2>/dev/null || :
	done
}

# More samples than the rings take.
recorded_or_lost() {
	start_guest vmm thirty-two 1
	"$here/overrun.py" "$VPMU" "$guest" recording
	status=$?
	[ $status = 0 ] || exit $status
	check_recording recording
}

need_kvm
need_command perf
"$1"
