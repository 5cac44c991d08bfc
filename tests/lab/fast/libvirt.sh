#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vpmud under real libvirt on this machine: libvirtd has a file system of its own for what it keeps and for its sockets, so
# that one that may run here, or its domains, are not disturbed. What happens then: follow-guests.py.
here=$(dirname "$(realpath "$0")")
if [ -z "${LAB_PRIVATE:-}" ]; then
	[ "$(id -u)" = 0 ] || { echo "SKIP: libvirt's system daemon needs root"; exit 77; }
	unshare --mount true 2>/dev/null || { echo "SKIP: no mount namespace to be had"; exit 77; }
	LAB_PRIVATE=yes exec unshare --mount "$0" "$@"
fi
. "$here/../lab.sh"
need_kvm
PATH=$PATH:/usr/sbin
for command in libvirtd virsh qemu-system-x86_64 stdbuf; do
	need_command $command
done

# A new /run for libvirt's sockets and QEMU's pid files. Domains that a failed test leaves are ended with it.
private_libvirt() {
	local directory
	for directory in /run /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
		[ -d $directory ] || skip "libvirt is not installed as Debian does it: there is no $directory"
		mount -t tmpfs none $directory || skip "no tmpfs can be mounted"
	done
	# No cgroups, no namespaces for QEMU: this may be a container. virtlogd would be one more daemon.
	printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' 'stdio_handler = "file"' \
		'cgroup_controllers = []' 'namespaces = []' > /etc/libvirt/qemu.conf
}

end_all() {
	local file
	for file in /run/libvirt/qemu/*.pid /run/libvirtd.pid /run/virtlogd.pid; do
		[ ! -s "$file" ] || kill -KILL "$(cat "$file")" 2>/dev/null
	done
	lab_cleanup
}
trap end_all EXIT

private_libvirt
libvirtd -d -p /run/libvirtd.pid || skip "libvirtd does not start here"
virsh -q list > virsh.log 2>&1 || skip "libvirtd does not answer: $(cat virsh.log)"

"$here/../two-vcpus-domain.sh" "$LAB/two-vcpus.elf" > domain.xml
printf '%s\n' '[vpmud]' "socket = $PWD/socket" 'libvirt = qemu:///system' '[store]' 'path = none' > vpmud.conf
"$VPMUD" --config vpmud.conf 2> vpmud.log &
vpmud=$!
lab_pids+=($vpmud)
for ((i = 0; i < 200; i++)); do
	[ ! -S socket ] || break
	kill -0 $vpmud || fail "vpmud does not start: $(cat vpmud.log)"
	sleep 0.05
done
python3 "$here/../follow-guests.py" "$PWD/socket" domain.xml "libvirtd -d -p /run/libvirtd.pid" ||
	fail "$(cat vpmud.log)"
# A libvirtd that does not answer must not keep vpmud from ending.
kill -STOP "$(cat /run/libvirtd.pid)"
kill -TERM $vpmud
SECONDS=0
wait $vpmud || fail "vpmud ended with $?: $(cat vpmud.log)"
echo "vpmud ended within $((SECONDS + 1)) s of SIGTERM, while libvirtd stood still"
[ $SECONDS -lt 20 ] || fail "vpmud took $SECONDS s to end"
cat vpmud.log
