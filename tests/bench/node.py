#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What vpmud costs on a node with many guests: the lab's tiny guests (tests/lab/fast) and a vpmud with its always-on session and its
store, as they come. Prints figures beside what they must be.

A machine with few processors cannot run many guests at once, and a guest that does not run is not sampled. So the always-on
session is measured at its rate of 19 Hz or, with --full-load, at the rate at which there are as many samples a second as there
would be if each guest had a processor. The guests only get what time nobody else wants.

VPMUD is the built program, LAB the build directory of tests/lab/fast; `meson test --benchmark node` sets both.

Exit status: 0 all figures are where they must be, 1 some are not, 77 nothing could be taken."""
import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "daemon"))
from vpmud import Vpmud, wait_until  # noqa: E402

HZ = 19


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guests", type=int, default=64, help="%(default)s")
    parser.add_argument("--seconds", type=int, default=120, help="how long it is watched: whole minutes (%(default)s)")
    parser.add_argument("--image", default="three-functions", help="what the guests run (%(default)s)")
    parser.add_argument("--full-load", action="store_true", help="as many samples a second as %d Hz on busy processors of their own" % HZ)
    return parser.parse_args()


@contextlib.contextmanager
def running_guests(bench):
    lab = pathlib.Path(os.environ["LAB"])
    processes = []
    try:
        for _ in range(bench.guests):
            processes.append(subprocess.Popen(["chrt", "--idle", "0", lab / "vmm", "--seconds", "3600", lab / f"{bench.image}.elf"],
                                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def status(pid, key):
    with open(f"/proc/{pid}/status") as file:
        [line] = [line for line in file if line.startswith(key + ":")]
    return int(line.split()[1])


def usage(client):
    usage = client.call("Stats")["usage"]
    return int(usage["cpu_ns"]), int(usage["samples"])


class Figures:
    def __init__(self):
        self.failed = False

    def add(self, what, value, unit, most=None, least=None):
        bound = f"at most {most}" if most is not None else f"at least {least}" if least is not None else ""
        good = (most is None or value <= most) and (least is None or value >= least)
        self.failed |= not good
        print(f"{what:48} {value:10.3f} {unit:12} {bound:16} {'' if good else 'NO'}", flush=True)


def measure_sessions(client, figures):
    """The first is for the files' symbols and other things that are only done once."""
    for what, chains in ("", False), (" with call chains", True):
        times = []
        for _ in range(6):
            begin = time.monotonic()
            client.call("StartSession", name="bench", guests=[], events="cpu-clock", frequency_hz=99, chains=chains)
            times.append(time.monotonic() - begin)
            client.call("StopSession", name="bench")
        figures.add(f"session over all vCPUs{what}: start, median", sorted(times[1:])[2] * 1000, "ms", most=100)


def measure(bench, vpmud, figures):
    pid = vpmud.process.pid
    with vpmud.client() as client:
        wait_until("all guests are known", lambda: client.call("Stats")["usage"]["guests"] >= bench.guests)
        # From behind a minute's border to behind another one: every minute is cut and kept once.
        time.sleep(60 - time.time() % 60 + 10)
        cpu, samples = usage(client)
        switches = status(pid, "voluntary_ctxt_switches")
        time.sleep(bench.seconds)
        cpu_later, samples_later = usage(client)
        figures.add("samples a second", (samples_later - samples) / bench.seconds, "")
        figures.add("always-on session, its store and all else: CPU", (cpu_later - cpu) / bench.seconds / 1e7, "% of one", most=1)
        figures.add("memory, resident", status(pid, "VmRSS") / 1024, "MiB", most=64)
        figures.add("memory, at most so far", status(pid, "VmHWM") / 1024, "MiB", most=64)
        figures.add("wake-ups of the loop a second", (status(pid, "voluntary_ctxt_switches") - switches) / bench.seconds, "")
        figures.add("store, a minute of all guests", os.path.getsize("store.db") / 1024 / (1 + bench.seconds / 60), "KiB, about")
        measure_sessions(client, figures)


def main():
    bench = parse()
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("SKIP: no permission to use /dev/kvm")
        return 77
    hz = min(999, HZ * bench.guests // os.cpu_count()) if bench.full_load else HZ
    figures = Figures()
    print(f"{bench.guests} guests ({bench.image}) on {os.cpu_count()} CPUs, always-on session at {hz} Hz")
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        config = f"[always-on]\nfrequency = {hz}\n[store]\npath = {directory}/store.db"
        with running_guests(bench), Vpmud(config) as vpmud:
            measure(bench, vpmud, figures)
        os.chdir("/")
    return 1 if figures.failed else 0


sys.exit(main())
