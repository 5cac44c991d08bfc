# SPDX-License-Identifier: LGPL-2.1-or-later
"""A vCPU thread's time once more, from stock perf's recording of the same tracepoints: the second opinion on `vpmu time`."""
import collections
import os
import re
import signal
import subprocess

EVENTS = ("kvm:kvm_entry", "kvm:kvm_exit", "kvm:kvm_userspace_exit")
LINE = re.compile(r"\s*(-?\d+)\s+(\d+)\.(\d{9}):\s+(\w+:\w+):\s*(.*)")
SWITCH = re.compile(r"prev_pid=(-?\d+) .*prev_state=(\S+) ==> .*next_pid=(-?\d+)")


class Recording:
    """perf record, in the background, of what concerns the threads @tids."""

    def __init__(self, path, tids):
        self.path = path
        for fifo in "control", "ack":
            os.mkfifo(f"{path}.{fifo}")
        either = [" || ".join(form.format(tid=tid) for tid in tids)
                  for form in ("prev_pid=={tid} || next_pid=={tid}", "pid=={tid}")]
        command = ["perf", "record", "-q", "-a", "-k", "mono", "-m", "16M", "-o", path, "-D", "-1",
                   "--control", f"fifo:{path}.control,{path}.ack"]
        for event in EVENTS:
            command += ["-e", event, "--filter", " || ".join(f"common_pid=={tid}" for tid in tids)]
        command += ["-e", "sched:sched_switch", "--filter", either[0], "-e", "sched:sched_wakeup", "--filter", either[1]]
        self.process = subprocess.Popen(command)
        self.control, self.ack = open(f"{path}.control", "w"), open(f"{path}.ack")
        self.tell("enable")

    def tell(self, what):
        self.control.write(f"{what}\n")
        self.control.flush()
        assert "ack" in self.ack.readline()

    def stop(self):
        self.tell("disable")
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        text = subprocess.run(["perf", "script", "-i", self.path, "--ns", "-F", "tid,time,event,trace"], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
        assert "lost" not in text.stderr.lower(), text.stderr
        self.events = []
        for line in text.stdout.splitlines():
            match = LINE.match(line)
            assert match, line
            tid, seconds, nanoseconds, event, rest = match.groups()
            self.events.append((int(seconds) * 1_000_000_000 + int(nanoseconds), int(tid), event, rest))


def shortest_gap(events):
    """What it takes, here, to record an event: no two of a thread can be closer. Twice that lies between perf's time and ours, at most."""
    last, gap = {}, 1_000_000
    for when, tid, event, _ in events:
        if event.startswith("kvm:"):
            gap = min(gap, when - last.get(tid, 0))
            last[tid] = when
    return gap


class Replay:
    """Time of thread @tid from @start to @end: guest, exit, user, wait, sleep, unknown; and its exits by reason."""

    def __init__(self, events, tid, start, end):
        self.time, self.exits = collections.Counter(), collections.Counter()
        self.run = self.where = None
        self.events = 0
        last = 0
        for when, who, event, rest in events + [(end, -1, "", "")]:
            if when > end:
                when, event = end, ""
            self.time[self.part()] += max(0, when - max(last, start))
            last = when
            self.events += event != "" and when >= start
            if event == "sched:sched_switch":
                self.switch(tid, SWITCH.search(rest))
            elif event == "sched:sched_wakeup":
                if f" pid={tid} " in f" {rest} " and self.run == "sleep":
                    self.run = "wait"
            elif event and who == tid:
                self.kvm(event, rest, when >= start)

    def part(self):
        if self.run in ("wait", "sleep"):
            return self.run
        return self.where if self.run and self.where else "unknown"

    def switch(self, tid, match):
        prev, state, following = match.groups()
        if int(prev) == tid:
            self.run = "wait" if state.startswith("R") else "sleep"
        elif int(following) == tid:
            self.run = "run"

    def kvm(self, event, rest, counts):
        self.run = "run"
        if event == "kvm:kvm_entry":
            self.where = "guest"
        elif event == "kvm:kvm_userspace_exit":
            self.where = "user"
        else:
            self.where = "exit"
            if counts:
                assert " reason " in rest and " rip " in rest, rest
                self.exits[rest.split(" reason ")[1].split(" rip ")[0].lower()] += 1


def compare(row, events, stall):
    """vpmu's row and the replay of the same time: the same exits, and each kind of time within 0.5 % of the whole, apart from what
    recording takes: perf notes the time before it writes the record, vpmu after that, so each exit shifts a little to the guest.
    @stall: how long the emulation stood still at most, which may have been between the two."""
    replay = Replay(events, row["tid"], row["start_ns"], row["start_ns"] + row["wall_ns"])
    ours = {
        "guest": row["guest_ns"], "exit": row["exit_ns"] + row["poll_ns"], "user": row["qemu_ns"], "wait": row["steal_ns"],
        "sleep": row["halt_ns"] + row["blocked_ns"] + row["blocked_kvm_ns"], "unknown": row["unknown_ns"],
    }
    wall = row["wall_ns"]
    print(f"vCPU {row['vcpu']}, {wall / 1e9:.2f} s: " +
          ", ".join(f"{part} {ours[part] / wall:.3%} ({replay.time[part] / wall:.3%})" for part in ours))
    reasons = {reason["reason"].lower(): reason["count"] for reason in row["reasons"]}
    print(f"  exits {reasons} ({dict(replay.exits)})")
    assert row["step_ns"] == 0 and row["why"] is None, row["why"]
    assert row["unpaired"] == 0, row["unpaired"]
    recording = 2 * shortest_gap(events) * replay.events
    print(f"  recording may have taken {recording / wall:.2%}, a standstill {stall / wall:.2%}")
    for part in ours:
        assert abs(ours[part] - replay.time[part]) <= 0.005 * wall + recording + stall, part
    for reason in set(reasons) | set(replay.exits):
        there, here = replay.exits[reason], reasons.get(reason, 0)
        assert abs(there - here) <= 2 + 0.005 * there, (reason, here, there)
