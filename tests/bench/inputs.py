# SPDX-License-Identifier: LGPL-2.1-or-later
"""The recordings that the figures are taken of. Made by stock perf, kept from run to run."""
import json
import re
import subprocess

from measure import Failed, Skipped, run

FREQUENCY_HZ = 20000
# Besides the two loads, while they run: short-lived processes, pipes, a file system walk.
SCRIPT = """
"{load}" {seconds} {seed} & first=$!
"{load}" {seconds} {seed}7 & second=$!
while kill -0 $first || kill -0 $second; do
	find /usr/share/doc -xdev -maxdepth 1 | sort | gzip -1 > /dev/null
	sleep 0.3
done 2> /dev/null
wait
"""


def record(path, load, seconds, seed):
    """Records the load with call chains, and nothing else: what other people run meanwhile is no part of it."""
    script = SCRIPT.format(load=load, seconds=seconds, seed=seed)
    done = subprocess.run(["perf", "record", "-g", "-e", "cpu-clock", "-F", str(FREQUENCY_HZ), "-o", path,
                           "--", "sh", "-c", script], capture_output=True, text=True)
    if not path.exists():
        raise Skipped(f"perf cannot record here: {done.stderr.strip().splitlines()[-1]}")


def count_samples(path):
    """By stock perf's account."""
    stats = run(["perf", "report", "--stats", "-i", path])
    return int(re.search(r"SAMPLE events:\s*(\d+)", stats).group(1))


def with_chains(directory, load, name, samples, seed):
    """The recording @name of about @samples, made if it is not there. Returns its path and number of samples."""
    path, note = directory / f"{name}.data", directory / f"{name}.json"
    if path.exists() and note.exists():
        return path, json.loads(note.read_text())["samples"]
    # The clock samples CPU time, so a busy machine takes longer and gives no fewer.
    record(path, load, samples / FREQUENCY_HZ / 2, seed)
    n = count_samples(path)
    if not 0.9 * samples <= n <= 1.2 * samples:
        raise Failed(f"{path} has {n} samples, {samples} were wanted: does the kernel throttle "
                     "(kernel.perf_event_max_sample_rate)?")
    note.write_text(json.dumps({"samples": n}))
    return path, n


def with_lines(directory, load_lines):
    """A recording without chains of a program that has debug information, and spends its time all over it."""
    path, note = directory / "many-lines.data", directory / "many-lines.json"
    if not note.exists():
        subprocess.run(["perf", "record", "-e", "cpu-clock:u", "-F", str(FREQUENCY_HZ), "-o", path, "--", load_lines, "2"],
                       capture_output=True)
        note.write_text(json.dumps({"samples": count_samples(path)}))
    return path, json.loads(note.read_text())["samples"]
