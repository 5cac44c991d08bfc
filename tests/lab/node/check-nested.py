#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Are the samples of a guest and those of the guest that it runs told apart?

usage: check-nested.py SCRIPT.json CHAINS       CHAINS: 1 = it was recorded with call chains

The innermost guest is one of the fast lab's: all of its code is in the second 2 MiB of its addresses, where nothing of the
guest that runs it is. So no sample may tell of an address there; those of the innermost guest say that they are nested, and nothing
else: no name, no caller, no process. Without call chains this holds from when the guest's kernel was found: until then
samples are what the host's kernel makes of them.
"""
import collections
import json
import sys

LOW, HIGH = 0x200000, 0x400000


def main():
    chains = sys.argv[2] == "1"
    counts, problems, found = collections.Counter(), collections.Counter(), chains
    for sample in sorted(map(json.loads, open(sys.argv[1])), key=lambda sample: sample["time_ns"]):
        if not sample["side"].startswith("guest"):
            continue
        frames = sample["frames"]
        found = found or "guest_pid" in sample
        if not found:
            counts["before the kernel was found"] += 1
            continue
        if frames[0]["status"] == "nested":
            counts["nested"] += 1
            if [frame["status"] for frame in frames] != ["nested", "truncated"][:1 + chains] or frames[0]["symbol"]:
                problems[f"a nested sample with {frames}"] += 1
            if "guest_pid" in sample:
                problems["a nested sample with a process"] += 1
            continue
        counts[sample["side"]] += 1
        counts["whole chains"] += chains and frames[-1]["status"] != "truncated"
        named = frames[0]["status"] == "ok"
        counts["named"] += named and sample["side"] == "guest-kernel"
        for frame in frames:
            if frame.get("address") and LOW <= int(frame["address"], 16) < HIGH:
                problems[f"an address of the innermost guest: {sample['side']}, {frame}"] += 1
    print(f"{dict(counts)}")
    if counts["nested"] < 100 or counts["guest-kernel"] < 100:
        problems["too few samples of one of the two"] += 1
    for problem, n in problems.most_common(10):
        print("WRONG:", problem, n)
    sys.exit(1 if problems else 0)


main()
