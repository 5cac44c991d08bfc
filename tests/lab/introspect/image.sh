#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes the boot files of a guest with a given Debian kernel in DIR/VERSION: vmlinuz, and guest.cpio with busybox, a few
# modules, programs and guest-init. What is there already stays.
# usage: image.sh DIR VERSION SUITE
#
# SUITE is the release of Debian that has the kernel: bullseye 5.10, bookworm 6.1, trixie 6.12, sid 7. The packages come
# from where this machine's own apt gets its packages; apt's own lists and settings are left alone.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
[ $# -eq 3 ] || { echo "usage: image.sh DIR VERSION SUITE" >&2; exit 2; }
version=$2 suite=$3
mkdir -p "$1/$version"
cd "$1/$version"
top=$PWD

# In the order in which they need each other.
modules="llc stp bridge dummy overlay"

# apt-get or apt-cache with lists of its own.
private() {
	local command=$1
	shift
	"$command" -o Dir::Etc::SourceList="$top/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State="$top/apt/state" -o Dir::State::Lists="$top/apt/lists" -o Dir::Cache="$top/apt/cache" \
		-o Dir::State::status=/dev/null -o Acquire::Languages=none -o APT::Sandbox::User=root \
		-o APT::Update::Error-Mode=any -o Debug::NoLocking=1 "$@"
}

write_sources() {
	local keys=/usr/share/keyrings/debian-archive-keyring.gpg uri
	apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' 'Created-By: Packages' | grep ' Debian$' |
		cut -d' ' -f1 | sort -u | while read -r uri; do
		case $uri in
		*security*) [ "$suite" = sid ] || echo "deb [signed-by=$keys] $uri $suite-security main" ;;
		*) echo "deb [signed-by=$keys] $uri $suite main" ;;
		esac
	done
}

# The newest that can be had: lists may name what is gone already.
fetch() {
	local package
	for package in $(private apt-cache pkgnames | grep -xE "$1" | sort -Vr | head -5); do
		echo "image.sh: fetching $package"
		(cd debs && private apt-get download -qq "$package" 2>>"$top/apt/log") && return 0
	done
	echo "image.sh: no package like $1 in $suite" >&2
	return 1
}

fetch_kernel() {
	local number="${version//./\\.}\\.[0-9.]*(-[0-9]+|\+deb[0-9]+)-cloud-amd64" binary package
	rm -rf apt debs kernel.new
	mkdir -p apt/lists/partial apt/cache/archives/partial apt/state debs
	write_sources > apt/sources.list
	[ -s apt/sources.list ] || { echo "image.sh: apt has no Debian sources here" >&2; return 1; }
	private apt-get update -qq 2>apt/log || { cat apt/log >&2; return 1; }
	# From some release on, what was in linux-image is in two packages.
	if [ -n "$(private apt-cache pkgnames | grep -xE "linux-binary-$number")" ]; then
		fetch "linux-binary-$number"
		binary=$(basename debs/linux-binary-*.deb)
		fetch "linux-modules-$(sed 's/^linux-binary-//; s/_.*//; s/+/\\+/g' <<< "$binary")"
	else
		fetch "linux-image-$number"
	fi
	for package in debs/*.deb; do
		dpkg -x "$package" kernel.new
	done
	rm -rf apt debs kernel
	mv kernel.new kernel
}

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
	fetch_kernel
	cp "$(find kernel -name 'vmlinuz*' -type f | head -1)" vmlinuz.new
	mv vmlinuz.new vmlinuz
}
if [ ! -e guest.cpio ] || [ "$here/guest-init" -nt guest.cpio ] || [ "$here/areas.c" -nt guest.cpio ] || [ "$here/runner.c" -nt guest.cpio ] ||
	[ "$here/image.sh" -nt guest.cpio ]; then
	pack
fi
