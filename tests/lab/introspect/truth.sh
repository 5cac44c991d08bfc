#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What vpmu sees in a guest from outside, against what the guest says of itself. Debian's kernel boots under software
# emulation (no KVM needed); the guest prints its /proc/kallsyms and so on to a serial port, then keeps still.
# usage: [MEMORY_MIB=N] truth.sh VERSION SUITE [VCPUS [KERNEL-ARGUMENT…]]
. "$(dirname "$(realpath "$0")")/../lab.sh"
here=$(dirname "$(realpath "$0")")
version=$1 suite=$2 n_vcpus=${3:-1}
shift 2
[ $# -eq 0 ] || shift

for command in qemu-system-x86_64 busybox cpio apt-get dpkg xz python3 cc; do
	need_command $command
done
image=${VPMU_LAB_CACHE:-$LAB/image}
"$here/image.sh" "$image" "$version" "$suite" > image.log 2>&1 ||
	skip "no boot files for Linux $version: $(tail -1 image.log)"

nice -n 10 qemu-system-x86_64 -name "guest=linux-$version,debug-threads=on" -accel tcg,thread=multi -cpu max \
	-smp "$n_vcpus" -m "${MEMORY_MIB:-1024}" -nodefaults -display none -monitor none -no-reboot \
	-serial file:console -serial file:truth \
	-kernel "$image/$version/vmlinuz" -initrd "$image/$version/guest.cpio" \
	-append "console=ttyS0 panic=1 quiet $*" < /dev/null > qemu.log 2>&1 &
guest_pid=$!
lab_pids+=($guest_pid)
waited=0
until grep -aqx '== done' truth 2>/dev/null; do
	kill -0 $guest_pid 2>/dev/null || fail "the guest ended: $(tail -5 console qemu.log)"
	[ $((waited += 1)) -lt 2400 ] || fail "the guest does not come up: $(tail -5 console)"
	sleep 0.1
done
! grep -a 'failed' console || fail "the guest's own set-up"

section() { sed -n "/^== $1\$/,/^== end\$/p" truth | sed '1d;$d'; }

failed=0
# same NAME COMMAND: the output of the command is the guest's section NAME, line by line.
same() {
	local name=$1 started
	shift
	section "$name" > "$name.truth"
	[ -s "$name.truth" ] || fail "the guest says nothing about its $name"
	started=$(date +%s%N)
	"$VPMU" "$@" "pid:$guest_pid" > "$name.vpmu" || fail "vpmu $* failed"
	echo "$name: $(wc -l < "$name.truth") lines, $((($(date +%s%N) - started) / 1000000)) ms"
	cmp -s "$name.truth" "$name.vpmu" && return
	echo "FAILED: $name differs:"
	diff "$name.truth" "$name.vpmu" | head -20
	failed=1
}

echo "Linux $(section release), $n_vcpus vCPUs${*:+, $*}"
same kallsyms kallsyms
same modules modules
grep -q 'bpf_prog_.*_second.\[bpf\]' kallsyms.truth || fail "the guest shows no BPF programs"

grep -q 'ftrace_trampoline.\[__builtin__ftrace\]' kallsyms.truth || fail "the guest shows no trampolines"
grep -q '\[__builtin__kprobes\]' kallsyms.truth || fail "the guest shows no pages of probes"

"$VPMU" list --local > list || fail "vpmu list failed"
grep -q " $guest_pid .* $(section release) " list || { echo "FAILED: vpmu list shows another kernel:"; cat list; failed=1; }

python3 "$here/compare.py" "$VPMU" "$INSIDE" truth "$guest_pid" || failed=1
"$SLEEPERS" $guest_pid || { echo "FAILED: kernel stacks were not unwound to their end"; failed=1; }
"$CONFINED" $guest_pid "$(section running | cut -d' ' -f1)" || failed=1

# How long it takes and what it needs is printed, not judged.
[ ! -x "${BENCH:-}" ] || "$BENCH" "$guest_pid"

# A guest that is gone is an ordinary error.
kill -KILL $guest_pid
wait $guest_pid 2>/dev/null
"$VPMU" kallsyms "pid:$guest_pid" > gone.out 2> gone.err
[ $? = 1 ] && [ -s gone.err ] || { echo "FAILED: of a guest that is gone: $(cat gone.err)"; failed=1; }
exit $failed
