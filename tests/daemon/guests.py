#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What vpmud tells of guests: libvirt's, from its test driver, and processes that hold a KVM machine. usage: guests.py STORY"""
import ctypes
import fcntl
import os
import pwd
import signal
import time

from vpmud import Skip, Vpmud, main, wait_until

KVM_CREATE_VM, KVM_CREATE_VCPU = 0xAE01, 0xAE41
PR_SET_PDEATHSIG = 1
UUIDS = {"web1": "00000000-0000-0000-0000-000000000001", "web2": "00000000-0000-0000-0000-000000000002",
         "db": "00000000-0000-0000-0000-000000000003"}


def node(*names):
    """The URI of a libvirt of the test driver with these domains, which run but are no processes."""
    with open("node.xml", "w") as out:
        out.write("<node>")
        for name in names:
            out.write(f"<domain type='test'><name>{name}</name><uuid>{UUIDS[name]}</uuid><memory>1024</memory>"
                      "<os><type>hvm</type></os></domain>")
        out.write("</node>")
    return "test://" + os.path.abspath("node.xml")


def names(guests):
    return [guest["name"] for guest in guests]


class Machine:
    """A process that holds a KVM machine with a vCPU: a guest, as /proc shows it."""

    def __init__(self):
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            raise Skip("no permission to use /dev/kvm")
        ready, say = os.pipe()
        test = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            # A test that fails, or is stopped, leaves nobody behind.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            kvm = os.open("/dev/kvm", os.O_RDWR)
            vm = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
            fcntl.ioctl(vm, KVM_CREATE_VCPU, 0)
            os.write(say, b"!")
            while os.getppid() == test:  # also when the test fails
                time.sleep(1)
            os._exit(0)
        os.close(say)
        made = os.read(ready, 1)
        os.close(ready)
        if not made:
            os.waitpid(self.pid, 0)
            raise Skip("KVM cannot create a machine here")

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def libvirt_domains():
    with Vpmud("other-guests = no", libvirt=node("web1", "web2", "db")) as vpmud, vpmud.client() as client:
        guests = wait_until("three guests", lambda: [g for g in [client.call("ListGuests")["guests"]] if len(g) == 3])[0]
        assert names(guests) == ["db", "web1", "web2"], guests
        web1 = guests[1]
        assert web1["uuid"] == UUIDS["web1"] and web1["libvirt"] and web1["state"] == "running", web1
        assert web1["pid"] is None and web1["vcpus"] == [] and "no process" in web1["why"], web1
        for patterns, expected in ((["web*"], ["web1", "web2"]), (["w?b2"], ["web2"]), ([UUIDS["db"].upper()], ["db"]),
                                   (["db", "web1"], ["db", "web1"]), (["pid:1"], []), (["[d]b"], [])):
            assert names(client.call("ListGuests", guests=patterns)["guests"]) == expected, patterns


def changes_of_a_process():
    with Vpmud() as vpmud, vpmud.client() as feed, vpmud.client() as client:
        feed.send("Subscribe", more=True)
        while (reply := feed.receive())["parameters"]["change"] != "settled":
            assert reply["continues"] and reply["parameters"]["change"] == "present", reply
        machine = Machine()
        mine = [f"pid:{machine.pid}"]
        while (told := feed.receive()["parameters"])["change"] != "appeared" or told["guest"]["name"] not in mine:
            pass
        guest = client.call("ListGuests", guests=mine)["guests"][0]
        assert guest["pid"] == machine.pid and guest["accel"] == "kvm" and not guest["libvirt"], guest
        assert guest["vcpus"] == [{"index": 0, "tid": machine.pid}], guest
        assert guest["state"] == "running" and guest["uuid"] == "", guest
        machine.end()
        while (told := feed.receive()["parameters"])["change"] != "gone" or told["guest"]["name"] not in mine:
            assert told["change"] != "appeared" or told["guest"]["name"] not in mine
        assert client.call("ListGuests", guests=mine)["guests"] == []


def tied_user():
    """A user sees the guests that it is tied to, and is told of no others."""
    if os.geteuid() != 0:
        raise Skip("becoming another user needs root")
    nobody = pwd.getpwnam("nobody").pw_uid
    config = "other-guests = no\n[user nobody]\nguests = web*"
    with Vpmud(config, libvirt=node("web1", "db")) as vpmud, vpmud.client() as root:
        wait_until("two guests", lambda: len(root.call("ListGuests")["guests"]) == 2)
        os.seteuid(nobody)
        try:
            client = vpmud.client()
        finally:
            os.seteuid(0)
        with client:
            assert names(client.call("ListGuests")["guests"]) == ["web1"]
            assert names(client.call("ListGuests", guests=["db", UUIDS["db"]])["guests"]) == []
            client.send("Subscribe", {"guests": ["*"]}, more=True)
            told = [client.receive()["parameters"] for _ in range(2)]
            assert [t["change"] for t in told] == ["present", "settled"], told
            assert told[0]["guest"]["name"] == "web1", told
            vpmud.configure("other-guests = no\n[user nobody]\nguests = db", libvirt=node("web1", "db"))
            vpmud.reload()
            told = [client.receive()["parameters"] for _ in range(2)]
            assert [(t["change"], t["guest"]["name"]) for t in told] == [("gone", "web1"), ("appeared", "db")], told


def bad_calls():
    with Vpmud() as vpmud, vpmud.client() as client:
        assert client.refused("Subscribe")[0] == "ExpectedMore"
        assert client.refused("ListGuests", guests="web1")[0] == "InvalidParameter"
        assert client.refused("ListGuests", guests=["a", 1])[0] == "InvalidParameter"
        error, parameters = client.refused("ListGuests", guests=["a" * 513])
        assert error == "BadValue" and parameters["parameter"] == "guests", parameters
        error, parameters = client.refused("ListGuests", guests=["a"] * 1001)
        assert error == "BadValue" and "1000" in parameters["text"], parameters
        # Stars that would take years for who tries every way to place them.
        client.call("ListGuests", guests=["*a" * 200 + "b"] * 1000)


def libvirt_is_not_there():
    """vpmud goes on without, says why once, and takes up what a reload brings."""
    uri = "test://" + os.path.abspath("nonexistent.xml")
    with Vpmud("other-guests = no", libvirt=uri) as vpmud, vpmud.client() as feed:
        wait_until("a line on libvirt", lambda: "cannot connect to libvirt at " + uri in vpmud.said())
        usage = feed.call("Stats")["usage"]
        assert usage["libvirt"] == "away" and uri in usage["libvirt_why"], usage
        feed.send("Subscribe", more=True)
        assert feed.receive()["parameters"]["change"] == "settled"
        vpmud.configure("other-guests = no", libvirt=node("web1"))
        vpmud.reload()
        told = feed.receive()["parameters"]
        assert told["change"] == "appeared" and told["guest"]["name"] == "web1", told
        with vpmud.client() as client:
            usage = client.call("Stats")["usage"]
            assert usage["libvirt"] == "connected" and usage["libvirt_why"] is None, usage
        vpmud.configure("other-guests = no", libvirt="none")
        vpmud.reload()
        while (told := feed.receive()["parameters"])["change"] != "gone":
            assert told["change"] == "changed", told
        assert vpmud.said().count("cannot connect") == 1, vpmud.said()


if __name__ == "__main__":
    main(globals())
