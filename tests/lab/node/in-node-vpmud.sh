#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the node, as root of a machine that is thrown away afterwards: vpmud follows libvirt's guests, on a KVM with
# hardware virtualization. A Debian guest boots meanwhile, whose kernel vpmud is to find.
# usage: in-node-vpmud.sh IMAGE-DIR VPMUD LAB VPMU
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
image=$1 vpmud=$2 lab=$3 vpmu=$4
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
LAB_PATIENCE_S=120 PYTHONUNBUFFERED=1 "$here/../follow-guests.py" /run/vpmud.socket domain.xml "libvirtd -d -p /run/libvirtd.pid" ||
	{ cat vpmud.log; exit 1; }

say "a Debian guest's kernel"
sed -e "s|@IMAGE@|$image|; s|@OUT@|$out|" "$here/domain.xml" > debian.xml
virsh -q create debian.xml
"$here/../known-kernel.py" /run/vpmud.socket debian "$(strings -n 12 "$image/vmlinuz" | sed -n 's/^\([0-9][^ ]*\) (.*) #.*/\1/p' | head -1)"

say "who parses its memory has no rights, and may be killed"
# $1: what /proc/PID/status had: a parser may be gone the next moment.
no_rights() {
	grep -E '^(Name|Uid|Cap|NoNewPrivs|Seccomp:)' <<< "$1" | tr '\t\n' '  '
	echo
	! grep -E '^Cap(Inh|Prm|Eff|Amb):.*[1-9a-f]' <<< "$1" && grep -qx 'Seccomp:	2' <<< "$1" &&
		grep -qx 'NoNewPrivs:	1' <<< "$1" && grep -q '^Uid:	65534' <<< "$1"
}
nursery=$(pgrep -P $vpmud_pid -x vpmud-nursery)
no_rights "$(cat "/proc/$nursery/status")"
kill -KILL "$nursery"
export VPMU_SOCKET=/run/vpmud.socket
"$vpmu" record debian -d 8s -o debian.data &
recording=$!
until parser=$(pgrep -x vpmud-parser | head -1) && [ -n "$parser" ] && status=$(cat "/proc/$parser/status" 2>/dev/null); do
	kill -0 $recording || { echo "nobody parses"; cat vpmud.log; exit 1; }
done
no_rights "$status"
wait $recording
"$vpmu" report -i debian.data --sort side,process,dso,symbol --limit 12
"$vpmu" script -i debian.data --json > debian.json
# The node's emulated processor is late with the privilege level at times: by record and address.
grep '"guest-kernel"' debian.json | grep '"address": *"0xffff' > kernel.json
kernel=$(wc -l < kernel.json)
named=$(grep -c '"symbol": *"' kernel.json)
echo "$named of $kernel samples of the guest's kernel have names"
[ "$kernel" -gt 0 ] && [ "$named" -ge $((kernel * 99 / 100)) ] || {
	grep -v '"symbol": *"' kernel.json | head -20
	cat vpmud.log
	exit 1
}
"$vpmu" record debian -d 4s -o killed.data &
recording=$!
until pkill -KILL -x vpmud-parser; do kill -0 $recording || break; done
wait $recording
"$vpmu" list
virsh -q destroy debian

say "vpmud ends"
kill -TERM $vpmud_pid
wait $vpmud_pid || { echo "vpmud ended with $?"; cat vpmud.log; exit 1; }
cat vpmud.log
