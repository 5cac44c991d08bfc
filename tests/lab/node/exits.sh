#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vpmu exits where exits are: in a hypervisor node, emulated, on a stock Debian kernel with kvm_amd. Stock perf accounts the same exits; a guest runs a
# guest of its own. Boot files are kept as truth.sh keeps them.
here=$(dirname "$(realpath "$0")")
skip() { echo "SKIP: $*"; exit 77; }

[ "$(id -u)" = 0 ] || skip "the node shows this machine's root file system to itself, which needs root"
for command in qemu-system-x86_64 libvirtd virsh perf cpio busybox python3 cc; do
	PATH=$PATH:/usr/sbin command -v $command > /dev/null || skip "$command is not installed"
done
memory_kb=$(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)
[ "$memory_kb" -gt 3500000 ] || skip "the node wants 3.5 GB of memory, $((memory_kb / 1024)) MB are available"

image=${VPMU_LAB_CACHE:-$LAB/../node/image}
"$here/image.sh" "$image" || skip "the boot files cannot be built (no kernel package to be had?)"

# What this guest has besides: the kernel takes one archive behind the other.
extra=$(mktemp -d)
trap 'rm -rf "$extra"' EXIT
mkdir -p "$extra/bin" "$extra/exits-modules"
install -m 755 "$here/exits-init" "$extra/init"
cc -O2 -static -o "$extra/bin/exits-load" "$here/exits-load.c" || skip "no static C library"
cc -O2 -static -D_GNU_SOURCE -o "$extra/bin/vmm" "$here/../fast/vmm.c" || skip "no static C library"
cp "$LAB/cpuid-loop.elf" "$extra/exits-modules/"
echo msr > "$extra/exits-modules/exits"
echo irqbypass ccp kvm kvm-amd > "$extra/exits-modules/nested"
for module in msr irqbypass ccp kvm kvm-amd; do
	cp "$(find "$image/kernel/lib/modules" -name "$module.ko" | head -1)" "$extra/exits-modules/"
done
(cd "$extra" && find . | cpio -o -H newc --quiet) | cat "$image/guest.cpio" - > "$image/exits-guest.cpio"
mkdir "$extra/out"
VPMU_LAB_OUT="$extra/out" "$here/run.sh" --judge "$here/judge-exits.sh" "$image" 580 "$here/in-node-exits.sh" "$(realpath "$image")" "$VPMU" "$LAB" "$VPMUD"
