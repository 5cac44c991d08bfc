#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds the boot files of the node lab in DIR; what is there already stays.
# usage: image.sh DIR [VERSION SUITE]
#
# The kernel is this machine's release's, or that of another one (../fetch-kernel.sh).
#
#   vmlinuz	a stock Debian kernel, for the node and for the guest in it
#   node.cpio	the node's initramfs: mounts this machine's root read-only over 9p, with a writable layer in
#		memory, so that the node has every tool and the build tree (node-init)
#   guest.cpio	the guest's initramfs: busybox and a load (guest-init)
#
# Needs busybox-static, cpio, and apt's lists for the kernel's package.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
[ $# -eq 1 ] || [ $# -eq 3 ] || { echo "usage: image.sh DIR [VERSION SUITE]" >&2; exit 2; }
mkdir -p "$1"
cd "$1"

virtio="virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci"
node_modules="$virtio netfs fscache 9pnet 9pnet_virtio 9p overlay irqbypass ccp kvm kvm-amd"
guest_modules="$virtio virtio_console"

fetch_kernel() {
	local package
	package=$(apt-cache show --no-all-versions linux-image-amd64 |
		sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p')
	[ -n "$package" ] || { echo "image.sh: apt knows no linux-image-amd64: apt-get update first" >&2; return 1; }
	echo "image.sh: fetching $package"
	rm -rf kernel.new
	mkdir kernel.new
	(cd kernel.new && apt-get download -qq "$package" 2>apt.log || { cat apt.log >&2; exit 1; })
	dpkg -x kernel.new/*.deb kernel.new
	rm kernel.new/*.deb
	rm -rf kernel
	mv kernel.new kernel
}

# put_module NAME ROOT: what the kernel has inside needs no file; fscache is in netfs since Linux 6.8 ("netfs, fscache: Combine fscache
# with netfs").
put_module() {
	local file
	file=$(find kernel -name "$1.ko" -o -name "$1.ko.xz" | head -1)
	case $file in
	*.xz) xz -dc "$file" > "$2/modules/$1.ko" ;;
	*.ko) cp "$file" "$2/modules/" ;;
	*)
		[ "$1" = fscache ] || find kernel -name modules.builtin -exec grep -q "/$1.ko" {} + ||
			{ echo "image.sh: this kernel has no module $1" >&2; return 1; }
		return 0
		;;
	esac
	echo "$1" >> "$2/modules/order"
}

# pack NAME MODULES DIRECTORIES: an initramfs of busybox, the modules in their order, and NAME-init.
pack() {
	local root=$1.root module
	rm -rf "$root"
	mkdir -p "$root"/bin "$root"/modules
	(cd "$root" && mkdir -p $3)
	cp "$busybox" "$root/bin/busybox"
	cp "$here/$1-init" "$root/init"
	chmod +x "$root/init"
	: > "$root/modules/order"
	for module in $2; do
		put_module "$module" "$root"
	done
	(cd "$root" && find . | cpio -o -H newc --quiet) > "$1.cpio.new"
	mv "$1.cpio.new" "$1.cpio"
	rm -rf "$root"
}

busybox=$(command -v busybox) || { echo "image.sh: busybox-static is not installed" >&2; exit 1; }
[ -d kernel ] || if [ $# -eq 3 ]; then "$here/../fetch-kernel.sh" . "$2" "$3" amd64; else fetch_kernel; fi
cp -u kernel/boot/vmlinuz-* vmlinuz
for name in node guest; do
	modules=${name}_modules
	if [ ! -e $name.cpio ] || [ "$here/$name-init" -nt $name.cpio ] || [ "$here/image.sh" -nt $name.cpio ] ||
		[ vmlinuz -nt $name.cpio ]; then
		pack $name "${!modules}" "proc sys dev machine layer root"
	fi
done
echo "image.sh: $PWD is ready"
