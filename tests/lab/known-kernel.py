#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Waits until vpmud knows a guest's kernel, three minutes at most, and compares.

usage: known-kernel.py SOCKET GUEST RELEASE
"""
import json
import socket
import sys
import time


def guest(path, name):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(json.dumps({"method": "org.vpmu.ListGuests", "parameters": {"guests": [name]}}).encode() + b"\0")
        text = b""
        while not text.endswith(b"\0"):
            text += s.recv(1 << 16)
    guests = json.loads(text[:-1])["parameters"]["guests"]
    assert len(guests) == 1, guests
    return guests[0]


def main():
    path, name, release = sys.argv[1:]
    end = time.monotonic() + 180
    while not (known := guest(path, name))["kernel"]:
        assert time.monotonic() < end, known  # until then, "why" says that none was found yet: the guest boots
        time.sleep(1)
    print(f"{name}: {known['kernel']}")
    assert known["kernel"] == release, f"and not {release}"


main()
