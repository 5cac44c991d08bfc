#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One guest under one runner: are its call chains those that it has? check-chains.py has the criteria.
# usage: chains.sh RUNNER GUEST VCPUS [TIME…]      default 2s 8s 30s
here=$(dirname "$(realpath "$0")")
. "$here/../lab.sh"
runner=$1 name=$2 n_vcpus=$3
shift 3
[ $# -gt 0 ] || set -- 2s 8s 30s

need_kvm
need_command perf
[ "$name" != three-functions-kernel ] || need_hardware_virtualization
start_guest "$runner" "$name" "$n_vcpus"
[ "$name" != huge-pages ] || need_huge_pages
for duration in "$@"; do
	"$VPMU" record "$guest" -g -F 2000 -d "$duration" -o recording 2> record.log || fail "vpmu record: $(cat record.log)"
	if grep -q "no guest call chains" record.log; then
		skip "$(grep "no guest call chains" record.log)"
	fi
	cat record.log
	"$VPMU" report -i recording --guest-image "$guest=$LAB/$name.elf" --sort vcpu,side,symbol -g --json > report.json ||
		fail "vpmu report"
	# How many samples of the guest perf prints with two addresses or more.
	perf_chains=$(perf script --guestmount "$PWD" -i recording -F ip,event 2>/dev/null |
		awk -v RS= 'NF >= 3 && length($NF) <= 8 { n++ } END { print n + 0 }')
	"$here/check-chains.py" "$LAB/$name.truth" report.json "$perf_chains"
	status=$?
	[ $status = 2 ] || [ $status = 3 ] || break # too few samples, or shares that may be off by chance
done
stop_guest
exit $status
