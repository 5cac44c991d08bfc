#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The truth about guest kernels, which this machine's KVM may not be able to run natively: a hypervisor node is emulated
# (QEMU's TCG knows AMD SVM), in it a stock Debian kernel with kvm_amd runs a Debian guest under libvirt, and vpmu and
# perf profile that guest.
here=$(dirname "$(realpath "$0")")
. "$here/node-lab.sh"
exec "$here/run.sh" "$image" 400 "$here/in-node.sh" "$image" "$VPMU" "$LAB"
