#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Are NMIs in a guest's kernel followed to what they interrupted?

usage: check-nmis.py SCRIPT.json

An NMI that hits the kernel comes on a stack of its own. The chain of a sample in its handler must go on behind its entry, up to where the
kernel was entered from user mode or begins, and each address of it have a name; from when the guest's kernel was found.
"""
import collections
import json
import sys

ENTRIES = ("asm_exc_nmi", "end_repeat_nmi")
FIRST = ("entry_SYSCALL_64_after_hwframe", "asm_", "secondary_startup_64", "ret_from_fork")


def main():
    n, whole, ends, found = 0, 0, collections.Counter(), False
    for sample in sorted(map(json.loads, open(sys.argv[1])), key=lambda sample: sample["time_ns"]):
        found = found or "guest_pid" in sample
        if sample["side"] != "guest-kernel" or not found:
            continue
        frames = [frame for frame in sample["frames"] if frame["side"] == "guest-kernel" and frame["status"] != "truncated"]
        symbols = [frame["symbol"] for frame in frames]
        entry = next((i for i, symbol in enumerate(symbols) if symbol in ENTRIES), None)
        # One that hit user mode is on the task's stack.
        if "exc_nmi" not in symbols or entry == len(symbols) - 1 and symbols[entry] == "asm_exc_nmi":
            continue
        n += 1
        if entry is not None and entry + 1 < len(symbols) and None not in symbols and symbols[-1].startswith(FIRST):
            whole += 1
            ends[f"{symbols[entry + 1]} … {symbols[-1]}"] += 1
        else:
            print("cut:", " ".join(map(str, symbols)))
    print(f"{n} samples in NMIs that hit the kernel, {whole} with a whole chain:")
    for text, count in ends.most_common(6):
        print(f"  {count} {text}")
    if n < 10 or whole < n:
        print(f"WRONG: {n} samples in NMIs that hit the kernel, {whole} of them with a whole chain")
        sys.exit(1)


main()
