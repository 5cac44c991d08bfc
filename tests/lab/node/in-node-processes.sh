#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the node (processes.sh). usage: in-node-processes.sh IMAGE-DIR VPMU PROGRAM RUNNER COUNTS
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
image=$1 vpmu=$2 program=$3 runner=$4 counts=$5
out=/lab
say() { echo "== $* ($SECONDS s)"; }

# The programs, and an init that starts them, go behind what is in the guest's file system already.
mkdir -p $out/root/opt
cp "$program" $out/root/opt/three
cp "$(dirname "$program")/callers" $out/root/opt/callers
cp "$runner" $out/root/opt/runner
for file in $(ldd "$runner" | grep -o '/[^ ]*'); do
	mkdir -p "$out/root$(dirname "$file")"
	cp -L "$file" "$out/root$file"
done
cp "$here/processes-init" $out/root/init
(cd $out/root && find . | cpio -o -H newc --quiet) > $out/more.cpio
cat "$image/guest.cpio" $out/more.cpio > $out/guest.cpio

qemu-system-x86_64 -name guest=three,debug-threads=on -accel kvm -cpu host -m 384 -smp 1 -nodefaults -display none \
	-serial file:$out/console -monitor none -no-reboot -kernel "$image/vmlinuz" -initrd $out/guest.cpio \
	-append "console=ttyS0 quiet panic=1" < /dev/null > /dev/null &
guest=$!
trap 'kill $guest' EXIT
waited=0
until grep -q LAB-GUEST-READY $out/console 2>/dev/null; do
	[ $((waited += 1)) -lt 300 ] || { echo "the guest did not come up:"; cat $out/console; exit 1; }
	sleep 0.5
done
say "the guest is up: $(grep -c THREE $out/console) processes"

"$vpmu" record three -v -g -d 8s -o $out/three.data
say "recorded"
# The guest's files are here under another root; what the recording carries came out of the guest's memory alone.
"$vpmu" report -i $out/three.data --sort side,process,dso,symbol --limit 20
"$vpmu" script -i $out/three.data --json > $out/bare.json
"$here/check-library.py" $out/bare.json $out/console
"$vpmu" report -i $out/three.data --guest-root $out/root --sort side,process,dso,symbol --limit 20
"$vpmu" script -i $out/three.data --guest-root $out/root --json > $out/three.json
"$here/check-processes.py" $out/three.json $out/console
"$here/check-chains.py" $out/three.json

say "without call chains"
"$vpmu" record three -d 4s -o $out/flat.data
"$vpmu" script -i $out/flat.data --guest-root $out/root --json > $out/flat.json
"$here/check-processes.py" $out/flat.json $out/console
perf report -D -i $out/flat.data > $out/flat.perf 2>&1 || { cat $out/flat.perf; exit 1; }
samples=$(grep -c 'PERF_RECORD_SAMPLE' $out/flat.perf)
[ "$samples" = "$(wc -l < $out/flat.json)" ] || { echo "perf sees $samples samples, vpmu $(wc -l < $out/flat.json)"; exit 1; }

say "counted in the node's kernel"
"$counts" three linux 6 no-chains
"$counts" three linux 6 chains
