#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Exits and vCPUs' time out of vpmud: as metrics and as streams, of a guest that leaves itself a known number of times (tests/lab/fast,
primes). Where KVM does not tell of exits these are its events. usage: exits.py STORY, with LAB, the lab's build directory.
"""
import os
import re
import shutil
import signal
import subprocess

from vpmud import Skip, Vpmud, main, wait_until

LAB = os.environ["LAB"]
FAST = "[metrics]\ninterval = 1s\n"
# What a round of the guest is; its reads of the clock and waits leave nothing behind.
CPUID, PORT, MSR, HALTS = 10007, 5004, 4718, 101
PARTS = ["guest", "exit", "qemu", "poll", "halt", "steal", "blocked", "blocked_kvm", "asleep", "unknown"]


class Primes:
    def __init__(self):
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            raise Skip("no permission to use /dev/kvm")
        self.serial = open("serial", "w+b")
        self.process = subprocess.Popen([f"{LAB}/vmm", "--vcpus", "1", "--seconds", "300", f"{LAB}/primes.elf"], stdout=self.serial)
        self.name = f"pid:{self.process.pid}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def round(self):
        before = os.path.getsize("serial")
        self.process.send_signal(signal.SIGUSR1)
        wait_until("the guest's round is over", lambda: os.path.getsize("serial") > before)


def series(text, family, **labels):
    """{the label that is not given: value} of the samples with these labels."""
    found = {}
    for line in text.splitlines():
        match = re.match(rf"{family}_total\{{(.*)\}} (\S+)$", line)
        has = dict(re.findall(r'(\w+)="([^"]*)"', match[1])) if match else {}
        if match and labels.items() <= has.items():
            rest = [value for name, value in has.items() if name not in (*labels, "uuid")]
            found[rest[0]] = float(match[2])
    return found


def metrics_of(client):
    return client.call("Metrics")["text"]


def is_accounted(client, guest):
    """Its clock has begun, and both are read."""
    return series(metrics_of(client), "vpmu_guest_vcpu_time_seconds", guest=guest.name, vcpu="0")


def counts(text, guest):
    """By kind of event or, where there are exits, by reason under the names of the events."""
    events = series(text, "vpmu_guest_kvm_events", guest=guest.name)
    reasons = series(text, "vpmu_guest_exits", guest=guest.name)
    if reasons:
        low = {reason.lower(): count for reason, count in reasons.items()}
        events |= {"cpuid": low.get("cpuid", 0), "port": low.get("io", low.get("io_instruction", 0)),
                   "msr": low.get("msr", low.get("msr_read", 0) + low.get("msr_write", 0))}
    return events


def metrics():
    with Primes() as guest, Vpmud(FAST) as vpmud, vpmud.client() as client:
        wait_until("its vCPU is accounted", lambda: is_accounted(client, guest))
        before = counts(metrics_of(client), guest)
        guest.round()
        guest.round()
        want = {"cpuid": 2 * CPUID, "port": 2 * PORT, "msr": 2 * MSR}

        def are_counted():
            now = counts(metrics_of(client), guest)
            return {kind: now.get(kind, 0) - before.get(kind, 0) for kind in want} == want

        wait_until(f"{want} in {metrics_of(client)}", are_counted)
        text = metrics_of(client)
        parts = series(text, "vpmu_guest_vcpu_time_seconds", guest=guest.name, vcpu="0")
        assert parts and set(parts) <= set(PARTS) and sum(parts.values()) > 0, parts
        assert vpmud.said().count("does not tell of exits") == ("vpmu_guest_exits_total" not in text), vpmud.said()
        if shutil.which("promtool"):
            older = client.call("Metrics", format="prometheus")["text"]
            done = subprocess.run(["promtool", "check", "metrics"], input=older, text=True, capture_output=True)
            assert (done.returncode, done.stdout + done.stderr) == (0, ""), done


def switched_off():
    with Primes() as guest, Vpmud(FAST + "exits = no") as vpmud, vpmud.client() as client:
        wait_until("its vCPU is accounted", lambda: is_accounted(client, guest))
        guest.round()
        assert not counts(metrics_of(client), guest)
        vpmud.configure(FAST + "time = no")
        vpmud.reload()
        wait_until("its clock is gone", lambda: not is_accounted(client, guest))

        def are_counted():
            guest.round()
            return counts(metrics_of(client), guest).get("cpuid", 0) >= CPUID

        wait_until("its exits are there", are_counted)


main(globals())
