# SPDX-License-Identifier: LGPL-2.1-or-later
# What the lab's shell tests share. Sourced; expects from meson: VPMU, the built command, and LAB, the directory with vmm
# and the guests. Leaves the working directory in a fresh temporary one, which goes away at the end, as do all guests.

lab_dir=$(mktemp -d)
lab_pids=()

# Ends every process that the test started, in whatever state it is, and waits until it is gone.
lab_cleanup() {
	local pid
	for pid in "${lab_pids[@]}"; do
		kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	[ -z "${lab_mount:-}" ] || umount "$lab_mount"
	rm -rf "$lab_dir"
}
trap lab_cleanup EXIT
trap 'exit 143' INT TERM
cd "$lab_dir" || exit 1

skip() { echo "SKIP: $*"; exit 77; }
fail() { echo "FAILED: $*"; exit 1; }

need_kvm() {
	[ -e /dev/kvm ] || skip "there is no /dev/kvm"
	[ -r /dev/kvm ] && [ -w /dev/kvm ] || skip "no permission to use /dev/kvm"
	[ "$(id -u)" = 0 ] || [ "$(cat /proc/sys/kernel/perf_event_paranoid)" -lt 0 ] ||
		skip "profiling other processes needs root, or kernel.perf_event_paranoid below 0"
}

need_command() { command -v "$1" > /dev/null || skip "$1 is not installed"; }

# Without VMX or SVM, KVM emulates what the guest does in ring 0: it is never seen running.
need_hardware_virtualization() {
	grep -qwE 'vmx|svm' /proc/cpuinfo ||
		skip "this machine's KVM emulates ring 0 (no vmx or svm in /proc/cpuinfo)"
}

# The guest was started; it has said that there are no such pages.
need_huge_pages() {
	sleep 0.2
	! grep -q -- - serial || skip "this machine's KVM has no pages of 1 GiB (it shadows guests' page tables)"
}

# start_guest RUNNER NAME VCPUS [vmm options]: starts the guest NAME under `vmm` or `qemu` and waits until it runs.
# Sets guest_pid, and guest to what vpmu calls it. With vmm's --late only vCPU 0 is waited for.
start_guest() {
	local runner=$1 name=$2 n_vcpus=$3 waited=0
	local image=$LAB/$name.elf firmware=()
	shift 3
	: > serial
	case $runner in
	vmm)
		"$LAB/vmm" --vcpus "$n_vcpus" --seconds 120 "$@" "$image" > serial 2> guest.log &
		guest_pid=$! guest=pid:$!
		;;
	qemu)
		need_command qemu-system-x86_64
		# A KVM that emulates ring 0 takes three seconds for SeaBIOS. This one just starts what -kernel names.
		[ ! -e /usr/share/qemu/qboot.rom ] || firmware=(-bios qboot.rom)
		qemu-system-x86_64 "${firmware[@]}" -name "guest=$name-$$,debug-threads=on" -accel kvm -cpu qemu64,-svm,-cx16,-xsave \
			-smp "$n_vcpus" -m 64 -nodefaults -display none -no-reboot -serial stdio \
			-kernel "$image" > serial 2> guest.log < /dev/null &
		guest_pid=$! guest=$name-$$ # no other guest of this machine is called so
		;;
	esac
	lab_pids+=("$guest_pid")
	# Each vCPU writes its index to the serial port before its work.
	while [ "$(stat -c %s serial)" -lt "$n_vcpus" ]; do
		[[ " $* " != *" --late "* ]] || [ ! -s serial ] || break
		kill -0 "$guest_pid" 2>/dev/null || fail "the guest ended: $(cat guest.log)"
		[ $((waited += 1)) -lt 600 ] || fail "the guest does not come up: $(cat guest.log)"
		sleep 0.05
	done
}

stop_guest() {
	kill -KILL "$guest_pid" 2>/dev/null && wait "$guest_pid" 2>/dev/null
	[ ! -e "/proc/$guest_pid" ] || fail "the guest $guest_pid is still there"
}

# The vCPUs that --late holds back begin; returns when vCPU 1 says so.
plug_in_late_vcpus() {
	local waited=0
	kill -USR2 "$guest_pid"
	while [ "$(stat -c %s serial)" -lt 2 ]; do
		[ $((waited += 1)) -lt 600 ] || fail "no vCPU was plugged in: $(cat guest.log)"
		sleep 0.05
	done
}

# wait_until_it_has WHAT PID LOG: a command in the background has begun: one of its descriptors is of that.
wait_until_it_has() {
	local waited=0
	until readlink "/proc/$2/fd/"* 2>/dev/null | grep -q "$1"; do
		kill -0 "$2" 2>/dev/null || fail "it ended before it began: $(cat "$3")"
		[ $((waited += 1)) -lt 400 ] || fail "it does not begin: $(cat "$3")"
		sleep 0.05
	done
}

# How many samples stock perf finds in a file.
perf_samples() { perf report -D -i "$1" 2>/dev/null | grep -c 'PERF_RECORD_SAMPLE'; }
