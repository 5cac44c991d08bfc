# SPDX-License-Identifier: LGPL-2.1-or-later
"""The figures, one function per question; each yields rows of the table."""
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import time

import inputs
from measure import Failed, Skipped, run

FIGURES = []


@dataclasses.dataclass
class Row:
    what: str
    unit: str
    perf: float | None  # None: stock perf has no such figure
    ours: float
    must: str           # in words
    met: bool

    @property
    def ratio(self):
        return self.perf / self.ours if self.perf is not None and self.ours else None


def figure(name):
    def register(function):
        FIGURES.append((name, function))
        return function
    return register


def faster(what, unit, perf, ours, times):
    return Row(what, unit, perf, ours, f"{times:g} times less", ours * times <= perf)


def below(what, unit, ours, limit, perf=None):
    return Row(what, unit, perf, ours, f"at most {limit:g}", ours <= limit)


def check_samples(bench, path, expected):
    """A fast wrong answer is no figure: the report must stand on as many samples as stock perf counts."""
    report = json.loads(run([bench.vpmu, "report", "-i", path, "--json", "--limit", "1"]))
    samples = report["coverage"]["samples"]
    if samples != expected:
        raise Failed(f"{path}: vpmu counts {samples} samples, perf {expected}")


def large(bench):
    path, samples = inputs.with_chains(bench.dir, bench.load, f"large-{bench.samples}", bench.samples, 1)
    check_samples(bench, path, samples)
    size = path.stat().st_size / 1e6
    return path, f"{samples / 1e6:.2f} M samples, {size:.0f} MB"


@figure("report")
def report_with_chains(bench):
    path, size = large(bench)
    perf, ours = bench.meter.pairs(["perf", "report", "--stdio", "-i", path],
                                   [bench.vpmu, "report", "--children", "-g", "-i", path], bench.rounds)
    yield faster(f"report with chains, {size}", "s", perf["wall_s"], ours["wall_s"], 20)
    yield faster("its peak memory", "MiB", perf["peak_kib"] / 1024, ours["peak_kib"] / 1024, 10)


@figure("flat")
def report_flat(bench):
    path, size = large(bench)
    perf, ours = bench.meter.pairs(["perf", "report", "--stdio", "--no-children", "-g", "none", "-i", path],
                                   [bench.vpmu, "report", "-i", path], bench.rounds)
    yield faster(f"flat report, {size}", "s", perf["wall_s"], ours["wall_s"], 5)
    yield faster("its peak memory", "MiB", perf["peak_kib"] / 1024, ours["peak_kib"] / 1024, 4)


@figure("script")
def script(bench):
    path, size = large(bench)
    perf, ours = bench.meter.pairs(["perf", "script", "-i", path], [bench.vpmu, "script", "-i", path], bench.rounds)
    yield faster(f"script, {size}", "s", perf["wall_s"], ours["wall_s"], 5)


@figure("diff")
def diff(bench):
    base, n_base = inputs.with_chains(bench.dir, bench.load, f"base-{bench.samples // 10}", bench.samples // 10, 1)
    other, n_other = inputs.with_chains(bench.dir, bench.load, f"other-{bench.samples // 10}", bench.samples // 10, 2)
    check_samples(bench, base, n_base)
    check_samples(bench, other, n_other)
    perf, ours = bench.meter.pairs(["perf", "diff", base, other],
                                   [bench.vpmu, "diff", "-i", base, "-i", other], 2 * bench.rounds)
    yield faster(f"diff of {n_base} and {n_other} samples", "s", perf["wall_s"], ours["wall_s"], 5)


def check_lines(bench, path):
    """Most samples lie in our own program, all of which has lines."""
    report = json.loads(run([bench.vpmu, "report", "--sort", "symbol,line", "-i", path, "--json"]))
    found = sum(row["samples"] for row in report["rows"] if row["line"] and not row["line"].startswith("??"))
    if found < 0.9 * report["coverage"]["samples"]:
        raise Failed(f"{path}: vpmu finds the source line of {found} of {report['coverage']['samples']} samples")


@figure("lines")
def source_lines(bench):
    """What looking lines up costs perf over not looking them up, against all that vpmu does: its difference would drown in
    the noise."""
    path, samples = inputs.with_lines(bench.dir, bench.load_lines)
    check_samples(bench, path, samples)
    check_lines(bench, path)
    perf, ours = bench.meter.pairs(["perf", "report", "--stdio", "--sort", "sym,srcline", "-i", path],
                                   [bench.vpmu, "report", "--sort", "symbol,line", "-i", path], bench.rounds)
    without = bench.meter.once(["perf", "report", "--stdio", "--sort", "sym", "-i", path])
    yield faster(f"source lines, {samples} samples, each", "us", (perf["wall_s"] - without["wall_s"]) * 1e6 / samples,
                 ours["wall_s"] * 1e6 / samples, 50)


def our_coverage(bench, path):
    return json.loads(run([bench.vpmu, "report", "-i", path, "--json", "--limit", "1"]))["coverage"]


@contextlib.contextmanager
def guest(bench, name):
    """One of the lab's guests, with one vCPU; yields its process id."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skipped("no /dev/kvm that may be used")
    image = bench.lab / f"{name}.elf"
    if not image.exists():
        raise Skipped(f"{image} was not built")
    vmm = subprocess.Popen([bench.lab / "vmm", "--seconds", "300", image], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        time.sleep(0.3)
        if vmm.poll() is not None:
            raise Skipped(f"the guest does not start: {vmm.stderr.read().decode().strip()}")
        yield vmm.pid
    finally:
        vmm.kill()
        vmm.communicate()


@figure("record")
def start_and_stop(bench):
    """A short recording of a guest that exits all the time, so that the host's symbols are needed and end up in the file."""
    recording_s = 0.05
    path = bench.dir / "start-stop.vpmu"
    with guest(bench, "exits") as pid:
        perf, ours = bench.meter.pairs(
            ["perf", "record", "-o", bench.dir / "start-stop.perf", "--", "true"],
            [bench.vpmu, "record", f"pid:{pid}", "-F", str(inputs.FREQUENCY_HZ), "-d", f"{recording_s * 1000:.0f}ms",
             "-o", path], 2 * bench.rounds)
    if not our_coverage(bench, path)["host"]:
        raise Failed(f"{path} has no host samples: too busy a machine")
    yield faster("record, start plus stop", "s", perf["wall_s"], ours["wall_s"] - recording_s, 20)
    yield faster("its CPU time", "s", perf.cpu_s, ours.cpu_s, 5)


def perf_losses(path):
    stats = run(["perf", "report", "--stats", "-i", path])
    return sum(int(n) for n in re.findall(r"LOST(?:_SAMPLES)? events:\s*(\d+)", stats))


def cpu_seconds(pid):
    """CPU time of all threads of a process, to the nanosecond."""
    threads = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


@dataclasses.dataclass
class Sampling:
    """One recording of the guest."""
    samples: int
    user_s: float
    cpu_s: float
    guest_s: float  # CPU time that the guest got meanwhile

    def ms_per_1000(self, seconds):
        return seconds * 1e6 / self.samples


def rate_hz(short, long):
    """Samples for each second that the guest ran. A difference: the guest runs while the recorder starts, too."""
    return (long.samples - short.samples) / (long.guest_s - short.guest_s)


def record_guest(bench, pid, command, path, count):
    before = cpu_seconds(pid)
    cost = bench.meter.once(command)
    return Sampling(count(path), cost["user_s"], cost.cpu_s, cpu_seconds(pid) - before)


@figure("sampling")
def sampling(bench):
    perf_file, our_file = bench.dir / "sampling.perf", bench.dir / "sampling.vpmu"
    rate = str(inputs.FREQUENCY_HZ)
    perf, ours = [], []
    with guest(bench, "three-functions") as pid:
        for seconds in 1, 1 + bench.seconds:
            perf.append(record_guest(bench, pid, ["perf", "kvm", "--host", "--guest", "record", "-e", "cpu-clock", "-F", rate,
                                                  "-p", str(pid), "-o", perf_file, "--", "sleep", str(seconds)],
                                     perf_file, inputs.count_samples))
            ours.append(record_guest(bench, pid, [bench.vpmu, "record", f"pid:{pid}", "-e", "cpu-clock", "-F", rate,
                                                  "-d", f"{seconds}s", "-o", our_file],
                                     our_file, lambda path: our_coverage(bench, path)["samples"]))
    perf_hz, our_hz = rate_hz(*perf), rate_hz(*ours)
    perf, ours = perf[1], ours[1]
    khz = inputs.FREQUENCY_HZ // 1000
    yield below(f"user CPU per 1000 of {ours.samples} samples at {khz} kHz", "ms", ours.ms_per_1000(ours.user_s), 0.1,
                perf.ms_per_1000(perf.user_s))
    yield Row("user and system CPU", "ms", perf.ms_per_1000(perf.cpu_s), ours.ms_per_1000(ours.cpu_s), "", True)
    yield Row("samples for each second that the vCPU ran", "", perf_hz, our_hz,
              f"{inputs.FREQUENCY_HZ * 0.99:.0f} or more", our_hz >= inputs.FREQUENCY_HZ * 0.99)
    yield below("lost records", "", our_coverage(bench, our_file)["lost"], 0, perf_losses(perf_file))


@contextlib.contextmanager
def bpf_stats():
    """The kernel counts how often each BPF program runs, and how long."""
    switch = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
    try:
        before = switch.read_text()
        switch.write_text("1")
    except OSError as why:
        raise Skipped(f"{switch}: {why.strerror}") from why
    try:
        yield
    finally:
        switch.write_text(before)


def bpf_program(name):
    """(runs, ns) of the program that was loaded last under this name, None if there is none."""
    bpftool = shutil.which("bpftool", path=f"{os.environ['PATH']}:/usr/sbin")
    if not bpftool:
        raise Skipped("bpftool is not installed")
    done = subprocess.run([bpftool, "prog", "show", "name", name, "--json"], capture_output=True, text=True)
    shown = json.loads(done.stdout) if done.returncode == 0 else []
    programs = shown if isinstance(shown, list) else [shown]
    programs = [program for program in programs if "run_cnt" in program]
    if not programs:
        return None
    newest = max(programs, key=lambda program: program["id"])
    return newest["run_cnt"], newest["run_time_ns"]


def program_costs(bench, pid, path, *options):
    """(samples, median of what one takes in ns): looked at five times a second, since anything that stops the machine counts as time."""
    recorder = subprocess.Popen([bench.vpmu, "record", f"pid:{pid}", "-e", "cpu-clock", "-F", "999", "-d", f"{bench.seconds}s",
                                 "-o", path, *options], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    looks = []
    while recorder.poll() is None:
        time.sleep(0.2)
        looks += filter(None, [bpf_program("vpmu_sample")])
    said = recorder.communicate()[1].strip()
    if recorder.returncode:
        raise Failed(said)
    costs = [(now[1] - before[1]) / (now[0] - before[0]) for before, now in zip(looks, looks[1:]) if now[0] > before[0]]
    if not costs:
        raise Skipped(said.splitlines()[0])
    return looks[-1][0], statistics.median(costs)


@figure("chains")
def guest_chains(bench):
    """A guest whose chains all have 32 addresses. Stock perf has no such chains."""
    path = bench.dir / "chains.vpmu"
    with guest(bench, "thirty-two") as pid, bpf_stats():
        samples, ns = program_costs(bench, pid, path, "-g")
    coverage = our_coverage(bench, path)
    if coverage["chain_ends"]["complete"] < 0.99 * coverage["guest"]:
        raise Failed(f"{path}: {coverage['chain_ends']} for {coverage['guest']} guest samples")
    yield below(f"a guest's call chain of 32 addresses in BPF, {samples} samples", "ns", ns, 5000)


@figure("stack")
def guest_stacks(bench):
    """In a guest that is made up: without registers and memory slots."""
    program = bench.build.resolve() / "tests" / "bench" / "bench-stack"
    if not program.exists():
        raise Skipped("built without BPF programs")
    costs = {what: float(ns) for what, ns in map(str.split, run([program]).splitlines())}
    yield below("32 frames, 64 bytes from each to the next, in BPF", "ns", costs["frames"], 5000)
    for n_bytes in 8192, 16384:
        yield below(f"{n_bytes // 1024} KiB of a guest kernel's stack", "ns", costs[str(n_bytes)], 5000)


class ExitCosts:
    """CPU time in ns for one exit and its entry: a system call with something attached to its begin and end, less one with programs there
    that do nothing: for a system call to be traced at all is dear, a VM exit knows no such thing."""

    CALLS = 1000000
    EVENTS = "raw_syscalls:sys_enter,raw_syscalls:sys_exit"

    def __init__(self, bench):
        self.program = bench.build.resolve() / "tests" / "bench" / "bench-exits"
        if not self.program.exists():
            raise Skipped("built without BPF programs")
        self.data = bench.dir / "exits.data"
        self.lost_percent = 0.0

    def call_ns(self, *prefix, how="none"):
        first, *rest = run([*prefix, self.program, how, str(self.CALLS)]).split()
        if rest and int(rest[0]) != self.CALLS:
            raise Failed(f"of {self.CALLS} exits {rest[0]} were counted")
        return float(first)

    def record_ns(self):
        # As perf kvm stat records: -R -c 1 -m 1024.
        ns = self.call_ns("perf", "record", "-q", "-R", "-c", "1", "-m", "1024", "-e", self.EVENTS, "-o", self.data, "--")
        lost = perf_losses(self.data)
        self.lost_percent = max(self.lost_percent, 100 * lost / (2 * self.CALLS))
        self.data.unlink()
        return ns

    def round(self):
        costs = {
            "nothing": self.call_ns(),
            "empty": self.call_ns(how="empty"),
            "vpmu": self.call_ns(how="vpmu"),
            "stat": self.call_ns("perf", "stat", "-o", "/dev/null", "-e", self.EVENTS, "--"),
            "record": self.record_ns(),
        }
        return {name: ns - costs["empty"] for name, ns in costs.items()}


@figure("exits")
def vm_exits(bench):
    if os.geteuid() != 0:
        raise Skipped("tracepoints want root")
    costs = ExitCosts(bench)
    rounds = [costs.round() for _ in range(max(bench.rounds, 3))]
    ns = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    yield below("accounting a VM exit, beside perf stat of its two events", "ns", ns["vpmu"], 150, ns["stat"])
    yield faster("the same, beside recording them", "ns", ns["record"], ns["vpmu"], 5)
    yield below("the same with what tracing a call costs, each event", "ns", (ns["vpmu"] - ns["nothing"]) / 2, 150,
                (ns["record"] - ns["nothing"]) / 2)
    yield below("events lost meanwhile", "%", 0.0, 0, costs.lost_percent)
    yield from exits_memory(bench)


def memory_kib(pid):
    """Of a process, with the kernel's tables of its BPF programs."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    kib = int(re.search(r"VmRSS:\s+(\d+)", status)[1])
    for info in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            locked = re.search(r"^map_type:.*^memlock:\s+(\d+)", info.read_text(), re.M | re.S)
            kib += int(locked[1]) / 1024 if locked else 0
    return kib


def let_leave(guest_pid, output, events):
    """Rounds of the guest, some 20000 events each, until so many more were accounted."""
    def accounted():
        return sum(int(n) for line in output.read_text().splitlines() if '"rows"' in line
                   for key, n in re.findall(r'"key": "(\w+)".*?"count": (\d+)', line) if key != "user")

    want = accounted() + events
    end = time.monotonic() + 120
    while accounted() < want:
        if time.monotonic() > end:
            raise Failed(f"the guest leaves too seldom: {accounted()} of {want} events")
        os.kill(guest_pid, signal.SIGUSR1)
        time.sleep(0.1)


def exits_memory(bench):
    """What vpmu exits holds before and after a million exits (or events, where there are no exits to be seen), and what
    `perf kvm stat record` writes for a round of the same guest."""
    output, data = bench.dir / "exits.json", bench.dir / "kvm-stat.data"
    with guest(bench, "primes") as pid, output.open("w") as file:
        keys = ["--by", "msr,port,cpuid", "-I", "100", "--json"]
        vpmu = subprocess.Popen([bench.vpmu, "exits", "--local", *keys, f"pid:{pid}"], stdout=file, stderr=subprocess.DEVNULL)
        let_leave(pid, output, 100000)
        before = memory_kib(vpmu.pid)
        let_leave(pid, output, 1000000)
        grown = memory_kib(vpmu.pid) - before
        vpmu.send_signal(signal.SIGINT)
        vpmu.wait()
        yield below(f"vpmu exits grows in a million exits, from {before:.0f} KiB", "KiB", grown, 256)
        perf = subprocess.Popen(["perf", "kvm", "stat", "record", "-o", data, "-p", str(pid)], stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)
        time.sleep(2)
        os.kill(pid, signal.SIGUSR1)
        time.sleep(2)
        perf.send_signal(signal.SIGINT)
        said = perf.communicate()[1]
    output.unlink()
    samples = re.search(r"\((\d+) samples\)", said)
    if not samples:
        raise Skipped(f"perf kvm stat record: {said.strip().splitlines()[-1] if said.strip() else 'nothing was said'}")
    yield below("written for each exit (perf: kvm stat record)", "bytes", 0.0, 0, data.stat().st_size / int(samples[1]))
    data.unlink()


def clock_ns(bench, what, how, n):
    program = bench.build.resolve() / "tests" / "bench" / "bench-clock"
    if not program.exists():
        raise Skipped("built without BPF programs")
    return float(run([program, what, how, str(n)]))


@figure("clock")
def vcpu_clock(bench):
    """The clocks of `vpmu time`: each event of a vCPU, and each context switch of threads that are none. What comes first pays for
    a processor that has to wake up, so every round has all of them."""
    if os.geteuid() != 0:
        raise Skipped("tracepoints want root")
    kinds = [(what, how) for how in ("none", "strangers", "vcpus") for what in ("calls", "switches")]
    rounds = [{kind: clock_ns(bench, *kind, 1000000 if kind[0] == "calls" else 200000) for kind in kinds}
              for _ in range(max(bench.rounds, 3))]

    def more(what, how):
        return statistics.median(r[what, how] - r[what, "none"] for r in rounds)

    yield below("an exit or entry of a vCPU on the clock, on average", "ns", more("calls", "vcpus") / 2, 150)
    yield below("a context switch of a vCPU, with its waking up", "ns", more("switches", "vcpus"), 1000)
    yield below("a context switch of other threads meanwhile", "ns", more("switches", "strangers"), 300)


@figure("kallsyms")
def kallsyms(bench):
    """sym.c measures from inside. Stock perf has no such figures; the time that the kernel takes to print /proc/kallsyms is the
    floor of the cold one, and stands in its column."""
    if not bench.sym.exists():
        raise Skipped(f"{bench.sym.name} was not built")
    printed = run([bench.sym])
    found = {label: float(value) for label, value in re.findall(r"^(\S.*?)\s+(-?[\d.]+) (?:ms|us|ns)", printed, re.M)}
    try:
        count = re.search(r"(\d+) symbols", printed).group(1)
        yield below(f"host symbols, cold, {count} (perf: kernel prints)", "ms", found["kallsyms to a table"], 45,
                    found["kallsyms read only"])
        yield below("host symbols from the cache", "ms", found["the same from the cache"], 3)
        yield below("a symbol lookup", "ns", found["lookup, random address"], 50)
    except (AttributeError, KeyError) as missing:
        raise Failed(f"{bench.sym.name} does not say {missing}: {printed}") from missing


@figure("orc")
def orc(bench):
    """orc.c measures from inside: each frame is somewhere else in a table as large as a distribution's."""
    program = bench.build.resolve() / "tests" / "bench" / "bench-orc"
    if not program.exists():
        raise Skipped(f"{program.name} was not built")
    printed = run([program])
    ns = re.search(r"([\d.]+) ns", printed)
    if not ns:
        raise Failed(f"{program.name} does not say how long: {printed}")
    yield below("a frame of a guest's kernel, unwound", "ns", float(ns.group(1)), 10000)
