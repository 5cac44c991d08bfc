#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vpmu time on a guest, perf beside it. usage: time-guest.py VPMU GUEST PID SECONDS"""
import glob
import os
import sys
import time

here = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [here, os.path.dirname(here)]
sys.dont_write_bytecode = True
import replay  # noqa: E402
import time_referee  # noqa: E402

vpmu, guest, pid, seconds = sys.argv[1:]
names = {int(tid): open(f"/proc/{pid}/task/{tid}/comm").read() for tid in os.listdir(f"/proc/{pid}/task")}
recording = replay.Recording("time.data", [tid for tid, name in names.items() if name.startswith("CPU ")])
time.sleep(0.5)


def halts():
    """What KVM counts of them, polling and asleep."""
    return [sum(int(open(path).read()) for name in names for path in glob.glob(f"/sys/kernel/debug/kvm/{pid}-*/{name}"))
            for names in (("halt_poll_success_ns", "halt_poll_fail_ns"), ("halt_wait_ns",))]


before = halts()
vcpus, document, _ = time_referee.run(vpmu, guest, int(pid), int(seconds))
poll, wait = (b - a for a, b in zip(before, halts()))
recording.stop()
for vcpu in vcpus.values():
    vcpu.check(exact=False)
    replay.compare(vcpu.row, recording.events, vcpu.stall)
if poll + wait:
    ours = [sum(vcpu.ns(part) for vcpu in vcpus.values()) for part in ("poll", "halt")]
    print(f"  of halted time {ours[0] / sum(ours):.2%} is polling, KVM says {poll / (poll + wait):.2%}")
    # A standstill of the emulated processor may lie between the exit and the look at the clock that KVM begins with.
    bound = 0.02 + sum(vcpu.stall for vcpu in vcpus.values()) / sum(ours)
    assert abs(ours[0] / sum(ours) - poll / (poll + wait)) < bound, bound
