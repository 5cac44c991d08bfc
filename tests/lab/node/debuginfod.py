#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a test needs around a debuginfod of its own.

usage: debuginfod.py free-port		prints a port that nobody has on the loopback address
       debuginfod.py wait-for PORT FILE	returns once the server hands out the debug information of FILE
"""
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, path):
    notes = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=True).stdout
    build_id = re.search(r"Build ID: (\w+)", notes)
    if not build_id:
        sys.exit(f"'{path}' has no build-id")
    url = f"http://127.0.0.1:{port}/buildid/{build_id[1]}/debuginfo"
    for _ in range(300):
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    sys.exit(f"nothing at {url}")


if sys.argv[1] == "free-port":
    print(free_port())
else:
    wait_for(int(sys.argv[2]), sys.argv[3])
