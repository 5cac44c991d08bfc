#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Unpacks a kernel of Debian in DIR/kernel, whatever release this machine runs.
# usage: fetch-kernel.sh DIR VERSION SUITE FLAVOUR
#
# SUITE is the release of Debian that has the kernel: bullseye 5.10, bookworm 6.1, trixie 6.12, sid 7. FLAVOUR is amd64 or
# cloud-amd64; the latter is smaller, but has no 9p. The packages come from where this machine's own apt gets its packages;
# apt's own lists and settings are left alone.
set -euo pipefail
[ $# -eq 4 ] || { echo "usage: fetch-kernel.sh DIR VERSION SUITE FLAVOUR" >&2; exit 2; }
version=$2 suite=$3 flavour=$4
cd "$1"
top=$PWD

# apt-get or apt-cache with lists of its own.
private() {
	local command=$1
	shift
	"$command" -o Dir::Etc::SourceList="$top/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State="$top/apt/state" -o Dir::State::Lists="$top/apt/lists" -o Dir::Cache="$top/apt/cache" \
		-o Dir::State::status=/dev/null -o Acquire::Languages=none -o APT::Sandbox::User=root \
		-o APT::Update::Error-Mode=any -o Debug::NoLocking=1 -o Acquire::Retries=3 "$@"
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
		echo "fetch-kernel.sh: fetching $package"
		(cd debs && private apt-get download -qq "$package" 2>>"$top/apt/log") && return 0
	done
	echo "fetch-kernel.sh: no package like $1 in $suite" >&2
	return 1
}

number="${version//./\\.}\\.[0-9.]*(-[0-9]+|\+deb[0-9]+)-$flavour"
rm -rf apt debs kernel.new
mkdir -p apt/lists/partial apt/cache/archives/partial apt/state debs
write_sources > apt/sources.list
[ -s apt/sources.list ] || { echo "fetch-kernel.sh: apt has no Debian sources here" >&2; exit 1; }
for try in 1 2 3; do # a mirror may change under our hands
	private apt-get update -qq 2>apt/log && break
	[ $try != 3 ] || { cat apt/log >&2; exit 1; }
	sleep 20
done
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
