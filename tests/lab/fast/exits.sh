#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vpmu exits on real guests that leave a known number of times: is every exit counted, once, where it belongs? On a KVM that does not tell of exits
# these are the events that it tells of; on others (the node) exits by reason as well.
# usage: exits.sh STORY
here=$(dirname "$(realpath "$0")")
. "$here/../lab.sh"

start_exits() {
	: > exits.err
	env --default-signal=INT "$VPMU" exits -v "$@" > exits.out 2> exits.err &
	exits_pid=$!
	lab_pids+=("$exits_pid")
}

# Ends it as a user does, and waits ten seconds at most; its exit status is in $status.
stop_exits() {
	local waited=0
	[ -z "${1:-}" ] || kill "-$1" "$exits_pid"
	while [ -e "/proc/$exits_pid" ] && ! grep -q '^State:.*zombie' "/proc/$exits_pid/status" 2>/dev/null; do
		[ $((waited += 1)) -lt 100 ] || fail "vpmu exits does not end: $(cat exits.err)"
		sleep 0.1
	done
	wait "$exits_pid"
	status=$?
}

wait_until_accounting() {
	local waited=0
	until grep -q 'exits of .* vCPU' exits.err; do
		kill -0 "$exits_pid" 2>/dev/null || fail "vpmu exits ended: $(cat exits.err)"
		[ $((waited += 1)) -lt 200 ] || fail "vpmu exits does not begin: $(cat exits.err)"
		sleep 0.05
	done
	sleep "${1:-0.2}"
}

# One round of the guest "primes".
do_round() {
	local before waited=0
	before=$(stat -c %s serial)
	kill -USR1 "$guest_pid"
	while [ "$(stat -c %s serial)" = "$before" ]; do
		kill -0 "$guest_pid" 2>/dev/null || fail "the guest ended: $(cat guest.log)"
		[ $((waited += 1)) -lt 1200 ] || fail "the guest does not get through its round"
		sleep 0.05
	done
}

# check FILE ROUNDS: the truth of the guest "primes" against the rows; then more of the story on standard input.
check() {
	{
		cat <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
rounds = int(sys.argv[2])
r = r.get("total", r)
has_exits = r["silent"] is None
def rows(key):
    return [x for x in r["rows"] if x["key"] == key]
def count(key, where=lambda x: True):
    return sum(x["count"] for x in rows(key) if where(x))
assert r["missed"] == r["unfit"] == r["lost_entries"] == 0, r
truth = {}
for line in open(sys.argv[3]):
    if line.startswith("events "):
        *name, n = line.split()[1:]
        truth[tuple(name)] = int(n) * rounds
def check_truth():
    for (kind, *what), want in truth.items():
        if kind in ("port", "msr"):
            number, how = what
            got = count(kind, lambda x: int(x[kind], 0) == int(number, 0) and x["write"] == (how == "write"))
        elif kind == "cpuid":
            got = count("cpuid", lambda x: x["cpuid"] == "0x40000000")
        elif kind == "hlt":
            got = count("user", lambda x: x["user"] == "hlt")
        print(kind, *what, got)
        assert got == want, (kind, what, got, want)
PY
		cat
	} > check.py
	python3 check.py "$1" "$2" "$LAB/primes.truth" || fail "$(head -c 3000 "$1")"
}

primes_are_counted_exactly() {
	start_guest vmm primes 1
	start_exits "$guest" --by reason,msr,port,cpuid,user --json
	wait_until_accounting
	do_round
	do_round
	sleep 0.5
	stop_exits INT
	[ $status = 0 ] || fail "exit status $status: $(cat exits.err)"
	check exits.out 2 <<'PY'
check_truth()
if has_exits:
    by = {x["reason"].lower(): x for x in rows("reason")}
    want = {"cpuid": 10007, "hlt": 101, "io": 5004, "msr": 4718}
    if "io_instruction" in by:
        want = {"cpuid": 10007, "hlt": 101, "io_instruction": 5004, "msr_read": 3308, "msr_write": 1410}
    for name, n in want.items():
        x = by[name]
        assert x["count"] == n * rounds and x["untimed"] == 0, (name, x)
        assert sum(b["count"] for b in x["histogram"]) == x["count"], x
        assert x["min_ns"] <= x["total_ns"] / x["count"] <= x["max_ns"], x
        parts = x["qemu_ns"] + x["blocked_ns"] + x["preempted_ns"] + x["poll_ns"]
        assert parts <= x["total_ns"], x
    assert by["hlt"]["blocked_ns"] > 0.8 * by["hlt"]["total_ns"], by["hlt"]
    assert by["cpuid"]["qemu_ns"] == 0, by["cpuid"]
else:
    assert not rows("reason")
    assert all(x["untimed"] == x["count"] and x["total_ns"] == 0 for x in r["rows"])
PY
	[ "$(grep -c 'do not fire' exits.err)" -le 1 ] || fail "more than one line about silence: $(cat exits.err)"
}

# Without --by: where exits cannot be had, all that can be is shown.
events_in_place_of_exits() {
	start_guest vmm primes 1
	start_exits "$guest"
	wait_until_accounting
	do_round
	stop_exits INT
	cat exits.out exits.err
	if grep -q 'do not fire' exits.err; then
		grep -qE 'IA32_APIC_BASE read +3001 ' exits.out || fail "MSR reads are not shown"
		grep -qE '0x80 write +5003 ' exits.out || fail "port writes are not shown"
		grep -qE 'hlt +101 ' exits.out || fail "halts are not shown"
	else
		grep -qiE ' cpuid +10007 ' exits.out || fail "CPUID exits are not shown"
	fi
}

intervals_add_up() {
	start_guest vmm primes 1
	start_exits "$guest" -I 200 --by port,cpuid,msr,user --json
	wait_until_accounting
	do_round
	do_round
	do_round
	sleep 0.5
	stop_exits INT
	check exits.out 3 <<'PY'
whole = json.load(open(sys.argv[1]))
check_truth()
assert len(whole["intervals"]) >= 3
for before, after in zip(whole["intervals"], whole["intervals"][1:]):
    assert before["end_ns"] == after["start_ns"]
last = whole["intervals"][-1]["end_ns"]
for key in "port", "cpuid", "msr":
    parts = sum(x["count"] for i in whole["intervals"] for x in i["rows"] if x["key"] == key)
    assert parts == count(key), (key, parts, count(key))
PY
}

guest_dies() {
	start_guest vmm exits 1
	start_exits "$guest" -d 60s --by port,user --json
	wait_until_accounting 2
	stop_guest
	stop_exits
	[ $status = 0 ] || fail "exit status $status: $(cat exits.err)"
	grep -q gone exits.err || fail "nothing is said about the guest's end"
	check exits.out 1 <<'PY'
assert all(x["ended"] for x in r["rows"])
assert count("port") >= 500, r
PY
}

# Without --by, and the first reading is after the guest's end.
guest_dies_and_its_rows_stay() {
	start_guest vmm primes 1
	start_exits "$guest" -d 60s
	wait_until_accounting
	do_round
	sleep 0.5
	stop_guest
	stop_exits
	cat exits.out exits.err
	[ $status = 0 ] || fail "exit status $status: $(cat exits.err)"
	grep -q gone exits.err || fail "nothing is said about the guest's end"
	if grep -q 'do not fire' exits.err; then
		grep -qE 'hlt +101 ' exits.out || fail "halts are not shown"
	else
		grep -qiE ' cpuid +10007 ' exits.out || fail "CPUID exits are not shown"
	fi
}

# Every kind of exit has one place in this guest, and one caller.
stacks_lead_to_the_function() {
	start_guest vmm primes 1
	start_exits "$guest" --by stack,symbol --guest-image "$LAB/primes.elf" --json
	wait_until_accounting
	# Stacks are sampled, up to a thousand a second: of one round only some ten are write_msr()'s.
	local round
	for round in {1..8}; do
		do_round
	done
	stop_exits INT
	check exits.out 8 <<'PY'
want = {"ask_cpuid": 10007, "ring_port": 5003, "read_msr": 3001, "write_msr": 1009}
for function, n in want.items():
    n *= 8
    assert count("address", lambda x: x["symbol"] == function) == n, (function, rows("address"))
    stacks = [s for s in r["stacks"] if s["frames"] and s["frames"][0]["symbol"] == function]
    got = sum(s["count"] for s in stacks)
    print(function, got, "of", n)
    assert stacks and all([f["symbol"] for f in s["frames"]] == [function, "guest_main"] for s in stacks), stacks
    assert n / 2 < got < n * 2, (function, got) # sampled: one in many
PY
	start_exits "$guest" --fold count --guest-image "$LAB/primes.elf"
	wait_until_accounting
	do_round
	stop_exits INT
	cat exits.out
	grep -qE "^$guest;vCPU 0;guest_main;ring_port;\[(port|io|IO_INSTRUCTION)\] [0-9]+$" exits.out || fail "no folded stack of the port"
	! grep -qvE "^[^;]+;vCPU 0;.* [0-9]+$" exits.out || fail "a line is no folded stack"
}

# The guest's use of its PMU, by operation.
pmu_use_is_told() {
	start_guest vmm primes 1
	start_exits "$guest" --pmu --json
	wait_until_accounting
	do_round
	stop_exits INT
	check exits.out 1 <<'PY'
assert {x["operation"]: x["count"] for x in r["pmu"]} == {"write eventsel": 401, "read counter": 307}, r["pmu"]
for x in r["pmu"]:
    assert x["untimed"] == x["count"] or 0 < x["min_ns"] <= x["p99_ns"] <= x["max_ns"] <= x["total_ns"], x
PY
	"$VPMU" exits "$guest" --pmu -d 300ms > out 2>/dev/null || fail "exit status $?"
	grep -q 'did not use their PMUs' out || fail "an idle guest uses its PMU: $(cat out)"
}

# A second guest that is not asked for is not accounted.
only_that_guest() {
	start_guest vmm exits 1
	start_guest vmm primes 1
	start_exits "$guest" --by port,user --json
	wait_until_accounting
	do_round
	stop_exits INT
	check exits.out 1 <<'PY'
assert len({x["guest"] for x in r["rows"]}) == 1, r
assert count("port") == 5004, r
PY
}

case $1 in
primes_are_counted_exactly | events_in_place_of_exits | intervals_add_up | stacks_lead_to_the_function | pmu_use_is_told | guest_dies | guest_dies_and_its_rows_stay | only_that_guest) ;;
*) fail "no such story: $1" ;;
esac
need_kvm
need_command python3
"$1"
