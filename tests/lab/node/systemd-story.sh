#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the node, as a service of its systemd: vpmud's life as a service. Whoever asks it is a user of the group vpmu.
# usage: systemd-story.sh IMAGE-DIR LAB
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
image=$1 LAB=$2
say() { echo "== $* ($SECONDS s)"; }
fail() {
	echo "FAILED: $*"
	journalctl --no-pager -o cat -u vpmud.service | tail -20
	systemctl --no-pager status vpmud.service vpmud.socket || true
	exit 1
}
# until TENTHS COMMAND…: waits until COMMAND succeeds.
until_true() {
	local left=$1
	shift
	until "$@" > /dev/null 2>&1; do
		[ $((left -= 1)) -gt 0 ] || fail "it does not come: $*"
		sleep 0.1
	done
}
as() { runuser -u "$1" -- env -u VPMU_SOCKET "${@:2}"; }
with_rights_of_vpmud() {
	local set=-all,+sys_ptrace,+perfmon,+bpf
	setpriv --reuid=vpmud --regid=vpmud --clear-groups --inh-caps=$set --ambient-caps=$set --bounding-set=$set "$@"
}
main_pid() { systemctl show -P MainPID vpmud.service; }
is_in_state() { [ "$(systemctl show -P ActiveState "$1")" = "$2" ]; }
has() { grep -qF -- "$2" <<< "$1" || fail "no '$2' in: $1"; }

say "installed"
cp -a "$image/stage/." /
# Emulated, everything takes twenty times as long, and more when the machine has other things to do; sometimes it stands still.
mkdir -p /etc/systemd/system/vpmud.service.d
printf '[Service]\nTimeoutStopSec=120s\nWatchdogSec=120s\n' > /etc/systemd/system/vpmud.service.d/slow.conf
# As ldconfig would, which takes half a minute here.
ln -s /usr/local/lib/*/libvpmu.so.* /usr/lib/x86_64-linux-gnu/
systemd-sysusers 2>/dev/null
systemctl restart systemd-sysctl.service
useradd -G vpmu alice
useradd mallory
write_config() { printf '%s\n' '[metrics]' 'interval = 1s' "path = $1" '[access]' "${@:2}" > /etc/vpmud.conf; }
write_config /srv/vpmu.prom 'operators ='
systemctl daemon-reload
systemctl start vpmud.socket

say "a guest that somebody else runs"
chmod 666 /dev/kvm
runuser -u nobody -- "$LAB/vmm" --vcpus 2 --seconds 600 "$LAB/two-vcpus.elf" > /tmp/serial 2>&1 &
guest_pid=$!
until_true 300 test -s /tmp/serial
vmm_pid=$(pgrep -u nobody -x vmm)

say "the first question starts vpmud"
is_in_state vpmud.service inactive || fail "vpmud runs before anybody asked"
list=$(as alice vpmu list) || fail "vpmu list: $list"
echo "$list"
has "$list" "$vmm_pid"
is_in_state vpmud.service active || fail "vpmud is not active"
pid=$(main_pid)

say "it has its rights, and no more"
status=$(cat "/proc/$pid/status")
for set in CapInh CapPrm CapEff CapBnd CapAmb; do
	# CAP_SYS_PTRACE 19, CAP_PERFMON 38, CAP_BPF 39
	has "$status" "$(printf '%s:\t%016x' $set $((1 << 19 | 1 << 38 | 1 << 39)))"
done
has "$status" "NoNewPrivs:	1"
[ "$(stat -c %U "/proc/$pid")" = vpmud ] || fail "it runs as $(stat -c %U "/proc/$pid")"

say "it answers who may ask"
stat=$(as alice vpmu stat "pid:$vmm_pid" -d 2s -e page-faults,context-switches) || fail "vpmu stat: $stat"
echo "$stat"
has "$stat" IN-GUEST
! refused=$(as mallory vpmu list 2>&1) || fail "mallory was answered: $refused"
has "$refused" "may not ask"

say "a guest of libvirt's, whose QEMU is again another user's"
cp "$LAB/two-vcpus.elf" /var/lib/libvirt/images/
"$here/../two-vcpus-domain.sh" /var/lib/libvirt/images/two-vcpus.elf host-passthrough | sed 's/@NAME@/web1/' > /tmp/web1.xml
virsh -q -c qemu:///system create /tmp/web1.xml
list='' patience=$((SECONDS + 200))
until [[ $list == *web1*guest,host* ]]; do
	[ $SECONDS -lt $patience ] || fail "web1 is not to be seen: $list"
	list=$(as alice vpmu list | grep web1 || true)
	sleep 0.2
done
echo "$list"
[ "$(ps -o user= -p "$(cat /run/libvirt/qemu/web1.pid)")" = libvirt-qemu ] || fail "QEMU is not libvirt-qemu's"
stat=$(as alice vpmu stat web1 -d 1s -e page-faults) || fail "vpmu stat: $stat"
has "$stat" page-faults

say "a directory that it may not write to stops nothing"
until_true 50 journalctl -q -u vpmud.service -g "cannot write '/srv/vpmu.prom'"
[ "$(journalctl -q -o cat -u vpmud.service | grep -c "cannot write")" = 1 ] || fail "it says so again and again"

say "who may not record learns to by a reload"
cd /home 2>/dev/null && mkdir -p alice && chown alice alice && cd alice
! refused=$(as alice vpmu record web1 -d 1s 2>&1) || fail "alice may record: $refused"
echo "$refused"
write_config /var/lib/vpmud/vpmu.prom 'operators = alice'
systemctl reload vpmud.service
until_true 50 journalctl -q -u vpmud.service -g "the configuration was read again"
as alice vpmu record web1 -g -d 2s
report=$(as alice vpmu report --limit 5)
echo "$report"
has "$report" "guest-user"
[[ $report =~ \ [1-9][0-9]*\ guest\ chains ]] || fail "no call chains of the guest"
# This kernel hides them from vpmud in /proc/kallsyms.
hidden=$(with_rights_of_vpmud cat /proc/kallsyms | grep -cv '^0000000000000000 ' || true)
[ "$hidden" = 0 ] || fail "$hidden addresses are not hidden, so this shows nothing"
report=$(as alice vpmu report --host --json)
# QEMU's own functions have none: it is stripped.
python3 -c 'import json, sys
rows = [row for row in json.load(sys.stdin)["rows"] if row["side"] == "host-kernel"]
assert rows and all(row["symbol"] for row in rows) and any(row["dso"].startswith("[k") for row in rows)' <<< "$report" ||
	fail "the host kernel's functions have no names: $report"
until_true 50 grep -q '^vpmu_guest_vcpu_seconds_total{guest="web1",.*vcpu="1",mode="guest"}' /var/lib/vpmud/vpmu.prom

say "programs in the kernel, whose KVM is a module, take no more than vpmud has"
exits=$(with_rights_of_vpmud vpmu exits "pid:$vmm_pid" -d 2s) || fail "vpmu exits: $exits"
head -5 <<< "$exits"
has "$exits" REASON

say "a wrong configuration is refused, and the old one stays"
echo 'operator = alice' >> /etc/vpmud.conf
! systemctl reload vpmud.service || fail "it was taken"
journalctl -q -o cat -u vpmud.service | tail -3
[ "$(main_pid)" = "$pid" ] || fail "vpmud is another one now"
as alice vpmu record web1 -d 1s > /dev/null
write_config /var/lib/vpmud/vpmu.prom 'operators = alice'

say "killed, it is started again"
kill -KILL "$pid"
knows_web1() { as alice vpmu list --json | grep -q web1; }
until_true 100 knows_web1
[ "$(systemctl show -P NRestarts vpmud.service)" = 1 ] || fail "restarts: $(systemctl show -P NRestarts vpmud.service)"
pid=$(main_pid)

say "it stops, and leaves nothing"
before=$(cut -d' ' -f1 /proc/uptime)
systemctl stop vpmud.service vpmud.socket
echo "stopped in $(echo "$(cut -d' ' -f1 /proc/uptime) $before" | awk '{ print $1 - $2 }') s"
[ "$(systemctl show -P Result vpmud.service)" = success ] || fail "it had to be killed: $(systemctl show -P Result vpmud.service)"
! ps -u vpmud -o pid=,comm= || fail "processes are left"
[ ! -e /run/vpmud/org.vpmu ] || fail "the socket is left"
[ ! -e /var/lib/vpmud/vpmu.prom ] || fail "the metrics are left, and look like new ones"

say "it can be judged"
systemd-analyze verify --man=no vpmud.service vpmud.socket
systemd-analyze security --no-pager vpmud.service | tail -1
virsh -q -c qemu:///system destroy web1
kill $guest_pid
say "all is well"
