#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Flame graphs of made-up profiles (pages.c) in a browser: what a reader does, and what names from guests may not do.

usage: flamegraph.py PAGES [DIRECTORY]     PAGES: the program. Screenshots are kept if there is a DIRECTORY for them.
"""
import itertools
import pathlib
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # beside the source
from page import Page
from webdriver import Browser

ALL = 1257  # samples of kinds.html
EPOLL = 220 + 140 + 90 + 160  # of them below ngx_epoll_process_events


def share(samples, of=ALL):
    return f"{100 * samples / of:.2f} %"


def bars_are_where_they_should_be(page):
    paths = page.paths()
    assert paths["all"][0] == ALL and page.fills_the_width("all")
    worker = page.bar("ngx_worker_process_cycle")
    wanted = 790 / ALL * worker["all"]
    assert abs(worker["width"] - wanted) < 1, (worker, wanted)
    lines = page.hover("epoll_wait")
    assert "guest user" in lines[1] and "/usr/sbin/nginx" in lines[1], lines
    assert page.figure(lines, "samples") == 160 and share(160) in lines[2], lines
    assert "16.2 ms" in lines[3], lines  # 160 samples at 99 Hz


def a_click_zooms_and_escape_shows_everything(page):
    page.click("ngx_epoll_process_events")
    assert page.fills_the_width("ngx_epoll_process_events") and page.fills_the_width("web1")
    assert page.zoom().endswith("ngx_epoll_process_events " + share(EPOLL) + " of all"), page.zoom()
    lines = page.hover("deflate")
    assert share(140, EPOLL) + " of view" in lines[2], lines
    page.browser.press("Escape")
    assert not page.fills_the_width("ngx_epoll_process_events") and page.zoom().startswith("all \u00b7"), page.zoom()


def keys_do_what_the_mouse_does(page):
    page.browser.run("document.activeElement.blur()")
    page.browser.press("Up", "Up", "Up", "Up")  # all, web1, nginx, _start
    assert page.browser.text("#detail").startswith("_start"), page.browser.text("#detail")
    page.browser.press("Right")
    assert page.browser.text("#detail").startswith("main") is False
    page.browser.press("Left", "Down", "Enter")
    assert page.fills_the_width("nginx") and page.zoom().startswith("all"), page.zoom()
    page.browser.press("u")
    assert page.fills_the_width("web1") and not page.fills_the_width("nginx")
    page.browser.press("0")
    below = page.bar("nginx")["y"]
    page.browser.press("i")
    assert page.bar("nginx")["y"] != below and page.bar("all")["y"] < page.bar("nginx")["y"]
    page.browser.press("i")
    assert page.bar("nginx")["y"] == below
    page.browser.press("?")
    assert "next, previous match" in page.browser.text("#keys")
    page.browser.press("?")


def search_tells_the_share(page):
    # The samples below two matches of one stack count once.
    assert page.search("EPOLL") == share(EPOLL) + " in 4 functions", page.search("EPOLL")
    assert page.search("nobody") == "0.00 % in 0 functions"
    assert page.search("^ngx_.*_cycle$") == "0.00 % in 0 functions"
    page.browser.click("#regexp")
    assert page.search("^ngx_.*_cycle$") == share(790) + " in 2 functions", page.browser.text("#found")
    page.browser.press("Enter")
    assert page.browser.text("#detail").startswith("ngx_master_process_cycle")
    page.browser.press("Enter")
    assert page.browser.text("#detail").startswith("ngx_worker_process_cycle")
    assert page.search("(") == "not a regular expression"
    page.browser.click("#regexp")
    assert page.search("alert(") == share(240) + " in 2 functions", page.browser.text("#found")  # and a guest of that name
    page.browser.press("Escape")
    assert page.browser.text("#found") == ""
    faded = page.colour("svm_vcpu_run")
    page.search("epoll")
    assert page.colour("svm_vcpu_run") != faded, "what does not match looks as if it did"
    page.browser.click("#reset")
    assert page.colour("svm_vcpu_run") == faded


def statuses_are_told(page):
    legend = page.browser.text("#legend")
    for text in ["guest kernel", "guest user", "host kernel", "hypervisor (QEMU)", "host user", "hypervisor mode", "unknown side"]:
        assert text in legend, legend
    assert "call chain cut\n" + share(55) in legend.replace("call chain cut ", "call chain cut\n"), legend
    assert "the call chain is cut" in " ".join(page.hover("[truncated]"))
    assert "has no symbols" in " ".join(page.hover("libssl.so.3+0x4f2d1"))
    assert page.colour("libssl.so.3+0x4f2d1") != page.colour("deflate")
    assert "coverage: 1257 samples" in page.browser.text("#notes")
    unexplained = page.browser.run("return graph.statuses.filter(status => status !== 'ok' && !STATUS_TEXTS[status])")
    assert not unexplained, unexplained


def a_taller_window_shows_the_foot(page):
    hidden = 0
    for height in [450, 480, 520, 560]:
        page.browser.resize(height)
        all_rows, seen, foot = page.browser.run("return [room.offsetHeight, view.clientHeight, y_of(0) + ROW]")
        assert foot <= seen, f"in a window {height} high the first row ends at {foot} of {seen}"
        hidden += all_rows > seen
        line, text = page.browser.run("const e = document.getElementById('path'); return [e.clientHeight, e.scrollHeight]")
        assert line >= text, f"in a window {height} high the zoom's line has {line} pixels for {text}"
    assert hidden > 1, "no row was out of view"
    page.browser.resize(page.browser.size[1])


def the_other_measure(page):
    page.browser.press("w")
    assert page.browser.run("return state.measure") == 1 and "16.2 ms" in page.hover("epoll_wait")[3]
    page.browser.press("w")


def names_are_no_scripts(page):
    """An alert would have ended this test long ago."""
    assert page.browser.text("#title") == "web1, db<script>alert(1)</script>"
    assert page.hover("\"'><img/onerror=alert(3)>")
    assert page.hover("\ufffdgpj.exe\ufffd[31m"), "direction overrides and control characters are shown"
    assert page.browser.run("return [document.scripts.length, document.images.length]") == [2, 0]
    assert page.browser.errors() == []
    page.browser.run("""
        const script = document.createElement("script");
        script.textContent = "window.broken = 1";
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw=' onerror='window.broken = 2'>");
    """)
    assert page.browser.run("return window.broken ?? 'safe'") == "safe"
    assert any("Content Security Policy" in line for line in page.browser.errors())


def linear(channel):
    channel /= 255
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


# How colours look to those who lack the cones for red, green, blue: Machado, Oliveira, Fernandes (IEEE TVCG 15/6, 2009), severity 1.
SIGHT = {
    "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(rgb):
    """CIELAB, D65."""
    r, g, b = rgb
    xyz = [(0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505, 0.2126 * r + 0.7152 * g + 0.0722 * b,
           (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089]
    x, y, z = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (max(v, 0) for v in xyz))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def colours_are_told_apart(page):
    names = ["guest-kernel", "guest-user", "host-kernel", "vmm"]
    values = page.browser.run("const s = getComputedStyle(document.documentElement);"
                              "return arguments[0].map(n => rgb(s.getPropertyValue('--' + n).trim()))", names)
    for sight, matrix in SIGHT.items():
        seen = {}
        for name, value in zip(names, values, strict=True):
            light = [linear(channel) for channel in value]
            seen[name] = lab([min(1, max(0, sum(m * v for m, v in zip(row, light)))) for row in matrix])
        for a, b in itertools.combinations(names, 2):
            distance = sum((p - q) ** 2 for p, q in zip(seen[a], seen[b])) ** 0.5
            assert distance > 15, f"{a} and {b} with {sight}: {distance:.1f}"  # 2.3 can just be noticed side by side


def dark_is_dark(page):
    background = "return getComputedStyle(document.body).backgroundColor"
    bright, bar = page.browser.run(background), page.colour("main")
    page.browser.prefer("dark")
    assert page.browser.run(background) != bright and page.colour("main") != bar
    colours_are_told_apart(page)
    page.browser.prefer("light")
    assert page.colour("main") == bar


def changes_have_colours(page):
    red, blue, grey = page.colour("deflate_slow"), page.colour("read"), page.colour("parse_request")
    assert red[0] > red[2] + 60 and blue[2] > blue[0] + 60 and max(grey) - min(grey) < 16, (red, blue, grey)
    lines = page.hover("deflate_slow")
    assert "+48.35 points" in lines[-1] and "not in monday.data" in lines[-1], lines
    lines = page.hover("parse_request")
    assert "no more than noise" in lines[-1], lines
    low, high = (float(word.replace("\u2212", "-")) for word in lines[-1].split("points")[1].split() if word[0] in "+\u2212")
    assert low < 0 < high, lines
    assert page.search("_write") == share(280, 2090) + " \u2192 " + share(370, 3930) + " in 3 functions", page.browser.text("#found")
    page.browser.press("Escape")
    assert "42.58 % of monday.data is in frames that tuesday.data does not have" in page.browser.text("#notes")
    page.browser.press("w")
    gone = page.colour("deflate_fast")
    assert page.fills_the_width("all") and gone[2] > gone[0] + 60, gone
    page.browser.press("w")


def a_hundred_thousand_stacks(page):
    nodes, milliseconds = page.browser.run("const t = performance.now(); draw(); return [graph.n, performance.now() - t]")
    print(f"  {nodes} bars of 100 000 stacks, drawn in {milliseconds:.1f} ms")
    assert 1000 < nodes <= 50000
    assert "frames too small to be seen are left out" in page.browser.text("#notes")
    assert "of it in frames too small for this page" in " ".join(page.hover("f0_2"))
    page.click("f1_2")
    assert page.fills_the_width("f1_2")


STORIES = {
    "kinds": [bars_are_where_they_should_be, a_click_zooms_and_escape_shows_everything, keys_do_what_the_mouse_does,
              search_tells_the_share, statuses_are_told, a_taller_window_shows_the_foot, the_other_measure,
              colours_are_told_apart, dark_is_dark, names_are_no_scripts],
    "diff": [changes_have_colours],
    "large": [a_hundred_thousand_stacks],
}


def main():
    with tempfile.TemporaryDirectory(prefix="vpmu-pages-") as directory, Browser() as browser:
        subprocess.run([sys.argv[1], directory], check=True)
        shots = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else directory)
        for name, stories in STORIES.items():
            begun = time.monotonic()
            page = Page(browser, f"{directory}/{name}.html")
            print(f"{name}: loaded in {time.monotonic() - begun:.2f} s")
            for mode in ["dark", "light"]:
                browser.prefer(mode)
                assert len(browser.screenshot(shots / f"{name}-{mode}.png")) > 5000
            for story in stories:
                story(page)
                print("ok     ", story.__name__)
                if story is not names_are_no_scripts:
                    assert (errors := browser.errors()) == [], errors


main()
