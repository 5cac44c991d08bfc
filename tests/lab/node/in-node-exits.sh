#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the node, as root of a machine that is thrown away afterwards: VM exits, ours and perf's.
# usage: in-node-exits.sh IMAGE-DIR VPMU LAB VPMUD
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
image=$1
export VPMU=$2 LAB=$3
vpmud=$4
out=/lab
say() { echo "== $* ($SECONDS s)"; }

start_libvirt() {
	printf 'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nstdio_handler = "file"\n' >> /etc/libvirt/qemu.conf
	libvirtd -d
}

# start_debian LOAD: the guest, up and at its load; paused.
start_debian() {
	local waited=0
	rm -f $out/console
	sed -e "s|@IMAGE@/guest.cpio|$image/exits-guest.cpio|; s|@IMAGE@|$image|; s|@OUT@|$out|; s|nokaslr|nokaslr lab=$1|" \
		"$here/domain.xml" > $out/domain.xml
	virsh -q create $out/domain.xml
	until grep -q "$2" $out/console 2>/dev/null; do
		[ $((waited += 1)) -lt 300 ] || { echo "the guest did not come up:"; cat $out/console; exit 1; }
		! grep -q LAB-GUEST-FAILED $out/console || { cat $out/console; exit 1; }
		sleep 0.5
	done
	sleep 1
	virsh -q suspend debian
	guest_pid=$(cat /run/libvirt/qemu/debian.pid)
}

wait_for() { # FILE TEXT
	local waited=0
	until grep -q "$2" "$1" 2>/dev/null; do
		[ $((waited += 1)) -lt 200 ] || { echo "'$2' is not in $1:"; cat "$1"; exit 1; }
		sleep 0.1
	done
}

# attach NAME COMMAND…: starts perf in the background, its pid in $perf_pid, and waits until it says that all of its events count. What comes
# later is called behind it at every tracepoint; between two that came in another order at kvm_exit than at kvm_entry one would have the other's
# time in its own.
attach() {
	local name=$1 control ack answer
	shift
	rm -f /run/$name.control /run/$name.ack
	mkfifo /run/$name.control /run/$name.ack
	"$@" --control fifo:/run/$name.control,/run/$name.ack > $out/$name.log 2>&1 &
	perf_pid=$!
	exec {control}<> /run/$name.control {ack}<> /run/$name.ack
	echo ping >&$control
	read -r -t 100 -u $ack answer || { echo "perf does not begin:"; cat $out/$name.log; exit 1; }
	exec {control}>&- {ack}>&-
}

# both NAME SECONDS [options]: perf and vpmu account the same exits: those between the resumption and the pause. The nested events are counted as well.
both() {
	local name=$1 seconds=$2 perf_pid record_pid vpmu_pid count_pid
	shift 2
	attach $name.perf perf kvm stat record -k CLOCK_MONOTONIC -o $out/$name.data -p "$guest_pid"
	record_pid=$perf_pid
	attach $name.stat perf stat -x, -e 'kvm:kvm_nested_*' -p "$guest_pid" -o $out/$name.nested
	count_pid=$perf_pid
	"$VPMU" exits -v debian -I 200 --json "$@" > $out/$name.json 2> $out/$name.log &
	vpmu_pid=$!
	wait_for $out/$name.log 'accounting the exits'
	sleep 1
	virsh -q resume debian
	sleep "$seconds"
	virsh -q suspend debian
	sleep 0.5
	kill -INT $vpmu_pid $record_pid $count_pid
	wait $vpmu_pid
	wait $record_pid || true
	wait $count_pid || true
	perf kvm -i $out/$name.data stat report > $out/$name.txt 2>&1 || true
}

# alone NAME PERFS VPMUS: so many of perf, or of vpmu, and nothing else, over a second and a half of the load.
alone() {
	local name=$1 pids="" i perf_pid
	for ((i = 1; i <= $2; i++)); do
		attach $name.perf-$i perf kvm stat record -k CLOCK_MONOTONIC -o $out/$name.data.$i -p "$guest_pid"
		pids+=" $perf_pid"
	done
	for ((i = 1; i <= $3; i++)); do
		"$VPMU" exits -v debian --json > $out/$name.json 2> $out/$name.log &
		pids+=" $!"
		wait_for $out/$name.log 'accounting the exits'
		sleep 1
	done
	virsh -q resume debian
	sleep 1.5
	virsh -q suspend debian
	sleep 0.5
	kill -INT $pids
	for i in $pids; do
		wait $i || true
	done
}

# The guest is paused: what it does from now on is in the metrics.
start_vpmud() {
	local waited=0
	printf '[vpmud]\nsocket = /run/vpmud.sock\nlibvirt = none\n[always-on]\nenabled = no\n[store]\npath = none\n' > /run/vpmud.conf
	"$vpmud" -c /run/vpmud.conf 2> $out/vpmud.log &
	vpmud_pid=$!
	until "$here/metrics.py" /run/vpmud.sock 2>/dev/null | grep -q '^# TYPE vpmu_guest_exits'; do
		[ $((waited += 1)) -lt 200 ] || { echo "vpmud accounts no exits:"; cat $out/vpmud.log; exit 1; }
		sleep 0.2
	done
}

say "primes: each exit once, under its reason"
"$here/../fast/exits.sh" primes_are_counted_exactly
say "pages of 1 GiB, which a KVM without nested paging has not"
"$here/../fast/chains.sh" vmm huge-pages 1 4s 12s

start_libvirt
start_debian exits LAB-GUEST-READY
say "a Debian guest with a known load"
start_vpmud
both load 5
"$here/metrics.py" /run/vpmud.sock > $out/load.metrics
kill $vpmud_pid
wait $vpmud_pid
say "the tools by themselves, and perf beside itself"
for turn in 1 2; do
	alone ours-$turn 0 1
	alone perf-$turn 1 0
	alone twice-$turn 2 0
done
virsh -q resume debian
say "what its exits are about"
"$VPMU" exits debian --by reason,msr,port,cpuid,user,symbol,stack,fault,vector -d 6s --flamegraph $out/keys.html --json > $out/keys.json
"$VPMU" exits debian -d 2s
say "NMIs"
for duration in 6s 24s; do
	"$VPMU" record debian -g -F 2000 -d $duration -o $out/nmis.recording &
	vpmu_pid=$!
	while kill -0 $vpmu_pid 2>/dev/null; do
		for ((i = 0; i < 50; i++)); do
			echo inject-nmi debian
		done | virsh -q > $out/virsh.log
	done
	wait $vpmu_pid
	"$VPMU" script -i $out/nmis.recording --json > $out/nmis.samples
	# A busy machine gives the guest little time: then it takes longer to see enough.
	[ "$(grep -c '"exc_nmi"' $out/nmis.samples)" -lt 20 ] || break
done

virsh -q destroy debian
start_debian nested '^[0-9][0-9]*.$'
say "a guest of the guest, in a CPUID loop"
tail -3 $out/console
both nested 6 --nested
virsh -q resume debian
sleep 2
# By itself: perf at KVM's tracepoints would be in the time that the innermost guest measures. Lines from while the exits are accounted; the first one
# began before. How fast the time stamp counter goes by the clock is measured: what the kernel took it for at boot depends on how busy this machine was.
"$VPMU" exits -v debian --nested -I 500 --json > $out/trip.json 2> $out/trip.log &
vpmu_pid=$!
wait_for $out/trip.log 'accounting the exits'
first=$(($(wc -l < $out/console) + 2))
perf stat -x, -e duration_time -e msr/tsc/ -C 0 -o $out/tsc sleep 15
last=$(wc -l < $out/console)
kill -INT $vpmu_pid
wait $vpmu_pid
sed -n "$first,${last}p" $out/console > $out/cycles
"$VPMU" exits debian --nested -d 2s
say "samples of it, and of the guest that runs it"
for chains in 0 1; do
	"$VPMU" record debian -v $([ $chains = 0 ] || echo -g) -F 2000 -d 4s -o $out/nested-$chains.recording
	"$VPMU" report -i $out/nested-$chains.recording --limit 8 --side guest
	"$VPMU" script -i $out/nested-$chains.recording --json > $out/nested-$chains.samples
done
virsh -q destroy debian
say "done"
