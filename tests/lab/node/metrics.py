#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What vpmud's method Metrics tells. usage: metrics.py SOCKET"""
import json
import socket
import sys

with socket.socket(socket.AF_UNIX) as vpmud:
    vpmud.connect(sys.argv[1])
    vpmud.sendall(json.dumps({"method": "org.vpmu.Metrics"}).encode() + b"\0")
    reply = b""
    while not reply.endswith(b"\0"):
        piece = vpmud.recv(1 << 16)
        assert piece, "vpmud closed the connection"
        reply += piece
print(json.loads(reply[:-1])["parameters"]["text"], end="")
