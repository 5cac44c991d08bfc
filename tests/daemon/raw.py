# SPDX-License-Identifier: LGPL-2.1-or-later
"""For stories about bytes: a client that says what it likes, and a vpmud whose files and memory are looked at.

Stories are functions whose names begin with test_; tell(globals()) runs them all, in order, with one vpmud for most."""
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback

import vpmud
from vpmud import Skip

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SANITIZED = os.environ.get("SANITIZED", "none") != "none"
PATIENCE_S = 60  # for what should take milliseconds, on a machine that is busy with something else
QUIET = "other-guests = no\n[always-on]\nenabled = no\n[store]\npath = none\n"


class Closed(Exception):
    """The server closed the connection."""


class Wire:
    """One connection."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        # Waits while too many knock at once.
        self.socket.connect(str(path))
        self.socket.settimeout(PATIENCE_S)
        self.arrived = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read_bytes(self):
        """The next message as it is on the wire, without its NUL."""
        while b"\0" not in self.arrived:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                raise Closed(f"closed, {len(self.arrived)} bytes into a message")
            self.arrived += data
        message, self.arrived = self.arrived.split(b"\0", 1)
        return message

    def read(self):
        return json.loads(self.read_bytes().decode("utf-8"))

    def is_closed(self):
        """Waits for the end of the connection; False if something else comes."""
        try:
            self.read_bytes()
            return False
        except Closed:
            return True
        except BrokenPipeError:
            return True

    def is_silent(self, seconds):
        """Nothing comes for a while, and the connection stays."""
        self.socket.settimeout(seconds)
        try:
            self.read_bytes()
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE_S)

    def begin(self, method, parameters=None, **flags):
        call = {"method": method, **flags}
        if parameters is not None:
            call["parameters"] = parameters
        self.send(json.dumps(call).encode() + b"\0")

    def call(self, method, parameters=None, **flags):
        self.begin(method, parameters, **flags)
        return self.read()


class Daemon(vpmud.Vpmud):
    """A vpmud that follows no guests, in a directory of its own. @files: so many may be open in it."""

    def __init__(self, config="", access="readers = root", files=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="vpmud-test-"))
        self.dir.chmod(0o755)
        os.chdir(self.dir)
        super().__init__(f"{QUIET}[access]\n{access}\n{config}", prefix=["prlimit", f"--nofile={files}:{files}"] if files else [])

    def __exit__(self, kind, value, trace):
        # The end of tell() is no failure.
        if kind is SystemExit and value.code != 1:
            kind = None
        try:
            super().__exit__(kind, value, trace)
        finally:
            os.chdir("/")
            shutil.rmtree(self.dir)

    def connect(self):
        return Wire(self.socket)

    def answers(self):
        try:
            with self.connect() as wire:
                return "parameters" in wire.call("org.varlink.service.GetInfo")
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def stop(self, how=signal.SIGTERM):
        """Ends it; the status it ended with."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)

    def files(self):
        """What its descriptors are of; some go while they are looked at."""
        for name in os.listdir(f"/proc/{self.process.pid}/fd"):
            try:
                yield os.readlink(f"/proc/{self.process.pid}/fd/{name}")
            except FileNotFoundError:
                pass

    def settle(self, seconds=5):
        """What it loads ahead is there, if that may be had."""
        end = time.monotonic() + seconds
        while "anon_inode:bpf-prog" not in self.files() and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.3)  # for what belongs to it

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_mib(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def usage(self):
        with self.connect() as wire:
            return wire.call("org.vpmu.Stats")["parameters"]["usage"]


def check_equal(got, wanted):
    if got != wanted:
        raise AssertionError(f"got    {got!r}\nwanted {wanted!r}")


def tell(stories):
    """Runs every function whose name begins with test_; ends the program."""
    failed = passed = 0
    for name, story in list(stories.items()):
        if not name.startswith("test_"):
            continue
        try:
            story()
            print(f"ok      {name[5:]}", flush=True)
            passed += 1
        except Skip as why:
            print(f"skipped {name[5:]}\nSKIP: {why}", flush=True)
        except Exception:
            print(f"FAILED  {name[5:]}\n{traceback.format_exc()}", flush=True)
            failed += 1
    sys.exit(1 if failed else 0 if passed else 77)
