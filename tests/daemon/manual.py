#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vpmud(8) and vpmud.conf(5) against the program's own words and its commented configuration."""
import re
import subprocess

from raw import SOURCE, check_equal, tell
from vpmud import VPMUD


def page(name):
    return (SOURCE / "docs/man" / name).read_text().replace("\\-", "-")


def test_the_manual_has_every_option():
    said = subprocess.run([VPMUD, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    options = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", said, re.M))
    check_equal("--config" in options, True)
    section = re.search(r"^\.SH OPTIONS\n(.*?)^\.SH", page("vpmud.8"), re.M | re.S)[1]
    check_equal(set(re.findall(r"--[a-z-]+", section)), options)


def test_the_manual_has_every_key_and_its_default():
    keys, section = [], None
    for line in (SOURCE / "daemon/vpmud.conf").read_text().splitlines():
        if match := re.match(r"\[(.*)\]", line):
            section = match[1]
        elif match := re.match(r"#([a-z-]+) = ?(.*)", line):
            keys.append((section, match[1], match[2]))
    told, section = [], None
    for part in re.split(r"^(?=\.TP|\.SH)", page("vpmud.conf.5"), flags=re.M):
        if match := re.match(r"\.SH \[(.*)\]", part):
            section = match[1]
        elif section and (match := re.match(r"\.TP\n\.BI ([a-z-]+)=", part)):
            default = re.search(r"^Default:\n\.[BI] (.*)", part, re.M)
            told.append((section, match[1], default[1] if default else ""))
    check_equal([key for key in told if key[0] != "user NAME"], keys)


tell(globals())
