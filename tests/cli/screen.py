# SPDX-License-Identifier: LGPL-2.1-or-later
"""A terminal for tests: runs a command on it, keeps what a person would see, types keys."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n])")


class Screen:
    def __init__(self, command, rows=24, columns=80):
        self.rows, self.columns = rows, columns
        self.lines, self.row, self.column = [[" "] * columns for _ in range(rows)], 0, 0
        self.second = self.hidden = self.wrap_off = False
        self.unknown, self.pending, self.settling = [], "", False
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execvp(command[0], command)
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.lines = [[" "] * columns for _ in range(rows)]
        self.rows, self.columns, self.row, self.column = rows, columns, 0, 0
        self.settling = True  # what is on its way is still for the old size

    def escape(self, arguments, final):
        if final == "H" and not arguments:
            self.row = self.column = 0
        elif final == "K" and not arguments:
            self.lines[self.row][self.column:] = [" "] * (self.columns - self.column)
        elif final in "hl" and arguments == "?1049":
            self.second = final == "h"
        elif final in "hl" and arguments == "?25":
            self.hidden = final == "l"
        elif final in "hl" and arguments == "?7":
            self.wrap_off = final == "l"
        elif final != "m":
            self.unknown.append(arguments + final)

    def put(self, character):
        assert self.wrap_off or self.column < self.columns, "a line wraps"
        self.lines[self.row][min(self.column, self.columns - 1)] = character
        self.column = min(self.column + 1, self.columns - 1)

    def feed(self, text):
        self.pending += text
        while match := TOKEN.match(self.pending):
            self.pending = self.pending[match.end():]
            arguments, final, carriage, line, character = match.groups()
            if final:
                self.escape(arguments, final)
            elif carriage:
                self.column = 0
            elif line:
                self.row += 1
                if self.row >= self.rows:
                    assert self.settling or not self.second, "the screen scrolls"
                    self.lines = self.lines[1:] + [[" "] * self.columns]
                    self.row -= 1
            else:
                self.put(character)

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.lines)

    def read(self):
        """What came by now; False at the end."""
        if not select.select([self.fd], [], [], 0.05)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.feed(data.decode("utf-8", "surrogateescape"))
        return bool(data)

    def until(self, what, seconds=20):
        """Waits until @what(text) is true; what is seen then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            alive = self.read()
            if what(self.text()):
                self.settling = False
                return self.text()
            if not alive:
                break
        raise AssertionError("this never came: what is there is\n" + self.text())

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def end(self, seconds=20):
        """Waits for the command's end; its exit status."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.read():
            pass
        if time.monotonic() >= end:
            os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
