#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What systemd hears of vpmud (sd_notify(3)), systemd being a socket of ours. usage: service.py STORY"""
import os
import socket

from vpmud import PATIENCE_S, Vpmud, main

QUIET = "other-guests = no\n[always-on]\nenabled = no\n"


class Systemd:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("notify")
        self.socket.settimeout(PATIENCE_S)
        os.environ["NOTIFY_SOCKET"] = os.path.abspath("notify")

    def hears(self, wanted):
        """The message that begins so; those before it are skipped."""
        while not (message := self.socket.recv(4096).decode()).startswith(wanted):
            pass
        return message


def told_to_systemd():
    systemd = Systemd()
    with Vpmud(QUIET) as vpmud:
        systemd.hears("READY=1")
        assert systemd.hears("STATUS=") == "STATUS=0 guests, 0 vCPUs, 0 clients, 0 sessions"
        with vpmud.client() as client:
            client.call("ListGuests")
            assert "1 client," in systemd.hears("STATUS=")
        vpmud.reload()
        assert "MONOTONIC_USEC=" in systemd.hears("RELOADING=1")
        systemd.hears("READY=1")
    systemd.hears("STOPPING=1")


def watchdog():
    os.environ["WATCHDOG_USEC"] = "400000"
    systemd = Systemd()
    with Vpmud(QUIET):
        for _ in range(3):
            systemd.hears("WATCHDOG=1")


if __name__ == "__main__":
    main(globals())
