# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `vpmu time` says, side by side with what the scheduler has in /proc of the same threads, which is looked at all the while, so
that the time between vpmu's first and last look can be cut out of it."""
import bisect
import contextlib
import json
import os
import signal
import subprocess
import threading
import time

PARTS = ("guest", "exit", "qemu", "poll", "halt", "steal", "blocked", "blocked_kvm", "asleep", "unknown")
LOOK_S = 0.01
TICK_NS = 10_000_000


class Watcher(threading.Thread):
    """Looks at schedstat of a process's threads: time on a CPU, time waiting for one."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.looks, self.done = pid, {}, threading.Event()

    def run(self):
        while not self.done.wait(LOOK_S):
            for tid in os.listdir(f"/proc/{self.pid}/task") if os.path.exists(f"/proc/{self.pid}/task") else []:
                try:
                    with open(f"/proc/{self.pid}/task/{tid}/schedstat") as file:
                        on_cpu, wait, _ = map(int, file.read().split())
                except (FileNotFoundError, ProcessLookupError):
                    continue
                self.looks.setdefault(int(tid), []).append((time.monotonic_ns(), on_cpu, wait))

    def between(self, tid, start, end):
        """Nanoseconds on a CPU and waiting, and how wrong they may be; None if it was not looked at then."""
        looks = self.looks.get(tid, [])
        if not looks or looks[0][0] > start or looks[-1][0] < end:
            return None
        first, first_gap = self.at(looks, start)
        last, last_gap = self.at(looks, end)
        # On a CPU is told up to the last clock tick, waiting only when it is over. On a busy machine we look late.
        waits = max(b[2] - a[2] for a, b in zip(looks, looks[1:]))
        return [b - a for a, b in zip(first, last)], first_gap + last_gap + waits + 2 * TICK_NS

    def stall(self):
        return max(b[0] - a[0] for looks in self.looks.values() for a, b in zip(looks, looks[1:])) - int(LOOK_S * 1e9)

    @staticmethod
    def at(looks, when):
        i = max(bisect.bisect_left(looks, (when, 0, 0)), 1)
        before, after = looks[i - 1], looks[i]
        gap = after[0] - before[0]
        return [a + (b - a) * (when - before[0]) / gap for a, b in zip(before[1:], after[1:])], gap


class Vcpu:
    """A row of vpmu's, and the same thread's time on a CPU and waiting, as the scheduler has it."""

    def __init__(self, row, sched, stall):
        self.row, self.sched = row, sched
        self.stall = stall  # how long the machine stood still at most, in nanoseconds: looks were late by that

    def ns(self, part):
        value = self.row[part + "_ns"]
        assert value is not None, f"{part} is not known: {self.row['why']}"
        return value

    def of(self, *parts):
        """The fraction of wall time that these parts are."""
        return sum(map(self.ns, parts)) / self.row["wall_ns"]

    def competitor(self, tid):
        return sum(c["ns"] for c in self.row["competitors"] if c["tid"] == tid) / self.row["wall_ns"]

    def check(self, exact=True):
        """The parts add up, and agree with the scheduler wherever it has an account. In emulation its clock is not exact: the time stamp
        counter is not to be relied on there, and it gets along with the tick."""
        wall = self.row["wall_ns"]
        whole = sum(self.row[part + "_ns"] or 0 for part in PARTS)
        assert abs(whole - wall) <= 0.005 * wall, (whole, wall)
        print(f"vCPU {self.row['vcpu']}: " + ", ".join(f"{part} {self.row[part + '_ns'] / wall:.2%}" for part in PARTS
                                                       if self.row[part + "_ns"]))
        if not self.sched:
            print("  the scheduler was not asked")
            return
        (on_cpu, wait), wrong = self.sched
        ours = [self.of("guest", "exit", "qemu", "poll", "unknown"), self.of("steal")]
        theirs = [on_cpu / wall, wait / wall]
        print(f"  on a CPU {ours[0]:.2%}, the scheduler says {theirs[0]:.2%}; steal {ours[1]:.2%}, {theirs[1]:.2%}; "
              f"give or take {wrong / wall:.2%}")
        told = sum(c["ns"] for c in self.row["competitors"])
        assert told <= self.ns("steal") + wrong, (told, self.ns("steal"))
        if not exact:
            return
        for a, b in zip(ours, theirs):
            # Both are read one after the other: what others do on the machine in between is in one of them.
            assert abs(a - b) < 0.05 + wrong / wall, (a, b, self.row)


def has_programs(pid):
    """Whether the process has attached programs to the kernel."""
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            if "bpf_link" in os.readlink(f"/proc/{pid}/fd/{name}"):
                return True
    return False


def plug_in_when_it_runs(vpmu, pid):
    """The guest's late vCPUs begin half a second after vpmu has."""
    end = time.monotonic() + 20
    while not has_programs(vpmu.pid):
        assert vpmu.poll() is None and time.monotonic() < end, "vpmu time does not begin"
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(pid, signal.SIGUSR2)


def run(vpmu, guest, pid, seconds, competitor=0, *options, late=False):
    """{vcpu: Vcpu}, vpmu's document, and a function: which part of a vCPU's time the process @competitor ran, give or take.
    @late: the guest has vCPUs that are to be plugged in meanwhile."""
    watchers = [Watcher(p) for p in (pid, competitor) if p]
    for watcher in watchers:
        watcher.start()
    time.sleep(5 * LOOK_S)
    start = time.monotonic_ns()
    process = subprocess.Popen([vpmu, "time", guest, "-d", f"{seconds}s", "--json", *options], stdout=subprocess.PIPE)
    if late:
        plug_in_when_it_runs(process, pid)
    told, _ = process.communicate()
    took = time.monotonic_ns() - start
    time.sleep(5 * LOOK_S)
    for watcher in watchers:
        watcher.done.set()
        watcher.join()
    assert process.returncode == 0, f"exit status {process.returncode}"
    document = json.loads(told)
    rows = document["vcpus"]
    assert rows, "no vCPU"
    for row in rows:
        assert row["wall_ns"] <= took, (row["wall_ns"], took)
    assert max(row["wall_ns"] for row in rows) >= seconds * 1e9

    def sched(watcher, tid, row):
        return watcher.between(tid, row["start_ns"], row["start_ns"] + row["wall_ns"])

    def competitors_time(vcpu):
        (ran, _), wrong = sched(watchers[1], competitor, vcpu.row)
        return ran / vcpu.row["wall_ns"], wrong / vcpu.row["wall_ns"]

    stall = watchers[0].stall()
    return {row["vcpu"]: Vcpu(row, sched(watchers[0], row["tid"], row), stall) for row in rows}, document, competitors_time
