#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Are NMIs in a guest's kernel followed to what they interrupted?

usage: check-nmis.py SCRIPT.json

An NMI that hits the kernel comes on a stack of its own. The chain of a sample in its handler must go on behind its entry with what it
interrupted, and each address of it have a name; from when the guest's kernel was found. Most must reach where the kernel was entered from user
mode or begins; the others must be marked as cut: an NMI may hit the thunks that returns and calls go through, which no table tells of. (How
often that may be is check-chains.py's to say, which has a hundred times as many chains.)
"""
import collections
import json
import math
import re
import sys

ENTRIES = ("asm_exc_nmi", "end_repeat_nmi")
# Where chains begin. An NMI may hit any instruction of the way in and out (arch/x86/entry/entry_64.S), where user mode is all that is left to be
# followed. rest_init() is where the first CPU's idle task begins: what called it was given back once the kernel had started.
FIRST = re.compile(r"asm_\w+|entry_SYS\w+|syscall_return_via_sysret|(common_interrupt|error)_return|swapgs_restore_regs_and_return_to_usermode|"
                   r"native_i(ret|rq_return_iret)|(error|paranoid)_entry|secondary_startup_64\w*|ret_from_fork\w*|rest_init")


def main():
    n, whole, wrong, ends, found = 0, 0, 0, collections.Counter(), False
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
        if entry is None or entry + 1 == len(symbols) or None in symbols:
            wrong += 1
            print("not followed:", " ".join(map(str, symbols)))
        elif FIRST.fullmatch(symbols[-1]):
            whole += 1
            ends[f"{symbols[entry + 1]} … {symbols[-1]}"] += 1
        else:
            wrong += all(frame["status"] != "truncated" for frame in sample["frames"])
            print("cut:", " ".join(map(str, symbols)))
    print(f"{n} samples in NMIs that hit the kernel, {whole} with a whole chain:")
    for text, count in ends.most_common(6):
        print(f"  {count} {text}")
    # Nine of ten, and four standard errors.
    if n < 10 or wrong or whole < 0.9 * n - 4 * math.sqrt(0.09 * n):
        print(f"WRONG: {n} samples in NMIs that hit the kernel, {whole} of them with a whole chain, {wrong} not followed or not marked")
        sys.exit(1)


main()
