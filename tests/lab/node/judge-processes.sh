#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Judges what processes.sh recorded, in its directory, on this machine: in the node it would take minutes.
here=$(dirname "$(realpath "$0")")
program=$LAB/../node/three
server=
trap '[ -z "$server" ] || { kill "$server"; wait "$server"; }' EXIT

# The guest's files are here under another root; what the recording carries came out of the
# guest's memory alone.
"$VPMU" report -i three.data --sort side,process,dso,symbol --limit 20 || exit 1
"$VPMU" script -i three.data --json > bare.json && "$here/check-library.py" bare.json console || exit 1
for name in three both flat; do
	"$VPMU" script -i $name.data --guest-root root --json > $name.json || exit 1
done
"$VPMU" report -i three.data --guest-root root --sort side,process,dso,symbol --limit 20 || exit 1
"$here/check-processes.py" three.json console && "$here/check-chains.py" three.json || exit 1

echo "== with the guest's files at hand when it was recorded"
"$VPMU" report -i lean.data --sort side --limit 3 || exit 1
"$VPMU" script -i lean.data --json > lean.json || exit 1
"$here/check-lean.py" lean.json && "$here/check-chains.py" lean.json || exit 1

echo "== without call chains"
"$here/check-processes.py" flat.json console || exit 1
perf report -D -i flat.data > flat.perf 2>&1 || { cat flat.perf; exit 1; }
samples=$(grep -c 'PERF_RECORD_SAMPLE' flat.perf)
[ "$samples" = "$(wc -l < flat.json)" ] || { echo "perf sees $samples samples, vpmu $(wc -l < flat.json)"; exit 1; }

echo "== as perf inside the guest says"
tar -xf inside.tar && perf script -i inside --symfs root -F comm,ip,sym > inside.txt 2> inside.log || { cat inside.log; exit 1; }
"$here/check-inside.py" both.json both.time inside.txt inside/kcore_dir || exit 1

PATH=$PATH:/usr/sbin command -v debuginfod > /dev/null || { echo "debuginfod is not installed: not asked"; exit 0; }
# As in a debug package, under another name than in the guest, in a folder that vpmu is not told of.
mkdir served cache
objcopy --only-keep-debug "$program" served/anything || exit 1
port=$("$here/debuginfod.py" free-port)
debuginfod -F -d :memory: -p "$port" served > server.log 2>&1 &
server=$!
"$here/debuginfod.py" wait-for "$port" served/anything || { cat server.log; exit 1; }
export DEBUGINFOD_URLS=http://127.0.0.1:$port DEBUGINFOD_CACHE_PATH=$PWD/cache
echo "== with symbols from a debuginfod"
"$VPMU" report -i three.data --sort side,process,dso,symbol --limit 10 &&
	"$VPMU" script -i three.data --json > served.json &&
	"$here/check-processes.py" served.json console && "$here/check-library.py" served.json console
