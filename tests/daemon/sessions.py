#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sessions and recordings through the socket, of processes that hold a KVM machine and are busy. usage: sessions.py STORY"""
import base64
import fcntl
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import time

from vpmud import Skip, Vpmud, main, wait_until

SANITIZED = os.environ.get("SANITIZED", "none") != "none"

VPMU = os.environ.get("VPMU", "vpmu")


# What the process does: argv is its script, the descriptor to say that it is ready, and QEMU's options.
SCRIPT = """
import fcntl, os, sys
vm = fcntl.ioctl(os.open("/dev/kvm", os.O_RDWR), 0xAE01, 0)  # KVM_CREATE_VM
fcntl.ioctl(vm, 0xAE41, 0)  # KVM_CREATE_VCPU
os.write(int(sys.argv[1]), b"!")
parent = os.getppid()
while os.getppid() == parent:
    pass
"""


class Busy:
    """A process that looks like QEMU and holds a KVM machine, whose only vCPU is busy on the host's side."""

    def __init__(self, name=None):
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            raise Skip("no permission to use /dev/kvm")
        if not os.path.exists("qemu-system-x86_64"):
            shutil.copy(os.path.realpath(sys.executable), "qemu-system-x86_64")
        ready, say = os.pipe()
        options = ["-name", f"guest={name},debug-threads=on"] if name else []
        self.process = subprocess.Popen(["./qemu-system-x86_64", "-c", SCRIPT, str(say), *options], pass_fds=[say])
        os.close(say)
        made = os.read(ready, 1)
        os.close(ready)
        if not made:
            self.process.wait()
            raise Skip("KVM cannot create a machine here")
        self.name = name or f"pid:{self.process.pid}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Seen:
    """A vpmud that sees a busy guest."""

    def __init__(self, config="", **options):
        self.config, self.options = config, options

    def __enter__(self):
        self.guest = Busy("web1")
        self.vpmud = Vpmud(self.config, **self.options)
        self.vpmud.__enter__()
        with self.vpmud.client() as client:
            wait_until("the guest is seen", lambda: client.call("ListGuests", guests=[self.guest.name])["guests"])
        return self.vpmud, self.guest

    def __exit__(self, *failure):
        self.guest.__exit__()
        self.vpmud.__exit__(*failure)


def start(client, **parameters):
    """StartSession; skips where there are no perf events."""
    parameters = {"events": "cpu-clock", "frequency_hz": 999, **parameters}
    client.send("StartSession", parameters)
    reply = client.receive()
    if "perf_event_paranoid" in str(reply.get("parameters")):
        raise Skip("perf events are not available here (perf_event_paranoid, CAP_PERFMON)")
    assert "error" not in reply, reply
    return reply["parameters"]["session"]


def sessions(client):
    return {s["name"]: s for s in client.call("ListSessions")["sessions"]}


def record(client, **parameters):
    """Record with "more": the last reply, and those before."""
    client.send("Record", {"events": "cpu-clock", "frequency_hz": 999, **parameters}, more=True)
    replies = [client.receive()]
    while replies[-1].get("continues"):
        replies.append(client.receive())
    assert "error" not in replies[-1], replies[-1]
    return replies[-1]["parameters"], [r["parameters"] for r in replies[:-1]]


def report(path, *arguments):
    return json.loads(subprocess.run([VPMU, "report", "-i", path, "--json", *arguments], check=True,
                                     stdout=subprocess.PIPE).stdout)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def take_file(client):
    """The recording that came as a descriptor, as bytes."""
    fd = client.files.pop()
    assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    with os.fdopen(fd, "rb") as file:
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0
        return file.read()


# ---- sessions ----


def life():
    with Seen() as (vpmud, guest), vpmud.client() as client, vpmud.client() as other:
        session = start(client, name="mine", guests=[guest.name], side="host", priority=7)
        assert session["state"] == "running" and session["active_guests"] == [guest.name], session
        assert session["events"] == [{"event": "cpu-clock", "status": "granted", "why": None}], session
        assert not session["lasting"] and not session["recording"] and session["owner_pid"] == os.getpid(), session
        assert (session["sides"], session["priority"], session["frequency_hz"]) == ("host", 7, 999), session
        assert session["owner_uid"] == os.geteuid() and session["source"] == "cpu-clock 999 Hz", session
        wait_until("samples come", lambda: int(sessions(other)["mine"]["samples"]) > 100)
        assert other.refused("StartSession", name="mine", guests=[])[0] == "SessionExists"
        made_up = [start(client, guests=[guest.name])["name"] for _ in range(2)]
        assert len(set(made_up)) == 2 and all(n.startswith("session-") for n in made_up), made_up
        stopped = other.call("StopSession", name="mine")["session"]
        assert int(stopped["samples"]) > 100 and stopped["active_guests"] == [], stopped
        assert other.refused("StopSession", name="mine") == ("SessionNotFound", {"name": "mine"})
        assert sorted(sessions(client)) == sorted(made_up)
        start(client, name="mine", guests=[guest.name])


def time_is_over():
    with Seen() as (vpmud, guest), vpmud.client() as client:
        session = start(client, name="short", guests=[guest.name], duration_ms=1000)
        assert 0 < session["remaining_ms"] <= 1000, session
        wait_until("it is done", lambda: sessions(client)["short"]["state"] == "done")
        done = sessions(client)["short"]
        assert done["remaining_ms"] == 0 and int(done["samples"]) > 0, done
        assert client.call("StopSession", name="short")["session"]["samples"] == done["samples"]
        assert sessions(client) == {}


def the_owner_goes():
    with Seen("[limits]\nmax-sessions-per-user = 3") as (vpmud, guest), vpmud.client() as client:
        with vpmud.client() as owner:
            for _ in range(2):
                start(owner, guests=[guest.name])
            start(owner, name="lasting", guests=[guest.name], lasting=True)
            error, parameters = client.refused("StartSession", guests=[])
            assert error == "LimitReached" and parameters == {"what": "sessions", "limit": 3}, parameters
        wait_until("two sessions end", lambda: list(sessions(client)) == ["lasting"])
        samples = int(sessions(client)["lasting"]["samples"])
        wait_until("the lasting one goes on", lambda: int(sessions(client)["lasting"]["samples"]) > samples)
        # What they were charged is given back, and a client that dies in the middle of starting costs nothing.
        for _ in range(20):
            with vpmud.client() as dying:
                dying.send("StartSession", {"guests": [guest.name], "events": "cpu-clock"})

        def starts():
            client.send("StartSession", {"guests": [], "events": "cpu-clock"})
            return "error" not in client.receive()

        wait_until("there is room again", starts)
        wait_until("for two", starts)


def guests_that_come():
    with Seen() as (vpmud, guest), vpmud.client() as client:
        start(client, name="all", guests=["web*"])
        with Busy("web2") as second:
            wait_until("the second is profiled", lambda: second.name in sessions(client)["all"]["active_guests"])
        wait_until("it is gone", lambda: second.name not in sessions(client)["all"]["active_guests"])
        assert sessions(client)["all"]["state"] == "running"
        error, parameters = client.refused("StartSession", guests=["no-such-guest"])
        assert error == "GuestNotFound" and parameters["guest"] == "no-such-guest", parameters


def refusals():
    with Seen() as (vpmud, guest), vpmud.client() as client:
        for parameter, value in (("side", "left"), ("frequency_hz", 0), ("frequency_hz", -1), ("frequency_hz", 10**7),
                                 ("period", "0"), ("period", "12x"), ("period", "99999999999999999999"),
                                 ("duration_ms", 0), ("duration_ms", -1), ("priority", 101), ("priority", -2**62), ("name", "a b"),
                                 ("name", ""), ("name", "a" * 65), ("events", "no-such-event"), ("events", "")):
            error, parameters = client.refused("StartSession", guests=[guest.name], **{parameter: value})
            assert error == "BadValue" and parameters["parameter"] == parameter and parameters["text"], (value, parameters)
        error, parameters = client.refused("StartSession", guests=[guest.name], node_wide=True)
        assert error == "BadValue" and parameters["parameter"] == "guests", parameters
        assert client.refused("StartSession", guests=[guest.name], frequency_hz=99, period="1000")[0] == "BadValue"
        assert client.refused("Record", guests=["no-such-guest"])[0] == "GuestNotFound"
        assert client.refused("Record", guests=[guest.name], stream=True)[0] == "BadValue"
        assert sessions(client) == {}
        if client.call("Capabilities").get("hardware_counters") is None:
            error, parameters = client.refused("StartSession", guests=[guest.name], events="cycles")
            assert error == "Refused" and parameters["events"][0]["status"] == "refused", parameters
            assert "no hardware counters" in parameters["events"][0]["why"], parameters
            mixed = start(client, guests=[guest.name], events="cycles,cpu-clock")
            assert [e["status"] for e in mixed["events"]] == ["refused", "granted"], mixed
            wait_until("the granted one counts", lambda: int(sessions(client)[mixed["name"]]["samples"]) > 0)


def tied_user():
    """Who is tied to a guest profiles that one only, and sees its own sessions."""
    if os.geteuid() != 0:
        raise Skip("becoming another user needs root")
    uid = pwd.getpwnam("nobody").pw_uid
    with Busy("db") as other, Seen() as (vpmud, guest), vpmud.client() as root:
        vpmud.configure(f"[access]\noperators = nobody\n[user nobody]\nguests = {guest.name}\n")
        vpmud.reload()
        os.seteuid(uid)
        try:
            client = vpmud.client()
        finally:
            os.seteuid(0)
        with client:
            wait_until("the new rights", lambda: client.refused("StartSession", guests=[other.name])[0] == "GuestNotFound")
            start(root, name="roots", guests=[])
            mine = start(client, name="mine", guests=[])
            assert mine["active_guests"] == [guest.name] and mine["owner_uid"] == uid, mine
            assert client.refused("StartSession", guests=[], node_wide=True)[0] == "PermissionDenied"
            assert client.refused("StopSession", name="roots") == ("SessionNotFound", {"name": "roots"})
            assert list(sessions(client)) == ["mine"]
            assert sorted(sessions(root)) == ["mine", "roots"]
            # What it may not see any more, it does not profile any more either.
            start(client, name="all", guests=["*"])
            vpmud.configure(f"[access]\noperators = nobody\n[user nobody]\nguests = {other.name}\n")
            vpmud.reload()
            wait_until("its sessions end", lambda: list(sessions(root)) == ["roots"])


def many_cycles():
    """No descriptor, thread or memory stays behind. VPMU_CYCLES says how many."""
    cycles = int(os.environ.get("VPMU_CYCLES", "500"))
    # One arena: what malloc keeps for threads that are gone is no leak, and not to be told from one.
    one_arena = ("env", "MALLOC_ARENA_MAX=1", "MALLOC_TRIM_THRESHOLD_=65536")
    with Seen("[always-on]\nenabled = no", prefix=one_arena) as (vpmud, guest), vpmud.client() as client:
        def usage():
            used = client.call("Stats")["usage"]
            threads = len(os.listdir(f"/proc/{vpmud.process.pid}/task"))
            # Each guest that runs has a descriptor, and those of others come and go meanwhile.
            return used["open_files"] - used["guests"], threads, int(used["memory_bytes"])

        def run(n):
            for i in range(n):
                with vpmud.client() as owner:
                    session = start(owner, guests=[guest.name])
                    if i % 3 == 0:
                        owner.call("StopSession", name=session["name"])
                    elif i % 3 == 1:
                        record(owner, guests=[guest.name], duration_ms=1)
                        os.close(owner.files.pop())
            wait_until("none is left", lambda: not sessions(client))

        run(cycles // 4)
        time.sleep(1)  # for threads that have said their last word, and are not gone yet
        before = usage()
        run(cycles)
        # What was on its way out when the first look was taken may be gone by now.
        wait_until(f"no more files and threads than before, {before[:2]}: {usage()[:2]}",
                   lambda: all(now <= then for now, then in zip(usage()[:2], before[:2])))
        after = usage()
        print(f"{cycles} cycles, before and after (files, threads, bytes):", before, after)
        # It stays within a few pages; what others' guests take while they are there is more. Sanitizers keep what is freed.
        assert SANITIZED or after[2] - before[2] < 2 << 20, (before, after)


# ---- recordings ----


def record_into_a_descriptor():
    with Seen() as (vpmud, guest), vpmud.client() as client:
        local = subprocess.Popen([VPMU, "record", "--local", guest.name, "-e", "cpu-clock", "-F", "999", "-d", "2s", "-o", "local"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        last, progress = record(client, guests=[guest.name], duration_ms=2000)
        assert local.wait() == 0
        assert last["done"] and last["file"] == 0 and last.get("why") is None, last
        assert len(progress) >= 2 and progress[0]["samples"] == "0" and 0 < progress[0]["remaining_ms"] <= 2000, progress
        assert all(not p["done"] and p["session"] == last["session"] for p in progress), progress
        data = take_file(client)
        assert len(data) == int(last["bytes"])
        write("ours", data)
        mine, other = report("ours"), report("local")
        assert mine["coverage"]["samples"] == int(last["samples"]) > 100, (mine["coverage"], last)
        # The same but for when exactly each began and ended.
        assert mine["coverage"].keys() == other["coverage"].keys()
        assert mine["coverage"]["source"] == other["coverage"]["source"] == "cpu-clock 999 Hz"
        for key in ("guest", "opaque", "lost", "damaged_records"):
            assert mine["coverage"][key] == other["coverage"][key] == 0, (key, mine["coverage"], other["coverage"])
        assert report("ours", "--sort", "guest,vcpu,process")["rows"][0]["guest"] == guest.name
        common = {(r["dso"], r["symbol"]) for r in mine["rows"][:3]} & {(r["dso"], r["symbol"]) for r in other["rows"][:6]}
        assert common, (mine["rows"][:3], other["rows"][:6])
        print(f"{mine['coverage']['samples']} samples through vpmud, {other['coverage']['samples']} locally")
        assert sessions(client) == {}


def record_as_a_stream():
    """Larger than what waits to be read at once; the reader is slow, others are served meanwhile."""
    with Seen() as (vpmud, guest), vpmud.client() as client, vpmud.client() as other:
        # A high rate, and no symbols' worth of time: some megabytes.
        client.send("Record", {"guests": [guest.name], "events": "cpu-clock", "period": "50000", "chains": True,
                               "duration_ms": 1500, "stream": True}, more=True)
        data, slowest, asleep = b"", 0.0, 0
        while True:
            reply = client.receive()
            assert "error" not in reply, reply
            piece = reply["parameters"].get("data") or ""
            assert len(piece) <= 256 * 1024
            data += base64.b64decode(piece)
            if piece and asleep < 5:
                asleep += 1
                began = time.monotonic()
                other.call("ListSessions")
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.1)
            if not reply.get("continues"):
                break
        last = reply["parameters"]
        assert last["done"] and last.get("file") is None and len(data) == int(last["bytes"]), last
        write("ours", data)
        assert report("ours")["coverage"]["samples"] == int(last["samples"]) > 0
        print(f"{len(data)} bytes; the slowest call beside it took {slowest * 1000:.1f} ms")


def recordings_end_in_many_ways():
    with Seen() as (vpmud, guest), vpmud.client() as client, vpmud.client() as other:
        # Stopped by somebody else.
        client.send("Record", {"guests": [guest.name], "events": "cpu-clock"}, more=True)
        name = client.receive()["parameters"]["session"]
        assert sessions(other)[name]["recording"]
        wait_until("samples", lambda: int(sessions(other)[name]["samples"]) > 50)
        other.call("StopSession", name=name)
        while (reply := client.receive()).get("continues"):
            pass
        assert reply["parameters"]["done"] and int(reply["parameters"]["samples"]) > 50, reply
        assert reply["parameters"]["why"] == "it was stopped", reply
        write("stopped", take_file(client))
        assert report("stopped")["coverage"]["samples"] == int(reply["parameters"]["samples"])
        # Nobody is interested any more.
        with vpmud.client() as leaving:
            leaving.send("Record", {"guests": [guest.name], "events": "cpu-clock"}, more=True)
            leaving.receive()
        wait_until("it ends", lambda: sessions(other) == {})
        # The guest dies.
        client.send("Record", {"guests": [guest.name], "events": "cpu-clock"}, more=True)
        name = client.receive()["parameters"]["session"]
        wait_until("samples", lambda: int(sessions(other)[name]["samples"]) > 50)
        guest.__exit__()
        while (reply := client.receive()).get("continues"):
            pass
        assert reply["parameters"]["done"] and int(reply["parameters"]["samples"]) > 50, reply
        assert reply["parameters"].get("why") is None, reply
        write("died", take_file(client))
        assert report("died")["coverage"]["samples"] == int(reply["parameters"]["samples"])
        wait_until("the guest is gone", lambda: client.refused("Record", guests=[guest.name])[0] == "GuestNotFound")


def end(vpmud):
    """How long it takes, in seconds."""
    began = time.monotonic()
    vpmud.process.terminate()
    assert vpmud.process.wait(timeout=60) == 0
    print(f"ended in {(time.monotonic() - began) * 1000:.0f} ms")
    return time.monotonic() - began


def ends_in_time(story):
    """Within two seconds; once in three times, for the machine may have other work to do. Sanitizers take their time."""
    assert any(story() < (10 if SANITIZED else 2) for _ in range(3)), "it takes too long to end"


def vpmud_ends_in_the_middle():
    def story():
        with Seen() as (vpmud, guest), vpmud.client() as client, vpmud.client() as other, vpmud.client() as reader:
            session = start(client, guests=[guest.name], chains=True)
            start(client, guests=[guest.name], lasting=True, frequency_hz=19)
            other.send("Record", {"guests": [guest.name], "events": "cpu-clock"}, more=True)
            other.receive()
            reader.send("Report", {"source": {"session": session["name"]}})
            return end(vpmud)
    ends_in_time(story)


def strip_guest():
    """From now on Busy is a process whose symbols are nowhere on this machine."""
    if not shutil.which("strip"):
        raise Skip("no strip")
    python = os.path.realpath(sys.executable)
    os.mkdir("lib")
    for library in re.findall(r"=> (\S+/libpython\S+)", subprocess.check_output(["ldd", python], text=True)):
        subprocess.run(["strip", "-o", f"lib/{os.path.basename(library)}", library], check=True)
    subprocess.run(["strip", "-o", "qemu-system-x86_64", python], check=True)
    os.environ["LD_LIBRARY_PATH"] = f"{os.getcwd()}/lib:{os.environ.get('LD_LIBRARY_PATH', '')}"


def vpmud_ends_while_it_waits_for_names():
    """A server of symbols that takes the question and never answers."""
    strip_guest()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        caches = iter("123")

        def story():
            # A cache of its own: it remembers whom it was refused by.
            environment = ["env", f"DEBUGINFOD_URLS=http://127.0.0.1:{server.getsockname()[1]}", f"HOME={os.getcwd()}",
                           "DEBUGINFOD_TIMEOUT=60", f"DEBUGINFOD_CACHE_PATH={os.getcwd()}/cache-{next(caches)}"]
            with Seen(prefix=environment) as (vpmud, guest), vpmud.client() as client, vpmud.client() as reader:
                session = start(client, guests=[guest.name])
                wait_until("samples", lambda: int(sessions(client)[session["name"]]["samples"]) > 100)
                reader.send("Report", {"source": {"session": session["name"]}})
                try:
                    asked, _ = server.accept()
                except TimeoutError:
                    raise Skip("nobody asks a server for symbols: libvpmu was built without libdebuginfod?")
                with asked:
                    return end(vpmud)
        ends_in_time(story)


if __name__ == "__main__":
    main(globals())
