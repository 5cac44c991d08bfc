#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds the call chains of a guest's kernel, which keeps no frame pointers, against how kernels are entered.

usage: check-chains.py SCRIPT.json

From the first sample on that tells its process, 95 % of guest-kernel chains must reach the place where the kernel was
entered. Those of the program `callers` that came from user mode must go on there with the function that asked, its caller and main
(callers.c): 99 % of them all the way, the rest must be marked as cut. Not counted are those cut ones that go through __schedule(): it
switches page tables before stacks, and the program's stack is not to be had through another's.
"""
import collections
import json
import re
import sys

ENTRY = re.compile(r"entry_SYSCALL_64_after_hwframe|entry_SYSCALL_64(_safe_stack)?|asm_(exc|sysvec)_\w+|asm_common_interrupt|"
                   r"ret_from_fork(_asm)?|secondary_startup_64\w*|common_startup_64")
# What the kernel does for whom.
ASKED = {"read": ("ksys_read", "vfs_read", "read_zero", "read_iter_zero"), "fault": ("exc_page_fault", "asm_exc_page_fault", "do_madvise",
         "__x64_sys_madvise"), "futex": ("do_futex", "__x64_sys_futex", "futex_wake")}


def is_kernel(frame):
    return int(frame["address"] or "0", 16) >> 63


def main():
    known, total, entered, joined, exact, cut, switching = False, 0, 0, 0, 0, 0, 0
    entries, missed, by_kind, wrong, depth = (collections.Counter() for _ in range(5))
    # What the kernel recorded comes after what the program took in the same round.
    for sample in sorted(map(json.loads, open(sys.argv[1])), key=lambda sample: sample["time_ns"]):
        known |= "guest_pid" in sample
        # The node's emulated processor is late with the privilege level at times: by record and address.
        if sample["side"] != "guest-kernel" or not known or not is_kernel(sample["frames"][0]):
            continue
        frames = [f for f in sample["frames"] if f["status"] != "truncated"]
        kernel = [f["symbol"] for f in frames if is_kernel(f)]
        user = [f["symbol"] for f in frames if not is_kernel(f)]
        total += 1
        depth[min(len(kernel) // 4 * 4, 40)] += 1
        if kernel[-1] and ENTRY.fullmatch(kernel[-1]):
            entered += 1
            entries[kernel[-1]] += 1
        else:
            missed[f"{kernel[-1]} ({len(kernel)} frames, from {kernel[0]})"] += 1
        if sample["comm"] != "callers" or not user:
            continue
        joined += 1
        kind = (user[0] or "?").partition("_")[0]
        by_kind[kind] += 1
        asked = {k for k, names in ASKED.items() if set(names) & set(kernel)}
        right = ["main"] if kind == "main" else [f"{kind}_inner", f"{kind}_outer", "main"]
        if user[0] == f"{kind}_outer" and not asked:  # interrupted there
            right = right[1:]
        if user[:len(right)] == right and asked <= {kind}:
            exact += 1
        elif user == right[:len(user)] and len(frames) < len(sample["frames"]):
            cut += 1
            switching += "__schedule" in kernel
        else:
            wrong[f"{user[:4]} for {kernel[-3:]}"] += 1
    print(f"{total} guest-kernel chains, {entered} reach an entry point ({100 * entered / max(total, 1):.1f} %): {dict(entries.most_common(12))}")
    print(f"kernel frames: {dict(sorted(depth.items()))}")
    for name, n in missed.most_common(8):
        print(f"  does not: {n} end in {name}")
    print(f"{joined} of them go on in user mode of 'callers': {dict(by_kind)}; {exact} exactly as it is, {cut} cut, {switching} of these while tasks are switched")
    for name, n in wrong.most_common(8):
        print(f"  not so: {n} {name}")
    sys.exit(total < 200 or entered < 0.95 * total or joined < 50 or exact < 0.99 * (joined - switching) or exact + cut < joined)


main()
