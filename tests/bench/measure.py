# SPDX-License-Identifier: LGPL-2.1-or-later
"""Running commands and comparing what they cost."""
import json
import os
import statistics
import subprocess
import tempfile


class Skipped(Exception):
    """The figure cannot be had here; the text says why."""


class Failed(Exception):
    """A command did not do its work."""


class Cost(dict):
    """wall_s, user_s, system_s, peak_kib of one run, or the medians of several."""

    @property
    def cpu_s(self):
        return self["user_s"] + self["system_s"]


def run(command, **options):
    """Runs an untimed command and returns its standard output."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="replace", **options)
    if done.returncode == 77:
        raise Skipped(done.stderr.strip() or done.stdout.strip())
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise Failed(f"{' '.join(map(str, command))}: status {done.returncode}: {last}")
    return done.stdout


class Meter:
    def __init__(self, timed):
        self.timed = timed

    def once(self, command):
        """One run, its output thrown away. Fails with the command's own last words."""
        with tempfile.TemporaryFile() as cost, tempfile.TemporaryFile() as errors:
            pid = os.posix_spawn(self.timed, [self.timed, *map(str, command)], os.environ, file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, errors.fileno(), 2),
                (os.POSIX_SPAWN_DUP2, cost.fileno(), 3),
            ])
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if status:
                errors.seek(0)
                last = (errors.read().decode(errors="replace").strip() or "no message").splitlines()[-1]
                raise Failed(f"{' '.join(map(str, command))}: status {status}: {last}")
            cost.seek(0)
            return Cost(json.load(cost))

    def pairs(self, a, b, rounds):
        """A B A B …: whatever else the machine does meets both. Returns the medians of each."""
        costs = [], []
        for _ in range(rounds):
            costs[0].append(self.once(a))
            costs[1].append(self.once(b))
        return tuple(Cost({key: statistics.median(c[key] for c in side) for key in side[0]}) for side in costs)
