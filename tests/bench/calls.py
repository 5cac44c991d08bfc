#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many ListGuests calls a second vpmud answers on one core, with 64 domains of libvirt's test driver to tell of; and how long a
client waits for one answer. Prints; never fails on a figure. usage: calls.py [SECONDS]"""
import os
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "daemon"))
from vpmud import Vpmud, wait_until  # noqa: E402

DOMAINS = 64
QUIET = "other-guests = no\n[access]\nreaders = root\n[always-on]\nenabled = no\n[store]\npath = none\n"
CALL = b'{"method":"org.vpmu.ListGuests"}\0'


def node():
    """The URI of a libvirt with that many domains."""
    with open("node.xml", "w") as out:
        out.write("<node>")
        for i in range(DOMAINS):
            out.write(f"<domain type='test'><name>web{i}</name><uuid>00000000-0000-0000-0000-{i:012}</uuid><memory>1024</memory>"
                      "<os><type>hvm</type></os></domain>")
        out.write("</node>")
    return "test://" + os.path.abspath("node.xml")


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answer(client):
    """Reads one reply and looks at nothing but its end: the client's own work is not what is measured."""
    while True:
        data = client.socket.recv(1 << 20)
        if data.endswith(b"\0"):
            return
        assert data


def measure(vpmud, seconds):
    with vpmud.client() as client:
        found = wait_until("all domains", lambda: (g := client.call("ListGuests")["guests"]) and len(g) == DOMAINS)
        assert found
        waits, cpu = [], cpu_s(vpmud.process.pid)
        begun = time.monotonic()
        while (now := time.monotonic()) < begun + seconds:
            client.socket.sendall(CALL)
            answer(client)
            waits.append(time.monotonic() - now)
        wall, cpu = time.monotonic() - begun, cpu_s(vpmud.process.pid) - cpu
    print(f"ListGuests of {DOMAINS} guests: {len(waits) / wall:.0f} calls a second from one client; "
          f"{len(waits) / cpu:.0f} per second of CPU time (must be 1000)")
    print(f"an answer after {statistics.median(waits) * 1e6:.0f} us (median), {max(waits) * 1e6:.0f} us at most")


def main():
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        with Vpmud(QUIET, libvirt=node(), arguments=()) as vpmud:
            measure(vpmud, float(sys.argv[1]) if len(sys.argv) > 1 else 5)
        os.chdir("/")


main()
