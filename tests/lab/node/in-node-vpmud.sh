#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the node, as root of a machine that is thrown away afterwards: vpmud follows libvirt's guests, on a KVM with
# hardware virtualization. A Debian guest boots meanwhile, whose kernel vpmud is to find.
# usage: in-node-vpmud.sh IMAGE-DIR VPMUD LAB
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
image=$1 vpmud=$2 lab=$3
out=/lab
say() { echo "== $* ($SECONDS s)"; }
cd $out

# virtlogd would be one more daemon.
printf 'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nstdio_handler = "file"\n' >> /etc/libvirt/qemu.conf
libvirtd -d -p /run/libvirtd.pid
printf '%s\n' '[vpmud]' 'socket = /run/vpmud.socket' 'libvirt = qemu:///system' '[store]' 'path = none' > vpmud.conf
"$vpmud" --config vpmud.conf 2> vpmud.log &
vpmud_pid=$!
# Whoever holds the pipe to the outside would keep the node up.
trap 'kill $vpmud_pid 2> /dev/null || true' EXIT
until [ -S /run/vpmud.socket ]; do
	kill -0 $vpmud_pid || { cat vpmud.log; exit 1; }
	sleep 0.2
done

say "domains of two vCPUs each come and go, libvirtd is restarted"
"$here/../two-vcpus-domain.sh" "$lab/two-vcpus.elf" host-passthrough > domain.xml
LAB_PATIENCE_S=120 "$here/../follow-guests.py" /run/vpmud.socket domain.xml "libvirtd -d -p /run/libvirtd.pid" ||
	{ cat vpmud.log; exit 1; }

say "a Debian guest's kernel"
sed -e "s|@IMAGE@|$image|; s|@OUT@|$out|" "$here/domain.xml" > debian.xml
virsh -q create debian.xml
"$here/../known-kernel.py" /run/vpmud.socket debian "$(strings -n 12 "$image/vmlinuz" | sed -n 's/^\([0-9][^ ]*\) (.*) #.*/\1/p' | head -1)"
virsh -q destroy debian

say "vpmud ends"
kill -TERM $vpmud_pid
wait $vpmud_pid || { echo "vpmud ended with $?"; cat vpmud.log; exit 1; }
cat vpmud.log
