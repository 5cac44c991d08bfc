#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds what a recording says of a process that is in a function of its C library (runner.c), of which no file is to be had: its name
comes out of the guest's memory.

usage: check-library.py SCRIPT.json CONSOLE
"""
import collections
import json
import re
import sys

pid = int(re.search(r"RUNNER (\d+)", open(sys.argv[2]).read())[1])
names = collections.Counter()
for line in open(sys.argv[1]):
    sample = json.loads(line)
    if sample.get("guest_pid") == pid and sample["side"] == "guest-user" and "libc.so" in sample["frames"][0]["dso"]:
        names[sample["frames"][0]["symbol"]] += 1
print(f"in the C library: {dict(names)}")
if sum(names.values()) < 50 or names["memfrob"] < 0.99 * sum(names.values()):
    sys.exit("these are not memfrob")
