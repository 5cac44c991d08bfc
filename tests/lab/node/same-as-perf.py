#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds vpmu's report of a Debian guest against what stock perf says about the same file.

usage: same-as-perf.py REPORT.json RAW [PERF-REPORT]

RAW has misc and address of each sample (perf report -D); PERF-REPORT is `perf kvm report -s sym -F sample,sym -t,`.

  - both sides' totals are perf's
  - at least 99.5 % of the guest-kernel samples have a symbol
  - each guest-kernel symbol has as many samples as in perf's report

What is a guest-kernel sample? KVM says so in the record, from the privilege level in the VMCB. In this lab (SVM as
QEMU 7.2 emulates it) that level is stale at times: addresses of user space are called kernel, and the other way round. So
the second check takes those samples that are the kernel's by both the record and the address. perf and vpmu both go by
the record, so the third one is not concerned.
"""
import collections
import json
import re
import sys

CPUMODE_MASK, GUEST_KERNEL, GUEST_USER = 7, 4, 5
KERNEL_HALF = 1 << 63


def read_raw(path):
    modes, guest_kernel = collections.Counter(), 0
    for line in open(path):
        misc, address = (int(word, 16) for word in line.split())
        modes[misc & CPUMODE_MASK] += 1
        guest_kernel += misc & CPUMODE_MASK == GUEST_KERNEL and address >= KERNEL_HALF
    return modes, guest_kernel


def read_perf(path):
    """Samples of each guest-kernel symbol; unresolved addresses are left out."""
    symbols = collections.Counter()
    for line in open(path):
        match = re.match(r"\s*(\d+)\s*,\s*\[g\]\s+(\S+)\s*$", line)
        if match and not match[2].startswith("0x"):
            symbols[match[2]] += int(match[1])
    return symbols


def main():
    report = json.load(open(sys.argv[1]))
    modes, guest_kernel = read_raw(sys.argv[2])
    coverage, problems = report["coverage"], []

    guest = modes[GUEST_KERNEL] + modes[GUEST_USER]
    host = sum(modes.values()) - guest
    print(f"{sys.argv[1]}: guest {coverage['guest']} (perf {guest}), host {coverage['host']} (perf {host})")
    if (coverage["guest"], coverage["host"]) != (guest, host):
        problems.append("the sides' totals differ from perf's")

    ours = collections.Counter()
    for row in report["rows"]:
        if row["side"] == "guest-kernel" and row["status"] == "ok":
            ours[row["symbol"]] += row["samples"]
    resolved = sum(ours.values())
    share = 100 * resolved / guest_kernel if guest_kernel else 0
    print(f"  {guest_kernel} samples in the guest's kernel, {resolved} with a symbol: {share:.2f} %")
    if guest_kernel < 1000 or share < 99.5:
        problems.append("too few guest-kernel samples, or too few with a symbol")

    if len(sys.argv) > 3:
        theirs = read_perf(sys.argv[3])
        different = [name for name in sorted(set(ours) | set(theirs)) if ours[name] != theirs[name]]
        print(f"  {len(ours)} symbols, perf has {len(theirs)}; {len(different)} with another count")
        for name in different[:20]:
            print(f"    {name}: {ours[name]}, perf {theirs[name]}")
        if different or not theirs:
            problems.append("samples per symbol differ from perf's")

    for problem in problems:
        print("WRONG:", problem)
    return 1 if problems else 0


sys.exit(main())
