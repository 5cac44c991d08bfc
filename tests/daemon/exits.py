#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Exits and vCPUs' time out of vpmud: as metrics and as streams, of a guest that leaves itself a known number of times (tests/lab/fast,
primes). Where KVM does not tell of exits these are its events. usage: exits.py STORY, with LAB, the lab's build directory.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time

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


def intervals(client, method, guest, rounds, **parameters):
    """The replies of a stream that was heard before, while and after the guest did its rounds."""
    client.send(method, {"guests": [guest.name], "interval_ms": 200, **parameters}, more=True)
    replies = [client.receive()]
    for _ in range(rounds):
        guest.round()
    over_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    while int(replies[-1]["parameters"]["end_ns"]) < over_ns:
        replies.append(client.receive())
    assert all(reply.get("continues") for reply in replies), replies[-1]
    replies = [reply["parameters"] for reply in replies]
    for one, other in zip(replies, replies[1:]):
        assert one["end_ns"] == other["start_ns"], (one["end_ns"], other["start_ns"])
    return replies


def rows_of(replies, key):
    return [row for reply in replies for row in reply["rows"] if row["key"] == key]


def total(rows):
    return sum(int(row["count"]) for row in rows)


def by_key():
    with Primes() as guest, Vpmud(FAST) as vpmud, vpmud.client() as client:
        wait_until("vpmud sees it", lambda: client.call("ListGuests", guests=[guest.name])["guests"])
        replies = intervals(client, "Exits", guest, 2, by=["reason", "msr", "port", "cpuid"])
        silent = replies[-1]["silent"]
        assert {row["guest"] for reply in replies for row in reply["rows"]} == {guest.name}
        assert not any(int(replies[-1][name]) for name in ("missed", "unfit", "lost_entries", "lost_exits")), replies[-1]
        assert total(rows_of(replies, "port")) == 2 * PORT
        assert total(rows_of(replies, "msr")) == 2 * MSR
        assert total(row for row in rows_of(replies, "cpuid") if row["cpuid"] == "0x40000000") == 2 * CPUID
        pmu = [row for row in rows_of(replies, "msr") if row["msr"] == "0x186"]
        assert pmu and all(row["pmu"] == "eventsel" and row["write"] for row in pmu), pmu
        assert (not rows_of(replies, "reason")) == (silent is not None), silent
        assert not rows_of(replies, "user"), "nobody asked for these"


def as_vpmu_says():
    """vpmu exits by itself, over the same stretch of time."""
    with Primes() as guest, Vpmud(FAST) as vpmud, vpmud.client() as client:
        wait_until("vpmud sees it", lambda: client.call("ListGuests", guests=[guest.name])["guests"])
        with open("exits.err", "w+") as said, open("exits.json", "w+") as out:
            vpmu = subprocess.Popen([os.environ["VPMU"], "exits", "-v", "--local", "--json", guest.name], stdout=out, stderr=said)
            wait_until("it accounts", lambda: "accounting the exits" in open("exits.err").read())
            replies = intervals(client, "Exits", guest, 1)
            vpmu.send_signal(signal.SIGINT)
            assert vpmu.wait() == 0, open("exits.err").read()
        mine, vpmus = {}, {}
        for row in (row for reply in replies for row in reply["rows"]):
            what = row["key"], row["reason"], row.get(row["key"]), row.get("write")
            mine[what] = mine.get(what, 0) + int(row["count"])
        for row in json.load(open("exits.json"))["rows"]:
            vpmus[row["key"], row["reason"], row.get(row["key"]), row.get("write")] = row["count"]
        # Interrupts come all the time.
        known = {what: count for what, count in mine.items() if count in (CPUID, 5003, 3001, 1009, 401, 307, HALTS)}
        assert len(known) >= 3 and known.items() <= vpmus.items(), (known, vpmus)


def times():
    with Primes() as guest, Vpmud(FAST) as vpmud, vpmud.client() as client:
        wait_until("vpmud sees it", lambda: client.call("ListGuests", guests=[guest.name])["guests"])
        for reply in intervals(client, "Time", guest, 1):
            vcpu, = reply["vcpus"]
            known = {part: int(vcpu[f"{part}_ns"]) for part in PARTS if vcpu[f"{part}_ns"] is not None}
            assert sum(known.values()) == int(vcpu["wall_ns"]) > 0, vcpu
            length = int(reply["end_ns"]) - int(reply["start_ns"])
            assert abs(int(vcpu["wall_ns"]) - length) < length / 2, reply
        check_listed(vpmud, guest)


def check_listed(vpmud, guest):
    """A stream in progress is in the list, of those who may know; the command shows it."""
    with vpmud.client() as other:
        exits = {"guests": [], "by": ["reason", "symbol"], "interval_ms": 500}
        other.send("Exits", exits, more=True)
        other.receive()
        with vpmud.client() as third:
            listed = third.call("ListSessions")
            time_stream, exit_stream = sorted(listed["streams"], key=lambda stream: stream["kind"], reverse=True)
            assert not listed["sessions"], listed
            assert (time_stream["kind"], time_stream["guests"], time_stream["interval_ms"]) == ("time", [guest.name], 200), listed
            assert exit_stream["kind"] == "exits" and set(exit_stream["by"]) == {"reason", "symbol"}, listed
            assert exit_stream["calls"] == 1 and guest.name in exit_stream["active_guests"], listed
            shown = subprocess.run([os.environ["VPMU"], "session", "list", "--socket", vpmud.socket], stdout=subprocess.PIPE,
                                   check=True, text=True).stdout
            assert re.search(rf"(?m)^time +{os.geteuid()} +1 +1 +200 ms +- +{guest.name}$", shown), shown
    with vpmud.client() as third:
        wait_until("it is over", lambda: [stream["kind"] for stream in third.call("ListSessions")["streams"]] == ["time"])


def wrong_calls():
    with Vpmud(FAST) as vpmud, vpmud.client() as client:
        assert client.refused("Exits", guests=[], by=["reason", "moon"])[1]["parameter"] == "by"
        assert client.refused("Exits", guests=[], interval_ms=1)[1]["parameter"] == "interval_ms"
        assert client.refused("Exits", guests=["nobody"])[0] == "GuestNotFound"
        assert client.refused("Time", guests=["nobody"])[0] == "GuestNotFound"
        assert client.refused("Time", guests=[], intervals=0)[1]["parameter"] == "intervals"


def too_many_at_once():
    with Primes() as guest, Vpmud(FAST + "exits = no\ntime = no") as vpmud, vpmud.client() as client, contextlib.ExitStack() as all:
        wait_until("vpmud sees it", lambda: client.call("ListGuests", guests=[guest.name])["guests"])

        def account(method, interval_ms):
            another = all.enter_context(vpmud.client())
            another.send(method, {"guests": [guest.name], "interval_ms": interval_ms}, more=True)
            return another.receive()

        for i in range(16):
            assert account("Exits" if i % 2 else "Time", 200 + i)["continues"]
        for method in "Exits", "Time":
            assert client.refused(method, guests=[guest.name]) == ("LimitReached", {"what": "accounts of exits and time", "limit": 16})
        assert account("Time", 200)["continues"], "there is one already"
        assert client.call("Counters", guests=[guest.name], interval_ms=100)["rows"]


def programs_of(vpmud):
    """How many it has attached; it loads others to look at guests' kernels."""
    directory = f"/proc/{vpmud.process.pid}/fd"
    n = 0
    for name in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):
            n += "bpf_link" in os.readlink(f"{directory}/{name}")
    return n


def programs_go_with_who_asked():
    with Primes() as guest, Vpmud(FAST + "exits = no\ntime = no\n[always-on]\nenabled = no") as vpmud, vpmud.client() as client:
        wait_until("vpmud sees it", lambda: client.call("ListGuests", guests=[guest.name])["guests"])
        assert programs_of(vpmud) == 0
        for method in "Exits", "Time":
            with vpmud.client() as another:
                another.send(method, {"guests": [guest.name], "interval_ms": 100}, more=True)
                another.receive()
                assert programs_of(vpmud)
            wait_until("its programs are gone", lambda: programs_of(vpmud) == 0)


main(globals())
