#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The examples that need a guest, on a guest whose work is known. usage: examples.sh NAME
here=$(dirname "$(realpath "$0")")
. "$here/../lab.sh"

# Two busy vCPUs: both are counted, on the guest's side.
count() {
	start_guest vmm two-vcpus 2
	"$EXAMPLE" "$guest" 1 > out || fail "count ended with $?"
	cat out
	for vcpu in 0 1; do
		grep -qE "^vCPU $vcpu +guest-user +[1-9][0-9]" out || fail "vCPU $vcpu has no guest samples"
	done
	grep -qE '^[1-9][0-9]* samples, 0 lost' out || fail "no total"
}

# Twenty lines, nearly all with a name of the guest's image.
sample() {
	start_guest vmm three-functions 1
	"$EXAMPLE" "$guest" 20 "$LAB/three-functions.elf" > out || fail "sample ended with $?"
	cat out
	[ "$(wc -l < out)" = 20 ] || fail "asked for 20 samples"
	[ "$(grep -cE 'vCPU 0  guest-user  [0-9a-f]+  [a-z_]+\+0x' out)" -ge 15 ] || fail "guest samples have no names"
}

# The busy vCPU is in the guest.
stat_() {
	start_guest vmm one-idle 2
	"$EXAMPLE" "$guest" 1 > out || fail "stat ended with $?"
	cat out
	grep -qE '^vCPU 0  guest +guest-time +[1-9][0-9]* ns  [0-9.]+% of wall-time' out || fail "vCPU 0 has no guest time"
	grep -qE '^vCPU 1  both +voluntary-switches +[1-9]' out || fail "vCPU 1 never went to sleep"
}

# It rings its doorbell, or KVM says nothing of that.
exits() {
	start_guest vmm exits 1
	"$EXAMPLE" "$guest" 2 > out || fail "exits ended with $?"
	cat out
	grep -qE '^vCPU 0  port +0x80 +[1-9]' out || fail "the doorbell is not there"
}

# Two intervals; in each of them what the guest does is told, under the guest's name.
agent() {
	start_guest vmm three-functions 1
	"$EXAMPLE" 1 2 > out || fail "agent ended with $?"
	cat out
	[ "$(grep -cE "^-- [1-9][0-9]* samples until now, of " out)" = 2 ] || fail "not two intervals"
	grep -qE "^$guest +[0-9.]+%  guest-user  0x" out || fail "the guest is not there"
}

# One is busy, one is not.
time_() {
	start_guest vmm one-idle 2
	"$EXAMPLE" "$guest" 1 > out || fail "time ended with $?"
	cat out
	grep -qE '^vCPU 0:  guest [1-9]' out || fail "vCPU 0 is not in the guest"
	grep -qE '^vCPU 1: .*  (blocked|asleep) [1-9]' out || fail "vCPU 1 does not sleep"
}

case $1 in
count | exits | sample | stat | time) finds_guests=1 ;;
agent) finds_guests= ;;
*) fail "no such example: $1" ;;
esac
need_kvm
"$EXAMPLE" > usage 2>&1
[ $? = 2 ] && grep -q '^usage: ' usage || fail "without a guest $1 does not say how it is used"
if [ "$finds_guests" ]; then
	"$EXAMPLE" no-such-guest > error 2>&1 && fail "$1 finds a guest that does not exist"
	grep -q 'no-such-guest' error || fail "$1 does not say what it did not find"
fi
case $1 in
stat | time) "${1}_" ;; # these are programs, or words of the shell's, too
*) "$1" ;;
esac
