#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what, told by processes of several users."""
import json
import os
import traceback

from raw import Closed, Daemon, check_equal, tell
from vpmud import wait_until

READER, OPERATOR, TIED, STRANGER = 2001, 2002, 2003, 2004
GROUP = 3001
LONG = b'{"method":"org.varlink.service.GetInfo"}'.ljust(3 << 20, b" ") + b"\0"

if os.geteuid() != 0:
    print("SKIP: only root can be several users")
    raise SystemExit(77)

daemon = Daemon(f"""
[limits]
send-timeout = 2s
max-connections = 20
max-request = 4M
max-connections-per-user = 12
max-subscriptions-per-user = 2
[user {TIED}]
guests = web*
""", access=f"readers = {READER} @{GROUP}\noperators = {OPERATOR}")


def be(uid, story, groups=()):
    """What @story returns in a process of this user."""
    there, here = os.pipe()
    if (child := os.fork()) == 0:
        status = 1
        try:
            os.setgroups(list(groups))
            os.setgid(uid)
            os.setuid(uid)
            os.write(here, json.dumps(story()).encode())
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(here)
    with os.fdopen(there) as answer:
        text = answer.read()
    check_equal(os.waitpid(child, 0)[1], 0)
    return json.loads(text)


def outcome(method, parameters=None, **flags):
    def story():
        with daemon.connect() as wire:
            return wire.call(method, parameters, **flags).get("error", "fine")
    return story


def errors_of(uid, groups=()):
    return (be(uid, outcome("org.vpmu.ListGuests"), groups), be(uid, outcome("org.vpmu.StopSession", {"name": "none"}), groups))


DENIED = "org.vpmu.PermissionDenied"


def test_strangers_learn_that_they_may_not():
    check_equal(be(STRANGER, outcome("org.varlink.service.GetInfo")), "fine")
    check_equal(errors_of(STRANGER), (DENIED, DENIED))
    with daemon.connect() as wire:
        def refusal():
            with daemon.connect() as mine:
                return mine.call("org.vpmu.ListGuests")
        check_equal(be(STRANGER, refusal)["parameters"], {"text": f"user {STRANGER} may not ask vpmud",
                                                          "hint": "vpmud.conf says who may: 'readers' in [access]"})
        check_equal("parameters" in wire.call("org.vpmu.ListGuests"), True)


def test_readers_look_and_operators_do():
    check_equal(errors_of(READER), ("fine", DENIED))
    first, second = errors_of(OPERATOR)
    check_equal((first, second != DENIED), ("fine", True))
    check_equal(errors_of(TIED), ("fine", DENIED))


def test_supplementary_groups_count():
    check_equal(errors_of(STRANGER, [77, GROUP]), ("fine", DENIED))
    check_equal(errors_of(STRANGER, [77, GROUP + 1]), (DENIED, DENIED))


def connections_of_mine(n):
    wires = [daemon.connect() for _ in range(n)]
    told = []
    for wire in wires:
        try:
            wire.begin("org.varlink.service.GetInfo")
        except BrokenPipeError:
            pass  # closed already; why, it said before
        told.append(wire.read()["parameters"])
    return sum("product" in answer for answer in told), [answer.get("limit") for answer in told if "product" not in answer]


def test_each_user_has_so_many_connections():
    check_equal(be(READER, lambda: connections_of_mine(14)), [12, [12, 12]])
    # Who may not look gets little of what there is.
    check_equal(be(STRANGER, lambda: connections_of_mine(4)), [2, [2, 2]])


def hold(uid, story):
    """A process of this user that does @story, holds its breath, and ends when what is returned is called."""
    go, gone = os.pipe()
    done, did = os.pipe()
    if (child := os.fork()) == 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        try:
            kept = story()
            os.write(did, b"y" if kept else b"n")
            os.read(go, 1)
        finally:
            os._exit(0)
    os.close(go)
    os.close(did)
    check_equal(os.read(done, 1), b"y")

    def end():
        os.write(gone, b"e")
        os.close(gone)
        os.waitpid(child, 0)
    return end


def test_strangers_of_many_users_leave_room():
    ends = [hold(4000 + i, lambda: [daemon.connect() for _ in range(2)]) for i in range(10)]
    check_equal(be(READER, lambda: connections_of_mine(12)), [12, []])
    # Nor do they stay for long if they have nothing to say; others may.
    with daemon.connect() as mine:
        def is_dropped():
            with daemon.connect() as wire:
                return wire.is_closed()
        for end in ends:
            end()
        check_equal(be(STRANGER, is_dropped), True)
        check_equal("parameters" in mine.call("org.varlink.service.GetInfo"), True)


def test_long_requests_are_counted_by_user():
    def be_long():
        wires = [daemon.connect() for _ in range(12)]
        for wire in wires:
            try:
                wire.send(LONG[:-1])
            except (BrokenPipeError, ConnectionResetError):
                pass  # one too many
        return wires
    end = hold(READER, be_long)
    check_equal(be(OPERATOR, lambda: connections_of_long()), [1, 0])
    check_equal(be(STRANGER, lambda: connections_of_long()), [0, 1])
    end()


def connections_of_long():
    """How many long requests of one are answered, and how many are dropped."""
    with daemon.connect() as wire:
        try:
            wire.send(LONG)
            return [int("parameters" in wire.read()), 0]
        except (Closed, BrokenPipeError, ConnectionResetError):
            return [0, 1]


def test_all_users_together_do_not_lock_root_out():
    go, gone = os.pipe()
    full, filled = os.pipe()
    children = []
    for uid, n in ((READER, 12), (OPERATOR, 8)):
        if (child := os.fork()) == 0:
            os.setgid(uid)
            os.setuid(uid)
            wires = [daemon.connect() for _ in range(n)]
            ok = all("parameters" in wire.call("org.varlink.service.GetInfo") for wire in wires)
            os.write(filled, b"y" if ok else b"n")
            os.close(gone)
            os.read(go, 1)
            os._exit(0)
        children.append(child)
    check_equal(os.read(full, 1) + os.read(full, 1), b"yy")
    check_equal(be(TIED, lambda: connections_of_mine(1)), [0, [20]])
    check_equal(daemon.answers(), True)
    os.close(gone)
    for child in children:
        os.waitpid(child, 0)
    wait_until("there is room again", lambda: be(TIED, lambda: connections_of_mine(1)) == [1, []])


def test_each_user_has_so_many_subscriptions():
    def subscribe():
        wires = [daemon.connect() for _ in range(3)]
        answers = [wire.call("org.vpmu.Subscribe", more=True) for wire in wires]
        wires[0].close()
        wait_until("the first is forgotten", lambda: "error" not in daemon.connect().call("org.vpmu.Subscribe", more=True))
        return [answer.get("error") for answer in answers], answers[2]["parameters"]

    check_equal(be(READER, subscribe), [[None, None, "org.vpmu.LimitReached"], {"what": "subscriptions", "limit": 2}])


with daemon:
    tell(globals())
