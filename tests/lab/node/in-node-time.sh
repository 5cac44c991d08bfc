#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the node: vpmu time on guests that run, exit, halt, wait for a CPU and for a device, and perf beside it.
# usage: in-node-time.sh VPMU LAB
set -uo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
export VPMU=$1 LAB=$2
failed=0

# on RUNNER GUEST VCPUS [OPTION…]: a guest, and vpmu time on it for three seconds.
on() (
	. "$here/../lab.sh"
	start_guest "$@"
	sleep 1
	"$here/time-guest.py" "$VPMU" "$guest" "$guest_pid" 3 > out 2>&1 || { cat out guest.log; fail "$*"; }
	cat out
)

say() { echo "== $* ($SECONDS s)"; }

say "a busy vCPU, and one whose halts come out to the VMM"
on vmm one-idle 2 || failed=1
say "a guest that writes to a port all the time"
on vmm exits 1 || failed=1
say "a device that makes the vCPU wait"
on vmm exits 1 --slow-us 2000 || failed=1
say "a guest that halts and is woken by a timer"
on qemu ticks 1 || failed=1
for story in halts shares_a_cpu; do
	say "as in the fast lab: $story"
	"$here/../fast/time.sh" $story || failed=1
done
exit $failed
