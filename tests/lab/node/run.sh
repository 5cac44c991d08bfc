#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Boots the node of image.sh and runs a script of this machine in it, as root. What the script prints comes out here; its
# exit status becomes ours, 124 if the node did not get that far. Its /lab is a directory of this machine that is removed afterwards,
# unless VPMU_LAB_OUT names one to use and keep.
# With --judge a command of this machine is run in that directory once the script has succeeded, and decides.
# With --init the script becomes the node's first process for good; it is its own part then to say "NODE-EXIT STATUS" on the
# console and to switch the node off.
# usage: run.sh [--init] [--judge COMMAND] IMAGE-DIR SECONDS SCRIPT [ARG…]
#
# NODE_TCG=single emulates both CPUs by one thread. With one thread for each, QEMU 7.2 sometimes keeps running a breakpoint
# that the kernel has taken out on the other CPU while it patched a tracepoint's call (text_poke_bp()): the node hangs with both CPUs
# in __schedule(), or stands still for up to half a minute. Scripts that attach to sched_switch again and again meet that, others seldom.
#
# So each CPU of the node beats once a second on its second serial port. If one did not for NODE_STILL (5) seconds, that is said, and what
# fails then is done once more, in a node that is booted again: what was measured was the emulator. After NODE_SILENCE (90) seconds without a
# beat it is taken to hang and ended: a CPU that hangs with interrupts off is seen by nobody in there. A failure without any of that is
# one at once; one in the second node always is.
#
# no_timer_check: a kernel that is given too little of a processor while it tries its timer's interrupt takes that for broken, and panics.
set -uo pipefail
init='' judge=''
[ "$1" != --init ] || { init=1; shift; }
[ "$1" != --judge ] || { judge=$2; shift 2; }
image=$(realpath "$1") limit=$2
shift 2

out=${VPMU_LAB_OUT:-}
[ -n "$out" ] || out=$(mktemp -d "$image/out.XXXXXX")
wrapper=$(mktemp "$image/script.XXXXXX")
log=$(mktemp)
trap 'rm -f "$wrapper" "$log"*; [ -n "${VPMU_LAB_OUT:-}" ] || rm -rf "$out"' EXIT
trap 'exit 143' INT TERM
# What the script starts in the background and leaves behind holds its end of the pipe: the status ends it.
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
for cpu in 0 1; do
	{
		trap '' HUP
		taskset -pc \$cpu \$BASHPID
		exec > /dev/ttyS1
		while printf \$cpu; do sleep 1; done
	} > /dev/null < /dev/null 2>&1 &
done
${init:+exec $(printf '%q ' "$@")}
{
	$(printf '%q ' "$@")
	echo "NODE-EXIT \$?"
} 2>&1 | sed -u '/NODE-EXIT [0-9]*\$/q' # no terminal, no progress lines
poweroff -f
END

# How often that CPU has beaten that did so less often.
count_beats() {
	local all of0 of1
	all=$(cat "$log.beats" 2>/dev/null)
	of0=${all//1/} of1=${all//0/}
	echo $((${#of0} < ${#of1} ? ${#of0} : ${#of1}))
}

# Tells when the node stood still, and ends it when it hangs.
watch() {
	local beats=0 now seen=$SECONDS gap node
	while sleep 1 && [ -e "$log" ]; do
		gap=$((SECONDS - seen))
		now=$(count_beats)
		if [ "$now" -gt $beats ]; then
			[ $beats = 0 ] || [ $gap -lt "${NODE_STILL:-5}" ] || echo "NODE-STALL $gap s" | tee -a "$log.stalls"
			beats=$now seen=$SECONDS
		elif [ $gap -gt "${NODE_SILENCE:-90}" ]; then
			echo "the emulated node gives no sign of life" | tee -a "$log.silent"
			node=$(cat "$log.pid")
			kill "$node"
			sleep 5
			kill -KILL "$node"
			return
		fi
	done
}

boot() {
	local watcher
	rm -f "$log.stalls" "$log.silent" "$log.beats" "$log.pid"
	: > "$log"
	watch 2>/dev/null &
	watcher=$!
	# In our process group: whoever ends the test by its group ends it, too.
	nice -n 10 timeout --foreground --kill-after=5 "$limit" qemu-system-x86_64 -accel tcg,thread="${NODE_TCG:-multi}" -cpu max -smp 2 \
		-m 3072 -nodefaults -display none -serial stdio -serial "file:$log.beats" -monitor none -no-reboot -pidfile "$log.pid" \
		-kernel "$image/vmlinuz" -initrd "$image/node.cpio" \
		-append "console=ttyS0 panic=1 softlockup_panic=1 watchdog_thresh=30 no_timer_check quiet node_script=$wrapper" \
		-virtfs local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap \
		-virtfs local,path="$out",mount_tag=out,security_model=none \
		</dev/null | stdbuf -o0 tr -d "\r" | tee "$log" | sed -u '/^NODE-EXIT [0-9]*$/d; s/NODE-EXIT [0-9]*$//'
	kill "$watcher" 2>/dev/null
	wait "$watcher" 2>/dev/null
	status=$(sed -n 's/.*NODE-EXIT \([0-9]*\)$/\1/p' "$log" | tail -1)
	status=${status:-124}
	if [ "$status" = 0 ] && [ -n "$judge" ]; then
		(cd "$out" && exec "$judge")
		status=$?
	fi
}

# Whether the node stood still, or hung.
disturbed() {
	[ -e "$log.stalls" ] || [ -e "$log.silent" ] || {
		! grep -q 'NODE-EXIT [0-9]*$' "$log" && grep -qE 'softlockup: hung tasks|BUG: soft lockup' "$log"
	}
}

find "$out" -mindepth 1 > "$log.before"
boot
# Once: what comes again is no accident of the emulation.
if [ $status != 0 ] && [ $status != 77 ] && disturbed; then
	echo "== status $status, but the emulated node stood still or hung; once more"
	find "$out" -mindepth 1 -depth | grep -vxFf "$log.before" | tr '\n' '\0' | xargs -0r rm -rf --
	boot
fi
exit "$status"
