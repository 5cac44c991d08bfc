#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Boots the node of image.sh and runs a script of this machine in it, as root. What the script prints comes out here; its
# exit status becomes ours, 124 if the node did not get that far. Its /lab is a directory of this machine that is removed afterwards,
# unless VPMU_LAB_OUT names one to use and keep.
# With --init the script becomes the node's first process for good; it is its own part then to say "NODE-EXIT STATUS" on the
# console and to switch the node off. NODE_SILENCE: after so many seconds without a word (150) the node is taken to hang.
# usage: run.sh [--init] IMAGE-DIR SECONDS SCRIPT [ARG…]
#
# NODE_TCG=single emulates both CPUs by one thread. With one thread for each, QEMU 7.2 sometimes keeps running a breakpoint
# that the kernel has taken out on the other CPU while it patched a tracepoint's call (text_poke_bp()): the node hangs with both CPUs
# in __schedule(). Scripts that attach to sched_switch again and again meet that, others seldom; those get a second node.
#
# no_timer_check: a kernel that is given too little of a processor while it tries its timer's interrupt takes that for broken, and panics.
set -uo pipefail
init=
[ "$1" != --init ] || { init=1; shift; }
image=$(realpath "$1") limit=$2
shift 2

out=${VPMU_LAB_OUT:-}
[ -n "$out" ] || out=$(mktemp -d "$image/out.XXXXXX")
wrapper=$(mktemp "$image/script.XXXXXX")
log=$(mktemp)
trap 'rm -f "$wrapper" "$log"*; [ -n "${VPMU_LAB_OUT:-}" ] || rm -rf "$out"' EXIT
trap 'exit 143' INT TERM
cat > "$wrapper" <<END
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mkdir -p /dev/pts /dev/shm
mount -t tracefs none /sys/kernel/tracing
mount -t debugfs none /sys/kernel/debug
mount -t devpts none /dev/pts
mount -t tmpfs none /dev/shm
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up
mkdir -p /lab
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 out /lab
dmesg -n 1
${init:+exec $(printf '%q ' "$@")}
# Tells of it if nothing runs here for long: what the script measures then is the emulator.
{
	last=\$SECONDS
	while sleep 1; do
		[ \$((SECONDS - last)) -lt 10 ] || echo "NODE-STALL \$((SECONDS - last)) s"
		last=\$SECONDS
	done
} &
$(printf '%q ' "$@") 2>&1 | cat # no terminal, no progress lines
echo "NODE-EXIT \${PIPESTATUS[0]}"
poweroff -f
END

# Kills the node if nothing has come from it for so long: a CPU that hangs with interrupts off is seen by nobody in there.
watch_silence() {
	while sleep 5 && [ -e "$log" ]; do
		[ $(($(date +%s) - $(stat -c %Y "$log"))) -gt "${NODE_SILENCE:-150}" ] || continue
		touch "$log.silent"
		kill "$(cat "$log.pid")"
		return
	done
}

boot() {
	local watcher
	touch "$log"
	watch_silence >/dev/null 2>&1 &
	watcher=$!
	nice -n 10 timeout --kill-after=5 "$limit" qemu-system-x86_64 -accel tcg,thread="${NODE_TCG:-multi}" -cpu max -smp 2 \
		-m 3072 -nodefaults -display none -serial stdio -monitor none -no-reboot -pidfile "$log.pid" \
		-kernel "$image/vmlinuz" -initrd "$image/node.cpio" \
		-append "console=ttyS0 panic=1 softlockup_panic=1 watchdog_thresh=30 no_timer_check quiet node_script=$wrapper" \
		-virtfs local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap \
		-virtfs local,path="$out",mount_tag=out,security_model=none \
		</dev/null | stdbuf -o0 tr -d "\r" | tee "$log" | grep --line-buffered -v '^NODE-EXIT'
	kill "$watcher" 2>/dev/null
}

# Whether it failed, and stood still.
hung() {
	! grep -q '^NODE-EXIT 0' "$log" || return
	grep -q '^NODE-STALL' "$log" && return
	! grep -q '^NODE-EXIT' "$log" && { [ -e "$log.silent" ] || grep -qE 'softlockup: hung tasks|BUG: soft lockup' "$log"; }
}

boot
# Once: a hang that comes again is no accident of the emulation.
if hung; then
	echo "== the emulated node hung, both its CPUs; once more"
	[ -n "${VPMU_LAB_OUT:-}" ] || find "$out" -mindepth 1 -delete
	boot
fi
status=$(sed -n 's/^NODE-EXIT //p' "$log" | tail -1)
exit "${status:-124}"
