#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares the guest's call chains in a report with those that the guest is known to have.

usage: check-chains.py GUEST.truth REPORT.json PERF-CHAINS

REPORT: vpmu report --sort vcpu,side,symbol -g --json. PERF-CHAINS: the number of samples for which stock perf shows more
than one address in the same file.

Fails unless each of the guest samples has exactly a chain that there can be, every cut chain is one that has to be cut, and the shares
are right within half a point and four standard errors. On VMX, which hides the stack pointer (bpf/guest_regs.bpf.h), a sample where a function has
no frame yet misses one caller: there, half a percent may be such.

Exit status: 0 the truth, 1 not the truth, 2 too few samples to tell, 3 nothing is wrong but shares, which chance may be: more samples tell.
"""
import collections
import json
import math
import re
import sys

ENOUGH = 2000


def read_truth(path):
    """[(regex, share or None)]"""
    chains = []
    for line in open(path):
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "chain":
            share, _, regex = rest.partition(" ")
            chains.append((re.compile(regex), None if share == "-" else float(share) / 100))
    return chains


def hides_stack_pointer():
    return re.search(r"^flags\b.*\bvmx\b", open("/proc/cpuinfo").read(), re.MULTILINE) is not None


def name_of(frame):
    return "<cut>" if frame["status"] == "truncated" else frame["symbol"]


def main():
    truth_path, report_path, perf_chains = sys.argv[1:]
    truth = read_truth(truth_path)
    report = json.load(open(report_path))
    coverage = report["coverage"]
    total, right, stacks, known, wrong = 0, 0, 0, collections.Counter(), collections.Counter()
    for row in report["rows"]:
        if not row["side"].startswith("guest"):
            continue
        for chain in row["chains"]:
            text = "".join(name_of(frame) + " " for frame in chain["frames"])
            total += chain["samples"]
            if len([frame for frame in chain["frames"] if frame["status"] != "truncated"]) > 1:
                stacks += chain["samples"]
            matches = [i for i, (regex, _) in enumerate(truth) if regex.fullmatch(text)]
            if matches:
                known[matches[0]] += chain["samples"]
                right += chain["samples"]
            else:
                wrong[text] += chain["samples"]

    problems, off_shares = [], []
    print(f"  {right} of {total} chains are exactly right ({100 * right / max(total, 1):.2f} %); coverage: {coverage}")
    if right < (0.995 if hides_stack_pointer() else 1) * total:
        problems.append(f"only {right} of {total} chains are right")
    for text, n in wrong.most_common(5):
        print(f"  {n} times: {text}")
        if "<cut>" in text:
            problems.append("a chain is cut that need not be")
    for i, (regex, share) in enumerate(truth):
        print(f"  {100 * known[i] / max(total, 1):6.2f} %  {regex.pattern}")
        if share is None:
            continue
        allowed = 0.005 + 4 * math.sqrt(share * (1 - share) / max(total, 1))
        if abs(known[i] / max(total, 1) - share) > min(allowed, 0.03):
            off_shares.append(f"{regex.pattern}: {100 * known[i] / max(total, 1):.2f} %, known are {100 * share:.0f} %")
    if coverage["guest_chains"] < 0.999 * coverage["guest"]:
        problems.append(f"{coverage['guest_chains']} chains for {coverage['guest']} guest samples")
    if int(perf_chains) < 0.99 * stacks:
        problems.append(f"stock perf shows stacks for {perf_chains} of {stacks} guest samples that have one")
    for problem in problems + off_shares:
        print("WRONG:", problem)
    return 2 if total < ENOUGH else 1 if problems else 3 if off_shares else 0


sys.exit(main())
