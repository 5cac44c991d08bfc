#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds the user frames of a program without frame pointers against the call tree that it has (lean.c).

usage: check-lean.py SCRIPT.json

From the first sample on that tells its process, 90 % of the chains must be the tree's from where user mode was left down to _start, the rest
marked as cut, and none may be anything else. (In emulation it takes a while until a process's maps were read.)
"""
import collections
import json
import re
import sys

DEPTH = 8
OWN = "spin|descend|descend_outer|compare|sort_outer|read_inner|read_outer|handler|signal_outer|clock_outer|main"
LIBRARY = rf"(?!(?:{OWN}) )\S+ "
BEGIN = r"main (__libc_start_call_main )?__libc_start_main(_impl)? _start "
# Innermost first, each with a blank behind it. What the library does inside of itself is its own affair.
TREE = {
    "recursion": rf"(spin (descend ){{{DEPTH}}}|({LIBRARY})?(descend ){{1,{DEPTH}}})?descend_outer ",
    "sort": rf"(compare ({LIBRARY})+|({LIBRARY})*)sort_outer ",
    "read": rf"(({LIBRARY})?read_inner )?read_outer ",
    "signal": rf"((spin )?handler ({LIBRARY})+|({LIBRARY})*)signal_outer ",
    "clock": rf"({LIBRARY})*clock_outer ",
    "main": "",
}


def is_kernel(frame):
    return int(frame["address"] or "0", 16) >> 63


def main():
    known, total, exact, cut = False, 0, 0, 0
    kinds, sides, wrong, ends = (collections.Counter() for _ in range(4))
    for sample in sorted(map(json.loads, open(sys.argv[1])), key=lambda sample: sample["time_ns"]):
        known |= "guest_pid" in sample
        if not known or sample["comm"] != "lean":
            continue
        frames = [f for f in sample["frames"] if f["status"] != "truncated"]
        truncated = len(frames) < len(sample["frames"])
        user = [f["symbol"] or f["address"] for f in frames if not is_kernel(f)]
        if not user:
            continue
        total += 1
        chain = "".join(f"{name} " for name in user)
        kind = next((k for k, tree in TREE.items() if re.fullmatch(tree + BEGIN, chain)), None)
        if kind and not truncated:
            exact += 1
            kinds[kind] += 1
            sides[sample["side"]] += 1
        elif truncated:
            cut += 1
            ends[f"{sample['side']} … {' '.join(user[-2:])}"] += 1
        else:
            wrong[f"{sample['side']} {chain}"] += 1
    print(f"{total} chains of 'lean' with user frames: {exact} exactly as it is, {cut} cut: {dict(kinds)}, {dict(sides)}")
    for name, n in ends.most_common(8):
        print(f"  cut: {n} after {name}")
    for name, n in wrong.most_common(8):
        print(f"  not so: {n} {name}")
    sys.exit(total < 100 or exact < 0.9 * total or bool(wrong) or len(kinds) < 5 or len(sides) < 2)


main()
