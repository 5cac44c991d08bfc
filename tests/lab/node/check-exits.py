#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""VM exits by vpmu against stock perf's account of the same ones, in the current directory (in-node-exits.sh leaves them there).

usage: check-exits.py same NAME | times | metrics | keys | nested
"""
import collections
import json
import re
import statistics
import subprocess
import sys

COUNT_WITHIN, TIME_WITHIN, TRIP_WITHIN = 0.005, 0.05, 0.10
TURNS = 1, 2  # each tool looks by itself so often


def ours(path):
    document = json.load(open(path))
    reading = document.get("total", document)
    assert reading["silent"] is None, reading["silent"]
    losses = {name: reading[name] for name in ("missed", "unfit", "lost_entries", "lost_exits")}
    assert not any(losses.values()), losses
    return document, reading["rows"]


def by_reason(rows):
    """{reason: count}, L2's exits with L1's, as perf has them."""
    counts = collections.Counter()
    for row in rows:
        if row["key"] == "reason":
            counts[row["reason"]] += row["count"]
    return counts


def report_counts(path):
    """{reason: count} of `perf kvm stat report`."""
    lines = (re.match(r"\s*(\S.*?)\s+(\d+)\s+[\d.]+%\s+[\d.]+%\s", line) for line in open(path))
    counts = {match[1]: int(match[2]) for match in lines if match}
    assert counts, "perf has no exits"
    return counts


def lost(path):
    """How many records perf says that it could not write: its ring was full, as the emulated CPU that reads it stood still."""
    dump = subprocess.run(["perf", "report", "-D", "-i", path], capture_output=True, text=True, errors="replace").stdout
    return sum(int(n) for n in re.findall(r"PERF_RECORD_LOST:? id:\d+: lost:(\d+)", dump))


def check_same(name):
    _, rows = ours(f"{name}.json")
    mine, want = by_reason(rows), report_counts(f"{name}.txt")
    print(f"{'reason':<14} {'count':>8} {'perf':>8}")
    different = []
    for reason in sorted(set(mine) | set(want), key=lambda r: -mine[r]):
        print(f"{reason:<14} {mine[reason]:>8} {want.get(reason, 0):>8}")
        # One may be under way at either end.
        if abs(mine[reason] - want.get(reason, 0)) > max(1, COUNT_WITHIN * mine[reason]):
            different.append(reason)
    if different:
        missing = lost(f"{name}.data")
        print(f"perf lost {missing} records")
        assert all(0 < mine[reason] - want.get(reason, 0) <= missing for reason in different), different


def shortest(path):
    """{reason: ns} of the shortest of the exits that perf recorded."""
    left, found = {}, {}
    for line in open(path):
        match = re.match(r"\s*(\d+)\s+(\d+)\.(\d{9}):\s+kvm:kvm_(exit|entry):\s+vcpu \d+,?\s(?:reason (\S+))?", line)
        if not match:
            continue
        tid, at_ns = match[1], int(match[2]) * 10**9 + int(match[3])
        if match[4] == "exit":
            left[tid] = match[5], at_ns
        elif tid in left:
            reason, since_ns = left.pop(tid)
            found[reason] = min(found.get(reason, at_ns), at_ns - since_ns)
    return found


def check_times():
    """
    Each tool has its own work in the times that it takes, and the other's if both look at the same exits; so each looks by itself, and
    what is compared is the shortest of thousands of equal exits, which neither the emulator nor its host had interrupted. Of what perf
    does, a second perf shows how much comes behind the reading of the clock: that is in the first one's times. What comes before it (the
    record is made ready at the entry) both do in one, and is about as much again. A record is the same work whatever the reason: of the
    three differences the largest counts, as each is one of two shortest times, and may be too small by chance. Ours has to be below perf's time, by that at most.

    Processors get slower and faster while this goes on: all look twice, in turns. By how much the two turns of one tool differ at most is what
    any two tools may differ by for no reason.
    """
    reasons = "cpuid", "io", "msr"
    times = {
        "ours": [{row["reason"]: row["min_ns"] for row in ours(f"ours-{turn}.json")[1] if row["key"] == "reason"} for turn in TURNS],
        "perf": [shortest(f"perf-{turn}.events") for turn in TURNS],
        "twice": [shortest(f"twice-{turn}.events") for turn in TURNS],
    }
    for name, turns in times.items():
        for turn, found in zip(TURNS, turns):
            print(f"{name}, turn {turn}, shortest in ns:", {reason: found.get(reason) for reason in reasons})
            assert all(reason in found for reason in reasons), f"{name} has none of some"
    noise = max(max(turn[reason] for turn in turns) / min(turn[reason] for turn in turns) - 1 for turns in times.values() for reason in reasons)
    mine, perf, twice = ({reason: min(turn[reason] for turn in turns) for reason in reasons} for turns in times.values())
    recording = max(0, *(twice[reason] - perf[reason] for reason in reasons))
    print(f"a record of perf's takes some {recording} ns, turns differ by {noise:.1%}")
    within = TIME_WITHIN + noise
    for reason in reasons:
        print(f"{reason:<6} ours is {mine[reason] / perf[reason]:.3f} of perf's time")
        assert mine[reason] <= perf[reason] * (1 + within), reason
        assert mine[reason] >= (perf[reason] - 2 * recording) / (1 + within), reason


def check_metrics():
    """vpmud's own account of the same load. Its guest is one that no libvirt told of: the only one."""
    mine = by_reason(ours("load.json")[1])
    text = open("load.metrics").read()
    counts = {reason: int(n) for reason, n in re.findall(r'^vpmu_guest_exits_total\{.*reason="(.*?)"\} (\d+)$', text, re.M)}
    seconds = {reason: float(n) for reason, n in re.findall(r'^vpmu_guest_exit_seconds_total\{.*reason="(.*?)"\} (\S+)$', text, re.M)}
    print("vpmud's metrics:", counts)
    assert counts.keys() == seconds.keys() and mine.keys() <= counts.keys(), (counts, mine)
    for reason, n in counts.items():
        # It began before and ended behind, with the guest paused: as much as is under way then.
        assert abs(n - mine[reason]) <= 1 and seconds[reason] > 0, (reason, n, mine[reason])
    parts = dict(re.findall(r'^vpmu_guest_vcpu_time_seconds_total\{.*part="(.*?)"\} (\S+)$', text, re.M))
    assert float(parts["guest"]) > 0 and float(parts["exit"]) > 0, parts


def count(rows, key, where):
    return sum(row["count"] for row in rows if row["key"] == key and where(row))


def check_keys():
    """A round is 1009 CPUID, 503 port writes, 211 MSR reads; it may be cut at both ends."""
    reading = json.load(open("keys.json"))
    rows = reading["rows"]
    rounds = count(rows, "port", lambda r: int(r["port"], 0) == 0x2f0 and r["write"]) / 503
    cpuid = count(rows, "cpuid", lambda r: r["cpuid"] == "0x40000000") / 1009
    msr = count(rows, "msr", lambda r: int(r["msr"], 0) == 0x1b and not r["write"]) / 211
    print(f"rounds by port {rounds:.2f}, by CPUID {cpuid:.2f}, by MSR {msr:.2f}")
    assert rounds > 1 and abs(cpuid - rounds) <= 1.01 and abs(msr - rounds) <= 1.01
    halts = [row for row in rows if row["key"] == "reason" and row["reason"] == "hlt"]
    asleep = sum(row["blocked_ns"] + row["poll_ns"] + row["preempted_ns"] for row in halts)
    assert asleep > 0.8 * sum(row["total_ns"] for row in halts), halts
    io = [row for row in rows if row["key"] == "port" and int(row["port"], 0) == 0x2f0]
    assert io and all(0 < row["qemu_ns"] < row["total_ns"] for row in io), io
    for key in "address", "vector":
        assert any(row["key"] == key for row in rows), f"no rows by {key}"
    named = {row["symbol"] for row in rows if row["key"] == "address" and row["status"] == "ok"}
    print("named:", *sorted(named)[:12])
    # arch/x86/kernel/msr.c reads it through these.
    assert any("msr" in symbol for symbol in named), "the guest kernel's rdmsr has no name"
    stacks = [stack for stack in reading["stacks"] if stack["frames"]]
    reasons = collections.Counter()
    for stack in stacks:
        reasons[stack["reason"]] += stack["count"]
    print("sampled:", dict(reasons))
    for reason in "cpuid", "io", "msr":
        whole = count(rows, "reason", lambda r: r["reason"] == reason)
        assert whole / 2 < reasons[reason] < whole * 2, (reason, whole, reasons)


def check_flamegraph():
    """The page has the stacks: as many exits for each reason, and as much time."""
    page = open("keys.html").read()
    graph = json.loads(page.split('<script type="application/json" id="graph">')[1].split("</script>")[0])
    assert [measure["name"] for measure in graph["measures"]] == ["exits", "time"] and graph["measure"] == 1, graph["measures"]
    drawn, wanted = collections.Counter(), collections.Counter()
    for i in range(0, len(graph["nodes"]), 6):
        _, frame, _, exits, _, ns = graph["nodes"][i : i + 6]
        drawn[graph["names"][graph["frames"][4 * frame]]] += exits
        drawn["ns"] += ns
    for stack in json.load(open("keys.json"))["stacks"]:
        wanted[stack["reason"]] += stack["count"]
        wanted["ns"] += stack["total_ns"]
    print("in the flame graph:", {key: drawn[key] for key in wanted})
    assert wanted["ns"] > 0 and all(drawn[key] == n for key, n in wanted.items()), (drawn, wanted)


def tracepoints(path):
    fields = (line.split(",") for line in open(path))
    return {f[2].removeprefix("kvm:"): int(f[0]) for f in fields if len(f) > 2 and f[0].isdigit()}


def tsc_mhz(path):
    """Of the time stamp counter, by the clock."""
    counts = tracepoints(path)
    return 1000 * counts["msr/tsc/"] / counts["duration_time"]


def check_nested():
    events, mhz = tracepoints("nested.nested"), tsc_mhz("tsc")
    _, rows = ours("nested.json")
    print(events)
    l2 = sum(row["count"] for row in rows if row["key"] == "reason" and row["nested"])
    assert abs(l2 - events["kvm_nested_vmexit"]) <= max(1, COUNT_WITHIN * l2), (l2, events)
    trips = sum(row["count"] for row in rows if row["key"] == "trip")
    assert abs(trips - events["kvm_nested_vmexit_inject"]) <= max(2, COUNT_WITHIN * trips), (trips, events)
    trip = next(row for row in rows if row["key"] == "trip" and row["trip"] == "cpuid")
    assert trip["count"] > 500, trip
    ratios = {row["reason"]: row["per_trip"] for row in rows if row["key"] == "ancillary" and row["trip"] == "cpuid"}
    print("exits of L1 for each CPUID of L2:", ratios)
    # What KVM does as a guest hypervisor on AMD each time it enters a guest; once more whenever L1 was interrupted and ran something else.
    assert abs(ratios["vmrun"] - 1) < 0.01, ratios
    interrupted = ratios.get("interrupt", 0) + ratios.get("vintr", 0)
    for reason in "vmload", "vmsave", "stgi", "clgi":
        each = ratios.get(reason, 0)
        assert each + 0.01 - int(each + 0.01) < 0.02 + interrupted, (reason, ratios)
    check_round_trip([int(line) for line in open("cycles")], mhz)


def check_round_trip(cycles, mhz):
    """
    What a CPUID takes by L2's own clock: L2's run, up to the exit, and the trip. Now and then an interrupt comes into the loop, which is
    an exit of L2 with a run and a trip, too; others come while it prints, and cannot be told from those. So its clock is between the
    two without any of them, and with all. The lines are not of quite the same time as the account: a standstill of the node may be in one of
    them only, and then is the longest trip or run, or the longest line.
    """
    _, rows = ours("trip.json")
    trips = count(rows, "trip", lambda r: r["reason"] == "cpuid")
    print(f"the time stamp counter goes at {mhz:.0f} MHz")

    def of(*reasons):
        return [row for row in rows if row["key"] in ("trip", "run") and row["reason"] in reasons]

    def each_ns(*reasons):
        return sum(row["total_ns"] for row in of(*reasons)) / trips

    assert len(cycles) >= 5 and trips >= 1000, (cycles, trips)
    least_ns, most_ns = each_ns("cpuid"), each_ns("cpuid", "interrupt")
    own_ns = statistics.mean(cycles) / mhz * 1000
    still_ns = max(max(row["max_ns"] for row in of("cpuid", "interrupt")) / trips,
                   (max(cycles) - statistics.median(cycles)) / len(cycles) / mhz * 1000)
    print(f"a CPUID of L2: {own_ns:.0f} ns by its own clock, {len(cycles)} lines; from outside {least_ns:.0f} ns ({least_ns / own_ns:.3f}), "
          f"{most_ns:.0f} ns with all interrupts ({most_ns / own_ns:.3f}), {trips} trips; a standstill may be {still_ns:.0f} ns of it")
    assert least_ns * (1 - TRIP_WITHIN) - still_ns < own_ns < most_ns * (1 + TRIP_WITHIN) + still_ns


if sys.argv[1] == "same":
    check_same(sys.argv[2])
else:
    {"times": check_times, "metrics": check_metrics, "keys": check_keys, "flamegraph": check_flamegraph,
     "nested": check_nested}[sys.argv[1]]()
