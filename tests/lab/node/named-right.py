#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds the names that vpmu read out of a guest's memory against the guest's own /proc/kallsyms.

usage: named-right.py REPORT.json RAW KALLSYMS

RAW has misc and address of each sample (perf report -D). Each sample in the guest's kernel belongs to the symbols at
the highest address below it; the report must have as many samples under these names.
"""
import bisect
import collections
import json
import sys

CPUMODE_MASK, GUEST_KERNEL, KERNEL_HALF = 7, 4, 1 << 63


def read_kallsyms(path):
    """Addresses in order, and the names at each."""
    names = collections.defaultdict(set)
    for line in open(path):
        address, letter, name = line.split()[:3]
        if letter in "TtWwDdBb" and int(address, 16) >= KERNEL_HALF:
            names[int(address, 16)].add(name)
    return sorted(names), names


def main():
    addresses, names = read_kallsyms(sys.argv[3])
    wanted = collections.Counter()
    for line in open(sys.argv[2]):
        misc, address = (int(word, 16) for word in line.split())
        if misc & CPUMODE_MASK == GUEST_KERNEL and address >= KERNEL_HALF:
            wanted[addresses[bisect.bisect_right(addresses, address) - 1]] += 1
    reported = collections.Counter()
    for row in json.load(open(sys.argv[1]))["rows"]:
        if row["side"] == "guest-kernel" and row["status"] == "ok":
            reported[row["symbol"]] += row["samples"]
    # Names may stand at several places, and several at one: those are compared together.
    wrong = []
    for start, samples in wanted.items():
        shared = sum(reported[name] for name in names[start])
        elsewhere = sum(n for other, n in wanted.items() if other != start and names[other] & names[start])
        if not samples <= shared <= samples + elsewhere:
            wrong.append(f"{'/'.join(sorted(names[start]))}: {shared}, by kallsyms {samples}")
    print(f"{sys.argv[1]}: {sum(wanted.values())} samples under {len(wanted)} symbols; {len(wrong)} differ")
    print("\n".join(wrong[:20]))
    sys.exit(1 if wrong or not wanted else 0)


main()
