#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Stock perf as referee: it records this machine (all CPUs, call chains, 100 thousand samples of shells, gzip, find and python),
# then both tools count the samples of each symbol.
# usage: referee.sh        from meson, with VPMU
. "$(dirname "$0")/lab.sh"
samples=${REFEREE_SAMPLES:-100000}

need_command perf
need_command python3
[ "$(id -u)" = 0 ] || skip "recording the whole machine needs root"

load() {
	local end=$((SECONDS + $1))
	while [ $SECONDS -lt $end ]; do
		find /usr/include -name '*.h' 2>/dev/null | head -400 | xargs cat 2>/dev/null | gzip -6 | gunzip | md5sum
		python3 -c 'import json; [json.loads(json.dumps(list(range(3000)))) for _ in range(60)]'
		ls -lR /proc/self >/dev/null 2>&1
	done >/dev/null
}
export -f load

# 20 kHz on each busy CPU; the more are busy, the shorter it takes.
for seconds in 4 12 40; do
	perf record -q -a -g -e cpu-clock -F 20000 -o perf.data -- bash -c "load $seconds & load $seconds; wait" >perf.log 2>&1 ||
		skip "perf cannot record here: $(tail -1 perf.log)"
	"$VPMU" report -i perf.data --sort side,symbol --json >ours.json || fail "vpmu report"
	n=$(python3 -c 'import json; print(json.load(open("ours.json"))["coverage"]["samples"])')
	[ "$n" -lt "$samples" ] || break
done
[ "$n" -ge "$samples" ] || skip "the machine gave $n samples in $seconds s, $samples were wanted"
perf report -i perf.data --stdio --no-children -g none -F sample,sym -s sym -t $'\t' >theirs 2>perf.log || fail "perf report: $(tail -1 perf.log)"
python3 - ours.json theirs <<'END'
import collections, json, re, sys

report = json.load(open(sys.argv[1]))
ours, theirs = collections.Counter(), collections.Counter()
unnamed_ours = 0
for row in report["rows"]:
    level = "k" if row["side"] == "host-kernel" else "."
    if row["status"] == "ok":
        ours[level, row["symbol"]] += row["samples"]
    else:
        unnamed_ours += row["samples"]
unnamed_theirs = 0
for line in open(sys.argv[2]):
    match = re.match(r"\s*(\d+)\s+\[(.)\]\s+(.*?)\s*$", line)
    if not match:
        continue
    if match[3].startswith("0x"):
        unnamed_theirs += int(match[1])
    else:
        theirs[match[2], match[3]] += int(match[1])
names = set(ours) | set(theirs)
different = sorted(name for name in names if ours[name] != theirs[name])
total = sum(theirs.values()) + unnamed_theirs
print(f"{total} samples by perf, {report['coverage']['samples']} by vpmu; {len(names)} symbols, "
      f"{len(names) - len(different)} with the same count; without a name {unnamed_theirs} and {unnamed_ours}")
for level, name in different[:20]:
    print(f"  [{level}] {name}: {ours[level, name]}, perf {theirs[level, name]}")
sys.exit(total != report["coverage"]["samples"] or len(different) > 0.001 * len(names) or not names)
END
