#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vpmu stat on real guests: is the account of a vCPU's time what the guest did, and does it survive what happens to guests?
# usage: stat.sh STORY
here=$(dirname "$(realpath "$0")")
. "$here/../lab.sh"

# check FILE: Python on standard input, with r the document, and value(vcpu, event[, interval]), status() of its rows.
check() {
	{
		cat <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
def row(vcpu, event, interval=None):
    rows = (interval or r["total"])["rows"]
    return next(x for x in rows if x["vcpu"] == vcpu and x["event"] == event)
def value(vcpu, event, interval=None):
    x = row(vcpu, event, interval)
    assert x["value"] is not None, x
    return int(x["value"])
def run_time(vcpu, interval=None):
    return sum(value(vcpu, e, interval) for e in ("guest-time", "user-time", "system-time"))
def adds_up(vcpu, interval=None):
    whole = run_time(vcpu, interval) + value(vcpu, "wait-time", interval) + value(vcpu, "sleep-time", interval)
    assert whole == value(vcpu, "wall-time", interval), whole
PY
		cat
	} > check.py
	python3 check.py "$1" || fail "$(head -c 3000 "$1")"
}

stat_in_background() {
	env --default-signal=INT "$VPMU" stat "$@" > stat.out 2> stat.err &
	stat_pid=$!
	lab_pids+=("$stat_pid")
}

# Waits for it, half a minute at most; its exit status is in $status.
wait_for_stat() {
	local waited=0
	while [ -e "/proc/$stat_pid" ] && ! grep -q '^State:.*zombie' "/proc/$stat_pid/status" 2>/dev/null; do
		[ $((waited += 1)) -lt 300 ] || fail "vpmu stat does not end: $(cat stat.err)"
		sleep 0.1
	done
	wait "$stat_pid"
	status=$?
}

busy_and_idle() {
	start_guest vmm one-idle 2
	"$VPMU" stat "$guest" -d 4s --json > out || fail "exit status $?"
	check out <<'PY'
for vcpu in 0, 1:
    adds_up(vcpu)
    wall = value(vcpu, "wall-time")
    assert 3.9e9 < wall < 8e9, wall
    print({x["event"]: x["value"] for x in r["total"]["rows"] if x["vcpu"] == vcpu})
assert run_time(0) > 0.4e9, "the busy vCPU did not run"
assert value(0, "guest-time") > 0.9 * run_time(0), "the busy vCPU is not in the guest"
assert value(0, "sleep-time") < 0.05 * value(0, "wall-time"), "the busy vCPU sleeps"
assert value(1, "guest-time") < 0.02 * value(1, "wall-time"), "the idle vCPU is in the guest"
assert value(1, "voluntary-switches") > 100, "the idle vCPU does not go to sleep"
switches = row(0, "context-switches")
if switches["status"] == "ok":
    both = value(0, "voluntary-switches") + value(0, "involuntary-switches")
    # Read one after the other: a busy machine may put a fiftieth of the time in between.
    assert abs(int(switches["value"]) - both) <= 2 + both / 50, (switches, both)
PY
}

intervals() {
	start_guest vmm one-idle 2
	"$VPMU" stat "$guest" -I 100 -d 1s --json > out || fail "exit status $?"
	check out <<'PY'
assert 3 <= len(r["intervals"]) <= 10, len(r["intervals"]) # those that it is too late for are part of the next
for before, after in zip(r["intervals"], r["intervals"][1:]):
    assert before["end_ns"] == after["start_ns"]
for interval in r["intervals"]:
    adds_up(0, interval)
    adds_up(1, interval)
for event in "voluntary-switches", "involuntary-switches":
    parts = sum(value(1, event, interval) for interval in r["intervals"])
    assert parts <= value(1, event), (event, parts)
PY
	"$VPMU" stat "$guest" -I 100 -d 1s > out || fail "exit status $?"
	cat out
	[ "$(grep -c '^[0-9.]* s:$' out)" -ge 3 ] || fail "no titles of intervals"
	grep -q '^in all, 1\.' out || fail "no totals"
}

late_vcpu() {
	start_guest vmm two-vcpus 2 --late
	stat_in_background "$guest" --json
	wait_until_it_has perf_event "$stat_pid" stat.err
	sleep 1
	plug_in_late_vcpus
	sleep 1.5
	kill -INT "$stat_pid"
	wait_for_stat
	[ $status = 0 ] || fail "exit status $status: $(cat stat.err)"
	check stat.out <<'PY'
adds_up(1)
assert 0.2e9 < value(1, "wall-time") < value(0, "wall-time") - 0.3e9, "vCPU 1 was not there from the start"
assert value(1, "guest-time") > 0.8 * run_time(1) > 0
PY
}

guest_dies() {
	start_guest vmm one-idle 2
	stat_in_background "$guest" -d 60s --json
	wait_until_it_has perf_event "$stat_pid" stat.err
	sleep 1.5
	stop_guest
	wait_for_stat
	[ $status = 0 ] || fail "exit status $status: $(cat stat.err)"
	grep -q gone stat.err || fail "nothing is said about the guest's end"
	check stat.out <<'PY'
assert row(0, "wall-time")["status"] == "partial" and row(0, "wall-time")["ended"]
assert value(0, "guest-time") > 0.8 * run_time(0) > 0
PY
}

interrupted() {
	start_guest vmm one-idle 2
	stat_in_background "$guest" -I 60000
	wait_until_it_has perf_event "$stat_pid" stat.err
	sleep 1
	kill -INT "$stat_pid"
	wait_for_stat
	[ $status = 0 ] || fail "exit status $status after SIGINT: $(cat stat.err)"
	cat stat.out
	grep -q '^in all' stat.out || fail "no totals"
	grep -qE ' 0 +[0-9.]+ m?s +[0-9.]+%' stat.out || fail "no line of vCPU 0"
}

refused() {
	start_guest vmm one-idle 2
	timeout 20 "$VPMU" stat "$guest" -e frobnications > out 2> err && fail "an unknown event is taken"
	grep -q frobnications err || fail "the unknown event is not named: $(cat err)"
	[ ! -s out ] || fail "output in spite of a failure"
	if ! perf stat -e cycles -x, true 2>&1 | grep -qE '^[0-9]+,'; then
		timeout 20 "$VPMU" stat "$guest" -e cycles,instructions > out 2> err
		[ $? = 1 ] || fail "events that cannot be counted are not refused"
		grep -q 'PMU' err || fail "it does not say why: $(cat err)"
		"$VPMU" stat "$guest" -e cycles,page-faults -d 300ms > out || fail "exit status $?"
		grep -q 'cycles  *-  *.*no hardware PMU' out || fail "the row does not say why: $(cat out)"
	fi
}

# The guest rings its doorbell, a port that nobody answers, five hundred times a round: KVM counts each, under one name or another.
kvm_statistics() {
	local events=kvm:exits,kvm:io_exits,kvm:insn_emulation,kvm:halt_wait_ns,kvm:no_such_thing
	[ ! -e /sys/kernel/tracing/events/kvm/kvm_pio ] || events+=,kvm:kvm_pio
	start_guest vmm exits 1
	ls -l "/proc/$guest_pid/fd" | grep -q kvm-vcpu-stats || skip "this kernel's KVM has no statistics files"
	"$VPMU" stat "$guest" -e "$events" -d 1s --json > out || fail "exit status $?"
	check out <<'PY'
rings = max(value(0, "kvm:io_exits"), value(0, "kvm:insn_emulation"))
print("rings", rings, "exits", value(0, "kvm:exits"))
assert rings > 300
assert value(0, "kvm:exits") >= 0.99 * rings
assert row(0, "kvm:halt_wait_ns")["unit"] == "ns" and value(0, "kvm:halt_wait_ns") == 0
missing = row(0, "kvm:no_such_thing")
assert missing["status"] == "unavailable" and missing["value"] is None and "no such" in missing["why"]
for traced in (x for x in r["total"]["rows"] if x["event"] == "kvm:kvm_pio"):
    assert abs(int(traced["value"]) - rings) <= 5 + rings / 20, traced # read one after the other
PY
}

case $1 in
busy_and_idle | kvm_statistics | intervals | late_vcpu | guest_dies | interrupted | refused) ;;
*) fail "no such story: $1" ;;
esac
need_kvm
"$1"
