# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by every test that runs in the node: what it takes, and its boot files in $image. They are kept in VPMU_LAB_CACHE, or
# in the build directory. Of another kernel than this machine's release has if the test set $version, and $suite that has it.
skip() { echo "SKIP: $*"; exit 77; }

[ "$(id -u)" = 0 ] || skip "the node shows this machine's root file system to itself, which needs root"
for command in qemu-system-x86_64 libvirtd virsh perf cpio busybox python3; do
	PATH=$PATH:/usr/sbin command -v $command > /dev/null || skip "$command is not installed"
done
memory_kb=$(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)
[ "$memory_kb" -gt 3500000 ] || skip "the node wants 3.5 GB of memory, $((memory_kb / 1024)) MB are available"

node=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
image=${VPMU_LAB_CACHE:-$LAB/../node/image}${version:+/node-$version}
mkdir -p "$image"
# Tests that start together make the files once.
(flock 9 && "$node/image.sh" "$image" ${version:+"$version" "$suite"}) 9> "$image/lock" || skip "the boot files cannot be built (no kernel package to be had?)"
image=$(realpath "$image")
