#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares vpmu's report of a guest with what the guest is known to do.

usage: check-truth.py GUEST.truth GUEST.elf REPORT.json RAW

RAW is the referee: for each sample, its misc field and its address, as stock perf reads them in the same file.
Prints a table of known and measured shares; fails if one of these does not hold:

  - at least 5000 guest samples on each vCPU that works
  - at least 99.5 % of the guest samples have a name
  - each function's share is within 2 points of the known one; small shares are held to their own noise,
    half a point and four standard errors
  - a vCPU has no sample of a function that only another one runs
  - each guest sample lies in the guest's image, no host sample does; sides and totals are those of the referee
  - an idle vCPU is not busy

Exit status: 0 the truth, 1 not the truth, 2 too few samples to tell, 3 nothing is wrong but shares, which chance may be: more samples tell.
"""
import collections
import json
import math
import subprocess
import sys

GUEST_SIDES = ("guest-kernel", "guest-user")
CPUMODE_MASK, GUEST_CPUMODES = 7, (4, 5)
problems, off_shares = [], []
too_few = False


def expect(holds, text):
    if not holds:
        problems.append(text)


def read_truth(path):
    """Work as {vcpu: {symbol: units}}, idle vCPUs, the symbol in which the guest exits, ring 0 or not."""
    work, idle, exits, kernel = collections.defaultdict(dict), set(), None, False
    for line in open(path):
        word, *rest = line.split()
        if word == "work":
            work[int(rest[0])][rest[1]] = int(rest[2]) * int(rest[3])
        elif word == "idle":
            idle.add(int(rest[0]))
        elif word == "exits":
            exits = rest[0]
        elif word == "kernel":
            kernel = True
    return work, idle, exits, kernel


def image_of(elf):
    """The image's address range and its function names, as binutils see them."""
    functions, low, high = set(), None, 0
    for line in subprocess.check_output(["nm", "-f", "posix", elf], text=True).splitlines():
        fields = line.split()
        if fields[1] in "Tt" and len(fields) == 4:
            functions.add(fields[0])
            address = int(fields[2], 16)
            low = address if low is None else min(low, address)
            high = max(high, address + int(fields[3], 16))
    return functions, low, high


def check_shares(vcpu, work, counts, exits):
    """One vCPU's samples by symbol against its known units."""
    global too_few
    total_units = sum(work.values())
    total = sum(n for name, n in counts.items() if name != exits)
    too_few |= total < 5000
    expect(total >= 5000, f"vCPU {vcpu}: only {total} guest samples")
    for name, units in sorted(work.items(), key=lambda item: -item[1]):
        known = units / total_units
        measured = counts[name] / total if total else 0
        noise = 100 * math.sqrt(known * (1 - known) / max(total, 1))
        allowed = min(2, 0.5 + 4 * noise)
        wrong = abs(measured - known) * 100 > allowed
        print(f"  vCPU {vcpu} {name:12} known {100 * known:6.2f} %  measured {100 * measured:6.2f} %"
              f"  allowed ±{allowed:.2f}{'  WRONG' if wrong else ''}")
        if wrong:
            off_shares.append(f"vCPU {vcpu}: {name} has {100 * measured:.2f} %, known are {100 * known:.2f} %")


def check_raw(raw, low, high, sides):
    """The referee's view: addresses on the right side, and the same totals as ours."""
    guest = host = 0
    for line in open(raw):
        misc, address = (int(word, 16) for word in line.split())
        inside = low <= address < high
        if misc & CPUMODE_MASK in GUEST_CPUMODES:
            guest += 1
            expect(inside, f"guest sample at {address:#x}, outside the guest's image")
        else:
            host += 1
            expect(not inside, f"host sample at {address:#x}, inside the guest's image")
    ours = sum(n for side, n in sides.items() if side in GUEST_SIDES)
    expect(ours == guest, f"{ours} guest samples reported, perf finds {guest}")
    expect(sum(sides.values()) - ours == host,
           f"{sum(sides.values()) - ours} host samples reported, perf finds {host}")


def main():
    truth_path, elf, report_path, raw = sys.argv[1:]
    work, idle, exits, kernel = read_truth(truth_path)
    functions, low, high = image_of(elf)
    report = json.load(open(report_path))
    coverage, rows = report["coverage"], report["rows"]

    counts = collections.defaultdict(collections.Counter)
    sides, on_vcpu = collections.Counter(), collections.Counter()
    for row in rows:
        sides[row["side"]] += row["samples"]
        on_vcpu[row["vcpu"]] += row["samples"]
        if row["side"] in GUEST_SIDES:
            counts[row["vcpu"]][row["symbol"]] += row["samples"]

    for vcpu, units in sorted(work.items()):
        check_shares(vcpu, units, counts[vcpu], exits)
        foreign = set(counts[vcpu]) & {name for other in work if other != vcpu for name in work[other]}
        expect(not foreign, f"vCPU {vcpu} has samples of {', '.join(sorted(foreign))}, which it never runs")
    for vcpu in idle:
        busy = sum(counts[vcpu].values())
        print(f"  vCPU {vcpu} idle: {busy} guest samples, {on_vcpu[vcpu]} in all")
        # Next to busy vCPUs a tenth of their samples; alone, of those that 4000 Hz give in two seconds.
        possible = coverage["samples"] if work else 8000
        expect(on_vcpu[vcpu] < 0.1 * possible,
               f"the idle vCPU {vcpu} has {on_vcpu[vcpu]} samples of {possible} possible ones")

    guest_total = sum(sum(names.values()) for names in counts.values())
    named = sum(n for names in counts.values() for name, n in names.items() if name in functions)
    expect(named >= 0.995 * guest_total, f"only {named} of {guest_total} guest samples have a name of the image's")
    wrong_ring = "guest-user" if kernel else "guest-kernel"
    expect(idle or sides[wrong_ring] == 0, f"{sides[wrong_ring]} samples are {wrong_ring}")
    if exits:
        host = sum(n for side, n in sides.items() if side not in GUEST_SIDES)
        expect(host >= 0.01 * sum(sides.values()), f"a guest that exits all the time, and only {host} host samples")
    check_raw(raw, low, high, sides)
    expect(coverage["guest"] == guest_total, f"coverage says {coverage['guest']} guest samples, rows say {guest_total}")
    expect(coverage["guest"] + coverage["host"] == coverage["samples"], f"the coverage does not add up: {coverage}")
    expect(sum(sides.values()) == coverage["samples"], "the rows do not add up to the coverage's samples")

    print("  sides:", dict(sides), "coverage:", coverage)
    for problem in (problems + off_shares)[:20]:
        print("WRONG:", problem)
    return 2 if too_few else 1 if problems else 3 if off_shares else 0


sys.exit(main())
