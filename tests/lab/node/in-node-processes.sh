#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the node (processes.sh). usage: in-node-processes.sh IMAGE-DIR VPMU COUNTS
set -euo pipefail
image=$1 vpmu=$2 counts=$3
out=/lab
say() { echo "== $* ($SECONDS s)"; }

# The guest waits for a line on its second serial port, and answers into a file.
turn=$(mktemp -d)/turn
mkfifo "$turn.in" "$turn.out"
qemu-system-x86_64 -name guest=three,debug-threads=on -accel kvm -cpu host -m 384 -smp 1 -nodefaults -display none \
	-serial file:$out/console -serial "pipe:$turn" -monitor none -no-reboot -kernel "$image/vmlinuz" -initrd $out/guest.cpio \
	-device virtio-serial -chardev file,id=inside,path=$out/inside.tar -device virtserialport,chardev=inside,name=lab.inside \
	-append "console=ttyS0 quiet panic=1" < /dev/null > /dev/null &
guest=$!
trap 'kill $guest' EXIT
wait_for() {
	local waited=0
	until grep -q "$1" $out/console 2>/dev/null; do
		[ $((waited += 1)) -lt 700 ] || { echo "no $1 from the guest:"; cat $out/console; exit 1; }
		sleep 0.2
	done
}
wait_for LAB-GUEST-READY
say "the guest is up: $(grep -c THREE $out/console) processes"

"$vpmu" record three -v -g -d 8s -o $out/three.data
say "recorded"
# Perf inside and vpmu outside at the same time: how the load divides its time changes with what else the machine has to do.
"$vpmu" record three -g -o $out/both.data &
recorder=$!
echo go > "$turn.in"
wait_for LAB-PERF-STARTED
cut -d' ' -f1 /proc/uptime > $out/both.time
wait_for LAB-PERF-DONE
cut -d' ' -f1 /proc/uptime >> $out/both.time
kill -INT $recorder
wait $recorder
wait_for LAB-PERF-SENT
say "recorded, and by perf inside"
"$vpmu" record three -d 4s -o $out/flat.data
say "recorded without call chains"
"$vpmu" record three -v -g -d 8s --guest-root $out/root -o $out/lean.data
say "recorded with the guest's files at hand"

say "counted in the node's kernel"
"$counts" three linux 6 no-chains
"$counts" three linux 6 chains
