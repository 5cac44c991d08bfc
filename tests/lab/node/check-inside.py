#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds the call chains that vpmu took of a guest's kernel from outside against those that perf took inside it at the same time.

usage: check-inside.py OURS.json TIMES INSIDE.txt KCORE_DIR

TIMES are the seconds of uptime between which both recorded. INSIDE.txt is `perf script -F comm,ip,sym` of `perf record -g --kcore
-e cpu-clock` in the guest, KCORE_DIR what --kcore left: the guest's own symbols, and its code as it was. Compared are the kernel
samples of the process `callers` (callers.c).

What must differ: inside, a sample is an interrupt of the guest. Where the guest has interrupts off it is late; it hits the place where they
come on again: behind an STI, which the code tells, or what an interrupt returns to. From outside nothing is late. So samples
are brought to a common form first, ours and theirs by the same rules:
 1. Of an interrupt's handler the interrupted place is taken. Softirqs, and tasks that are switched to on its way out, turn interrupts on
    themselves; such samples are left out.
 2. The way into the kernel and out of it is left out: entry text, noinstr text, exit_to_user_mode_prepare(), and the place where
    interrupts come on for the first time since the entry.
 3. A switch of tasks is left out: interrupts go off in one task and come on in another.
 4. A section without interrupts is time of the function that turns them on again, and a lock's functions are their callers: in functions
    in which samples were late inside, a call that only one of the two saw is time of the caller.
 5. A chain that ends before the entry code is left out (check-chains.py says how many there may be).

How it is compared: for each function (itself, and with what it called), each call and each whole chain, from the program's function on, had
both the same chance to see it? That is Fisher's exact test, since most are rare. The bound for each is ALPHA divided by the number
of questions (Bonferroni): the chance that a right profile fails is at most ALPHA, however the answers depend on each other.
"""
import bisect
import collections
import json
import math
import mmap
import re
import struct
import sys

ALPHA = 0.001
INTERRUPT = re.compile(r"asm_sysvec_\w+|asm_common_interrupt")
WAY_OUT = re.compile(r"(__)?irq_exit_rcu|irqentry_exit\w*|handle_softirqs|__do_softirq")
IRQ_LOCK = re.compile(r"_raw_(spin|read|write)_(un)?lock_irq\w*")
# What a compiler and the kernel pad with behind an STI.
NOPS = [bytes.fromhex(n) for n in ("90", "6690", "0f1f00", "0f1f4000", "0f1f440000", "660f1f440000", "0f1f8000000000")]


class Kernel:
    """The guest's symbols, and its code."""

    def __init__(self, folder):
        lines = (line.split() for line in open(f"{folder}/kallsyms"))
        symbols = sorted((int(address, 16), name) for address, kind, name, *_ in lines if kind in "tTwW")
        self.names = collections.defaultdict(list)
        for address, name in symbols:
            self.names[address].append(name)
        self.starts = sorted(self.names)
        place = {name: address for address, name in symbols}
        self.entry = [(place[f"__{text}_text_start"], place[f"__{text}_text_end"]) for text in ("entry", "noinstr")]
        with open(f"{folder}/kcore", "rb") as file:
            self.core = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        n = struct.unpack_from("<H", self.core, 56)[0]
        self.segments = [struct.unpack_from("<8xQQ8xQ", self.core, 64 + 56 * i) for i in range(n)]

    def function(self, address):
        return self.starts[bisect.bisect_right(self.starts, address) - 1]

    def is_entry_text(self, address):
        return self.entry[0][0] <= address < self.entry[0][1]

    def is_entry(self, address):
        return any(start <= address < end for start, end in self.entry)

    def is_late(self, address):
        """Whether interrupts were turned on by the last instruction but one, or but the padding, before this address."""
        for offset, start, size in self.segments:
            if start + 8 <= address < start + size:
                before = self.core[offset + address - start - 8:offset + address - start]
                return any(before.endswith(b"\xfb" + nop) for nop in NOPS)
        return False


def read_ours(path, start, end):
    for sample in map(json.loads, open(path)):
        if start <= sample["time_ns"] <= end and sample.get("comm") == "callers" and "guest_pid" in sample and sample["side"].startswith("guest"):
            yield [(int(f["address"], 16), f["symbol"]) for f in sample["frames"] if f["status"] != "truncated"]


def read_theirs(path):
    for block in open(path).read().split("\n\n"):
        head, *frames = block.strip().split("\n")
        if head.split()[:1] == ["callers"]:
            frames = [frame.split() for frame in frames]
            yield [(int(address, 16), name) for address, name, *_ in frames]


class Side:
    """The kernel samples of one side: chains from the program's function to where the sample hit, and what was left out of them."""

    def __init__(self, kernel, chains):
        self.kernel, self.left_out, self.misnamed = kernel, collections.Counter(), collections.Counter()
        self.total = self.entered = 0
        self.paths, self.holders, self.raw = [], set(), collections.Counter()
        for chain in chains:
            n = next((i for i, (address, _) in enumerate(chain) if not address >> 63), len(chain))
            if n:
                self.take(chain[:n], chain[n][1] if n < len(chain) else "?")

    def take(self, chain, user):
        kernel = self.kernel
        self.total += 1
        # (function, address): a return address is behind the call, but what an exception interrupted is where it is.
        frames, exact = [], True
        for address, name in chain:
            start = kernel.function(address - (not exact))
            if name not in kernel.names[start]:
                self.misnamed[f"{name} where the guest has {kernel.names[start][0]}"] += 1
            frames.append((kernel.names[start][0], address))
            exact = kernel.is_entry_text(address)
        self.raw[frames[0][0]] += 1
        self.entered += kernel.is_entry(frames[-1][1])
        reason = self.normalize(frames, user)
        if reason:
            self.left_out[reason] += 1

    def is_interrupt(self, frames, i):
        """Whether an interrupt came in here, or is on its way back to the kernel: in entry text that it shares with exceptions."""
        label, address = frames[i]
        inside = i + 1 < len(frames) and not self.kernel.is_entry(frames[i + 1][1])
        return INTERRUPT.fullmatch(label) or (inside and self.kernel.is_entry_text(address) and not label.startswith("asm_"))

    def normalize(self, frames, user):
        while True:
            i = next((i for i in range(len(frames)) if self.is_interrupt(frames, i)), None)
            if i is None:
                break
            if any(WAY_OUT.fullmatch(label) for label, _ in frames[:i]):
                return "after an interrupt"
            frames = frames[i + 1:]
            if not frames:
                return "interrupted user mode"
        if any(label == "__schedule" for label, _ in frames):
            return "switch of tasks"
        if not self.kernel.is_entry(frames[-1][1]):
            return "cut"
        late = self.kernel.is_late(frames[0][1])
        if any(label == "exit_to_user_mode_prepare" for label, _ in frames) or all(self.kernel.is_entry(a) for _, a in frames[late:]):
            return "way in or out"
        if IRQ_LOCK.fullmatch(frames[0][0]):
            frames = frames[1:]
        path = (user, *(label for label, _ in reversed(frames)))
        if late:
            self.holders.add(path)
        self.paths.append(path)
        return None


def prefixes(paths):
    return {path[:i] for path in paths for i in range(1, len(path) + 1)}


def fold(ours, theirs):
    """Rule 4, for both sides."""
    known = prefixes(ours.paths) & prefixes(theirs.paths)
    for side in (ours, theirs):
        for n, path in enumerate(side.paths):
            for i in range(1, len(path)):
                if path[:i] in theirs.holders and path[:i + 1] not in known:
                    side.paths[n] = path[:i]
                    break


INCLUSIVE = "function and what it called"
FAMILIES = {
    "function itself": lambda path: {path[-1]},
    INCLUSIVE: lambda path: set(path[1:]),
    "call": lambda path: {f"{a} > {b}" for a, b in zip(path, path[1:])},
    "whole chain": lambda path: {" > ".join(path)},
}


def log_choose(n, k):
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def fisher(a, n_a, b, n_b):
    """Two-sided: how often chance alone divides a + b hits as unevenly between n_a and n_b samples, either way."""
    hits, norm = a + b, log_choose(n_a + n_b, a + b)
    low, high = max(0, hits - n_b), min(hits, n_a)

    def tail(values):
        return sum(math.exp(log_choose(n_a, x) + log_choose(n_b, hits - x) - norm) for x in values)
    return min(1.0, 2 * min(tail(range(low, a + 1)), tail(range(a, high + 1))))


def compare(title, ours, theirs):
    n_ours, n_theirs = len(ours), len(theirs)
    rows = []
    for family, of in FAMILIES.items():
        a = collections.Counter(key for path in ours for key in of(path))
        b = collections.Counter(key for path in theirs for key in of(path))
        rows += [(fisher(a[key], n_ours, b[key], n_theirs), family, key, a[key], b[key]) for key in a | b]
    bound = ALPHA / max(len(rows), 1)
    bad = [row for row in rows if row[0] < bound]
    print(f"{title}: {n_ours} samples against {n_theirs}, {len(rows)} comparisons, each at {bound:.1e}; {len(bad)} differ")
    for p, family, key, a, b in sorted(rows)[:max(3, min(len(bad), 20))]:
        print(f"  {'DIFFERS' if p < bound else 'closest to it'}: {a / n_ours:6.2%} {b / n_theirs:6.2%} p {p:.1e} {family}: {key}")
    print("in the common form, functions and what they called (outside, inside):")
    for _, _, key, a, b in sorted((row for row in rows if row[1] == INCLUSIVE), key=lambda row: -row[3] - row[4])[:16]:
        print(f"  {a / n_ours:6.2%} {b / n_theirs:6.2%} {key}")
    return bad


def main():
    start, end = (float(line) * 1e9 for line in open(sys.argv[2]))
    kernel = Kernel(sys.argv[4])
    outside, inside = Side(kernel, read_ours(sys.argv[1], start, end)), Side(kernel, read_theirs(sys.argv[3]))
    for name, side in (("outside", outside), ("inside", inside)):
        print(f"{name}: {side.total} kernel samples of 'callers', {side.entered} chains reach the entry code; left out: {dict(side.left_out)}")
    print("as they are, the function that was hit (outside, inside):")
    for label, _ in (outside.raw + inside.raw).most_common(16):
        print(f"  {outside.raw[label] / outside.total:6.2%} {inside.raw[label] / inside.total:6.2%} {label}")
    problems = [f"{n} frames are named {name}" for name, n in outside.misnamed.items()]
    fold(outside, inside)
    if compare("outside against inside", outside.paths, inside.paths):
        problems.append("outside and inside do not agree")
    # A machine that has other things to do as well leaves the emulated guest little time; with fewer, most comparisons say nothing.
    if min(len(outside.paths), len(inside.paths)) < 300:
        problems.append("fewer than 300 samples are left")
    print("\n".join(problems[:20]))
    sys.exit(1 if problems else 0)


main()
