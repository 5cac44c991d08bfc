#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds what a recording says of a guest's processes against what they said themselves (three.c).

usage: check-processes.py SCRIPT.json CONSOLE

From the first one that tells its process on (vpmu has to find the guest's kernel first, which takes the emulated node seconds),
99 % of guest-user samples must. Those of the three must have the pid and the name that the process printed,
and be in the function that only this process runs. Kernel samples of the guest must have a symbol in 99.9 %.
"""
import collections
import json
import re
import sys


def share(part, whole):
    return part / whole if whole else 0.0


def main():
    pids = {int(pid): name for name, pid in re.findall(r"THREE (\w+) (\d+)", open(sys.argv[2]).read())}
    problems = [] if len(pids) == 3 else [f"the guest told of {len(pids)} processes"]
    early = user = known = named = kernel = kernel_named = kernel_known = whole = chains = 0
    by_name = collections.Counter()
    # What the kernel recorded comes after what the program took in the same round.
    for sample in sorted(map(json.loads, open(sys.argv[1])), key=lambda sample: sample["time_ns"]):
        frames = sample["frames"]
        if sample["side"] == "guest-kernel":
            # The node's emulated processor is late with the privilege level at times: by record and address.
            if int(frames[0]["address"], 16) >> 63:
                kernel += 1
                kernel_named += frames[0]["status"] == "ok"
                kernel_known += "guest_pid" in sample
            continue
        if sample["side"] != "guest-user" or int(frames[0]["address"], 16) >> 63:
            continue
        if not known and "guest_pid" not in sample:
            early += 1
            continue
        user += 1
        known += "guest_pid" in sample
        name = pids.get(sample.get("guest_pid"))
        if sample["comm"] in pids.values() and not name:
            problems.append(f"'{sample['comm']}' with pid {sample.get('guest_pid')}")
        if not name:
            continue
        by_name[name] += 1
        if sample["comm"] != name:
            problems.append(f"pid {sample['guest_pid']} is {name}, not '{sample['comm']}'")
        symbols = [frame["symbol"] for frame in frames]
        named += symbols[0] in (f"{name}_inner", f"{name}_outer")
        if symbols[0] and not symbols[0].startswith(name):
            problems.append(f"{name} in {symbols[0]}")
        if len(frames) > 1:
            chains += 1
            whole += "main" in symbols
    three = sum(by_name.values())
    print(f"{early} guest-user samples before the kernel was found; {user} then, {known} with process; {three} of the three: {dict(by_name)}, {named} named")
    print(f"{kernel} guest-kernel samples, {kernel_named} named, {kernel_known} with process; {chains} user chains, {whole} reach main")
    if early > user:
        problems.append("the guest's kernel was found too late")
    if share(known, user) < 0.99:
        problems.append("fewer than 99 % of guest-user samples tell their process")
    if three < 100 or len(by_name) != 3 or min(by_name.values()) * 5 < max(by_name.values()):
        problems.append("the three did not share the processor")
    if share(named, three) < 0.99:
        problems.append("fewer than 99 % of the three's samples have their function")
    if share(kernel_named, kernel) < 0.999:
        problems.append("fewer than 99.9 % of guest-kernel samples are named")
    print("\n".join(problems[:20]))
    sys.exit(1 if problems else 0)


main()
