#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How vpmud starts, reads its configuration again, and ends. usage: start.py STORY"""
import os
import pathlib
import signal
import socket
import subprocess
import time

from vpmud import VPMUD, Client, Vpmud, main, wait_until

QUIET = "[access]\nreaders = root\n[always-on]\nenabled = no\n[store]\npath = none\n"


def run(*arguments):
    """(status, what was said) of a vpmud that ends by itself."""
    done = subprocess.run([VPMUD, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60)
    return done.returncode, done.stdout


def check_refused(text, *arguments):
    status, said = run(*arguments)
    assert status == 1 and len(said.splitlines()) == 1 and text in said, (status, said)


def configuration(text):
    pathlib.Path("own.conf").write_text(text)
    return os.path.abspath("own.conf")


def answers(path):
    try:
        with Client(path) as client:
            return client.call("org.varlink.service.GetInfo")
    except OSError:
        return None


def options():
    for wrong in (["bogus"], ["--bogus"], ["--config"]):
        status, said = run(*wrong)
        assert status == 2 and "'vpmud --help' tells what there is" in said, said
    assert run("--version")[1].startswith("vpmud "), run("--version")
    assert run("--help")[1].startswith("usage: vpmud "), run("--help")


def wrong_configuration():
    check_refused("cannot read '/nonexistent/vpmud.conf'", "--config", "/nonexistent/vpmud.conf")
    path = configuration("[vpmud]\nlibvirt = none\nworker = 7\n")
    check_refused(f"{path}:3: unknown key 'worker' in [vpmud]", "--config", path)
    check_refused(f"{path}:3: unknown key 'worker' in [vpmud]", "--config", path, "--check-config")
    assert run("--config", configuration(QUIET), "--check-config") == (0, f"{path} is right\n")


def wrong_socket():
    with Vpmud(QUIET) as vpmud:
        base = ["--config", configuration(QUIET + "[vpmud]\nlibvirt = none\n"), "--socket"]
        check_refused("is in use: another vpmud answers there", *base, vpmud.socket)
        check_refused("vpmud.conf' is there and no socket", *base, vpmud.config)
        check_refused("cannot make the socket '/proc/1/vpmud'", *base, "/proc/1/vpmud")
        check_refused("longer than 107 characters", *base, "/run/" + "x" * 120)
        # None of that hurt the one that was there.
        assert answers(vpmud.socket)


def socket_that_was_left():
    left = socket.socket(socket.AF_UNIX)
    left.bind("socket")
    left.close()
    with Vpmud(QUIET) as vpmud:
        wait_until("vpmud answers", lambda: answers(vpmud.socket))
        assert os.stat("socket").st_mode & 0o777 == 0o666
    assert not os.path.exists("socket")


def socket_of_systemd():
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("socket")
    listening.listen()
    path = configuration(QUIET + "[vpmud]\nlibvirt = none\nsocket = /nonexistent/x\n")
    # As systemd does: descriptor 3, and an environment that says for which process it is.
    script = f"exec 3<&{listening.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec {VPMUD} --config {path}"
    process = subprocess.Popen(["bash", "-c", script], pass_fds=[listening.fileno()], stdin=subprocess.DEVNULL)
    try:
        assert answers(os.path.abspath("socket"))["product"] == "vpmud"
    finally:
        process.terminate()
        assert process.wait(60) == 0
    assert os.path.exists("socket")


def reload():
    limits = QUIET + "[limits]\nmax-connections-per-user = "
    with Vpmud(limits + "3") as vpmud:
        clients = [vpmud.client()]
        wait_until("it is alone", lambda: clients[0].call("Stats")["usage"]["connections"] == 1)
        clients += [vpmud.client() for _ in range(2)]
        assert clients[2].call("org.varlink.service.GetInfo")
        with vpmud.client() as one_too_many:
            assert one_too_many.receive() == {"error": "org.vpmu.LimitReached", "parameters": {"what": "connections", "limit": 3}}
        vpmud.configure(limits + "4\nnonsense")
        vpmud.reload()
        wait_until("a refusal", lambda: "the configuration stays as it was" in vpmud.said())
        with vpmud.client() as one_too_many:
            assert one_too_many.receive()["parameters"]["limit"] == 3
        vpmud.configure(limits + "4")
        vpmud.reload()
        wait_until("a reload", lambda: "was read again" in vpmud.said())
        # The old connections live on; there may be one more.
        assert answers(vpmud.socket) and clients[0].call("org.varlink.service.GetInfo")


def stop():
    for how in (signal.SIGTERM, signal.SIGINT):
        with Vpmud("other-guests = no\n" + QUIET) as vpmud, vpmud.client() as idle, vpmud.client() as streaming:
            idle.call("org.varlink.service.GetInfo")
            streaming.send("Subscribe", more=True)
            streaming.receive()
            began = time.monotonic()
            vpmud.process.send_signal(how)
            assert vpmud.process.wait(60) == 0
            print(f"stopped after {time.monotonic() - began:.3f} s")
            assert idle.socket.recv(1) == b"" and streaming.socket.recv(1) == b""
            assert not os.path.exists("socket")


main(globals())
