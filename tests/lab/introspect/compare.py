#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds `vpmu ps` and `vpmu maps` against what a guest says of itself, and what no command shows (inside.c): which task runs, the
functions of its C library, the kernel's own note of where it is.

usage: compare.py VPMU INSIDE TRUTH PID
TRUTH is what the guest's init wrote (guest-init); PID is the process that runs the guest.
"""
import collections
import json
import re
import subprocess
import sys

VPMU, INSIDE, TRUTH, PID = sys.argv[1:]
GUEST = [f"pid:{PID}"]
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


def exports_of(path):
    """The functions of this machine's own file, which the guest has a copy of, by nm: offset in the file, size, name."""
    segments = [(int(start, 16), int(offset, 16), int(size, 16)) for offset, start, size in
                re.findall(r"LOAD +0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", subprocess.run(
                    ["readelf", "-lW", path], capture_output=True, text=True, check=True).stdout)]
    for line in subprocess.run(["nm", "-D", "--defined-only", "-S", "--without-symbol-versions", path],
                               capture_output=True, text=True, check=True).stdout.splitlines():
        words = line.split()
        if len(words) == 4 and words[2] in "TWi":
            address = int(words[0], 16)
            offset = next(address - start + offset for start, offset, size in segments if start <= address < start + size)
            yield offset, int(words[1], 16), words[3]


def check_inside():
    """The runner never leaves its CPU, where others come for moments only; the other CPUs idle most of the time."""
    runner, its_cpu = section("running")[0].split()
    lines = [line.split(" ") for line in subprocess.run([INSIDE, PID, str(int(its_cpu) + 1), runner], capture_output=True,
                                                        text=True, check=True).stdout.splitlines()]
    tasks = collections.defaultdict(collections.Counter)
    exported = collections.defaultdict(set)
    places = {}
    for kind, *words in lines:
        if kind == "running":
            tasks[int(words[0])][(words[1], " ".join(words[2:]))] += 1
        elif kind == "exported":
            exported[words[0]].add((int(words[1], 16), int(words[2], 16), words[3]))
        else:
            places[kind] = words
    for cpu, seen in sorted(tasks.items()):
        print(f"running on CPU {cpu}: {dict(seen)}")
        wanted = (runner, "runner") if cpu == int(its_cpu) else ("0", f"swapper/{cpu}")
        if seen[wanted] * 2 < sum(seen.values()):
            yield f"CPU {cpu} should run {wanted}"
    if len(tasks) != int(its_cpu) + 1:
        yield f"the running tasks of {len(tasks)} CPUs are known, of {int(its_cpu) + 1}"
    if "kernel" not in places or places.get("note") != places["kernel"]:
        yield f"the kernel is at {places.get('kernel')}, and by its own note at {places.get('note')}"
    library = next((path for path in exported if "/libc.so" in path), None)
    if not library:
        yield f"the C library is not among {list(exported)}"
        return
    wanted = set(exports_of(library))
    print(f"{library}: {len(exported[library])} functions out of the guest's memory")
    if exported[library] != wanted:
        yield f"functions of the C library: {sorted(exported[library] ^ wanted)[:10]}"


problems = [*check_tasks(), *check_maps(), *check_inside()]
print("\n".join(problems))
sys.exit(1 if problems else 0)
