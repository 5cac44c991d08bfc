#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A libvirt domain of two vCPUs, and room for a third, for an image of the fast lab; its name is @NAME@.
# usage: two-vcpus-domain.sh IMAGE [host-passthrough]
if [ "${2:-}" = host-passthrough ]; then
	cpu="<cpu mode='host-passthrough'/>"
else
	# What KVM offers where it has no hardware underneath.
	cpu="<cpu mode='custom' match='exact' check='none'><model fallback='allow'>qemu64</model>"
	for feature in cx16 svm xsave; do
		cpu="$cpu<feature policy='disable' name='$feature'/>"
	done
	cpu="$cpu</cpu>"
fi
cat <<END
<domain type='kvm'>
  <name>@NAME@</name>
  <memory unit='MiB'>64</memory>
  <vcpu current='2'>3</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>$1</kernel>
  </os>
  <features><acpi/><apic/></features>
  $cpu
  <devices>
    <serial type='null'/>
    <memballoon model='none'/>
  </devices>
</domain>
END
