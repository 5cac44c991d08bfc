#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real guest's flame graphs have the numbers of the other commands, and of what the guest is known to do.

usage: known-guest.py GUEST.truth DIRECTORY     with graph.html report.json diff.html diff.json exits.html exits.json
"""
import collections
import json
import sys

sys.dont_write_bytecode = True  # beside the source
from page import Page
from webdriver import Browser


def chains_of(report):
    """{"guest_main;left;shared": samples}: outermost first, of the guest's rows."""
    chains = collections.Counter()
    for row in report["rows"]:
        for chain in row["chains"] if row["side"].startswith("guest") else []:
            chains[";".join(frame["symbol"] for frame in reversed(chain["frames"]))] += chain["samples"]
    return chains


def has_what_the_report_has(page, report, truth):
    paths = page.paths()
    guest = next(path for path in paths if path.count(";") == 1)
    below = {path.removeprefix(guest + ";"): numbers for path, numbers in paths.items() if path.startswith(guest + ";")}
    chains = chains_of(report)
    print("  the guest's stacks:", dict(chains))
    assert paths["all"][0] == report["coverage"]["samples"]
    for chain, samples in chains.items():
        assert below[chain][1] == samples, f"{chain}: {below[chain]}, the report has {samples}"
    for share, *path in truth:
        seen = 100 * below[";".join(path)][0] / below["guest_main"][0]
        assert abs(seen - share) < 8, f"{path}: {seen:.1f} %, known are {share} %"
    lines = page.hover("left")
    assert page.figure(lines, "samples") == below["guest_main;left"][0] and "guest user" in lines[1], lines
    page.click("middle")
    assert page.fills_the_width("between") and page.fills_the_width("guest_main")
    assert page.search("^(left|right)$") == "0.00 % of view in 0 functions"
    page.browser.click("#regexp")
    middle = "guest_main;middle;between"
    share = 100 * below[middle + ";shared"][0] / below[middle][0]
    assert page.search("^(shared)$") == f"{share:.2f} % of view in 1 function", page.browser.text("#found")
    page.browser.press("Escape")
    both = 100 * (below["guest_main;left"][0] + below["guest_main;right"][0]) / paths["all"][0]
    assert page.search("^(left|right)$") == f"{both:.2f} % in 2 functions", page.browser.text("#found")
    assert f"coverage: {report['coverage']['samples']} samples" in page.browser.text("#notes")


def compares_what_diff_compares(page, diff):
    paths = page.paths()
    assert paths["all"][0] == diff["base_samples"] and paths["all"][2] == diff["other_samples"]
    for row in diff["rows"]:
        self = [sum(numbers[k] for path, numbers in paths.items() if path.endswith(";" + row["symbol"])) for k in (1, 3)]
        assert self == [row["base_samples"], row["other_samples"]], (row, self)
    assert "points" in page.hover("left")[-1]


def has_the_exits_stacks(page, exits):
    counted = collections.Counter()
    for stack in exits["stacks"]:
        names = [frame["symbol"] or frame["address"] for frame in reversed(stack["frames"])]
        counted[";".join(["all", stack["guest"], *names, stack["reason"]])] += stack["count"]
    paths = page.paths()
    print("  exits:", dict(counted))
    for path, count in counted.items():
        assert paths[path][1] == count, (path, paths[path], count)
    # Of a stack whose frames are all named there is no doubt what it is called.
    assert any(path.endswith(";guest_main;doorbell;" + path.split(";")[-1]) for path in counted), counted
    assert "reason of the exit" in page.hover(next(iter(counted)).split(";")[-1])[1]


def main():
    truth_path, directory = sys.argv[1:]
    truth = []
    for line in open(truth_path):
        if line.startswith("chain "):
            _, share, *functions = line.split()
            if share != "-":  # a few samples on the way from one function to another
                truth.append((float(share), *reversed(functions)))
    load = lambda name: json.load(open(f"{directory}/{name}.json"))
    with Browser() as browser:
        for story, name, facts in [(has_what_the_report_has, "graph", (load("report"), truth)),
                                   (compares_what_diff_compares, "diff", (load("diff"),)),
                                   (has_the_exits_stacks, "exits", (load("exits"),))]:
            story(Page(browser, f"{directory}/{name}.html"), *facts)
            assert len(browser.screenshot(f"{directory}/{name}.png")) > 5000
            assert (errors := browser.errors()) == [], errors
            print("ok     ", story.__name__)


main()
