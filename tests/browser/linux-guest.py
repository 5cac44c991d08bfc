#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The flame graph of a Linux guest with a known program (tests/lab/node/callers.c), as a browser shows it.

usage: linux-guest.py GRAPH.html REPORT.json [SCREENSHOT.png]    the report by side, process and symbol, with chains

Each of the report's chains has its samples in the page, kernel frames on top of those of user mode; the page zooms into a
function of the program and finds those of the kernel that it asks for.
"""
import collections
import json
import os
import sys

sys.dont_write_bytecode = True  # beside the source
from page import Page
from webdriver import Browser

ASKED = {"read_inner": "entry_SYSCALL_64_after_hwframe", "fault_inner": "asm_exc_page_fault"}


def chains_of(report, process):
    """{"main;read_outer;read_inner;…": samples}: outermost first; without a word in front for what was cut."""
    chains = collections.Counter()
    for row in report["rows"]:
        if row["half"] == "guest" and row["process"] == process:
            for chain in row["chains"]:
                frames = [frame["symbol"] for frame in reversed(chain["frames"]) if frame["status"] == "ok"]
                if len(frames) + (chain["frames"][-1]["status"] == "truncated") == len(chain["frames"]):
                    chains[";".join(frames)] += chain["samples"]
    return chains


def selves_of(page, process):
    """The same of the page."""
    selves = collections.Counter()
    for path, (_, samples, *_) in page.bars():
        bars = path.split(";")
        if bars[2:3] == [process] and samples:
            selves[";".join(bars[3 + (bars[3:4] == ["[truncated]"]):])] += samples
    return selves


def below(bars, path, name):
    """Samples under the bar at @path that go through @name."""
    total = 0
    for other, numbers in bars:
        if other.startswith(path + ";"):
            *between, last = other[len(path) + 1:].split(";")
            if name in last and not any(name in bar for bar in between):
                total += numbers[0]
    return total


def main():
    graph, report = os.path.abspath(sys.argv[1]), json.load(open(sys.argv[2]))
    with Browser() as browser:
        page = Page(browser, graph)
        bars, chains, selves = page.bars(), chains_of(report, "callers"), selves_of(page, "callers")
        assert bars[0] == ("all", [report["coverage"]["samples"], 0, *bars[0][1][2:]]), bars[0]
        wrong = {chain: (n, selves[chain]) for chain, n in chains.items() if selves[chain] != n}
        print(f"{sum(chains.values())} samples of 'callers' in {len(chains)} chains; {len(wrong)} have another number in the page")
        assert sum(chains.values()) > 200 and not wrong, list(wrong.items())[:5]
        assert all(page.colour(name) != page.colour("main") for name in ASKED.values())

        for name, entry in ASKED.items():
            path = next(path for path, _ in bars if path.endswith(f";main;{name.replace('inner', 'outer')};{name}"))
            n_bars = sum(other.endswith(";" + name) for other, _ in bars)
            widest = max(range(n_bars), key=lambda nth: page.bar(name, nth)["width"])
            samples = max(numbers[0] for other, numbers in bars if other == path)
            assert page.figure(page.hover(name, widest), "samples") == samples
            page.click(name, widest)
            assert page.fills_the_width(name, widest)
            asked, found = below(bars, path, entry), page.search(entry)
            print(f"  {name}: {samples} samples, {asked} of them in {entry}; the page: {found}")
            assert found.startswith(f"{100 * asked / samples:.2f} % of view in"), found
            browser.press("Escape")
            assert page.fills_the_width("all")
        if len(sys.argv) > 3:
            assert len(browser.screenshot(sys.argv[3])) > 5000
        assert (errors := browser.errors()) == [], errors


main()
