#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records a guest with call chains at 20 kHz, and stops the recorder for two seconds, longer than its rings last: what is recorded and what
is said to be lost must be, to the sample, how often the kernel ran the program that takes samples, which is once for each.

usage: overrun.py VPMU GUEST RECORDING

Exit status 77: the kernel does not count runs of programs.
"""
import ctypes
import glob
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time

SYS_BPF = 321
PROG_GET_FD_BY_ID, ENABLE_STATS = 13, 32    # enum bpf_cmd
PROG_TYPE_PERF_EVENT = 7                    # enum bpf_prog_type


def bpf(command, value, what):
    attr = ctypes.create_string_buffer(struct.pack("I", value), 128)
    fd = ctypes.CDLL(None, use_errno=True).syscall(SYS_BPF, command, attr, len(attr))
    if fd < 0:
        print(f"SKIP: {what}: {os.strerror(ctypes.get_errno())}")
        sys.exit(77)
    return fd


def info(path):
    """What the kernel says of a descriptor."""
    try:
        return dict(re.findall(r"^(\w+):\s+(\d+)", open(path).read(), re.MULTILINE))
    except OSError:
        return {}


def program_of(recorder):
    """A descriptor of the sampling program: it stays, with its count, when the recorder has ended."""
    end = time.monotonic() + 20
    while time.monotonic() < end and recorder.poll() is None:
        for fields in map(info, glob.glob(f"/proc/{recorder.pid}/fdinfo/*")):
            if fields.get("prog_type") == str(PROG_TYPE_PERF_EVENT):
                return bpf(PROG_GET_FD_BY_ID, int(fields["prog_id"]), "the sampling program")
        time.sleep(0.01)
    return None


def main():
    vpmu, guest, recording = sys.argv[1:]
    stats = bpf(ENABLE_STATS, 0, "BPF_ENABLE_STATS")
    recorder = subprocess.Popen([vpmu, "record", guest, "-g", "-e", "cpu-clock", "-F", "20000", "-d", "5s", "-o", recording],
                                stderr=subprocess.PIPE, text=True)
    program = program_of(recorder)
    time.sleep(1)
    recorder.send_signal(signal.SIGSTOP)
    time.sleep(2)
    recorder.send_signal(signal.SIGCONT)
    said = recorder.communicate()[1]
    print(said.strip())
    if recorder.returncode:
        sys.exit("vpmu record failed")
    if program is None or "no guest call chains" in said:
        print("SKIP: BPF is refused here")
        sys.exit(77)
    runs = int(info(f"/proc/self/fdinfo/{program}")["run_cnt"])
    os.close(stats)
    report = subprocess.run([vpmu, "report", "-i", recording, "--json", "--limit", "1"], check=True, stdout=subprocess.PIPE)
    coverage = json.loads(report.stdout)["coverage"]
    print(f"{coverage['samples']} samples, {coverage['lost']} lost; the program ran {runs} times")
    if coverage["samples"] + coverage["lost"] != runs:
        sys.exit("some are neither")
    if not coverage["lost"] or not coverage["guest_chains"]:
        sys.exit("nothing was lost, or there are no chains: this was no trial")


main()
