#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds `vpmu ps` and `vpmu maps` against what a guest says of itself.

usage: compare.py VPMU TRUTH WORD…
TRUTH is what the guest's init wrote (guest-init); the WORDs say to vpmu which guest is meant.
"""
import json
import re
import subprocess
import sys

VPMU, TRUTH, GUEST = sys.argv[1], sys.argv[2], sys.argv[3:]
KTHREAD = 0x200000


def section(name):
    text = open(TRUTH, errors="surrogateescape").read().split(f"== {name}\n", 1)[1]
    return text.split("== end\n", 1)[0].splitlines()


def vpmu(*words):
    return subprocess.run([VPMU, *words], capture_output=True, text=True, check=True, errors="surrogateescape").stdout


def comes_and_goes(comm):
    """Workers of the kernel's pools are started and ended as there is work."""
    return re.match(r"kworker/u?\d", comm)


def check_tasks():
    """Those of the truth; kernel threads by the 15 characters that their task has, behind which /proc puts more."""
    wanted = {}
    for line in section("tasks"):
        pid, tgid, flags, comm = line.split(" ", 3)
        kernel = bool(int(flags) & KTHREAD)
        if not comes_and_goes(comm):
            wanted[int(pid)] = (int(tgid), comm[:15] if kernel else comm, kernel)
    got = {task["pid"]: (task["tgid"], task["comm"], task["kernel_thread"])
           for task in json.loads(vpmu("ps", "--json", *GUEST))["processes"] if not comes_and_goes(task["comm"])}
    # What the guest started to tell us: the shell's own children are gone when we look.
    for pid in sorted(wanted.keys() | got.keys()):
        if wanted.get(pid) != got.get(pid):
            yield f"task {pid}: the guest says {wanted.get(pid)}, vpmu {got.get(pid)}"
    print(f"tasks: {len(got)}, {sum(kernel for _, _, kernel in got.values())} of them kernel threads")
    if not any(comm == "a b) S 1" for _, comm, _ in got.values()):
        yield "the process with the odd name is missing"


def check_maps():
    maps, pid, areas = {}, None, 0
    for line in section("maps"):
        if line.startswith("process "):
            pid = line.split()[1]
            maps[pid] = []
        else:
            maps[pid].append(line)
    for pid, lines in maps.items():
        # Kernel threads have none; 1 goes on running while it tells.
        if not lines or pid == "1":
            continue
        got = vpmu("maps", *GUEST, pid).splitlines()
        areas += len(got)
        if got != lines:
            yield f"maps of {pid}:"
            yield from (f"  the guest: {line}" for line in lines if line not in got)
            yield from (f"  vpmu:      {line}" for line in got if line not in lines)
    print(f"maps: {areas} areas")
    if not areas:
        yield "no process had any areas"


problems = [*check_tasks(), *check_maps()]
print("\n".join(problems))
sys.exit(1 if problems else 0)
