#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Which of a guest's processes was sampled, and where in its program: a Debian guest in the emulated node (truth.sh), whose kernel
# was moved by KASLR, runs three processes of a known static program, and one that spends its time in the kernel. Nothing is
# told to vpmu but, for the programs' symbols, where their files are, and then, on this machine, which debuginfod to ask: the build-id is
# out of the guest's memory.
here=$(dirname "$(realpath "$0")")
. "$here/node-lab.sh"

program=$LAB/../node/three
runner=$LAB/../node/runner
[ -e "$program" ] && [ -e "${program%three}callers" ] || skip "the guest's programs were not built: no static C library"
VPMU_LAB_OUT=$(mktemp -d "$image/processes.XXXXXX")
export VPMU_LAB_OUT
server=
trap '[ -z "$server" ] || kill "$server"; wait; rm -rf "$VPMU_LAB_OUT"' EXIT
"$here/run.sh" "$image" 280 "$here/in-node-processes.sh" "$image" "$VPMU" "$program" "$runner" "$LAB/counts" || exit

PATH=$PATH:/usr/sbin command -v debuginfod > /dev/null || { echo "debuginfod is not installed: not asked"; exit 0; }
cd "$VPMU_LAB_OUT" || exit 1
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
