#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
vpmud under real libvirt: domains come and go, libvirtd is restarted, and what vpmud says is held against libvirt and /proc.
Used in the fast lab and in the node. Prints what it measured; any assertion that fails ends it.

usage: follow-guests.py SOCKET XML-FILE START-LIBVIRTD
  XML-FILE: a domain, with @NAME@ where its name goes; of two vCPUs
  START-LIBVIRTD: a command that starts libvirtd, which writes its pid to /run/libvirtd.pid
"""
import atexit
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

DEADLINE_S = float(os.environ.get("LAB_PATIENCE_S", "20"))


class Client:
    """One connection; calls are answered in order."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.rest = b""

    def send(self, method, parameters, more=False):
        message = {"method": "org.vpmu." + method, "parameters": parameters}
        if more:
            message["more"] = True
        self.socket.sendall(json.dumps(message).encode() + b"\0")

    def receive(self):
        while b"\0" not in self.rest:
            piece = self.socket.recv(1 << 16)
            assert piece, "vpmud closed the connection"
            self.rest += piece
        text, self.rest = self.rest.split(b"\0", 1)
        reply = json.loads(text)
        assert "error" not in reply, reply
        return reply["parameters"]

    def call(self, method, **parameters):
        self.send(method, parameters)
        return self.receive()


class Stream(threading.Thread):
    """A call with more, whose replies are kept with the time at which they came."""

    def __init__(self, path, method, **parameters):
        super().__init__(daemon=True)
        self.client = Client(path)
        self.replies = []
        self.failure = None
        self.client.send(method, parameters, more=True)
        self.start()

    def run(self):
        try:
            while True:
                reply = self.client.receive()
                self.replies.append((time.monotonic(), reply))
        except (AssertionError, OSError) as failure:
            self.failure = failure

    def wait(self, what, test, start=0):
        """The first reply from number `start` on for which test() holds, as (number, time, reply)."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            assert not self.failure, self.failure
            for i in range(start, len(self.replies)):
                if test(self.replies[i][1]):
                    return i, *self.replies[i]
            time.sleep(0.01)
        raise AssertionError(f"{what}: not among the {len(self.replies) - start} replies "
                             f"{[r for _, r in self.replies[start:]][-8:]}")


class Standstill(threading.Thread):
    """Looks at the clock all the while: where that was late by far, the machine stood still, or nearly."""

    LOOK_S, FAR_S = 0.02, 0.1

    def __init__(self):
        super().__init__(daemon=True)
        self.looks = [time.monotonic()]
        self.start()

    def run(self):
        while True:
            time.sleep(self.LOOK_S)
            self.looks.append(time.monotonic())

    def within(self, start, end):
        """For how many seconds it did from @start to @end."""
        while self.looks[-1] < end:
            time.sleep(self.LOOK_S)
        gaps = (b - a for a, b in zip(self.looks, self.looks[1:]) if b > start and a < end)
        return sum(gap - self.LOOK_S for gap in gaps if gap > self.FAR_S)


class Referee(threading.Thread):
    """virsh's word on when libvirt told of a start."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen = {}
        self.virsh = subprocess.Popen(["stdbuf", "-oL", "virsh", "event", "--event", "lifecycle", "--loop"],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        atexit.register(self.virsh.kill)
        self.start()

    def run(self):
        for line in self.virsh.stdout:
            match = re.search(r"for domain '?([^':]+)'?: (\w+)", line)
            if match:
                self.seen.setdefault((match[1], match[2]), time.monotonic())

    def wait(self, name, event):
        end = time.monotonic() + DEADLINE_S
        while (name, event) not in self.seen:
            assert time.monotonic() < end, f"libvirt does not tell of {name} {event}: {self.seen}"
            time.sleep(0.01)
        return self.seen[name, event]

    def begin(self, template):
        """virsh says nothing when it has begun to listen: until it does, a domain is defined and forgotten, which starts nothing."""
        end = time.monotonic() + DEADLINE_S
        with open("unused.xml", "w") as out:
            out.write(template.replace("@NAME@", "unused"))
        while ("unused", "Undefined") not in self.seen:
            assert time.monotonic() < end, "virsh event hears nothing"
            virsh("define", "unused.xml")
            virsh("undefine", "unused")
            time.sleep(0.1)

    def stop(self):
        self.virsh.kill()
        self.virsh.wait()


def virsh(*args):
    subprocess.run(["virsh", "-q", *args], check=True, stdout=subprocess.DEVNULL)


def create(name, template):
    xml = f"{name}.xml"
    with open(xml, "w") as out:
        out.write(template.replace("@NAME@", name))
    virsh("create", xml)


def vcpu_threads(pid):
    """What the threads of the process are called, as the kernel says."""
    threads = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm") as comm:
            match = re.fullmatch(r"CPU (\d+)/KVM", comm.read().strip())
        if match:
            threads[int(match[1])] = int(tid)
    return threads


def about(reply, name, *changes):
    return reply["change"] in changes and reply["guest"] and reply["guest"]["name"] == name


def runs(reply, name):
    return about(reply, name, "present", "appeared", "changed", "vcpu-appeared") and reply["guest"]["pid"] and \
        reply["guest"]["libvirt"] and len(reply["guest"]["vcpus"]) == 2


def check_start(feed, referee, standstill, name, template):
    """Creates a domain; how long after libvirt's word vpmud told of it and its vCPUs, by its own feed."""
    before = len(feed.replies)
    create(name, template)
    told = referee.wait(name, "Started")
    _, seen, reply = feed.wait(f"{name} starts", lambda r: runs(r, name), before)
    guest = reply["guest"]
    assert guest["accel"] == "kvm" and guest["state"] == "running", guest
    with open(f"/run/libvirt/qemu/{name}.pid") as pid:
        assert int(pid.read()) == guest["pid"], guest
    assert {v["index"]: v["tid"] for v in guest["vcpus"]} == vcpu_threads(guest["pid"]), guest
    late = standstill.within(told, seen) if told < seen else 0
    print(f"{name}: known with its vCPUs {(seen - told) * 1000:.0f} ms after libvirt told its own client; standstill {late * 1000:.0f} ms")
    assert seen - told < 1 + late, "not within a second"
    return guest


def counted(reply, names):
    """{(guest, vcpu)} that have a value, and the time that they spent in any way."""
    values = {}
    for row in reply["rows"]:
        if row["guest"] in names and row["event"] == "wall-time" and row["value"] is not None:
            values[row["guest"], row["vcpu"]] = int(row["value"])
    return values


def listed(client):
    """Of ours: the machine may have other guests."""
    return [guest["name"] for guest in client.call("ListGuests", guests=["one", "two", "three"])["guests"]]


def samples(client, name):
    sessions = client.call("ListSessions")["sessions"]
    return next(int(s["samples"]) for s in sessions if s["name"] == name)


def active_guests(client, name):
    sessions = client.call("ListSessions")["sessions"]
    return next(s["active_guests"] for s in sessions if s["name"] == name)


def restart_libvirtd(start):
    with open("/run/libvirtd.pid") as file:
        pid = int(file.read())
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + DEADLINE_S
    while os.path.exists(f"/proc/{pid}") and not is_zombie(pid):
        assert time.monotonic() < end, "libvirtd does not end"
        time.sleep(0.05)
    away = time.monotonic()
    time.sleep(1)
    subprocess.run(start, shell=True, check=True)
    virsh("list")
    return time.monotonic() - away


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def check_no_gap(counters, standstill, first, names, interval_ns):
    """Each interval begins where the one before ended, every vCPU is in each, and together they make up the time."""
    kept = counters.replies[first:]
    replies = [reply for _, reply in kept]
    assert len(replies) >= 3, f"only {len(replies)} intervals"
    for before, after in zip(replies, replies[1:]):
        assert before["end_ns"] == after["start_ns"], (before["end_ns"], after["start_ns"])
    together = dict.fromkeys([(name, vcpu) for name in names for vcpu in (0, 1)], 0)
    for reply in replies:
        values = counted(reply, names)
        assert set(values) == set(together), values
        for vcpu, value in values.items():
            together[vcpu] += value
    length = int(replies[-1]["end_ns"]) - int(replies[0]["start_ns"])
    # Time that nobody counted would be missing here. There may be more: a thread is read after its interval's end, by as much
    # as the machine is busy.
    late_ns = 1e9 * standstill.within(kept[0][0] - 2 * length / 1e9, kept[-1][0])
    for value in together.values():
        assert length - interval_ns - late_ns < value < 1.25 * length + interval_ns + late_ns, (together, length, late_ns)
    print(f"{len(replies)} intervals without a gap, of {interval_ns / 1e6:.0f} ms each as asked; standstill {late_ns / 1e6:.0f} ms")


def check_hotplug(feed, counters):
    before, intervals = len(feed.replies), len(counters.replies)
    virsh("setvcpus", "one", "3", "--live")
    feed.wait("one has a third vCPU", lambda r: about(r, "one", "vcpu-appeared") and r["vcpu"]["index"] == 2, before)
    counters.wait("the third vCPU is counted", lambda r: ("one", 2) in counted(r, {"one"}), intervals)
    print("one: a third vCPU was plugged in, and is counted")


def check_save_and_restore(feed):
    """It comes back as another process."""
    before = len(feed.replies)
    create("two", open(sys.argv[2]).read())
    _, _, reply = feed.wait("two runs", lambda r: runs(r, "two"), before)
    pid, before = reply["guest"]["pid"], len(feed.replies)
    virsh("save", "two", "two.saved")
    feed.wait("two is saved", lambda r: about(r, "two", "gone"), before)
    virsh("restore", "two.saved")
    _, _, reply = feed.wait("two is restored", lambda r: runs(r, "two") and r["guest"]["pid"] != pid, before)
    assert reply["guest"]["pid"] != pid, reply
    print(f"two: was saved and restored, process {pid} is {reply['guest']['pid']} now")


def check_sudden_death(client, feed):
    """QEMU is killed in the middle of a session."""
    before = len(feed.replies)
    assert "three" in active_guests(client, "lab")
    with open("/run/libvirt/qemu/three.pid") as pid:
        os.kill(int(pid.read()), signal.SIGKILL)
    feed.wait("three dies", lambda r: about(r, "three", "gone"), before)
    end = time.monotonic() + DEADLINE_S
    while "three" in active_guests(client, "lab"):
        assert time.monotonic() < end, "the session keeps the dead guest"
        time.sleep(0.1)
    had = samples(client, "lab")
    while samples(client, "lab") == had:
        assert time.monotonic() < end, "the session stands still after a guest's death"
        time.sleep(0.1)
    print("three: was killed, the session goes on without it")


def main():
    path, template, start = sys.argv[1], open(sys.argv[2]).read(), sys.argv[3]
    client = Client(path)
    feed = Stream(path, "Subscribe")
    feed.wait("settled", lambda r: r["change"] == "settled")
    referee, standstill = Referee(), Standstill()
    referee.begin(template)

    first = check_start(feed, referee, standstill, "one", template)
    check_start(feed, referee, standstill, "two", template)
    assert listed(client) == ["one", "two"]

    session = client.call("StartSession", name="lab", guests=["one", "t*"], events="cpu-clock", frequency_hz=99)
    assert session["session"]["state"] == "running", session
    counters = Stream(path, "Counters", guests=["one"], events="", interval_ms=500)
    counters.wait("counters", lambda r: len(counted(r, {"one"})) == 2)

    check_start(feed, referee, standstill, "three", template)
    end = time.monotonic() + DEADLINE_S
    while "three" not in active_guests(client, "lab"):
        assert time.monotonic() < end, "the session does not take the third guest in"
        time.sleep(0.1)

    before = len(feed.replies)
    virsh("destroy", "two")
    told = referee.wait("two", "Stopped")
    _, seen, _ = feed.wait("two ends", lambda r: about(r, "two", "gone"), before)
    print(f"two: its end known {(seen - told) * 1000:.0f} ms after libvirt told its own client")
    assert listed(client) == ["one", "three"]

    referee.stop()
    before, intervals, had = len(feed.replies), len(counters.replies), samples(client, "lab")
    away = restart_libvirtd(start)
    end = time.monotonic() + DEADLINE_S
    while len(counters.replies) < intervals + 6:
        assert time.monotonic() < end, "no intervals any more"
        time.sleep(0.1)
    check_no_gap(counters, standstill, max(0, intervals - 1), {"one"}, 500e6)
    disturbed = [r for _, r in feed.replies[before:] if r["change"] in ("gone", "appeared", "vcpu-gone", "vcpu-appeared")]
    assert not disturbed, disturbed
    now = client.call("ListGuests", guests=["one"])["guests"][0]
    assert (now["pid"], now["vcpus"], now["libvirt"]) == (first["pid"], first["vcpus"], True), now
    have = samples(client, "lab")
    assert have > had, f"{had} samples before libvirtd was restarted, {have} after"
    print(f"libvirtd was away for {away:.1f} s; the session went from {had} to {have} samples")

    # libvirt's word is heard again: that a guest is paused /proc cannot tell.
    before = len(feed.replies)
    virsh("suspend", "three")
    feed.wait("three is paused", lambda r: about(r, "three", "changed") and r["guest"]["state"] == "paused", before)
    check_hotplug(feed, counters)
    check_save_and_restore(feed)
    check_sudden_death(client, feed)
    client.call("StopSession", name="lab")
    before = len(feed.replies)
    for name in "one", "two":
        virsh("destroy", name)
        feed.wait(f"{name} ends", lambda r: about(r, name, "gone"), before)
    assert listed(client) == []
    assert not counters.failure and not feed.failure, (counters.failure, feed.failure)


main()
