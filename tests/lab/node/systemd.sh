#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vpmud as a service: the node boots with systemd, vpmud is installed in it as `meson install` does, comes up by its socket with
# no more than its rights, follows guests of libvirt and others, answers those who may ask, reloads, dies, stops.
# Boot files are kept in VPMU_LAB_CACHE, or in the build directory.
here=$(dirname "$(realpath "$0")")
skip() { echo "SKIP: $*"; exit 77; }

[ "$(id -u)" = 0 ] || skip "the node shows this machine's root file system to itself, which needs root"
for command in qemu-system-x86_64 libvirtd virsh cpio busybox python3 meson dbus-daemon systemd-analyze; do
	PATH=$PATH:/usr/sbin command -v $command > /dev/null || skip "$command is not installed"
done
[ -x /lib/systemd/systemd ] || skip "systemd is not installed"
memory_kb=$(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)
[ "$memory_kb" -gt 3500000 ] || skip "the node wants 3.5 GB of memory, $((memory_kb / 1024)) MB are available"

image=${VPMU_LAB_CACHE:-$LAB/../node/image}
"$here/image.sh" "$image" || skip "the boot files cannot be built (no kernel package to be had?)"
image=$(realpath "$image")
rm -rf "$image/stage"
DESTDIR=$image/stage meson install -C "$BUILD" --no-rebuild --quiet || { echo "meson install failed"; exit 1; }
exec "$here/run.sh" --init "$image" 580 "$here/systemd-boot.sh" "$here/systemd-story.sh" "$image" "$LAB"
