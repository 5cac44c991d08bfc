#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counters and Metrics, of a process that holds a KVM machine; what vpmud tells of itself. usage: counters.py STORY"""
import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess

from guests import Machine
from sessions import Busy
from vpmud import Skip, Vpmud, main, wait_until

FAST = "[metrics]\ninterval = 1s\n"
TIMES = ["guest-time", "user-time", "system-time", "wait-time", "sleep-time"]


class Guest(Machine):
    """One that this vpmud has seen."""

    def __init__(self, client):
        super().__init__()
        self.name = f"pid:{self.pid}"
        wait_until("vpmud sees the guest", lambda: client.call("ListGuests", guests=[self.name])["guests"])


def values(reply, event):
    return [int(row["value"]) for row in reply["rows"] if row["event"] == event]


def guests_of(reply):
    return {row["guest"] for row in reply["parameters"]["rows"]}


def stream(client, **parameters):
    client.send("Counters", parameters, more=True)


def events_of(vpmud):
    """How many perf events it has open; descriptors go while they are counted."""
    directory = f"/proc/{vpmud.process.pid}/fd"
    n = 0
    for name in os.listdir(directory):
        try:
            n += os.readlink(f"{directory}/{name}") == "anon_inode:[perf_event]"
        except FileNotFoundError:
            pass
    return n


def one_interval():
    with Vpmud(FAST) as vpmud, vpmud.client() as client:
        guest = Guest(client)
        reply = client.call("Counters", guests=[guest.name], events="", interval_ms=200)
        length = int(reply["end_ns"]) - int(reply["start_ns"])
        assert length > 0, reply
        assert {row["guest"] for row in reply["rows"]} == {guest.name}, reply
        wall, = values(reply, "wall-time")
        assert sum(sum(values(reply, event)) for event in TIMES) == wall, reply
        # It only sleeps; the account is a scheduler's tick behind at most.
        assert values(reply, "sleep-time")[0] > wall / 2, reply
        guest.end()


def counters_that_are_refused_say_why():
    with Vpmud(FAST) as vpmud, vpmud.client() as client:
        if client.call("Capabilities").get("hardware_counters"):
            raise Skip("this machine has hardware counters for all")
        guest = Guest(client)
        rows = client.call("Counters", guests=[guest.name], events="cycles,page-faults", interval_ms=200)["rows"]
        cycles = [row for row in rows if row["event"] == "cycles"]
        assert [row["side"] for row in cycles] == ["guest", "host"], rows
        for row in cycles:
            assert row["status"] == "unavailable" and row["value"] is None, row
            assert row["why"] == "this machine has no hardware counters", row
        assert [row for row in rows if row["event"] == "page-faults" and row["value"]], rows
        guest.end()


def intervals_follow_each_other():
    with Vpmud(FAST) as vpmud, vpmud.client() as client:
        guest = Guest(client)
        stream(client, guests=[guest.name], events="", interval_ms=100, intervals=3)
        replies = [client.receive() for _ in range(3)]
        assert [reply.get("continues", False) for reply in replies] == [True, True, False], replies
        times = [(reply["parameters"]["start_ns"], reply["parameters"]["end_ns"]) for reply in replies]
        assert times[0][1] == times[1][0] and times[1][1] == times[2][0], times
        assert client.call("ListGuests", guests=[guest.name])["guests"], "the connection goes on"
        guest.end()


def bounds(client):
    reply = client.receive()["parameters"]
    return reply["start_ns"], reply["end_ns"]


def equal_streams_share_their_counters():
    with Vpmud(FAST) as vpmud, vpmud.client() as first, vpmud.client() as second, vpmud.client() as other:
        guest = Guest(first)
        same = {"guests": [guest.name], "events": "", "interval_ms": 300}
        stream(first, **same)
        stream(other, **{**same, "events": "page-faults"})
        theirs = {bounds(first)}
        stream(second, **same)
        ours = bounds(second)
        # Of the same readings, but not of one from before the call.
        while (last := bounds(first)) != ours:
            theirs.add(last)
            assert len(theirs) < 20, (theirs, ours)
        assert bounds(other) != ours
        guest.end()


def events_go_with_who_asked():
    events = "page-faults,minor-faults,major-faults,alignment-faults,emulation-faults,cpu-migrations,context-switches"
    with Vpmud(FAST) as vpmud, vpmud.client() as client:
        guest = Guest(client)
        counting = [vpmud.client() for _ in range(10)]
        for i, another in enumerate(counting):
            stream(another, guests=[guest.name], events=events, interval_ms=100 + i)
            row = [row for row in another.receive()["parameters"]["rows"] if row["event"] == "page-faults"][0]
            if row["status"] != "ok":
                raise Skip(row["why"])
        opened = events_of(vpmud)
        assert opened >= 70, opened
        for another in counting:
            another.socket.close()
        # Other guests of this machine may come meanwhile.
        wait_until("their events are closed", lambda: events_of(vpmud) <= opened - 60)
        guest.end()


def stream_ends_with_its_guests():
    with Vpmud(FAST) as vpmud, vpmud.client() as client:
        guest = Guest(client)
        stream(client, guests=[guest.name], events="", interval_ms=3600000)
        os.kill(guest.pid, signal.SIGKILL)
        # Not after an hour; and what it did until then is told.
        last = client.receive()
        assert not last.get("continues", False), last
        os.waitpid(guest.pid, 0)


def guests_that_come_join():
    with Vpmud(FAST) as vpmud, vpmud.client() as client, vpmud.client() as other:
        guest = Guest(other)
        stream(client, guests=[], events="", interval_ms=100)
        assert guest.name in guests_of(client.receive())
        late = Guest(other)
        while late.name not in guests_of(client.receive()):
            pass
        late.end()
        while late.name in guests_of(client.receive()):
            pass
        guest.end()


def readers_by_group():
    """Guests are looked for with the eyes of who asks, groups included."""
    if os.geteuid() != 0:
        raise Skip("becoming another user needs root")
    nobody = pwd.getpwnam("nobody")
    with Vpmud(FAST + "[access]\nreaders = @27\n") as vpmud, vpmud.client() as root:
        guest = Guest(root)
        os.setgroups([27])
        os.seteuid(nobody.pw_uid)
        try:
            client = vpmud.client()
        finally:
            os.seteuid(0)
            os.setgroups([])
        with client:
            reply = client.call("Counters", guests=[guest.name], events="", interval_ms=100)
            assert reply["rows"], reply
            assert "StartSession" not in client.call("Capabilities")["methods"]
        assert "StartSession" in root.call("Capabilities")["methods"]
        guest.end()


@contextlib.contextmanager
def reader(config):
    """A vpmud, root's connection to it, and one of nobody's."""
    if os.geteuid() != 0:
        raise Skip("becoming another user needs root")
    with Vpmud(config) as vpmud, vpmud.client() as root:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
        try:
            client = vpmud.client()
        finally:
            os.seteuid(0)
        with client:
            yield vpmud, root, client


def rights_that_are_taken_away():
    with reader(FAST + "[access]\nreaders = nobody\n") as (vpmud, root, client):
        guest = Guest(root)
        stream(client, guests=[guest.name], events="", interval_ms=100)
        assert client.receive()["continues"]
        vpmud.configure(FAST + "[user nobody]\nguests = other\n")
        vpmud.reload()
        while (reply := client.receive()).get("continues", False):
            pass
        assert "error" not in reply, reply
        guest.end()


def the_right_to_look_is_taken_away():
    with reader(FAST + "[access]\nreaders = nobody\n") as (vpmud, root, client):
        guest = Guest(root)
        stream(client, guests=[guest.name], events="", interval_ms=100)
        assert client.receive()["continues"]
        vpmud.configure(FAST + "[access]\nreaders = root\n")
        vpmud.reload()
        while (reply := client.receive()).get("continues", False):
            pass
        assert reply.get("error") == "org.vpmu.PermissionDenied", reply
        guest.end()


def tied_user():
    """What vpmud tells of itself, and of guests, is no more than ListGuests would tell."""
    unique = os.getpid()  # other guests of this machine may come and go meanwhile
    config = FAST + f"[user nobody]\nguests = web-{unique}*\n"
    with Busy(f"web-{unique}") as mine, Busy(f"db-{unique}") as other, reader(config) as (_, root, client):
        wait_until("both are counted", lambda: all(f'vpmu_guest_vcpu_seconds_total{{guest="{name}"' in root.call("Metrics")["text"]
                                                   for name in (mine.name, other.name)))
        text = client.call("Metrics")["text"]
        assert f'vpmu_guest_vcpu_seconds_total{{guest="{mine.name}"' in text, text
        assert other.name not in text and "vpmud_guests" not in text and "vpmud_samples" not in text, text
        assert "vpmud_guests" in root.call("Metrics")["text"]
        usage, all_of_it = client.call("Stats")["usage"], root.call("Stats")["usage"]
        assert sorted(usage) == ["guests", "libvirt", "sessions", "uptime_ms", "vcpus"], usage
        assert (usage["guests"], usage["vcpus"], usage["sessions"]) == (1, 1, 0), usage
        assert all_of_it["guests"] >= 2 and int(all_of_it["calls"]) > 0, all_of_it


def wrong_calls():
    with Vpmud(FAST) as vpmud, vpmud.client() as client:
        guest = Guest(client)
        assert client.refused("Counters", guests=["nobody"])[0] == "GuestNotFound"
        for name, value in (("interval_ms", 99), ("interval_ms", 3600001), ("intervals", 0), ("intervals", -1)):
            error, parameters = client.refused("Counters", guests=[guest.name], **{name: value})
            assert error == "BadValue" and parameters["parameter"] == name, parameters
        error, parameters = client.refused("Counters", guests=[guest.name], events="frobs", interval_ms=3600000)
        assert error == "BadValue" and "frobs" in parameters["text"], parameters
        for guests in [guest.name] * 1001, ["x" * 513]:
            error, parameters = client.refused("Counters", guests=guests, events="", interval_ms=100)
            assert error == "BadValue" and parameters["parameter"] == "guests", parameters
        assert client.refused("Metrics", format="xml")[0] == "BadValue"
        guest.end()


def metrics():
    with Vpmud(FAST) as vpmud, vpmud.client() as client:
        guest = Guest(client)
        series = f'vpmu_guest_vcpu_seconds_total{{guest="{guest.name}",uuid="",vcpu="0",mode="sleep"}} '
        text = wait_until("its series", lambda: [t for t in [client.call("Metrics")["text"]] if series in t])[0]
        assert text.endswith("# EOF\n") and "# TYPE vpmu_guest_vcpu_seconds counter\n" in text, text
        older = client.call("Metrics", format="prometheus")["text"]
        assert "# TYPE vpmu_guest_vcpu_seconds_total counter\n" in older and "# EOF" not in older, older
        if shutil.which("promtool"):
            done = subprocess.run(["promtool", "check", "metrics"], input=older, text=True, capture_output=True)
            assert (done.returncode, done.stdout + done.stderr) == (0, ""), done
        guest.end()
        wait_until("its series are gone", lambda: guest.name not in client.call("Metrics")["text"])


def textfile():
    with Vpmud(FAST + "path = /proc/vpmu.prom") as vpmud, vpmud.client() as client:
        wait_until("failures are counted", lambda: re.search(r"vpmud_metrics_errors_total ([2-9]|\d\d)", client.call("Metrics")["text"]))
        assert vpmud.said().count("cannot write '/proc/vpmu.prom'") == 1, vpmud.said()
        path = os.path.abspath("vpmu.prom")
        vpmud.configure(FAST + f"path = {path}")
        vpmud.reload()
        wait_until("the file is there", lambda: os.path.exists(path))
        with open(path) as file:
            text = file.read()
        assert "vpmud_guests " in text and text.endswith("\n"), text
        assert os.stat(path).st_mode & 0o777 == 0o644
    # Old figures look like new ones, so they go with vpmud; and so does what they were written to.
    assert not [name for name in os.listdir() if "vpmu.prom" in name], os.listdir()


def about():
    with Vpmud(FAST) as vpmud, vpmud.client() as client:
        first = client.call("Stats")["usage"]
        client.refused("StopSession", name="none")
        second = client.call("Stats")["usage"]
        assert int(second["calls"]) == int(first["calls"]) + 2, (first, second)
        assert int(second["calls_failed"]) == int(first["calls_failed"]) + 1, (first, second)
        assert int(second["cpu_ns"]) > int(first["cpu_ns"]) and int(second["memory_bytes"]) > 1 << 20, second
        able = client.call("Capabilities")
        assert able["hostname"] == os.uname().nodename and able["kernel"] == os.uname().release, able
        assert {ability["status"] for ability in able["abilities"]} <= {"ok", "missing"}, able
        assert all(ability["detail"] for ability in able["abilities"]), able


if __name__ == "__main__":
    main(globals())
