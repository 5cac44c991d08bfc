#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Which of a guest's processes was sampled, and where in its program: a Debian guest in the emulated node (truth.sh), whose kernel
# was moved by KASLR, runs three processes of a known static program, and one that spends its time in the kernel. Nothing is
# told to vpmu but, for the programs' symbols, where their files are, and then, on this machine, which debuginfod to ask: the build-id is
# out of the guest's memory. Perf runs in the guest, too: its call chains and ours are of the same load at the same time.
here=$(dirname "$(realpath "$0")")
. "$here/node-lab.sh"

program=$LAB/../node/three
runner=$LAB/../node/runner
[ -e "$program" ] && [ -e "${program%three}callers" ] && [ -e "${program%three}lean" ] || skip "the guest's programs were not built: no static C library"
VPMU_LAB_OUT=$(mktemp -d "$image/processes.XXXXXX")
export VPMU_LAB_OUT
server=
trap '[ -z "$server" ] || kill "$server"; wait; rm -rf "$VPMU_LAB_OUT"' EXIT
cd "$VPMU_LAB_OUT" || exit 1

# The programs, Debian's own perf, and an init that starts them, go behind what is in the guest's file system already.
perf=$(command -v perf)
mkdir -p root/opt
cp "$program" "${program%three}callers" "${program%three}lean" "$runner" "$perf" root/opt/
for file in $(ldd "$runner" "$perf" | sed -n 's|.*[[:space:]]\(/[^ ]*\) (.*|\1|p' | sort -u); do
	mkdir -p "root$(dirname "$file")"
	cp -L "$file" "root$file"
done
cp "$here/processes-init" root/init
(cd root && find . | cpio -o -H newc --quiet) | cat "$image/guest.cpio" - > guest.cpio
"$here/run.sh" "$image" 280 "$here/in-node-processes.sh" "$image" "$VPMU" "$LAB/counts" || exit

# Judged out here, where it takes seconds. The guest's files are here under another root; what the recording carries came out of the
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
