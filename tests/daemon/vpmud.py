# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the tests of vpmud share: a vpmud of the test's own, and a client that is not ours (a socket and JSON).

Stories are functions; main(globals()) runs the one that the command line names. VPMUD is the built program.
"""
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

VPMUD = os.environ.get("VPMUD")
PATIENCE_S = 20  # for what takes milliseconds, on a machine that has other things to do


class Skip(Exception):
    pass


def wait_until(what, test):
    """Returns what test() returns, once that is true."""
    end = time.monotonic() + PATIENCE_S
    while True:
        result = test()
        if result:
            return result
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.01)


class Client:
    """One connection. Calls are answered in the order in which they were sent."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(path)
        self.rest = b""
        self.files = []  # descriptors that came with replies

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, method, parameters=None, **flags):
        """`method` of org.vpmu, or with its interface; flags: more, oneway."""
        method = method if "." in method else "org.vpmu." + method
        message = {"method": method, "parameters": parameters or {}, **flags}
        self.socket.sendall(json.dumps(message).encode() + b"\0")

    def receive(self):
        """The whole of the next reply."""
        while b"\0" not in self.rest:
            piece, files, _, _ = socket.recv_fds(self.socket, 1 << 16, 8)
            self.files += files
            assert piece, "vpmud closed the connection"
            self.rest += piece
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        self.send(method, parameters)
        reply = self.receive()
        assert "error" not in reply, reply
        return reply["parameters"]

    def refused(self, method, **parameters):
        """The name of the error, without its interface, and what came with it."""
        self.send(method, parameters)
        reply = self.receive()
        assert "error" in reply, reply
        return reply["error"].rsplit(".", 1)[1], reply["parameters"]


class Vpmud:
    """A vpmud on a socket of its own, in the working directory; `with` ends it and looks at how it ended."""

    def __init__(self, config="", libvirt="none", arguments=("--check-replies",), program=None, prefix=()):
        self.socket = os.path.abspath("socket")
        self.config = os.path.abspath("vpmud.conf")
        self.configure(config, libvirt)
        self.log = open("vpmud.log", "w+")
        self.process = subprocess.Popen([*prefix, program or VPMUD, "--config", self.config, *arguments],
                                        stdin=subprocess.DEVNULL, stderr=self.log)
        wait_until("vpmud listens", self.listens)

    def configure(self, config="", libvirt="none"):
        """`config` may begin with more keys of [vpmud]."""
        with open(self.config, "w") as file:
            file.write(f"[vpmud]\nsocket = {self.socket}\nlibvirt = {libvirt}\n{config}\n")
            if "[store]" not in config:
                file.write("[store]\npath = none\n")

    def listens(self):
        assert self.process.poll() is None, f"vpmud does not start: {self.said()}"
        with contextlib.suppress(OSError), Client(self.socket):
            return True
        return False

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def client(self):
        return Client(self.socket)

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        self.process.terminate()
        try:
            status = self.process.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            said = self.said()
            if failure:
                print(f"vpmud said:\n{said}")
        if not failure:
            assert status == 0, f"vpmud ended with {status}: {said}"


def main(stories):
    """Runs the story that the command line names, in a directory of its own."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)  # stories may look with another user's eyes
        os.chdir(directory)
        try:
            stories[sys.argv[1]]()
        except Skip as why:
            print(f"SKIP: {why}")
            sys.exit(77)
        finally:
            os.chdir("/")
