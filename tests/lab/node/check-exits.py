#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""VM exits by vpmu against stock perf's account of the same ones, in the current directory (in-node-exits.sh leaves them there).

usage: check-exits.py same NAME | keys | nested
"""
import collections
import json
import re
import statistics
import sys

COUNT_WITHIN, TIME_WITHIN, TRIP_WITHIN = 0.005, 0.05, 0.10
# What perf does to record an exit lies between its reading of the clock and ours. In the emulator that is microseconds.
TOOL_NS = 4000


def ours(path):
    document = json.load(open(path))
    reading = document.get("total", document)
    assert reading["silent"] is None, reading["silent"]
    losses = {name: reading[name] for name in ("missed", "unfit", "lost_entries", "lost_exits")}
    assert not any(losses.values()), losses
    return document, reading["rows"]


class Sum:
    """Exits of one reason."""

    def __init__(self):
        self.count = self.total_ns = self.max_ns = 0

    def add(self, count, total_ns, max_ns):
        self.count += count
        self.total_ns += total_ns
        self.max_ns = max(self.max_ns, max_ns)

    @property
    def mean_ns(self):
        return self.total_ns / self.count


def by_reason(rows):
    """{reason: Sum}, L2's exits with L1's, as perf has them."""
    sums = collections.defaultdict(Sum)
    for row in rows:
        if row["key"] == "reason":
            sums[row["reason"]].add(row["count"], row["total_ns"], row["max_ns"])
    return sums


def report_counts(path):
    """{reason: count} of `perf kvm stat report`."""
    lines = (re.match(r"\s*(\S.*?)\s+(\d+)\s+[\d.]+%\s+[\d.]+%\s", line) for line in open(path))
    counts = {match[1]: int(match[2]) for match in lines if match}
    assert counts, "perf has no exits"
    return counts


def recorded(path):
    """Each exit that perf recorded: reason, when its entry was, how long it took."""
    left = {}
    for line in open(path):
        match = re.match(r"\s*(\d+)\s+(\d+)\.(\d{9}):\s+kvm:kvm_(exit|entry):\s+vcpu \d+,?\s(?:reason (\S+))?", line)
        if not match:
            continue
        tid, at_ns = match[1], int(match[2]) * 10**9 + int(match[3])
        if match[4] == "exit":
            left[tid] = match[5], at_ns
        elif tid in left:
            reason, since_ns = left.pop(tid)
            yield reason, at_ns, at_ns - since_ns


def in_intervals(intervals, exits):
    """The same sums for each of vpmu's intervals."""
    ends = [interval["end_ns"] for interval in intervals]
    sums, i = [collections.defaultdict(Sum) for _ in ends], 0
    for reason, at_ns, ns in sorted(exits, key=lambda e: e[1]):
        while i < len(ends) and at_ns > ends[i]:
            i += 1
        if i < len(ends):
            sums[i][reason].add(1, ns, ns)
    return sums


def without_standstills(pairs):
    """The node stands still now and then, for whatever else its host has to do, in one tool's time and not in the other's. What is left are
    intervals in which no exit took much longer than exits of that reason do."""
    usual_ns = min((b.mean_ns for _, b in pairs), default=0)
    return [(a, b) for a, b in pairs if max(a.max_ns, b.max_ns) < 30 * usual_ns]


def check_same(name):
    document, rows = ours(f"{name}.json")
    mine, want = by_reason(rows), report_counts(f"{name}.txt")
    parts = [by_reason(interval["rows"]) for interval in document["intervals"]]
    theirs = in_intervals(document["intervals"], recorded(f"{name}.events"))
    wrong = []
    print(f"{'reason':<14} {'count':>8} {'perf':>8}   typical mean in ns, and perf's")
    for reason in sorted(set(mine) | set(want), key=lambda r: -mine[r].count):
        count = mine[reason].count
        # One may be under way at either end.
        if abs(count - want.get(reason, 0)) > max(1, COUNT_WITHIN * count):
            wrong.append((reason, "count", count, want.get(reason, 0)))
        line = f"{reason:<14} {count:>8} {want.get(reason, 0):>8}"
        pairs = [(a[reason], b[reason]) for a, b in zip(parts, theirs) if a[reason].count >= 20 and b[reason].count >= 20]
        clean = without_standstills(pairs)
        if reason == "interrupt":
            line += "   times not judged: in these the host does other things"
        elif len(clean) >= 5:
            perf_ns = statistics.median(b.mean_ns for _, b in clean)
            more_ns = statistics.median(a.mean_ns - b.mean_ns for a, b in clean)
            line += f"   {perf_ns + more_ns:>9.0f} {perf_ns:>9.0f}  {1 + more_ns / perf_ns:.3f}"
            if abs(more_ns) > TIME_WITHIN * perf_ns + TOOL_NS:
                wrong.append((reason, "time", perf_ns + more_ns, perf_ns))
        elif pairs:
            line += "   times not judged: the node stood still too often"
        print(line)
    assert not wrong, wrong


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


def tracepoints(path):
    fields = (line.split(",") for line in open(path))
    return {f[2].removeprefix("kvm:"): int(f[0]) for f in fields if len(f) > 2 and f[0].isdigit()}


def check_nested():
    events, mhz = tracepoints("nested.nested"), float(open("tsc-mhz").read())
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
    # What KVM does as a guest hypervisor on AMD each time it enters a guest.
    assert abs(ratios["vmrun"] - 1) < 0.01, ratios
    for reason in "vmload", "vmsave", "stgi", "clgi":
        each = ratios.get(reason, 0)
        assert abs(each - round(each)) < 0.02, (reason, ratios)
    cycles = [int(line) for line in open("cycles")]
    # Means: the node stands still for either of the two.
    own_ns = statistics.mean(cycles) / mhz * 1000
    _, rows = ours("trip.json")
    trip = next(row for row in rows if row["key"] == "trip" and row["trip"] == "cpuid")
    mean_ns = trip["total_ns"] / trip["count"]
    ratio = mean_ns / own_ns
    # Two runs, one after the other: on a machine that does something else meanwhile the emulator is not equally fast in both.
    within = "within" if abs(ratio - 1) < TRIP_WITHIN else "NOT within"
    print(f"a CPUID of L2: {own_ns:.0f} ns by its own clock, {mean_ns:.0f} ns from outside ({ratio:.3f}, {within} {TRIP_WITHIN:.0%})")
    assert 1 / 3 < ratio < 3


if sys.argv[1] == "same":
    check_same(sys.argv[2])
else:
    {"keys": check_keys, "nested": check_nested}[sys.argv[1]]()
