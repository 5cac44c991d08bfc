#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The truth about guest kernels, which this machine's KVM may not be able to run natively: a hypervisor node is emulated
# (QEMU's TCG knows AMD SVM), in it a stock Debian kernel with kvm_amd runs a Debian guest under libvirt, and vpmu and
# perf profile that guest. Boot files are kept in VPMU_LAB_CACHE, or in the build directory.
here=$(dirname "$(realpath "$0")")
skip() { echo "SKIP: $*"; exit 77; }

[ "$(id -u)" = 0 ] || skip "the node shows this machine's root file system to itself, which needs root"
for command in qemu-system-x86_64 libvirtd virsh perf cpio busybox python3; do
	PATH=$PATH:/usr/sbin command -v $command > /dev/null || skip "$command is not installed"
done
memory_kb=$(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)
[ "$memory_kb" -gt 3500000 ] || skip "the node wants 3.5 GB of memory, $((memory_kb / 1024)) MB are available"

image=${VPMU_LAB_CACHE:-$LAB/../node/image}
"$here/image.sh" "$image" || skip "the boot files cannot be built (no kernel package to be had?)"
exec "$here/run.sh" "$image" 280 "$here/in-node.sh" "$(realpath "$image")" "$VPMU" "$LAB"
