#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Profiles out of vpmud: of a session, of the store, live; of a guest whose shares are known (tests/lab/fast, three-functions: half
of its time in one function, a quarter in each of two others). usage: profiles.py STORY, with LAB, the lab's build directory.
"""
import array
import base64
import contextlib
import json
import os
import pwd
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "browser"))
sys.dont_write_bytecode = True  # beside the source
from page import Page
from webdriver import Browser
from vpmud import Skip, Vpmud, main, wait_until

LAB = os.environ["LAB"]
MINUTE_MS = 60000
KNOWN = {"inner": 50, "foo": 25, "bar": 25}


class Guest:
    """three-functions under the lab's VMM. vpmud knows it as pid:N."""

    def __init__(self):
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            raise Skip("no permission to use /dev/kvm")
        image = f"{LAB}/three-functions.elf"
        self.process = subprocess.Popen([f"{LAB}/vmm", "--vcpus", "1", "--seconds", "300", image], stdout=subprocess.DEVNULL)
        self.name = f"pid:{self.process.pid}"
        self.symbols = sorted((int(address, 16), name) for address, kind, name in
                              (line.split() for line in subprocess.check_output(["nm", image], text=True).splitlines()
                               if len(line.split()) == 3))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def disturb(self):
        """It runs without exits, so hardly a sample would be of the host: stopped and continued it leaves and comes back."""
        for _ in range(20):
            for number in signal.SIGSTOP, signal.SIGCONT:
                self.process.send_signal(number)
                time.sleep(0.001)

    def symbol(self, address):
        return max(s for s in self.symbols if s[0] <= address)[1]

    def shares(self, rows):
        """Percent of the guest's samples by function. Nobody gave vpmud symbols for it: a row is an address."""
        samples = {}
        for row in rows:
            if row["half"] == "guest" and row["side"] == "guest-user":
                name = self.symbol(int(row["symbol"], 16))
                samples[name] = samples.get(name, 0) + row["samples"]
        total = sum(samples.values())
        return total, {name: 100 * n / total for name, n in samples.items()}

    def check_shares(self, rows):
        """Within four standard errors and a point."""
        total, shares = self.shares(rows)
        assert total > 100, (total, rows)
        for name, percent in KNOWN.items():
            error = 1 + 4 * 100 * (percent / 100 * (1 - percent / 100) / total) ** 0.5
            assert abs(shares.get(name, 0) - percent) < error, (total, shares)


def receive_file(client):
    """A reply and the file that came with it."""
    fds = array.array("i")
    data, ancillary, _, _ = client.socket.recvmsg(1 << 16, socket.CMSG_SPACE(4))
    for level, kind, value in ancillary:
        assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        fds.frombytes(value)
    client.rest += data
    reply = client.receive()
    assert "error" not in reply and len(fds) == 1, reply
    with os.fdopen(fds[0], "rb") as file:
        return reply["parameters"], file.read()


def n_seen(client):
    [session] = client.call("ListSessions")["sessions"]
    assert session["state"] == "running", session
    return int(session["samples"])


@contextlib.contextmanager
def session_of(client, guest, samples=500, chains=False):
    """A session on @guest that has seen that much."""
    client.call("StartSession", name="mine", guests=[guest.name], events="cpu-clock", frequency_hz=999, chains=chains)
    wait_until("samples", lambda: n_seen(client) >= samples)
    yield {"session": "mine"}
    client.call("StopSession", name="mine")


def of_a_session():
    with Guest() as guest, Vpmud("[always-on]\nenabled = no") as vpmud, vpmud.client() as client:
        wait_until("the guest", lambda: client.call("ListGuests", guests=[guest.name])["guests"])
        with session_of(client, guest) as source:
            report = client.call("Report", source={**source, "side": "guest"}, sort="side,symbol", limit=0)
            guest.check_shares(report["rows"])
            def halves():
                guest.disturb()
                return len(client.call("Report", source=source, limit=1, sort="symbol")["rows"]) == 2  # one for each
            wait_until("a sample of the host", halves)
            report = client.call("Report", source={**source, "side": "guest"}, sort="side,symbol", limit=0)
            coverage = report["coverage"]
            assert coverage["host"] == 0 and coverage["samples"] == sum(row["samples"] for row in report["rows"]), coverage
            assert coverage["source"].startswith("cpu-clock"), coverage
            by_guest = client.call("Report", source={**source, "guests": [guest.name]}, sort="guest")["rows"]
            assert {row["guest"] for row in by_guest} == {guest.name}, by_guest
            diff = client.call("Diff", base={**source, "side": "host"}, other={**source, "side": "guest"}, limit=3)
            assert len(diff["rows"]) == 3 and int(diff["other_samples"]) >= coverage["samples"], diff
            check_exports(client, source)
            check_refusals(client, source)
        assert client.refused("Report", source=source) == ("SessionNotFound", {"name": "mine"})


def chains_of_two_at_once():
    """They share what takes the chains, but not a sample."""
    def chains(name):
        report = client.call("Report", source={"session": name, "side": "guest"}, sort="side,symbol", limit=0)
        return report["coverage"]["guest_chains"], report["coverage"]["guest"], report["rows"]

    with Guest() as guest, Vpmud("[always-on]\nenabled = no") as vpmud, vpmud.client() as client:
        wait_until("the guest", lambda: client.call("ListGuests", guests=[guest.name])["guests"])
        for name, hz in ("often", 999), ("seldom", 499):
            client.call("StartSession", name=name, guests=[guest.name], events="cpu-clock", frequency_hz=hz, chains=True)
        wait_until("samples", lambda: chains("seldom")[1] > 500)
        if not chains("seldom")[0]:
            raise Skip("guest call chains cannot be had here")
        n_often, all_often, rows = chains("often")
        assert n_often == all_often, (n_often, all_often)
        guest.check_shares(rows)
        client.call("StopSession", name="often")
        before, _, _ = chains("seldom")
        wait_until("samples of the one that is left", lambda: chains("seldom")[0] > before + 100)
        n_seldom, all_seldom, rows = chains("seldom")
        assert n_seldom == all_seldom, (n_seldom, all_seldom)
        guest.check_shares(rows)


def check_exports(client, source):
    inline = client.call("Export", source=source, format="folded", inline=True)
    text = base64.b64decode(inline["data"]).decode()
    assert len(text) == int(inline["bytes"])
    assert sum(int(line.rsplit(" ", 1)[1]) for line in text.splitlines()) >= 500, text
    for kind, magic in (("vpmu", b"vpmuprof"), ("pprof", b"\x1f\x8b"), ("speedscope", b"{"), ("folded", b"pid:"),
                        ("flamegraph", b"<!DOCTYPE html>")):
        client.send("Export", {"source": source, "format": kind})
        reply, data = receive_file(client)
        assert reply["file"] == 0 and int(reply["bytes"]) == len(data), reply
        assert data.startswith(magic), data[:16]


def check_refusals(client, source):
    for wrong, parameter in (({"sort": "colour"}, "sort"), ({"limit": -1}, "limit"), ({"min_percent": 101.0}, "min_percent")):
        error, parameters = client.refused("Report", source=source, **wrong)
        assert error == "BadValue" and parameters["parameter"] == parameter, (wrong, error, parameters)
    for wrong in {"since_ms": 1}, {"side": "left"}, {"guests": ["a" * 513]}, {"guests": ["a"] * 1001}:
        error, parameters = client.refused("Report", source={**source, **wrong})
        assert error == "BadValue" and parameters["parameter"] == "source", (wrong, error, parameters)
    error, parameters = client.refused("Export", source=source, format="jpeg")
    assert error == "BadValue" and parameters["parameter"] == "format", parameters
    error, parameters = client.refused("Report", source={**source, "guests": ["nobody"]})
    assert error == "GuestNotFound" and parameters["guest"] == "nobody", parameters
    assert client.refused("Report", source={})[0] == "NotAvailable"  # these have no store


def store_at(path, more=""):
    return f"{more}\n[store]\npath = {os.path.abspath(path)}"


def the_last_minute():
    """What the always-on session saw of the guest has the guest's shares; the command shows it."""
    with Guest() as guest, Vpmud(store_at("store.db", "[always-on]\nfrequency = 199")) as vpmud, vpmud.client() as client:
        wait_until("the guest", lambda: client.call("ListGuests", guests=[guest.name])["guests"])
        assert client.refused("Report", source={"guests": ["nobody"]})[0] == "GuestNotFound"
        # At least fifteen seconds of a minute, and its end.
        begin = time.time()
        check_no_data(client, guest, begin)
        if begin % 60 >= 45:
            time.sleep(60.1 - time.time() % 60)
        time.sleep(60.1 - time.time() % 60)

        def kept():
            client.send("Report", {"source": {"guests": [guest.name]}, "sort": "guest,side,symbol", "limit": 0})
            return client.receive()["parameters"].get("rows")
        rows = wait_until("a minute in the store", kept)
        assert {row["guest"] for row in rows} == {guest.name}, rows
        guest.check_shares(rows)
        usage = client.call("Stats")["usage"]
        assert int(usage["store_bytes"]) > 0 and usage["store_oldest_ms"] // MINUTE_MS >= int(begin) // 60, usage
        assert usage["store_errors"] == "0", usage
        shown = subprocess.run([os.environ["VPMU"], "report", guest.name, "--since", "1h", "--socket", vpmud.socket, "--json"],
                               stdout=subprocess.PIPE, check=True).stdout
        guest.check_shares(json.loads(shown)["rows"])


def check_no_data(client, guest, begin):
    """Nothing is kept before the end of the minute in which vpmud began."""
    client.send("Report", {"source": {"guests": [guest.name]}})
    reply = client.receive()
    assert reply.get("error") == "org.vpmu.NoData" or time.time() // 60 > begin // 60, reply


def fill_store(path, parts):
    """parts: (guest, minute, bytes). The tables are vpmud's (store_db.h), which has made them."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        for guest, minute_ms, profile in parts:
            db.execute("INSERT OR IGNORE INTO guests (name, uuid) VALUES (?, '')", (guest,))
            db.execute("INSERT INTO profiles SELECT id, ?, ?, ? FROM guests WHERE name = ? AND uuid = ''",
                       (minute_ms, minute_ms + MINUTE_MS, profile, guest))


def some_profile(client, guest):
    client.send("Export", {"source": {"session": "mine", "guests": [guest.name]}, "format": "vpmu"})
    return receive_file(client)[1]


def the_past():
    """Periods, comparisons, and who may see what, on a store that somebody filled."""
    quiet = "[always-on]\nenabled = no\n[user nobody]\nguests = web*"
    now_ms = int(time.time()) // 60 * MINUTE_MS
    with Guest() as guest, Vpmud(store_at("store.db", quiet)) as vpmud, vpmud.client() as client:
        wait_until("the guest", lambda: client.call("ListGuests", guests=[guest.name])["guests"])
        with session_of(client, guest, samples=100):
            profile = some_profile(client, guest)
    fill_store("store.db", [("web1", now_ms - 3 * MINUTE_MS, profile), ("web1", now_ms - 2 * MINUTE_MS, profile),
                            ("db", now_ms - 2 * MINUTE_MS, profile), ("web1", now_ms - MINUTE_MS, b"vpmuprof, not")])
    with Vpmud(store_at("store.db", quiet)) as vpmud, vpmud.client() as client:
        def samples(**source):
            return client.call("Report", source=source)["coverage"]["samples"]
        one = samples(guests=["db"])
        assert one > 0 and samples() == 3 * one and samples(guests=["web*"]) == 2 * one
        assert samples(guests=["web1"], since_ms=now_ms - 2 * MINUTE_MS) == one
        assert samples(since_ms=now_ms - 2 * MINUTE_MS + 1) == 2 * one  # the whole of a minute, or nothing
        assert samples(until_ms=now_ms - 2 * MINUTE_MS) == one
        kept = {"since_ms": now_ms - 3 * MINUTE_MS, "until_ms": now_ms - MINUTE_MS, "minutes": 2}
        assert client.call("Report", source={"since_ms": now_ms - 60 * MINUTE_MS})["kept"] == kept
        check_gaps_told(vpmud, kept)
        error, _ = client.refused("Report", source={"since_ms": now_ms})
        assert error == "NoData", error
        diff = client.call("Diff", base={"guests": ["web1"]}, other={"guests": ["db"]})
        assert int(diff["base_samples"]) == 2 * int(diff["other_samples"]), diff
        assert not any(row["significant"] for row in diff["rows"]), diff
        assert diff["base_kept"] == kept and diff["other_kept"]["minutes"] == 1, diff
        assert client.call("Stats")["usage"]["store_errors"] != "0"  # one of them is none
        if os.geteuid() == 0:
            check_tied(vpmud, one)


def periods_in_a_flame_graph():
    """Two periods of the store as vpmu diff draws them: the page has what the table has."""
    quiet = "[always-on]\nenabled = no"
    now_ms = int(time.time()) // 60 * MINUTE_MS
    with Guest() as guest, Vpmud(store_at("store.db", quiet)) as vpmud, vpmud.client() as client:
        wait_until("the guest", lambda: client.call("ListGuests", guests=[guest.name])["guests"])
        with session_of(client, guest, samples=100, chains=True):
            base = some_profile(client, guest)
            wait_until("more samples", lambda: n_seen(client) >= 300)
            other = some_profile(client, guest)
    fill_store("store.db", [("web1", now_ms - 62 * MINUTE_MS, base), ("web1", now_ms - 2 * MINUTE_MS, other)])
    with Vpmud(store_at("store.db", quiet)) as vpmud:
        shown = subprocess.run([os.environ["VPMU"], "diff", "web1", "--since", "10m", "--base", "1h", "--guest", "--flamegraph", "page.html",
                                "--socket", vpmud.socket, "--json"], stdout=subprocess.PIPE, check=True).stdout
    diff = json.loads(shown)
    assert diff["other_samples"] > diff["base_samples"] >= 50, diff
    with Browser() as browser:
        paths = Page(browser, os.path.abspath("page.html")).paths()
        assert [paths["all"][0], paths["all"][2]] == [diff["base_samples"], diff["other_samples"]], (paths, diff)
        for row in diff["rows"]:
            selves = [sum(numbers[k] for path, numbers in paths.items() if path.endswith(f"[unknown]+{row['symbol']}")) for k in (1, 3)]
            assert selves == [row["base_samples"], row["other_samples"]], (row, selves, paths)
        assert (errors := browser.errors()) == [], errors


def check_gaps_told(vpmud, kept):
    """The command tells of the minutes that there are, and how many of those asked for are missing."""
    def shown(*options):
        return subprocess.run([os.environ["VPMU"], "report", "web1", "--since", "10m", "--socket", vpmud.socket, *options],
                              stdout=subprocess.PIPE, check=True, text=True).stdout
    period = json.loads(shown("--json"))["period"]
    assert {key: period["kept_" + key] for key in kept} == kept and period["minutes"] > period["kept_minutes"], period
    lines = shown().splitlines()
    clock = [time.strftime("%H:%M", time.localtime(kept[key] // 1000)) for key in ("since_ms", "until_ms")]
    assert lines[0].startswith("vpmud: ") and re.search(f"{clock[0]} to .*{clock[1]} \\(nothing older is kept\\)$", lines[0]), lines
    assert re.match(r"vpmud: \d+ of the \d+ minutes asked for (has|have) no profile: ", lines[1]), lines


def check_tied(vpmud, one):
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        client = vpmud.client()
    finally:
        os.seteuid(0)
    with client:
        assert client.call("Report", source={})["coverage"]["samples"] == 2 * one
        assert client.refused("Report", source={"guests": ["db"]})[0] == "GuestNotFound"
        assert client.refused("Export", source={"guests": ["db"]}, format="vpmu")[0] == "GuestNotFound"


def live():
    with Guest() as guest, Vpmud("[always-on]\nenabled = no") as vpmud:
        with vpmud.client() as client:
            wait_until("the guest", lambda: client.call("ListGuests", guests=[guest.name])["guests"])
            once = client.call("Top", guests=[guest.name], interval_ms=500, frequency_hz=999, sort="side,symbol")
            assert once["coverage"]["samples"] > 0, once
            wait_until("its session is over", lambda: not client.call("ListSessions")["sessions"])
            for wrong in {"interval_ms": 100}, {"limit": -1}, {"frequency_hz": -1}:
                assert client.refused("Top", guests=[guest.name], **wrong)[0] == "BadValue"
            assert client.refused("Top", guests=[guest.name], sort="colour")[0] == "BadValue"
            assert client.refused("Top", guests=["nobody"])[0] == "GuestNotFound"
        with vpmud.client() as client, vpmud.client() as other:
            parameters = {"guests": [guest.name], "interval_ms": 400, "frequency_hz": 999, "sort": "guest,side,symbol"}
            client.send("Top", parameters, more=True)
            replies = [client.receive() for _ in range(4)]
            assert all(reply["continues"] for reply in replies)
            samples = [reply["parameters"]["coverage"]["samples"] for reply in replies]
            # Each has its interval's samples and no others: the last has not many times those of the first.
            assert sum(samples) > 0 and samples[-1] < sum(samples), samples
            assert len(other.call("ListSessions")["sessions"]) == 1
            client.socket.close()
            wait_until("its session is over", lambda: not other.call("ListSessions")["sessions"])
        with vpmud.client() as client:
            client.send("Top", parameters, more=True)
            client.receive()
            guest.process.kill()
            guest.process.wait()
            wait_until("it ends with its guest", lambda: not client.receive().get("continues"))
            wait_until("its session is over", lambda: not client.call("ListSessions")["sessions"])

            def is_forgotten():
                client.send("Top", {"guests": [guest.name], "interval_ms": 200})
                return client.receive().get("error") == "org.vpmu.GuestNotFound"
            wait_until("the guest is gone", is_forgotten)


main(globals())
