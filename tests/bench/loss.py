#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest loses by being sampled: turns of its loop for each second that it ran, while nobody samples it, while stock perf does without
chains, and while vpmu does with chains of 32 addresses. What it means: docs/numbers.md.

Each round has one run of each kind, in changing order, between two looks at the guest alone. Prints medians with 95 % confidence intervals. A loss of a
thousandth drowns in what else a machine does: so vpmu samples at 9999 Hz, too, and a part of that loss is what it is at lower rates.

Exit status: 0 no interval lies above what it may be, 1 one does, 77 nothing could be measured."""
import argparse
import json
import math
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

COUNTER = 0xfffff0      # guests/counter.S
RAM_BYTES = 16 << 20    # vmm.c
SLICE_S = 0.05
WARM_UP_S = 0.1
FAST_HZ = 9999
MAY_LOSE = {999: 1.5, 99: 0.2}  # percent, with chains


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2] / "build")
    parser.add_argument("--rounds", type=int, default=30, help="of some 15 seconds each (%(default)s)")
    parser.add_argument("--window", type=float, default=0.8, help="seconds looked at in each run (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print every round, too")
    return parser.parse_args()


class Guest:
    """Pinned to the last CPU, where those who sample it are not."""

    def __init__(self, lab):
        image = lab / "counter.elf"
        if not os.access("/dev/kvm", os.R_OK | os.W_OK) or not image.exists():
            skip("there is no /dev/kvm that may be used, or no guest was built")
        self.vmm = subprocess.Popen([lab / "vmm", "--seconds", "3600", image], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.pid = self.vmm.pid
        # The clock of another process's CPU time: MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED). All of it is the vCPU's.
        self.clock = (~self.pid << 3) | 2
        time.sleep(0.3)
        if self.vmm.poll() is not None:
            skip("the guest does not start")
        cpus = sorted(os.sched_getaffinity(0))
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            os.sched_setaffinity(int(thread), cpus[-1:])
        os.sched_setaffinity(0, cpus[:-1] or cpus)
        self.memory = open(f"/proc/{self.pid}/mem", "rb", buffering=0)
        self.at = self.ram() + COUNTER

    def ram(self):
        for line in open(f"/proc/{self.pid}/maps"):
            begin, end = (int(word, 16) for word in line.split()[0].split("-"))
            if end - begin == RAM_BYTES and "rw-s" in line:
                return begin
        skip("the guest's memory is not to be found")

    def look(self):
        """(turns, seconds that it ran)"""
        return int.from_bytes(os.pread(self.memory.fileno(), 8, self.at), "little"), time.clock_gettime(self.clock)

    def speed(self, seconds):
        """Median turns a second over short slices: what else the machine does spoils some of them, sampling slows all."""
        speeds, (turns, ran), end = [], self.look(), time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(SLICE_S)
            now_turns, now_ran = self.look()
            if now_ran - ran > SLICE_S / 4:
                speeds.append((now_turns - turns) / (now_ran - ran))
                turns, ran = now_turns, now_ran
        return statistics.median(speeds) if speeds else None

    def end(self):
        self.vmm.kill()
        self.vmm.wait()


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(77)


def samples(recorder):
    """Whether its ring is mapped."""
    try:
        return "[perf_event]" in pathlib.Path(f"/proc/{recorder.pid}/maps").read_text()
    except OSError:
        return False


def sampled(guest, command, window, out):
    """The guest's speed while @command samples it; None = not all the time."""
    recorder = subprocess.Popen(list(map(str, command)), cwd=out, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)
    while not samples(recorder) and recorder.poll() is None:
        time.sleep(0.01)
    time.sleep(WARM_UP_S)
    speed = guest.speed(window)
    if not samples(recorder):
        speed = None
    said = recorder.communicate()[1]
    if recorder.returncode:
        raise RuntimeError(f"{command[0]}: {said.strip()}")
    return speed


def kinds(bench, vpmu, pid):
    """What is compared: name, command."""
    seconds = bench.window + WARM_UP_S + 0.3

    def ours(hz, *options):
        return [vpmu, "record", f"pid:{pid}", "-e", "cpu-clock", "-F", hz, "-d", f"{seconds * 1000:.0f}ms", "-o", "vpmu.data", *options]

    def perf(hz):
        return ["perf", "kvm", "--host", "--guest", "record", "-e", "cpu-clock", "-F", hz, "-p", pid, "-o", "perf.data", "--", "sleep", seconds]

    return {f"perf {hz} Hz": perf(hz) for hz in (999, FAST_HZ)} | {f"vpmu {FAST_HZ} Hz": ours(FAST_HZ)} | {
        f"vpmu -g {hz} Hz": ours(hz, "-g") for hz in (*MAY_LOSE, FAST_HZ)}


def interval(values):
    """Of the median, 95 %: by order, without a word about how the values are distributed."""
    values, n = sorted(values), len(values)
    k = max(0, math.floor(n / 2 - 0.98 * math.sqrt(n)))
    return values[k], statistics.median(values), values[n - 1 - k]


def check_chains(vpmu, out, pid):
    """A guest that is not sampled, or has no chains, loses nothing."""
    report = json.loads(subprocess.run([vpmu, "report", "-i", out / "vpmu.data", "--json", "--limit", "1"], check=True,
                                       capture_output=True, text=True).stdout)["coverage"]
    if not report["guest_chains"] or report["guest_chains"] < 0.99 * report["guest"]:
        skip(f"no chains: {report}")


def measure(bench, vpmu, guest, out):
    """The losses of each round by name, in percent."""
    rounds = []
    compared = list(kinds(bench, vpmu, guest.pid).items())
    checked = False
    for done in range(bench.rounds):
        print(f"\r{done} of {bench.rounds} rounds ", end="", file=sys.stderr, flush=True)
        random.shuffle(compared)
        before = guest.speed(bench.window)
        losses = {}
        for name, command in compared:
            speed = sampled(guest, command, bench.window, out)
            if "-g" in name and not checked:
                check_chains(vpmu, out, guest.pid)
                checked = True
            after = guest.speed(bench.window)
            if before and speed and after:
                losses[name] = 100 * (1 - 2 * speed / (before + after))
                losses["nobody"] = 100 * (1 - after / before)
            before = after
        rounds.append(losses)
    print("\r\033[K", end="", file=sys.stderr)
    return rounds


def line(name, values, limit):
    """Prints one; returns whether it is too much."""
    low, median, high = interval(values)
    verdict = "" if limit is None else "no" if low > limit else "yes" if high <= limit else "cannot be told"
    print(f"{name:16} {median:7.3f}  {low:7.3f} … {high:6.3f}  {f'at most {limit}: {verdict}' if limit else ''}".rstrip())
    return verdict == "no"


def main():
    bench = parse()
    vpmu = bench.build.resolve() / "cli" / "vpmu"
    guest = Guest(bench.build.resolve() / "tests" / "lab" / "fast")
    try:
        with tempfile.TemporaryDirectory() as out:
            rounds = measure(bench, vpmu, guest, pathlib.Path(out))
    finally:
        guest.end()
    print(f"{'sampled by':16} {'loss %':>7}  {'95 % interval':>16}  must be")
    limits = {f"vpmu -g {hz} Hz": limit for hz, limit in MAY_LOSE.items()}
    names = sorted({name for losses in rounds for name in losses})
    failed = [line(name, [losses[name] for losses in rounds if name in losses], limits.get(name)) for name in names]
    fast, perf = f"vpmu -g {FAST_HZ} Hz", f"perf {FAST_HZ} Hz"
    both = [losses for losses in rounds if fast in losses and perf in losses]
    if not both:
        skip("too busy a machine: no recorder sampled for long enough")
    print(f"of {FAST_HZ} Hz the part that is")
    for hz, limit in MAY_LOSE.items():
        failed.append(line(f"        {hz} Hz", [losses[fast] * hz / FAST_HZ for losses in both], limit))
        line("  more than perf", [(losses[fast] - losses[perf]) * hz / FAST_HZ for losses in both], None)
    print(f"{bench.rounds} rounds, load {os.getloadavg()[0]:.1f}")
    if bench.json:
        print(json.dumps(rounds))
    sys.exit(any(failed))


main()
