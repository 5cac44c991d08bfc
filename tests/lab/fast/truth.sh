#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One guest under one runner: is what vpmu reports what the guest does? check-truth.py has the criteria.
# usage: truth.sh RUNNER GUEST VCPUS [HZ TIME…]      RUNNER: vmm or qemu; default 4000 2s 8s 30s
here=$(dirname "$(realpath "$0")")
. "$here/../lab.sh"
runner=$1 name=$2 n_vcpus=$3 frequency=${4:-4000}
shift 3
[ $# -gt 1 ] && shift || set -- 2s 8s 30s

need_kvm
need_command perf
[ "$name" != three-functions-kernel ] || need_hardware_virtualization

record_and_check() {
	"$VPMU" record "$guest" -F "$frequency" -d "$1" -o recording || fail "vpmu record"
	"$VPMU" report -i recording --guest-image "$guest=$LAB/$name.elf" --sort guest,vcpu,side,symbol --json > report.json ||
		fail "vpmu report"
	perf report -D -i recording 2>/dev/null |
		sed -n 's/.*PERF_RECORD_SAMPLE(IP, \(0x[0-9a-f]*\)): [^:]*: \(0x[0-9a-f]*\) .*/\1 \2/p' > raw
	"$here/check-truth.py" "$LAB/$name.truth" "$LAB/$name.elf" report.json raw
}

start_guest "$runner" "$name" "$n_vcpus"
[ "$name" != huge-pages ] || need_huge_pages
# A machine that has much else to do gives the guest less time: then it takes longer to see enough of it. Shares that are off by chance
# are not when there are more samples.
for duration in "$@"; do
	record_and_check $duration
	status=$?
	[ $status = 2 ] || [ $status = 3 ] || break
done
stop_guest
exit $status
