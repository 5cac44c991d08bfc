#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Judges what exits.sh recorded, in its directory, on this machine.
here=$(dirname "$(realpath "$0")")
for name in load nested; do
	"$here/check-exits.py" same $name || exit 1
done
for name in perf-1 perf-2 twice-1 twice-2; do
	perf script -i $name.data.1 --ns -F tid,time,event,trace > $name.events 2> $name.script.log
done
"$here/check-exits.py" times || exit 1
"$here/check-exits.py" metrics || exit 1
"$here/check-exits.py" keys || exit 1
"$here/check-exits.py" flamegraph || exit 1
"$here/check-nmis.py" nmis.samples || exit 1
"$here/check-nested.py" nested-0.samples 0 || exit 1
"$here/check-nested.py" nested-1.samples 1 || exit 1
"$here/check-exits.py" nested
