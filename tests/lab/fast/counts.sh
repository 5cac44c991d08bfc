#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One guest: is what the kernel counts what is sampled? counts.c compares. usage: counts.sh GUEST VCPUS no-chains|chains
here=$(dirname "$(realpath "$0")")
. "$here/../lab.sh"

need_kvm
start_guest vmm "$1" "$2"
"$LAB/counts" "$guest" "$LAB/$1.elf" 5 "$3"
status=$?
stop_guest
exit $status
