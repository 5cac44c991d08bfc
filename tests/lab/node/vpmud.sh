#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vpmud on a hypervisor node: see in-node-vpmud.sh. Boot files are those of truth.sh.
here=$(dirname "$(realpath "$0")")
skip() { echo "SKIP: $*"; exit 77; }

[ "$(id -u)" = 0 ] || skip "the node shows this machine's root file system to itself, which needs root"
for command in qemu-system-x86_64 libvirtd virsh cpio busybox python3 stdbuf; do
	PATH=$PATH:/usr/sbin command -v $command > /dev/null || skip "$command is not installed"
done
memory_kb=$(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)
[ "$memory_kb" -gt 3500000 ] || skip "the node wants 3.5 GB of memory, $((memory_kb / 1024)) MB are available"

image=${VPMU_LAB_CACHE:-$LAB/../node/image}
"$here/image.sh" "$image" || skip "the boot files cannot be built (no kernel package to be had?)"
exec "$here/run.sh" "$image" 400 "$here/in-node-vpmud.sh" "$(realpath "$image")" "$VPMUD" "$LAB" "$VPMU"
