#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the node, as root of a machine that is thrown away afterwards: the truth about guest kernels.
# usage: in-node.sh IMAGE-DIR VPMU LAB
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
image=$1
export VPMU=$2 LAB=$3
out=/lab
say() { echo "== $* ($SECONDS s)"; }

start_debian() {
	# virtlogd would cut the files off at 2 MiB.
	printf 'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nstdio_handler = "file"\n' >> /etc/libvirt/qemu.conf
	libvirtd -d
	sed -e "s|@IMAGE@|$image|; s|@OUT@|$out|" "$here/domain.xml" > $out/domain.xml
	virsh -q create $out/domain.xml
	local waited=0
	until grep -q LAB-GUEST-READY $out/console 2>/dev/null; do
		[ $((waited += 1)) -lt 300 ] || { echo "the guest did not come up:"; cat $out/console; exit 1; }
		sleep 0.5
	done
}

# raw FILE: cpumode and address of each sample, as stock perf reads them.
raw() {
	perf report -D -i "$1" 2>/dev/null |
		sed -n 's/.*PERF_RECORD_SAMPLE(IP, \(0x[0-9a-f]*\)): [^:]*: \(0x[0-9a-f]*\) .*/\1 \2/p'
}

# Slowly: the node's timers stutter whenever this machine has something else to do.
say "the fast lab's kernel guest, on a KVM with hardware virtualization"
"$here/../fast/truth.sh" vmm three-functions-kernel 1 3000 4s 12s

say "call chains of a guest's kernel"
"$here/../fast/chains.sh" vmm three-functions-kernel 1 3s 12s

say "samples counted in the node's kernel"
"$here/../fast/counts.sh" three-functions-kernel 1 chains

start_debian
say "the Debian guest is up: $(wc -l < $out/kallsyms) symbols, $(wc -l < $out/modules) modules"
"$VPMU" list
"$VPMU" list | grep -q 'debian' || { echo "vpmu list does not know the guest"; exit 1; }

say "recorded by vpmu"
"$VPMU" record debian -d 6s -o $out/ours.data
"$VPMU" report -i $out/ours.data --sort side,symbol --json > $out/ours.json
raw $out/ours.data > $out/ours.raw
"$VPMU" kallsyms -v debian 2> $out/kallsyms.log | cmp - $out/kallsyms
grep "page tables" $out/kallsyms.log || { echo "KVM did not say where the guest's memory is:"; cat $out/kallsyms.log; exit 1; }
# All but how often each is used: the guest wrote its list through one of them.
"$VPMU" modules debian | awk '{ $3 = ""; print }' > $out/modules.ours
awk '{ $3 = ""; print }' $out/modules | cmp - $out/modules.ours

say "recorded by perf"
perf_kvm="perf kvm --host --guest --guestkallsyms $out/kallsyms --guestmodules $out/modules"
$perf_kvm record -q -e cpu-clock -F 999 -p "$(cat /run/libvirt/qemu/debian.pid)" -o $out/theirs.data -- sleep 6
$perf_kvm -i $out/theirs.data report --stdio -s sym -F sample,sym -t, > $out/theirs.txt 2> $out/theirs.log
"$VPMU" report -i $out/theirs.data --guest-kallsyms $out/kallsyms --guest-modules $out/modules \
	--sort side,symbol --json > $out/theirs.json
raw $out/theirs.data > $out/theirs.raw
virsh -q destroy debian

say "compared"
"$here/same-as-perf.py" $out/ours.json $out/ours.raw
"$here/named-right.py" $out/ours.json $out/ours.raw $out/kallsyms
"$here/same-as-perf.py" $out/theirs.json $out/theirs.raw $out/theirs.txt
