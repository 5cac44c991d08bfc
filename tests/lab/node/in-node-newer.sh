#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the node (newer.sh). usage: in-node-newer.sh IMAGE-DIR VPMU LAB
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
image=$1
export VPMU=$2 LAB=$3
out=/lab
say() { echo "== $* ($SECONDS s)"; }

mkdir -p $out/root/opt
cp "$LAB"/../node/three "$LAB"/../node/callers $out/root/opt
cp "$here/newer-init" $out/root/init
(cd $out/root && find . | cpio -o -H newc --quiet) | cat "$image/guest.cpio" - > $out/guest.cpio

qemu-system-x86_64 -name guest=newer,debug-threads=on -accel kvm -cpu host -m 384 -smp 1 -nodefaults -display none \
	-serial file:$out/console -monitor none -no-reboot -kernel "$image/vmlinuz" -initrd $out/guest.cpio \
	-append "console=ttyS0 quiet panic=1" < /dev/null > /dev/null &
guest=$!
trap 'kill $guest' EXIT
waited=0
until grep -q LAB-GUEST-READY $out/console 2>/dev/null; do
	[ $((waited += 1)) -lt 300 ] || { echo "the guest did not come up:"; cat $out/console; exit 1; }
	sleep 0.5
done
say "node and guest are up: $(uname -r)"
"$VPMU" list | tee $out/list
"$VPMU" doctor > $out/doctor || true

say "recorded, with call chains"
"$VPMU" record newer -v -g -d 8s -o $out/newer.data 2> $out/record.log || { cat $out/record.log; exit 1; }
tail -1 $out/record.log
"$VPMU" kallsyms -v newer 2> $out/kallsyms.log | md5sum > $out/kallsyms.md5
say "exits and time"
"$VPMU" exits newer -v -d 3s --by reason,user,symbol,stack --json > $out/exits.json 2> $out/exits.log
"$VPMU" time newer -v -d 3s --json > $out/time.json 2> $out/time.log

say "without the types of the kernel, as one that was built without has none"
mount -t tmpfs none /sys/kernel/btf
"$VPMU" record newer -g -d 2s -o $out/refused.data 2> $out/refused.log
cat $out/refused.log
umount /sys/kernel/btf
kill $guest
trap - EXIT

say "each exit once, under its reason"
"$here/../fast/exits.sh" primes_are_counted_exactly
say "done"
