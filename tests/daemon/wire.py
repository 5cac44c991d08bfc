#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vpmud against the varlink specification (https://varlink.org), told over a raw socket."""
import array
import socket
import threading

from raw import SOURCE, Daemon, check_equal, tell
from vpmud import wait_until

SERVICE = "org.varlink.service."
daemon = Daemon()


def fails(wire, error, parameters, method, *arguments, **flags):
    check_equal(wire.call(method, *arguments, **flags), {"error": SERVICE + error, "parameters": parameters})


def test_get_info_tells_what_there_is():
    with daemon.connect() as wire:
        info = wire.call(SERVICE + "GetInfo")["parameters"]
        check_equal(sorted(info), ["interfaces", "product", "url", "vendor", "version"])
        check_equal(info["product"], "vpmud")
        check_equal(info["url"], "man:vpmud(8)")
        check_equal(info["interfaces"], ["org.varlink.service", "org.vpmu"])


def test_the_description_is_the_commented_file():
    with daemon.connect() as wire:
        for interface in ("org.vpmu", "org.varlink.service"):
            reply = wire.call(SERVICE + "GetInterfaceDescription", {"interface": interface})
            check_equal(reply["parameters"]["description"] == (SOURCE / "daemon" / f"{interface}.varlink").read_text(), True)
        fails(wire, "InterfaceNotFound", {"interface": "org.none"}, SERVICE + "GetInterfaceDescription", {"interface": "org.none"})


def test_unknown_interfaces_and_methods_are_told_apart():
    with daemon.connect() as wire:
        fails(wire, "InterfaceNotFound", {"interface": "org.none"}, "org.none.Method")
        fails(wire, "InterfaceNotFound", {"interface": "NoDot"}, "NoDot")
        fails(wire, "InterfaceNotFound", {"interface": "org"}, "org.vpmu")
        fails(wire, "MethodNotFound", {"method": "org.vpmu.None"}, "org.vpmu.None")
        fails(wire, "MethodNotFound", {"method": "org.vpmu."}, "org.vpmu.")
        fails(wire, "MethodNotFound", {"method": SERVICE + "GetNothing"}, SERVICE + "GetNothing")


def test_parameters_are_checked_by_the_interface():
    def wrong(name, method, parameters):
        fails(wire, "InvalidParameter", {"parameter": name}, method, parameters)

    with daemon.connect() as wire:
        wrong("interface", SERVICE + "GetInterfaceDescription", {})
        wrong("interface", SERVICE + "GetInterfaceDescription", None)
        wrong("interface", SERVICE + "GetInterfaceDescription", {"interface": None})
        wrong("interface", SERVICE + "GetInterfaceDescription", {"interface": 7})
        wrong("more", SERVICE + "GetInfo", {"more": True})
        wrong("guests[1]", "org.vpmu.ListGuests", {"guests": ["a", 7]})
        wrong("guests", "org.vpmu.ListGuests", {"guests": "a"})
        wrong("name", "org.vpmu.StopSession", {})
        wrong("source.since_ms", "org.vpmu.Report", {"source": {"since_ms": "yesterday"}})
        wrong("source.when", "org.vpmu.Report", {"source": {"when": 1}})
        wrong("min_percent", "org.vpmu.Report", {"source": {}, "min_percent": "1"})
        check_equal(wire.call("org.vpmu.ListGuests", {"guests": None}), {"parameters": {"guests": []}})


def test_a_call_may_come_in_single_bytes():
    with daemon.connect() as wire:
        for byte in b'{"method": "org.varlink.service.GetInfo", "parameters": {}}\0':
            wire.send(bytes([byte]))
        check_equal(wire.read()["parameters"]["product"], "vpmud")


def test_replies_come_in_the_order_of_the_calls():
    names = [f"org.test.n{i}" for i in range(3000)]

    def say(wire):
        for name in names:
            wire.begin(SERVICE + "GetInterfaceDescription", {"interface": name})

    with daemon.connect() as wire:
        # Somebody must read meanwhile: nobody has to remember all the replies.
        speaker = threading.Thread(target=say, args=[wire])
        speaker.start()
        check_equal([wire.read()["parameters"]["interface"] for _ in names], names)
        speaker.join()


def test_oneway_calls_have_no_reply():
    with daemon.connect() as wire:
        wire.begin(SERVICE + "GetInfo", oneway=True)
        wire.begin("org.none.Method", oneway=True)
        fails(wire, "InterfaceNotFound", {"interface": "org.last"}, "org.last.Method")


def test_oneway_calls_of_clients_that_left_are_carried_out():
    with daemon.connect() as wire:
        before = int(wire.call("org.vpmu.Stats")["parameters"]["usage"]["calls"])
        with daemon.connect() as other:
            for _ in range(100):
                other.begin(SERVICE + "GetInfo", oneway=True)
        wait_until("they are counted", lambda: int(wire.call("org.vpmu.Stats")["parameters"]["usage"]["calls"]) > before + 100)


def test_more_is_only_an_offer():
    with daemon.connect() as wire:
        reply = wire.call(SERVICE + "GetInfo", more=True)
        check_equal("continues" in reply, False)


def test_a_stream_continues_until_the_client_leaves():
    with daemon.connect() as wire:
        fails(wire, "ExpectedMore", {}, "org.vpmu.Subscribe")
        reply = wire.call("org.vpmu.Subscribe", more=True)
        check_equal((reply["continues"], reply["parameters"]["change"]), (True, "settled"))
        check_equal(wire.is_silent(0.1), True)


def test_calls_behind_a_stream_wait():
    with daemon.connect() as wire:
        wire.begin("org.vpmu.Subscribe", more=True)
        wire.begin(SERVICE + "GetInfo")
        check_equal(wire.read()["parameters"]["change"], "settled")
        check_equal(wire.is_silent(0.2), True)
        check_equal(daemon.answers(), True)


def test_upgrade_is_refused():
    with daemon.connect() as wire:
        fails(wire, "InvalidParameter", {"parameter": "upgrade"}, SERVICE + "GetInfo", upgrade=True)
        check_equal(wire.call(SERVICE + "GetInfo", upgrade=False)["parameters"]["product"], "vpmud")


def test_what_varlink_may_learn_is_ignored():
    with daemon.connect() as wire:
        wire.send(b'{"method": "org.varlink.service.GetInfo", "parameters": null, "color": ["blue"]}\0')
        check_equal(wire.read()["parameters"]["product"], "vpmud")


def test_who_says_no_more_still_gets_its_replies():
    with daemon.connect() as wire:
        for _ in range(100):
            wire.begin(SERVICE + "GetInfo")
        wire.socket.shutdown(socket.SHUT_WR)
        for _ in range(100):
            check_equal(wire.read()["parameters"]["product"], "vpmud")
        check_equal(wire.is_closed(), True)


def test_what_is_no_call_ends_the_connection():
    for message in (b"", b"{}", b"[]", b"null", b"GET / HTTP/1.1", b'{"method": 1}', b'{"method": null}', b'{"parameters": {}}',
                    b'{"method": "org.vpmu.Stats", "parameters": []}', b'{"method": "org.vpmu.Stats", "more": 1}',
                    b'{"method": "org.vpmu.Stats", "oneway": "yes"}', b'{"method": "org.vpmu.Stats", "more": true, "oneway": true}',
                    b'{"method": "org.vpmu.Stats", "method": "org.vpmu.Stats"}'):
        with daemon.connect() as wire:
            wire.send(message + b"\0")
            check_equal((message, wire.is_closed()), (message, True))


def test_descriptors_that_nobody_asked_for_are_closed():
    daemon.settle()
    before = daemon.open_files()
    with daemon.connect() as wire:
        for _ in range(50):
            wire.socket.sendmsg([b" " * 10], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 20))])
        wire.begin(SERVICE + "GetInfo")
        check_equal(wire.read()["parameters"]["product"], "vpmud")
        check_equal(daemon.open_files(), before + 1)


def test_it_all_leaves_nothing_behind():
    check_equal(daemon.stop(), 0)
    check_equal("does not allow" in daemon.said(), False)
    check_equal((daemon.dir / "socket").exists(), False)


with daemon:
    tell(globals())
