#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Exits and time of a guest that computes and asks its kernel for things: newer.sh.

usage: check-newer.py exits.json time.json

What an emulated guest with one vCPU does is not known to the count. That KVM tells of each exit and entry, that the parts of the time
add up, and that what led to exits has names is.
"""
import json
import sys

PARTS = ("guest_ns", "exit_ns", "qemu_ns", "poll_ns", "halt_ns", "steal_ns", "blocked_ns", "blocked_kvm_ns", "unknown_ns")


def kernel_frames(frames):
    return [frame for frame in frames if int(frame["address"], 16) >> 63]


def main():
    exits, time = (json.load(open(path)) for path in sys.argv[1:])
    assert exits["silent"] is None and not exits["lost_entries"] and not exits["lost_exits"], exits["silent"]
    reasons = {row["reason"]: row for row in exits["rows"] if row["key"] == "reason"}
    print("exits:", {reason: row["count"] for reason, row in reasons.items()})
    assert reasons["interrupt"]["count"] > 100 and reasons["msr"]["count"] > 100
    assert all(row["untimed"] * 20 <= row["count"] for row in reasons.values() if row["count"] > 100), reasons
    stacks = [(stack["samples"], kernel_frames(stack["frames"])) for stack in exits["stacks"]]
    in_kernel = sum(samples for samples, frames in stacks if frames)
    named = sum(samples for samples, frames in stacks if frames and all(frame["status"] == "ok" for frame in frames))
    print(f"  {in_kernel} stacks begin in the guest's kernel, {named} have names")
    assert in_kernel > 100 and named >= 0.99 * in_kernel

    vcpu, = time["vcpus"]
    print("time:", {part: vcpu[part] for part in PARTS}, "of", vcpu["wall_ns"])
    assert vcpu["why"] is None, vcpu["why"]
    assert abs(sum(vcpu[part] for part in PARTS) - vcpu["wall_ns"]) <= 0.001 * vcpu["wall_ns"]
    assert vcpu["guest_ns"] > 0.2 * vcpu["wall_ns"] and vcpu["unknown_ns"] < 0.05 * vcpu["wall_ns"]
    assert {"interrupt", "msr"} <= {row["reason"] for row in vcpu["reasons"]}


main()
