#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long a client of vpmud waits for the simplest of answers while vpmud does its work for others: a session with chains, reports,
exports, counters, a recording, of a guest of the fast lab. Prints; never fails on a figure. With the right to it, vpmud and the client
run in real time, so that it is vpmud's pauses that are seen, not the machine's."""
import array
import multiprocessing
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "daemon"))
from vpmud import Client, Vpmud, wait_until  # noqa: E402

LAB = os.environ["LAB"]
MUST_MS = 50


def hurry(pid):
    try:
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(10))
    except PermissionError:
        pass


def ask(path, stop, answers):
    hurry(0)
    waits = []
    with Client(path) as client:
        while not stop.is_set():
            begun = time.monotonic()
            client.call("org.varlink.service.GetInfo")
            waits.append((time.monotonic() - begun, begun))
            time.sleep(0.001)
    answers.put(waits)


def work(client, guest):
    """What vpmud is asked for, as (what, how to ask)."""
    mine = {"session": "mine"}

    def record():
        client.send("Record", {"guests": [guest], "duration_ms": 1000, "events": "cpu-clock"})
        fds = array.array("i", [0])
        data, ancillary, _, _ = client.socket.recvmsg(1 << 16, socket.CMSG_SPACE(4))
        fds.frombytes(ancillary[0][2])
        os.close(fds[-1])
        client.rest += data
        client.receive()

    yield "start of a session", lambda: client.call("StartSession", name="mine", guests=[guest], events="cpu-clock",
                                                    frequency_hz=999, chains=True)
    yield "sampling", lambda: time.sleep(3)
    yield "report", lambda: client.call("Report", source=mine, chains=True, limit=0)
    yield "pprof", lambda: client.call("Export", source=mine, format="pprof", inline=True)
    yield "abilities", lambda: client.call("Capabilities")
    yield "metrics", lambda: client.call("Metrics")
    yield "counters", lambda: client.call("Counters", guests=[guest], interval_ms=500)
    yield "top", lambda: client.call("Top", guests=[guest])
    yield "recording", record
    yield "end of the session", lambda: client.call("StopSession", name="mine")


def measure(vpmud):
    stop, answers, begins = multiprocessing.Event(), multiprocessing.Queue(), []
    asking = multiprocessing.Process(target=ask, args=[vpmud.socket, stop, answers])
    asking.start()
    vmm = subprocess.Popen([f"{LAB}/vmm", "--vcpus", "4", "--seconds", "300", f"{LAB}/three-functions.elf"], stdout=subprocess.DEVNULL)
    try:
        with vpmud.client() as client:
            begins.append((time.monotonic(), "a guest comes"))
            wait_until("the guest", lambda: client.call("ListGuests", guests=[f"pid:{vmm.pid}"])["guests"])
            for what, do in work(client, f"pid:{vmm.pid}"):
                begins.append((time.monotonic(), what))
                do()
            begins.append((time.monotonic(), "the guest goes"))
            vmm.send_signal(signal.SIGKILL)
            time.sleep(1)
    finally:
        vmm.kill()
        vmm.wait()
        stop.set()
        waits = answers.get()
        asking.join()
    for (begun, what), (end, _) in zip(begins, begins[1:] + [(time.monotonic(), None)]):
        worst = max((wait for wait, at in waits if begun <= at < end), default=0)
        print(f"{what:20} {worst * 1000:6.1f} ms")
    print(f"{'at most':20} {max(waits)[0] * 1000:6.1f} ms of {len(waits)} answers (must be {MUST_MS} ms)")


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("SKIP: no permission to use /dev/kvm")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        config = f"[access]\nreaders = root\n[store]\npath = {directory}/store.db\n[always-on]\nfrequency = 99\n"
        with Vpmud(config, libvirt="none", arguments=()) as vpmud:
            hurry(vpmud.process.pid)
            measure(vpmud)
        os.chdir("/")


main()
