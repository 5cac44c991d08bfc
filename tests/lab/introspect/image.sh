#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes the boot files of a guest with a given Debian kernel in DIR/VERSION: vmlinuz, and guest.cpio with busybox, a few
# modules, programs and guest-init. What is there already stays.
# usage: image.sh DIR VERSION SUITE
#
# SUITE is the release of Debian that has the kernel: bullseye 5.10, bookworm 6.1, trixie 6.12, sid 7 (../fetch-kernel.sh).
set -euo pipefail
here=$(dirname "$(realpath "$0")")
[ $# -eq 3 ] || { echo "usage: image.sh DIR VERSION SUITE" >&2; exit 2; }
version=$2 suite=$3
mkdir -p "$1/$version"
cd "$1/$version"
# Two guests of one kernel may be started together.
exec 9> lock
flock 9

# In the order in which they need each other.
modules="llc stp bridge dummy overlay"

pack() {
	local root=root module file
	rm -rf $root
	mkdir -p $root/{bin,modules,proc,sys,dev}
	cp "$busybox" $root/bin/busybox
	cp "$here/guest-init" $root/init
	cc -O1 -D_GNU_SOURCE -static -pthread -o $root/bin/areas "$here/areas.c"
	cc -O1 -D_GNU_SOURCE -o $root/bin/runner "$here/runner.c"
	for file in $(ldd $root/bin/runner | grep -o '/[^ ]*'); do
		mkdir -p "$root$(dirname "$file")"
		cp -L "$file" "$root$file"
	done
	chmod +x $root/init
	for module in $modules; do
		file=$(find kernel -name "$module.ko*" | head -1)
		case $file in
		*.xz) xz -dc "$file" > $root/modules/$module.ko ;;
		*.ko) cp "$file" $root/modules/ ;;
		*) echo "image.sh: this kernel has no module $module" >&2; return 1 ;;
		esac
		echo $module >> $root/modules/order
	done
	(cd $root && find . | cpio -o -H newc --quiet) > guest.cpio.new
	mv guest.cpio.new guest.cpio
	rm -rf $root
}

busybox=$(command -v busybox) || { echo "image.sh: busybox-static is not installed" >&2; exit 1; }
[ -e vmlinuz ] || {
	"$here/../fetch-kernel.sh" . "$version" "$suite" cloud-amd64
	cp "$(find kernel -name 'vmlinuz*' -type f | head -1)" vmlinuz.new
	mv vmlinuz.new vmlinuz
}
if [ ! -e guest.cpio ] || [ "$here/guest-init" -nt guest.cpio ] || [ "$here/areas.c" -nt guest.cpio ] || [ "$here/runner.c" -nt guest.cpio ] ||
	[ "$here/image.sh" -nt guest.cpio ]; then
	pack
fi
