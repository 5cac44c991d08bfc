#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vpmu time where KVM says when a guest is entered and left: in a node that is emulated (truth.sh tells more).
here=$(dirname "$(realpath "$0")")
skip() { echo "SKIP: $*"; exit 77; }

[ "$(id -u)" = 0 ] || skip "the node shows this machine's root file system to itself, which needs root"
for command in qemu-system-x86_64 perf cpio busybox python3; do
	PATH=$PATH:/usr/sbin command -v $command > /dev/null || skip "$command is not installed"
done
memory_kb=$(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)
[ "$memory_kb" -gt 3500000 ] || skip "the node wants 3.5 GB of memory, $((memory_kb / 1024)) MB are available"

image=${VPMU_LAB_CACHE:-$LAB/../node/image-time}
"$here/image.sh" "$image" || skip "the boot files cannot be built (no kernel package to be had?)"
NODE_TCG=single exec "$here/run.sh" "$image" 400 "$here/in-node-time.sh" "$VPMU" "$LAB"
