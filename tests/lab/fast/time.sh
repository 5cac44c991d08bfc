#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vpmu time on real guests: does a vCPU's clock add up, does each kind of time land in its part, do the scheduler's accounts agree?
# usage: time.sh STORY
here=$(dirname "$(realpath "$0")")
. "$here/../lab.sh"

# judge SECONDS [OPTION…]: Python on standard input, with vcpus and document of a run of that long. It is told up to three times: there are
# machines (sandboxes) whose kernel does not trace it when certain threads of theirs leave a CPU (sched_switch, seen with perf record, too).
# A vCPU that gets the CPU from one of these seems to wait until it leaves it itself.
judge() {
	local try story
	story=$(cat)
	for try in 1 2 3; do
		cat > judge.py <<PY
import sys
sys.path.insert(0, "$here/..")
sys.dont_write_bytecode = True
from time_referee import run
competitor = ${competitor:-0}
vcpus, document, competitors_time = run("$VPMU", "$guest", $guest_pid, $1, competitor, *"${*:2}".split(), late=${late:-False})
for vcpu in vcpus.values():
    vcpu.check(exact=${exact:-True})
$story
PY
		python3 judge.py && return
		[ -z "${late:-}" ] || late_guest # the vCPU is there by now
	done
	fail "not as it should be"
}

need_bpf() {
	"$VPMU" time "$guest" -d 100ms 2>&1 | grep -q "scheduler's account only" && skip "no BPF program can be loaded"
}

# A busy vCPU is in the guest; one that halts comes out to the VMM, which sleeps for it.
runs_and_is_blocked() {
	start_guest vmm one-idle 2
	need_bpf
	judge 3 <<'PY'
assert vcpus[0].of("guest", "exit", "steal") > 0.98
assert vcpus[0].of("guest") > 0.9 * vcpus[0].of("guest", "exit", "qemu"), "the busy vCPU is not in the guest"
assert vcpus[0].ns("blocked") + vcpus[0].ns("halt") < 0.005 * vcpus[0].row["wall_ns"]
assert vcpus[1].of("blocked", "steal") > 0.9, "the VMM does not sleep for the idle vCPU"
assert vcpus[1].ns("halt") == 0
PY
}

# QEMU has the interrupt controller in the kernel: there a vCPU halts.
halts() {
	start_guest qemu one-idle 2
	need_bpf
	sleep 1
	judge 3 <<'PY'
assert vcpus[1].of("halt") > 0.9, "the idle vCPU is not halted"
assert vcpus[1].ns("blocked") == 0
assert vcpus[0].of("halt") < 0.01
PY
}

# A busy vCPU and a busy process on one CPU: each has half of it, less if there is more going on.
shares_a_cpu() {
	start_guest vmm three-functions 1
	need_bpf
	local cpu
	cpu=$(taskset -cp "$guest_pid" | sed 's/.*: \([0-9]*\).*/\1/')
	taskset -acp "$cpu" "$guest_pid" > /dev/null
	taskset -c "$cpu" sh -c 'while :; do :; done' &
	lab_pids+=($!)
	competitor=$! judge 4 <<'PY'
steal, theirs = vcpus[0].of("steal"), vcpus[0].competitor(competitor)
ran, wrong = competitors_time(vcpus[0])
print(f"steal {steal:.2%}, of which the competitor had {theirs:.2%}; the scheduler says that it ran {ran:.2%}")
assert steal > 0.45, "two that want one CPU wait for each other half of the time"
assert abs(theirs - ran) < 0.005 + wrong, "the vCPU waited whenever the competitor ran"
told = sum(c["ns"] for c in vcpus[0].row["competitors"]) / vcpus[0].row["wall_ns"]
assert steal - told < 0.02, "some steal has nobody who ran"
PY
}

# The guest writes to a device that takes a millisecond for it, in which the vCPU's thread sleeps.
waits_for_a_device() {
	start_guest vmm exits 1 --slow-us 1000
	need_bpf
	judge 4 <<'PY'
assert vcpus[0].of("blocked") > 0.5 * (1 - vcpus[0].of("steal"))
assert vcpus[0].ns("halt") == 0
PY
}

intervals() {
	start_guest vmm one-idle 2
	need_bpf
	judge 1 -I 100 <<'PY'
intervals = document["intervals"]
assert 3 <= len(intervals) <= 10, len(intervals) # those that it is too late for are part of the next
for before, after in zip(intervals, intervals[1:]):
    assert before["end_ns"] == after["start_ns"]
for vcpu in 0, 1:
    rows = [next(row for row in i["vcpus"] if row["vcpu"] == vcpu) for i in intervals]
    for row in rows:
        whole = sum(value or 0 for key, value in row.items() if key.endswith("_ns") and key not in ("start_ns", "wall_ns", "step_ns"))
        assert whole == row["wall_ns"], (whole, row)
    for part in "steal", "blocked", "halt":
        assert sum(row[part + "_ns"] for row in rows) <= vcpus[vcpu].ns(part) + 1000000, part
PY
	"$VPMU" time "$guest" -I 100 -d 1s > out || fail "exit status $?"
	cat out
	[ "$(grep -c '^[0-9.]* s:$' out)" -ge 3 ] || fail "no titles of intervals"
	grep -q '^in all, 1\.' out || fail "no totals"
}

late_guest() {
	[ -z "${guest_pid:-}" ] || stop_guest
	start_guest vmm two-vcpus 2 --late
}

late_vcpu() {
	late_guest
	need_bpf
	late=True exact=False judge 3 <<'PY'
assert vcpus[1].row["start_ns"] > vcpus[0].row["start_ns"], "vCPU 1 was not there from the start"
PY
}

guest_dies() {
	start_guest vmm one-idle 2
	need_bpf
	env --default-signal=INT "$VPMU" time "$guest" -d 60s --json > out 2> err &
	local vpmu=$!
	lab_pids+=("$vpmu")
	wait_until_it_has bpf_link "$vpmu" err
	sleep 1.5
	stop_guest
	wait "$vpmu" || fail "exit status $?: $(cat err)"
	grep -q gone err || fail "nothing is said about the guest's end"
	python3 - <<'PY' || fail "$(cat out)"
import json
rows = json.load(open("out"))["vcpus"]
assert len(rows) == 2 and all(row["ended"] for row in rows)
assert all(0.5e9 < row["wall_ns"] < 50e9 for row in rows)
PY
}

# Bars on a terminal, as wide as it is; none elsewhere.
bars() {
	need_command script
	start_guest vmm one-idle 2
	"$VPMU" time "$guest" -d 300ms > plain || fail "exit status $?"
	! grep -q $'\033' plain || fail "colours in a file"
	! grep -q '█' plain || fail "bars in a file"
	NO_COLOR=1 script -qec "stty cols 80; '$VPMU' time $guest -d 300ms" /dev/null > shown < /dev/null || fail "exit status $?"
	tr -d '\r' < shown | grep "^$guest [01]  " > bars.out
	cat bars.out
	[ "$(wc -l < bars.out)" = 2 ] || fail "not a bar for each vCPU"
	python3 - <<'PY' || fail "bars are not as wide as the terminal"
assert all(len(line.rstrip("\n")) == 80 for line in open("bars.out", encoding="utf-8"))
PY
	! grep -q $'\033\[3[0-9]m' shown || fail "colours in spite of NO_COLOR"
}

# Without the right to load a program, the scheduler's account is what there is, and it is said.
without_rights() {
	need_command setpriv
	start_guest vmm one-idle 2
	setpriv --bounding-set=-bpf,-sys_admin,-perfmon --inh-caps=-bpf,-sys_admin,-perfmon \
		"$VPMU" time "$guest" -d 1s --json > out 2> err || fail "exit status $?: $(cat err)"
	grep -q 'BPF program: .*; run as root, or with CAP_BPF and CAP_PERFMON' err || fail "nothing is said: $(cat err)"
	python3 - <<'PY' || fail "$(cat out)"
import json
for row in json.load(open("out"))["vcpus"]:
    assert row["halt_ns"] is None and row["blocked_ns"] is None and row["why"]
    assert row["step_ns"] > 0 and row["reasons"] == [] and row["competitors"] == []
    parts = (row[p + "_ns"] or 0 for p in ("guest", "exit", "qemu", "steal", "asleep"))
    assert sum(parts) == row["wall_ns"]
PY
}

case $1 in
runs_and_is_blocked | halts | shares_a_cpu | waits_for_a_device | intervals | late_vcpu | guest_dies | bars | without_rights) ;;
*) fail "no such story: $1" ;;
esac
need_kvm
"$1"
